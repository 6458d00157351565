package iplos

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"flette/model"
	"flette/store"
)

// The time index makes every question about time a short range instead of a walk through
// history. Three kinds of derived documents, written together:
//
//	time-unit    <person> <unit>                    which week the registration stands under
//	time-week    <week> <person> <unit>             the registration
//	time-actor   <worker> <stop> <person> <unit>    when a worker was where
//
// The time-unit document is what makes updates exact: whatever happens to the unit, the
// documents of its former value are found through it and removed.

type timeUnit struct {
	Person model.PersonID `json:"person"`
	Unit   model.Unit     `json:"unit"`
	Week   string         `json:"week"`
}

type presence struct {
	Worker    model.ActorID  `json:"worker"`
	Person    model.PersonID `json:"person"`
	Unit      model.Unit     `json:"unit"`
	Start     model.Millis   `json:"start"`
	Stop      model.Millis   `json:"stop"`
	Uncertain bool           `json:"uncertain,omitempty"`
}

func (timeUnit) DocKind() store.Kind     { return "time-unit" }
func (d timeUnit) DocKey() string        { return d.Person.String() + " " + string(d.Unit) }
func (Registration) DocKind() store.Kind { return "time-week" }

// TimeIndexKinds are the documents of the time index, which follow from the units: Apply
// makes them again.
func TimeIndexKinds() []store.Kind {
	return []store.Kind{timeUnit{}.DocKind(), Registration{}.DocKind(), presence{}.DocKind()}
}

// DocKey puts a week's registrations together, those of a person next to each other.
func (d Registration) DocKey() string {
	return d.Week + " " + d.Person.String() + " " + string(d.Unit)
}

func (presence) DocKind() store.Kind { return "time-actor" }

// DocKey puts a worker's registrations in order of their end, so that what could overlap a
// new visit, which is mostly the latest, is next to nothing.
func (d presence) DocKey() string {
	return presenceKey(d.Worker, d.Stop) + " " + d.Person.String() + " " + string(d.Unit)
}

// presenceKey clamps to 1970: before that byte order is not the order of time.
func presenceKey(w model.ActorID, stop model.Millis) string {
	return string(w) + " " + store.PositionKey(int64(max(stop, 0)))
}

// docs lists the documents that a registration stands in.
func (d *Registration) docs() []store.Doc {
	out := []store.Doc{timeUnit{Person: d.Person, Unit: d.Unit, Week: d.Week}, *d}
	for _, w := range d.Workers {
		out = append(out, presence{Worker: w, Person: d.Person, Unit: d.Unit, Start: d.Start, Stop: d.Stop, Uncertain: d.Uncertain})
	}
	return out
}

// indexed reads the registration that the index holds of a unit, nil for none.
func indexed(v store.View, person model.PersonID, unit model.Unit) (*Registration, error) {
	ref, err := store.Get[timeUnit](v, timeUnit{Person: person, Unit: unit}.DocKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	reg, err := store.Get[Registration](v, Registration{Week: ref.Week, Person: person, Unit: unit}.DocKey())
	if err != nil {
		return nil, fmt.Errorf("time index of %s: %w", unit, err)
	}
	return &reg, nil
}

// indexTime brings the index and the overlap findings (R94) of everybody concerned up to
// date with the shown value of one time unit.
func (e *Engine) indexTime(tx store.Tx, person model.PersonID, unit model.Unit, at model.Millis) error {
	state, err := tx.Unit(person, unit)
	if err != nil {
		return err
	}
	var now *Registration
	if state.Shown() != nil {
		if now, err = readTime(tx, person, state); err != nil {
			return err
		}
	}
	old, err := indexed(tx, person, unit)
	if err != nil || reflect.DeepEqual(old, now) {
		return err
	}
	concerned := map[string]presence{"": {Person: person, Unit: unit}}
	if old != nil {
		if err := overlaps(tx, old, concerned); err != nil {
			return err
		}
		for _, d := range old.docs() {
			if err := store.Delete(tx, d); err != nil {
				return err
			}
		}
	}
	if now != nil {
		for _, d := range now.docs() {
			if err := store.Put(tx, d); err != nil {
				return err
			}
		}
		if err := overlaps(tx, now, concerned); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(concerned)) {
		if err := putOverlap(tx, concerned[key].Person, concerned[key].Unit, at); err != nil {
			return err
		}
	}
	return nil
}

// overlapSlack is how long one worker may seem to be in two places: the clock of each entry
// is corrected by itself, so visits that follow each other can cross by seconds.
const overlapSlack = model.Millis(60 * 1000)

// overlaps adds to found, by unit, the registrations on other persons that a worker of reg
// was also at (R94).
func overlaps(v store.View, reg *Registration, found map[string]presence) error {
	for _, w := range reg.Workers {
		after := presenceKey(w, reg.Start)
		for {
			page, err := store.List[presence](v, string(w)+" ", after, 64)
			if err != nil {
				return err
			}
			for _, p := range page {
				after = p.DocKey()
				if p.Stop > reg.Stop+maxRegistration {
					page = nil
					break
				}
				if p.Person != reg.Person && min(p.Stop, reg.Stop)-max(p.Start, reg.Start) > overlapSlack {
					found[p.Person.String()+" "+string(p.Unit)] = p
				}
			}
			if len(page) < 64 {
				break
			}
		}
	}
	return nil
}

// overlapOf is the R94 finding that should stand on a unit, nil for none.
func overlapOf(v store.View, person model.PersonID, unit model.Unit) (*store.Finding, error) {
	reg, err := indexed(v, person, unit)
	if err != nil || reg == nil {
		return nil, err
	}
	found := map[string]presence{}
	if err := overlaps(v, reg, found); err != nil || len(found) == 0 {
		return nil, err
	}
	detail := "A worker of this visit is registered with another person at the same time."
	uncertain := reg.Uncertain
	for _, p := range found {
		uncertain = uncertain || p.Uncertain
	}
	if uncertain {
		detail += " The clock of one of the tablets could not be checked."
	}
	rec := newRecord(v, person, Settings{}, 0)
	f := &store.Finding{Rule: "R94", Severity: Missing, Person: person, Unit: unit, Detail: detail, Owner: rec.doc().Unit}
	return f, rec.err
}

func storedOverlap(v store.View, person model.PersonID, unit model.Unit) (*store.Finding, error) {
	f, err := store.Get[store.Finding](v, store.Finding{Rule: "R94", Person: person, Unit: unit}.DocKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &f, nil
}

func putOverlap(tx store.Tx, person model.PersonID, unit model.Unit, at model.Millis) error {
	old, err := storedOverlap(tx, person, unit)
	if err != nil {
		return err
	}
	now, err := overlapOf(tx, person, unit)
	if err != nil {
		return err
	}
	switch {
	case now == nil && old == nil:
		return nil
	case now == nil:
		return store.Delete(tx, *old)
	case old == nil:
		now.Since, now.Position = at, tx.Size()
	default:
		now.Since, now.Position = old.Since, old.Position
		if *now == *old {
			return nil
		}
	}
	return store.Put(tx, *now)
}
