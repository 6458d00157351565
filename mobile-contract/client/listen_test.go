package client

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
)

// radio is a network of its own time: each call of a path gets the next answer of its list, and the last
// one from then on.
type radio struct {
	t      *testing.T
	tab    *Tablet
	events []func(*http.Request) (*http.Response, error)
	pulls  []func(*http.Request) (*http.Response, error)

	mu    sync.Mutex
	calls []string // "events" or "pull", in order
}

func (r *radio) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, name := &r.events, "events"
	if strings.HasSuffix(req.URL.Path, "/pull") {
		list, name = &r.pulls, "pull"
	}
	r.calls = append(r.calls, name)
	next := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	return next(req)
}

// newRadio makes a tablet with a lease in a bubble.
func newRadio(t *testing.T) *radio {
	t.Helper()
	r := &radio{t: t}
	began := time.Now()
	tab, err := New(Config{
		URL: "http://radio.test", HTTP: &http.Client{Transport: r}, Wall: time.Now,
		Mono: func() time.Duration { return time.Since(began) }, Rand: random{rand.New(rand.NewPCG(1, 1))},
	})
	if err != nil {
		t.Fatal(err)
	}
	tab.s.Lease, tab.cursor = &contract.Lease{Token: "lease"}, "c"
	r.tab = tab
	return r
}

// says is an event stream: a word is sent as it is, a wait passes, then the body ends.
func says(parts ...any) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		in, out := io.Pipe()
		stop := context.AfterFunc(req.Context(), func() { out.CloseWithError(req.Context().Err()) })
		go func() {
			defer stop()
			defer out.CloseWithError(io.ErrUnexpectedEOF)
			for _, p := range parts {
				switch p := p.(type) {
				case string:
					if _, err := io.WriteString(out, p); err != nil {
						return
					}
				case time.Duration:
					select {
					case <-time.After(p):
					case <-req.Context().Done():
						return
					}
				}
			}
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: in}, nil
	}
}

func problem(code string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		c, _ := contract.LookupCode(code)
		return &http.Response{
			StatusCode: c.Status, Header: http.Header{"Content-Type": {"application/problem+json"}},
			Body: io.NopCloser(strings.NewReader(`{"code":"` + code + `"}`)),
		}, nil
	}
}

// waits is a long poll that answers after so long, with so many items.
func waits(d time.Duration, items string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		if req.URL.RawQuery != "cursor=c&limit=1&wait=25" {
			return nil, errors.New("asked for " + req.URL.RawQuery)
		}
		select {
		case <-time.After(d):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(
			`{"epoch":"e","items":[` + items + `],"cursor":"c","more":false,"checkpoint":"x"}`))}, nil
	}
}

const (
	pullEvent = "event: pull\ndata:\n\n"
	oneItem   = `{"type":"scope.remove","position":0,"person":"0190a000-0000-7000-8000-0000000000aa"}`
)

// listen runs until the time is over and returns when each event came, in seconds.
func (r *radio) listen(limit time.Duration) (heard []int, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	err = r.tab.Listen(ctx, func(event string) {
		if event == contract.EventPull {
			heard = append(heard, int(time.Since(began).Seconds()))
		}
	})
	return heard, err
}

