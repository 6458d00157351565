package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"flette/iplos"
	"flette/model"
	"flette/store"

	"pgregory.net/rapid"
)

// R79: no mean of 1 to 4 persons is shown, and none can be computed from the others and the means
// of all, even by one who knows how many persons are behind each.
func TestNoHiddenMeanCanBeComputed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(2, 5).Draw(t, "columns")
		var cells [][]cell
		var truth [][]int
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			row, sum := make([]cell, columns), cell{}
			for c := range row {
				n := rapid.OneOf(rapid.IntRange(0, 8), rapid.Just(0), rapid.IntRange(0, 60)).Draw(t, "persons")
				with := rapid.OneOf(rapid.Just(n), rapid.IntRange(0, n)).Draw(t, "with hours")
				row[c] = cell{n, with, with * rapid.IntRange(1, 6000).Draw(t, "minutes")}
				sum.add(row[c])
			}
			// As after folding: no total of a row is small.
			if sum.persons > 0 && sum.persons < Smallest || sum.hours > 0 && sum.hours < Smallest {
				row[0].add(cell{Smallest, Smallest, 100 * Smallest})
			}
			cells, truth = append(cells, row), append(truth, nil)
			for _, c := range row {
				truth[len(truth)-1] = append(truth[len(truth)-1], c.persons)
			}
		}
		table := Table{Columns: make([]string, columns), Rows: truth}
		table.suppress()
		means := table.means(cells)
		sums := make([]cell, columns)
		for _, row := range cells {
			for c := range row {
				sums[c].add(row[c])
			}
		}
		var shown [][]int // as fixed reads it: what is not hidden is known
		counts := append(slices.Clone(table.Rows), table.Sum)
		all := append(slices.Clone(cells), sums)
		for r, row := range append(slices.Clone(means.Rows), means.Sum) {
			line := make([]int, columns)
			for c, m := range row {
				switch {
				case all[r][c].hours == 0:
					line[c] = 0 // even if it were known
				case m == Hidden:
					line[c] = Hidden
				case all[r][c].hours < Smallest:
					t.Fatalf("row %d column %d shows the mean of %d", r, c, all[r][c].hours)
				case counts[r][c] == Hidden:
					t.Fatalf("row %d column %d shows the mean of a hidden count", r, c)
				case math.Abs(m*60*float64(all[r][c].hours)-float64(all[r][c].minutes)) > 3.001*float64(all[r][c].hours):
					t.Fatalf("row %d column %d shows %v for %+v", r, c, m, all[r][c])
				}
			}
			shown = append(shown, line)
		}
		for at := range fixed(shown) {
			if n := all[at[0]][at[1]].hours; shown[at[0]][at[1]] == Hidden && n < Smallest {
				t.Fatalf("row %d column %d, the mean of %d, can be computed:\nshown %v\ntruth %v", at[0], at[1], n, means, all)
			}
		}
	})
}

// By hand: in the north 6 persons of low need have 2 h, 5 of high 40 h; one at home has no hours and counts in no
// mean. In the south 3 have hours, who are too few to be shown by themselves.
func TestMeans(t *testing.T) {
	st := open(t)
	home := func(minutes, score int) map[string]json.RawMessage {
		out := map[string]json.RawMessage{
			"service/@a": json.RawMessage(`{"type":"15"}`), "service/@a/start": json.RawMessage(`{"date":"2026-01-01"}`),
			"score/assist_memory": json.RawMessage(fmt.Sprintf(`{"score":%d}`, score)),
		}
		if minutes > 0 {
			out["service/@a/grant"] = json.RawMessage(fmt.Sprintf(`{"date":"2026-01-01","minutes_per_week":%d}`, minutes))
		}
		return out
	}
	north, south := "018f0000-0000-7000-8000-0000000000f1", "018f0000-0000-7000-8000-0000000000f2"
	_, err := st.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		must(t, store.Put(tx, store.OrgUnit{ID: north}))
		must(t, store.Put(tx, store.OrgUnit{ID: south}))
		n := 0
		for _, x := range []struct {
			unit                string
			n, minutes, scoring int
		}{{north, 6, 120, 2}, {north, 5, 2400, 5}, {north, 1, 0, 2}, {south, 3, 600, 2}, {south, 9, 0, 2}} {
			for range x.n {
				putPerson(t, tx, n, x.unit, home(x.minutes, x.scoring))
				n++
			}
		}
		return nil
	})
	must(t, err)
	must(t, st.View(context.Background(), tenant, func(v store.View) error {
		r, err := Make(t.Context(), v, Options{Groups: Default(), Date: day, Depth: 1})
		must(t, err)
		got := tableOf(r, "cognitive")
		// All are folded into one: the 3 of the south must not follow from all and the north.
		if want := fmt.Sprint([]string{""}); fmt.Sprint(got.Units) != want {
			t.Fatalf("units %v", got.Units)
		}
		// low: (6*120 + 3*600) / 9 / 60 = 4.7; high 40; all: (720 + 12000 + 1800) / 14 / 60 = 17.3
		if s := fmt.Sprintf("%v %v %v", got.Rows, got.Hours.Rows, got.Hours.All); s != "[[19 0 5 0]] [[4.7 -1 40 -1]] 17.3" {
			t.Error(s)
		}
		if h := tableOf(r, "home_high").Hours; h != nil {
			t.Errorf("means where none are asked: %v", h)
		}
		return nil
	}))
}

