package sync

import (
	"slices"
	"strings"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// UnitsAsOf rebuilds a person's units as they were when the journal had size entries, in
// order of path, from the entries alone. It costs the person's history up to there.
func (e *Engine) UnitsAsOf(v store.View, person model.PersonID, size int64) ([]*model.UnitState, error) {
	nodes, err := nodesByUnit(v, person, size)
	if err != nil {
		return nil, err
	}
	units := make([]model.Unit, 0, len(nodes))
	for u := range nodes {
		units = append(units, u)
	}
	slices.Sort(units)
	out := make([]*model.UnitState, len(units))
	for i, u := range units {
		s := conflict.Rebuild(u, nodes[u], e.o.Catalogue.Policy(u))
		out[i] = &s
	}
	return out, nil
}

func nodesByUnit(v store.View, person model.PersonID, size int64) (map[model.Unit][]conflict.Node, error) {
	nodes := map[model.Unit][]conflict.Node{}
	err := EachEntry(v, person, size, func(l *store.LogEntry) error {
		en, held, err := Effective(v, l)
		if err != nil || en == nil {
			return err
		}
		for i := range en.Changes {
			u := en.Changes[i].Unit
			nodes[u] = append(nodes[u], nodeOf(en, i, held, l.Position))
		}
		return nil
	})
	return nodes, err
}

// EachEntry calls f for the person's log entries below size, in order of position.
func EachEntry(v store.View, person model.PersonID, size int64, f func(*store.LogEntry) error) error {
	const page = 1000
	for after := int64(-1); ; {
		at, err := v.PersonPositions(person, after, page)
		if err != nil {
			return err
		}
		for _, p := range at {
			if p >= size {
				return nil
			}
			l, err := v.Entry(p)
			if err != nil {
				return err
			}
			if err := f(l); err != nil {
				return err
			}
		}
		if len(at) < page {
			return nil
		}
		after = at[len(at)-1]
	}
}

// Standings of a change in history.
const (
	StandingShown       = "shown"
	StandingHead        = "head"
	StandingSuperseded  = "superseded"
	StandingVoided      = "voided"
	StandingAct         = "act" // void, reinstate, release, close
	StandingQuarantined = "quarantined"
)

// Past is one log entry of a person with what became of each change.
type Past struct {
	*store.LogEntry
	Entry     *model.Entry // nil when the payload is not readable
	Standings []string
}

// PersonHistory lists the person's entries after a position, oldest first, with the standing
// of every change now. unit filters to one unit when it is not "". next is the position to
// continue after, -1 at the end.
func (e *Engine) PersonHistory(v store.View, person model.PersonID, unit model.Unit, after int64, limit int) (out []Past, next int64, err error) {
	at, err := v.PersonPositions(person, after, limit)
	if err != nil {
		return nil, -1, err
	}
	next = -1
	if len(at) == limit {
		next = at[len(at)-1]
	}
	fates := map[model.Unit]map[model.EntryID]conflict.Fate{}
	states := map[model.Unit]*model.UnitState{}
	for _, p := range at {
		l, err := v.Entry(p)
		if err != nil {
			return nil, -1, err
		}
		past := Past{LogEntry: l}
		if past.Entry, err = model.DecodeEntry(l.Payload); err != nil {
			past.Entry = nil
			out = append(out, past)
			continue
		}
		if unit != "" && !slices.ContainsFunc(past.Entry.Changes, func(c model.Change) bool { return c.Unit == unit }) {
			continue
		}
		released, err := isReleased(v, l)
		if err != nil {
			return nil, -1, err
		}
		for i := range past.Entry.Changes {
			s, err := e.standing(v, person, l, released, past.Entry.Changes[i].Unit, states, fates)
			if err != nil {
				return nil, -1, err
			}
			past.Standings = append(past.Standings, s)
		}
		out = append(out, past)
	}
	return out, next, nil
}

func isReleased(v store.View, l *store.LogEntry) (bool, error) {
	if l.Outcome != store.Quarantined {
		return false, nil
	}
	item, err := store.Get[store.QuarantineItem](v, store.PositionKey(l.Position))
	return item.State == StateReleased, err
}

func (e *Engine) standing(v store.View, person model.PersonID, l *store.LogEntry, released bool, u model.Unit,
	states map[model.Unit]*model.UnitState, fates map[model.Unit]map[model.EntryID]conflict.Fate) (string, error) {
	if l.Outcome == store.Quarantined && !released {
		return StandingQuarantined, nil
	}
	if !l.Act.Sets() {
		return StandingAct, nil
	}
	s, ok := states[u]
	if !ok {
		var err error
		if s, err = v.Unit(person, u); err != nil {
			return "", err
		}
		states[u] = s
	}
	if s == nil {
		return StandingSuperseded, nil
	}
	for i := range s.Heads {
		if s.Heads[i].ID == l.ID {
			if i == 0 {
				return StandingShown, nil
			}
			return StandingHead, nil
		}
	}
	if !s.Tangled {
		return StandingSuperseded, nil
	}
	f, ok := fates[u]
	if !ok {
		nodes, err := History(v, person, u, s.Position)
		if err != nil {
			return "", err
		}
		f = conflict.Fates(nodes)
		fates[u] = f
	}
	if f[l.ID] == conflict.FateVoided {
		return StandingVoided, nil
	}
	return StandingSuperseded, nil
}

// Findings lists up to limit findings after a key, in order of person, rule and unit: those
// stored with the record, and those that the calendar or the organisation tree brings about,
// computed now. person narrows it to one; keep filters. next is "" at the end.
func (e *Engine) Findings(v store.View, person *model.PersonID, keep func(*store.Finding) bool, after string, limit int) (out []store.Finding, next string, err error) {
	if person != nil {
		page, err := e.findingsOf(v, *person)
		if err != nil {
			return nil, "", err
		}
		return takeFindings(nil, page, keep, after, limit)
	}
	from := ""
	if len(after) >= uuidLen {
		// The person of the key may have more findings: it is looked at again.
		if from, _, _ = strings.Cut(after, " "); from != "" {
			from = from[:len(from)-1]
		}
	}
	const persons = 200
	for {
		docs, err := store.List[store.Person](v, "", from, persons)
		if err != nil {
			return nil, "", err
		}
		for i := range docs {
			from = docs[i].DocKey()
			page, err := e.findingsOf(v, docs[i].ID)
			if err != nil {
				return nil, "", err
			}
			if out, next, err = takeFindings(out, page, keep, after, limit); err != nil || next != "" {
				return out, next, err
			}
		}
		if len(docs) < persons {
			return out, "", nil
		}
	}
}

const uuidLen = 36

// findingsOf gives all findings of a person in order of key.
func (e *Engine) findingsOf(v store.View, person model.PersonID) ([]store.Finding, error) {
	out, err := store.List[store.Finding](v, person.String()+" ", "", 0)
	if err != nil || e.o.Live == nil {
		return out, err
	}
	live, err := e.o.Live(v, person, e.o.Now())
	if err != nil {
		return nil, err
	}
	for _, f := range live {
		// What is stored says since when it holds.
		if !slices.ContainsFunc(out, func(s store.Finding) bool { return s.Rule == f.Rule && s.Unit == f.Unit }) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b store.Finding) int { return strings.Compare(a.DocKey(), b.DocKey()) })
	return out, nil
}

