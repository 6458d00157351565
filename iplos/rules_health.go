package iplos

import (
	"flette/model"
	"flette/model/catalogue"
)

// ownRule lists the rules that a rule of this package tells about by itself.
var ownRule = map[string]bool{"R14": true, "R30": true, "R33": true, "R34": true, "R36": true, "R42": true, "R50": true, "R51": true, "R59": true, "R70": true}

// judge asks the catalogue again. A value that is fine at signing or at receipt is fine.
func judge(u *model.UnitState) *model.Problem {
	h := u.Shown()
	p := catalogue.Default().Validate(u.Unit, h.Value, h.Stamp.TEff)
	if p != nil && h.Stamp.Hi > h.Stamp.TEff {
		p = catalogue.Default().Validate(u.Unit, h.Value, h.Stamp.Hi)
	}
	return p
}

// r11 is the second wall behind admission: a released entry may carry anything.
func r11(_ *Record, u *model.UnitState, p *report) {
	if bad := judge(u); bad != nil && !ownRule[bad.Rule] {
		p.add(u.Unit, "The value is not one that the catalogue allows ("+bad.Code+").")
	}
}

func r30(_ *Record, u *model.UnitState, p *report) {
	v := shown[catalogue.Diagnosis](u.Shown())
	switch {
	case v == nil:
	case v.Name == "" && v.From == "":
		p.add(u.Unit, "The diagnosis lacks its name and its from date.")
	case v.Name == "":
		p.add(u.Unit, "The diagnosis lacks its name.")
	case v.From == "":
		p.add(u.Unit, "The diagnosis lacks its from date.")
	}
	if v != nil && v.From != "" && v.To != "" && v.To < v.From {
		p.add(u.Unit, "The diagnosis ends before it begins.")
	}
}

const (
	reviewUnit    = model.Unit("health/medication_review_nursing_home")
	nutritionUnit = model.Unit("health/nutrition")
)

func r33(_ *Record, u *model.UnitState, p *report) {
	if u.Unit != reviewUnit && u.Unit != "health/medication_review" {
		return
	}
	v := shown[catalogue.MedicationReview](u.Shown())
	if v == nil || v.Code != "1" {
		return
	}
	if v.Date == "" {
		p.add(u.Unit, "The medication review is done but has no date.")
	}
	if !v.DoctorConfirmed {
		p.add(u.Unit, "The medication review is done but not confirmed by the doctor.")
	}
}

func r34(_ *Record, u *model.UnitState, p *report) {
	if u.Unit != nutritionUnit {
		return
	}
	if bad := judge(u); bad != nil && bad.Rule == "R34" {
		p.add(u.Unit, "The answers about nutrition do not fit together: "+bad.Detail+".")
		return
	}
	switch v := shown[catalogue.Nutrition](u.Shown()); {
	case v == nil:
	case v.Judged() && v.ScreenedRisk() == "1" && v.Risk != "1":
		p.addAs(Missing, u.Unit, "A question is answered yes, and the risk by judgement is another. Judgement stands in place of questions that were refused; correct one of them.")
	case v.Judged() && v.Risk == "":
		p.addAs(Missing, u.Unit, "The risk rests on judgement, and is not set.")
	case v.Mapped == "1" && !v.Judged() && v.ScreenedRisk() == "":
		p.addAs(Missing, u.Unit, "Two questions are answered no and the others not at all, so the risk is not known.")
	}
}

// r35 asks medication review of long stays, and nutrition of these, of home health and of
// time-limited stays.
func r35(r *Record, p *report) {
	var long, nutrition bool
	for _, s := range r.all() {
		if s.Running() {
			long = long || s.Type == "21"
			nutrition = nutrition || s.isOneOf("15", "18", "19", "20", "21")
		}
	}
	switch review := r.unit(reviewUnit); {
	case long && review == nil:
		p.add(reviewUnit, "Not registered: medication review, asked of everybody on a long-term stay.")
	case review != nil && !r.hasType("21"):
		p.add(reviewUnit, "Medication review is registered of residents in nursing homes only, and the person has no long-term stay.")
	}
	if nutrition && r.unit(nutritionUnit) == nil {
		p.add(nutritionUnit, "Not registered: nutrition, asked with home health services and stays.")
	}
}

// r103: a person who waits for a place waits at home with services, or on a short stay.
func r103(r *Record, p *report) {
	const waiting = model.Unit("status/waiting_list")
	v := shown[catalogue.YesNoDate](r.unit(waiting).Shown())
	if v == nil || v.Code != "1" {
		return
	}
	for _, s := range r.all() {
		if s.Running() {
			return
		}
	}
	p.add(waiting, "The person waits for a place and receives no service meanwhile.")
}
