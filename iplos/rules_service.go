package iplos

import (
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

func grantOf(u *model.UnitState) *catalogue.Grant {
	ref, err := model.ParseUnit(string(u.Unit))
	if err != nil || ref.Group != "grant" {
		return nil
	}
	return shown[catalogue.Grant](u.Shown())
}

func r36(_ *Record, u *model.UnitState, p *report) {
	if g := grantOf(u); g != nil && g.Minutes != nil && *g.Minutes > MaxWeekMinutes {
		p.add(u.Unit, "More than 168 hours a week are granted on one service.")
	}
}

func r42(_ *Record, u *model.UnitState, p *report) {
	if g := grantOf(u); g != nil && g.Minutes != nil && g.ResourceMinutes != nil && *g.ResourceMinutes < *g.Minutes {
		p.add(u.Unit, "The resource hours are fewer than the hours.")
	}
}

func r43(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Kind == nil || !s.Granted() {
			continue
		}
		hours, resource := catalogue.Default().HoursAllowed(s.Type, s.Rolling)
		switch {
		case !hours && s.Grant.Minutes != nil:
			p.add(s.Unit("grant"), "Hours are granted on a service that has none.")
		case hours && s.Grant.Minutes == nil:
			p.addAs(Missing, s.Unit("grant"), "The decision lacks hours per week.")
		}
		if !resource && s.Grant.ResourceMinutes != nil {
			p.add(s.Unit("grant"), "Resource hours are granted on a service that has none.")
		}
	}
}

func r46(r *Record, p *report) {
	sum := 0
	for _, s := range r.all() {
		if s.End == nil {
			sum += s.Minutes()
		}
	}
	if sum > MaxWeekMinutes {
		p.add("", "All services together are granted more than 168 hours a week.")
	}
}

// nearWeek is from where on a decision is "at or near" the whole week (R47).
const nearWeek = 160 * 60

func r47(r *Record, p *report) {
	for _, s := range r.all() {
		if s.End != nil || s.Minutes() < nearWeek {
			continue
		}
		switch s.Type {
		case "1":
			p.add(s.Unit("grant"), "Practical help nearly round the clock. Is this service given at night, and is housework done at night?")
		case "2":
			p.add(s.Unit("grant"), "Training nearly round the clock. Is there training at night, or is that another service?")
		}
	}
}

// r49 blocks what cannot be, a start before its decision or an end before its start, and
// only warns about applications, which municipalities register in different ways.
func r49(r *Record, p *report) {
	for _, s := range r.all() {
		var applied, decided, started catalogue.Date
		if s.Application != nil {
			applied = s.Application.Date
		}
		if s.Grant != nil {
			decided = s.Grant.Date
		}
		if s.Start != nil {
			started = s.Start.Date
		}
		if s.Kind != nil && s.Kind.Requires.Application && applied == "" && (decided != "" || started != "") {
			p.addAs(Missing, s.Unit("application"), "The application date is missing.")
		}
		if s.Kind != nil && s.Kind.Requires.Decision && decided == "" && started != "" {
			p.addAs(Missing, s.Unit("grant"), "The service has started without a decision.")
		}
		if applied != "" && decided != "" && applied > decided {
			p.addAs(Missing, s.Unit("application"), "The application is dated after the decision.")
		}
		if applied != "" && decided == "" && started != "" && applied > started {
			p.addAs(Missing, s.Unit("application"), "The application is dated after the start.")
		}
		if decided != "" && started != "" && decided > started {
			p.add(s.Unit("start"), "The start is before the decision.")
		}
		if s.End != nil && s.End.Date < max(decided, started) {
			p.add(s.Unit("end"), "The end is before the decision or the start.")
		}
	}
	r.r49status(p)
}

