package flow

import (
	"flette/model"
	"flette/model/catalogue"
)

// Stages of the mapping of nutrition (domain.md 1.4), and what is expected next.
const (
	NotMapped   Stage = "not-mapped"   // not registered, or said not to be mapped: map
	NotRelevant Stage = "not-relevant" // judged not to be asked: nothing
	Unanswered  Stage = "unanswered"   // the risk is not known: answer the open question (R34 tells)
	NoRisk      Stage = "no-risk"      // map again in time
	AtRisk      Stage = "at-risk"      // no plan, or not asked: make one
	Planned     Stage = "planned"      // a plan, or judged not relevant: map again in time
)

const nutritionUnit model.Unit = "health/nutrition"

// Nutrition is the mapping of a person and the day it is from: its own date, else the day it
// was signed.
type Nutrition struct {
	Value catalogue.Nutrition
	Day   catalogue.Date
}

// NutritionStage is the decision table: what the answers come to. A risk by professional
// judgement stands in place of the questions, as when the person refuses them.
func NutritionStage(v *catalogue.Nutrition) Stage {
	if v == nil {
		return NotMapped
	}
	risk := v.ScreenedRisk()
	switch {
	case v.Judged():
		risk = v.Risk
	case v.Mapped == "9":
		return NotRelevant
	case v.Mapped != "1":
		return NotMapped
	}
	switch {
	case risk == "9":
		return NotRelevant
	case risk == "2":
		return NoRisk
	case risk != "1":
		return Unanswered
	case v.Plan == "1" || v.Plan == "9":
		return Planned
	}
	return AtRisk
}

// mapWithin is how many days after the start of a service nutrition is mapped, by type: R35,
// with the days of the national guideline.
var mapWithin = map[string]int{"15": 14, "18": 1, "19": 1, "20": 1, "21": 7}

// nutritionTask is what waits about nutrition while services run. A mapping never registered
// is a finding of R35, an open question one of R34: those are not said again. How often a
// person is mapped is the nurses' plan, monthly by the guide; after a year it is no plan, and
// the national indicator counts the person as not mapped.
func nutritionTask(r Record, o Options) (Item, bool) {
	if r.Nutrition == nil {
		return Item{}, false
	}
	due, runs := catalogue.Date(""), false
	for _, s := range r.Services {
		if StageOf(s, o.Today) != Running && !(StageOf(s, o.Today) == RunOut && s.Start != nil) {
			continue
		}
		runs = true
		if days, asked := mapWithin[s.Type]; asked {
			if d := plus(s.Start.Date, 0, days); due == "" || d < due {
				due = d
			}
		}
	}
	item := Item{Unit: nutritionUnit, Stage: NutritionStage(&r.Nutrition.Value), Task: MapNutrition}
	again := plus(r.Nutrition.Day, 1, 0)
	switch {
	case !runs:
		return item, false
	case item.Stage == AtRisk && (due == "" || again > o.Today):
		item.Task, item.Date = MakePlan, r.Nutrition.Day
		return item, true
	case due == "" || item.Stage == NotRelevant:
		return item, false
	case item.Stage == NotMapped:
		item.Date = due
	default:
		item.Date = max(again, due)
	}
	return item, item.Date <= o.Today
}
