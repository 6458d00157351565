package sync_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// mirror is a tablet's local copy, built from pull items alone.
type mirror map[model.PersonID]map[model.Unit]string

func (m mirror) apply(t interface{ Fatalf(string, ...any) }, items []sync.PullItem) {
	for _, it := range items {
		switch {
		case it.Removed:
			delete(m, it.Person)
		case it.Added != nil:
			m[it.Person] = map[model.Unit]string{} // also when only the time changed: the units follow
		case it.Unit != nil:
			units, ok := m[it.Person]
			if !ok {
				t.Fatalf("unit of a person that is not in scope")
			}
			value := ""
			if s := it.Unit.Shown(); s != nil {
				value = string(s.Value)
			}
			units[it.Unit.Unit] = value
		}
	}
}

// truth is what the store shows for an actor's caseload.
func (w *world) truth(actor model.ActorID) mirror {
	m := mirror{}
	if err := w.st.View(w.t.Context(), w.tenant, func(v store.View) error {
		persons, err := w.e.Caseload(v, actor, w.now)
		if err != nil {
			return err
		}
		for _, p := range persons {
			m[p] = map[model.Unit]string{}
			if err := v.Units(p, "", "", func(s *model.UnitState) bool {
				value := ""
				if h := s.Shown(); h != nil {
					value = string(h.Value)
				}
				m[p][s.Unit] = value
				return true
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (m mirror) equal(o mirror) bool {
	if len(m) != len(o) {
		return false
	}
	for p, units := range m {
		other, ok := o[p]
		if !ok || len(units) != len(other) {
			return false
		}
		for u, v := range units {
			if other[u] != v {
				return false
			}
		}
	}
	return true
}

// S8: whatever happens between pages, a tablet that applies pages in order ends with exactly
// what the store shows for its caseload.
func TestPullPagesMissNothing(t *testing.T) {
	units := []model.Unit{memory, "score/vision", "score/assist_toilet", "person/household"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 5)
		a := w.nurse("anne")
		reader := w.tablet("lars", model.RoleNurse)
		m := mirror{}
		last := map[model.PersonID]map[model.Unit]model.EntryID{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			p := w.persons[rapid.IntRange(0, 4).Draw(rt, "person")]
			w.now += sec
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1, 2:
				u := rapid.SampledFrom(units).Draw(rt, "unit")
				var over []model.EntryID
				if id, ok := last[p][u]; ok && rapid.Bool().Draw(rt, "seen") {
					over = append(over, id)
				}
				ch := scoreChange(u, rapid.IntRange(1, 5).Draw(rt, "score"), over...)
				if u == "person/household" {
					ch.Value = []byte(`{"code":"1"}`)
				}
				e := a.entry(p, model.ActRegister, []model.Change{ch})
				a.push(e)
				if last[p] == nil {
					last[p] = map[model.Unit]model.EntryID{}
				}
				last[p][u] = e.id
			case 3:
				w.assign("lars", p)
			case 4:
				if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{Actor: "lars", Persons: []model.PersonID{p}, End: true, By: "test"}); err != nil {
					rt.Fatal(err)
				}
			case 5:
				page, err := w.e.Pull(t.Context(), sync.PullRequest{
					Tenant: w.tenant, Device: reader.id, Actor: reader.actor, Cursor: reader.cursor, Limit: rapid.IntRange(1, 4).Draw(rt, "limit"),
				})
				if err != nil {
					rt.Fatal(err)
				}
				m.apply(rt, page.Items)
				reader.cursor = page.Cursor
				has := w.truth("lars")
				for _, it := range page.Items {
					if _, still := has[it.Person]; !still && !it.Removed {
						rt.Fatalf("%v is sent to somebody who does not have the person any more", it)
					}
				}
			}
		}
		m.apply(rt, reader.pull(rapid.IntRange(1, 7).Draw(rt, "limit")))
		if truth := w.truth("lars"); !m.equal(truth) {
			rt.Fatalf("tablet holds %v, the store shows %v", m, truth)
		}
		if again := reader.pull(10); len(again) != 0 {
			rt.Fatalf("nothing happened, yet %d items came", len(again))
		}
	})
}

// A unit that changed often since the last pull is sent once, as it is now.
func TestAUnitIsSentOnce(t *testing.T) {
	w := newWorld(t, 1)
	a, reader := w.nurse("anne"), w.nurse("berit")
	reader.pull(10)
	var over []model.EntryID
	for i := range 5 {
		e := a.score(w.persons[0], memory, i+1, over...)
		a.push(e)
		over = []model.EntryID{e.id}
	}
	items := reader.pull(10)
	if len(items) != 1 || items[0].Position != 4 || shown(t, items[0].Unit) != `{"score":5}` {
		t.Fatalf("items %+v", items)
	}
}

func TestCursorIsBoundAndAuthenticated(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.nurse("anne"), w.nurse("berit")
	a.push(a.score(w.persons[0], memory, 2))
	a.pull(10)
	pull := func(tb *tablet, cursor string) error {
		_, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: tb.id, Actor: tb.actor, Cursor: cursor})
		return err
	}
	if err := pull(a, a.cursor); err != nil {
		t.Fatal(err)
	}
	if err := pull(b, a.cursor); !errors.Is(err, sync.ErrCursor) {
		t.Fatalf("another's cursor: %v", err)
	}
	for i := range a.cursor {
		flipped := []byte(a.cursor)
		flipped[i] ^= 1
		if err := pull(a, string(flipped)); !errors.Is(err, sync.ErrCursor) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	w := newWorld(f, 1)
	a := w.nurse("anne")
	a.pull(10)
	f.Add(a.cursor)
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		_, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor, Cursor: cursor})
		if err != nil && !errors.Is(err, sync.ErrCursor) && !errors.Is(err, sync.ErrCursorGone) {
			t.Fatal(err)
		}
	})
}
