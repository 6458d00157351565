package sync

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	gosync "sync"

	"github.com/google/uuid"

	"flette/internal/jwk"
	"flette/model"
	"flette/store"
)

// States and kinds of a device.
const (
	DeviceActive  = "active"
	DeviceRevoked = "revoked"
	KindTablet    = "tablet"
	KindDesk      = "desk"
	KindImport    = "import" // signs what an operator takes over from a former system
)

// OfServer reports whether the server itself holds the key of a device of the kind.
func OfServer(kind string) bool { return kind == KindDesk || kind == KindImport }

// Errors of device calls.
var (
	ErrInvite       = errors.New("sync: enrolment code is unknown, used or expired")
	ErrDeviceExists = errors.New("sync: the key or the device is enrolled already")
	// ErrUnknownDevice means that the caller's own device is not enrolled here: the store was
	// restored to before its enrolment, or re-created.
	ErrUnknownDevice = errors.New("sync: the device is not enrolled here")
	ErrRevoked       = errors.New("sync: device is revoked")
	ErrDesk          = errors.New("sync: the review desk cannot be revoked; it signs what supervisors decide")
)

var codeAlphabet = base32.NewEncoding("ABCDEFGHJKMNPQRSTVWXYZ0123456789").WithPadding(base32.NoPadding)

// Invite makes a one-time enrolment code: 16 characters in groups of four. Only its hash is
// kept.
func (e *Engine) Invite(ctx context.Context, tenant model.TenantID, label string) (code string, expires model.Millis, err error) {
	return e.InviteReplacement(ctx, tenant, label, model.DeviceID{})
}

// InviteReplacement is Invite for a device that takes the place of another one: when it
// enrols, the other is shut out, and told to enrol anew. store.ErrNotFound when there is no
// such device, ErrDesk for the review desk.
func (e *Engine) InviteReplacement(ctx context.Context, tenant model.TenantID, label string, replaces model.DeviceID) (code string, expires model.Millis, err error) {
	var raw [10]byte
	if _, err := io.ReadFull(e.o.Rand, raw[:]); err != nil {
		return "", 0, err
	}
	s := codeAlphabet.EncodeToString(raw[:])
	code = s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
	expires = e.o.Now() + e.o.InviteFor
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		if !replaces.IsZero() {
			d, err := store.Get[store.Device](tx, replaces.String())
			if err != nil {
				return err
			}
			if OfServer(d.Kind) {
				return ErrDesk
			}
			if !d.ReplacedBy.IsZero() {
				return model.Problemf("invalid-member", "/replaces", "device %s has taken its place already: replace that one", d.ReplacedBy)
			}
		}
		return store.Put(tx, store.Invite{CodeHash: codeHash(code), Label: label, Expires: expires, Replaces: replaces})
	})
	return code, expires, err
}

// codeHash forgives what people do to codes: lower case, blanks, missing hyphens.
func codeHash(code string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(code))
	sum := sha256.Sum256([]byte("flette/invite/1\n" + clean))
	return hex.EncodeToString(sum[:])
}

// Enrolment is a tablet's request; the api has checked the proof of possession.
type Enrolment struct {
	Tenant model.TenantID
	Code   string
	Key    jwk.PublicKey
	Label  string
	// Former is the id that the tablet had in a life which this store does not remember. It
	// gets that id back, so that what it signed before verifies again. Zero for a new one.
	Former model.DeviceID
	// Handovers are the changes of key since its enrolment, oldest first, to Key. A store that
	// knows the former id by one of these keys makes up for the changes that it has forgotten.
	Handovers []Handover
}

