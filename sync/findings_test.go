package sync_test

import (
	"slices"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// Findings are the stored ones and those of the calendar together, in one order, whatever
// the size of the pages, and a rule that both give on one unit stands once.
func TestFindingsJoinStoredAndLive(t *testing.T) {
	w := newWorldWith(t, 3, sync.Options{Live: func(_ store.View, p model.PersonID, at model.Millis) ([]store.Finding, error) {
		return []store.Finding{
			{Rule: "R107", Severity: "M", Person: p, Unit: "service/a/grant", Since: at},
			{Rule: "R49", Severity: "B", Person: p, Since: at},
		}, nil
	}})
	if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error {
		for _, f := range []store.Finding{
			{Rule: "R49", Severity: "B", Person: w.persons[1], Since: 7},
			{Rule: "R9", Severity: "M", Person: w.persons[1], Since: 8},
		} {
			if err := store.Put(tx, f); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.tampered = true // the findings come from no rule
	list := func(person *model.PersonID, keep sync.FindingFilter, limit int) (keys []string, since []model.Millis) {
		after := ""
		for {
			var page []sync.FindingStatus
			if err := w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
				page, after, err = w.e.Findings(v, person, keep, after, limit)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				keys, since = append(keys, f.DocKey()), append(since, f.Since)
			}
			if after == "" {
				return keys, since
			}
		}
	}
	all, _ := list(nil, sync.FindingFilter{}, 100)
	if len(all) != 7 || !slices.IsSorted(all) {
		t.Fatalf("findings %q", all)
	}
	for limit := 1; limit < 8; limit++ {
		if got, _ := list(nil, sync.FindingFilter{}, limit); !slices.Equal(got, all) {
			t.Errorf("pages of %d: %q", limit, got)
		}
	}
	one, since := list(&w.persons[1], sync.FindingFilter{Rule: "R49"}, 10)
	if len(one) != 1 || since[0] != 7 {
		t.Errorf("R49 of one person: %q %v", one, since)
	}
}
