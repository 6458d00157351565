package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	gosync "sync"
	"sync/atomic"
	"time"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/model/catalogue"
)

// fleet is the closed population: every tablet keeps its own key, chain, lease, outbox and
// receipts, and only as many as are at work hold a client in memory.
type fleet struct {
	plan     loadPlan
	target   *loadTarget
	salt     string
	encoding string
	herd     herdPlan
	atOnce   int
	http     *http.Client
	meter    *meter
	spool    *spool
	people   []model.PersonID
	members  []member
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error // of tablets that are told to come back; nil: as long as they are told
	began    time.Time
	progress func(what string, of int) (step func(), done func())
}

// member is a tablet at rest.
type member struct {
	state client.State // without the outbox
	boxes []outbox     // what it signed, offline and then one by one
	acks  []ack        // in the order of signing
}

func newFleet(plan loadPlan, target *loadTarget, atOnce int, encoding string) (*fleet, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = atOnce, atOnce
	f := &fleet{
		plan: plan, target: target, atOnce: min(atOnce, plan.Tablets), encoding: encoding, now: time.Now, began: time.Now(),
		meter: &meter{base: transport, now: time.Now}, members: make([]member, plan.Tablets),
		progress: func(string, int) (func(), func()) { return func() {}, func() {} },
	}
	f.salt = fmt.Sprintf("%x", f.began.UnixNano())
	f.http = &http.Client{Transport: f.meter, Timeout: 2 * time.Minute}
	var err error
	f.spool, err = newSpool("")
	return f, err
}

func (f *fleet) close() error {
	f.http.CloseIdleConnections()
	return f.spool.close()
}

// each runs do for every tablet, atOnce at a time. A tablet is always in the same hands, so
// two calls never work on one tablet. The first error ends it.
func (f *fleet) each(ctx context.Context, what string, rounds int, do func(ctx context.Context, round, tablet int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	step, done := f.progress(what, rounds*f.plan.Tablets)
	defer done()
	var wg gosync.WaitGroup
	var finished atomic.Int64
	for w := range f.atOnce {
		wg.Go(func() {
			for round := range rounds {
				for i := w; i < f.plan.Tablets && ctx.Err() == nil; i += f.atOnce {
					if err := do(ctx, round, i); err != nil {
						cancel(fmt.Errorf("%s, tablet %d: %w", what, i, err))
						return
					}
					finished.Add(1)
					step()
				}
			}
		})
	}
	wg.Wait()
	if finished.Load() == int64(rounds)*int64(f.plan.Tablets) {
		return nil
	}
	return context.Cause(ctx)
}

// patience is how often a tablet comes back when it is told to wait.
const patience = 200

func (f *fleet) config(i int) client.Config {
	return client.Config{
		URL: f.target.url, HTTP: f.http, Key: f.plan.key(i, f.salt), Encoding: f.encoding,
		Wall: f.now, Mono: func() time.Duration { return f.now().Sub(f.began) },
		Sleep: f.sleep, App: loadApp, Catalogue: catalogue.Default().Version, Tries: patience, Keep: -1, Lean: true,
		Save: func(s *client.State) error {
			kept := *s
			kept.Outbox, kept.Kept = nil, nil
			f.members[i].state = kept
			return nil
		},
	}
}

// tablet wakes a tablet with these entries in its outbox.
func (f *fleet) tablet(i int, entries []string) (*client.Tablet, error) {
	return f.tabletOn(f.http, i, entries)
}

// tabletOn is tablet on a network of its own.
func (f *fleet) tabletOn(network *http.Client, i int, entries []string) (*client.Tablet, error) {
	state := f.members[i].state
	state.Outbox = make([]client.Pending, len(entries))
	for k, jws := range entries {
		j, err := model.ParseJWS([]byte(jws))
		if err != nil {
			return nil, err
		}
		state.Outbox[k] = client.Pending{ID: j.ID, JWS: jws}
	}
	cfg := f.config(i)
	cfg.HTTP = network
	return client.Restore(cfg, &state)
}

// enrol makes a tablet with a caseload and somebody logged in.
func (f *fleet) enrol(ctx context.Context, i int) error {
	actor := f.plan.actor(i)
	code, err := f.target.invite(ctx, "load tablet")
	if err != nil {
		return err
	}
	cfg := f.config(i)
	enrolling := cfg
	if own := f.fromOwnAddress(i); own != nil {
		enrolling.HTTP = own
		defer own.CloseIdleConnections()
	}
	fresh, err := client.New(enrolling)
	if err != nil {
		return err
	}
	if _, err := fresh.Enrol(ctx, f.target.tenant, code, fmt.Sprintf("Lastbrett %d", i)); err != nil {
		return err
	}
	persons := make([]model.PersonID, 0, loadCaseload+1)
	for _, p := range f.plan.caseload(i) {
		persons = append(persons, f.people[p])
	}
	if err := f.target.assign(ctx, actor, persons); err != nil {
		return err
	}
	token, err := f.target.token(ctx, actor, "nurse")
	if err != nil {
		return err
	}
	t, err := client.Restore(cfg, &f.members[i].state)
	if err != nil {
		return err
	}
	_, err = t.Login(ctx, token)
	return err
}

// fromOwnAddress is a network by which a tablet has an address of its own, nil where that
// cannot be. The server limits enrolments from one address.
func (f *fleet) fromOwnAddress(i int) *http.Client {
	if runtime.GOOS != "linux" || !f.target.loopback() {
		return nil
	}
	ip := address(i)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip[:]}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}, Timeout: time.Minute}
}

