package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	gosync "sync"
	"time"

	"flette/api"
	"flette/api/auth"
	"flette/internal/seal"
	"flette/iplos"
	"flette/iplos/kpr"
	"flette/iplos/submit"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// app is everything below the api, opened on one data folder. This file is the only place
// that picks a driver.
//
//	DIR/tenants/<tenant>.db    the store
//	DIR/keys/<tenant>.keys     the tenant's secrets, unless --keys names another folder
//	DIR/admin.sock             the running server's door for the command line
type app struct {
	dir    string
	keyDir string
	store  *bolt.Store
	engine *sync.Engine
	log    *slog.Logger
	now    func() time.Time

	// Set by serve, before anybody can ask.
	external       string                      // base URL that tablets use, "" without a server
	tenantsChanged func(context.Context) error // makes tokens of a new tenant good; may be nil

	limits api.Limits // of a server over this app
	damage gosync.Map // model.TenantID -> error, what the last scrub found

	submitting gosync.Mutex // one submission at a time: an answer belongs to the attempt that is out

	mu    gosync.Mutex
	keys  map[model.TenantID]*seal.Keys
	rules map[model.TenantID]*iplos.Engine
}

type appOptions struct {
	Dir      string
	Keys     string // folder of key files; DIR/keys when ""
	ReadOnly bool
	NoWalk   bool // see bolt.Options
	Log      *slog.Logger
	Now      func() time.Time // time.Now when nil
	Workers  int
	NoGroup  bool
	KeepDays int // how long tablets keep what is acknowledged; the engine's default when 0
	Floor    int // oldest contract version applied without a supervisor
}

func (o *appOptions) setDefaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keys == "" {
		o.Keys = filepath.Join(o.Dir, "keys")
	}
}

