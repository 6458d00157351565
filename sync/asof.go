package sync

import (
	"slices"
	"strings"

	"flette/model"
	"flette/store"
)

// AsOf shows a snapshot with the journal as it was at size entries: its size, entries, the
// positions of persons, and the units, merged from these entries. What is not in the journal
// (documents, the tenant's record, chains of devices) is that of the snapshot. It costs the
// history of each person whose units are read, one person at a time.
func (e *Engine) AsOf(v store.View, size int64) store.View {
	if size >= v.Size() {
		return v
	}
	return &asOf{View: v, engine: e, size: size}
}

type asOf struct {
	store.View
	engine *Engine
	size   int64
	person model.PersonID // whose units are held
	units  []*model.UnitState
}

func (a *asOf) Size() int64 { return a.size }

func (a *asOf) Entry(position int64) (*store.LogEntry, error) {
	if position >= a.size {
		return nil, store.ErrNotFound
	}
	return a.View.Entry(position)
}

func (a *asOf) EntryPosition(person model.PersonID, id model.EntryID) (int64, error) {
	at, err := a.View.EntryPosition(person, id)
	if err == nil && at >= a.size {
		return 0, store.ErrNotFound
	}
	return at, err
}

func (a *asOf) PersonPositions(person model.PersonID, after int64, limit int) ([]int64, error) {
	list, err := a.View.PersonPositions(person, after, limit)
	return slices.DeleteFunc(list, func(p int64) bool { return p >= a.size }), err
}

func (a *asOf) of(person model.PersonID) ([]*model.UnitState, error) {
	if person == a.person && a.units != nil {
		return a.units, nil
	}
	units, err := a.engine.UnitsAsOf(a.View, person, a.size)
	if err == nil {
		a.person, a.units = person, units
	}
	return units, err
}

func (a *asOf) Unit(person model.PersonID, unit model.Unit) (*model.UnitState, error) {
	units, err := a.of(person)
	i := slices.IndexFunc(units, func(s *model.UnitState) bool { return s.Unit == unit })
	if err != nil || i < 0 {
		return nil, err
	}
	return units[i], nil
}

func (a *asOf) Units(person model.PersonID, prefix string, after model.Unit, fn func(*model.UnitState) bool) error {
	units, err := a.of(person)
	for _, s := range units {
		if strings.HasPrefix(string(s.Unit), prefix) && s.Unit > after && !fn(s) {
			break
		}
	}
	return err
}
