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

// proofs looks for the tests that the table in a file names.
type proofs struct {
	dir, file string
	known     map[string]map[string]bool // by folder
}

// named counts the tests that a cell names, and complains about those that are not there.
func (p *proofs) named(t *testing.T, line int, cell string) int {
	t.Helper()
	found := proof.FindAllStringSubmatch(cell, -1)
	for _, m := range found {
		if p.known[m[1]] == nil {
			p.known[m[1]] = testNames(t, filepath.Join(p.dir, filepath.FromSlash(m[1])))
		}
		if !p.known[m[1]][m[2]] {
			t.Errorf("%s:%d: there is no test %s in %s", p.file, line, m[2], m[1])
		}
	}
	return len(found)
}

// TestPromisesAreProven holds the table of promises to the tests: every row names a test
// that exists, or says what is open.
func TestPromisesAreProven(t *testing.T) {
	dir := root(t)
	body, err := os.ReadFile(filepath.Join(dir, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := proofs{dir, "docs/promises.md", map[string]map[string]bool{}}
	rows := 0
	for i, line := range strings.Split(string(body), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "|") || len(cells) != 3 || cells[0] == "situation" {
			continue
		}
		rows++
		if tests.named(t, i+1, cells[2]) == 0 && !strings.HasPrefix(cells[2], "open: ") {
			t.Errorf("docs/promises.md:%d: no proof; name a test as `folder TestName`, or say what is open", i+1)
		}
	}
	if rows < 60 {
		t.Errorf("docs/promises.md has %d rows; the table is not what it was", rows)
	}
}
