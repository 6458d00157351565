package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flette/model/ident"
	"flette/sync"
)

const benchUnits = 40

func writeUnits(w io.Writer) {
	fmt.Fprintln(w, "local;name;org_number\ntopp;Oppdiktet kommune;312345676")
	for i := range benchUnits {
		fmt.Fprintf(w, "sone-%d;Oppdiktet sone %d;\n", i, i)
	}
}

// eachNumber gives n identity numbers of nobody.
func eachNumber(n int, f func(i int, number string)) {
	day := time.Date(1930, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, at := 0, 0; i < n; at++ {
		// Some hundred numbers a day; not each has control digits.
		if number, ok := ident.SyntheticFNR(day.AddDate(0, 0, at%20000), at/20000); ok {
			f(i, number)
			i++
		}
	}
}

// writePersons writes n persons who do not exist.
func writePersons(w io.Writer, n int) {
	fmt.Fprintln(w, "number;name;kommune;unit")
	eachNumber(n, func(i int, number string) { fmt.Fprintf(w, "%s;Oppdiktet %d;9999;sone-%d\n", number, i, i%benchUnits) })
}

// writeServices writes three services of each: applied for, granted, started.
func writeServices(w io.Writer, n int) {
	fmt.Fprintln(w, "number;ref;type;unit;application;decision;hours;start")
	eachNumber(n, func(i int, number string) {
		for s, of := range [][2]string{{"1", "2:30"}, {"15", "5,5"}, {"6", ""}} {
			fmt.Fprintf(w, "%s;%d-%d;%s;sone-%d;2024-0%d-02;2024-0%d-05;%s;2024-0%d-10\n", number, i, s, of[0], i%benchUnits, s+1, s+1, of[1], s+1)
		}
	})
}

// house is a data folder and the real program on it.
type house struct {
	t   *testing.T
	dir string
}

func (h *house) command(args ...string) *exec.Cmd {
	cmd := exec.Command("flette", args...)
	cmd.Dir, cmd.Env = h.dir, append(os.Environ(), "FLETTE_DATA=data", "GORACE=atexit_sleep_ms=0")
	return cmd
}

func (h *house) run(args ...string) string {
	h.t.Helper()
	var stderr bytes.Buffer
	cmd := h.command(args...)
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return string(text)
}

func (h *house) file(name string, write func(io.Writer)) {
	var b bytes.Buffer
	write(&b)
	if err := os.WriteFile(filepath.Join(h.dir, name), b.Bytes(), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// serve starts the server and waits until it answers.
func (h *house) serve() *exec.Cmd {
	h.t.Helper()
	cmd := h.command("serve", "--listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		h.t.Fatalf("the server did not start: %v", err)
	}
	return cmd
}

// An import that is killed at any moment, or whose server is, leaves a sound store; the same file
// then completes it, and nothing is there twice.
func TestKilledTakeOver(t *testing.T) {
	const persons = 600 // two batches of persons, nine of services
	for _, c := range []struct {
		name           string
		server, killed bool // one runs; it is killed instead of the import
	}{{"without a server", false, false}, {"beside a server", true, false}, {"the server itself", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			h := &house{t, t.TempDir()}
			h.file("units.csv", writeUnits)
			h.file("person.csv", func(w io.Writer) { writePersons(w, persons) })
			h.file("service.csv", func(w io.Writer) { writeServices(w, persons) })
			h.run("tenant", "add", "--id", "testvik", "--name", "Testvik", "--kommune", "9999")
			h.run("unit", "import", "--tenant", "testvik", "units.csv")
			for _, what := range []string{"person", "service"} {
				// Each delay may fall before, into or after the work: what is asked holds for all.
				for _, after := range []time.Duration{40, 120, 250} {
					var server *exec.Cmd
					if c.server {
						server = h.serve()
					}
					cmd := h.command(what, "import", "--tenant", "testvik", what+".csv")
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					victim := cmd
					if c.killed {
						victim = server
					}
					timer := time.AfterFunc(after*time.Millisecond, func() { _ = victim.Process.Kill() })
					_ = cmd.Wait()
					timer.Stop()
					if c.server {
						_ = server.Process.Kill()
						_ = server.Wait()
					}
					if text := h.run("verify"); !strings.Contains(text, "testvik: ok") {
						t.Fatal(text)
					}
				}
				h.run(what, "import", "--tenant", "testvik", what+".csv")
				if text := h.run(what, "import", "--tenant", "testvik", what+".csv"); !strings.Contains(text, ": 0 ") || !strings.Contains(text, " 0 changed, ") {
					t.Fatal(text)
				}
			}
			list := h.run("person", "list", "--tenant", "testvik", "--json")
			if n := strings.Count(list, `"bruker_nr"`); n != persons || !strings.Contains(list, fmt.Sprintf(`"bruker_nr": %d,`, persons)) {
				t.Errorf("%d persons", n)
			}
			if text := h.run("verify"); !strings.Contains(text, fmt.Sprintf("testvik: ok (%d entries", 3*persons)) {
				t.Error(text)
			}
		})
	}
}

// A server that does not know a command says so while the lines are still on their way, and the
// rest of them is not sent.
func TestStreamToAnOlderServer(t *testing.T) {
	h := &house{t, t.TempDir()}
	h.run("tenant", "add", "--id", "testvik", "--name", "Testvik", "--kommune", "9999")
	h.serve()
	s := stream[takeOverOf, sync.PersonInput, int]{name: "of-another-version"}
	sent := 0
	_, err := doStream(t.Context(), dataFlags{Data: filepath.Join(h.dir, "data")}, s, takeOverOf{}, func(yield func(sync.PersonInput, error) bool) {
		for yield(sync.PersonInput{Name: strings.Repeat("x", 1000)}, nil) {
			sent++
		}
	})
	if err == nil || problemOf(err).Code != "other-version" || sent == 0 {
		t.Errorf("%d lines were sent: %v", sent, err)
	}
}
