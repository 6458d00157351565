package iplos

import (
	"errors"
	"slices"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Registration is one time registration as the reports see it: who worked, and when by the
// server's clock. It never touches what is granted (R37). It is kept by week.
type Registration struct {
	Person    model.PersonID  `json:"person"`
	Unit      model.Unit      `json:"unit"`
	Week      string          `json:"week"` // ISO week of its start in Oslo, "2026-W48"
	Kind      string          `json:"kind"` // "direct", "indirect" or "travel"
	Service   string          `json:"service,omitempty"`
	Workers   []model.ActorID `json:"workers"` // who registered it, then the helpers
	Start     model.Millis    `json:"start"`   // corrected
	Stop      model.Millis    `json:"stop"`
	Uncertain bool            `json:"uncertain,omitempty"` // the tablet's clock could not be checked: as claimed
}

// maxRegistration is the catalogue's limit. Longer ones, which only a release can bring in,
// are reported by R11 and left out of reports: overlaps look no further than this.
const maxRegistration = model.Millis(24 * 60 * 60 * 1000)

// readTime reads a time unit; nil when it shows nothing that can be counted.
func readTime(v store.View, person model.PersonID, u *model.UnitState) (*Registration, error) {
	head := u.Shown()
	value := shown[catalogue.Time](head)
	if value == nil || value.Stop < value.Start || value.Stop-value.Start > maxRegistration {
		return nil, nil
	}
	worker, stamp, err := origin(v, person, u.Unit, head, value)
	if err != nil {
		return nil, err
	}
	out := &Registration{
		Person: person, Unit: u.Unit, Kind: value.Kind, Service: value.Service,
		Start: value.Start, Stop: value.Stop, Workers: []model.ActorID{worker},
	}
	for _, h := range value.Helpers {
		if !slices.Contains(out.Workers, h) {
			out.Workers = append(out.Workers, h)
		}
	}
	// Start and stop come from the same wall clock as the claim in the entry, so what that
	// clock was wrong by at signing it was wrong by at the visit (R93). Without monotonic
	// evidence nothing better than the claim is known.
	if stamp.Class == model.ClockA {
		out.Start += stamp.T - stamp.Wall
		out.Stop += stamp.T - stamp.Wall
	} else {
		out.Uncertain = true
	}
	out.Week = WeekOf(out.Start)
	return out, nil
}

// maxOrigin bounds the walk back through corrections of one registration.
const maxOrigin = 100

// origin finds whose work a registration is and which clock its times came from. The author
// of a correction or a decision is not the worker: that is who registered it first. The
// times keep the stamp of the earliest entry that claimed exactly them, because copying a
// claim at the review desk does not put the tablet's clock right.
func origin(v store.View, person model.PersonID, unit model.Unit, head *model.Head, value *catalogue.Time) (model.ActorID, model.Stamp, error) {
	actor, stamp, act, id := head.Actor, head.Stamp, head.Act, head.ID
	copied := true
	for range maxOrigin {
		if act == model.ActRegister {
			break
		}
		change, _, err := changeOf(v, person, unit, id)
		if err != nil || change == nil || len(change.Over) == 0 {
			return actor, stamp, err
		}
		// Of several heads a decision was about, the one it chose.
		var before *store.LogEntry
		var same bool
		for _, over := range change.Over {
			c, e, err := changeOf(v, person, unit, over)
			if err != nil {
				return actor, stamp, err
			}
			if c == nil || !e.Act.Sets() {
				continue
			}
			if ok, err := tookEffect(v, e); err != nil {
				return actor, stamp, err
			} else if !ok {
				continue
			}
			t, err := catalogue.Decode[catalogue.Time](c.Value)
			match := err == nil && t.Start == value.Start && t.Stop == value.Stop
			if before == nil || match && !same {
				before, same = e, match
			}
		}
		if before == nil {
			break
		}
		if copied = copied && same; copied {
			stamp = before.Stamp
		}
		actor, act, id = before.Actor, before.Act, before.ID
	}
	return actor, stamp, nil
}

// changeOf reads an entry's change of a unit; nil when the entry or the change is not there.
func changeOf(v store.View, person model.PersonID, unit model.Unit, id model.EntryID) (*model.Change, *store.LogEntry, error) {
	position, err := v.EntryPosition(person, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	entry, err := v.Entry(position)
	if err != nil {
		return nil, nil, err
	}
	decoded, err := model.DecodeEntry(entry.Payload)
	if err != nil {
		return nil, entry, nil // kept bytes that this version cannot read say nothing
	}
	for i := range decoded.Changes {
		if decoded.Changes[i].Unit == unit {
			return &decoded.Changes[i], entry, nil
		}
	}
	return nil, entry, nil
}

// tookEffect leaves out entries that wait in quarantine: their arrival touches no unit, so
// nothing derived may depend on them.
func tookEffect(v store.View, e *store.LogEntry) (bool, error) {
	if e.Outcome != store.Quarantined {
		return true, nil
	}
	item, err := store.Get[store.QuarantineItem](v, store.PositionKey(e.Position))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return item.State == "released", err
}

// Times reads the time registrations of a person, in order of path.
func Times(v store.View, person model.PersonID) (out []Registration, err error) {
	var states []*model.UnitState
	if err := v.Units(person, "time/", "", func(s *model.UnitState) bool {
		states = append(states, s)
		return true
	}); err != nil {
		return nil, err
	}
	for _, s := range states {
		r, err := readTime(v, person, s)
		if err != nil {
			return out, err
		}
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, nil
}
