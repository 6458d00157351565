package api

import (
	"container/heap"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"time"
)

// simulation plays a queue in time that nobody waits for: the work takes its weight at a fixed
// rate, one call after the other, whatever number of them is at work.
type simulation struct {
	q          queue
	now        time.Time
	rate       float64 // weight a second
	free       time.Time
	happenings happenings
	turned     func(*ticket)
	arrived    map[*ticket]time.Time
	waited     map[party]time.Duration // longest wait of those let in
	served     []*ticket
}

type happening struct {
	at  time.Time
	seq int
	do  func()
}

type happenings []happening

func (e happenings) Len() int { return len(e) }
func (e happenings) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e happenings) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *happenings) Push(x any)   { *e = append(*e, x.(happening)) }
func (e *happenings) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

func newSimulation(r queueRules, rate float64) *simulation {
	return &simulation{
		q: newQueue(r), now: noon, free: noon, rate: rate, turned: func(*ticket) {},
		arrived: map[*ticket]time.Time{}, waited: map[party]time.Duration{},
	}
}

func (s *simulation) at(t time.Time, do func()) {
	heap.Push(&s.happenings, happening{t, len(s.arrived) + len(s.happenings), do})
}

func (s *simulation) run(until time.Time) {
	for len(s.happenings) > 0 && !s.happenings[0].at.After(until) {
		e := heap.Pop(&s.happenings).(happening)
		s.now = e.at
		e.do()
	}
	s.now = until
}

func (s *simulation) arrive(p party, weight int64) *ticket {
	t := &ticket{party: p, weight: weight}
	s.arrived[t] = s.now
	displaced := s.q.arrive(s.now, t)
	for _, v := range displaced {
		s.turned(v)
	}
	switch t.state {
	case atWork:
		s.work(t)
	case turnedAway:
		s.turned(t)
	}
	return t
}

func (s *simulation) work(t *ticket) {
	s.served = append(s.served, t)
	s.waited[t.party] = max(s.waited[t.party], s.now.Sub(s.arrived[t]))
	if s.free.Before(s.now) {
		s.free = s.now
	}
	s.free = s.free.Add(time.Duration(float64(t.weight) / s.rate * float64(time.Second)))
	s.at(s.free, func() {
		for _, b := range s.q.leave(s.now, t) {
			s.work(b)
		}
	})
}

func tabletOf(tenant string, n int) party { return party{tenant, fmt.Sprintf("device-%05d", n)} }

// roomy is a queue that turns nobody away.
var roomy = queueRules{work: 1, waiting: 1 << 40, target: time.Hour}

// H11: whoever has one call waiting is not behind those with a thousand.
func TestTurnsGoByTenantAndDevice(t *testing.T) {
	s := newSimulation(roomy, 100)
	s.arrive(tabletOf("a", 0), 1)
	for i := range 1000 {
		s.arrive(tabletOf("a", i%40), 1)
	}
	one := s.arrive(tabletOf("b", 1), 1)
	for range 50 {
		s.arrive(tabletOf("c", 1), 1)
	}
	other := s.arrive(tabletOf("c", 2), 1)
	s.run(noon.Add(time.Minute))
	turn := map[*ticket]int{}
	for i, served := range s.served {
		turn[served] = i
	}
	if len(s.served) != 1053 {
		t.Fatalf("%d served", len(s.served))
	}
	// The first is at work; then a, b, c take turns.
	if turn[one] != 2 {
		t.Errorf("the one call of tenant b was number %d", turn[one])
	}
	// The second turn of tenant c, among three and then two tenants.
	if turn[other] > 6 {
		t.Errorf("the one call of a device beside 50 of another was number %d", turn[other])
	}
	// While both wait, two tenants get half each, and the devices of a tenant the same.
	count := map[string]int{}
	for _, served := range s.served[3:103] {
		count[served.party.tenant]++
	}
	if count["c"] < 48 || count["a"] < 48 {
		t.Errorf("of a hundred turns: %v", count)
	}
	per := map[party]int{}
	for _, served := range s.served[103:503] {
		per[served.party]++
	}
	for p, n := range per {
		if p.tenant == "a" && (n < 9 || n > 11) {
			t.Errorf("%v had %d of 400 turns among 40 devices", p, n)
		}
	}
}

