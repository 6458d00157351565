package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/mobile-contract/check"
	"flette/model"
)

var checker = check.New()

// fake is just enough server: it verifies proofs and signatures, keeps a journal, and hands
// out each unit's heads. Its faults are switches.
type fake struct {
	t      testing.TB
	srv    *httptest.Server
	signer note.Signer
	vkey   string
	now    model.Millis

	mu      sync.Mutex
	epoch   string
	keys    map[model.DeviceID]jwk.PublicKey
	leases  map[string]contract.Lease // by token
	devices map[string]model.DeviceID // by lease token
	entries []*model.JWS              // the journal
	first   map[model.EntryID]contract.PushResult
	items   []contract.PullItem // feed, one per position or scope event
	seenJTI map[string]bool

	maxEntries  int              // more are 413
	nonce       string           // required in proofs when set
	busy        []string         // Retry-After of the next answers
	loseAnswers int              // process, then cut the connection
	rewind      bool             // answer store-rewound when the held checkpoint is not continued
	continues   bool             // a cursor of another epoch goes on
	lives       map[string]int64 // former epochs, and how much of each is still here
	forget      bool             // no device is known
	keepDays    int
	quarantine  map[model.Unit]string
	noZstd      bool
	forge       bool // sign checkpoints with a stranger's key
	pushes      int
}

const tenant = "testvik"

var nurse = "nurse-test-1"

func newFake(t testing.TB) *fake {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "flette/"+tenant)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		t: t, signer: signer, vkey: vkey, epoch: "e1", now: 1795248000000,
		keys: map[model.DeviceID]jwk.PublicKey{}, leases: map[string]contract.Lease{}, devices: map[string]model.DeviceID{},
		first: map[model.EntryID]contract.PushResult{}, seenJTI: map[string]bool{}, quarantine: map[model.Unit]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/devices", f.enrol)
	mux.HandleFunc("POST /v1/leases", f.lease)
	mux.HandleFunc("POST /v1/sync/push", f.push)
	mux.HandleFunc("GET /v1/sync/pull", f.pull)
	mux.HandleFunc("GET /v1/journal/checkpoint", f.checkpointNow)
	mux.HandleFunc("GET /v1/journal/consistency", f.consistency)
	mux.HandleFunc("GET /v1/reviews/r1", f.review)
	mux.HandleFunc("POST /v1/reviews/r1/decision", f.decide)
	f.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.busy) > 0 {
			w.Header().Set("Retry-After", f.busy[0])
			f.busy = f.busy[1:]
			f.problem(w, "rate-limited", nil)
			return
		}
		if f.loseAnswers > 0 {
			f.loseAnswers--
			mux.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.srv.Close)
	return f
}

// client checks every exchange against the contract.
func (f *fake) client() *http.Client {
	return &http.Client{Transport: checker.Transport(f.srv.Client().Transport, func(err error) { f.t.Error(err) })}
}

func (f *fake) problem(w http.ResponseWriter, code string, fill func(*contract.Problem)) {
	p := contract.NewProblem(code, "")
	p.Instance = "req-1"
	if fill != nil {
		fill(p)
	}
	f.answer(w, p.Status, "application/problem+json", p)
}

func (f *fake) answer(w http.ResponseWriter, status int, mime string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		f.t.Error(err)
	}
	w.Header().Set("Content-Type", mime)
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		f.t.Error(err)
	}
}

func (f *fake) ok(w http.ResponseWriter, status int, v any) {
	f.answer(w, status, "application/json", v)
}

func (f *fake) body(w http.ResponseWriter, r *http.Request, out any) bool {
	var in io.Reader = r.Body
	var err error
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "gzip":
		in, err = gzip.NewReader(r.Body)
	case "zstd":
		if f.noZstd {
			f.problem(w, "unsupported-encoding", nil)
			return false
		}
		in, err = zstd.NewReader(r.Body)
	}
	if err == nil {
		err = json.UnmarshalRead(in, out, json.RejectUnknownMembers(true))
	}
	if err != nil {
		f.problem(w, "invalid-json", nil)
	}
	return err == nil
}

