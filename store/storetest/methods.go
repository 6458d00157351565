package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"flette/model"
	"flette/store"
)

func testTenants(t *testing.T, s store.Store) {
	ctx := t.Context()
	wantErr(t, "creating it again", s.CreateTenant(ctx, store.Tenant{ID: Tenant}), store.ErrExists)
	for _, bad := range []model.TenantID{"", "../x", "a/b", "A", "x.db"} {
		if err := s.CreateTenant(ctx, store.Tenant{ID: bad}); err == nil {
			t.Errorf("tenant id %q was accepted", bad)
		}
	}
	want := store.Tenant{ID: "andreby", Name: "Andreby", Kommune: "9998", Created: 1780000000000, NextBrukerNr: 7,
		Contacts: []store.Contact{{Type: "1", Name: "Kari Eksempel", Email: "post@example.no"}}}
	if err := s.CreateTenant(ctx, want); err != nil {
		t.Fatal(err)
	}
	ids, err := s.Tenants(ctx)
	wantErr(t, "error", err, nil)
	same(t, "tenants in order of id", ids, []model.TenantID{"andreby", Tenant})
	err = s.View(ctx, "andreby", func(v store.View) error {
		got := v.Tenant()
		want.Epoch, want.Format = got.Epoch, 1
		same(t, "tenant", got, want)
		same(t, "size", v.Size(), int64(0))
		got.Contacts[0].Name = "changed"
		same(t, "tenant after changing a copy", v.Tenant(), want)
		return nil
	})
	wantErr(t, "error", err, nil)
	want.Name, want.CaseloadSeq = "Andreby kommune", 12
	_, err = s.Update(ctx, "andreby", nil, func(tx store.Tx) error {
		defer func() { same(t, "tenant inside the update", tx.Tenant(), want) }()
		return tx.PutTenant(want)
	})
	wantErr(t, "error", err, nil)
	err = s.View(ctx, "andreby", func(v store.View) error { same(t, "tenant", v.Tenant(), want); return nil })
	wantErr(t, "error", err, nil)
}

func testTenantsApart(t *testing.T, s store.Store) {
	if err := s.CreateTenant(t.Context(), store.Tenant{ID: "andreby"}); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx store.Tx) error { return writeEverything(tx, 1) })
	err := s.View(t.Context(), "andreby", func(v store.View) error {
		same(t, "size", v.Size(), int64(0))
		_, err := v.EntryPosition(Person(1), Entry(1, 1, 1).ID)
		wantErr(t, "entry of another tenant", err, store.ErrNotFound)
		_, err = v.Doc("note", "1")
		wantErr(t, "document of another tenant", err, store.ErrNotFound)
		return nil
	})
	wantErr(t, "error", err, nil)
}

func testUnknownTenant(t *testing.T, s store.Store) {
	ctx := t.Context()
	fail := errors.New("fn ran")
	_, err := s.Update(ctx, "ukjent", nil, func(store.Tx) error { return fail })
	wantErr(t, "update", err, store.ErrNotFound)
	wantErr(t, "view", s.View(ctx, "ukjent", func(store.View) error { return fail }), store.ErrNotFound)
	wantErr(t, "check", s.Check(ctx, "ukjent"), store.ErrNotFound)
}

func testClosed(t *testing.T, s store.Store) {
	CheckAndClose(t, s)
	ctx := context.Background()
	_, err := s.Update(ctx, Tenant, nil, func(store.Tx) error { return nil })
	wantErr(t, "update", err, store.ErrClosed)
	wantErr(t, "view", s.View(ctx, Tenant, func(store.View) error { return nil }), store.ErrClosed)
	wantErr(t, "create", s.CreateTenant(ctx, store.Tenant{ID: "ny"}), store.ErrClosed)
	_, err = s.Tenants(ctx)
	wantErr(t, "tenants", err, store.ErrClosed)
	wantErr(t, "check", s.Check(ctx, Tenant), store.ErrClosed)
	wantErr(t, "closing again", s.Close(), nil)
}

