package iplos

import (
	"time"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// The rules of here look at several sections, or at the calendar.

// lastOldDay ends the data set of before 2019.
const lastOldDay = catalogue.Date("2018-12-31")

// registeredBefore2019 reports whether the head was signed while the old data set was in use.
func registeredBefore2019(h *model.Head) bool {
	return h != nil && h.Stamp.TEff != 0 && dateOf(h.Stamp.TEff) <= lastOldDay
}

// r32: from KPR on nobody opts out of sending, so it is asked of old registrations only.
func r32(r *Record, p *report) {
	const optOut = model.Unit("health/diagnosis_reservation")
	for _, u := range r.units("diagnosis") {
		if registeredBefore2019(u.Shown()) && r.unit(optOut) == nil {
			p.add(optOut, "Diagnoses are registered, and not whether they may be sent.")
			return
		}
	}
}

// byDecision are the types of hol § 3-2 no. 6 a-d, § 3-6 and § 3-8 (R53).
var byDecision = []string{"1", "2", "3", "7", "8", "9", "11", "15", "18", "19", "20", "21", "22"}

// twoWeeks is how long a service may go without an individual decision.
const twoWeeks = 14

// r53 is live: a service passes the two weeks without any entry. Stays under a rolling
// decision have none of their own (R55).
func r53(r *Record, p *report) {
	rolling := false
	for _, s := range r.all() {
		rolling = rolling || s.Rolling && s.Granted()
	}
	for _, s := range r.all() {
		if s.Start == nil || s.Grant != nil || !s.isOneOf(byDecision...) || rolling && s.Type == "8" {
			continue
		}
		end := r.today
		if s.End != nil {
			end = s.End.Date
		}
		if over := after(s.Start.Date, 0, twoWeeks); end > over {
			p.addFrom(after(over, 0, 1), s.Unit("grant"), "The service lasts more than two weeks and has no individual decision.")
		}
	}
}

// r56 leaves alone the stays under a rolling decision, which have no decision of their own.
func r56(r *Record, p *report) {
	for _, s := range r.all() {
		if !s.isOneOf("7", "8") || !s.Granted() || s.Rolling {
			continue
		}
		if from := s.Grant.From; from != "" && s.Start != nil && s.Start.Date != from {
			p.add(s.Unit("start"), "Respite starts with the period of its decision.")
		}
		if to := s.Grant.To; to != "" && s.End != nil {
			switch {
			case s.End.Date > to:
				p.add(s.Unit("end"), "Respite ends after the period of its decision.")
			case s.End.Date < to:
				p.addAs(Missing, s.Unit("end"), "Respite ends before the period of its decision. Is it the end of a stay, and not of the service?")
			}
		}
	}
}

func r58(r *Record, p *report) {
	for _, s := range r.all() {
		v := shown[catalogue.Service](s.Heads[""])
		if v == nil || !s.isOneOf("12", "13") || !registeredBefore2019(s.Heads[""]) {
			continue
		}
		if v.Staffing == "" || v.OrdinaryStock == "" {
			p.add(s.Unit(""), "Not registered: whether the dwelling has staff, or whether it is of the ordinary housing stock.")
		}
	}
}

// r62 wants a reportable service that was there when the emergency stay began.
func r62(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Type != "25" || s.Start == nil {
			continue
		}
		known := false
		for _, o := range r.all() {
			known = known || o.Type != "25" && o.Kind != nil && o.lasts(s.Start.Date)
		}
		if !known {
			p.add(s.Unit("start"), "The person received no reportable service when the emergency stay began, so it is not registered here.")
		}
	}
}

// besideLongStay are the types that a long-term stay replaces. Dwellings, support contact,
// assistance and day activity may go on, and so may respite in an institution (R101).
var besideLongStay = []string{"1", "2", "5", "7", "11", "15", "18", "19", "20", "22"}

func r68(r *Record, p *report) {
	for _, long := range r.all() {
		if !long.Running() || long.Type != "21" {
			continue
		}
		for _, s := range r.all() {
			if s.Running() && s.isOneOf(besideLongStay...) {
				p.add(s.Unit(""), "The service runs beside a long-term stay in an institution. Has it ended?")
			}
		}
		return
	}
}

// r96 reminds of the question about the dentist when three months have passed.
func r96(r *Record, p *report) {
	const dentist = model.Unit("assessed/dentist")
	for _, s := range r.all() {
		if !s.Running() || !s.isOneOf("15", "21") {
			continue
		}
		entitled := catalogue.Date(s.Start.Date.Time().AddDate(0, 3, 1).Format(time.DateOnly))
		if r.today < entitled {
			continue
		}
		if r.unit(dentist) == nil { // read last: this runs for every person whom a list shows
			p.addFrom(entitled, dentist, "Ask about the dentist: more than three months of home health services or long-term stay give free dental care.")
		}
		return
	}
}

// r99 compares the review with what calls for a new one and has a date.
func r99(r *Record, p *report) {
	v := shown[catalogue.MedicationReview](r.unit(reviewUnit).Shown())
	if v == nil || v.Code != "1" || v.Date == "" {
		return
	}
	for _, s := range r.all() {
		if s.Running() && s.Type == "21" && s.Start.Date > v.Date {
			p.add(reviewUnit, "The person was admitted after the last medication review.")
			break
		}
	}
	for _, u := range r.units("diagnosis") {
		if d := shown[catalogue.Diagnosis](u.Shown()); d != nil && d.From > v.Date && r.hasType("21") {
			p.add(reviewUnit, "There is a new diagnosis since the last medication review.")
			return
		}
	}
}

// r104 is live: it reads the municipality's mapping, which no entry carries. A municipality
// without one is not asked for it.
func r104(r *Record, p *report) {
	for _, s := range r.all() {
		v := shown[catalogue.Service](s.Heads[""])
		if v == nil || v.Local == "" || s.Rejected() {
			continue
		}
		used, err := store.MapsServices(r.view)
		if err != nil || !used {
			r.failed(err)
			return
		}
		code, err := store.LocalServiceAt(r.view, v.Local, string(s.reckoned()))
		r.failed(err)
		switch {
		case err != nil:
		case code == "":
			p.add(s.Unit(""), "The municipality has not mapped this local service. Choose the type by the aim of the service, and have it mapped.")
		case code != s.Type && code != s.TypeOn(s.reckoned()):
			p.add(s.Unit(""), "The municipality has mapped this local service to type "+code+".")
		}
	}
}

// reckoned is the day on which a service is looked up: its start, else its decision, else the
// day it was registered.
func (s *Service) reckoned() catalogue.Date {
	switch {
	case s.Start != nil:
		return s.Start.Date
	case s.Grant != nil:
		return s.Grant.Date
	}
	return dateOf(s.Heads[""].Stamp.TEff)
}

// r105: the municipality acts as soon as it knows of a possible need. What was handled without
// an application is closed by a supervisor.
func r105(r *Record, p *report) {
	for _, u := range r.units("need") {
		v := shown[catalogue.Need](u.Shown())
		if v == nil {
			continue
		}
		applied := false
		for _, s := range r.all() {
			applied = applied || s.Application != nil && s.Application.Date >= v.Seen
		}
		if !applied {
			p.add(u.Unit, "A new need was seen, and there is no application since.")
		}
	}
}
