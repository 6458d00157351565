package main

import "testing"

// A tablet names itself: what it says must not steer the operator's terminal.
func TestTableShowsNothingATerminalObeys(t *testing.T) {
	got := table([][]string{{"ID", "LABEL"}, {"1", "tab\x1b[31m\x1b]0;x\a\u202e\x00 æ"}})
	want := "ID  LABEL\n1   tab\uFFFD[31m\uFFFD]0;x\uFFFD\uFFFD\uFFFD æ"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
