package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"flette/store"
	"flette/store/storetest"
)

// Whatever bit flips, salvage ends, believes in no position that cannot be, and gives back
// nothing under a checksum that was not stored.
func TestSalvageAfterFlips(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{InitialMmapSize: 1, pageSize: 1024}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	const n = 6
	fillStore(t, s, n)
	path := s.path(tenantID)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	live := meaningOf(whole, o.pageSize)
	hurt := filepath.Join(t.TempDir(), "hurt.db")
	flips, gone := 0, 0
	for at := 0; at < len(whole); at += 3 {
		if !live.means[at] {
			continue
		}
		flips++
		b := append([]byte(nil), whole...)
		b[at] ^= 1 << (at % 8)
		if err := os.WriteFile(hurt, b, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := OpenSalvage(hurt)
		if err != nil {
			t.Fatal(err)
		}
		if end := v.End(); end > n+1 {
			t.Fatalf("flip of byte %d: a journal of %d", at, end)
		}
		for p := range int64(n) {
			found := false
			for _, e := range v.Entries(p) {
				if e.Trust != Broken {
					found = true
					if want := storetest.Entry(int(p)%3, int(p)%2, p+1); e.ID != want.ID {
						t.Fatalf("flip of byte %d: position %d holds another entry", at, p)
					}
				}
			}
			if !found {
				gone++
			}
		}
		if v.Clean {
			if _, ok := v.Tenant(); !ok {
				t.Errorf("flip of byte %d: clean without a record", at)
			}
		}
		if err := v.Docs(func(store.Kind, string, []byte) error { return nil }); err != nil {
			t.Error(err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d flips, %d of %d entries without a whole copy", flips, gone, flips*n)
	if flips < 500 || gone > flips {
		t.Error("the test does not reach what it is for")
	}
}

// A digest says the same of a file and of its compacted copy, and another of a change.
func TestDigestAndCompact(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{InitialMmapSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	fillStore(t, s, 40)
	digest := func(s *Store) [32]byte {
		t.Helper()
		d, err := s.Digest(t.Context(), tenantID)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	before, path := digest(s), s.path(tenantID)
	if _, err := put(s, 40); err != nil {
		t.Fatal(err)
	}
	after := digest(s)
	if before == after {
		t.Error("an update does not change the digest")
	}
	if err := CompactFile(path, filepath.Join(dir, "x.db"), Options{}); err == nil {
		t.Error("a store that is open for writing was compacted")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "small.db")
	if err := CompactFile(path, to, Options{}); err != nil {
		t.Fatal(err)
	}
	c, err := OpenFile(to, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context(), tenantID); err != nil {
		t.Error(err)
	}
	if digest(c) != after {
		t.Error("the compacted file holds something else")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// A copy is of one moment, however much is written while it runs.
func TestCopyWhileWriting(t *testing.T) {
	s := openTest(t, Options{})
	create(t, s)
	fillStore(t, s, 20)
	started, goOn := make(chan struct{}), make(chan struct{})
	to := filepath.Join(t.TempDir(), "copy.db")
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		c   Copied
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := s.CopyTo(t.Context(), tenantID, slowFile{f, started, goOn})
		done <- result{c, err}
	}()
	<-started
	for i := range 200 {
		if _, err := put(s, 20+i); err != nil {
			t.Error(err)
		}
	}
	close(goOn)
	r := <-done
	if err := errors.Join(r.err, f.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := OpenFile(to, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context(), tenantID); err != nil {
		t.Error(err)
	}
	for st, want := range map[*Store]int64{c: 20, s: 220} {
		if err := st.View(t.Context(), tenantID, func(v store.View) error {
			if v.Size() != want {
				t.Errorf("%d entries, want %d", v.Size(), want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if r.c.Size != 20 || string(r.c.Checkpoint) != "checkpoint 19" {
		t.Errorf("%+v", r.c)
	}
	if err := errors.Join(c.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// slowFile waits after its first write.
type slowFile struct {
	*os.File
	started, goOn chan struct{}
}

func (s slowFile) Write(p []byte) (int, error) {
	select {
	case <-s.started:
	default:
		close(s.started)
		<-s.goOn
	}
	return s.File.Write(p)
}

// A writer without room gives ErrFull, and the store goes on.
func TestCopyWithoutRoom(t *testing.T) {
	s := openTest(t, Options{})
	create(t, s)
	fillStore(t, s, 3)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("skipped: not found: /dev/full")
	}
	if _, err := s.CopyTo(t.Context(), tenantID, full); !errors.Is(err, store.ErrFull) {
		t.Errorf("got %v", err)
	}
	if _, err := put(s, 3); err != nil {
		t.Error(err)
	}
	if err := errors.Join(full.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
}
