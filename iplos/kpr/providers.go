package kpr

import (
	"fmt"
	"maps"
	"slices"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

func sortedParts(s *iplos.Service) []string { return slices.Sorted(maps.Keys(s.Heads)) }

// told is one entry that took effect on a unit.
type told struct {
	id     model.EntryID
	act    model.Act
	at     model.Millis
	value  []byte
	over   []model.EntryID
	target model.EntryID // void and reinstate
}

// readProviders reads who gave a service when. The merged record shows the provider of now;
// who came before stands in the entries that the shown one replaced.
func readProviders(v store.View, person model.PersonID, unit model.Unit) ([]Provider, error) {
	state, err := v.Unit(person, unit)
	if err != nil || state.Shown() == nil {
		return nil, err
	}
	history, err := unitHistory(v, unit, state.Position)
	if err != nil {
		return nil, err
	}
	return timeline(history, state.Shown().ID), nil
}

// unitHistory walks the chain of entries that changed a unit back from the newest.
func unitHistory(v store.View, unit model.Unit, newest int64) ([]told, error) {
	var out []told
	for at := newest; at >= 0; {
		l, err := v.Entry(at)
		if err != nil {
			return nil, err
		}
		entry, err := model.DecodeEntry(l.Payload)
		if err != nil {
			return nil, fmt.Errorf("%w: payload at position %d", store.ErrCorrupt, at)
		}
		id, stamp := l.ID, l.Stamp
		if l.Act == model.ActRelease {
			// What took effect is the entry that was let out of quarantine.
			held, err := heldEntry(v, entry)
			if err != nil {
				return nil, err
			}
			if entry, err = model.DecodeEntry(held.Payload); err != nil {
				return nil, fmt.Errorf("%w: payload at position %d", store.ErrCorrupt, held.Position)
			}
			id, stamp = held.ID, held.Stamp
		}
		i := slices.IndexFunc(entry.Changes, func(c model.Change) bool { return c.Unit == unit })
		if i < 0 || i >= len(l.UnitPrev) || l.UnitPrev[i] >= at {
			return nil, fmt.Errorf("%w: unit chain broken at position %d", store.ErrCorrupt, at)
		}
		t := told{id: id, act: entry.Act, at: stamp.TEff, value: entry.Changes[i].Value, over: entry.Changes[i].Over}
		if target := entry.Changes[i].Target; target != nil {
			t.target = *target
		}
		out = append(out, t)
		at = l.UnitPrev[i]
	}
	return out, nil
}

func heldEntry(v store.View, release *model.Entry) (*store.LogEntry, error) {
	at, err := v.EntryPosition(release.Person, *release.Changes[0].Target)
	if err != nil {
		return nil, err
	}
	return v.Entry(at)
}

// timeline turns the history of a provider unit into periods. The shown provider replaced
// others: if it was registered as the next provider, they came before it; if it was written
// as a correction or a decision, what it directly replaced was wrong. Voided entries were
// wrong, too. Nobody counts as earlier whose first day is not earlier.
func timeline(history []told, shown model.EntryID) []Provider {
	byID := make(map[model.EntryID]*told, len(history))
	undoneBy := map[model.EntryID][]*told{}
	for i := range history {
		t := &history[i]
		byID[t.id] = t
		if !t.act.Sets() {
			undoneBy[t.target] = append(undoneBy[t.target], t)
		}
	}
	// A void or reinstate that something effective undoes has no effect itself. An id is a
	// hash over the target's id, so this cannot go in circles.
	var effective func(*told) bool
	effective = func(t *told) bool {
		return !slices.ContainsFunc(undoneBy[t.id], func(by *told) bool { return undoes(by.act, t.act) && effective(by) })
	}

	type step struct {
		id    model.EntryID
		limit catalogue.Date      // first day of whoever came next
		wrong *catalogue.Provider // what a correction on the way found wrong, however often it was said
		fixed bool                // directly replaced by a correction
	}
	var out []Provider
	seen := map[model.EntryID]bool{}
	for todo := []step{{id: shown, limit: "9999-12-31"}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		t := byID[s.id]
		if t == nil || seen[s.id] || !t.act.Sets() {
			continue
		}
		seen[s.id] = true
		next := step{limit: s.limit}
		p, err := catalogue.Decode[catalogue.Provider](t.value)
		if valid := err == nil && effective(t); valid {
			said := s.wrong != nil && *s.wrong == p
			switch {
			case s.fixed || said:
				next.wrong = &p
			case p.From < s.limit:
				out = append(out, Provider{Unit: p.Unit, From: string(p.From), At: t.at})
				next.limit = p.From
			}
			next.fixed = t.act == model.ActCorrect || t.act == model.ActDecide
		}
		for _, id := range t.over {
			next.id = id
			todo = append(todo, next)
		}
	}
	return out
}

// undoes is the rule of the merge: a void takes back a registration or a reinstate, a
// reinstate takes back a void.
func undoes(by, of model.Act) bool {
	if by == model.ActVoid {
		return of.Sets() || of == model.ActReinstate
	}
	return by == model.ActReinstate && of == model.ActVoid
}
