package sync_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
	"flette/sync"
)

func (w *world) change(a sync.Assign) {
	w.t.Helper()
	a.By = "test"
	if _, err := w.e.Assign(w.t.Context(), w.tenant, a); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) block(b sync.Block) {
	w.t.Helper()
	b.By, b.Reason = "test", model.Reason{Code: "patient-asked"}
	if _, err := w.e.Block(w.t.Context(), w.tenant, b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) view(f func(store.View) error) {
	w.t.Helper()
	if err := w.st.View(w.t.Context(), w.tenant, f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sees(actor model.ActorID, role model.Role, person model.PersonID) (sees bool) {
	w.t.Helper()
	w.view(func(v store.View) error {
		a, err := w.e.Access(v, actor, model.Roles(role))
		sees = a.Sees(person)
		return err
	})
	return sees
}

func (w *world) owners(person model.PersonID) (owners []model.ActorID) {
	w.t.Helper()
	w.view(func(v store.View) (err error) {
		owners, err = w.e.Owners(v, person, w.now)
		return err
	})
	return owners
}

func (w *world) settle(id model.EntryID, act model.Act) {
	w.t.Helper()
	if _, err := w.e.Settle(w.t.Context(), w.tenant, id, act, "sonja", model.Roles(model.RoleSupervisor), model.Reason{Code: "was-there"}); err != nil {
		w.t.Fatal(err)
	}
}

// S8: whatever happens to caseloads and records between pages of any size, positions never
// decrease, the tablet that applies the items holds exactly the caseload's merged state, and
// forgets exactly who left: also those whose time ran out, or who were blocked.
func TestPullIsOrderedAndExact(t *testing.T) {
	units := []model.Unit{memory, "score/vision", "score/hearing"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 4)
		author := w.nurse("anne")
		stranger := w.tablet("odd", model.RoleNurse)
		readers := []*tablet{w.tablet("lars", model.RoleNurse), w.tablet("mona", model.RoleNurse)}
		mirrors := []mirror{{}, {}}
		late := []map[model.EntryID]bool{{}, {}}
		last := make([]int64, len(readers))
		waiting := map[model.EntryID]model.PersonID{}
		page := func(i, limit int) bool {
			r := readers[i]
			got, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: r.id, Actor: r.actor, Cursor: r.cursor, Limit: limit})
			if err != nil {
				rt.Fatal(err)
			}
			for _, it := range got.Items {
				if it.Position < last[i] {
					rt.Fatalf("position %d after %d", it.Position, last[i])
				}
				last[i] = it.Position
				switch {
				case it.Late != nil:
					late[i][it.Late.Entry] = true
				case it.Settled != nil:
					delete(late[i], it.Settled.Entry)
				}
			}
			mirrors[i].apply(rt, got.Items)
			r.cursor = got.Cursor
			return got.More
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			p := rapid.SampledFrom(w.persons).Draw(rt, "person")
			i := rapid.IntRange(0, 1).Draw(rt, "reader")
			actor := readers[i].actor
			w.now += rapid.SampledFrom([]model.Millis{sec, min_, hour}).Draw(rt, "wait")
			switch rapid.IntRange(0, 10).Draw(rt, "what") {
			case 0, 1:
				author.push(author.score(p, rapid.SampledFrom(units).Draw(rt, "unit"), rapid.IntRange(1, 5).Draw(rt, "score")))
			case 2:
				e := stranger.score(p, memory, 3)
				stranger.push(e)
				waiting[e.id] = p
			case 3:
				for _, id := range slices.SortedFunc(mapKeys(waiting), func(a, b model.EntryID) int { return slices.Compare(a[:], b[:]) }) {
					w.settle(id, rapid.SampledFrom([]model.Act{model.ActRelease, model.ActClose}).Draw(rt, "act"))
					delete(waiting, id)
					break
				}
			case 4:
				w.change(sync.Assign{Actor: actor, Persons: []model.PersonID{p}})
			case 5:
				w.change(sync.Assign{Actor: actor, Persons: []model.PersonID{p}, To: w.now + 2*hour})
			case 6:
				w.change(sync.Assign{Actor: actor, Persons: []model.PersonID{p}, End: true})
			case 7:
				b := sync.Block{Person: p, Lift: rapid.Bool().Draw(rt, "lift")}
				if rapid.Bool().Draw(rt, "named") {
					b.Actor = actor
				}
				w.block(b)
			case 8:
				_, _, err := w.e.BreakGlass(t.Context(), sync.BreakGlass{Tenant: w.tenant, Actor: actor, Roles: model.Roles(model.RoleNurse), Person: p, For: hour})
				if err != nil && err != sync.ErrHasAccess {
					rt.Fatal(err)
				}
			default:
				page(i, rapid.IntRange(1, 5).Draw(rt, "limit"))
			}
		}
		for i, r := range readers {
			limit := rapid.IntRange(1, 7).Draw(rt, "limit")
			for page(i, limit) {
			}
			if truth := w.truth(r.actor); !mirrors[i].equal(truth) {
				rt.Fatalf("%s holds %v, the store shows %v", r.actor, mirrors[i], truth)
			}
			for id, p := range waiting {
				if _, mine := mirrors[i][p]; mine && !late[i][id] {
					rt.Fatalf("%s was not told of a late entry about a person whom they have", r.actor)
				}
			}
			for id := range late[i] {
				if p, open := waiting[id]; !open {
					if _, mine := mirrors[i][p]; mine {
						rt.Fatalf("%s was not told that a late entry is settled", r.actor)
					}
				}
			}
			if page(i, 10); len(mirrors[i]) != len(w.truth(r.actor)) {
				rt.Fatal("more came after the end")
			}
		}
	})
}