// With dates of birth the indicators of residents are those of 67 and above; who is 67 on the
// day is one of them, and who has no known date is not. The doctor is asked for all.
func TestAges(t *testing.T) {
	st := open(t)
	long := caseOf(cases(t), "nothing registered on a long stay")
	born := []string{"1959-11-26", "1959-11-27", "", "1920-02-29"}
	_, err := st.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		for i := range born {
			putPerson(t, tx, i, "", long)
		}
		return nil
	})
	must(t, err)
	o := Options{Groups: Default(), Date: day, Born: func(p *store.Person) string { return born[p.BrukerNr] }}
	must(t, st.View(context.Background(), tenant, func(v store.View) error {
		for i, want := range []string{"unknown", "", "", "unknown"} {
			got := columnsOf(t, v, i, o)
			if got["nutrition"] != want || got["medication_review"] != want || got["doctor"] != "unknown" {
				t.Errorf("born %q: %v", born[i], got)
			}
		}
		return nil
	}))
	all := populations(o)
	for range Smallest {
		all[0].count("u", &subject{running: nil, kind: kindLong})
	}
	if len(all[0].rows) != 0 {
		t.Error("somebody without a service on the day is counted")
	}
}

// A grouping from a file, and what is said against it.
func TestParseGroups(t *testing.T) {
	d := Default()
	if d.From != BuiltIn || len(d.SHA256) != 64 || !d.Provisional {
		t.Errorf("%+v", d)
	}
	body, err := os.ReadFile("testdata/groups.json")
	must(t, err)
	var all []struct{ Name, File, Pointer, Detail string }
	must(t, json.Unmarshal(body, &all))
	for _, c := range all {
		g, err := ParseGroups([]byte(c.File), "reports/x.json")
		if c.Detail == "" {
			if err != nil || g.From != "reports/x.json" {
				t.Errorf("%s: %v %+v", c.Name, err, g)
			}
			continue
		}
		p := (*model.Problem)(nil)
		if !errors.As(err, &p) || p.Code != "report-groups" || p.Pointer != c.Pointer || p.Detail != c.Detail {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// A group of one variable tells 9 from missing, and the variable has no second table.
func TestVariableAloneInAGroup(t *testing.T) {
	for _, g := range Default().Groups {
		for _, name := range g.Scores {
			if _, has := parts[name]; has == (len(g.Scores) == 1) {
				t.Errorf("%s of group %s has a table: %v", name, g.ID, has)
			}
		}
	}
}

// R79 over whole reports of random municipalities: no count of 1 to 4 is shown in any table, and none follows
// from the totals of rows, which say how many persons of which kind a unit has; no mean is of fewer than 5.
func TestReportShowsNoSmallCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Groups: Default(), Date: day, Depth: 1, Section: noSection}
		if rapid.Bool().Draw(t, "ages") {
			o.Born = func(*store.Person) string { return "" }
		}
		all := populations(o)
		for _, unit := range []string{"", "a", "b", "c"} {
			granted := rapid.SampledFrom([][]int{{0, 60, 3000}, {0, 0, 0, 0, 0, 60}}).Draw(t, "granted")
			for range rapid.IntRange(0, 30).Draw(t, "persons") {
				s := &subject{day: day, scores: map[string]int{}, has: map[model.Unit]bool{}, stays: map[string]stayed{}}
				if rapid.IntRange(0, 9).Draw(t, "running") > 0 {
					s.running = []*iplos.Service{{}}
				}
				s.kind = rapid.SampledFrom([]int{kindHome, kindHome, kindShort, kindLong}).Draw(t, "kind")
				if o.Born != nil && s.institution() && rapid.Bool().Draw(t, "young") {
					s.kind += kindShortYoung - kindShort
				}
				if s.kind == kindHome {
					s.minutes = rapid.SampledFrom(granted).Draw(t, "minutes")
				}
				for _, name := range []string{"assist_own_health", "assist_memory", "assist_eating"} {
					s.scores[name] = rapid.SampledFrom([]int{0, 1, 3, 5, 9}).Draw(t, name)
				}
				if rapid.Bool().Draw(t, "stayed") {
					s.stays["stays_rehab"] = stayed(rapid.IntRange(0, 5).Draw(t, "stay"))
				}
				for _, p := range all {
					p.count(unit, s)
				}
			}
		}
		r, err := made(o, all)
		if err != nil {
			return
		}
		for i := range r.Tables {
			checkTable(t, all, &r.Tables[i])
		}
		totals := func(id string) []int { return tableOf(r, id).Totals }
		for u := range totals("self_care") {
			persons, home, old, long, longOld := totals("self_care")[u], totals("home_high")[u], totals("nutrition")[u], totals("doctor")[u], totals("medication_review")[u]
			stays := persons - home
			for what, n := range map[string]int{
				"stays": stays, "under 67": stays - old, "long": long, "short": stays - long, "long, under 67": long - longOld,
				"short, 67": old - longOld, "short, under 67": stays - old - (long - longOld),
			} {
				if n != 0 && n < Smallest {
					t.Fatalf("unit %d has %d persons: %s", u, n, what)
				}
			}
		}
	})
}

func checkTable(t *rapid.T, all []*population, table *Table) {
	rows := append(append([][]int{}, table.Rows...), table.Sum, table.Totals)
	for _, row := range rows {
		for _, n := range row {
			if n > 0 && n < Smallest {
				t.Fatalf("%s shows %d", table.ID, n)
			}
		}
	}
	if table.Hours == nil {
		return
	}
	for i := range all[0].defs {
		if all[0].defs[i].id != table.ID {
			continue
		}
		for r, u := range table.Units {
			with := 0
			for c, x := range all[0].rows[u].tables[i] {
				with += x.hours
				if table.Hours.Rows[r][c] != Hidden && x.hours < Smallest {
					t.Fatalf("%s shows a mean of %d", table.ID, x.hours)
				}
			}
			if table.Hours.Totals[r] != Hidden && with < Smallest {
				t.Fatalf("%s shows a mean of %d in all", table.ID, with)
			}
		}
	}
}
