package sync_test

import (
	"errors"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// Emergency access: by id or number, for a time, with a pull that brings the person; a repeated
// request is the same use; a supervisor who is not its user closes it; verify misses a lost one.
func TestBreakGlass(t *testing.T) {
	w := newWorld(t, 2)
	a := w.nurse("anne")
	p := w.persons[0]
	n := w.tablet("nils", model.RoleNurse)
	n.pull(10)
	number := ""
	w.view(func(v store.View) error {
		_, who, err := w.e.PersonDoc(v, p)
		number = who.Number
		return err
	})
	take := func(r sync.BreakGlass) (sync.Glass, bool, error) {
		r.Tenant, r.Reason = w.tenant, model.Reason{Code: "acute", Text: "fall"}
		if r.Actor == "" {
			r.Actor, r.Roles = "nils", model.Roles(model.RoleNurse)
		}
		return w.e.BreakGlass(t.Context(), r)
	}
	for name, r := range map[string]sync.BreakGlass{
		"unknown number": {Number: "01814099999"}, "no number": {Number: ""}, "unknown person": {Person: model.PersonID{1}},
	} {
		if _, _, err := take(r); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, fresh, err := take(sync.BreakGlass{Number: number})
	if err != nil || !fresh || g.Person != p || g.From != w.now || g.To != w.now+sync.DefaultGlass || !g.Open() {
		t.Fatalf("taken: %+v %v %v", g, fresh, err)
	}
	w.now += min_
	if again, fresh, err := take(sync.BreakGlass{Person: p, For: hour}); err != nil || fresh || again.Seq != g.Seq {
		t.Fatalf("again: %+v %v %v", again, fresh, err)
	}
	if _, _, err := take(sync.BreakGlass{Person: p, Actor: "anne", Roles: model.Roles(model.RoleNurse)}); err != sync.ErrHasAccess {
		t.Fatalf("who has the person already: %v", err)
	}
	if _, _, err := take(sync.BreakGlass{Person: p, Actor: "sonja", Roles: model.Roles(model.RoleSupervisor)}); err != sync.ErrHasAccess {
		t.Fatalf("who sees everybody already: %v", err)
	}
	if items := n.pull(10); len(items) != 1 || items[0].Added == nil || items[0].Until != g.To {
		t.Fatalf("the tablet got %+v", items)
	}
	e := n.score(p, memory, 2)
	want(t, n.push(e), "applied")
	w.now = g.To
	if items := n.pull(10); len(items) != 1 || !items[0].Removed {
		t.Fatalf("at the end: %+v", items)
	}
	if long, _, err := take(sync.BreakGlass{Person: p, For: 100 * hour}); err != nil || long.To != w.now+sync.MaxGlass {
		t.Fatalf("longer than a day: %+v %v", long, err)
	}
	want(t, a.push(a.score(p, memory, 1, e.id)), "applied")

	list := func(state string) (uses []sync.Glass) {
		w.view(func(v store.View) (err error) {
			uses, _, err = w.e.Glasses(v, state, func(model.PersonID) bool { return true }, "", 10)
			return err
		})
		return uses
	}
	if open := list(sync.StateOpen); len(open) != 2 || open[0].Reason.Code != "acute" || open[0].Actor != "nils" {
		t.Fatalf("open: %+v", open)
	}
	why := model.Reason{Code: "called", Text: ""}
	if _, err := w.e.FollowUp(t.Context(), w.tenant, g.Seq, "nils", why); err != sync.ErrOwnUse {
		t.Fatalf("by its user: %v", err)
	}
	if got, err := w.e.FollowUp(t.Context(), w.tenant, g.Seq, "sonja", why); err != nil || got.Open() || got.FollowUp.By != "sonja" {
		t.Fatalf("followed up: %+v, %v", got, err)
	}
	if _, err := w.e.FollowUp(t.Context(), w.tenant, g.Seq, "boss", why); err != sync.ErrSettled {
		t.Fatalf("twice: %v", err)
	}
	if _, err := w.e.FollowUp(t.Context(), w.tenant, 1, "boss", why); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("an assignment: %v", err)
	}
	if open, closed := list(sync.StateOpen), list(sync.StateClosed); len(open) != 1 || len(closed) != 1 {
		t.Fatalf("%d open, %d closed", len(open), len(closed))
	}
	w.mustVerify()
	if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error { return store.Delete(tx, list(sync.StateOpen)[0].BreakGlass) }); err != nil {
		t.Fatal(err)
	}
	w.tampered = true
	if r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil); err != nil || r.OK() {
		t.Fatalf("a lost use is not missed: %v", err)
	}
}

// R107, S10: whoever loses the last one who has them is on the list of those whom nobody has:
// by an end, by time, by a block; and comes off it when somebody has them again.
func TestNobodyFallsOut(t *testing.T) {
	w := newWorld(t, 4)
	w.assign("anne", w.persons[0], w.persons[2])
	w.change(sync.Assign{Actor: "vikar", Persons: []model.PersonID{w.persons[1]}, To: w.now + hour})
	unowned := func() (n []int) {
		w.view(func(v store.View) error {
			owned, err := w.e.Owned(v, w.now)
			for i, p := range w.persons {
				if !owned[p] {
					n = append(n, i)
				}
			}
			return err
		})
		return n
	}
	expect := func(step string, want ...int) {
		t.Helper()
		if got := unowned(); len(got) != len(want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		} else {
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%s: %v, want %v", step, got, want)
				}
			}
		}
		for _, p := range w.persons {
			if !w.sees("sonja", model.RoleSupervisor, p) {
				t.Errorf("%s: hidden from the supervisor", step)
			}
		}
	}
	expect("at first", 3)
	w.change(sync.Assign{Actor: "anne", Persons: []model.PersonID{w.persons[0]}, End: true})
	expect("ended", 0, 3)
	w.now += hour
	expect("run out", 0, 1, 3)
	w.block(sync.Block{Person: w.persons[2]})
	expect("blocked", 0, 1, 2, 3)
	w.block(sync.Block{Person: w.persons[2], Actor: "anne", Lift: true})
	expect("lifted for one", 0, 1, 3)
	w.change(sync.Assign{Actor: "anne", Persons: []model.PersonID{w.persons[0]}, From: w.now + hour})
	expect("from later on", 0, 1, 3)
	w.now += hour
	expect("then", 1, 3)
}

// A block by name is in force beside one of everybody, whatever becomes of that; an exception by
// name leaves the block of everybody in force for the others.
func TestBlocksInForce(t *testing.T) {
	w := newWorld(t, 1)
	p := w.persons[0]
	say := func(actor model.ActorID, lift bool) {
		w.now += sec
		if _, err := w.e.Block(t.Context(), w.tenant, sync.Block{Person: p, Actor: actor, Lift: lift, By: "test", Reason: model.Reason{Code: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		actor model.ActorID
		lift  bool
		want  []bool // of each event so far
	}{
		{"anne", false, []bool{true}},
		{"", false, []bool{true, true}},
		{"", true, []bool{true, false, false}},
		{"", false, []bool{true, false, false, true}},
		{"anne", true, []bool{false, false, false, true, false}},
	} {
		say(step.actor, step.lift)
		w.view(func(v store.View) error {
			all, _, err := w.e.Blocks(v, func(model.PersonID) bool { return true }, "", 100)
			for j := range all {
				if all[j].InForce != step.want[j] {
					t.Errorf("step %d: event %d is in force: %t", i, j+1, all[j].InForce)
				}
			}
			return err
		})
	}
}
