package conflict

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"flette/model"
)

func unknown(model.EntryID) bool { return false }

// many returns n heads side by side.
func many(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: idOf(fmt.Sprintf("h%03d", i)), Act: model.ActRegister, Position: int64(i), Value: []byte(`{"score":3}`)}
	}
	return nodes
}

func TestTooManyHeads(t *testing.T) {
	p := model.Policy{Score: true}
	full := many(MaxHeads)
	s := play(t, full, p)
	one := Node{ID: idOf("one"), Act: model.ActRegister, Position: 900, Value: []byte(`{"score":3}`)}
	history := func() ([]Node, error) { return full, nil }

	for name, n := range map[string]Node{
		"from heads":   one,
		"from history": {ID: one.ID, Act: one.Act, Position: 900, Value: one.Value, Over: []model.EntryID{idOf("gone")}},
	} {
		got, err := Apply(s, n, p, unknown, history)
		if !errors.Is(err, ErrTooManyHeads) || ErrTooManyHeads.Code != "too-many-heads" {
			t.Errorf("%s: error %v", name, err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("%s: the state changed", name)
		}
	}

	one.Over = []model.EntryID{full[7].ID}
	if got, err := Apply(s, one, p, unknown, history); err != nil || len(got.Heads) != MaxHeads {
		t.Errorf("replacing one of %d heads: %d heads, error %v", MaxHeads, len(got.Heads), err)
	}
	void := Node{ID: idOf("v"), Act: model.ActVoid, Position: 900, Target: idOf("other")}
	if got, err := Apply(s, void, p, unknown, history); err != nil || len(got.Heads) != MaxHeads {
		t.Errorf("as many as allowed, from history: %d heads, error %v", len(got.Heads), err)
	}
	if got := Rebuild(testUnit, many(MaxHeads+9), p); len(got.Heads) != MaxHeads+9 {
		t.Errorf("Rebuild is the definition and has no limit: %d heads", len(got.Heads))
	}
}

func TestHistoryError(t *testing.T) {
	s := Rebuild(testUnit, many(1), model.Policy{})
	broken := errors.New("disk")
	void := Node{ID: idOf("v"), Act: model.ActVoid, Position: 5, Target: s.Heads[0].ID}
	got, err := Apply(s, void, model.Policy{}, unknown, func() ([]Node, error) { return nil, broken })
	if !errors.Is(err, broken) || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A caller that knows nothing gets the same states, only slower.
func TestKnownMayBeFalse(t *testing.T) {
	nodes := many(3)
	nodes[1].Over = []model.EntryID{nodes[0].ID}
	nodes[2].Over = []model.EntryID{nodes[0].ID}
	s := Rebuild(testUnit, nodes[:2], model.Policy{})
	lent := append(slices.Clone(nodes[:2]), Node{Seq: 42})
	got, err := Apply(s, nodes[2], model.Policy{}, unknown, func() ([]Node, error) { return lent[:2], nil })
	if lent[2].Seq != 42 {
		t.Error("Apply wrote into the history it was lent")
	}
	if want := Rebuild(testUnit, nodes, model.Policy{}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestEmpty(t *testing.T) {
	want := model.UnitState{Unit: testUnit}
	if got := Rebuild(testUnit, nil, model.Policy{}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

// Forged ids may form cycles; the outcome is still one function of the set.
func TestCycles(t *testing.T) {
	p := model.Policy{Score: true}
	a := Node{ID: idOf("a"), Act: model.ActRegister, Value: []byte(`{"score":1}`), Over: []model.EntryID{idOf("b")}}
	b := Node{ID: idOf("b"), Act: model.ActRegister, Value: []byte(`{"score":2}`), Over: []model.EntryID{idOf("a")}, Position: 1}
	if s := Rebuild(testUnit, []Node{a, b}, p); len(s.Heads) != 0 {
		t.Errorf("two that overwrite each other: %s", describe(&s))
	}
	self := Node{ID: idOf("s"), Act: model.ActRegister, Value: []byte(`{"score":2}`), Over: []model.EntryID{idOf("s")}}
	if s := play(t, []Node{self}, p); len(s.Heads) != 1 || s.Tangled {
		t.Errorf("one that names itself: %s", describe(&s))
	}
	x := Node{ID: idOf("x"), Act: model.ActRegister, Value: []byte(`{"score":2}`)}
	v := Node{ID: idOf("v"), Act: model.ActVoid, Target: idOf("r"), Position: 1}
	r := Node{ID: idOf("r"), Act: model.ActReinstate, Target: idOf("v"), Position: 2}
	play(t, []Node{x, v, r}, p)
	if f := Fates([]Node{r, v, x}); f[v.ID] != FateUndone || f[r.ID] != FateUndone || f[x.ID] != FateHead {
		t.Errorf("void and reinstate of each other: %v", f)
	}
}

func TestHeadSet(t *testing.T) {
	s := Rebuild(testUnit, many(3), model.Policy{})
	turned := slices.Clone(s.Heads)
	slices.Reverse(turned)
	if HeadSet(s.Heads) != HeadSet(turned) {
		t.Error("order matters")
	}
	if HeadSet(s.Heads) == HeadSet(s.Heads[:2]) || HeadSet(nil) == HeadSet(s.Heads[:1]) {
		t.Error("different sets have one name")
	}
	if s.Heads[0].ID != turned[2].ID {
		t.Error("HeadSet sorted its argument")
	}
}

// M10: the id is stored and linked to, so it is pinned.
func TestReviewID(t *testing.T) {
	person, err := model.ParsePersonID("0192f3a0-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	const want = "VVx_QjJYcOQV1Ajs_d8TsK"
	if got := ReviewID(person, testUnit); got != want {
		t.Errorf("got %s", got)
	}
	if ReviewID(person, "score/hearing") == want || ReviewID(model.PersonID{}, testUnit) == want {
		t.Error("another unit or person has the same review")
	}
}

// chain returns daily confirmations, each over the one before, with a void now and then.
func chain(n int, voids bool) []Node {
	nodes := make([]Node, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range nodes {
		nodes[i] = Node{
			ID: model.EntryID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16), 31: 1}, Act: model.ActConfirm,
			Position: int64(i), Seq: int64(i), Value: []byte(`{"score":3}`), Stamp: model.Stamp{TEff: model.Millis(i), Hi: model.Millis(i)},
		}
		if i > 0 {
			nodes[i].Over = []model.EntryID{nodes[i-1].ID}
		}
		if voids && i > 0 && rng.IntN(50) == 0 {
			nodes[i].Act, nodes[i].Target = model.ActVoid, nodes[i-1].ID
		}
	}
	return nodes
}

func TestLongChain(t *testing.T) {
	nodes := chain(100_000, false)
	if s := Rebuild(testUnit, nodes, model.Policy{Score: true}); len(s.Heads) != 1 || s.Heads[0].Seq != 99_999 || s.Tangled {
		t.Errorf("got %s", describe(&s))
	}
	yes := model.Policy{YesNoDate: true}
	for i := range nodes {
		nodes[i].Value = []byte(`{"code":"2"}`)
	}
	nodes[0].Value = []byte(`{"code":"1","date":"2026-01-10"}`)
	if s := Rebuild(testUnit, nodes[:20_000], yes); len(s.Heads) != 1 || !s.Heads[0].Reset {
		t.Errorf("got %s", describe(&s))
	}
}

// Sixty-four heads on top of one withdrawn entry, and a thousand voids that withdrew it.
func TestManyVoidsUnderManyHeads(t *testing.T) {
	nodes := many(MaxHeads)
	x := Node{ID: idOf("x"), Act: model.ActRegister, Value: []byte(`{"score":1}`)}
	for i := range nodes {
		nodes[i].Over = []model.EntryID{x.ID}
	}
	nodes = append(nodes, x)
	for i := range 1_000 {
		v := Node{ID: idOf(fmt.Sprintf("v%04d", i)), Act: model.ActVoid, Target: x.ID}
		v.Over = []model.EntryID{nodes[len(nodes)-1].ID, nodes[(i+1)%50].ID}
		nodes = append(nodes, v)
	}
	s := Rebuild(testUnit, nodes, model.Policy{Score: true})
	unseen := 0
	for i := range s.Heads {
		if s.Heads[i].OverVoid {
			unseen++
		}
	}
	if len(s.Heads) != MaxHeads || unseen != MaxHeads-50 || s.Class != model.ClassStatus {
		t.Errorf("%d heads, %d of them on top of a void that had not seen them, class %d", len(s.Heads), unseen, s.Class)
	}
}

func FuzzRebuild(f *testing.F) {
	f.Add([]byte("a\x00\x00\x00\x00\x01\x01b\x00\x01\x00\x00\x02\x02c\x04\x00\x00\x02\x03\x03"))
	f.Add([]byte{1, 0, 2, 3, 0, 9, 4, 2, 0, 1, 3, 0, 9, 1, 3, 4, 1, 2, 2, 8, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		kinds := []model.Act{
			model.ActRegister, model.ActConfirm, model.ActCorrect, model.ActDecide,
			model.ActVoid, model.ActReinstate, model.ActRelease, model.Act("later"),
		}
		id := func(b byte) model.EntryID { return model.EntryID{0: 'a' + b%24} }
		p := policies[len(data)%len(policies)]
		seen := map[model.EntryID]bool{}
		var nodes []Node
		for ; len(data) >= 7 && len(nodes) < 24; data = data[7:] {
			n := Node{
				ID: id(data[0]), Act: kinds[data[1]%8], Target: id(data[4]), Position: int64(len(nodes)),
				Over:  []model.EntryID{id(data[2]), id(data[3])},
				Stamp: model.Stamp{T: model.Millis(data[5] % 8), TEff: model.Millis(data[5] % 8), Hi: 8, Class: 'A' + model.ClockClass(data[5]>>3%3)},
			}
			if data[2] >= 128 {
				n.Over = n.Over[1:]
			}
			if data[3] >= 128 {
				n.Over = n.Over[:len(n.Over)-1]
			}
			n.Value = []byte(yesNos[data[6]%4])
			if data[6]&16 != 0 {
				n.Value = []byte(scores[data[6]%6])
			}
			if data[6]&32 != 0 {
				n.Value = data[6:7]
			}
			if !seen[n.ID] {
				seen[n.ID] = true
				nodes = append(nodes, n)
			}
		}
		s := play(t, nodes, p)
		turned := slices.Clone(nodes)
		slices.Reverse(turned)
		if got := Rebuild(testUnit, turned, p); !reflect.DeepEqual(got, Rebuild(testUnit, nodes, p)) {
			t.Fatalf("M1 broken: %s and %s", describe(&s), describe(&got))
		}
		fates := Fates(nodes)
		for i := range s.Heads {
			if fates[s.Heads[i].ID] != FateHead {
				t.Fatalf("M6 broken: %s is %s", nameOf(s.Heads[i].ID), fates[s.Heads[i].ID])
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	p := model.Policy{Section: "score", Score: true, Significant: true}
	for _, heads := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("heads=%d", heads), func(b *testing.B) {
			s := Rebuild(testUnit, many(heads), p)
			n := Node{ID: idOf("next"), Act: model.ActRegister, Position: 900, Value: []byte(`{"score":4}`), Over: []model.EntryID{s.Heads[0].ID}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Apply(s, n, p, unknown, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRebuild(b *testing.B) {
	p := model.Policy{Section: "score", Score: true, Significant: true}
	for _, size := range []int{10, 1_000, 10_000} {
		for _, voids := range []bool{false, true} {
			b.Run(fmt.Sprintf("nodes=%d/voids=%t", size, voids), func(b *testing.B) {
				nodes := chain(size, voids)
				b.ReportAllocs()
				for b.Loop() {
					Rebuild(testUnit, nodes, p)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/node")
			})
		}
	}
}
