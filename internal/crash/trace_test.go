//go:build linux && amd64

package crash

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func init() { Bounce() }

// TestTraceIsExact: every call of a program with threads is counted, and the one aimed at is
// the one hit.
func TestTraceIsExact(t *testing.T) {
	k := newKit(t)
	dir := t.TempDir()
	args := []string{"tenant", "add", "--data", filepath.Join(dir, "d"), "--id", "testvik", "--name", "Testvik", "--kommune", "9999"}
	run := func(at func(Call) Action) (*Process, syscall.WaitStatus) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, "d")); err != nil {
			t.Fatal(err)
		}
		p := k.start(t, Program{Args: args, Dir: filepath.Join(dir, "d"), Record: true, At: at})
		ws, err := p.Wait()
		if err != nil {
			t.Fatal(err)
		}
		return p, ws
	}
	p, ws := run(nil)
	if ws.ExitStatus() != 0 {
		t.Fatalf("exit %d: %s", ws.ExitStatus(), p.Stderr())
	}
	calls := p.Calls()
	t.Logf("%d calls:%s", len(calls), tally(calls))
	for _, c := range calls {
		t.Log(c, c.To, len(c.Data))
	}
	again, _ := run(nil)
	if len(again.Calls()) != len(calls) {
		t.Errorf("%d calls, then %d", len(calls), len(again.Calls()))
	}
	n := len(calls) / 2
	killed, ws := run(func(c Call) Action { return Action{Kill: c.Seq == n} })
	if !ws.Signaled() || ws.Signal() != syscall.SIGKILL || killed.Hit() == nil || killed.Hit().Seq != n || len(killed.Calls()) != n {
		t.Errorf("killed at call %d: hit %v, status %v, %d calls", n, killed.Hit(), ws, len(killed.Calls()))
	}
	failed, ws := run(func(c Call) Action {
		if c.Name == "fdatasync" {
			return Action{Errno: syscall.EIO}
		}
		return Action{}
	})
	if ws.ExitStatus() != 4 {
		t.Errorf("a failed sync: exit %d, %s", ws.ExitStatus(), failed.Stderr())
	}
}
