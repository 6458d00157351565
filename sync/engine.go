package sync

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	gosync "sync"

	"flette/journal"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Keys are the secrets of one tenant; package internal/seal implements them.
type Keys interface {
	Seal(plain []byte, ad string) ([]byte, error)
	Open(sealed []byte, ad string) ([]byte, error)
	Index(kind, value string) [32]byte
	LeaseKeyID() uint32
	LeaseMAC(keyID uint32, data []byte) ([32]byte, error)
	CursorKeyID() uint32
	CursorMAC(keyID uint32, data []byte) ([32]byte, error)
	JournalSigner() string
	JournalVerifier() string
	DeskKey() ed25519.PrivateKey
}

// Rules evaluates the clinical rules of a person after units changed, inside the update
// that changed them: it writes and deletes findings and what else is derived from units.
// touched is nil when everything about the person may have changed.
type Rules func(tx store.Tx, person model.PersonID, touched []model.Unit, at model.Millis) error

// Rejudge evaluates all rules of a person by another version of them.
type Rejudge struct {
	Version string // of the rules; findings that follow another one are judged anew
	Person  func(tx store.Tx, person model.PersonID, at model.Millis) error
}

// Live computes the findings that no entry brings about: those of the calendar and of the
// organisation tree.
type Live func(v store.View, person model.PersonID, at model.Millis) ([]store.Finding, error)

// Options configure an Engine. Store, Keys, Now and Rand are required.
type Options struct {
	Store     store.Store
	Keys      func(model.TenantID) (Keys, error)
	Catalogue *catalogue.Catalogue // catalogue.Default() when nil
	Rules     Rules                // nil: no rules
	Rejudge   Rejudge              // the zero one: findings are never judged anew
	Live      Live                 // nil: no findings beside the stored ones
	Now       func() model.Millis
	Rand      io.Reader
	Log       *slog.Logger
	Workers   int          // signature verifications at a time; number of CPUs when 0
	Session   model.Millis // longest lease; 12 h when 0
	Renew     model.Millis // a push answer carries a fresh lease when the old one is older; 10 min when 0
	InviteFor model.Millis // life of an enrolment code; 10 min when 0
	Limits    PushLimits
	Newest    int // newest contract version that is read; model.ContractVersion when 0
	Floor     int // oldest contract version that is applied without a supervisor; 0 for every one
}

// PushLimits are advertised in every push answer.
type PushLimits struct {
	Entries  int // 500 when 0
	Bytes    int // decoded body; 4 MiB when 0
	KeepDays int // how long tablets keep what is acknowledged; 90 when 0
}

// Engine is safe for concurrent use.
type Engine struct {
	o       Options
	st      store.Store
	workers chan struct{}
	keys    keyCache
	tenants gosync.Map // model.TenantID -> *tenantState
}

// tenantState is what the engine keeps in memory per tenant; all of it can be lost.
type tenantState struct {
	keys     Keys
	signer   *journal.Signer
	verifier *journal.Verifier
	desk     *desk
	importer *desk // signs what is imported
	issued   rootCache
	hub      hub
	scopes   scopes
	contacts contacts
	owned    ownedCache
}

// New returns an engine and registers its commit hook with the store.
func New(o Options) (*Engine, error) {
	if o.Store == nil || o.Keys == nil || o.Now == nil || o.Rand == nil {
		return nil, errors.New("sync: Store, Keys, Now and Rand are required")
	}
	if o.Catalogue == nil {
		o.Catalogue = catalogue.Default()
	}
	if o.Rules == nil {
		o.Rules = func(store.Tx, model.PersonID, []model.Unit, model.Millis) error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.Workers, runtime.GOMAXPROCS(0))
	setDefault(&o.Session, 12*hour)
	setDefault(&o.Renew, 10*minute)
	setDefault(&o.InviteFor, 10*minute)
	setDefault(&o.Newest, model.ContractVersion)
	if o.Newest > model.ContractVersion || o.Floor > o.Newest {
		return nil, fmt.Errorf("sync: contract versions go from 1 to %d, and the floor is not above the newest", model.ContractVersion)
	}
	setDefault(&o.Limits.Entries, 500)
	setDefault(&o.Limits.Bytes, 4<<20)
	setDefault(&o.Limits.KeepDays, 90)
	e := &Engine{o: o, st: o.Store, workers: make(chan struct{}, o.Workers)}
	o.Store.OnCommit(e.sealCommit)
	return e, nil
}

const (
	second model.Millis = 1000
	minute              = 60 * second
	hour                = 60 * minute
)

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Limits returns what push answers advertise.
func (e *Engine) Limits() PushLimits { return e.o.Limits }

// Session returns the longest life of a lease.
func (e *Engine) Session() model.Millis { return e.o.Session }

// Now returns the engine's clock.
func (e *Engine) Now() model.Millis { return e.o.Now() }

// Store returns the store, for readers beside the engine.
func (e *Engine) Store() store.Store { return e.st }

// Keys returns the tenant's keys.
func (e *Engine) Keys(tenant model.TenantID) (Keys, error) {
	t, err := e.tenant(tenant)
	if err != nil {
		return nil, err
	}
	return t.keys, nil
}

func (e *Engine) tenant(id model.TenantID) (*tenantState, error) {
	if t, ok := e.tenants.Load(id); ok {
		return t.(*tenantState), nil
	}
	keys, err := e.o.Keys(id)
	if err != nil {
		return nil, fmt.Errorf("keys of tenant %s: %w", id, err)
	}
	signer, err := journal.NewSigner(keys.JournalSigner())
	if err != nil {
		return nil, err
	}
	verifier, err := journal.NewVerifier(keys.JournalVerifier())
	if err != nil {
		return nil, err
	}
	t := &tenantState{keys: keys, signer: signer, verifier: verifier}
	if t.desk, err = newDesk(keys.DeskKey()); err != nil {
		return nil, err
	}
	if t.importer, err = newImporter(keys.DeskKey()); err != nil {
		return nil, err
	}
	actual, _ := e.tenants.LoadOrStore(id, t)
	return actual.(*tenantState), nil
}

// CreateTenant makes a tenant with its review desk as its first device. The tenant's keys
// must exist already.
func (e *Engine) CreateTenant(ctx context.Context, t store.Tenant) error {
	ts, err := e.tenant(t.ID)
	if err != nil {
		return err
	}
	t.Created = e.o.Now()
	created := e.st.CreateTenant(ctx, t)
	if created != nil && !errors.Is(created, store.ErrExists) {
		return created
	}
	// A tenant that is there without its desk is one whose creation a crash cut off here: it
	// is completed with what is asked for now.
	_, err = e.st.Update(ctx, t.ID, nil, func(tx store.Tx) error {
		if created != nil {
			if has, err := ts.desk.stored(tx); has || err != nil {
				return cmp.Or(err, created)
			}
			t.Epoch = tx.Tenant().Epoch
			if err := tx.PutTenant(t); err != nil {
				return err
			}
		}
		if e.o.Rejudge.Person != nil { // nobody is here whom other rules judged
			if err := store.Put(tx, store.RulesState{Version: e.o.Rejudge.Version, Done: true}); err != nil {
				return err
			}
		}
		return store.Put(tx, ts.desk.device(t.Created))
	})
	return err
}
