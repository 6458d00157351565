package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/store"
	"flette/sync"
)

var everyByteFlag = flag.Int64("everybyte", 0, "TestEveryByte cuts at every so many bytes; 0 for a choice of places")

// cutPoint is where a connection breaks: after so many bytes of one direction.
type cutPoint struct {
	after int64
	down  bool
}

// synced is what a whole sync leaves behind.
type synced struct {
	text     string // journal, units and quarantine, without times and without what is random
	up, down []int64
	cut      bool
}

// wholeSync enrols a tablet through the proxy, logs in, signs, pushes in two batches, pulls in
// pages, decides a review and releases a quarantined entry; then it compares what was
// acknowledged with what is kept. Every step is repeated until it succeeds.
func wholeSync(dir string, at cutPoint) (out synced, err error) {
	var mu gosync.Mutex
	now := day0
	read := func() time.Time { mu.Lock(); defer mu.Unlock(); return now.Time() }
	sleep := func(_ context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		now += model.Millis(d.Milliseconds())
		return nil
	}
	// Each party has randomness of its own, so that one retry changes nothing for the others.
	random := func(n byte) *lockedRand { return &lockedRand{r: mathrand.NewChaCha8([32]byte{n})} }
	var srv *server
	ln, err := net.Listen("tcp", "127.0.0.1:0") // served below
	if err != nil {
		return out, err
	}
	defer func() { _ = ln.Close() }() // for the ways out before it is served
	p, err := newProxy(ln.Addr().String(), at)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return out, err
	}
	srv, err = startServer(serverConfig{dir: dir, now: read, rand: random(1), external: p.url(), epoch: func() string { return "cut" }})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, srv.store.Close(), os.RemoveAll(dir)) }()
	var people []sync.PersonInput
	for i := range 4 {
		people = append(people, syntheticPerson(i))
	}
	persons, err := srv.setup(people)
	if err != nil {
		return out, err
	}
	served := make(chan error, 1)
	go func() { served <- srv.api.Serve(ln) }()
	transport := &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}
	defer func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, srv.api.Shutdown(ctx), <-served)
	}()
	s := &syncing{p: p, srv: srv, persons: persons, now: read, sleep: sleep, http: &http.Client{Transport: &counted{transport, p, &out}}, random: random}
	if err = s.run(); err != nil {
		return out, err
	}
	out.cut = p.wasCut()
	out.text, err = s.left()
	return out, err
}

type lockedRand struct {
	mu gosync.Mutex
	r  *mathrand.ChaCha8
}

func (l *lockedRand) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(b)
}

// counted notes where exchanges end.
type counted struct {
	base http.RoundTripper
	p    *proxy
	out  *synced
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := c.base.RoundTrip(req)
	up, down := c.p.count()
	c.out.up, c.out.down = append(c.out.up, up), append(c.out.down, down)
	return res, err
}

type syncing struct {
	p       *proxy
	srv     *server
	persons []model.PersonID
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
	http    *http.Client
	random  func(byte) *lockedRand

	tab  *client.Tablet
	kept *client.State
	sent map[model.EntryID]string
}

func (s *syncing) tablet(n byte, h *http.Client) (*client.Tablet, error) {
	seed := sha256.Sum256([]byte{n})
	return client.New(client.Config{
		URL: s.p.url(), HTTP: h, Key: ed25519.NewKeyFromSeed(seed[:]), Wall: s.now,
		Mono:  func() time.Duration { return s.now().Sub(day0.Time()) },
		Sleep: s.sleep, Rand: s.random(n), App: "cut/1", Batch: 3, Page: 2, Tries: 2,
		Save: func(st *client.State) error { c := *st; s.kept = &c; return nil },
	})
}