// parts splits and verifies a JWS by a key that the header or the caller gives.
func parts(compact string, key *jwk.PublicKey) (header struct {
	Alg string        `json:"alg"`
	Typ string        `json:"typ"`
	JWK jwk.PublicKey `json:"jwk,omitzero"`
}, payload []byte, err error) {
	p := strings.Split(compact, ".")
	if len(p) != 3 {
		return header, nil, errors.New("not three parts")
	}
	var raw [3][]byte
	for i := range p {
		if raw[i], err = base64.RawURLEncoding.DecodeString(p[i]); err != nil {
			return header, nil, err
		}
	}
	if err := json.Unmarshal(raw[0], &header, json.RejectUnknownMembers(true)); err != nil {
		return header, nil, err
	}
	if key == nil {
		key = &header.JWK
	}
	if !key.Verify(header.Alg, []byte(p[0]+"."+p[1]), raw[2]) {
		return header, nil, errors.New("bad signature")
	}
	return header, raw[1], nil
}

// proven checks a DPoP proof and gives the key that made it.
func (f *fake) proven(w http.ResponseWriter, r *http.Request, token string) (jwk.PublicKey, bool) {
	h, payload, err := parts(r.Header.Get("DPoP"), nil)
	var c struct {
		HTM, HTU, JTI, ATH, Nonce string
		IAT                       int64
	}
	if err == nil {
		err = json.Unmarshal(payload, &c, json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true))
	}
	ath := sha256.Sum256([]byte(token))
	switch {
	case err != nil || h.Typ != "dpop+jwt" || c.HTM != r.Method || c.HTU != f.srv.URL+r.URL.Path || c.ATH != b64.EncodeToString(ath[:]):
		f.problem(w, "invalid-dpop", nil)
	case f.seenJTI[c.JTI]:
		f.problem(w, "replayed-proof", nil)
	case f.nonce != "" && c.Nonce != f.nonce:
		w.Header().Set("DPoP-Nonce", f.nonce)
		f.problem(w, "use-dpop-nonce", nil)
	default:
		f.seenJTI[c.JTI] = true
		return h.JWK, true
	}
	return jwk.PublicKey{}, false
}

func (f *fake) enrol(w http.ResponseWriter, r *http.Request) {
	var in contract.EnrolRequest
	if !f.body(w, r, &in) {
		return
	}
	key, err := jwk.Parse(in.Key)
	if err != nil {
		f.problem(w, "invalid-key", nil)
		return
	}
	h, payload, err := parts(in.Proof, &key)
	var c struct{ Tenant, Code, Jkt, Former string }
	if err != nil || h.Typ != "flette-enrol+jws" || json.Unmarshal(payload, &c, json.MatchCaseInsensitiveNames(true)) != nil ||
		c.Tenant != string(in.Tenant) || c.Code != in.Code || c.Jkt != key.Thumbprint() {
		f.problem(w, "invalid-proof", nil)
		return
	}
	if in.Code != "CODE-0001" {
		f.problem(w, "invite-invalid", nil)
		return
	}
	n := len(f.keys) + 1
	for known := range n {
		// The same code and key give the same device again.
		id, err := model.ParseDeviceID(fmt.Sprintf("0190a000-0000-7000-8000-%012x", known))
		if k, ok := f.keys[id]; err == nil && ok && k.Thumbprint() == key.Thumbprint() {
			n = known
		}
	}
	id, err := model.ParseDeviceID(fmt.Sprintf("0190a000-0000-7000-8000-%012x", n))
	if err != nil {
		f.t.Error(err)
	}
	if !in.Former.IsZero() {
		if c.Former != in.Former.String() {
			f.problem(w, "invalid-proof", nil)
			return
		}
		id, f.forget = in.Former, false
	}
	f.keys[id] = key
	f.ok(w, 201, contract.EnrolResponse{Device: id, Tenant: in.Tenant, Epoch: f.epoch, JournalKey: f.vkey, Fingerprint: "AB CD", ServerTime: f.now})
}

