package model

import (
	"slices"
	"testing"
)

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		in, want []string
	}{
		{nil, nil},
		{[]string{"nurse"}, []string{"nurse"}},
		{[]string{"operator", "nurse", "nurse"}, []string{"nurse", "operator"}},
		{[]string{"supervisor", "admin"}, []string{"supervisor", "admin"}},
		{[]string{"superuser", "Nurse", "nurse ", ""}, nil},
	} {
		r := ParseRoles(c.in)
		if got := r.Names(); !slices.Equal(got, c.want) {
			t.Errorf("%v read as %v", c.in, got)
		}
		for _, k := range RoleNames {
			if r.Has(k.Role) != slices.Contains(c.want, k.Name) {
				t.Errorf("%v has %s: %v", c.in, k.Name, r.Has(k.Role))
			}
		}
	}
	if r := ParseRoles([]string{"admin"}); !r.Has(RoleAdmin|RoleSupervisor) || r.Has(RoleNurse|RoleSupervisor) || r.Has(0) {
		t.Error("a set has any of the given roles")
	}
}

func TestShown(t *testing.T) {
	var none *UnitState
	two := &UnitState{Heads: []Head{{ID: idA}, {ID: idB}}}
	if none.Shown() != nil || (&UnitState{}).Shown() != nil || two.Shown().ID != idA {
		t.Error("shown is the first head, or none")
	}
	for c := ClassSingle; c <= ClassDecision; c++ {
		if c.NeedsReview() != (c >= ClassClinical) {
			t.Errorf("class %d", c)
		}
	}
}
