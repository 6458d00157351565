package client

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	contract "flette/mobile-contract"
	"flette/model"
)

// Errors of a tablet that is not ready for a call.
var (
	ErrNotEnrolled = errors.New("client: the device is not enrolled")
	ErrNoLease     = errors.New("client: nobody is logged in")
	ErrUnsent      = errors.New("client: hand the outbox in before the tablet is enrolled anew")
)

// Config makes a tablet. URL, Wall and Mono are required.
type Config struct {
	URL  string        // "https://flette.example", without a slash at the end
	HTTP *http.Client  // http.DefaultClient when nil
	Key  crypto.Signer // Ed25519 or P-256; a new Ed25519 key when nil

	Wall  func() time.Time     // the tablet's wall clock: may be wrong
	Mono  func() time.Duration // counts up from anywhere, never back
	Sleep func(context.Context, time.Duration) error
	Rand  io.Reader // crypto/rand when nil

	App       string // name and version, signed into every entry: 1-100 bytes of printable ASCII; "unknown" when ""
	Catalogue string // version of the catalogue that the app shows, signed into every entry: 1-40 bytes of printable ASCII; "unknown" when ""
	Encoding  string // of pushes: EncodingNone, EncodingGzip or EncodingZstd
	Batch     int    // most entries in a push, when lower than what the server allows
	Page      int    // items in a pull page, 0 for the server's choice
	Tries     int    // of a call that gets 429, 503 or no answer; 4 when 0
	Keep      int    // most acknowledged entries kept for a rewound server (T5); 5000 when 0, none when negative
	Lean      bool   // keep ids of heads without their values: for populations of tablets

	// Save puts the state on stable storage before it returns (T1). It is called for every
	// signed entry and every answer, with the tablet's lock held. Nil keeps all in memory.
	Save func(*State) error

	// DestroyKey removes the key from where it is kept, the last step of a wipe. It may be nil.
	DestroyKey func() error
}

// Tablet is one enrolled device. It is safe for concurrent use: signing never waits for the
// network, and network calls follow each other.
type Tablet struct {
	cfg  Config
	call *caller

	net sync.Mutex // one network call at a time; taken before mu
	mu  sync.Mutex // guards all below

	s         State
	verifier  note.Verifier
	held      checkpoint
	mono      time.Duration // Mono when the lease was received
	limits    contract.Limits
	cursor    string
	viewEpoch string                  // life of the store that the view is of
	mark      string                  // of an unfinished Load
	loaded    map[model.PersonID]bool // whole persons of it
	viewOf    model.ActorID           // whose caseload the view is
	view      caseload
	whole     bool                   // the view has been loaded to its end
	waiting   map[model.PersonID]int // entries in the outbox, by person
	lastErr   string
	next      crypto.Signer // the key of a change that is not finished
}

