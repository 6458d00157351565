package sync

import (
	"context"
	gosync "sync"
	"sync/atomic"
	"time"

	"flette/model"
	"flette/store"
)

// A hub wakes those whom a commit concerns, and nobody else (S16): who waits for news is filed
// under the persons of the actor's caseload. Poking never blocks and keeps one flag a
// subscription, so that a slow reader costs a commit nothing. A wake-up may be spurious; it
// says only that a pull may bring something.
//
// Nothing is missed because of the order in which things happen: a subscription is filed
// before the caseload is read, a change of the caseload marks it stale, and who was woken
// reads a stale caseload anew (Fresh) before pulling.
type hub struct {
	mu      gosync.Mutex
	actors  map[model.ActorID]*watch
	persons map[model.PersonID]map[*watch]struct{}
	devices map[model.DeviceID]map[*Subscription]struct{}
	streams map[model.DeviceID]*Subscription
}

// watch is what the subscriptions of one actor have in common.
type watch struct {
	actor   model.ActorID
	reading gosync.Mutex // held while the caseload is read and filed

	// Guarded by hub.mu.
	subs    map[*Subscription]struct{}
	persons []model.PersonID // filed under
	stale   bool
	edge    model.Millis // when time alone changes the caseload next, 0 for never
}

// Why a subscription is over.
const (
	live int32 = iota
	wiped
	replaced
)

// Subscription is told of news for one device and actor until it is closed.
type Subscription struct {
	e      *Engine
	tenant model.TenantID
	hub    *hub
	watch  *watch
	device model.DeviceID
	jkt    string
	stream bool
	wake   chan struct{} // holds one
	state  atomic.Int32
}

// Wake gives a value when there may be news, however much there is; look at Wiped and
// Replaced then, and call Fresh before pulling.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Wiped reports whether the device was revoked.
func (s *Subscription) Wiped() bool { return s.state.Load() == wiped }

// Replaced reports whether the device has opened a newer stream.
func (s *Subscription) Replaced() bool { return s.state.Load() == replaced }

func (s *Subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it has not looked at the last one yet
	}
}

