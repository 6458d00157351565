package catalogue

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// Every old code is read as the register reads it on a later day, and as itself before.
func TestReadings(t *testing.T) {
	text, err := os.ReadFile("testdata/readings.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name     string         `json:"name"`
		Unit     model.Unit     `json:"unit"`
		Value    jsontext.Value `json:"value"`
		Day      Date           `json:"day"`
		At       *model.Unit    `json:"at"` // the unit itself when left out
		Read     jsontext.Value `json:"read"`
		Old      bool           `json:"old"`
		Reselect bool           `json:"reselect"`
	}
	if err := json.Unmarshal(text, &cases, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	c := Default()
	used := map[string]bool{}
	for _, k := range cases {
		got := c.ReadAt(k.Unit, k.Value, k.Day)
		at := k.Unit
		if k.At != nil {
			at = *k.At
		}
		if got.Unit != at || got.Old != k.Old || got.Reselect != k.Reselect || (got.Value == nil) != (k.Read == nil) {
			t.Errorf("%s: %+v", k.Name, got)
			continue
		}
		if k.Read != nil && !(model.Policy{}).Equal(got.Value, k.Read) {
			t.Errorf("%s: read as %s, want %s", k.Name, got.Value, k.Read)
		}
		used[string(k.Unit)] = true
		if got.Old && got.Value != nil {
			if p := c.Validate(got.Unit, got.Value, testAt); p != nil {
				t.Errorf("%s: what it is read as is none of today: %v", k.Name, p)
			}
		}
	}
	for _, v := range c.Variables {
		if v.To != "" && !used[v.Unit] {
			t.Errorf("%s is over, and no case says how it is read", v.ID)
		}
	}
	for _, s := range c.Services {
		if s.To != "" && s.ReplacedBy == "" && s.ReadAsUnit == "" {
			t.Errorf("service %s is over, and nothing took its place", s.Code)
		}
	}
	if c.ReadAt("score/no_such", []byte(`{}`), "2026-01-01").Old {
		t.Error("a unit that nobody knows is old")
	}
}

func TestRehabOf(t *testing.T) {
	for _, c := range []struct {
		start, end Date
		want       YesNoDate
		ok         bool
	}{
		{"", "", YesNoDate{}, false},
		{"2017-02-01", "", YesNoDate{"1", "2017-02-01"}, true},
		{"2017-02-01", "2018-03-01", YesNoDate{"2", "2018-03-01"}, true},
	} {
		if got, ok := RehabOf(c.start, c.end); got != c.want || ok != c.ok {
			t.Errorf("RehabOf(%q, %q) = %v, %v", c.start, c.end, got, ok)
		}
	}
}

// Every function variable and every score of every scale has its explanation in both
// languages; what counts as official stands in the source word for word.
func TestGuidance(t *testing.T) {
	c := Default()
	has := map[string]bool{}
	for _, g := range c.Guidance {
		for _, u := range g.Units {
			has[u] = true
		}
		if g.Score > 0 {
			has[g.Scale+string(rune('0'+g.Score))] = true
		}
	}
	for _, v := range c.Variables {
		if v.Value == "score" && !v.Closed && !has[v.Unit] {
			t.Errorf("%s has no guidance", v.ID)
		}
	}
	for _, scale := range []string{"scale_assist_2015", "scale_vision", "scale_hearing"} {
		for _, n := range []string{"2", "3", "4"} {
			if !has[scale+n] {
				t.Errorf("score %s of %s has no guidance", n, scale)
			}
		}
	}
	if len(c.GuidanceOf("R47")) != 3 || len(c.GuidanceOf("R1")) != 0 {
		t.Error("guidance is not found by its rule")
	}
}

var (
	bullet = regexp.MustCompile(`(?m)^\s*[o•]\s`)
	blank  = regexp.MustCompile(`[\s\x{2022}\x{f0b7}]+`)
)

// letters leaves out what a PDF breaks lines and lists with.
func letters(s string) string { return blank.ReplaceAllString(bullet.ReplaceAllString(s, ""), "") }

func TestGuidanceIsTheSourcesWording(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(os.Getenv("FLETTE_OUTSIDE"), "seeds", "*.txt"))
	if err != nil || os.Getenv("FLETTE_OUTSIDE") == "" || len(files) == 0 {
		t.Skip("skipped: not found: seeds under FLETTE_OUTSIDE")
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(letters(string(text)))
	}
	official := 0
	for _, g := range Default().Guidance {
		if !g.Official {
			continue
		}
		official++
		if !strings.Contains(all.String(), letters(g.NB)) {
			t.Errorf("not the wording of any source: %s", g.NB)
		}
	}
	if official < 40 {
		t.Errorf("%d official texts", official)
	}
}

func TestGuidanceRefusesBrokenData(t *testing.T) {
	for name, edit := range map[string][2]string{
		"unknown member":   {`"nb":`, `"no":`},
		"no text":          {`"en": "`, `"en": "", "section": "`},
		"unknown unit":     {`"score/assist_housework"`, `"score/assist_flying"`},
		"unknown service":  {`"services": ["21"]`, `"services": ["99"]`},
		"unknown scale":    {`"scale_vision"`, `"scale_smell"`},
		"score of nothing": {`"score": 3`, `"score": 7`},
		"hearsay":          {`"source": "guide"`, `"source": "hearsay"`},
		"belongs nowhere":  {`"units": ["score/assist_housework"], `, ``},
	} {
		data := strings.Replace(string(embeddedGuidance), edit[0], edit[1], 1)
		if data == string(embeddedGuidance) {
			t.Fatalf("%s: nothing was changed", name)
		}
		c, err := parse(embedded)
		if err != nil {
			t.Fatal(err)
		}
		if c.addGuidance([]byte(data)) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
