package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"flette/model"
	"flette/sync"
)

// takeOver is an import of a file of any length: it is judged whole, and then entered in batches.
// Nothing is held but the line at work, and what tells the lines apart.
type takeOver[Row, Done any] struct {
	columns []column
	read    func(f *fields) Row
	check   stream[takeOverOf, Row, Done] // stores nothing
	enter   stream[takeOverOf, Row, Done]
	changes func(Done) bool // something is to be entered
	text    func(done Done, dry bool) string
}

// takeOverOf says what is imported by whom.
type takeOverOf struct {
	Tenant model.TenantID    `json:"tenant"`
	Source sync.RecordSource `json:"source"`
}

func (t takeOver[Row, Done]) run(ctx context.Context, f *importFlags, out *output) error {
	file, err := f.openTwice()
	if err != nil {
		return err
	}
	defer func() { _ = file.close() }() // it was only read
	of := takeOverOf{Tenant: f.id(), Source: sync.RecordSource{Actor: model.ActorID(operator())}}
	done, err := t.judge(ctx, f, out, file, of)
	if err == nil && !f.DryRun && t.changes(done) {
		of.Source.SHA256 = file.sha256()
		done, err = t.pass(ctx, f, out, file, of, t.enter, &intake{columns: t.columns})
		err = begun(err)
	}
	if err != nil {
		return f.report(out, "", sync.Imported{}, err)
	}
	return out.print(f.JSON, done, func() string { return t.text(done, f.DryRun) })
}

// judge gives everything that is wrong with the file, of its shape and of what it says, in order of lines.
func (t takeOver[Row, Done]) judge(ctx context.Context, f *importFlags, out *output, file *importFile, of takeOverOf) (Done, error) {
	in := &intake{columns: t.columns}
	done, err := t.pass(ctx, f, out, file, of, t.check, in)
	var p *problem
	if err != nil && (!errors.As(err, &p) || len(p.Lines) == 0) {
		return done, err
	}
	var shape sync.ImportProblems
	if (err == nil || len(in.problems) > 0) && !errors.As(in.verdict(), &shape) {
		return done, err
	}
	return done, allWrong(shape, err)
}

// allWrong is one refusal of what is wrong with the shape of lines, and of what was said of the others.
func allWrong(shape sync.ImportProblems, err error) error {
	all := problemOfLines(shape).Lines
	if p := (*problem)(nil); errors.As(err, &p) {
		all = append(all, p.Lines...)
	}
	slices.SortStableFunc(all, func(a, b lineProblem) int { return cmp.Compare(a.Line, b.Line) })
	return refusal(all[:min(len(all), maxReported)])
}

// pass reads the file and hands its lines to a stream.
func (t takeOver[Row, Done]) pass(ctx context.Context, f *importFlags, out *output, file *importFile, of takeOverOf, to stream[takeOverOf, Row, Done], in *intake) (Done, error) {
	ctx, end := showProgress(ctx, out.stderr)
	defer end()
	progress := progressOf(ctx)
	r, err := file.pass(ctx, func(done, of int64) { progress(f.id(), done, of) })
	if err != nil {
		var none Done
		return none, err
	}
	return doStream(ctx, f.dataFlags, to, of, func(yield func(Row, error) bool) {
		line := fieldsOf(t.columns, in)
		in.take = func(r row) bool {
			before := len(in.problems)
			line.set(r)
			row := t.read(line)
			return len(in.problems) > before || yield(row, nil)
		}
		if err := in.read(r, f.Format); err != nil && !in.stop {
			var none Row
			yield(none, err)
		}
	})
}

// begun says of an import that failed after the file was judged what stays.
func begun(err error) error {
	if err == nil {
		return nil
	}
	p := *problemOf(err)
	p.Detail, _ = strings.CutSuffix(p.Detail, "; nothing was imported")
	p.Detail, _ = strings.CutSuffix(p.Detail, "; nothing was stored")
	p.Detail += "; the lines entered before that stay: import the file again, and it goes on from there"
	return &p
}
