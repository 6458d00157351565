package sync

import (
	"context"
	"errors"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// Codes of contract versions.
const (
	CodeUnknownVersion = "unknown-version" // newer than this server
	CodeVersionRetired = "version-retired" // older than the operator wants without a supervisor
)

// decode reads a payload as this engine knows the contract.
func (e *Engine) decode(payload []byte) (*model.Entry, error) {
	en, err := model.DecodeEntry(payload)
	if err == nil && en.V > e.o.Newest {
		return nil, model.Problemf(CodeUnknownVersion, "/v", "contract version %d is not known to this server; it knows 1 to %d", en.V, e.o.Newest)
	}
	return en, err
}

// unread places a payload that cannot be decoded, as well as it can be: an entry of a later
// version has its seq, its person, its lease and its clock as every entry has. problem is
// the code of what the decoder said.
func (c *candidate) unread(ts *tenantState, tenant model.TenantID, code string, received model.Millis) {
	c.entry, c.placed = nil, placeOf(c.jws.Payload, tenant, c.jws.Device)
	claim := conflict.Claim{Clock: model.ClockNone, ReceivedAt: received, Wall: received}
	if c.placed != nil && code == CodeUnknownVersion {
		if said, ok := model.DecodeTiming(c.jws.Payload); ok {
			claim.ElapsedMs, claim.Clock, claim.Wall = said.ElapsedMs, said.Clock, said.Wall
			claim.Lease = c.ownLease(ts, tenant, c.placed.Actor, said.Lease)
		}
	}
	c.stamp = conflict.Interval(claim)
}

// ownLease notes the lease that an entry names; nil when it is not one of the device and actor.
func (c *candidate) ownLease(ts *tenantState, tenant model.TenantID, actor model.ActorID, id string) *conflict.LeaseTimes {
	lease, err := parseLease(tenant, ts.keys, c.jws.Device, actor, id)
	if err != nil {
		return nil
	}
	c.lease, c.leaseOK = lease, true
	return &conflict.LeaseTimes{IssuedAt: lease.IssuedAt, WallOffset: lease.WallOffset}
}

// Recheck judges anew what waits only because of its contract version, after an upgrade of
// the server or a lower floor: what nothing else stands against takes effect, and what must
// wait on says why. It returns how many were let through.
func (e *Engine) Recheck(ctx context.Context, tenant model.TenantID) (released int, err error) {
	ts, err := e.tenant(tenant)
	if err != nil {
		return 0, err
	}
	var waiting []store.QuarantineItem
	err = e.st.View(ctx, tenant, func(v store.View) error {
		open, err := store.List[store.OpenQuarantine](v, "", "", 0)
		if err != nil {
			return err
		}
		for _, o := range open {
			item, err := store.Get[store.QuarantineItem](v, store.PositionKey(o.Position))
			if err != nil {
				return err
			}
			if heldForVersion(item.Code) {
				waiting = append(waiting, item)
			}
		}
		return nil
	})
	for i := range waiting {
		ok, err := e.recheck(ctx, ts, tenant, waiting[i], "")
		if err != nil {
			return released, err
		}
		if ok {
			released++
		}
	}
	return released, err
}

func heldForVersion(code string) bool {
	return code == CodeUnknownVersion || code == CodeVersionRetired
}

// recheck judges one entry anew. by is the actor who has just logged in on its device, which
// lifts that the session had ended; "" when nobody has.
func (e *Engine) recheck(ctx context.Context, ts *tenantState, tenant model.TenantID, item store.QuarantineItem, by model.ActorID) (released bool, err error) {
	var c *candidate
	var chain store.Chain
	err = e.st.View(ctx, tenant, func(v store.View) error {
		l, err := v.Entry(item.Position)
		if err != nil {
			return err
		}
		cs, err := attribute(v, [][]byte{l.Compact()})
		if err != nil {
			return err
		}
		c = cs[0]
		chain, err = v.Chain(l.Device)
		return err
	})
	if err != nil {
		return false, err
	}
	e.judge(ts, tenant, c, item.Received)
	against := c.refused
	switch {
	case against != nil:
	case c.problem != nil && (by == "" || !c.onlyExpired()):
		against = c.problem
	case chain.Forked:
		against = model.Problemf(CodeDeviceForked, "/seq", "the device has forked since; release what is right")
	}
	if against == nil {
		actor, reason := recheckActor, "version-known"
		if by != "" {
			actor, reason = by, "actor-reauthenticated"
		}
		_, err := e.settle(ctx, ts, settling{
			tenant: tenant, item: item.ID, person: item.Person, act: model.ActRelease,
			actor: actor, roles: model.Roles(model.RoleSupervisor), reason: model.Reason{Code: reason, Text: ""},
			check: func(tx store.Tx) error {
				b := &batch{e: e, ts: ts, tx: tx}
				p, err := b.scope(c)
				if err == nil && p != nil {
					err = p
				}
				return err
			},
		})
		if err == nil || errors.Is(err, ErrSettled) {
			return err == nil, nil
		}
		if !errors.As(err, &against) {
			if !errors.Is(err, ErrNotReleasable) {
				return false, err
			}
			against = model.Problemf(item.Code, item.Pointer, "what the entry says cannot be applied: close it, and register anew")
		}
	}
	return false, e.stillWaits(ctx, tenant, item, against)
}

// recheckActor is who releases what waited for an upgrade.
const recheckActor model.ActorID = "flette"

// stillWaits writes what stands against an entry now where a supervisor reads it. The code
// stays: it is what the journal says.
func (e *Engine) stillWaits(ctx context.Context, tenant model.TenantID, item store.QuarantineItem, against *model.Problem) error {
	detail := against.Detail
	if against.Code != item.Code {
		detail = "judged anew after an upgrade: " + against.Code + ": " + against.Detail
	}
	if item.Detail == detail {
		return nil
	}
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		now, err := store.Get[store.QuarantineItem](tx, item.DocKey())
		if err != nil || now.State != StateOpen {
			return err
		}
		now.Detail, now.Pointer, now.Rule = detail, against.Pointer, against.Rule
		return store.Put(tx, now)
	})
	return err
}
