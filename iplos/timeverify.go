package iplos

import (
	"errors"
	"fmt"
	"reflect"

	"flette/model"
	"flette/store"
)

// verifyTimes recomputes a person's part of the time index and the overlaps on it.
func (e *Engine) verifyTimes(v store.View, person model.PersonID) ([]string, error) {
	var out []string
	rec := newRecord(v, person, e.set, 0)
	expected := map[model.Unit]bool{}
	for _, u := range rec.scan(timeSection) {
		reg, err := readTime(v, person, u)
		if err != nil {
			return nil, err
		}
		if reg == nil {
			continue
		}
		expected[u.Unit] = true
		differences, err := verifyTime(v, reg)
		if err != nil {
			return nil, err
		}
		out = append(out, differences...)
	}
	if rec.err != nil {
		return nil, rec.err
	}
	refs, err := store.List[timeUnit](v, person.String()+" ", "", 0)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if !expected[ref.Unit] {
			out = append(out, fmt.Sprintf("time index holds %s of person %s, which shows nothing to count", ref.Unit, person))
		}
	}
	stray, err := strayOverlaps(v, person, expected)
	return append(out, stray...), err
}

func verifyTime(v store.View, reg *Registration) ([]string, error) {
	have, err := indexed(v, reg.Person, reg.Unit)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if !reflect.DeepEqual(have, reg) {
		return []string{fmt.Sprintf("time index of %s of person %s is not what the unit says", reg.Unit, reg.Person)}, nil
	}
	var out []string
	for _, d := range reg.docs() {
		p, ok := d.(presence)
		if !ok {
			continue
		}
		stored, err := store.Get[presence](v, p.DocKey())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if stored != p {
			out = append(out, fmt.Sprintf("time index lacks a worker of %s of person %s", reg.Unit, reg.Person))
		}
	}
	old, err := storedOverlap(v, reg.Person, reg.Unit)
	if err != nil {
		return nil, err
	}
	now, err := overlapOf(v, reg.Person, reg.Unit)
	if err != nil {
		return nil, err
	}
	if old != nil && now != nil {
		now.Since, now.Position = old.Since, old.Position
	}
	if !reflect.DeepEqual(old, now) {
		out = append(out, fmt.Sprintf("finding R94 on %s of person %s is not stored as it should be", reg.Unit, reg.Person))
	}
	return out, nil
}

func strayOverlaps(v store.View, person model.PersonID, expected map[model.Unit]bool) ([]string, error) {
	stored, err := store.List[store.Finding](v, person.String()+" R94 ", "", 0)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range stored {
		if !expected[f.Unit] {
			out = append(out, fmt.Sprintf("finding R94 on %s of person %s is stored but does not hold", f.Unit, person))
		}
	}
	return out, nil
}

// VerifyTimeIndex finds documents of a tenant's time index that no registration stands
// behind. Verify checks the other direction, person by person.
func VerifyTimeIndex(v store.View) ([]string, error) {
	weeks, err := strays(v, func(d Registration) (model.PersonID, model.Unit) { return d.Person, d.Unit })
	if err != nil {
		return nil, err
	}
	workers, err := strays(v, func(d presence) (model.PersonID, model.Unit) { return d.Person, d.Unit })
	return append(weeks, workers...), err
}

func strays[T store.Doc](v store.View, of func(T) (model.PersonID, model.Unit)) ([]string, error) {
	var out []string
	after := ""
	for {
		page, err := store.List[T](v, "", after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			after = d.DocKey()
			person, unit := of(d)
			reg, err := indexed(v, person, unit)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			if reg == nil || !listed(reg, d.DocKey()) {
				out = append(out, fmt.Sprintf("time index document of kind %s for %s of person %s has no registration", d.DocKind(), unit, person))
			}
		}
		if len(page) < pageSize {
			return out, nil
		}
	}
}

func listed(reg *Registration, key string) bool {
	for _, d := range reg.docs() {
		if d.DocKey() == key {
			return true
		}
	}
	return false
}
