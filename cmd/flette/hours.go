package main

import (
	"context"
	"strconv"

	"flette/iplos"
	"flette/model"
	"flette/store"
)

type hoursCmd struct {
	Report  hoursReportCmd  `cmd:"" help:"Time of a week against granted hours, by unit or by person."`
	Convert hoursConvertCmd `cmd:"" help:"Hours as people write them, in minutes per week."`
}

type hoursReportCmd struct {
	tenantFlags
	Week string `required:"" placeholder:"YYYY-Www" help:"ISO week, for example 2026-W48."`
	By   string `enum:"unit,person" default:"unit" help:"unit or person."`
	JSON bool   `help:"Print JSON; minutes instead of h:mm."`
}

// Help is shown by --help.
func (*hoursReportCmd) Help() string {
	return `Compares what workers did in a week with what is granted (R95), for the municipality and each
unit with those below it, or for each person and service. DIRECT is time in which somebody was
with the person, to be held against GRANTED; HELPERS counts every worker, to be held against
RESOURCE. Nothing here changes a decision, which alone is what is reported (R37).

Example:

    flette hours report --data /srv/flette --tenant testvik --week 2026-W48`
}

type hoursReport struct {
	Tenant model.TenantID `json:"tenant"`
	Week   string         `json:"week"`
	By     string         `json:"by"`
}

type hoursRows struct {
	Units   []iplos.UnitWeek  `json:"units,omitempty"`
	Persons []iplos.WeekRow   `json:"persons,omitempty"`
	Names   map[string]string `json:"names,omitempty"` // of units
}

var hoursReportOp = op[hoursReport, hoursRows]{name: "hours-report", reads: true, run: func(ctx context.Context, a *app, in hoursReport) (out hoursRows, err error) {
	err = a.view(ctx, in.Tenant, func(v store.View) (err error) {
		if in.By == "person" {
			out.Persons, err = iplos.Weekly(v, in.Week, model.PersonID{})
			return err
		}
		if out.Units, err = iplos.WeeklyUnits(v, in.Week); err != nil {
			return err
		}
		out.Names, err = unitNames(v)
		return err
	})
	return out, err
}}

// Run shows the report.
func (c *hoursReportCmd) Run(ctx context.Context, out *output) error {
	rows, err := doOp(ctx, c.dataFlags, hoursReportOp, hoursReport{c.id(), c.Week, c.By})
	if err != nil {
		return err
	}
	return out.print(c.JSON, rows, func() string {
		if c.By == "person" {
			return personHours(rows.Persons)
		}
		return unitHours(rows)
	})
}

func unitHours(rows hoursRows) string {
	lines := [][]string{{"UNIT", "PERSONS", "DIRECT", "GRANTED", "HELPERS", "RESOURCE", "INDIRECT", "TRAVEL"}}
	for _, u := range rows.Units {
		name := rows.Names[u.Unit]
		if u.Unit == "" {
			name = "(all)"
		}
		lines = append(lines, []string{
			name + mark(u.Uncertain), strconv.Itoa(u.Persons), iplos.FormatHours(u.DirectMinutes), iplos.FormatHours(u.GrantedMinutes),
			iplos.FormatHours(u.HelperMinutes), iplos.FormatHours(u.GrantedResourceMinutes), iplos.FormatHours(u.IndirectMinutes), iplos.FormatHours(u.TravelMinutes),
		})
	}
	return table(lines)
}

func personHours(rows []iplos.WeekRow) string {
	lines := [][]string{{"PERSON", "SERVICE", "TYPE", "DIRECT", "GRANTED", "HELPERS", "RESOURCE", "INDIRECT", "TRAVEL"}}
	for _, r := range rows {
		lines = append(lines, []string{
			r.Person.String() + mark(r.Uncertain), r.Service, r.ServiceType, iplos.FormatHours(r.DirectMinutes), hoursOr(r.GrantedMinutes),
			iplos.FormatHours(r.HelperMinutes), hoursOr(r.GrantedResourceMinutes), iplos.FormatHours(r.IndirectMinutes), iplos.FormatHours(r.TravelMinutes),
		})
	}
	return table(lines) + "\n" + plural(len(rows), "row")
}

// mark stands behind what rests on a clock that nobody could check.
func mark(uncertain bool) string {
	if uncertain {
		return "?"
	}
	return ""
}

func hoursOr(minutes *int) string {
	if minutes == nil {
		return "-"
	}
	return iplos.FormatHours(*minutes)
}

type hoursConvertCmd struct {
	Hours   string `arg:"" help:"h:mm or with a decimal comma: 5:30 or 5,5."`
	Per     string `enum:"week,fortnight,month" default:"week" help:"week, fortnight or month."`
	Helpers string `placeholder:"PARTS" help:"Resource hours: parts with the number of helpers, for example '5:00x1 5:00x2'."`
}

// Help is shown by --help.
func (*hoursConvertCmd) Help() string {
	return `Says what stands in a decision per week: hours of a fortnight are halved (R40), those of a
month divided by four (R39), and no service is granted more than 168 (R36). Resource hours are
the sum of time and number of helpers (R41), and not less than the hours (R42).

Examples:

    flette hours convert 24 --per month
    flette hours convert 10 --helpers '5:00x1 5:00x2'`
}

// Run prints minutes per week.
func (c *hoursConvertCmd) Run(_ context.Context, out *output) error {
	minutes, err := iplos.PerWeek(c.Hours, c.Per)
	if err != nil {
		return problemOf(err)
	}
	text := iplos.FormatHours(minutes) + " per week, minutes_per_week " + strconv.Itoa(minutes)
	shifts, err := iplos.ParseShifts(c.Helpers)
	if err != nil {
		return problemOf(err)
	}
	if len(shifts) > 0 {
		resource := iplos.ResourceMinutes(shifts...)
		if resource < minutes {
			return problemf("resource-below-hours", "the resource hours (%s) are fewer than the hours (R42)", iplos.FormatHours(resource))
		}
		text += "\n" + iplos.FormatHours(resource) + " resource hours, resource_minutes_per_week " + strconv.Itoa(resource)
	}
	return out.print(false, text, func() string { return text })
}
