package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"flette/internal/limitio"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

const ndjsonMIME = "application/x-ndjson"

// snapshot streams a caseload, or one person of it.
func snapshot(c *call) (answer, error) {
	r := sync.SnapshotRequest{
		Tenant: c.who.tenant, Device: c.who.lease.Device, Actor: c.who.actor, JKT: c.who.lease.JKT, After: c.text("after"),
	}
	if text := c.text("person"); text != "" {
		var err error
		if r.Person, err = model.ParsePersonID(text); err != nil {
			return answer{}, badQuery("person")
		}
		if r.After != "" {
			return answer{}, fail("invalid-query", "One person is not sent in parts: leave `after` out.")
		}
	}
	over, leave, f := c.s.loads.enter(c.who.lease.Device)
	if f != nil {
		return answer{}, f
	}
	snap, err := c.engine().Snapshot(c.ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		err = fail("unknown-device", "")
	}
	if err != nil {
		leave()
		return answer{}, err
	}
	l := &lines{s: c.s, tenant: c.who.tenant, snap: snap, ends: c.s.loadEnds(c.now, c.who.lease.ExpiresAt)}
	coding := ""
	l.enc, coding = limitio.NewEncoder(c.acceptEncoding, &l.out)
	return answer{status: http.StatusOK, mime: ndjsonMIME, coding: coding, stream: &stream{
		s: c.s, ex: c.ex, over: over, next: l.next, close: func() {
			_ = l.drop() // what it still writes goes nowhere
			leave()
		},
	}}, nil
}

// lines writes a snapshot as lines of JSON.
type lines struct {
	s      *Server
	tenant model.TenantID
	snap   *sync.Snapshot
	ends   time.Time
	enc    limitio.Encoder // nil when it is closed
	out    bytes.Buffer
}

var errTooLong = errors.New("api: the snapshot takes too long; it goes on after its last mark")

// next gives the lines of one piece. What it returns is good until it is called again.
func (l *lines) next() ([]byte, error) {
	l.out.Reset()
	if l.enc == nil {
		return nil, io.EOF
	}
	if l.s.o.Now().After(l.ends) {
		return nil, errTooLong
	}
	ctx, cancel := l.s.work()
	defer cancel()
	part, err := l.snap.Next(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.part(part); err != nil {
		return nil, err
	}
	if part.End != nil {
		err = l.drop()
	} else {
		err = l.enc.Flush()
	}
	return l.out.Bytes(), err
}

// loadEnds is when a stream that began now is cut off: after the limit, and with the session.
func (s *Server) loadEnds(now time.Time, lease model.Millis) time.Time {
	if end := now.Add(s.o.Limits.Load); end.Before(lease.Time()) {
		return end
	}
	return lease.Time()
}

// drop ends the coding.
func (l *lines) drop() error {
	if l.enc == nil {
		return nil
	}
	err := l.enc.Close()
	l.enc = nil
	return err
}

func (l *lines) part(p *sync.SnapshotPart) error {
	if b := p.Begin; b != nil {
		if err := l.line(contract.SnapshotBegin{Type: contract.LineBegin, Epoch: b.Epoch, Position: b.Position, Persons: b.Persons}); err != nil {
			return err
		}
	}
	for i := range p.Items {
		item, err := l.s.pullItem(l.tenant, &p.Items[i])
		if err != nil {
			return err
		}
		if err := l.line(&item); err != nil {
			return err
		}
	}
	if p.Mark != "" {
		if err := l.line(contract.SnapshotMark{Type: contract.LineMark, After: p.Mark}); err != nil {
			return err
		}
	}
	if end := p.End; end != nil {
		return l.line(contract.SnapshotEnd{Type: contract.LineEnd, Cursor: end.Cursor, Checkpoint: string(end.Checkpoint)})
	}
	return nil
}

var newline = []byte("\n")

func (l *lines) line(v any) error {
	if err := json.MarshalWrite(l.enc, v, json.Deterministic(true)); err != nil {
		return err
	}
	_, err := l.enc.Write(newline)
	return err
}

// maxDigest leaves room for longer digests of tomorrow: they differ from ours.
const maxDigest = 100

// digest compares what a tablet holds with what the store shows.
func digest(c *call) (answer, error) {
	var in contract.DigestRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if len(in.Persons) > sync.MaxDigests {
		return answer{}, failAt("invalid-member", "/persons", "Name at most 1000 persons at a time.")
	}
	r := sync.DigestRequest{
		Tenant: c.who.tenant, Device: c.who.lease.Device, Actor: c.who.actor, JKT: c.who.lease.JKT, Cursor: in.Cursor,
		Persons: make([]sync.PersonDigest, len(in.Persons)),
	}
	for i, p := range in.Persons {
		if len(p.Digest) > maxDigest {
			return answer{}, failAt("invalid-member", "/persons/"+strconv.Itoa(i)+"/digest", "A digest is 43 characters.")
		}
		r.Persons[i] = sync.PersonDigest{Person: p.Person, Digest: p.Digest}
	}
	out, err := c.engine().Digest(c.ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		err = fail("unknown-device", "")
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, value: contract.DigestResponse{
		Position: out.Position, Differ: listed(out.Differ), Behind: listed(out.Behind),
		Missing: listed(out.Missing), Extra: listed(out.Extra),
	}}, nil
}

// listed makes sure that an empty list is a list.
func listed(p []model.PersonID) []model.PersonID {
	if p == nil {
		return []model.PersonID{}
	}
	return p
}

// planVisits replaces the plan of an actor's day.
func planVisits(c *call) (answer, error) {
	var in contract.VisitsRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	actor, err := model.ParseActorID(string(in.Actor))
	if err != nil {
		return answer{}, failAt("invalid-member", "/actor", "The actor id is 1-64 printable ASCII characters without spaces.")
	}
	if err := c.view(func(v store.View) error { return c.mayName(v, "/persons", in.Persons...) }); err != nil {
		return answer{}, err
	}
	version, err := c.engine().PlanVisits(c.ctx, c.who.tenant, sync.Plan{
		Actor: actor, Date: in.Date, Persons: in.Persons, By: string(c.who.actor),
	})
	return answer{status: http.StatusCreated, value: contract.VisitsResponse{Version: version, Visits: len(in.Persons)}}, err
}
