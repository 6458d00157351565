package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// The model: what one unit of one person is to those who only see calls and answers. Heads
// are what was written and not overwritten; a write names what it replaces.

type opKind int

const (
	opPush   opKind = iota // adds an entry
	opDecide               // adds an entry if the heads are still those that were read
	opMoved                // a decision refused because they are not
	opRead
)

func (k opKind) String() string { return []string{"push", "decide", "moved", "read"}[k] }

type opIn struct {
	person model.PersonID
	kind   opKind
	id     model.EntryID
	over   []model.EntryID // push: what it replaces; decide and moved: the heads that were read
}

type opOut struct {
	position int64           // push and decide: in the journal; read: of the last change, -1 for none
	size     int64           // read: of the journal; -1 when the answer does not say
	heads    []model.EntryID // read
}

// unitState is a value: porcupine compares it.
type unitState struct {
	heads string // ids, sorted
	last  int64  // position of the newest entry
	floor int64  // size of the journal in the newest read: what comes now is beyond
}

func joined(ids []model.EntryID) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (s unitState) add(id model.EntryID, over []model.EntryID, position int64) (bool, unitState) {
	if position <= s.last || position < s.floor {
		return false, s
	}
	left := slices.DeleteFunc(strings.Fields(s.heads), func(h string) bool {
		return slices.ContainsFunc(over, func(o model.EntryID) bool { return o.String() == h })
	})
	left = append(left, id.String())
	slices.Sort(left)
	return true, unitState{strings.Join(left, " "), position, s.floor}
}

var recordModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := map[model.PersonID][]porcupine.Operation{}
		for _, op := range history {
			p := op.Input.(opIn).person
			by[p] = append(by[p], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range by {
			out = append(out, ops)
		}
		return out
	},
	Init: func() any { return unitState{last: -1} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(unitState), input.(opIn), output.(opOut)
		switch in.kind {
		case opPush:
			return pair(s.add(in.id, in.over, out.position))
		case opDecide:
			if s.heads != joined(in.over) {
				return false, s
			}
			return pair(s.add(in.id, in.over, out.position))
		case opMoved:
			return s.heads != joined(in.over), s
		}
		if joined(out.heads) != s.heads || out.position != s.last || out.size >= 0 && (out.size <= s.last || out.size < s.floor) {
			return false, s
		}
		s.floor = max(s.floor, out.size)
		return true, s
	},
}

func pair(ok bool, s unitState) (bool, any) { return ok, s }

// arena is a server with parties that work at the same time.
type arena struct {
	srv     *server
	clock   atomic.Int64 // of the server, ms since day0
	tick    atomic.Int64 // orders calls and answers
	persons []model.PersonID
	tablets []*racer
	reader  *client.Tablet // pulls and never signs
	stale   *staleReads    // nil: an honest network
}

func (a *arena) now() time.Time { return (day0 + model.Millis(a.clock.Add(1))).Time() }

// log is one history.
type log struct {
	a   *arena
	mu  gosync.Mutex
	ops []porcupine.Operation
	// Those whose answer was lost: what became of them stands in the journal.
	open []porcupine.Operation
}

func (l *log) add(who int, in opIn, out opOut, call int64) {
	at := l.a.tick.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, porcupine.Operation{ClientId: who, Input: in, Output: out, Call: call, Return: at})
}

func (l *log) lost(who int, in opIn, call int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, porcupine.Operation{ClientId: who, Input: in, Call: call, Return: math.MaxInt64})
}

// racer is a tablet that signs what its hand says and knows only what it has read.
type racer struct {
	a       *arena
	n       int
	c       *client.Tablet
	lose    bool
	rng     *mathrand.Rand
	waiting map[model.EntryID]porcupine.Operation
}

func (r *racer) RoundTrip(req *http.Request) (*http.Response, error) {
	q, err := wireOf(req)
	if err != nil {
		return nil, err
	}
	a, err := r.a.srv.serve(q)
	if err != nil {
		return nil, err
	}
	if r.lose && strings.HasSuffix(q.url, "/push") && r.rng.Float64() < 0.3 {
		return nil, errLost
	}
	return a.response(req, false), nil
}

