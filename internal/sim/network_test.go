package sim

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
)

var (
	errDown    = errors.New("sim: no coverage")
	errDropped = errors.New("sim: the request was lost")
	errLost    = errors.New("sim: the answer was lost")
)

// weather is how bad a tablet's network is: chances of each fault for each request.
type weather struct {
	drop, lose, cut, twice, late, busy float64
}

var weathers = []weather{
	{},
	{drop: 0.05, lose: 0.05, cut: 0.03, twice: 0.05, late: 0.03, busy: 0.03},
	{drop: 0.2, lose: 0.25, cut: 0.15, twice: 0.2, late: 0.1, busy: 0.1},
	{lose: 0.9}, // everything arrives and nothing comes back
}

// RoundTrip is the tablet's network.
func (t *tablet) RoundTrip(req *http.Request) (*http.Response, error) {
	w := t.w
	q, err := wireOf(req)
	if err != nil {
		return nil, err
	}
	if t.down() {
		return nil, errDown
	}
	switch f := &t.weather; {
	case w.chance(f.drop):
		w.count("net request lost")
		return nil, errDropped
	case w.chance(f.late):
		w.count("net request delayed")
		w.late = append(w.late, q)
		return nil, errLost
	case w.chance(f.busy):
		w.count("net 503 by a proxy")
		a := &wire{status: http.StatusServiceUnavailable, header: http.Header{"Content-Type": {"text/html"}}, body: []byte("<h1>busy</h1>")}
		if w.chance(0.5) {
			a.header.Set("Retry-After", "3")
		}
		return a.response(req, false), nil
	}
	a := w.handle(q)
	if w.chance(t.weather.twice) {
		w.count("net request twice")
		if w.chance(0.3) {
			a = w.handle(q) // the second answer is the one that arrives
		} else {
			w.late = append(w.late, q)
		}
	}
	switch f := &t.weather; {
	case w.chance(f.lose):
		w.count("net answer lost")
		return nil, errLost
	case len(a.body) > 0 && w.chance(f.cut):
		w.count("net answer cut")
		short := &wire{status: a.status, header: a.header, body: a.body[:w.rng.IntN(len(a.body))]}
		return short.response(req, w.chance(0.5)), nil
	}
	t.delivered(q, a)
	return a.response(req, false), nil
}

// delivered notes the receipts that reached the tablet (C).
func (t *tablet) delivered(q, a *wire) {
	if a.status != http.StatusOK || !strings.HasSuffix(q.url, "/v1/sync/push") {
		return
	}
	var out contract.PushResponse
	t.w.must(json.Unmarshal(a.body, &out))
	for _, r := range out.Results {
		if r.ID == "" {
			continue
		}
		id, err := model.ParseEntryID(r.ID)
		t.w.must(err)
		t.told[id] = r.Outcome
		if r.Stamp != nil {
			t.received[id] = r.Stamp.Hi
		}
	}
}

// arrive lets a delayed request reach the server at last; nobody waits for its answer.
func (w *world) arrive(i int) {
	q := w.late[i]
	w.late = append(w.late[:i], w.late[i+1:]...)
	w.handle(q)
}