func r50(r *Record, p *report) {
	for _, s := range r.all() {
		if !s.Rejected() {
			continue
		}
		if s.Grant.Minutes != nil || s.Grant.ResourceMinutes != nil {
			p.add(s.Unit("grant"), "A rejected service carries hours.")
		}
		if s.Start != nil {
			p.add(s.Unit("start"), "A rejected service has a start.")
		}
		if s.End != nil {
			p.add(s.Unit("end"), "A rejected service has an end.")
		}
	}
}

func r51(_ *Record, u *model.UnitState, p *report) {
	ref, err := model.ParseUnit(string(u.Unit))
	if err != nil || ref.Group != "complaint" {
		return
	}
	v := shown[catalogue.Complaint](u.Shown())
	if v != nil && v.Answered != "" && (v.Received == "" || v.Answered < v.Received) {
		p.add(u.Unit, "The complaint is answered before it was received.")
	}
}

// r55 lists what the extract leaves out although it is granted, and the rolling decision
// that somebody started: it is reported unstarted, and each stay is a service of its own.
func r55(r *Record, p *report) {
	for _, s := range r.all() {
		switch {
		case !s.Granted() || s.Kind == nil:
		case s.Rolling && s.Start != nil:
			p.add(s.Unit("start"), "A rolling decision is reported without a start. Register each stay as a service of its own.")
		case !s.Rolling && s.Start == nil && s.End == nil:
			p.add(s.Unit("start"), "Granted and not started: reported once it has a start date.")
		}
	}
}

// r57: a dwelling with round-the-clock services goes with decisions that carry hours.
func r57(r *Record, p *report) {
	v := shown[catalogue.YesNoDate](r.unit("status/round_the_clock").Shown())
	if v == nil || v.Code != "1" {
		return
	}
	dwelling := (*Service)(nil)
	for _, s := range r.all() {
		if s.End == nil && s.Minutes() > 0 {
			return
		}
		if s.Running() && s.isOneOf("12", "13", "29") {
			dwelling = s
		}
	}
	if dwelling != nil {
		p.add(dwelling.Unit(""), "A dwelling with services round the clock, and no decision with hours beside it.")
	}
}

func r59(_ *Record, u *model.UnitState, p *report) {
	v := shown[catalogue.Coercion](u.Shown())
	if v == nil {
		return
	}
	if v.End > LastDay(*v) {
		p.addAs(Missing, u.Unit, "A decision on health care by force holds for a year at most.")
	}
	if v.Type == "23" && v.End != "" && dateOf(u.Shown().Stamp.TEff) > after(v.End, 0, 1) {
		p.addAs(Missing, u.Unit, "An emergency measure is documented at once after it.")
	}
	if bad := judge(u); bad != nil && bad.Rule == "R59" {
		p.add(u.Unit, "The dates of the measure do not fit: "+bad.Detail+".")
	}
}

// LastDay is the last day on which the decision on a measure covers it, "" when nothing says:
// health care by force is decided for a year at most (R59).
func LastDay(v catalogue.Coercion) catalogue.Date {
	if v.Type != "24" || v.Decided == "" {
		return v.End
	}
	year := after(v.Decided, 1, 0)
	if v.End == "" || v.End > year {
		return year
	}
	return v.End
}

func r60(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Type == "26" && s.Granted() && !r.isAdult(s.Grant.Date) {
			p.add(s.Unit("grant"), "Location technology is granted to adults without competence to consent, and the person was under 18.")
		}
	}
}

// dischargeDays is how long before a municipal service a discharge may lie to be registered.
const dischargeDays = 14

// r63 takes the end of a pause as a start: services stop during a stay and begin again. It is
// live: whether a service starts within 14 days of a discharge is known when they are over.
func r63(r *Record, p *report) {
	for _, u := range r.units("stay") {
		v := shown[catalogue.Stay](u.Shown())
		if v == nil || v.Kind != "specialist" {
			continue
		}
		switch known := after(v.To, 0, dischargeDays); {
		case v.To == "" && r.startsBetween(after(v.From, 0, 1), r.today):
			p.add(u.Unit, "A municipal service has started since the admission. If the discharge was within the 14 days before it, register it.")
		case v.To != "" && r.today > known && !r.startsBetween(v.To, known):
			p.addFrom(after(known, 0, 1), u.Unit, "The discharge is registered, but no municipal service starts within 14 days.")
		}
	}
}

