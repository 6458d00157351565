package api

import (
	"net/http"
	"time"

	contract "flette/mobile-contract"
	"flette/store"
	"flette/sync"
)

// findingFilter reads what lists and counts of findings are narrowed by; the owner is looked up
// by owners, in the view.
func (c *call) findingFilter() (sync.FindingFilter, *failure) {
	severity, f := c.choice("severity", "", "B", "M")
	if f != nil {
		return sync.FindingFilter{}, f
	}
	rule := c.text("rule")
	if rule != "" && !ruleShape.MatchString(rule) {
		return sync.FindingFilter{}, badQuery("rule")
	}
	if len(c.text("owner")) > maxOwner {
		return sync.FindingFilter{}, badQuery("owner")
	}
	return sync.FindingFilter{Rule: rule, Severity: severity}, nil
}

const maxOwner = 200

// owners sets the units of the query: one and all below it. A unit that is not here owns nobody.
func (c *call) owners(v store.View, filter *sync.FindingFilter) (err error) {
	if owner := c.text("owner"); owner != "" {
		if filter.Owners, err = sync.UnitsUnder(v, owner); err == nil && filter.Owners == nil {
			err = store.ErrNotFound
		}
	}
	return err
}

// countFindingsBy counts the open findings by unit and rule, now, and as they were kept of each day.
func countFindingsBy(c *call) (answer, error) {
	filter, f := c.findingFilter()
	if f != nil {
		return answer{}, f
	}
	from, to := c.text("from"), c.text("to")
	for name, day := range map[string]string{"from": from, "to": to} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return answer{}, badQuery(name)
		}
	}
	if to == "" {
		to = "9999-12-31"
	}
	filter.State = sync.StateOpen
	out := contract.FindingCounts{Counts: []contract.FindingCount{}}
	err := c.view(func(v store.View) (err error) {
		if err = c.owners(v, &filter); err != nil {
			return err
		}
		if filter.Sees, err = c.access(v); err != nil {
			return err
		}
		counts, err := c.engine().CountFindings(v, filter)
		if err != nil {
			return err
		}
		for i := range counts {
			n := findingCountView(&counts[i].FindingCount)
			n.Oldest = some(counts[i].Oldest)
			out.Counts = append(out.Counts, n)
		}
		if from == "" {
			return nil
		}
		days, err := sync.FindingDays(v, from, to)
		for i := range days {
			day := contract.FindingDay{Date: days[i].Date, At: days[i].At, Counts: []contract.FindingCount{}}
			for j := range days[i].Counts {
				if n := &days[i].Counts[j]; filter.Counts(n) {
					day.Counts = append(day.Counts, findingCountView(n))
				}
			}
			out.Days = append(out.Days, day)
		}
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

func findingCountView(n *store.FindingCount) contract.FindingCount {
	return contract.FindingCount{Owner: n.Unit, Rule: n.Rule, Severity: n.Severity, Open: n.Open}
}
