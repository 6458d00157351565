package measure

import "math"

// Smallest is the smallest number of persons that a report shows, but 0 (R79, a proposal).
const Smallest = 5

// Hidden stands for a count that is not shown.
const Hidden = -1

// Table counts persons by unit and column. Every person of a row is in one column. The totals
// of rows are shown always; those of columns, in Sum, may be hidden.
type Table struct {
	Part    string   `json:"part"`
	ID      string   `json:"id"`
	NB      string   `json:"nb"`
	EN      string   `json:"en"`
	Columns []string `json:"columns"`
	Units   []string `json:"units"` // ids; "" for all that are too small to be shown and persons of no unit
	Rows    [][]int  `json:"rows"`  // in the order of Units; Hidden for a hidden count
	Totals  []int    `json:"totals"`
	Sum     []int    `json:"sum"` // totals of columns
	TooFew  bool     `json:"too_few,omitzero"`
	Hours   *Means   `json:"hours,omitzero"`
}

// Means are the mean granted hours a week of the persons at home who have any, to one decimal.
// Hidden stands for one that is not shown, or of nobody.
type Means struct {
	Rows   [][]float64 `json:"rows"`
	Totals []float64   `json:"totals"`
	Sum    []float64   `json:"sum"`
	All    float64     `json:"all"`
}

// suppress fills the totals and hides counts under Smallest, and others until no hidden count
// can be computed from what is shown (R79). The total of each row must be 0 or at least Smallest.
func (t *Table) suppress() {
	t.Sum = make([]int, len(t.Columns))
	t.Totals = make([]int, len(t.Rows))
	for r, row := range t.Rows {
		for c, n := range row {
			t.Totals[r] += n
			t.Sum[c] += n
		}
	}
	grid := append(append([][]int{}, t.Rows...), t.Sum)
	hide := cover(grid, func(r, c int) bool { return grid[r][c] < Smallest })
	for r, row := range grid {
		for c := range row {
			if hide[r][c] {
				row[c] = Hidden
			}
		}
	}
}

// means hides the mean of fewer than Smallest persons, and others until the sum behind no hidden one can be
// computed, even by one who knows how many persons have hours in each cell. A mean is hidden
// where the count is, too: it would say that there are at least Smallest.
func (t *Table) means(cells [][]cell) *Means {
	grid := append([][]cell{}, cells...)
	sum, totals := make([]cell, len(t.Columns)), make([]cell, len(cells)+1)
	for r, row := range cells {
		for c := range row {
			sum[c].add(row[c])
			totals[r].add(row[c])
			totals[len(cells)].add(row[c])
		}
	}
	grid = append(grid, sum)
	known := make([][]int, len(grid))
	for r, row := range grid {
		for c := range row {
			known[r] = append(known[r], row[c].hours)
		}
	}
	counts := append(append([][]int{}, t.Rows...), t.Sum)
	hide := cover(known, func(r, c int) bool { return known[r][c] < Smallest || counts[r][c] == Hidden })
	out := &Means{}
	for r, row := range grid {
		line := make([]float64, len(row))
		for c := range row {
			line[c] = Hidden
			if !hide[r][c] && counts[r][c] != Hidden {
				line[c] = row[c].mean()
			}
		}
		if r == len(cells) {
			out.Sum, out.All = line, totals[r].mean()
			continue
		}
		out.Rows, out.Totals = append(out.Rows, line), append(out.Totals, totals[r].mean())
	}
	return out
}

func (c *cell) mean() float64 {
	if c.hours == 0 {
		return Hidden
	}
	return math.Round(float64(c.minutes)/float64(c.hours)/6) / 10
}

// cover says what of a grid is hidden: of the cells that are not 0 those that must be, and others until
// each lies on a circle of hidden ones: one more in every second of them and one less in the others
// changes no total that is shown. The last row of the grid are the totals of columns. Cells
// that totals would fix even if all were hidden are hidden without a circle.
func cover(grid [][]int, must func(r, c int) bool) (hide [][]bool) {
	hide = make([][]bool, len(grid))
	all := make([][]bool, len(grid))   // what could be hidden at all
	may := make([][]bool, len(grid))   // of that, what lies on a circle
	fixed := make([][]bool, len(grid)) // must be hidden, and lies on none
	for r, row := range grid {
		for _, n := range row {
			all[r] = append(all[r], n > 0)
		}
	}
	for r, row := range grid {
		for c, n := range row {
			may[r] = append(may[r], all[r][c] && joined(all, r, c))
			wanted := n > 0 && must(r, c)
			hide[r] = append(hide[r], wanted && may[r][c])
			fixed[r] = append(fixed[r], wanted && !may[r][c])
		}
	}
	for {
		r, c, found := exposed(hide)
		if !found || !hideAnother(grid, hide, may, r, c) {
			break
		}
	}
	for r := range hide {
		for c := range hide[r] {
			hide[r][c] = hide[r][c] || fixed[r][c]
		}
	}
	return hide
}

// exposed finds a hidden cell on no circle: without it nothing joins its row and its column.
func exposed(hide [][]bool) (row, col int, found bool) {
	for r := range hide {
		for c := range hide[r] {
			if hide[r][c] && !joined(hide, r, c) {
				return r, c, true
			}
		}
	}
	return 0, 0, false
}

// joined walks from row r over hidden cells other than (r, c) and says whether it gets to column c.
func joined(hide [][]bool, r, c int) bool {
	rows, cols := map[int]bool{r: true}, map[int]bool{}
	for grown := true; grown; {
		grown = false
		for i := range hide {
			for j := range hide[i] {
				if !hide[i][j] || i == r && j == c || rows[i] == cols[j] {
					continue
				}
				rows[i], cols[j], grown = true, true, true
			}
		}
	}
	return cols[c]
}

// hideAnother hides the smallest count shown in the row or the column of a cell, else anywhere.
// It leaves alone what totals would fix even if everything were hidden.
func hideAnother(grid [][]int, hide, may [][]bool, r, c int) bool {
	bestR, bestC, best := 0, 0, 0
	for _, near := range []bool{true, false} {
		for i, row := range grid {
			for j, n := range row {
				if hide[i][j] || !may[i][j] || near && i != r && j != c || best != 0 && n >= best {
					continue
				}
				bestR, bestC, best = i, j, n
			}
		}
		if best != 0 {
			hide[bestR][bestC] = true
			return true
		}
	}
	return false
}
