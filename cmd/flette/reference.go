package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/sync"
)

type orgListCmd struct {
	Import orgListImportCmd `cmd:"" help:"Take over the list of a data year from a file."`
	Show   orgListShowCmd   `cmd:"" help:"Show which lists were imported, or the lines of one."`
}

type kommuneListCmd struct {
	Import kommuneListImportCmd `cmd:"" help:"Take over the list of municipalities from a file."`
	Show   kommuneListShowCmd   `cmd:"" help:"Show which lists were imported, or the lines of the newest."`
}

type orgListImportCmd struct {
	importFlags
	Year int `required:"" placeholder:"YYYY" help:"Data year of the list."`
}

// Help is shown by --help.
func (*orgListImportCmd) Help() string {
	return `Takes over the yearly list of organisation numbers that may be reported, all lines or none
(R70). Columns, in any order: number, types (codes of 9151 that the number may be reported with,
with a blank or a comma between: 1 2 15), and name where it is known. A number stands on one line. The
published list names an industry (næring) for each number: write the service types that it
stands for.

A file is the whole list of its year. The list that counted before stays, with who imported it,
when and from which file (flette orglist show). The same list again changes nothing. A number
that a service would be reported with, and that is not in the list of that year for its type, is
a finding (mangel) on the service; in a year without a list there is none. CSV or NDJSON, as for
flette person import.

Example:

    flette orglist import --data /srv/flette --tenant testvik --year 2026 orgnumre.csv`
}

// Validate checks the year.
func (c *orgListImportCmd) Validate() error { return dataYear(c.Year) }

func dataYear(year int) error {
	if year < 2006 || year > 2199 {
		return fmt.Errorf("--year: a data year, 2006 or later")
	}
	return nil
}

// Run imports the file.
func (c *orgListImportCmd) Run(ctx context.Context, out *output) error {
	return c.reference(ctx, out, store.OrgNumbersOf(strconv.Itoa(c.Year)), orgListColumns, func(f *fields) store.ReferenceRow {
		return store.ReferenceRow{Number: f.value["number"], Name: f.value["name"], Types: strings.FieldsFunc(f.value["types"], func(r rune) bool { return r == ' ' || r == ',' })}
	})
}

type kommuneListImportCmd struct{ importFlags }

// Help is shown by --help.
func (*kommuneListImportCmd) Help() string {
	return `Takes over the list of municipalities (SSB), all lines or none. Columns, in any order: number
(four digits) and name, and where they are known from and to (first and last day on which the
number holds: YYYY-MM-DD or dd.mm.yyyy; empty for always) and successor (the number that took
its place; of several, the one that took most). A number stands on several lines when it held at
different times.

A file is the whole list. The list that counted before stays, with who imported it, when and from
which file (flette kommunelist show). The same list again changes nothing. A person whose
municipality of residence does not exist on the day is a finding (R3), and no yearly extract is
made for a municipality that did not exist in the data year (R73). 9000, 9900 and 9999 are
always good. Without a list nothing is looked up. CSV or NDJSON, as for flette person import.

Example:

    flette kommunelist import --data /srv/flette --tenant testvik kommuner.csv`
}

// Run imports the file.
func (c *kommuneListImportCmd) Run(ctx context.Context, out *output) error {
	return c.reference(ctx, out, store.Municipalities, kommuneListColumns, func(f *fields) store.ReferenceRow {
		return store.ReferenceRow{
			Number: f.value["number"], Name: f.value["name"], From: string(f.date("from")), To: string(f.date("to")), Successor: f.value["successor"],
		}
	})
}

var (
	orgListColumns     = []column{{"number", true, isOrgNumber}, {"types", true, nil}, {"name", false, nil}}
	kommuneListColumns = []column{{"number", true, isKommune}, {"name", true, nil}, {"from", false, isDay}, {"to", false, isDay}, {"successor", false, isKommune}}
)

func isOrgNumber(s string) *model.Problem {
	_, err := ident.ParseOrgNumber(s)
	return asFound(err)
}

type referenceImport struct {
	Tenant model.TenantID        `json:"tenant"`
	Source sync.ReferenceSource  `json:"source"`
	Lines  []sync.ReferenceInput `json:"lines"`
	DryRun bool                  `json:"dry_run"`
}

var referenceImportOp = op[referenceImport, sync.ReferenceDone]{name: "reference-import", run: func(ctx context.Context, a *app, in referenceImport) (sync.ReferenceDone, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return sync.ReferenceDone{}, err
	}
	if in.DryRun {
		return a.engine.CheckReference(ctx, in.Tenant, in.Source, in.Lines)
	}
	return a.engine.ImportReference(ctx, in.Tenant, in.Source, in.Lines)
}}

