package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type verifyCmd struct {
	dataFlags
	Tenant tenantArg `placeholder:"ID" help:"One municipality; all when not given."`
	JSON   bool      `help:"Print JSON."`
}

// Help is shown by --help.
func (*verifyCmd) Help() string {
	return `Replays the journal of each municipality from its first entry and compares everything that
is stored with it: bytes, signatures, tree, checkpoint, indexes, device chains, merged units,
reviews, quarantine, findings and the ledger of the register. Nothing is changed. It needs the
key files, works while a server runs, and reads the whole store.

After an upgrade the findings follow the rules of the former version until a server has judged
them anew, which it does when it starts; until then they are not compared, and that is said.

Exit code 3 means that something was lost, changed or hidden.

Example:

    flette verify --data /srv/flette`
}

// verifyOp checks one municipality, or all when the id is "".
var verifyOp = op[model.TenantID, []*sync.Report]{name: "verify", reads: true, checks: true, run: func(ctx context.Context, a *app, in model.TenantID) ([]*sync.Report, error) {
	ids := []model.TenantID{in}
	var err error
	if in == "" {
		ids, err = a.store.Tenants(ctx)
	} else {
		err = a.has(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	out := []*sync.Report{}
	for _, id := range ids {
		r, err := a.verify(ctx, id)
		if err != nil && (len(ids) == 1 || ctx.Err() != nil) {
			return nil, err
		}
		if err != nil { // the others are verified all the same
			r = &sync.Report{Tenant: id, Problems: []string{"it was not verified: " + problemOf(err).Detail}}
		}
		out = append(out, r)
	}
	return out, nil
}}

func (a *app) verify(ctx context.Context, id model.TenantID) (*sync.Report, error) {
	progress := progressOf(ctx)
	r, err := a.engine.Verify(ctx, id, a.checks(id), func(done, of int64) { progress(id, done, of) })
	if r != nil && errors.Is(err, store.ErrCorrupt) {
		// Damage ends the comparison, and is what was looked for.
		r.Problems = append(r.Problems, "the comparison ended here: "+err.Error())
		err = nil
	}
	return r, err
}

type progressKey struct{}

type progressFunc func(tenant model.TenantID, done, of int64)

func progressOf(ctx context.Context) progressFunc {
	if fn, ok := ctx.Value(progressKey{}).(progressFunc); ok {
		return fn
	}
	return func(model.TenantID, int64, int64) {}
}

// showProgress draws a bar when w is a terminal.
func showProgress(ctx context.Context, w io.Writer) (_ context.Context, end func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return ctx, func() {}
	}
	var bar *progressbar.ProgressBar
	var current model.TenantID
	end = func() {
		if bar != nil {
			_ = bar.Finish() // a bar that cannot be drawn is no reason to fail
		}
	}
	fn := progressFunc(func(tenant model.TenantID, done, of int64) {
		if tenant != current {
			end()
			current = tenant
			bar = progressbar.NewOptions64(of, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(string(tenant)),
				progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100_000_000))
		}
		_ = bar.Set64(done)
	})
	return context.WithValue(ctx, progressKey{}, fn), end
}

// Run verifies and prints a line for each municipality.
func (c *verifyCmd) Run(ctx context.Context, out *output) error {
	ctx, end := showProgress(ctx, out.stderr)
	reports, err := doOp(ctx, c.dataFlags, verifyOp, model.TenantID(c.Tenant))
	end()
	var p *problem
	if errors.As(err, &p) && p.Code == corruptCode {
		// The store could not even be opened: that is a finding too.
		reports, err = []*sync.Report{{Tenant: model.TenantID(c.Tenant), Problems: []string{p.Detail}}}, nil
	}
	if err != nil {
		return err
	}
	if err := out.print(c.JSON, reports, func() string { return verifyText(reports) }); err != nil {
		return err
	}
	for _, r := range reports {
		if !r.OK() {
			return exitError(exitProblems)
		}
	}
	return nil
}

func verifyText(reports []*sync.Report) string {
	if len(reports) == 0 {
		return "no municipality in this data folder"
	}
	var lines []string
	for _, r := range reports {
		word := "ok"
		if !r.OK() {
			word = strings.ToUpper(plural(len(r.Problems)+r.Dropped, "problem"))
		}
		lines = append(lines, fmt.Sprintf("%s: %s (%d entries, %d signatures, %d persons, %d units, epoch %s)",
			r.Tenant, word, r.Entries, r.Signatures, r.Persons, r.Units, r.Epoch))
		if r.FormerRules {
			lines = append(lines, "  findings follow the rules of another version of this program and were not compared; a server judges them anew when it starts")
		}
		for _, p := range r.Problems {
			lines = append(lines, "  "+strings.ReplaceAll(p, "\n", "\n  "))
		}
		if r.Dropped > 0 {
			lines = append(lines, fmt.Sprintf("  and %d more", r.Dropped))
		}
	}
	return strings.Join(lines, "\n")
}
