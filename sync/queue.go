package sync

import (
	"cmp"
	"slices"

	"flette/model"
	"flette/store"
)

// QuarantineStatus is a quarantined entry and to whom it matters now: where the person
// belongs, and who has the person in the caseload. Both are looked up, so they follow.
type QuarantineStatus struct {
	store.QuarantineItem
	Home   string          // organisation unit, "" when the person is not known or has none
	Owners []model.ActorID // in order of id
}

// QuarantineFilter narrows the list; what is set must hold all together.
type QuarantineFilter struct {
	State  string // "" for all
	Person model.PersonID
	Unit   string        // home unit of the person: this one, or one below it
	Owner  model.ActorID // who has the person now
	Sees   *Access       // of the reader; nil for everybody
}

// Quarantine lists up to limit items after a key, in order of arrival. next is "" at the end.
func (e *Engine) Quarantine(v store.View, f QuarantineFilter, after string, limit int) (out []QuarantineStatus, next string, err error) {
	q := &queueReader{e: e, v: v, f: f}
	if f.Unit != "" {
		if q.under, err = unitsBelow(v, f.Unit); err != nil {
			return nil, "", err
		}
	}
	take := func(item *store.QuarantineItem) (full bool, err error) {
		if item.DocKey() <= after {
			return false, nil
		}
		s, ok, err := q.status(item)
		if err != nil || !ok {
			return false, err
		}
		if len(out) == limit {
			next = out[limit-1].DocKey()
			return true, nil
		}
		out = append(out, s)
		return false, nil
	}
	if f.State == StateOpen {
		return out, next, q.open(take)
	}
	for from, done := after, false; !done; {
		page, err := store.List[store.QuarantineItem](v, "", from, limit+1)
		if err != nil {
			return nil, "", err
		}
		for i := range page {
			from = page[i].DocKey()
			if done, err = take(&page[i]); err != nil || done {
				return out, next, err
			}
		}
		done = len(page) <= limit
	}
	return out, next, nil
}

// QuarantineStatus completes an item.
func (e *Engine) QuarantineStatus(v store.View, item *store.QuarantineItem) (QuarantineStatus, error) {
	q := &queueReader{e: e, v: v}
	s, _, err := q.status(item)
	return s, err
}

type queueReader struct {
	e     *Engine
	v     store.View
	f     QuarantineFilter
	under map[string]bool
}

// open goes through the open items. Their index is by device; the queue of a municipality is
// short, so it is sorted here.
func (q *queueReader) open(take func(*store.QuarantineItem) (bool, error)) error {
	open, err := store.List[store.OpenQuarantine](q.v, "", "", 0)
	if err != nil {
		return err
	}
	slices.SortFunc(open, func(a, b store.OpenQuarantine) int { return cmp.Compare(a.Position, b.Position) })
	for _, o := range open {
		item, err := store.Get[store.QuarantineItem](q.v, store.PositionKey(o.Position))
		if err != nil {
			return err
		}
		if full, err := take(&item); err != nil || full {
			return err
		}
	}
	return nil
}

func (q *queueReader) status(item *store.QuarantineItem) (s QuarantineStatus, ok bool, err error) {
	s = QuarantineStatus{QuarantineItem: *item}
	f := &q.f
	if f.State != "" && item.State != f.State || !f.Person.IsZero() && item.Person != f.Person ||
		f.Sees != nil && !f.Sees.Sees(item.Person) {
		return s, false, nil
	}
	if !item.Person.IsZero() {
		p, err := store.Get[store.Person](q.v, item.Person.String())
		if err = ignoreNotFound(err); err != nil {
			return s, false, err
		}
		s.Home = p.Unit
	}
	if q.under != nil && !q.under[s.Home] {
		return s, false, nil
	}
	if s.Owners, err = q.e.Owners(q.v, item.Person, q.e.o.Now()); err != nil {
		return s, false, err
	}
	return s, f.Owner == "" || slices.Contains(s.Owners, f.Owner), nil
}

// unitsBelow is the set of an organisation unit and those below it.
func unitsBelow(v store.View, id string) (map[string]bool, error) {
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	below := map[string]bool{id: true}
	for grew := true; grew; {
		grew = false
		for i := range units {
			if below[units[i].Parent] && !below[units[i].ID] {
				below[units[i].ID], grew = true, true
			}
		}
	}
	return below, nil
}
