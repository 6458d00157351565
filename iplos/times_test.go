package iplos

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

const hour = model.Millis(60 * 60 * 1000)

// visit is a time unit with one head, as it stands in a test.
type visit struct {
	person      model.PersonID
	id          string // letter
	start, stop model.Millis
	kind        string
	service     string
	actor       string
	helpers     []model.ActorID
	ahead       model.Millis // tablet's clock minus the true time
	class       model.ClockClass
}

func (v visit) unit() model.Unit { return model.Unit(expand("time/@" + v.id)) }

// put stores the unit with the times as the tablet claims them.
func (v visit) put(t interface {
	Helper()
	Fatal(...any)
}, m *memory,
) {
	t.Helper()
	if v.class == 0 {
		v.class = model.ClockA
	}
	if v.kind == "" {
		v.kind = "direct"
	}
	value, err := json.Marshal(catalogue.Time{Start: v.start + v.ahead, Stop: v.stop + v.ahead, Kind: v.kind, Service: v.service, Helpers: v.helpers})
	must(t, err)
	signed := v.stop + 60_000
	must(t, m.PutUnit(v.person, &model.UnitState{Unit: v.unit(), Heads: []model.Head{{
		Act: model.ActRegister, Actor: model.ActorID(v.actor), Device: pad, Value: value,
		Stamp: model.Stamp{Wall: signed + v.ahead, T: signed, TEff: signed, Lo: signed, Hi: signed, Class: v.class},
	}}}))
}

func (v visit) apply(t *testing.T, m *memory) {
	t.Helper()
	v.put(t, m)
	must(t, New(Settings{}).Apply(m, v.person, []model.Unit{v.unit()}, v.stop))
}

// A tablet three hours ahead (R93): start and stop are moved back by what its clock was
// wrong by, and the visit falls into the week it was in.
func TestCorrectedTime(t *testing.T) {
	sunday := at(t, "2026-11-22T21:00:00Z") // 22:00 in Oslo, week 47; claimed on Monday
	for _, c := range []struct {
		class     model.ClockClass
		week      string
		start     model.Millis
		uncertain bool
	}{
		{model.ClockA, "2026-W47", sunday, false},
		{model.ClockB, "2026-W48", sunday + 3*hour, true},
		{model.ClockC, "2026-W48", sunday + 3*hour, true},
	} {
		m := newMemory()
		visit{person: alice, id: "a", start: sunday, stop: sunday + hour/2, actor: "n1", ahead: 3 * hour, class: c.class}.apply(t, m)
		reg, err := indexed(m, alice, model.Unit(expand("time/@a")))
		must(t, err)
		if reg.Week != c.week || reg.Start != c.start || reg.Stop != c.start+hour/2 || reg.Uncertain != c.uncertain {
			t.Errorf("class %s: %+v, want start %s in %s, uncertain %v", c.class, reg, c.start.RFC3339(), c.week, c.uncertain)
		}
	}
}

