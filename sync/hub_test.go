package sync_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	gosync "sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// woken reports whether the subscription was poked since it was last asked.
func woken(s *sync.Subscription) bool {
	select {
	case <-s.Wake():
		return true
	default:
		return false
	}
}

func (tb *tablet) subscribe(stream bool) *sync.Subscription {
	tb.w.t.Helper()
	s, err := tb.w.e.Subscribe(tb.w.t.Context(), tb.w.tenant, tb.id, tb.actor, "", stream)
	if err != nil {
		tb.w.t.Fatal(err)
	}
	tb.w.t.Cleanup(s.Close)
	return s
}

// S16: a commit wakes those who have one of its persons, and nobody else.
func TestPokesGoToThoseConcerned(t *testing.T) {
	w := newWorld(t, 3)
	anne, lars := w.tablet("anne", model.RoleNurse), w.tablet("lars", model.RoleNurse)
	w.assign("anne", w.persons[0], w.persons[1])
	w.assign("lars", w.persons[2])
	a, l := anne.subscribe(true), lars.subscribe(true)
	for name, step := range map[string]struct {
		do         func()
		anne, lars bool
	}{
		"a push about one of hers": {func() { anne.push(anne.score(w.persons[0], memory, 2)) }, true, false},
		"two pushes, one poke": {func() {
			lars.push(lars.score(w.persons[2], memory, 2))
			lars.push(lars.score(w.persons[2], "score/vision", 2))
		}, false, true},
		"an empty push": {func() { anne.push() }, false, false},
		"an assignment": {func() { w.assign("lars", w.persons[2]) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			step.do()
			if got := woken(a); got != step.anne {
				t.Errorf("anne woken: %v", got)
			}
			if got := woken(l); got != step.lars {
				t.Errorf("lars woken: %v", got)
			}
			if woken(a) || woken(l) {
				t.Error("a second poke was kept")
			}
		})
	}
}

// Who was given a person is woken about it from then on, and who lost it no longer.
func TestPokesFollowTheCaseload(t *testing.T) {
	w := newWorld(t, 2)
	anne, lars := w.nurse("anne"), w.tablet("lars", model.RoleNurse)
	s := lars.subscribe(true)
	other := lars.subscribe(false)
	anne.push(anne.score(w.persons[0], memory, 2))
	if woken(s) {
		t.Fatal("poked about a stranger")
	}
	fresh := func() {
		t.Helper()
		if err := s.Fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.assign("lars", w.persons[0])
	if !woken(s) || !woken(other) {
		t.Fatal("not poked about the caseload")
	}
	fresh()
	anne.push(anne.score(w.persons[0], memory, 3))
	if !woken(s) || !woken(other) {
		t.Error("not poked about the new person")
	}
	w.now += hour
	if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{Actor: "lars", Persons: w.persons[:1], End: true, By: "test"}); err != nil {
		t.Fatal(err)
	}
	if !woken(s) {
		t.Error("not poked about the end")
	}
	fresh()
	anne.push(anne.score(w.persons[0], memory, 4))
	if woken(s) {
		t.Error("poked about a person who left")
	}
}