func mapKeys(m map[model.EntryID]model.PersonID) func(func(model.EntryID) bool) {
	return func(yield func(model.EntryID) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// BenchmarkIdlePull is the everyday contact: nothing has changed.
func BenchmarkIdlePull(b *testing.B) {
	w := newWorld(b, 60)
	for range 5 {
		w.assign("anne", w.persons...)
	}
	a := w.tablet("anne", model.RoleNurse)
	a.pull(500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.e.Pull(b.Context(), sync.PullRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor, Cursor: a.cursor}); err != nil {
			b.Fatal(err)
		}
	}
}

// A locum has a person from eight to ten. What was signed inside counts whenever it arrives;
// what was certainly signed outside waits. How certain is a matter of the tablet's clock.
func TestLocumBounds(t *testing.T) {
	const u = 2 * sec // more than the uncertainty of a monotonic clock over some hours
	for _, c := range []struct {
		name  string
		clock string
		at    model.Millis // after the start of the assignment, which takes two hours
		want  string
	}{
		{"A, before", model.ClockMonotonic, -u, "quarantined out-of-scope"},
		{"A, at the start", model.ClockMonotonic, 0, "applied"},
		{"A, just before the end", model.ClockMonotonic, 2*hour - 1, "applied"},
		{"A, at the end, in doubt", model.ClockMonotonic, 2 * hour, "applied"},
		{"A, after", model.ClockMonotonic, 2*hour + 2*u, "quarantined out-of-scope"},
		{"B, before", model.ClockRebooted, -6 * min_, "quarantined out-of-scope"},
		{"B, before, in doubt", model.ClockRebooted, -4 * min_, "applied"},
		{"B, after, in doubt", model.ClockRebooted, 2*hour + 4*min_, "applied"},
		{"B, after", model.ClockRebooted, 2*hour + 6*min_, "quarantined out-of-scope"},
		{"C, after by its own word", model.ClockNone, 5 * hour, "applied"},
	} {
		w := newWorld(t, 1)
		p := w.persons[0]
		start := w.now + hour
		w.change(sync.Assign{Actor: "vikar", Persons: w.persons, From: start, To: start + 2*hour})
		v := w.tablet("vikar", model.RoleNurse)
		w.now = start + c.at
		e := v.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2)}, func(e *model.Entry) {
			if e.Clock = c.clock; c.clock != model.ClockMonotonic {
				e.ElapsedMs = 0
			}
		})
		w.now = start + 30*hour // the outbox comes the next day
		if got := outcomes(v.push(e)); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// The person whose time is over leaves at the next pull, and comes anew when the time is
