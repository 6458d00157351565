package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRulesAreProven holds docs/rules.md to the tests: every rule of the specification has one
// row, which names tests that exist, or says that it is open or the register's own.
func TestRulesAreProven(t *testing.T) {
	dir := root(t)
	body, err := os.ReadFile(filepath.Join(dir, "docs", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := proofs{dir, "docs/rules.md", map[string]map[string]bool{}}
	seen := map[string]int{}
	for i, line := range strings.Split(string(body), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| R") {
			continue
		}
		if len(cells) != 6 {
			t.Fatalf("docs/rules.md:%d: %d cells", i+1, len(cells))
		}
		seen[cells[0]]++
		if tests.named(t, i+1, cells[3]) == 0 && cells[3] != "open" && cells[3] != "register" {
			t.Errorf("docs/rules.md:%d: no proof", i+1)
		}
	}
	for n := 1; n <= 107; n++ {
		if rule := fmt.Sprint("R", n); seen[rule] != 1 {
			t.Errorf("%s has %d rows", rule, seen[rule])
		}
	}
	if len(seen) != 107 {
		t.Errorf("%d rules", len(seen))
	}
}