// A block of everybody, and its end, is news to those who were given the person, also while
// they are kept out.
func TestPokesOfABlockOfEverybody(t *testing.T) {
	w := newWorld(t, 2)
	anne, lars := w.tablet("anne", model.RoleNurse), w.tablet("lars", model.RoleNurse)
	w.assign("anne", w.persons[0])
	w.assign("lars", w.persons[1])
	a, l := anne.subscribe(true), lars.subscribe(true)
	for _, lift := range []bool{false, true} {
		w.now += sec
		if _, err := w.e.Block(t.Context(), w.tenant, sync.Block{Person: w.persons[0], Lift: lift, By: "test", Reason: model.Reason{Code: "x"}}); err != nil {
			t.Fatal(err)
		}
		if !woken(a) || woken(l) {
			t.Errorf("lift %t: who has the person is woken, and who has not is left alone", lift)
		}
		if err := a.Fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// An assignment that begins or ends by itself is due when its time has come.
func TestPokesOfTime(t *testing.T) {
	w := newWorld(t, 1)
	lars := w.tablet("lars", model.RoleNurse)
	if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{
		Actor: "lars", Persons: w.persons, From: day0 + hour, To: day0 + 2*hour, By: "test",
	}); err != nil {
		t.Fatal(err)
	}
	s := lars.subscribe(true)
	for _, step := range []struct {
		at  model.Millis
		due bool
	}{{day0, false}, {day0 + hour, true}, {day0 + hour, false}, {day0 + 2*hour, true}, {day0 + 3*hour, false}} {
		if got := s.Due(step.at); got != step.due {
			t.Errorf("due at %v: %v", step.at, got)
		}
		w.now = step.at
		if err := s.Fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A held pull that nobody pokes brings who comes, and takes who leaves, when their time comes.
func TestHeldPullOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() model.Millis { return day0 + model.Millis(time.Since(start).Milliseconds()) }
		w := newWorldWith(t, 1, sync.Options{Now: now})
		lars := w.tablet("lars", model.RoleNurse)
		if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{
			Actor: "lars", Persons: w.persons, From: day0 + 20*sec, To: day0 + 50*sec, By: "test",
		}); err != nil {
			t.Fatal(err)
		}
		lars.pull(0)
		for _, step := range []struct {
			at      model.Millis
			removed bool
		}{{day0 + 20*sec, false}, {day0 + 50*sec, true}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			type answer struct {
				page *sync.PullPage
				err  error
			}
			got := make(chan answer, 1)
			go func() {
				page, err := w.e.PullWait(ctx, sync.PullRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Cursor: lars.cursor})
				got <- answer{page, err}
			}()
			synctest.Wait() // it is held
			began := time.Now()
			ahead := time.Duration(step.at-now()) * time.Millisecond
			a := <-got
			cancel()
			if a.err != nil || len(a.page.Items) == 0 || a.page.Items[0].Removed != step.removed || (a.page.Items[0].Added == nil) != step.removed {
				t.Fatalf("at %d: %+v, %v", step.at-day0, a.page, a.err)
			}
			if took := time.Since(began); took != ahead {
				t.Errorf("at %d: after %v, not %v", step.at-day0, took, ahead)
			}
			lars.cursor = a.page.Cursor
		}
	})
}

// The device of a quarantined entry is told what became of it, whoever has the person.
func TestPokesOfSettlements(t *testing.T) {
	w := newWorld(t, 1)
	stranger := w.tablet("stig", model.RoleNurse)
	bad := stranger.score(w.persons[0], memory, 2)
	if got := outcomes(stranger.push(bad)); got[0] != "quarantined out-of-scope" {
		t.Fatal(got)
	}
	s := stranger.subscribe(true)
	if _, err := w.e.Settle(t.Context(), w.tenant, bad.id, model.ActClose, "boss", model.Roles(model.RoleSupervisor), model.Reason{Code: "mistake"}); err != nil {
		t.Fatal(err)
	}
	if !woken(s) {
		t.Error("not poked")
	}
}

func TestSubscriptionsEnd(t *testing.T) {
	w := newWorld(t, 1)
	anne := w.nurse("anne")
	first := anne.subscribe(true)
	poll := anne.subscribe(false)
	second := anne.subscribe(true)
	if !woken(first) || !first.Replaced() || second.Replaced() || poll.Replaced() || woken(poll) {
		t.Error("a newer stream replaces the device's older one, and nothing else")
	}
	first.Close() // must not take the second's place away
	if _, err := w.e.Revoke(t.Context(), w.tenant, anne.id, "lost"); err != nil {
		t.Fatal(err)
	}
	if !woken(second) || !second.Wiped() || !woken(poll) || !poll.Wiped() {
		t.Error("a revoked device is told")
	}
	if _, err := w.e.Subscribe(t.Context(), w.tenant, anne.id, "anne", "", true); !errors.Is(err, sync.ErrRevoked) {
		t.Errorf("a revoked device subscribed: %v", err)
	}
	if _, err := w.e.Subscribe(t.Context(), w.tenant, model.DeviceID{1}, "anne", "", true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown device subscribed: %v", err)
	}
}

