package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A municipality whose key file is missing is one finding; the others are verified.
func TestVerifyGoesOnWithoutAKeyFile(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{"aa", "bb", "cc"} {
		flette(t, dir, 0, "tenant", "add", "--id", id, "--name", "Prøveby", "--kommune", "9901")
	}
	if err := os.Rename(filepath.Join(dir, "keys", "aa.keys"), filepath.Join(t.TempDir(), "aa.keys")); err != nil {
		t.Fatal(err)
	}
	got := flette(t, dir, 3, "verify")
	for _, want := range []string{"aa: 1 PROBLEM", "it was not verified: the key file", "bb: ok", "cc: ok"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	flette(t, dir, 1, "verify", "--tenant", "aa")
}

// What is no backup is called by the name that the operator gave.
func TestRestoreNamesTheFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	flette(t, dir, 0, "tenant", "add", "--id", "aa", "--name", "Prøveby", "--kommune", "9901")
	for _, text := range []string{"", "not a database"} {
		file := filepath.Join(t.TempDir(), "some.db")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := flette(t, dir, 1, "restore", "--tenant", "aa", "--from", file)
		if !strings.Contains(got, file+" cannot be read") || strings.Contains(got, dir) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// Options that cannot be meant are refused before anything is opened.
func TestServeOptionsThatCannotBe(t *testing.T) {
	for option, want := range map[string]string{"--scrub-every=-1s": "--scrub-every: a time", "--memory=0": "--memory: the server needs", "--memory=-5": "--memory"} {
		if got := flette(t, filepath.Join(t.TempDir(), "none"), 2, "serve", option); !strings.Contains(got, want) {
			t.Errorf("%s: %s", option, got)
		}
	}
}
