package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"flette/internal/sheet"
	"flette/iplos/export"
	"flette/model"
	"flette/store"
	"flette/sync"
)

type exportCmd struct {
	Write exportWriteCmd `cmd:"" help:"Write a sheet (CSV) for local use."`
	List  exportListCmd  `cmd:"" help:"List who took out what."`
}

type exportWriteCmd struct {
	tenantFlags
	progressFlag
	Sheet    string `arg:"" enum:"persons,registrations,services,findings,time" help:"persons, registrations, services, findings or time."`
	Out      string `placeholder:"FILE" help:"File; export/SHEET.csv in the secure folder when not given."`
	Org      string `name:"org" placeholder:"UNIT" help:"Persons of this organisation unit and those below it: local code or id."`
	From     string `placeholder:"DATE" help:"First day, YYYY-MM-DD: of registration, of what a service covers, since which a finding holds, of a visit."`
	To       string `placeholder:"DATE" help:"Last day."`
	Position int64  `placeholder:"N" help:"Read the journal as it was with N entries; all of it when not given."`
	Identity bool   `help:"Identity number, name, date of birth and sex in the sheet persons. It is then written into the secure folder only."`
	JSON     bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*exportWriteCmd) Help() string {
	return `Writes a sheet of the municipality's own record for a spreadsheet program: UTF-8, separator ;,
one line a person, value, service, finding or visit. Persons stand in it by brukerNr and id;
identity numbers and names only with --identity, which needs the key file. No cell is run as a
formula. The same journal position, period and unit give the same bytes.

Nothing of it is for the register. A sheet holds health data: it is readable by you alone, and
that it was written is kept in the store (flette export list).

Examples:

    flette export write services --data /srv/flette --tenant testvik --org nord --from 2026-01-01 --to 2026-12-31
    flette export write persons --data /srv/flette --tenant testvik --identity`
}

// Validate checks what belongs together.
func (c *exportWriteCmd) Validate() error {
	if c.Identity && c.Sheet != "persons" {
		return errors.New("--identity goes with the sheet persons; the others are joined to it by bruker_nr")
	}
	return nil
}

type exportWrite struct {
	Tenant   model.TenantID `json:"tenant"`
	By       string         `json:"by"`
	Sheet    string         `json:"sheet"`
	Out      string         `json:"out"` // absolute, "" for one in the secure folder
	Org      string         `json:"org"`
	From     string         `json:"from"`
	To       string         `json:"to"`
	Position int64          `json:"position"`
	Identity bool           `json:"identity"`
}

type exportDone struct {
	export.Trace
	Path string `json:"path"`
}

var exportWriteOp = op[exportWrite, exportDone]{name: "export-write", run: func(ctx context.Context, a *app, in exportWrite) (out exportDone, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	dir := ""
	if in.Out != "" {
		dir = filepath.Dir(in.Out)
	}
	if dir, err = a.clearFolder(in.Tenant, !in.Identity, dir); err != nil {
		return out, err
	}
	if out.Path = in.Out; in.Out == "" {
		out.Path = filepath.Join(dir, "export", in.Sheet+".csv")
	}
	file, err := newWholeFile(out.Path)
	if err != nil {
		return out, err
	}
	defer file.discard()
	o := export.Options{
		Sheet: in.Sheet, Position: in.Position, From: in.From, To: in.To, AsOf: a.engine.AsOf, Findings: a.findingsOf,
		Table: func(columns ...string) export.Table { return sheet.New(file, columns...) },
	}
	if in.Identity {
		o.Identity = func(p *store.Person) (store.Identity, error) { return a.engine.Identity(in.Tenant, p) }
	}
	err = a.view(ctx, in.Tenant, func(v store.View) error {
		o.Progress = a.ofPersons(ctx, v)
		if in.Org != "" {
			if o.Units, err = unitsUnder(v, in.Org); err != nil {
				return err
			}
		}
		r, err := export.Write(ctx, v, o)
		if err == nil {
			out.Report = *r
		}
		return err
	})
	if err != nil {
		return out, err
	}
	out.At, out.By, out.From, out.To, out.Unit = model.MillisOf(a.now()), in.By, in.From, in.To, in.Org
	out.Identity, out.SHA256 = in.Identity, file.hash()
	// The trace comes first: a file without one would be worse than a trace without a file.
	if err := a.update(ctx, in.Tenant, func(tx store.Tx) error { return store.Put(tx, out.Trace) }); err != nil {
		return out, err
	}
	return out, file.finish()
}}

// findingsOf gives all findings of a person, for a sheet.
func (a *app) findingsOf(v store.View, person model.PersonID) (out []export.Finding, err error) {
	for after := ""; ; {
		page, next, err := a.engine.Findings(v, &person, sync.FindingFilter{}, after, 500)
		for _, f := range page {
			out = append(out, export.Finding{Finding: f.Finding, State: f.State})
		}
		if after = next; err != nil || next == "" {
			return out, err
		}
	}
}

// Run writes the sheet.
func (c *exportWriteCmd) Run(ctx context.Context, out *output) error {
	in := exportWrite{c.id(), operator(), c.Sheet, c.Out, c.Org, c.From, c.To, c.Position, c.Identity}
	if c.Out != "" {
		var err error
		if in.Out, err = filepath.Abs(c.Out); err != nil {
			return err
		}
	}
	ctx, end := c.show(ctx, out)
	done, err := doOp(ctx, c.dataFlags, exportWriteOp, in)
	end()
	if err != nil {
		return err
	}
	return out.print(c.JSON, done, func() string {
		return fmt.Sprintf("%s\n  %s of %s, journal of %d entries, sha256 %s", done.Path, plural(done.Rows, "row"), plural(done.Persons, "person"), done.Position, done.SHA256)
	})
}

type exportListCmd struct {
	tenantFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*exportListCmd) Help() string {
	return `Lists the sheets that were written for local use, the oldest first: who, when, what, and the
SHA-256 of the file.

Example:

    flette export list --data /srv/flette --tenant testvik`
}

var exportListOp = op[model.TenantID, []export.Trace]{name: "export-list", reads: true, run: func(ctx context.Context, a *app, in model.TenantID) (out []export.Trace, err error) {
	err = a.view(ctx, in, func(v store.View) (err error) {
		out, err = store.List[export.Trace](v, "", "", 0)
		return err
	})
	return out, err
}}

// Run lists the sheets.
func (c *exportListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, exportListOp, c.id())
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"WRITTEN", "BY", "SHEET", "ROWS", "PERIOD", "UNIT", "IDENTITY", "SHA256"}}
		for _, t := range list {
			period := "-"
			if t.From != "" || t.To != "" {
				period = t.From + ".." + t.To
			}
			rows = append(rows, []string{moment(t.At), t.By, t.Sheet, fmt.Sprint(t.Rows), period, t.Unit, yesNo(t.Identity), t.SHA256[:min(16, len(t.SHA256))]})
		}
		return table(rows)
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