// takeFindings appends what is kept and lies after the key; next is the last key when the
// limit is reached.
func takeFindings(out, page []store.Finding, keep func(*store.Finding) bool, after string, limit int) ([]store.Finding, string, error) {
	for i := range page {
		key := page[i].DocKey()
		if key <= after || keep != nil && !keep(&page[i]) {
			continue
		}
		if out = append(out, page[i]); len(out) >= max(limit, 1) {
			return out, key, nil
		}
	}
	return out, "", nil
}

// Quarantine lists up to limit items by state ("" for all) after a key, in order of arrival.
func (e *Engine) Quarantine(v store.View, state, after string, limit int) (out []store.QuarantineItem, next string, err error) {
	if state == StateOpen {
		// The open index is by device; the queue of a municipality is short, so it is sorted here.
		open, err := store.List[store.OpenQuarantine](v, "", "", 0)
		if err != nil {
			return nil, "", err
		}
		slices.SortFunc(open, func(a, b store.OpenQuarantine) int { return int(min(max(a.Position-b.Position, -1), 1)) })
		for _, o := range open {
			key := store.PositionKey(o.Position)
			if key <= after {
				continue
			}
			if len(out) == limit {
				return out, store.PositionKey(out[limit-1].Position), nil
			}
			item, err := store.Get[store.QuarantineItem](v, key)
			if err != nil {
				return nil, "", err
			}
			out = append(out, item)
		}
		return out, "", nil
	}
	for {
		page, err := store.List[store.QuarantineItem](v, "", after, limit)
		if err != nil {
			return nil, "", err
		}
		for _, item := range page {
			after = item.DocKey()
			if state == "" || item.State == state {
				out = append(out, item)
				if len(out) == limit {
					return out, after, nil
				}
			}
		}
		if len(page) < limit {
			return out, "", nil
		}
	}
}

// PersonDoc reads a person and opens the identity.
func (e *Engine) PersonDoc(v store.View, id model.PersonID) (store.Person, store.Identity, error) {
	p, err := store.Get[store.Person](v, id.String())
	if err != nil {
		return p, store.Identity{}, err
	}
	ident, err := e.Identity(v.Tenant().ID, &p)
	return p, ident, err
}

// InCaseload reports whether the actor has the person now.
func (e *Engine) InCaseload(v store.View, actor model.ActorID, person model.PersonID) (bool, error) {
	persons, err := e.Caseload(v, actor, e.o.Now())
	return slices.Contains(persons, person), err
}
