package bolt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// BenchmarkLinks is what watching the linking pages costs: their comparison, once a second at
// most, and the taking in of an update of 64 documents beside the update itself.
func BenchmarkLinks(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	create(b, s)
	body := make([]byte, 600)
	write := func(n, docs int) {
		if _, err := s.Update(b.Context(), tenantID, nil, func(tx store.Tx) error {
			for i := range docs {
				if err := tx.PutDoc("note", fmt.Sprintf("%03d-%06d", (n+i*7)%80, n*31+i), body); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for n := range 80 {
		write(n, 2000)
	}
	ten, err := s.tenant(tenantID)
	if err != nil {
		b.Fatal(err)
	}
	l := ten.links
	var follow, update, compare time.Duration
	for n := range b.N {
		old, top := maps.Clone(l.pages), l.top
		began := time.Now()
		write(1000+n, 64)
		update += time.Since(began)
		l.mu.Lock()
		l.pages, l.top = old, top // take the same step once more
		began = time.Now()
		err := l.follow(ten.db)
		follow += time.Since(began)
		began = time.Now()
		err = errors.Join(err, l.compare())
		compare += time.Since(began)
		l.mu.Unlock()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(follow)/float64(update), "follow/update")
	b.ReportMetric(float64(compare.Microseconds())/float64(b.N), "us/compare")
	b.ReportMetric(float64(len(l.pages)), "pages")
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

// TestPutAfterAFlip flips bits of branch pages under an open store and writes: the update is
// refused, and nothing of it is on the disk.
func TestPutAfterAFlip(t *testing.T) {
	t.Parallel()
	dir, path, before, whole := smallStore(t, smallPages)
	m := meaningOf(whole, smallPages.pageSize)
	flips := 0
	for at := range whole {
		if page := whole[at/smallPages.pageSize*smallPages.pageSize:]; !m.means[at] || order.Uint16(page[8:]) != flagBranch {
			continue
		}
		flips++
		writeTenant(t, dir, whole)
		s, err := Open(dir, watched(smallPages))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		bad := whole[at] ^ 1<<(at*5%8)
		if _, err := f.WriteAt([]byte{bad}, int64(at)); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if _, err := put(s, 200+i); !errors.Is(err, store.ErrStopped) || !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("flip of byte %d: update %d: %v", at, i, err)
			}
		}
		if err := s.View(t.Context(), tenantID, func(store.View) error { return nil }); !errors.Is(err, store.ErrStopped) {
			t.Errorf("flip of byte %d: view: %v", at, err)
		}
		if _, err := f.WriteAt(whole[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(dir, smallPages); err != nil {
			t.Fatal(err)
		}
		if got, err := dump(s); err != nil || got != before {
			t.Errorf("flip of byte %d: the refused update left something: %v", at, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if flips < 500 {
		t.Errorf("%d flips of branch pages", flips)
	}
}

// TestLinksAreThoseOfTheTree: whatever was written, the linking pages that are remembered are
// those that a walk of the file finds, so that a page used anew is never taken for damage.
func TestLinksAreThoseOfTheTree(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	s := reopen(t, t.TempDir(), watched(Options{InitialMmapSize: 1, pageSize: 1024}))
	create(t, s)
	ten, err := s.tenant(tenantID)
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for round := range 300 {
		kind := store.Kind([]string{"note", "other", "third"}[r.IntN(3)])
		if _, err := s.Update(t.Context(), tenantID, nil, func(tx store.Tx) error {
			for range r.IntN(60) {
				key := fmt.Sprintf("%04d", r.IntN(3000))
				err := tx.PutDoc(kind, key, make([]byte, r.IntN(300)))
				if round%7 > 4 {
					err = tx.DeleteDoc(kind, key)
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		fresh := &links{file: ten.file, size: ten.pages}
		if err := fresh.follow(ten.db); err != nil {
			t.Fatal(err)
		}
		if !maps.EqualFunc(ten.links.pages, fresh.pages, func(a, b *link) bool { return a.sum == b.sum && a.level == b.level && slices.Equal(a.below, b.below) }) {
			t.Fatalf("seed %d, round %d: %d pages are remembered, the file has %d", seed, round, len(ten.links.pages), len(fresh.pages))
		}
		most = max(most, len(fresh.pages))
	}
	if most < 30 {
		t.Errorf("a tree of %d linking pages says little", most)
	}
}
