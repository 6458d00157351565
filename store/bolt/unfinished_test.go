package bolt

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a creation left that was killed is gone at the next start; what may be at work still, a
// tenant, and everything in the eyes of a reader, stays.
func TestUnfinishedCreations(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tenants := filepath.Join(dir, "tenants")
	now := time.Now()
	ages := map[string]time.Duration{"old.1.new": 2 * time.Hour, "young.2.new": time.Minute, "notes.txt": 2 * time.Hour}
	for name, age := range ages {
		file := filepath.Join(tenants, name)
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	for _, readOnly := range []bool{true, false} {
		s, err := Open(dir, Options{ReadOnly: readOnly, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for name := range ages {
			_, err := os.Stat(filepath.Join(tenants, name))
			if gone := name == "old.1.new" && !readOnly; gone != os.IsNotExist(err) {
				t.Errorf("read-only %t: %s: %v", readOnly, name, err)
			}
		}
	}
}
