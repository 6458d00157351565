package sync

import (
	"context"
	"errors"

	"flette/model"
	"flette/store"
)

// rejudgeBatch is how many persons are judged anew in one update: others wait for it.
const rejudgeBatch = 50

// Rejudge judges the findings of every person anew when they follow another version of the rules than this
// engine has, and says of how many. It goes on where a former one was cut off. Persons who are touched
// meanwhile are judged by the rules of now at once, as far as these read what was touched.
func (e *Engine) Rejudge(ctx context.Context, tenant model.TenantID) (persons int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return persons, err
		}
		// Looked at first: an update is not free, and this is asked at every start.
		current := false
		if err := e.st.View(ctx, tenant, func(v store.View) (err error) {
			current, err = e.rulesAreCurrent(v)
			return err
		}); err != nil || current {
			return persons, err
		}
		n := 0
		if _, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) (err error) {
			n, err = e.rejudge(tx)
			return err
		}); err != nil {
			return persons, err
		}
		persons += n
	}
}

// rulesAreCurrent reports whether all stored findings follow the rules of this engine.
func (e *Engine) rulesAreCurrent(v store.View) (bool, error) {
	if e.o.Rejudge.Person == nil {
		return true, nil
	}
	s, err := store.Get[store.RulesState](v, store.RulesState{}.DocKey())
	if ignoreNotFound(err) != nil {
		return false, err
	}
	return s.Done && s.Version == e.o.Rejudge.Version, nil
}

func (e *Engine) rejudge(tx store.Tx) (int, error) {
	s, err := store.Get[store.RulesState](tx, store.RulesState{}.DocKey())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if s.Version != e.o.Rejudge.Version {
		s = store.RulesState{Version: e.o.Rejudge.Version}
	}
	persons, err := store.List[store.Person](tx, "", s.After, rejudgeBatch)
	if err != nil {
		return 0, err
	}
	for i := range persons {
		if err := e.o.Rejudge.Person(tx, persons[i].ID, e.o.Now()); err != nil {
			return 0, err
		}
		s.After = persons[i].DocKey()
	}
	if len(persons) < rejudgeBatch {
		s.After, s.Done = "", true
	}
	return len(persons), store.Put(tx, s)
}
