package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"flette/sync"
)

// codesOf lists "line column code" of what is wrong.
func codesOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var out []string
	for _, l := range problemOf(err).Lines {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s %s", l.Line, l.Column, l.Code)))
	}
	return out
}

// readPersons reads persons as an import does on a day, all of them or what is wrong.
func readPersons(r io.Reader, format, today string) (out []sync.PersonInput, err error) {
	in := &intake{columns: personColumnsOn(today)}
	line := fieldsOf(in.columns, in)
	in.take = func(r row) bool {
		line.set(r)
		out = append(out, personOf(line))
		return true
	}
	if err := in.read(r, format); err != nil {
		return nil, err
	}
	if err := in.verdict(); err != nil {
		return nil, err
	}
	return out, nil
}

func TestIntakeProblems(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name, format, body string
		want               []string
	}{
		{"nothing", "auto", "", []string{"1  empty-file"}},
		{"blank lines only", "ndjson", "\n\n", []string{"1  empty-file"}},
		{"no heading", "csv", "01814000008,Oppdiktet Gran,9999\n", []string{"1  unknown-column", "1  unknown-column", "1  unknown-column"}},
		{"a required column is missing", "csv", "number,name\n", []string{"1 kommune missing-column"}},
		{"a column twice", "csv", "number,name,kommune,number\n", []string{"1 number duplicate-column"}},
		{"quotes in the heading", "csv", "number,\"na\"me,kommune\nx,y,9999\n", []string{"1  bad-quotes"}},
		{"a quote that never ends", "csv", "number,name,kommune\n1,\"x,9999\n2,y,9999\n", []string{"2  bad-quotes"}},
		{"a line break in a value", "csv", "number,name,kommune\n1,\"x\ny\",9999\n", []string{"2 name control-character"}},
		{"not UTF-8", "csv", "number,name,kommune\n1,Bj\xf8rk,9999\n", []string{"2  not-utf8"}},
		{"long line", "csv", "number,name,kommune\n1," + long + ",9999\n", []string{"2  line-too-long"}},
		{"long value", "csv", "number,name,kommune\n1," + long[:maxField+1] + ",9999\n", []string{"2 name too-long"}},
		{"a spreadsheet's number", "csv", "number,name,kommune\n1.8E+09,x,9999\n", []string{"2 number invalid-number"}},
		{"a number with a blank", "csv", "number,name,kommune\n018140 00008,x,9999\n", []string{"2 number invalid-number"}},
		{"a former number", "csv", "number,name,kommune,former\n1,x,9999,1 1\n", []string{"2 former invalid-number"}},
		{"wrong words", "csv", "number;name;kommune;sex;district\n1;x;9999;<k>;123456789\n", []string{"2 sex invalid-value", "2 district id-length"}},
		{"impossible day", "csv", "number,name,kommune,birth_date\n1,x,9999,1941-02-29\n", []string{"2 birth_date invalid-date"}},
		{"born tomorrow", "csv", "number,name,kommune,birth_date\n1,x,9999,2026-11-22\n2,y,9999,2026-11-23\n", []string{"3 birth_date date-in-future"}},
		{"a word for the sex", "csv", "number,name,kommune,sex\n1,x,9999,kvinne\n2,y,9999,X\n3,z,9999,3\n", []string{"3 sex invalid-value", "4 sex invalid-value"}},
		{"array", "ndjson", "[]\n", []string{"1  json-array"}},
		{"array, guessed", "auto", "\n[{\"number\":\"1\"},\n{}]\n", []string{"1  json-array"}},
		{"cut off", "ndjson", `{"number":"1"`, []string{"1  bad-json"}},
		{"two on a line", "ndjson", `{"number":"1","name":"x","kommune":"9999"}{}`, []string{"1  bad-json"}},
		{"member twice", "ndjson", `{"number":"1","number":"1","name":"x","kommune":"9999"}`, []string{"1  bad-json"}},
		{"member twice, spelt in two ways", "ndjson", `{"number":"1","n\u0075mber":"1","name":"x","kommune":"9999"}`, []string{"1  bad-json"}},
		{"folded name", "ndjson", `{"Number":"1","number":"1","name":"x","kommune":"9999"}`, []string{"1  unknown-member"}},
		{"null", "ndjson", `{"number":"1","name":"x","kommune":"9999","unit":null}`, []string{"1 unit not-text"}},
		{"half a surrogate", "ndjson", `{"number":"1","name":"\ud800","kommune":"9999"}`, []string{"1  bad-json"}},
		{"missing value", "ndjson", "\n" + `{"number":"1","name":" "}`, []string{"2 name missing-value", "2 kommune missing-value"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := readPersons(strings.NewReader(c.body), c.format, "2026-11-22")
			if diff := cmp.Diff(c.want, codesOf(t, err)); diff != "" || rows != nil {
				t.Errorf("(-want +got)\n%s%v", diff, rows)
			}
		})
	}
}

