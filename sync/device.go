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
)

// Errors of device calls.
var (
	ErrInvite       = errors.New("sync: enrolment code is unknown, used or expired")
	ErrDeviceExists = errors.New("sync: the key is enrolled already")
	ErrRevoked      = errors.New("sync: device is revoked")
	ErrDesk         = errors.New("sync: the review desk cannot be revoked; it signs what supervisors decide")
)

var codeAlphabet = base32.NewEncoding("ABCDEFGHJKMNPQRSTVWXYZ0123456789").WithPadding(base32.NoPadding)

// Invite makes a one-time enrolment code: 16 characters in groups of four. Only its hash is
// kept.
func (e *Engine) Invite(ctx context.Context, tenant model.TenantID, label string) (code string, expires model.Millis, err error) {
	var raw [10]byte
	if _, err := io.ReadFull(e.o.Rand, raw[:]); err != nil {
		return "", 0, err
	}
	s := codeAlphabet.EncodeToString(raw[:])
	code = s[0:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
	expires = e.o.Now() + e.o.InviteFor
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		return store.Put(tx, store.Invite{CodeHash: codeHash(code), Label: label, Expires: expires})
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
}

// Enrol spends the code and makes the device. Whoever lost the answer may ask again: the same
// code and key give the same device while the code lives. ErrInvite, ErrDeviceExists.
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

// Revoke leaves a tombstone: what the device still hands in goes to quarantine, and it gets
// no lease and no data. store.ErrNotFound for an unknown device, ErrDesk for the review desk.
func (e *Engine) Revoke(ctx context.Context, tenant model.TenantID, id model.DeviceID, reason string) (store.Device, error) {
	var d store.Device
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		var err error
		if d, err = store.Get[store.Device](tx, id.String()); err != nil {
			return err
		}
		if d.Kind == KindDesk {
			return ErrDesk
		}
		if d.State == DeviceRevoked {
			return nil
		}
		d.State, d.Revoked, d.Reason = DeviceRevoked, e.o.Now(), reason
		return store.Put(tx, d)
	})
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

// DeviceStatus is a device with what is known of its chain and last contact.
type DeviceStatus struct {
	store.Device
	Chain store.Chain
	Diary *store.Diary
}

// Devices lists devices after an id.
func (e *Engine) Devices(ctx context.Context, tenant model.TenantID, after string, limit int) ([]DeviceStatus, error) {
	var out []DeviceStatus
	err := e.st.View(ctx, tenant, func(v store.View) error {
		devices, err := store.List[store.Device](v, "", after, limit)
		if err != nil {
			return err
		}
		for _, d := range devices {
			s := DeviceStatus{Device: d}
			if s.Chain, err = v.Chain(d.ID); err != nil {
				return err
			}
			diary, err := store.Get[store.Diary](v, d.ID.String())
			if err == nil {
				s.Diary = &diary
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
			out = append(out, s)
		}
		return nil
	})
	return out, err
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
