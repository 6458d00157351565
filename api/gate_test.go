package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	contract "flette/mobile-contract"
	"flette/store"
)

// The gate lets calls in as room comes free, in turn, and tells the others when to come back.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now, 10, queueRules{work: 100, waiting: 100, target: time.Minute})
		enter := func(ctx context.Context, who string, bytes int) func() {
			leave, f := g.enter(ctx, party{"t", who}, bytes)
			if f != nil {
				t.Fatal(f)
			}
			return leave
		}
		leaveA := enter(t.Context(), "a", 90)
		late, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan *failure)
		go func() {
			_, f := g.enter(late, party{"t", "b"}, 20)
			gaveUp <- f
		}()
		synctest.Wait()
		if l := g.load(); l.AtWork != 1 || l.AtWorkWeight != 100 || l.Waiting != 1 || l.WaitingWeight != 30 || l.Admitted != 1 {
			t.Fatalf("%+v", l)
		}
		cancel()
		if f := <-gaveUp; f == nil || f.Code != "overloaded" || f.after <= 0 {
			t.Fatalf("gave up: %v", f)
		}
		in := make(chan func())
		go func() { in <- enter(t.Context(), "c", 40) }()
		synctest.Wait()
		if _, f := g.enter(t.Context(), party{"t", "d"}, 90); f == nil || f.Code != "overloaded" {
			t.Fatal("there is room to wait for 50 more, and 100 waited")
		}
		leaveA()
		leaveA() // as often as one likes
		leaveC := <-in
		if l := g.load(); l.AtWorkWeight != 50 || l.Waiting != 0 || l.TurnedAway != 2 || l.GaveUp != 1 {
			t.Fatalf("%+v", l)
		}
		leaveC()
		// One call heavier than all the room works alone, or it never would.
		enter(t.Context(), "e", 5000)()
		if l := g.load(); l.AtWork != 0 || l.AtWorkWeight != 0 || l.Admitted != 3 {
			t.Fatalf("%+v", l)
		}
	})
}

// H10 through the wire: while nothing gets done, what pushes hold stays within the bounds, those
// who do not fit are told so at once, health routes answer, and afterwards everybody gets in.
func TestPushesBeyondTheRoomAreTurnedAway(t *testing.T) {
	const devices, each = 25, 8
	h := newHouse(t, func(o *Options) {
		o.Limits = Limits{Wire: 16 << 10, AtWork: 30 << 10, Waiting: 60 << 10}
	})
	h.assign(testvik, "sara", h.people[testvik][0])
	var calls []*http.Request
	for i := range devices {
		d := h.tablet(testvik, fmt.Sprint("sara", i), nurse)
		h.assign(testvik, fmt.Sprint("sara", i), h.people[testvik][0])
		body := contract.PushRequest{Entries: []string{d.entry(h.people[testvik][0], "register", score("score/vision", 1+i%5))}}
		for range each { // the same push again and again: an entry is kept once
			calls = append(calls, d.request("POST", pathPush, d.auth(), body))
		}
	}
	before := h.size(testvik)
	held, release := make(chan struct{}), make(chan struct{})
	updated := make(chan error, 1)
	go func() {
		_, err := h.engine.Store().Update(background, testvik, nil, func(store.Tx) error {
			close(held)
			<-release
			return nil
		})
		updated <- err
	}()
	<-held
	type result struct {
		status int
		retry  string
	}
	answers := make(chan result, len(calls))
	var wg gosync.WaitGroup
	for _, req := range calls {
		wg.Go(func() {
			res, _ := h.do(req)
			answers <- result{res.StatusCode, res.Header.Get("Retry-After")}
		})
	}
	turned := 0
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		l := h.srv.Loads()["push"]
		if l.AtWorkWeight > 30<<10 || l.WaitingWeight > 60<<10 {
			t.Fatalf("over the bounds: %+v", l)
		}
		if turned+int(l.AtWork+l.Waiting) == len(calls) {
			tick.Stop()
			break
		}
		select {
		case r := <-answers:
			if seconds, err := strconv.Atoi(r.retry); r.status != http.StatusServiceUnavailable || err != nil || seconds < 1 {
				t.Fatalf("status %d, Retry-After %q", r.status, r.retry)
			}
			turned++
		case <-tick.C:
		}
	}
	if l := h.srv.Loads()["push"]; l.AtWork == 0 || l.Waiting == 0 || turned < len(calls)/2 {
		t.Errorf("%d of %d turned away; %+v", turned, len(calls), l)
	}
	for _, path := range []string{"/readyz", "/livez"} {
		h.want(http.StatusOK, h.request("GET", path, "", nil), nil)
	}
	close(release)
	must(t, <-updated)
	wg.Wait()
	for range len(calls) - turned {
		if r := <-answers; r.status != http.StatusOK {
			t.Errorf("a push that waited: status %d", r.status)
		}
	}
	if l := h.srv.Loads()["push"]; l.AtWork != 0 || l.Waiting != 0 || l.WaitingWeight != 0 || l.Admitted != int64(len(calls)-turned) || l.TurnedAway != int64(turned) {
		t.Errorf("afterwards: %+v", l)
	}
	if got := h.size(testvik) - before; got == 0 || got > devices {
		t.Errorf("%d entries of %d were kept", got, devices)
	}
}