func TestWeekly(t *testing.T) {
	m := newMemory()
	monday := at(t, "2026-11-23T07:00:00Z")
	service := expand("@s")
	grant := []byte(`{"date":"2026-05-01","minutes_per_week":90,"resource_minutes_per_week":180}`)
	for path, value := range map[string]string{
		"service/@s": `{"type":"15"}`, "service/@s/start": `{"date":"2026-05-01"}`, "service/@s/grant": string(grant),
	} {
		u := model.Unit(expand(path))
		must(t, m.PutUnit(alice, &model.UnitState{Unit: u, Heads: []model.Head{{Value: []byte(value), Actor: "s", Device: desk}}}))
	}
	for _, v := range []visit{
		// Two workers at one visit, each with an own registration, and one of them also named as helper.
		{person: alice, id: "a", start: monday, stop: monday + hour, actor: "n1", service: service, helpers: []model.ActorID{"n2"}},
		{person: alice, id: "b", start: monday + hour/4, stop: monday + hour, actor: "n2", service: service},
		{person: alice, id: "c", start: monday + 24*hour, stop: monday + 25*hour, actor: "n1", service: service},
		{person: alice, id: "d", start: monday + hour, stop: monday + hour + 10*60_000, actor: "n1", service: service, kind: "indirect"},
		{person: alice, id: "e", start: monday - hour/4, stop: monday, actor: "n1", service: service, kind: "travel"},
		{person: alice, id: "f", start: monday + 48*hour, stop: monday + 48*hour + 20_000, actor: "n1"}, // names no service
		{person: berit, id: "g", start: monday + 2*hour, stop: monday + 3*hour, actor: "n1"},
		{person: berit, id: "h", start: monday + 7*24*hour, stop: monday + 7*24*hour + hour, actor: "n1"}, // next week
	} {
		v.apply(t, m)
	}
	before := m.kind("finding")
	m.scanned = nil
	rows, err := Weekly(m, "2026-W48", model.PersonID{})
	must(t, err)
	n := func(i int) *int { return &i }
	want := []WeekRow{
		{Person: alice, DirectMinutes: 0, HelperMinutes: 0},
		{Person: alice, Service: service, ServiceType: "15", DirectMinutes: 120, HelperMinutes: 180, IndirectMinutes: 10, TravelMinutes: 15, GrantedMinutes: n(90), GrantedResourceMinutes: n(180)},
		{Person: berit, DirectMinutes: 60, HelperMinutes: 60},
	}
	if got, want := text(rows), text(want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if i := slices.IndexFunc(m.scanned, func(s string) bool {
		return strings.HasPrefix(s, "time/") || strings.HasPrefix(s, "time-") && s != "time-week 2026-W48 "
	}); i >= 0 {
		t.Errorf("the report walked %q", m.scanned[i])
	}
	only, err := Weekly(m, "2026-W48", berit)
	must(t, err)
	if text(only) != text(want[2:]) {
		t.Errorf("one person: %s", text(only))
	}
	// R37, R95: more time than granted is a line in a report; the decision stands as signed.
	state, _ := m.Unit(alice, model.Unit(expand("service/@s/grant")))
	if string(state.Shown().Value) != string(grant) || !slices.Equal(before, m.kind("finding")) {
		t.Error("a report changed the record")
	}
	for _, week := range []string{"", "2026-W54", "2026-W00", "2026W48", "2026-48", "26-W48", "2026-W4x", "+026-W48", "2025-W53"} {
		if _, err := Weekly(m, week, model.PersonID{}); err == nil {
			t.Errorf("week %q is accepted", week)
		}
	}
	if _, err := Weekly(m, "2026-W53", model.PersonID{}); err != nil {
		t.Errorf("2026 has 53 weeks: %v", err)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Voiding one of two visits that overlap clears the flag on both, also when it is the other
// person's (R94).
func TestOverlapStandsOnBoth(t *testing.T) {
	m := newMemory()
	must(t, store.Put(m, store.Person{ID: berit, Unit: "zone-2"}))
	t0 := at(t, "2026-11-23T07:00:00Z")
	a := visit{person: alice, id: "a", start: t0, stop: t0 + hour, actor: "n1"}
	b := visit{person: berit, id: "b", start: t0 + hour/2, stop: t0 + 2*hour, actor: "n1"}
	a.apply(t, m)
	if got := m.kind("finding"); len(got) != 0 {
		t.Fatalf("one visit: %v", got)
	}
	b.apply(t, m)
	found, err := store.List[store.Finding](m, "", "", 0)
	must(t, err)
	if len(found) != 2 || found[0].Unit != a.unit() || found[1].Unit != b.unit() || found[1].Owner != "zone-2" || found[0].Severity != Missing {
		t.Fatalf("findings: %+v", found)
	}
	must(t, m.PutUnit(alice, &model.UnitState{Unit: a.unit()})) // everything voided
	must(t, New(Settings{}).Apply(m, alice, []model.Unit{a.unit()}, t0))
	if got := m.kind("finding"); len(got) != 0 {
		t.Errorf("after the void: %v", got)
	}
	if got := m.kind("time-actor"); len(got) != 1 {
		t.Errorf("after the void: %v", got)
	}
}

// Whatever happens to visits, in whatever order, index and overlaps are those of a store
// that saw only the end.
func TestTimeIndexIsExact(t *testing.T) {
	t0 := model.Millis(1_795_000_000_000)
	e := New(Settings{})
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		last := map[string]visit{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			v := visit{
				person: testPerson(byte(rapid.IntRange(1, 3).Draw(t, "person"))),
				id:     rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "unit"),
				start:  t0 + model.Millis(rapid.IntRange(0, 40).Draw(t, "start"))*hour,
				actor:  rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "actor"),
				ahead:  model.Millis(rapid.IntRange(-1, 1).Draw(t, "ahead")) * hour,
				class:  rapid.SampledFrom([]model.ClockClass{model.ClockA, model.ClockC}).Draw(t, "class"),
			}
			v.stop = v.start + model.Millis(rapid.IntRange(0, 25).Draw(t, "hours"))*hour // 25 is too long to count
			if rapid.Bool().Draw(t, "helped") {
				v.helpers = []model.ActorID{"n1", "n3"}
			}
			if rapid.IntRange(0, 4).Draw(t, "void") == 0 {
				must(t, m.PutUnit(v.person, &model.UnitState{Unit: v.unit()}))
				delete(last, v.person.String()+v.id)
			} else {
				v.put(t, m)
				last[v.person.String()+v.id] = v
			}
			must(t, e.Apply(m, v.person, []model.Unit{v.unit()}, t0))
		}
		fresh := newMemory()
		for _, v := range last {
			v.put(t, fresh)
			must(t, e.Apply(fresh, v.person, []model.Unit{v.unit()}, t0))
		}
		for _, kind := range []store.Kind{"time-unit", "time-week", "time-actor", "finding"} {
			if got, want := m.kind(kind), fresh.kind(kind); !slices.Equal(got, want) {
				t.Fatalf("%s:\ngot  %v\nwant %v", kind, got, want)
			}
		}
		for n := range 3 {
			diff, err := e.Verify(m, testPerson(byte(n+1)))
			must(t, err)
			if len(diff) > 0 {
				t.Fatalf("verify: %v", diff)
			}
		}
		diff, err := VerifyTimeIndex(m)
		must(t, err)
		if len(diff) > 0 {
			t.Fatalf("verify: %v", diff)
		}
	})
}