func newArena(t *testing.T, dir string, persons int) *arena {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a := &arena{}
	var err error
	dir, err = subdir(dir, 1)
	must(err)
	random := &lockedRand{r: mathrand.NewChaCha8([32]byte{9})}
	a.srv, err = startServer(serverConfig{dir: dir, now: a.now, rand: random, external: baseURL})
	must(err)
	t.Cleanup(func() {
		if err := a.srv.verify(); err != nil {
			t.Error(err)
		}
		must(a.srv.store.Close())
	})
	var in []sync.PersonInput
	for i := range persons {
		in = append(in, syntheticPerson(i))
	}
	a.persons, err = a.srv.setup(in)
	must(err)
	boss := a.office(t, nil)
	for i := range 4 {
		r := &racer{a: a, n: i, rng: mathrand.New(mathrand.NewPCG(uint64(i), 6)), waiting: map[model.EntryID]porcupine.Operation{}}
		seed := sha256.Sum256([]byte{byte(i), 1})
		r.c, err = client.New(client.Config{
			URL: baseURL, HTTP: &http.Client{Transport: r}, Key: ed25519.NewKeyFromSeed(seed[:]), Wall: a.now,
			Mono: func() time.Duration { return time.Duration(a.clock.Load()) * time.Millisecond }, Rand: random, Tries: 1, Keep: -1,
			Sleep: func(context.Context, time.Duration) error { return nil },
		})
		must(err)
		code, err := boss.Invite(background, "nettbrett")
		must(err)
		_, err = r.c.Enrol(background, tenant, code.Code, "")
		must(err)
		actor := model.ActorID(fmt.Sprintf("nurse-%d", i))
		_, err = boss.Assign(background, contract.AssignRequest{Actor: actor, Persons: a.persons})
		must(err)
		token, err := userToken(actor, model.Roles(model.RoleNurse), a.now())
		must(err)
		_, err = r.c.Login(background, token)
		must(err)
		r.lose = true
		if i == 3 {
			a.reader = r.c
			continue
		}
		a.tablets = append(a.tablets, r)
	}
	return a
}

