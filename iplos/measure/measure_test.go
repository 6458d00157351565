package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"flette/iplos"
	"flette/model"
	"flette/store"
	"flette/store/bolt"

	"pgregory.net/rapid"
)

const (
	tenant = model.TenantID("testvik")
	day    = "2026-11-26"
)

type testCase struct {
	Name  string                     `json:"name"`
	Units map[string]json.RawMessage `json:"units"`
	Want  map[string]string          `json:"want"` // column by table
}

func cases(t testing.TB) (out []testCase) {
	t.Helper()
	body, err := os.ReadFile("testdata/indicators.json")
	must(t, err)
	must(t, json.Unmarshal(body, &out))
	return out
}

func caseOf(all []testCase, name string) map[string]json.RawMessage {
	return all[slices.IndexFunc(all, func(c testCase) bool { return c.Name == name })].Units
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testPerson(n int) model.PersonID {
	id, err := model.ParsePersonID(fmt.Sprintf("018f0000-0000-7000-8000-%012d", n))
	if err != nil {
		panic(err)
	}
	return id
}

func open(t testing.TB) *bolt.Store {
	t.Helper()
	st, err := bolt.Open(t.TempDir(), bolt.Options{NewEpoch: func() string { return "epoch" }, InitialMmapSize: 1 << 24})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	must(t, st.CreateTenant(context.Background(), store.Tenant{ID: tenant, Name: "Testvik", Kommune: "9999", Created: 1, Format: 1}))
	return st
}

func putPerson(t testing.TB, tx store.Tx, n int, unit string, units map[string]json.RawMessage) {
	t.Helper()
	p := testPerson(n)
	must(t, store.Put(tx, store.Person{ID: p, BrukerNr: int64(n), Unit: unit}))
	for path, value := range units {
		path = strings.ReplaceAll(path, "@a", "018f0000-0000-7000-8000-00000000000a")
		path = strings.ReplaceAll(path, "@b", "018f0000-0000-7000-8000-00000000000b")
		value = json.RawMessage(strings.ReplaceAll(string(value), "@u", numbered))
		must(t, tx.PutUnit(p, &model.UnitState{Unit: model.Unit(path), Heads: []model.Head{{Value: value, Actor: "s"}}}))
	}
}

// Each case of the file, through a real store: which column of which table a person is counted
// in. Of the groups and indicators all are named, of other parts those that the case is about.
func TestIndicators(t *testing.T) {
	st := open(t)
	all := cases(t)
	_, err := st.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		must(t, store.Put(tx, store.OrgUnit{ID: numbered, OrgNumber: []store.OrgNumber{{Number: "312345676", From: "2026-01-01"}}}))
		for i, c := range all {
			putPerson(t, tx, i, "", c.Units)
		}
		return nil
	})
	must(t, err)
	must(t, st.View(context.Background(), tenant, func(v store.View) error {
		for i, c := range all {
			got, want := columnsOf(t, v, i, Options{Groups: Default(), Date: day}), map[string]string{}
			for _, g := range Default().Groups {
				if got["org_number"] != "" {
					want[g.ID] = "unknown"
				}
			}
			if got["org_number"] != "" {
				want["own_health"] = "missing"
			}
			for id, column := range c.Want {
				want[id] = column
			}
			for id, part := range parts {
				if part != PartGroups && part != PartIndicators && want[id] == "" {
					delete(got, id)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s:\n got %v\nwant %v", c.Name, got, want)
			}
		}
		return nil
	}))
}

const numbered = "018f0000-0000-7000-8000-0000000000aa" // a unit with an organisation number from 2026 on

// parts of the tables by id.
var parts = func() map[string]string {
	out := map[string]string{}
	for _, p := range populations(Options{Groups: Default(), Date: day}) {
		for i := range p.defs {
			out[p.defs[i].id] = p.defs[i].part
		}
	}
	return out
}()