// signOffline signs all that a tablet does without coverage and puts it into the spool.
func (f *fleet) signOffline(i int) error {
	m, key := &f.members[i], f.plan.key(i, f.salt)
	type place struct {
		person int
		unit   model.Unit
	}
	heads := map[place]model.EntryID{}
	entries := make([]string, f.plan.Entries)
	for k := range entries {
		w := f.plan.offline(i, k)
		for c := range w.changes {
			if h, ok := heads[place{w.person, w.changes[c].Unit}]; ok {
				w.changes[c].Over = []model.EntryID{h}
			}
		}
		// The entries are spread evenly over the time offline.
		elapsed := f.plan.Offline * time.Duration(k+1) / time.Duration(f.plan.Entries+1)
		jws, id, err := m.sign(key, f.people[w.person], w.changes, elapsed)
		if err != nil {
			return err
		}
		entries[k] = jws
		for c := range w.changes {
			heads[place{w.person, w.changes[c].Unit}] = id
		}
	}
	box, err := f.spool.put(entries)
	m.boxes = append(m.boxes, box)
	return err
}

// loadApp is the app of what the load's tablets sign.
const loadApp = "flette-load"

// sign makes the tablet's next entry.
func (m *member) sign(key ed25519.PrivateKey, person model.PersonID, changes []model.Change, elapsed time.Duration) (string, model.EntryID, error) {
	s := &m.state
	if s.Lease == nil {
		return "", model.EntryID{}, client.ErrNoLease
	}
	jws, id, err := client.SignEntry(key, &model.Entry{
		V: model.ContractVersion, App: loadApp, Catalogue: catalogue.Default().Version, Tenant: s.Tenant, Device: s.Device, Seq: s.Seq + 1, Prev: s.Prev, Actor: s.Lease.Actor, Lease: s.Lease.ID,
		ElapsedMs: elapsed.Milliseconds(), Clock: model.ClockMonotonic, Wall: s.Lease.IssuedAt + model.Millis(elapsed.Milliseconds()),
		Person: person, Act: model.ActRegister, Changes: changes,
	})
	if err == nil {
		s.Seq, s.Prev = s.Seq+1, id.String()
	}
	return jws, id, err
}

// entries reads back what a tablet has signed.
func (f *fleet) entries(i int) ([]string, error) {
	var all []string
	for _, b := range f.members[i].boxes {
		some, err := f.spool.get(b)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// push implements pusher: it wakes a tablet with the entries and hands them in.
func (f *fleet) push(ctx context.Context, i int, entries []string) ([]contract.PushResult, error) {
	t, err := f.tablet(i, entries)
	if err != nil {
		return nil, err
	}
	report, err := t.Push(ctx)
	return report.Results, err
}

// errRefused means that the server cannot tell whose an entry is, which is never right here.
var errRefused = errors.New("an entry was refused")

// acknowledge notes the receipts for entries in order of signing.
func (m *member) acknowledge(results []contract.PushResult) error {
	for i := range results {
		r := &results[i]
		id, err := model.ParseEntryID(r.ID)
		if err != nil || r.Position == nil {
			return fmt.Errorf("%w: %s %s", errRefused, r.Code, r.Detail)
		}
		m.acks = append(m.acks, ack{id, *r.Position})
	}
	return nil
}