// made longer: the tablet forgets by itself what the server thinks it has.
func TestTimeRunsOutAndIsMadeLonger(t *testing.T) {
	w := newWorld(t, 1)
	p := w.persons[0]
	n := w.nurse("anne")
	n.push(n.score(p, memory, 2))
	w.change(sync.Assign{Actor: "vikar", Persons: w.persons, To: w.now + 2*hour})
	v := w.tablet("vikar", model.RoleNurse)
	m := mirror{}
	items := v.pull(10)
	m.apply(t, items)
	if len(items) != 2 || items[0].Until != w.now+2*hour || !m.equal(w.truth("vikar")) {
		t.Fatalf("first pull %+v", items)
	}
	w.change(sync.Assign{Actor: "vikar", Persons: w.persons, From: w.now + 2*hour, To: w.now + 4*hour})
	if items = v.pull(10); len(items) != 2 || items[0].Added == nil || items[0].Until != w.now+4*hour || items[1].Unit == nil {
		t.Fatalf("longer: %+v", items)
	}
	w.now += 4*hour - 1
	if items = v.pull(10); len(items) != 0 {
		t.Fatalf("a moment before the end: %+v", items)
	}
	w.now++
	if items = v.pull(10); len(items) != 1 || !items[0].Removed {
		t.Fatalf("at the end: %+v", items)
	}
}

// Of the block events in force the newest decides, whether it names the actor or everybody;
// emergency access goes before the blocks that were there, not before later ones.
func TestBlockPrecedence(t *testing.T) {
	w := newWorld(t, 2)
	p := w.persons[0]
	w.nurse("anne")
	w.nurse("berit")
	expect := func(step, want string) {
		t.Helper()
		got := fmt.Sprintf("anne %v berit %v boss %v admin %v", w.sees("anne", model.RoleNurse, p), w.sees("berit", model.RoleNurse, p),
			w.sees("sonja", model.RoleSupervisor, p), w.sees("ada", model.RoleAdmin, p))
		if got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
		if !w.sees("anne", model.RoleNurse, w.persons[1]) {
			t.Errorf("%s: another person is blocked", step)
		}
	}
	expect("at first", "anne true berit true boss true admin true")
	w.block(sync.Block{Person: p})
	expect("everybody", "anne false berit false boss true admin true")
	w.block(sync.Block{Person: p, Actor: "anne", Lift: true})
	expect("but anne", "anne true berit false boss true admin true")
	w.block(sync.Block{Person: p})
	expect("everybody again", "anne false berit false boss true admin true")
	w.block(sync.Block{Person: p, Lift: true})
	expect("lifted", "anne true berit true boss true admin true")
	w.block(sync.Block{Person: p, Actor: "anne"})
	w.block(sync.Block{Person: p, Actor: "sonja"})
	expect("by name", "anne false berit true boss false admin true")
	w.block(sync.Block{Person: p, Actor: "berit", From: w.now + hour})
	expect("later", "anne false berit true boss false admin true")
	w.now += hour
	expect("now", "anne false berit false boss false admin true")
	for _, actor := range []model.ActorID{"anne", "sonja"} {
		role := map[model.ActorID]model.Role{"anne": model.RoleNurse, "sonja": model.RoleSupervisor}[actor]
		if _, fresh, err := w.e.BreakGlass(t.Context(), sync.BreakGlass{Tenant: w.tenant, Actor: actor, Roles: model.Roles(role), Person: p, Reason: model.Reason{Code: "acute"}}); err != nil || !fresh {
			t.Fatalf("break glass of %s: %v %v", actor, fresh, err)
		}
	}
	expect("glass broken", "anne true berit false boss true admin true")
	w.block(sync.Block{Person: p, Actor: "anne"})
	expect("blocked after", "anne false berit false boss true admin true")
	w.now += sync.DefaultGlass
	expect("run out", "anne false berit false boss false admin true")
	if got := w.owners(p); len(got) != 0 {
		t.Errorf("owners %v", got)
	}
	w.view(func(v store.View) error {
		owned, err := w.e.Owned(v, w.now)
		if owned[p] || !owned[w.persons[1]] {
			t.Errorf("owned %v", owned)
		}
		blocks, next, err2 := w.e.Blocks(v, func(model.PersonID) bool { return true }, "", 100)
		force := ""
		for _, b := range blocks {
			if b.InForce {
				force += fmt.Sprintf("%d:%s ", b.Seq, b.Actor)
			}
		}
		if len(blocks) != 8 || next != "" || force != "10:sonja 11:berit 14:anne " {
			t.Errorf("%d blocks, in force %q", len(blocks), force)
		}
		var paged []sync.BlockStatus
		for after := ""; ; {
			page, next, err := w.e.Blocks(v, func(model.PersonID) bool { return true }, after, 3)
			if err != nil {
				return err
			}
			if paged = append(paged, page...); next == "" {
				break
			}
			after = next
		}
		if !slices.Equal(paged, blocks) {
			t.Error("pages are not the list")
		}
		if err != nil {
			return err
		}
		return err2
	})
}

