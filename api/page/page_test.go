package page

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flette/iplos/measure"
)

const hidden = measure.Hidden

// sample has what a page can hold: hidden counts and means, a table of nobody, one of too few,
// many units with long names, names that are no markup, and each part.
func sample() (*measure.Report, map[string]string) {
	r := &measure.Report{
		Date: "2026-12-31", Depth: 2, Ages: measure.AllAges, Provisional: true, Source: "a test", Grouping: measure.BuiltIn,
		SHA256: strings.Repeat("ab", 32), Smallest: measure.Smallest, National: map[string]float64{"low": 1.7, "middle": 6.4, "high": 37.3, "unknown": 2.9, "all": 9.2},
		Shipments: []measure.Shipments{{Kind: "KPR_IPL", Target: "production", Prepared: 2, Replacements: 1, Attempts: 3, Accepted: 1, Rejected: 1}},
	}
	units, names := []string{""}, map[string]string{}
	for i := range 30 {
		id := fmt.Sprintf("u%d", i)
		units = append(units, id)
		names[id] = fmt.Sprintf("Hjemmetjenester og sykehjem, sone %d nord-østre bydel", i)
	}
	names["u1"], names["u2"] = `<script>alert(1)</script>`, "=1+1"
	level := []string{"low", "middle", "high", "unknown"}
	wide := []string{"no_risk", "risk_plan", "risk_no_plan", "risk_unknown", "not_mapped", "unknown"}
	table := func(part, id string, columns []string) measure.Table {
		t := measure.Table{Part: part, ID: id, NB: "Tabell " + id, EN: "Table " + id, Columns: columns, Units: units, Sum: make([]int, len(columns))}
		for i := range units {
			row, total := make([]int, len(columns)), 0
			for c := range row {
				row[c] = 7 + (i+c)%5
				total += row[c]
				t.Sum[c] += row[c]
			}
			if i%3 == 0 {
				row[0], row[1] = hidden, hidden
			}
			t.Rows, t.Totals = append(t.Rows, row), append(t.Totals, total)
		}
		return t
	}
	g := table(measure.PartGroups, "household", level)
	g.Sum[0], g.Sum[1] = hidden, hidden
	g.Hours = &measure.Means{All: 7.25}
	for range units {
		g.Hours.Rows, g.Hours.Totals = append(g.Hours.Rows, []float64{hidden, hidden, 33.5, 2}), append(g.Hours.Totals, 8.1)
	}
	g.Hours.Sum = []float64{hidden, hidden, 33.5, 2}
	few := measure.Table{Part: measure.PartWaiting, ID: "waiting", NB: "Ventetid", EN: "Waiting", Columns: level, TooFew: true, Sum: make([]int, 4)}
	nobody := measure.Table{Part: measure.PartStays, ID: "stays", NB: "Opphold", EN: "Stays", Columns: level, Sum: make([]int, 4)}
	variable := table(measure.PartVariables, "vision", []string{"scored", "nine", "missing"})
	variable.Sum[1] = hidden
	alone := table(measure.PartGroups, "own_health", []string{"low", "middle", "high", "nine", "missing"})
	r.Tables = []measure.Table{g, alone, table(measure.PartIndicators, "nutrition", wide), table(measure.PartQuality, "age", level), few, nobody, variable}
	return r, names
}

func written(t *testing.T, write func() error) {
	t.Helper()
	if err := write(); err != nil {
		t.Fatal(err)
	}
}

func html(t *testing.T, lang string) string {
	t.Helper()
	r, names := sample()
	var out bytes.Buffer
	written(t, func() error { return HTML(&out, r, names, lang) })
	return out.String()
}

