package api

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net"
	gosync "sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"

	"flette/api/auth"
	"flette/iplos/measure"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
	"flette/sync"
)

// Extracts produces messages for the register; package iplos/kpr does the work. Errors that
// a client should understand are a *model.Problem with one of the codes nothing-to-send,
// contacts-missing or extract-invalid, or store.ErrNotFound.
type Extracts interface {
	// Run makes, validates and stores the next message for a target ("production" or "test").
	Run(ctx context.Context, tenant model.TenantID, target string, by model.ActorID) (store.Extract, error)

	// Resend writes notifications of the ledger again and stores nothing. Any other
	// *model.Problem means that the selection selects nothing or too much.
	Resend(ctx context.Context, tenant model.TenantID, sel Selection) (Resent, error)

	// File opens the stored XML of an extract.
	File(ctx context.Context, tenant model.TenantID, id string) ([]byte, error)
}

// Resent is what a resend wrote, with the first and the last serial in it.
type Resent struct {
	File     []byte
	From, To int64
}

// Selection chooses notifications to send again; what is set must hold all together.
type Selection struct {
	Target     string
	Extract    string // id of an extract
	FromSerial int64  // inclusive, 0 for open
	ToSerial   int64
	FromDate   string // YYYY-MM-DD, inclusive, "" for open
	ToDate     string
	Person     model.PersonID
}

// Options configure a Server. Engine, Verifier, TokenKey and Now are required.
type Options struct {
	Engine   *sync.Engine
	Verifier *auth.Verifier // access tokens of users

	// TokenKey gives the key that signs a tenant's leases. It is asked for every request that
	// carries a lease, so it must be quick; an error means that the tenant has no such key.
	TokenKey func(model.TenantID) (kid string, key ed25519.PrivateKey, err error)

	// External is the base URL that clients use, without a slash at the end: DPoP proofs are
	// made for it. "" means http and the listener's address.
	External string

	// NonceKey makes DPoP nonces: 32 bytes or more, the same on servers that share traffic.
	// Random when nil.
	NonceKey []byte

	Now  func() time.Time
	Rand io.Reader    // for request ids and jitter, safe for concurrent use; crypto/rand when nil
	Log  *slog.Logger // nothing is logged when nil

	Catalogue *catalogue.Catalogue // catalogue.Default() when nil
	Extracts  Extracts             // nil: the routes answer not-ready
	// Weekly reports minutes of an ISO week; nil: the route answers not-ready.
	Weekly func(v store.View, week string, person *model.PersonID) ([]contract.TimeRow, error)
	// WeeklyUnits reports the same by organisation unit; nil as above.
	WeeklyUnits func(v store.View, week string) ([]contract.UnitTimeRow, error)
	// Report counts the persons of a municipality, without small counts, and names its units; ages asks the
	// national indicators of those of 67 and above. nil: the route answers not-ready.
	Report func(ctx context.Context, v store.View, date string, depth int, ages bool) (measure.Report, map[string]string, error)
	// Ready checks what the server depends on: nil values are fine. It may be nil.
	Ready func(context.Context) map[string]error

	Limits Limits
}

// Rate is a token bucket: Burst at once, then one each Every.
type Rate struct {
	Every time.Duration
	Burst int
}

// Limits bound what a client can make the server do. Zero values mean the defaults.
type Limits struct {
	Body    int           // decoded bytes of a push; the engine's limit, 4 MiB
	Wire    int           // bytes of a push as sent; as Body
	Read    time.Duration // to receive a request; 30 s
	Write   time.Duration // to send an answer; 60 s
	Idle    time.Duration // between requests of a connection; 75 s
	Request time.Duration // of work on one request; 30 s
	Wait    time.Duration // longest long poll; 25 s
	AtWork  int           // bytes of pushes, as sent and 4 KiB for each, at work at a time; 512 KiB
	Waiting int           // bytes of pushes, counted like that, that wait at a time; 8 MiB, and never less than one push
	Calls   int           // other calls at work at a time, logins apart from the rest; 32, and 32 times as many wait
	Queue   time.Duration // longest wait before work that a newcomer is let into; 300 ms
	Unread  int           // bytes of requests that are being received or worked on, on all connections; 64 MiB
	Load    time.Duration // to take a snapshot; a longer one goes on after its last mark; 15 min
	Loads   int           // snapshots being sent at a time; 32
	Streams int           // event streams open at a time; half of Conns
	Conns   int           // open connections; with more, those that are slow or idle are closed; 12000
	Device  Rate          // sync calls of a device; 20 a second, 200 at once
	Actor   Rate          // calls of a user; 20 a second, 100 at once
	Enrol   Rate          // enrolments from one address, which a whole municipality may share; 5 a second, 300 at once
	Glass   Rate          // tries of a user to break the glass; one each 5 min, 10 at once
}