func (r *Record) startsBetween(from, to catalogue.Date) bool {
	in := func(d catalogue.Date) bool { return d != "" && from <= d && d <= to }
	for _, s := range r.all() {
		if s.Start != nil && in(s.Start.Date) {
			return true
		}
		for _, pause := range s.Pauses {
			if in(pause.To) {
				return true
			}
		}
	}
	return false
}

const rehabUnit = "status/rehab_outside"

// r67: rehabilitation outside an institution was service 16; from 2019 it is a question
// about the person, asked also when it is given as part of another service.
func r67(r *Record, p *report) {
	const rehab = model.Unit(rehabUnit)
	answer := shown[catalogue.YesNoDate](r.unit(rehab).Shown())
	asked := answer != nil
	for _, s := range r.all() {
		switch {
		case s.Type == "16" && s.Start != nil && (s.End == nil || s.End.Date >= "2019-01-01"):
			if answer == nil || answer.Code == "2" && answer.Date == "" {
				p.add(s.Unit(""), "Service 16 ended with 2018. Register rehabilitation outside an institution as Ja with its date.")
			}
		case !asked && s.Running() && s.isOneOf("1", "2", "15"):
			asked = true
			p.add(rehab, "Not answered: is rehabilitation outside an institution part of the services?")
		}
	}
	r.r67criteria(p)
}

// criteriaSince is the day from which the catalogue has the criteria: what ended before is not
// asked for them.
const criteriaSince = catalogue.Date("2026-11-26")

const criteriaUnit = model.Unit("status/rehab_criteria")

// r67criteria asks for the five criteria of (re)habilitation (domain.md 1.6.1): the first three
// from the start, all five once it has ended.
func (r *Record) r67criteria(p *report) {
	for _, s := range r.all() {
		if s.Type == "19" && s.Start != nil && !s.Rejected() {
			end := catalogue.Date("")
			if s.End != nil {
				end = s.End.Date
			}
			r.criteria(p, s.Unit("rehab"), s.Rehab, s.Start.Date, end)
		}
	}
	v := shown[catalogue.YesNoDate](r.unit(rehabUnit).Shown())
	c := shown[catalogue.Rehab](r.unit(criteriaUnit).Shown())
	switch StatusOf(v) {
	case StatusActive:
		r.criteria(p, criteriaUnit, c, v.Date, "")
	case StatusEnded:
		r.criteria(p, criteriaUnit, c, "", v.Date)
	}
}

// criteria tells which are missing. What was met for an earlier time, longer before the start
// than an assessment counts at a decision (R25), is not met for this one.
func (r *Record) criteria(p *report, unit model.Unit, c *catalogue.Rehab, start, end catalogue.Date) {
	if end != "" && end < criteriaSince {
		return
	}
	from := catalogue.Date("")
	if start != "" {
		from = after(start, 0, -r.set.AssessmentDays)
	}
	if c == nil {
		c = &catalogue.Rehab{}
	}
	var missing []string
	for _, m := range []struct {
		day  catalogue.Date
		what string
		late bool // asked at the end
	}{
		{c.Mapping, "interdisciplinary mapping at the start", false},
		{c.Informed, "information on individual plan and coordinator", false},
		{c.Plan, "plan with goals and evaluation", false},
		{c.Evaluation, "evaluation meeting with the person", true},
		{c.Attainment, "goal attainment judged at the end", true},
	} {
		if (m.day == "" || m.day < from) && (!m.late || end != "") {
			missing = append(missing, m.what)
		}
	}
	if len(missing) == 0 {
		return
	}
	p.add(unit, "It is (re)habilitation only when all five criteria are met.")
	for _, what := range missing {
		p.add(unit, "Not registered: "+what+".")
	}
}

