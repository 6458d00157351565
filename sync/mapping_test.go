package sync_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flette/model/catalogue"
	"flette/store"
	"flette/sync"
)

// R104: of the lines that cover a day the newest counts, an older one keeps its other days, and
// nothing is ever changed.
func TestMappingOfLocalServices(t *testing.T) {
	w := newWorld(t, 0)
	load := func(in ...sync.MappingInput) sync.Imported {
		t.Helper()
		for i := range in {
			in[i].Line = i + 2
		}
		done, err := w.e.ImportMapping(t.Context(), w.tenant, in, "anne")
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	code := func(local, day string) (code string) {
		t.Helper()
		w.view(func(v store.View) (err error) {
			code, err = store.LocalServiceAt(v, local, day)
			return err
		})
		return code
	}
	if done := load(sync.MappingInput{Local: "Hjemmekonsulent", Code: "02", From: "2020-01-01"}, sync.MappingInput{Local: "Bo", Code: "12"}, sync.MappingInput{Local: "Bo", Code: "29"}); done.New != 2 || done.Changed != 1 {
		t.Errorf("%+v", done)
	}
	load(sync.MappingInput{Local: "Hjemmekonsulent", Code: "15", From: "2026-01-01", To: "2026-06-30"})
	for _, c := range []struct{ local, day, want string }{
		{"Hjemmekonsulent", "2019-12-31", ""}, {"Hjemmekonsulent", "2020-01-01", "2"}, {"Hjemmekonsulent", "2025-12-31", "2"},
		{"Hjemmekonsulent", "2026-01-01", "15"}, {"Hjemmekonsulent", "2026-06-30", "15"}, {"Hjemmekonsulent", "2026-07-01", "2"},
		{"Hjemme", "2026-01-01", ""}, {"Bo", "2018-12-31", "12"}, {"Bo", "2019-01-01", "29"}, {"Bo", "2006-02-28", ""},
	} {
		if got := code(c.local, c.day); got != c.want {
			t.Errorf("%s on %s is %q, want %q", c.local, c.day, got, c.want)
		}
	}
	load(sync.MappingInput{Local: "Hjemmekonsulent", Code: sync.NoCode, From: "2027-01-01"})
	if got := code("Hjemmekonsulent", "2027-01-01"); got != "" {
		t.Errorf("taken away, and still %q", got)
	}
	w.view(func(v store.View) error {
		lines, err := store.List[store.LocalService](v, "Hjemmekonsulent\n", "", 0)
		if len(lines) != 3 || lines[0].Code != "2" || lines[0].By != "anne" || lines[0].At != w.now || !slices.IsSortedFunc(lines, func(a, b store.LocalService) int { return int(a.Seq - b.Seq) }) {
			t.Errorf("lines %+v", lines)
		}
		return err
	})
}

func TestMappingThatCannotBe(t *testing.T) {
	w := newWorld(t, 0)
	in := []sync.MappingInput{
		{Local: "A", Code: "10"}, {Local: "B", Code: "23"}, {Local: "C", Code: "13", To: "2019-01-01"}, {Local: "D", Code: "29", From: "2018-12-31"},
		{Local: "", Code: "1"}, {Local: strings.Repeat("æ", 201), Code: "1"}, {Local: "E", Code: "1", From: "2026-02-30"},
		{Local: "F", Code: "1", From: "2026-02-01", To: "2026-01-01"}, {Local: "G", Code: "1"}, {Local: "G", Code: "2"}, {Local: "fine", Code: "1"}, {Local: "H\nI", Code: "1"},
	}
	for i := range in {
		in[i].Line = i + 2
	}
	_, err := w.e.ImportMapping(t.Context(), w.tenant, in, "anne")
	msg := lines(t, err)
	for i, want := range []string{"unknown-code", "unknown-code", "not-valid-then", "not-valid-then", "invalid-member", "invalid-member", "invalid-date", "dates-out-of-order", "", "periods-overlap", "", "invalid-member"} {
		if has := strings.Contains(msg, fmt.Sprintf("line %d: %s", i+2, want)); has != (want != "") {
			t.Errorf("line %d: want %q in\n%s", i+2, want, msg)
		}
	}
	w.view(func(v store.View) error {
		used, err := store.MapsServices(v)
		if used {
			t.Error("a part of a bad file was stored")
		}
		return err
	})
}

// A second import of the same file changes nothing, and a check stores nothing and counts the same.
func TestMappingAgain(t *testing.T) {
	w := newWorld(t, 0)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		var in []sync.MappingInput
		for i := range rapid.IntRange(1, 5).Draw(t, "lines") {
			day := rapid.SampledFrom([]string{"", "2010-01-01", "2018-12-31", "2019-01-01", "2026-01-01"})
			in = append(in, sync.MappingInput{
				Line: i + 2, Local: fmt.Sprint(n, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "local")),
				Code: rapid.SampledFrom([]string{"1", "15", "12", "29", sync.NoCode}).Draw(t, "code"), From: day.Draw(t, "from"), To: day.Draw(t, "to"),
			})
		}
		plan, planErr := w.e.CheckMapping(context.Background(), w.tenant, in)
		done, err := w.e.ImportMapping(context.Background(), w.tenant, in, "anne")
		if (err == nil) != (planErr == nil) || done.New != plan.New || done.Changed != plan.Changed || done.Same != plan.Same {
			t.Fatalf("checked %+v %v, done %+v %v", plan, planErr, done, err)
		}
		if err != nil {
			return
		}
		again, err := w.e.ImportMapping(context.Background(), w.tenant, in, "anne")
		if err != nil || again.Same != len(in) {
			t.Fatalf("again: %+v, %v", again, err)
		}
	})
}

