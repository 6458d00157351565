package testkit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jacoelho/xsd"
)

// Lint runs xmllint once over all files and returns whether each is valid under DIR/schema. It
// skips the test where there is no xmllint.
func Lint(t testing.TB, dir, schema string, files [][]byte) []bool {
	t.Helper()
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("skipped: not found: xmllint")
	}
	at := t.TempDir()
	args := []string{"--nonet", "--noout", "--schema", schema}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = filepath.Join(at, fmt.Sprint(i))
		if err := os.WriteFile(names[i], f, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(lint, append(args, names...)...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput() // its code says no more than its words
	verdicts := map[string]bool{}
	for line := range strings.Lines(string(said)) {
		if name, ok := strings.CutSuffix(line, " validates\n"); ok {
			verdicts[name] = true
		}
	}
	if len(verdicts) == 0 || bytes.Contains(said, []byte("generated an internal error")) {
		t.Fatalf("xmllint: %v: %.2000s", err, said)
	}
	out := make([]bool, len(files))
	for i, name := range names {
		out[i] = verdicts[name]
	}
	return out
}

// LintText does the same with the text of a schema.
func LintText(t testing.TB, schema []byte, files [][]byte) []bool {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "schema.xsd"), schema, 0o600); err != nil {
		t.Fatal(err)
	}
	return Lint(t, dir, "schema.xsd", files)
}

// InGo asks the engine in Go.
func InGo(t testing.TB, e *xsd.Engine, files [][]byte) []bool {
	out := make([]bool, len(files))
	for i, f := range files {
		out[i] = e.Validate(t.Context(), bytes.NewReader(f)) == nil
	}
	return out
}

// Compile compiles the schemas of a folder that are in ISO 8859-1, as those of the register are:
// the engine takes a copy in UTF-8. The first of names is where it begins.
func Compile(t testing.TB, dir string, names ...string) *xsd.Engine {
	t.Helper()
	at := t.TempDir()
	for _, name := range names {
		latin, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, b := range latin {
			text.WriteRune(rune(b))
		}
		if err := os.WriteFile(filepath.Join(at, name), []byte(strings.Replace(text.String(), "ISO-8859-1", "UTF-8", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := xsd.Compile(context.Background(), xsd.File(filepath.Join(at, names[0])))
	if err != nil {
		t.Fatal(err)
	}
	return e
}
