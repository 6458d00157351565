package main

import (
	"context"
	"fmt"

	"flette/model"
	"flette/sync"
)

type caseloadPlanCmd struct {
	tenantFlags
	Actor  actorArg `required:"" placeholder:"ID" help:"The user."`
	Date   string   `placeholder:"YYYY-MM-DD" help:"The day; today in Norway when not given."`
	Person []string `xor:"which" placeholder:"UUID" help:"A person, in order of visit; may be given again, or with commas between."`
	File   string   `xor:"which" placeholder:"FILE" help:"File with the id of a person on each line, in order of visit; - for standard input."`
	None   bool     `xor:"which" help:"Take the plan of the day away."`
	JSON   bool     `help:"Print JSON."`
}

// Help is shown by --help.
func (*caseloadPlanCmd) Help() string {
	return `Says whom a user visits on a day, in which order; it replaces the plan of that day. Tablets
load the persons of today's plan first. A plan gives no access: who is not in the user's caseload
is left out.

Examples:

    flette caseload plan --data /srv/flette --tenant testvik --actor anne --file monday.txt --date 2026-11-23
    flette caseload plan --data /srv/flette --tenant testvik --actor anne --none`
}

// Validate makes sure that somebody, or nobody, is chosen.
func (c *caseloadPlanCmd) Validate() error {
	if len(c.Person) == 0 && c.File == "" && !c.None {
		return fmt.Errorf("choose persons by --person or --file, or --none")
	}
	return nil
}

type visitPlan struct {
	Tenant model.TenantID `json:"tenant"`
	Plan   sync.Plan      `json:"plan"`
}

type visitsPlanned struct {
	Date    string `json:"date"`
	Visits  int    `json:"visits"`
	Version int64  `json:"version"` // of the caseloads
}

var caseloadPlanOp = op[visitPlan, visitsPlanned]{name: "caseload-plan", run: func(ctx context.Context, a *app, in visitPlan) (out visitsPlanned, err error) {
	if in.Plan.Date == "" {
		in.Plan.Date = model.DateInOslo(a.engine.Now())
	}
	out = visitsPlanned{Date: in.Plan.Date, Visits: len(in.Plan.Persons)}
	out.Version, err = a.engine.PlanVisits(ctx, in.Tenant, in.Plan)
	return out, err
}}

// Run plans.
func (c *caseloadPlanCmd) Run(ctx context.Context, out *output) error {
	in := visitPlan{Tenant: c.id(), Plan: sync.Plan{Actor: model.ActorID(c.Actor), Date: c.Date, By: operator()}}
	var err error
	if in.Plan.Persons, err = (&caseloadFlags{Person: c.Person, File: c.File}).persons(); err != nil {
		return err
	}
	if len(in.Plan.Persons) == 0 && !c.None {
		return problemf("nobody", "the file names nobody; --none takes a plan away")
	}
	done, err := doOp(ctx, c.dataFlags, caseloadPlanOp, in)
	if err != nil {
		return err
	}
	return out.print(c.JSON, done, func() string {
		return fmt.Sprintf("%s planned for %s on %s", plural(done.Visits, "visit"), c.Actor, done.Date)
	})
}