// S16: however a long poll, a push and a change of the caseload fall together, the poll ends with
// the news: nothing is committed between its look and its wait.
func TestPollsMissNothing(t *testing.T) {
	w := newWorld(t, 1)
	anne, lars := w.nurse("anne"), w.tablet("lars", model.RoleNurse)
	last := []model.EntryID(nil)
	for round := range 100 {
		lars.pull(0)
		cursor := lars.cursor
		ctx, cancel := context.WithCancel(t.Context())
		var wg gosync.WaitGroup
		wg.Go(func() {
			page, err := w.e.PullWait(ctx, sync.PullRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Cursor: cursor})
			if err != nil || len(page.Items) == 0 {
				t.Errorf("round %d: %v", round, err)
			}
			cancel()
		})
		if round == 0 {
			w.assign("lars", w.persons[0])
		} else {
			e := anne.score(w.persons[0], memory, round%3+1, last...)
			last = []model.EntryID{e.id}
			anne.push(e)
		}
		<-ctx.Done() // hangs when the news was missed
		wg.Wait()
	}
}

// counted counts the views that an engine opens.
type counted struct {
	store.Store
	views atomic.Int64
}

func (c *counted) View(ctx context.Context, tenant model.TenantID, fn func(store.View) error) error {
	c.views.Add(1)
	return c.Store.View(ctx, tenant, fn)
}

// A push about one person costs the others nothing: of a thousand who wait, those who have
// the person look, and nobody else.
func TestAPushWakesOnlyThoseConcerned(t *testing.T) {
	const waiting = 1000
	w := newWorld(t, 2)
	anne := w.nurse("anne")
	c := &counted{Store: w.st}
	o := w.options
	o.Store, o.Rand = c, w.rand
	o.Keys = func(model.TenantID) (sync.Keys, error) { return w.keys, nil }
	o.Now = func() model.Millis { return w.now }
	e, err := sync.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.e = e
	tb := w.tablet("idle-0", model.RoleNurse)
	idle := make([]string, waiting)
	for i := range waiting {
		actor := model.ActorID(fmt.Sprint("idle-", i))
		p := w.persons[0]
		if i == 0 {
			p = w.persons[1]
		}
		w.assign(actor, p)
		page, err := e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: tb.id, Actor: actor})
		if err != nil {
			t.Fatal(err)
		}
		idle[i] = page.Cursor
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg gosync.WaitGroup
	woke := make(chan int, waiting)
	c.views.Store(0)
	for i := range waiting {
		wg.Go(func() {
			page, err := e.PullWait(ctx, sync.PullRequest{Tenant: w.tenant, Device: tb.id, Actor: model.ActorID(fmt.Sprint("idle-", i)), Cursor: idle[i]})
			if err != nil {
				t.Error(err)
			}
			if len(page.Items) > 0 {
				woke <- i
			}
		})
	}
	// Each of them looks at its caseload and its page before it waits.
	for c.views.Load() < 2*waiting {
		runtime.Gosched()
	}
	anne.push(anne.score(w.persons[1], memory, 3))
	if got := <-woke; got != 0 {
		t.Errorf("waiter %d woke", got)
	}
	if n := c.views.Load() - 2*waiting; n > 10 {
		t.Errorf("a push about one person opened %d views", n)
	}
	cancel()
	wg.Wait()
}

// What a push costs when ten thousand tablets listen, each to a caseload of thirty, thirty of
// them to the person of the push.
func BenchmarkPushWithSubscribers(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, 1000)
			w.tampered = true // the benchmark is not about verify
			anne := w.nurse("anne")
			tb := w.tablet("x", model.RoleNurse)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			subs := make([]*sync.Subscription, n)
			for i := range subs {
				actor := model.ActorID(fmt.Sprint("n-", i))
				first := 0 // thirty have the person of the push
				if i >= 30 {
					first = 30 + i*30%930
				}
				if _, err := w.e.Assign(b.Context(), w.tenant, sync.Assign{Actor: actor, Persons: w.persons[first : first+30], By: "test"}); err != nil {
					b.Fatal(err)
				}
				var err error
				if subs[i], err = w.e.Subscribe(b.Context(), w.tenant, tb.id, actor, "", false); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			last := []model.EntryID(nil)
			woken := 0
			for b.Loop() {
				e := anne.score(w.persons[5], memory, 2, last...)
				last = []model.EntryID{e.id}
				anne.push(e)
				for _, s := range subs {
					select {
					case <-s.Wake():
						woken++
					default:
					}
				}
			}
			b.ReportMetric(float64(woken)/float64(b.N), "woken/op")
			if n > 0 {
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/subscriber")
			}
			for _, s := range subs {
				s.Close()
			}
		})
	}
}