func testHook(t *testing.T, s store.Store) {
	calls := 0
	s.OnCommit(func(id model.TenantID, tx store.Tx) error {
		same(t, "tenant", id, Tenant)
		calls++
		return errors.Join(tx.PutTreeHashes(tx.Size(), [][32]byte{{byte(tx.Size())}}), tx.PutCheckpoint(fmt.Appendf(nil, "size %d", tx.Size())))
	})
	c := appendEntries(t, s, Entry(1, 1, 1), Entry(1, 1, 2))
	same(t, "commit", c, store.Commit{Size: 2, Checkpoint: []byte("size 2")})
	same(t, "calls", calls, 1)
	c = update(t, s, func(store.Tx) error { return nil })
	same(t, "an update that wrote nothing", c, store.Commit{Size: 2, Checkpoint: []byte("size 2")})
	_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error { return errTest })
	wantErr(t, "failed update", err, errTest)
	same(t, "calls after updates that wrote nothing", calls, 1)
	view(t, s, func(v store.View) error {
		h, err := v.ReadTreeHashes([]int64{2})
		same(t, "hash", h, [][32]byte{{2}})
		return err
	})
}

func testHookFails(t *testing.T, s store.Store) {
	fail := true
	s.OnCommit(func(_ model.TenantID, tx store.Tx) error {
		err := tx.PutCheckpoint([]byte("of the hook"))
		if fail {
			return errors.Join(err, errTest)
		}
		return err
	})
	_, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error { return writeEverything(tx, 1) })
	wantErr(t, "update under a failing hook", err, errTest)
	view(t, s, func(v store.View) error {
		same(t, "size", v.Size(), int64(0))
		cp, err := v.Checkpoint()
		same(t, "checkpoint", cp, []byte(nil))
		return err
	})
	fail = false
	c := update(t, s, func(tx store.Tx) error { return writeEverything(tx, 1) })
	same(t, "commit", c, store.Commit{Size: 1, Checkpoint: []byte("of the hook")})
}

