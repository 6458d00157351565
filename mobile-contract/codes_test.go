package contract

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
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

// Every code that the engine gives an entry is in the table.
func TestCodesOfSyncAreListed(t *testing.T) {
	pattern := regexp.MustCompile(`(?m)^\s+Code[A-Za-z]+\s*=\s*"([a-z-]+)"`)
	files, err := filepath.Glob("../sync/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllStringSubmatch(string(source), -1) {
			found++
			if c, ok := LookupCode(m[1]); !ok || c.Entry == "" {
				t.Errorf("%s: code %q is not in the table as an entry's", name, m[1])
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d codes found", found)
	}
}

// Every code that model finds in an entry is in the table, so that no tablet meets one that
// the contract does not explain.
func TestCodesOfModelAreListed(t *testing.T) {
	found := 0
	err := filepath.WalkDir("../model", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			arg := -1
			switch fun := call.Fun.(type) {
			case *ast.Ident:
				if fun.Name == "Problemf" {
					arg = 0
				} else if fun.Name == "broken" {
					arg = 1
				}
			case *ast.SelectorExpr:
				if fun.Sel.Name == "Problemf" {
					arg = 0
				}
			}
			if arg < 0 || arg >= len(call.Args) {
				return true
			}
			if lit, ok := call.Args[arg].(*ast.BasicLit); ok {
				code, _ := strconv.Unquote(lit.Value)
				found++
				if c, ok := LookupCode(code); !ok || c.Entry == "" {
					t.Errorf("%s: code %q is not in the table as an entry's", path, code)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("only %d codes found", found)
	}
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
