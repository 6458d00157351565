package sync_test

import (
	"fmt"
	"slices"
	"strings"
	gosync "sync"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// The record as of a position is what the store showed at that position.
func TestAsOfEqualsWhatWasShownThen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 1)
		a, b := w.nurse("anne"), w.nurse("berit")
		p := w.persons[0]
		units := []model.Unit{memory, "score/vision"}
		then := map[int64]string{}
		var seen []model.EntryID
		show := func() (int64, string) {
			var size int64
			var lines []string
			if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
				size = v.Size()
				return v.Units(p, "", "", func(s *model.UnitState) bool {
					lines = append(lines, fmt.Sprint(s.Unit, s.Class, len(s.Heads), shown(t, s)))
					return true
				})
			}); err != nil {
				rt.Fatal(err)
			}
			return size, strings.Join(lines, "\n")
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			w.now += sec
			tb := rapid.SampledFrom([]*tablet{a, b}).Draw(rt, "tablet")
			u := rapid.SampledFrom(units).Draw(rt, "unit")
			if len(seen) > 0 && rapid.IntRange(0, 3).Draw(rt, "void") == 0 {
				target := rapid.SampledFrom(seen).Draw(rt, "target")
				e := tb.entry(p, model.ActVoid, []model.Change{{Unit: u, Target: &target}}, func(e *model.Entry) { e.Reason = &model.Reason{Code: "error"} })
				tb.push(e)
			} else {
				var over []model.EntryID
				if s := w.unit(p, u); s != nil && rapid.Bool().Draw(rt, "saw") {
					for _, h := range s.Heads {
						over = append(over, h.ID)
					}
				}
				e := tb.score(p, u, rapid.IntRange(1, 5).Draw(rt, "score"), over...)
				tb.push(e)
				seen = append(seen, e.id)
			}
			size, s := show()
			then[size] = s
		}
		for size, want := range then {
			var lines []string
			if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
				states, err := w.e.UnitsAsOf(v, p, size)
				for _, s := range states {
					lines = append(lines, fmt.Sprint(s.Unit, s.Class, len(s.Heads), shown(t, s)))
				}
				return err
			}); err != nil {
				rt.Fatal(err)
			}
			if got := strings.Join(lines, "\n"); got != want {
				rt.Fatalf("as of %d:\n%s\nthen:\n%s", size, got, want)
			}
		}
	})
}