// New makes a tablet that is not enrolled.
func New(cfg Config) (*Tablet, error) {
	if cfg.URL == "" || cfg.Wall == nil || cfg.Mono == nil {
		return nil, errors.New("client: URL, Wall and Mono are required")
	}
	if cfg.App = cmp.Or(cfg.App, "unknown"); !model.IsApp(cfg.App) {
		return nil, fmt.Errorf("client: App is at most %d bytes of printable ASCII", model.MaxApp)
	}
	if cfg.Catalogue = cmp.Or(cfg.Catalogue, "unknown"); !model.IsCatalogue(cfg.Catalogue) {
		return nil, fmt.Errorf("client: Catalogue is at most %d bytes of printable ASCII", model.MaxCatalogue)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Key == nil {
		seed := make([]byte, ed25519.SeedSize)
		if _, err := io.ReadFull(cfg.Rand, seed); err != nil {
			return nil, fmt.Errorf("client: random: %w", err)
		}
		cfg.Key = ed25519.NewKeyFromSeed(seed)
	}
	cfg.Tries, cfg.Keep = cmp.Or(cfg.Tries, 4), cmp.Or(cfg.Keep, 5000)
	prove, err := newProver(cfg.Key, cfg.Rand)
	if err != nil {
		return nil, err
	}
	return &Tablet{
		cfg: cfg,
		call: &caller{
			base: strings.TrimSuffix(cfg.URL, "/"), http: cfg.HTTP, wall: cfg.Wall, sleep: cfg.Sleep,
			rand: cfg.Rand, tries: cfg.Tries, prove: prove,
		},
		limits:  contract.Limits{Entries: 200, Bytes: 1 << 20, Entry: model.MaxEntryBytes, KeepDays: 90},
		view:    caseload{},
		waiting: map[model.PersonID]int{},
	}, nil
}

// Enrol spends a one-time code and makes the key known to the tenant. It is repeated when no
// answer comes: the same code and key give the same device while the code lives. After that
// make a new tablet, with a new key, and enrol it with a new code.
func (t *Tablet) Enrol(ctx context.Context, tenant model.TenantID, code, label string) (*contract.EnrolResponse, error) {
	t.net.Lock()
	defer t.net.Unlock()
	t.mu.Lock()
	prove, unsent := t.call.prove, len(t.s.Outbox)
	err := t.mayWork()
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if unsent > 0 {
		return nil, ErrUnsent // T2
	}
	out, verifier, err := t.enrol(ctx, prove, contract.EnrolRequest{Tenant: tenant, Code: code, Label: label})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verifier = verifier
	if t.s.Device == out.Device {
		return out, nil // asked again: the chain goes on (T1)
	}
	t.s = State{Tenant: out.Tenant, Device: out.Device, Epoch: out.Epoch, JournalKey: out.JournalKey, JKT: prove.public.Thumbprint()}
	return out, t.save()
}

// enrol spends a code for a key.
func (t *Tablet) enrol(ctx context.Context, prove *prover, in contract.EnrolRequest) (*contract.EnrolResponse, note.Verifier, error) {
	var err error
	if in.Proof, err = prove.enrolProof(&in); err != nil {
		return nil, nil, err
	}
	in.Key = jsontext.Value(prove.public.String())
	var out contract.EnrolResponse
	if _, err := t.call.do(ctx, request{method: http.MethodPost, path: "/v1/devices", safe: true, in: in, out: &out}); err != nil {
		return nil, nil, err
	}
	verifier, err := note.NewVerifier(out.JournalKey)
	if err != nil || verifier.Name() != "flette/"+string(out.Tenant) {
		return nil, nil, fmt.Errorf("%w: journal key", ErrCheckpoint)
	}
	return &out, verifier, nil
}

// Login gets a lease for the user of an access token. Another user's caseload replaces the
// view; the outbox stays, each entry with its own author.
func (t *Tablet) Login(ctx context.Context, accessToken string) (*contract.LeaseResponse, error) {
	t.net.Lock()
	defer t.net.Unlock()
	t.mu.Lock()
	device, err := t.s.Device, t.mayWork()
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if device.IsZero() {
		return nil, ErrNotEnrolled
	}
	var out contract.LeaseResponse
	if _, err := t.call.do(ctx, request{
		method: http.MethodPost, path: "/v1/leases", scheme: "Bearer", token: accessToken, safe: true, out: &out,
		in: contract.LeaseRequest{Device: device, Wall: model.MillisOf(t.cfg.Wall())},
	}); err != nil {
		return nil, t.failed(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.anchor(&out.Lease)
	// Another epoch is no news yet: the next push asks whether it continues what we hold.
	if t.viewOf != out.Lease.Actor {
		t.viewOf = out.Lease.Actor
		t.dropView()
	}
	return &out, t.save()
}

// anchor takes a lease and notes the monotonic clock at its arrival.
func (t *Tablet) anchor(l *contract.Lease) {
	t.s.Lease, t.mono, t.s.Rebooted = l, t.cfg.Mono(), false
	t.s.ServerTime = l.IssuedAt
	t.s.Skew = model.MillisOf(t.cfg.Wall()) - l.IssuedAt
}

// now is the server's time as far as the tablet knows it without a network: that of the lease
// and what has gone by since. After a restart only the wall clock bridges, and sure is false.
func (t *Tablet) now() (now model.Millis, sure bool) {
	if t.s.Lease == nil {
		return 0, false
	}
	if t.s.Rebooted {
		return max(t.s.Lease.IssuedAt, model.MillisOf(t.cfg.Wall())-t.s.Skew), false
	}
	return t.s.Lease.IssuedAt + model.Millis((t.cfg.Mono() - t.mono).Milliseconds()), true
}

// over reports whether a time-limited assignment has ended.
func (p *person) over(now model.Millis) bool {
	return p.card != nil && p.card.Until != nil && now >= *p.card.Until
}

// forget drops whom the tablet has no right to any more: a time-limited assignment has ended,
// or the person was here for own work only and that has been handed in. It waits for the
// outbox (T8), and for a clock that is sure: what is dropped comes back with a change of
// the assignment only.
func (t *Tablet) forget() {
	now, sure := t.now()
	for id, who := range t.view {
		over := sure && who.over(now)
		switch {
		case t.waiting[id] > 0:
			who.gone = who.gone || over
		case over || who.loose && t.whole:
			delete(t.view, id)
		}
	}
}

// dropView forgets what the server sent. Own work that waits stays visible (T8).
func (t *Tablet) dropView() {
	t.cursor, t.view, t.whole = "", caseload{}, false
	t.mark, t.loaded = "", nil
	for _, p := range t.s.Outbox {
		if e, id, err := p.decode(); err == nil {
			t.view.record(e, id, t.cfg.Lean)
		}
	}
}

// failed notes an error's code for the diary.
func (t *Tablet) failed(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lastErr = CodeOf(err); t.lastErr == "" {
		t.lastErr = "no answer"
	}
	before := t.s.Order
	if t.heard(err); t.s.Order != before {
		return errors.Join(err, t.save())
	}
	return err
}

// ID returns the device id, zero before enrolment.
func (t *Tablet) ID() model.DeviceID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Device
}

// Actor returns who is logged in, "" for nobody.
func (t *Tablet) Actor() model.ActorID {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.s.Lease == nil {
		return ""
	}
	return t.s.Lease.Actor
}

// Outbox returns the signed entries that are not acknowledged, oldest first.
func (t *Tablet) Outbox() []Pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.s.Outbox)
}

