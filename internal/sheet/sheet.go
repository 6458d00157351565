// Package sheet writes CSV files that spreadsheet programs open as they are meant: the columns
// where they belong, letters right, and no text run as a formula.
//
// The files follow what Excel and LibreOffice expect with Norwegian settings: UTF-8 with a
// BOM, ";" between columns, "," before decimals, lines that end in CRLF (RFC 4180).
package sheet

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Writer writes one sheet. Its errors are kept and told by [Writer.Flush].
type Writer struct {
	csv   *csv.Writer
	cells []string
	err   error
}

// New starts a sheet with the names of its columns.
func New(w io.Writer, columns ...string) *Writer {
	out := &Writer{csv: csv.NewWriter(w)}
	out.csv.Comma = ';'
	out.csv.UseCRLF = true
	_, out.err = io.WriteString(w, "\uFEFF")
	for _, c := range columns {
		out.cells = append(out.cells, Text(c))
	}
	out.write()
	return out
}

// Row writes one line. A cell is a string (guarded, see [Text]), an int, a float64 (as short as
// it can be), a bool (Ja or Nei, as IPLOS has it) or nil for an empty cell; it panics on any other type.
func (w *Writer) Row(cells ...any) {
	w.cells = w.cells[:0]
	for _, c := range cells {
		w.cells = append(w.cells, cell(c))
	}
	w.write()
}

func cell(c any) string {
	switch c := c.(type) {
	case nil:
		return ""
	case string:
		return Text(c)
	case int:
		return strconv.Itoa(c)
	case float64:
		return strings.Replace(strconv.FormatFloat(c, 'f', -1, 64), ".", ",", 1)
	case bool:
		if c {
			return "Ja"
		}
		return "Nei"
	}
	panic(fmt.Sprintf("sheet: a cell of type %T", c))
}

func (w *Writer) write() {
	if w.err == nil {
		w.err = w.csv.Write(w.cells)
	}
}

// Flush writes what is held and returns the first error of all writes.
func (w *Writer) Flush() error {
	w.csv.Flush()
	if w.err == nil {
		w.err = w.csv.Error()
	}
	return w.err
}

// Text is a string as a cell that no spreadsheet program takes for a formula (CWE-1236): what
// begins like one gets an apostrophe in front. Control characters other than the line break
// become spaces, for some programs split or drop cells at them.
func Text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r != 0x7f {
			return r
		}
		return ' '
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	// Programs skip spaces (and what they show as nothing) in front of a formula.
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }))
	switch first {
	case '=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠':
		return "'" + s
	}
	return s
}
