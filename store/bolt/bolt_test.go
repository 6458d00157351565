package bolt

import (
	"testing"

	"flette/store"
	"flette/store/storetest"
)

// openTest opens a store in a directory of its own.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"default", Options{}},
		{"one commit per update", Options{NoGrouping: true}},
		{"small pages, groups and map", Options{MaxGroup: 3, InitialMmapSize: 1, pageSize: 1024}},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store { return openTest(t, c.o) })
		})
	}
}
