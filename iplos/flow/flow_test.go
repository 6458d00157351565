package flow_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"flette/iplos"
	"flette/iplos/flow"
	"flette/model"
	"flette/model/catalogue"
)

type testCase struct {
	Name     string               `json:"name"`
	Services []string             `json:"services"`
	Needs    []catalogue.Date     `json:"needs"`
	Waiting  *catalogue.YesNoDate `json:"waiting"`
	Findings map[string]string    `json:"findings"`

	Nutrition *catalogue.Nutrition `json:"nutrition"`
	Coercion  []catalogue.Coercion `json:"coercion"`
	Want      []string             `json:"want"`
}

const today = "2026-06-15"

// serviceOf reads the notation of the cases.
func serviceOf(t *testing.T, id int, text string) *iplos.Service {
	t.Helper()
	s := &iplos.Service{ID: fmt.Sprint(id)}
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		d := catalogue.Date(value)
		switch name {
		case "type":
			if s.Type, s.Kind = value, catalogue.Default().Service(value); s.Kind == nil {
				t.Fatalf("no service type %s", value)
			}
		case "rolling":
			s.Rolling = true
		case "applied":
			s.Application = &catalogue.Application{Date: d}
		case "decided":
			s.Grant = &catalogue.Grant{Date: d}
		case "rejected":
			s.Grant.Rejected = true
		case "to":
			s.Grant.To = d
		case "started":
			s.Start = &catalogue.Start{Date: d}
		case "ended":
			s.End = &catalogue.End{Date: d}
		case "complaint":
			s.Complaint = &catalogue.Complaint{Received: d}
		case "answered":
			s.Complaint.Answered = d
		default:
			t.Fatalf("no word %s", name)
		}
	}
	return s
}

func TestCases(t *testing.T) {
	raw, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []testCase
	if err := json.Unmarshal(raw, &cases, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			r := flow.Record{Waiting: c.Waiting, Needs: map[model.Unit]catalogue.Need{}}
			for i, s := range c.Services {
				r.Services = append(r.Services, serviceOf(t, i, s))
			}
			for i, d := range c.Needs {
				r.Needs[model.Unit(fmt.Sprint("need/", i))] = catalogue.Need{Seen: d}
			}
			if c.Nutrition != nil {
				r.Nutrition = &flow.Nutrition{Value: *c.Nutrition, Day: c.Nutrition.Date}
			}
			r.Coercion = map[model.Unit]catalogue.Coercion{}
			for i, v := range c.Coercion {
				r.Coercion[model.Unit(fmt.Sprint("coercion/", i))] = v
			}
			got := []string{}
			for _, item := range flow.List(r, flow.Options{Today: today, Ahead: 30, Finding: func(rule string, u model.Unit) string {
				return c.Findings[rule+" "+string(u)]
			}}) {
				got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", item.Task, item.Stage, item.Date)), " "))
			}
			if !slices.Equal(got, c.Want) {
				t.Errorf("got  %q\nwant %q", got, c.Want)
			}
		})
	}
}

// Whatever is registered, a granted service without an end either runs within its decision
// or is on the list (R107): nobody falls out of it.
func TestNobodyFallsOut(t *testing.T) {
	days := []catalogue.Date{"", "2026-01-01", "2026-06-14", "2026-06-15", "2026-06-16", "2027-01-01"}
	rapid.Check(t, func(t *rapid.T) {
		day := func(name string) catalogue.Date { return rapid.SampledFrom(days).Draw(t, name) }
		s := &iplos.Service{ID: "0", Type: "15", Kind: catalogue.Default().Service("15"), Rolling: rapid.Bool().Draw(t, "rolling")}
		if d := day("applied"); d != "" {
			s.Application = &catalogue.Application{Date: d}
		}
		if d := day("decided"); d != "" {
			s.Grant = &catalogue.Grant{Date: d, To: day("to")}
		}
		if d := day("started"); d != "" {
			s.Start = &catalogue.Start{Date: d}
		}
		if d := day("ended"); d != "" {
			s.End = &catalogue.End{Date: d}
		}
		items := flow.List(flow.Record{Services: []*iplos.Service{s}}, flow.Options{Today: today, Finding: func(string, model.Unit) string { return "open" }})
		covered := s.End == nil && s.Granted() && (s.Grant.To == "" || s.Grant.To > today) && (s.Start != nil || s.Rolling)
		if listed := len(items) > 0; listed == covered {
			t.Fatalf("listed %v, covered %v: %+v", listed, covered, items)
		}
	})
}

// Every row of the decision table of domain.md 1.4.
func TestNutritionStages(t *testing.T) {
	raw, err := os.ReadFile("testdata/nutrition.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name  string               `json:"name"`
		Value *catalogue.Nutrition `json:"value"`
		Stage flow.Stage           `json:"stage"`
	}
	if err := json.Unmarshal(raw, &rows, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if got := flow.NutritionStage(row.Value); got != row.Stage {
			t.Errorf("%s: %s, want %s", row.Name, got, row.Stage)
		}
		if row.Value == nil {
			continue
		}
		value, err := json.Marshal(row.Value)
		if err != nil {
			t.Fatal(err)
		}
		if p := catalogue.Default().Validate("health/nutrition", value, 1_795_000_000_000); p != nil {
			t.Errorf("%s: no tablet can register it: %v", row.Name, p)
		}
	}
}
