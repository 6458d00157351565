package flow

import (
	"flette/model"
	"flette/model/catalogue"
)

// WaitingList is the unit that says whether the person waits for a place (R103).
const WaitingList model.Unit = "status/waiting_list"

// Status is where a Ja/Nei with a date stands (domain.md 1.5).
type Status string

// Statuses.
const (
	Never   Status = "never"  // Nei without a date, or not registered
	Active  Status = "active" // Ja, since its date
	Stopped Status = "ended"  // Nei, since its date
	Unfit   Status = "unfit"  // Ja without a date, or another code
)

// StatusOf reads a value; nil is one that is not registered.
func StatusOf(v *catalogue.YesNoDate) Status {
	switch {
	case v == nil:
		return Never
	case v.Code == "1" && v.Date != "":
		return Active
	case v.Code == "2" && v.Date != "":
		return Stopped
	case v.Code == "2":
		return Never
	}
	return Unfit
}
