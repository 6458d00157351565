package main

import (
	"context"
	"fmt"
	"time"

	"flette/sync"
)

type serviceCmd struct {
	Import serviceImportCmd `cmd:"" help:"Take over services and decisions (vedtak) from a file."`
}

type diagnosisCmd struct {
	Import diagnosisImportCmd `cmd:"" help:"Take over diagnoses from a file."`
}

type serviceImportCmd struct{ importFlags }

// Help is shown by --help.
func (*serviceImportCmd) Help() string {
	return `Takes over services from a former system: one line for each, with its decision (vedtak).
The whole file is judged before the first line is entered. Columns, in any order: number (of a
person who is known here), ref (the service's id in the former system) and type (code of 9151);
and where they are known local (the municipality's name of it), unit (local code or id of the
provider), rolling, application, decision, from and to (period of the decision), rejected,
hours and resource_hours (a week: 5:30, 5,5 or 5), start, end, end_reason, complaint and
complaint_answered. Dates are YYYY-MM-DD or dd.mm.yyyy, rolling and rejected true or false.

The same file may be imported again: the same number and ref is the same service. A later file
changes what an import said before. What a nurse or supervisor has registered or withdrawn here
since is kept, and the lines are told. An empty value says nothing; it takes nothing away.

Nobody who cares for the person has signed these lines, so each is entered as signed by the
municipality's import key, with the operator as actor and the hash of the file as reason.
CSV or NDJSON, as for flette person import.

Example:

    flette service import --data /srv/flette --tenant testvik --dry-run services.csv`
}

// Run imports the file.
func (c *serviceImportCmd) Run(ctx context.Context, out *output) error {
	return c.records(ctx, out, "service", serviceColumns, serviceOf)
}

type diagnosisImportCmd struct{ importFlags }

// Help is shown by --help.
func (*diagnosisImportCmd) Help() string {
	return `Takes over diagnoses from a former system. Columns, in any order: number (of a person who is
known here), code_system (ICPC-2 or ICD-10) and code; and where they are known ref (the
diagnosis' id in the former system; without it, code system, code and from tell one from the
other), name, from and to. Everything else is as for flette service import.

Example:

    flette diagnosis import --data /srv/flette --tenant testvik --dry-run diagnoses.csv`
}

// Run imports the file.
func (c *diagnosisImportCmd) Run(ctx context.Context, out *output) error {
	return c.records(ctx, out, "diagnosis", diagnosisColumns, diagnosisOf)
}

var recordCheckOp = stream[takeOverOf, sync.RecordInput, sync.RecordsImported]{name: "record-check", reads: true,
	run: func(ctx context.Context, a *app, in takeOverOf, lines sync.Lines[sync.RecordInput]) (sync.RecordsImported, error) {
		if err := a.has(ctx, in.Tenant); err != nil {
			return sync.RecordsImported{}, err
		}
		return a.engine.CheckRecords(ctx, in.Tenant, lines)
	}}

var recordEnterOp = stream[takeOverOf, sync.RecordInput, sync.RecordsImported]{name: "record-enter",
	run: func(ctx context.Context, a *app, in takeOverOf, lines sync.Lines[sync.RecordInput]) (sync.RecordsImported, error) {
		if err := a.has(ctx, in.Tenant); err != nil {
			return sync.RecordsImported{}, err
		}
		return a.engine.EnterRecords(ctx, in.Tenant, in.Source, lines)
	}}

// records imports a file of one kind of registration.
func (f *importFlags) records(ctx context.Context, out *output, what string, columns []column, read recordReader) error {
	return takeOver[sync.RecordInput, sync.RecordsImported]{
		columns: columns, check: recordCheckOp, enter: recordEnterOp,
		read: func(f *fields) sync.RecordInput {
			in := read(f)
			in.Line, in.Number = f.line, f.value["number"]
			return in
		},
		changes: func(done sync.RecordsImported) bool { return done.New+done.Changed > 0 },
		text:    func(done sync.RecordsImported, dry bool) string { return recordsText(done, what, dry) },
	}.run(ctx, f, out)
}

func recordsText(done sync.RecordsImported, what string, dry bool) string {
	s := fmt.Sprintf("%s: %d values new, %d changed, %d unchanged", plural(done.Lines, what), done.New, done.Changed, done.Same)
	if dry {
		s += "; nothing was stored (--dry-run)"
	}
	if done.Kept > 0 {
		s += fmt.Sprintf("\n%d values were registered or withdrawn here since and are kept, of the lines", done.Kept)
		for _, l := range done.KeptAt {
			s += fmt.Sprintf(" %d", l)
		}
		if len(done.KeptAt) == maxKeptTold {
			s += " and later ones"
		}
	}
	return s
}

// maxKeptTold is how many lines with kept values the engine names.
const maxKeptTold = 100

// isoDate reads YYYY-MM-DD and dd.mm.yyyy; false for anything else.
func isoDate(s string) (string, bool) {
	for _, layout := range []string{time.DateOnly, "2.1.2006"} {
		if d, err := time.Parse(layout, s); err == nil {
			return d.Format(time.DateOnly), true
		}
	}
	return "", false
}
