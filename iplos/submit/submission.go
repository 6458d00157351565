package submit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"flette/model"
	"flette/store"
)

// Kinds of shipments.
const (
	KindEvents   = "KPR_EVENT" // event message 56.0.0
	KindIdentity = "KPR_IDE"   // yearly extract: who
	KindSubject  = "KPR_IPL"   // yearly extract: what
)

// YearlyKinds are the two shipments of a data year (3.3): they meet only in the register.
var YearlyKinds = []string{KindIdentity, KindSubject}

// Targets, as those of package kpr.
const (
	Production = "production"
	Test       = "test"
)

// States of a submission.
const (
	Prepared = "prepared" // nothing has left
	Sent     = "sent"     // the request is out; no answer is filed yet
	Accepted = "accepted" // the register said that it has it
	Rejected = "rejected" // the register said that it does not take it
	Unknown  = "unknown"  // the request was out and no answer can be believed
)

// Acts of events.
const (
	ActPrepare     = "prepare"
	ActSend        = "send"
	ActAnswer      = "answer"
	ActNotSent     = "not-sent"    // the attempt ended before anything left
	ActInterrupted = "interrupted" // the process died while an attempt was out
	ActFeedback    = "feedback"    // somebody filed what the register said elsewhere
	ActForget      = "forget"      // the files were removed
)

// Shipment is a file to be sent.
type Shipment struct {
	Kind     string `json:"kind"`
	Target   string `json:"target"`
	Year     int    `json:"year,omitzero"` // data year of a yearly shipment (R73)
	From     int64  `json:"from,omitzero"` // first and last serial of an event message
	To       int64  `json:"to,omitzero"`
	Position int64  `json:"position"` // journal size at which the data was frozen
	// Extracted is when the data was taken out, 0 for when it was prepared.
	Extracted model.Millis   `json:"extracted,omitzero"`
	SHA256    string         `json:"sha256"`            // of the file, hex
	Bytes     int64          `json:"bytes"`             // its size
	Path      string         `json:"path,omitempty"`    // below the secure folder; "" when the store holds it
	Extract   string         `json:"extract,omitempty"` // id of the store.Extract it comes from
	Counts    map[string]int `json:"counts"`            // what it reports, by service type
}

// Submission is a shipment in the ledger. It never changes (U1).
type Submission struct {
	ID       string         `json:"id"` // UUID; the message id at the register
	Tenant   model.TenantID `json:"tenant"`
	Replaces string         `json:"replaces,omitempty"` // submission whose place it takes (R75)
	Prepared model.Millis   `json:"prepared"`
	By       string         `json:"by"`
	Shipment
}

func (Submission) DocKind() store.Kind { return "submission" }
func (s Submission) DocKey() string    { return s.ID }

// Fault is one thing that the register said against a message.
type Fault struct {
	Code     int    `json:"code,omitzero"`
	Name     string `json:"name,omitempty"`
	Property string `json:"property,omitempty"`
}

// Event is one thing that happened to a submission. It never changes (U1).
type Event struct {
	Submission string         `json:"submission"`
	Seq        int64          `json:"seq"`  // from 1
	Prev       string         `json:"prev"` // hex SHA-256 of the event before, of the submission for the first
	At         model.Millis   `json:"at"`
	By         string         `json:"by"`
	Act        string         `json:"act"`
	State      string         `json:"state"` // after it
	Attempt    int            `json:"attempt,omitzero"`
	Status     int            `json:"status,omitzero"`      // HTTP status of the answer
	Reference  string         `json:"reference,omitempty"`  // the register's own id of the attempt
	MessageID  string         `json:"message_id,omitempty"` // as the register repeats it
	KeyID      string         `json:"key_id,omitempty"`     // of the register's key
	Faults     []Fault        `json:"faults,omitempty"`
	Reason     string         `json:"reason,omitempty"` // without content
	Counts     map[string]int `json:"counts,omitempty"` // the register's own view, by service type
	Files      []string       `json:"files,omitempty"`  // removed, by name
	Sealed     []byte         `json:"sealed,omitempty"` // sealed JSON of Private
}

func (Event) DocKind() store.Kind { return "submission-event" }

// DocKey puts the events of a submission together, in order.
func (e Event) DocKey() string { return e.Submission + " " + store.PositionKey(e.Seq) }

// Private is what Event.Sealed holds: it may repeat what stands in a message.
type Private struct {
	Details []string `json:"details,omitempty"` // of each fault, in order
	Note    string   `json:"note,omitempty"`
}

// privateAD is the associated data under which Private is sealed.
func privateAD(id string, seq int64) string {
	return "submission|" + id + "|" + strconv.FormatInt(seq, 10) + "|1"
}

var (
	hexSum  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	service = regexp.MustCompile(`^[0-9]{1,3}$`)
)

// ParseService checks a service type as counts name it.
func ParseService(s string) (string, error) {
	if !service.MatchString(s) {
		return "", model.Problemf("submission-counts", "/counts", "a service type is a number of one to three digits")
	}
	return s, nil
}

// check judges a shipment's form.
func (s Shipment) check() error {
	bad := func(pointer, format string, args ...any) error {
		return model.Problemf("submission-shipment", pointer, format, args...)
	}
	yearly := s.Kind == KindIdentity || s.Kind == KindSubject
	switch {
	case !yearly && s.Kind != KindEvents:
		return bad("/kind", "the kind is %s, %s or %s", KindEvents, KindIdentity, KindSubject)
	case s.Target != Production && s.Target != Test:
		return bad("/target", "the target is %s or %s", Production, Test)
	case !hexSum.MatchString(s.SHA256):
		return bad("/sha256", "sha256 is 64 digits in lower-case hex")
	case s.Bytes <= 0:
		return bad("/bytes", "the file is empty")
	case s.Position < 0:
		return bad("/position", "the position is a journal size")
	case yearly && (s.Year < 2007 || s.Year > 2200):
		return bad("/year", "a yearly shipment names its data year, from 2007")
	case yearly && (s.From != 0 || s.To != 0 || s.Extract != ""):
		return bad("/from", "a yearly shipment has no serials and no extract")
	case yearly && s.Path == "":
		return bad("/path", "a yearly shipment names its file")
	case !yearly && (s.Year != 0 || s.Extract == "" || s.From <= 0 || s.To < s.From):
		return bad("/extract", "an event message names its extract and serials, and no year")
	}
	for k, n := range s.Counts {
		if _, err := ParseService(k); err != nil {
			return err
		}
		if n < 0 {
			return bad("/counts", "a count is not negative")
		}
	}
	return nil
}

// idOf names a shipment: preparing the same twice gives the same submission.
func idOf(tenant model.TenantID, s Shipment, replaces string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		"flette/submission/1", string(tenant), s.Target, s.Kind, fmt.Sprint(s.Year), fmt.Sprint(s.From), fmt.Sprint(s.To), s.SHA256, replaces,
	}, "\n")))
	var u uuid.UUID
	copy(u[:], sum[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return u.String()
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