func TestIntakeSex(t *testing.T) {
	for want, words := range map[string]string{"K": "K k F f kvinne Kvinne FEMALE 2", "M": "M m mann MANN Male 1", "": "0 9"} {
		for _, word := range strings.Fields(words) {
			got, err := readPersons(strings.NewReader("number,name,kommune,sex\n1,x,9999,"+word+"\n"), "csv", "2026-11-22")
			if err != nil || got[0].Sex != want {
				t.Errorf("%s: %+v, %v; want %q", word, got, codesOf(t, err), want)
			}
		}
	}
}

func TestUnitPeriods(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		want        []string
	}{
		{"one after the other", "300000118,2020-01-01,2020-12-31 300000207,2021-01-01,", nil},
		{"the next one ends an open one", "300000207,2021-01-01, 300000118,,", nil},
		{"the same line twice", "300000118,2020-01-01, 300000118,2020-01-01,", nil},
		{"the same number throughout", "300000118,2020-01-01,2020-12-31 300000118,2020-06-01,", nil},
		{"an end inside the next", "300000118,2020-01-01,2021-01-01 300000207,2021-01-01,", []string{"3 from periods-overlap"}},
		{"the earlier one stands later", "300000207,2021-01-01, 300000118,,2021-06-30", []string{"3 from periods-overlap"}},
		{"inside a long one", "300000118,2020-01-01,2025-12-31 300000118,2021-01-01,2021-02-01 300000207,2022-01-01,", []string{"4 from periods-overlap"}},
		{"two from one day", "300000118,2020-01-01, 300000207,2020-01-01,", []string{"3 from periods-overlap"}},
		{"two ends from one day", "300000118,,2020-01-01 300000118,1900-01-01,2021-01-01", []string{"3 from periods-overlap"}},
	} {
		body := "local,name,org_number,from,to\n"
		for _, l := range strings.Fields(c.lines) {
			body += "nord,Sone Nord," + l + "\n"
		}
		units, err := readUnits(strings.NewReader(body), "csv")
		if diff := cmp.Diff(c.want, codesOf(t, err)); diff != "" || (err == nil) != (len(units) > 0) {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
	// Another unit's number is no contradiction.
	if _, err := readUnits(strings.NewReader("local,name,org_number,to\na,A,300000118,2021-01-01\nb,B,300000207,2021-01-01\n"), "csv"); err != nil {
		t.Error(codesOf(t, err))
	}
}

func TestIntakeLimits(t *testing.T) {
	_, err := readUnits(strings.NewReader("local,name\n"+strings.Repeat("a,Oppdiktet sone\n", maxFile/16)), "csv")
	if err == nil || problemOf(err).Code != "file-too-large" {
		t.Errorf("a file over the limit gave %v", err)
	}
	_, err = readPersons(strings.NewReader("number,name,kommune\n"+strings.Repeat("1,,9999\n", 2*maxReported)), "csv", "2026-11-22")
	var lines sync.ImportProblems
	if !errors.As(err, &lines) || len(lines) != maxReported {
		t.Errorf("%d problems are reported", len(lines))
	}
}

// TestIntakeRoundTrip writes persons as a spreadsheet and as another system would, and reads
// them again.
func TestIntakeRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[A-ZÆØÅa-zæøå"';,{\\][A-ZÆØÅa-zæøå "';,{}\\\-]{0,20}[a-zæøå"]`)
		var want []sync.PersonInput
		for i := range rapid.IntRange(1, 5).Draw(rt, "persons") {
			want = append(want, sync.PersonInput{
				Number: rapid.StringMatching(`[0-9]{11}`).Draw(rt, "number"), Name: text.Draw(rt, "name"), Kommune: "9999",
				BirthDate: rapid.SampledFrom([]string{"", "1940-02-29"}).Draw(rt, "born"), Sex: rapid.SampledFrom([]string{"", "K"}).Draw(rt, "sex"),
				District: rapid.SampledFrom([]string{"", "01"}).Draw(rt, "district"), Unit: rapid.SampledFrom([]string{"", "sone nord"}).Draw(rt, "unit"),
				Test: rapid.Bool().Draw(rt, "test"), Former: rapid.SampledFrom([]string{"", "123-456"}).Draw(rt, "former"), Line: i,
			})
		}
		order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(rt, "order")
		check := func(body []byte, first int) {
			for i := range want {
				want[i].Line = i + first
			}
			got, err := readPersons(bytes.NewReader(body), "auto", "2026-11-22")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				rt.Fatalf("%v (-want +got)\n%s\n%s", codesOf(t, err), diff, body)
			}
		}
		comma := rapid.SampledFrom([]rune{',', ';'}).Draw(rt, "comma")
		check(personsCSV(want, order, comma, rapid.Bool().Draw(rt, "crlf")), 2)
		check(personsNDJSON(rt, want), 1)
	})
}

