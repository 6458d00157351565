package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/model/ident"
	"flette/sync"
)

// Import files come from spreadsheets and from other systems, so this reader is strict and
// says of every line what to do about it. It never repeats what stands in the file.

const (
	maxFile  = 64 << 20 // bytes of an import file that is held in memory
	maxLine  = 64 << 10 // bytes of a line
	maxField = 200      // characters of a value
	// maxReported ends the reading of a file of which nothing fits.
	maxReported = 1000
)

// column is one member of a line.
type column struct {
	name     string
	required bool // a value must stand on every line
	check    func(value string) *model.Problem
}

// row is a line: values in the order of the columns, "" for none.
type row struct {
	line  int
	value []string
}

// intake reads one file.
type intake struct {
	columns  []column
	take     func(row) bool // gets each row without a problem; false ends the reading
	taken    int
	stop     bool
	problems sync.ImportProblems
}

func (in *intake) problem(line int, column, code, format string, args ...any) {
	if len(in.problems) == maxReported {
		return
	}
	pointer := ""
	if column != "" {
		pointer = "/" + column
	}
	in.problems = append(in.problems, &sync.LineProblem{Line: line, Problem: *model.Problemf(code, pointer, format, args...)})
}

// readRows reads a file that is held in memory, of format csv, ndjson or, by its first
// character, auto. Errors are sync.ImportProblems, or of reading.
func readRows(r io.Reader, format string, columns []column) ([]row, error) {
	var rows []row
	in := &intake{columns: columns, take: func(r row) bool { rows = append(rows, r); return true }}
	limited := &io.LimitedReader{R: r, N: maxFile + 1}
	if err := in.read(limited, format); err != nil {
		return nil, err
	}
	if limited.N == 0 {
		return nil, problemf("file-too-large", "the file is larger than %d MiB; split it", maxFile>>20)
	}
	return rows, in.verdict()
}

// read goes through a file once and holds a line of it at a time. The error is that of the
// reader; what is wrong with lines is in problems.
func (in *intake) read(r io.Reader, format string) error {
	t := newTextLines(r, in)
	if bom, _ := t.r.Peek(3); string(bom) == "\ufeff" {
		_, _ = t.r.Discard(3) // it was there a moment ago
	}
	head, _ := t.r.Peek(maxLine) // an error comes again at the first line
	start := bytes.TrimSpace(head)
	if format == "auto" {
		format = "csv"
		if bytes.HasPrefix(start, []byte("{")) || bytes.HasPrefix(start, []byte("[")) {
			format = "ndjson"
		}
	}
	switch {
	case format == "ndjson" && bytes.HasPrefix(start, []byte("[")):
		in.problem(1, "", "json-array", "the file is one JSON array; an import reads NDJSON: one object a line, without [ and ] around them and commas between them")
	case format == "ndjson":
		in.ndjson(t)
	default:
		first, _, _ := bytes.Cut(head, []byte("\n"))
		in.csv(t, first)
	}
	return t.err
}

