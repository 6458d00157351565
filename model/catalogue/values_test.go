package catalogue

import (
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

type valueCase struct {
	Name    string         `json:"name"`
	Unit    model.Unit     `json:"unit"`
	At      string         `json:"at"` // day, testAt when left out
	Value   jsontext.Value `json:"value"`
	Raw     string         `json:"raw"`  // instead of value, for what is no JSON
	Code    string         `json:"code"` // "" when the value is fine
	Pointer string         `json:"pointer"`
	Rule    string         `json:"rule"`
}

func (c valueCase) input() ([]byte, model.Millis) {
	at := testAt
	if c.At != "" {
		at = atDay(c.At)
	}
	if c.Raw != "" {
		return []byte(c.Raw), at
	}
	return c.Value, at
}

func readCases(t testing.TB) []valueCase {
	t.Helper()
	data, err := os.ReadFile("testdata/values.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []valueCase
	if err := json.Unmarshal(data, &cases, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestValidateCases(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			value, at := c.input()
			p := Default().Validate(c.Unit, value, at)
			if p == nil {
				p = &model.Problem{}
			} else if p.Detail == "" {
				t.Errorf("code %s without a sentence", p.Code)
			}
			if p.Code != c.Code || p.Pointer != c.Pointer || p.Rule != c.Rule {
				t.Errorf("got %q at %q by %q (%s)\nwant %q at %q by %q", p.Code, p.Pointer, p.Rule, p.Detail, c.Code, c.Pointer, c.Rule)
			}
		})
	}
}

// Every unit of the catalogue has a case that passes, one of its own that fails, and refuses
// what no unit accepts.
func TestEveryUnitHasCases(t *testing.T) {
	good, bad := map[string]valueCase{}, map[string]bool{}
	for _, c := range readCases(t) {
		ref, err := model.ParseUnit(string(c.Unit))
		if err != nil {
			continue
		}
		key := pattern(c.Unit, ref)
		if c.Code == "" {
			good[key] = c
		} else {
			bad[key] = true
		}
	}
	c := Default()
	kindHasBad := map[string]bool{}
	kindGood := map[string]valueCase{}
	for _, k := range kinds(c) {
		if g, ok := good[k.path]; ok {
			kindGood[k.value] = g
		}
		kindHasBad[k.value] = kindHasBad[k.value] || bad[k.path]
	}
	for _, k := range kinds(c) {
		g, ok := kindGood[k.value]
		if !ok || !kindHasBad[k.value] {
			t.Errorf("kind %s has no case that passes and one that fails", k.value)
			continue
		}
		if k.closed {
			continue
		}
		at := testAt
		if k.at != "" {
			at = atDay(k.at)
		}
		unit := model.Unit(strings.ReplaceAll(k.path, "*", testID))
		for _, broken := range []string{
			``, `{`, `null`, `[]`, `"x"`, `1`, `{"unheard_of":1}`, `{"a":null}`,
			strings.TrimSuffix(strings.TrimSpace(string(g.Value)), "}") + `,"unheard_of":"x"}`,
			strings.TrimSpace(string(g.Value)) + "x",
		} {
			if p := c.Validate(unit, []byte(broken), at); p == nil {
				t.Errorf("%s accepts %s", k.path, broken)
			}
		}
	}
}

type kindOfUnit struct {
	path, value, at string
	closed          bool
}

func kinds(c *Catalogue) []kindOfUnit {
	var out []kindOfUnit
	for _, v := range c.Variables {
		if v.Unit != "" {
			out = append(out, kindOfUnit{v.Unit, v.Value, string(v.To), v.Closed})
		}
	}
	for _, r := range c.Repeating {
		out = append(out, kindOfUnit{r.Unit, r.Value, "", false})
	}
	return out
}

func pattern(u model.Unit, ref model.UnitRef) string {
	s := string(u)
	for _, id := range []string{ref.ID, ref.SubID} {
		if id != "" {
			s = strings.Replace(s, id, "*", 1)
		}
	}
	return s
}

// Every variable takes each code of its value set, on its last day or today, and no other.
func TestEveryVariableTakesItsCodes(t *testing.T) {
	c := Default()
	write := map[string]func(code string) string{
		"score":         func(code string) string { return `{"score":` + code + `}` },
		"coded":         func(code string) string { return `{"code":"` + code + `"}` },
		"dated_code":    func(code string) string { return `{"code":"` + code + `","date":"2015-01-01"}` },
		"yes_no_date":   func(code string) string { return `{"code":"` + code + `","date":"2015-01-01"}` },
		"participation": func(code string) string { return `{"need":"` + code + `"}` },
		"medication_review": func(code string) string {
			return `{"code":"` + code + `","date":"2015-01-01","doctor_confirmed":true}`
		},
	}
	tried := 0
	for i := range c.Variables {
		v := &c.Variables[i]
		w := write[v.Value]
		if w == nil || v.Closed {
			continue
		}
		at := testAt
		if v.To != "" {
			at = atDay(string(v.To))
		}
		codes := c.Codes(v, at)
		if len(codes) < 2 {
			t.Errorf("%s has %d codes", v.ID, len(codes))
		}
		for _, code := range codes {
			tried++
			value := []byte(w(code.Code))
			if p := c.Validate(model.Unit(v.Unit), value, at); p != nil {
				t.Errorf("%s refuses %s: %v", v.ID, code.Code, p)
			}
			if !c.Policy(model.Unit(v.Unit)).Equal(value, append([]byte(" "), value...)) {
				t.Errorf("%s: a value differs from itself", v.ID)
			}
		}
		for _, code := range []string{"7", "77"} {
			if p := c.Validate(model.Unit(v.Unit), []byte(w(code)), at); p == nil {
				t.Errorf("%s accepts code %s", v.ID, code)
			}
		}
		if p := c.Validate(model.Unit(v.Unit), []byte(w(codes[0].Code)), v.From.start()-1); p == nil || p.Code != "not-valid-then" {
			t.Errorf("%s is accepted before it exists: %v", v.ID, p)
		}
		if v.To != "" {
			// Registered later it needs a date of its time, and later dates are none.
			later := map[string]string{`{"code":"2"}`: "not-valid-then", `{"code":"2","date":"2019-01-01"}`: "not-valid-then", `{"code":"2","date":"2018-12-31"}`: ""}
			for value, want := range later {
				p := c.Validate(model.Unit(v.Unit), []byte(value), v.To.start()+dayMillis)
				if (p == nil) != (want == "") || p != nil && p.Code != want {
					t.Errorf("%s after it ended, %s: %v", v.ID, value, p)
				}
			}
		}
	}
	if tried < 150 {
		t.Errorf("only %d codes were tried", tried)
	}
}

func TestDecode(t *testing.T) {
	g, err := Decode[Grant]([]byte(`{"date":"2026-03-01","minutes_per_week":0,"to":"2027-01-01"}`))
	if err != nil || g.Date != "2026-03-01" || g.Minutes == nil || *g.Minutes != 0 || g.ResourceMinutes != nil || g.To != "2027-01-01" {
		t.Errorf("grant %+v, %v", g, err)
	}
	if _, err := Decode[Grant]([]byte(`{"date":"1 March"}`)); err == nil {
		t.Error("a date in words passes")
	}
	back, err := json.Marshal(g)
	if err != nil || string(back) != `{"date":"2026-03-01","minutes_per_week":0,"to":"2027-01-01"}` {
		t.Errorf("written back as %s, %v", back, err)
	}
	tr, err := Decode[Time]([]byte(`{"start":"2026-03-02T08:00:00Z","stop":"2026-03-02T09:25:00+01:00","kind":"direct"}`))
	if err != nil || tr.Stop-tr.Start != 25*60*1000 {
		t.Errorf("time %+v, %v", tr, err)
	}
}

// No problem repeats what was sent.
func TestProblemsRepeatNoValue(t *testing.T) {
	const secret = "01824101236"
	for _, value := range []string{
		`{"code":"` + secret + `"}`, `{"code":` + secret + `}`, `{"date":"` + secret + `"}`, `{"month":"` + secret + `"}`,
		`{"type":"` + secret + `"}`, `{"kind":"` + secret + `","from":"2026-01-01"}`, `{"org_number":"` + secret + `","kind":"other","from":"2026-01-01"}`,
		`{"need":"` + secret + `"}`, `{"score":` + secret + `}`, `{"unit":"` + secret + `","from":"2026-01-01"}`,
		`{"start":"2026-03-02T08:00:00Z","stop":"2026-03-02T08:10:00Z","kind":"direct","helpers":["` + secret + ` x"]}`,
	} {
		for path := range Default().units {
			p := Default().Validate(model.Unit(strings.ReplaceAll(path, "*", testID)), []byte(value), testAt)
			if p != nil && strings.Contains(p.Error(), secret) {
				t.Errorf("%s: %v", path, p)
			}
		}
	}
}

func FuzzValidate(f *testing.F) {
	for _, c := range readCases(f) {
		value, at := c.input()
		f.Add(string(c.Unit), value, int64(at))
	}
	c := Default()
	f.Fuzz(func(t *testing.T, unit string, value []byte, at int64) {
		u := model.Unit(unit)
		p := c.Validate(u, value, model.Millis(at))
		policy := c.Policy(u)
		if p != nil {
			if p.Code == "" || p.Detail == "" {
				t.Errorf("problem without code or sentence: %+v", p)
			}
			return
		}
		if !jsontext.Value(value).IsValid() {
			t.Errorf("accepted a value that is no strict JSON")
		}
		if !policy.Equal(value, append([]byte(" "), value...)) {
			t.Errorf("an accepted value differs from itself")
		}
		if _, isScore := model.ScoreOf(value); policy.Score && !isScore {
			t.Errorf("accepted a score that is none")
		}
	})
}

func TestProblemsSayWhatToDo(t *testing.T) {
	long := strings.Repeat("å", 2000)
	for _, c := range []struct{ unit, value, pointer, detail string }{
		{"score/vision", `{"score":3,"note":"` + long + `x"}`, "/note", "longer than 2000"},
		{"remark/" + testID, `{"text":"` + long + long + `x"}`, "/text", "longer than 4000"},
		{"score/vision", `{"score":3,"assessed":"today"}`, "/assessed", "YYYY-MM-DD"},
		{"assessed/doctor", `{"month":"March"}`, "/month", "YYYY-MM"},
		{"service/" + testID + "/provider", `{"unit":"zone 1","from":"2026-01-01"}`, "/unit", "lower-case UUID"},
		{"service/" + testID + "/grant", `{"date":"2026-01-01","minutes_per_week":-5}`, "/minutes_per_week", "below 0"},
		{"health/nutrition", `{"mapped":"7"}`, "/mapped", "one of: 1, 2, 9"},
		{"person/household", `{"code":"7"}`, "/code", "one of: 1 2 3"},
		{"person/household", `{}`, "/code", "required"},
		// A member's name may be personal data too: the pointer stops before it.
		{"score/vision", `{"score":3,"Ola Nordmann":1}`, "", "unknown"},
	} {
		p := Default().Validate(model.Unit(c.unit), []byte(c.value), testAt)
		if p == nil || p.Pointer != c.pointer || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s: %v, want %q at %s", c.unit, p, c.detail, c.pointer)
		}
	}
	if p := Default().Validate("score/vision", []byte(`{"score":3,"note":"`+long+`"}`), testAt); p != nil {
		t.Errorf("a note of 2000 characters is refused: %v", p)
	}
}
