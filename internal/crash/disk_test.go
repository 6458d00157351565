//go:build linux && amd64

package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"flette/mobile-contract/client"
)

// mountTmpfs gives a file system of its own that holds so many bytes.
func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("flette-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		t.Skip("skipped: not found: permission to mount tmpfs: " + err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
			_ = syscall.Unmount(dir, 2) // detach, so that nothing is left behind
		}
	})
	return dir
}

// fill takes all room that is left.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return ballast
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// status asks an open route.
func (m *morning) status(path string) (int, string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, m.url+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// reads does what must go on while nothing can be written.
func (m *morning) reads(ctx context.Context) error {
	if m.nurses[0] != nil {
		if _, err := m.nurses[0].Pull(ctx); err != nil {
			return fmt.Errorf("pull: %w", err)
		}
	}
	if list, err := m.desk.Persons(ctx, ""); err != nil || len(list.Persons) != people {
		return fmt.Errorf("persons: %w", err)
	}
	if _, err := m.desk.Reviews(ctx, "open", ""); err != nil {
		return fmt.Errorf("reviews: %w", err)
	}
	if code, _, err := m.status("/livez"); code != 200 {
		return fmt.Errorf("livez: %d, %w", code, err)
	}
	return nil
}

// ready expects an answer of /readyz.
func (m *morning) ready(want int, says string) error {
	code, body, err := m.status("/readyz")
	if err != nil || code != want || !strings.Contains(body, says) {
		return fmt.Errorf("readyz: %d %s, %w", code, body, err)
	}
	return nil
}

// TestFullDisk fills a small file system under the running server: pushes and every other
// write are refused with store-full, reads go on, nothing is half there, and all works again
// when there is room.
func TestFullDisk(t *testing.T) {
	k := newKit(t)
	w := newTown(t, k)
	for _, size := range []int{256 << 10, 512 << 10, 1 << 20, 8 << 20} {
		t.Run(fmt.Sprint(size>>10, " KiB"), func(t *testing.T) {
			dir := filepath.Join(mountTmpfs(t, size), "data")
			if err := w.copyTo(dir); err != nil {
				t.Fatal(err)
			}
			s, base, err := k.serve(Program{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			ended := false
			defer func() {
				if !ended {
					_ = s.Signal(syscall.SIGKILL)
					_, stderr, _ := end(s)
					t.Log(stderr)
				}
			}()
			ctx, m := t.Context(), newMorning(w, 21)
			defer m.http.CloseIdleConnections()
			if err := m.play(ctx, base); err != nil {
				t.Fatal(err)
			}
			ballast := fill(t, filepath.Dir(dir))
			refused := false
			for range 60 { // free pages of the file are used up first
				for range 25 {
					if err := m.sign(0, w.persons[1]); err != nil {
						t.Fatal(err)
					}
				}
				before := len(m.nurses[0].Outbox())
				if err := m.push(ctx, 0); client.CodeOf(err) == "store-full" {
					if refused = true; len(m.nurses[0].Outbox()) != before {
						t.Error("a refused push emptied the outbox")
					}
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if !refused {
				t.Fatal("the disk did not get full")
			}
			if err := errors.Join(m.reads(ctx), m.ready(503, `"writes":"fail"`)); err != nil {
				t.Error(err)
			}
			// The rest of what writes, until it meets the wall.
			data := "--data=" + dir
			for _, v := range []verb{
				{"tenant add", []string{"tenant", "add", data, "--id=andreby", "--name=Andreby", "--kommune=9998"}},
				{"person import", []string{"person", "import", data, "--tenant=testvik", filepath.Join(filepath.Dir(k.flette), "others.csv")}},
				{"device invite", []string{"device", "invite", data, "--tenant=testvik", "--label=nettbrett"}},
			} {
				if code, text := k.run(v.args...); code != 0 && (code != 1 || !strings.Contains(text, "no space left on the disk")) {
					t.Errorf("%s on a full disk: exit %d: %s", v.name, code, text)
				}
			}
			if _, err := m.nurses[1].Login(ctx, w.tokens["berit"]); err != nil && client.CodeOf(err) != "store-full" {
				t.Errorf("login on a full disk: %v", err)
			}
			if code, text := k.run("verify", data); code != 0 {
				t.Errorf("verify on a full disk: exit %d: %s", code, text)
			}
			if err := holds(dir, m.acks, nil); err == nil || !strings.Contains(err.Error(), "in use") {
				t.Errorf("a second opening beside the server: %v", err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(m.push(ctx, 0), m.ready(200, `"writes":"ok"`), m.reads(ctx)); err != nil {
				t.Errorf("with room again: %v", err)
			}
			_ = s.Signal(syscall.SIGTERM)
			ended = true
			if ws, stderr, err := end(s); err != nil || ws.ExitStatus() != 0 {
				t.Errorf("exit %d, %v: %s", ws.ExitStatus(), err, stderr)
			}
			if err := k.after(w, m, dir, true); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFirstFull makes a municipality on file systems of which each is a little larger than
// the one before: told to be full, or done; and with room the same verbs go through.
func TestFirstFull(t *testing.T) {
	k := newKit(t)
	newTown(t, k)
	step := 24 << 10
	if long() {
		step = 4 << 10
	}
	for size := 8 << 10; size <= 160<<10; size += step {
		root := mountTmpfs(t, size)
		dir := filepath.Join(root, "data")
		for _, v := range firstVerbs(k, dir) {
			code, text := k.run(v.args...)
			if code == 0 {
				continue
			}
			if code != 1 || !strings.Contains(text, "no space left on") {
				t.Errorf("%d bytes, %s: exit %d: %s", size, v.name, code, text)
			}
			if err := syscall.Mount("flette-test", root, "tmpfs", syscall.MS_REMOUNT, "size=4m,mode=0700"); err != nil {
				t.Fatal(err)
			}
			break
		}
		if err := k.completes(dir, 0); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestReadOnlyDisk: on a read-only file system a start is refused with a sentence; one that
// becomes so under the server refuses writes, goes on reading, and says so in readiness.
func TestReadOnlyDisk(t *testing.T) {
	k := newKit(t)
	w := newTown(t, k)
	t.Run("start", func(t *testing.T) {
		root := mountTmpfs(t, 1<<20)
		dir := filepath.Join(root, "data")
		if err := w.copyTo(dir); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("flette-test", root, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		code, text := k.run(serveArgs(dir)...)
		if code != 1 || strings.Count(text, "\n") > 0 || !strings.Contains(text, "writable file system") {
			t.Errorf("serve: exit %d: %s", code, text)
		}
		if code, text := k.run("verify", "--data", dir); code != 0 {
			t.Errorf("verify: exit %d: %s", code, text)
		}
	})
	for _, errno := range []syscall.Errno{syscall.EROFS, syscall.EACCES} {
		t.Run("running, "+errno.Error(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := w.copyTo(dir); err != nil {
				t.Fatal(err)
			}
			var on atomic.Bool
			s, base, err := k.serve(Program{Dir: dir, At: func(c Call) Action {
				if on.Load() && !c.Answers() && !c.Syncs() {
					return Action{Errno: errno}
				}
				return Action{}
			}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, m := t.Context(), newMorning(w, 22)
			defer m.http.CloseIdleConnections()
			if err := m.play(ctx, base); err != nil {
				t.Fatal(err)
			}
			on.Store(true)
			if err := m.sign(0, w.persons[0]); err != nil {
				t.Fatal(err)
			}
			if err := m.push(ctx, 0); client.CodeOf(err) != "not-ready" || len(m.nurses[0].Outbox()) != 1 {
				t.Errorf("push: %v", err)
			}
			if err := errors.Join(m.reads(ctx), m.ready(503, `"writes":"fail"`)); err != nil {
				t.Error(err)
			}
			on.Store(false)
			if err := errors.Join(m.ready(200, `"writes":"ok"`), m.push(ctx, 0)); err != nil {
				t.Errorf("writable again: %v", err)
			}
			_ = s.Signal(syscall.SIGTERM)
			if ws, stderr, err := end(s); err != nil || ws.ExitStatus() != 0 {
				t.Errorf("exit %d, %v: %s", ws.ExitStatus(), err, stderr)
			}
			if err := k.after(w, m, dir, true); err != nil {
				t.Error(err)
			}
		})
	}
}
