package kpr

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jacoelho/xsd"
)

var engineSeed = flag.Uint64("engineseed", 56, "seed of the messages that two engines read")

// lintAll runs xmllint once over many files and returns whether each is valid.
func lintAll(t *testing.T, dir, schema string, files [][]byte) []bool {
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
	said, err := cmd.CombinedOutput()
	verdicts := map[string]bool{}
	for line := range strings.Lines(string(said)) {
		if name, ok := strings.CutSuffix(line, " validates\n"); ok {
			verdicts[name] = true
		}
	}
	if len(verdicts) == 0 || bytes.Contains(said, []byte("generated an internal error")) {
		t.Fatalf("%v: %.2000s", err, said)
	}
	out := make([]bool, len(files))
	for i, name := range names {
		out[i] = verdicts[name]
	}
	return out
}

// goAll asks the engine in Go.
func goAll(e *xsd.Engine, files [][]byte) []bool {
	out := make([]bool, len(files))
	for i, f := range files {
		out[i] = e.Validate(context.Background(), bytes.NewReader(f)) == nil
	}
	return out
}

// officialDir is the folder of the register's own schema, or the test is skipped.
func officialDir(t *testing.T) string {
	t.Helper()
	outside := os.Getenv("FLETTE_OUTSIDE")
	if outside == "" {
		t.Skip("skipped: not found: FLETTE_OUTSIDE is not set")
	}
	dir := filepath.Join(outside, "kpr-56.0.0")
	if _, err := os.Stat(filepath.Join(dir, officialName)); err != nil {
		t.Skip("skipped: not found: the official schema")
	}
	return dir
}

// officialInGo compiles the official schema; its files are in ISO 8859-1, of which the engine
// takes a copy in UTF-8.
func officialInGo(t *testing.T, dir string) *xsd.Engine {
	t.Helper()
	at := t.TempDir()
	for _, name := range []string{officialName, "XPR(ipl)_CodingSchemes.xsd", "NPR.xsd"} {
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
	e, err := xsd.Compile(context.Background(), xsd.File(filepath.Join(at, officialName)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const officialName = "XPR(ipl).xsd"

// TestTwoEngines holds thousands of messages of random histories, and as many broken ones,
// against the official schema and ours, each read by two engines.
//
//   - Good messages pass everywhere.
//   - Of each schema both engines say the same, but where the table says why not.
//   - What passes ours passes the official one; what ours refuses alone is in the table of
//     mutants, with the reason.
func TestTwoEngines(t *testing.T) {
	dir := officialDir(t)
	const good, broken = 2200, 2600
	t.Logf("seed %d", *engineSeed)
	r := rand.New(rand.NewPCG(*engineSeed, 0))
	files := append(stories(t, r, good-1), written(t, everyKind()))
	kinds := make([]*mutant, good, good+broken)
	for i := 0; len(files) < good+broken; i++ {
		m := &mutants[i%len(mutants)]
		for range 50 { // a message that has a place for it
			if f := m.do(r, parse(t, files[r.IntN(good)])); f != nil {
				files, kinds = append(files, f), append(kinds, m)
				break
			}
		}
	}

	official := officialInGo(t, dir)
	own, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	ownDir := t.TempDir()
	if err := os.WriteFile(filepath.Join(ownDir, "own.xsd"), Schema(), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, theirsGo := lintAll(t, dir, officialName, files), goAll(official, files)
	ours, oursGo := lintAll(t, ownDir, "own.xsd", files), goAll(own, files)

	refused, hit := 0, map[string]int{}
	wrong := func(i int, what string) {
		if hit["wrong "+what]++; hit["wrong "+what] <= 3 {
			t.Errorf("%s\n%.3000s", what, files[i])
		}
	}
	for i, f := range files {
		valid := Validate(context.Background(), f) == nil
		if kinds[i] == nil {
			if !valid || !theirs[i] || !theirsGo[i] || !ours[i] {
				wrong(i, fmt.Sprintf("a good message: we say %t, xmllint %t, the official schema in Go %t, ours by xmllint %t", valid, theirs[i], theirsGo[i], ours[i]))
			}
			continue
		}
		k := kinds[i]
		if differ := theirs[i] != theirsGo[i] || ours[i] != oursGo[i]; differ && k.engines == "" {
			wrong(i, fmt.Sprintf("%s: engines differ: official %t by xmllint, %t in Go; ours %t, %t", k.name, theirs[i], theirsGo[i], ours[i], oursGo[i]))
		}
		if valid && !theirs[i] {
			wrong(i, k.name+": passes here and not at the register")
		}
		wantOurs, wantTheirs := k.verdict == bothAccept, k.verdict != bothRefuse
		if valid != wantOurs || theirs[i] != wantTheirs {
			wrong(i, fmt.Sprintf("%s: we say %t and the official schema %t; the table says: %s", k.name, valid, theirs[i], k.verdict))
		}
		if !valid {
			refused++
		}
		hit[k.name]++
		if theirs[i] != theirsGo[i] || ours[i] != oursGo[i] {
			hit["differ "+k.name]++
		}
	}
	if refused < 2000 {
		t.Errorf("only %d messages were refused", refused)
	}
	for _, m := range mutants {
		if hit[m.name] == 0 {
			t.Errorf("no message was broken by %q", m.name)
		}
		if m.engines != "" && hit["differ "+m.name] == 0 {
			t.Errorf("%s: the engines do not differ any more", m.name)
		}
	}
	t.Logf("%d good messages, %d broken in %d ways, %d of them refused", good, broken, len(mutants), refused)
}
