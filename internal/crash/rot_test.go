//go:build linux && amd64

package crash

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// TestRotIsNoticed: damage under a running server is logged with its place by the next scrub
// and shows in readiness, while the rest is served; the next start is refused and names it.
func TestRotIsNoticed(t *testing.T) {
	k := newKit(t)
	w := newTown(t, k)
	dir := filepath.Join(t.TempDir(), "data")
	if err := w.copyTo(dir); err != nil {
		t.Fatal(err)
	}
	s := k.start(t, Program{Dir: dir, Args: append(serveArgs(dir), "--scrub-every", "20ms")})
	line, err := bufio.NewReader(s.Stdout).ReadString('\n')
	base, ok := baseOf(line)
	if err != nil || !ok {
		t.Fatalf("no server: %v %s", err, s.Stderr())
	}
	ctx, m := t.Context(), newMorning(w, 31)
	defer m.http.CloseIdleConnections()
	if err := m.play(ctx, base); err != nil {
		t.Fatal(err)
	}
	if err := m.ready(200, `"store":"ok"`); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "tenants", "testvik.db")
	flip := flipUnit(t, file)
	for end := time.Now().Add(20 * time.Second); ; {
		if m.ready(503, `"store":"fail"`) == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no scrub found the damage at %d", flip)
		}
	}
	if code, _, err := m.status("/livez"); code != 200 {
		t.Errorf("livez: %d, %v", code, err)
	}
	if _, err := m.desk.Persons(ctx, ""); err != nil {
		t.Errorf("persons are not served on: %v", err)
	}
	_ = s.Signal(syscall.SIGTERM)
	if ws, err := s.Wait(); err != nil || ws.ExitStatus() != 0 {
		t.Errorf("exit %d, %v", ws.ExitStatus(), err)
	}
	var found struct {
		Tenant string `json:"tenant"`
		Error  string `json:"error"`
	}
	for _, l := range strings.Split(s.Stderr(), "\n") {
		if strings.Contains(l, "damaged") {
			if err := json.Unmarshal([]byte(l), &found); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if found.Tenant != "testvik" || !strings.Contains(found.Error, "bucket unit") || !strings.Contains(found.Error, "of person ") {
		t.Errorf("log: %+v", found)
	}
	code, text := k.run(serveArgs(dir)...)
	if code != 1 || !strings.Contains(text, "tenant testvik") || !strings.Contains(text, "of person ") {
		t.Errorf("starting on damage: exit %d: %s", code, text)
	}
	if code, text := k.run("verify", "--data", dir); code != 3 || !strings.Contains(text, "of person ") {
		t.Errorf("verify: exit %d: %s", code, text)
	}
}

// flipUnit changes one letter of the newest copy of a unit's path inside the file of an open
// store, and returns where.
func flipUnit(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	word := []byte("score/assist_memory")
	at := -1
	// Every copy, as one cannot see here which page is in use.
	for from := 0; ; {
		i := bytes.Index(b[from:], word)
		if i < 0 {
			break
		}
		at = from + i
		from = at + 1
		if _, err := f.WriteAt([]byte{b[at+9] ^ 1}, int64(at+9)); err != nil {
			t.Fatal(err)
		}
	}
	if at < 0 {
		t.Fatal("the file does not hold the unit")
	}
	return at
}