// verdict is what is wrong with the file that was read, nil for nothing.
func (in *intake) verdict() error {
	if len(in.problems) == 0 && in.taken == 0 {
		in.problem(1, "", "empty-file", "the file holds no line to import")
	}
	if len(in.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(in.problems, func(a, b *sync.LineProblem) int { return a.Line - b.Line })
	return in.problems
}

// done reports whether reading on serves nobody.
func (in *intake) done() bool { return in.stop || len(in.problems) >= maxReported }

// add checks the values of a line and keeps it.
func (in *intake) add(line int, value []string) {
	before := len(in.problems)
	for i, c := range in.columns {
		v := value[i]
		switch {
		case v == "" && c.required:
			in.problem(line, c.name, "missing-value", "a value is missing")
		case v == "":
		case utf8.RuneCountInString(v) > maxField:
			in.problem(line, c.name, "too-long", "the value is longer than %d characters", maxField)
		case strings.ContainsFunc(v, unicode.IsControl):
			in.problem(line, c.name, "control-character", "the value holds a line break or another control character; take it out")
		case c.check != nil:
			if p := c.check(v); p != nil {
				in.problem(line, c.name, p.Code, "%s", p.Detail)
			}
		}
	}
	if len(in.problems) == before {
		in.taken++
		in.stop = !in.take(row{line, value})
	}
}

func (in *intake) names() string {
	var names []string
	for _, c := range in.columns {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

func (in *intake) index(name string) int {
	return slices.IndexFunc(in.columns, func(c column) bool { return c.name == name })
}

// csv reads columns in the order that the first line names, separated by comma or, as
// Norwegian spreadsheets write, semicolon.
func (in *intake) csv(t *textLines, first []byte) {
	comma := byte(',')
	if bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) {
		comma = ';'
	}
	r := csv.NewReader(&csvRecords{t: t, comma: comma})
	r.FieldsPerRecord, r.ReuseRecord, r.Comma = -1, true, rune(comma)
	var order []int
	for !in.done() {
		record, err := r.Read()
		if errors.Is(err, io.EOF) || t.err != nil {
			return
		}
		var bad *csv.ParseError
		switch {
		case errors.As(err, &bad):
			in.problem(bad.StartLine, "", "bad-quotes", "the quotes do not match: put a value with quotes in it between quotes and write each inner quote twice")
			if order == nil {
				return
			}
		case order == nil:
			if order = in.header(record); order == nil {
				return
			}
		case len(record) != len(order):
			line, _ := r.FieldPos(0)
			in.problem(line, "", "wrong-column-count", "the line has %d values, the first line names %d columns", len(record), len(order))
		default:
			line, _ := r.FieldPos(0)
			value := make([]string, len(in.columns))
			for i, v := range record {
				value[order[i]] = strings.TrimSpace(v)
			}
			in.add(line, value)
		}
	}
}

// header says which column stands where, nil when the line is no heading. An unknown name
// is not repeated: without a heading it is somebody's data.
func (in *intake) header(record []string) []int {
	order := make([]int, 0, len(record))
	for i, name := range record {
		at := in.index(strings.TrimSpace(name))
		switch {
		case at < 0:
			in.problem(1, "", "unknown-column", "column %d has none of the names %s; the first line names the columns", i+1, in.names())
		case slices.Contains(order, at):
			in.problem(1, in.columns[at].name, "duplicate-column", "the column is named twice")
		}
		order = append(order, at)
	}
	for i, c := range in.columns {
		if c.required && !slices.Contains(order, i) && len(in.problems) == 0 {
			in.problem(1, c.name, "missing-column", "the first line does not name the column")
		}
	}
	if len(in.problems) > 0 {
		return nil
	}
	return order
}

// ndjson reads one object a line.
func (in *intake) ndjson(t *textLines) {
	for !in.done() {
		l, ok := t.next()
		if l == nil {
			return
		}
		if l = bytes.TrimSpace(l); ok && len(l) > 0 {
			in.object(t.line, l)
		}
	}
}

func (in *intake) object(line int, text []byte) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	bad := func() {
		in.problem(line, "", "bad-json", "the line is not one JSON object with each member once, and nothing after it")
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		bad()
		return
	}
	value, before := make([]string, len(in.columns)), len(in.problems)
	for n := 1; d.PeekKind() != '}'; n++ {
		t, err := d.ReadToken()
		if err != nil {
			bad()
			return
		}
		at := in.index(t.String())
		v, err := d.ReadValue()
		switch {
		case err != nil:
			bad()
			return
		case at < 0:
			in.problem(line, "", "unknown-member", "member %d has none of the names %s", n, in.names())
		case v.Kind() == '"':
			s, err := jsontext.AppendUnquote(nil, v)
			if err != nil {
				bad()
				return
			}
			value[at] = strings.TrimSpace(string(s))
		case v.Kind() == 't' || v.Kind() == 'f':
			value[at] = string(v)
		default:
			in.problem(line, in.columns[at].name, "not-text", "the value stands between quotes, numbers too: a number would lose a leading zero")
		}
	}
	if _, err := d.ReadToken(); err != nil {
		bad()
		return
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		bad()
		return
	}
	if len(in.problems) == before {
		in.add(line, value)
	}
}

func isNumber(s string) *model.Problem {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' {
			return model.Problemf("invalid-number", "", "an identity number is written without blanks, points or a + sign; format the column as text in the spreadsheet")
		}
	}
	if len(s) == 10 && strings.Trim(s, "0123456789") == "" {
		return model.Problemf("leading-zero-lost", "", "the number has 10 digits: a spreadsheet has taken the leading zero away; format the column as text")
	}
	return nil
}