// Who waits for news holds nobody's place.
func TestALongPollHoldsNoPlace(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.Calls = 1 })
	person := h.people[testvik][0]
	a, b := h.tablet(testvik, "sara", nurse), h.tablet(testvik, "kari", nurse)
	h.assign(testvik, "sara", person)
	h.assign(testvik, "kari", person)
	var page contract.PullResponse
	a.ok(http.StatusOK, "GET", "/v1/sync/pull", a.auth(), nil, &page)
	poll := a.request("GET", "/v1/sync/pull?wait=20&cursor="+page.Cursor, a.auth(), nil)
	got := make(chan contract.PullResponse, 1)
	go func() {
		var news contract.PullResponse
		h.want(http.StatusOK, poll, &news)
		got <- news
	}()
	for range 20 {
		b.ok(http.StatusOK, "GET", "/v1/sync/pull", b.auth(), nil, nil)
	}
	select {
	case news := <-got:
		t.Errorf("the poll ended before there was news: %+v", news)
	default:
	}
	b.push(b.entry(person, "register", score("score/vision", 2)))
	if news := <-got; len(news.Items) == 0 {
		t.Error("the poll ended without the news")
	}
}

// Who waits for news waits no longer than the session: what comes after it is for the next.
func TestALongPollEndsWithItsLease(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "sara", nurse)
	h.assign(testvik, "sara", h.people[testvik][0])
	var page contract.PullResponse
	d.ok(http.StatusOK, "GET", "/v1/sync/pull", d.auth(), nil, &page)
	h.advance(d.lease.ExpiresAt.Time().Sub(h.now()) - time.Millisecond)
	began := time.Now()
	var last contract.PullResponse
	d.ok(http.StatusOK, "GET", "/v1/sync/pull?wait=60&cursor="+page.Cursor, d.auth(), nil, &last)
	if took := time.Since(began); took > 20*time.Second || len(last.Items) != 0 {
		t.Errorf("a session with a millisecond left waited %v: %+v", took, last.Items)
	}
	h.advance(time.Millisecond)
	h.refused("lease-expired", d.request("GET", "/v1/sync/pull?wait=60&cursor="+page.Cursor, d.auth(), nil))
}

// A connection that a client opened in advance and never used does not hold up a shutdown.
func TestShutdownEndsSilentConnections(t *testing.T) {
	h := newHouse(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// A request on another connection proves that the server has accepted both, in order.
	h.want(http.StatusOK, h.request("GET", "/livez", "", nil), nil)
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	if err := h.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}
