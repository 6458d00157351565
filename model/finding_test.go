package model

import (
	"strings"
	"testing"
)

func TestParseFinding(t *testing.T) {
	const id = "0190a000-0000-7000-8000-00000000cccc"
	for _, want := range []FindingRef{
		{"R9", ""}, {"R107", ""}, {"R12b", ""}, {"R9", "person/household"}, {"R107", "service/" + id + "/end"},
		{"R49", "service/" + id + "/pause/" + id},
	} {
		got, err := ParseFinding(want.Path())
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", want.Path(), got, err)
		}
		if _, err := ParseUnit(string(want.Path())); err == nil {
			t.Errorf("%s is a unit that a value can be set on", want.Path())
		}
	}
	for _, bad := range []Unit{
		"", "finding", "finding/", "finding/R", "finding/9", "finding/r9", "finding/R9/", "finding/R1234", "finding/R9B", "finding/Rb",
		"finding/R9/person", "finding/R9/quarantine", "finding/R9/finding/R9", "finding/R9 /person/household", "findings/R9",
		"finding/R9/person/" + Unit(strings.Repeat("x", maxUnitLen)),
	} {
		if got, err := ParseFinding(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, got)
		}
	}
}
