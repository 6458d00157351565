package sync

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"flette/model"
	"flette/store"
)

// A lease id is self-authenticating: it carries its own facts and a keyed hash over them,
// the tenant, the device and the actor. So the clock evidence of an entry survives any
// restore of the store, and no lease has to be kept.
//
//	version 1 | key id 4 | issued 6 | session 4 | wall offset 6 | roles 1 | random 4 | mac 16
const (
	leaseVersion = 1
	leaseFacts   = 1 + 4 + 6 + 4 + 6 + 1 + 4
	leaseMAC     = 16
)

// ErrLease means that a lease id was not issued to this device and actor by this tenant.
var ErrLease = errors.New("sync: lease is not one of this tenant, device and actor")

var leaseB64 = base64.RawURLEncoding.Strict()

// newLease completes a lease with its id; IssuedAt, ExpiresAt and WallOffset are given.
func (e *Engine) newLease(tenant model.TenantID, keys Keys, l model.Lease) (model.Lease, error) {
	b := make([]byte, 0, leaseFacts+leaseMAC)
	keyID := keys.LeaseKeyID()
	b = binary.BigEndian.AppendUint32(append(b, leaseVersion), keyID)
	b = append48(b, int64(l.IssuedAt))
	session := (l.ExpiresAt - l.IssuedAt) / second
	if session < 0 || session > 1<<31 {
		return l, fmt.Errorf("sync: lease of %d s", session)
	}
	// Rounded to seconds, so the lease itself must say what the id says.
	l.ExpiresAt = l.IssuedAt + session*second
	b = binary.BigEndian.AppendUint32(b, uint32(session))
	l.WallOffset = max(min(l.WallOffset, 1<<46), -1<<46)
	b = append48(b, int64(l.WallOffset))
	b = append(b, byte(l.Roles))
	var random [4]byte
	if _, err := e.o.Rand.Read(random[:]); err != nil {
		return l, err
	}
	b = append(b, random[:]...)
	mac, err := leaseSum(keys, keyID, tenant, l.Device, l.Actor, b)
	if err != nil {
		return l, err
	}
	l.ID = leaseB64.EncodeToString(append(b, mac...))
	return l, nil
}

// parseLease reads a lease id that an entry of this device and actor names. ErrLease when it
// is anything else.
func parseLease(tenant model.TenantID, keys Keys, device model.DeviceID, actor model.ActorID, id string) (model.Lease, error) {
	var raw [leaseFacts + leaseMAC]byte
	if len(id) != leaseB64.EncodedLen(len(raw)) {
		return model.Lease{}, ErrLease
	}
	if n, err := leaseB64.Decode(raw[:], []byte(id)); err != nil || n != len(raw) || raw[0] != leaseVersion {
		return model.Lease{}, ErrLease
	}
	facts := raw[:leaseFacts]
	mac, err := leaseSum(keys, binary.BigEndian.Uint32(raw[1:5]), tenant, device, actor, facts)
	if err != nil || !hmac.Equal(mac, raw[leaseFacts:]) {
		return model.Lease{}, ErrLease
	}
	l := model.Lease{ID: id, Device: device, Actor: actor, Roles: model.Roles(raw[21])}
	l.IssuedAt = model.Millis(read48(raw[5:11]))
	l.ExpiresAt = l.IssuedAt + model.Millis(binary.BigEndian.Uint32(raw[11:15]))*second
	l.WallOffset = model.Millis(read48(raw[15:21]))
	return l, nil
}

func leaseSum(keys Keys, keyID uint32, tenant model.TenantID, device model.DeviceID, actor model.ActorID, facts []byte) ([]byte, error) {
	data := make([]byte, 0, 200)
	data = append(data, "flette/lease/1\n"...)
	data = append(data, tenant...)
	data = append(data, '\n')
	data = append(data, device[:]...)
	data = append(data, actor...)
	data = append(data, '\n')
	data = append(data, facts...)
	mac, err := keys.LeaseMAC(keyID, data)
	if err != nil {
		return nil, ErrLease
	}
	return mac[:leaseMAC], nil
}