// Every registration has the version of the catalogue that judged it, also over an upgrade.
func TestCatalogueOfEveryEntry(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	one := a.score(p, memory, 1)
	want(t, a.push(one), "applied")
	two := a.score(p, memory, 2, one.id)
	want(t, a.push(two), "applied")
	newer := *catalogue.Default()
	newer.Version = "2027-01-01.1"
	w.restart(sync.Options{Catalogue: &newer})
	want(t, a.push(a.score(p, memory, 9, two.id), a.score(p, "score/no_such_thing", 2)), "applied", "quarantined unknown-unit")
	w.view(func(v store.View) error {
		uses, err := store.List[store.CatalogueUse](v, "", "", 0)
		var got []string
		for at := range v.Size() {
			got = append(got, store.CatalogueAt(uses, at))
		}
		was := catalogue.Default().Version
		if wants := []string{was, was, newer.Version, newer.Version}; !slices.Equal(got, wants) {
			t.Errorf("versions %v, want %v", got, wants)
		}
		return err
	})
}

// Verify finds a note or a line that nobody can have written.
func TestVerifyReadsNotesAndMapping(t *testing.T) {
	for name, damage := range map[string]store.Doc{
		"note beyond the journal": store.CatalogueUse{From: 99, Version: "2027-01-01.1"},
		"note without a version":  store.CatalogueUse{From: 0},
		"note again":              store.CatalogueUse{From: 1, Version: catalogue.Default().Version},
		"line twice":              store.LocalService{Local: "B", Seq: 1, Code: "1", From: "2020-01-01"},
		"line to nowhere":         store.LocalService{Local: "B", Seq: 2, Code: "10", From: "2020-01-01"},
		"line out of order":       store.LocalService{Local: "B", Seq: 2, Code: "1", From: "2020-01-01", To: "2019-01-01"},
	} {
		w := newWorld(t, 1)
		a := w.nurse("anne")
		one := a.score(w.persons[0], memory, 1)
		want(t, a.push(one, a.score(w.persons[0], memory, 2, one.id)), "applied", "applied")
		if _, err := w.e.ImportMapping(t.Context(), w.tenant, []sync.MappingInput{{Line: 2, Local: "A", Code: "1"}}, "anne"); err != nil {
			t.Fatal(err)
		}
		w.mustVerify()
		w.tampered = true
		if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error { return store.Put(tx, damage) }); err != nil {
			t.Fatal(err)
		}
		r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil)
		if err != nil || len(r.Problems) != 1 {
			t.Errorf("%s: %v, %v", name, r.Problems, err)
		}
	}
}
