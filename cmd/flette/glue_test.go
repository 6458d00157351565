package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"flette/iplos/kpr"
	contract "flette/mobile-contract"
	"flette/model"
)

// TestExtractErrors: every problem that package kpr can have reaches the wire under a code
// of the contract with a status, and none of them as a failure of the server.
func TestExtractErrors(t *testing.T) {
	files, err := filepath.Glob("../../iplos/kpr/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Problemf\("([a-z-]+)"`).FindAllSubmatch(source, -1) {
			found[string(m[1])] = true
		}
	}
	if len(found) != len(extractCodes) {
		t.Errorf("package kpr has %d codes, the table %d", len(found), len(extractCodes))
	}
	for code := range found {
		var p *model.Problem
		err := extractError(fmt.Errorf("run: %w", model.Problemf(code, "/x", "what to do")))
		if !errors.As(err, &p) || p.Pointer != "/x" || p.Detail != "what to do" {
			t.Errorf("%s became %v", code, err)
			continue
		}
		if c, ok := contract.LookupCode(p.Code); !ok || c.Status < 400 || c.Code == "internal" {
			t.Errorf("%s became %s, which no answer carries", code, p.Code)
		}
	}
	var p *model.Problem
	if !errors.As(extractError(kpr.ErrNothingToSend), &p) || p.Code != "nothing-to-send" {
		t.Errorf("nothing to send became %v", p)
	}
	if err := errors.New("disk"); !errors.Is(extractError(err), err) {
		t.Error("an error of the store is hidden")
	}
}
