package sync

import (
	"cmp"
	"math"
	"slices"

	"flette/model"
	"flette/store"
)

// A caseload is a list of events (store.Assignment): each gives the actor a person between
// two times, or ends what earlier events gave, or blocks the person, or lifts blocks. Events
// are numbered per tenant and never changed, so that the caseload of any version at any time
// can be computed again. This file computes it and reads nothing.

// Kinds of events about a block.
const (
	EventBlock   = "block"
	EventUnblock = "unblock"
)

// interval is a stretch of time: [from, to), to 0 for open.
type interval struct{ from, to model.Millis }

func (iv interval) has(t model.Millis) bool { return iv.from <= t && t < iv.end() }

func (iv interval) end() model.Millis {
	if iv.to == 0 {
		return math.MaxInt64
	}
	return iv.to
}

// until makes an interval that ends at end, which may be the end of time.
func until(from, end model.Millis) interval {
	if end == math.MaxInt64 {
		end = 0
	}
	return interval{from, end}
}

// reach is what an actor may see of one person, and what keeps the actor from it. Each list
// is ascending, and its intervals do not touch.
type reach struct {
	given  []interval // in the caseload, blocks aside
	have   []interval // in the caseload and not blocked
	barred []interval // blocked by name, emergency access aside: this stops every role
}

func holds(ivs []interval, t model.Millis) (interval, bool) {
	i := slices.IndexFunc(ivs, func(iv interval) bool { return iv.has(t) })
	if i < 0 {
		return interval{}, false
	}
	return ivs[i], true
}

// meets reports whether one of the intervals has a moment of [lo, hi].
func meets(ivs []interval, lo, hi model.Millis) bool {
	return slices.ContainsFunc(ivs, func(iv interval) bool { return iv.from <= hi && lo < iv.end() })
}

// covers reports whether one of the intervals has all of [lo, hi].
func covers(ivs []interval, lo, hi model.Millis) bool {
	return slices.ContainsFunc(ivs, func(iv interval) bool { return iv.from <= lo && hi < iv.end() })
}

// grant is an interval with the event that gave it.
type grant struct {
	interval
	seq   int64
	glass bool
}

// ruling is the block event that wins from a time on, up to the next ruling.
type ruling struct {
	from model.Millis
	seq  int64
	on   bool
}

// outranked reports whether emergency access goes before the ruling: it was taken after it.
func (r ruling) outranked(g grant) bool { return g.glass && g.seq > r.seq }

type personEvents struct {
	grants         []grant
	named, general []store.Assignment // block events, of the actor by name and of everybody
}

// reaches computes what events up to version give one actor, per person. Events are those of
// the actor and those about everybody, in order.
func reaches(events []store.Assignment, version int64) map[model.PersonID]*reach {
	by := map[model.PersonID]*personEvents{}
	for i := range events {
		a := &events[i]
		if a.Seq > version {
			break
		}
		p := by[a.Person]
		if p == nil {
			p = &personEvents{}
			by[a.Person] = p
		}
		p.add(a)
	}
	out := make(map[model.PersonID]*reach, len(by))
	for person, p := range by {
		if r := p.reach(); len(r.given)+len(r.barred) > 0 {
			out[person] = r
		}
	}
	return out
}

func (p *personEvents) add(a *store.Assignment) {
	switch {
	case a.Block != "":
		if a.Actor != "" {
			p.named = append(p.named, *a)
		} else {
			p.general = append(p.general, *a)
		}
	case a.End:
		kept := p.grants[:0]
		for _, g := range p.grants {
			if g.from < a.From {
				g.interval = until(g.from, min(g.end(), a.From))
				kept = append(kept, g)
			}
		}
		p.grants = kept
	default:
		p.grants = append(p.grants, grant{interval{a.From, a.To}, a.Seq, a.Glass})
	}
}

func (p *personEvents) reach() *reach {
	r := &reach{}
	named := rulings(p.named)
	rules := both(named, rulings(p.general))
	for _, g := range p.grants {
		r.given = append(r.given, g.interval)
		if len(rules) == 0 {
			r.have = append(r.have, g.interval)
			continue
		}
		r.have = append(r.have, cut(g.interval, interval{math.MinInt64, rules[0].from})...)
		for i, rule := range rules {
			if !rule.on || rule.outranked(g) {
				r.have = append(r.have, cut(g.interval, span(rules, i))...)
			}
		}
	}
	for i, rule := range named {
		if !rule.on {
			continue
		}
		rest := []interval{span(named, i)}
		for _, g := range p.grants {
			if rule.outranked(g) {
				rest = without(rest, g.interval)
			}
		}
		r.barred = append(r.barred, rest...)
	}
	r.given, r.have, r.barred = union(r.given), union(r.have), union(r.barred)
	return r
}

