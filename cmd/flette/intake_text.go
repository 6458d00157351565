package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// textLines hands out the lines of a file, of a bearable length and in UTF-8.
type textLines struct {
	r    *bufio.Reader // its buffer holds a line of maxLine bytes and one more
	in   *intake
	line int   // of the last one
	err  error // of the reader, nil at the end of the file
}

func newTextLines(r io.Reader, in *intake) *textLines {
	return &textLines{r: bufio.NewReaderSize(r, maxLine+1), in: in}
}

// next is the next line with its end, nil after the last. One that cannot be read is told; it
// comes as an empty line, and ok is false.
func (t *textLines) next() (text []byte, ok bool) {
	text, err := t.r.ReadSlice('\n')
	if len(text) == 0 && err != nil {
		if !errors.Is(err, io.EOF) {
			t.err = err
		}
		return nil, false
	}
	t.line++
	long := len(text) > maxLine
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		_, err = t.r.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
		return nil, false
	}
	switch {
	case long:
		t.in.problem(t.line, "", "line-too-long", "the line is longer than %d KiB; a quote may be missing", maxLine>>10)
	case !utf8.Valid(text):
		t.in.problem(t.line, "", "not-utf8", "the line is not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)")
	default:
		return text, true
	}
	return []byte("\n"), false
}

// csvRecords is a reader of whole CSV records: a quote that never ends does not bring the rest
// of a file into memory.
type csvRecords struct {
	t      *textLines
	comma  byte
	record []byte
	at     int
}

// Read gives what is left of a record, or of the next one.
func (c *csvRecords) Read(p []byte) (int, error) {
	if c.at == len(c.record) && !c.next() {
		return 0, io.EOF
	}
	n := copy(p, c.record[c.at:])
	c.at += n
	return n, nil
}

func (c *csvRecords) next() bool {
	c.record, c.at = c.record[:0], 0
	first := c.t.line + 1
	for quoted := false; ; {
		l, ok := c.t.next()
		if l == nil {
			return len(c.record) > 0
		}
		if !ok && c.t.line == 1 {
			return false // without the first line nobody knows the columns
		}
		c.record = append(c.record, l...)
		if quoted = c.quoted(l, quoted); !quoted {
			return true
		}
		if len(c.record) > maxLine {
			c.t.in.problem(first, "", "bad-quotes", "a quote begins here and does not end within %d KiB; the lines after it were not read", maxLine>>10)
			return false
		}
	}
}

// quoted reports whether a value between quotes goes on after a line, which began inside one or
// not. A quote counts where a value begins, as the CSV reader has it.
func (c *csvRecords) quoted(line []byte, inside bool) bool {
	if !inside && bytes.IndexByte(line, '"') < 0 {
		return false
	}
	begins, ended := !inside, false
	for _, b := range line {
		switch {
		case b == '"' && (inside || begins || ended):
			// A second quote after one that ended goes on with the value.
			inside, ended = !inside, inside
			begins = false
		case !inside:
			begins, ended = b == c.comma, false
		}
	}
	return inside
}