// office is a supervisor; stale reads are planted between them and the server when asked for.
func (a *arena) office(t *testing.T, stale *staleReads) *client.API {
	t.Helper()
	token, err := userToken("sonja", model.Roles(boss), a.now())
	if err != nil {
		t.Fatal(err)
	}
	var base http.RoundTripper = roundTripper(func(req *http.Request) (*http.Response, error) {
		q, err := wireOf(req)
		if err != nil {
			return nil, err
		}
		answer, err := a.srv.serve(q)
		if err != nil {
			return nil, err
		}
		return answer.response(req, false), nil
	})
	if stale != nil {
		stale.base = base
		base = stale
	}
	api, err := client.NewAPI(client.APIConfig{URL: baseURL, HTTP: &http.Client{Transport: base}, Token: token, Wall: a.now, Tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// staleReads answers some reads of a record with an older answer.
type staleReads struct {
	base http.RoundTripper
	mu   gosync.Mutex
	rng  *mathrand.Rand
	old  map[string]*wire
	told int
}

func (s *staleReads) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := s.base.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || !strings.HasPrefix(req.URL.Path, "/v1/persons/") {
		return res, err
	}
	q := &wire{status: res.StatusCode, header: res.Header}
	if q.body, err = readAll(res); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.old[req.URL.Path]; old != nil && !bytes.Equal(old.body, q.body) && s.rng.Float64() < 0.5 {
		s.told++
		return old.response(req, false), nil
	}
	s.old[req.URL.Path] = q
	return q.response(req, false), nil
}

// race runs one history: nurses push, a supervisor decides, others read, all at once.
func (a *arena) race(t *testing.T, seed uint64, persons []model.PersonID) []porcupine.Operation {
	t.Helper()
	a.clock.Add(int64(minute)) // nobody is told to slow down
	l := &log{a: a}
	var wg gosync.WaitGroup
	begin := make(chan struct{})
	run := func(n int, rounds int, f func(rng *mathrand.Rand, who model.PersonID) error) {
		rng := mathrand.New(mathrand.NewPCG(seed, uint64(n)))
		wg.Go(func() {
			<-begin
			for range rounds {
				if err := f(rng, persons[rng.IntN(len(persons))]); err != nil {
					t.Errorf("seed %d, party %d: %v", seed, n, err)
					return
				}
			}
		})
	}
	for _, r := range a.tablets {
		run(r.n, 5, func(rng *mathrand.Rand, who model.PersonID) error { return r.push(l, rng, who) })
	}
	for n := 10; n < 12; n++ {
		office := a.office(t, a.stale)
		run(n, 7, func(_ *mathrand.Rand, who model.PersonID) error { _, err := a.read(l, n, office, who); return err })
	}
	office := a.office(t, nil)
	run(20, 4, func(rng *mathrand.Rand, who model.PersonID) error { return a.decide(l, office, rng, who) })
	run(30, 4, func(*mathrand.Rand, model.PersonID) error { return a.pull(l, persons) })
	close(begin)
	wg.Wait()
	return a.settled(t, l)
}

// push signs on top of what the last read showed, of some of it, or of nothing.
func (r *racer) push(l *log, rng *mathrand.Rand, who model.PersonID) error {
	over := []model.EntryID{}
	if v, ok := r.c.View(who, cutUnit); ok {
		for _, h := range v.Heads {
			if rng.Float64() < 0.7 {
				over = append(over, h.Entry)
			}
		}
	}
	call := r.a.tick.Add(1)
	id, err := r.c.Sign(who, model.ActRegister, []model.Change{{Unit: cutUnit, Value: []byte(fmt.Sprintf(`{"score":%d}`, 1+rng.IntN(5))), Over: over}}, client.SignOptions{})
	if err != nil {
		return err
	}
	r.waiting[id] = porcupine.Operation{ClientId: r.n, Input: opIn{person: who, kind: opPush, id: id, over: over}, Call: call}
	for {
		report, err := r.c.Push(background)
		for _, res := range report.Results {
			done, err := model.ParseEntryID(res.ID)
			if err != nil || res.Position == nil {
				return fmt.Errorf("a push was answered %s %s", res.Outcome, res.Code)
			}
			op := r.waiting[done]
			delete(r.waiting, done)
			l.add(op.ClientId, op.Input.(opIn), opOut{position: *res.Position}, op.Call)
		}
		if err == nil {
			break
		}
		if rng.Float64() < 0.4 {
			return nil // it is handed in with the next one, and answered then
		}
	}
	if rng.Float64() < 0.5 {
		_, err = r.c.Pull(background)
	}
	return err
}

func (a *arena) read(l *log, n int, office *client.API, who model.PersonID) (heads []model.EntryID, err error) {
	call := a.tick.Add(1)
	rec, err := office.Person(background, who, -1)
	if err != nil {
		return nil, err
	}
	out := opOut{position: -1, size: rec.Position}
	for _, u := range rec.Units {
		out.position = u.Position
		for _, h := range u.Heads {
			out.heads = append(out.heads, h.Entry)
		}
	}
	l.add(n, opIn{person: who, kind: opRead}, out, call)
	return out.heads, nil
}

// pull is a read of every person at one moment.
func (a *arena) pull(l *log, persons []model.PersonID) error {
	call := a.tick.Add(1)
	if _, err := a.reader.Pull(background); err != nil {
		return err
	}
	for _, p := range persons {
		out := opOut{position: -1, size: -1}
		if v, ok := a.reader.View(p, cutUnit); ok {
			out.position = v.Position
			for _, h := range v.Heads {
				out.heads = append(out.heads, h.Entry)
			}
		}
		l.add(30, opIn{person: p, kind: opRead}, out, call)
	}
	return nil
}

// decide reads a review and decides on it; the answer may be lost.
func (a *arena) decide(l *log, office *client.API, rng *mathrand.Rand, who model.PersonID) error {
	review, etag, err := office.Review(background, reviewID(place{who, cutUnit}))
	if client.CodeOf(err) == "not-found" {
		return nil // nothing to decide yet
	}
	if err != nil {
		return err
	}
	in := opIn{person: who, kind: opDecide}
	for _, h := range review.Unit.Heads {
		in.over = append(in.over, h.Entry)
	}
	call := a.tick.Add(1)
	text := fmt.Sprintf("op %d", call)
	out, err := office.Decide(background, review.ID, etag, contract.DecisionRequest{
		Value: []byte(fmt.Sprintf(`{"score":%d}`, 1+rng.IntN(5))), Reason: &model.Reason{Code: "spoke-with-both", Text: text},
	})
	switch code := client.CodeOf(err); {
	case code == "precondition-failed":
		in.kind = opMoved
		l.add(20, in, opOut{}, call)
		return nil
	case code == "already-settled":
		return nil // the review is closed: says nothing about heads
	case err != nil:
		return err
	}
	if in.id, err = model.ParseEntryID(out.Result.ID); err != nil {
		return err
	}
	if rng.Float64() < 0.3 {
		l.lost(20, in, call) // the supervisor never sees this answer
		return nil
	}
	l.add(20, in, opOut{position: *out.Result.Position}, call)
	return nil
}

// settled gives the history with what became of the open ones: those that are in the journal
// took effect at some time after their call, the others never.
func (a *arena) settled(t *testing.T, l *log) []porcupine.Operation {
	t.Helper()
	for _, r := range a.tablets {
		for id, op := range r.waiting {
			l.lost(r.n, op.Input.(opIn), op.Call)
			delete(r.waiting, id)
		}
	}
	err := a.srv.view(func(v store.View) error {
		for _, op := range l.open {
			in := op.Input.(opIn)
			at, err := v.EntryPosition(in.person, in.id)
			if err != nil {
				continue
			}
			op.Output = opOut{position: at}
			l.ops = append(l.ops, op)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// What is still in an outbox comes after all of this history.
	for _, r := range a.tablets {
		r.lose = false
		if _, err := r.c.Push(background); err != nil {
			t.Fatal(err)
		}
		r.lose = true
	}
	return l.ops
}

func readAll(res *http.Response) ([]byte, error) {
	w, err := wireOf(&http.Request{Method: http.MethodGet, URL: res.Request.URL, Body: res.Body})
	if err != nil {
		return nil, err
	}
	return w.body, nil
}

func describe(ops []porcupine.Operation) string {
	var b strings.Builder
	slices.SortFunc(ops, func(x, y porcupine.Operation) int { return int(x.Call - y.Call) })
	for _, op := range ops {
		in, out := op.Input.(opIn), op.Output.(opOut)
		fmt.Fprintf(&b, "%d-%d party %d person %s %s %s over %v: at %d of %d, heads %v\n", op.Call, op.Return, op.ClientId, in.person.String()[:4],
			in.kind, in.id.String()[:6], short(in.over), out.position, out.size, short(out.heads))
	}
	return b.String()
}

const perArena = 50 // histories on one server

// races runs histories and returns how many are not linearizable.
func races(t *testing.T, n int, stale bool) (broken, ops, open, told int) {
	t.Helper()
	for done := 0; done < n; done += perArena {
		t.Run(fmt.Sprintf("from-%d", done), func(t *testing.T) {
			a := newArena(t, filepath.Join(scratch(t), "a"), 2*perArena)
			for i := range min(perArena, n-done) {
				seed := uint64(done + i)
				if stale {
					a.stale = &staleReads{rng: mathrand.New(mathrand.NewPCG(seed, 8)), old: map[string]*wire{}}
				}
				history := a.race(t, seed, a.persons[2*i:2*i+2])
				ops += len(history)
				for _, op := range history {
					if op.Return == math.MaxInt64 {
						open++
					}
				}
				if a.stale != nil {
					told += a.stale.told
				}
				switch porcupine.CheckOperationsTimeout(recordModel, history, 20*time.Second) {
				case porcupine.Ok:
				case porcupine.Unknown:
					t.Errorf("seed %d: no answer in time", seed)
				default:
					broken++
					if !stale {
						t.Errorf("seed %d is not linearizable:\n%s", seed, describe(history))
					}
				}
			}
		})
	}
	return broken, ops, open, told
}

func raceCount() int {
	switch {
	case *historiesFlag > 0:
		return *historiesFlag
	case raceOn, testing.Short():
		return 20
	}
	return 200
}

// TestLinearizable: whatever runs at the same time, each person's record is as if all had
// come one after the other, in the order of the journal.
func TestLinearizable(t *testing.T) {
	loadKeys(t)
	n, began := raceCount(), time.Now()
	_, ops, open, _ := races(t, n, false)
	t.Logf("%d histories, %d operations, %d of them without an answer, in %s", n, ops, open, time.Since(began).Round(time.Millisecond))
	if open == 0 {
		t.Error("no answer was ever lost")
	}
}

// TestStaleReadIsFound plants answers from the past: the check must see them.
func TestStaleReadIsFound(t *testing.T) {
	loadKeys(t)
	n := 50
	if raceOn {
		n = 20
	}
	broken, ops, _, told := races(t, n, true)
	t.Logf("%d old answers among %d operations of %d histories: %d are found not to be linearizable", told, ops, n, broken)
	if broken < n/10 {
		t.Errorf("%d old answers in %d histories, and only %d are found", told, n, broken)
	}
}