// rulings says which block event wins when: of those in force, the one with the highest
// number. Times before the first ruling know no block.
func rulings(events []store.Assignment) []ruling {
	byTime := slices.Clone(events)
	slices.SortStableFunc(byTime, func(a, b store.Assignment) int { return cmp.Compare(a.From, b.From) })
	var out []ruling
	for i := range byTime {
		e := &byTime[i]
		if n := len(out); n > 0 && out[n-1].seq > e.Seq {
			continue
		} else if n > 0 && out[n-1].from == e.From {
			out = out[:n-1]
		}
		out = append(out, ruling{e.From, e.Seq, e.Block == EventBlock})
	}
	return out
}

// both says who is blocked when, by name or with everybody. A word by name that lifts makes an
// exception of the block of everybody that was there; one for everybody lifts nothing by name.
func both(named, general []ruling) []ruling {
	if len(general) == 0 {
		return named
	}
	var out []ruling
	for i, j := 0, 0; i < len(named) || j < len(general); {
		from := model.Millis(math.MaxInt64)
		if i < len(named) {
			from = named[i].from
		}
		if j < len(general) {
			from = min(from, general[j].from)
		}
		var n, g ruling
		for ; i < len(named) && named[i].from <= from; i++ {
		}
		for ; j < len(general) && general[j].from <= from; j++ {
		}
		if i > 0 {
			n = named[i-1]
		}
		if j > 0 {
			g = general[j-1]
		}
		r := ruling{from: from}
		if n.on {
			r.on, r.seq = true, n.seq
		}
		if g.on && (n.on || n.seq < g.seq) {
			r.on, r.seq = true, max(r.seq, g.seq)
		}
		out = append(out, r)
	}
	return out
}

func span(rules []ruling, i int) interval {
	if i+1 < len(rules) {
		return interval{rules[i].from, rules[i+1].from}
	}
	return interval{rules[i].from, 0}
}

// cut is the common part of two intervals, if there is one.
func cut(a, b interval) []interval {
	from, end := max(a.from, b.from), min(a.end(), b.end())
	if from >= end {
		return nil
	}
	return []interval{until(from, end)}
}

// without takes an interval out of others.
func without(ivs []interval, hole interval) (out []interval) {
	for _, iv := range ivs {
		out = append(out, cut(iv, until(math.MinInt64, hole.from))...)
		if hole.to != 0 {
			out = append(out, cut(iv, interval{hole.to, 0})...)
		}
	}
	return out
}

// union sorts intervals and joins those that touch.
func union(ivs []interval) (out []interval) {
	slices.SortFunc(ivs, func(a, b interval) int { return cmp.Compare(a.from, b.from) })
	for _, iv := range ivs {
		if iv.from >= iv.end() {
			continue
		}
		if n := len(out); n > 0 && iv.from <= out[n-1].end() {
			out[n-1] = until(out[n-1].from, max(out[n-1].end(), iv.end()))
			continue
		}
		out = append(out, iv)
	}
	return out
}

// caseloadAt lists the persons of an actor at a version and time, in order of id, with the
// end of what the actor has (0 for open).
func caseloadAt(events []store.Assignment, version int64, at model.Millis) ([]model.PersonID, map[model.PersonID]model.Millis) {
	return heldAt(reaches(events, version), at)
}

func heldAt(reaches map[model.PersonID]*reach, at model.Millis) ([]model.PersonID, map[model.PersonID]model.Millis) {
	ends := make(map[model.PersonID]model.Millis, len(reaches))
	var persons []model.PersonID
	for p, r := range reaches {
		if iv, ok := holds(r.have, at); ok {
			persons, ends[p] = append(persons, p), iv.to
		}
	}
	slices.SortFunc(persons, func(a, b model.PersonID) int { return slices.Compare(a[:], b[:]) })
	return persons, ends
}

// point is a version of the events at a time.
type point struct {
	version int64
	at      model.Millis
}

// interrupted lists who was in the caseload at two points, and out of it between them, be it
// for a moment: whoever was fed meanwhile, in pieces, may have been left without the person.
// Events take effect when they were recorded.
func interrupted(events []store.Assignment, from, to point) map[model.PersonID]bool {
	changes := map[model.PersonID][]*store.Assignment{}
	for i := range events {
		if a := &events[i]; a.Seq > from.version && a.Seq <= to.version {
			changes[a.Person] = append(changes[a.Person], a)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	before := map[model.PersonID]*personEvents{}
	for i := range events {
		a := &events[i]
		if a.Seq > from.version {
			break
		}
		if len(changes[a.Person]) == 0 {
			continue
		}
		if before[a.Person] == nil {
			before[a.Person] = &personEvents{}
		}
		before[a.Person].add(a)
	}
	out := map[model.PersonID]bool{}
	for person, p := range before {
		at, throughout := from.at, true
		for _, a := range changes[person] {
			throughout = throughout && covers(p.reach().have, at, max(at, a.At))
			p.add(a)
			at = a.At
		}
		out[person] = !(throughout && covers(p.reach().have, at, max(at, to.at)))
	}
	return out
}
