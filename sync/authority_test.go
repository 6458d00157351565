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

// A lease is one actor's on one device: nobody borrows another's authority or clock.
func TestALeaseIsOneActors(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.nurse("anne"), w.nurse("berit")
	p := w.persons[0]
	borrowed := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 1)}, func(e *model.Entry) { e.Actor = "berit" })
	moved := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 1)}, func(e *model.Entry) { e.Lease = b.lease.ID })
	want(t, a.push(borrowed, moved), "quarantined lease-unknown", "quarantined lease-unknown")
}

// What one actor signed too late waits for that actor, whoever else logs in on the tablet.
func TestALoginReleasesTheActorsOwn(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	w.now += 13 * hour
	want(t, a.push(a.score(w.persons[0], memory, 2)), "quarantined lease-expired")
	a.actor = "berit"
	if n := a.login(model.RoleNurse); n != 0 {
		t.Fatalf("another's login released %d", n)
	}
	a.actor = "anne"
	if n := a.login(model.RoleNurse); n != 1 {
		t.Fatalf("the login released %d", n)
	}
}
