package contract

import "flette/model"

// SubmissionList: GET /v1/submissions?target=production. Due is of today, whatever the page.
type SubmissionList struct {
	Due         SubmissionDue    `json:"due"`
	Submissions []SubmissionView `json:"submissions"`
	Next        string           `json:"next,omitempty"`
}

// SubmissionDue says what the register waits for today.
type SubmissionDue struct {
	Stage   string   `json:"stage"` // "none", "upcoming", "open", "overdue", "done"
	Year    int      `json:"year,omitzero"`
	Opens   string   `json:"opens,omitempty"`  // first day of the window, YYYY-MM-DD
	Closes  string   `json:"closes,omitempty"` // last day
	Days    int      `json:"days,omitzero"`    // until it opens, or that are left with today
	Missing []string `json:"missing,omitempty"`
	Text    string   `json:"text"`
}

// SubmissionView is a shipment to the register and what became of it.
type SubmissionView struct {
	ID         string         `json:"id"`
	Kind       string         `json:"kind"`   // "KPR_EVENT", "KPR_IDE", "KPR_IPL"
	Target     string         `json:"target"` // "production" or "test"
	Year       int            `json:"year,omitzero"`
	FromSerial int64          `json:"from_serial,omitzero"`
	ToSerial   int64          `json:"to_serial,omitzero"`
	Position   int64          `json:"position"`
	SHA256     string         `json:"sha256"`
	Counts     map[string]int `json:"counts"` // by service type
	State      string         `json:"state"`  // "prepared", "sent", "accepted", "rejected", "unknown"
	Attempts   int            `json:"attempts"`
	Prepared   model.Millis   `json:"prepared"`
	Updated    model.Millis   `json:"updated"`
	Receipt    string         `json:"receipt,omitempty"` // the register's own id of the newest answer
	Replaces   string         `json:"replaces,omitempty"`
	ReplacedBy string         `json:"replaced_by,omitempty"`
	// Advice says what to do about the newest answer, one sentence each.
	Advice      []string     `json:"advice,omitempty"`
	Differences []CountsView `json:"differences,omitempty"` // to the register's own view
}

// CountsView is a service type that the register counts in another way.
type CountsView struct {
	Service  string `json:"service"`
	Ours     int    `json:"ours"`
	Register int    `json:"register"`
}