func testEntries(t *testing.T, s store.Store) {
	unreadable := Entry(0, 1, 0)
	unreadable.Person, unreadable.Act, unreadable.Actor = model.PersonID{}, "", ""
	unreadable.Outcome, unreadable.Code, unreadable.UnitPrev = store.Quarantined, "unknown-version", nil
	update(t, s, func(tx store.Tx) error {
		for i, e := range []*store.LogEntry{Entry(1, 1, 1), unreadable, Entry(2, 1, 2)} {
			p, err := tx.AppendEntry(e)
			same(t, "position", p, int64(i))
			same(t, "size inside the update", tx.Size(), int64(i+1))
			if err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(v store.View) error {
		got, err := v.Entry(1)
		want := *unreadable
		want.Position = 1
		same(t, "entry", got, &want)
		p, err2 := v.EntryPosition(model.PersonID{}, unreadable.ID)
		same(t, "position of an entry without person", p, int64(1))
		for _, p := range []int64{-1, 3, math.MaxInt64, math.MinInt64} {
			_, err := v.Entry(p)
			wantErr(t, fmt.Sprint("entry ", p), err, store.ErrNotFound)
		}
		_, err3 := v.EntryPosition(Person(2), Entry(1, 1, 1).ID)
		wantErr(t, "id of another person", err3, store.ErrNotFound)
		return errors.Join(err, err2)
	})
}

func testForks(t *testing.T, s store.Store) {
	cloned := Entry(3, 1, 2)
	update(t, s, func(tx store.Tx) error {
		for _, e := range []*store.LogEntry{Entry(1, 1, 1), Entry(1, 1, 2), Entry(1, 2, 2), cloned, Entry(1, 1, 3)} {
			if _, err := tx.AppendEntry(e); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, s, func(v store.View) error {
		for _, c := range []struct {
			device int
			seq    int64
			want   []store.DeviceEntry
		}{
			{1, 1, []store.DeviceEntry{{Position: 0, ID: Entry(1, 1, 1).ID}}},
			{1, 2, []store.DeviceEntry{{Position: 1, ID: Entry(1, 1, 2).ID}, {Position: 3, ID: cloned.ID}}},
			{1, 3, []store.DeviceEntry{{Position: 4, ID: Entry(1, 1, 3).ID}}},
			{1, 4, nil}, {2, 2, []store.DeviceEntry{{Position: 2, ID: Entry(1, 2, 2).ID}}}, {3, 1, nil},
		} {
			got, err := v.DeviceEntries(Device(c.device), c.seq)
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("device %d, seq %d", c.device, c.seq), got, c.want)
			if err := sameOneByOne(v, Device(c.device), c.seq, c.want); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
}

// sameOneByOne asks for the entries of a device and seq one by one.
func sameOneByOne(v store.View, device model.DeviceID, seq int64, want []store.DeviceEntry) error {
	first, err := v.FirstOf(device, seq)
	if len(want) == 0 && !errors.Is(err, store.ErrNotFound) || len(want) > 0 && (err != nil || first != want[0]) {
		return fmt.Errorf("first of seq %d: %v, %w; want %v", seq, first, err, want)
	}
	for _, w := range want {
		if at, err := v.EntryOf(device, seq, w.ID); err != nil || at != w.Position {
			return fmt.Errorf("entry of seq %d: %d, %w; want %d", seq, at, err, w.Position)
		}
	}
	if at, err := v.EntryOf(device, seq, model.NewEntryID([]byte("nobody's"))); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("an unknown entry of seq %d: %d, %w", seq, at, err)
	}
	return nil
}

// testEntryPosition asks about ids in an order of its own, between appends of one update.
func testEntryPosition(t *testing.T, s store.Store) {
	const n = 30
	find := func(v store.View, person, i int, want error) {
		p, err := v.EntryPosition(Person(person), Entry(person, 1, int64(i)).ID)
		wantErr(t, fmt.Sprintf("person %d, entry %d", person, i), err, want)
		if want == nil {
			same(t, "position", p, int64(2*i+person))
		}
	}
	update(t, s, func(tx store.Tx) error {
		for i := range n {
			for person := range 2 {
				find(tx, person, i, store.ErrNotFound)
				if _, err := tx.AppendEntry(Entry(person, 1, int64(i))); err != nil {
					return err
				}
				find(tx, person, i, nil)
				find(tx, person, i/2, nil)
			}
		}
		return nil
	})
	view(t, s, func(v store.View) error {
		for i := range n {
			find(v, 0, i*7%n, nil)
			find(v, 0, n+i, store.ErrNotFound)
			find(v, i%2, n-1-i, nil)
			find(v, 2, i, store.ErrNotFound)
		}
		return nil
	})
}

func testPersonPositions(t *testing.T, s store.Store) {
	var entries []*store.LogEntry
	for i := range 12 {
		entries = append(entries, Entry(i%3, 1, int64(i+1)))
	}
	appendEntries(t, s, entries...)
	view(t, s, func(v store.View) error {
		for _, c := range []struct {
			person int
			after  int64
			limit  int
			want   []int64
		}{
			{1, -1, 10, []int64{1, 4, 7, 10}}, {1, -1, 2, []int64{1, 4}}, {1, 4, 2, []int64{7, 10}}, {1, 5, 1, []int64{7}},
			{1, 10, 5, nil}, {1, math.MaxInt64, 5, nil}, {1, math.MinInt64, 1, []int64{1}}, {1, -1, 0, nil}, {9, -1, 5, nil},
		} {
			got, err := v.PersonPositions(Person(c.person), c.after, c.limit)
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("person %d after %d", c.person, c.after), got, c.want)
		}
		return nil
	})
}

func testChains(t *testing.T, s store.Store) {
	want := store.Chain{Last: 9, LastID: model.EntryID{1}, Missing: []store.Gap{{From: 2, To: 4}, {From: 7, To: 7}}, Forked: true, Broken: 5}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutChain(Device(1), store.Chain{Last: 1}), tx.PutChain(Device(1), want))
	})
	view(t, s, func(v store.View) error {
		got, err := v.Chain(Device(1))
		same(t, "chain", got, want)
		none, err2 := v.Chain(Device(2))
		same(t, "unknown device", none, store.Chain{})
		return errors.Join(err, err2)
	})
}

func testUnits(t *testing.T, s store.Store) {
	paths := []model.Unit{"health/nutrition", "score/a", "score/b", "score/b2", "score/c", "service/1", "status/x"}
	update(t, s, func(tx store.Tx) error {
		var errs []error
		for i := range paths {
			p := paths[(i*3)%len(paths)] // not in order
			errs = append(errs, tx.PutUnit(Person(1), State(p, 1, 2)), tx.PutUnit(Person(2), State("score/z", 1, 1)))
		}
		errs = append(errs, tx.PutUnit(Person(1), State("score/b", 5, 4)))
		return errors.Join(errs...)
	})
	view(t, s, func(v store.View) error {
		for _, c := range []struct {
			prefix string
			after  model.Unit
			limit  int
			want   []model.Unit
		}{
			{"", "", 99, paths}, {"", "", 2, paths[:2]}, {"", "score/b", 99, paths[3:]},
			{"score/", "", 99, paths[1:5]}, {"score/", "score/a", 2, paths[2:4]}, {"score/", "score/aa", 1, paths[2:3]},
			{"score/b", "", 99, paths[2:4]}, {"score/", "health/nutrition", 1, paths[1:2]}, {"score/", "status/x", 9, nil},
			{"time/", "", 9, nil}, {"", "zzz", 9, nil},
		} {
			var got []model.Unit
			err := v.Units(Person(1), c.prefix, c.after, func(s *model.UnitState) bool {
				got = append(got, s.Unit)
				return len(got) < c.limit
			})
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("units with %q after %q", c.prefix, c.after), got, c.want)
		}
		u, err := v.Unit(Person(1), "score/b")
		same(t, "replaced state", u, State("score/b", 5, 4))
		none, err2 := v.Unit(Person(1), "score/z")
		same(t, "unit of another person", none, (*model.UnitState)(nil))
		none, err3 := v.Unit(Person(3), "score/b")
		same(t, "unit never set", none, (*model.UnitState)(nil))
		return errors.Join(err, err2, err3)
	})
}

