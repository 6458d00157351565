package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"flette/iplos/measure"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// Policy is the Content-Security-Policy under which a page is shown whole: its own style sheet
// and nothing else, in no frame.
var Policy = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}()

// HTML writes a document that needs nothing else: no script, no outside resource. names are those
// of units by id. Its error is that of w.
func HTML(w io.Writer, r *measure.Report, names map[string]string, lang string) error {
	v := view{
		Lang: lang, CSS: template.CSS(pageCSS), Policy: Policy, Report: r, Facts: facts(r, lang), //nolint:gosec // the style sheet is our own file
		lang: lang, names: names,
	}
	for _, p := range partWords {
		part := viewPart{ID: p.id, Title: p.title.in(lang), Note: p.note.in(lang), Provisional: r.Provisional && p.id == measure.PartGroups}
		for i := range r.Tables {
			if t := &r.Tables[i]; t.Part == p.id {
				part.Tables = append(part.Tables, v.table(t))
			}
		}
		if len(part.Tables) > 0 {
			v.Parts = append(v.Parts, part)
		}
	}
	v.variables()
	for i := range r.Shipments {
		s := &r.Shipments[i]
		row := viewRow{Name: s.Kind + ", " + s.Target}
		for _, n := range shipmentCounts(s) {
			row.Cells = append(row.Cells, viewCell{Text: strconv.Itoa(n.n)})
		}
		v.Shipments = append(v.Shipments, row)
	}
	return pageTemplate.Execute(w, &v)
}

// shortTable is the number of units up to which a table is not broken over pages.
const shortTable = 8

// view is what the template shows.
type view struct {
	Lang      string
	CSS       template.CSS
	Policy    string
	Report    *measure.Report
	Facts     []fact
	Parts     []viewPart
	Variables []viewRow
	Shipments []viewRow

	lang  string
	names map[string]string
}

// T gives the template its words.
func (v *view) T(id string) string { return word(id, v.lang) }

type viewPart struct {
	ID, Title, Note string
	Provisional     bool
	Tables          []viewTable
}

type viewTable struct {
	ID, Title string
	Empty     string // said instead of a table
	Heads     []string
	Rows      []viewRow
	Bars      *bars
	Means     []viewRow
	Short     bool // fits on a page with others
}

type viewRow struct {
	Name  string
	Cells []viewCell
	Sum   bool
}

type viewCell struct {
	Text   string
	Hidden bool
}

func (v *view) table(t *measure.Table) viewTable {
	out := viewTable{ID: t.ID, Title: label(t, v.lang), Short: len(t.Units) <= shortTable}
	whole := 0
	for _, n := range t.Totals {
		whole += n
	}
	switch {
	case t.TooFew:
		out.Empty = v.T("too-few")
		return out
	case whole == 0:
		out.Empty = v.T("nobody")
		return out
	}
	for _, c := range t.Columns {
		out.Heads = append(out.Heads, column(c, v.lang))
	}
	for i, u := range t.Units {
		out.Rows = append(out.Rows, viewRow{Name: unitName(u, v.names, v.lang), Cells: v.counts(t.Rows[i], t.Totals[i])})
	}
	out.Rows = append(out.Rows, viewRow{v.T("everybody"), v.counts(t.Sum, whole), true})
	out.Bars = v.bars(out.Heads, t.Sum, whole)
	if t.Hours == nil {
		return out
	}
	for i, u := range t.Units {
		out.Means = append(out.Means, viewRow{Name: unitName(u, v.names, v.lang), Cells: v.means(t.Hours.Rows[i], t.Hours.Totals[i], t.Rows[i])})
	}
	out.Means = append(out.Means, viewRow{v.T("everybody"), v.means(t.Hours.Sum, t.Hours.All, t.Sum), true}, v.national(t))
	return out
}

