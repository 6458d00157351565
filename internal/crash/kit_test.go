//go:build linux && amd64

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// kit is what the tests of this package share: the real program, built once.
type kit struct {
	flette string
	self   string
}

var shared = sync.OnceValues(func() (*kit, error) {
	dir, err := os.MkdirTemp("", "flette-crash-")
	if err != nil {
		return nil, err
	}
	k := &kit{flette: filepath.Join(dir, "flette")}
	if k.self, err = os.Executable(); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-o", k.flette, "flette/cmd/flette")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return k, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if k, err := shared(); err == nil {
		_ = os.RemoveAll(filepath.Dir(k.flette))
	}
	os.Exit(code)
}

func long() bool { return os.Getenv("FLETTE_LONG") == "1" }

func newKit(t testing.TB) *kit {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("skipped: not found: the go command")
	}
	k, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(Program{Path: k.flette, Args: []string{"version"}, Trampoline: k.self, Dir: "/nowhere"})
	if err != nil {
		t.Skip("skipped: not found: permission to trace a process: " + err.Error())
	}
	if ws, err := p.Wait(); err != nil || ws.ExitStatus() != 0 {
		t.Fatalf("flette version under trace: %v, %v: %s", ws.ExitStatus(), err, p.Stderr())
	}
	_ = p.Close()
	return k
}

// start runs the program under trace.
func (k *kit) start(t testing.TB, p Program) *Process {
	t.Helper()
	p.Path, p.Trampoline = k.flette, k.self
	s, err := Start(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Signal(9) // it may have ended
		<-s.Done()
		_ = s.Close()
	})
	return s
}

// run runs a verb to its end, untraced, and returns exit code and output.
func (k *kit) run(args ...string) (int, string) {
	cmd := exec.Command(k.flette, args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(out))
}
