package conflict

import (
	"fmt"
	"reflect"
	"slices"

	"pgregory.net/rapid"

	"flette/model"
)

const testUnit model.Unit = "score/assist_memory"

var policies = []model.Policy{
	{Section: "score", Score: true, Significant: true},
	{Significant: true},
	{},
	{Terminal: true, Significant: true},
	{YesNoDate: true, Significant: true},
}

var scores = []string{`{"score":1}`, `{"score":2}`, `{"score":3,"note":"x"}`, `{"score":3}`, `{"score":5}`, `{"score":9}`}
var yesNos = []string{`{"code":"1","date":"2026-01-10"}`, `{"code":"2"}`, `{"code":"2"}`, `{"date":"2026-02-10","code":"2"}`}

func drawPolicy(t *rapid.T) model.Policy { return rapid.SampledFrom(policies).Draw(t, "policy") }

func drawValue(t *rapid.T, p model.Policy) []byte {
	if p.YesNoDate {
		return []byte(rapid.SampledFrom(yesNos).Draw(t, "value"))
	}
	return []byte(rapid.SampledFrom(scores).Draw(t, "value"))
}

var acts = []model.Act{
	model.ActRegister, model.ActRegister, model.ActRegister, model.ActConfirm, model.ActCorrect,
	model.ActDecide, model.ActVoid, model.ActVoid, model.ActReinstate,
}

// drawNodes plays tablets that work and meet in any order: each knows some nodes and writes
// on top of the heads it sees, or, being broken, on top of anything. Nodes come in causal
// order: over and target point backwards.
func drawNodes(t *rapid.T, p model.Policy, most int) []Node {
	var nodes []Node
	known := make([][]Node, 3)
	calm := rapid.Bool().Draw(t, "calm") // set-acts only: what Apply has a short way for
	for i := range rapid.IntRange(1, most).Draw(t, "nodes") {
		who := rapid.IntRange(0, len(known)-1).Draw(t, "who")
		if rapid.Bool().Draw(t, "syncs") {
			known[who] = append(known[who], known[rapid.IntRange(0, len(known)-1).Draw(t, "with")]...)
		}
		n := Node{
			ID: idOf(fmt.Sprintf("n%02d", i)), Act: rapid.SampledFrom(acts).Draw(t, "act"),
			Device: model.DeviceID{15: byte(who)}, Seq: int64(i), Stamp: drawStamp(t),
			Bound: rapid.Bool().Draw(t, "bound"),
		}
		if i == 0 || calm && !n.Act.Sets() {
			n.Act = model.ActRegister
		}
		if rapid.IntRange(0, 4).Draw(t, "broken") == 0 {
			for k := range nodes {
				if rapid.IntRange(0, 3).Draw(t, "names") == 0 {
					n.Over = append(n.Over, nodes[k].ID)
				}
			}
		} else {
			for _, h := range Rebuild(testUnit, known[who], p).Heads {
				n.Over = append(n.Over, h.ID)
			}
		}
		if n.Act.Sets() {
			n.Value = drawValue(t, p)
		} else {
			n.Target = nodes[rapid.IntRange(0, len(nodes)-1).Draw(t, "target")].ID
		}
		nodes = append(nodes, n)
		known[who] = append(known[who], n)
	}
	return nodes
}

func drawStamp(t *rapid.T) model.Stamp {
	at := model.Millis(rapid.IntRange(0, 40).Draw(t, "t"))
	return model.Stamp{
		Wall: at, T: at, U: model.Millis(rapid.IntRange(0, 3).Draw(t, "u")), Lo: 0, Hi: 100, TEff: at,
		Class: rapid.SampledFrom([]model.ClockClass{model.ClockA, model.ClockA, model.ClockB, model.ClockC}).Draw(t, "clock"),
	}
}

