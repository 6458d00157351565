package contract

import "flette/model"

// This file holds the shapes of access, of emergencies, and of what a supervisor settles.

// LateNews tells that an entry about the person waits for a supervisor, because its author no
// longer had the person when it was signed.
type LateNews struct {
	Entry    model.EntryID `json:"entry"`
	Code     string        `json:"code"`
	Received model.Millis  `json:"received"`
}

// BlockRequest: POST /v1/blocks.
type BlockRequest struct {
	Person model.PersonID `json:"person"`
	Actor  model.ActorID  `json:"actor,omitempty"` // everybody when absent
	Lift   bool           `json:"lift,omitzero"`   // unblock
	From   *model.Millis  `json:"from,omitzero"`   // now when absent
	Reason model.Reason   `json:"reason"`
}

// BlockResponse: 201.
type BlockResponse struct {
	Version int64 `json:"version"` // caseload version: the number of the event
}

// BlockList: GET /v1/blocks, newest last.
type BlockList struct {
	Blocks []BlockView `json:"blocks"`
	Next   string      `json:"next,omitempty"`
}

// BlockView is one event about a block.
type BlockView struct {
	Version int64          `json:"version"`
	Person  model.PersonID `json:"person"`
	Actor   model.ActorID  `json:"actor,omitempty"` // everybody when absent
	Event   string         `json:"event"`           // "block" or "unblock"
	From    model.Millis   `json:"from"`
	InForce bool           `json:"in_force"` // a block that no newer event has replaced
	By      string         `json:"by"`
	At      model.Millis   `json:"at"`
	Reason  model.Reason   `json:"reason"`
}

// BreakGlassRequest: POST /v1/break-glass. Person or NationalID.
type BreakGlassRequest struct {
	Person     *model.PersonID `json:"person,omitzero"`
	NationalID string          `json:"national_id,omitempty"`
	Minutes    *int64          `json:"minutes,omitzero"` // 480 when absent, 1 to 1440
	Reason     model.Reason    `json:"reason"`
}

// BreakGlassView is one use of emergency access: 201, or 200 for one that runs already.
type BreakGlassView struct {
	ID       string         `json:"id"`
	Person   model.PersonID `json:"person"`
	Actor    model.ActorID  `json:"actor"`
	From     model.Millis   `json:"from"`
	Until    model.Millis   `json:"until"`
	Reason   model.Reason   `json:"reason"`
	State    string         `json:"state"` // "open" until somebody else has followed it up, "closed"
	FollowUp *FollowUp      `json:"follow_up,omitzero"`
}

// FollowUp is what a supervisor wrote about a use of emergency access.
type FollowUp struct {
	By     model.ActorID `json:"by"`
	At     model.Millis  `json:"at"`
	Reason model.Reason  `json:"reason"`
}

// BreakGlassList: GET /v1/break-glass, newest last.
type BreakGlassList struct {
	Uses []BreakGlassView `json:"uses"`
	Next string           `json:"next,omitempty"`
}

// FindingSettleRequest: POST /v1/findings/settle.
type FindingSettleRequest struct {
	Person model.PersonID `json:"person"`
	Rule   string         `json:"rule"`
	Unit   model.Unit     `json:"unit,omitempty"`
	Act    model.Act      `json:"act"` // "release", "close" or "reinstate"
	Reason model.Reason   `json:"reason"`
}

// FindingSettleResponse: 201.
type FindingSettleResponse struct {
	Result     PushResult  `json:"result"`
	Finding    FindingView `json:"finding"`
	Checkpoint string      `json:"checkpoint"`
}