// Refused returns the entries that the server could not attribute: a person has to see them (T4).
func (t *Tablet) Refused() []Pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.s.Refused)
}

// Checkpoint returns the newest checkpoint and its journal size, "" and 0 before the first.
func (t *Tablet) Checkpoint() (text string, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held.text, t.held.size
}

// Persons returns the cards of the caseload, by number. Whose time is over is not among them,
// with or without a network.
func (t *Tablet) Persons() []contract.PersonCard {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	now, _ := t.now()
	var cards []contract.PersonCard
	for _, p := range t.view {
		if p.card != nil && !p.gone && !p.over(now) {
			cards = append(cards, *p.card)
		}
	}
	slices.SortFunc(cards, func(a, b contract.PersonCard) int { return cmp.Compare(a.BrukerNr, b.BrukerNr) })
	return cards
}

// View returns a unit as the user sees it: own unsent work on top of what the server sent.
// It is false when the tablet knows nothing of the unit, and when the time of the person is
// over, as with Persons, unless work waits. A lean tablet gives ids only.
func (t *Tablet) View(p model.PersonID, u model.Unit) (contract.UnitView, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	at := t.view.unit(p, u, false)
	now, _ := t.now()
	if at == nil || t.waiting[p] == 0 && t.view[p].over(now) {
		return contract.UnitView{}, false
	}
	v := contract.UnitView{Unit: u, Position: at.position, Class: at.class, Late: at.late, Review: at.review}
	for _, h := range at.seen() {
		if h.view != nil {
			v.Heads = append(v.Heads, *h.view)
		} else {
			v.Heads = append(v.Heads, contract.HeadView{Entry: h.id})
		}
	}
	return v, true
}