// arrive draws an order of arrival and gives positions by it; gaps stand for other units.
func arrive(t *rapid.T, nodes []Node) []Node {
	out := rapid.Permutation(nodes).Draw(t, "arrival")
	for i := range out {
		out[i].Position = int64(i * 3)
	}
	return out
}

// tester is what *testing.T and *rapid.T share.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// play applies nodes one by one and checks M4 at every prefix.
func play(t tester, nodes []Node, p model.Policy) model.UnitState {
	t.Helper()
	s := model.UnitState{Unit: testUnit}
	for i, n := range nodes {
		s = applyOne(t, s, nodes[:i], n, p)
		if want := Rebuild(testUnit, nodes[:i+1], p); !reflect.DeepEqual(s, want) {
			t.Fatalf("M4 broken at %d:\napply   %s\nrebuild %s", i, describe(&s), describe(&want))
		}
	}
	return s
}

func applyOne(t tester, s model.UnitState, before []Node, n Node, p model.Policy) model.UnitState {
	t.Helper()
	kept := slices.Clone(s.Heads)
	known := func(id model.EntryID) bool {
		return slices.ContainsFunc(before, func(b Node) bool { return b.ID == id })
	}
	next, err := Apply(s, n, p, known, func() ([]Node, error) { return before, nil })
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.Heads, kept) {
		t.Fatal("Apply changed the state it was given")
	}
	return next
}

// timeless clears what tells of the order of arrival itself (M1).
func timeless(s model.UnitState) model.UnitState {
	s.Position, s.Late = 0, false
	s.Heads = slices.Clone(s.Heads)
	for i := range s.Heads {
		s.Heads[i].Position = 0
	}
	return s
}

func headIDs(s model.UnitState) []string {
	var ids []string
	for i := range s.Heads {
		ids = append(ids, nameOf(s.Heads[i].ID))
	}
	slices.Sort(ids)
	return ids
}

// plain is the definition once more, written for reading and not for speed. It needs nodes
// in causal order.
type plain struct {
	effective, overwritten []bool
	overVoid               []bool
}

func plainMerge(nodes []Node) plain {
	at := map[model.EntryID]int{}
	for i := range nodes {
		at[nodes[i].ID] = i
	}
	saw := make([]map[int]bool, len(nodes)) // everything reached along over
	for i := range nodes {
		saw[i] = map[int]bool{}
		for _, id := range nodes[i].Over {
			if x, ok := at[id]; ok {
				saw[i][x] = true
				for y := range saw[x] {
					saw[i][y] = true
				}
			}
		}
	}
	m := plain{make([]bool, len(nodes)), make([]bool, len(nodes)), make([]bool, len(nodes))}
	for i := len(nodes) - 1; i >= 0; i-- {
		m.effective[i] = true
		for j := i + 1; j < len(nodes); j++ {
			void := nodes[j].Act == model.ActVoid && nodes[i].Act != model.ActVoid && !(nodes[j].Bound && nodes[i].Act == model.ActDecide)
			back := nodes[j].Act == model.ActReinstate && nodes[i].Act == model.ActVoid
			if m.effective[j] && nodes[j].Target == nodes[i].ID && (void || back) {
				m.effective[i] = false
			}
		}
	}
	for x := range nodes {
		for y := range nodes {
			if m.effective[y] && nodes[y].Act.Sets() && saw[y][x] {
				m.overwritten[x] = true
			}
		}
	}
	for h := range nodes {
		for _, id := range nodes[h].Over {
			x, here := at[id]
			if !here || !nodes[x].Act.Sets() || m.effective[x] || nodes[h].Act == model.ActDecide {
				continue
			}
			seen := false
			for v := range nodes {
				powerless := nodes[v].Bound && nodes[x].Act == model.ActDecide
				if nodes[v].Act == model.ActVoid && m.effective[v] && nodes[v].Target == id && saw[v][h] && !powerless {
					seen = true
				}
			}
			m.overVoid[h] = m.overVoid[h] || !seen
		}
	}
	return m
}
