package iplos

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"flette/model/catalogue"
)

func TestNorwegian(t *testing.T) {
	for _, c := range []struct{ en, nb string }{
		{"The diagnosis lacks its name.", "Diagnosen mangler navn."},
		{"The diagnosis lacks its name. The diagnosis ends before it begins.", "Diagnosen mangler navn. Diagnosen slutter før den begynner."},
		{"3 of 15 scores are 9, which tells nothing. For an adult 1 says that there is no need.", "3 av 15 skårer er 9, som ikke sier noe. For en voksen betyr 1 at det ikke er behov."},
		{"The start is dated after the person's death: one of the dates, or the person, is wrong.", "Starten er datert etter at personen døde: en av datoene, eller personen, er feil."},
		{"Not registered: household.", "Ikke registrert: husstand."},
		{"The dates of the measure do not fit: the end is required.", "Datoene for tiltaket passer ikke: slutten må være med."},
		{"The municipality has mapped this local service to type 15. A rejected service has a start.", "Kommunen har koblet denne lokale tjenesten til type 15. En avslått tjeneste har startdato."},
	} {
		if got, ok := Norwegian(c.en); !ok || got != c.nb {
			t.Errorf("%q is %q (%t), want %q", c.en, got, ok, c.nb)
		}
	}
	for _, unknown := range []string{"", "No such sentence.", "The diagnosis lacks its name. No such sentence."} {
		if got, ok := Norwegian(unknown); ok || got != unknown {
			t.Errorf("%q is %q (%t), want itself", unknown, got, ok)
		}
	}
}

// Every sentence that stands in the code of a rule has a Norwegian one, with as many places to fill.
func TestEverySentenceIsNorwegianToo(t *testing.T) {
	var pairs [][2]string
	must(t, json.Unmarshal(norwegianJSON, &pairs))
	var all strings.Builder
	for _, p := range pairs {
		all.WriteString(p[0] + "\n")
		if strings.Count(p[0], "*") != strings.Count(p[1], "*") || strings.HasSuffix(p[0], ".") != strings.HasSuffix(p[1], ".") {
			t.Errorf("%q and %q differ in form", p[0], p[1])
		}
	}
	files, err := filepath.Glob("rules*.go")
	must(t, err)
	found := 0
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		must(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(sel.Sel.Name, "add") {
				return true
			}
			ast.Inspect(call.Args[len(call.Args)-1], func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				must(t, err)
				found++
				if text = strings.ReplaceAll(text, "%d", "*"); !strings.Contains(all.String(), text) {
					t.Errorf("%s: %q has no Norwegian sentence in norwegian.json", file, text)
				}
				return true
			})
			return true
		})
	}
	if found < 80 {
		t.Errorf("only %d sentences were found", found)
	}
}

// The names of variables are filled into sentences, so they hold no full stop.
func TestNamesOfVariables(t *testing.T) {
	for _, v := range catalogue.Default().Variables {
		want := "Ikke registrert: " + lowerFirst(v.NB) + "."
		if got, ok := Norwegian("Not registered: " + lowerFirst(v.EN) + "."); !ok || got != want {
			t.Errorf("%s: %q (%t), want %q", v.EN, got, ok, want)
		}
	}
}

// Any sentences of the table, one after the other, are Norwegian.
func TestNorwegianOfMany(t *testing.T) {
	var pairs [][2]string
	must(t, json.Unmarshal(norwegianJSON, &pairs))
	rapid.Check(t, func(t *rapid.T) {
		var en, nb []string
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			p := rapid.SampledFrom(pairs).Draw(t, "sentence")
			if !strings.HasSuffix(p[0], ".") || strings.HasPrefix(p[0], "* is") {
				continue // a part, or one that begins with a part
			}
			en, nb = append(en, strings.ReplaceAll(p[0], "*", "17")), append(nb, strings.ReplaceAll(p[1], "*", "17"))
		}
		if got, ok := Norwegian(strings.Join(en, " ")); len(en) > 0 && (!ok || got != strings.Join(nb, " ")) {
			t.Fatalf("%q is %q (%t), want %q", en, got, ok, nb)
		}
	})
}
