package kpr

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"flette/model"
	"flette/store"
)

// Status of a notification (code list 7316). T, to supplement, is not in use.
const (
	StatusNew     = "N"
	StatusReplace = "M"
	StatusCancel  = "C"
)

// ZeroGUID stands where the first notification names its predecessor.
const ZeroGUID = "00000000-0000-0000-0000-000000000000"

// Mark is what the ledger keeps of an identity: its type (code list 9032) and a keyed hash
// of the number, so that a change shows and the number does not (K7).
type Mark struct {
	TypeID string
	Hash   string
}

// Pending is a notification without its place in the chain.
type Pending struct {
	Status string
	Event  Event
	Mark   Mark
	// Last is the newest notification of the same event, nil when there is none.
	Last *store.Notification
}

// Plan compares one person's wanted events with the newest notification of each event and
// returns what to send: cancellations first, then the rest in the order of the events (so
// that a service moved to another person or key is withdrawn before it is told again, R88).
// A changed identity replaces every event that stands (R89). It is a pure function.
func Plan(newest []store.Notification, w Wanted, m Mark) []Pending {
	last := make(map[string]*store.Notification, len(newest))
	for i := range newest {
		last[newest[i].EventKey] = &newest[i]
	}
	wanted := make(map[string]bool, len(w.Events))
	var cancel, send []Pending
	for _, e := range w.Events {
		wanted[e.Key] = true
		if w.Frozen[e.ServiceID] {
			continue
		}
		l := last[e.Key]
		switch {
		case l == nil || l.Status == StatusCancel:
			if e.Held == 0 {
				send = append(send, Pending{StatusNew, e, m, l})
			}
		case l.Digest == digest(e, m):
		case e.Held == HeldAfter && e.Date != l.Date:
			// It was moved to a day ahead: the register should not have it yet (R55).
			cancel = append(cancel, withdraw(l, m))
		default:
			send = append(send, Pending{StatusReplace, e, m, l})
		}
	}
	for i := range newest {
		l := &newest[i]
		if l.Status != StatusCancel && !wanted[l.EventKey] && !w.Frozen[l.ServiceID] {
			cancel = append(cancel, withdraw(l, m))
		}
	}
	return append(cancel, send...)
}

// withdraw cancels an event in the words in which it was last told.
func withdraw(l *store.Notification, m Mark) Pending {
	return Pending{Status: StatusCancel, Mark: m, Last: l, Event: Event{
		Key: l.EventKey, Kind: Kind(l.Kind), Person: l.Person, ServiceID: l.ServiceID, PauseID: l.PauseID,
		Type: l.Type, OrgNumber: l.OrgNumber, Date: l.Date, RegTime: l.RegTime,
	}}
}

// digest names what the register sees of an event. The time of registration is not in it:
// to confirm a value (R29) is no correction.
func digest(e Event, m Mark) string { return contentDigest(e) + "." + m.TypeID + "." + m.Hash }

func contentDigest(e Event) string {
	return hash("event", string(e.Kind), e.ServiceID, e.PauseID, e.Type, e.OrgNumber, e.Date)[:32]
}

// hash joins parts with their lengths, so that no two lists of parts give one hash.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// guid derives a UUID of version 8 (RFC 9562) from parts.
func guid(parts ...string) string {
	sum := sha256.Sum256([]byte(hash(parts...)))
	var u uuid.UUID
	copy(u[:], sum[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return u.String()
}

// Head is the end of a tenant's chain for a target. It is derived from the ledger and kept
// so that a run need not read the ledger.
type Head struct {
	Target string         `json:"target"`
	Serial int64          `json:"serial"` // of the last notification, 0 for none
	GUID   string         `json:"guid"`
	Resume model.PersonID `json:"resume,omitzero"` // where a full message stopped
	// Position is the size of the journal that the newest message tells of.
	Position int64 `json:"position,omitzero"`
}

func (Head) DocKind() store.Kind { return "kpr-head" }
func (h Head) DocKey() string    { return h.Target }

// Newest is the newest notification of one event, found by person; derived from the ledger.
type Newest store.Notification

func (Newest) DocKind() store.Kind { return "kpr-newest" }

// DocKey puts a person's events together.
func (n Newest) DocKey() string { return newestPrefix(n.Target, n.Person) + n.EventKey }

func newestPrefix(target string, p model.PersonID) string { return target + " " + p.String() + " " }

// link gives a pending notification the next place in the chain (K1, K2).
func (h *Head) link(tenant model.TenantID, p Pending, at model.Millis, extract string) store.Notification {
	e := p.Event
	n := store.Notification{
		Serial: h.Serial + 1, PrevGUID: h.GUID, Status: p.Status, EventKey: e.Key, Person: e.Person,
		Kind: string(e.Kind), ServiceID: e.ServiceID, PauseID: e.PauseID, Type: e.Type, OrgNumber: e.OrgNumber,
		Date: e.Date, RegTime: e.RegTime, Time: at, Extract: extract, Target: h.Target,
		TypeID: p.Mark.TypeID, Digest: digest(e, p.Mark),
	}
	if n.PrevGUID == "" {
		n.PrevGUID = ZeroGUID
	}
	prior := ""
	if p.Last != nil {
		prior = p.Last.GUID
	}
	scope := strings.Join([]string{string(tenant), h.Target}, " ")
	n.GUID = guid("flette/kpr/notification/1", scope, e.Person.String(), e.Key, prior, p.Status, contentDigest(e), p.Mark.TypeID)
	n.EventGUID = guid("flette/kpr/event/1", n.GUID)
	switch p.Status {
	case StatusCancel:
		n.Ref, n.EventGUID = original(p.Last), p.Last.EventGUID
	case StatusReplace:
		n.Ref = original(p.Last)
	}
	h.Serial, h.GUID = n.Serial, n.GUID
	return n
}

// original returns the GUID of the N that a notification belongs to (R87).
func original(n *store.Notification) string {
	if n.Ref != "" {
		return n.Ref
	}
	return n.GUID
}
