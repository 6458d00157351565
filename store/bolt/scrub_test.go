package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"flette/store"
)

// TestScrub: a scrub needs no quiet store, finds nothing in a busy one, and can be slowed
// down and ended.
func TestScrub(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{InitialMmapSize: 1, pageSize: 1024})
	create(t, s)
	fillStore(t, s, 10)
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 30 {
				if _, err := put(s, 100*(w+1)+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	read := 0
	for range 20 {
		if err := s.Scrub(t.Context(), tenantID, func(n int) error { read += n; return nil }); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if read == 0 {
		t.Error("nothing was read")
	}
	if err := s.Scrub(t.Context(), tenantID, func(int) error { return errTest }); !errors.Is(err, errTest) {
		t.Errorf("a pace that ends it: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Scrub(ctx, tenantID, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := s.Scrub(t.Context(), "nobody", nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown tenant: %v", err)
	}
}

// TestFailedTells: the first failed write is told to who serves, with its file.
func TestFailedTells(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	if err := s.Writable(tenantID); err != nil {
		t.Error(err)
	}
	ten, err := s.tenant(tenantID)
	if err != nil {
		t.Fatal(err)
	}
	if err := ten.file.Close(); err != nil { // every write fails from here on
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := put(s, i); !errors.Is(err, store.ErrStopped) {
			t.Errorf("update: %v", err)
		}
	}
	select {
	case err := <-s.Failed():
		if !errors.Is(err, store.ErrStopped) || !strings.Contains(err.Error(), ten.path) {
			t.Errorf("told: %v", err)
		}
	default:
		t.Error("nobody was told")
	}
	if err := s.Writable(tenantID); !errors.Is(err, store.ErrStopped) {
		t.Errorf("writable: %v", err)
	}
	_ = s.Close() // of a file that is closed already
}

// TestWritable: a full disk is no failure, and over with the next update that finds room.
func TestWritable(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{InitialMmapSize: 1, maxSize: 1 << 20})
	create(t, s)
	big := func(n int) error {
		_, err := s.Update(t.Context(), tenantID, nil, func(tx store.Tx) error { return tx.PutDoc("note", "big", make([]byte, n)) })
		return err
	}
	if err := big(4 << 20); !errors.Is(err, store.ErrFull) || !errors.Is(s.Writable(tenantID), store.ErrFull) {
		t.Errorf("%v, writable: %v", err, s.Writable(tenantID))
	}
	if err := big(100); err != nil || s.Writable(tenantID) != nil {
		t.Errorf("%v, writable: %v", err, s.Writable(tenantID))
	}
	select {
	case err := <-s.Failed():
		t.Errorf("a full disk ended the store: %v", err)
	default:
	}
}

// TestLostMeta: when the meta page of the newest commit rots under a running store, bbolt
// would go on from the commit before it. Nothing is read or written on that ground.
func TestLostMeta(t *testing.T) {
	s, err := Open(t.TempDir(), smallPages)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	create(t, s)
	fillStore(t, s, 5)
	b, err := os.ReadFile(s.path(tenantID))
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(0)
	if order.Uint64(b[smallPages.pageSize+64:]) > order.Uint64(b[64:]) {
		newest = int64(smallPages.pageSize)
	}
	f, err := os.OpenFile(s.path(tenantID), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{^b[newest+40]}, newest+40); err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), tenantID, func(store.View) error { return nil }); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("view: %v", err)
	}
	if _, err := put(s, 9); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("update: %v", err)
	}
	if err := s.Scrub(t.Context(), tenantID, nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("scrub: %v", err)
	}
}

// BenchmarkOpen is what every start costs: the walk of all pages and checksums.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	create(b, s)
	body := make([]byte, 600)
	for n := range 80 {
		_, err := s.Update(b.Context(), tenantID, nil, func(tx store.Tx) error {
			for i := range 2000 {
				if err := tx.PutDoc("note", fmt.Sprintf("%03d-%06d", n, i), body); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var bytes int
	if err := s.Scrub(b.Context(), tenantID, func(n int) error { bytes += n; return nil }); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(bytes))
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)*100e6/float64(bytes), "ms/100MB")
}

// TestPutAfterAFlip flips the keys of branch pages under an open store and writes: an update
// is refused, or all that was stored and all that it stored can be read, or Check sees it.
func TestPutAfterAFlip(t *testing.T) {
	t.Parallel()
	dir, path, _, whole := smallStore(t, smallPages)
	m := meaningOf(whole, smallPages.pageSize)
	checked := false // whether Check found something, when there was no error
	write := func(flip int) (string, error) {
		t.Helper()
		writeTenant(t, dir, whole)
		s, err := Open(dir, smallPages)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if flip >= 0 {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{whole[flip] ^ 1<<(flip*5%8)}, int64(flip)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			_, err := s.Update(t.Context(), tenantID, nil, func(tx store.Tx) error {
				// Beside, in front of, between and after what is there.
				for n := 50 * i; n < 50*i+50; n += 7 {
					if err := tx.PutDoc("note", fmt.Sprintf("%d", n), []byte("new")); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return "", err
			}
			if _, err := put(s, 200+i); err != nil {
				return "", err
			}
		}
		// What Check finds is not read: bbolt's cursor can go round in such a tree for ever.
		if checked = errors.Is(s.Check(t.Context(), tenantID), store.ErrCorrupt); checked {
			return "damaged", nil
		}
		return dump(s)
	}
	want, err := write(-1)
	if err != nil {
		t.Fatal(err)
	}
	refused, sound, rewritten, seen := 0, 0, 0, 0
	for at := range whole {
		if !m.soft[at] {
			continue
		}
		// A few in the short run: a write through such a tree can, now and then, go round in
		// bbolt for ever (docs/bugs.md). The long run takes them all.
		if seen++; seen%40 != 1 && os.Getenv("FLETTE_LONG") != "1" {
			continue
		}
		got, err := write(at)
		switch {
		case err != nil:
			// bbolt asserts on a tree that it cannot write; that stops the store as a disk does.
			if refused++; !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrStopped) {
				t.Errorf("flip of byte %d: %v", at, err)
			}
		case got != want:
			// A key that stands in nobody's way until bbolt writes its page anew, out of order.
			if rewritten++; !checked {
				t.Errorf("flip of byte %d: other data after an update, and nothing sees it", at)
			}
		default:
			sound++
		}
	}
	t.Logf("%d refused, %d written and read, %d seen by Check alone", refused, sound, rewritten)
	if refused == 0 {
		t.Error("too few flips stood in the way of an update")
	}
}
