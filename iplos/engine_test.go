package iplos

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// put sets a unit as a nurse on a tablet would; value "" voids everything on it.
func put(t interface {
	Helper()
	Fatal(...any)
}, m *memory, path, value string, class model.Class,
) model.Unit {
	t.Helper()
	u := model.Unit(expand(path))
	state := &model.UnitState{Unit: u, Class: class}
	if catalogue.Default().Policy(u).YesNoDate { // its history is read
		state.Position = -1
		if old := m.units[alice.String()+" "+string(u)]; old != nil {
			state.Position = old.Position
		}
	}
	if value != "" {
		signed := model.Millis(1_795_000_000_000)
		state.Heads = []model.Head{{
			Act: model.ActRegister, Actor: "n1", Device: pad, Value: []byte(value),
			Stamp: model.Stamp{Wall: signed, T: signed, TEff: signed, Hi: signed, Class: model.ClockA},
		}}
		if catalogue.Default().Policy(u).YesNoDate {
			state.Heads[0] = m.say(t, alice, state.Heads[0], u)
			state.Position = state.Heads[0].Position
		}
	}
	must(t, m.PutUnit(alice, state))
	return u
}

// pool holds for each unit values that break and keep many rules.
var pool = map[string][]string{
	"person/household":                      {`{"code":"1"}`, `{"code":"8"}`},
	"person/private_unpaid_help":            {`{"code":"1"}`, `{"code":"6"}`},
	"person/death_date":                     {`{"date":"2026-01-01"}`, `{"date":"2026-12-01"}`},
	"score/assist_memory":                   {`{"score":1}`, `{"score":4}`, `{"score":7}`},
	"score/vision":                          {`{"score":9}`, `{"score":2,"assessed":"2025-01-01"}`},
	"health/nutrition":                      {`{"mapped":"2"}`, `{"mapped":"2","risk":"1"}`},
	"health/medication_review_nursing_home": {`{"code":"1"}`, `{"code":"2"}`},
	"status/waiting_list":                   {`{"code":"1","date":"2026-05-01"}`, `{"code":"2"}`, `{"code":"2","date":"2026-04-01"}`, `{"code":"2","date":"2026-06-01"}`},
	"status/round_the_clock":                {`{"code":"1","date":"2026-05-01"}`, `{"code":"2"}`},
	"status/rehab_outside":                  {`{"code":"2"}`},
	"service/@a":                            {`{"type":"15"}`, `{"type":"29"}`, `{"type":"21"}`, `{"type":"5"}`},
	"service/@a/application":                {`{"date":"2026-05-01"}`, `{"date":"2026-08-01"}`},
	"service/@a/grant":                      {`{"date":"2026-06-01","minutes_per_week":600}`, `{"date":"2026-06-01","rejected":true}`, `{"date":"2026-06-01","minutes_per_week":10081}`},
	"service/@a/start":                      {`{"date":"2026-05-15"}`, `{"date":"2026-06-15"}`},
	"service/@a/end":                        {`{"date":"2026-05-01"}`, `{"date":"2026-07-01"}`},
	"service/@a/provider":                   {`{"unit":"@u","from":"2026-06-15"}`},
	"service/@b":                            {`{"type":"1"}`},
	"service/@b/grant":                      {`{"date":"2026-06-01","minutes_per_week":10000}`},
	"stay/@c":                               {`{"kind":"specialist","from":"2026-05-01","to":"2026-06-10"}`},
	"coercion/@d":                           {`{"type":"24","decided":"2026-03-01","start":"2026-03-01","end":"2027-03-02"}`},
	"diagnosis/@e":                          {`{"code_system":"ICPC-2","code":"P70"}`},
	"need/@g":                               {`{"seen":"2026-05-15","text":"x"}`, `{"seen":"2026-09-01","text":"x"}`},
	"participation/leisure_assist":          {`{"need":"nei"}`},
	"status/individual_plan_2015":           {`{"code":"1","date":"2017-01-01"}`},
	"service/@h":                            {`{"type":"13"}`, `{"type":"25"}`, `{"type":"7"}`, `{"type":"21"}`},
	"service/@h/start":                      {`{"date":"2016-05-15"}`, `{"date":"2026-06-15"}`},
	"service/@h/grant":                      {`{"date":"2016-05-15","from":"2016-06-01","to":"2026-07-01"}`},
	"time/@f":                               {`{"start":"2026-02-01T08:00:00Z","stop":"2026-02-01T09:00:00Z","kind":"direct"}`, `{"start":"2026-02-01T08:00:00Z"}`},
}

