package sync

import (
	"cmp"
	"context"
	"slices"

	"flette/model"
	"flette/store"
)

// The mangler of a municipality are its open findings: what the register would miss. They are
// counted by rule and by the unit that owns the person, and the counts of each day are kept, so
// that it can be seen whether the heap shrinks before January.

// FindingCount is how many open findings of a rule a unit has.
type FindingCount struct {
	store.FindingCount
	Oldest model.Millis // since when the oldest of them holds
}

// CountFindings counts what a filter keeps, by unit, rule and severity, in that order. It walks
// all persons and holds the counts only. Live findings are counted as of now.
func (e *Engine) CountFindings(v store.View, f FindingFilter) ([]FindingCount, error) {
	type key struct{ unit, rule, severity string }
	by := map[key]*FindingCount{}
	const page = 500
	for after := ""; ; {
		found, next, err := e.Findings(v, nil, f, after, page)
		if err != nil {
			return nil, err
		}
		for i := range found {
			s := &found[i]
			k := key{s.Owner, s.Rule, s.Severity}
			n := by[k]
			if n == nil {
				n = &FindingCount{FindingCount: store.FindingCount{Unit: k.unit, Rule: k.rule, Severity: k.severity}}
				by[k] = n
			}
			n.Open++
			if since := s.Since; n.Oldest == 0 || since < n.Oldest {
				n.Oldest = since
			}
		}
		if after = next; next == "" {
			break
		}
	}
	out := make([]FindingCount, 0, len(by))
	for _, n := range by {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b FindingCount) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(len(a.Rule), len(b.Rule)), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Severity, b.Severity))
	})
	return out, nil
}

// KeepFindingCounts keeps the counts of the day, in Norway, once: those of a day that has been
// counted stay as they were. kept is false then.
func (e *Engine) KeepFindingCounts(ctx context.Context, tenant model.TenantID) (kept bool, err error) {
	now := e.o.Now()
	day := store.FindingDay{Date: model.DateInOslo(now), At: now}
	err = e.st.View(ctx, tenant, func(v store.View) error {
		if _, err := v.Doc(day.DocKind(), day.DocKey()); ignoreNotFound(err) != nil || err == nil {
			return err
		}
		counts, err := e.CountFindings(v, FindingFilter{State: StateOpen})
		for i := range counts {
			day.Counts = append(day.Counts, counts[i].FindingCount)
		}
		kept, day.Position = true, v.Size()
		return err
	})
	if err != nil || !kept {
		return false, err
	}
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		_, err := tx.Doc(day.DocKind(), day.DocKey())
		if kept = err != nil; !kept {
			return nil // another has counted meanwhile
		}
		if err := ignoreNotFound(err); err != nil {
			return err
		}
		return store.Put(tx, day)
	})
	return kept, err
}

// FindingDays lists the kept counts of the days from one to another (YYYY-MM-DD, both included).
func FindingDays(v store.View, from, to string) ([]store.FindingDay, error) {
	days, err := store.List[store.FindingDay](v, "", "", 0)
	return slices.DeleteFunc(days, func(d store.FindingDay) bool { return d.Date < from || d.Date > to }), err
}

// UnitsUnder lists the ids of the unit with a local code or id, and of all below it; nil when
// there is none.
func UnitsUnder(v store.View, name string) (map[string]bool, error) {
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	in := map[string]bool{}
	for _, u := range units {
		if u.ID == name || u.Local == name {
			in[u.ID] = true
		}
	}
	if len(in) == 0 {
		return nil, nil
	}
	for grown := true; grown; {
		grown = false
		for _, u := range units {
			if in[u.Parent] && !in[u.ID] {
				in[u.ID], grown = true, true
			}
		}
	}
	return in, nil
}
