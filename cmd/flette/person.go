package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type personCmd struct {
	Import personImportCmd `cmd:"" help:"Add or update persons from a file."`
	List   personListCmd   `cmd:"" help:"List persons by id."`
}

// importFlags are those of every import.
type importFlags struct {
	tenantFlags
	File   string `arg:"" help:"CSV or NDJSON file; - for standard input."`
	Format string `enum:"auto,csv,ndjson" default:"auto" help:"auto, csv or ndjson."`
	DryRun bool   `help:"Check the file and say what would change; store nothing."`
	JSON   bool   `help:"Print JSON, also of what is wrong with the file."`
}

// open opens the file.
func (f *importFlags) open() (io.ReadCloser, error) {
	if f.File == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	file, err := os.Open(f.File)
	if err != nil {
		return nil, problemf("file", "the import file cannot be read: %v", err)
	}
	return file, nil
}

// report prints what an import did, or with --json what is wrong with the file.
func (f *importFlags) report(out *output, what string, done sync.Imported, err error) error {
	if err != nil {
		p := problemOf(err)
		if !f.JSON || len(p.Lines) == 0 {
			return p
		}
		if err := out.print(true, p, nil); err != nil {
			return err
		}
		return exitError(exitFailure)
	}
	return out.print(f.JSON, done, func() string { return importedText(done, what, f.DryRun) })
}

type personImportCmd struct{ importFlags }

// Help is shown by --help.
func (*personImportCmd) Help() string {
	return `Adds persons and updates those whose identity number is known. The whole file is judged before
the first person is stored; after a crash the same file goes on where it was cut off. The first
line of a CSV file names its columns, in any order: number, name, kommune, and where they are
known birth_date (YYYY-MM-DD, not after today), sex (K or M, see below), district, unit (local
code or id), test (true for somebody who does not exist), former (an earlier number of the same
person) and ref (the person's id in the former system). The separator is ; or , and the file is
UTF-8. NDJSON has the same members, one object a line; a JSON array is not read.

Who has no number yet is imported without one, with ref and birth_date. When the number comes, a
line with it and the same ref gives it to the person, and what was sent without it is sent anew (R89).

Sex is kept as K or M. Read as K: K, kvinne, F, female, 2; as M: M, mann, male, 1; as not
known: 0, 9, empty. Upper and lower case are the same.

A number whose control digits are wrong is taken and shows as a finding: the person needs
visits whatever the number is. Messages never repeat a number.

Example:

    flette person import --data /srv/flette --tenant testvik --dry-run persons.csv`
}

var personColumns = []column{
	{"number", false, isNumber}, {"name", true, nil}, {"birth_date", false, isDate}, {"sex", false, isSex}, {"kommune", true, isKommune},
	{"district", false, isDistrict}, {"unit", false, nil}, {"test", false, isBool}, {"former", false, isNumber},
	{"ref", false, nil},
}

// personColumnsOn are the columns of an import on a day, YYYY-MM-DD.
func personColumnsOn(today string) []column {
	columns := slices.Clone(personColumns)
	columns[slices.IndexFunc(columns, func(c column) bool { return c.name == "birth_date" })].check = isBirthDate(today)
	return columns
}

func personOf(f *fields) sync.PersonInput {
	v := f.value
	return sync.PersonInput{
		Line: f.line, Number: v["number"], Name: v["name"], BirthDate: v["birth_date"], Sex: sexes[strings.ToLower(v["sex"])], Kommune: v["kommune"],
		District: v["district"], Unit: v["unit"], Test: v["test"] == "true", Former: v["former"], Ref: v["ref"],
	}
}

var personCheckOp = stream[takeOverOf, sync.PersonInput, sync.Imported]{name: "person-check", reads: true,
	run: func(ctx context.Context, a *app, in takeOverOf, lines sync.Lines[sync.PersonInput]) (sync.Imported, error) {
		if err := a.has(ctx, in.Tenant); err != nil {
			return sync.Imported{}, err
		}
		return a.engine.CheckPersons(ctx, in.Tenant, lines)
	}}

