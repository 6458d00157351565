package sync

import (
	"io"
	"slices"

	"github.com/google/uuid"

	"flette/model"
	"flette/model/ident"
	"flette/store"
)

// unitTree is the organisation tree while an import changes it.
type unitTree struct {
	byLocal  map[string]*store.OrgUnit
	before   map[string]store.OrgUnit // by id, as stored
	lines    map[string]int           // local code -> line of this import
	parents  map[string]string        // local code -> parent's local code
	order    []string
	problems ImportProblems
}

func newUnitTree(units []store.OrgUnit) *unitTree {
	t := &unitTree{
		byLocal: map[string]*store.OrgUnit{}, before: map[string]store.OrgUnit{},
		lines: map[string]int{}, parents: map[string]string{},
	}
	for _, u := range units {
		old := u
		old.OrgNumber = slices.Clone(u.OrgNumber)
		t.before[u.ID] = old
		t.byLocal[u.Local] = &u
	}
	return t
}

func (t *unitTree) problem(line int, code, pointer, format string, args ...any) {
	t.problems = append(t.problems, &LineProblem{Line: line, Problem: *model.Problemf(code, pointer, format, args...)})
}

func (t *unitTree) add(in *UnitInput, random io.Reader) {
	if in.Local == "" || in.Name == "" {
		t.problem(in.Line, "missing-member", "/local", "a unit needs a local code and a name")
		return
	}
	u := t.byLocal[in.Local]
	if u == nil {
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			t.problem(in.Line, "internal", "", "no randomness for an id")
			return
		}
		u = &store.OrgUnit{ID: id.String(), Local: in.Local}
		t.byLocal[in.Local] = u
	}
	if _, again := t.lines[in.Local]; !again {
		t.order = append(t.order, in.Local)
	} else if t.parents[in.Local] != in.Parent {
		t.problem(in.Line, "unit-parent-differs", "/parent", "the unit stands under another parent on line %d", t.lines[in.Local])
	}
	t.lines[in.Local], t.parents[in.Local] = in.Line, in.Parent
	u.Name = in.Name
	if in.OrgNumber != "" {
		t.number(u, in)
	}
}

// number adds an organisation number (R70) beside those of other times, or replaces the one
// that begins on the same day.
func (t *unitTree) number(u *store.OrgUnit, in *UnitInput) {
	if _, err := ident.ParseOrgNumber(in.OrgNumber); err != nil {
		p := asProblem(err)
		t.problem(in.Line, p.Code, "/org_number", "%s", p.Detail)
		return
	}
	n := store.OrgNumber{Number: in.OrgNumber, From: in.From, To: in.To}
	if n.From == "" {
		n.From = "1900-01-01"
	}
	if n.To != "" && n.To < n.From {
		t.problem(in.Line, "invalid-member", "/to", "the number ends before it begins")
		return
	}
	u.OrgNumber = slices.DeleteFunc(u.OrgNumber, func(o store.OrgNumber) bool { return o.From == n.From })
	u.OrgNumber = append(u.OrgNumber, n)
	slices.SortFunc(u.OrgNumber, func(a, b store.OrgNumber) int {
		if a.From < b.From {
			return -1
		}
		return 1
	})
	for i := 1; i < len(u.OrgNumber); i++ {
		// A new number ends the one before it the day before, as a reader would assume.
		if prev := &u.OrgNumber[i-1]; prev.To == "" || prev.To >= u.OrgNumber[i].From {
			prev.To = dayBefore(u.OrgNumber[i].From)
		}
	}
}

// check resolves parents and refuses circles.
func (t *unitTree) check() {
	for _, local := range t.order {
		parent := t.parents[local]
		if parent == "" {
			t.byLocal[local].Parent = ""
			continue
		}
		p := t.byLocal[parent]
		if p == nil {
			t.problem(t.lines[local], "unknown-unit", "/parent", "no unit has the parent's local code")
			continue
		}
		t.byLocal[local].Parent = p.ID
	}
	byID := map[string]*store.OrgUnit{}
	for _, u := range t.byLocal {
		byID[u.ID] = u
	}
	for _, local := range t.order {
		steps := 0
		for u := t.byLocal[local]; u != nil && u.Parent != ""; u = byID[u.Parent] {
			if steps++; steps > len(byID) {
				t.problem(t.lines[local], "unit-circle", "/parent", "the unit stands under itself")
				break
			}
		}
	}
}

func (t *unitTree) changed() []*store.OrgUnit {
	var out []*store.OrgUnit
	for _, local := range t.order {
		u := t.byLocal[local]
		if old, ok := t.before[u.ID]; !ok || old.Name != u.Name || old.Parent != u.Parent || !slices.Equal(old.OrgNumber, u.OrgNumber) {
			out = append(out, u)
		}
	}
	return out
}

func (t *unitTree) counts() Imported {
	var done Imported
	for _, u := range t.changed() {
		if _, old := t.before[u.ID]; old {
			done.Changed++
		} else {
			done.New++
		}
	}
	done.Same = len(t.order) - done.New - done.Changed
	return done
}
