package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"flette/iplos/flow"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

type worklistCmd struct {
	List    worklistListCmd    `cmd:"" default:"withargs" help:"List what waits for somebody."`
	Confirm worklistConfirmCmd `cmd:"" help:"Confirm ends that were seen on the list, several at a time."`
}

type worklistListCmd struct {
	tenantFlags
	Unit  string `placeholder:"CODE" help:"Only persons of this organisation unit and those below it."`
	Task  string `placeholder:"TASK" help:"Only this task."`
	Ahead int    `default:"30" help:"Days before a decision runs out from which it is listed."`
	JSON  bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*worklistListCmd) Help() string {
	return `Lists what waits for somebody, the most harmful to forget first, then what has waited longest:

  confirm-end          a service or coercion ended; a supervisor says that nothing more is needed (R107)
  decide-run-out       the decision has run out and nobody has ended the service (R107)
  renew-decision       the decision runs out within --ahead days
  act-on-need          a new need was seen at a visit, and there is no application since (R105)
  decide               an application waits for its decision (R48)
  answer-complaint     a complaint waits for its answer (R51)
  take-decision        the service has started without the decision that it needs (R53)
  await-approval       planned coercion waits for the county governor (R59)
  start                granted, and not started (R54)
  make-nutrition-plan  at nutritional risk, and no plan
  map-nutrition        nutrition was said not to be mapped, or was mapped a year ago (R35)
  waits-for-place      on the waiting list for long-term stay or a dwelling (R103)
  say-how-far          neither application, decision nor start is registered (R49)

A person leaves the list when the record says that it was done. Ends are confirmed by
flette worklist confirm, or by a decision on the review.

Example:

    flette worklist list --data /srv/flette --tenant testvik --unit nord

"list" may be left out.`
}

type worklist struct {
	Tenant model.TenantID `json:"tenant"`
	Unit   string         `json:"unit,omitzero"`
	Task   flow.Task      `json:"task,omitzero"`
	Ahead  int            `json:"ahead"`
}

// workRow is a task of a person.
type workRow struct {
	Person   model.PersonID `json:"person"`
	BrukerNr int64          `json:"bruker_nr"`
	HomeUnit string         `json:"home_unit,omitzero"`
	flow.Item
}

var worklistOp = op[worklist, []workRow]{name: "worklist", reads: true, run: func(ctx context.Context, a *app, in worklist) ([]workRow, error) {
	out := []workRow{}
	today := catalogue.Date(model.DateInOslo(a.engine.Now()))
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		units, err := unitNames(v)
		if err != nil {
			return err
		}
		var wanted map[string]bool
		if in.Unit != "" {
			if wanted, err = unitsUnder(v, in.Unit); err != nil {
				return err
			}
		}
		persons, err := store.List[store.Person](v, "", "", 0)
		if err != nil {
			return err
		}
		for i := range persons {
			p := &persons[i]
			if wanted != nil && !wanted[p.Unit] {
				continue
			}
			items, err := flow.Of(v, p.ID, today, in.Ahead, func() (map[string]string, error) { return a.engine.FindingStates(v, p.ID) })
			if err != nil {
				return err
			}
			for _, item := range items {
				if in.Task == "" || in.Task == item.Task {
					out = append(out, workRow{p.ID, p.BrukerNr, units[p.Unit], item})
				}
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b workRow) int {
		return cmp.Or(flow.Compare(a.Item, b.Item), cmp.Compare(a.BrukerNr, b.BrukerNr), cmp.Compare(a.Item.Unit, b.Item.Unit))
	})
	return out, err
}}

// Run lists what waits.
func (c *worklistListCmd) Run(ctx context.Context, out *output) error {
	if c.Task != "" && !flow.Known(flow.Task(c.Task)) {
		return problemf("unknown-task", "--task: there is no such task; flette worklist --help lists them")
	}
	if c.Ahead < 0 || c.Ahead > 3660 {
		return problemf("invalid-days", "--ahead: a number of days from 0 to 3660")
	}
	list, err := doOp(ctx, c.dataFlags, worklistOp, worklist{c.id(), c.Unit, flow.Task(c.Task), c.Ahead})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"TASK", "DATE", "BRUKER_NR", "HOME", "TYPE", "STAGE", "PERSON", "UNIT"}}
		for _, r := range list {
			rows = append(rows, []string{string(r.Task), string(r.Date), fmt.Sprint(r.BrukerNr), r.HomeUnit, r.Type, string(r.Stage), r.Person.String(), string(r.Unit)})
		}
		return table(rows) + "\n" + plural(len(list), "task")
	})
}
