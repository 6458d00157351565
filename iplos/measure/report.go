package measure

import (
	"cmp"
	"slices"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Report is what is counted of a municipality on a day: services that run on it, and the rest
// of the record as it is now.
type Report struct {
	Date        string   `json:"date"` // YYYY-MM-DD
	Depth       int      `json:"depth"`
	Provisional bool     `json:"provisional"` // the grouping of functions is not the official one
	Source      string   `json:"source"`
	Smallest    int      `json:"smallest"`
	Units       []string `json:"units"` // ids; "" for all that are too small to be shown and persons of no unit
	Tables      []Table  `json:"tables"`
}

// MaxDepth is the number of levels of a local structure (R78).
const MaxDepth = 3

// counts of one row.
type counts struct {
	kinds  [kinds]int
	tables [][]int
}

func (c *counts) add(o *counts) {
	for i, n := range o.kinds {
		c.kinds[i] += n
	}
	for i, t := range o.tables {
		for j, n := range t {
			c.tables[i][j] += n
		}
	}
}

// small reports whether the totals of the row would show fewer than Smallest persons.
func (c *counts) small() bool {
	return slices.ContainsFunc(c.kinds[:], func(n int) bool { return n > 0 && n < Smallest })
}

func (c *counts) total() (n int) {
	for _, k := range c.kinds {
		n += k
	}
	return n
}

type tally struct {
	groups Groups
	day    catalogue.Date
	rows   map[string]*counts
}

func (t *tally) tables() (out []Table) {
	for _, g := range t.groups.Groups {
		out = append(out, Table{ID: g.ID, NB: g.NB, EN: g.EN, Columns: levelNames})
	}
	for _, i := range indicators {
		out = append(out, Table{ID: i.id, NB: i.nb, EN: i.en, Columns: i.columns})
	}
	return out
}

func (t *tally) row(unit string) *counts {
	c := t.rows[unit]
	if c == nil {
		c = &counts{}
		for _, table := range t.tables() {
			c.tables = append(c.tables, make([]int, len(table.Columns)))
		}
		t.rows[unit] = c
	}
	return c
}

func (t *tally) count(unit string, s *subject) {
	c := t.row(unit)
	c.kinds[s.kind]++
	for i, g := range t.groups.Groups {
		var scores []int
		for _, name := range g.Scores {
			scores = append(scores, s.scores[name])
		}
		c.tables[i][t.groups.Level(scores)]++
	}
	for i, indicator := range indicators {
		if column := indicator.of(s, t.day); column >= 0 {
			c.tables[len(t.groups.Groups)+i][column]++
		}
	}
}

// fold puts units that are too small together, under "", with the smallest of the others as
// long as that is too small itself. One way of folding for all tables: else the difference of
// two would show what neither does.
func (t *tally) fold() {
	units := t.units()
	slices.SortStableFunc(units, func(a, b string) int { return cmp.Compare(t.rows[a].total(), t.rows[b].total()) })
	for _, u := range units {
		if u != "" && t.rows[u].small() {
			t.row("").add(t.rows[u])
			delete(t.rows, u)
		}
	}
	for _, u := range units {
		if rest := t.rows[""]; rest == nil || !rest.small() {
			return
		}
		if c := t.rows[u]; u != "" && c != nil {
			t.row("").add(c)
			delete(t.rows, u)
		}
	}
}

func (t *tally) units() []string {
	var out []string
	for u := range t.rows {
		out = append(out, u)
	}
	slices.Sort(out)
	return out
}

func (t *tally) report(depth int) (Report, error) {
	t.fold()
	out := Report{
		Date: string(t.day), Depth: depth, Provisional: t.groups.Provisional, Source: t.groups.Source,
		Smallest: Smallest, Units: t.units(), Tables: t.tables(),
	}
	for _, u := range out.Units {
		if t.rows[u].small() {
			return Report{}, &model.Problem{Code: "too-few-persons", Detail: "too few persons have a service for a report that shows none of them; nothing is shown"}
		}
		for i := range out.Tables {
			out.Tables[i].Rows = append(out.Tables[i].Rows, t.rows[u].tables[i])
		}
	}
	for i := range out.Tables {
		out.Tables[i].suppress()
	}
	return out, nil
}

// Make counts the persons with a service on a day by the units of the depth-th level of the
// unit tree, 1 for those without a parent. A person of a unit above that level counts there.
// It holds one person at a time. A *model.Problem with code "invalid-depth", "invalid-date" or
// "too-few-persons"; else errors of the store.
func Make(v store.View, groups Groups, day string, depth int) (Report, error) {
	if depth < 1 || depth > MaxDepth {
		return Report{}, &model.Problem{Code: "invalid-depth", Detail: "a report is made for level 1, 2 or 3 of the organisation (R78)"}
	}
	if d := catalogue.Date(day); d.Time().IsZero() {
		return Report{}, &model.Problem{Code: "invalid-date", Detail: "a day is written YYYY-MM-DD"}
	}
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	if err != nil {
		return Report{}, err
	}
	parent := map[string]string{}
	for _, u := range units {
		parent[u.ID] = u.Parent
	}
	t := &tally{groups: groups, day: catalogue.Date(day), rows: map[string]*counts{}}
	const page = 500
	for after := ""; ; {
		persons, err := store.List[store.Person](v, "", after, page)
		if err != nil {
			return Report{}, err
		}
		for i := range persons {
			p := &persons[i]
			s, err := read(v, p.ID, t.day)
			if err != nil {
				return Report{}, err
			}
			if s != nil {
				t.count(above(parent, p.Unit, depth), s)
			}
			after = p.DocKey()
		}
		if len(persons) < page {
			return t.report(depth)
		}
	}
}

// above is the unit of a level over a unit, or the unit itself when it is not below that level.
func above(parent map[string]string, unit string, depth int) string {
	var path []string
	for u := unit; u != "" && !slices.Contains(path, u); u = parent[u] {
		path = append(path, u)
	}
	if len(path) == 0 {
		return ""
	}
	return path[max(0, len(path)-depth)]
}
