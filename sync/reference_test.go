package sync_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flette/store"
	"flette/sync"
)

func orgRow(line int, number string, types ...string) sync.ReferenceInput {
	return sync.ReferenceInput{Line: line, ReferenceRow: store.ReferenceRow{Number: number, Types: types}}
}

func kommuneRow(line int, number, from, to, successor string) sync.ReferenceInput {
	return sync.ReferenceInput{Line: line, ReferenceRow: store.ReferenceRow{Number: number, From: from, To: to, Successor: successor}}
}

// R3, R70: a list is taken over whole or not at all, twice is once, and what counted before stays.
func TestReferenceLists(t *testing.T) {
	w := newWorld(t, 0)
	src := sync.ReferenceSource{Name: store.OrgNumbersOf("2026"), SHA256: "aa", By: "cli/ola"}
	one := []sync.ReferenceInput{orgRow(2, "312345676", "15", "01", "1"), orgRow(3, "310000019", "21")}
	if done, err := w.e.CheckReference(t.Context(), w.tenant, src, one); err != nil || done.New != 2 || done.Seq != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if lists := w.lists(); len(lists) != 0 {
		t.Fatalf("a check stored %+v", lists)
	}
	for i := range 2 {
		done, err := w.e.ImportReference(t.Context(), w.tenant, src, one)
		if err != nil || done.New != 2-2*i || done.Same != 2*i || done.Seq != 1 {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	src.SHA256 = "bb"
	two := []sync.ReferenceInput{orgRow(2, "310000019", "21", "20"), orgRow(3, "315555558", "15")}
	done, err := w.e.ImportReference(t.Context(), w.tenant, src, two)
	if err != nil || done.New != 1 || done.Changed != 1 || done.Gone != 1 || done.Seq != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	kommuner := sync.ReferenceSource{Name: store.Municipalities, SHA256: "cc", By: "cli/ola"}
	if _, err := w.e.ImportReference(t.Context(), w.tenant, kommuner, []sync.ReferenceInput{
		kommuneRow(2, "3207", "2024-01-01", "", ""), kommuneRow(3, "0217", "", "2019-12-31", "3020"), kommuneRow(4, "3020", "2020-01-01", "2023-12-31", "3207"),
	}); err != nil {
		t.Fatal(err)
	}
	if got := w.lists(); !slices.Equal(got, []string{"kommune 3 3 cc", "organisasjonsnummer 2026 1 2 aa", "organisasjonsnummer 2026 2 2 bb"}) {
		t.Fatal(got)
	}
	w.view(func(v store.View) error {
		list, _, err := store.NewestList(v, src.Name)
		if err != nil {
			return err
		}
		for number, want := range map[string]string{"310000019": "[20 21]", "312345676": "", "315555558": "[15]"} {
			rows, err := store.RowsOf(v, list.Seq, number)
			if err != nil || (len(rows) == 1) != (want != "") || want != "" && fmt.Sprint(rows[0].Types) != want {
				t.Errorf("%s: %+v, %v", number, rows, err)
			}
		}
		if rows, err := store.RowsOf(v, 1, "312345676"); err != nil || len(rows) != 1 || fmt.Sprint(rows[0].Types) != "[1 15]" {
			t.Errorf("the list before: %+v, %v", rows, err)
		}
		m, err := store.MunicipalityOf(v, "0217")
		if err != nil || !m.Existed("1950-01-01", "1950-12-31") || m.Existed("2020-01-01", "2020-12-31") || m.Next() != "3020" {
			t.Errorf("0217: %+v, %v", m, err)
		}
		return nil
	})
	if r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil); err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
}

func (w *world) lists() (out []string) {
	w.view(func(v store.View) error {
		all, err := store.List[store.ReferenceList](v, "", "", 0)
		for _, l := range all {
			out = append(out, fmt.Sprintf("%s %d %d %s", l.Name, l.Seq, l.Rows, l.SHA256))
		}
		return err
	})
	return out
}

// Verify sees a row that was changed, taken away or put in.
func TestVerifyOfReferenceLists(t *testing.T) {
	row := store.ReferenceRow{List: 1, Number: "312345676", Types: []string{"15"}}
	other, stray, list := row, store.ReferenceRow{List: 7, Number: "310000019"}, store.ReferenceList{Name: "x"}
	other.Types = []string{"1"}
	more := stray
	more.List = 1
	put := func(d store.Doc) func(store.Tx) error { return func(tx store.Tx) error { return store.Put(tx, d) } }
	take := func(d store.Doc) func(store.Tx) error { return func(tx store.Tx) error { return store.Delete(tx, d) } }
	for _, c := range []struct {
		name         string
		change, undo func(store.Tx) error
	}{
		{"changed", put(other), put(row)}, {"gone", take(row), put(row)}, {"put in", put(more), take(more)}, {"of no list", put(stray), take(stray)},
		{"without a number", put(list), take(list)},
	} {
		w := newWorld(t, 0)
		src := sync.ReferenceSource{Name: store.OrgNumbersOf("2026")}
		if _, err := w.e.ImportReference(t.Context(), w.tenant, src, []sync.ReferenceInput{{Line: 2, ReferenceRow: row}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.st.Update(t.Context(), w.tenant, nil, c.change); err != nil {
			t.Fatal(err)
		}
		if r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil); err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "reference list") {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		// The same file again puts a sound list in the place of a damaged one.
		done, err := w.e.ImportReference(t.Context(), w.tenant, src, []sync.ReferenceInput{{Line: 2, ReferenceRow: row}})
		if damaged := c.name == "changed" || c.name == "gone" || c.name == "put in"; err != nil || damaged != (done.Seq == 2) {
			t.Errorf("%s, imported again: %+v, %v", c.name, done, err)
		}
		if _, err := w.st.Update(t.Context(), w.tenant, nil, c.undo); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReferenceProblems(t *testing.T) {
	w := newWorld(t, 0)
	for _, c := range []struct {
		name, list string
		in         []sync.ReferenceInput
		want       string
	}{
		{"control digit", "organisasjonsnummer 2026", []sync.ReferenceInput{orgRow(2, "312345675", "15")}, "line 2: id-checksum at /number"},
		{"no types", "organisasjonsnummer 2026", []sync.ReferenceInput{orgRow(2, "312345676")}, "line 2: missing-value at /types"},
		{"coercion", "organisasjonsnummer 2026", []sync.ReferenceInput{orgRow(2, "312345676", "14")}, "line 2: unknown-service-type at /types"},
		{"code 10", "organisasjonsnummer 2026", []sync.ReferenceInput{orgRow(2, "312345676", "10")}, "line 2: unknown-service-type at /types"},
		{"twice", "organisasjonsnummer 2026", []sync.ReferenceInput{orgRow(2, "312345676", "15"), orgRow(3, "312345676", "1")}, "line 3: duplicate-number at /number"},
		{"three digits", "kommune", []sync.ReferenceInput{kommuneRow(2, "301", "", "", "")}, "line 2: id-length at /number"},
		{"special", "kommune", []sync.ReferenceInput{kommuneRow(2, "9999", "", "", "")}, "line 2: special-number at /number"},
		{"ends first", "kommune", []sync.ReferenceInput{kommuneRow(2, "0301", "2020-01-01", "2019-12-31", "")}, "line 2: dates-out-of-order at /to"},
		{"impossible day", "kommune", []sync.ReferenceInput{kommuneRow(2, "0301", "2020-02-30", "", "")}, "line 2: invalid-date at /from"},
		{"overlap", "kommune", []sync.ReferenceInput{kommuneRow(2, "0301", "2020-01-01", "", ""), kommuneRow(3, "0301", "", "2020-01-01", "")}, "line 3: periods-overlap at /from"},
		{"successor of what goes on", "kommune", []sync.ReferenceInput{kommuneRow(2, "0301", "", "", "0302"), kommuneRow(3, "0302", "", "", "")}, "line 2: missing-value at /to"},
		{"successor nowhere", "kommune", []sync.ReferenceInput{kommuneRow(2, "0301", "", "2020-01-01", "0302")}, "line 2: unknown-successor at /successor"},
	} {
		_, err := w.e.ImportReference(t.Context(), w.tenant, sync.ReferenceSource{Name: c.list}, c.in)
		if msg := lines(t, err); !strings.HasPrefix(msg, c.want) || strings.Contains(msg, "\n") {
			t.Errorf("%s: %s", c.name, msg)
		}
	}
	if got := w.lists(); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
}

// Whatever lists are imported one after the other, in whatever order of lines: the newest counts
// for each name, the counts add up, and verify agrees.
func TestAnyReferenceLists(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 0)
		numbers := []string{"312345676", "310000019", "315555558", "311111116"}
		want := map[string]map[string]string{}
		for range rapid.IntRange(1, 5).Draw(rt, "imports") {
			name := store.OrgNumbersOf(rapid.SampledFrom([]string{"2025", "2026"}).Draw(rt, "year"))
			now := map[string]string{}
			var in []sync.ReferenceInput
			for i, n := range rapid.Permutation(numbers).Draw(rt, "numbers")[:rapid.IntRange(1, 4).Draw(rt, "n")] {
				now[n] = rapid.SampledFrom([]string{"1", "15", "21"}).Draw(rt, "type")
				in = append(in, orgRow(i+2, n, now[n]))
			}
			before := want[name]
			done, err := w.e.ImportReference(context.Background(), w.tenant, sync.ReferenceSource{Name: name}, in)
			if err != nil || done.New+done.Changed+done.Same != len(now) || done.Changed+done.Same+done.Gone != len(before) {
				rt.Fatalf("%+v, %v: %v after %v", done, err, now, before)
			}
			want[name] = now
		}
		w.view(func(v store.View) error {
			for name, rows := range want {
				list, ok, err := store.NewestList(v, name)
				all, err2 := store.AllRows(v, list.Seq)
				if err != nil || err2 != nil || !ok || len(all) != len(rows) {
					rt.Fatalf("%s: %+v %+v %v %v", name, list, all, err, err2)
				}
				for _, r := range all {
					if len(r.Types) != 1 || rows[r.Number] != r.Types[0] {
						rt.Fatalf("%+v, want %v", r, rows)
					}
				}
			}
			return nil
		})
		if r, err := w.e.Verify(context.Background(), w.tenant, sync.Checks{}, nil); err != nil || !r.OK() {
			rt.Fatalf("%+v, %v", r, err)
		}
	})
}
