package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type findingCountCmd struct {
	tenantFlags
	whichFindings
	From string `placeholder:"DATE" help:"Show the counts that were kept of each day from this one on, YYYY-MM-DD, instead of those of now."`
	To   string `placeholder:"DATE" help:"With --from: up to this day."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*findingCountCmd) Help() string {
	return `Counts the open findings (mangler) by the unit that owns the person and by rule, with the
day since which the oldest holds. --org takes a unit with all below it. A server keeps the
counts of each day; --from shows how they went.

Examples:

    flette finding count --data /srv/flette --tenant testvik --org sone-nord
    flette finding count --data /srv/flette --tenant testvik --severity B --from 2026-11-01`
}

// Validate checks the dates.
func (c *findingCountCmd) Validate() error {
	for _, day := range []string{c.From, c.To} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return fmt.Errorf("a day is written YYYY-MM-DD")
		}
	}
	if c.To != "" && c.From == "" {
		return fmt.Errorf("--to goes with --from")
	}
	return nil
}

type findingCount struct {
	Tenant   model.TenantID `json:"tenant"`
	Which    whichFindings  `json:"which"`
	From, To string         // "" for now
}

type findingCountRow struct {
	Date string `json:"date,omitempty"` // of a kept count
	store.FindingCount
	Oldest model.Millis `json:"oldest,omitzero"`
}

type findingCounts struct {
	Rows  []findingCountRow `json:"rows"`
	Names map[string]string `json:"names"` // local codes of the units by id
}

var findingCountOp = op[findingCount, findingCounts]{name: "finding-count", reads: true, run: func(ctx context.Context, a *app, in findingCount) (findingCounts, error) {
	out := findingCounts{Rows: []findingCountRow{}, Names: map[string]string{}}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		units, err := store.List[store.OrgUnit](v, "", "", 0)
		if err != nil {
			return err
		}
		for _, u := range units {
			out.Names[u.ID] = cmp.Or(u.Local, u.Name)
		}
		filter, err := in.Which.filter(v, sync.StateOpen)
		if err != nil {
			return err
		}
		if in.From == "" {
			counts, err := a.engine.CountFindings(v, filter)
			for i := range counts {
				out.Rows = append(out.Rows, findingCountRow{FindingCount: counts[i].FindingCount, Oldest: counts[i].Oldest})
			}
			return err
		}
		days, err := sync.FindingDays(v, in.From, cmp.Or(in.To, "9999-12-31"))
		for _, d := range days {
			for _, n := range d.Counts {
				if filter.Counts(&n) {
					out.Rows = append(out.Rows, findingCountRow{Date: d.Date, FindingCount: n})
				}
			}
		}
		return err
	})
	return out, err
}}

// Run prints the counts, or a line for each day.
func (c *findingCountCmd) Run(ctx context.Context, out *output) error {
	got, err := doOp(ctx, c.dataFlags, findingCountOp, findingCount{c.id(), c.whichFindings, c.From, c.To})
	if err != nil {
		return err
	}
	return out.print(c.JSON, got, func() string {
		if c.From != "" {
			return got.days()
		}
		rows, sum := [][]string{{"UNIT", "RULE", "SEVERITY", "OPEN", "OLDEST"}}, int64(0)
		for _, r := range got.Rows {
			oldest := "-"
			if r.Oldest != 0 {
				oldest = moment(r.Oldest)
			}
			rows = append(rows, []string{got.name(r.Unit), r.Rule, r.Severity, strconv.FormatInt(r.Open, 10), oldest})
			sum += r.Open
		}
		return table(rows) + "\n" + plural(int(sum), "open finding")
	})
}

func (f *findingCounts) name(unit string) string { return cmp.Or(f.Names[unit], unit, "(no unit)") }

// days sums the rows of each day by severity.
func (f *findingCounts) days() string {
	type sums struct{ b, m int64 }
	by := map[string]*sums{}
	for _, r := range f.Rows {
		s := by[r.Date]
		if s == nil {
			s = &sums{}
			by[r.Date] = s
		}
		if r.Severity == "B" {
			s.b += r.Open
		} else {
			s.m += r.Open
		}
	}
	var days []string
	for d := range by {
		days = append(days, d)
	}
	slices.Sort(days)
	rows := [][]string{{"DAY", "B", "M", "OPEN"}}
	for _, d := range days {
		s := by[d]
		rows = append(rows, []string{d, strconv.FormatInt(s.b, 10), strconv.FormatInt(s.m, 10), strconv.FormatInt(s.b+s.m, 10)})
	}
	return table(rows) + "\n" + plural(len(days), "day")
}

// countEvery is how often a server looks whether a new day is to be counted.
const countEvery = time.Hour

// countingDaily keeps the counts of each day until stop is called.
func (a *app) countingDaily(ctx context.Context, every time.Duration) (stop func()) {
	return a.inBackground(ctx, func(ctx context.Context) {
		for {
			a.countDay(ctx)
			if wait(ctx, every) != nil {
				return
			}
		}
	})
}

// inBackground does work until it is done or stop is called, which waits for it.
func (a *app) inBackground(ctx context.Context, work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (a *app) countDay(ctx context.Context) {
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return // closing
	}
	for _, id := range ids {
		if _, err := a.engine.KeepFindingCounts(ctx, id); err != nil && ctx.Err() == nil {
			a.log.Warn("the findings of the day were not counted", "tenant", id, "error", err)
		}
	}
}
