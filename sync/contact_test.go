package sync_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// Every kind of contact is in the diary, and one does not wipe out what another has said.
func TestDiaryOfEveryContact(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	expect := func(kind string, check func(*store.Diary) bool) {
		t.Helper()
		y := a.device().Diary
		if y == nil || y.Contact != kind || y.At != w.now || y.Actor != "anne" || !check(y) {
			t.Errorf("after %s at %d: %+v", kind, w.now, y)
		}
	}
	expect(sync.ContactLease, func(y *store.Diary) bool { return y.Login == w.now && y.LeaseEnds == a.lease.ExpiresAt })
	a.skew = -3 * hour
	a.login(model.RoleNurse)
	expect(sync.ContactLease, func(y *store.Diary) bool { return y.SkewMs == -int64(3*hour) })
	login := w.now
	w.now += min_
	_, err := w.e.Push(t.Context(), sync.PushRequest{
		Tenant: w.tenant, Device: a.id, Actor: a.actor, Entries: [][]byte{a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2)}, v2).jws},
		Diary: &store.Diary{Outbox: 4, Oldest: 77, SkewMs: -5, App: "tablet/3.1", LastError: "no answer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	said := func(y *store.Diary) bool {
		return y.Outbox == 3 && y.Oldest == 77 && y.SkewMs == -5 && y.App == "tablet/3.1" && y.LastError == "no answer" && y.Contract == 2 && y.Login == login
	}
	expect(sync.ContactPush, said)
	w.now += min_
	a.pull(10)
	expect(sync.ContactPull, func(y *store.Diary) bool { return said(y) && y.Pulled == w.now && y.Cursor == 1 })
	pulled := w.now
	w.now += min_
	a.push()
	expect(sync.ContactPush, func(y *store.Diary) bool { return said(y) && y.Pulled == pulled && y.Cursor == 1 })
	w.now += min_
	w.e.NoteProblem(w.tenant, a.id, "", "rate-limited")
	if y := a.device().Diary; y.Problem != "rate-limited" || y.ProblemAt != w.now || y.At == w.now {
		t.Errorf("after a problem: %+v", y)
	}
	// What is wrong with pushes is put right by a push, not by a pull.
	w.now += min_
	w.e.NoteProblem(w.tenant, a.id, sync.ContactPush, "store-full")
	w.now += min_
	a.pull(10)
	explained := func() sync.Explanation {
		d := a.device()
		return sync.Explain(&d, w.now)
	}
	if e := explained(); e.Code != "push-failed" || !strings.Contains(e.Sentence, "disk is full") {
		t.Errorf("a push that failed, and a pull: %+v", e)
	}
	w.now += min_
	a.push()
	if e := explained(); strings.Contains(e.Sentence, "disk is full") {
		t.Errorf("a push that went well: %+v", e)
	}
	w.now += min_
	a.rotate()
	expect(sync.ContactRotate, said)
	if _, err := w.e.Revoke(t.Context(), w.tenant, a.id, "lost"); err != nil {
		t.Fatal(err)
	}
	w.now += min_
	d := a.device()
	o := d.Standing()
	if _, err := w.e.Wiped(t.Context(), sync.Wiping{Tenant: w.tenant, Device: a.id, Actor: "anne", Order: o.ID}); err != nil {
		t.Fatal(err)
	}
	expect(sync.ContactWiped, said)
}

