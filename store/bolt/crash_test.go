package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
	"flette/store/storetest"
)

const tenantID = storetest.Tenant

func create(t testing.TB, s *Store) {
	t.Helper()
	if err := s.CreateTenant(context.Background(), store.Tenant{ID: tenantID, Name: "Testby"}); err != nil {
		t.Fatal(err)
	}
}

// put appends one entry and sets one unit.
func put(s *Store, n int) (store.Commit, error) {
	return s.Update(context.Background(), tenantID, nil, func(tx store.Tx) error {
		p, err := tx.AppendEntry(storetest.Entry(n%3, n%2, int64(n+1)))
		return errors.Join(err, tx.PutUnit(storetest.Person(n%3), storetest.State("score/vision", p, n%5)),
			tx.PutDoc("note", fmt.Sprint(n), bytes.Repeat([]byte("x"), 50)), tx.PutChain(storetest.Device(n%2), store.Chain{Last: int64(n + 1)}),
			tx.PutTreeHashes(p, [][32]byte{{byte(n)}}), tx.PutCheckpoint(fmt.Appendf(nil, "checkpoint %d", n)))
	})
}

func fillStore(t testing.TB, s *Store, n int) {
	t.Helper()
	for i := range n {
		if _, err := put(s, i); err != nil {
			t.Fatal(err)
		}
	}
}

// dump renders everything a view can read.
func dump(s *Store) (string, error) {
	var b strings.Builder
	err := s.View(context.Background(), tenantID, func(v store.View) error {
		cp, err := v.Checkpoint()
		fmt.Fprintln(&b, v.Tenant(), v.Size(), string(cp), err)
		errs := []error{err}
		for p := range v.Size() {
			e, err := v.Entry(p)
			if err != nil {
				return err
			}
			at, err := v.EntryPosition(e.Person, e.ID)
			if err != nil {
				return err
			}
			dev, err := v.DeviceEntries(e.Device, e.Seq)
			if err != nil {
				return err
			}
			h, err := v.ReadTreeHashes([]int64{p})
			errs = append(errs, err)
			c, err := v.Chain(e.Device)
			fmt.Fprintln(&b, *e, at, dev, h, c)
			errs = append(errs, err)
		}
		for n := range 3 {
			pp, err := v.PersonPositions(storetest.Person(n), -1, 1000)
			fmt.Fprintln(&b, pp)
			errs = append(errs, err, v.Units(storetest.Person(n), "", "", func(u *model.UnitState) bool {
				fmt.Fprintln(&b, *u)
				return true
			}))
		}
		errs = append(errs, v.Docs("note", "", "", func(key string, body []byte) bool {
			fmt.Fprintln(&b, key, string(body))
			return true
		}))
		return errors.Join(errs...)
	})
	return b.String(), err
}

