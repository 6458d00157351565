package kpr

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"flette/internal/testkit"
)

var engineSeed = flag.Uint64("engineseed", 56, "seed of the messages that two engines read")

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
			if f := m.do(r, testkit.Parse(t, files[r.IntN(good)])); f != nil {
				files, kinds = append(files, f), append(kinds, m)
				break
			}
		}
	}

	official := testkit.Compile(t, dir, officialName, "XPR(ipl)_CodingSchemes.xsd", "NPR.xsd")
	own, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	theirs, theirsGo := testkit.Lint(t, dir, officialName, files), testkit.InGo(t, official, files)
	ours, oursGo := testkit.LintText(t, Schema(), files), testkit.InGo(t, own, files)

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
