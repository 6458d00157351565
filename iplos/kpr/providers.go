package kpr

import (
	"maps"
	"slices"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

func sortedParts(s *iplos.Service) []string { return slices.Sorted(maps.Keys(s.Heads)) }

// readProviders reads who gave a service when. The merged record shows the provider of now;
// who came before stands in the entries that the shown one replaced.
func readProviders(v store.View, person model.PersonID, unit model.Unit) ([]Provider, error) {
	state, err := v.Unit(person, unit)
	if err != nil || state.Shown() == nil {
		return nil, err
	}
	history, err := iplos.ReadHistory(v, unit, state.Position)
	if err != nil {
		return nil, err
	}
	return timeline(history, state.Shown().ID), nil
}

// timeline turns the history of a provider unit into periods. The shown provider replaced
// others: if it was registered as the next provider, they came before it; if it was written
// as a correction or a decision, what it directly replaced was wrong. Voided entries were
// wrong, too. Nobody counts as earlier whose first day is not earlier.
func timeline(history *iplos.History, shown model.EntryID) []Provider {
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
		t := history.Get(s.id)
		if t == nil || seen[s.id] {
			continue
		}
		seen[s.id] = true
		next := step{limit: s.limit}
		p, err := catalogue.Decode[catalogue.Provider](t.Value)
		if valid := err == nil && history.Stands(t); valid {
			said := s.wrong != nil && *s.wrong == p
			switch {
			case s.fixed || said:
				next.wrong = &p
			case p.From < s.limit:
				out = append(out, Provider{Unit: p.Unit, From: string(p.From), At: t.At})
				next.limit = p.From
			}
			next.fixed = t.Act == model.ActCorrect || t.Act == model.ActDecide
		}
		for _, id := range t.Over {
			next.id = id
			todo = append(todo, next)
		}
	}
	return out
}
