package client

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// SignOptions are the parts of an entry that most entries do not have.
type SignOptions struct {
	Reason *model.Reason // required for all acts but register and confirm
	Visit  string        // UUID that groups the entries of one visit
}

// Sign signs changes of one person's record and puts the entry into the outbox; no network is
// needed. A change whose Over is nil gets the heads that the view shows: name them yourself
// only when the user saw something else. When the error is a *model.Problem the changes are
// not an entry, and nothing was signed.
func (t *Tablet) Sign(who model.PersonID, act model.Act, changes []model.Change, o SignOptions) (model.EntryID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.maySign(); err != nil {
		return model.EntryID{}, err
	}
	if t.s.Lease == nil {
		return model.EntryID{}, ErrNoLease
	}
	e := &model.Entry{
		V: model.ContractVersion, App: t.cfg.App, Catalogue: t.cfg.Catalogue, Tenant: t.s.Tenant, Device: t.s.Device, Seq: t.s.Seq + 1, Prev: t.s.Prev,
		Actor: t.s.Lease.Actor, Lease: t.s.Lease.ID, Clock: model.ClockMonotonic, Wall: model.MillisOf(t.cfg.Wall()),
		Person: who, Visit: o.Visit, Act: act, Reason: o.Reason, Changes: slices.Clone(changes),
	}
	if t.s.Rebooted {
		e.Clock = model.ClockRebooted
	} else {
		e.ElapsedMs = max(0, (t.cfg.Mono() - t.mono).Milliseconds())
	}
	for i := range e.Changes {
		if c := &e.Changes[i]; c.Over == nil && act != model.ActRelease && act != model.ActClose && c.Unit.Section() != model.FindingSection {
			c.Over = []model.EntryID{}
			for _, h := range t.view.unit(who, c.Unit, false).seen() {
				c.Over = append(c.Over, h.id)
			}
		}
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return model.EntryID{}, fmt.Errorf("client: entry: %w", err)
	}
	if _, err := model.DecodeEntry(payload); err != nil {
		return model.EntryID{}, err
	}
	jws, id, err := SignPayload(t.cfg.Key, t.s.Device, payload)
	if err != nil {
		return model.EntryID{}, err
	}
	if len(jws) > model.MaxEntryBytes {
		return model.EntryID{}, model.Problemf("too-large", "", "entry is larger than %d bytes: sign fewer changes at once", model.MaxEntryBytes)
	}
	// T1: on stable storage before anyone is told that it is saved.
	before := t.s
	t.s.Seq, t.s.Prev = e.Seq, id.String()
	t.s.Outbox = append(t.s.Outbox, Pending{ID: id, Seq: e.Seq, Person: who, Wall: e.Wall, JWS: jws})
	if err := t.save(); err != nil {
		t.s = before
		return model.EntryID{}, err
	}
	t.waiting[who]++
	t.view.record(e, id, t.cfg.Lean)
	return id, nil
}
