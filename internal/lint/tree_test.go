package lint

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"flette/model/ident"
)

// file is a text file of the tree; its path is relative to the module, with slashes.
type file struct {
	path string
	body []byte
}

// tree reads every text file that is tracked, or would be when all is added; without git,
// every text file that is not hidden or built.
func tree(t *testing.T) []file {
	t.Helper()
	dir := root(t)
	var out []file
	for _, path := range treePaths(t, dir) {
		body, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		if os.IsNotExist(err) {
			continue // deleted, or not yet checked out
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(body, 0) < 0 {
			out = append(out, file{path, body})
		}
	}
	if len(out) < 20 {
		t.Fatalf("the tree has %d text files only", len(out))
	}
	return out
}

func treePaths(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	if list, err := cmd.Output(); err == nil && len(list) > 0 {
		return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	}
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != dir && (name[0] == '.' && name != ".ci" || slices.Contains([]string{"bin", "dist", "node_modules"}, name)) {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(dir, path)
			paths = append(paths, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// published are examples that the tax administration prints in its own guide. They are split
// so that this file passes its own rule.
var published = []string{"0201329" + "9997", "3010829" + "9920", "3010829" + "9939"}

// The digits of a date may stand apart from the rest, as people write them.
var elevenDigits = regexp.MustCompile(`(?:^|[^0-9A-Za-z.+])([0-9]{6} ?[0-9]{5})(?:$|[^0-9A-Za-z])`)

// brokenText lists what a file says that it must not: a number that could be a person's, or
// the way to a folder outside the module.
func brokenText(f file) []string {
	var out []string
	for i, line := range bytes.Split(f.body, []byte("\n")) {
		for rest := line; ; {
			m := elevenDigits.FindSubmatchIndex(rest)
			if m == nil {
				break
			}
			number := strings.ReplaceAll(string(rest[m[2]:m[3]]), " ", "")
			known := slices.Contains(published, number) && under(f.path, "model/ident/"+filepath.Base(f.path)) && strings.HasSuffix(f.path, "_test.go")
			if realPerson(number) && !known {
				out = append(out, fmt.Sprintf("%s:%d: holds a number that could be a person's; use month + 80", f.path, i+1))
			}
			rest = rest[m[3]:]
		}
		for _, outside := range []string{"../" + "shared", "/work/" + "shared"} {
			if bytes.Contains(line, []byte(outside)) && !under(f.path, ".ci/...") {
				out = append(out, fmt.Sprintf("%s:%d: names %s, which is no part of the module", f.path, i+1, outside))
			}
		}
	}
	return out
}

// realPerson reports whether the number passes as a fødselsnummer or D-number of a
// person, by the rule in force or by that of 2032.
func realPerson(number string) bool {
	for _, mode := range []ident.Mode{ident.Legacy, ident.From2032} {
		id, err := ident.Parse(number, mode)
		if err == nil && (id.Kind == ident.KindFNR || id.Kind == ident.KindDNumber) {
			return true
		}
	}
	return false
}

func TestTree(t *testing.T) {
	for _, f := range tree(t) {
		for _, s := range brokenText(f) {
			t.Error(s)
		}
	}
}

func TestTreeRulesCanFail(t *testing.T) {
	// The number is put together here, so that none stands in this file.
	var person string
	for i := 0; !realPerson(person); i++ {
		person = fmt.Sprintf("010190%05d", i)
	}
	synthetic, ok := ident.SyntheticFNR(time.Date(1941, 2, 1, 0, 0, 0, 0, time.UTC), 0)
	if !ok {
		t.Fatal("no synthetic number")
	}
	for _, c := range []struct {
		name, path, body string
		want             string // "" when the file keeps the rules
	}{
		{"a person's number", "docs/a.md", "see\n" + person + ".", "docs/a.md:2: holds a number"},
		{"quoted, at the end", "a.json", `["` + person + `"]`, "holds a number"},
		{"written with a space", "a.txt", person[:6] + " " + person[6:], "holds a number"},
		{"after another number", "a.csv", synthetic + ";" + person, "holds a number"},
		{"after another number, one separator", "a.csv", "1," + synthetic + "," + person + ",1", "holds a number"},
		{"D-number of 2032", "a.txt", laterDNumber(), "holds a number"},
		{"synthetic", "a.txt", synthetic, ""},
		{"longer number", "a.txt", person + "0 0" + person, ""},
		{"part of a hash", "a.txt", "ab" + person + "cd", ""},
		{"fraction", "a.txt", "0." + person, ""},
		{"published, in the tests of ident", "model/ident/a_test.go", published[0] + " " + published[1], ""},
		{"published, elsewhere", "model/a_test.go", published[2], "holds a number"},
		{"outside folder", "README.md", "see ../" + "shared/x", "is no part of the module"},
		{"outside folder, absolute", "sync/a.go", "/work/" + "shared", "is no part of the module"},
		{"outside folder in the runner", ".ci/run", "../" + "shared", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(brokenText(file{c.path, []byte(c.body)}), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// laterDNumber returns a D-number that only the rule of 2032 lets through.
func laterDNumber() string {
	for i := range 100000 {
		s := fmt.Sprintf("410190%05d", i)
		if _, err := ident.Parse(s, ident.Legacy); err != nil && realPerson(s) {
			return s
		}
	}
	return ""
}