func isDate(s string) *model.Problem {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return model.Problemf("invalid-date", "", "a date is written YYYY-MM-DD")
	}
	return nil
}

// isBirthDate is isDate that knows which day it is.
func isBirthDate(today string) func(string) *model.Problem {
	return func(s string) *model.Problem {
		if p := isDate(s); p != nil {
			return p
		}
		if s > today {
			return model.Problemf("date-in-future", "", "nobody is born after today; look whether the century is right")
		}
		return nil
	}
}

func isBool(s string) *model.Problem {
	if s != "true" && s != "false" {
		return model.Problemf("invalid-value", "", "the value is true or false")
	}
	return nil
}

// sexes are the words that registers and systems use, in lower case, and the letter that is
// stored; none for the codes of "not known".
var sexes = map[string]string{
	"k": "K", "kvinne": "K", "f": "K", "female": "K", "2": "K",
	"m": "M", "mann": "M", "male": "M", "1": "M",
	"0": "", "9": "",
}

func isSex(s string) *model.Problem {
	if _, ok := sexes[strings.ToLower(s)]; !ok {
		return model.Problemf("invalid-value", "", "the sex is K (or kvinne, F, female, 2), M (or mann, male, 1), or 0, 9 or empty when it is not known")
	}
	return nil
}

func isKommune(s string) *model.Problem {
	_, err := ident.ParseKommune(s)
	return asFound(err)
}

func isDistrict(s string) *model.Problem {
	_, err := ident.ParseDistrict(s)
	return asFound(err)
}

func asFound(err error) *model.Problem {
	var p *model.Problem
	if err == nil || errors.As(err, &p) {
		return p
	}
	return model.Problemf("invalid-value", "", "the value cannot be read")
}

var unitColumns = []column{
	{"local", true, nil}, {"parent", false, nil}, {"name", true, nil}, {"org_number", false, nil}, {"from", false, isDate}, {"to", false, isDate},
}

// readUnits reads organisation units to import.
func readUnits(r io.Reader, format string) ([]sync.UnitInput, error) {
	rows, err := readRows(r, format, unitColumns)
	if err != nil {
		return nil, err
	}
	out := make([]sync.UnitInput, len(rows))
	for i, r := range rows {
		v := r.value
		out[i] = sync.UnitInput{Line: r.line, Local: v[0], Parent: v[1], Name: v[2], OrgNumber: v[3], From: v[4], To: v[5]}
	}
	if p := overlaps(out); len(p) > 0 {
		return nil, p
	}
	return out, nil
}

// overlaps finds lines that contradict each other about a unit's number on some day. A number
// without an end gives way to the next one; one with an end was meant to hold until then.
func overlaps(units []sync.UnitInput) sync.ImportProblems {
	numbers := map[string][]sync.UnitInput{}
	for _, u := range units {
		if u.From == "" {
			u.From = "1900-01-01" // as the store has it
		}
		if u.OrgNumber != "" && (u.To == "" || u.To >= u.From) { // of the others the engine says what is wrong
			numbers[u.Local] = append(numbers[u.Local], u)
		}
	}
	var out sync.ImportProblems
	for _, list := range numbers {
		slices.SortStableFunc(list, func(a, b sync.UnitInput) int { return strings.Compare(a.From, b.From) })
		last := list[0] // of the lines so far, the one that ends last
		for i, u := range list[1:] {
			other := list[i]
			bad := other.From == u.From && (other.OrgNumber != u.OrgNumber || other.To != u.To)
			if !bad && last.To >= u.From && last.OrgNumber != u.OrgNumber {
				bad, other = true, last
			}
			if bad {
				out = append(out, &sync.LineProblem{Line: max(u.Line, other.Line), Problem: *model.Problemf("periods-overlap", "/from",
					"line %d says otherwise about the unit's number on the same days; let one end the day before the other begins", min(u.Line, other.Line))})
			}
			if u.To > last.To {
				last = u
			}
		}
	}
	slices.SortFunc(out, func(a, b *sync.LineProblem) int { return a.Line - b.Line })
	return out
}

func importedText(done sync.Imported, what string, dry bool) string {
	s := fmt.Sprintf("%s: %d new, %d changed, %d unchanged", what, done.New, done.Changed, done.Same)
	if dry {
		s += "; nothing was stored (--dry-run)"
	}
	return s
}
