package conflict

import (
	"slices"

	"flette/model"
)

// MaxHeads bounds the heads of a unit. More of them come from a broken client, not from
// nurses, and would make every later change slower.
const MaxHeads = 64

// ErrTooManyHeads is returned by [Apply] when the entry would leave more than [MaxHeads]
// heads. The caller quarantines the entry with the code of this problem.
var ErrTooManyHeads = model.Problemf("too-many-heads", "", "the unit would have more than %d values side by side; name the values that this one replaces in over", MaxHeads)

// Rebuild computes the state of a unit from all of its accepted entries, in any order,
// repeats allowed. It is the definition of the merge; it takes any number of heads, and
// time and memory near-linear in the entries.
func Rebuild(unit model.Unit, nodes []Node, p model.Policy) model.UnitState {
	g := newGraph(nodes)
	return g.state(unit, g.heads(), p)
}

// Apply computes the state of unit s.Unit after one more entry, equal in every byte to
// Rebuild of all entries (M4). The zero state with its Unit set is the state before the
// first entry.
//
// known reports whether an entry that already took effect names this unit of this person;
// it is asked only about ids in n.Over that are not heads. A false answer is always safe,
// it costs a rebuild. history returns every entry of the unit that took effect, with or
// without n; it is called when the heads alone cannot tell. n is new, or comes with the
// position at which it took effect and then changes nothing (M2). s is not changed.
//
// On an error s is returned as it was: ErrTooManyHeads, or the error of history.
func Apply(s model.UnitState, n Node, p model.Policy, known func(model.EntryID) bool, history func() ([]Node, error)) (model.UnitState, error) {
	kept, ok := replace(&s, &n, p, known)
	if !ok {
		nodes, err := history()
		if err != nil {
			return s, err
		}
		g := newGraph(append(slices.Clip(nodes), n))
		heads := g.heads()
		if len(heads) > MaxHeads {
			return s, ErrTooManyHeads
		}
		return g.state(s.Unit, heads, p), nil
	}
	if len(kept) >= MaxHeads {
		return s, ErrTooManyHeads
	}
	h := n.head()
	h.Reset = len(kept) == 0 && resetsHeads(&s, &n, p)
	at, _ := slices.BinarySearchFunc(kept, h, compareHeads)
	next := model.UnitState{Unit: s.Unit, Position: n.Position, Heads: slices.Insert(kept, at, h)}
	classify(&next, p)
	return next, nil
}

// replace returns a copy of the heads that n leaves standing, with room for one more. It is
// false when the heads alone cannot tell the next state:
//
//   - a void, a reinstate or a gap touched the unit, or n brings one: an entry that nobody
//     sees now may come back, or a name may reach further than we know;
//   - n is not the newest entry: it may be here already (M2);
//   - the unit is yes/no with date and n leaves a head standing or names something that is
//     not a head: what the heads stand on is then part of the answer.
//
// An id in over that is known and not a head needs nothing in an untangled unit: it and all
// that it reaches are overwritten already.
func replace(s *model.UnitState, n *Node, p model.Policy, known func(model.EntryID) bool) ([]model.Head, bool) {
	if s.Tangled || !n.Act.Sets() || len(s.Heads) > 0 && n.Position <= s.Position {
		return nil, false
	}
	for _, id := range n.Over {
		isHead := slices.ContainsFunc(s.Heads, func(h model.Head) bool { return h.ID == id })
		if !isHead && (p.YesNoDate || !known(id)) {
			return nil, false
		}
	}
	kept := make([]model.Head, 0, len(s.Heads)+1)
	for i := range s.Heads {
		if !slices.Contains(n.Over, s.Heads[i].ID) {
			kept = append(kept, s.Heads[i])
		}
	}
	if p.YesNoDate && len(kept) > 0 {
		return nil, false
	}
	return kept, true
}

// resetsHeads is overActive for an entry that names every head and nothing else.
func resetsHeads(s *model.UnitState, n *Node, p model.Policy) bool {
	if !p.YesNoDate || !everyday(n.Act) || !undatedNei(n.Value, p) {
		return false
	}
	return slices.ContainsFunc(s.Heads, func(h model.Head) bool {
		return h.Reset || p.Resets(n.Value, h.Value)
	})
}

// state puts the heads in order and judges them.
func (g *graph) state(unit model.Unit, at []int32, p model.Policy) model.UnitState {
	s := model.UnitState{Unit: unit, Missing: g.missing, Tangled: len(g.missing) > 0}
	for i := range g.nodes {
		s.Position = max(s.Position, g.nodes[i].Position)
		s.Tangled = s.Tangled || !g.nodes[i].Act.Sets()
	}
	marks := g.overVoid(at)
	for k, i := range at {
		h := g.nodes[i].head()
		h.OverVoid = marks[k]
		h.Reset = p.YesNoDate && g.overActive(i, p)
		s.Heads = append(s.Heads, h)
	}
	if p.YesNoDate {
		markResets(s.Heads, p)
	}
	slices.SortFunc(s.Heads, compareHeads)
	classify(&s, p)
	return s
}

// Fate is what became of an entry, for history (R83).
type Fate string

// Fates of set-acts, then of void and reinstate.
const (
	FateHead        Fate = "head"
	FateOverwritten Fate = "overwritten"
	FateVoided      Fate = "voided" // also when it is overwritten as well
	FateEffective   Fate = "effective"
	FateUndone      Fate = "undone"
)

// Fates tells what became of every entry of a unit.
func Fates(nodes []Node) map[model.EntryID]Fate {
	g := newGraph(nodes)
	over := g.overwritten()
	fates := make(map[model.EntryID]Fate, len(g.nodes))
	for i := range g.nodes {
		f := FateHead
		switch sets := g.nodes[i].Act.Sets(); {
		case !sets && g.effective[i]:
			f = FateEffective
		case !sets:
			f = FateUndone
		case !g.effective[i]:
			f = FateVoided
		case over[i]:
			f = FateOverwritten
		}
		fates[g.nodes[i].ID] = f
	}
	return fates
}
