package sync

import (
	"context"
	"errors"
	"slices"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// PushRequest is one batch. The api has authenticated Device.
type PushRequest struct {
	Tenant     model.TenantID
	Device     model.DeviceID
	JKT        string // thumbprint of the key that the lease is bound to; "" is not compared
	Actor      model.ActorID
	Entries    [][]byte // compact JWS, in the order they were signed
	Checkpoint string   // newest checkpoint the tablet holds, "" for none
	Diary      *store.Diary
}

// Result is the judgement of one entry.
type Result struct {
	ID        model.EntryID // zero when the bytes are no JWS
	Outcome   string        // "applied", "conflict", "duplicate", "quarantined" or "refused"
	First     string        // duplicate: the first outcome
	Position  int64         // -1 when refused
	Problem   *model.Problem
	Stamp     *model.Stamp
	Conflicts []Clash
}

// Clash is an open review on a unit that the entry set, and what the entry clashes with.
type Clash struct {
	Review  string
	Unit    model.Unit
	Class   model.Class
	Against []model.EntryID
}

// Outcomes beside those of package store.
const (
	OutcomeDuplicate = "duplicate"
	OutcomeRefused   = "refused"
)

// PushResult answers a batch.
type PushResult struct {
	Epoch      string
	Checkpoint []byte
	Results    []Result
	Order      *Order // what the device that pushes has to do, nil for nothing
}

// Push judges every entry of a batch and makes the accepted ones durable in one update.
// Errors: ErrUnknownDevice, *RewoundError and ErrBadCheckpoint before anything is judged;
// errors of the store.
func (e *Engine) Push(ctx context.Context, r PushRequest) (*PushResult, error) {
	ts, err := e.tenant(r.Tenant)
	if err != nil {
		return nil, err
	}
	received := e.o.Now()
	var cs []*candidate
	out := &PushResult{}
	err = e.st.View(ctx, r.Tenant, func(v store.View) error {
		out.Epoch = v.Tenant().Epoch
		if err := knows(v, r.Device, r.JKT); err != nil {
			return err
		}
		if err := ts.checkCheckpoint(v, r.Checkpoint); err != nil {
			return err
		}
		if err := ts.scopes.keep(v, r.Actor); err != nil {
			return err
		}
		cs, err = attribute(v, r.Entries)
		return err
	})
	var rewound *RewoundError
	if errors.As(err, &rewound) {
		e.noteRewound(ctx, r, rewound, received)
	}
	if err != nil {
		return nil, err
	}
	e.each(cs, func(c *candidate) { e.judge(ts, r.Tenant, c, received) })
	persons := make([]model.PersonID, 0, 8)
	signed := 0
	for _, c := range cs {
		if c.entry != nil && c.refused == nil && c.jws.Device == r.Device {
			signed = c.entry.V
		}
		if f := c.frame(); f != nil && !slices.Contains(persons, f.Person) {
			persons = append(persons, f.Person)
		}
	}
	var b *batch
	commit, err := e.st.Update(ctx, r.Tenant, persons, func(tx store.Tx) error {
		out.Results = make([]Result, len(cs))
		b = &batch{e: e, ts: ts, tx: tx, received: received}
		for i := range cs {
			c := *cs[i] // a copy: this function may run again (G6)
			if err := b.take(&c, &out.Results[i]); err != nil {
				return err
			}
		}
		if err := b.finish(); err != nil {
			return err
		}
		return b.contact(r, signed, out)
	})
	if err != nil {
		return nil, err
	}
	out.Checkpoint = commit.Checkpoint
	ts.issued.add(string(commit.Checkpoint))
	ts.hub.touched(b.about, b.settled)
	return out, nil
}

// knows is ErrUnknownDevice when the store has no such device, or not with a key that its
// lease is bound to. A store that was restored to before the enrolment, or re-created, knows nobody who could have signed what the tablet
// hands in: to refuse it would make a person deal with each entry, where one new enrolment
// makes all of them good (S13).
func knows(v store.View, id model.DeviceID, jkt string) error {
	if id.IsZero() {
		return nil
	}
	d, err := store.Get[store.Device](v, id.String())
	if errors.Is(err, store.ErrNotFound) || err == nil && jkt != "" && !hasHad(&d, jkt) {
		return ErrUnknownDevice
	}
	return err
}

// contact notes the push in the diary of the device that pushes, and finds its order.
func (b *batch) contact(r PushRequest, signed int, out *PushResult) error {
	if r.Device.IsZero() {
		return nil
	}
	// Whatever the outcome, the entry leaves the outbox with the answer (T3, T4).
	diary, err := keepDiary(b.tx, r, signed, int64(len(out.Results)), b.received)
	if err != nil {
		return err
	}
	d, err := store.Get[store.Device](b.tx, r.Device.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ch, err := b.tx.Chain(r.Device)
	if err != nil {
		return err
	}
	out.Order = orderOf(&d, &ch, diary.Contract, b.e.o.Floor)
	return nil
}

// batch is the work of one update.
type batch struct {
	e        *Engine
	ts       *tenantState
	tx       store.Tx
	received model.Millis
	chains   map[model.DeviceID]*store.Chain
	touched  map[model.PersonID][]model.Unit
	about    map[model.PersonID]struct{} // persons of new entries, whatever became of these
	persons  map[model.PersonID]bool     // known persons
	settled  []model.DeviceID            // whose quarantined entries were settled
	noted    bool                        // see noteCatalogue
}

// take judges one candidate inside the update: duplicate, fork, scope, merge.
func (b *batch) take(c *candidate, res *Result) error {
	res.Position = -1
	if c.jws != nil {
		res.ID = c.jws.ID
	}
	if c.refused != nil {
		res.Outcome, res.Problem = OutcomeRefused, c.refused
		return nil
	}
	known, err := b.duplicate(c, res)
	if known || err != nil {
		return err
	}
	if c.frame() != nil {
		if err := b.chain(c); err != nil {
			return err
		}
	}
	if c.entry != nil {
		if c.problem == nil || c.onlyExpired() {
			p, err := b.scope(c)
			if err != nil {
				return err
			}
			if p != nil {
				c.quarantine(p)
			}
		}
	}
	return b.apply(c, res)
}

// duplicate answers an entry that is known already with its first outcome (S2).
func (b *batch) duplicate(c *candidate, res *Result) (bool, error) {
	at, err := b.tx.EntryOf(c.jws.Device, c.seq(), c.jws.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l, err := b.tx.Entry(at)
	if err != nil {
		return false, err
	}
	res.Outcome, res.First, res.Position = OutcomeDuplicate, l.Outcome.String(), at
	res.Stamp = &l.Stamp
	if l.Outcome == store.Quarantined {
		item, err := store.Get[store.QuarantineItem](b.tx, store.PositionKey(at))
		if err != nil {
			return false, err
		}
		res.Problem = &model.Problem{Code: item.Code, Pointer: item.Pointer, Detail: item.Detail, Rule: item.Rule}
		return true, nil
	}
	if c.entry == nil {
		return true, nil // a newer server could read it; this one cannot
	}
	for i := range c.entry.Changes {
		u := c.entry.Changes[i].Unit
		s, err := b.tx.Unit(l.Person, u)
		if err != nil {
			return false, err
		}
		if s != nil && s.Class.NeedsReview() {
			res.Conflicts = append(res.Conflicts, clashOf(l.Person, s, c.jws.ID))
		}
	}
	return true, nil
}

// chain follows the device's seq and prev; it detects, and only a fork has a consequence.
func (b *batch) chain(c *candidate) error {
	ch := b.chains[c.jws.Device]
	if ch == nil {
		stored, err := b.tx.Chain(c.jws.Device)
		if err != nil {
			return err
		}
		ch = &stored
		if b.chains == nil {
			b.chains = map[model.DeviceID]*store.Chain{}
		}
		b.chains[c.jws.Device] = ch
	}
	seq := c.seq()
	if seq == 0 {
		return nil // its seq belongs to no chain of ours
	}
	if seq <= ch.Last {
		_, taken, err := b.idAt(c.jws.Device, seq)
		if err != nil {
			return err
		}
		if taken {
			ch.Forked = true
			c.quarantine(model.Problemf(CodeSeqFork, "/seq", "another entry of this device has the same seq: the tablet was cloned or restored; enrol it anew"))
			return nil
		}
	}
	if ch.Forked {
		c.quarantine(model.Problemf(CodeDeviceForked, "/seq", "the device has forked before; enrol it anew and release what is right"))
	}
	return b.link(c, ch)
}

// link checks prev against what we hold and notes gaps.
func (b *batch) link(c *candidate, ch *store.Chain) error {
	return linkChain(ch, c.seq(), c.jws.ID, c.frame().Prev, func(seq int64) (model.EntryID, bool, error) {
		return b.idAt(c.jws.Device, seq)
	})
}

// idAt is the entry first received with a seq.
func (b *batch) idAt(device model.DeviceID, seq int64) (model.EntryID, bool, error) {
	first, err := b.tx.FirstOf(device, seq)
	if errors.Is(err, store.ErrNotFound) {
		return model.EntryID{}, false, nil
	}
	return first.ID, err == nil, err
}

// finish writes what is kept once per update.
func (b *batch) finish() error {
	for id, ch := range b.chains {
		if err := b.tx.PutChain(id, *ch); err != nil {
			return err
		}
	}
	for person, units := range b.touched {
		if err := b.e.o.Rules(b.tx, person, units, b.received); err != nil {
			return err
		}
	}
	return nil
}

func clashOf(person model.PersonID, s *model.UnitState, own model.EntryID) Clash {
	c := Clash{Review: conflict.ReviewID(person, s.Unit), Unit: s.Unit, Class: s.Class, Against: []model.EntryID{}}
	for i := range s.Heads {
		if s.Heads[i].ID != own {
			c.Against = append(c.Against, s.Heads[i].ID)
		}
	}
	return c
}
