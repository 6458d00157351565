package main

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"flette/iplos/measure"
	"flette/model"
	"flette/store"
)

type reportCmd struct {
	tenantFlags
	Date  string `required:"" placeholder:"DATE" help:"Count those who have a service on this day, YYYY-MM-DD."`
	Depth int    `default:"1" help:"Level of the organisation: 1, 2 or 3."`
	JSON  bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*reportCmd) Help() string {
	return `Counts the persons with a service by function group and by indicator, for the units of a level of
the local organisation. For local use: nothing of it is sent (R78). It names nobody. Counts of 1
to 4 and those from which they could be computed are shown as "-"; units that are too
small are counted together as "(others)" (R79). Hand out one level only: the difference of two can show a small count.

The grouping of functions is provisional: the official computation is not public. UNKNOWN says how
much is missing. The indicators count persons of all ages.

Example:

    flette report --data /srv/flette --tenant testvik --date 2026-12-31`
}

type reportIn struct {
	Tenant model.TenantID `json:"tenant"`
	Date   string         `json:"date"`
	Depth  int            `json:"depth"`
}

type reportOut struct {
	measure.Report
	Names map[string]string `json:"names"` // local codes of units by id
}

var reportOp = op[reportIn, reportOut]{name: "report", reads: true, run: func(ctx context.Context, a *app, in reportIn) (out reportOut, err error) {
	err = a.view(ctx, in.Tenant, func(v store.View) (err error) {
		if out.Report, err = measure.Make(v, measure.Default(), in.Date, in.Depth); err != nil {
			return problemOf(err)
		}
		out.Names, err = unitNames(v)
		return err
	})
	return out, err
}}

// Run prints the tables.
func (c *reportCmd) Run(ctx context.Context, out *output) error {
	got, err := doOp(ctx, c.dataFlags, reportOp, reportIn{c.id(), c.Date, c.Depth})
	if err != nil {
		return err
	}
	return out.print(c.JSON, got, got.text)
}

func (r *reportOut) text() string {
	parts := []string{"Persons with a service on " + r.Date + ". Function groups are provisional, not official."}
	for i := range r.Tables {
		t := &r.Tables[i]
		lines := [][]string{append([]string{"UNIT"}, strings.Split(strings.ToUpper(strings.Join(t.Columns, " ")+" all"), " ")...)}
		sum := 0
		for j, unit := range r.Units {
			name := cmp.Or(r.Names[unit], unit)
			if unit == "" {
				name = "(others)"
			}
			sum += t.Totals[j]
			lines = append(lines, cells(name, t.Rows[j], t.Totals[j]))
		}
		parts = append(parts, t.EN+"\n"+table(append(lines, cells("(all)", t.Sum, sum))))
	}
	return strings.Join(parts, "\n\n")
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
