package model

import (
	"fmt"
	"strings"
)

// FindingSection is the section of the units that name a finding: `finding/<rule>`, and
// `finding/<rule>/<unit path>` when the finding stands on a unit. No value is ever set on
// them: release and close settle a finding, reinstate undoes that.
const FindingSection = "finding"

// FindingRef names a finding of a person.
type FindingRef struct {
	Rule string // "R49"
	Unit Unit   // "" for the person as a whole
}

// Path is the unit that names the finding in an entry.
func (f FindingRef) Path() Unit {
	if f.Unit == "" {
		return Unit(FindingSection + "/" + f.Rule)
	}
	return Unit(FindingSection + "/" + f.Rule + "/" + string(f.Unit))
}

// ParseFinding reads the unit that names a finding. Whether there is such a rule, and such a
// finding, is another question.
func ParseFinding(u Unit) (FindingRef, error) {
	if len(u) > maxUnitLen {
		return FindingRef{}, fmt.Errorf("unit path must be 1-%d bytes", maxUnitLen)
	}
	rest, ok := strings.CutPrefix(string(u), FindingSection+"/")
	rule, unit, on := strings.Cut(rest, "/")
	if !ok || !ruleNumber(rule) {
		return FindingRef{}, fmt.Errorf("a finding is %s/R and 1-3 digits, then the unit it stands on", FindingSection)
	}
	if !on {
		return FindingRef{Rule: rule}, nil
	}
	if _, err := ParseUnit(unit); err != nil {
		return FindingRef{}, err
	}
	return FindingRef{Rule: rule, Unit: Unit(unit)}, nil
}

// ruleNumber: R, 1-3 digits, and a small letter or none.
func ruleNumber(s string) bool {
	digits, ok := strings.CutPrefix(s, "R")
	if n := len(digits); n > 1 && digits[n-1] >= 'a' && digits[n-1] <= 'z' {
		digits = digits[:n-1]
	}
	return ok && len(digits) >= 1 && len(digits) <= 3 && strings.Trim(digits, "0123456789") == ""
}

// SettlesFindings reports whether the entry is about findings: it then sets no unit.
func (e *Entry) SettlesFindings() bool {
	switch e.Act {
	case ActRelease, ActClose, ActReinstate:
		return len(e.Changes) > 0 && e.Changes[0].Unit.Section() == FindingSection
	}
	return false
}

// checkFindings checks the changes of an entry about findings: each names one, once, and
// only a reinstate has a target, the entry that settled it.
func (e *Entry) checkFindings() *Problem {
	if len(e.Changes) > MaxChanges {
		return Problemf("invalid-payload", "/changes", "an entry carries 1-%d changes", MaxChanges)
	}
	seen := make(map[Unit]bool, len(e.Changes))
	for i := range e.Changes {
		c := &e.Changes[i]
		if _, err := ParseFinding(c.Unit); err != nil {
			return Problemf("unknown-unit", changePointer(i, "/unit"), "%s", err)
		}
		if seen[c.Unit] {
			return Problemf("invalid-payload", changePointer(i, "/unit"), "a unit appears at most once in an entry")
		}
		seen[c.Unit] = true
		if (c.Target != nil) != (e.Act == ActReinstate) || len(c.Value) != 0 || c.Over != nil {
			return Problemf("invalid-payload", changePointer(i, ""), "a finding carries neither value nor over, and a target with act %s only", ActReinstate)
		}
	}
	return nil
}
