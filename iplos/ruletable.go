package iplos

import (
	"slices"
	"strings"

	"flette/model/catalogue"
)

// Kept is one rule of the specification and everything that keeps it.
type Kept struct {
	Rule     string // "R49"
	Severity string // of the specification: B, M, P, X, calc, merge, report
	Text     string
	TextNB   string // "" where no screen shows the rule
	Source   string // "guide", "register", "public", "product"
	Places   []Place
}

// KeptRules says of every rule R1 to R107, in order of number, how it is kept: as a finding of
// [AllRules], as guidance of the catalogue that people read where they register, or elsewhere.
// docs/rules.md is made from it.
func KeptRules() []Kept {
	out := make([]Kept, 0, len(kept))
	for _, k := range kept {
		row := Kept{Rule: k.rule, Severity: k.severity, Text: k.text, Source: k.source}
		for i := range rules {
			if r := &rules[i]; r.ID == k.rule && (r.Person != nil || r.Unit != nil) {
				row.Places = append(row.Places, r.place())
				row.is(r.Text, r.TextNB, r.Source)
			} else if r.ID == k.rule {
				row.is(r.Text, r.TextNB, r.Source)
			}
		}
		row.Places = append(row.Places, k.places...)
		for _, g := range catalogue.Default().GuidanceOf(k.rule) {
			row.is(g.EN, g.NB, g.Source)
			shown := Place{By: "guidance", Where: strings.Join(shownAt(g), ", "), Tests: []string{"model/catalogue TestGuidance"}}
			if !slices.ContainsFunc(row.Places, func(p Place) bool { return p.By == shown.By && p.Where == shown.Where }) {
				row.Places = append(row.Places, shown)
			}
		}
		out = append(out, row)
	}
	return out
}

// is takes the first text that there is.
func (k *Kept) is(text, nb, source string) {
	if k.Text == "" {
		k.Text = text
	}
	if k.TextNB == "" {
		k.TextNB = nb
	}
	if k.Source == "" {
		k.Source = source
	}
}

func (r *Rule) place() Place {
	by := "finding " + r.Severity
	where := "stored"
	if r.Live {
		where = "live: reads the calendar, the organisation or the mapping"
	}
	return Place{By: by, Where: where, Tests: []string{"iplos TestRules"}}
}

// shownAt lists the units and services at which a tablet shows a text.
func shownAt(g catalogue.Guidance) []string {
	out := slices.Clone(g.Units)
	for _, s := range g.Services {
		out = append(out, "service "+s)
	}
	return out
}
