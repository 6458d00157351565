package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// proof is a test named in docs/promises.md: `folder TestName`.
var proof = regexp.MustCompile("`([a-z][a-z0-9/-]*) (Test[A-Za-z0-9_]+)`")

// testNames lists the test functions of a folder.
func testNames(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// TestPromisesAreProven holds the table of promises to the tests: every row names a test
// that exists, or says what is open.
func TestPromisesAreProven(t *testing.T) {
	dir := root(t)
	body, err := os.ReadFile(filepath.Join(dir, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]bool{}
	rows := 0
	for i, line := range strings.Split(string(body), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "|") || len(cells) != 3 || cells[0] == "situation" {
			continue
		}
		rows++
		named := proof.FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 && !strings.HasPrefix(cells[2], "open: ") {
			t.Errorf("docs/promises.md:%d: no proof; name a test as `folder TestName`, or say what is open", i+1)
		}
		for _, m := range named {
			if known[m[1]] == nil {
				known[m[1]] = testNames(t, filepath.Join(dir, filepath.FromSlash(m[1])))
			}
			if !known[m[1]][m[2]] {
				t.Errorf("docs/promises.md:%d: there is no test %s in %s", i+1, m[2], m[1])
			}
		}
	}
	if rows < 60 {
		t.Errorf("docs/promises.md has %d rows; the table is not what it was", rows)
	}
}
