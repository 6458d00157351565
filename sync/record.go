package sync

import (
	"slices"

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
	return e.rebuilt(nodes), nil
}

func (e *Engine) rebuilt(nodes map[model.Unit][]conflict.Node) []*model.UnitState {
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
	return out
}

// UnitsOf is UnitsAsOf that merges only the entries that count, by act, signed time and value. A
// correction or a decision never counts without something that it speaks of.
func (e *Engine) UnitsOf(v store.View, person model.PersonID, size int64, counts func(act model.Act, signed model.Millis, value []byte) bool) ([]*model.UnitState, error) {
	nodes, err := nodesByUnit(v, person, size)
	if err != nil {
		return nil, err
	}
	for u, all := range nodes {
		all = counting(all, counts)
		if nodes[u] = all; len(all) == 0 {
			delete(nodes, u)
		}
	}
	return e.rebuilt(nodes), nil
}

// counting gives the nodes of a unit that count.
func counting(all []conflict.Node, counts func(act model.Act, signed model.Millis, value []byte) bool) []conflict.Node {
	in := make(map[model.EntryID]bool, len(all))
	for i := range all {
		in[all[i].ID] = counts(all[i].Act, all[i].Stamp.TEff, all[i].Value)
	}
	for left := true; left; { // a correction of a correction
		left = false
		for i := range all {
			n := &all[i]
			if in[n.ID] && (n.Act == model.ActCorrect || n.Act == model.ActDecide) && allOut(n.Over, in) {
				in[n.ID], left = false, true
			}
		}
	}
	return slices.DeleteFunc(all, func(n conflict.Node) bool { return !in[n.ID] })
}

// allOut reports whether each of some entries is known and does not count.
func allOut(ids []model.EntryID, in map[model.EntryID]bool) bool {
	for _, id := range ids {
		if counts, known := in[id]; counts || !known {
			return false
		}
	}
	return len(ids) > 0
}

// SectionOf is UnitsOf for the units whose path starts with prefix, up to now. It costs their own
// history and not that of the person.
func (e *Engine) SectionOf(v store.View, person model.PersonID, prefix string, counts func(act model.Act, signed model.Millis, value []byte) bool) ([]*model.UnitState, error) {
	at := map[model.Unit]int64{}
	err := v.Units(person, prefix, "", func(s *model.UnitState) bool {
		at[s.Unit] = s.Position
		return true
	})
	if err != nil {
		return nil, err
	}
	nodes := map[model.Unit][]conflict.Node{}
	for u, position := range at {
		all, err := History(v, person, u, position)
		if err != nil {
			return nil, err
		}
		if all = counting(all, counts); len(all) > 0 {
			nodes[u] = all
		}
	}
	return e.rebuilt(nodes), nil
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

// PersonDoc reads a person and opens the identity.
func (e *Engine) PersonDoc(v store.View, id model.PersonID) (store.Person, store.Identity, error) {
	p, err := store.Get[store.Person](v, id.String())
	if err != nil {
		return p, store.Identity{}, err
	}
	ident, err := e.Identity(v.Tenant().ID, &p)
	return p, ident, err
}