func (v *view) national(t *measure.Table) viewRow {
	row := viewRow{Name: v.T("national")}
	for _, c := range append(append([]string{}, t.Columns...), "all") {
		cell := viewCell{Text: "–"}
		if n, ok := v.Report.National[c]; ok {
			cell.Text = v.decimal(n)
		}
		row.Cells = append(row.Cells, cell)
	}
	return row
}

func (v *view) count(n int) viewCell {
	if n == measure.Hidden {
		return viewCell{v.T("hidden"), true}
	}
	return viewCell{Text: strconv.Itoa(n)}
}

func (v *view) counts(row []int, total int) (out []viewCell) {
	for _, n := range append(append([]int{}, row...), total) {
		out = append(out, v.count(n))
	}
	return out
}

func (v *view) means(row []float64, total float64, counts []int) (out []viewCell) {
	for i, n := range append(append([]float64{}, row...), total) {
		switch {
		case n != measure.Hidden:
			out = append(out, viewCell{Text: v.decimal(n)})
		case i < len(counts) && counts[i] == 0:
			out = append(out, viewCell{Text: "–"}) // of nobody
		default:
			out = append(out, viewCell{v.T("hidden"), true})
		}
	}
	return out
}

func (v *view) decimal(n float64) string {
	text := strconv.FormatFloat(n, 'f', 1, 64)
	if v.lang == NB {
		return strings.Replace(text, ".", ",", 1)
	}
	return text
}

// variables are lines of one table, for the whole municipality. A variable that is a function
// group by itself is read from there.
func (v *view) variables() {
	for i := range v.Report.Tables {
		t := &v.Report.Tables[i]
		at := map[string]int{}
		for c, name := range t.Columns {
			at[name] = t.Sum[c]
		}
		_, alone := at["nine"]
		if t.TooFew || t.Part != measure.PartVariables && (t.Part != measure.PartGroups || !alone) {
			continue
		}
		known, whole := 0, 0
		for _, name := range []string{"registered", "scored", "low", "middle", "high"} {
			if n := at[name]; n == measure.Hidden || known == measure.Hidden {
				known = measure.Hidden
			} else {
				known += n
			}
		}
		for _, n := range t.Totals {
			whole += n
		}
		row := viewRow{Name: label(t, v.lang), Cells: []viewCell{v.count(known), {Text: "–"}, v.count(at["missing"]), {Text: strconv.Itoa(whole)}, {v.T("hidden"), true}}}
		if n, ok := at["nine"]; ok {
			row.Cells[1] = v.count(n)
		}
		if whole == 0 {
			continue
		}
		if known != measure.Hidden {
			row.Cells[4] = viewCell{Text: percent(known, whole)}
		}
		v.Variables = append(v.Variables, row)
	}
}

func percent(n, of int) string { return strconv.Itoa((200*n+of)/(2*of)) + "\u00a0%" }

// bars are a chart of one row: lengths are shares of the total. What is hidden has no bar.
type bars struct {
	Alt    string
	Height int
	Items  []bar
}

type bar struct {
	Label, Text    string
	Y, TextY       int
	Width, TextX   int
	Hidden, Nobody bool
}

const (
	barLeft  = 170 // where bars begin, after their labels
	barFull  = 360 // length of a bar that is everybody
	barPitch = 24
)

func (v *view) bars(heads []string, row []int, whole int) *bars {
	out := &bars{Height: barPitch*len(row) + 4}
	alt := []string{}
	for i, n := range row {
		b := bar{Label: heads[i], Y: barPitch*i + 4, TextY: barPitch*i + 17, TextX: barLeft + 6, Hidden: n == measure.Hidden, Nobody: n == 0}
		if b.Text = v.T("hidden"); !b.Hidden {
			b.Width = n * barFull / whole
			b.TextX += b.Width
			b.Text = fmt.Sprintf("%d (%s)", n, percent(n, whole))
		}
		out.Items = append(out.Items, b)
		alt = append(alt, heads[i]+": "+b.Text)
	}
	out.Alt = v.T("chart") + ". " + strings.Join(alt, "; ") + ". " + v.T("in-table")
	return out
}
