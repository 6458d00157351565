package ident

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawBirth(t *rapid.T) time.Time {
	first := time.Date(1854, 1, 1, 0, 0, 0, 0, time.UTC)
	days := int(time.Date(2039, 12, 31, 0, 0, 0, 0, time.UTC).Sub(first).Hours() / 24)
	return first.AddDate(0, 0, rapid.IntRange(0, days).Draw(t, "days"))
}

func TestEveryBirthDateHasSyntheticNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		birth := drawBirth(t)
		n := rapid.IntRange(0, 150).Draw(t, "n")
		s, ok := SyntheticFNR(birth, n)
		if !ok {
			t.Fatalf("%s has no number %d", birth.Format(time.DateOnly), n)
		}
		for _, mode := range []Mode{Legacy, From2032} {
			id, err := Parse(s, mode)
			if err != nil || id.Kind != KindSyntheticFNR || !id.Synthetic() || id.Reportable() {
				t.Fatalf("mode %d: kind %d, %v", mode, id.Kind, err)
			}
			if got, ok := id.Birth(); ok && !got.Equal(birth) {
				t.Fatalf("birth %s read as %s", birth, got)
			}
		}
		if next, ok := SyntheticFNR(birth, n+1); ok && next <= s {
			t.Fatalf("numbers %d and %d do not rise", n, n+1)
		}
	})
}

func TestSyntheticFNREnds(t *testing.T) {
	birth := time.Date(1941, 2, 1, 23, 59, 0, 0, time.UTC)
	if s, ok := SyntheticFNR(birth, 1000); ok || s != "" {
		t.Errorf("a date has no thousand numbers")
	}
	if _, ok := SyntheticFNR(birth, -1); ok {
		t.Errorf("number -1 exists")
	}
	for _, year := range []int{1853, 2040} {
		if _, ok := SyntheticFNR(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), 0); ok {
			t.Errorf("a number for %d, which no century holds", year)
		}
	}
}

// Every single wrong digit is detected, in every kind of number and in both modes.
func TestSingleDigitChangeIsDetected(t *testing.T) {
	seeds := []string{"01824101236", "01824101260", "57855834547", "01424101253", "209900000103", "209912345608"}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(seeds).Draw(t, "seed")
		if rapid.Bool().Draw(t, "generated") {
			s, _ = SyntheticFNR(drawBirth(t), rapid.IntRange(0, 100).Draw(t, "n"))
		}
		wrong := changeDigit(t, s)
		for _, mode := range []Mode{Legacy, From2032} {
			if _, err := Parse(wrong, mode); err == nil {
				t.Fatalf("mode %d: %s passes for %s", mode, wrong, s)
			}
		}
		org := SyntheticOrgNumber(rapid.Int().Draw(t, "org"))
		if n, err := ParseOrgNumber(org); err != nil || !n.IsTest() || org[0] != '3' {
			t.Fatalf("%s: %v", org, err)
		}
		if _, err := ParseOrgNumber(changeDigit(t, org)); err == nil {
			t.Fatalf("a wrong digit in %s passes", org)
		}
	})
}

func changeDigit(t *rapid.T, s string) string {
	i := rapid.IntRange(0, len(s)-1).Draw(t, "position")
	d := (int(s[i]-'0') + rapid.IntRange(1, 9).Draw(t, "by")) % 10
	return fmt.Sprintf("%s%d%s", s[:i], d, s[i+1:])
}

// Common help numbers have control digits and no date; the rule of 2032 does not reach them.
func TestHelpNumber(t *testing.T) {
	found := 0
	for i := range 100 {
		id, err := Parse(fmt.Sprintf("812345678%02d", i), From2032)
		if err != nil {
			continue
		}
		found++
		if _, ok := id.Birth(); ok || id.Kind != KindFHNumber {
			t.Errorf("kind %d", id.Kind)
		}
	}
	if found != 1 {
		t.Errorf("%d of 100 control digits pass, want 1", found)
	}
}

func TestSyntheticOrgNumbersDiffer(t *testing.T) {
	seen := map[string]bool{}
	for n := range 5000 {
		seen[SyntheticOrgNumber(n)] = true
	}
	if len(seen) != 5000 {
		t.Errorf("5000 numbers hold %d different ones", len(seen))
	}
}

// Synthetic population dates read in 2032 mode: the leap day of an unknown century passes.
func TestLeapDayOfUnknownCentury(t *testing.T) {
	if !realDate(2000, 2, 29) || realDate(1900, 2, 29) || realDate(2001, 2, 29) || realDate(2001, 0, 1) || realDate(2001, 1, 0) || realDate(2001, 13, 1) {
		t.Error("the calendar is wrong")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"01824101236", "01824101244", "41994101208", "209900000103", "81234567800", "", "x", "00000000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		old, err := Parse(s, Legacy)
		id, err2 := Parse(s, From2032)
		if err == nil && (err2 != nil || id.Kind != old.Kind) {
			t.Errorf("valid before 2032, but not after: %v", err2)
		}
		for _, e := range []error{err, err2} {
			if e != nil && len(s) >= 6 && strings.Contains(e.Error(), s) {
				t.Errorf("the error repeats the number: %v", e)
			}
		}
		if err == nil && strings.Contains(fmt.Sprintf("%v %+v %#v", old, old, old), s) {
			t.Error("printing an ID shows the number")
		}
	})
}
