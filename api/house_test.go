package api

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"

	"flette/api/auth"
	"flette/internal/jwk"
	"flette/internal/seal"
	"flette/iplos/measure"
	contract "flette/mobile-contract"
	"flette/mobile-contract/check"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine per process for its Date header.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// It looks every 10 s whether its server has stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const (
	testvik = model.TenantID("testvik")
	proveby = model.TenantID("proveby")
)

// noon is when the tests' clock starts.
var noon = time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC)

// house is a whole server on a real listener, with two tenants. Every exchange of its client
// is held against the contract.
type house struct {
	t      testing.TB
	srv    *Server
	engine *sync.Engine
	keys   map[model.TenantID]*seal.Keys
	people map[model.TenantID][]model.PersonID
	issuer ed25519.PrivateKey
	clock  atomic.Int64 // nanoseconds since noon
	log    *lockedBuffer
	url    string
	http   *http.Client
	check  *check.Checker
	opts   Options
}

type lockedBuffer struct {
	mu gosync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (h *house) now() time.Time { return noon.Add(time.Duration(h.clock.Load())) }

func (h *house) advance(d time.Duration) { h.clock.Add(int64(d)) }

// newHouse opens a store of two tenants with four persons each. change may alter the options.
func newHouse(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	h := &house{
		t: t, keys: map[model.TenantID]*seal.Keys{}, people: map[model.TenantID][]model.PersonID{},
		issuer: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), log: &lockedBuffer{}, check: check.New(),
	}
	st, err := bolt.Open(t.TempDir(), bolt.Options{InitialMmapSize: 1 << 22})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	for _, id := range []model.TenantID{testvik, proveby} {
		h.keys[id], err = seal.Generate(id)
		must(t, err)
	}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	h.engine, err = sync.New(sync.Options{
		Store: st, Now: func() model.Millis { return model.MillisOf(h.now()) }, Rand: &counter{}, Workers: 2, Log: log,
		Keys: func(id model.TenantID) (sync.Keys, error) {
			if k := h.keys[id]; k != nil {
				return k, nil
			}
			return nil, errors.New("no keys")
		},
	})
	must(t, err)
	for _, id := range []model.TenantID{testvik, proveby} {
		must(t, h.engine.CreateTenant(background, store.Tenant{ID: id, Name: string(id), Kommune: "9901"}))
		var in []sync.PersonInput
		for i := range 4 {
			in = append(in, sync.PersonInput{
				Line: i + 1, Number: fmt.Sprintf("0181%02d%05d", 40+i, 12345+i), Name: fmt.Sprintf("Navnløs %s %d", id, i),
				Kommune: "9901", Test: true,
			})
		}
		done, err := h.engine.ImportPersons(background, id, in)
		must(t, err)
		h.people[id] = done.Persons
	}
	own, err := auth.OwnIssuer("https://own.test", "flette", map[string]ed25519.PublicKey{"k1": h.issuer.Public().(ed25519.PublicKey)})
	must(t, err)
	verifier, err := auth.NewVerifier([]auth.IssuerConfig{own})
	must(t, err)
	h.opts = Options{
		Engine: h.engine, Verifier: verifier, Now: h.now, Rand: &counter{}, Log: log,
		TokenKey: func(id model.TenantID) (string, ed25519.PrivateKey, error) {
			k := h.keys[id]
			if k == nil {
				return "", nil, errors.New("no keys")
			}
			kid, key := k.TokenKey()
			return kid, key, nil
		},
		Extracts: fakeExtracts{h},
		Weekly: func(v store.View, week string, person *model.PersonID) ([]contract.TimeRow, error) {
			if week == "2026-W53" {
				return nil, model.Problemf("invalid-week", "", "the year has no week 53")
			}
			granted := 120
			return []contract.TimeRow{{Person: h.people[v.Tenant().ID][0], DirectMinutes: 30, GrantedMinutes: &granted}}, nil
		},
	}
	h.opts.Report = func(ctx context.Context, v store.View, date string, depth int, ages bool) (measure.Report, map[string]string, error) {
		o := measure.Options{Groups: measure.Default(), Date: date, Depth: depth, Section: h.engine.SectionOf}
		if ages {
			o.Born = func(*store.Person) string { return "1940-01-01" }
		}
		r, err := measure.Make(ctx, v, o)
		return r, map[string]string{}, err
	}
	for _, f := range change {
		f(&h.opts)
	}
	h.srv, err = New(h.opts)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h.url = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.srv.Serve(ln) }()
	transport := &http.Transport{DisableCompression: true}
	h.http = &http.Client{Transport: h.check.Transport(transport, func(err error) { t.Errorf("contract: %v", err) })}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(background, 10*time.Second)
		defer cancel()
		must(t, h.srv.Shutdown(ctx))
		must(t, <-served)
		for id := range h.keys {
			report, err := h.engine.Verify(background, id, sync.Checks{}, nil)
			must(t, err)
			if !report.OK() {
				t.Errorf("%s does not verify: %v", id, report.Problems)
			}
		}
	})
	return h
}