// testWriteWhileListing: a listing inside an update goes on from where it was, whatever fn
// writes meanwhile.
func testWriteWhileListing(t *testing.T, s store.Store) {
	const n = 200
	var want []string
	update(t, s, func(tx store.Tx) error {
		for i := range n {
			key := fmt.Sprintf("%04d", i)
			want = append(want, key)
			if err := errors.Join(tx.PutDoc("note", key, nil), tx.PutUnit(Person(1), State(model.Unit(key), 0, 1))); err != nil {
				return err
			}
		}
		want = want[:n]
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		var got []string
		var errs []error
		err := tx.Docs("note", "", "", func(key string, _ []byte) bool {
			got = append(got, key)
			errs = append(errs, tx.DeleteDoc("note", key), tx.PutDoc("note", "!"+key, bytes.Repeat([]byte("x"), 300)))
			return true
		})
		same(t, "documents", got, want)
		got = nil
		err2 := tx.Units(Person(1), "0", "", func(u *model.UnitState) bool {
			got = append(got, string(u.Unit))
			u.Heads = append(u.Heads, u.Heads...)
			errs = append(errs, tx.PutUnit(Person(1), u), tx.PutUnit(Person(1), State("!"+u.Unit, 0, 1)))
			return true
		})
		same(t, "units", got, want)
		return errors.Join(append(errs, err, err2)...)
	})
}

func testTree(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		cp, err := tx.Checkpoint()
		same(t, "no checkpoint yet", cp, []byte(nil))
		return errors.Join(err, tx.PutTreeHashes(0, [][32]byte{{1}, {2}}), tx.PutTreeHashes(2, [][32]byte{{3}}), tx.PutTreeHashes(9, nil),
			tx.PutCheckpoint([]byte("first")), tx.PutCheckpoint([]byte("second\n\n— sig\n")))
	})
	view(t, s, func(v store.View) error {
		h, err := v.ReadTreeHashes([]int64{2, 0, 2})
		same(t, "hashes", h, [][32]byte{{3}, {1}, {3}})
		_, missing := v.ReadTreeHashes([]int64{0, 3})
		wantErr(t, "an index beyond", missing, store.ErrNotFound)
		_, missing = v.ReadTreeHashes([]int64{-1})
		wantErr(t, "a negative index", missing, store.ErrNotFound)
		cp, err2 := v.Checkpoint()
		same(t, "checkpoint", string(cp), "second\n\n— sig\n")
		return errors.Join(err, err2)
	})
}

