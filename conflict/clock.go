package conflict

import (
	"math"

	"flette/model"
)

// Uncertainty of a tablet's clocks. Quartz in tablets drifts by tens of ppm, so 200 ppm is
// wide; 500 ppm leaves room for a wall clock that the user's network steers.
const (
	baseA = 1_000          // ms: reading two clocks when the lease arrives
	perA  = 5_000          // elapsed/5000 = 200 ppm
	minB  = 5 * 60 * 1_000 // ms
	perB  = 2_000          // span/2000 = 500 ppm
)

// MaxOffline bounds an entry that names no lease we know: without a lease nothing proves a
// lower bound, and an unbounded one would let a forged wall clock put an entry decades
// back. 90 days is longer than any tablet keeps an outbox. Such an entry is class C, so
// the bound never decides a clash by itself.
const MaxOffline model.Millis = 90 * 24 * 60 * 60 * 1_000

// Claim is what is known about the time of an entry at acceptance.
type Claim struct {
	ElapsedMs  int64        // signed: monotonic ms since the lease was received
	Clock      string       // signed: model.ClockMonotonic, ClockRebooted or ClockNone
	Wall       model.Millis // signed: the tablet's wall clock
	Lease      *LeaseTimes  // of the lease that the entry names; nil when it is not ours
	ReceivedAt model.Millis // the server's clock at receipt
}

// LeaseTimes are the clock anchor that a lease carries.
type LeaseTimes struct {
	IssuedAt   model.Millis // the server's clock
	WallOffset model.Millis // tablet's wall clock minus the server's at that moment, claimed
}

// Interval bounds the time of an entry (protocol, time). The stamp always has
// Lo <= TEff <= Hi (M7), whatever the claims say; no claim is an error.
//
//	A  same boot: T = issued + elapsed, U = 1 s + 200 ppm of elapsed
//	B  rebooted:  T = issued + wall time passed since, U = max(5 min, 500 ppm of that)
//	C  otherwise: T = wall, U = Hi - Lo
//
// Class C is given when no lease time is known, when monotonic and wall clock leave no
// common moment (they differ by more than both uncertainties together), and when the
// estimate with its uncertainty lies wholly after receipt or wholly before the lease: a
// tablet that wakes in 1970 proves nothing about when it was used. A wall clock that was
// wrong by the same amount at the lease as now is no doubt at all (R93).
func Interval(c Claim) model.Stamp {
	s := model.Stamp{Wall: c.Wall, Hi: c.ReceivedAt}
	if c.Lease == nil {
		s.Lo = sub(s.Hi, MaxOffline)
		return doubtful(s)
	}
	// A lease issued after receipt by another node's clock must not turn the bounds round.
	s.Lo = min(c.Lease.IssuedAt, s.Hi)

	span := sub(sub(c.Wall, c.Lease.WallOffset), c.Lease.IssuedAt)
	a := estimate{add(c.Lease.IssuedAt, model.Millis(c.ElapsedMs)), add(baseA, size(model.Millis(c.ElapsedMs))/perA)}
	b := estimate{add(c.Lease.IssuedAt, span), max(minB, size(span)/perB)}

	var e estimate
	switch c.Clock {
	case model.ClockMonotonic:
		if size(sub(a.t, b.t)) > add(a.u, b.u) {
			return doubtful(s)
		}
		e, s.Class = a, model.ClockA
	case model.ClockRebooted:
		e, s.Class = b, model.ClockB
	default:
		return doubtful(s)
	}
	if sub(e.t, e.u) > s.Hi || add(e.t, e.u) < s.Lo {
		return doubtful(s)
	}
	s.T, s.U = e.t, e.u
	s.TEff = clamp(s.T, s.Lo, s.Hi)
	return s
}

type estimate struct{ t, u model.Millis }

func doubtful(s model.Stamp) model.Stamp {
	s.Class, s.T, s.U = model.ClockC, s.Wall, sub(s.Hi, s.Lo)
	s.TEff = clamp(s.T, s.Lo, s.Hi)
	return s
}

// clocksInDoubt reports whether the order in time of two heads is not known (R82).
func clocksInDoubt(a, b model.Stamp) bool {
	if a.Class == model.ClockC || b.Class == model.ClockC {
		return true
	}
	aLo, aHi := clamp(sub(a.T, a.U), a.Lo, a.Hi), clamp(add(a.T, a.U), a.Lo, a.Hi)
	bLo, bHi := clamp(sub(b.T, b.U), b.Lo, b.Hi), clamp(add(b.T, b.U), b.Lo, b.Hi)
	return aLo <= bHi && bLo <= aHi
}

func clamp(t, lo, hi model.Millis) model.Millis { return min(max(t, lo), hi) }

// add, sub and size stop at the ends of the range instead of wrapping round: claims are
// hostile numbers.
func add(a, b model.Millis) model.Millis {
	sum := a + b
	if (sum > a) == (b > 0) || b == 0 {
		return sum
	}
	if b > 0 {
		return math.MaxInt64
	}
	return math.MinInt64
}

func sub(a, b model.Millis) model.Millis {
	if b == math.MinInt64 {
		return add(add(a, math.MaxInt64), 1)
	}
	return add(a, -b)
}

func size(a model.Millis) model.Millis {
	if a >= 0 {
		return a
	}
	return sub(0, a)
}