var background = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counter is randomness that tests can repeat: never the same bytes twice.
type counter struct {
	mu gosync.Mutex
	n  uint64
}

func (c *counter) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 0; i < len(p); {
		c.n++
		sum := sha256.Sum256(fmt.Appendf(nil, "%d", c.n))
		i += copy(p[i:], sum[:])
	}
	return len(p), nil
}

// fakeExtracts stores an extract without content, as package kpr would store one with.
type fakeExtracts struct{ h *house }

func (f fakeExtracts) Run(ctx context.Context, tenant model.TenantID, target string, by model.ActorID) (store.Extract, error) {
	if target == "production" {
		return store.Extract{}, model.Problemf("nothing-to-send", "", "the register has everything")
	}
	x := store.Extract{
		ID: "x-1", Format: format, Target: target, From: 1, To: 2, Created: model.MillisOf(f.h.now()), By: string(by),
		SHA256: strings.Repeat("0", 64), Counts: map[string]int{"N": 2},
		Excluded: []store.Excluded{{Person: f.h.people[tenant][0], Rule: "R2", Code: "test-person"}},
	}
	_, err := f.h.engine.Store().Update(ctx, tenant, nil, func(tx store.Tx) error { return store.Put(tx, x) })
	return x, err
}

func (fakeExtracts) Resend(_ context.Context, _ model.TenantID, sel Selection) (Resent, error) {
	if sel.Extract != "" && sel.Extract != "x-1" {
		return Resent{}, model.Problemf("kpr-selection", "", "no notification fits the selection")
	}
	return Resent{[]byte("<again/>"), 1, 2}, nil
}

func (f fakeExtracts) File(ctx context.Context, tenant model.TenantID, id string) ([]byte, error) {
	err := f.h.engine.Store().View(ctx, tenant, func(v store.View) error {
		_, err := store.Get[store.Extract](v, id)
		return err
	})
	return []byte("<message/>"), err
}

// token makes an access token.
func (h *house) token(tenant model.TenantID, actor string, roles model.Roles, change ...func(*auth.AccessClaims)) string {
	h.t.Helper()
	c := auth.AccessClaims{
		Issuer: "https://own.test", Audience: "flette", Subject: model.ActorID(actor), Tenant: tenant, Roles: roles,
		Name: model.Private("Navnløs " + actor), IssuedAt: h.now(), ExpiresAt: h.now().Add(24 * time.Hour),
	}
	for _, f := range change {
		f(&c)
	}
	token, err := auth.Issue("k1", h.issuer, c)
	must(h.t, err)
	return token
}

