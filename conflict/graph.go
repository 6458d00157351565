package conflict

import (
	"bytes"
	"slices"

	"flette/model"
)

// Node is what one accepted entry says about one unit.
type Node struct {
	ID       model.EntryID
	Position int64 // where the entry took effect in the journal
	Act      model.Act
	Actor    model.ActorID
	Device   model.DeviceID
	Seq      int64
	Stamp    model.Stamp
	Value    []byte          // set-acts: raw JSON as signed; shared with the head, never changed
	Over     []model.EntryID // heads that the author saw
	Target   model.EntryID   // void and reinstate: what they name
	Bound    bool            // by decisions: the author may not decide, so not void a decision either
}

func (n *Node) head() model.Head {
	return model.Head{
		ID: n.ID, Position: n.Position, Act: n.Act, Actor: n.Actor,
		Device: n.Device, Seq: n.Seq, Stamp: n.Stamp, Value: n.Value,
	}
}

// graph is a set of nodes with their references resolved to indexes. Walks are loops over
// a stack: a unit may be confirmed daily for decades, one entry on top of the other.
type graph struct {
	nodes     []Node
	over      [][]int32 // edges of Over to nodes that are here
	target    []int32   // of void and reinstate; -1 when it is not here
	effective []bool    // not voided, or for void and reinstate not undone
	missing   []model.EntryID
}

func newGraph(nodes []Node) *graph {
	index := make(map[model.EntryID]int32, len(nodes))
	g := &graph{nodes: make([]Node, 0, len(nodes))}
	edges := 0
	for i := range nodes {
		n := &nodes[i]
		at, dup := index[n.ID]
		if !dup {
			index[n.ID] = int32(len(g.nodes))
			g.nodes = append(g.nodes, *n)
			edges += len(n.Over)
		} else if earlier(n, &g.nodes[at]) {
			// Two receipts of one entry exist after a restore: the first counts (M2).
			g.nodes[at] = *n
		}
	}
	g.over = make([][]int32, len(g.nodes))
	g.target = make([]int32, len(g.nodes))
	flat := make([]int32, 0, edges)
	for i := range g.nodes {
		n := &g.nodes[i]
		start := len(flat)
		for _, id := range n.Over {
			if at, ok := index[id]; !ok {
				g.missing = append(g.missing, id)
			} else if at != int32(i) {
				flat = append(flat, at)
			}
		}
		g.over[i] = flat[start:len(flat):len(flat)]
		g.target[i] = -1
		if n.Act == model.ActVoid || n.Act == model.ActReinstate {
			if at, ok := index[n.Target]; ok {
				g.target[i] = at
			}
		}
	}
	slices.SortFunc(g.missing, compareIDs)
	g.missing = slices.Compact(g.missing)
	g.findEffective()
	return g
}

func earlier(a, b *Node) bool {
	if a.Stamp.Hi != b.Stamp.Hi {
		return a.Stamp.Hi < b.Stamp.Hi
	}
	return a.Position < b.Position
}

func compareIDs(a, b model.EntryID) int { return bytes.Compare(a[:], b[:]) }

// undoes reports whether a void or reinstate takes the effect of another entry away. A
// decision yields to a void by somebody who may decide.
func undoes(by, of *Node) bool {
	if by.Act == model.ActVoid {
		return of.Act.Sets() && !(of.Act == model.ActDecide && by.Bound) || of.Act == model.ActReinstate
	}
	return of.Act == model.ActVoid
}

// findEffective settles voids and reinstates from the end of their chains: what nothing
// undoes is effective, what something effective undoes is not, and so on. What is left over
// lies on a cycle and takes no effect.
func (g *graph) findEffective() {
	const open, no, yes = 0, 1, 2
	verdict := make([]byte, len(g.nodes))
	pending := make([]int32, len(g.nodes)) // undoing nodes whose verdict is open
	hits := func(i int32) int32 {
		if t := g.target[i]; t >= 0 && undoes(&g.nodes[i], &g.nodes[t]) {
			return t
		}
		return -1
	}
	for i := range g.nodes {
		if t := hits(int32(i)); t >= 0 {
			pending[t]++
		}
	}
	var ready []int32
	for i := range g.nodes {
		if pending[i] == 0 {
			verdict[i] = yes
			ready = append(ready, int32(i))
		}
	}
	for len(ready) > 0 {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		t := hits(i)
		if t < 0 || verdict[t] != open {
			continue
		}
		if verdict[i] == yes {
			verdict[t] = no
			ready = append(ready, t)
		} else if pending[t]--; pending[t] == 0 {
			verdict[t] = yes
			ready = append(ready, t)
		}
	}
	g.effective = make([]bool, len(g.nodes))
	for i := range verdict {
		g.effective[i] = verdict[i] == yes
	}
}