// What was signed before a block was in force is applied whenever it comes; what was signed
// after it waits, for a nurse and for a supervisor who is blocked by name, and can be released.
func TestSignedAroundABlock(t *testing.T) {
	w := newWorld(t, 1)
	p := w.persons[0]
	a, s := w.nurse("anne"), w.tablet("sonja", model.RoleSupervisor)
	a.pull(10)
	before := a.score(p, memory, 2)
	sBefore := s.score(p, "score/vision", 1)
	w.now += 10 * min_
	w.block(sync.Block{Person: p})
	w.block(sync.Block{Person: p, Actor: "sonja"})
	w.now += 10 * min_
	after := a.score(p, memory, 3, before.id)
	sAfter := s.score(p, "score/vision", 3, sBefore.id)
	want(t, a.push(before, after), "applied", "quarantined person-blocked")
	want(t, s.push(sBefore, sAfter), "applied", "quarantined person-blocked")
	if items := a.pull(10); len(items) != 1 || !items[0].Removed {
		t.Fatalf("anne's tablet got %+v", items)
	}
	w.settle(after.id, model.ActRelease)
	if got := shown(t, w.unit(p, memory)); got != `{"score":3}` {
		t.Fatalf("released: %s", got)
	}
	w.block(sync.Block{Person: p, Lift: true})
	if items := a.pull(10); len(items) == 0 || items[0].Added == nil {
		t.Fatalf("lifted: %+v", items)
	}
	want(t, a.push(a.score(p, memory, 1, after.id)), "applied")
}