// append48 keeps the sign: two's complement in 48 bits, enough for 4,400 years either way.
func append48(b []byte, v int64) []byte {
	u := uint64(v)
	return append(b, byte(u>>40), byte(u>>32), byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
}

func read48(b []byte) int64 {
	u := uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(b[2])<<24 | uint64(b[3])<<16 | uint64(b[4])<<8 | uint64(b[5])
	return int64(u<<16) >> 16
}

// LeaseGrant asks for a lease after the api has checked the user's token and the device proof.
type LeaseGrant struct {
	Tenant  model.TenantID
	Device  model.DeviceID
	Actor   model.ActorID
	Roles   model.Roles
	Name    model.Private
	Wall    model.Millis // the tablet's wall clock now
	Session model.Millis // end of the user's session, 0 for the longest allowed
}

// IssueLease gives the actor authority to work offline on the device, and lets through the
// entries of this device and actor that had waited for a login. ErrRevoked for a revoked
// device, store.ErrNotFound for an unknown one. released counts the entries let through.
func (e *Engine) IssueLease(ctx context.Context, g LeaseGrant) (l model.Lease, released int, err error) {
	ts, err := e.tenant(g.Tenant)
	if err != nil {
		return l, 0, err
	}
	now := e.o.Now()
	end := now + e.o.Session
	if g.Session != 0 && g.Session < end {
		end = g.Session
	}
	l, err = e.newLease(g.Tenant, ts.keys, model.Lease{
		Device: g.Device, Actor: g.Actor, Roles: g.Roles, IssuedAt: now, ExpiresAt: end, WallOffset: g.Wall - now,
	})
	if err != nil {
		return l, 0, err
	}
	waiting, err := e.noteLogin(ctx, ts, g, l)
	if err != nil {
		return l, 0, err
	}
	for _, item := range waiting {
		if heldForVersion(item.Code) {
			ok, err := e.recheck(ctx, ts, g.Tenant, item, g.Actor)
			if err != nil {
				e.o.Log.Warn("judging anew after login failed", "code", item.Code, "error", err)
			}
			if ok {
				released++
			}
			continue
		}
		_, err := e.settle(ctx, ts, settling{
			tenant: g.Tenant, item: item.ID, person: item.Person, act: model.ActRelease,
			actor: g.Actor, roles: model.Roles(model.RoleSupervisor),
			reason: model.Reason{Code: "actor-reauthenticated", Text: ""},
		})
		if err != nil {
			e.o.Log.Warn("release after login failed", "code", item.Code, "error", err)
			continue
		}
		released++
	}
	return l, released, nil
}

// noteLogin records the actor and lists what waited for the login.
func (e *Engine) noteLogin(ctx context.Context, ts *tenantState, g LeaseGrant, l model.Lease) ([]store.QuarantineItem, error) {
	actor := store.Actor{ID: g.Actor, Roles: g.Roles, LastSeen: l.IssuedAt}
	if g.Name != "" {
		sealed, err := ts.keys.Seal([]byte(g.Name.Reveal()), sealedActor(g.Actor))
		if err != nil {
			return nil, err
		}
		actor.Sealed = sealed
	}
	var waiting []store.QuarantineItem
	_, err := e.st.Update(ctx, g.Tenant, nil, func(tx store.Tx) error {
		waiting = waiting[:0]
		d, err := store.Get[store.Device](tx, g.Device.String())
		if err != nil {
			return err
		}
		if err := Revoked(&d); err != nil {
			return err
		}
		open, err := store.List[store.OpenQuarantine](tx, g.Device.String()+" ", "", 0)
		if err != nil {
			return err
		}
		for _, o := range open {
			item, err := store.Get[store.QuarantineItem](tx, store.PositionKey(o.Position))
			if err != nil {
				return err
			}
			if item.Actor == g.Actor && (item.Code == CodeLeaseExpired || heldForVersion(item.Code)) {
				waiting = append(waiting, item)
			}
		}
		diary, err := diaryOf(tx, d.ID)
		if err != nil {
			return err
		}
		if g.Wall != 0 {
			diary.SkewMs = int64(l.WallOffset)
		}
		if err := store.Put(tx, mergeDiary(diary, store.Diary{
			Device: d.ID, At: l.IssuedAt, Contact: ContactLease, Actor: g.Actor, Login: l.IssuedAt, LeaseEnds: l.ExpiresAt,
		})); err != nil {
			return err
		}
		return store.Put(tx, actor)
	})
	return waiting, err
}

// RenewLease returns a fresh lease for the rest of the same session, when the old one is old
// enough to be worth it: a nearer clock anchor, never a longer authority.
func (e *Engine) RenewLease(tenant model.TenantID, old model.Lease, wall model.Millis) (model.Lease, bool, error) {
	now := e.o.Now()
	if now-old.IssuedAt < e.o.Renew || now >= old.ExpiresAt {
		return old, false, nil
	}
	ts, err := e.tenant(tenant)
	if err != nil {
		return old, false, err
	}
	offset := old.WallOffset
	if wall != 0 {
		offset = wall - now
	}
	fresh := old
	fresh.IssuedAt, fresh.WallOffset = now, offset
	fresh, err = e.newLease(tenant, ts.keys, fresh)
	return fresh, err == nil, err
}

// Lease reads a lease id issued to the device and actor. ErrLease when it was not.
func (e *Engine) Lease(tenant model.TenantID, device model.DeviceID, actor model.ActorID, id string) (model.Lease, error) {
	ts, err := e.tenant(tenant)
	if err != nil {
		return model.Lease{}, err
	}
	return parseLease(tenant, ts.keys, device, actor, id)
}

func sealedActor(a model.ActorID) string { return "actor|" + string(a) + "|1" }

func sealedPerson(p model.PersonID) string { return "person|" + p.String() + "|1" }
