package iplos

import (
	"testing"

	"flette/store"
)

// The vector of R69: C(no) -> B(no) -> A(number); a number given to B later counts from then.
func TestOrgNumberAt(t *testing.T) {
	m := newMemory()
	for _, u := range []store.OrgUnit{
		{ID: "a", OrgNumber: []store.OrgNumber{{Number: "312345676", From: "2020-01-01"}}},
		{ID: "b", Parent: "a", OrgNumber: []store.OrgNumber{{Number: "310000019", From: "2026-06-01", To: "2026-12-31"}}},
		{ID: "c", Parent: "b"},
		{ID: "x", Parent: "y"}, {ID: "y", Parent: "x"}, // a tree that bites its own tail
		{ID: "z", Parent: "gone"},
	} {
		must(t, store.Put(m, u))
	}
	for _, c := range []struct{ unit, date, number, from string }{
		{"c", "2026-05-31", "312345676", "a"},
		{"c", "2026-06-01", "310000019", "b"},
		{"c", "2026-12-31", "310000019", "b"},
		{"c", "2027-01-01", "312345676", "a"},
		{"a", "2019-12-31", "", ""},
		{"x", "2026-06-01", "", ""},
		{"z", "2026-06-01", "", ""},
		{"", "2026-06-01", "", ""},
	} {
		number, from, ok := OrgNumberAt(m, c.unit, c.date)
		if number != c.number || from != c.from || ok != (c.number != "") {
			t.Errorf("OrgNumberAt(%q, %s) = %q, %q, %v, want %q of %q", c.unit, c.date, number, from, ok, c.number, c.from)
		}
	}
}