// What a pull adds waits in memory, survives a flush and a restart, and is not undone by an
// older note.
func TestFlush(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	a.push(a.score(p, memory, 2))
	w.now += min_
	a.pull(10)
	pulled := w.now
	if stored := w.diary(a.id); stored.Pulled != 0 || stored.Contact != sync.ContactPush {
		t.Fatalf("a pull wrote to the store: %+v", stored)
	}
	for range 2 {
		if err := w.e.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if stored := w.diary(a.id); stored.Pulled != pulled || stored.Cursor != 1 || stored.At != pulled {
			t.Fatalf("after the flush: %+v", stored)
		}
	}
	// A note from before a push, written after it.
	w.now += min_
	a.pull(10)
	w.now += min_
	a.push()
	if err := w.e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored := w.diary(a.id); stored.Contact != sync.ContactPush || stored.At != w.now || stored.Pulled != w.now-min_ {
		t.Errorf("an old note came over a new contact: %+v", stored)
	}
	w.restart(sync.Options{})
	if y := a.device().Diary; y.Pulled != w.now-min_ {
		t.Errorf("after a restart: %+v", y)
	}
}

func (w *world) diary(id model.DeviceID) (d store.Diary) {
	w.t.Helper()
	if err := w.st.View(w.t.Context(), w.tenant, func(v store.View) (err error) {
		d, err = store.Get[store.Diary](v, id.String())
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// fullDisk refuses updates when it is told to.
type fullDisk struct {
	store.Store
	full bool
}

func (f *fullDisk) Update(ctx context.Context, t model.TenantID, p []model.PersonID, fn func(store.Tx) error) (store.Commit, error) {
	if f.full {
		return store.Commit{}, store.ErrFull
	}
	return f.Store.Update(ctx, t, p, fn)
}

// With a full disk a tablet still fetches what there is; its diary is written when there is
// room again.
func TestPullOnAFullDisk(t *testing.T) {
	w := newWorld(t, 1)
	disk := &fullDisk{Store: w.st}
	o := sync.Options{Store: disk, Rand: w.rand, Now: func() model.Millis { return w.now }}
	o.Keys = func(model.TenantID) (sync.Keys, error) { return w.keys, nil }
	var err error
	if w.e, err = sync.New(o); err != nil {
		t.Fatal(err)
	}
	a := w.nurse("anne")
	a.push(a.score(w.persons[0], memory, 2))
	disk.full = true
	if items := a.pull(10); len(items) != 2 {
		t.Errorf("%d items", len(items))
	}
	if err := w.e.Flush(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("flush: %v", err)
	}
	if y := a.device().Diary; y.Contact != sync.ContactPull {
		t.Errorf("the note is gone: %+v", y)
	}
	disk.full = false
	if err := w.e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if y := w.diary(a.id); y.Pulled != w.now {
		t.Errorf("not written: %+v", y)
	}
}

// A tablet that starts without a cursor hears what became of its entries: the newest 200.
func TestFirstPullBringsSettlements(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.tablet("anne", model.RoleNurse), w.nurse("berit")
	settle := func(n int) (ids []model.EntryID) {
		for i := range n {
			e := a.score(w.persons[0], memory, 1+i%5)
			want(t, a.push(e), "quarantined out-of-scope")
			if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActClose, "sonja", boss, model.Reason{Code: "wrong"}); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.id)
		}
		return ids
	}
	closed := settle(3)
	for _, limit := range []int{1, 10} {
		a.cursor = ""
		items := a.pull(limit)
		if len(items) != 3 {
			t.Fatalf("limit %d: %d items", limit, len(items))
		}
		for i, it := range items {
			if it.Settled == nil || it.Settled.Entry != closed[i] || it.Settled.Act != model.ActClose || it.Settled.Reason.Code != "wrong" {
				t.Errorf("item %d: %+v", i, it)
			}
		}
		if again := a.pull(limit); len(again) != 0 {
			t.Errorf("told twice: %+v", again)
		}
	}
	for _, it := range b.pull(10) {
		if it.Settled != nil {
			t.Errorf("another device was told: %+v", it)
		}
	}
	closed = append(closed, settle(200)...)
	a.cursor = ""
	items := a.pull(50)
	if len(items) != 200 || items[0].Settled.Entry != closed[3] || items[199].Settled.Entry != closed[202] {
		t.Errorf("%d items", len(items))
	}
}
