package sim

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"flette/internal/limitio"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/model/ident"
	"flette/sync"
)

var p256 = elliptic.P256()

// day0 is 2026-11-22T08:00:00Z.
const day0 model.Millis = 1795334400000

const (
	second model.Millis = 1000
	minute              = 60 * second
	hour                = 60 * minute
	day                 = 24 * hour
)

// world is one history: one thread, one clock, everything drawn from its seed.
type world struct {
	seed uint64
	dir  string
	life int // of the server

	now   model.Millis // true time; nobody sees it
	skew  model.Millis // server's clock minus true time
	jumps int          // of the server's clock
	rng   *mathrand.Rand
	bytes *mathrand.ChaCha8 // randomness of everybody in this world

	srv     *server
	o       *oracle
	desk    model.DeviceID
	persons []model.PersonID
	tablets []*tablet
	users   map[string]user // access token -> who
	late    []*wire         // requests still on their way

	backups   []*backup
	restores  int
	maxServer model.Millis // newest time that the server ever gave

	signedAt map[model.EntryID]moment
	badValue map[model.EntryID]string
	services map[model.PersonID]string
	names    int // of values that are to differ

	trace []string
	seen  map[string]int // coverage
}

type user struct {
	actor model.ActorID
	roles model.Roles
}

// moment is when an entry was really signed, by a tablet that tells the truth about what it
// counted.
type moment struct {
	server model.Millis
	jumps  int
}

// violation ends a history: an invariant is broken.
type violation struct {
	law  string // A to G, L for liveness, X for what must never happen
	text string
}

func (v violation) Error() string { return v.law + ": " + v.text }

func (w *world) fail(law, format string, args ...any) {
	panic(violation{law, fmt.Sprintf(format, args...)})
}

// must ends a history for a reason that is no fault of what is tested, or a broken law: both
// are failures.
func (w *world) must(err error) {
	if err != nil {
		panic(violation{"X", err.Error()})
	}
}

func (w *world) count(what string) { w.seen[what]++ }

func (w *world) serverNow() model.Millis { return w.now + w.skew }

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

func pick[T any](w *world, from []T) T { return from[w.rng.IntN(len(from))] }

// newWorld starts a server with persons, tablets and a caseload each.
func newWorld(seed uint64, dir string) *world {
	w := &world{
		seed: seed, dir: dir, now: day0, rng: mathrand.New(mathrand.NewPCG(seed, 1)), users: map[string]user{},
		signedAt: map[model.EntryID]moment{}, badValue: map[model.EntryID]string{}, services: map[model.PersonID]string{}, seen: map[string]int{},
	}
	var random [32]byte
	for i := range 8 {
		random[i] = byte(seed >> (8 * i))
	}
	w.bytes = mathrand.NewChaCha8(random)
	w.o = newOracle(w)
	w.start(w.lifeDir())
	var in []sync.PersonInput
	for i := range 3 + w.rng.IntN(4) {
		in = append(in, syntheticPerson(i))
	}
	var err error
	w.persons, err = w.srv.setup(in)
	w.must(err)
	for _, p := range w.persons {
		w.services[p] = w.uuid()
	}
	devices, err := w.srv.engine.Devices(context.Background(), tenant, "", 10)
	w.must(err)
	w.desk = devices[0].ID
	w.o.epoch = w.srv.epoch()
	for _, s := range supervisors {
		w.assign(s, w.persons, 0, 0, false)
	}
	for i := range 2 + w.rng.IntN(3) {
		w.newTablet(model.ActorID(fmt.Sprintf("nurse-%d", i)))
	}
	return w
}

func syntheticPerson(i int) sync.PersonInput {
	born := day0.Time().AddDate(-80, 0, i)
	number, _ := ident.SyntheticFNR(born, 0)
	return sync.PersonInput{Line: i + 1, Number: number, Name: fmt.Sprintf("Oppdiktet Person %d", i), Kommune: "9999"}
}

func (w *world) lifeDir() string {
	w.life++
	dir, err := subdir(w.dir, w.life)
	w.must(err)
	return dir
}

func (w *world) start(dir string) {
	var err error
	w.srv, err = startServer(serverConfig{
		dir: dir, now: func() time.Time { return w.serverNow().Time() }, rand: w.bytes, external: baseURL,
		epoch: func() string { return fmt.Sprintf("sim-%d", w.seed) },
	})
	w.must(err)
}

// restart closes the store and opens it again; kill takes the files as they lie there,
// without any closing.
func (w *world) restart(kill bool) {
	old, dir := w.srv, w.srv.dir
	if kill {
		dir = w.lifeDir()
		w.must(os.CopyFS(dir, os.DirFS(old.dir)))
	}
	w.must(old.store.Close())
	if kill {
		w.must(os.RemoveAll(old.dir))
	}
	w.start(dir)
	w.o.unchanged()
}

func (w *world) close() error {
	return errors.Join(w.srv.store.Close(), os.RemoveAll(w.dir))
}

func (w *world) uuid() string {
	var id uuid.UUID
	_, _ = w.bytes.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

func (w *world) knownPerson(p model.PersonID) bool {
	for _, q := range w.persons {
		if p == q {
			return true
		}
	}
	return false
}

// handle lets the server answer a request, and everybody who watches learn from it.
func (w *world) handle(q *wire) *wire {
	at := w.serverNow()
	w.maxServer = max(w.maxServer, at)
	a, err := w.srv.serve(q)
	w.must(err)
	w.o.observe(q, a, at)
	return a
}

// plain is a request's body without its encoding.
func (w *world) plain(q *wire) []byte {
	body, err := limitio.Decode(q.header.Get("Content-Encoding"), q.body, 16<<20)
	w.must(err)
	return body
}

// office is the desk of a supervisor who is also the administrator; its network is a cable.
func (w *world) office(actor model.ActorID, roles model.Role) *client.API {
	token := w.login(actor, model.Roles(roles))
	api, err := client.NewAPI(client.APIConfig{
		URL: baseURL, Token: token, HTTP: &http.Client{Transport: cable{w}}, Sleep: w.sleep, Rand: w.bytes, Tries: 3,
		Wall: func() time.Time { return w.serverNow().Time() },
	})
	w.must(err)
	return api
}

const boss = model.RoleSupervisor | model.RoleAdmin | model.RoleOperator

func (w *world) boss() *client.API { return w.office("sonja", boss) }

// login is what an identity provider does.
func (w *world) login(actor model.ActorID, roles model.Roles) string {
	token, err := userToken(actor, roles, w.serverNow().Time())
	w.must(err)
	w.users[token] = user{actor, roles}
	return token
}

// sleep moves the clock instead of waiting.
func (w *world) sleep(_ context.Context, d time.Duration) error {
	w.now += model.Millis(d.Milliseconds())
	return nil
}

type cable struct{ w *world }

func (c cable) RoundTrip(req *http.Request) (*http.Response, error) {
	q, err := wireOf(req)
	if err != nil {
		return nil, err
	}
	if c.w.chance(0.02) {
		c.w.count("net desk lost answer")
		c.w.handle(q)
		return nil, errLost
	}
	return c.w.handle(q).response(req, false), nil
}

// newWorldForValues can draw values and nothing else.
func newWorldForValues() *world {
	return &world{rng: mathrand.New(mathrand.NewPCG(1, 1)), bytes: mathrand.NewChaCha8([32]byte{1}), services: map[model.PersonID]string{}}
}
