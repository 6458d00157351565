package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

const maxLines = 600

// brokenSource lists what a Go file does against the rules. The path is relative to the
// module, with slashes.
func brokenSource(path string, src []byte) []string {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	report := func(pos token.Pos, what string) {
		out = append(out, fmt.Sprintf("%s:%d: %s", path, fset.Position(pos).Line, what))
	}
	test := strings.HasSuffix(path, "_test.go")
	if formatted, err := format.Source(src); err != nil || !bytes.Equal(formatted, src) {
		report(f.Pos(), "not formatted by gofmt")
	}
	if n := bytes.Count(src, []byte("\n")); n > maxLines && !test && !ast.IsGenerated(f) {
		report(f.Pos(), fmt.Sprintf("%d lines; split a file before it reaches %d", n, maxLines))
	}
	if !test && !under(path, "cmd/...") && !under(path, "internal/tools/...") {
		for _, pos := range uses(f, "time", "Now", "Since", "Until") {
			report(pos, "reads the clock; below cmd the time is handed in")
		}
	}
	if test {
		for _, pos := range skips(f) {
			report(pos, `a skip says "skipped: not found: " and what is missing`)
		}
		if importName(f, "testing/synctest") == "" {
			for _, pos := range uses(f, "time", "Sleep") {
				report(pos, "a test that sleeps is slow or flaky; wait for the event, or use synctest")
			}
		}
	}
	return out
}

// importName returns the name by which the file knows a package, "" when it does not.
func importName(f *ast.File, path string) string {
	for _, imp := range f.Imports {
		if imp.Path.Value != `"`+path+`"` {
			continue
		}
		if imp.Name != nil {
			return imp.Name.Name
		}
		return path[strings.LastIndexByte(path, '/')+1:]
	}
	return ""
}

// uses finds every mention of the named functions of an imported package, called or not.
func uses(f *ast.File, path string, names ...string) []token.Pos {
	local := importName(f, path)
	var out []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && local != "" {
			for _, name := range names {
				if sel.Sel.Name == name {
					out = append(out, sel.Pos())
				}
			}
		}
		return true
	})
	return out
}

// skips finds calls of Skip, Skipf and SkipNow that do not begin with the agreed words. In a
// property test a skip on *rapid.T throws a drawn case away, which is no skipped test.
func skips(f *ast.File) []token.Pos {
	var out []token.Pos
	var walk func(n ast.Node, rapid map[string]bool)
	walk = func(n ast.Node, rapid map[string]bool) {
		ast.Inspect(n, func(m ast.Node) bool {
			switch m := m.(type) {
			case *ast.FuncDecl:
				if m.Body != nil {
					walk(m.Body, rapidParams(m.Type, rapid))
				}
				return false
			case *ast.FuncLit:
				walk(m.Body, rapidParams(m.Type, rapid))
				return false
			case *ast.CallExpr:
				sel, ok := m.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); !ok || rapid[x.Name] || len(m.Args) > 0 && saysNotFound(m.Args[0]) {
					return true
				}
				out = append(out, m.Pos())
			}
			return true
		})
	}
	walk(f, nil)
	return out
}

func rapidParams(t *ast.FuncType, outer map[string]bool) map[string]bool {
	in := make(map[string]bool)
	for name := range outer {
		in[name] = true
	}
	for _, field := range t.Params.List {
		star, _ := field.Type.(*ast.StarExpr)
		for _, name := range field.Names {
			in[name.Name] = false
			if star == nil {
				continue
			}
			if sel, ok := star.X.(*ast.SelectorExpr); ok {
				x, ok := sel.X.(*ast.Ident)
				in[name.Name] = ok && x.Name == "rapid"
			}
		}
	}
	return in
}

func saysNotFound(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return saysNotFound(e.X)
	case *ast.BasicLit:
		return strings.HasPrefix(strings.Trim(e.Value, "\"`"), "skipped: not found")
	}
	return false
}

func TestGoFiles(t *testing.T) {
	for _, f := range tree(t) {
		if strings.HasSuffix(f.path, ".go") {
			for _, s := range brokenSource(f.path, f.body) {
				t.Error(s)
			}
		}
	}
}

func TestSourceRulesCanFail(t *testing.T) {
	for _, c := range []struct {
		name, path, src string
		want            string // "" when the file keeps the rules
	}{
		{"reads the clock", "sync/a.go", "package a\n\nimport \"time\"\n\nvar T = time.Now()\n", "sync/a.go:5: reads the clock"},
		{"hands the clock on", "sync/a.go", "package a\n\nimport \"time\"\n\nvar Now = time.Now\n", "reads the clock"},
		{"under another name", "sync/a.go", "package a\n\nimport std \"time\"\n\nvar T = std.Since(std.Time{})\n", "reads the clock"},
		{"not the clock", "sync/a.go", "package a\n\nvar t struct{ Now int }\n\nvar n = t.Now\n", ""},
		{"cmd owns the clock", "cmd/flette/a.go", "package main\n\nimport \"time\"\n\nvar T = time.Now()\n", ""},
		{"tests own theirs", "sync/a_test.go", "package a\n\nimport \"time\"\n\nvar T = time.Now()\n", ""},
		{"not formatted", "sync/a.go", "package a\nvar  x = 1\n", "not formatted"},
		{"no Go", "sync/a.go", "package", "expected"},
		{"too long", "sync/a.go", "package a\n" + strings.Repeat("\n// x\n", 301), "603 lines"},
		{"long but generated", "sync/a.go", "// Code generated by x. DO NOT EDIT.\n\npackage a\n" + strings.Repeat("\n// x\n", 301), ""},
		{"long but a test", "sync/a_test.go", "package a\n" + strings.Repeat("\n// x\n", 301), ""},
		{"skip without a reason", "a/a_test.go", testFile("t.SkipNow()"), "a skip says"},
		{"skip for another reason", "a/a_test.go", testFile(`t.Skipf("later")`), "a skip says"},
		{"skip, words from a variable", "a/a_test.go", testFile(`t.Skip(t.Name())`), "a skip says"},
		{"skip as agreed", "a/a_test.go", testFile(`t.Skip("skipped: not found: " + t.Name())`), ""},
		{"skip inside a subtest", "a/a_test.go", testFile(`t.Run("", func(t *testing.T) { t.Skip() })`), "a skip says"},
		{"rapid throws a case away", "a/a_test.go", testFile(`rapid.Check(t, func(t *rapid.T) { t.Skip("none") })`), ""},
		{"sleeps", "a/a_test.go", "package a\n\nimport \"time\"\n\nfunc nap() { time.Sleep(1) }\n", "a test that sleeps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(brokenSource(c.path, []byte(c.src)), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func testFile(body string) string {
	return "package a\n\nfunc TestA(t *testing.T) { " + body + " }\n"
}