// r76 is the check that users of the register's data make, made here first.
func r76(r *Record, p *report) {
	death := shown[catalogue.Death](r.unit("person/death_date").Shown())
	for _, s := range r.all() {
		switch {
		case s.Heads[""] == nil:
			p.add(s.Unit(""), "The service has no type, so it cannot be reported.")
		case s.Kind == nil:
			p.add(s.Unit(""), "The service type is none of the code list.")
		case s.readAnew():
			p.addAs(Missing, s.Unit(""), "The service goes on after 2018 under a code of before. The register reads it as 29: register it anew.")
		}
		if s.Start == nil {
			continue
		}
		if s.Start.Date < "1980-01-01" {
			p.addAs(Missing, s.Unit("start"), "A start before 1980 is left out by the users of the data.")
		}
		if death != nil && s.End == nil {
			p.addAs(Missing, s.Unit("end"), "The person is dead and the service has no end.")
		}
	}
	for _, v := range catalogue.Default().Variables {
		if v.ReadAs == nil || !v.ReadAs.Reselect {
			continue
		}
		if unit := model.Unit(v.ReadAs.Unit); r.unit(unit) == nil && r.oldAnswer(unit) != nil {
			p.addAs(Missing, unit, "Registered with the codes of before 2019 only: choose anew among those of now.")
		}
	}
}

// readAnew reports whether the service goes on past the time of its code, and is read as another.
func (s *Service) readAnew() bool {
	return s.Kind.ReplacedBy != "" && !s.Rejected() && (s.Start != nil || s.Granted()) && (s.End == nil || s.End.Date > s.Kind.To)
}

// oldAnswer is what a variable that is over says about the one that took its place.
func (r *Record) oldAnswer(unit model.Unit) *model.UnitState {
	for _, v := range catalogue.Default().Variables {
		if v.ReadAs != nil && v.ReadAs.Reselect && v.ReadAs.Unit == string(unit) {
			return r.unit(model.Unit(v.Unit))
		}
	}
	return nil
}

// r107 keeps a person on the worklist when a service ends until somebody at the review desk
// has confirmed it: by a decision, or by registering the end there.
func r107(r *Record, p *report) {
	for _, s := range r.all() {
		h := s.Heads["end"]
		if h == nil || h.Act == model.ActDecide || r.atDesk(h.Device) {
			continue
		}
		p.add(s.Unit("end"), "The service has ended. A supervisor has not confirmed that nothing more is needed.")
	}
}

func (r *Record) atDesk(id model.DeviceID) bool {
	d, err := store.Get[store.Device](r.view, id.String())
	if err != nil {
		if !notFound(err) {
			r.fail(err)
		}
		return false
	}
	return d.Kind == "desk"
}

// r107runOut does the same for decisions whose period is over. Nothing is registered when
// that happens, so it is computed when asked.
func r107runOut(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Granted() && s.End == nil && s.Grant.To != "" && s.Grant.To < r.today {
			p.addFrom(after(s.Grant.To, 0, 1), s.Unit("grant"), "The decision has run out and the service has no end. Decide anew, or confirm the end.")
		}
	}
	for _, u := range r.units("coercion") {
		v, h := shown[catalogue.Coercion](u.Shown()), u.Shown()
		if v == nil || v.Type == "23" || v.Start == "" {
			continue // an emergency is over when it is documented
		}
		last := LastDay(*v)
		if last == "" || last >= r.today || dateOf(h.Stamp.TEff) > last && (h.Act == model.ActDecide || r.atDesk(h.Device)) {
			continue
		}
		p.addFrom(after(last, 0, 1), u.Unit, "The decision on coercion has run out. Decide anew, or confirm that the measure has ended.")
	}
}
