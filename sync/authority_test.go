package sync_test

import (
	"testing"

	"flette/model"
)

// A login lifts one doubt, that the lease had ended, and no other: what a person has to
// judge still waits for a person.
func TestALoginReleasesNothingElse(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.nurse("anne"), w.nurse("berit")
	stranger := w.tablet("cato", model.RoleNurse)
	p := w.persons[0]
	w.now += hour
	two, four := a.score(p, memory, 2), b.score(p, memory, 4)
	a.push(two)
	b.push(four)
	w.now += 13 * hour
	decide := a.entry(p, model.ActDecide, []model.Change{scoreChange(memory, 1, two.id, four.id)},
		func(e *model.Entry) { e.Reason = &model.Reason{Code: "mine"} })
	outside := stranger.score(p, "score/vision", 5)
	wrong := b.score(p, "score/vision", 7)
	want(t, a.push(decide), "quarantined act-forbidden")
	want(t, stranger.push(outside), "quarantined out-of-scope")
	want(t, b.push(wrong), "quarantined score-out-of-range")
	for _, tb := range []*tablet{a, b, stranger} {
		if n := tb.login(model.RoleNurse); n != 0 {
			t.Errorf("the login of %s released %d entries", tb.actor, n)
		}
	}
	if s := w.unit(p, memory); len(s.Heads) != 2 {
		t.Errorf("a nurse decided: %+v", s)
	}
	if s := w.unit(p, "score/vision"); s != nil {
		t.Errorf("a stranger, or a score that does not exist, is shown: %+v", s)
	}
}
