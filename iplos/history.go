package iplos

import (
	"fmt"
	"slices"

	"flette/model"
	"flette/store"
)

// Told is one entry that took effect on a unit.
type Told struct {
	ID     model.EntryID
	Act    model.Act
	At     model.Millis // when it was signed, corrected
	Value  []byte
	Over   []model.EntryID // what its author saw and replaced
	Target model.EntryID   // of void and reinstate
}

// History is everything that took effect on one unit, for rules that look behind the shown
// value: each entry names those that it replaced.
type History struct {
	byID     map[model.EntryID]*Told
	undoneBy map[model.EntryID][]*Told
}

// NewHistory takes the entries in any order.
func NewHistory(told []Told) *History {
	h := &History{byID: make(map[model.EntryID]*Told, len(told)), undoneBy: map[model.EntryID][]*Told{}}
	for i := range told {
		t := &told[i]
		h.byID[t.ID] = t
		if !t.Act.Sets() {
			h.undoneBy[t.Target] = append(h.undoneBy[t.Target], t)
		}
	}
	return h
}

// ReadHistory walks the chain of entries that changed a unit back from the newest position.
func ReadHistory(v store.View, unit model.Unit, newest int64) (*History, error) {
	var out []Told
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
		t := Told{ID: id, Act: entry.Act, At: stamp.TEff, Value: entry.Changes[i].Value, Over: entry.Changes[i].Over}
		if target := entry.Changes[i].Target; target != nil {
			t.Target = *target
		}
		out = append(out, t)
		at = l.UnitPrev[i]
	}
	return NewHistory(out), nil
}

func heldEntry(v store.View, release *model.Entry) (*store.LogEntry, error) {
	at, err := v.EntryPosition(release.Person, *release.Changes[0].Target)
	if err != nil {
		return nil, err
	}
	return v.Entry(at)
}

// Get returns an entry that set the unit, nil when it is not here or sets nothing.
func (h *History) Get(id model.EntryID) *Told {
	if t := h.byID[id]; t != nil && t.Act.Sets() {
		return t
	}
	return nil
}

// Stands reports whether nobody has taken the entry back. A void or reinstate that something
// effective undoes has no effect itself. An id is a hash over the target's id, so this cannot
// go in circles.
func (h *History) Stands(t *Told) bool {
	return !slices.ContainsFunc(h.undoneBy[t.ID], func(by *Told) bool { return undoes(by.Act, t.Act) && h.Stands(by) })
}

// undoes is the rule of the merge: a void takes back a registration or a reinstate, a
// reinstate takes back a void.
func undoes(by, of model.Act) bool {
	if by == model.ActVoid {
		return of.Sets() || of == model.ActReinstate
	}
	return by == model.ActReinstate && of == model.ActVoid
}

// corrects reports whether the act says that what it replaces was wrong, and has a reason.
func corrects(a model.Act) bool { return a == model.ActCorrect || a == model.ActDecide }