// Enrol spends the code and makes the device. Whoever lost the answer may ask again: the same
// code and key give the same device while the code lives. ErrInvite; ErrDeviceExists
// when the key belongs to a device of this store, or the former id to one that did not hand
// over to it.
func (e *Engine) Enrol(ctx context.Context, r Enrolment) (store.Device, error) {
	now := e.o.Now()
	id, err := uuid.NewRandomFromReader(e.o.Rand)
	if err != nil {
		return store.Device{}, err
	}
	d := store.Device{
		ID: model.DeviceID(id), Label: r.Label, Kind: KindTablet, Alg: r.Key.Alg(), Key: []byte(r.Key.String()),
		JKT: r.Key.Thumbprint(), State: DeviceActive, Enrolled: now,
	}
	if !r.Former.IsZero() {
		d.ID = r.Former
	}
	_, err = e.st.Update(ctx, r.Tenant, nil, func(tx store.Tx) error {
		inv, err := store.Get[store.Invite](tx, codeHash(r.Code))
		if errors.Is(err, store.ErrNotFound) || err == nil && now >= inv.Expires {
			return ErrInvite
		}
		if err != nil {
			return err
		}
		if inv.Used != 0 {
			made, err := store.Get[store.Device](tx, inv.Device.String())
			if err == nil && (made.JKT != d.JKT || made.State != DeviceActive) {
				err = ErrInvite
			}
			if err == nil {
				d = made
			}
			return err
		}
		// One key, one device: a second device with the same key would be a clone by design.
		if _, err := store.Get[store.DeviceKey](tx, d.JKT); err == nil {
			return ErrDeviceExists
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if d.Label == "" {
			d.Label = inv.Label
		}
		known, err := store.Get[store.Device](tx, d.ID.String())
		switch {
		case err == nil:
			if !inv.Replaces.IsZero() {
				return ErrDeviceExists
			}
			d = known // also a revoked one, which stays so: it may hand in what it signed
			if err := e.handOver(tx, &d, r.Handovers, now); err != nil {
				return err
			}
		case !errors.Is(err, store.ErrNotFound):
			return err
		case len(r.Handovers) > 0:
			first := r.Handovers[0].From
			d.Alg, d.Key, d.JKT = first.Alg(), []byte(first.String()), first.Thumbprint()
			if err := store.Put(tx, store.DeviceKey{JKT: d.JKT, Device: d.ID}); err != nil {
				return err
			}
			if err := e.handOver(tx, &d, r.Handovers, now); err != nil {
				return err
			}
		}
		if !inv.Replaces.IsZero() {
			if err := replace(tx, inv.Replaces, d.ID, now); err != nil {
				return err
			}
		}
		inv.Used, inv.Device = now, d.ID
		if err := store.Put(tx, inv); err != nil {
			return err
		}
		if err := store.Put(tx, store.DeviceKey{JKT: d.JKT, Device: d.ID}); err != nil {
			return err
		}
		return store.Put(tx, d)
	})
	return d, err
}

// replace shuts a device out whose place another one takes. It is told to enrol anew, not to
// erase: it may be the very tablet that just did. A device that was revoked before stays so.
func replace(tx store.Tx, old, by model.DeviceID, now model.Millis) error {
	d, err := store.Get[store.Device](tx, old.String())
	if err != nil {
		return err
	}
	if !d.ReplacedBy.IsZero() {
		return ErrInvite // of two codes for one place the first one used gets it
	}
	d.ReplacedBy = by
	if d.State == DeviceActive {
		d.State, d.Revoked, d.Reason, d.Order = DeviceRevoked, now, ReasonReplaced, OrderReEnrol
	}
	return store.Put(tx, d)
}

// ReasonReplaced is why a device is revoked whose place another one took.
const ReasonReplaced = "replaced"

// Revoke leaves a tombstone: what the device still hands in goes to quarantine, and it gets
// no lease and no data but the order to erase what it holds. Nothing undoes it; revoking a
// device that was replaced makes it stricter. store.ErrNotFound for an unknown device, ErrDesk
// for the review desk.
func (e *Engine) Revoke(ctx context.Context, tenant model.TenantID, id model.DeviceID, reason string) (store.Device, error) {
	return e.revoke(ctx, tenant, id, reason, false)
}

// RevokeCompromised is Revoke for a device whose key strangers may hold: who releases what
// still arrives under it is told so. A device that was revoked before becomes compromised.
func (e *Engine) RevokeCompromised(ctx context.Context, tenant model.TenantID, id model.DeviceID, reason string) (store.Device, error) {
	return e.revoke(ctx, tenant, id, reason, true)
}

func (e *Engine) revoke(ctx context.Context, tenant model.TenantID, id model.DeviceID, reason string, compromised bool) (store.Device, error) {
	var d store.Device
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		var err error
		if d, err = store.Get[store.Device](tx, id.String()); err != nil {
			return err
		}
		if OfServer(d.Kind) {
			return ErrDesk
		}
		switch {
		case d.State == DeviceActive:
			d.State, d.Revoked = DeviceRevoked, e.o.Now()
		case d.Order == OrderReEnrol || compromised && !d.Compromised:
		default:
			return nil
		}
		d.Order, d.Reason, d.Compromised = OrderWipe, reason, d.Compromised || compromised
		return store.Put(tx, d)
	})
	if ts, terr := e.tenant(tenant); err == nil && terr == nil {
		ts.hub.wipe(id)
	}
	return d, err
}

// Device reads a device. store.ErrNotFound.
func (e *Engine) Device(ctx context.Context, tenant model.TenantID, id model.DeviceID) (d store.Device, err error) {
	err = e.st.View(ctx, tenant, func(v store.View) error {
		d, err = store.Get[store.Device](v, id.String())
		return err
	})
	return d, err
}

// Fingerprint spells a key thumbprint for two people to compare: four groups of four.
func Fingerprint(jkt string) string {
	sum := sha256.Sum256([]byte(jkt))
	s := codeAlphabet.EncodeToString(sum[:10])
	return s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}

// keyCache keeps parsed public keys: parsing a P-256 key costs as much as a hash of a
// thousand entries. The key text is the cache key, so a stale hit is impossible.
type keyCache struct {
	mu   gosync.RWMutex
	keys map[string]jwk.PublicKey
}

const keyCacheSize = 50_000

func (c *keyCache) get(text []byte) (jwk.PublicKey, error) {
	c.mu.RLock()
	k, ok := c.keys[string(text)]
	c.mu.RUnlock()
	if ok {
		return k, nil
	}
	k, err := jwk.Parse(text)
	if err != nil {
		return k, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= keyCacheSize {
		c.keys = make(map[string]jwk.PublicKey)
	}
	c.keys[string(text)] = k
	return k, nil
}
