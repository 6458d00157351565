package sync

import (
	"math"
	"slices"
	gosync "sync"

	"flette/model"
	"flette/store"
)

// ownedCache keeps the answer of Owned: it holds until an event is added, or until the next
// moment at which somebody gets or loses a person by time.
type ownedCache struct {
	mu          gosync.Mutex
	version     int64
	from, until model.Millis
	persons     map[model.PersonID]bool
}

// Owned is the set of persons whom somebody has in the caseload at a time; it must not be
// changed. Who is not in it is visited by nobody: a supervisor must see that, whether an
// assignment ended, ran out or was blocked (R107, S10). v is a committed snapshot.
func (e *Engine) Owned(v store.View, at model.Millis) (map[model.PersonID]bool, error) {
	t := v.Tenant()
	ts, err := e.tenant(t.ID)
	if err != nil {
		return nil, err
	}
	c := &ts.owned
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.persons != nil && c.version == t.CaseloadSeq && c.from <= at && at < c.until {
		return c.persons, nil
	}
	all, err := store.List[store.Assignment](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	c.version, c.from, c.until, c.persons = t.CaseloadSeq, at, math.MaxInt64, map[model.PersonID]bool{}
	by := map[model.ActorID][]store.Assignment{}
	for _, a := range all {
		by[a.Actor] = append(by[a.Actor], a)
	}
	general := by[""]
	delete(by, "")
	for _, events := range by {
		events = append(events, general...)
		slices.SortFunc(events, bySeq)
		for person, r := range reaches(events, t.CaseloadSeq) {
			for _, iv := range r.have {
				switch {
				case iv.from > at:
					c.until = min(c.until, iv.from)
				case iv.has(at):
					c.persons[person] = true
					c.until = min(c.until, iv.end())
				}
			}
		}
	}
	return c.persons, nil
}
