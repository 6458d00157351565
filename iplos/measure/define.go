package measure

import (
	"maps"
	"slices"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Parts of a report.
const (
	PartGroups     = "groups"
	PartIndicators = "indicators"
	PartWaiting    = "waiting"
	PartStays      = "stays"
	PartQuality    = "quality"
	PartVariables  = "variables"
)

// define is a table that can be made: it puts each person that it asks about in one column.
// Its answer is a column, or -1 for a person whom it does not ask about.
type define struct {
	part, id, nb, en string
	columns          []string
	of               func(*subject) int
	hours            bool // with the mean of granted hours
}

var yesNo = []string{"yes", "no", "unknown"}

// today are the tables about persons with a service on the day. No two of them may ask the same:
// what is hidden in one must not follow from others. That is why nutrition is one table and not
// three, and why a variable that is a function group by itself has no table of its own.
func today(groups Groups, day catalogue.Date) []define {
	var out []define
	for _, g := range groups.Groups {
		out = append(out, define{PartGroups, g.ID, g.NB, g.EN, groups.columns(g), func(s *subject) int { return groups.column(g, s.scores) }, true})
	}
	out = append(out, indicators...)
	out = append(out, quality...)
	return append(out, variables(groups, day)...)
}

// columns of a group. Where one variable makes the group, what is unknown is told apart, for
// that is the quality of the variable.
func (g Groups) columns(group Group) []string {
	if len(group.Scores) == 1 {
		return []string{"low", "middle", "high", "nine", "missing"}
	}
	return []string{"low", "middle", "high", "unknown"}
}

func (g Groups) column(group Group, of map[string]int) int {
	var scores []int
	for _, name := range group.Scores {
		scores = append(scores, of[name])
	}
	level := g.Level(scores)
	if level == LevelUnknown && len(scores) == 1 && scores[0] == 0 {
		level++
	}
	return level
}

var indicators = []define{
	{PartIndicators, "medication_review", "Legemiddelgjennomgang siste 12 måneder, langtidsopphold", "Medication review in the last 12 months, long stays", yesNo, func(s *subject) int {
		switch {
		case s.kind != kindLong:
			return -1
		case s.review == nil:
			return 2
		case s.review.Code == "1" && s.review.DoctorConfirmed && lastYear(string(s.review.Date), s.day):
			return 0
		}
		return 1
	}, false},
	{PartIndicators, "doctor", "Vurdert av lege siste 12 måneder, langtidsopphold", "Assessed by doctor in the last 12 months, long stays", yesNo, func(s *subject) int {
		switch {
		case !s.long():
			return -1
		case s.doctor == "":
			return 2
		case lastYear(string(s.doctor), s.day):
			return 0
		}
		return 1
	}, false},
	{PartIndicators, "nutrition", "Ernæring siste 12 måneder, opphold i institusjon", "Nutrition in the last 12 months, stays", []string{"no_risk", "risk_plan", "risk_no_plan", "risk_unknown", "not_mapped", "unknown"}, func(s *subject) int {
		n := s.nutrition
		switch {
		case !s.old():
			return -1
		case n == nil:
			return 5
		case n.Mapped != "1" || !lastYear(string(n.Date), s.day):
			return 4
		case n.Risk == "2":
			return 0
		case n.Risk != "1":
			return 3
		case n.Plan == "1":
			return 1
		}
		return 2
	}, false},
	{PartIndicators, "home_high", "Hjemmeboende med minst 35,5 timer per uke", "At home with at least 35.5 hours a week", yesNo, func(s *subject) int {
		switch {
		case s.institution():
			return -1
		case s.minutes >= highMinutes:
			return 0
		case s.unsaid:
			return 2
		}
		return 1
	}, false},
}

// quality are statistics of how complete and how fresh the record is (domain.md 4.4).
var quality = []define{
	{PartQuality, "assessment_age", "Alder på siste funksjonsvurdering", "Age of the newest function assessment", []string{"under_6_months", "6_12_months", "1_2_years", "over_2_years", "none"}, func(s *subject) int {
		switch d := s.day.Time(); {
		case s.assessed == "":
			return 4
		case s.assessed.Time().After(d.AddDate(0, -6, 0)):
			return 0
		case s.assessed.Time().After(d.AddDate(-1, 0, 0)):
			return 1
		case s.assessed.Time().After(d.AddDate(-2, 0, 0)):
			return 2
		}
		return 3
	}, false},
	{PartQuality, "diagnosis", "Diagnose registrert", "A diagnosis is registered", yesNo[:2], func(s *subject) int { return flag(s.diagnosed) }, false},
	{PartQuality, "org_number", "Alle løpende tjenester som skal ha det, har organisasjonsnummer", "All running services that shall have an organisation number have one", yesNo[:2], func(s *subject) int { return flag(s.number) }, false},
	{PartQuality, "application_date", "Alle løpende tjenester som skal ha det, har søknadsdato", "All running services that shall have an application date have one", yesNo[:2], func(s *subject) int {
		for _, service := range s.running {
			if service.Kind != nil && service.Kind.Requires.Application && service.Application == nil {
				return 1
			}
		}
		return 0
	}, false},
}

func flag(yes bool) int {
	if yes {
		return 0
	}
	return 1
}

// variables are the shares of what is always to be registered, of those of the catalogue that
// are valid on the day.
func variables(groups Groups, day catalogue.Date) (out []define) {
	alone := map[string]bool{}
	for _, g := range groups.Groups {
		if len(g.Scores) == 1 {
			alone["score/"+g.Scores[0]] = true
		}
	}
	seen := map[string]bool{}
	for _, v := range catalogue.Default().Variables {
		if v.Mandatory != "always" || v.Unit == "" || v.Closed || v.From > day || v.To != "" && v.To < day || seen[v.Unit] || alone[v.Unit] {
			continue
		}
		seen[v.Unit] = true
		d := define{part: PartVariables, id: v.ID, nb: v.NB, en: v.EN, columns: []string{"registered", "missing"}, of: registered(v.Unit)}
		switch {
		case v.Value == "score":
			d.columns, d.of = []string{"scored", "nine", "missing"}, scored(v.Unit[len("score/"):])
		case v.Unit == "health/nutrition": // those on stays are in the indicator
			d.nb, d.en = v.NB+" (hjemmeboende)", v.EN+" (at home)"
			all := d.of
			d.of = func(s *subject) int {
				if s.institution() {
					return -1
				}
				return all(s)
			}
		}
		out = append(out, d)
	}
	return out
}

func registered(unit string) func(*subject) int {
	return func(s *subject) int { return flag(s.has[model.Unit(unit)]) }
}

func scored(name string) func(*subject) int {
	return func(s *subject) int {
		switch n := s.scores[name]; {
		case n >= 1 && n <= 5:
			return 0
		case n == 9:
			return 1
		}
		return 2
	}
}

// Columns lists the ids that columns of tables can have.
func Columns() []string {
	seen := map[string]bool{}
	o := Options{Groups: Default(), Date: "2026-01-01", Section: noSection}
	for _, p := range populations(o) {
		for i := range p.defs {
			for _, c := range p.defs[i].columns {
				seen[c] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func noSection(store.View, model.PersonID, string, func(model.Act, model.Millis, []byte) bool) ([]*model.UnitState, error) {
	return nil, nil
}
