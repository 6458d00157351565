package iplos

import (
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Severities of a finding.
const (
	Blocking = "B" // keeps the registration out of an extract until it is mended
	Missing  = "M" // a mangel or a warning: it can be sent as it is
)

// Rule is one rule of the register as data. At most one of Person and Unit is set; R94 has
// neither, because it is about several persons (see timeindex.go).
type Rule struct {
	ID       string   // "R49", the number under which code, tests and findings cite it
	Severity string   // the usual one; a single finding may differ where the rule says so
	Sections []string // sections it reads; "person" includes the person document
	Source   string   // "guide", "register", "product"
	Text     string   // one sentence
	TextNB   string
	Live     bool // reads the calendar or the organisation tree: computed when asked, never stored
	Birth    bool // reads the birth date: left out where that is sealed

	// Person judges the merged record of a person.
	Person func(*Record, *report)
	// Unit judges one unit by itself. It runs for the units that were touched, so that its
	// cost does not depend on how many there are.
	Unit func(*Record, *model.UnitState, *report)
}

// AllRules lists every rule, in order of number.
func AllRules() []Rule { return append([]Rule(nil), rules...) }

// reads reports whether the rule reads the section.
func (r *Rule) reads(section string) bool {
	for _, s := range r.Sections {
		if s == section {
			return true
		}
	}
	return false
}

// report collects what the rules find on one person. Problems with one rule on one unit are
// one finding, with the sentences joined and the graver severity.
type report struct {
	person model.PersonID
	rec    *Record // for the owner: most evaluations find nothing and need no person document
	rule   *Rule
	found  map[string]store.Finding // by document key
}

// add notes that the rule at work is broken on a unit ("" for the person as a whole).
// detail is a sentence without personal data.
func (p *report) add(unit model.Unit, detail string) { p.addAs(p.rule.Severity, unit, detail) }

// addFrom is add for what the calendar brings about: the rule has been broken since the day.
func (p *report) addFrom(day catalogue.Date, unit model.Unit, detail string) {
	p.add(unit, detail)
	key := store.Finding{Rule: p.rule.ID, Person: p.person, Unit: unit}.DocKey()
	f := p.found[key]
	f.Since = startOf(day)
	p.found[key] = f
}

func (p *report) addAs(severity string, unit model.Unit, detail string) {
	f := store.Finding{Rule: p.rule.ID, Severity: severity, Person: p.person, Unit: unit, Detail: detail, Owner: p.rec.doc().Unit}
	key := f.DocKey()
	if old, ok := p.found[key]; ok {
		f.Detail = old.Detail + " " + detail
		if old.Severity == Blocking {
			f.Severity = Blocking
		}
	}
	p.found[key] = f
}
