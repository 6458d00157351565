package sync_test

import (
	"errors"
	"testing"

	"flette/store"
	"flette/sync"
)

// TestChecksStoreNothing checks imports that would change much: the answers are those of the
// imports, and the store stays as it was.
func TestChecksStoreNothing(t *testing.T) {
	w := newWorld(t, 1)
	units := []sync.UnitInput{{Line: 2, Local: "A", Name: "Helse"}, {Line: 3, Local: "B", Parent: "A", Name: "Sone"}}
	persons := []sync.PersonInput{{Line: 2, Number: "01814000008", Name: "Oppdiktet Gran", Kommune: "9999"}}
	count := func() (persons, units int, next int64) {
		t.Helper()
		if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
			p, err := store.List[store.Person](v, "", "", 0)
			u, err2 := store.List[store.OrgUnit](v, "", "", 0)
			persons, units, next = len(p), len(u), v.Tenant().NextBrukerNr
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		return persons, units, next
	}
	if done, err := w.e.CheckUnits(t.Context(), w.tenant, units); err != nil || done.New != 2 {
		t.Errorf("units: %+v, %v", done, err)
	}
	if done, err := w.e.CheckPersons(t.Context(), w.tenant, sync.Each(persons)); err != nil || done.New != 1 || done.Persons != nil {
		t.Errorf("persons: %+v, %v", done, err)
	}
	if p, u, next := count(); p != 1 || u != 0 || next != 1 {
		t.Errorf("a check left %d persons, %d units, number %d", p, u, next)
	}
	var problems sync.ImportProblems
	if _, err := w.e.CheckPersons(t.Context(), w.tenant, sync.Each(append(persons, persons...))); !errors.As(err, &problems) {
		t.Errorf("the same number twice gave %v", err)
	}
	if _, err := w.e.CheckUnits(t.Context(), w.tenant, units[1:]); !errors.As(err, &problems) {
		t.Errorf("a parent that is not there gave %v", err)
	}
}
