package bolt

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
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

// Check compares the index of twins with the log.
func TestCheckTwins(t *testing.T) {
	for name, change := range map[string]struct {
		damage func(x *tx, twin []byte) error
		want   string
	}{
		"one too few": {func(x *tx, twin []byte) error {
			tb, err := x.table(twinTable)
			x.writes++
			return errors.Join(err, tb.delete(twin))
		}, "the index of twins disagrees"},
		"one too many": {func(x *tx, twin []byte) error {
			return x.set(twinTable, append(twin[:len(twin)-8:len(twin)-8], 0, 0, 0, 0, 0, 0, 0, 99), twin[24:56]...)
		}, "bucket twin has 5 keys for 4 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			s, entries := twinStore(t)
			defer s.Close()
			twin := appendInt(twinPrefix(entries[1].Device, 1, entries[1].ID), 1)
			_, err := s.Update(t.Context(), tenantID, nil, func(w store.Tx) error { return change.damage(w.(*tx), twin) })
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context(), tenantID); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), change.want) {
				t.Errorf("check: %v, want %q", err, change.want)
			}
		})
	}
}
