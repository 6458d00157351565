package api

import (
	"cmp"
	"container/list"
	"slices"
	"time"
)

// The queue in front of costly calls. It decides who works, who waits and who is told to come
// back, as a function of its state, of what happens and of the time that it is given: it reads
// no clock, starts nothing and waits for nothing. gate.go does.
//
//	H10 What works and what waits is bounded by weight, which is what was sent and a fixed part for the call: see queueRules.
//	H11 Those who wait take turns: tenants first, then the parties (devices, users) of a tenant. When there is no room left,
//	    whoever takes more than a fair share makes room.
//	H12 A party that was turned away and comes back when it was told to may wait longer each time, and is the last of its
//	    tenant to be turned away again: nobody is turned away for ever.
//	H13 Those who are turned away together are told times at which the work can take them, one after the other.

// party is who asks: whose turn it is.
type party struct{ tenant, who string }

// ticket is one call on its way through a queue.
type ticket struct {
	party  party
	weight int64
	turns  int           // how often the party was turned away before, in a row
	state  ticketState   // what became of it
	retry  time.Duration // turnedAway: when to come back
	done   chan struct{} // for the gate
}

type ticketState uint8

const (
	atWork ticketState = iota + 1
	inLine
	turnedAway
)

// queueRules bound a queue.
type queueRules struct {
	work    int64         // weight at work at a time; a heavier call works alone
	waiting int64         // weight that waits at a time
	target  time.Duration // a newcomer who would wait longer is turned away
}

const (
	firstReturn = time.Second      // the earliest that anybody is told to come back
	lastReturn  = 2 * time.Minute  // the latest
	keepPlace   = 10 * time.Minute // how long a party that was turned away is remembered after the time it was told
	awayHeld    = 20_000           // parties that are remembered, about 250 bytes each
	idleGap     = time.Second      // work that stands still for longer says nothing about how fast it goes
)

// queue is one class of calls.
type queue struct {
	rules   queueRules
	working int64 // weight
	workers int64
	lines   line // what waits: tenants, their parties, their calls

	// How long the work takes for its weight: two sums that fade together, over departures.
	spent, done float64
	mark        time.Time // since when the work goes on without a departure

	booked time.Time // the time that the next one who is turned away is told
	away   map[party]*list.Element
	told   list.List // of *absence, in the order they were told

	counts      queueCounts
	mostWaiting int64 // weight, ever
}

// queueCounts only grow.
type queueCounts struct{ admitted, waited, turnedAway, displaced, gaveUp int64 }

// absence is a party that was told to come back.
type absence struct {
	party party
	until time.Time
	turns int
}

func newQueue(r queueRules) queue {
	return queue{rules: r, away: map[party]*list.Element{}}
}

// arrive judges a new call. It returns those who had to make room for it; they are turned away.
func (q *queue) arrive(now time.Time, t *ticket) (displaced []*ticket) {
	if a := q.absent(t.party); a != nil && !now.Before(a.until) {
		t.turns = a.turns
	}
	if q.lines.count == 0 && q.fits(t) {
		q.forget(t.party)
		q.admit(now, t)
		return nil
	}
	if q.wait(t) > q.rules.target+time.Duration(t.turns)*q.rules.target/4 {
		q.turnAway(now, t)
		return nil
	}
	displaced, ok := q.room(t)
	if !ok {
		q.turnAway(now, t)
		return nil
	}
	for _, v := range displaced {
		q.lines.remove(v)
		q.counts.displaced++
		q.turnAway(now, v)
	}
	q.forget(t.party)
	t.state = inLine
	q.lines.add(t)
	q.counts.waited++
	q.mostWaiting = max(q.mostWaiting, q.lines.weight)
	return displaced
}

// leave ends a call's work. It returns those who begin now.
func (q *queue) leave(now time.Time, t *ticket) (begin []*ticket) {
	const fade = 1 - 1.0/32
	gap := min(max(now.Sub(q.mark), 0), idleGap)
	q.spent, q.done, q.mark = q.spent*fade+float64(gap), q.done*fade+float64(t.weight), now
	q.working -= t.weight
	q.workers--
	return q.promote(now)
}

// promote lets in whoever fits, in turn. Nobody is passed over because the next one is
// lighter: a heavy call would never come in.
func (q *queue) promote(now time.Time) (begin []*ticket) {
	for q.lines.count > 0 && q.fits(q.lines.first()) {
		t := q.lines.next()
		q.admit(now, t)
		begin = append(begin, t)
	}
	return begin
}

// giveUp ends a call that nobody waits for any more. It returns those who begin now: the call
// may have been too heavy for the room there was.
func (q *queue) giveUp(now time.Time, t *ticket) (begin []*ticket) {
	q.lines.remove(t)
	q.counts.gaveUp++
	q.turnAway(now, t)
	return q.promote(now)
}

func (q *queue) fits(t *ticket) bool {
	return q.working == 0 || q.working+t.weight <= q.rules.work
}

func (q *queue) admit(now time.Time, t *ticket) {
	if q.working == 0 {
		q.mark = now
	}
	q.working += t.weight
	q.workers++
	q.counts.admitted++
	t.state = atWork
}

// drain is how long the work takes for a weight, by what was measured; 0 before that.
func (q *queue) drain(weight float64) time.Duration {
	if q.done == 0 {
		return 0
	}
	return time.Duration(min(weight*q.spent/q.done, float64(time.Hour)))
}

// wait estimates how long a call would wait now, given its turn.
func (q *queue) wait(t *ticket) time.Duration {
	ahead := float64(0)
	if q.lines.count > 0 {
		ahead = float64(q.lines.ahead(t.party.path())) * float64(q.lines.weight) / float64(q.lines.count)
	}
	return q.drain(ahead + float64(t.weight))
}

