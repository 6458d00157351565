package iplos

import (
	"flette/model"
	"flette/model/catalogue"
)

// orgEvent is the newest event of a service that carries an organisation number, and the
// unit it is taken from: the registered provider, else the person's home unit.
func (r *Record) orgEvent(s *Service) (unit string, at model.Unit, date catalogue.Date) {
	unit, at, date = r.doc().Unit, s.Unit("start"), s.Start.Date
	if s.Provider != nil {
		unit = s.Provider.Unit
		if s.Provider.From > date {
			at, date = s.Unit("provider"), s.Provider.From
		}
	}
	return unit, at, date
}

// number resolves the organisation number of a started service (R69).
func (r *Record) number(s *Service) (number string, at model.Unit) {
	unit, at, date := r.orgEvent(s)
	number, _, err := orgNumberAt(r.view, unit, string(date))
	if err != nil {
		r.fail(err)
	}
	return number, at
}

func r69(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Kind == nil || s.Start == nil || s.Kind.Requires.OrgNumber != "shall" {
			continue
		}
		if number, at := r.number(s); number == "" && r.err == nil {
			p.add(at, "No organisation number: neither the unit nor any above it has one at that date.")
		}
	}
}

func r70(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Kind == nil || s.Start == nil || !carriesNumber(s) {
			continue
		}
		if number, at := r.number(s); number != "" && !orgNumberOK(number) {
			p.add(at, "The organisation number of the unit is not valid: it has 9 digits and a control digit.")
		}
	}
	for _, u := range r.units("stay") {
		if v := shown[catalogue.Stay](u.Shown()); v != nil && v.OrgNumber != "" && !orgNumberOK(v.OrgNumber) {
			p.add(u.Unit, "The organisation number is not valid: it has 9 digits and a control digit.")
		}
	}
}

// carriesNumber reports whether a number on the service is sent. For types of which no
// source says so, it is.
func carriesNumber(s *Service) bool {
	switch s.Kind.Requires.OrgNumber {
	case "shall", "can", "unknown":
		return true
	}
	return false
}

func r71(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Kind != nil && s.Provider != nil && s.Kind.Requires.OrgNumber == "shall_not" {
			p.add(s.Unit("provider"), "This type of service carries no organisation number: the provider is not sent.")
		}
	}
	for _, u := range r.units("stay") {
		if v := shown[catalogue.Stay](u.Shown()); v != nil && v.Kind == "specialist" && v.OrgNumber == "" {
			p.add(u.Unit, "A stay in a specialist institution carries the institution's organisation number.")
		}
	}
}