func (l *Limits) setDefaults(engine sync.PushLimits) {
	setDefault(&l.Body, engine.Bytes)
	setDefault(&l.Wire, l.Body)
	setDefault(&l.Read, 30*time.Second)
	setDefault(&l.Write, 60*time.Second)
	setDefault(&l.Idle, 75*time.Second)
	setDefault(&l.Request, 30*time.Second)
	setDefault(&l.Wait, 25*time.Second)
	setDefault(&l.AtWork, 512<<10)
	setDefault(&l.Waiting, 8<<20)
	l.Waiting = max(l.Waiting, l.Wire+pushBase)
	setDefault(&l.Calls, 32)
	setDefault(&l.Queue, 300*time.Millisecond)
	setDefault(&l.Conns, 12_000)
	setDefault(&l.Unread, 64<<20)
	setDefault(&l.Device, Rate{50 * time.Millisecond, 200})
	setDefault(&l.Actor, Rate{50 * time.Millisecond, 100})
	setDefault(&l.Enrol, Rate{200 * time.Millisecond, 300})
	setDefault(&l.Load, 15*time.Minute)
	setDefault(&l.Loads, 32)
	setDefault(&l.Streams, (l.Conns+1)/2)
	setDefault(&l.Glass, Rate{5 * time.Minute, 10})
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Server answers HTTP. Make it with New.
type Server struct {
	o        Options
	app      *fiber.App
	guard    auth.Guard
	external atomic.Pointer[string]
	devices  *buckets
	actors   *buckets
	remotes  *buckets
	glasses  *buckets
	missed   atomic.Int64 // tries to break the glass for whom nobody knows
	loads    *places      // snapshots
	streams  *places      // event streams
	gates    [classes]*gate
	seed     maphash.Seed
	tenants  gosync.Map // model.TenantID -> struct{}: those known to exist
	labels   map[string]string

	catalogue document
	openapi   document

	// polls ends long polls and event streams when a shutdown begins; base ends everything when it is over.
	polls, base       context.Context
	endPolls, endBase context.CancelFunc
	stopping          atomic.Bool

	reporting gosync.Mutex // held while a report is made

	mu gosync.Mutex // guards ln
	ln net.Listener
}

// document is a fixed answer with its ETag.
type document struct {
	body []byte
	etag string
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

// New checks the options and makes a server that does not listen yet.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Verifier == nil || o.TokenKey == nil || o.Now == nil {
		return nil, errors.New("api: Engine, Verifier, TokenKey and Now are required")
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Catalogue == nil {
		o.Catalogue = catalogue.Default()
	}
	if o.NonceKey == nil {
		o.NonceKey = make([]byte, 32)
		if _, err := io.ReadFull(o.Rand, o.NonceKey); err != nil {
			return nil, fmt.Errorf("api: nonce key: %w", err)
		}
	}
	o.Limits.setDefaults(o.Engine.Limits())
	s := &Server{
		o: o, labels: labelsOf(o.Catalogue), openapi: newDocument(contract.OpenAPIJSON()),
		devices: newBuckets(o.Limits.Device), actors: newBuckets(o.Limits.Actor), remotes: newBuckets(o.Limits.Enrol),
		glasses: newBuckets(o.Limits.Glass),
		loads:   newPlaces(o.Limits.Loads), streams: newPlaces(o.Limits.Streams),
		gates: newGates(o.Now, &o.Limits), seed: maphash.MakeSeed(),
	}
	proofs, err := auth.NewProofVerifier(auth.ProofConfig{NonceKey: o.NonceKey})
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s.guard = auth.Guard{Access: o.Verifier, Leases: auth.NewLeaseVerifier(s.leaseKey), Proofs: proofs}
	body, err := json.Marshal(catalogueDocument{o.Catalogue, ruleViews()}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("api: catalogue: %w", err)
	}
	s.catalogue = newDocument(body)
	s.external.Store(&o.External)
	s.base, s.endBase = context.WithCancel(context.Background())
	s.polls, s.endPolls = context.WithCancel(s.base)
	s.app = s.newApp()
	return s, nil
}

// App gives tests the framework's application.
func (s *Server) App() *fiber.App { return s.app }

// Serve answers requests until Shutdown; then it returns nil. It closes the listener.
func (s *Server) Serve(ln net.Listener) error {
	if *s.external.Load() == "" {
		base := "http://" + ln.Addr().String()
		s.external.Store(&base)
	}
	s.app.Handler() // builds the routing tree
	ln = limitConns(ln, connLimits{s.o.Limits.Conns, int64(s.o.Limits.Unread), s.o.Limits.Read})
	s.mu.Lock()
	s.ln = ln
	s.mu.Unlock()
	if s.stopping.Load() {
		return ln.Close()
	}
	err := s.app.Server().Serve(ln)
	if s.stopping.Load() {
		return nil
	}
	return err
}

// Shutdown stops accepting, ends long polls with what they have and event streams with bye, and waits for the other
// requests until ctx is done; those that are left are then cancelled.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	s.endPolls()
	// The framework forgets a listener that it has not begun to serve.
	s.mu.Lock()
	if s.ln != nil {
		_ = s.ln.Close() // what it says about connections is said below
	}
	s.mu.Unlock()
	err := s.app.Server().ShutdownWithContext(ctx)
	s.endBase()
	return err
}
