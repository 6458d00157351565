package measure

import (
	"slices"
	"strings"
	"time"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Kinds of living, by the services that run on the day. They share the persons out.
const (
	kindHome = iota
	kindShort
	kindLong
	kinds
)

// homeServices are those whose granted hours are summed up (domain.md 4.3).
var homeServices = []string{"1", "2", "3", "4", "7", "9", "11", "15", "17", "22"}

// highMinutes is 35.5 hours.
const highMinutes = 35*60 + 30

// subject is what is counted of one person.
type subject struct {
	kind      int
	scores    map[string]int
	minutes   int  // granted a week, over homeServices
	unsaid    bool // one of these has no granted hours
	nutrition *catalogue.Nutrition
	review    *catalogue.MedicationReview
	doctor    catalogue.Month
}

// read reads a person; nil for one without a service on the day.
func read(v store.View, person model.PersonID, day catalogue.Date) (*subject, error) {
	services, err := iplos.Services(v, person)
	if err != nil {
		return nil, err
	}
	s, running := &subject{scores: map[string]int{}}, false
	for _, service := range services {
		if service.Rejected() || service.Start == nil || service.Start.Date > day || service.End != nil && service.End.Date < day {
			continue
		}
		running = true
		switch code := service.TypeOn(day); {
		case code == "21":
			s.kind = kindLong
		case slices.Contains([]string{"18", "19", "20"}, code):
			s.kind = max(s.kind, kindShort)
		case slices.Contains(homeServices, code):
			s.minutes += service.Minutes()
			s.unsaid = s.unsaid || service.Grant == nil || service.Grant.Minutes == nil
		}
	}
	if !running {
		return nil, nil
	}
	err = v.Units(person, "score/", "", func(u *model.UnitState) bool {
		if score := shown[catalogue.Score](u); score != nil {
			s.scores[strings.TrimPrefix(string(u.Unit), "score/")] = score.Score
		}
		return true
	})
	for unit, take := range map[model.Unit]func(*model.UnitState){
		"health/nutrition":                      func(u *model.UnitState) { s.nutrition = shown[catalogue.Nutrition](u) },
		"health/medication_review_nursing_home": func(u *model.UnitState) { s.review = shown[catalogue.MedicationReview](u) },
		"assessed/doctor": func(u *model.UnitState) {
			if a := shown[catalogue.Assessed](u); a != nil {
				s.doctor = a.Month
			}
		},
	} {
		u, readErr := v.Unit(person, unit)
		if readErr != nil && err == nil {
			err = readErr
		}
		take(u)
	}
	return s, err
}

func shown[T any](u *model.UnitState) *T {
	head := u.Shown()
	if head == nil {
		return nil
	}
	v, err := catalogue.Decode[T](head.Value)
	if err != nil {
		return nil // R11 tells
	}
	return &v
}

// lastYear reports whether a day or month lies in the twelve months up to a day.
func lastYear(when string, day catalogue.Date) bool {
	from := day.Time().AddDate(-1, 0, 0).Format(time.DateOnly)
	return when > from[:len(when)] && when <= string(day)[:len(when)]
}

// indicator puts each person that it asks about in one column. Its answer is a column, or -1
// for a person whom it does not ask about.
type indicator struct {
	id, nb, en string
	columns    []string
	of         func(*subject, catalogue.Date) int
}

var indicators = []indicator{
	{"medication_review", "Legemiddelgjennomgang siste 12 måneder, langtidsopphold", "Medication review in the last 12 months, long stays", []string{"yes", "no", "unknown"}, func(s *subject, day catalogue.Date) int {
		switch {
		case s.kind != kindLong:
			return -1
		case s.review == nil:
			return 2
		case s.review.Code == "1" && s.review.DoctorConfirmed && lastYear(string(s.review.Date), day):
			return 0
		}
		return 1
	}},
	{"doctor", "Vurdert av lege siste 12 måneder, langtidsopphold", "Assessed by doctor in the last 12 months, long stays", []string{"yes", "no", "unknown"}, func(s *subject, day catalogue.Date) int {
		switch {
		case s.kind != kindLong:
			return -1
		case s.doctor == "":
			return 2
		case lastYear(string(s.doctor), day):
			return 0
		}
		return 1
	}},
	// One table, not three: what is mapped is what risk is asked of, and a total shown in one
	// table must not give away what is hidden in another.
	{"nutrition", "Ernæring siste 12 måneder, opphold i institusjon", "Nutrition in the last 12 months, stays", []string{"no_risk", "risk_plan", "risk_no_plan", "risk_unknown", "not_mapped", "unknown"}, func(s *subject, day catalogue.Date) int {
		n := s.nutrition
		switch {
		case s.kind == kindHome:
			return -1
		case n == nil:
			return 5
		case n.Mapped != "1" || !lastYear(string(n.Date), day):
			return 4
		case n.Risk == "2":
			return 0
		case n.Risk != "1":
			return 3
		case n.Plan == "1":
			return 1
		}
		return 2
	}},
	{"home_high", "Hjemmeboende med minst 35,5 timer per uke", "At home with at least 35.5 hours a week", []string{"yes", "no", "unknown"}, func(s *subject, _ catalogue.Date) int {
		switch {
		case s.kind != kindHome:
			return -1
		case s.minutes >= highMinutes:
			return 0
		case s.unsaid:
			return 2
		}
		return 1
	}},
}
