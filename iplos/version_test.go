package iplos

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewriteDigest = flag.Bool("digest", false, "note the code of the rules for this version of them")

// judging is the code that decides what a rule finds.
var judging = []string{
	"rules*.go", "record.go", "service.go", "status.go", "history.go", "org.go", "times.go",
	"../model/catalogue/*.go",
}

// Findings are stored; a server judges them anew when the version of the rules is another. So the version
// changes whenever the code does: raise it, then note the code with -digest.
func TestRulesVersionFollowsTheCode(t *testing.T) {
	h := sha256.New()
	for _, pattern := range judging {
		files, err := filepath.Glob(pattern)
		must(t, err)
		if len(files) == 0 {
			t.Errorf("no file %s", pattern)
		}
		slices.Sort(files)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			must(t, err)
			fmt.Fprintf(h, "%s %d\n%s", filepath.ToSlash(name), len(text), text)
		}
	}
	now := fmt.Sprintf("%s %x\n", rulesVersion, h.Sum(nil))
	const file = "testdata/rules.digest"
	if *rewriteDigest {
		must(t, os.WriteFile(file, []byte(now), 0o644))
	}
	noted, err := os.ReadFile(file)
	must(t, err)
	if string(noted) != now {
		t.Errorf("the code of the rules has changed: raise rulesVersion in version.go, then go test ./iplos -run TestRulesVersion -digest")
	}
}