// room finds whom a call may displace when there is no room for it: of tenants that take more
// than a fair share, when its own does not (H11); else of its own tenant, those who were
// turned away less often (H12) or whose party takes more. Nobody is displaced in vain.
func (q *queue) room(t *ticket) (displaced []*ticket, ok bool) {
	need := q.lines.weight + t.weight - q.rules.waiting
	if need <= 0 {
		return nil, true
	}
	tenants, ownWeight, partyWeight := len(q.lines.parts), t.weight, t.weight
	own := q.lines.part(t.party.tenant)
	if own == nil {
		tenants++
	} else {
		ownWeight += own.weight
		if p := own.part(t.party.who); p != nil {
			partyWeight += p.weight
		}
	}
	share := q.rules.waiting / int64(tenants)
	var may []*ticket
	for _, l := range q.lines.parts {
		switch {
		case ownWeight <= share && l.weight > share:
			for _, p := range l.parts {
				may = append(may, p.calls...)
			}
		case ownWeight > share && l == own:
			for _, p := range l.parts {
				for _, c := range p.calls {
					if c.turns < t.turns || c.turns == t.turns && p.weight > partyWeight {
						may = append(may, c)
					}
				}
			}
		}
	}
	// The last to come of each party go first.
	slices.Reverse(may)
	slices.SortStableFunc(may, func(a, b *ticket) int { return cmp.Compare(a.turns, b.turns) })
	for _, c := range may {
		if need <= 0 {
			break
		}
		displaced, need = append(displaced, c), need-c.weight
	}
	return displaced, need <= 0
}

// turnAway gives a call a time to come back, and its party a better place then. Whoever comes
// before that time, or asks many things at once, is told the same time and gains nothing.
func (q *queue) turnAway(now time.Time, t *ticket) {
	q.counts.turnedAway++
	t.state = turnedAway
	a := q.absent(t.party)
	if a == nil || !now.Before(a.until) {
		if a != nil {
			t.turns = max(t.turns, a.turns)
		}
		until := q.book(now, t.weight)
		// Who was away already does not go behind all newcomers again.
		until = now.Add(max(until.Sub(now)/time.Duration(1+t.turns), firstReturn))
		a = &absence{t.party, until, t.turns + 1}
		q.remember(now, a)
	}
	t.retry = max(a.until.Sub(now), firstReturn)
}

// book takes the next time at which the work can take a call of that weight (H13). When the
// crowd is larger than the last return, the times begin anew.
func (q *queue) book(now time.Time, weight int64) time.Time {
	first := now.Add(firstReturn)
	if q.booked.Before(first) || q.booked.After(now.Add(lastReturn)) {
		q.booked = first
	}
	at := q.booked
	q.booked = at.Add(q.drain(float64(weight)))
	return at
}

func (q *queue) absent(p party) *absence {
	if el := q.away[p]; el != nil {
		return el.Value.(*absence)
	}
	return nil
}

func (q *queue) remember(now time.Time, a *absence) {
	q.forget(a.party)
	for el := q.told.Front(); el != nil; el = q.told.Front() {
		if old := el.Value.(*absence); len(q.away) < awayHeld && now.Sub(old.until) < keepPlace {
			break
		}
		q.forget(el.Value.(*absence).party)
	}
	q.away[a.party] = q.told.PushBack(a)
}

func (q *queue) forget(p party) {
	if el := q.away[p]; el != nil {
		delete(q.away, p)
		q.told.Remove(el)
	}
}

// line is what waits: calls of one party, in order, or parts that take turns. The first part
// is the next.
type line struct {
	key    string
	parts  []*line
	calls  []*ticket
	count  int
	weight int64
}

func (p party) path() []string { return []string{p.tenant, p.who} }

func (l *line) part(key string) *line {
	for _, p := range l.parts {
		if p.key == key {
			return p
		}
	}
	return nil
}

func (l *line) add(t *ticket) {
	for _, key := range t.party.path() {
		l.count, l.weight = l.count+1, l.weight+t.weight
		p := l.part(key)
		if p == nil {
			p = &line{key: key}
			l.parts = append(l.parts, p)
		}
		l = p
	}
	l.count, l.weight = l.count+1, l.weight+t.weight
	l.calls = append(l.calls, t)
}

// first is the call whose turn it is.
func (l *line) first() *ticket {
	for len(l.parts) > 0 {
		l = l.parts[0]
	}
	return l.calls[0]
}

// next takes out the call whose turn it is; its party and its tenant go to the end.
func (l *line) next() *ticket {
	t := l.first()
	for level := l; len(level.parts) > 0; {
		p := level.parts[0]
		copy(level.parts, level.parts[1:])
		level.parts[len(level.parts)-1] = p
		level = p
	}
	l.remove(t)
	return t
}

func (l *line) remove(t *ticket) { l.take(t, t.party.path()) }

func (l *line) take(t *ticket, path []string) {
	l.count, l.weight = l.count-1, l.weight-t.weight
	if len(path) == 0 {
		i := slices.Index(l.calls, t)
		l.calls = slices.Delete(l.calls, i, i+1)
		return
	}
	i := slices.IndexFunc(l.parts, func(p *line) bool { return p.key == path[0] })
	p := l.parts[i]
	if p.take(t, path[1:]); p.count == 0 {
		l.parts = slices.Delete(l.parts, i, i+1)
	}
}

// ahead counts the calls whose turn comes before that of a new call on this path, at most.
func (l *line) ahead(path []string) int {
	if len(path) == 0 {
		return l.count
	}
	own := l.part(path[0])
	before := 0
	if own != nil {
		before = own.ahead(path[1:])
	}
	n := before
	for _, p := range l.parts {
		if p != own {
			n += min(p.count, before+1)
		}
	}
	return n
}
