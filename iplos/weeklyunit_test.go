package iplos

import (
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// R95 by unit: what is granted counts where the service is given and in the weeks in which it
// runs, also without any visit; a unit holds those below it, and the municipality everybody.
func TestWeeklyUnits(t *testing.T) {
	m := newMemory()
	top, north, south := expand("@t"), expand("@n"), expand("@s")
	must(t, store.Put(m, store.OrgUnit{ID: top}))
	must(t, store.Put(m, store.OrgUnit{ID: north, Parent: top}))
	must(t, store.Put(m, store.OrgUnit{ID: south, Parent: top}))
	must(t, store.Put(m, store.Person{ID: alice, Unit: north}))
	must(t, store.Put(m, store.Person{ID: berit, Unit: south}))
	set := func(person model.PersonID, units map[string]string) {
		for path, value := range units {
			u := model.Unit(expand(path))
			must(t, m.PutUnit(person, &model.UnitState{Unit: u, Heads: []model.Head{{Value: []byte(value), Actor: "s", Device: desk}}}))
		}
	}
	set(alice, map[string]string{
		"service/@a": `{"type":"15"}`, "service/@a/start": `{"date":"2026-05-01"}`, "service/@a/grant": `{"date":"2026-05-01","minutes_per_week":90,"resource_minutes_per_week":180}`,
		// Given by the south, where alice does not belong.
		"service/@b": `{"type":"1"}`, "service/@b/start": `{"date":"2026-11-29"}`, "service/@b/grant": `{"date":"2026-05-01","minutes_per_week":60}`,
		"service/@b/provider": `{"unit":"` + south + `","from":"2026-11-29"}`,
		// Do not run in the week: ended before, begun after, rejected, paused for all of it.
		"service/@c": `{"type":"1"}`, "service/@c/start": `{"date":"2026-01-01"}`, "service/@c/end": `{"date":"2026-11-22"}`, "service/@c/grant": `{"date":"2026-01-01","minutes_per_week":1000}`,
		"service/@d": `{"type":"1"}`, "service/@d/start": `{"date":"2026-11-30"}`, "service/@d/grant": `{"date":"2026-01-01","minutes_per_week":1000}`,
		"service/@e": `{"type":"1"}`, "service/@e/start": `{"date":"2026-01-01"}`, "service/@e/grant": `{"date":"2026-01-01","rejected":true}`,
		"service/@f": `{"type":"1"}`, "service/@f/start": `{"date":"2026-01-01"}`, "service/@f/grant": `{"date":"2026-01-01","minutes_per_week":1000}`,
		"service/@f/pause/@g": `{"from":"2026-11-23","to":"2026-11-30"}`,
	})
	// Paused for a part of the week, and without any visit.
	set(berit, map[string]string{
		"service/@a": `{"type":"2"}`, "service/@a/start": `{"date":"2026-01-01"}`, "service/@a/grant": `{"date":"2026-01-01","minutes_per_week":30}`,
		"service/@a/pause/@g": `{"from":"2026-11-23","to":"2026-11-25"}`,
	})
	monday := at(t, "2026-11-23T07:00:00Z")
	visit{person: alice, id: "h", start: monday, stop: monday + hour, actor: "n1", service: expand("@a"), helpers: []model.ActorID{"n2"}}.apply(t, m)
	visit{person: alice, id: "i", start: monday + 2*hour, stop: monday + 3*hour, actor: "n1", service: expand("@b")}.apply(t, m)
	visit{person: alice, id: "j", start: monday + 4*hour, stop: monday + 5*hour, actor: "n1", kind: "travel"}.apply(t, m)
	stranger := testPerson(9) // visited before anybody imported who it is
	visit{person: stranger, id: "k", start: monday + 6*hour, stop: monday + 7*hour, actor: "n1"}.apply(t, m)

	got, err := WeeklyUnits(m, "2026-W48")
	must(t, err)
	n := UnitWeek{Unit: north, Persons: 1, DirectMinutes: 60, HelperMinutes: 120, TravelMinutes: 60, GrantedMinutes: 90, GrantedResourceMinutes: 180}
	s := UnitWeek{Unit: south, Persons: 2, DirectMinutes: 60, HelperMinutes: 60, GrantedMinutes: 90, GrantedResourceMinutes: 90}
	both := UnitWeek{Unit: top, Persons: 2, DirectMinutes: 120, HelperMinutes: 180, TravelMinutes: 60, GrantedMinutes: 180, GrantedResourceMinutes: 270}
	all := both
	all.Unit, all.Persons, all.DirectMinutes, all.HelperMinutes = "", 3, 180, 240
	if want := []UnitWeek{all, n, s, both}; text(got) != text(want) {
		t.Errorf("got  %s\nwant %s", text(got), text(want))
	}
	if _, err := WeeklyUnits(m, "2026-W54"); err == nil {
		t.Error("a week that is none")
	}
}

// A tree that bites its own tail ends the report all the same.
func TestWeeklyUnitsOfACircle(t *testing.T) {
	m := newMemory()
	a, b := expand("@a"), expand("@b")
	must(t, store.Put(m, store.OrgUnit{ID: a, Parent: b}))
	must(t, store.Put(m, store.OrgUnit{ID: b, Parent: a}))
	must(t, store.Put(m, store.Person{ID: alice, Unit: a}))
	monday := at(t, "2026-11-23T07:00:00Z")
	visit{person: alice, id: "h", start: monday, stop: monday + hour, actor: "n1"}.apply(t, m)
	got, err := WeeklyUnits(m, "2026-W48")
	must(t, err)
	if len(got) != 3 || got[1].DirectMinutes != 60 || got[2].DirectMinutes != 60 {
		t.Errorf("%+v", got)
	}
}

func TestMondayOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := model.Millis(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "at"))
		monday := mondayOf(WeekOf(day))
		if d := dateOf(day); d < monday || d > after(monday, 0, 6) {
			t.Fatalf("%s lies in %s, which begins on %s", d, WeekOf(day), monday)
		}
	})
	if got := mondayOf("2026-W01"); got != catalogue.Date("2025-12-29") {
		t.Errorf("2026-W01 begins on %s", got)
	}
}
