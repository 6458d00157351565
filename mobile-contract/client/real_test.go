package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flette/api"
	"flette/api/auth"
	"flette/internal/seal"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	engine "flette/sync"
)

// real is the server itself, on a listener: what the fake leaves out is tested against it.
type real struct {
	t       testing.TB
	e       *engine.Engine
	url     string
	http    *http.Transport
	issuer  ed25519.PrivateKey
	persons []model.PersonID
	clock   atomic.Int64 // seconds since start
}

func newReal(t testing.TB, persons int) *real {
	t.Helper()
	f := &real{
		t:      t,
		issuer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), http: &http.Transport{},
	}
	keys, err := seal.Generate(tenant)
	f.must(err)
	st, err := bolt.Open(t.TempDir(), bolt.Options{InitialMmapSize: 1 << 22})
	f.must(err)
	t.Cleanup(func() { f.must(st.Close()) })
	source := &locked{r: random{rand.New(rand.NewPCG(1, 2))}}
	f.e, err = engine.New(engine.Options{
		Store: st, Keys: func(model.TenantID) (engine.Keys, error) { return keys, nil }, Rand: source,
		Now: func() model.Millis { return model.MillisOf(f.now()) },
	})
	f.must(err)
	f.must(f.e.CreateTenant(t.Context(), store.Tenant{ID: tenant, Name: "Testvik", Kommune: "9901"}))
	var in []engine.PersonInput
	for i := range persons {
		in = append(in, engine.PersonInput{
			Line: i + 1, Number: fmt.Sprintf("0181%02d%05d", 40+i, 12345+i), Name: fmt.Sprintf("Navnløs %d", i), Kommune: "9901", Test: true,
		})
	}
	done, err := f.e.ImportPersons(t.Context(), tenant, in)
	f.must(err)
	f.persons = done.Persons
	own, err := auth.OwnIssuer("https://own.test", "flette", map[string]ed25519.PublicKey{"k1": f.issuer.Public().(ed25519.PublicKey)})
	f.must(err)
	verifier, err := auth.NewVerifier([]auth.IssuerConfig{own})
	f.must(err)
	many := api.Rate{Every: time.Nanosecond, Burst: 1 << 20}
	srv, err := api.New(api.Options{
		Engine: f.e, Verifier: verifier, Now: f.now, Rand: source, Limits: api.Limits{Device: many, Actor: many},
		TokenKey: func(model.TenantID) (string, ed25519.PrivateKey, error) {
			kid, key := keys.TokenKey()
			return kid, key, nil
		},
	})
	f.must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	f.url = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		f.http.CloseIdleConnections()
		f.must(srv.Shutdown(context.Background()))
		f.must(<-served)
	})
	return f
}

func (f *real) now() time.Time {
	return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC).Add(time.Duration(f.clock.Load()) * time.Second)
}

func (f *real) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

type locked struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *locked) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// tablet enrols and logs in; wrap may change what the network does.
func (f *real) tablet(actor model.ActorID, wrap func(http.RoundTripper) http.RoundTripper) *Tablet {
	f.t.Helper()
	network := checker.Transport(f.http, func(err error) { f.t.Error(err) })
	if wrap != nil {
		network = wrap(network)
	}
	seed := sha256.Sum256([]byte(actor))
	tab, err := New(Config{
		URL: f.url, HTTP: &http.Client{Transport: network}, Key: ed25519.NewKeyFromSeed(seed[:]), Sleep: noSleep,
		Wall: f.now, Mono: func() time.Duration { return time.Hour + f.now().Sub(time.Unix(0, 0)) },
	})
	f.must(err)
	code, _, err := f.e.Invite(f.t.Context(), tenant, "tablet")
	f.must(err)
	_, err = tab.Enrol(f.t.Context(), tenant, code, "")
	f.must(err)
	token, err := auth.Issue("k1", f.issuer, auth.AccessClaims{
		Issuer: "https://own.test", Audience: "flette", Subject: actor, Tenant: tenant, Roles: model.Roles(model.RoleNurse),
		IssuedAt: f.now(), ExpiresAt: f.now().Add(time.Hour),
	})
	f.must(err)
	_, err = tab.Login(f.t.Context(), token)
	f.must(err)
	return tab
}

func (f *real) assign(actor model.ActorID, end bool, persons ...model.PersonID) {
	f.t.Helper()
	_, err := f.e.Assign(f.t.Context(), tenant, engine.Assign{Actor: actor, Persons: persons, End: end, By: "test"})
	f.must(err)
}

func (f *real) plan(actor model.ActorID, persons ...model.PersonID) {
	f.t.Helper()
	_, err := f.e.PlanVisits(f.t.Context(), tenant, engine.Plan{Actor: actor, Date: model.DateInOslo(model.MillisOf(f.now())), Persons: persons, By: "test"})
	f.must(err)
}

// right holds a tablet's view against the store: whose it is, and every head in it.
func (f *real) right(tab *Tablet, persons ...model.PersonID) error {
	f.t.Helper()
	tab.mu.Lock()
	defer tab.mu.Unlock()
	if len(tab.view) != len(persons) {
		return fmt.Errorf("the view has %d persons, want %d", len(tab.view), len(persons))
	}
	return f.e.Store().View(f.t.Context(), tenant, func(v store.View) error {
		for _, p := range persons {
			who := tab.view[p]
			if who == nil || who.card == nil || who.gone {
				return fmt.Errorf("person %s is not there", p)
			}
			units := 0
			var wrong error
			err := v.Units(p, "", "", func(s *model.UnitState) bool {
				units++
				u := who.units[s.Unit]
				if u == nil || u.class != s.Class || len(u.heads) != len(s.Heads) || len(s.Heads) > 0 && u.heads[0].id != s.Heads[0].ID {
					wrong = fmt.Errorf("unit %s of %s is wrong", s.Unit, p)
				}
				return true
			})
			if err != nil || wrong != nil {
				return fmt.Errorf("%w %w", err, wrong)
			}
			if units != len(who.units) {
				return fmt.Errorf("%s has %d units, want %d", p, len(who.units), units)
			}
		}
		return nil
	})
}
