package main

import (
	"context"
	"strings"
)

type registrationCmd struct {
	Import    registrationImportCmd    `cmd:"" help:"Take over scores, statuses and other variables from a file."`
	Variables registrationVariablesCmd `cmd:"" help:"List the variables that can be imported, with their codes."`
}

type stayCmd struct {
	Import stayImportCmd `cmd:"" help:"Take over stays from a file."`
}

type coercionCmd struct {
	Import coercionImportCmd `cmd:"" help:"Take over decisions and measures of coercion from a file."`
}

type pauseCmd struct {
	Import pauseImportCmd `cmd:"" help:"Take over temporary stops of services from a file."`
}

type registrationImportCmd struct{ importFlags }

// Help is shown by --help.
func (*registrationImportCmd) Help() string {
	return `Takes over what a person has once: scores, Ja/Nei with date, household, participation, medication
review, nutrition and so on. One line for each person and variable, the newest registration.
Columns, in any order: number (of a person who is known here), variable (flette registration
variables lists them: assist_toilet, or the path of the unit) and, where the variable has them,
value (the code, or the Norwegian name of it), date (YYYY-MM-DD or dd.mm.yyyy) and note (of a
score). The date of a score is the day on which it was assessed. Dental and medical assessment
have a month as value (2026-03), or a date. The date of death has a date alone.

Participation, medication review and nutrition have more members. They are written as pairs with a
blank between: need=ja received=ja_udekket, or code=1 doctor_confirmed=true, or mapped=1
weight_loss=2 reduced_intake=2 bmi_low=2 risk=2.

A variable that ended with 2018 is taken when its date is of that time, and read as what took its
place; otherwise the line is refused with the variable to write. Everything else is as for flette
service import: what was registered here since is kept, and each line is signed by the import key.

Example:

    flette registration import --data /srv/flette --tenant testvik --dry-run registrations.csv`
}

// Run imports the file.
func (c *registrationImportCmd) Run(ctx context.Context, out *output) error {
	return c.records(ctx, out, "registration", registrationColumns, registrationOf)
}

type stayImportCmd struct{ importFlags }

// Help is shown by --help.
func (*stayImportCmd) Help() string {
	return `Takes over stays outside the home. Columns, in any order: number (of a person who is known
here), kind (specialist, respite or other) and from; and where they are known to, org_number (of
the institution), service (ref of the service in flette service import that the stay belongs to)
and ref (the stay's id in the former system; without it, kind and from tell one from the other).
Everything else is as for flette service import.

Example:

    flette stay import --data /srv/flette --tenant testvik --dry-run stays.csv`
}

// Run imports the file.
func (c *stayImportCmd) Run(ctx context.Context, out *output) error {
	return c.records(ctx, out, "stay", stayColumns, stayOf)
}

type coercionImportCmd struct{ importFlags }

// Help is shown by --help.
func (*coercionImportCmd) Help() string {
	return `Takes over decisions and measures of coercion (R59). Columns, in any order: number (of a person
who is known here), type (14 planned measures, 23 emergencies, 24 health care by chapter 4A) and
start; and where they are known decided (of 14 and 24), end, and ref (the id in the former
system; without it, type and start tell one from the other). Everything else is as for flette
service import.

Example:

    flette coercion import --data /srv/flette --tenant testvik --dry-run coercion.csv`
}

// Run imports the file.
func (c *coercionImportCmd) Run(ctx context.Context, out *output) error {
	return c.records(ctx, out, "measure", coercionColumns, coercionOf)
}

type pauseImportCmd struct{ importFlags }

// Help is shown by --help.
func (*pauseImportCmd) Help() string {
	return `Takes over temporary stops of services. Columns, in any order: number (of a person who is known
here), service (ref of the service in flette service import, which comes first) and from; and
where they are known to, reason, and ref (the id in the former system; without it, service and
from tell one from the other). Everything else is as for flette service import.

Example:

    flette pause import --data /srv/flette --tenant testvik --dry-run pauses.csv`
}

// Run imports the file.
func (c *pauseImportCmd) Run(ctx context.Context, out *output) error {
	return c.records(ctx, out, "pause", pauseColumns, pauseOf)
}

type registrationVariablesCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*registrationVariablesCmd) Help() string {
	return `Lists the variables that flette registration import takes: how each is written, its codes, whether
it carries a date, and until when it was registered.

Example:

    flette registration variables`
}

// variableView is a variable as the command line shows it.
type variableView struct {
	Variable string   `json:"variable"`
	Unit     string   `json:"unit"`
	Codes    []string `json:"codes,omitempty"`
	Date     bool     `json:"date"`
	To       string   `json:"valid_to,omitempty"`
	Name     string   `json:"name"`
}

// Run lists the variables.
func (c *registrationVariablesCmd) Run(out *output) error {
	var list []variableView
	for _, v := range importable() {
		row := variableView{Variable: v.ID, Unit: v.Unit, Date: valueKinds[v.Value].date != "", To: string(v.To), Name: v.NB}
		if v.Member != "" {
			row.Variable = v.Unit
		}
		for _, code := range v.Codes {
			row.Codes = append(row.Codes, code.Code)
		}
		if v.Value == "score" {
			row.Codes = []string{"1", "2", "3", "4", "5", "9"}
		}
		list = append(list, row)
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"VARIABLE", "CODES", "DATE", "UNTIL", "NAME"}}
		for _, v := range list {
			date := ""
			if v.Date {
				date = "date"
			}
			rows = append(rows, []string{v.Variable, strings.Join(v.Codes, " "), date, v.To, v.Name})
		}
		return table(rows)
	})
}