// Evaluating only what a change touched finds the same as evaluating everything: no rule
// reads a section that it does not name.
func TestIncrementalIsFull(t *testing.T) {
	paths := make([]string, 0, len(pool))
	for p := range pool {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		birth := rapid.SampledFrom([]string{"", "1940-01-01", "2015-01-01"}).Draw(t, "birth")
		e := New(Settings{BirthDate: func(store.Person) string { return birth }})
		must(t, store.Put(m, store.Person{ID: alice, Kommune: "3401", IDType: "1", Unit: "zone"}))
		must(t, e.Apply(m, alice, nil, 1))
		for step := range rapid.IntRange(1, 25).Draw(t, "steps") {
			var touched []model.Unit
			for range rapid.IntRange(1, 3).Draw(t, "units") {
				p := rapid.SampledFrom(paths).Draw(t, "path")
				value := rapid.SampledFrom(append([]string{""}, pool[p]...)).Draw(t, "value")
				class := model.Class(rapid.SampledFrom([]int{0, 0, 0, 3}).Draw(t, "class"))
				touched = append(touched, put(t, m, p, expand(value), class))
			}
			must(t, e.Apply(m, alice, touched, model.Millis(step+2)))
			diff, err := e.Verify(m, alice)
			must(t, err)
			if len(diff) > 0 {
				t.Fatalf("step %d, touched %v: %v", step, touched, diff)
			}
		}
	})
}

func TestFindingKeepsItsBeginning(t *testing.T) {
	m := newMemory()
	e := New(Settings{})
	u := put(t, m, "service/@a", `{"type":"15"}`, 0)
	g := put(t, m, "service/@a/grant", `{"date":"2026-06-01"}`, 0)
	must(t, e.Apply(m, alice, []model.Unit{u, g}, 100))
	missing := store.Finding{Rule: "R43", Person: alice, Unit: g}.DocKey()
	first, err := store.Get[store.Finding](m, missing)
	must(t, err)
	if first.Severity != Missing || first.Since != 100 || first.Position != 0 {
		t.Fatalf("first: %+v", first)
	}
	m.log = append(m.log, store.LogEntry{})
	put(t, m, "service/@a/grant", `{"date":"2026-06-01","resource_minutes_per_week":5}`, 0)
	put(t, m, "service/@a", `{"type":"17"}`, 0)
	must(t, e.Apply(m, alice, []model.Unit{g, g, u}, 200)) // a batch may touch a unit twice
	then, err := store.Get[store.Finding](m, missing)
	must(t, err)
	if then.Severity != Blocking || then.Since != 100 || then.Position != 0 || strings.Count(then.Detail, ".") != 2 {
		t.Errorf("a finding that grew graver: %+v", then)
	}
	put(t, m, "service/@a/grant", `{"date":"2026-06-01","minutes_per_week":5}`, 0)
	must(t, e.Apply(m, alice, []model.Unit{g}, 300))
	if _, err := m.Doc("finding", missing); err == nil {
		t.Error("a finding that does not hold any more is stored")
	}
}

// A person who moves to another zone takes all findings along, those on visits too.
func TestFindingsFollowThePerson(t *testing.T) {
	m := newMemory()
	e := New(Settings{})
	t0 := model.Millis(1_795_000_000_000)
	must(t, store.Put(m, store.Person{ID: alice, Kommune: "34", Unit: "zone-1"}))
	must(t, e.Apply(m, alice, nil, t0))
	visit{person: alice, id: "a", start: t0, stop: t0 + hour, actor: "n1"}.apply(t, m)
	visit{person: berit, id: "b", start: t0, stop: t0 + hour, actor: "n1"}.apply(t, m)
	must(t, store.Put(m, store.Person{ID: alice, Kommune: "34", Unit: "zone-2"}))
	must(t, e.Apply(m, alice, nil, t0+2*hour))
	found, err := store.List[store.Finding](m, alice.String()+" ", "", 0)
	must(t, err)
	var rules []string
	for _, f := range found {
		rules = append(rules, f.Rule)
		if f.Owner != "zone-2" || f.Since > t0+hour {
			t.Errorf("%s belongs to %q since %d", f.Rule, f.Owner, f.Since)
		}
	}
	if !slices.Equal(rules, []string{"R2", "R3", "R94"}) {
		t.Errorf("findings: %v", rules)
	}
	if diff := verifyAll(t, e, m); len(diff) > 0 {
		t.Errorf("verify: %v", diff)
	}
}

