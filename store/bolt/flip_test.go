package bolt

import (
	"errors"
	"os"
	"testing"

	"flette/store"
)

// TestFlips flips one bit of every byte of a small store. Whatever a flip hits, opening,
// Check or reading reports it, or what is read stays the same: a damaged byte never becomes
// a score. Free pages and unused room inside pages are sampled.
func TestFlips(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{InitialMmapSize: 1, pageSize: 1024}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	fillStore(t, s, 4)
	want := mustDump(t, s)
	path := s.path(tenantID)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	live := livePages(t, path, o.pageSize)
	found := map[string]int{}
	flips := 0
	for at := range whole {
		if at%97 != 0 && (!live[uint64(at/o.pageSize)] || !used(whole, at)) {
			continue
		}
		flips++
		b := append([]byte(nil), whole...)
		b[at] ^= 1 << (at * 5 % 8)
		writeTenant(t, dir, b)
		how := readDamaged(t, dir, path, o, want)
		found[how]++
		if how == "WRONG" {
			t.Errorf("flip of byte %d (page %d) gave other data", at, at/o.pageSize)
		}
	}
	t.Logf("%d flips in %d bytes: %v", flips, len(whole), found)
	if found["check"] == 0 || found["harmless"] == 0 {
		t.Error("the test does not reach what it is for")
	}
}

func livePages(t *testing.T, path string, pageSize int) map[uint64]bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := newPageWalk(f, pageSize)
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	w.seen[0], w.seen[1] = true, true
	return w.seen
}

// used guesses whether a byte means something: unused room is zero all around.
func used(b []byte, at int) bool {
	for i := max(0, at-4); i < min(len(b), at+5); i++ {
		if b[i] != 0 {
			return true
		}
	}
	return false
}

// readDamaged says how a damaged file shows.
func readDamaged(t *testing.T, dir, path string, o Options, want string) string {
	t.Helper()
	// A loop among the pages would exhaust the stack at the first read.
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	pages := checkPages(f, o.pageSize)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if pages != nil {
		return "pages"
	}
	s, err := Open(dir, o)
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("open: %v", err)
		}
		return "open"
	}
	defer s.Close()
	got, readErr := dump(s)
	if readErr == nil && got != want {
		// A lookup that misses cannot know that there was something: Check does.
		if s.Check(t.Context(), tenantID) == nil {
			return "WRONG"
		}
		return "check only"
	}
	if readErr != nil && !errors.Is(readErr, store.ErrCorrupt) && !errors.Is(readErr, store.ErrNotFound) {
		t.Errorf("read: %v", readErr)
	}
	if err := s.Check(t.Context(), tenantID); err != nil {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("check: %v", err)
		}
		if readErr != nil {
			return "check and read"
		}
		return "check"
	}
	if readErr != nil {
		return "read"
	}
	return "harmless"
}

// TestCorruptNamesThePlace: a checksum holds for one value under one key of one bucket.
func TestCorruptNamesThePlace(t *testing.T) {
	tb := table{name: "log"}
	framed := append(make([]byte, sumBytes), "a stored value"...)
	tb.seal([]byte("key"), framed)
	if v, err := tb.open([]byte("key"), framed); err != nil || string(v) != "a stored value" {
		t.Errorf("open: %q, %v", v, err)
	}
	_, err := tb.open([]byte("kez"), framed)
	if !errors.Is(err, store.ErrCorrupt) || err.Error() != "store: stored bytes do not match their checksum: bucket log, key 6b657a" {
		t.Errorf("under another key: %v", err)
	}
	// The boundary between key and value counts too.
	if _, err := tb.open([]byte("keya"), append(framed[:4:4], framed[5:]...)); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("boundary: %v", err)
	}
	if _, err := tb.open([]byte("key"), framed[:3]); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("short: %v", err)
	}
}
