package iplos

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// ruleCase is one case of testdata/rules/<rule>.json: a record in, the findings of that
// rule out. "@a" stands for a UUID. Units not listed under heads were registered by a nurse
// on a tablet at signedAt.
type ruleCase struct {
	Name   string                          `json:"name"`
	Person store.Person                    `json:"person,omitzero"`
	Birth  string                          `json:"birth,omitzero"`
	Units  map[string]jsontext.Value       `json:"units,omitzero"`
	Heads  map[string]caseHead             `json:"heads,omitzero"`
	Before map[string]jsontext.Value       `json:"before,omitzero"` // what a status said before
	Other  map[string]jsontext.Value       `json:"other,omitzero"`  // units of another person
	Org    []store.OrgUnit                 `json:"org,omitzero"`
	Local  []store.LocalService            `json:"local,omitzero"` // mapping of the municipality
	Lists  map[string][]store.ReferenceRow `json:"lists,omitzero"` // reference lists by name
	Today  string                          `json:"today,omitzero"` // for live rules
	Want   []string                        `json:"want"`           // "B service/@a/start", "M -" for the person
}

type caseHead struct {
	At     string      `json:"at,omitzero"`
	Act    model.Act   `json:"act,omitzero"`
	Device string      `json:"device,omitzero"` // "desk"
	Class  model.Class `json:"class,omitzero"`
	NoSign bool        `json:"no_sign,omitzero"`
	Hi     string      `json:"hi,omitzero"` // received, when later than signed
}

const signedAt = "2026-11-20T09:00:00.000Z"

var alias = regexp.MustCompile(`@([a-z])`)

func expand(s string) string {
	return alias.ReplaceAllStringFunc(s, func(m string) string {
		return "00000000-0000-4000-8000-0000000000" + strconv.FormatInt(int64(m[1]), 16)
	})
}

func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*.json")
	must(t, err)
	covered := map[string][2]int{} // cases with and without a finding
	for _, file := range files {
		rule := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		must(t, err)
		var cases []ruleCase
		if err := json.Unmarshal([]byte(expand(string(text))), &cases, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			n := covered[rule]
			n[min(len(c.Want), 1)]++
			covered[rule] = n
			t.Run(rule+"/"+c.Name, func(t *testing.T) { c.run(t, rule) })
		}
	}
	for _, r := range AllRules() {
		if n := covered[r.ID]; n[0] == 0 || n[1] == 0 {
			t.Errorf("%s has %d cases without and %d with a finding; it needs both", r.ID, n[0], n[1])
		}
	}
	for rule := range covered {
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.ID == rule }) {
			t.Errorf("cases for %s, which is no rule", rule)
		}
	}
}

func (c ruleCase) run(t *testing.T, rule string) {
	m := newMemory()
	set := Settings{BirthDate: func(store.Person) string { return c.Birth }}
	e := New(set)
	c.Person.ID = alice
	if c.Person.Kommune == "" {
		c.Person.Kommune, c.Person.IDType = "3401", "1"
	}
	must(t, store.Put(m, c.Person))
	must(t, store.Put(m, store.Device{ID: desk, Kind: "desk"}))
	must(t, store.Put(m, store.Device{ID: pad, Kind: "tablet"}))
	for _, u := range c.Org {
		must(t, store.Put(m, u))
	}
	for _, l := range c.Local {
		must(t, store.Put(m, l))
	}
	for i, name := range slices.Sorted(maps.Keys(c.Lists)) {
		must(t, store.Put(m, store.ReferenceList{Name: name, Seq: int64(i + 1)}))
		for _, r := range c.Lists[name] {
			r.List = int64(i + 1)
			must(t, store.Put(m, r))
		}
	}
	now := at(t, signedAt)
	must(t, e.Apply(m, alice, nil, now))
	for _, u := range c.put(t, m, berit, c.Other) {
		must(t, e.Apply(m, berit, []model.Unit{u}, now))
	}
	must(t, e.Apply(m, alice, c.put(t, m, alice, c.Units), now))
	if c.Today != "" {
		now = at(t, c.Today+"T12:00:00Z")
	}
	found, err := store.List[store.Finding](m, alice.String()+" ", "", 0)
	must(t, err)
	live, err := e.Live(m, alice, now)
	must(t, err)
	got := []string{}
	for _, f := range append(found, live...) {
		if f.Rule != rule {
			continue
		}
		unit := string(f.Unit)
		if unit == "" {
			unit = "-"
		}
		got = append(got, f.Severity+" "+unit)
		if _, ok := Norwegian(f.Detail); !ok {
			t.Errorf("%q has no Norwegian sentence in norwegian.json", f.Detail)
		}
		if f.Detail == "" || f.Owner != c.Person.Unit || f.Since == 0 {
			t.Errorf("finding without detail, owner or since: %+v", f)
		}
	}
	slices.Sort(got)
	slices.Sort(c.Want)
	if !slices.Equal(got, c.Want) {
		t.Errorf("got  %v\nwant %v", got, c.Want)
	}
	for i := range rules {
		readsOnlyItsSections(t, &rules[i], m, set)
	}
	// Full recomputation finds the same as the steps did, with and without birth dates.
	for _, p := range []model.PersonID{alice, berit} {
		for _, set := range []Settings{set, {}} {
			diff, err := New(set).Verify(m, p)
			must(t, err)
			if len(diff) > 0 {
				t.Errorf("verify: %v", diff)
			}
		}
	}
}