func TestNothingToDo(t *testing.T) {
	m := newMemory()
	must(t, New(Settings{}).Apply(m, alice, []model.Unit{}, 1))
	if len(m.scanned) > 0 || len(m.docs) > 0 {
		t.Errorf("an update without units read %v and wrote %d documents", m.scanned, len(m.docs))
	}
}

// Neither a score nor a full evaluation after an import walks the visits of a person, and a
// score does not walk the overlaps found on them.
func TestApplyDoesNotWalkHistory(t *testing.T) {
	m := newMemory()
	e := New(Settings{})
	must(t, e.Apply(m, alice, []model.Unit{put(t, m, "score/vision", `{"score":9}`, 0)}, 1))
	must(t, e.Apply(m, alice, nil, 2))
	visit{person: alice, id: "a", start: 0, stop: hour, actor: "n1"}.apply(t, m)
	for _, s := range m.scanned {
		if strings.HasPrefix(s, "time/") || strings.HasPrefix(s, "time-unit") || strings.HasPrefix(s, "time-week") {
			t.Errorf("walked %q", s)
		}
	}
}

// What is found after the overlaps in order of rule (R99) is found without walking them.
func TestEvaluateLeapsOverOverlaps(t *testing.T) {
	m := newMemory()
	e := New(Settings{})
	review := put(t, m, "health/medication_review_nursing_home", `{"code":"1","date":"2026-01-01","doctor_confirmed":true}`, 0)
	stay := []model.Unit{put(t, m, "service/@a", `{"type":"21"}`, 0), put(t, m, "service/@a/start", `{"date":"2026-02-01"}`, 0)}
	must(t, e.Apply(m, alice, append(stay, review), 1))
	stored := store.Finding{Rule: "R99", Person: alice, Unit: review}
	if _, err := store.Get[store.Finding](m, stored.DocKey()); err != nil {
		t.Fatal("R99 is not found")
	}
	for i := range 50 {
		must(t, store.Put(m, store.Finding{Rule: "R94", Person: alice, Unit: model.Unit("time/" + string(rune('a'+i)))}))
	}
	put(t, m, "health/medication_review_nursing_home", `{"code":"1","date":"2026-03-01","doctor_confirmed":true}`, 0)
	m.handed = 0
	must(t, e.Apply(m, alice, []model.Unit{review}, 2))
	if m.handed > 20 {
		t.Errorf("%d documents were read", m.handed)
	}
	if _, err := store.Get[store.Finding](m, stored.DocKey()); err == nil {
		t.Error("R99 is still stored")
	}
}

