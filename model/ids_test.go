package model

import (
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseTenantID(t *testing.T) {
	for s, ok := range map[string]bool{
		"skogvik": true, "a": true, "0301": true, "a-b-1": true, "a-": true, strings.Repeat("a", 40): true,
		"": false, "-a": false, "A": false, "å": false, "a b": false, "a/b": false, "..": false, "a.db": false, "a_b": false,
		"a\n": false, "a\x00": false, strings.Repeat("a", 41): false,
	} {
		id, err := ParseTenantID(s)
		if (err == nil) != ok || ok && string(id) != s || !ok && id != "" {
			t.Errorf("%q: %q, %v", s, id, err)
		}
	}
}

func TestParseActorID(t *testing.T) {
	for s, ok := range map[string]bool{
		"nurse-1": true, "a": true, "https://issuer|abc~!": true, strings.Repeat("a", 64): true,
		"": false, " ": false, "a b": false, "å": false, "a\x7f": false, "a\t": false, strings.Repeat("a", 65): false,
	} {
		id, err := ParseActorID(s)
		if (err == nil) != ok || ok && string(id) != s || !ok && id != "" {
			t.Errorf("%q: %q, %v", s, id, err)
		}
	}
}

// One id, one spelling: what uuid.Parse takes besides is refused.
func TestUUIDSpelling(t *testing.T) {
	for _, s := range []string{
		"", strings.ToUpper(personA), "{" + personA + "}", "urn:uuid:" + personA, strings.ReplaceAll(personA, "-", ""), personA + " ", " " + personA[1:],
		personA[:35], personA[:35] + "g", personA[:8] + "_" + personA[9:], personA[:35] + "\n", strings.Replace(personA, "a", "A", 1),
	} {
		if p, err := ParsePersonID(s); err == nil || !p.IsZero() {
			t.Errorf("person %q accepted", s)
		}
		if d, err := ParseDeviceID(s); err == nil || !d.IsZero() {
			t.Errorf("device %q accepted", s)
		}
		if _, err := ParseUnit("remark/" + s); err == nil {
			t.Errorf("unit with %q accepted", s)
		}
	}
	p, err := ParsePersonID(personA)
	if err != nil || p.String() != personA || p.IsZero() {
		t.Errorf("%s, %v", p, err)
	}
	d, err := ParseDeviceID(deviceA)
	if text, _ := d.MarshalText(); err != nil || string(text) != deviceA || d.String() != deviceA || d.IsZero() {
		t.Errorf("%s, %v", d, err)
	}
	if text, err := p.MarshalText(); err != nil || string(text) != personA {
		t.Errorf("%s, %v", text, err)
	}
}

// Computed with sha256sum, so that a tablet in another language finds the same.
func TestEntryIDVector(t *testing.T) {
	id := NewEntryID([]byte("header.payload"))
	if got := hex.EncodeToString(id[:]); got != "ac0f70ff3fbb3c7fc5a75ad65e723d2c6a188041964455972bcd3faadbcd6411" {
		t.Errorf("%s", got)
	}
	if len(id.String()) != EntryIDLen || id.IsZero() || !(EntryID{}).IsZero() {
		t.Errorf("%s", id)
	}
}

func TestEntryIDSpelling(t *testing.T) {
	good := idA.String()
	for name, s := range map[string]string{
		"empty": "", "short": good[:42], "long": good + "A", "padding": good[:42] + "=", "other alphabet": good[:42] + "+",
		"trailing bits":        strings.Repeat("A", 42) + "B",
		"line break inside":    good[:20] + "\n" + good[20:41] + "A",
		"line break at end":    good[:41] + "A\n",
		"four line breaks":     good[:39] + "\n\n\n\n",
		"carriage return":      good[:41] + "A\r",
		"space instead of one": good[:42] + " ",
	} {
		id := idB
		if err := id.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if id != idB {
			t.Errorf("%s: a refused id changed the target", name)
		}
	}
}

func TestEntryIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id EntryID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
		text, err := id.MarshalText()
		if err != nil || string(text) != id.String() {
			t.Fatalf("%s, %v", text, err)
		}
		back, err := ParseEntryID(string(text))
		if err != nil || back != id {
			t.Fatalf("%s read as %s, %v", text, back, err)
		}
	})
}
