package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	contract "flette/mobile-contract"
	"flette/model"
)

// Whatever the network does and however often the tablet restarts: every signed entry is in
// the journal exactly once in the end, seq is dense, and the unit has one head, because one
// tablet saw all of its own work.
func TestNothingIsLostOrDoubled(t *testing.T) {
	f := newFake(t)
	rapid.Check(t, func(rt *rapid.T) {
		f.mu.Lock()
		f.entries, f.items = nil, []contract.PullItem{cameIn(somebody, 0)}
		clear(f.first)
		clear(f.seenJTI)
		f.mu.Unlock()
		var saved State
		tab, _ := f.tablet(Config{
			Tries: 1, Batch: rapid.IntRange(1, 5).Draw(rt, "batch"), Rand: random{rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))},
			Save: func(s *State) error {
				saved = *s
				saved.Outbox, saved.Kept = slices.Clone(s.Outbox), slices.Clone(s.Kept)
				return nil
			},
		})
		var signed []model.EntryID
		ctx := context.Background()
		rt.Repeat(map[string]func(*rapid.T){
			"sign": func(rt *rapid.T) {
				signed = append(signed, sign(t, tab, memory, rapid.IntRange(1, 5).Draw(rt, "score")))
			},
			"push": func(rt *rapid.T) {
				if _, err := tab.Push(ctx); err != nil {
					rt.Fatal(err)
				}
			},
			"push into a hole": func(rt *rapid.T) {
				f.mu.Lock()
				f.loseAnswers = 1
				f.mu.Unlock()
				if _, err := tab.Push(ctx); err == nil {
					rt.Fatal("a lost answer was taken for one")
				}
			},
			"pull": func(rt *rapid.T) {
				if _, err := tab.Pull(ctx); err != nil {
					rt.Fatal(err)
				}
			},
			"restart": func(rt *rapid.T) {
				s := saved
				again, err := Restore(tab.cfg, &s)
				if err != nil {
					rt.Fatal(err)
				}
				tab = again
				// Work before the restart that is not in the outbox is seen only after a pull.
				if _, err := tab.Pull(ctx); err != nil {
					rt.Fatal(err)
				}
			},
		})
		push(t, tab)
		pull(t, tab)
		if len(f.entries) != len(signed) {
			rt.Fatalf("%d entries in the journal, %d signed", len(f.entries), len(signed))
		}
		for i, j := range f.entries {
			if e := decoded(t, string(j.Compact())); j.ID != signed[i] || e.Seq != int64(i+1) {
				rt.Fatalf("place %d holds seq %d", i, e.Seq)
			}
		}
		if len(signed) > 0 && !slices.Equal(heads(tab, memory), signed[len(signed)-1:]) {
			rt.Fatalf("heads are %v", heads(tab, memory))
		}
	})
}

func BenchmarkSignEntry(b *testing.B) {
	f := newFake(b)
	tab, _ := f.tablet(Config{})
	id := sign(b, tab, memory, 2)
	e := decoded(b, tab.Outbox()[0].JWS)
	e.Changes[0].Over = []model.EntryID{id}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := SignEntry(tab.cfg.Key, e); err != nil {
			b.Fatal(err)
		}
	}
}
