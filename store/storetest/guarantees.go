package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"flette/model"
	"flette/store"
)

var errTest = errors.New("error of the test's own")

// counter is read and written back by concurrent updates: a lost update would show.
func increment(tx store.Tx, key string) error {
	body, err := tx.Doc("counter", key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var n int
	if len(body) > 0 {
		if _, err := fmt.Sscan(string(body), &n); err != nil {
			return err
		}
	}
	return tx.PutDoc("counter", key, fmt.Appendf(nil, "%d", n+1))
}

func concurrently(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func testSerialised(t *testing.T, s store.Store) {
	const writers, rounds = 16, 20
	concurrently(writers, func(int) {
		for range rounds {
			_, err := s.Update(t.Context(), Tenant, []model.PersonID{Person(1)}, func(tx store.Tx) error {
				return increment(tx, "shared")
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	view(t, s, func(v store.View) error {
		body, err := v.Doc("counter", "shared")
		same(t, "counter", string(body), fmt.Sprint(writers*rounds))
		return err
	})
}

// writeEverything touches every kind of data.
func writeEverything(tx store.Tx, n int) error {
	p, err := tx.AppendEntry(Entry(n, n, 1))
	rec := tx.Tenant()
	rec.NextBrukerNr = int64(n)
	return errors.Join(err,
		tx.PutUnit(Person(n), State("score/vision", p, 3)),
		tx.PutChain(Device(n), store.Chain{Last: int64(n), LastID: Entry(n, n, 1).ID}),
		tx.PutTreeHashes(int64(n)*10, [][32]byte{{byte(n)}}),
		tx.PutCheckpoint(fmt.Appendf(nil, "checkpoint %d", n)),
		tx.PutDoc("note", fmt.Sprint(n), []byte(`{}`)),
		tx.PutTenant(rec))
}

// everything renders all that writeEverything could have left for the given numbers.
func everything(v store.View, numbers ...int) string {
	out := fmt.Sprintln("size", v.Size(), "next", v.Tenant().NextBrukerNr)
	show := func(what string, value any, err error) {
		out += fmt.Sprintln(what, value, err)
	}
	cp, err := v.Checkpoint()
	show("checkpoint", string(cp), err)
	for p := range v.Size() + 1 {
		e, err := v.Entry(p)
		show("entry", e, err)
	}
	for _, n := range numbers {
		at, err := v.EntryPosition(Person(n), Entry(n, n, 1).ID)
		show("id", at, err)
		dev, err := v.DeviceEntries(Device(n), 1)
		show("device", dev, err)
		pp, err := v.PersonPositions(Person(n), -1, 10)
		show("person", pp, err)
		c, err := v.Chain(Device(n))
		show("chain", c, err)
		u, err := v.Unit(Person(n), "score/vision")
		show("unit", u.Shown(), err)
		h, err := v.ReadTreeHashes([]int64{int64(n) * 10})
		show("tree", h, err)
		d, err := v.Doc("note", fmt.Sprint(n))
		show("doc", string(d), err)
	}
	return out
}

func testAllOrNothing(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error { return writeEverything(tx, 1) })
	var before string
	view(t, s, func(v store.View) error { before = everything(v, 1, 2); return nil })
	_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
		return errors.Join(writeEverything(tx, 2), tx.DeleteDoc("note", "1"), errTest)
	})
	wantErr(t, "failed update", err, errTest)
	view(t, s, func(v store.View) error { same(t, "after the rollback", everything(v, 1, 2), before); return nil })
	c := update(t, s, func(tx store.Tx) error {
		same(t, "inside the next update", everything(tx, 1, 2), before)
		return writeEverything(tx, 2)
	})
	same(t, "positions go on without a hole", c.Size, 2)
}

func testPanic(t *testing.T, s store.Store) {
	_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
		if err := writeEverything(tx, 1); err != nil {
			return err
		}
		panic("of the test's own")
	})
	if err == nil {
		t.Error("a panic in fn gave no error")
	}
	view(t, s, func(v store.View) error { same(t, "size", v.Size(), int64(0)); return nil })
	same(t, "size of the next update", appendEntries(t, s, Entry(1, 1, 1)).Size, 1)
}

func testInsertOnce(t *testing.T, s store.Store) {
	appendEntries(t, s, Entry(1, 1, 1))
	again := func(tx store.Tx) error {
		_, err := tx.AppendEntry(Entry(1, 1, 1))
		return err
	}
	_, err := s.Update(t.Context(), Tenant, nil, again)
	wantErr(t, "in another update", err, store.ErrExists)
	_, err = s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
		if _, err := tx.AppendEntry(Entry(1, 1, 2)); err != nil {
			return err
		}
		_, err := tx.AppendEntry(Entry(1, 1, 2))
		wantErr(t, "in the same update", err, store.ErrExists)
		return nil
	})
	wantErr(t, "the refusal does not spoil the update", err, nil)
	update(t, s, func(tx store.Tx) error { // the same id under another person is another entry
		e := Entry(1, 1, 1)
		e.Person = Person(2)
		_, err := tx.AppendEntry(e)
		return err
	})
	view(t, s, func(v store.View) error { same(t, "size", v.Size(), int64(3)); return nil })
	// Entries without a seq of their own share seq 0.
	appendEntries(t, s, Entry(1, 1, 0), Entry(2, 1, 0))
	_, err = s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
		_, err := tx.AppendEntry(Entry(1, 1, 0))
		return err
	})
	wantErr(t, "seq 0", err, store.ErrExists)
}

