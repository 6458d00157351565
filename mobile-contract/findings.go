package contract

import "flette/model"

// This file holds what waits for people: findings and the worklist.

// FindingView is one broken rule on a person's merged record.
type FindingView struct {
	Rule     string         `json:"rule"`
	Severity string         `json:"severity"`
	Person   model.PersonID `json:"person"`
	Unit     model.Unit     `json:"unit,omitempty"`
	Detail   string         `json:"detail"`
	DetailNB string         `json:"detail_nb,omitempty"` // the same in Norwegian
	Owner    string         `json:"owner,omitempty"`
	Since    model.Millis   `json:"since"`
	State    string         `json:"state"`               // "open", "released" or "closed"
	Settled  *model.EntryID `json:"settled_by,omitzero"` // the release or close entry
	Reason   *model.Reason  `json:"reason,omitzero"`     // of that entry
}

// FindingList: GET /v1/findings.
type FindingList struct {
	Findings []FindingView  `json:"findings"`
	Counts   map[string]int `json:"counts,omitempty"`
	Next     string         `json:"next,omitempty"`
}

// FindingCount is how many findings of a rule are open among the persons of a unit.
type FindingCount struct {
	Owner    string        `json:"owner,omitempty"` // organisation unit; "" for persons of none
	Rule     string        `json:"rule"`
	Severity string        `json:"severity"`
	Open     int64         `json:"open"`
	Oldest   *model.Millis `json:"oldest,omitzero"` // since when the oldest holds; of now only
}

// FindingDay is what a server counted on a day.
type FindingDay struct {
	Date   string         `json:"date"` // YYYY-MM-DD, in Norway
	At     model.Millis   `json:"at"`
	Counts []FindingCount `json:"counts"`
}

// FindingCounts: GET /v1/findings/counts.
type FindingCounts struct {
	Counts []FindingCount `json:"counts"`
	Days   []FindingDay   `json:"days,omitempty"` // with `from`
}

// WorkItem is something that waits about a person, who does not fall out of the list until it
// is done (R107).
type WorkItem struct {
	Person model.PersonID `json:"person"`
	Task   string         `json:"task"` // see flow.Task
	Unit   model.Unit     `json:"unit"`
	Type   string         `json:"type,omitempty"`  // code of 9151, of a service or of coercion
	Stage  string         `json:"stage,omitempty"` // of a service, of coercion, or of the mapping of nutrition
	Date   string         `json:"date,omitempty"`  // since when it waits; of renew-decision, the last day
}

// Worklist: GET /v1/worklist.
type Worklist struct {
	Items []WorkItem `json:"items"`
	Next  string     `json:"next,omitempty"`
}

// EndSeen is a task confirm-end as it was on the screen.
type EndSeen struct {
	Person model.PersonID `json:"person"`
	Unit   model.Unit     `json:"unit"`
	Date   string         `json:"date"`
}

// ConfirmEndsRequest: POST /v1/worklist/confirm.
type ConfirmEndsRequest struct {
	Ends   []EndSeen    `json:"ends"` // 1-200
	Reason model.Reason `json:"reason"`
	DryRun bool         `json:"dry_run,omitempty"` // says what would be done
}

// EndResult is what became of one of them.
type EndResult struct {
	Person  model.PersonID `json:"person"`
	Unit    model.Unit     `json:"unit"`
	Date    string         `json:"date"`
	Outcome string         `json:"outcome"`        // "confirmed", "already-confirmed", "changed", "not-found"
	Entry   *model.EntryID `json:"entry,omitzero"` // that confirmed it
}

// ConfirmEndsResponse: 200, in the order of the request.
type ConfirmEndsResponse struct {
	Results []EndResult `json:"results"`
}
