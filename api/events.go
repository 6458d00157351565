package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

const eventMIME = "text/event-stream"

const (
	heartbeat = 20 * time.Second
	// A stream ends by itself between one and two hours old, so that tablets spread anew over
	// servers and a proxy's own limit is met rarely.
	streamAge = time.Hour
	// Tablets that were told to go come back over this time.
	comeBack = 20 * time.Second
)

// events pokes a tablet when a pull may bring something. Nothing of what happened is in it.
func events(c *call) (answer, error) {
	// Not its context: the hub tells the older stream, which says bye.
	_, leave, f := c.s.streams.enter(c.who.lease.Device)
	if f != nil {
		return answer{}, f
	}
	sub, err := c.engine().Subscribe(c.ctx, c.who.tenant, c.who.lease.Device, c.who.actor, c.who.lease.JKT, true)
	if errors.Is(err, store.ErrNotFound) {
		err = fail("unknown-device", "")
	}
	if err != nil {
		leave()
		return answer{}, err
	}
	p := &pokes{s: c.s, sub: sub, lease: c.who.lease.ExpiresAt, old: c.now.Add(streamAge + c.s.jitter(streamAge))}
	return answer{status: http.StatusOK, mime: eventMIME, stream: &stream{
		s: c.s, ex: c.ex, next: p.next, close: func() { sub.Close(); leave() },
	}}, nil
}

// pokes is one tablet's event stream.
type pokes struct {
	s     *Server
	sub   *sync.Subscription
	lease model.Millis // when the lease ends
	old   time.Time    // when the stream has lived long enough
	begun bool
	over  bool
}

// next waits for the next event and gives its bytes.
func (p *pokes) next() ([]byte, error) {
	switch {
	case p.over:
		return nil, io.EOF
	case !p.begun:
		// What happened before the stream was there is not told again: one pull makes up for it.
		p.begun = true
		return []byte(event(contract.EventPull)), nil
	}
	now := p.s.o.Now()
	wait := min(p.sub.Edge(model.MillisOf(now), heartbeat), p.old.Sub(now), p.lease.Time().Sub(now))
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-p.s.polls.Done():
		return p.bye(), nil
	case <-p.sub.Wake():
		switch {
		case p.sub.Wiped():
			p.over = true
			return []byte(event(contract.EventWipe)), nil
		case p.sub.Replaced():
			return p.bye(), nil
		}
		return p.pull()
	case <-timer.C:
	}
	now = p.s.o.Now()
	switch {
	case !now.Before(p.old) || !now.Before(p.lease.Time()):
		return p.bye(), nil
	case p.sub.Due(model.MillisOf(now)):
		return p.pull()
	}
	return []byte(": .\n\n"), nil
}

// pull pokes, with the caseload read anew when it has changed.
func (p *pokes) pull() ([]byte, error) {
	ctx, cancel := p.s.work()
	defer cancel()
	if err := p.sub.Fresh(ctx); err != nil {
		return nil, err
	}
	return []byte(event(contract.EventPull)), nil
}

// bye ends the stream and says when to come back.
func (p *pokes) bye() []byte {
	p.over = true
	after := time.Second + p.s.jitter(comeBack)
	return fmt.Appendf(nil, "retry: %d\n%s", after.Milliseconds(), event(contract.EventBye))
}

// event is one event without data; the empty data line makes browsers hand it on.
func event(name string) string { return "event: " + name + "\ndata:\n\n" }

// jitter is a random part of d.
func (s *Server) jitter(d time.Duration) time.Duration {
	var b [4]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return d / 2
	}
	return time.Duration(float64(d) * float64(binary.BigEndian.Uint32(b[:])) / (1 << 32))
}
