package sync

import (
	"math/rand/v2"
	"testing"

	"flette/model"
	"flette/store"
)

// chainOf receives seqs in an order, and holds what the chain says against what is here.
type chainOf struct {
	t    *testing.T
	ch   store.Chain
	here map[int64]bool
	asks int // look-ups of entries
}

func (c *chainOf) receive(seq int64) {
	c.t.Helper()
	err := linkChain(&c.ch, seq, model.EntryID{}, "", func(seq int64) (model.EntryID, bool, error) {
		c.asks++
		return model.EntryID{}, c.here[seq], nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.here[seq] = true
}

// check: no more gaps than the bound, ascending and apart, both ends missing, every missing seq in one.
func (c *chainOf) check() {
	c.t.Helper()
	if len(c.ch.Missing) > maxGaps {
		c.t.Fatalf("%d gaps", len(c.ch.Missing))
	}
	in, before := map[int64]bool{}, int64(0)
	for _, g := range c.ch.Missing {
		if g.From <= before || g.To < g.From || c.here[g.From] || c.here[g.To] {
			c.t.Fatalf("gap %+v after %d; ends here: %v, %v", g, before, c.here[g.From], c.here[g.To])
		}
		for s := g.From; s <= g.To; s++ {
			in[s] = true
		}
		before = g.To
	}
	for s := int64(1); s <= c.ch.Last; s++ {
		if !c.here[s] && !in[s] {
			c.t.Fatalf("seq %d is missing and in no gap", s)
		}
		if len(c.ch.Missing) < maxGaps/2 && c.here[s] && in[s] {
			c.t.Fatalf("seq %d is here and in a gap, with few gaps", s)
		}
	}
}

func TestGapsAreBoundedAndNeverHideAHole(t *testing.T) {
	const n = 6 * maxGaps
	evens := &chainOf{t: t, here: map[int64]bool{}}
	for s := int64(2); s <= n; s += 2 {
		evens.receive(s)
	}
	evens.check()
	if len(evens.ch.Missing) != maxGaps {
		t.Errorf("%d gaps of %d holes", len(evens.ch.Missing), n/2)
	}
	for s := int64(1); s <= n; s += 2 {
		evens.receive(s)
	}
	evens.check()
	if len(evens.ch.Missing) != 0 {
		t.Errorf("all is here, and the chain misses %v", evens.ch.Missing)
	}
	if evens.asks > 4*n {
		t.Errorf("%d look-ups for %d entries", evens.asks, n)
	}
	for seed := range uint64(5) {
		t.Logf("seed %d", seed)
		c := &chainOf{t: t, here: map[int64]bool{}}
		for i, s := range rand.New(rand.NewPCG(seed, 4)).Perm(n) {
			c.receive(int64(s) + 1)
			if i%1500 == 0 {
				c.check()
			}
		}
		if len(c.ch.Missing) != 0 {
			t.Errorf("all is here, and the chain misses %d gaps", len(c.ch.Missing))
		}
	}
}