var personEnterOp = stream[takeOverOf, sync.PersonInput, sync.Imported]{name: "person-enter",
	run: func(ctx context.Context, a *app, in takeOverOf, lines sync.Lines[sync.PersonInput]) (sync.Imported, error) {
		if err := a.has(ctx, in.Tenant); err != nil {
			return sync.Imported{}, err
		}
		return a.engine.EnterPersons(ctx, in.Tenant, lines)
	}}

var personTakeOver = takeOver[sync.PersonInput, sync.Imported]{
	read: personOf, check: personCheckOp, enter: personEnterOp,
	changes: func(done sync.Imported) bool { return done.New+done.Changed > 0 },
	text: func(done sync.Imported, dry bool) string {
		return importedText(done, plural(done.New+done.Changed+done.Same, "person"), dry)
	},
}

type personImport struct {
	Tenant  model.TenantID     `json:"tenant"`
	Persons []sync.PersonInput `json:"persons"`
}

// personImportOp imports some persons in one update and gives their ids, for flette load.
var personImportOp = op[personImport, sync.Imported]{name: "person-import", run: func(ctx context.Context, a *app, in personImport) (sync.Imported, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return sync.Imported{}, err
	}
	return a.engine.ImportPersons(ctx, in.Tenant, in.Persons)
}}

// Run imports the file.
func (c *personImportCmd) Run(ctx context.Context, out *output) error {
	t := personTakeOver
	t.columns = personColumnsOn(today(time.Now()))
	return t.run(ctx, &c.importFlags, out)
}

type personListCmd struct {
	tenantFlags
	Names bool `help:"Show names too: personal data."`
	JSON  bool `help:"Print JSON."`

	Unassigned bool `help:"Only those whom nobody has in the caseload now."`
}

// Help is shown by --help.
func (*personListCmd) Help() string {
	return `Lists the persons of a municipality: id, number within the municipality (bruker_nr), home
unit, and what is wrong with the identity number. Names are shown on request; identity numbers
never are.

Example:

    flette person list --data /srv/flette --tenant testvik`
}

type personList struct {
	Tenant model.TenantID `json:"tenant"`
	Names  bool           `json:"names"`

	Unassigned bool `json:"unassigned,omitzero"`
}

// personView is a person as the command line shows one.
type personView struct {
	ID       model.PersonID `json:"id"`
	BrukerNr int64          `json:"bruker_nr"`
	Unit     string         `json:"unit,omitempty"` // local code, or id when it has none
	Test     bool           `json:"test"`
	IDIssue  string         `json:"id_issue,omitempty"`
	Name     string         `json:"name,omitempty"`
}

var personListOp = op[personList, []personView]{name: "person-list", reads: true, run: func(ctx context.Context, a *app, in personList) ([]personView, error) {
	out := []personView{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		units, err := unitNames(v)
		if err != nil {
			return err
		}
		persons, err := store.List[store.Person](v, "", "", 0)
		if err != nil {
			return err
		}
		var owned map[model.PersonID]bool
		if in.Unassigned {
			if owned, err = a.engine.Owned(v, a.engine.Now()); err != nil {
				return err
			}
		}
		for i := range persons {
			p := &persons[i]
			if owned[p.ID] {
				continue
			}
			row := personView{ID: p.ID, BrukerNr: p.BrukerNr, Unit: units[p.Unit], Test: p.Test, IDIssue: p.IDIssue}
			if in.Names {
				who, err := a.engine.Identity(in.Tenant, p)
				if err != nil {
					return err
				}
				row.Name = who.Name
			}
			out = append(out, row)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b personView) int { return cmp.Compare(a.BrukerNr, b.BrukerNr) })
	return out, err
}}

// Run lists the persons.
func (c *personListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, personListOp, personList{c.id(), c.Names, c.Unassigned})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ID", "BRUKER_NR", "UNIT", "TEST", "NUMBER", "NAME"}}
		for _, p := range list {
			number := p.IDIssue
			if number == "" {
				number = "ok"
			}
			rows = append(rows, []string{p.ID.String(), fmt.Sprint(p.BrukerNr), p.Unit, fmt.Sprint(p.Test), number, p.Name})
		}
		if !c.Names {
			for i := range rows {
				rows[i] = rows[i][:5]
			}
		}
		return table(rows)
	})
}
