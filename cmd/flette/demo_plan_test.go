package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
)

var testUnits = map[string]string{
	"nord": "0190a000-0000-7000-8000-000000000001", "sor": "0190a000-0000-7000-8000-000000000002",
	"ost": "0190a000-0000-7000-8000-000000000003", "vest": "0190a000-0000-7000-8000-000000000004",
}

// TestPlanIsValid holds every planned value against the catalogue: only the entry that is
// meant to be bad is, also on the tablet whose clock is ahead.
func TestPlanIsValid(t *testing.T) {
	day := planDay(7, testUnits)
	entries, marks := 0, map[string]int{}
	for _, p := range append(day.morning, day.afternoon...) {
		entries++
		if p.mark != "" {
			marks[p.mark]++
		}
		seen := map[model.Unit]bool{}
		for _, c := range p.on(skewOf(p.tablet)) {
			if seen[c.Unit] {
				t.Errorf("%s stands twice in one entry", c.Unit)
			}
			seen[c.Unit] = true
			problem := catalogue.Default().Validate(c.Unit, c.Value, model.MillisOf(p.at))
			if (problem != nil) != (p.mark == markBad) {
				t.Errorf("person %d, %s: %v", p.person, c.Unit, problem)
			}
		}
	}
	if entries != 3*demoPersons+10 {
		t.Errorf("%d entries", entries)
	}
	want := map[string]int{markLow: 1, markHigh: 1, markOpenA: 1, markOpenB: 1, markAhead: 1, markAfter: 1, markBad: 1, markAnew: 1, markStart: 1, markCorrect: 1, markProv: 1}
	if diff := cmp.Diff(want, marks); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPlanFollowsSeed: the same seed plans the same day, another one plans another.
func TestPlanFollowsSeed(t *testing.T) {
	opt := cmp.AllowUnexported(dayPlan{}, planned{}, plannedTime{})
	if diff := cmp.Diff(planDay(7, testUnits), planDay(7, testUnits), opt); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
	if reflect.DeepEqual(planDay(7, testUnits), planDay(8, testUnits)) {
		t.Error("the seed changes nothing")
	}
	if diff := cmp.Diff(demoPeople(7), demoPeople(7)); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
}

// TestNobodyIsInTwoPlaces: a nurse signs in order of time, inside the working day, and only
// about persons of the own caseload; no two visits of a nurse overlap (R94).
func TestNobodyIsInTwoPlaces(t *testing.T) {
	day := planDay(7, testUnits)
	for tablet := range demoTablets {
		has := map[int]bool{}
		for _, p := range caseloadOf(tablet) {
			has[p] = true
		}
		var stop time.Time
		for _, p := range append(day.morning, day.afternoon...) {
			if p.tablet != tablet {
				continue
			}
			if !has[p.person] {
				t.Errorf("nurse %d has no person %d", tablet, p.person)
			}
			if p.at.Before(clockAt(7, 30)) || p.at.After(clockAt(14, 45)) {
				t.Errorf("nurse %d signs at %s", tablet, p.at)
			}
			for _, r := range p.times {
				if r.start.Before(stop) || !r.start.Before(r.stop) || r.stop.After(p.at) {
					t.Errorf("nurse %d: %s to %s, the last ended %s", tablet, r.start, r.stop, stop)
				}
				stop = r.stop
			}
		}
	}
}

// TestCastIsSynthetic: no person of the demo can be anybody (R2).
func TestCastIsSynthetic(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range demoPeople(1) {
		id, err := ident.Parse(p.Number, ident.Legacy)
		if err != nil || !id.Synthetic() || !p.Test || seen[p.Number] {
			t.Errorf("line %d: %v", p.Line, err)
		}
		seen[p.Number] = true
	}
	if len(seen) != demoPersons {
		t.Errorf("%d persons", len(seen))
	}
	for _, u := range demoUnits() {
		if u.OrgNumber == "" {
			continue
		}
		if n, err := ident.ParseOrgNumber(u.OrgNumber); err != nil || !n.IsTest() {
			t.Errorf("unit %s: %v", u.Local, err)
		}
	}
}