func mustDump(t *testing.T, s *Store) string {
	t.Helper()
	d, err := dump(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// copyFile takes what a machine that loses power would leave: the file as it is.
func copyFile(t *testing.T, s *Store, dir string) string {
	t.Helper()
	b, err := os.ReadFile(s.path(tenantID))
	if err != nil {
		t.Fatal(err)
	}
	return writeTenant(t, dir, b)
}

func writeTenant(t *testing.T, dir string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, "tenants", string(tenantID)+fileSuffix)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func reopen(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { storetest.CheckAndClose(t, s) })
	return s
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{NewEpoch: func() string { return "epoch-1" }})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	fillStore(t, s, 20)
	before := mustDump(t, s)
	storetest.CheckAndClose(t, s)
	s = reopen(t, dir, Options{})
	if got := mustDump(t, s); got != before {
		t.Errorf("after reopening:\n%s\nwant\n%s", got, before)
	}
	if !strings.Contains(before, "epoch-1") {
		t.Error("the epoch is not the one that NewEpoch gave")
	}
	if c, err := put(s, 20); err != nil || c.Size != 21 {
		t.Errorf("next update: %v, %v", c, err)
	}
	for path, want := range map[string]os.FileMode{"": 0o700, string(tenantID) + fileSuffix: 0o600} {
		info, err := os.Stat(filepath.Join(s.dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	files, err := os.ReadDir(s.dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v (%v)", files, err)
	}
}

// TestCrash copies the file after every commit, without closing, and opens the copies.
func TestCrash(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{InitialMmapSize: 1})
	create(t, s)
	for i := range 12 {
		if _, err := put(s, i); err != nil {
			t.Fatal(err)
		}
		want, dir := mustDump(t, s), t.TempDir()
		copyFile(t, s, dir)
		crashed := reopen(t, dir, Options{InitialMmapSize: 1})
		if got := mustDump(t, crashed); got != want {
			t.Fatalf("after commit %d:\n%s\nwant\n%s", i, got, want)
		}
		if c, err := put(crashed, 100); err != nil || c.Size != int64(i+2) {
			t.Fatalf("first update after the crash: %v, %v", c, err)
		}
	}
}

// TestTornCommit is a power cut while a commit writes: its pages are there in part and its
// meta page is not. The last commit that returned is what the store opens with.
func TestTornCommit(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{InitialMmapSize: 1, pageSize: 1024})
	create(t, s)
	for i := range 6 {
		if _, err := put(s, i); err != nil {
			t.Fatal(err)
		}
	}
	read := func() []byte {
		b, err := os.ReadFile(s.path(tenantID))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want, before := mustDump(t, s), read()
	if _, err := put(s, 6); err != nil {
		t.Fatal(err)
	}
	after := read()
	for torn := 2; torn <= len(before)/1024; torn++ {
		b := bytes.Clone(before)
		copy(b[2*1024:torn*1024], after[2*1024:torn*1024])
		dir := t.TempDir()
		writeTenant(t, dir, b)
		crashed := reopen(t, dir, Options{InitialMmapSize: 1, pageSize: 1024})
		if got := mustDump(t, crashed); got != want {
			t.Fatalf("torn at page %d:\n%s\nwant\n%s", torn, got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	s := reopen(t, t.TempDir(), Options{})
	create(t, s)
	whole, err := os.ReadFile(s.path(tenantID))
	if err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(t.TempDir(), "bare.db")
	db, err := bbolt.Open(bare, 0o600, nil)
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	bareBytes, err := os.ReadFile(bare)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"no bbolt file": bytes.Repeat([]byte("not a store. "), 1000),
		"too short":     []byte("x"),
		"no tenant":     bareBytes,
		"cut off":       whole[:4096*3],
	} {
		dir := t.TempDir()
		path := writeTenant(t, dir, b)
		_, err := Open(dir, Options{})
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := t.TempDir()
	path := writeTenant(t, other, whole)
	if err := os.Rename(path, filepath.Join(filepath.Dir(path), "andreby.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other, Options{}); err == nil || !strings.Contains(err.Error(), "belongs to tenant testby") {
		t.Errorf("a renamed file: %v", err)
	}
}

// An empty file is what a crash can leave of a creation that was never confirmed.
func TestEmptyFile(t *testing.T) {
	dir := t.TempDir()
	writeTenant(t, dir, nil)
	s := reopen(t, dir, Options{})
	if ids, err := s.Tenants(t.Context()); err != nil || len(ids) != 0 {
		t.Fatalf("tenants: %v, %v", ids, err)
	}
	create(t, s)
	fillStore(t, s, 3)
}

func TestInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := reopen(t, dir, Options{})
	create(t, s)
	for _, o := range []Options{{}, {ReadOnly: true}} {
		if _, err := Open(dir, o); !errors.Is(err, ErrInUse) {
			t.Errorf("second open: %v", err)
		}
	}
	// Another process could have made the tenant meanwhile.
	b := reopen(t, t.TempDir(), Options{})
	copyFile(t, s, filepath.Dir(b.dir))
	if err := b.CreateTenant(t.Context(), store.Tenant{ID: tenantID}); !errors.Is(err, store.ErrExists) {
		t.Errorf("creating over a file that appeared: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	w, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, w)
	fillStore(t, w, 5)
	want := mustDump(t, w)
	storetest.CheckAndClose(t, w)
	for range 2 { // readers share the files
		r := reopen(t, dir, Options{ReadOnly: true})
		if got := mustDump(t, r); got != want {
			t.Errorf("read-only dump:\n%s\nwant\n%s", got, want)
		}
		if _, err := put(r, 9); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("update: %v", err)
		}
		if err := r.CreateTenant(t.Context(), store.Tenant{ID: "ny"}); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("create: %v", err)
		}
	}
}
