package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"flette/model"
	"flette/store"
	"flette/store/storetest"
)

var errTest = errors.New("error of the test's own")

// holdWriter keeps the writer busy until release is called, and waits for n queued updates.
func holdWriter(t *testing.T, s *Store) (queued func(n int), release func()) {
	t.Helper()
	ten, err := s.tenant(tenantID)
	if err != nil {
		t.Fatal(err)
	}
	hold, holding := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := s.Update(context.Background(), tenantID, nil, func(store.Tx) error {
			close(holding)
			<-hold
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-holding
	return func(n int) {
		for {
			ten.mu.Lock()
			got := len(ten.queue)
			ten.mu.Unlock()
			if got == n {
				return
			}
			runtime.Gosched()
		}
	}, func() { close(hold); wg.Wait() }
}

// TestGroup: what is queued shares one commit, a failing neighbour is taken out, and fn and
// hook run as often as they must and no more.
func TestGroup(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{})
	create(t, s)
	var commits []int64
	s.OnCommit(func(_ model.TenantID, tx store.Tx) error {
		commits = append(commits, tx.Size())
		return nil
	})
	queued, release := holdWriter(t, s)
	var wg sync.WaitGroup
	runs := make([]int, 6)
	results := make([]error, 6)
	sizes := make([]int64, 6)
	for i := range runs {
		wg.Go(func() {
			c, err := s.Update(context.Background(), tenantID, nil, func(tx store.Tx) error {
				runs[i]++
				if i == 1 {
					return errTest // before it wrote: nobody is disturbed
				}
				_, err := tx.AppendEntry(storetest.Entry(1, 1, int64(i+1)))
				if i == 3 {
					return errTest
				}
				if i == 4 {
					runtime.Goexit()
				}
				return err
			})
			results[i], sizes[i] = err, c.Size
		})
		queued(i + 1) // one after the other, to know their order
	}
	release()
	wg.Wait()
	for i, want := range []int{2, 2, 2, 2, 1, 1} {
		if runs[i] != want {
			t.Errorf("fn %d ran %d times, want %d", i, runs[i], want)
		}
	}
	for i, err := range results {
		switch i {
		case 1, 3:
			if !errors.Is(err, errTest) {
				t.Errorf("update %d: %v", i, err)
			}
		case 4:
			if err == nil {
				t.Error("an update that ended its goroutine gave no error")
			}
		default:
			if err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		}
	}
	if fmt.Sprint(commits) != "[2 3]" || fmt.Sprint(sizes) != "[2 0 2 0 0 3]" {
		t.Errorf("commits at sizes %v, updates returned %v", commits, sizes)
	}
}

func TestCloseAnswersTheQueue(t *testing.T) {
	s := openTest(t, Options{})
	create(t, s)
	queued, release := holdWriter(t, s)
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			if _, err := put(s, i); !errors.Is(err, store.ErrClosed) {
				t.Errorf("queued update: %v", err)
			}
		})
	}
	queued(5)
	ten, err := s.tenant(tenantID)
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for closed := false; !closed; runtime.Gosched() {
		ten.mu.Lock()
		closed = ten.closed
		ten.mu.Unlock()
	}
	release()
	wg.Wait()
}

// TestFailedCommit: after a failed write nothing is known, so nothing is accepted any more.
func TestFailedCommit(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	fillStore(t, s, 3)
	want, copied := mustDump(t, s), t.TempDir()
	copyFile(t, s, copied)
	ten, err := s.tenant(tenantID)
	if err != nil {
		t.Fatal(err)
	}
	if err := ten.file.Close(); err != nil { // every write fails from here on
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := put(s, 3+i); !errors.Is(err, store.ErrStopped) || errors.Is(err, store.ErrFull) {
			t.Errorf("update on a failing disk: %v", err)
		}
	}
	if got := mustDump(t, s); got != want {
		t.Error("a failed commit shows")
	}
	if err := s.Close(); err == nil {
		t.Error("closing a file that is closed already gave no error")
	}
	if got := mustDump(t, reopen(t, copied, Options{})); got != want {
		t.Error("after reopening")
	}
}

// TestCheckWhileWriting: Check needs no quiet store, and finds nothing in a busy one.
func TestCheckWhileWriting(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{})
	create(t, s)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 40 {
				if _, err := put(s, 100*w+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		if err := s.Check(t.Context(), tenantID); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx, tenantID); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled check: %v", err)
	}
}

// fillUp writes until the disk is full and checks that nothing of the last update is kept.
func fillUp(t *testing.T, s *Store) {
	t.Helper()
	big := func(n int) error {
		_, err := s.Update(context.Background(), tenantID, nil, func(tx store.Tx) error {
			p, err := tx.AppendEntry(storetest.Entry(1, 1, int64(1000+n)))
			return errors.Join(err, tx.PutTreeHashes(p, make([][32]byte, 1)), tx.PutDoc("note", "big", bytes.Repeat([]byte("x"), 40_000*(n+1))))
		})
		return err
	}
	for n := 0; ; n++ {
		before := mustDump(t, s)
		err := big(n)
		if err == nil && n < 200 {
			continue
		}
		if !errors.Is(err, store.ErrFull) {
			t.Fatalf("update %d: %v", n, err)
		}
		if got := mustDump(t, s); got != before {
			t.Error("part of an update was kept on a full disk")
		}
		// Free pages may or may not be enough for a small one; it must not be refused for good.
		if _, err := put(s, 900); err != nil && !errors.Is(err, store.ErrFull) {
			t.Errorf("a small update on a full disk: %v", err)
		}
		return
	}
}

func TestFull(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{InitialMmapSize: 1, maxSize: 1 << 20})
	create(t, s)
	fillStore(t, s, 5)
	fillUp(t, s)
}

// TestFileSizeLimit makes the kernel refuse the writes, in a process of its own.
func TestFileSizeLimit(t *testing.T) {
	if os.Getenv("FLETTE_TEST_LIMIT") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$", "-test.v")
		cmd.Env = append(os.Environ(), "FLETTE_TEST_LIMIT=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	s := reopen(t, t.TempDir(), Options{InitialMmapSize: 1})
	create(t, s)
	fillStore(t, s, 5)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	setLimit := func(n uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	setLimit(1 << 20) // the file cannot be made longer
	fillUp(t, s)
	setLimit(old.Cur)
	fill := bytes.Repeat([]byte("x"), 300_000)
	grow := func(key string) error {
		_, err := s.Update(context.Background(), tenantID, nil, func(tx store.Tx) error { return tx.PutDoc("note", key, fill) })
		return err
	}
	if err := grow("room again"); err != nil {
		t.Fatal(err)
	}
	before := mustDump(t, s)
	setLimit(8192) // nor can its pages be written
	if err := grow("no room"); !errors.Is(err, store.ErrFull) {
		t.Errorf("writes that the kernel refuses: %v", err)
	}
	setLimit(old.Cur)
	if got := mustDump(t, s); got != before {
		t.Error("part of an update was kept")
	}
	if err := grow("room again"); err != nil {
		t.Error(err)
	}
}