func (f *fake) newLease(device model.DeviceID, actor string) *contract.Lease {
	n := strconv.Itoa(len(f.leases))
	l := contract.Lease{Token: "token-" + n, ID: "L" + n, Actor: model.ActorID(actor), Roles: []string{"nurse"}, IssuedAt: f.now, ExpiresAt: f.now + 8*3600*1000}
	f.leases[l.Token], f.devices[l.Token] = l, device
	return &l
}

func (f *fake) lease(w http.ResponseWriter, r *http.Request) {
	actor, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer access-")
	if !ok {
		f.problem(w, "invalid-token", nil)
		return
	}
	key, ok := f.proven(w, r, "access-"+actor)
	if !ok {
		return
	}
	var in contract.LeaseRequest
	if !f.body(w, r, &in) {
		return
	}
	if known, there := f.keys[in.Device]; !there || !known.Equal(key) {
		f.problem(w, "unknown-device", nil)
		return
	}
	f.ok(w, 201, contract.LeaseResponse{Lease: *f.newLease(in.Device, actor), Epoch: f.epoch})
}

func (f *fake) leased(w http.ResponseWriter, r *http.Request) (model.DeviceID, contract.Lease, bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP ")
	l, ok := f.leases[token]
	if !ok {
		f.problem(w, "invalid-lease", nil)
		return model.DeviceID{}, l, false
	}
	key, ok := f.proven(w, r, token)
	device := f.devices[token]
	if ok && !f.keys[device].Equal(key) {
		f.problem(w, "lease-not-bound", nil)
		ok = false
	}
	return device, l, ok
}

// tree is the journal's hashes, computed anew each time: the fake is small.
func (f *fake) tree() (tlog.HashReader, int64) {
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = hashes[n]
		}
		return out, nil
	})
	for i, e := range f.entries {
		more, err := tlog.StoredHashes(int64(i), e.ID[:], reader)
		if err != nil {
			f.t.Error(err)
		}
		hashes = append(hashes, more...)
	}
	return reader, int64(len(f.entries))
}

func (f *fake) checkpoint() string {
	reader, size := f.tree()
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		f.t.Error(err)
	}
	signer := f.signer
	if f.forge {
		skey, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{8}, 64)), "flette/"+tenant)
		if err != nil {
			f.t.Error(err)
		}
		if signer, err = note.NewSigner(skey); err != nil {
			f.t.Error(err)
		}
	}
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("flette/%s/%s\n%d\n%s\n", tenant, f.epoch, size, root)}, signer)
	if err != nil {
		f.t.Error(err)
	}
	return string(text)
}

func (f *fake) push(w http.ResponseWriter, r *http.Request) {
	device, l, ok := f.leased(w, r)
	var in contract.PushRequest
	if !ok || !f.body(w, r, &in) {
		return
	}
	if f.maxEntries > 0 && len(in.Entries) > f.maxEntries {
		f.problem(w, "too-large", nil)
		return
	}
	if f.forget {
		f.problem(w, "unknown-device", nil)
		return
	}
	if f.rewind && in.Checkpoint != "" {
		held := strings.Split(in.Checkpoint, "\n")
		size, err := strconv.ParseInt(held[1], 10, 64)
		epoch := strings.TrimPrefix(held[0], "flette/"+tenant+"/")
		fork := f.lives[epoch]
		if epoch == f.epoch {
			fork = int64(len(f.entries))
		}
		if err != nil || size > fork {
			f.problem(w, "store-rewound", func(p *contract.Problem) { p.Size, p.Epoch = &fork, f.epoch })
			return
		}
	}
	f.pushes++
	out := contract.PushResponse{Epoch: f.epoch, Lease: f.newLease(device, string(l.Actor)), Limits: contract.Limits{Entries: 100, Bytes: 1 << 20, Entry: 1 << 18, KeepDays: f.keepDays}}
	for i, text := range in.Entries {
		res := f.judge(text)
		res.Index = i
		out.Results = append(out.Results, res)
	}
	out.Checkpoint = f.checkpoint()
	f.ok(w, 200, out)
}

