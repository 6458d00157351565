package conflict

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
)

// M1 and M4: two orders of arrival, checked against Rebuild at every prefix.
func TestOrderIndependence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := drawNodes(t, p, 14)
		one := play(t, arrive(t, nodes), p)
		two := play(t, arrive(t, nodes), p)
		if a, b := timeless(one), timeless(two); !reflect.DeepEqual(a, b) {
			t.Fatalf("M1 broken:\n%s\n%s", describe(&a), describe(&b))
		}
	})
}

// M4 with entries that never arrive.
func TestApplyEqualsRebuildWithGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := arrive(t, drawNodes(t, p, 14))
		play(t, nodes[:rapid.IntRange(1, len(nodes)).Draw(t, "arrived")], p)
	})
}

// M2: an entry that comes again, with the position it has, changes nothing.
func TestIdempotence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := arrive(t, drawNodes(t, p, 12))
		s := play(t, nodes, p)
		again := nodes[rapid.IntRange(0, len(nodes)-1).Draw(t, "again")]
		if got := applyOne(t, s, nodes, again, p); !reflect.DeepEqual(got, s) {
			t.Fatalf("M2 broken by %s", nameOf(again.ID))
		}
		if got := Rebuild(testUnit, append(slices.Clone(nodes), nodes...), p); !reflect.DeepEqual(got, s) {
			t.Fatal("M2 broken: every entry twice")
		}
	})
}

// M2: of two receipts of one entry the first counts, whichever comes first.
func TestTwoReceipts(t *testing.T) {
	first := Node{ID: idOf("a"), Act: model.ActRegister, Position: 4, Value: []byte(`{"score":2}`), Stamp: model.Stamp{Hi: 10, TEff: 5}}
	later, further := first, first
	later.Position, later.Stamp.Hi, later.Stamp.TEff = 2, 20, 15
	further.Position = 9
	want := Rebuild(testUnit, []Node{first}, model.Policy{})
	for _, nodes := range [][]Node{{first, later}, {later, first}, {first, further}, {further, first}} {
		if got := Rebuild(testUnit, nodes, model.Policy{}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// M3: sets that overlap, united in any grouping.
func TestAssociativity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := arrive(t, drawNodes(t, p, 14))
		var parts [3][]Node
		for _, n := range nodes {
			in := rapid.IntRange(1, 7).Draw(t, "parts")
			for k := range parts {
				if in&(1<<k) != 0 {
					parts[k] = append(parts[k], n)
				}
			}
		}
		// A replica holds what its state explains: sets are united as sets of nodes.
		union := func(a, b []Node) []Node { return newGraph(slices.Concat(a, b)).nodes }
		left := Rebuild(testUnit, union(union(parts[0], parts[1]), parts[2]), p)
		right := Rebuild(testUnit, union(parts[0], union(parts[2], parts[1])), p)
		if whole := Rebuild(testUnit, nodes, p); !reflect.DeepEqual(left, right) || !reflect.DeepEqual(left, whole) {
			t.Fatalf("M3 broken:\n%s\n%s\n%s", describe(&left), describe(&right), describe(&whole))
		}
	})
}

// M5 and M6, against the definition written a second time.
func TestNothingLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := drawNodes(t, p, 18)
		s, m, fates := Rebuild(testUnit, nodes, p), plainMerge(nodes), Fates(nodes)
		if len(fates) != len(nodes) {
			t.Fatalf("%d fates of %d entries", len(fates), len(nodes))
		}
		for i, n := range nodes {
			want := FateHead
			switch {
			case !n.Act.Sets() && m.effective[i]:
				want = FateEffective
			case !n.Act.Sets():
				want = FateUndone
			case !m.effective[i]:
				want = FateVoided
			case m.overwritten[i]:
				want = FateOverwritten
			}
			if fates[n.ID] != want {
				t.Fatalf("M5 broken: %s is %s, want %s", nameOf(n.ID), fates[n.ID], want)
			}
			at := slices.IndexFunc(s.Heads, func(h model.Head) bool { return h.ID == n.ID })
			if (at >= 0) != (want == FateHead) {
				t.Fatalf("M6 broken: %s is %s and at %d of the heads", nameOf(n.ID), want, at)
			}
			if at >= 0 && s.Heads[at].OverVoid != m.overVoid[i] {
				t.Fatalf("%s: over void %t, want %t", nameOf(n.ID), s.Heads[at].OverVoid, m.overVoid[i])
			}
		}
	})
}

// The class agrees with the heads, whatever the history.
func TestClassFitsHeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		s := Rebuild(testUnit, drawNodes(t, p, 18), p)
		flagged, decided, differ := false, false, false
		for i := range s.Heads {
			flagged = flagged || s.Heads[i].OverVoid || s.Heads[i].Reset
			decided = decided || s.Heads[i].Act == model.ActDecide
			differ = differ || !p.Equal(s.Heads[0].Value, s.Heads[i].Value)
		}
		switch {
		case len(s.Heads) < 2 && !flagged && s.Class != model.ClassSingle,
			len(s.Heads) > 1 && !flagged && !differ && s.Class != model.ClassAgree,
			flagged && s.Class < model.ClassStatus,
			differ && s.Class < model.ClassMinor,
			differ && p.Terminal && s.Class < model.ClassStatus,
			differ && p.Significant && !p.Score && !s.Class.NeedsReview(),
			s.Class == model.ClassDecision && !(decided && differ):
			t.Fatalf("class %d does not fit: %s", s.Class, describe(&s))
		}
		if decided && s.Heads[0].Act != model.ActDecide {
			t.Fatalf("a head that a decision had not seen is shown: %s", describe(&s))
		}
	})
}