// logEntry appends an entry about one time unit, as the sync engine would have.
func logEntry(t *testing.T, m *memory, act model.Act, actor model.ActorID, stamp model.Stamp, value string, over ...model.EntryID) model.Head {
	t.Helper()
	id := model.NewEntryID([]byte(fmt.Sprint(len(m.log))))
	e := model.Entry{
		V: 1, Tenant: "t", Device: pad, Seq: 1, Actor: actor, Clock: model.ClockMonotonic, Wall: stamp.Wall, Person: alice, Act: act,
		Changes: []model.Change{{Unit: model.Unit(expand("time/@a")), Value: []byte(value), Over: over}},
	}
	if act != model.ActRegister && act != model.ActConfirm {
		e.Reason = &model.Reason{Code: "typing-error"}
	}
	payload, err := json.Marshal(e)
	must(t, err)
	if _, err := model.DecodeEntry(payload); err != nil {
		t.Fatal(err)
	}
	m.log = append(m.log, store.LogEntry{Position: m.Size(), ID: id, Person: alice, Actor: actor, Act: act, Stamp: stamp, Payload: payload, Outcome: store.Applied})
	return model.Head{ID: id, Act: act, Actor: actor, Device: pad, Stamp: stamp, Value: []byte(value)}
}

// Who corrects or decides did not do the work, and copying a claim does not put the clock
// that made it right.
func TestOriginOfRegistration(t *testing.T) {
	m := newMemory()
	t0 := at(t, "2026-11-23T07:00:00Z")
	tablet := model.Stamp{Wall: t0 + 3*hour, T: t0, TEff: t0, Class: model.ClockA}
	review := model.Stamp{Wall: t0 + 9*hour, T: t0 + 9*hour, TEff: t0 + 9*hour, Class: model.ClockA}
	const claim = `{"start":"2026-11-23T09:00:00Z","stop":"2026-11-23T09:30:00Z","kind":"direct"}`
	const retyped = `{"start":"2026-11-23T06:00:00Z","stop":"2026-11-23T06:45:00Z","kind":"direct"}`
	first := logEntry(t, m, model.ActRegister, "nurse", tablet, claim)
	confirmed := logEntry(t, m, model.ActConfirm, "boss", review, claim, first.ID)
	decided := logEntry(t, m, model.ActDecide, "boss", review, claim, confirmed.ID)
	corrected := logEntry(t, m, model.ActCorrect, "boss", review, retyped, decided.ID)
	held := logEntry(t, m, model.ActRegister, "stranger", tablet, claim)
	m.log[len(m.log)-1].Outcome = store.Quarantined
	overHeld := logEntry(t, m, model.ActCorrect, "boss", review, retyped, held.ID)
	heldAt := m.Size() - 2
	for _, c := range []struct {
		name   string
		head   model.Head
		worker model.ActorID
		start  string
	}{
		{"registered", first, "nurse", "2026-11-23T06:00:00Z"},
		{"confirmed at the desk", confirmed, "nurse", "2026-11-23T06:00:00Z"},
		{"decided at the desk", decided, "nurse", "2026-11-23T06:00:00Z"},
		{"corrected at the desk", corrected, "nurse", "2026-11-23T06:00:00Z"},
		{"over something in quarantine", overHeld, "boss", "2026-11-23T06:00:00Z"},
		{"over something that never arrived", logEntry(t, m, model.ActCorrect, "boss", review, retyped, model.EntryID{9}), "boss", "2026-11-23T06:00:00Z"},
	} {
		reg, err := readTime(m, alice, &model.UnitState{Unit: model.Unit(expand("time/@a")), Heads: []model.Head{c.head}})
		must(t, err)
		if reg.Workers[0] != c.worker || reg.Start != at(t, c.start) {
			t.Errorf("%s: %v at %s, want %s at %s", c.name, reg.Workers, reg.Start.RFC3339(), c.worker, c.start)
		}
	}
	must(t, store.Put(m, store.QuarantineItem{Position: heldAt, State: "released"}))
	reg, err := readTime(m, alice, &model.UnitState{Unit: model.Unit(expand("time/@a")), Heads: []model.Head{overHeld}})
	must(t, err)
	if reg.Workers[0] != "stranger" {
		t.Errorf("over something released: %v", reg.Workers)
	}
}
