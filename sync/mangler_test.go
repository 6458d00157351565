package sync_test

import (
	"slices"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// Open findings are counted by the unit that owns the person, with those below it; what is
// settled does not count, and the counts of a day stay as they were.
func TestMangler(t *testing.T) {
	w := ruled(t, 0)
	if _, err := w.e.ImportUnits(t.Context(), w.tenant, []sync.UnitInput{
		{Line: 1, Local: "omsorg", Name: "Omsorg"}, {Line: 2, Local: "nord", Name: "Nord", Parent: "omsorg"}, {Line: 3, Local: "kjokken", Name: "Kjøkken"},
	}); err != nil {
		t.Fatal(err)
	}
	done, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{
		{Line: 1, Number: "01824101236", Name: "Navnløs En", Kommune: "9999", Unit: "nord", Test: true},
		{Line: 2, Number: "17855834553", Name: "Navnløs To", Kommune: "9999", Unit: "nord", Test: true},
		{Line: 3, Number: "29823610163", Name: "Navnløs Tre", Kommune: "9999", Unit: "kjokken", Test: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	open := func(under, rule string) (n int64, oldest model.Millis) {
		t.Helper()
		w.view(func(v store.View) error {
			f := sync.FindingFilter{State: sync.StateOpen, Rule: rule}
			var err error
			if under != "" {
				if f.Owners, err = sync.UnitsUnder(v, under); err != nil {
					return err
				}
			}
			counts, err := w.e.CountFindings(v, f)
			for i := range counts {
				n += counts[i].Open
				oldest = counts[i].Oldest
			}
			return err
		})
		return n, oldest
	}
	for under, want := range map[string]int64{"": 3, "omsorg": 2, "nord": 2, "kjokken": 1} {
		if n, oldest := open(under, "R2"); n != want || oldest != day0 {
			t.Errorf("%q has %d test persons, want %d; the oldest since %d", under, n, want, oldest)
		}
	}
	keep := func(want bool) {
		t.Helper()
		if kept, err := w.e.KeepFindingCounts(t.Context(), w.tenant); err != nil || kept != want {
			t.Fatalf("kept %t: %v", kept, err)
		}
	}
	keep(true)
	w.mustSay(done.Persons[0], model.FindingRef{Rule: "R2"}, model.ActClose, sync.StateClosed)
	if n, _ := open("nord", "R2"); n != 1 {
		t.Errorf("after one was settled %d are open", n)
	}
	keep(false) // the day has been counted
	w.now += 24 * hour
	keep(true)
	w.view(func(v store.View) error {
		all, err := sync.FindingDays(v, "2026-11-22", "2026-11-23")
		if err != nil || len(all) != 2 {
			t.Fatalf("%d days, %v", len(all), err)
		}
		for i, want := range []int64{3, 2} {
			n := int64(0)
			for j := range all[i].Counts {
				if all[i].Counts[j].Rule == "R2" {
					n += all[i].Counts[j].Open
				}
			}
			if n != want {
				t.Errorf("%s: %d, want %d", all[i].Date, n, want)
			}
		}
		one, err := sync.FindingDays(v, "2026-11-23", "2026-11-23")
		if err != nil || len(one) != 1 || one[0].Date != "2026-11-23" {
			t.Errorf("one day: %+v, %v", one, err)
		}
		return err
	})
	// By rule and unit, in order, each once.
	w.view(func(v store.View) error {
		counts, err := w.e.CountFindings(v, sync.FindingFilter{State: sync.StateOpen})
		seen := map[store.FindingCount]bool{}
		for i := range counts {
			k := counts[i].FindingCount
			k.Open = 0
			if seen[k] || counts[i].Open < 1 {
				t.Errorf("%+v", counts[i])
			}
			seen[k] = true
		}
		if !slices.IsSortedFunc(counts, func(a, b sync.FindingCount) int { return slices.Compare([]byte(a.Unit), []byte(b.Unit)) }) {
			t.Error("out of order")
		}
		return err
	})
}