// direct is the network of those who are not cut off.
func (s *syncing) direct() *http.Client {
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		q, err := wireOf(req)
		if err != nil {
			return nil, err
		}
		a, err := s.srv.serve(q)
		if err != nil {
			return nil, err
		}
		return a.response(req, false), nil
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (s *syncing) office(n byte, h *http.Client) (*client.API, error) {
	token, err := userToken("sonja", model.Roles(boss), s.now())
	if err != nil {
		return nil, err
	}
	return client.NewAPI(client.APIConfig{URL: s.p.url(), HTTP: h, Token: token, Wall: s.now, Sleep: s.sleep, Rand: s.random(n), Tries: 2})
}

const cutUnit model.Unit = "score/assist_memory"

func scored(u model.Unit, n int) []model.Change {
	return []model.Change{{Unit: u, Value: jsontext.Value(fmt.Sprintf(`{"score":%d}`, n))}}
}

// run is the sync. The colleague's work is there before; only what follows can be cut.
func (s *syncing) run() error {
	boss, err := s.office(2, s.direct())
	if err != nil {
		return err
	}
	for _, who := range []model.ActorID{"nurse-a", "nurse-b"} {
		if _, err := boss.Assign(background, contract.AssignRequest{Actor: who, Persons: s.persons[:3]}); err != nil {
			return err
		}
	}
	login := func(t *client.Tablet, who model.ActorID) error {
		token, err := userToken(who, rolesOf(who), s.now())
		if err == nil {
			_, err = t.Login(background, token)
		}
		return err
	}
	other, err := s.tablet(3, s.direct())
	if err != nil {
		return err
	}
	invite, err := boss.Invite(background, "kollega")
	if err != nil {
		return err
	}
	if _, err := other.Enrol(background, tenant, invite.Code, ""); err != nil {
		return err
	}
	if err := login(other, "nurse-b"); err != nil {
		return err
	}
	if _, err := other.Sign(s.persons[0], model.ActRegister, scored(cutUnit, 2), client.SignOptions{}); err != nil {
		return err
	}
	if _, err := other.Push(background); err != nil {
		return err
	}
	if invite, err = boss.Invite(background, "nettbrett"); err != nil {
		return err
	}
	if s.tab, err = s.tablet(4, s.http); err != nil {
		return err
	}
	if err := insist("enrol", func() error { _, err := s.tab.Enrol(background, tenant, invite.Code, ""); return err }); err != nil {
		return err
	}
	if err := insist("login", func() error { return login(s.tab, "nurse-a") }); err != nil {
		return err
	}
	if err := s.sign(); err != nil {
		return err
	}
	if err := insist("push", func() error { _, err := s.tab.Push(background); return err }); err != nil {
		return err
	}
	if err := insist("pull", func() error { _, err := s.tab.Pull(background); return err }); err != nil {
		return err
	}
	if err := s.desk(); err != nil {
		return err
	}
	return insist("pull again", func() error { _, err := s.tab.Pull(background); return err })
}

// sign fills the outbox: two batches, a conflict, an entry that will wait for a person.
func (s *syncing) sign() error {
	s.sent = map[model.EntryID]string{}
	for i, who := range []model.PersonID{s.persons[0], s.persons[1], s.persons[3], s.persons[2], s.persons[1]} {
		if err := s.sleep(background, time.Minute); err != nil {
			return err
		}
		if _, err := s.tab.Sign(who, model.ActRegister, scored(cutUnit, 5-i%2), client.SignOptions{}); err != nil {
			return err
		}
	}
	for _, p := range s.tab.Outbox() {
		s.sent[p.ID] = p.JWS
	}
	return nil
}

// desk decides and releases. When the answer is lost the supervisor looks again.
func (s *syncing) desk() error {
	boss, err := s.office(5, s.http)
	if err != nil {
		return err
	}
	err = insist("decide", func() error {
		open, err := boss.Reviews(background, "open", "")
		if err != nil || len(open.Reviews) == 0 {
			return err
		}
		review, etag, err := boss.Review(background, open.Reviews[0].ID)
		if err != nil {
			return err
		}
		_, err = boss.Decide(background, review.ID, etag, contract.DecisionRequest{Value: []byte(`{"score":3}`), Reason: reason("spoke-with-both")})
		if client.CodeOf(err) == "precondition-failed" || client.CodeOf(err) == "already-settled" {
			return nil // decided, and the answer was lost; what was decided is compared below
		}
		return err
	})
	if err != nil {
		return err
	}
	return insist("release", func() error {
		open, err := boss.Quarantine(background, "open", "")
		if err != nil || len(open.Items) == 0 {
			return err
		}
		_, err = boss.Release(background, open.Items[0].Entry, *reason("seen"))
		if client.CodeOf(err) == "already-settled" {
			return nil
		}
		return err
	})
}

// retryable reports whether trying again is what a client should do.
func retryable(err error) bool {
	var e *client.Error
	if !errors.As(err, &e) {
		return true // no answer, or one that could not be read
	}
	return e.Problem.Retry == "later" || e.Problem.Retry == "same"
}

// left checks A, B and C, verifies the store, and says what is there.
func (s *syncing) left() (string, error) {
	if n := len(s.tab.Outbox()); n > 0 || len(s.kept.Kept) != len(s.sent) {
		return "", fmt.Errorf("C: %d entries wait, %d of %d have receipts", n, len(s.kept.Kept), len(s.sent))
	}
	if err := s.srv.verify(); err != nil {
		return "", err
	}
	var b strings.Builder
	err := s.srv.view(func(v store.View) error {
		at := map[model.EntryID]int64{}
		person := func(p model.PersonID) int { return slices.Index(s.persons, p) }
		for i := range v.Size() {
			l, err := v.Entry(i)
			if err != nil {
				return err
			}
			if _, twice := at[l.ID]; twice {
				return fmt.Errorf("B: an entry is there twice")
			}
			at[l.ID] = i
			en, err := model.DecodeEntry(l.Payload)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%d person %d by %s seq %d: %s %s %s", i, person(l.Person), l.Actor, l.Seq, l.Act, l.Outcome, l.Code)
			for _, c := range en.Changes {
				fmt.Fprintf(&b, " %s=%s over", c.Unit, c.Value)
				for _, o := range c.Over {
					fmt.Fprintf(&b, " %d", at[o])
				}
				if c.Target != nil {
					fmt.Fprintf(&b, " target %d", at[*c.Target])
				}
			}
			b.WriteByte('\n')
		}
		for _, k := range s.kept.Kept {
			l, err := v.Entry(k.Position)
			if err != nil || l.ID != k.ID || string(l.Compact()) != s.sent[k.ID] {
				return fmt.Errorf("A: the receipt of entry %d is for something else: %w", k.Seq, err)
			}
		}
		for i, p := range s.persons {
			err := v.Units(p, "", "", func(u *model.UnitState) bool {
				fmt.Fprintf(&b, "unit of %d: %s class %d at %d:", i, u.Unit, u.Class, u.Position)
				for _, h := range u.Heads {
					fmt.Fprintf(&b, " %d=%s", at[h.ID], h.Value)
				}
				b.WriteByte('\n')
				return true
			})
			if err != nil {
				return err
			}
			for _, id := range s.tab.Persons() {
				if id.Person == p {
					view, _ := s.tab.View(p, cutUnit)
					for _, h := range view.Heads {
						fmt.Fprintf(&b, "the tablet shows %d of person %d\n", at[h.Entry], i)
					}
				}
			}
		}
		items, err := store.List[store.QuarantineItem](v, "", "", 0)
		for _, q := range items {
			fmt.Fprintf(&b, "held %d: %s %s\n", q.Position, q.Code, q.State)
		}
		devices, derr := store.List[store.Device](v, "", "", 0)
		fmt.Fprintf(&b, "%d devices\n", len(devices))
		return errors.Join(err, derr)
	})
	return b.String(), err
}

// TestEveryByte cuts the connection of a whole sync after every byte of every message, in
// both directions, or after a choice of them with all ends of messages.
func TestEveryByte(t *testing.T) {
	loadKeys(t)
	dir := scratch(t)
	whole, err := wholeSync(filepath.Join(dir, "whole"), cutPoint{after: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"conflict", "quarantined", "decide", "release", "held", "the tablet shows"} {
		if !strings.Contains(whole.text, want) {
			t.Fatalf("the sync does not reach %q:\n%s", want, whole.text)
		}
	}
	up, down := whole.up[len(whole.up)-1], whole.down[len(whole.down)-1]
	const seed = 7
	points := choice(whole, seed)
	if stride := *everyByteFlag; stride > 0 {
		points = nil
		for at := int64(0); at <= up; at += stride {
			points = append(points, cutPoint{at, false})
		}
		for at := int64(0); at <= down; at += stride {
			points = append(points, cutPoint{at, true})
		}
	}
	t.Logf("%d exchanges, %d bytes up, %d bytes down: %d places to cut, seed %d", len(whole.up), up, down, len(points), seed)
	began := time.Now()
	var mu gosync.Mutex
	next, cuts := 0, 0
	var wg gosync.WaitGroup
	// A shutdown waits more than it works.
	for worker := range 6 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(points) || t.Failed() {
					return
				}
				got, err := wholeSync(filepath.Join(dir, fmt.Sprintf("w%d-%d", worker, i)), points[i])
				if err != nil {
					t.Errorf("cut %+v: %v", points[i], err)
				} else if got.text != whole.text {
					t.Errorf("cut %+v leaves another state:\n%s\nwant:\n%s", points[i], got.text, whole.text)
				}
				if got.cut {
					mu.Lock()
					cuts++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d connections cut in %s", cuts, time.Since(began).Round(time.Millisecond))
	if cuts < len(points)*9/10 {
		t.Errorf("only %d of %d connections were cut", cuts, len(points))
	}
}

// choice takes the places around the ends of messages, and some in between.
func choice(whole synced, seed uint64) (out []cutPoint) {
	add := func(ends []int64, down bool) {
		for _, e := range append([]int64{0}, ends...) {
			around := []int64{e - 1, e, e + 1}
			if raceOn {
				around = []int64{e}
			}
			for _, at := range around {
				p := cutPoint{at, down}
				if at >= 0 && at <= ends[len(ends)-1] && !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	add(whole.up, false)
	add(whole.down, true)
	rng := mathrand.New(mathrand.NewPCG(seed, 5))
	between := 75
	if raceOn {
		between = 5
	}
	for range between {
		out = append(out, cutPoint{rng.Int64N(whole.up[len(whole.up)-1]), false}, cutPoint{rng.Int64N(whole.down[len(whole.down)-1]), true})
	}
	return out
}
