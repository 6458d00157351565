package sync_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"flette/iplos"
	"flette/journal"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// S1: at the moment of the answer the exact bytes are in the file: a copy of it, taken
// without closing the store, holds every entry that was answered for.
func TestWhatIsAnsweredIsOnDisk(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.nurse("anne"), w.nurse("berit")
	p := w.persons[0]
	w.now += hour
	b.push(b.score(p, memory, 5))
	entries := []signed{a.score(p, memory, 1), a.score(p, "score/vision", 2), a.score(p, "score/hearing", 8)}
	res := a.push(entries...)
	want(t, res, "conflict", "applied", "quarantined score-out-of-range")

	raw, err := os.ReadFile(filepath.Join(w.dir, "tenants", "testvik.db"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tenants"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tenants", "testvik.db"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := bolt.Open(dir, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := st.View(t.Context(), w.tenant, func(v store.View) error {
		for i, r := range res {
			l, err := v.Entry(r.Position)
			if err != nil {
				return err
			}
			if !bytes.Equal(l.Compact(), entries[i].jws) {
				t.Errorf("position %d holds other bytes", r.Position)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// S9: the checkpoint of an answer covers every position in it, a duplicate's too.
func TestEveryAnswerCarriesACheckpointOverIt(t *testing.T) {
	w := newWorld(t, 1)
	a, reader := w.nurse("anne"), w.nurse("berit")
	verifier, err := journal.NewVerifier(w.keys.JournalVerifier())
	if err != nil {
		t.Fatal(err)
	}
	covers := func(what string, text []byte, position int64) {
		t.Helper()
		cp, err := verifier.Verify(text)
		if err != nil || cp.Size <= position {
			t.Errorf("%s: checkpoint over %d entries, position %d is answered for (%v)", what, cp.Size, position, err)
		}
	}
	var all []signed
	for i := range 5 {
		e := a.score(w.persons[0], memory, i) // 0 is no score: quarantined
		all = append(all, e)
		for range 2 { // the second time it is a duplicate
			res := a.push(e)
			covers(res[0].Outcome, []byte(a.check), res[0].Position)
		}
		page, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: reader.id, Actor: reader.actor, Cursor: reader.cursor})
		if err != nil {
			t.Fatal(err)
		}
		reader.cursor = page.Cursor
		covers("pull", page.Checkpoint, page.Position-1)
	}
	for _, r := range a.push(all...) {
		covers("all once more", []byte(a.check), r.Position)
	}
}

// S10: that nobody has the person in a caseload any more, and that the service has ended,
// hides nothing that is unsettled.
func TestWhatIsUnsettledStaysVisible(t *testing.T) {
	rules := iplos.New(iplos.Settings{})
	w := newWorld(t, 0)
	w.options.Rules = rules.Apply
	if err := w.st.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.addPersons(1)
	a, b := w.nurse("anne"), w.nurse("berit")
	p := w.persons[0]
	w.now += hour
	end := model.Unit(serviceA + "/end")
	a.push(a.score(p, memory, 1), a.score(p, "score/vision", 8),
		a.entry(p, model.ActRegister, []model.Change{
			{Unit: model.Unit(serviceA), Value: []byte(`{"type":"15"}`)},
			{Unit: model.Unit(serviceA + "/start"), Value: []byte(`{"date":"2026-05-01"}`)},
			{Unit: end, Value: []byte(`{"date":"2026-11-20"}`)},
		}))
	b.push(b.score(p, memory, 5))
	for _, actor := range []model.ActorID{"anne", "berit"} {
		if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{Actor: actor, Persons: w.persons, End: true, By: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	w.now += 400 * 24 * hour
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
		reviews, _, err := w.e.Reviews(v, sync.StateOpen, "", 10)
		if err != nil || len(reviews) != 1 || reviews[0].Person != p {
			t.Errorf("reviews %v, %v", reviews, err)
		}
		items, _, err := w.e.Quarantine(v, sync.QuarantineFilter{State: sync.StateOpen}, "", 10)
		if err != nil || len(items) != 1 || items[0].Person != p {
			t.Errorf("quarantine %v, %v", items, err)
		}
		found, _, err := w.e.Findings(v, nil, sync.FindingFilter{Rule: "R107"}, "", 10)
		if err != nil || len(found) != 1 || found[0].Unit != end {
			t.Errorf("findings %v, %v", found, err)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	diff := sync.Checks{Person: rules.Verify}
	if r, err := w.e.Verify(t.Context(), w.tenant, diff, nil); err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
}

// watched counts the transactions that are open, and tells the keys.
type watched struct {
	store.Store
	open atomic.Int32
}

func (s *watched) Update(ctx context.Context, tenant model.TenantID, persons []model.PersonID, fn func(store.Tx) error) (store.Commit, error) {
	return s.Store.Update(ctx, tenant, persons, func(tx store.Tx) error {
		s.open.Add(1)
		defer s.open.Add(-1)
		return fn(tx)
	})
}

func (s *watched) View(ctx context.Context, tenant model.TenantID, fn func(store.View) error) error {
	return s.Store.View(ctx, tenant, func(v store.View) error {
		s.open.Add(1)
		defer s.open.Add(-1)
		return fn(v)
	})
}

// watchedKeys notes how many transactions were open when a lease was checked, which the
// engine does right after the signature.
type watchedKeys struct {
	sync.Keys
	st   *watched
	seen []int32
}

func (k *watchedKeys) LeaseMAC(id uint32, data []byte) ([32]byte, error) {
	k.seen = append(k.seen, k.st.open.Load())
	return k.Keys.LeaseMAC(id, data)
}

// S11: no transaction is open while entries are verified and judged.
func TestEntriesAreJudgedOutsideTransactions(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	st := &watched{Store: w.st}
	keys := &watchedKeys{Keys: w.keys, st: st}
	e, err := sync.New(sync.Options{
		Store: st, Keys: func(model.TenantID) (sync.Keys, error) { return keys, nil },
		Now: func() model.Millis { return w.now }, Rand: w.rand, Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.e = e
	a.push(a.score(w.persons[0], memory, 2), a.score(w.persons[0], "score/vision", 2))
	if !slices.Equal(keys.seen, []int32{0, 0}) {
		t.Fatalf("transactions open while each lease was checked: %v", keys.seen)
	}
}