// api makes calls of a person at a desk.
func (h *house) api(tenant model.TenantID, actor string, roles model.Roles) *client.API {
	h.t.Helper()
	a, err := client.NewAPI(client.APIConfig{URL: h.url, HTTP: h.http, Token: h.token(tenant, actor, roles), Wall: h.now, Sleep: h.sleep})
	must(h.t, err)
	return a
}

// sleep moves the clock instead of waiting.
func (h *house) sleep(_ context.Context, d time.Duration) error {
	h.advance(d)
	return nil
}

// device is a tablet that a test drives by hand.
type device struct {
	h      *house
	tenant model.TenantID
	id     model.DeviceID
	key    crypto.Signer
	pub    jwk.PublicKey
	lease  contract.Lease
	seq    int64
	prev   string
	jti    int
}

// tablet enrols a device and logs the actor in.
func (h *house) tablet(tenant model.TenantID, actor string, roles model.Roles) *device {
	h.t.Helper()
	seed := sha256.Sum256([]byte(string(tenant) + actor))
	d := &device{h: h, tenant: tenant, key: ed25519.NewKeyFromSeed(seed[:])}
	var err error
	d.pub, err = jwk.New(d.key.Public())
	must(h.t, err)
	code, _, err := h.engine.Invite(background, tenant, "nettbrett "+actor)
	must(h.t, err)
	var e contract.EnrolResponse
	d.ok(http.StatusCreated, "POST", "/v1/devices", "", contract.EnrolRequest{
		Tenant: tenant, Code: code, Key: jsontext.Value(d.pub.String()), Proof: d.enrolProof(string(tenant), code),
	}, &e)
	d.id = e.Device
	d.login(actor, roles)
	return d
}

func (d *device) enrolProof(tenant, code string) string {
	return d.compact(`{"alg":"EdDSA","typ":"flette-enrol+jws"}`,
		fmt.Sprintf(`{"tenant":%q,"code":%q,"jkt":%q}`, tenant, code, d.pub.Thumbprint()))
}

func (d *device) login(actor string, roles model.Roles) {
	d.h.t.Helper()
	var l contract.LeaseResponse
	d.ok(http.StatusCreated, "POST", "/v1/leases", "Bearer "+d.h.token(d.tenant, actor, roles),
		contract.LeaseRequest{Device: d.id, Wall: model.MillisOf(d.h.now())}, &l)
	d.lease = l.Lease
}

