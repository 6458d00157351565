package bolt

import (
	"errors"
	"strings"
	"testing"

	"flette/store"
	"flette/store/storetest"
)

// TestCheckIndexes gives an index something else than the log says, under a good checksum.
func TestCheckIndexes(t *testing.T) {
	e := storetest.Entry(1, 1, 2) // what put appends at position 1
	at := func(prefix []byte, position int64) []byte { return appendInt(prefix, position) }
	other := storetest.Entry(2, 2, 2).ID
	for _, c := range []struct {
		name  string
		table int
		key   []byte
		id    []byte // nil: remove the key
		want  string
	}{
		{"another id of a person", personTable, at(e.Person[:], 1), other[:], "the index of persons disagrees"},
		{"another id of a device", devTable, at(at(e.Device[:], e.Seq), 1), other[:], "the index of devices disagrees"},
		{"an entry too many", personTable, at(e.Person[:], 2), other[:], "bucket person has 5 keys for a log of 4"},
		{"an entry too few", devTable, at(at(e.Device[:], e.Seq), 1), nil, "the index of devices disagrees"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openTest(t, Options{})
			defer s.Close()
			create(t, s)
			fillStore(t, s, 4)
			if err := s.Check(t.Context(), tenantID); err != nil {
				t.Fatal(err)
			}
			_, err := s.Update(t.Context(), tenantID, nil, func(w store.Tx) error {
				x := w.(*tx)
				if c.id != nil {
					return x.set(c.table, c.key, c.id...)
				}
				tb, err := x.table(c.table)
				x.writes++
				return errors.Join(err, tb.delete(c.key))
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context(), tenantID); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check: %v, want %q", err, c.want)
			}
		})
	}
}