// Many tablets push at once; positions are dense, nothing is lost, and verify holds (cleanup).
func TestConcurrentPushes(t *testing.T) {
	w := newWorld(t, 3)
	const tablets, entries = 12, 8
	var ts []*tablet
	work := map[*tablet][]signed{}
	for i := range tablets {
		tb := w.nurse(model.ActorID(fmt.Sprintf("nurse-%d", i)))
		for k := range entries {
			work[tb] = append(work[tb], tb.score(w.persons[k%3], memory, 1+k%5))
		}
		ts = append(ts, tb)
	}
	w.now += hour
	var mu gosync.Mutex
	var positions []int64
	var wg gosync.WaitGroup
	for _, tb := range ts {
		wg.Go(func() {
			for _, e := range work[tb] {
				for range 2 { // each twice: a retry must not take a position
					out, err := w.e.Push(t.Context(), sync.PushRequest{Tenant: w.tenant, Device: tb.id, Actor: tb.actor, Entries: [][]byte{e.jws}})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if r := out.Results[0]; r.Outcome != "duplicate" {
						positions = append(positions, r.Position)
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(positions)
	for i, p := range positions {
		if p != int64(i) {
			t.Fatalf("positions are not dense at %d: %d", i, p)
		}
	}
	if len(positions) != tablets*entries {
		t.Fatalf("%d positions", len(positions))
	}
}

func TestVerifyFindsWhatWasChanged(t *testing.T) {
	tamper := []struct {
		name string
		do   func(w *world, tx store.Tx) error
		want string
	}{
		{"a unit state", func(w *world, tx store.Tx) error {
			s, err := tx.Unit(w.persons[0], memory)
			if err != nil {
				return err
			}
			s.Heads[0].Value = []byte(`{"score":5}`)
			return tx.PutUnit(w.persons[0], s)
		}, "the stored state is not that of the journal"},
		{"a unit that nobody set", func(w *world, tx store.Tx) error {
			return tx.PutUnit(w.persons[0], &model.UnitState{Unit: "score/vision"})
		}, "no entry set it"},
		{"a review hidden", func(w *world, tx store.Tx) error {
			open, err := store.List[store.OpenReview](tx, "", "", 0)
			if err != nil {
				return err
			}
			return store.Delete(tx, open[0])
		}, "to be decided, but not in the queue"},
		{"a review turned harmless", func(w *world, tx store.Tx) error {
			r, err := store.List[store.Review](tx, "", "", 0)
			if err != nil {
				return err
			}
			r[0].Class = model.ClassMinor
			return store.Put(tx, r[0])
		}, "its record is not that of the journal"},
		{"a review that nobody opened", func(w *world, tx store.Tx) error {
			return store.Put(tx, store.Review{ID: "made-up", Person: w.persons[0], Unit: "score/vision", State: "closed"})
		}, "its record is not that of the journal"},
		{"a review deleted", func(w *world, tx store.Tx) error {
			r, err := store.List[store.Review](tx, "", "", 0)
			if err != nil {
				return err
			}
			return store.Delete(tx, r[0])
		}, "it has no record"},
		{"a quarantine item blamed on another", func(w *world, tx store.Tx) error {
			items, err := store.List[store.QuarantineItem](tx, "", "", 0)
			if err != nil {
				return err
			}
			items[0].Actor = "berit"
			return store.Put(tx, items[0])
		}, "the quarantine item is not that of the journal"},
		{"a quarantine item that nobody sent", func(w *world, tx store.Tx) error {
			return store.Put(tx, store.QuarantineItem{Position: 99, Code: "made-up", State: "open"})
		}, "quarantine: 2 items"},
		{"a quarantined entry hidden", func(w *world, tx store.Tx) error {
			open, err := store.List[store.OpenQuarantine](tx, "", "", 0)
			if err != nil {
				return err
			}
			return store.Delete(tx, open[0])
		}, "the quarantine queue does not match"},
		{"a tree hash", func(w *world, tx store.Tx) error { return tx.PutTreeHashes(0, [][32]byte{{1}}) }, "tree hash"},
		{"a chain", func(w *world, tx store.Tx) error {
			return tx.PutChain(w.pusher(tx), store.Chain{Last: 99})
		}, "the stored chain is not that of the log"},
		{"a device key", func(w *world, tx store.Tx) error {
			devices, err := store.List[store.Device](tx, "", "", 0)
			if err != nil {
				return err
			}
			for i := range devices {
				devices[i].Key = []byte(`{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
				if err := store.Put(tx, devices[i]); err != nil {
					return err
				}
			}
			return nil
		}, "the signature does not hold"},
	}
	for _, c := range tamper {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			a, b := w.nurse("anne"), w.nurse("berit")
			w.now += hour
			a.push(a.score(w.persons[0], memory, 1), a.score(w.persons[0], memory, 7))
			b.push(b.score(w.persons[0], memory, 4))
			w.mustVerify()
			// The tampering goes through a store of its own, without the engine's hook.
			w.e.Store().OnCommit(nil)
			if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error { return c.do(w, tx) }); err != nil {
				t.Fatal(err)
			}
			r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(r.Problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Fatalf("problems %q", r.Problems)
			}
			w.tampered = true
		})
	}
}

// pusher finds a device that has pushed.
func (w *world) pusher(tx store.Tx) model.DeviceID {
	l, err := tx.Entry(0)
	if err != nil {
		w.t.Fatal(err)
	}
	return l.Device
}
