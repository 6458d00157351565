package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flette/api/page"
	"flette/iplos/measure"
	"flette/model"
	"flette/store"
)

type reportCmd struct {
	tenantFlags
	Date   string `required:"" placeholder:"DATE" help:"Count those who have a service on this day, YYYY-MM-DD."`
	Depth  int    `default:"1" help:"Level of the organisation: 1, 2 or 3."`
	Ages   bool   `help:"Ask the national indicators of residents of those of 67 and above. Opens dates of birth."`
	Format string `default:"text" enum:"text,json,csv,html" help:"text, json, csv (for spreadsheets) or html (a page that prints)."`
	Lang   string `default:"nb" enum:"nb,en" help:"Language of csv and html: nb or en."`
	JSON   bool   `help:"The same as --format json."`
}

// Help is shown by --help.
func (*reportCmd) Help() string {
	return `Counts the persons with a service by function group and by indicator, waiting times, change of
function in stays that have ended, and the quality of the data, for the units of a level of
the local organisation. For local use: nothing of it is sent (R78). It names nobody. Counts of 1
to 4 and those from which they could be computed are shown as "-"; units that are too
small are counted together as "(others)" (R79). Hand out one level and one date only: the difference of two can show a small count.

The grouping of functions is that of DATA/reports/TENANT.json; without that file the one built in, which is
provisional: the official computation is not public. UNKNOWN says how much is missing.

Examples:

    flette report --data /srv/flette --tenant testvik --date 2026-12-31
    flette report --data /srv/flette --tenant testvik --date 2026-12-31 --ages --format html > rapport.html`
}

type reportIn struct {
	Tenant model.TenantID `json:"tenant"`
	Date   string         `json:"date"`
	Depth  int            `json:"depth"`
	Ages   bool           `json:"ages"`
}

type reportOut struct {
	measure.Report
	Names map[string]string `json:"names"` // local codes of units by id
}

var reportOp = op[reportIn, reportOut]{name: "report", reads: true, run: func(ctx context.Context, a *app, in reportIn) (out reportOut, err error) {
	err = a.view(ctx, in.Tenant, func(v store.View) (err error) {
		if out.Report, out.Names, err = a.report(ctx, v, in.Date, in.Depth, in.Ages); err != nil {
			return problemOf(err)
		}
		return nil
	})
	return out, err
}}

// report makes the report of a municipality, with the names of its units.
func (a *app) report(ctx context.Context, v store.View, date string, depth int, ages bool) (r measure.Report, names map[string]string, err error) {
	t := v.Tenant().ID
	groups, err := a.reportGroups(t)
	if err != nil {
		return r, nil, err
	}
	o := measure.Options{Groups: groups, Date: date, Depth: depth, Section: a.engine.SectionOf}
	if ages {
		if _, err := a.tenantKeys(t); err != nil {
			return r, nil, err
		}
		o.Born = func(p *store.Person) string {
			who, err := a.engine.Identity(t, p)
			if err != nil {
				return "" // not known, which is not 67
			}
			return who.BirthDate
		}
	}
	if r, err = measure.Make(ctx, v, o); err != nil {
		return r, nil, err
	}
	names, err = unitNames(v)
	return r, names, err
}

// maxGroupsFile bounds a file of a grouping in bytes.
const maxGroupsFile = 1 << 20