// H11: a flood is turned away at the target, and what a small tenant asks never is.
func TestAFloodTurnsNobodyElseAway(t *testing.T) {
	const rate = 100
	s := newSimulation(queueRules{work: 4, waiting: 200, target: 300 * time.Millisecond}, rate)
	turned := map[string]int{}
	s.turned = func(c *ticket) { turned[c.party.tenant]++ }
	for i := range 10 * 10 * rate { // 10 s of ten times what the work can take
		s.at(noon.Add(time.Duration(i)*time.Second/(10*rate)), func() { s.arrive(tabletOf("flood", i%700), 1) })
	}
	for i := range 20 {
		s.at(noon.Add(time.Duration(i)*500*time.Millisecond+time.Millisecond), func() { s.arrive(tabletOf("small", 1), 1) })
	}
	s.run(noon.Add(time.Minute))
	if turned["small"] != 0 || s.waited[tabletOf("small", 1)] > 60*time.Millisecond {
		t.Errorf("the small tenant: %d turned away, longest wait %s", turned["small"], s.waited[tabletOf("small", 1)])
	}
	if turned["flood"] < 8000 {
		t.Errorf("the flood: %d of 10000 turned away", turned["flood"])
	}
	for p, w := range s.waited {
		if w > 600*time.Millisecond {
			t.Errorf("%v waited %s: newcomers are let in to wait 300ms, those who were away a little longer", p, w)
		}
	}
}

// H12: with three times more newcomers than the work can take, everybody gets in: those who
// come when they are told, those who come up to half as much later, and also beside as many
// who come back five times a second.
func TestNobodyIsTurnedAwayForEver(t *testing.T) {
	seed := uint64(7)
	t.Logf("seed %d", seed)
	byTime := queueRules{work: 4, waiting: 1 << 30, target: 300 * time.Millisecond}
	byRoom := queueRules{work: 4, waiting: 40, target: time.Hour}
	for _, c := range []struct {
		name    string
		rules   queueRules
		jitter  float64
		rude    bool
		seconds int
		most    int // times that a polite party may be turned away
	}{
		{"by time", byTime, 0, false, 10, 2}, {"by room", byRoom, 0, false, 10, 2},
		{"by time, late", byTime, 0.5, false, 10, 3}, {"by room, late", byRoom, 0.5, false, 10, 3},
		{"by time, rude", byTime, 0.5, true, 10, 4}, {"by room, rude", byRoom, 0.5, true, 10, 4},
		// A crowd of more than can be told times: those begin anew.
		{"for long", byTime, 0, false, 80, 4},
	} {
		const rate = 40
		seconds := time.Duration(c.seconds)
		calls := 3 * rate * c.seconds
		r := mathrand.New(mathrand.NewPCG(seed, 2))
		s := newSimulation(c.rules, rate)
		rude := map[party]bool{}
		tries, worst, all := map[party]int{}, 0, 0
		s.turned = func(k *ticket) {
			tries[k.party]++
			back := time.Duration(float64(k.retry) * (1 + c.jitter*r.Float64()))
			if rude[k.party] {
				back = 200 * time.Millisecond
			} else {
				all++
				worst = max(worst, tries[k.party])
			}
			s.at(s.now.Add(back), func() { s.arrive(k.party, 1) })
		}
		for i := range calls {
			rude[tabletOf("a", i)] = c.rude && i%2 == 0
			s.at(noon.Add(time.Duration(i)*time.Second/(3*rate)), func() { s.arrive(tabletOf("a", i), 1) })
		}
		s.run(noon.Add(10 * seconds * time.Second))
		if len(s.served) != calls {
			t.Errorf("%s: %d of %d served", c.name, len(s.served), calls)
		}
		t.Logf("%s: the polite turned away %d times at most, %d times in all, done after %s", c.name, worst, all, s.free.Sub(noon))
		if worst > c.most {
			t.Errorf("%s: somebody was turned away %d times", c.name, worst)
		}
	}
}

