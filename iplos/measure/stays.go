package measure

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// wait is a table about how long persons waited from the decision to the start, of services
// that began in the twelve months up to the day. A person is counted once in each, by the newest.
// Those who waited for a nursing home, and the limits, are as in the discontinued national indicator.
type wait struct{ id, code, nb, en string }

var waits = []wait{
	{"waiting_nursing_home", "21", "Ventetid fra vedtak til langtidsopphold", "Waiting from decision to long stay"},
	{"waiting_home_health", "15", "Ventetid fra vedtak til helsetjenester i hjemmet", "Waiting from decision to health services at home"},
	{"waiting_day_activity", "4", "Ventetid fra vedtak til dagaktivitet", "Waiting from decision to day activity"},
}

var waitColumns = []string{"0_15_days", "16_30_days", "31_days", "unknown"}

// waited finds the column, -1 for a person in whom no such service began. A start before the
// decision is no waiting.
func waited(code string) func(*subject) int {
	return func(s *subject) int {
		var newest *iplos.Service
		for _, x := range s.services {
			if x.Rejected() || x.Start == nil || x.TypeOn(s.day) != code || !lastYear(string(x.Start.Date), s.day) {
				continue
			}
			if newest == nil || x.Start.Date > newest.Start.Date {
				newest = x
			}
		}
		switch {
		case newest == nil:
			return -1
		case newest.Grant == nil || newest.Grant.Date == "":
			return 3
		}
		switch days := daysBetween(newest.Grant.Date, newest.Start.Date); {
		case days <= 15:
			return 0
		case days <= 30:
			return 1
		}
		return 2
	}
}

func daysBetween(from, to catalogue.Date) int {
	return int(to.Time().Sub(from.Time()) / (24 * time.Hour))
}

// ending is a table about stays that ended in the twelve months up to the day: was there an
// assessment at admission and at discharge, and what became of function in between. A person is
// counted once in each, by the stay that ended last.
type ending struct {
	id, nb, en string
	codes      []string
}

var endings = []ending{
	{"stays_rehab", "Vurdering ved inn- og utskriving og endring i funksjon, rehabiliteringsopphold", "Assessment at admission and discharge, and change of function, rehabilitation stays", []string{"19"}},
	{"stays_other", "Vurdering ved inn- og utskriving og endring i funksjon, andre korttidsopphold", "Assessment at admission and discharge, and change of function, other short stays", []string{"18", "20"}},
}

var stayColumns = []string{"no_assessment", "admission_only", "discharge_only", "improved", "unchanged", "worse"}

// stayed is a column of stayColumns.
type stayed int

// Windows in which an assessment is one of admission or of discharge: our choice, for no
// source says it. In a short stay what is nearer counts.
const (
	daysBefore = 14 // the admission
	daysAround = 7  // after the admission; before and after the discharge
)

// ended looks at the last stay of each table that ended in the year before the day.
func (r *reader) ended(s *subject, p *store.Person) error {
	if r.o.Section == nil {
		return nil
	}
	for _, e := range endings {
		var last *iplos.Service
		for _, x := range s.services {
			if x.Rejected() || x.Start == nil || x.End == nil || !lastYear(string(x.End.Date), s.day) {
				continue
			}
			if slices.Contains(e.codes, x.TypeOn(s.day)) && (last == nil || x.End.Date > last.End.Date) {
				last = x
			}
		}
		if last == nil {
			continue
		}
		column, err := r.change(p.ID, last.Start.Date, last.End.Date)
		if err != nil {
			return err
		}
		s.stays[e.id] = column
	}
	return nil
}

// change compares the scores that counted at admission with those that counted at discharge
// (R24). It has improved when more variables are better than are worse: averages mislead.
func (r *reader) change(person model.PersonID, start, end catalogue.Date) (stayed, error) {
	middle := moved(start, 0, daysBetween(start, end)/2)
	in, before, err := r.scoresAt(person, moved(start, 0, -daysBefore), min(moved(start, 0, daysAround), middle))
	if err != nil {
		return 0, err
	}
	out, after, err := r.scoresAt(person, max(moved(end, 0, -daysAround), moved(middle, 0, 1)), min(moved(end, 0, daysAround), catalogue.Date(r.o.Date)))
	switch {
	case err != nil:
		return 0, err
	case !in && !out:
		return 0, nil
	case !out:
		return 1, nil
	case !in:
		return 2, nil
	}
	better := 0
	for name, was := range before {
		if is := after[name]; is != 0 {
			better += cmp.Compare(was, is) // a lower score is less need
		}
	}
	switch {
	case better > 0:
		return 3, nil
	case better < 0:
		return 5, nil
	}
	return 4, nil
}

// scoresAt gives the scores that counted on a day, without those that are missing, and whether one of
// them was assessed in the time from another day on.
func (r *reader) scoresAt(person model.PersonID, from, to catalogue.Date) (found bool, scores map[string]int, err error) {
	states, err := r.o.Section(r.v, person, "score/", func(act model.Act, signed model.Millis, value []byte) bool {
		if act == model.ActVoid || act == model.ActReinstate {
			return true // what was withdrawn never counted
		}
		var own struct{ Assessed string }
		if json.Unmarshal(value, &own, json.MatchCaseInsensitiveNames(true)) != nil {
			return false
		}
		return catalogue.Date(cmp.Or(own.Assessed, model.DateInOslo(signed))) <= to
	})
	scores = map[string]int{}
	for _, u := range states {
		name, score := strings.CutPrefix(string(u.Unit), "score/")
		head := u.Shown()
		if !score || head == nil {
			continue
		}
		if v := shown[catalogue.Score](head); v != nil && v.Score >= 1 && v.Score <= 5 {
			scores[name] = v.Score
			found = found || assessedOn(v, head) >= from
		}
	}
	return found, scores, err
}
