package api

import (
	"context"
	"hash/maphash"
	"runtime"
	"strconv"
	gosync "sync"
	"time"
)

// class says which queue a route's calls go through. A class of its own keeps those who only
// read from standing behind those who write, and the other way round.
type class uint8

const (
	free      class = iota // answered at once: what only public routes are
	pushes                 // weighs what was sent: a push unfolds to many times its compressed size while it is judged
	logins                 // leases and enrolments
	reads                  // everything else: each call weighs one
	leaseDoor              // before any of these: two signatures are checked to know who asks
	tokenDoor              // the same for tokens of users, whose issuer may have to be asked for its keys
	classes
)

var classNames = [classes]string{pushes: "push", logins: "login", reads: "read", leaseDoor: "lease door", tokenDoor: "token door"}

// pushBase is what a push weighs beside its bytes: one change costs a commit as well.
const pushBase = 4 << 10

func (r *route) class() class {
	switch {
	case r.who == public:
		return free
	case r.path == pathPush:
		return pushes
	case r.who == byCode, r.who == byTokenKey:
		return logins
	}
	return reads
}

// gate is where calls wait for their turn. What waits holds what it sent and nothing else.
type gate struct {
	now  func() time.Time
	base int64 // weight of a call without its bytes
	mu   gosync.Mutex
	q    queue
}

func newGate(now func() time.Time, base int64, r queueRules) *gate {
	return &gate{now: now, base: base, q: newQueue(r)}
}

// newGates makes the gates of all classes; that of free is nil.
func newGates(now func() time.Time, l *Limits) (out [classes]*gate) {
	out[pushes] = newGate(now, pushBase, queueRules{work: int64(l.AtWork), waiting: int64(l.Waiting), target: l.Queue})
	for _, c := range []class{logins, reads} {
		out[c] = newGate(now, 1, queueRules{work: int64(l.Calls), waiting: 32 * int64(l.Calls), target: l.Queue})
	}
	for _, c := range []class{leaseDoor, tokenDoor} {
		out[c] = newGate(now, 1, queueRules{work: 8 * int64(runtime.GOMAXPROCS(0)), waiting: 1024, target: l.Queue / 3})
	}
	return out
}

// identify waits for the turn to be asked who one is, and asks. Before that nothing is known but
// the address, and what is shown there: a proxy is one address for everybody, and a stranger
// may show anything.
func (c *call) identify() *failure {
	door := tokenDoor
	switch {
	case c.r.who == public || c.r.who == byCode:
		return c.authenticate() // costs nothing
	case c.leaseLike():
		door = leaseDoor
	}
	var shown maphash.Hash
	shown.SetSeed(c.s.seed)
	for _, a := range c.authorization {
		_, _ = shown.WriteString(a) // never fails
	}
	leave, f := c.s.gates[door].enter(c.ctx, party{remoteKey(c.remote), strconv.FormatUint(shown.Sum64(), 36)}, 0)
	if f != nil {
		return f
	}
	defer leave()
	return c.authenticate()
}

// enter waits for the party's turn and returns what ends the work, which may be called again.
// It fails with overloaded, and when to come back, at once when there is no room, and later
// when somebody else's turn came first or the request's time is over.
func (g *gate) enter(ctx context.Context, p party, bytes int) (leave func(), f *failure) {
	t := &ticket{party: p, weight: g.base, done: make(chan struct{})}
	if g.base > 1 {
		t.weight += int64(bytes)
	}
	g.settle(func(now time.Time) []*ticket { return g.q.arrive(now, t) })
	if g.stateOf(t) == inLine {
		select {
		case <-t.done:
		case <-ctx.Done():
			g.settle(func(now time.Time) []*ticket {
				if t.state != inLine {
					return nil // its turn came just now
				}
				return g.q.giveUp(now, t)
			})
		}
	}
	if g.stateOf(t) == turnedAway {
		f := fail("overloaded", "")
		f.after = t.retry
		return nil, f
	}
	return gosync.OnceFunc(func() {
		g.settle(func(now time.Time) []*ticket { return g.q.leave(now, t) })
	}), nil
}

// settle lets the queue decide and tells those about whom it did.
func (g *gate) settle(decide func(now time.Time) []*ticket) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range decide(now) {
		close(t.done)
	}
}

func (g *gate) stateOf(t *ticket) ticketState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.state
}

// Load is what a class of calls does now, and did since the server began.
type Load struct {
	AtWork, AtWorkWeight   int64 // now
	Waiting, WaitingWeight int64 // now
	MostWaiting            int64 // the largest weight that ever waited
	Admitted               int64 // calls that were let in
	Waited                 int64 // of those and of the displaced: calls that were not let in at once
	TurnedAway             int64 // answered with overloaded
	Displaced              int64 // of those: had waited, and made room for others
	GaveUp                 int64 // of those: the request's time was over first
	Away                   int64 // devices and users who were told to come back and have not yet
}

// Loads reports the load by class: "push" (weight is bytes as sent and 4 KiB a push), "login"
// and "read" (a call weighs one), and "lease door" and "token door", where all of these show who they are. Routes that anybody may call are not counted: they never wait.
func (s *Server) Loads() map[string]Load {
	out := map[string]Load{}
	for c, g := range s.gates {
		if g != nil {
			out[classNames[c]] = g.load()
		}
	}
	return out
}

func (g *gate) load() Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &g.q
	return Load{
		AtWork: q.workers, AtWorkWeight: q.working, Waiting: int64(q.lines.count), WaitingWeight: q.lines.weight,
		MostWaiting: q.mostWaiting,
		Admitted:    q.counts.admitted, Waited: q.counts.waited, TurnedAway: q.counts.turnedAway,
		Displaced: q.counts.displaced, GaveUp: q.counts.gaveUp, Away: int64(len(q.away)),
	}
}
