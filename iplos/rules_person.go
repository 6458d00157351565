package iplos

import (
	"slices"
	"sync"

	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
	"flette/store"
)

// r1 takes the verdict of the import: the number itself is sealed.
func r1(r *Record, p *report) {
	if d := r.doc(); d.IDIssue != "" {
		p.add("", "The identity number is not valid ("+d.IDIssue+").")
	}
}

func r2(r *Record, p *report) {
	d := r.doc()
	switch {
	case d.ID.IsZero():
	case d.IDIssue != "":
		p.addAs(Blocking, "", "Left out of every production extract: the identity number is not valid.")
	case d.Test:
		p.add("", "Left out of every production extract: a test person.")
	case !givesKPRID(d.IDType):
		p.add("", "The register cannot tell who the person is: this type of identity number gives no register id.")
	}
}

func givesKPRID(idType string) bool {
	for _, c := range catalogue.Default().CodeLists["9032"] {
		if c.Code == idType {
			return c.GivesKPRID
		}
	}
	return false
}

const osloKommune = "0301"

func r3(r *Record, p *report) {
	d := r.doc()
	if d.ID.IsZero() {
		return
	}
	if _, err := ident.ParseKommune(d.Kommune); err != nil {
		p.add("", "The municipality of residence is missing or has not four digits.")
		return
	}
	switch {
	case d.Kommune == osloKommune && (!ident.District(d.District).Regular() || d.District < "01" || d.District > "15"):
		p.add("", "A person who lives in Oslo is registered with a district, 01 to 15.")
	case d.District != "" && !ident.District(d.District).Regular():
		p.add("", "A district has two digits.")
	}
}

// r3list holds the municipality of residence against the list of municipalities, when there is
// one. A number that a reform has ended can be sent, and is to be changed; one that never was is wrong.
func r3list(r *Record, p *report) {
	d := r.doc()
	k, err := ident.ParseKommune(d.Kommune)
	if d.ID.IsZero() || err != nil || k.Special() {
		return
	}
	m, err := store.MunicipalityOf(r.view, d.Kommune)
	r.failed(err)
	switch today := string(r.today); {
	case r.err != nil, !m.Listed, m.Existed(today, today):
	case m.Known:
		p.add("", "The municipality of residence does not exist today, says the list of municipalities: register the one that has taken its place.")
	default:
		p.addAs(Blocking, "", "The list of municipalities has no municipality with the number of residence.")
	}
}

// always lists what is registered on every recipient: what the catalogue says is mandatory
// now, but for what other rules ask (scores R24, nutrition R35, rehabilitation R67).
var always = sync.OnceValue(func() []catalogue.Variable {
	var out []catalogue.Variable
	for _, v := range catalogue.Default().Variables {
		section := model.Unit(v.Unit).Section()
		if v.Mandatory == "always" && v.To == "" && v.Unit != rehabUnit && slices.Contains([]string{"person", "participation", "status"}, section) {
			out = append(out, v)
		}
	}
	return out
})

// r9 asks it of everybody who has a service, or applied for one.
func r9(r *Record, p *report) {
	if len(r.all()) == 0 {
		return
	}
	for _, v := range always() {
		// Of what has an old answer, R76 says that it is to be chosen anew.
		if unit := model.Unit(v.Unit); r.unit(unit) == nil && r.oldAnswer(unit) == nil {
			p.add(unit, "Not registered: "+lowerFirst(v.EN)+".")
		}
	}
}

// r10: a resident is never alone in the household. Short stays change nothing.
func r10(r *Record, p *report) {
	const household = model.Unit("person/household")
	v := shown[catalogue.Coded](r.unit(household).Shown())
	if v == nil || v.Code == "2" {
		return
	}
	for _, s := range r.all() {
		if s.Running() && s.Type == "21" {
			p.add(household, "The person lives in an institution, which is with others (2).")
			return
		}
	}
}

// r84 finds what is dated after the death. Ends and answers are naturally registered later,
// so it is the date of what happened that counts, not that of the registration.
func r84(r *Record, p *report) {
	head := r.unit("person/death_date").Shown()
	death := shown[catalogue.Death](head)
	if death == nil {
		return
	}
	late := func(severity string, u model.Unit, d catalogue.Date, what string) {
		if d > death.Date {
			p.addAs(severity, u, what+" is dated after the person's death: one of the dates, or the person, is wrong.")
		}
	}
	for _, section := range []string{"score", "participation", "health"} {
		for _, u := range r.units(section) {
			late(Missing, u.Unit, assessedOn(u.Shown()), "The registration")
		}
	}
	for _, s := range r.all() {
		if s.Granted() {
			late(Missing, s.Unit("grant"), s.Grant.Date, "The decision")
		}
		if s.Start != nil {
			late(Blocking, s.Unit("start"), s.Start.Date, "The start")
		}
	}
	for _, u := range r.units("stay") {
		if v := shown[catalogue.Stay](u.Shown()); v != nil {
			late(Missing, u.Unit, v.From, "The stay")
		}
	}
	for _, u := range r.units("coercion") {
		if v := shown[catalogue.Coercion](u.Shown()); v != nil {
			late(Missing, u.Unit, v.Start, "The measure")
		}
	}
	// Only a dead person's visits are walked, and there will be few after the death.
	for _, u := range r.scan(timeSection) {
		t, err := readTime(r.view, r.id, u)
		if err != nil {
			r.fail(err)
		}
		if t != nil {
			late(Missing, u.Unit, dateOf(t.Start), "The visit")
		}
	}
}

// assessedOn is the day that a registration speaks of: the one it names, else the day it
// was signed.
func assessedOn(head *model.Head) catalogue.Date {
	// Nearly every score is bare and names no day.
	if len(head.Value) > len(`{"score":1}`) {
		if v := shown[catalogue.Score](head); v != nil && v.Assessed != "" {
			return v.Assessed
		}
	}
	return dateOf(head.Stamp.TEff)
}