// H13: a herd that comes at once is told times that it can be taken at.
func TestAHerdComesBackEvenly(t *testing.T) {
	const rate, herd = 200, 5000
	s := newSimulation(queueRules{work: 20, waiting: 1 << 30, target: 300 * time.Millisecond}, rate)
	for range 50 { // what the work takes is known from before
		s.arrive(tabletOf("a", herd), 1)
	}
	s.run(noon.Add(time.Second))
	perSecond, turned := map[int]int{}, 0
	began := s.now
	s.turned = func(c *ticket) {
		turned++
		perSecond[int(s.now.Add(c.retry).Sub(began).Seconds())]++
		s.at(s.now.Add(c.retry), func() { s.arrive(c.party, 1) })
	}
	for i := range herd {
		s.arrive(tabletOf("a", i), 1)
	}
	s.run(began.Add(10 * time.Minute))
	if len(s.served) != herd+50 {
		t.Fatalf("%d served", len(s.served))
	}
	for second, n := range perSecond {
		if n > rate+rate/4 {
			t.Errorf("%d were told to come in second %d, the work takes %d", n, second, rate)
		}
	}
	if took := s.free.Sub(began); took > herd/rate*time.Second*5/4 {
		t.Errorf("drained after %s, the work alone takes %s", took, herd/rate*time.Second)
	}
	t.Logf("%d times turned away, drained after %s", turned, s.free.Sub(began))
}

// H11: room is made at the cost of those who take more than their share, and never in vain.
func TestRoomIsMadeByWhoTakesMost(t *testing.T) {
	fill := func() *simulation {
		s := newSimulation(queueRules{work: 1, waiting: 100, target: time.Hour}, 1)
		s.arrive(tabletOf("a", 0), 1)
		for i := range 10 {
			s.arrive(tabletOf("a", i%5), 10)
		}
		return s
	}
	s := fill()
	var gone []*ticket
	s.turned = func(c *ticket) { gone = append(gone, c) }
	if c := s.arrive(tabletOf("b", 1), 15); c.state != inLine || len(gone) != 2 || gone[0].party.tenant != "a" || gone[1].party.tenant != "a" {
		t.Errorf("another tenant's call: state %d, %d displaced", c.state, len(gone))
	}
	if q := &s.q; q.lines.weight != 95 || q.counts.displaced != 2 {
		t.Errorf("%d wait, %+v", q.lines.weight, q.counts)
	}
	s, gone = fill(), nil
	s.turned = func(c *ticket) { gone = append(gone, c) }
	if c := s.arrive(tabletOf("b", 1), 60); c.state != turnedAway || len(gone) != 1 {
		t.Errorf("a call over its tenant's share: state %d, %d turned away", c.state, len(gone))
	}
	gone = nil
	if c := s.arrive(tabletOf("a", 9), 10); c.state != inLine || len(gone) != 1 || gone[0].party == c.party {
		t.Errorf("a device with nothing waiting, beside those with two calls: state %d, %d turned away", c.state, len(gone))
	}
	gone = nil
	if c := s.arrive(tabletOf("a", 1), 10); c.state != turnedAway || len(gone) != 1 {
		t.Errorf("one more call of a device that has its share: state %d", c.state)
	}
}

