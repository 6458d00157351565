package measure

import (
	"cmp"
	"slices"
)

// population is a set of tables about the same persons.
type population struct {
	asks   func(*subject) bool
	defs   []define
	byKind bool               // some tables ask one kind only: its persons are the total of a row
	rows   map[string]*counts // by unit
}

// counts of one row.
type counts struct {
	persons int
	sizes   [kinds + 1]int // persons by kind, and those with granted hours: all that are totals of a row
	tables  [][]cell
}

// cell is what is summed up of the persons in it.
type cell struct {
	persons int
	hours   int // persons at home with granted hours
	minutes int // granted to these, a week
}

func newPopulation(asks func(*subject) bool, defs []define) *population {
	return &population{asks: asks, defs: defs, rows: map[string]*counts{}}
}

func (p *population) row(unit string) *counts {
	c := p.rows[unit]
	if c == nil {
		c = &counts{}
		for i := range p.defs {
			c.tables = append(c.tables, make([]cell, len(p.defs[i].columns)))
		}
		p.rows[unit] = c
	}
	return c
}

func (p *population) count(unit string, s *subject) {
	if !p.asks(s) {
		return
	}
	c, granted := p.row(unit), 0
	if !s.institution() && s.minutes > 0 {
		granted = 1
	}
	c.persons++
	c.sizes[s.kind]++
	c.sizes[kinds] += granted
	for i := range p.defs {
		if column := p.defs[i].of(s); column >= 0 {
			c.tables[i][column].add(cell{1, granted, granted * s.minutes})
		}
	}
}

func (c *cell) add(o cell) {
	c.persons += o.persons
	c.hours += o.hours
	c.minutes += o.minutes
}

func (c *counts) add(o *counts) {
	c.persons += o.persons
	for i, n := range o.sizes {
		c.sizes[i] += n
	}
	for i, t := range o.tables {
		for j := range t {
			c.tables[i][j].add(t[j])
		}
	}
}

// small reports whether a total of the row would show fewer than Smallest persons.
func (p *population) small(c *counts) bool {
	few := func(n int) bool { return n > 0 && n < Smallest }
	if !p.byKind {
		return few(c.persons)
	}
	return slices.ContainsFunc(c.sizes[:], few)
}

// fold puts units that are too small together, under "", with the smallest of the others as
// long as that is too small itself. One way of folding for all tables: else the difference of
// two would show what neither does.
func (p *population) fold() {
	units := p.units()
	slices.SortStableFunc(units, func(a, b string) int { return cmp.Compare(p.rows[a].persons, p.rows[b].persons) })
	for _, u := range units {
		if u != "" && p.small(p.rows[u]) {
			p.row("").add(p.rows[u])
			delete(p.rows, u)
		}
	}
	for _, u := range units {
		if rest := p.rows[""]; rest == nil || !p.small(rest) {
			return
		}
		if c := p.rows[u]; u != "" && c != nil {
			p.row("").add(c)
			delete(p.rows, u)
		}
	}
}

func (p *population) units() []string {
	out := []string{}
	for u := range p.rows {
		out = append(out, u)
	}
	slices.Sort(out)
	return out
}

// tables makes the tables as they are shown; ok is false, and there are no rows in them, when
// that would show too few persons. Without enough persons with granted hours there are no means.
func (p *population) tables() (out []Table, ok bool) {
	p.fold()
	units, ok := p.units(), true
	means := true
	for _, u := range units {
		c := p.rows[u]
		if n := c.sizes[kinds]; n > 0 && n < Smallest {
			means, c.sizes[kinds] = false, 0
		}
		ok = ok && !p.small(c)
	}
	if !ok {
		units = nil
	}
	for i := range p.defs {
		d := &p.defs[i]
		t := Table{Part: d.part, ID: d.id, NB: d.nb, EN: d.en, Columns: d.columns, Units: units, TooFew: !ok, Rows: [][]int{}}
		cells := make([][]cell, len(units))
		for j, u := range units {
			cells[j] = p.rows[u].tables[i]
			row := make([]int, len(d.columns))
			for k, c := range cells[j] {
				row[k] = c.persons
			}
			t.Rows = append(t.Rows, row)
		}
		t.suppress()
		if d.hours && means {
			t.Hours = t.means(cells)
		}
		out = append(out, t)
	}
	return out, ok
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