func personsCSV(persons []sync.PersonInput, order []int, comma rune, crlf bool) []byte {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	w.Comma, w.UseCRLF = comma, crlf
	write := func(value []string) {
		record := make([]string, len(order))
		for i, at := range order {
			record[i] = value[at]
		}
		_ = w.Write(record)
	}
	var names []string
	for _, c := range personColumns {
		names = append(names, c.name)
	}
	write(names)
	for _, p := range persons {
		write([]string{p.Number, p.Name, p.BirthDate, p.Sex, p.Kommune, p.District, p.Unit, fmt.Sprint(p.Test), p.Former})
	}
	w.Flush()
	return b.Bytes()
}

func personsNDJSON(t *rapid.T, persons []sync.PersonInput) []byte {
	var b bytes.Buffer
	for _, p := range persons {
		line, err := json.Marshal(map[string]any{
			"number": p.Number, "name": p.Name, "birth_date": p.BirthDate, "sex": p.Sex, "kommune": p.Kommune,
			"district": p.District, "unit": p.Unit, "test": p.Test, "former": p.Former,
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

var sixDigits = regexp.MustCompile(`[0-9]{6}`)

// checkIntake holds for any file: all lines or none, and no message repeats a number.
func checkIntake(t *testing.T, body []byte, format string) {
	got, err := readPersons(bytes.NewReader(body), format, "2026-11-22")
	if (err == nil) != (len(got) > 0) {
		t.Fatalf("%d persons and the error %v", len(got), err)
	}
	for _, p := range got {
		if p.Number == "" || p.Name == "" || p.Kommune == "" || p.Line < 1 {
			t.Fatalf("half a person on line %d", p.Line)
		}
	}
	if err == nil {
		return
	}
	lines := problemOf(err).Lines
	if len(lines) == 0 || len(lines) > maxReported {
		t.Fatalf("%d problems", len(lines))
	}
	for _, l := range lines {
		if l.Line < 1 || l.Code == "" || l.Detail == "" || sixDigits.MatchString(l.Column+l.Code+l.Detail) {
			t.Fatalf("a problem without its place, or with a number: %+v", l)
		}
	}
}

func FuzzPersonsCSV(f *testing.F) {
	f.Add([]byte("number;name;kommune;test\n01814000008;Oppdiktet Gran;9999;true\n"))
	f.Add([]byte("\ufeffnumber,name,kommune\r\n\"01814000008\",\"Oppdiktet \"\"Lille\"\" Gran\",9999\r\n"))
	f.Add([]byte("number,name,kommune\n1,\"x\n2,y"))
	f.Add([]byte("01814000008,x\n"))
	f.Fuzz(func(t *testing.T, body []byte) { checkIntake(t, body, "csv") })
}

func FuzzPersonsNDJSON(f *testing.F) {
	f.Add([]byte(`{"number":"01814000008","name":"Oppdiktet Gran","kommune":"9999","test":true}` + "\n"))
	f.Add([]byte(`{"number":1814000008}` + "\n{"))
	f.Add([]byte(`{"01814000008":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) { checkIntake(t, body, "ndjson") })
}

func TestWriteSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kpr")
	for _, body := range []string{"one", "two"} {
		path, err := writeSecret(dir, "x.xml", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != body {
			t.Errorf("%q, %v", got, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}