func (g *graph) sets(i int32) bool   { return g.nodes[i].Act.Sets() && g.effective[i] }
func (g *graph) voided(i int32) bool { return g.nodes[i].Act.Sets() && !g.effective[i] }

// reach marks everything that the given nodes reach along edges; the nodes themselves only
// when another one reaches them.
func reach(edges [][]int32, from ...int32) []bool {
	reached := make([]bool, len(edges))
	walked := make([]bool, len(edges))
	stack := slices.Clone(from)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if walked[i] {
			continue
		}
		walked[i] = true
		for _, x := range edges[i] {
			reached[x] = true
			if !walked[x] {
				stack = append(stack, x)
			}
		}
	}
	return reached
}

// overwritten marks what effective set-entries reach.
func (g *graph) overwritten() []bool {
	var from []int32
	for i := range g.nodes {
		if g.sets(int32(i)) {
			from = append(from, int32(i))
		}
	}
	return reach(g.over, from...)
}

// heads returns the indexes of the heads, in no particular order.
func (g *graph) heads() []int32 {
	over := g.overwritten()
	var heads []int32
	for i := range g.nodes {
		if g.sets(int32(i)) && !over[i] {
			heads = append(heads, int32(i))
		}
	}
	return heads
}

// overVoid marks those heads that name a voided entry none of whose voids had seen them.
// One void that saw the head settles it: its author judged with the head in view. Decisions
// are never marked.
func (g *graph) overVoid(heads []int32) []bool {
	marks := make([]bool, len(heads))
	var voids map[int32][]int32 // voided entry to its effective voids
	var seers [][]int32         // the edges of over turned round
	for k, h := range heads {
		if g.nodes[h].Act == model.ActDecide || !slices.ContainsFunc(g.over[h], g.voided) {
			continue
		}
		if voids == nil {
			voids, seers = g.voids(), turned(g.over)
		}
		// Few entries have seen a head: had a set-act in effect, it would not be one.
		saw := reach(seers, h)
		marks[k] = slices.ContainsFunc(g.over[h], func(x int32) bool {
			return g.voided(x) && !slices.ContainsFunc(voids[x], func(v int32) bool { return saw[v] })
		})
	}
	return marks
}

func (g *graph) voids() map[int32][]int32 {
	voids := map[int32][]int32{}
	for i := range g.nodes {
		if t := g.target[i]; t >= 0 && g.nodes[i].Act == model.ActVoid && g.effective[i] && undoes(&g.nodes[i], &g.nodes[t]) {
			voids[t] = append(voids[t], int32(i))
		}
	}
	return voids
}

func turned(edges [][]int32) [][]int32 {
	back := make([][]int32, len(edges))
	for i := range edges {
		for _, x := range edges[i] {
			back[x] = append(back[x], int32(i))
		}
	}
	return back
}

// overActive reports whether a head that says Nei without date stands on an active Ja
// (domain.md 1.5): on what it names, looking through voided entries, and through earlier
// Nei without date that nobody with a reason has settled. Otherwise the next nurse who
// confirms the list unchanged would close the question before a supervisor saw it.
func (g *graph) overActive(h int32, p model.Policy) bool {
	value := g.nodes[h].Value
	if !everyday(g.nodes[h].Act) || !undatedNei(value, p) {
		return false
	}
	walked := make([]bool, len(g.nodes))
	stack := slices.Clone(g.over[h])
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if walked[i] {
			continue
		}
		walked[i] = true
		x := &g.nodes[i]
		if g.sets(i) {
			if p.Resets(value, x.Value) {
				return true
			}
			if !everyday(x.Act) || !undatedNei(x.Value, p) {
				continue
			}
		}
		stack = append(stack, g.over[i]...)
	}
	return false
}

// everyday acts carry no reason, so they cannot withdraw a Ja as an error.
func everyday(a model.Act) bool { return a == model.ActRegister || a == model.ActConfirm }

var activeJa = []byte(`{"code":"1"}`)

func undatedNei(value []byte, p model.Policy) bool { return p.Resets(value, activeJa) }