var svg = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// What is hidden has no bar, and the page says so in words; nothing of it runs or comes from elsewhere.
func TestPage(t *testing.T) {
	for lang, hides := range map[string]string{NB: "skjult", EN: "hidden"} {
		body := html(t, lang)
		charts := svg.FindAllString(body, -1)
		if len(charts) != 4 {
			t.Fatalf("%d charts", len(charts))
		}
		// Of the first, two counts of the four are hidden.
		if n := strings.Count(charts[0], "<rect"); n != 2 {
			t.Errorf("%d bars for two counts that are shown: %s", n, charts[0])
		}
		if n := strings.Count(charts[0], ">"+hides+"</text>"); n != 2 || !strings.Contains(charts[0], `role="img"`) || strings.Count(charts[0], ": "+hides+";") != 2 {
			t.Errorf("%s: the chart's words: %s", lang, charts[0])
		}
		for _, bad := range []string{"<script", "http://", "https://", "style=", " onload", "-1<", ">-1", "%!", "ZgotmplZ", "url(", "@import"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: the page holds %q", lang, bad)
			}
		}
		for _, want := range []string{`lang="` + lang + `"`, "&lt;script&gt;", word("provisional", lang), word("too-few", lang), word("nobody", lang), word("hiding", lang)} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page lacks %q", lang, want)
			}
		}
	}
	if body := html(t, NB); !strings.Contains(body, "37,3") || !strings.Contains(body, `content="default-src &#39;none&#39;; style-src &#39;sha256-`) {
		t.Error("decimals or the policy")
	}
	r, names := sample()
	r.Provisional = false
	var out bytes.Buffer
	written(t, func() error { return HTML(&out, r, names, NB) })
	if strings.Contains(out.String(), "foreløpig") || strings.Contains(out.String(), "Foreløpig") {
		t.Error("a grouping that is not provisional is called so")
	}
}

// Every id of a table, column, part or word of this page has both languages.
func TestLabels(t *testing.T) {
	for name, all := range map[string]map[string]said{"columns": columnWords, "words": words} {
		for id, w := range all {
			if w.nb == "" || w.en == "" {
				t.Errorf("%s: %s", name, id)
			}
		}
	}
	for _, id := range measure.Columns() {
		if _, ok := columnWords[id]; !ok {
			t.Errorf("column %s has no words", id)
		}
	}
	for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(pageHTML, -1) {
		if _, ok := words[m[1]]; !ok {
			t.Errorf("the page asks for the word %s", m[1])
		}
	}
}

// The sheet holds each count once, nothing for a hidden one, and no formula.
func TestCSV(t *testing.T) {
	r, names := sample()
	var out bytes.Buffer
	written(t, func() error { return CSV(&out, r, names, NB) })
	in := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\uFEFF")))
	in.Comma = ';'
	lines, err := in.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	find := func(cells ...string) []string {
		i := slices.IndexFunc(lines, func(l []string) bool { return slices.Equal(l[2:5], cells) })
		if i < 0 {
			t.Fatalf("no line %v", cells)
		}
		return lines[i]
	}
	for _, c := range []struct {
		at   []string
		want string
	}{
		{[]string{"Tabell household", "(andre)", "Noe/avgrenset"}, "[ Ja  Ja]"},
		{[]string{"Tabell household", "(andre)", "Omfattende"}, "[9 Nei 33,5 Ja]"},
		{[]string{"Tabell household", "Kommunen", "Middels til stort"}, "[ Ja  Ja]"},
		{[]string{"Tabell nutrition", "'=1+1", "Risiko, uten plan"}, "[7 Nei  Nei]"},
		{[]string{"Ventetid", "Kommunen", "Alle"}, "[ Ja  ]"},
		{[]string{"KPR_IPL production", "", "Erstatninger"}, "[1   ]"},
	} {
		if got := fmt.Sprint(find(c.at...)[5:9]); got != c.want {
			t.Errorf("%v: %s, want %s", c.at, got, c.want)
		}
	}
	if strings.Contains(out.String(), ";-1;") {
		t.Error("a hidden count is a number")
	}
}