// A rule that reads a section it does not name is not evaluated when that section changes.
func readsOnlyItsSections(t *testing.T, r *Rule, m *memory, set Settings) {
	t.Helper()
	if r.Person == nil {
		return // rules about single units are given the unit
	}
	m.scanned = nil
	rec := newRecord(m, alice, set, 0)
	r.Person(rec, &report{rule: r, rec: rec, found: map[string]store.Finding{}})
	for _, prefix := range m.scanned {
		if r.Live && (strings.HasPrefix(prefix, "local-service ") || strings.HasPrefix(prefix, "reference-")) {
			continue // no section, and nothing of it is stored
		}
		if section := strings.TrimSuffix(prefix, "/"); !r.reads(section) {
			t.Errorf("%s reads %s without naming it", r.ID, section)
		}
	}
}

func (c ruleCase) put(t *testing.T, m *memory, person model.PersonID, units map[string]jsontext.Value) []model.Unit {
	t.Helper()
	var out []model.Unit
	for _, path := range slices.Sorted(maps.Keys(units)) {
		if _, err := model.ParseUnit(path); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		h := c.Heads[path]
		if h.At == "" {
			h.At = signedAt
		}
		signed := at(t, h.At)
		head := model.Head{
			Act: model.ActRegister, Actor: "nurse-1", Device: pad, Value: units[path],
			Stamp: model.Stamp{Wall: signed, T: signed, TEff: signed, Lo: signed, Hi: signed, Class: model.ClockA},
		}
		if h.Hi != "" {
			head.Stamp.Hi = at(t, h.Hi)
		}
		if h.Act != "" {
			head.Act = h.Act
		}
		if h.Device == "desk" {
			head.Device = desk
		}
		if h.NoSign {
			head.Actor = ""
		}
		unit := model.Unit(path)
		if catalogue.Default().Policy(unit).YesNoDate {
			// Of these a rule reads what stood there before.
			if was, ok := c.Before[path]; ok {
				first := head
				first.Value = was
				m.say(t, person, first, unit)
			}
			head = m.say(t, person, head, unit)
		}
		must(t, m.PutUnit(person, &model.UnitState{Unit: unit, Position: head.Position, Class: h.Class, Heads: []model.Head{head}}))
		out = append(out, model.Unit(path))
	}
	return out
}

func TestRuleTable(t *testing.T) {
	seen := map[string]bool{}
	last := 0
	for _, r := range AllRules() {
		n, err := strconv.Atoi(strings.TrimPrefix(r.ID, "R"))
		if err != nil || n < last {
			t.Errorf("%s is not in order", r.ID)
		}
		last = n
		if key := r.ID + strconv.FormatBool(r.Live); seen[key] {
			t.Errorf("%s stands there twice", r.ID)
		} else {
			seen[key] = true
		}
		if r.Severity != Blocking && r.Severity != Missing {
			t.Errorf("%s: severity %q", r.ID, r.Severity)
		}
		if !strings.HasSuffix(r.Text, ".") || !strings.HasSuffix(r.TextNB, ".") || r.Source == "" {
			t.Errorf("%s: texts are sentences, and a source is named", r.ID)
		}
		if r.Person != nil && r.Unit != nil {
			t.Errorf("%s judges both persons and units", r.ID)
		}
		for _, s := range r.Sections {
			if s != timeSection && !slices.Contains(recordSections, s) {
				t.Errorf("%s reads unknown section %s", r.ID, s)
			}
		}
	}
	for rule := range ownRule {
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.ID == rule }) {
			t.Errorf("%s is left to a rule that does not exist", rule)
		}
	}
	var asked []string
	for _, v := range always() {
		asked = append(asked, v.Unit)
	}
	want := []string{
		"person/household", "person/care_for_child_u18", "person/private_unpaid_help", "person/housing_suitable",
		"participation/work_edu_assist", "participation/work_edu_transport", "participation/leisure_assist", "participation/leisure_transport",
		"status/individual_plan", "status/coordinator", "status/waiting_list", "status/round_the_clock",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("always asked: %v", asked)
	}
}
