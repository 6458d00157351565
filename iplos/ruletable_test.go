package iplos

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write docs/rules.md anew instead of comparing it")

// Every rule of the specification has exactly one row, which says how it is kept, and
// docs/rules.md says the same.
func TestEveryRuleHasItsRow(t *testing.T) {
	rows := KeptRules()
	for n := range 107 {
		if n >= len(rows) || rows[n].Rule != fmt.Sprint("R", n+1) {
			t.Fatalf("row %d is not that of R%d", n, n+1)
		}
	}
	if len(rows) != 107 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		if r.Text == "" || r.Source == "" || len(r.Places) == 0 {
			t.Errorf("%s has no text or is kept nowhere", r.Rule)
		}
		for _, p := range r.Places {
			if (p.By == "open" || p.By == "register") != (len(p.Tests) == 0) {
				t.Errorf("%s: %s has no test, and is not open", r.Rule, p.By)
			}
		}
	}
	for _, r := range rules {
		if !slices.ContainsFunc(rows, func(k Kept) bool {
			return k.Rule == r.ID && slices.ContainsFunc(k.Places, func(p Place) bool { return strings.HasPrefix(p.By, "finding") })
		}) {
			t.Errorf("%s is a finding, and its row does not say so", r.ID)
		}
	}
	const name = "../docs/rules.md"
	want := document(rows)
	if *rewrite {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(name)
	if err != nil || string(have) != want {
		t.Errorf("docs/rules.md is out of date (%v): run `go test ./iplos -run TestEveryRuleHasItsRow -rewrite` and review the difference", err)
	}
}

func document(rows []Kept) string {
	var b strings.Builder
	b.WriteString(`# Rules

Every rule of the domain specification, how it is kept and what proves it. Made from the code (` + "`iplos/ruletable.go`" + `):
` + "`go test ./iplos -run TestEveryRuleHasItsRow -rewrite`" + ` writes it anew, and ` + "`internal/lint`" + ` looks for the tests.

Severity is that of the specification: B blocking, M mangel or warning, P process, X extract, calc calculation, merge and report of the product.
A finding says which severity it has itself. Guidance is a text in Norwegian and English that GET /v1/catalogue serves, at the unit or service type named:
rules that only people can keep. What is open, and what is the register's own, is said so. The cases of a finding are in ` + "`iplos/testdata/rules/<rule>.json`" + `, those of the hours in
` + "`iplos/testdata/hours.json`" + `, those of the merge in ` + "`conflict/testdata`" + `.

| rule | severity | kept by | test | source | what |
|---|---|---|---|---|---|
`)
	guidance := 0
	for _, r := range rows {
		var by, tests []string
		only := true
		for _, p := range r.Places {
			by = append(by, p.By+": "+p.Where)
			only = only && p.By == "guidance"
			for _, name := range p.Tests {
				if name = "`" + name + "`"; !slices.Contains(tests, name) {
					tests = append(tests, name)
				}
			}
		}
		if only {
			guidance++
		}
		if len(tests) == 0 {
			tests = []string{r.Places[0].By}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Rule, r.Severity, strings.Join(by, "; "), strings.Join(tests, ", "), r.Source, strings.ReplaceAll(r.Text, "|", "/"))
	}
	fmt.Fprintf(&b, "\n%d rules; %d of them only people can keep.\n", len(rows), guidance)
	return b.String()
}
