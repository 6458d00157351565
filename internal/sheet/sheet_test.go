package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSheet(t *testing.T) {
	var b bytes.Buffer
	w := New(&b, "person", "timer")
	w.Row("=1+1", 5.5)
	w.Row(`a;"b"`, -3)
	w.Row(nil, true)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "\uFEFFperson;timer\r\n'=1+1;5,5\r\n\"a;\"\"b\"\"\";-3\r\n;Ja\r\n"
	if b.String() != want {
		t.Fatalf("the sheet is %q, want %q", b.String(), want)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Ola", "Ola"},
		{"", ""},
		{"a=b", "a=b"},
		{"=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"},
		{"+47", "'+47"},
		{"-1", "'-1"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"  =1", "'  =1"},
		{"\t=1", "' =1"},
		{"\r=1", "' =1"},
		{"\n=1", "'\n=1"},
		{"\u00a0=1", "'\u00a0=1"},
		{"\ufeff=1", "'\ufeff=1"},
		{"＝1", "'＝1"},
		{"\u1680=1", "'\u1680=1"},
		{"\u200b\u2003=1", "'\u200b\u2003=1"},
		{"a\x00b", "a b"},
		{"a\r\nb", "a\nb"},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("Text(%q) is %q, want %q", c.in, got, c.want)
		}
	}
}

// What is read back begins with nothing that is run, and a row keeps its number of cells.
func TestNoCellIsAFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("=+-@\t\r\n;\"' |%\x00"))))
		in := rapid.SliceOfN(text, 2, 5).Draw(t, "cells")
		var b bytes.Buffer
		w := New(&b, in...)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.String(), "\uFEFF")))
		r.Comma = ';'
		got, err := r.Read()
		if err != nil || len(got) != len(in) {
			t.Fatalf("%q was read as %q: %v", in, got, err)
		}
		for _, cell := range got {
			if trimmed := strings.TrimSpace(cell); trimmed != "" && strings.ContainsRune("=+-@", rune(trimmed[0])) {
				t.Fatalf("the cell %q is run as a formula", cell)
			}
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestAFullDiskIsTold(t *testing.T) {
	w := New(full{}, "a")
	w.Row("b")
	if w.Flush() == nil {
		t.Fatal("a sheet on a full disk was said to be written")
	}
}