// columnsOf says in which column of each table a person is counted.
func columnsOf(t *testing.T, v store.View, n int, o Options) map[string]string {
	t.Helper()
	r := &reader{v, o}
	p, err := store.Get[store.Person](v, testPerson(n).String())
	must(t, err)
	s, err := r.read(&p)
	must(t, err)
	out := map[string]string{}
	for _, pop := range populations(o) {
		if s == nil {
			continue
		}
		pop.count("", s)
		for j := range pop.defs {
			if pop.rows[""] == nil {
				continue
			}
			for k, c := range pop.rows[""].tables[j] {
				if c.persons == 1 {
					out[pop.defs[j].id] = pop.defs[j].columns[k]
				}
			}
		}
	}
	return out
}

// By hand: the north has 12 persons at home, 7 of them with many hours and 5 not; the south has
// 3, who are too few, so the next smallest, the west with 6, is counted with them.
func TestMake(t *testing.T) {
	st := open(t)
	all := cases(t)
	high, low := caseOf(all, "at home, 35:30 over two services"), caseOf(all, "at home, a minute less; one that has ended does not count")
	ids := map[string]string{}
	for i, u := range []string{"top", "north", "south", "west", "zone"} {
		ids[u] = fmt.Sprintf("018f0000-0000-7000-8000-0000000000f%d", i)
	}
	_, err := st.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		for u, parent := range map[string]string{"top": "", "north": "top", "south": "top", "west": "top", "zone": "north"} {
			must(t, store.Put(tx, store.OrgUnit{ID: ids[u], Parent: ids[parent]}))
		}
		n := 0
		for _, x := range []struct {
			unit  string
			n     int
			units map[string]json.RawMessage
		}{{"north", 4, high}, {"zone", 3, high}, {"north", 5, low}, {"south", 3, low}, {"west", 6, high}} {
			for range x.n {
				putPerson(t, tx, n, ids[x.unit], x.units)
				n++
			}
		}
		return nil
	})
	must(t, err)
	must(t, st.View(context.Background(), tenant, func(v store.View) error {
		r, err := Make(t.Context(), v, Options{Groups: Default(), Date: day, Depth: 2})
		must(t, err)
		home := tableOf(r, "home_high")
		// 3 in the rest are hidden, so the 6 beside them, and both of the row or the sum that close the circle.
		if want := []string{"", ids["north"]}; !slices.Equal(home.Units, want) {
			t.Errorf("units %v, want %v", home.Units, want)
		}
		if got, want := fmt.Sprint(home.Rows, home.Totals, home.Sum), "[[-1 -1 0] [-1 -1 0]] [9 12] [13 8 0]"; got != want {
			t.Errorf("at home: %s, want %s", got, want)
		}
		one, err := Make(t.Context(), v, Options{Groups: Default(), Date: day, Depth: 1})
		must(t, err)
		home = tableOf(one, "home_high")
		if got, want := fmt.Sprint(home.Units, home.Rows), fmt.Sprintf("[%s] [[13 8 0]]", ids["top"]); got != want {
			t.Errorf("level 1: %s, want %s", got, want)
		}
		for _, bad := range []struct {
			day, code string
			depth     int
		}{{day, "invalid-depth", 0}, {day, "invalid-depth", 4}, {"26.11.2026", "invalid-date", 1}} {
			_, err := Make(t.Context(), v, Options{Groups: Default(), Date: bad.day, Depth: bad.depth})
			if p := (*model.Problem)(nil); !errors.As(err, &p) || p.Code != bad.code {
				t.Errorf("%v: %v", bad, err)
			}
		}
		return nil
	}))
}

func tableOf(r Report, id string) Table {
	return r.Tables[slices.IndexFunc(r.Tables, func(t Table) bool { return t.ID == id })]
}

// R79: a municipality with fewer persons than are shown is shown nothing.
func TestTooFew(t *testing.T) {
	o := Options{Groups: Default(), Date: day, Depth: 1}
	all := populations(o)
	for range Smallest - 1 {
		all[0].count("north", &subject{running: []*iplos.Service{{}}})
	}
	_, err := made(o, all)
	if p := (*model.Problem)(nil); !errors.As(err, &p) || p.Code != "too-few-persons" {
		t.Error(err)
	}
}

