package contract

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// Types of snapshot lines beside those of pull items.
const (
	LineBegin = "begin"
	LineMark  = "mark"
	LineEnd   = "end"
)

// SnapshotBegin is the first line of GET /v1/sync/snapshot, also of one that goes on after a mark.
type SnapshotBegin struct {
	Type     string `json:"type"`
	Epoch    string `json:"epoch"`
	Position int64  `json:"position"` // of the cursor at the end
	Persons  int    `json:"persons"`  // that follow, at most
}

// SnapshotMark says that a person is complete, and how to go on from here after a cut.
type SnapshotMark struct {
	Type  string `json:"type"`
	After string `json:"after"`
}

// SnapshotEnd is the last line; without it the snapshot is incomplete.
type SnapshotEnd struct {
	Type       string `json:"type"`
	Cursor     string `json:"cursor,omitempty"` // absent for one person
	Checkpoint string `json:"checkpoint"`
}

// SnapshotLine holds any line of a snapshot. Type says which members are set.
type SnapshotLine struct {
	PullItem
	Epoch      string `json:"epoch,omitempty"`
	Persons    int    `json:"persons,omitzero"`
	After      string `json:"after,omitempty"`
	Cursor     string `json:"cursor,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
}

// DigestRequest: POST /v1/sync/digest.
type DigestRequest struct {
	Cursor  string         `json:"cursor"` // of the last pull page or snapshot
	Persons []PersonDigest `json:"persons"`
}

// PersonDigest is what a tablet holds of a person (model.PersonDigest).
type PersonDigest struct {
	Person model.PersonID `json:"person"`
	Digest string         `json:"digest"`
}

// DigestResponse: who is in none of the lists is right.
type DigestResponse struct {
	Position int64            `json:"position"`
	Differ   []model.PersonID `json:"differ"`  // load anew with snapshot?person=
	Behind   []model.PersonID `json:"behind"`  // changed after the cursor: pull, then ask again
	Missing  []model.PersonID `json:"missing"` // in the caseload and not named
	Extra    []model.PersonID `json:"extra"`   // named and not in the caseload
}

// Events of GET /v1/sync/events.
const (
	EventPull = "pull" // a pull may bring something
	EventWipe = "wipe" // the device is revoked
	EventBye  = "bye"  // the stream ends here; come back after `retry`
)

// VisitsRequest: POST /v1/visits. It replaces the plan of that actor and date.
type VisitsRequest struct {
	Actor   model.ActorID    `json:"actor"`
	Date    string           `json:"date"`    // YYYY-MM-DD, in Norway
	Persons []model.PersonID `json:"persons"` // in order of visit; none takes the plan away
}

// VisitsResponse: 201.
type VisitsResponse struct {
	Version int64 `json:"version"` // caseload version after the plan
	Visits  int   `json:"visits"`
}

// DigestVector is what a tablet holds of a person, and its digest.
type DigestVector struct {
	Name   string       `json:"name"`
	Units  []DigestUnit `json:"units"` // in no order
	Text   string       `json:"text"`  // what is hashed
	Digest string       `json:"digest"`
}

// DigestUnit is a unit as far as a digest knows it.
type DigestUnit struct {
	Unit  model.Unit      `json:"unit"`
	Class model.Class     `json:"class"`
	Heads []model.EntryID `json:"heads"` // the shown one first
}

// DigestVectors returns examples of digests (digests.json).
func DigestVectors() ([]DigestVector, error) {
	var all []DigestVector
	if err := json.Unmarshal(mustRead("digests.json"), &all, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("contract: digests.json: %w", err)
	}
	return all, nil
}
