//go:build unix

package main

import (
	"bufio"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var benchPersons = flag.Int("import.persons", 1000, "persons of BenchmarkTakeOver; each has three services")

// BenchmarkTakeOver imports persons and their services with the real program and no server. It
// gives seconds, the largest memory of the process (with the pages of the store that it has
// read, which the system may take back), and the size of the store.
//
//	go test ./cmd/flette -run - -bench TakeOver -benchtime 1x -import.persons 100000
func BenchmarkTakeOver(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		file := func(name string, write func(io.Writer)) string {
			path := filepath.Join(dir, name)
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			w := bufio.NewWriter(f)
			write(w)
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
			return path
		}
		run := func(args ...string) (seconds, megabytes float64) {
			start := time.Now()
			cmd := exec.Command("flette", args...)
			cmd.Env = append(os.Environ(), "FLETTE_DATA="+filepath.Join(dir, "data"))
			if text, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v: %v\n%s", args, err, text)
			}
			usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			if !ok {
				b.Fatal("no usage")
			}
			return time.Since(start).Seconds(), float64(usage.Maxrss) / 1024
		}
		n := *benchPersons
		run("tenant", "add", "--id", "testvik", "--name", "Testvik", "--kommune", "9999")
		run("unit", "import", "--tenant", "testvik", file("units.csv", writeUnits))
		for _, what := range []struct {
			name  string
			write func(io.Writer, int)
		}{{"person", writePersons}, {"service", writeServices}} {
			path := file(what.name+".csv", func(w io.Writer) { what.write(w, n) })
			for _, again := range []string{"", "-again"} {
				s, mb := run(what.name, "import", "--tenant", "testvik", path)
				b.ReportMetric(s, what.name+again+"-s")
				b.ReportMetric(mb, what.name+again+"-MB")
			}
			info, err := os.Stat(filepath.Join(dir, "data", "tenants", "testvik.db"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/(1<<20), what.name+"-store-MB")
		}
	}
}
