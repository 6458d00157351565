package sync_test

import (
	"errors"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// A decision that a supervisor's own device signed names every head of the review, or it is
// none: accepted half, it would leave the question open that it claims to answer.
func TestASignedDecisionNamesAllHeads(t *testing.T) {
	w := newWorld(t, 1)
	p := w.persons[0]
	a, b, s := w.nurse("anne"), w.nurse("berit"), w.tablet("sonja", model.RoleSupervisor)
	w.now += hour
	two, four := a.score(p, memory, 2), b.score(p, memory, 4)
	a.push(two)
	review := b.push(four)[0].Conflicts[0].Review
	var seen *sync.ReviewStatus
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
		seen, err = w.e.Review(v, review)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	decide := func(over ...model.EntryID) error {
		e := s.entry(p, model.ActDecide, []model.Change{scoreChange(memory, 4, over...)},
			func(e *model.Entry) { e.Reason = &model.Reason{Code: "looked"} })
		_, err := w.e.DecideEntry(t.Context(), w.tenant, review, seen.HeadSet(), "sonja", e.jws)
		if err != nil { // not handed in: the next entry takes its place
			s.seq, s.prev = 0, ""
		}
		return err
	}
	var p400 *model.Problem
	if err := decide(two.id); !errors.As(err, &p400) || p400.Code != "invalid-member" {
		t.Errorf("one of two heads: %v", err)
	}
	if err := decide(two.id, four.id); err != nil {
		t.Fatal(err)
	}
	if u := w.unit(p, memory); len(u.Heads) != 1 || u.Class != 0 {
		t.Errorf("after the decision: %+v", u)
	}
}
