package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/iplos/flow"
	"flette/model"
	"flette/sync"
)

type worklistConfirmCmd struct {
	tenantFlags
	reasonFlags
	File   string `arg:"" help:"What was seen: output of flette worklist --json; - for standard input."`
	DryRun bool   `help:"Say what would be done; store nothing."`
	JSON   bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*worklistConfirmCmd) Help() string {
	return `Confirms ends of services and of coercion, each named: a supervisor says that nothing more is
needed (R107). A municipality that starts with Flette imports services that ended long ago, and
confirms them so. Each confirmation is an entry of its own, with your name and the reason; one
by one they stand in the history of the person and in flette finding list --state closed.

An end that is another now than in the file is left alone and told; the exit code is then 1.
Run it again after an error: what is confirmed stays so.

Example:

    flette worklist --data /srv/flette --tenant testvik --task confirm-end --json > seen.json
    flette worklist confirm --data /srv/flette --tenant testvik seen.json --reason "ended in the former system"`
}

type worklistConfirm struct {
	Tenant model.TenantID `json:"tenant"`
	Ends   []sync.EndSeen `json:"ends"`
	By     model.ActorID  `json:"by"`
	Reason model.Reason   `json:"reason"`
	DryRun bool           `json:"dry_run"`
}

var worklistConfirmOp = op[worklistConfirm, []sync.EndResult]{name: "worklist-confirm", run: func(ctx context.Context, a *app, in worklistConfirm) ([]sync.EndResult, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return nil, err
	}
	return a.engine.ConfirmEnds(ctx, sync.EndConfirmation{
		Tenant: in.Tenant, Actor: in.By, Roles: model.Roles(model.RoleSupervisor), Reason: in.Reason, Dry: in.DryRun, Ends: in.Ends,
	})
}}

// readEnds reads what flette worklist --json printed.
func readEnds(r io.Reader) ([]sync.EndSeen, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, problemf("file", "the file cannot be read: %v", err)
	}
	var rows []workRow
	if len(body) > maxFile || json.Unmarshal(body, &rows, json.RejectUnknownMembers(true)) != nil {
		return nil, problemf("invalid-file", "the file is not the output of flette worklist --json")
	}
	out := make([]sync.EndSeen, 0, len(rows))
	for i, row := range rows {
		if row.Task != flow.ConfirmEnd {
			return nil, problemf("other-task", "row %d is not a task confirm-end: list them with --task confirm-end, or take the row out; nothing was confirmed", i+1)
		}
		out = append(out, sync.EndSeen{Person: row.Person, Unit: row.Unit, Date: row.Date})
	}
	return out, nil
}

// Run confirms.
func (c *worklistConfirmCmd) Run(ctx context.Context, out *output) error {
	in := io.Reader(os.Stdin)
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return problemf("file", "the file cannot be read: %v", err)
		}
		defer file.Close()
		in = file
	}
	ends, err := readEnds(in)
	if err != nil {
		return err
	}
	done, err := doOp(ctx, c.dataFlags, worklistConfirmOp, worklistConfirm{c.id(), ends, model.ActorID(operator()), c.reason(), c.DryRun})
	if err != nil {
		return err
	}
	if err := out.print(c.JSON, done, func() string { return confirmedText(done, c.DryRun) }); err != nil {
		return err
	}
	if slices.ContainsFunc(done, func(r sync.EndResult) bool {
		return r.Outcome == sync.EndChanged || r.Outcome == sync.EndNotFound
	}) {
		return exitError(exitFailure)
	}
	return nil
}

func confirmedText(done []sync.EndResult, dry bool) string {
	counts, rows := map[sync.EndOutcome]int{}, [][]string{{"OUTCOME", "DATE", "PERSON", "UNIT", "ENTRY"}}
	for _, r := range done {
		counts[r.Outcome]++
		entry := ""
		if !r.Entry.IsZero() {
			entry = r.Entry.String()
		}
		rows = append(rows, []string{string(r.Outcome), string(r.Date), r.Person.String(), string(r.Unit), entry})
	}
	parts := []string{}
	for _, o := range []sync.EndOutcome{sync.EndConfirmed, sync.EndAlready, sync.EndChanged, sync.EndNotFound} {
		if n := counts[o]; n > 0 || o == sync.EndConfirmed {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
	}
	text := table(rows) + "\n" + strings.Join(parts, ", ")
	if dry {
		text += "; nothing was stored"
	}
	return text
}
