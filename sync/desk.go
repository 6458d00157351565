package sync

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"flette/internal/jwk"
	"flette/model"
	"flette/store"
)

// deskApp is the app of what the desk signs.
const deskApp = "flette desk"

// desk is the tenant's review desk: the device whose key signs what supervisors do through
// the api, so that a decision is an entry like any other, under a signature like any other.
type desk struct {
	kind   string
	label  string
	app    string
	key    ed25519.PrivateKey
	public jwk.PublicKey
	id     model.DeviceID
	header []byte
}

func newDesk(key ed25519.PrivateKey) (*desk, error) {
	return newSigner(key, KindDesk, "review desk", deskApp)
}

func newSigner(key ed25519.PrivateKey, kind, label, app string) (*desk, error) {
	public, err := jwk.New(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("desk key: %w", err)
	}
	sum := sha256.Sum256([]byte("flette/desk/1\n" + public.Thumbprint()))
	var id uuid.UUID
	copy(id[:], sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	d := &desk{kind: kind, label: label, app: app, key: key, public: public, id: model.DeviceID(id)}
	d.header = fmt.Appendf(nil, `{"alg":"EdDSA","kid":"%s","typ":"%s"}`, d.id, model.EntryType)
	return d, nil
}

func (d *desk) device(now model.Millis) store.Device {
	return store.Device{
		ID: d.id, Label: d.label, Kind: d.kind, Alg: d.public.Alg(), Key: []byte(d.public.String()),
		JKT: d.public.Thumbprint(), State: DeviceActive, Enrolled: now,
	}
}

// stored reports whether the tenant knows its desk.
func (d *desk) stored(v store.View) (bool, error) {
	_, err := store.Get[store.Device](v, d.id.String())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// deskAct is what a person does through the api instead of a tablet.
type deskAct struct {
	person  model.PersonID
	actor   model.ActorID
	roles   model.Roles
	act     model.Act
	reason  *model.Reason
	changes []model.Change
	by      *desk // nil for the review desk
}

// deskSign makes the desk's next entry. It runs inside the update that applies it, so that the
// desk's own chain has no gaps; signing is a function of the transaction alone (G6).
func (e *Engine) deskSign(tx store.Tx, ts *tenantState, a deskAct, now model.Millis) (*candidate, error) {
	by := cmp.Or(a.by, ts.desk)
	// A crash right after the tenant's file was made leaves a tenant without its desk.
	if has, err := by.stored(tx); err != nil {
		return nil, err
	} else if !has {
		if err := store.Put(tx, by.device(now)); err != nil {
			return nil, err
		}
	}
	tenant := tx.Tenant().ID
	chain, err := tx.Chain(by.id)
	if err != nil {
		return nil, err
	}
	lease, err := e.newLease(tenant, ts.keys, model.Lease{
		Device: by.id, Actor: a.actor, Roles: a.roles, IssuedAt: now, ExpiresAt: now + minute,
	})
	if err != nil {
		return nil, err
	}
	entry := model.Entry{
		V: model.ContractVersion, App: by.app, Catalogue: e.o.Catalogue.Version, Tenant: tenant, Device: by.id, Seq: chain.Last + 1,
		Actor: a.actor, Lease: lease.ID, Clock: model.ClockMonotonic, Wall: now,
		Person: a.person, Act: a.act, Reason: a.reason, Changes: a.changes,
	}
	if chain.Last > 0 {
		entry.Prev = chain.LastID.String()
	}
	payload, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	j := &model.JWS{Alg: model.AlgEdDSA, Device: by.id, Header: by.header, Payload: payload}
	input := j.SigningInput()
	j.ID = model.NewEntryID(input)
	j.Signature = ed25519.Sign(by.key, input)
	// What the desk signs passes the same decoder as what a tablet signs.
	decoded, err := model.DecodeEntry(payload)
	if err != nil {
		return nil, err
	}
	return &candidate{jws: j, entry: decoded, device: by.device(now), leaseOK: true, lease: lease}, nil
}
