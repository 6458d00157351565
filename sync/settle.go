package sync

import (
	"context"
	"errors"

	"flette/model"
	"flette/store"
)

// Errors of settling a quarantined entry.
var (
	ErrSettled       = errors.New("sync: the entry is settled already")
	ErrNotReleasable = errors.New("sync: the entry says something that cannot be applied; close it and register anew")
)

// settleEffect judges a release or close entry and computes what it lets through.
func (b *batch) settleEffect(c *candidate, l *store.LogEntry) (*effect, error) {
	if len(c.entry.Changes) != 1 {
		return nil, model.Problemf("invalid-payload", "/changes", "act %s carries one change", c.entry.Act)
	}
	target := *c.entry.Changes[0].Target
	at, err := b.tx.EntryPosition(l.Person, target)
	if errors.Is(err, store.ErrNotFound) {
		// An entry whose payload names no person is filed under the zero person.
		at, err = b.tx.EntryPosition(model.PersonID{}, target)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, model.Problemf("unknown-target", "/changes/0/target", "no such entry in this person's quarantine")
	}
	if err != nil {
		return nil, err
	}
	item, err := store.Get[store.QuarantineItem](b.tx, store.PositionKey(at))
	if errors.Is(err, store.ErrNotFound) {
		return nil, model.Problemf("unknown-target", "/changes/0/target", "the entry is not in quarantine")
	}
	if err != nil {
		return nil, err
	}
	if item.State != StateOpen {
		return nil, model.Problemf("already-settled", "/changes/0/target", "the entry has been %s already", item.State)
	}
	eff := &effect{sets: target, item: &item}
	if c.entry.Act == model.ActClose {
		return eff, nil
	}
	held, err := b.tx.Entry(at)
	if err != nil {
		return nil, err
	}
	notReleasable := func(why string) (*effect, error) {
		return nil, model.Problemf(CodeNotReleasable, "/changes/0/target", "%s", why)
	}
	if !releasable[item.Code] {
		return notReleasable("what the entry says cannot be applied; close it and register anew")
	}
	en, err := b.e.decode(held.Payload)
	if err != nil && item.Code == CodeUnknownVersion {
		return notReleasable("this server does not know the entry's version of the contract: upgrade it, or close the entry and register anew")
	}
	if err != nil || en.Tenant != b.tx.Tenant().ID || en.Device != held.Device || en.Person != held.Person {
		return notReleasable("what the entry says cannot be applied; close it and register anew")
	}
	if en.SettlesFindings() || !en.Act.Sets() && en.Act != model.ActVoid && en.Act != model.ActReinstate {
		return notReleasable("only registrations, voids and reinstates can be released")
	}
	inner := &candidate{jws: &model.JWS{ID: held.ID, Device: held.Device}, entry: en, stamp: held.Stamp}
	b.e.checkValues(inner)
	if inner.problem != nil {
		return nil, inner.problem
	}
	if _, err := b.tx.Doc(store.Person{}.DocKind(), en.Person.String()); errors.Is(err, store.ErrNotFound) {
		return notReleasable("the person does not exist here yet")
	} else if err != nil {
		return nil, err
	}
	merged, err := b.merge(en.Person, en, held)
	if err != nil {
		return nil, err
	}
	merged.item = &item
	return merged, nil
}

// settleItem marks the quarantined entry as settled by a log entry.
func (b *batch) settleItem(item *store.QuarantineItem, by *store.LogEntry) error {
	b.settled = append(b.settled, item.Device)
	item.State, item.By = StateReleased, by.ID
	if by.Act == model.ActClose {
		item.State = StateClosed
	}
	if err := store.Put(b.tx, *item); err != nil {
		return err
	}
	if err := store.Put(b.tx, store.Settlement{Device: item.Device, Position: by.Position}); err != nil {
		return err
	}
	return store.Delete(b.tx, store.OpenQuarantine{Device: item.Device, Position: item.Position})
}