func testDocs(t *testing.T, s store.Store) {
	keys := []string{"a", "b 1", "b 2", "b 3", "c"}
	update(t, s, func(tx store.Tx) error {
		var errs []error
		for i := range keys {
			errs = append(errs, tx.PutDoc("note", keys[len(keys)-1-i], []byte("old")), tx.PutDoc("other", keys[i], nil))
		}
		errs = append(errs, tx.PutDoc("note", "b 2", []byte("new")), tx.DeleteDoc("note", "not there"), tx.DeleteDoc("no such kind", "x"),
			tx.PutDoc("note", "gone", nil), tx.DeleteDoc("note", "gone"), tx.DeleteDoc("other", "c"))
		return errors.Join(errs...)
	})
	view(t, s, func(v store.View) error {
		for _, c := range []struct {
			kind          store.Kind
			prefix, after string
			limit         int
			want          []string
		}{
			{"note", "", "", 99, keys}, {"note", "", "b 2", 99, keys[3:]}, {"note", "b ", "", 2, keys[1:3]}, {"note", "b ", "a", 9, keys[1:4]},
			{"note", "b ", "b 3", 9, nil}, {"note", "b ", "c", 9, nil}, {"other", "", "", 99, keys[:4]}, {"no such kind", "", "", 9, nil},
		} {
			var got []string
			err := v.Docs(c.kind, c.prefix, c.after, func(key string, _ []byte) bool {
				got = append(got, key)
				return len(got) < c.limit
			})
			if err != nil {
				return err
			}
			same(t, fmt.Sprintf("%s with %q after %q", c.kind, c.prefix, c.after), got, c.want)
		}
		body, err := v.Doc("note", "b 2")
		same(t, "replaced body", string(body), "new")
		body, err2 := v.Doc("other", "a")
		same(t, "empty body", len(body), 0)
		_, missing := v.Doc("note", "gone")
		wantErr(t, "deleted", missing, store.ErrNotFound)
		_, missing = v.Doc("no such kind", "a")
		wantErr(t, "unknown kind", missing, store.ErrNotFound)
		return errors.Join(err, err2)
	})
}

func testTypedDocs(t *testing.T, s store.Store) {
	want := []store.Assignment{{Seq: 1, Actor: "a", Person: Person(1), From: 1780000000000}, {Seq: 300, Actor: "a", Person: Person(2), End: true}}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(store.Put(tx, want[1]), store.Put(tx, want[0]), store.Put(tx, store.Assignment{Seq: 2, Actor: "b"}))
	})
	view(t, s, func(v store.View) error {
		got, err := store.List[store.Assignment](v, "a ", "", 0)
		same(t, "listed", got, want)
		one, err2 := store.Get[store.Assignment](v, want[0].DocKey())
		same(t, "read", one, want[0])
		_, missing := store.Get[store.Assignment](v, "c")
		wantErr(t, "not there", missing, store.ErrNotFound)
		return errors.Join(err, err2)
	})
}

func testOwnWrites(t *testing.T, s store.Store) {
	var inside string
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(writeEverything(tx, 1), writeEverything(tx, 2))
		inside = everything(tx, 1, 2, 3)
		return err
	})
	view(t, s, func(v store.View) error { same(t, "after the commit", everything(v, 1, 2, 3), inside); return nil })
}

// testCopies changes what it gave and what it got; neither may reach the store.
func testCopies(t *testing.T, s store.Store) {
	e, u := Entry(1, 1, 1), State("score/vision", 0, 3)
	body, checkpoint := []byte(`{"a":1}`), []byte("checkpoint")
	update(t, s, func(tx store.Tx) error {
		_, err := tx.AppendEntry(e)
		err = errors.Join(err, tx.PutUnit(Person(1), u), tx.PutDoc("note", "a", body), tx.PutCheckpoint(checkpoint))
		for _, b := range [][]byte{e.Payload, e.Header, e.Signature, u.Heads[0].Value, body, checkpoint} {
			clear(b)
		}
		return err
	})
	for range 2 { // the second view must not see what the first one did
		var kept [][]byte
		read := func(v store.View) error {
			got, err := v.Entry(0)
			state, err2 := v.Unit(Person(1), "score/vision")
			doc, err3 := v.Doc("note", "a")
			cp, err4 := v.Checkpoint()
			if err := errors.Join(err, err2, err3, err4); err != nil {
				return err
			}
			want := Entry(1, 1, 1)
			same(t, "payload", got.Payload, want.Payload)
			same(t, "header", got.Header, want.Header)
			same(t, "signature", got.Signature, want.Signature)
			same(t, "value", string(state.Heads[0].Value), `{"score":3}`)
			same(t, "document", string(doc), `{"a":1}`)
			same(t, "checkpoint", string(cp), "checkpoint")
			kept = append(kept, got.Payload, got.Header, got.Signature, state.Heads[0].Value, doc, cp)
			return nil
		}
		view(t, s, read)
		for _, b := range kept { // after the view: the memory is the caller's
			clear(b)
		}
		update(t, s, func(tx store.Tx) error { return errors.Join(read(tx), tx.PutDoc("note", "b", nil)) })
	}
}
