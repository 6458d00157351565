package catalogue

import "flette/model"

const (
	yes         = "1"
	no          = "2"
	notRelevant = "9"
)

// Judged reports whether the risk rests on professional judgement, as when the person
// refuses questions or weighing, and not on the three questions.
func (v Nutrition) Judged() bool { return v.Basis == "professional_judgement" }

// Answered counts the answered questions.
func (v Nutrition) Answered() int {
	n := 0
	for _, q := range []string{v.WeightLoss, v.ReducedIntake, v.BMILow} {
		if q != "" {
			n++
		}
	}
	return n
}

// ScreenedRisk is the risk that the three questions give: "1" after any yes, "2" after
// three times no, "" while they are incomplete.
func (v Nutrition) ScreenedRisk() string {
	switch {
	case v.WeightLoss == yes || v.ReducedIntake == yes || v.BMILow == yes:
		return yes
	case v.Answered() == 3:
		return no
	}
	return ""
}

// check is R34 and the decision table of the guide. One answer is enough to count as mapped;
// that the questions are incomplete is a finding for the municipality, not an error here.
func (v Nutrition) check(s scope) *model.Problem {
	const code = "nutrition-inconsistent"
	mapped := v.Mapped == yes
	if v.Answered() > 0 && !mapped {
		return broken("R34", code, "/mapped", "nutrition is mapped (1) once a question is answered")
	}
	if mapped && v.Answered() == 0 && !v.Judged() {
		return broken("R34", code, "/mapped", "nutrition is mapped by an answer or by professional judgement")
	}
	switch {
	case v.Judged():
	case !mapped && v.Risk == notRelevant:
	case v.Risk != v.ScreenedRisk():
		return broken("R34", code, "/risk", "the risk does not follow from the questions: 1 after a yes, 2 after three times no, otherwise unset")
	}
	if v.Plan == yes && v.Risk != yes {
		return broken("R34", code, "/plan", "a plan is made for a person at risk")
	}
	return s.notFuture(v.Date, "/date")
}
