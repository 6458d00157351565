package flow

import (
	"cmp"
	"slices"
	"time"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
)

// Stage is how far a service has come (R48-R51, R54, R55), or coercion (R59), or the
// mapping of nutrition.
type Stage string

// Stages of a service, in the order of its life.
const (
	Unclear  Stage = "unclear"  // there is a service, and nothing that says how far it is
	Applied  Stage = "applied"  // waits for a decision
	Rejected Stage = "rejected" // the decision was no (R50)
	Granted  Stage = "granted"  // waits for its start (R54)
	Rolling  Stage = "rolling"  // respite decided for a period: never starts itself, its stays do (R55)
	Running  Stage = "running"
	RunOut   Stage = "run-out" // the period of the decision is over, and nobody has ended the service (R107)
	Ended    Stage = "ended"
)

// StageOf says where a service stands on a day. The period of a decision includes its last
// day. An end counts whatever the decision says: a service can be stopped before it starts.
func StageOf(s *iplos.Service, today catalogue.Date) Stage {
	switch {
	case s.End != nil:
		return Ended
	case s.Rejected():
		return Rejected
	case s.Granted() && s.Grant.To != "" && s.Grant.To < today:
		return RunOut
	case s.Granted() && s.Rolling:
		return Rolling
	case s.Start != nil:
		return Running
	case s.Granted():
		return Granted
	case s.Application != nil:
		return Applied
	}
	return Unclear
}

// Task is what somebody has to do about a service.
type Task string

// Tasks, the most harmful to forget first.
const (
	ConfirmEnd      Task = "confirm-end"         // it ended; a supervisor says that nothing more is needed (R107)
	DecideRunOut    Task = "decide-run-out"      // its decision has run out; decide anew or end it (R107)
	RenewDecision   Task = "renew-decision"      // its decision runs out soon (R107)
	Decide          Task = "decide"              // an application waits (R48, R53)
	AnswerComplaint Task = "answer-complaint"    // a complaint waits for its answer (R51)
	StartService    Task = "start"               // granted and not started (R54)
	ActOnNeed       Task = "act-on-need"         // a new need was seen at a visit, and there is no application since (R105)
	WaitsForPlace   Task = "waits-for-place"     // on the waiting list for long-term stay or a dwelling (R103)
	SayHowFar       Task = "say-how-far"         // neither application, decision nor start is registered (R49)
	TakeDecision    Task = "take-decision"       // it has started without a decision that it needs (R49, R53)
	AwaitApproval   Task = "await-approval"      // planned coercion that the county governor has not answered (R59)
	MakePlan        Task = "make-nutrition-plan" // at nutritional risk, and no plan (domain.md 1.4)
	MapNutrition    Task = "map-nutrition"       // said not to be mapped, or mapped more than a year ago (R35)
)

// order is the order of tasks in a list.
var order = []Task{
	ConfirmEnd, DecideRunOut, RenewDecision, ActOnNeed, Decide, AnswerComplaint, TakeDecision, AwaitApproval, StartService,
	MakePlan, MapNutrition, WaitsForPlace, SayHowFar,
}

// Item is a task and since when it waits, or for RenewDecision the last day of the decision.
type Item struct {
	Unit  model.Unit     `json:"unit"`
	Type  string         `json:"type,omitzero"`  // of a service or of coercion
	Stage Stage          `json:"stage,omitzero"` // of a service, of coercion, or of the mapping of nutrition
	Task  Task           `json:"task"`
	Date  catalogue.Date `json:"date,omitzero"`
}

// Options of a worklist.
type Options struct {
	Today catalogue.Date
	Ahead int // days before a decision runs out from which it is on the list
	// Finding is the state of the finding of a rule on a unit: "open", what a supervisor made
	// of it, or "" when the rule is not broken there.
	Finding func(rule string, unit model.Unit) string
}

const open = "open"

// WaitingList is the unit that says whether the person waits for a place (R103).
const WaitingList model.Unit = "status/waiting_list"

// Record is what the worklist reads of a person.
type Record struct {
	Services []*iplos.Service
	Needs    map[model.Unit]catalogue.Need // need/<id>
	Waiting  *catalogue.YesNoDate          // status/waiting_list

	Nutrition *Nutrition                        // health/nutrition
	Coercion  map[model.Unit]catalogue.Coercion // coercion/<id>
}

// List says what waits about a person.
func List(r Record, o Options) []Item {
	var out []Item
	for _, s := range r.Services {
		out = append(out, tasks(s, o)...)
	}
	for unit, need := range r.Needs {
		applied := slices.ContainsFunc(r.Services, func(s *iplos.Service) bool {
			return s.Application != nil && s.Application.Date >= need.Seen
		})
		if state := o.Finding("R105", unit); !applied && (state == "" || state == open) {
			out = append(out, Item{Unit: unit, Task: ActOnNeed, Date: need.Seen})
		}
	}
	if iplos.StatusOf(r.Waiting) == iplos.StatusActive {
		out = append(out, Item{Unit: WaitingList, Task: WaitsForPlace, Date: r.Waiting.Date})
	}
	for unit, v := range r.Coercion {
		out = append(out, coercionTasks(unit, v, o)...)
	}
	if item, ok := nutritionTask(r, o); ok {
		out = append(out, item)
	}
	slices.SortFunc(out, func(a, b Item) int { return cmp.Or(Compare(a, b), cmp.Compare(a.Unit, b.Unit)) })
	return out
}

// tasks lists what waits about one service; a service can wait for two things.
func tasks(s *iplos.Service, o Options) []Item {
	stage := StageOf(s, o.Today)
	var out []Item
	add := func(t Task, d catalogue.Date) {
		out = append(out, Item{Unit: s.Unit(""), Type: s.Type, Stage: stage, Task: t, Date: d})
	}
	switch stage {
	case Ended:
		if o.Finding("R107", s.Unit("end")) == open {
			add(ConfirmEnd, s.End.Date)
		}
	case RunOut:
		if o.Finding("R107", s.Unit("grant")) == open {
			add(DecideRunOut, s.Grant.To)
		}
	case Applied:
		add(Decide, s.Application.Date)
	case Granted:
		add(StartService, s.Grant.Date)
	case Unclear:
		add(SayHowFar, "")
	case Running:
		if s.Grant == nil && s.Kind != nil && s.Kind.Requires.Decision {
			add(TakeDecision, s.Start.Date)
		}
	}
	if (stage == Granted || stage == Running || stage == Rolling) && s.Granted() && s.Grant.To != "" && s.Grant.To <= plus(o.Today, 0, o.Ahead) {
		add(RenewDecision, s.Grant.To)
	}
	if c := s.Complaint; c != nil && c.Answered == "" {
		add(AnswerComplaint, c.Received)
	}
	return out
}

// Compare orders items: what is worse to forget first, then what has waited longest.
func Compare(a, b Item) int {
	return cmp.Or(slices.Index(order, a.Task)-slices.Index(order, b.Task), cmp.Compare(a.Date, b.Date))
}

func plus(d catalogue.Date, years, days int) catalogue.Date {
	return catalogue.Date(d.Time().AddDate(years, 0, days).Format(time.DateOnly))
}

// Known reports whether there is such a task.
func Known(t Task) bool {
	return slices.Contains(order, t)
}