func (d *device) compact(header, payload string) string {
	input := b64(header) + "." + b64(payload)
	sig, err := d.key.Sign(nil, []byte(input), crypto.Hash(0))
	must(d.h.t, err)
	return input + "." + b64(string(sig))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// dpop makes a proof for a request with a token.
func (d *device) dpop(method, path, token string) string {
	d.jti++
	path, _, _ = strings.Cut(path, "?")
	ath := sha256.Sum256([]byte(token))
	return d.compact(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+d.pub.String()+`}`,
		fmt.Sprintf(`{"jti":"%s-%d","htm":%q,"htu":%q,"iat":%d,"ath":%q}`, d.pub.Thumbprint()[:8], d.jti, method, d.h.url+path,
			d.h.now().Unix(), base64.RawURLEncoding.EncodeToString(ath[:])))
}

func (d *device) auth() string { return "DPoP " + d.lease.Token }

// request makes a request with a proof for its Authorization.
func (d *device) request(method, path, authorization string, body any) *http.Request {
	req := d.h.request(method, path, authorization, body)
	if _, token, ok := strings.Cut(authorization, " "); ok {
		req.Header.Set("DPoP", d.dpop(method, path, token))
	}
	return req
}

func (d *device) ok(status int, method, path, authorization string, body, out any) {
	d.h.t.Helper()
	d.h.want(status, d.request(method, path, authorization, body), out)
}

// request makes a request; body is bytes or something to marshal.
func (h *house) request(method, path, authorization string, body any) *http.Request {
	h.t.Helper()
	var r io.Reader
	raw, isRaw := body.([]byte)
	if body != nil {
		if !isRaw {
			var err error
			raw, err = json.Marshal(body)
			must(h.t, err)
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(background, method, h.url+path, r)
	must(h.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return req
}

func (h *house) do(req *http.Request) (*http.Response, []byte) {
	h.t.Helper()
	res, err := h.http.Do(req)
	must(h.t, err)
	var body []byte
	if res.Header.Get("Content-Type") == eventMIME {
		body = make([]byte, len(event(contract.EventPull))) // it has no end
		_, err = io.ReadFull(res.Body, body)
	} else {
		body, err = io.ReadAll(res.Body)
	}
	must(h.t, err)
	must(h.t, res.Body.Close())
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Server": "", "Vary": "Accept-Encoding"} {
		if got := res.Header.Get(name); got != want {
			h.t.Errorf("%s %s: header %s is %q, want %q", req.Method, req.URL.Path, name, got, want)
		}
	}
	if id := res.Header.Get("X-Request-Id"); len(id) != 24 {
		h.t.Errorf("request id %q", id)
	}
	return res, body
}

// want makes a request and asserts its status; out takes the body.
func (h *house) want(status int, req *http.Request, out any) http.Header {
	h.t.Helper()
	res, body := h.do(req)
	if res.StatusCode != status {
		h.t.Fatalf("%s %s: status %d, want %d: %s\n%s", req.Method, req.URL, res.StatusCode, status, body, h.log.String())
	}
	if out != nil {
		must(h.t, json.Unmarshal(body, out))
	}
	return res.Header
}

// refused makes a request and asserts the problem it gets.
func (h *house) refused(code string, req *http.Request) contract.Problem {
	h.t.Helper()
	_, body := h.do(req)
	var p contract.Problem
	must(h.t, json.Unmarshal(body, &p))
	if p.Code != code {
		h.t.Errorf("%s %s: code %q, want %q: %s", req.Method, req.URL, p.Code, code, body)
	}
	return p
}

// entry signs the device's next entry.
func (d *device) entry(person model.PersonID, act model.Act, changes []model.Change, edit ...func(*model.Entry)) string {
	d.h.t.Helper()
	d.seq++
	e := model.Entry{
		V: 1, Tenant: d.tenant, Device: d.id, Seq: d.seq, Prev: d.prev, Actor: d.lease.Actor, Lease: d.lease.ID,
		ElapsedMs: int64(model.MillisOf(d.h.now()) - d.lease.IssuedAt), Clock: model.ClockMonotonic,
		Wall: model.MillisOf(d.h.now()), Person: person, Act: act, Changes: changes,
	}
	for _, f := range edit {
		f(&e)
	}
	jws, id, err := client.SignEntry(d.key, &e)
	must(d.h.t, err)
	d.prev = id.String()
	return jws
}

func score(unit string, n int, over ...model.EntryID) []model.Change {
	return []model.Change{{Unit: model.Unit(unit), Value: jsontext.Value(fmt.Sprintf(`{"score":%d}`, n)), Over: over}}
}

func (d *device) push(entries ...string) contract.PushResponse {
	d.h.t.Helper()
	var out contract.PushResponse
	if entries == nil {
		entries = []string{}
	}
	d.ok(http.StatusOK, "POST", pathPush, d.auth(), contract.PushRequest{Entries: entries}, &out)
	return out
}

// size is the journal size of a tenant: what no refused request may change.
func (h *house) size(tenant model.TenantID) (n int64) {
	h.t.Helper()
	must(h.t, h.engine.Store().View(background, tenant, func(v store.View) error {
		n = v.Size()
		return nil
	}))
	return n
}

func (h *house) assign(tenant model.TenantID, actor string, persons ...model.PersonID) {
	h.t.Helper()
	_, err := h.engine.Assign(background, tenant, sync.Assign{Actor: model.ActorID(actor), Persons: persons, By: "test"})
	must(h.t, err)
}
