package contract

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestCodesAreSound(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, c := range Codes {
		if !shape.MatchString(c.Code) || seen[c.Code] {
			t.Errorf("%q is not a kebab-case code, or stands there twice", c.Code)
		}
		seen[c.Code] = true
		if c.Status == 0 && c.Entry == "" {
			t.Errorf("%s: neither a request nor an entry carries it", c.Code)
		}
		if c.Status != 0 && (c.Status < 400 || c.Status > 599) {
			t.Errorf("%s: status %d", c.Code, c.Status)
		}
		if !strings.HasSuffix(c.Title, ".") {
			t.Errorf("%s: the title is not a sentence", c.Code)
		}
		if p := NewProblem(c.Code, ""); c.Status != 0 && (p.Status != c.Status || p.Code != c.Code || p.Detail != c.Title) {
			t.Errorf("%s: problem is %+v", c.Code, p)
		}
	}
	for _, code := range []string{"gone-fishing", "bad-signature"} {
		if p := NewProblem(code, "x"); p.Code != "internal" || p.Status != 500 {
			t.Errorf("%s has no status, its problem is %+v", code, p)
		}
	}
}

// Every code that the engine or the model gives an entry is in the table as an entry's, so
// that no tablet meets one that the contract does not explain. Codes of requests to the
// engine (a bad assignment, an undecidable review) have a status instead.
func TestCodesOfEngineAndModelAreListed(t *testing.T) {
	for dir, least := range map[string]int{"../sync": 15, "../model": 20} {
		found := codesOf(t, dir)
		if len(found) < least {
			t.Errorf("%s: only %d codes found", dir, len(found))
		}
		for code, where := range found {
			if c, ok := LookupCode(code); !ok || c.Entry == "" && code != "invalid-member" {
				t.Errorf("%s: code %q is not in the table as an entry's", where, code)
			}
		}
	}
}

// codesOf finds the codes that a folder's code makes problems of: literals given to Problemf
// or broken, and constants named Code*.
func codesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		note := func(e ast.Expr) {
			if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				code, _ := strconv.Unquote(lit.Value)
				found[code] = path
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if strings.HasPrefix(name.Name, "Code") && i < len(n.Values) {
						note(n.Values[i])
					}
				}
			case *ast.CallExpr:
				name := ""
				switch fun := n.Fun.(type) {
				case *ast.Ident:
					name = fun.Name
				case *ast.SelectorExpr:
					name = fun.Sel.Name
				}
				if arg := map[string]int{"Problemf": 0, "broken": 1}[name]; (name == "Problemf" || name == "broken") && arg < len(n.Args) {
					note(n.Args[arg])
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCodesDocument(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Problem codes\n\nMade from `mobile-contract/codes.go` by `go test ./mobile-contract -rewrite`.\n\n")
	b.WriteString("A code is never renamed and never changes its status. A client that meets one it does not know goes by\nthe status and by `retry`:\n\n")
	b.WriteString("| retry | what a client does |\n|---|---|\n")
	b.WriteString("| never | nothing will change by trying; show it to a person |\n")
	b.WriteString("| same | try again at once with what the answer gave (a nonce) |\n")
	b.WriteString("| fixed | try again after the request, or the state it rests on, was put right |\n")
	b.WriteString("| later | the same request after `Retry-After`, or a growing wait |\n\n")
	b.WriteString("## Requests\n\nThe `code` of a problem document.\n\n| code | status | retry | meaning |\n|---|---|---|---|\n")
	for _, c := range Codes {
		if c.Status != 0 {
			fmt.Fprintf(&b, "| `%s` | %d | %s | %s |\n", c.Code, c.Status, c.Retry, c.Title)
		}
	}
	for _, part := range []struct{ outcome, title, text string }{
		{OutcomeRefused, "Refused entries", "The bytes cannot be attributed to an enrolled key. The server has kept nothing; the tablet keeps them and shows them to a person."},
		{OutcomeQuarantined, "Quarantined entries", "Authentic, kept and receipted, without effect until a supervisor releases or closes them."},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| code | meaning |\n|---|---|\n", part.title, part.text)
		for _, c := range Codes {
			if c.Entry == part.outcome {
				fmt.Fprintf(&b, "| `%s` | %s |\n", c.Code, c.Title)
			}
		}
	}
	golden(t, "../docs/codes.md", b.Bytes())
}