// A late entry is told to whoever has the person, wherever the person went since, and so is
// its end. Nobody is told of an entry that waits because of a block.
func TestLateEntriesFollowThePerson(t *testing.T) {
	w := newWorld(t, 1)
	p := w.persons[0]
	a := w.nurse("anne")
	b, c := w.tablet("berit", model.RoleNurse), w.tablet("cato", model.RoleNurse)
	for _, tb := range []*tablet{a, b, c} {
		tb.pull(10)
	}
	w.now += hour
	w.change(sync.Assign{Actor: "anne", Persons: w.persons, End: true})
	w.change(sync.Assign{Actor: "berit", Persons: w.persons})
	w.now += hour
	first, second := a.score(p, memory, 2), a.score(p, "score/vision", 2)
	want(t, a.push(first, second), "quarantined out-of-scope", "quarantined out-of-scope")
	late := func(items []sync.PullItem) (ids []model.EntryID) {
		for _, it := range items {
			if it.Late != nil && it.Late.Code == "out-of-scope" && it.Late.Received == w.now {
				ids = append(ids, it.Late.Entry)
			}
		}
		return ids
	}
	if got := late(b.pull(10)); !slices.Equal(got, []model.EntryID{first.id, second.id}) {
		t.Fatalf("berit is told of %v", got)
	}
	list := func(f sync.QuarantineFilter) (out []sync.QuarantineStatus) {
		w.view(func(v store.View) (err error) {
			out, _, err = w.e.Quarantine(v, f, "", 10)
			return err
		})
		return out
	}
	if got := list(sync.QuarantineFilter{State: sync.StateOpen, Owner: "berit"}); len(got) != 2 || !slices.Equal(got[0].Owners, []model.ActorID{"berit"}) {
		t.Fatalf("berit's queue %+v", got)
	}
	w.change(sync.Assign{Actor: "berit", Persons: w.persons, End: true})
	w.change(sync.Assign{Actor: "cato", Persons: w.persons})
	if got := late(c.pull(1)); len(got) != 2 {
		t.Fatalf("cato is told of %v", got)
	}
	if got := list(sync.QuarantineFilter{State: sync.StateOpen, Owner: "berit"}); len(got) != 0 {
		t.Fatalf("berit's queue %+v", got)
	}
	w.settle(first.id, model.ActRelease)
	w.settle(second.id, model.ActClose)
	items := c.pull(10)
	if len(items) != 3 || items[0].Settled == nil || items[1].Unit == nil || items[2].Settled == nil || items[2].Settled.Entry != second.id {
		t.Fatalf("cato's tablet got %+v", items)
	}
	w.block(sync.Block{Person: p, Actor: "anne"})
	w.now += min_
	w.change(sync.Assign{Actor: "anne", Persons: w.persons})
	third := a.score(p, memory, 4)
	want(t, a.push(third), "quarantined person-blocked")
	if items := c.pull(10); len(items) != 0 {
		t.Fatalf("a block shows: %+v", items)
	}
	for state, n := range map[string]int{sync.StateOpen: 1, sync.StateReleased: 1, sync.StateClosed: 1, "": 3} {
		if got := list(sync.QuarantineFilter{State: state, Person: p, Owner: "cato"}); len(got) != n {
			t.Errorf("state %q: %d items", state, len(got))
		}
	}
}

// A store that was written before persons led to their events answers the same, and the next
// change builds what it lacks.
func TestIndexIsBuiltForOldStores(t *testing.T) {
	w := newWorld(t, 3)
	w.assign("anne", w.persons...)
	w.assign("berit", w.persons[1])
	if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error {
		refs, err := store.List[store.AssignmentRef](tx, "", "", 0)
		for _, r := range refs {
			if err := store.Delete(tx, r); err != nil {
				return err
			}
		}
		ten := tx.Tenant()
		ten.CaseloadIndexed = 0
		if err != nil {
			return err
		}
		return tx.PutTenant(ten)
	}); err != nil {
		t.Fatal(err)
	}
	both := []model.ActorID{"anne", "berit"}
	if got := w.owners(w.persons[1]); !slices.Equal(got, both) {
		t.Fatalf("without the index: %v", got)
	}
	w.mustVerify()
	w.assign("cato", w.persons[0])
	if got := w.owners(w.persons[1]); !slices.Equal(got, both) {
		t.Fatalf("with the index: %v", got)
	}
	w.mustVerify()
	if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error {
		return store.Delete(tx, store.AssignmentRef{Person: w.persons[1], Seq: 2})
	}); err != nil {
		t.Fatal(err)
	}
	w.tampered = true
	if r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil); err != nil || r.OK() {
		t.Fatalf("verify does not miss a lost reference: %+v, %v", r, err)
	}
}