// Coming early, or asking many things at once, gains no place.
func TestImpatienceGainsNothing(t *testing.T) {
	s := newSimulation(queueRules{work: 1, waiting: 1, target: time.Hour}, 1)
	s.arrive(tabletOf("a", 0), 1)
	s.arrive(tabletOf("a", 1), 1)
	first := s.arrive(tabletOf("a", 2), 1)
	for i := range 20 {
		s.now = s.now.Add(time.Duration(i) * time.Millisecond)
		if c := s.arrive(tabletOf("a", 2), 1); c.state != turnedAway || c.turns != 0 || s.now.Add(c.retry).Before(noon.Add(first.retry)) {
			t.Fatalf("call %d: state %d, %d turns, back in %s", i, c.state, c.turns, c.retry)
		}
	}
	s.now = noon.Add(first.retry)
	if c := s.arrive(tabletOf("a", 2), 1); c.state != inLine || c.turns != 1 {
		t.Errorf("at the time it was told: state %d, %d turns", c.state, c.turns)
	}
}

// H10, whatever happens: the bounds hold, sums are those of the parts, nobody is forgotten.
func TestTheQueueIsBounded(t *testing.T) {
	seed := uint64(20261125)
	t.Logf("seed %d", seed)
	r := mathrand.New(mathrand.NewPCG(seed, 1))
	rules := queueRules{work: 50, waiting: 300, target: 3 * time.Second}
	q := newQueue(rules)
	now := noon
	var working, waiting []*ticket
	settle := func() {
		still := waiting[:0]
		for _, w := range waiting {
			switch w.state {
			case inLine:
				still = append(still, w)
			case atWork:
				working = append(working, w)
			}
		}
		waiting = still
	}
	for step := range 60_000 {
		now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
		switch n := r.IntN(10); {
		case n < 6:
			w := &ticket{party: tabletOf(fmt.Sprint("t", r.IntN(4)), r.IntN(30)), weight: 1 + int64(r.ExpFloat64()*10)}
			q.arrive(now, w)
			waiting = append(waiting, w)
		case n < 9 && len(working) > 0:
			i := r.IntN(len(working))
			q.leave(now, working[i])
			working = append(working[:i], working[i+1:]...)
		case len(waiting) > 0:
			q.giveUp(now, waiting[r.IntN(len(waiting))])
		}
		settle()
		var sum, heaviest, held int64
		for _, w := range working {
			sum, heaviest = sum+w.weight, max(heaviest, w.weight)
		}
		for _, w := range waiting {
			held += w.weight
		}
		if sum != q.working || int64(len(working)) != q.workers || held != q.lines.weight || len(waiting) != q.lines.count {
			t.Fatalf("step %d: at work %d (%d), waiting %d (%d)", step, sum, q.working, held, q.lines.weight)
		}
		if sum > max(rules.work, heaviest) || held > rules.waiting {
			t.Fatalf("step %d: %d at work, %d waiting", step, sum, held)
		}
		if len(waiting) > 0 && len(working) == 0 {
			t.Fatalf("step %d: %d wait and nobody works", step, len(waiting))
		}
	}
	if q.counts.admitted == 0 || q.counts.turnedAway == 0 || q.counts.displaced == 0 || q.counts.waited == 0 {
		t.Errorf("nothing of it happened: %+v", q.counts)
	}
	for range 3 * awayHeld {
		q.turnAway(now, &ticket{party: tabletOf("x", r.Int()), weight: 1})
	}
	if len(q.away) > awayHeld || q.told.Len() != len(q.away) {
		t.Errorf("%d parties remembered, %d told", len(q.away), q.told.Len())
	}
}

func BenchmarkQueueFull(b *testing.B) {
	s := newSimulation(queueRules{work: 1, waiting: 1000, target: time.Nanosecond}, 1)
	s.q.rules.target = time.Hour
	for i := range 1000 {
		s.arrive(tabletOf(fmt.Sprint("t", i%3), i), 1)
	}
	s.q.rules.target, s.q.spent, s.q.done = 1, 1e9, 1
	for i := 0; b.Loop(); i++ {
		s.q.arrive(noon, &ticket{party: tabletOf("t0", i%5000), weight: 1})
	}
}