func TestListen(t *testing.T) {
	beat := ": .\n\n"
	s20 := 20 * time.Second
	for name, c := range map[string]struct {
		events, pulls []func(*http.Request) (*http.Response, error)
		heard         []int
		calls         string
		err           error
	}{
		"events and heartbeats": {
			events: []func(*http.Request) (*http.Response, error){says(pullEvent, s20, beat, s20, beat, ":\n\n", s20, "event: new\ndata: x\n\n", pullEvent, time.Hour)},
			pulls:  []func(*http.Request) (*http.Response, error){waits(25*time.Second, "")},
			heard:  []int{0, 60}, calls: "events",
		},
		"bye, and back after retry": {
			events: []func(*http.Request) (*http.Response, error){says(pullEvent, s20, "retry: 7000\nevent: bye\ndata:\n\n"), says(pullEvent, s20, beat, s20, beat, s20, beat)},
			heard:  []int{0, 27}, calls: "events events",
		},
		"cut after a while, and back soon": {
			events: []func(*http.Request) (*http.Response, error){says(pullEvent, s20), says(pullEvent, s20, beat, s20, beat, s20, beat)},
			heard:  []int{0, 20}, calls: "events events",
		},
		"a proxy that holds bytes back": {
			events: []func(*http.Request) (*http.Response, error){says(time.Hour)},
			pulls:  []func(*http.Request) (*http.Response, error){waits(10*time.Second, oneItem), waits(25*time.Second, "")},
			heard:  []int{55}, calls: "events pull pull",
		},
		"a proxy that falls silent": {
			events: []func(*http.Request) (*http.Response, error){says(pullEvent, time.Hour)},
			pulls:  []func(*http.Request) (*http.Response, error){waits(25*time.Second, "")},
			heard:  []int{0}, calls: "events pull pull",
		},
		"an old server": {
			events: []func(*http.Request) (*http.Response, error){problem("not-found")},
			pulls:  []func(*http.Request) (*http.Response, error){waits(25*time.Second, "")},
			calls:  "events pull pull pull",
		},
		"cut at once, twice": {
			events: []func(*http.Request) (*http.Response, error){says()},
			pulls:  []func(*http.Request) (*http.Response, error){waits(25*time.Second, "")},
			calls:  "events events pull pull pull",
		},
		"revoked on the stream":       {events: []func(*http.Request) (*http.Response, error){says("event: wipe\ndata:\n\n")}, calls: "events", err: ErrRevoked},
		"revoked before":              {events: []func(*http.Request) (*http.Response, error){problem("device-revoked")}, calls: "events", err: ErrRevoked},
		"revoked while it polls":      {events: []func(*http.Request) (*http.Response, error){problem("not-found")}, pulls: []func(*http.Request) (*http.Response, error){problem("device-revoked")}, calls: "events pull", err: ErrRevoked},
		"a cursor of another life":    {events: []func(*http.Request) (*http.Response, error){problem("not-found")}, pulls: []func(*http.Request) (*http.Response, error){problem("cursor-gone"), waits(25*time.Second, "")}, heard: []int{0}, calls: "events pull pull pull pull"},
		"news that nobody pulls":      {events: []func(*http.Request) (*http.Response, error){problem("not-found")}, pulls: []func(*http.Request) (*http.Response, error){waits(0, oneItem), waits(0, oneItem), waits(time.Hour, "")}, heard: []int{0, 0}, calls: "events pull pull pull"},
		"a session that has ended":    {events: []func(*http.Request) (*http.Response, error){problem("lease-expired")}, calls: "events", err: errAny},
		"a session that ends polling": {events: []func(*http.Request) (*http.Response, error){problem("not-found")}, pulls: []func(*http.Request) (*http.Response, error){problem("lease-expired")}, calls: "events pull", err: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRadio(t)
				r.events, r.pulls = c.events, c.pulls
				heard, err := r.listen(74 * time.Second)
				switch c.err {
				case nil:
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("ended with %v", err)
					}
				case errAny:
					if CodeOf(err) == "" {
						t.Errorf("ended with %v", err)
					}
				default:
					if !errors.Is(err, c.err) {
						t.Errorf("ended with %v", err)
					}
				}
				if !slices.Equal(heard, c.heard) {
					t.Errorf("pulls after %v s, want %v", heard, c.heard)
				}
				if got := strings.Join(r.calls, " "); got != c.calls {
					t.Errorf("calls %s, want %s", got, c.calls)
				}
			})
		})
	}
}

var errAny = errors.New("an answer of the server")

// After ten minutes of polls the stream is tried again.
func TestListenTriesStreamsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio(t)
		r.events = []func(*http.Request) (*http.Response, error){problem("not-found")}
		r.pulls = []func(*http.Request) (*http.Response, error){waits(25*time.Second, "")}
		if _, err := r.listen(10*time.Minute + time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		last := len(r.calls) - 1
		if r.calls[last-1] != "events" || slices.Index(r.calls[1:], "events") != last-2 {
			t.Errorf("calls %v", r.calls)
		}
	})
}

// An app that takes its time over a pull is no silent proxy.
func TestListenWaitsForTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio(t)
		r.events = []func(*http.Request) (*http.Response, error){says(pullEvent, time.Second, pullEvent, 30*time.Second, ": .\n\n", time.Hour)}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		n := 0
		if err := r.tab.Listen(ctx, func(string) {
			if n++; n == 1 {
				time.Sleep(time.Minute)
			}
		}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if n != 2 || len(r.calls) != 1 {
			t.Errorf("%d events, calls %v", n, r.calls)
		}
	})
}

// The whole way: what another tablet hands in is here as soon as it is committed.
func TestListenToTheServer(t *testing.T) {
	f, tab, _ := full(t, 2)
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	anne := f.tablet("anne2", nil)
	f.assign("anne2", false, f.persons...)
	if _, err := anne.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pulled := make(chan int, 10)
	done := make(chan error)
	go func() {
		done <- tab.Listen(ctx, func(event string) {
			if event == contract.EventPull {
				r, err := tab.Pull(ctx)
				if err != nil {
					t.Error(err)
				}
				pulled <- r.Items
			}
		})
	}()
	<-pulled // the first comes at once
	if _, err := anne.Sign(f.persons[0], model.ActRegister, score("score/hearing", 3), SignOptions{}); err != nil {
		t.Fatal(err)
	}
	push(t, anne)
	if n := <-pulled; n != 1 {
		t.Errorf("%d items", n)
	}
	if _, err := f.e.Revoke(t.Context(), tenant, tab.ID(), "lost"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrRevoked) {
		t.Errorf("ended with %v", err)
	}
}