// Subscribe files a subscription; jkt is that of [PullRequest]. A stream replaces the device's
// older stream. Close it. Errors, for a stream: *RevokedError, ErrKeyRetired, store.ErrNotFound for an unknown device.
func (e *Engine) Subscribe(ctx context.Context, tenant model.TenantID, device model.DeviceID, actor model.ActorID, jkt string, stream bool) (*Subscription, error) {
	ts, err := e.tenant(tenant)
	if err != nil {
		return nil, err
	}
	s := &Subscription{e: e, tenant: tenant, hub: &ts.hub, device: device, jkt: jkt, stream: stream, wake: make(chan struct{}, 1)}
	ts.hub.join(s, actor)
	if err = s.Fresh(ctx); err == nil && stream {
		err = s.trusted(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// trusted looks whether the device was revoked before it was filed; a revocation since then
// finds the subscription. Who is to pull need not ask: the pull does.
func (s *Subscription) trusted(ctx context.Context) error {
	return s.e.st.View(ctx, s.tenant, func(v store.View) error { return mayFetch(v, s.device, s.jkt) })
}

func (h *hub) join(s *Subscription, actor model.ActorID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.actors == nil {
		h.actors = map[model.ActorID]*watch{}
		h.persons = map[model.PersonID]map[*watch]struct{}{}
		h.devices = map[model.DeviceID]map[*Subscription]struct{}{}
		h.streams = map[model.DeviceID]*Subscription{}
	}
	w := h.actors[actor]
	if w == nil {
		w = &watch{actor: actor, subs: map[*Subscription]struct{}{}, stale: true}
		h.actors[actor] = w
	}
	s.watch = w
	w.subs[s] = struct{}{}
	put(h.devices, s.device, s)
	if s.stream {
		if old := h.streams[s.device]; old != nil {
			old.state.CompareAndSwap(live, replaced)
			old.poke()
		}
		h.streams[s.device] = s
	}
}

// Close ends the subscription. It may be called again.
func (s *Subscription) Close() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	w := s.watch
	if _, in := w.subs[s]; !in {
		return
	}
	delete(w.subs, s)
	drop(h.devices, s.device, s)
	if h.streams[s.device] == s {
		delete(h.streams, s.device)
	}
	if len(w.subs) == 0 {
		h.file(w, nil)
		delete(h.actors, w.actor)
	}
}

// file puts a watch under the persons given, and under no others.
func (h *hub) file(w *watch, persons []model.PersonID) {
	for _, p := range w.persons {
		drop(h.persons, p, w)
	}
	w.persons = persons
	for _, p := range persons {
		put(h.persons, p, w)
	}
}

func put[K, V comparable](m map[K]map[V]struct{}, k K, v V) {
	if m[k] == nil {
		m[k] = map[V]struct{}{}
	}
	m[k][v] = struct{}{}
}

func drop[K, V comparable](m map[K]map[V]struct{}, k K, v V) {
	delete(m[k], v)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}

// Due reports whether time alone has changed the caseload since it was read.
func (s *Subscription) Due(now model.Millis) bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.watch.edge != 0 && s.watch.edge <= now
}

// Edge is how long it is until time alone changes the caseload: 0 when it has, and limit when
// that is sooner or nothing changes.
func (s *Subscription) Edge(now model.Millis, limit time.Duration) time.Duration {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	edge := s.watch.edge
	if edge == 0 || edge-now >= model.Millis(limit.Milliseconds()) {
		return limit
	}
	return time.Duration(max(edge-now, 0)) * time.Millisecond
}

// Fresh reads the caseload anew when it has changed since it was read last.
func (s *Subscription) Fresh(ctx context.Context) error {
	w, h := s.watch, s.hub
	w.reading.Lock()
	defer w.reading.Unlock()
	now := s.e.o.Now()
	h.mu.Lock()
	stale := w.stale || w.edge != 0 && w.edge <= now
	w.stale = false // what changes from here on makes it stale again
	h.mu.Unlock()
	if !stale {
		return nil
	}
	var persons []model.PersonID
	var edge model.Millis
	err := s.e.st.View(ctx, s.tenant, func(v store.View) error {
		ts, err := s.e.tenant(s.tenant)
		if err != nil {
			return err
		}
		if err := ts.scopes.keep(v, w.actor); err != nil {
			return err
		}
		sc, err := ts.scopes.of(v, w.actor)
		if err == nil {
			persons, edge = sc.ahead(now)
		}
		return err
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		w.stale = true
		return err
	}
	w.edge = edge
	if _, in := w.subs[s]; in {
		h.file(w, persons)
	}
	return nil
}

// ahead lists the persons whom the actor has now or will have, and when that changes next.
func (s *scope) ahead(now model.Millis) (persons []model.PersonID, edge model.Millis) {
	for p, r := range s.byPerson {
		open := false
		for _, iv := range r.have {
			open = open || iv.to == 0 || iv.to > now
			for _, at := range []model.Millis{iv.from, iv.to} {
				if at > now && (edge == 0 || at < edge) {
					edge = at
				}
			}
		}
		if open {
			persons = append(persons, p)
		}
	}
	return persons, edge
}

// touched pokes those who have one of the persons, and the devices given.
func (h *hub) touched(persons map[model.PersonID]struct{}, devices []model.DeviceID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range persons {
		for w := range h.persons[p] {
			w.poke()
		}
	}
	for _, d := range devices {
		for s := range h.devices[d] {
			s.poke()
		}
	}
}

// moved pokes an actor whose caseload has another version.
func (h *hub) moved(actor model.ActorID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.actors[actor]; w != nil {
		w.stale = true
		w.poke()
	}
}

// all pokes everybody, to whom everything may be news.
func (h *hub) all() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.actors {
		w.stale = true
		w.poke()
	}
}

// wipe ends what a revoked device has open.
func (h *hub) wipe(device model.DeviceID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.devices[device] {
		s.state.Store(wiped)
		s.poke()
	}
}

func (w *watch) poke() {
	for s := range w.subs {
		s.poke()
	}
}

// forever is longer than anybody waits.
const forever = 24 * time.Hour

// PullWait is Pull that waits for news until ctx is done: then the empty page is returned.
func (e *Engine) PullWait(ctx context.Context, r PullRequest) (*PullPage, error) {
	work := context.WithoutCancel(ctx)
	s, err := e.Subscribe(work, r.Tenant, r.Device, r.Actor, r.JKT, false)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for {
		page, err := e.pullInTurn(work, r)
		if err != nil || len(page.Items) > 0 || page.More {
			return page, err
		}
		timer := time.NewTimer(s.Edge(e.o.Now(), forever))
		select {
		case <-ctx.Done():
			timer.Stop()
			return page, nil
		case <-s.wake:
		case <-timer.C: // somebody's time has come, or is over
		}
		timer.Stop()
		if err := s.Fresh(work); err != nil {
			return nil, err
		}
	}
}