func drawMillis(t *rapid.T, label string) model.Millis {
	return model.Millis(rapid.OneOf(
		rapid.Int64Range(-1_000, 1_000),
		rapid.Int64Range(1_770_000_000_000, 1_790_000_000_000),
		rapid.Int64(),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MinInt64 + 1, math.MaxInt64 - 1}),
	).Draw(t, label))
}

func drawClaim(t *rapid.T) Claim {
	c := Claim{
		ElapsedMs: int64(drawMillis(t, "elapsed")), Wall: drawMillis(t, "wall"), ReceivedAt: drawMillis(t, "received"),
		Clock: rapid.SampledFrom([]string{model.ClockMonotonic, model.ClockRebooted, model.ClockNone, ""}).Draw(t, "claim"),
	}
	if rapid.Bool().Draw(t, "leased") {
		c.Lease = &LeaseTimes{IssuedAt: drawMillis(t, "issued"), WallOffset: drawMillis(t, "offset")}
	}
	return c
}

// M7: whatever a tablet claims, t_eff stays inside the bounds, and the bounds come from the
// server alone.
func TestClockLiesBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawClaim(t)
		s := Interval(c)
		if !(s.Lo <= s.TEff && s.TEff <= s.Hi) || s.Hi != c.ReceivedAt || s.U < 0 || s.Wall != c.Wall {
			t.Fatalf("M7 broken: %+v of %+v", s, c)
		}
		liar := c
		liar.ElapsedMs, liar.Wall, liar.Clock = int64(drawMillis(t, "elapsed2")), drawMillis(t, "wall2"), model.ClockMonotonic
		if lie := Interval(liar); lie.Lo != s.Lo || lie.Hi != s.Hi {
			t.Fatalf("M7 broken: a claim moved the bounds %+v to %+v", s, lie)
		}
		if s.Class != model.ClockC && (c.Lease == nil || s.T < s.Lo && s.Lo-s.T > s.U || s.T > s.Hi && s.T-s.Hi > s.U) {
			t.Fatalf("class %s without evidence: %+v", s.Class, s)
		}
	})
}

// M7: clock claims never change which entries are heads.
func TestClockNeverChangesHeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := drawNodes(t, p, 14)
		want := headIDs(Rebuild(testUnit, nodes, p))
		for i := range nodes {
			nodes[i].Stamp = Interval(drawClaim(t))
		}
		if got := headIDs(Rebuild(testUnit, nodes, p)); !slices.Equal(got, want) {
			t.Fatalf("M7 broken: heads %v, want %v", got, want)
		}
	})
}

// M8: all clocks, devices and seqs equal: one order all the same.
func TestForcedTies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := drawNodes(t, p, 14)
		for i := range nodes {
			nodes[i].Stamp, nodes[i].Device, nodes[i].Seq = nodes[0].Stamp, model.DeviceID{}, 7
		}
		one, two := Rebuild(testUnit, nodes, p), Rebuild(testUnit, arrive(t, nodes), p)
		if !reflect.DeepEqual(timeless(one), timeless(two)) {
			t.Fatalf("M8 broken:\n%s\n%s", describe(&one), describe(&two))
		}
		for i := 1; i < len(one.Heads); i++ {
			if compareHeads(one.Heads[i-1], one.Heads[i]) != -1 || compareHeads(one.Heads[i], one.Heads[i-1]) != 1 {
				t.Fatalf("M8 broken: heads %d and %d tie", i-1, i)
			}
		}
	})
}

// M9: a decision over all heads closes, an unseen head opens again, undo restores.
func TestDecisionLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		nodes := arrive(t, drawNodes(t, p, 12))
		before := Rebuild(testUnit, nodes, p)
		position := nodes[len(nodes)-1].Position
		add := func(n Node) {
			position++
			n.Position, n.Stamp, n.Device = position, drawStamp(t), model.DeviceID{15: 9}
			nodes = append(nodes, n)
		}
		decide := Node{ID: idOf("decide"), Act: model.ActDecide, Value: drawValue(t, p)}
		for i := range before.Heads {
			decide.Over = append(decide.Over, before.Heads[i].ID)
		}
		add(decide)
		decided := play(t, nodes, p)
		if len(decided.Heads) != 1 || decided.Heads[0].ID != decide.ID || decided.Class != model.ClassSingle {
			t.Fatalf("M9 broken: a decision did not close: %s", describe(&decided))
		}

		add(Node{ID: idOf("unseen"), Act: model.ActRegister, Value: drawValue(t, p), Over: decide.Over})
		unseen := nodes[len(nodes)-1]
		reopened := play(t, nodes, p)
		equal := p.Equal(unseen.Value, decide.Value)
		if len(reopened.Heads) != 2 || reopened.Heads[0].ID != decide.ID || !equal && reopened.Class != model.ClassDecision {
			t.Fatalf("M9 broken: an unseen head did not open again: %s", describe(&reopened))
		}

		nodes = slices.Delete(nodes, len(nodes)-1, len(nodes))
		add(Node{ID: idOf("undo"), Act: model.ActVoid, Target: decide.ID, Over: []model.EntryID{decide.ID}})
		undone := timeless(play(t, nodes, p))
		undone.Tangled = before.Tangled // a void has touched the unit
		if want := timeless(before); !reflect.DeepEqual(undone, want) {
			t.Fatalf("M9 broken: undo gave\n%s, before was\n%s", describe(&undone), describe(&want))
		}

		add(Node{ID: idOf("redo"), Act: model.ActReinstate, Target: idOf("undo")})
		if redone := timeless(play(t, nodes, p)); !slices.Equal(headIDs(redone), []string{"decide"}) {
			t.Fatalf("M9 broken: reinstate gave %s", describe(&redone))
		}
	})
}
