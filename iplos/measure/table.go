package measure

// Smallest is the smallest number of persons that a report shows, but 0 (R79, a proposal).
const Smallest = 5

// Hidden stands for a count that is not shown.
const Hidden = -1

// Table counts persons by unit and column. Every person of a row is in one column. The totals
// of rows are shown always; those of columns, in Sum, may be hidden.
type Table struct {
	ID      string   `json:"id"`
	NB      string   `json:"nb"`
	EN      string   `json:"en"`
	Columns []string `json:"columns"`
	Rows    [][]int  `json:"rows"` // in the order of Report.Units; Hidden for a hidden count
	Totals  []int    `json:"totals"`
	Sum     []int    `json:"sum"` // totals of columns
}

// suppress fills the totals and hides counts under Smallest, and others until no hidden count
// can be computed from what is shown (R79). It hides counts that are not 0 only, and each lies
// on a circle of hidden ones: one more in every second of them and one less in the others
// changes no total that is shown. The total of each row must be 0 or at least Smallest.
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
	hide := make([][]bool, len(grid))
	for r, row := range grid {
		hide[r] = make([]bool, len(row))
		for c, n := range row {
			hide[r][c] = n > 0 && n < Smallest
		}
	}
	all := make([][]bool, len(grid)) // what could be hidden at all
	may := make([][]bool, len(grid)) // of that, what lies on a circle: each count under Smallest does
	for r, row := range grid {
		for _, n := range row {
			all[r] = append(all[r], n > 0)
		}
	}
	for r := range all {
		for c := range all[r] {
			may[r] = append(may[r], all[r][c] && joined(all, r, c))
		}
	}
	for {
		r, c, found := exposed(hide)
		if !found || !hideAnother(grid, hide, may, r, c) {
			break
		}
	}
	for r, row := range grid {
		for c := range row {
			if hide[r][c] {
				row[c] = Hidden
			}
		}
	}
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
