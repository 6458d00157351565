package main

import (
	"cmp"
	"context"
	"io"
	"strconv"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type mappingCmd struct {
	Import mappingImportCmd `cmd:"" help:"Map local services to IPLOS service types from a file."`
	List   mappingListCmd   `cmd:"" help:"Show which local service is which type, and when."`
}

type mappingImportCmd struct{ importFlags }

// Help is shown by --help.
func (*mappingImportCmd) Help() string {
	return `Maps the services of the municipality to the IPLOS service types (9151), all lines or none
(R104). Columns, in any order: local (what the municipality calls the service, as it stands in
registrations), code (service type, or none for a service that is not reported), from and to
(first and last day; empty for those of the code). A service may stand on several lines with
types of different times: one without an end ends where the next begins. A line never changes
one that was imported before: for the days that it covers it counts before it, and flette
mapping list --history shows both. CSV or NDJSON, as for flette person import.

Codes of before 2019 (12, 13 and 16) end with 2018.

Example:

    flette mapping import --data /srv/flette --tenant testvik services.csv`
}

type mappingImport struct {
	Tenant model.TenantID      `json:"tenant"`
	Lines  []sync.MappingInput `json:"lines"`
	By     string              `json:"by"`
	DryRun bool                `json:"dry_run"`
}

var mappingImportOp = op[mappingImport, sync.Imported]{name: "mapping-import", run: func(ctx context.Context, a *app, in mappingImport) (sync.Imported, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return sync.Imported{}, err
	}
	if in.DryRun {
		return a.engine.CheckMapping(ctx, in.Tenant, in.Lines)
	}
	return a.engine.ImportMapping(ctx, in.Tenant, in.Lines, in.By)
}}

// Run imports the file.
func (c *mappingImportCmd) Run(ctx context.Context, out *output) error {
	file, err := c.open()
	if err != nil {
		return err
	}
	defer file.Close()
	var done sync.Imported
	lines, err := readMapping(file, c.Format)
	if err == nil {
		done, err = doOp(ctx, c.dataFlags, mappingImportOp, mappingImport{c.id(), lines, operator(), c.DryRun})
	}
	return c.report(out, plural(done.New+done.Changed+done.Same, "line"), done, err)
}

var mappingColumns = []column{{"local", true, nil}, {"code", true, nil}, {"from", false, isDate}, {"to", false, isDate}}

// readMapping reads lines of the mapping to import.
func readMapping(r io.Reader, format string) ([]sync.MappingInput, error) {
	rows, err := readRows(r, format, mappingColumns)
	if err != nil {
		return nil, err
	}
	out := make([]sync.MappingInput, len(rows))
	for i, r := range rows {
		v := r.value
		out[i] = sync.MappingInput{Line: r.line, Local: v[0], Code: v[1], From: v[2], To: v[3]}
	}
	return out, nil
}

type mappingListCmd struct {
	tenantFlags
	On      string `placeholder:"YYYY-MM-DD" help:"Show what holds on a day instead of the lines."`
	History bool   `help:"Show older lines too, with who imported them and when."`
	JSON    bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*mappingListCmd) Help() string {
	return `Shows the local services and the IPLOS service type (9151) of each, with the days from which
and to which it holds.

Examples:

    flette mapping list --data /srv/flette --tenant testvik
    flette mapping list --data /srv/flette --tenant testvik --on 2018-06-01`
}

// Validate checks the day.
func (c *mappingListCmd) Validate() error {
	if c.On == "" {
		return nil
	}
	if p := isDate(c.On); p != nil {
		return problemf(p.Code, "--on: %s", p.Detail)
	}
	return nil
}

type mappingList struct {
	Tenant  model.TenantID `json:"tenant"`
	On      string         `json:"on"`
	History bool           `json:"history"`
}

var mappingListOp = op[mappingList, []store.LocalService]{name: "mapping-list", reads: true, run: func(ctx context.Context, a *app, in mappingList) ([]store.LocalService, error) {
	out := []store.LocalService{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		all, err := store.List[store.LocalService](v, "", "", 0)
		if err != nil {
			return err
		}
		for i, l := range all {
			rest := all[i+1:]
			n := 0
			for n < len(rest) && rest[n].Local == l.Local {
				n++
			}
			switch newer := rest[:n]; {
			case in.On != "":
				if holdsOn(l, in.On) && !anyHolds(newer, in.On) {
					out = append(out, l)
				}
			case in.History || !covered(l, newer):
				out = append(out, l)
			}
		}
		return nil
	})
	return out, err
}}

func holdsOn(l store.LocalService, day string) bool {
	return l.From <= day && (l.To == "" || day <= l.To)
}

func anyHolds(lines []store.LocalService, day string) bool {
	for _, l := range lines {
		if holdsOn(l, day) {
			return true
		}
	}
	return false
}

// covered reports whether one newer line counts on all days of l.
func covered(l store.LocalService, newer []store.LocalService) bool {
	for _, n := range newer {
		if n.From <= l.From && (n.To == "" || l.To != "" && l.To <= n.To) {
			return true
		}
	}
	return false
}

// Run shows the mapping.
func (c *mappingListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, mappingListOp, mappingList{c.id(), c.On, c.History})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		head := []string{"LOCAL", "CODE", "FROM", "TO"}
		if c.History {
			head = append(head, "LINE", "IMPORTED", "BY")
		}
		rows := [][]string{head}
		for _, l := range list {
			row := []string{l.Local, cmp.Or(l.Code, sync.NoCode), l.From, l.To}
			if c.History {
				row = append(row, strconv.FormatInt(l.Seq, 10), moment(l.At), l.By)
			}
			rows = append(rows, row)
		}
		return table(rows) + "\n" + plural(len(list), "line")
	})
}