// reportGroups reads DIR/reports/<tenant>.json, the municipality's own grouping of functions. Without
// the file it is the one built in. The problem is report-groups.
func (a *app) reportGroups(t model.TenantID) (measure.Groups, error) {
	name := filepath.Join("reports", string(t)+".json")
	f, err := os.Open(filepath.Join(a.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return measure.Default(), nil
	}
	if err != nil {
		return measure.Groups{}, problemf("report-groups", "%s cannot be read: %v", name, err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxGroupsFile+1))
	if err != nil || len(body) > maxGroupsFile {
		return measure.Groups{}, problemf("report-groups", "%s cannot be read, or is larger than a MiB", name)
	}
	groups, err := measure.ParseGroups(body, filepath.ToSlash(name))
	var p *model.Problem
	if errors.As(err, &p) {
		return groups, problemf(p.Code, "%s: %s", name, p.Detail)
	}
	return groups, err
}

// Run prints the report.
func (c *reportCmd) Run(ctx context.Context, out *output) error {
	got, err := doOp(ctx, c.dataFlags, reportOp, reportIn{c.id(), c.Date, c.Depth, c.Ages})
	if err != nil {
		return err
	}
	write := map[string]func(io.Writer, *measure.Report, map[string]string, string) error{"csv": page.CSV, "html": page.HTML}[c.Format]
	if write == nil || c.JSON {
		return out.print(c.JSON || c.Format == "json", got, got.text)
	}
	var whole bytes.Buffer // so that nothing is printed of what fails
	if err := write(&whole, &got.Report, got.Names, c.Lang); err != nil {
		return err
	}
	_, err = whole.WriteTo(out.stdout)
	return err
}

func (r *reportOut) text() string {
	head := "Persons with a service on " + r.Date + "."
	if r.Provisional {
		head += " Function groups are provisional, not official."
	}
	parts := []string{head + " Grouping: " + r.Grouping + ", SHA-256 " + r.SHA256}
	for i := range r.Tables {
		t := &r.Tables[i]
		lines := [][]string{append([]string{"UNIT"}, strings.Split(strings.ToUpper(strings.Join(t.Columns, " ")+" all"), " ")...)}
		sum := 0
		for j, unit := range t.Units {
			sum += t.Totals[j]
			lines = append(lines, cells(r.name(unit), t.Rows[j], t.Totals[j]))
		}
		switch {
		case t.TooFew:
			parts = append(parts, t.EN+"\ntoo few persons to be shown")
			continue
		case sum == 0:
			parts = append(parts, t.EN+"\nnobody")
			continue
		}
		lines = append(lines, cells("(all)", t.Sum, sum))
		parts = append(parts, t.EN+"\n"+table(lines))
		if t.Hours != nil {
			parts = append(parts, t.EN+": mean granted hours a week, persons at home with hours\n"+table(r.hours(t, lines[0])))
		}
	}
	for _, s := range r.Shipments {
		parts = append(parts, s.Kind+" to "+s.Target+" in the last twelve months: "+strconv.Itoa(s.Prepared)+" prepared, "+strconv.Itoa(s.Replacements)+
			" of them replacements; "+strconv.Itoa(s.Attempts)+" attempts, "+strconv.Itoa(s.Accepted)+" accepted, "+strconv.Itoa(s.Rejected)+" rejected")
	}
	return strings.Join(parts, "\n\n")
}

func (r *reportOut) name(unit string) string {
	if unit == "" {
		return "(others)"
	}
	return cmp.Or(r.Names[unit], unit)
}

func (r *reportOut) hours(t *measure.Table, head []string) [][]string {
	lines := [][]string{head}
	line := func(name string, row []float64, all float64) {
		out := []string{name}
		for _, n := range append(append([]float64{}, row...), all) {
			if n == measure.Hidden {
				out = append(out, "-")
				continue
			}
			out = append(out, strconv.FormatFloat(n, 'f', 1, 64))
		}
		lines = append(lines, out)
	}
	for i, unit := range t.Units {
		line(r.name(unit), t.Hours.Rows[i], t.Hours.Totals[i])
	}
	line("(all)", t.Hours.Sum, t.Hours.All)
	return lines
}

func cells(name string, row []int, total int) []string {
	out := []string{name}
	for _, n := range append(append([]int{}, row...), total) {
		if n == measure.Hidden {
			out = append(out, "-")
			continue
		}
		out = append(out, strconv.Itoa(n))
	}
	return out
}