// measured is added to a copy of the page: it says what does not fit, as text.
const measured = `<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll("table, svg, dl, p, h1, h2, h3")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
  const cut = [...document.querySelectorAll("th, td")].filter(e => e.scrollWidth > e.clientWidth + 1);
  const luminance = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(n => n / 255).map(n => n <= .04045 ? n / 12.92 : ((n + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c } return "rgb(255, 255, 255)" };
  let least = 21;
  for (const e of document.querySelectorAll("h1, h2, h3, p, th, td, dt, dd, caption, .mark")) {
    const [a, b] = [luminance(getComputedStyle(e).color), luminance(ground(e))].sort((x, y) => y - x);
    least = Math.min(least, (a + .05) / (b + .05));
  }
  const font = parseFloat(getComputedStyle(document.querySelector("h2")).fontSize);
  document.body.setAttribute("data-measured", ["styled", font > 18, "wide", wide.length, "cut", cut.length, "broken", [...document.querySelectorAll("td")].filter(e => { const r = document.createRange(); r.selectNodeContents(e); return r.getClientRects().length > 1 }).length, "contrast", Math.floor(least * 10), "rows", document.querySelectorAll("tbody tr").length, "unheaded", [...document.querySelectorAll("tbody tr")].filter(r => !r.querySelector("th[scope=row]")).length, "unnamed", [...document.querySelectorAll("svg")].filter(s => !s.getAttribute("aria-label")).length].join(" "));
});
</script>`

// A browser shows the page whole at the width of A4 between its margins; its style is let in
// by its own policy; letters stand out by 4.5 to 1 (WCAG 2.2 AA). It prints on A4.
func TestBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("skipped: not found: chromium")
	}
	dir := t.TempDir()
	page := html(t, NB)
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).FindString(page)
	// The policy would keep our own script out: it is let in beside the style.
	open := strings.Replace(policy, "; style-src", "; script-src &#39;unsafe-inline&#39;; style-src", 1)
	wrapped := strings.Replace(strings.Replace(page, policy, open, 1), "</body>", measured+"</body>", 1)
	for name, body := range map[string]string{"page.html": page, "measured.html": wrapped} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(dir, "profile")}, args...)
		cmd := exec.Command(browser, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("chromium: %v: %s", err, stderr.String())
		}
		return string(out)
	}
	// 182 mm of paper at 96 dots an inch, as the window that layout sees.
	dom := run("--dump-dom", "--window-size=688,900", "file://"+filepath.Join(dir, "measured.html"))
	found := regexp.MustCompile(`data-measured="([^"]*)"`).FindStringSubmatch(dom)
	if found == nil {
		t.Fatal("the page did not measure itself")
	}
	fields := strings.Fields(found[1])
	got := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		got[fields[i]] = fields[i+1]
	}
	contrast, _ := strconv.Atoi(got["contrast"])
	if got["styled"] != "true" || got["wide"] != "0" || got["cut"] != "0" || got["broken"] != "0" || contrast < 45 || got["unheaded"] != "0" || got["unnamed"] != "0" || got["rows"] == "0" {
		t.Errorf("measured: %s", found[1])
	}
	pdf := filepath.Join(dir, "page.pdf")
	run("--no-pdf-header-footer", "--print-to-pdf="+pdf, "file://"+filepath.Join(dir, "page.html"))
	body, err := os.ReadFile(pdf)
	if err != nil {
		t.Fatal(err)
	}
	boxes := regexp.MustCompile(`/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]`).FindAllSubmatch(body, -1)
	if len(boxes) < 5 || len(boxes) > 20 {
		t.Errorf("%d pages", len(boxes))
	}
	for _, b := range boxes {
		w, _ := strconv.ParseFloat(string(b[1]), 64)
		h, _ := strconv.ParseFloat(string(b[2]), 64)
		if int(w+.5) != 595 || int(h+.5) != 842 { // A4 in points
			t.Errorf("a page of %v by %v points", w, h)
		}
	}
}
