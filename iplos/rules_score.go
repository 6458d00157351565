package iplos

import (
	"fmt"
	"slices"

	"flette/model"
	"flette/model/catalogue"
)

func r14(_ *Record, u *model.UnitState, p *report) {
	if _, ok := model.ScoreOf(u.Shown().Value); !ok {
		p.add(u.Unit, "The score is none of 1, 2, 3, 4, 5 and 9.")
	}
}

// r18: help from relatives is need, and shows in the scores as need.
func r18(r *Record, p *report) {
	const help = model.Unit("person/private_unpaid_help")
	v := shown[catalogue.Coded](r.unit(help).Shown())
	scores := r.units("score")
	if v == nil || v.Code == "6" || len(scores) == 0 {
		return
	}
	for _, u := range scores {
		if n, ok := model.ScoreOf(u.Shown().Value); ok && n >= 3 && n <= 5 {
			return
		}
	}
	p.add(help, "Private help is registered, but no score says that a person is needed. Help from relatives counts as need.")
}

const adultAge = 18

// isAdult takes everybody to be an adult whose birth date is not known.
func (r *Record) isAdult(at catalogue.Date) bool {
	born := r.born()
	return born == "" || at >= after(born, adultAge, 0)
}

func (r *Record) born() catalogue.Date {
	if r.set.BirthDate == nil {
		return ""
	}
	d := catalogue.Date(r.set.BirthDate(r.doc()))
	if d.Time().IsZero() {
		return ""
	}
	return d
}

// manyNines is the least number of nines worth a warning (R19).
const manyNines = 5

// r19 leaves out persons whose only service is a safety alarm: they may have no need (R26).
func r19(r *Record, p *report) {
	var nines, known int
	for _, u := range r.units("score") {
		n, ok := model.ScoreOf(u.Shown().Value)
		if !ok {
			continue
		}
		known++
		if n == 9 && r.isAdult(assessedOn(u.Shown())) {
			nines++
		}
	}
	if nines < manyNines || nines*2 <= known || r.onlyAlarm() {
		return
	}
	p.add("", fmt.Sprintf("%d of %d scores are 9, which tells nothing. For an adult 1 says that there is no need.", nines, known))
}

func (r *Record) onlyAlarm() bool {
	for _, s := range r.all() {
		if s.Type != "6" {
			return false
		}
	}
	return len(r.all()) > 0
}

func r20(r *Record, u *model.UnitState, p *report) {
	switch u.Unit {
	case "score/assist_toilet", "score/vision", "score/hearing":
	default:
		return
	}
	if n, ok := model.ScoreOf(u.Shown().Value); ok && n == 9 && r.isAdult(assessedOn(u.Shown())) {
		p.add(u.Unit, "The score is 9. Whether an adult can use the toilet, see and hear is relevant to know.")
	}
}

func r22(_ *Record, u *model.UnitState, p *report) {
	if h := u.Shown(); h.Actor == "" || h.Device.IsZero() || h.Stamp.TEff == 0 {
		p.add(u.Unit, "The registration lacks its date or its signature.")
	}
}

// r23: while a review is open several registrations stand beside each other.
func r23(_ *Record, u *model.UnitState, p *report) {
	if u.Class.NeedsReview() {
		p.add(u.Unit, "Not settled: several registrations stand beside each other until a supervisor decides.")
	}
}

func r24(r *Record, p *report) {
	if !r.hasGrant() {
		return
	}
	missing, total := 0, 0
	for _, v := range catalogue.Default().Variables {
		if v.Value != "score" || v.Closed || v.To != "" {
			continue
		}
		total++
		if r.unit(model.Unit(v.Unit)) == nil {
			missing++
		}
	}
	if missing > 0 {
		p.add("", fmt.Sprintf("%d of %d function variables have never been registered.", missing, total))
	}
}

func (r *Record) hasGrant() bool {
	for _, s := range r.all() {
		if s.Granted() {
			return true
		}
	}
	return false
}

// r25 wants an assessment, or a confirmation of one (R29), not older than the period at
// every decision. Only shown registrations are looked at: once a variable is assessed anew
// its earlier date is history, so a later assessment counts as well.
func r25(r *Record, p *report) {
	if !slices.ContainsFunc(r.all(), func(s *Service) bool { return s.Grant != nil }) {
		return
	}
	var newest catalogue.Date
	for _, u := range r.units("score") {
		newest = max(newest, assessedOn(u.Shown()))
	}
	for _, s := range r.all() {
		if s.Grant != nil && newest < after(s.Grant.Date, 0, -r.set.AssessmentDays) {
			p.add(s.Unit("grant"), fmt.Sprintf("No assessment in the %d days before the decision.", r.set.AssessmentDays))
		}
	}
}