// reference imports a reference list.
func (f *importFlags) reference(ctx context.Context, out *output, name string, columns []column, read func(f *fields) store.ReferenceRow) error {
	file, err := f.open()
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	rows, err := readRows(io.TeeReader(file, hash), f.Format, columns)
	var done sync.ReferenceDone
	var shape sync.ImportProblems
	if err == nil || errors.As(err, &shape) {
		in := referenceImport{Tenant: f.id(), Source: sync.ReferenceSource{Name: name, SHA256: hex.EncodeToString(hash.Sum(nil)), By: operator()}, DryRun: f.DryRun || shape != nil}
		line := fieldsOf(columns, nil)
		for _, row := range rows {
			line.set(row)
			in.Lines = append(in.Lines, sync.ReferenceInput{Line: row.line, ReferenceRow: read(line)})
		}
		if done, err = doOp(ctx, f.dataFlags, referenceImportOp, in); shape != nil {
			err = allWrong(shape, err)
		}
	}
	if err != nil {
		return f.report(out, "", sync.Imported{}, err)
	}
	return out.print(f.JSON, done, func() string {
		s := fmt.Sprintf("list %s, %s: %d new, %d changed, %d unchanged, %d gone", done.Name, plural(done.Rows, "line"), done.New, done.Changed, done.Same, done.Gone)
		if f.DryRun {
			s += "; nothing was stored (--dry-run)"
		}
		return s
	})
}

type orgListShowCmd struct {
	tenantFlags
	Year   int    `placeholder:"YYYY" help:"Show the lines of the newest list of a data year."`
	Number string `placeholder:"N" help:"Only the lines with this number; with --year."`
	JSON   bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*orgListShowCmd) Help() string {
	return `Shows which lists of organisation numbers were imported, by whom and from which file; the
newest of a year counts. With --year, the lines of that one.

Examples:

    flette orglist show --data /srv/flette --tenant testvik
    flette orglist show --data /srv/flette --tenant testvik --year 2026`
}

// Validate checks the year.
func (c *orgListShowCmd) Validate() error {
	if c.Year == 0 && c.Number == "" {
		return nil
	}
	return dataYear(c.Year)
}

// Run shows the lists or the lines.
func (c *orgListShowCmd) Run(ctx context.Context, out *output) error {
	in := referenceShow{Tenant: c.id(), Name: store.OrgNumbers, Number: c.Number}
	if c.Year != 0 {
		in.Name, in.Rows = store.OrgNumbersOf(strconv.Itoa(c.Year)), true
	}
	return showReference(ctx, c.dataFlags, out, in, c.JSON)
}

type kommuneListShowCmd struct {
	tenantFlags
	Lines  bool   `help:"Show the lines of the newest list."`
	Number string `placeholder:"NNNN" help:"Show the lines with this number."`
	JSON   bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*kommuneListShowCmd) Help() string {
	return `Shows which lists of municipalities were imported, by whom and from which file; the newest
counts. With --lines or --number, its lines.

Examples:

    flette kommunelist show --data /srv/flette --tenant testvik
    flette kommunelist show --data /srv/flette --tenant testvik --number 3020`
}

// Run shows the lists or the lines.
func (c *kommuneListShowCmd) Run(ctx context.Context, out *output) error {
	return showReference(ctx, c.dataFlags, out, referenceShow{Tenant: c.id(), Name: store.Municipalities, Rows: c.Lines || c.Number != "", Number: c.Number}, c.JSON)
}

type referenceShow struct {
	Tenant model.TenantID `json:"tenant"`
	Name   string         `json:"name"` // of a list, or with Rows false what the names begin with
	Rows   bool           `json:"rows"`
	Number string         `json:"number"`
}

type referenceView struct {
	Lists []store.ReferenceList `json:"lists,omitempty"`
	Rows  []store.ReferenceRow  `json:"rows,omitempty"`
}

var referenceShowOp = op[referenceShow, referenceView]{name: "reference-show", reads: true, run: func(ctx context.Context, a *app, in referenceShow) (out referenceView, err error) {
	err = a.view(ctx, in.Tenant, func(v store.View) error {
		if !in.Rows {
			out.Lists, err = store.List[store.ReferenceList](v, in.Name, "", 0)
			return err
		}
		list, ok, err := store.NewestList(v, in.Name)
		switch {
		case err != nil:
			return err
		case !ok:
			return problemf("no-list", "no list %s was imported", in.Name)
		case in.Number != "":
			out.Rows, err = store.RowsOf(v, list.Seq, in.Number)
		default:
			out.Rows, err = store.AllRows(v, list.Seq)
		}
		return err
	})
	return out, err
}}

func showReference(ctx context.Context, at dataFlags, out *output, in referenceShow, asJSON bool) error {
	view, err := doOp(ctx, at, referenceShowOp, in)
	if err != nil {
		return err
	}
	return out.print(asJSON, view, func() string {
		if in.Rows {
			rows := [][]string{{"NUMBER", "TYPES", "NAME"}}
			if in.Name == store.Municipalities {
				rows = [][]string{{"NUMBER", "FROM", "TO", "SUCCESSOR", "NAME"}}
			}
			for _, r := range view.Rows {
				if in.Name == store.Municipalities {
					rows = append(rows, []string{r.Number, r.From, r.To, r.Successor, r.Name})
				} else {
					rows = append(rows, []string{r.Number, strings.Join(r.Types, " "), r.Name})
				}
			}
			return table(rows) + "\n" + plural(len(view.Rows), "line")
		}
		rows := [][]string{{"LIST", "NUMBER", "LINES", "IMPORTED", "BY", "SHA-256 OF THE FILE"}}
		for _, l := range view.Lists {
			rows = append(rows, []string{l.Name, strconv.FormatInt(l.Seq, 10), strconv.Itoa(l.Rows), moment(l.At), l.By, l.SHA256})
		}
		return table(rows) + "\n" + plural(len(view.Lists), "list")
	})
}
