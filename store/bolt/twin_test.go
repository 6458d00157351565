package bolt

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
	"flette/store/storetest"
)

// twinStore holds entries of one device: seq 1 three times, seq 2 once, and three without a seq.
func twinStore(t *testing.T) (s *Store, entries []*store.LogEntry) {
	t.Helper()
	s = openTest(t, Options{})
	create(t, s)
	for i, seq := range []int64{1, 1, 2, 1, 0, 0, 0} {
		e := storetest.Entry(1, 1, seq)
		e.ID, e.Seq = model.NewEntryID(fmt.Append(nil, i)), seq
		entries = append(entries, e)
	}
	_, err := s.Update(t.Context(), tenantID, nil, func(x store.Tx) error {
		for _, e := range entries {
			if _, err := x.AppendEntry(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, entries
}

func findAll(t *testing.T, s *Store, entries []*store.LogEntry) {
	t.Helper()
	err := s.View(t.Context(), tenantID, func(v store.View) error {
		for i, e := range entries {
			if at, err := v.EntryOf(e.Device, e.Seq, e.ID); err != nil || at != int64(i) {
				t.Errorf("entry %d of seq %d: %d, %v", i, e.Seq, at, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context(), tenantID); err != nil {
		t.Error(err)
	}
}

// A file from before there was an index of twins gets it when it is opened.
func TestOldFilesGetTheirTwins(t *testing.T) {
	s, entries := twinStore(t)
	findAll(t, s, entries)
	o := s.opts
	path := s.path(tenantID)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(btx *bbolt.Tx) error { return btx.DeleteBucket([]byte(tableNames[twinTable])) })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err = Open(filepath.Dir(filepath.Dir(path)), o); err != nil {
			t.Fatal(err)
		}
		findAll(t, s, entries)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