// openApp opens the store and builds the engine. The folder is made when it is not there,
// unless it is opened read-only.
func openApp(o appOptions) (*app, error) {
	if o.Dir == "" { // a variable that was not set, mostly: nothing is to be made where the shell stands
		return nil, problemf("no-data-folder", "the data folder has no name: give --data, or set FLETTE_DATA")
	}
	o.setDefaults()
	if o.ReadOnly {
		if _, err := os.Stat(filepath.Join(o.Dir, "tenants")); err != nil {
			return nil, fmt.Errorf("%s holds no Flette store (there is no folder tenants in it)", o.Dir)
		}
	} else if err := errors.Join(os.MkdirAll(o.Dir, 0o700), os.MkdirAll(o.Keys, 0o700)); err != nil {
		return nil, err
	}
	st, err := bolt.Open(o.Dir, bolt.Options{ReadOnly: o.ReadOnly, NoWalk: o.NoWalk, NoGrouping: o.NoGroup, Now: time.Now})
	if err != nil {
		return nil, err
	}
	a, err := newApp(o, st)
	if err != nil || o.ReadOnly {
		return a, err
	}
	if err := a.creationsDone(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// openFileApp builds the engine over one store file that no data folder holds: a copy to look
// at, or to make ready before it takes its place. o.Dir is not used but for the keys.
func openFileApp(path string, o appOptions) (*app, error) {
	o.setDefaults()
	st, err := bolt.OpenFile(path, bolt.Options{ReadOnly: o.ReadOnly, NoWalk: o.NoWalk})
	if err != nil {
		return nil, err
	}
	return newApp(o, st)
}

func newApp(o appOptions, st *bolt.Store) (*app, error) {
	var err error
	a := &app{
		dir: o.Dir, keyDir: o.Keys, store: st, log: o.Log, now: o.Now,
		keys: map[model.TenantID]*seal.Keys{}, rules: map[model.TenantID]*iplos.Engine{},
	}
	a.engine, err = sync.New(sync.Options{
		Store: st,
		Keys:  func(t model.TenantID) (sync.Keys, error) { return a.tenantKeys(t) },
		Rules: a.applyRules,
		Rejudge: sync.Rejudge{Version: iplos.RulesVersion(), Person: func(tx store.Tx, p model.PersonID, at model.Millis) error {
			return a.tenantRules(tx.Tenant().ID).Again(tx, p, at)
		}},
		Live: func(v store.View, p model.PersonID, at model.Millis) ([]store.Finding, error) {
			return a.tenantRules(v.Tenant().ID).Live(v, p, at)
		},
		Now:  func() model.Millis { return model.MillisOf(a.now()) },
		Rand: rand.Reader, Log: o.Log, Workers: o.Workers, Floor: o.Floor, Limits: sync.PushLimits{KeepDays: o.KeepDays},
	})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return a, nil
}

const keySuffix = ".keys"

// Close closes the store.
func (a *app) Close() error { return a.store.Close() }

func (a *app) keyFile(t model.TenantID) string { return filepath.Join(a.keyDir, string(t)+keySuffix) }

// tenantKeys loads a tenant's key file once.
func (a *app) tenantKeys(t model.TenantID) (*seal.Keys, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k, ok := a.keys[t]; ok {
		return k, nil
	}
	k, err := seal.Load(a.keyFile(t), t)
	if err != nil {
		return nil, err
	}
	a.keys[t] = k
	return k, nil
}

// tenantRules is the tenant's rule engine; it opens birth dates, so it is per tenant.
func (a *app) tenantRules(t model.TenantID) *iplos.Engine {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.rules[t]
	if !ok {
		r = iplos.New(iplos.Settings{BirthDate: func(p store.Person) string {
			who, err := a.engine.Identity(t, &p)
			if err != nil {
				return ""
			}
			return who.BirthDate
		}})
		a.rules[t] = r
	}
	return r
}

func (a *app) applyRules(tx store.Tx, person model.PersonID, touched []model.Unit, at model.Millis) error {
	return a.tenantRules(tx.Tenant().ID).Apply(tx, person, touched, at)
}

// createTenant makes the key file, then the store. A key file that is there already is kept:
// it belongs to a tenant whose store was lost, and only it can open the backups. The store is
// then made only with recreate, because to begin the record empty is for a person to say.
func (a *app) createTenant(ctx context.Context, t store.Tenant, recreate bool) error {
	_, err := os.Stat(a.keyFile(t.ID))
	begun := a.creating(t.ID)
	if err == nil && !recreate && !fileExists(begun) {
		// Another's keys, or keys that cannot be used, are the nearer trouble.
		if _, err := a.tenantKeys(t.ID); err != nil {
			return err
		}
		return problemf("store-lost", "the keys of %s are here (%s), but its store is not; restore a backup with flette restore, or confirm with --recreate that its record begins empty", t.ID, a.keyFile(t.ID))
	}
	if errors.Is(err, os.ErrNotExist) {
		// A mark from before the keys are there: whoever finds both knows that no store was lost.
		if err := markFile(begun); err != nil {
			return err
		}
		k, err := seal.Generate(t.ID)
		if err != nil {
			return err
		}
		if err := k.Save(a.keyFile(t.ID)); err != nil {
			return err
		}
	}
	err = a.engine.CreateTenant(ctx, t)
	if err == nil || errors.Is(err, store.ErrExists) {
		err = errors.Join(err, removeFile(begun))
	}
	return err
}

// creationsDone takes away the marks of tenants that are complete but for that.
func (a *app) creationsDone() error {
	ids, err := a.store.Tenants(context.Background())
	for _, id := range ids {
		err = errors.Join(err, removeFile(a.creating(id)))
	}
	return err
}

// creating is the mark that stands beside the stores while a tenant is made.
func (a *app) creating(t model.TenantID) string {
	return filepath.Join(a.dir, "tenants", string(t)+".creating")
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// markFile makes an empty file that outlives a power cut.
func markFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), bolt.SyncDir(filepath.Dir(path)))
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// checks are what verify compares beside the engine's own tables.
func (a *app) checks(t model.TenantID) sync.Checks {
	return sync.Checks{
		Person: a.tenantRules(t).Verify,
		Tenant: func(v store.View) ([]string, error) {
			times, err := iplos.VerifyTimeIndex(v)
			if err != nil {
				return nil, err
			}
			ledger, err := kpr.VerifyLedger(v)
			if err != nil {
				return nil, err
			}
			sent, err := submit.VerifyLedger(v)
			return slices.Concat(times, ledger, sent), err
		},
	}
}

// Issuer and audience of the server's own access tokens. Each tenant is an issuer of its
// own, so that one tenant's key can never speak for another.
const audience = "flette"

func ownIssuer(t model.TenantID) string { return "flette/" + string(t) }

// issuers configures the verifier for the own tokens of every tenant.
func (a *app) issuers(ctx context.Context) ([]auth.IssuerConfig, error) {
	tenants, err := a.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	var out []auth.IssuerConfig
	for _, t := range tenants {
		k, err := a.tenantKeys(t)
		if err != nil {
			return nil, err
		}
		kid, key := k.TokenKey()
		c, err := auth.OwnIssuer(ownIssuer(t), audience, map[string]ed25519.PublicKey{kid: key.Public().(ed25519.PublicKey)})
		if err != nil {
			return nil, err
		}
		c.Require = map[string]string{"tenant": string(t)}
		out = append(out, c)
	}
	return out, nil
}

// userToken issues a break-glass access token from the server's own issuer.
func (a *app) userToken(t model.TenantID, actor model.ActorID, roles model.Roles, name string, life time.Duration) (string, error) {
	k, err := a.tenantKeys(t)
	if err != nil {
		return "", err
	}
	kid, key := k.TokenKey()
	now := a.now()
	return auth.Issue(kid, key, auth.AccessClaims{
		Issuer: ownIssuer(t), Audience: audience, Subject: actor, Tenant: t, Roles: roles,
		Name: model.Private(name), IssuedAt: now, ExpiresAt: now.Add(life),
	})
}

// kprOptions are the options of every run of the extract.
func (a *app) kprOptions(t model.TenantID, target, by string) (kpr.Options, error) {
	k, err := a.tenantKeys(t)
	if err != nil {
		return kpr.Options{}, err
	}
	o := kpr.Options{
		Target: target, Now: model.MillisOf(a.now()), By: by, Vendor: "Flette", System: "Flette", Version: version(),
		Open: k.Open, Seal: k.Seal, Index: k.Index, AsOf: a.engine.AsOf,
	}
	if fileExists(a.registerPath(t)) {
		f, err := a.registerFile(t)
		if err != nil {
			return o, err
		}
		o.From, o.Types = f.Events.From, f.Events.Types
	}
	return o, nil
}

// Run produces the next KPR message (api.Extracts).
func (a *app) Run(ctx context.Context, t model.TenantID, target, by string) (store.Extract, error) {
	o, err := a.kprOptions(t, target, by)
	if err != nil {
		return store.Extract{}, err
	}
	x, _, err := kpr.Run(ctx, a.store, t, o)
	return x, err
}

// Resend writes notifications of the ledger again (api.Extracts).
func (a *app) Resend(ctx context.Context, t model.TenantID, target, by string, sel kpr.Selection) ([]byte, error) {
	o, err := a.kprOptions(t, target, by)
	if err != nil {
		return nil, err
	}
	return kpr.Resend(ctx, a.store, t, o, sel)
}

// File opens the sealed file of an extract (api.Extracts). store.ErrNotFound.
func (a *app) File(ctx context.Context, t model.TenantID, id string) ([]byte, error) {
	k, err := a.tenantKeys(t)
	if err != nil {
		return nil, err
	}
	var x store.Extract
	err = a.store.View(ctx, t, func(v store.View) error {
		x, err = store.Get[store.Extract](v, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k.Open(x.File, "extract|"+id+"|1")
}