func (f *fake) judge(text string) contract.PushResult {
	j, err := model.ParseJWS([]byte(text))
	if err != nil {
		return contract.PushResult{Outcome: contract.OutcomeRefused, Code: "not-a-jws", Detail: "not an entry"}
	}
	if known, again := f.first[j.ID]; again {
		known.First, known.Outcome = known.Outcome, contract.OutcomeDuplicate
		return known
	}
	key, there := f.keys[j.Device]
	if !there || !key.Verify(j.Alg, j.SigningInput(), j.Signature) {
		return contract.PushResult{ID: j.ID.String(), Outcome: contract.OutcomeRefused, Code: "bad-signature", Detail: "signature does not verify"}
	}
	position := int64(len(f.entries))
	f.entries = append(f.entries, j)
	res := contract.PushResult{ID: j.ID.String(), Outcome: contract.OutcomeApplied, Position: &position}
	res.Stamp = &model.Stamp{Wall: f.now, T: f.now, U: 1000, Lo: f.now, Hi: f.now, TEff: f.now, Class: model.ClockA}
	e, err := model.DecodeEntry(j.Payload)
	if err != nil {
		f.t.Errorf("the client signed what is no entry: %v", err)
	}
	for _, c := range e.Changes {
		if code := f.quarantine[c.Unit]; code != "" {
			res.Outcome, res.Code, res.Detail = contract.OutcomeQuarantined, code, "set by the test"
		}
	}
	if res.Outcome == contract.OutcomeApplied && e.Act.Sets() {
		for _, c := range e.Changes {
			f.set(e, j.ID, c, position)
		}
	}
	f.first[j.ID] = res
	return res
}

// set merges as the protocol says, as far as an honest client needs it.
func (f *fake) set(e *model.Entry, id model.EntryID, c model.Change, position int64) {
	stamp := model.Stamp{Wall: e.Wall, T: f.now, U: 1000, Lo: f.now, Hi: f.now, TEff: f.now, Class: model.ClockA}
	v := contract.UnitView{Unit: c.Unit, Position: position, Heads: []contract.HeadView{{
		Entry: id, Position: position, Act: e.Act, Actor: e.Actor, Device: e.Device, Stamp: stamp, Value: c.Value,
	}}}
	if old := f.current(e.Person, c.Unit); old != nil {
		for _, h := range old.Heads {
			if !slices.Contains(c.Over, h.Entry) {
				v.Heads = append(v.Heads, h)
				v.Class, v.Review = model.ClassClinical, "r1"
			}
		}
	}
	f.items = append(f.items, contract.PullItem{Type: contract.ItemUnit, Position: position, Person: e.Person, Unit: &v})
}

func (f *fake) current(p model.PersonID, u model.Unit) *contract.UnitView {
	for _, it := range slices.Backward(f.items) {
		if it.Unit != nil && it.Person == p && it.Unit.Unit == u {
			return it.Unit
		}
	}
	return nil
}

// pull pages through the feed two items at a time: epoch and index make the cursor.
func (f *fake) pull(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := f.leased(w, r); !ok {
		return
	}
	from := 0
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		epoch, at, _ := strings.Cut(cursor, ".")
		var err error
		if from, err = strconv.Atoi(at); err != nil || from > len(f.items) {
			f.problem(w, "cursor-gone", nil)
			return
		}
		if epoch != f.epoch && !f.continues {
			f.problem(w, "epoch-changed", nil)
			return
		}
	}
	to := min(from+2, len(f.items))
	f.ok(w, 200, contract.PullResponse{
		Epoch: f.epoch, Items: f.items[from:to], Cursor: f.epoch + "." + strconv.Itoa(to), More: to < len(f.items), Checkpoint: f.checkpoint(),
	})
}