// testDense lets many updates race, some of which fail, and looks for holes.
func testDense(t *testing.T, s store.Store) {
	const writers, rounds = 12, 15
	var mu sync.Mutex
	got := map[int64]string{}
	concurrently(writers, func(w int) {
		for r := range rounds {
			mine := map[int64]string{}
			fail := (w+r)%4 == 0
			c, err := s.Update(t.Context(), Tenant, []model.PersonID{Person(w)}, func(tx store.Tx) error {
				clear(mine)
				for k := range 3 {
					e := Entry(w, w, int64(3*r+k+1))
					p, err := tx.AppendEntry(e)
					if err != nil {
						return err
					}
					mine[p] = e.ID.String()
				}
				if fail {
					return errTest
				}
				return nil
			})
			if fail {
				wantErr(t, "failing writer", err, errTest)
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			for p, id := range mine {
				if other, taken := got[p]; taken {
					t.Errorf("position %d was given to %s and %s", p, other, id)
				}
				if p >= c.Size {
					t.Errorf("position %d is not below the committed size %d", p, c.Size)
				}
				got[p] = id
			}
			mu.Unlock()
		}
	})
	view(t, s, func(v store.View) error {
		same(t, "size", v.Size(), int64(len(got)))
		for p := range v.Size() {
			e, err := v.Entry(p)
			if err != nil {
				return err
			}
			same(t, "position", e.Position, p)
			same(t, "id", e.ID.String(), got[p])
		}
		return nil
	})
}

func testSeenAllBelow(t *testing.T, s store.Store) {
	const writers, rounds = 6, 25
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			seen := map[int64]model.EntryID{}
			for last := false; !last; {
				last = stop.Load() // one more round after the writers are done
				err := s.View(t.Context(), Tenant, func(v store.View) error {
					if v.Size() < int64(len(seen)) {
						t.Errorf("size went back from %d to %d", len(seen), v.Size())
					}
					for p := range v.Size() {
						e, err := v.Entry(p)
						if err != nil {
							return fmt.Errorf("size is %d, entry %d: %w", v.Size(), p, err)
						}
						if old, ok := seen[p]; ok && old != e.ID {
							t.Errorf("position %d changed", p)
						}
						seen[p] = e.ID
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
			same(t, "seen at the end", len(seen), writers*rounds)
		})
	}
	concurrently(writers, func(w int) {
		for r := range rounds {
			_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
				_, err := tx.AppendEntry(Entry(w, w, int64(r+1)))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	stop.Store(true)
	readers.Wait()
}

func testSnapshot(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error { return writeEverything(tx, 1) })
	opened, written := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() { // a view and an update never share a goroutine
		done <- s.View(t.Context(), Tenant, func(v store.View) error {
			before := everything(v, 1, 2, 3)
			close(opened)
			<-written
			same(t, "snapshot after later updates", everything(v, 1, 2, 3), before)
			same(t, "size of the snapshot", v.Size(), int64(1))
			return nil
		})
	}()
	<-opened
	for n := range 2 {
		update(t, s, func(tx store.Tx) error { return writeEverything(tx, n+2) })
	}
	close(written)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// testNeighbours mixes updates that succeed, that fail before they write and that fail
// after, so that a driver that groups them has to undo and run some again.
func testNeighbours(t *testing.T, s store.Store) {
	const n = 60
	var runs atomic.Int64
	concurrently(n, func(i int) {
		key := fmt.Sprint(i)
		_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
			runs.Add(1)
			if i%3 == 1 {
				return errTest
			}
			if err := increment(tx, key); err != nil {
				return err
			}
			if i%3 == 2 {
				return errTest
			}
			return increment(tx, "all")
		})
		if i%3 == 0 {
			wantErr(t, "update "+key, err, nil)
		} else {
			wantErr(t, "update "+key, err, errTest)
		}
	})
	if runs.Load() > 3*n {
		t.Errorf("%d updates ran %d times", n, runs.Load())
	}
	view(t, s, func(v store.View) error {
		got := map[string]string{}
		err := v.Docs("counter", "", "", func(key string, body []byte) bool { got[key] = string(body); return true })
		want := map[string]string{"all": fmt.Sprint(n / 3)}
		for i := 0; i < n; i += 3 {
			want[fmt.Sprint(i)] = "1"
		}
		same(t, "counters", got, want)
		return err
	})
}

func testReadYourWrites(t *testing.T, s store.Store) {
	concurrently(8, func(w int) {
		for r := range 20 {
			e := Entry(w, w, int64(r+1))
			c, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
				_, err := tx.AppendEntry(e)
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
			err = s.View(t.Context(), Tenant, func(v store.View) error {
				if v.Size() < c.Size {
					t.Errorf("view has size %d after a commit at %d", v.Size(), c.Size)
				}
				_, err := v.EntryPosition(e.Person, e.ID)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func testEpoch(t *testing.T, a, b store.Store) {
	epochs := []string{epochOf(t, a, Tenant), epochOf(t, b, Tenant)}
	if err := a.CreateTenant(t.Context(), store.Tenant{ID: "andreby", Epoch: epochs[0]}); err != nil {
		t.Fatal(err)
	}
	epochs = append(epochs, epochOf(t, a, "andreby"))
	slices.Sort(epochs)
	if epochs[0] == "" || len(slices.Compact(epochs)) != 3 {
		t.Errorf("epochs are not three different ones: %q", epochs)
	}
}

func epochOf(t *testing.T, s store.Store, id model.TenantID) (epoch string) {
	t.Helper()
	if err := s.View(t.Context(), id, func(v store.View) error { epoch = v.Tenant().Epoch; return nil }); err != nil {
		t.Fatal(err)
	}
	return epoch
}

func testExactBytes(t *testing.T, s store.Store) {
	e := Entry(1, 2, 3)
	e.Header, e.Payload, e.Signature = []byte{0, 1, 0xff}, []byte("{ \"v\" : 1 }\n\x00"), nil
	e.Position = 77 // the store gives the position, whatever the caller left here
	state := State("service/0a1b2c3d-0000-4000-8000-000000000001/grant", 0, 4)
	state.Heads = append(state.Heads, State("score/vision", 9, 2).Heads...)
	state.Missing, state.Late, state.Tangled, state.Class = []model.EntryID{{1}, {2}}, true, true, model.ClassClinical
	appendEntries(t, s, e)
	update(t, s, func(tx store.Tx) error { return tx.PutUnit(Person(1), state) })
	view(t, s, func(v store.View) error {
		got, err := v.Entry(0)
		if err != nil {
			return err
		}
		same(t, "compact form", got.Compact(), e.Compact())
		want := *e
		want.Position = 0
		same(t, "encoding", store.AppendLogEntry(nil, got), store.AppendLogEntry(nil, &want))
		u, err := v.Unit(Person(1), state.Unit)
		same(t, "unit state", u, state)
		return err
	})
}

func testLimits(t *testing.T, s store.Store) {
	key := make([]byte, store.MaxKeyBytes+1)
	for i := range key {
		key[i] = 'k'
	}
	long, tooLong := string(key[1:]), string(key)
	body := make([]byte, store.MaxDocBytes+1)
	update(t, s, func(tx store.Tx) error {
		wantErr(t, "body over the limit", tx.PutDoc("note", "a", body), store.ErrTooLarge)
		wantErr(t, "key over the limit", tx.PutDoc("note", tooLong, nil), store.ErrTooLarge)
		wantErr(t, "empty key", tx.PutDoc("note", "", nil), store.ErrTooLarge)
		wantErr(t, "unit path over the limit", tx.PutUnit(Person(1), State(model.Unit(tooLong), 0, 1)), store.ErrTooLarge)
		return errors.Join(tx.PutDoc("note", long, body[1:]), tx.PutUnit(Person(1), State(model.Unit(long), 0, 1)))
	})
	view(t, s, func(v store.View) error {
		got, err := v.Doc("note", long)
		same(t, "length of the largest document", len(got), store.MaxDocBytes)
		u, err2 := v.Unit(Person(1), model.Unit(long))
		same(t, "largest unit path", u.Unit, model.Unit(long))
		_, err3 := v.Doc("note", tooLong)
		wantErr(t, "reading a key over the limit", err3, store.ErrNotFound)
		_, err3 = v.Doc("note", "")
		wantErr(t, "reading the empty key", err3, store.ErrNotFound)
		return errors.Join(err, err2)
	})
}

func testCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	_, err := s.Update(ctx, Tenant, nil, func(store.Tx) error { ran = true; return nil })
	wantErr(t, "update", err, context.Canceled)
	wantErr(t, "view", s.View(ctx, Tenant, func(store.View) error { ran = true; return nil }), context.Canceled)
	if ran {
		t.Error("fn ran under a cancelled context")
	}
	// Cancelled in the queue: behind an update that is held until the other one gave up.
	hold, holding := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
			close(holding)
			<-hold
			return increment(tx, "held")
		})
		wantErr(t, "held update", err, nil)
	})
	<-holding
	ctx, cancel = context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	wg.Go(func() {
		_, err := s.Update(ctx, Tenant, []model.PersonID{Person(1)}, func(tx store.Tx) error { return increment(tx, "queued") })
		gaveUp <- err
	})
	cancel()
	err = <-gaveUp
	close(hold)
	wg.Wait()
	update(t, s, func(tx store.Tx) error { return increment(tx, "after") })
	view(t, s, func(v store.View) error {
		_, found := v.Doc("counter", "queued")
		if err == nil { // a driver that runs persons side by side may have been faster
			wantErr(t, "an update that returned", found, nil)
			return nil
		}
		wantErr(t, "queued update", err, context.Canceled)
		wantErr(t, "its document", found, store.ErrNotFound)
		return nil
	})
}
