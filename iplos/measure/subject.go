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

// Kinds of living, by the services that run on the day. They share the persons out. The last
// two hold those under 67 when ages are asked for: else everybody is in the others.
const (
	kindHome = iota
	kindShort
	kindLong
	kindShortYoung
	kindLongYoung
	kinds
)

// homeServices are those whose granted hours are summed up (domain.md 4.3).
var homeServices = []string{"1", "2", "3", "4", "7", "9", "11", "15", "17", "22"}

// highMinutes is 35.5 hours.
const highMinutes = 35*60 + 30

// oldAge is that of the national indicators.
const oldAge = 67

// subject is what is counted of one person.
type subject struct {
	day       catalogue.Date
	services  []*iplos.Service
	running   []*iplos.Service // those that run on the day
	kind      int
	minutes   int  // granted a week, over homeServices
	unsaid    bool // one of these has no granted hours
	scores    map[string]int
	assessed  catalogue.Date // day of the newest score
	has       map[model.Unit]bool
	diagnosed bool
	number    bool // each running service that shall have an organisation number has one
	nutrition *catalogue.Nutrition
	review    *catalogue.MedicationReview
	doctor    catalogue.Month
	stays     map[string]stayed // by table
}

func (s *subject) institution() bool { return s.kind != kindHome }

func (s *subject) long() bool { return s.kind == kindLong || s.kind == kindLongYoung }

// old are the residents of whom indicators with an age limit ask.
func (s *subject) old() bool { return s.kind == kindShort || s.kind == kindLong }

// reader reads persons one by one.
type reader struct {
	v store.View
	o Options
}

// read reads a person; nil for one without any service.
func (r *reader) read(p *store.Person) (*subject, error) {
	services, err := iplos.Services(r.v, p.ID)
	if err != nil || len(services) == 0 {
		return nil, err
	}
	s := &subject{day: catalogue.Date(r.o.Date), services: services, scores: map[string]int{}, has: map[model.Unit]bool{}, stays: map[string]stayed{}}
	for _, service := range services {
		if service.Rejected() || service.Start == nil || service.Start.Date > s.day || service.End != nil && service.End.Date < s.day {
			continue
		}
		s.running = append(s.running, service)
		switch code := service.TypeOn(s.day); {
		case code == "21":
			s.kind = kindLong
		case slices.Contains([]string{"18", "19", "20"}, code):
			s.kind = max(s.kind, kindShort)
		case slices.Contains(homeServices, code):
			s.minutes += service.Minutes()
			s.unsaid = s.unsaid || service.Grant == nil || service.Grant.Minutes == nil
		}
	}
	if r.o.Born != nil && s.institution() && !oldOn(r.o.Born(p), s.day) {
		s.kind += kindShortYoung - kindShort
	}
	if err := r.ended(s, p); err != nil {
		return nil, err
	}
	if len(s.running) == 0 {
		return s, nil
	}
	s.number = r.numbers(s, p)
	return s, r.units(s, p.ID)
}

// oldOn: who was born on 29 February is older by a year on 1 March.
func oldOn(born string, day catalogue.Date) bool {
	d := catalogue.Date(born).Time()
	return !d.IsZero() && d.AddDate(oldAge, 0, 0).Format(time.DateOnly) <= string(day)
}

// sections are those that reports read; time is not among them, for it grows with every visit.
var sections = []string{"person/", "score/", "participation/", "health/", "status/", "assessed/", "diagnosis/"}

func (r *reader) units(s *subject, person model.PersonID) (err error) {
	for _, section := range sections {
		err = r.v.Units(person, section, "", func(u *model.UnitState) bool {
			if head := u.Shown(); head != nil {
				s.take(u.Unit, head)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *subject) take(unit model.Unit, head *model.Head) {
	s.has[unit] = true
	if replaced[unit] {
		if now := catalogue.Default().ReadAt(unit, head.Value, s.day); now.Old && now.Value != nil {
			s.has[now.Unit] = true
		}
	}
	switch name := strings.TrimPrefix(string(unit), "score/"); {
	case name != string(unit):
		if v := shown[catalogue.Score](head); v != nil {
			s.scores[name] = v.Score
			s.assessed = max(s.assessed, assessedOn(v, head))
		}
	case strings.HasPrefix(name, "diagnosis/"):
		s.diagnosed = true
	case name == "health/nutrition":
		s.nutrition = shown[catalogue.Nutrition](head)
	case name == "health/medication_review_nursing_home":
		s.review = shown[catalogue.MedicationReview](head)
	case name == "assessed/doctor":
		if v := shown[catalogue.Assessed](head); v != nil {
			s.doctor = v.Month
		}
	}
}

// replaced are the units of variables in whose place others came.
var replaced = func() map[model.Unit]bool {
	out := map[model.Unit]bool{}
	for _, v := range catalogue.Default().Variables {
		if v.ReadAs != nil {
			out[model.Unit(v.Unit)] = true
		}
	}
	return out
}()

func shown[T any](head *model.Head) *T {
	v, err := catalogue.Decode[T](head.Value)
	if err != nil {
		return nil // R11 tells
	}
	return &v
}

// assessedOn is the day that a score is of: the one it names, else that of its signature.
func assessedOn(v *catalogue.Score, head *model.Head) catalogue.Date {
	if v.Assessed != "" {
		return v.Assessed
	}
	return catalogue.Date(model.DateInOslo(head.Stamp.TEff))
}

// numbers reports whether each running service that shall have an organisation number has one:
// that of the unit that gives it, on the day it began to (R69).
func (r *reader) numbers(s *subject, p *store.Person) bool {
	for _, service := range s.running {
		if service.Kind == nil || service.Kind.Requires.OrgNumber != "shall" {
			continue
		}
		unit, date := p.Unit, service.Start.Date
		if service.Provider != nil && service.Provider.From <= s.day {
			unit, date = service.Provider.Unit, max(date, service.Provider.From)
		}
		if _, _, ok := iplos.OrgNumberAt(r.v, unit, string(date)); !ok {
			return false
		}
	}
	return true
}

// lastYear reports whether a day or month lies in the twelve months up to a day.
func lastYear(when string, day catalogue.Date) bool {
	from := moved(day, -1, 0)
	return when > string(from)[:len(when)] && when <= string(day)[:len(when)]
}

// moved is a date some years and days later.
func moved(d catalogue.Date, years, days int) catalogue.Date {
	return catalogue.Date(d.Time().AddDate(years, 0, days).Format(time.DateOnly))
}
