package main

import (
	"context"
	"fmt"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type reviewCmd struct {
	List reviewListCmd `cmd:"" help:"List the questions that wait for a supervisor."`
}

type reviewListCmd struct {
	tenantFlags
	State string `enum:"open,closed,all" default:"open" help:"open, closed or all."`
	JSON  bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*reviewListCmd) Help() string {
	return `Lists reviews: which unit of whom, since when, and how nurses disagree (class 3 clinical, 4
clock, 5 status, 6 decision). Values are not shown; supervisors decide in the browser or
through the API.

Example:

    flette review list --data /srv/flette --tenant testvik`
}

type reviewList struct {
	Tenant model.TenantID `json:"tenant"`
	State  string         `json:"state"`
}

type reviewView struct {
	ID       string         `json:"id"`
	Person   model.PersonID `json:"person"`
	Unit     model.Unit     `json:"unit"`
	Class    model.Class    `json:"class"`
	State    string         `json:"state"`
	Heads    int            `json:"heads"`
	OpenedAt model.Millis   `json:"opened_at"`
}

var reviewListOp = op[reviewList, []reviewView]{name: "review-list", reads: true, run: func(ctx context.Context, a *app, in reviewList) ([]reviewView, error) {
	const page = 200
	out := []reviewView{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		for after := ""; ; {
			list, next, err := a.engine.Reviews(v, in.State, after, page)
			if err != nil {
				return err
			}
			for _, r := range list {
				out = append(out, reviewView{r.ID, r.Person, r.Unit, r.Class, r.State, len(r.Merged.Heads), r.OpenedAt})
			}
			if next == "" {
				return nil
			}
			after = next
		}
	})
	return out, err
}}

// Run lists the reviews.
func (c *reviewListCmd) Run(ctx context.Context, out *output) error {
	state := map[string]string{"open": sync.StateOpen, "closed": sync.StateClosed, "all": ""}[c.State]
	list, err := doOp(ctx, c.dataFlags, reviewListOp, reviewList{c.id(), state})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ID", "STATE", "CLASS", "SINCE", "PERSON", "UNIT"}}
		for _, r := range list {
			rows = append(rows, []string{r.ID, r.State, fmt.Sprint(r.Class), moment(r.OpenedAt), r.Person.String(), string(r.Unit)})
		}
		return table(rows) + "\n" + plural(len(list), "review")
	})
}
