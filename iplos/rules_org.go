package iplos

import (
	"slices"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
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
	r70list(r, p)
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

// r70list holds the numbers against the list of the year: that in which the service is reported
// now, or was when it ended. A stay is no service type, so the list says nothing of it; and of a
// year without a list nothing is known.
func r70list(r *Record, p *report) {
	for _, s := range r.all() {
		if s.Kind == nil || s.Start == nil || !carriesNumber(s) {
			continue
		}
		day := r.today
		if s.End != nil {
			day = min(day, s.End.Date)
		}
		unit, at, _ := r.orgEvent(s)
		number, _, err := orgNumberAt(r.view, unit, string(day))
		r.failed(err)
		if number == "" || !orgNumberOK(number) {
			continue
		}
		list, listed, err := store.NewestList(r.view, store.OrgNumbersOf(string(day[:4])))
		r.failed(err)
		if !listed || r.err != nil {
			continue
		}
		rows, err := store.RowsOf(r.view, list.Seq, number)
		r.failed(err)
		switch {
		case r.err != nil:
		case len(rows) == 0:
			p.addAs(Missing, at, "The organisation number of the unit is not in the list of the year "+string(day[:4])+".")
		case !slices.Contains(rows[0].Types, s.Type):
			p.addAs(Missing, at, "In the list of the year "+string(day[:4])+" the organisation number of the unit is not for this type of service.")
		}
	}
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
