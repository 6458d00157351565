package sync

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// MappingInput is one line of a municipality's mapping from its own services to the code list
// (R104), already checked for shape by the caller.
type MappingInput struct {
	Line  int
	Local string // what the municipality calls the service
	Code  string // of 9151, leading zeros allowed; NoCode takes the mapping away
	From  string // first day, YYYY-MM-DD; "" for the first day of the code
	To    string // last day; "" for the last day of the code, or open
}

// NoCode is the code of a local service that is not mapped, or not any more.
const NoCode = "none"

const firstDay = "1900-01-01"

// ImportMapping adds lines to the mapping, all or none. Lines are never changed: for the days
// that it covers a new line counts before older ones. In a file a line without an end ends where
// the next one of the service begins. A line that says what holds already is counted as unchanged.
// ImportProblems.
func (e *Engine) ImportMapping(ctx context.Context, tenant model.TenantID, in []MappingInput, by string) (Imported, error) {
	return e.importMapping(ctx, tenant, in, by, nil)
}

// CheckMapping counts what ImportMapping would do and stores nothing.
func (e *Engine) CheckMapping(ctx context.Context, tenant model.TenantID, in []MappingInput) (Imported, error) {
	return checked(e.importMapping(ctx, tenant, in, "", errCheck))
}

func (e *Engine) importMapping(ctx context.Context, tenant model.TenantID, in []MappingInput, by string, end error) (Imported, error) {
	lines, err := e.mappingLines(in)
	if err != nil {
		return Imported{}, err
	}
	now := e.o.Now()
	var done Imported
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		done = Imported{}
		all, err := store.List[store.LocalService](tx, "", "", 0)
		if err != nil {
			return err
		}
		have := map[string][]store.LocalService{}
		seq := int64(0)
		for _, l := range all {
			have[l.Local] = append(have[l.Local], l)
			seq = max(seq, l.Seq)
		}
		for _, l := range lines {
			before := have[l.Local]
			switch {
			case mapped(before, l):
				done.Same++
				continue
			case len(before) == 0:
				done.New++
			default:
				done.Changed++
			}
			seq++
			l.Seq, l.By, l.At = seq, by, now
			have[l.Local] = append(before, l)
			if err := store.Put(tx, l); err != nil {
				return err
			}
		}
		return end
	})
	return done, err
}

// mappingLines judges the lines of a file and puts them in the order in which they count.
func (e *Engine) mappingLines(in []MappingInput) ([]store.LocalService, error) {
	var problems ImportProblems
	type numbered struct {
		store.LocalService
		line   int
		closed bool // the file itself says where it ends
	}
	var lines []numbered
	for i := range in {
		l, p := e.mappingLine(&in[i])
		if p != nil {
			problems = append(problems, &LineProblem{Line: in[i].Line, Problem: *p})
			continue
		}
		lines = append(lines, numbered{l, in[i].Line, in[i].To != ""})
	}
	slices.SortStableFunc(lines, func(a, b numbered) int {
		return cmp.Or(strings.Compare(a.Local, b.Local), strings.Compare(a.From, b.From))
	})
	for i := 1; i < len(lines); i++ {
		a, b := &lines[i-1], &lines[i]
		switch {
		case a.Local != b.Local:
		case a.From < b.From && !a.closed && (a.To == "" || a.To >= b.From):
			a.To = dayBefore(b.From)
		case a.From == b.From || a.To >= b.From:
			problems = append(problems, &LineProblem{Line: max(a.line, b.line), Problem: *problemOfLine("periods-overlap", "/from",
				"line %d maps the same local service on the same days; let one end the day before the other begins", min(a.line, b.line))})
		}
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b *LineProblem) int { return a.Line - b.Line })
		return nil, problems
	}
	out := make([]store.LocalService, len(lines))
	for i := range lines {
		out[i] = lines[i].LocalService
	}
	return out, nil
}

func (e *Engine) mappingLine(in *MappingInput) (store.LocalService, *model.Problem) {
	l := store.LocalService{Local: in.Local, Code: strings.TrimLeft(in.Code, "0"), From: in.From, To: in.To}
	if l.Local == "" || len(l.Local) > store.MaxLocal || strings.ContainsAny(l.Local, "\r\n") {
		return l, problemOfLine("invalid-member", "/local", "a local service has a name of at most %d bytes on one line", store.MaxLocal)
	}
	if l.Code == NoCode {
		l.Code = ""
		l.From = cmp.Or(l.From, firstDay)
	} else if p := e.mappedCode(&l); p != nil {
		return l, p
	}
	for pointer, day := range map[string]string{"/from": l.From, "/to": l.To} {
		if day != "" && new(catalogue.Date).UnmarshalText([]byte(day)) != nil {
			return l, problemOfLine("invalid-date", pointer, "a date is written YYYY-MM-DD")
		}
	}
	if l.To != "" && l.To < l.From {
		return l, problemOfLine("dates-out-of-order", "/to", "the line ends before it begins")
	}
	return l, nil
}

// mappedCode wants a code that services are registered under on all days of the line.
func (e *Engine) mappedCode(l *store.LocalService) *model.Problem {
	t := e.o.Catalogue.Service(l.Code)
	switch {
	case t == nil:
		return problemOfLine("unknown-code", "/code", "the code is none of the service types of 9151; write %s for a local service that is not reported", NoCode)
	case t.Group == "coercion":
		return problemOfLine("unknown-code", "/code", "coercion is registered as a measure of its own, not as a service (R59)")
	}
	l.From = cmp.Or(l.From, string(t.From))
	l.To = cmp.Or(l.To, string(t.To))
	if l.From < string(t.From) {
		return problemOfLine("not-valid-then", "/from", "code %s is registered from %s", l.Code, t.From)
	}
	if t.To != "" && l.To > string(t.To) {
		instead := ""
		if t.ReplacedBy != "" {
			instead = "; map the days after it to " + t.ReplacedBy
		}
		return problemOfLine("not-valid-then", "/to", "code %s was registered until %s%s", l.Code, t.To, instead)
	}
	return nil
}

// mapped reports whether the lines give the code of l on every day of l: they change only where
// one of them begins or the day after one ends.
func mapped(lines []store.LocalService, l store.LocalService) bool {
	days := []string{l.From}
	for _, o := range lines {
		days = append(days, o.From)
		if o.To != "" {
			days = append(days, dayAfter(o.To))
		}
	}
	for _, day := range days {
		if day >= l.From && (l.To == "" || day <= l.To) && store.CodeOn(lines, day) != l.Code {
			return false
		}
	}
	// What was never said is not the same as what is said to be nothing.
	return l.Code != "" || len(lines) > 0
}

// problemOfLine is a problem with a line of a file; no entry carries its code.
func problemOfLine(code, pointer, format string, args ...any) *model.Problem {
	return model.Problemf(code, pointer, format, args...)
}
