// Command gotest runs `go test -json` with the arguments given, keeps quiet about what
// passes, shows the whole output of what fails, lists what was skipped and why, and ends
// with one line: `N passed, M failed, K skipped`. Subtests count like tests; a package that
// does not build, or dies outside of a test, counts as one failure.
//
// Exit code 0 means that nothing failed. With FLETTE_NO_SKIP=1 in the environment nothing
// may be skipped either.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"

	"github.com/go-json-experiment/json"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(2)
	}
	s, readErr := read(out, os.Stdout)
	ok := s.print(os.Stdout, cmd.Wait(), os.Getenv("FLETTE_NO_SKIP") == "1")
	if readErr != nil || !ok {
		os.Exit(1)
	}
}

// event is one line of `go test -json`; see `go doc test2json` and `go help buildjson`.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string

	Elapsed float64 // seconds
}

// key names a test, or a package when Test is empty.
type key struct{ pkg, test string }

func (k key) String() string { return strings.TrimSpace(k.pkg + " " + k.test) }

type summary struct {
	passed, failed int
	skipped        []string // "package test: reason"
	slow           []string
}

// read follows the events and writes the output of every failure as it becomes known.
func read(r io.Reader, w io.Writer) (summary, error) {
	var s summary
	output := make(map[key]*strings.Builder)
	builds := make(map[string]*strings.Builder)
	failedIn := make(map[string]int) // failed tests of a package
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(w, line) // not an event: the go command speaking for itself
			} else {
				s.take(e, output, builds, failedIn, w)
			}
		}
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
	}
}

func (s *summary) take(e event, output map[key]*strings.Builder, builds map[string]*strings.Builder, failedIn map[string]int, w io.Writer) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "output":
		add(output, k, e.Output)
	case "build-output":
		add(builds, e.ImportPath, e.Output)
	case "pass":
		if e.Test != "" {
			s.passed++
		}
		delete(output, k)
	case "skip":
		if e.Test != "" {
			s.skipped = append(s.skipped, k.String()+": "+reason(text(output[k])))
		}
		delete(output, k)
	case "fail":
		out := text(builds[e.FailedBuild]) + text(output[k])
		delete(output, k)
		if e.Test == "" {
			// The package died where tests never ended; their output tells why.
			out = ownWords(out) + unfinished(e.Package, output)
			if out == "" && failedIn[e.Package] > 0 {
				break // its tests have told all
			}
		}
		s.failed++
		failedIn[e.Package]++
		fmt.Fprintf(w, "--- %s\n%s", k, out)
	}
	if e.Test == "" && e.Elapsed >= slow {
		s.slow = append(s.slow, fmt.Sprintf("%s took %.0f s", e.Package, e.Elapsed))
	}
}

// slow is the number of seconds from which a package is named in the report.
const slow = 60

// ownWords leaves out what go test says of every package that fails.
func ownWords(out string) string {
	var keep strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "FAIL") && !strings.HasPrefix(line, "exit status") && !strings.HasPrefix(line, "coverage:") {
			keep.WriteString(line)
		}
	}
	return keep.String()
}

// unfinished takes the output of the tests of a package that neither passed nor failed.
func unfinished(pkg string, output map[key]*strings.Builder) string {
	var left []string
	for k, b := range output {
		if k.pkg == pkg && k.test != "" {
			left = append(left, b.String())
			delete(output, k)
		}
	}
	sort.Strings(left)
	return strings.Join(left, "")
}

func add[K comparable](m map[K]*strings.Builder, k K, text string) {
	if m[k] == nil {
		m[k] = new(strings.Builder)
	}
	m[k].WriteString(text)
}

func text(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	return b.String()
}

// reason finds what a skipped test said: its last line that go test did not write itself.
func reason(out string) string {
	why := "no reason given"
	for _, line := range strings.Split(out, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if i := strings.Index(line, "skipped: "); i >= 0 {
			return line[i:]
		}
		why = line
	}
	return why
}

// print writes the end of the report and says whether the run is good.
func (s *summary) print(w io.Writer, goTest error, noSkip bool) bool {
	if len(s.skipped) > 0 {
		sort.Strings(s.skipped)
		fmt.Fprintf(w, "\nnot run here:\n")
		for _, line := range s.skipped {
			fmt.Fprintln(w, " ", line)
		}
	}
	for _, line := range s.slow {
		fmt.Fprintln(w, line)
	}
	if goTest != nil && s.failed == 0 {
		s.failed++
		fmt.Fprintln(w, "go test:", goTest)
	}
	if s.passed+s.failed+len(s.skipped) == 0 {
		s.failed++
		fmt.Fprintln(w, "no test ran")
	}
	ok := s.failed == 0
	if noSkip && len(s.skipped) > 0 {
		ok = false
		fmt.Fprintln(w, "FLETTE_NO_SKIP=1: what is listed above must run here")
	}
	line := fmt.Sprintf("%d passed, %d failed", s.passed, s.failed)
	if len(s.skipped) > 0 || !noSkip {
		line += fmt.Sprintf(", %d skipped", len(s.skipped))
	}
	fmt.Fprintln(w, line)
	return ok
}
