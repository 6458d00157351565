package flow

import (
	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
)

// Unapproved is the stage of a planned measure that the municipality has decided and the
// county governor has neither approved nor rejected (R59).
const Unapproved Stage = "unapproved"

// CoercionStage says where a measure stands on a day. None has an application. An emergency is
// documented when it is over; a planned measure waits for the county governor; of health care
// by force the end is that of its decision, which holds for a year at most. An end that passes
// is confirmed by a supervisor like that of a service (R107).
func CoercionStage(v catalogue.Coercion, today catalogue.Date) Stage {
	switch last := iplos.LastDay(v); {
	case v.Rejected:
		return Rejected
	case v.Type == "23" || v.End != "" && v.End < today:
		return Ended
	case v.Start == "":
		return Unapproved
	case last != "" && last < today:
		return RunOut
	}
	return Running
}

func coercionTasks(unit model.Unit, v catalogue.Coercion, o Options) []Item {
	item := Item{Unit: unit, Type: v.Type, Stage: CoercionStage(v, o.Today)}
	switch last := iplos.LastDay(v); {
	case item.Stage == Unapproved:
		item.Task, item.Date = AwaitApproval, v.Decided
	case item.Stage == RunOut && o.Finding("R107", unit) == open:
		item.Task, item.Date = DecideRunOut, last
	case item.Stage == Ended && o.Finding("R107", unit) == open:
		item.Task, item.Date = ConfirmEnd, v.End
	case item.Stage == Running && last != "" && last <= plus(o.Today, 0, o.Ahead):
		item.Task, item.Date = RenewDecision, last
	default:
		return nil
	}
	return []Item{item}
}