// settling is a release or close through the api.
type settling struct {
	tenant model.TenantID
	item   model.EntryID
	person model.PersonID
	act    model.Act
	actor  model.ActorID
	roles  model.Roles
	reason model.Reason
	check  func(store.Tx) error // runs first in the update; may be nil
}

// Settle releases or closes a quarantined entry as a desk entry. store.ErrNotFound,
// ErrSettled, ErrNotReleasable; or a *model.Problem when what it says is refused now.
func (e *Engine) Settle(ctx context.Context, tenant model.TenantID, id model.EntryID, act model.Act, actor model.ActorID, roles model.Roles, reason model.Reason) (*PushResult, error) {
	ts, err := e.tenant(tenant)
	if err != nil {
		return nil, err
	}
	item, err := e.QuarantineItem(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return e.settle(ctx, ts, settling{tenant: tenant, item: id, person: item.Person, act: act, actor: actor, roles: roles, reason: reason})
}

func (e *Engine) settle(ctx context.Context, ts *tenantState, s settling) (*PushResult, error) {
	person := s.person
	if person.IsZero() {
		// A payload that names no person can only be closed; the desk's entry must name one,
		// and this one is nobody's.
		if s.act != model.ActClose {
			return nil, ErrNotReleasable
		}
		person = nobody
	}
	return e.deskPush(ctx, s.tenant, ts, deskAct{
		person: person, actor: s.actor, roles: s.roles, act: s.act, reason: &s.reason,
		changes: []model.Change{{Unit: model.QuarantineUnit, Target: &s.item}},
	}, s.check)
}

// nobody is the person that desk entries name when they settle an entry that names none: a
// fixed UUID of version 8 that no person has.
var nobody = model.PersonID{0xf1, 0xe7, 0x7e, 0, 0, 0, 0x80, 0, 0x80}

// deskPush signs a desk entry and applies it in one update; check runs first inside it. An
// entry that would land in quarantine is not kept: nobody signed it but us, a moment ago.
func (e *Engine) deskPush(ctx context.Context, tenant model.TenantID, ts *tenantState, a deskAct, check func(store.Tx) error) (*PushResult, error) {
	now := e.o.Now()
	out := &PushResult{}
	var b *batch
	commit, err := e.st.Update(ctx, tenant, []model.PersonID{a.person}, func(tx store.Tx) error {
		if check != nil {
			if err := check(tx); err != nil {
				return err
			}
		}
		out.Epoch = tx.Tenant().Epoch
		out.Results = make([]Result, 1)
		c, err := e.deskSign(tx, ts, a, now)
		if err != nil {
			return err
		}
		c.authority(ts, tenant, now)
		e.checkValues(c)
		b = &batch{e: e, ts: ts, tx: tx, received: now}
		if c.problem != nil {
			return c.problem
		}
		if err := b.take(c, &out.Results[0]); err != nil {
			return err
		}
		if p := out.Results[0].Problem; p != nil {
			return p
		}
		return b.finish()
	})
	if err != nil {
		return nil, deskError(err)
	}
	out.Checkpoint = commit.Checkpoint
	ts.hub.touched(b.about, b.settled)
	return out, nil
}

func deskError(err error) error {
	var p *model.Problem
	if !errors.As(err, &p) {
		return err
	}
	switch p.Code {
	case "already-settled":
		return ErrSettled
	case CodeNotReleasable:
		return ErrNotReleasable
	}
	return p
}

// QuarantineItem finds an item by entry id. store.ErrNotFound.
func (e *Engine) QuarantineItem(ctx context.Context, tenant model.TenantID, id model.EntryID) (item store.QuarantineItem, err error) {
	err = e.st.View(ctx, tenant, func(v store.View) error {
		ref, err := store.Get[store.QuarantineRef](v, id.String())
		if err != nil {
			return err
		}
		item, err = store.Get[store.QuarantineItem](v, store.PositionKey(ref.Position))
		return err
	})
	return item, err
}