// R79: no hidden count can be computed from what is shown, not even by one who knows that no
// count is negative: no equation fixes a hidden count, and as none of them is 0 each can be one more or less.
func TestNothingHiddenCanBeComputed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(2, 5).Draw(t, "columns")
		var rows [][]int
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			row := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 8), rapid.Just(0), rapid.IntRange(0, 60)), columns, columns).Draw(t, "row")
			sum := 0
			for _, n := range row {
				sum += n
			}
			if sum > 0 && sum < Smallest {
				row[0] += Smallest
			}
			rows = append(rows, row)
		}
		truth := [][]int{}
		for _, r := range rows {
			truth = append(truth, slices.Clone(r))
		}
		table := Table{Columns: make([]string, columns), Rows: rows}
		table.suppress()
		sums := make([]int, columns)
		for _, r := range truth {
			for c, n := range r {
				sums[c] += n
			}
		}
		shownRows, trueRows := append(slices.Clone(table.Rows), table.Sum), append(slices.Clone(truth), sums)
		known := fixed(shownRows)
		for r, row := range shownRows {
			for c, n := range row {
				switch {
				case n == Hidden && (known[[2]int{r, c}] || trueRows[r][c] == 0):
					t.Fatalf("row %d column %d can be computed:\nshown %v\n true %v", r, c, shownRows, trueRows)
				case n != Hidden && n != trueRows[r][c]:
					t.Fatalf("row %d column %d shows %d for %d", r, c, n, trueRows[r][c])
				case n > 0 && n < Smallest:
					t.Fatalf("row %d column %d shows %d", r, c, n)
				}
			}
		}
	})
}

// fixed solves the equations that a reader has, one for each row and each column with hidden
// counts, by elimination modulo a prime: a hidden count is fixed when an equation is left that
// holds it alone.
func fixed(shown [][]int) map[[2]int]bool {
	const prime = 1_000_003
	var cells [][2]int
	for r := range shown {
		for c := range shown[r] {
			if shown[r][c] == Hidden {
				cells = append(cells, [2]int{r, c})
			}
		}
	}
	equations := make([][]int, len(shown)+len(shown[0]))
	for i := range equations {
		equations[i] = make([]int, len(cells))
		for k, cell := range cells {
			switch {
			case cell[0] == i || i >= len(shown) && cell[1] == i-len(shown) && cell[0] < len(shown)-1:
				equations[i][k] = 1
			case cell[1] == i-len(shown):
				equations[i][k] = prime - 1 // the sum of the column
			}
		}
	}
	inverse := func(n int) int {
		out := 1
		for e := prime - 2; e > 0; e /= 2 {
			if e%2 == 1 {
				out = out * n % prime
			}
			n = n * n % prime
		}
		return out
	}
	done := 0
	for k := range cells {
		at := slices.IndexFunc(equations[done:], func(e []int) bool { return e[k] != 0 })
		if at < 0 {
			continue
		}
		equations[done], equations[done+at] = equations[done+at], equations[done]
		for i, by := 0, inverse(equations[done][k]); i < len(cells); i++ {
			equations[done][i] = equations[done][i] * by % prime
		}
		for j := range equations {
			if factor := equations[j][k]; j != done && factor != 0 {
				for i := range cells {
					equations[j][i] = (equations[j][i] + (prime-factor)*equations[done][i]) % prime
				}
			}
		}
		done++
	}
	out := map[[2]int]bool{}
	for _, e := range equations {
		var left [][2]int
		for k, n := range e {
			if n != 0 {
				left = append(left, cells[k])
			}
		}
		if len(left) == 1 {
			out[left[0]] = true
		}
	}
	return out
}

// BenchmarkMake counts persons/s over a store with 1000 persons.
func BenchmarkMake(b *testing.B) {
	st := open(b)
	all := cases(b)
	_, err := st.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		for n := range 1000 {
			putPerson(b, tx, n, "", all[n%len(all)].Units)
		}
		return nil
	})
	must(b, err)
	for b.Loop() {
		must(b, st.View(context.Background(), tenant, func(v store.View) error {
			_, err := Make(b.Context(), v, Options{Groups: Default(), Date: day, Depth: 1})
			return err
		}))
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "persons/s")
}
