package catalogue

import (
	"fmt"
	"testing"
)

// The decision table of the guide, whole: 27 answers times every code of mapped and risk.
func TestNutritionTable(t *testing.T) {
	u := Default().units["health/nutrition"]
	answers := []string{"", "1", "2"}
	for _, q1 := range answers {
		for _, q2 := range answers {
			for _, q3 := range answers {
				// The rows of the table, written independently of the code under test.
				var mapped []string
				var risk map[string][]string // by mapped
				switch all := q1 + q2 + q3; all {
				case "":
					mapped = []string{"2", "9"}
					risk = map[string][]string{"2": {"", "9"}, "9": {"", "9"}}
				case "222":
					mapped, risk = []string{"1"}, map[string][]string{"1": {"2"}}
				case "2", "22":
					mapped, risk = []string{"1"}, map[string][]string{"1": {""}}
				default:
					mapped, risk = []string{"1"}, map[string][]string{"1": {"1"}}
				}
				for _, m := range []string{"1", "2", "9"} {
					for _, r := range []string{"", "1", "2", "9"} {
						v := Nutrition{Mapped: m, WeightLoss: q1, ReducedIntake: q2, BMILow: q3, Risk: r}
						want := contains(mapped, m) && contains(risk[m], r)
						name := fmt.Sprintf("%q %q %q mapped %s risk %q", q1, q2, q3, m, r)
						if p := v.check(scope{unit: u, at: testAt}); (p == nil) != want {
							t.Errorf("%s: accepted %v, want %v", name, p == nil, want)
						}
						// R34: a risk by judgement stands, but answers still count as mapped.
						v.Basis = "professional_judgement"
						want = m == "1" || q1+q2+q3 == ""
						if p := v.check(scope{unit: u, at: testAt}); (p == nil) != want {
							t.Errorf("%s by judgement: accepted %v, want %v", name, p == nil, want)
						}
						// R34: a plan needs the risk.
						v.Plan = "1"
						if p := v.check(scope{unit: u, at: testAt}); (p == nil) != (want && r == "1") {
							t.Errorf("%s with plan: accepted %v", name, p == nil)
						}
					}
				}
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
