package contract

import "flette/model"

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