func (f *fake) checkpointNow(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := f.leased(w, r); ok {
		f.ok(w, 200, contract.CheckpointResponse{Epoch: f.epoch, Checkpoint: f.checkpoint(), Key: f.vkey})
	}
}

func (f *fake) consistency(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := f.leased(w, r); !ok {
		return
	}
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	to, err2 := strconv.ParseInt(r.URL.Query().Get("to"), 10, 64)
	if err != nil || err2 != nil {
		f.problem(w, "invalid-query", nil)
		return
	}
	reader, _ := f.tree()
	proof, err := tlog.ProveTree(to, from, reader)
	if err != nil {
		f.t.Error(err)
	}
	out := contract.ConsistencyProof{From: from, To: to, Proof: []string{}}
	for _, h := range proof {
		out.Proof = append(out.Proof, h.String())
	}
	f.ok(w, 200, out)
}

// review knows one review whose head set is the number of entries.
func (f *fake) view() contract.ReviewView {
	return contract.ReviewView{
		ID: "r1", Person: somebody, State: "open", Class: model.ClassClinical, HeadSet: "h" + strconv.Itoa(len(f.entries)),
		Unit: contract.UnitView{Unit: memory, Class: model.ClassClinical, Heads: []contract.HeadView{}},
	}
}

func (f *fake) review(w http.ResponseWriter, _ *http.Request) {
	v := f.view()
	w.Header().Set("ETag", `"`+v.HeadSet+`"`)
	f.ok(w, 200, v)
}

func (f *fake) decide(w http.ResponseWriter, r *http.Request) {
	v := f.view()
	w.Header().Set("ETag", `"`+v.HeadSet+`"`)
	switch r.Header.Get("If-Match") {
	case "":
		f.problem(w, "precondition-required", nil)
	case `"` + v.HeadSet + `"`:
		zero := int64(0)
		v.State = "closed"
		f.ok(w, 201, contract.DecisionResponse{
			Result: contract.PushResult{ID: (model.EntryID{}).String(), Outcome: contract.OutcomeApplied, Position: &zero}, Review: v, Checkpoint: f.checkpoint(),
		})
	default:
		f.problem(w, "precondition-failed", func(p *contract.Problem) { p.Current = &v })
	}
}

// clock is a tablet's: both of its clocks move only when told to.
type clock struct {
	wall time.Time
	mono time.Duration
}

func (c *clock) advance(d time.Duration) { c.wall, c.mono = c.wall.Add(d), c.mono+d }

// random is a reader of its own seed, so that tests repeat.
type random struct{ *rand.Rand }

func (r random) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return len(b), nil
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// tablet makes an enrolled tablet with somebody logged in. Its wall clock is 3 h ahead.
func (f *fake) tablet(cfg Config) (*Tablet, *clock) {
	f.t.Helper()
	c := &clock{wall: f.now.Time().Add(3 * time.Hour), mono: time.Hour}
	cfg.URL, cfg.HTTP = f.srv.URL, f.client()
	cfg.Wall, cfg.Mono = func() time.Time { return c.wall }, func() time.Duration { return c.mono }
	if cfg.Rand == nil {
		cfg.Rand = random{rand.New(rand.NewPCG(uint64(len(f.keys)), 1))}
	}
	if cfg.Sleep == nil {
		cfg.Sleep = noSleep
	}
	t, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := t.Enrol(context.Background(), tenant, "CODE-0001", "Test tablet"); err != nil {
		f.t.Fatal(err)
	}
	if _, err := t.Login(context.Background(), "access-"+nurse); err != nil {
		f.t.Fatal(err)
	}
	return t, c
}