// Verify names what is missing, what is wrong and what should not be there.
func TestVerifyFindsDamage(t *testing.T) {
	e := New(Settings{})
	t0 := model.Millis(1_795_000_000_000)
	build := func(t *testing.T) *memory {
		m := newMemory()
		must(t, e.Apply(m, alice, []model.Unit{put(t, m, "score/vision", `{"score":9}`, 0)}, 1))
		visit{person: alice, id: "a", start: t0, stop: t0 + hour, actor: "n1"}.apply(t, m)
		visit{person: berit, id: "b", start: t0, stop: t0 + hour, actor: "n1"}.apply(t, m)
		return m
	}
	key := func(m *memory, part string) string {
		for _, k := range slices.Sorted(maps.Keys(m.docs)) {
			if strings.Contains(k, part) {
				return k
			}
		}
		t.Fatalf("no document %q", part)
		return ""
	}
	for name, damage := range map[string]func(m *memory){
		"finding gone":     func(m *memory) { delete(m.docs, key(m, " R24")) },
		"overlap gone":     func(m *memory) { delete(m.docs, key(m, alice.String()+" R94")) },
		"overlap invented": func(m *memory) { must(t, store.Put(m, store.Finding{Rule: "R94", Person: alice, Unit: "time/x"})) },
		"finding invented": func(m *memory) {
			must(t, store.Put(m, store.Finding{Rule: "R36", Person: alice, Unit: "service/x/grant"}))
		},
		"of an old rule": func(m *memory) { must(t, store.Put(m, store.Finding{Rule: "R999", Person: alice})) },
		"unit doc gone":  func(m *memory) { delete(m.docs, key(m, "time-unit\n"+alice.String())) },
		"unit doc extra": func(m *memory) { must(t, store.Put(m, timeUnit{Person: alice, Unit: "time/x", Week: "2026-W01"})) },
		"week doc gone":  func(m *memory) { delete(m.docs, key(m, " "+alice.String()+" time/")) },
		"worker gone":    func(m *memory) { delete(m.docs, key(m, "time-actor\n")) },
		"worker extra":   func(m *memory) { must(t, store.Put(m, presence{Worker: "n9", Person: alice, Unit: "time/x"})) },
		"week extra":     func(m *memory) { must(t, store.Put(m, Registration{Week: "2026-W01", Person: alice, Unit: "time/x"})) },
	} {
		t.Run(name, func(t *testing.T) {
			m := build(t)
			// A grant makes R24 hold, so that there is a stored finding to lose.
			must(t, e.Apply(m, alice, []model.Unit{put(t, m, "service/@a/grant", `{"date":"2026-06-01"}`, 0)}, 1))
			if diff := verifyAll(t, e, m); len(diff) > 0 {
				t.Fatalf("sound store: %v", diff)
			}
			damage(m)
			if diff := verifyAll(t, e, m); len(diff) == 0 {
				t.Error("not noticed")
			}
		})
	}
}

func verifyAll(t *testing.T, e *Engine, m *memory) []string {
	t.Helper()
	var out []string
	for _, p := range []model.PersonID{alice, berit} {
		diff, err := e.Verify(m, p)
		must(t, err)
		out = append(out, diff...)
	}
	index, err := VerifyTimeIndex(m)
	must(t, err)
	return append(out, index...)
}

func TestLiveStoresNothing(t *testing.T) {
	m := newMemory()
	e := New(Settings{})
	u := put(t, m, "service/@a/grant", `{"date":"2026-06-01","to":"2026-12-31"}`, 0)
	must(t, e.Apply(m, alice, []model.Unit{u}, 1))
	before := len(m.docs)
	for day, want := range map[string]int{"2026-12-31T22:59:59Z": 0, "2026-12-31T23:00:00Z": 1} { // midnight in Oslo
		live, err := e.Live(m, alice, at(t, day))
		must(t, err)
		if len(live) != want {
			t.Errorf("%s: %+v, want %d", day, live, want)
		}
	}
	if len(m.docs) != before {
		t.Error("live findings are stored")
	}
}

// A mangel that the calendar brings about holds since that day, one of the organisation since the
// registration; neither since the moment somebody looks.
func TestLiveFindingsSaySinceWhen(t *testing.T) {
	m := newMemory()
	e := New(Settings{})
	put(t, m, "service/@a", `{"type":"15"}`, 0)
	put(t, m, "service/@a/grant", `{"date":"2026-06-01","to":"2026-08-31","minutes_per_week":60}`, 0)
	start := put(t, m, "service/@a/start", `{"date":"2026-06-01"}`, 0)
	put(t, m, "service/@b", `{"type":"15"}`, 0)
	put(t, m, "service/@b/start", `{"date":"2026-06-01"}`, 0)
	live, err := e.Live(m, alice, at(t, "2026-11-26T09:00:00Z"))
	must(t, err)
	first, err := m.Unit(alice, start)
	must(t, err)
	want := map[string]model.Millis{
		"R107 grant":  at(t, "2026-08-31T22:00:00Z"), // midnight in Oslo
		"R53 grant":   at(t, "2026-06-15T22:00:00Z"),
		"R96 dentist": at(t, "2026-09-01T22:00:00Z"),
		"R69 start":   first.Shown().Stamp.TEff, // all are registered at once here
	}
	seen := map[string]bool{}
	for _, f := range live {
		unit := string(f.Unit)
		key := f.Rule + " " + unit[strings.LastIndexByte(unit, '/')+1:]
		if since, ok := want[key]; !ok || f.Since != since {
			t.Errorf("%s holds since %s, want %s", key, f.Since.Time(), since.Time())
		}
		seen[key] = true
	}
	if len(seen) != len(want) {
		t.Errorf("only %v were found", seen)
	}
}
