package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/sync"
)

// snapshot reads a whole snapshot.
func (d *device) snapshot(query string) (lines []contract.SnapshotLine) {
	d.h.t.Helper()
	res, body := d.h.do(d.request("GET", "/v1/sync/snapshot"+query, d.auth(), nil))
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != ndjsonMIME || !res.Close {
		d.h.t.Fatalf("status %d, %q: %s", res.StatusCode, res.Header, body)
	}
	return linesOf(d.h.t, body)
}

func linesOf(t testing.TB, body []byte) (lines []contract.SnapshotLine) {
	t.Helper()
	for text := range bytes.Lines(body) {
		var l contract.SnapshotLine
		must(t, json.Unmarshal(text, &l, json.RejectUnknownMembers(true)))
		lines = append(lines, l)
	}
	return lines
}

func (h *house) plan(actor string, persons ...model.PersonID) {
	h.t.Helper()
	_, err := h.engine.PlanVisits(background, testvik, sync.Plan{
		Actor: model.ActorID(actor), Date: model.DateInOslo(model.MillisOf(h.now())), Persons: persons, By: "test",
	})
	must(h.t, err)
}

func types(lines []contract.SnapshotLine) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Type)
	}
	return strings.Join(out, " ")
}

func TestSnapshotStream(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	p := h.people[testvik]
	h.assign(testvik, "n1", p[:3]...)
	d.push(d.entry(p[0], model.ActRegister, score("score/vision", 2)), d.entry(p[1], model.ActRegister, score("score/vision", 3)))
	boss := h.api(testvik, "boss", supervisor)
	var planned contract.VisitsResponse
	_, err := boss.Post(background, "/v1/visits", nil, contract.VisitsRequest{Actor: "n1", Date: "2026-11-21", Persons: p[1:2]}, &planned)
	must(t, err)
	if planned.Visits != 1 || planned.Version != 4 {
		t.Errorf("planned: %+v", planned)
	}
	lines := d.snapshot("")
	rest := strings.ReplaceAll(types(lines[4:]), "scope.add unit mark", "scope.add mark")
	if types(lines[:4]) != "begin scope.add unit mark" || rest != "scope.add mark scope.add mark end" {
		t.Fatal(types(lines))
	}
	if lines[0].Persons != 3 || lines[0].Position != 2 || lines[1].Person != p[1] || lines[1].Card.Visit != 1 || lines[1].Card.Name == "" ||
		string(lines[2].Unit.Heads[0].Value) != `{"score":3}` {
		t.Errorf("%+v", lines[:4])
	}
	end := lines[len(lines)-1]
	// S15: what is committed after the beginning comes from the end cursor.
	d.push(d.entry(p[2], model.ActRegister, score("score/vision", 1)))
	var page contract.PullResponse
	d.ok(http.StatusOK, "GET", "/v1/sync/pull?cursor="+end.Cursor, d.auth(), nil, &page)
	if len(page.Items) != 1 || page.Items[0].Person != p[2] || page.Items[0].Unit == nil {
		t.Errorf("after the end: %+v", page.Items)
	}
	after := d.snapshot("?after=" + lines[3].After)
	if after[0].Type != contract.LineBegin || after[0].Persons != 2 || after[1].Person == p[1] || after[len(after)-1].Cursor != end.Cursor {
		t.Errorf("after the first mark: %+v", after)
	}
	one := d.snapshot("?person=" + p[0].String())
	if types(one) != "begin scope.add unit end" || one[3].Cursor != "" || one[1].Person != p[0] {
		t.Errorf("one person: %s", types(one))
	}

	for query, code := range map[string]string{
		"?person=" + p[3].String(): "not-found",
		"?person=x":                "invalid-query",
		"?person=" + p[0].String() + "&after=" + lines[3].After: "invalid-query",
		"?after=" + end.Cursor: "invalid-cursor",
		"?limit=3":             "invalid-query",
	} {
		h.refused(code, d.request("GET", "/v1/sync/snapshot"+query, d.auth(), nil))
	}
	_, err = h.engine.Revoke(background, testvik, d.id, "lost")
	must(t, err)
	h.refused("device-revoked", d.request("GET", "/v1/sync/snapshot", d.auth(), nil))
	h.refused("device-revoked", d.request("GET", "/v1/sync/events", d.auth(), nil))
	if n := len(h.srv.loads.held) + len(h.srv.streams.held); n != 0 {
		t.Errorf("%d places are not given back", n)
	}
}

// A snapshot is encoded as it comes.
func TestSnapshotEncoded(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", h.people[testvik]...)
	req := d.request("GET", "/v1/sync/snapshot", d.auth(), nil)
	req.Header.Set("Accept-Encoding", "gzip")
	res, body := h.do(req)
	r, err := gzip.NewReader(bytes.NewReader(body))
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	lines := linesOf(t, plain)
	if res.Header.Get("Content-Encoding") != "gzip" || len(lines) != 10 || lines[9].Type != contract.LineEnd {
		t.Errorf("%q: %s", res.Header, types(lines))
	}
}

// Only so many snapshots and streams are open at a time; who is sent away is told when to come back.
func TestPlacesForStreams(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.Streams, o.Limits.Loads = 1, 1 })
	d := h.tablet(testvik, "n1", nurse)
	s := d.events()
	s.want("pull")
	other := h.tablet(testvik, "n2", nurse)
	req := other.request("GET", "/v1/sync/events", other.auth(), nil)
	res, _ := h.do(req)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", res.StatusCode)
	}
	over, leave, f := h.srv.loads.enter(d.id)
	if f != nil {
		t.Fatal(f)
	}
	h.refused("overloaded", other.request("GET", "/v1/sync/snapshot", other.auth(), nil))
	// The device itself takes its place over.
	d.snapshot("")
	if over.Err() == nil {
		t.Error("the older stream goes on")
	}
	leave()
	_, leave, f = h.srv.loads.enter(d.id)
	if f != nil {
		t.Fatal(f)
	}
	leave()
	leave() // once is enough
	other.snapshot("")
}

// A stream whose place was taken is cut off, also while nobody reads it.
func TestStreamOfATakenPlace(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		s := quiet(t, h)
		defer s.endBase()
		for _, reading := range []bool{true, false} {
			server, client := net.Pipe()
			over, leave, _ := s.loads.enter(model.DeviceID{1})
			b := &stream{
				s: s, ex: &exchange{start: s.o.Now()}, conn: server, over: over, close: leave,
				next: func() ([]byte, error) {
					time.Sleep(time.Millisecond)
					return []byte("0123456789"), nil
				},
			}
			done := make(chan error)
			go func() {
				_, err := io.Copy(struct{ io.Writer }{server}, struct{ io.Reader }{b})
				must(t, b.Close())
				must(t, server.Close())
				done <- err
			}()
			if reading {
				go func() { _, _ = io.Copy(io.Discard, client) }()
			}
			time.Sleep(time.Second + time.Microsecond)
			began := time.Now()
			_, next, _ := s.loads.enter(model.DeviceID{1})
			if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errReplaced) || time.Since(began) > time.Millisecond {
				t.Errorf("ended with %v after %v", err, time.Since(began))
			}
			if len(s.loads.held) != 1 {
				t.Error("the newer one lost its place")
			}
			next()
		}
	})
}

// open is an event stream that a test reads.
type open struct {
	t    testing.TB
	body io.ReadCloser
	in   *bufio.Scanner
}

func (d *device) events() *open {
	d.h.t.Helper()
	res, err := d.h.http.Do(d.request("GET", "/v1/sync/events", d.auth(), nil))
	must(d.h.t, err)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != eventMIME {
		d.h.t.Fatalf("status %d, %q", res.StatusCode, res.Header)
	}
	d.h.t.Cleanup(func() { must(d.h.t, res.Body.Close()) })
	return &open{d.h.t, res.Body, bufio.NewScanner(res.Body)}
}

// want reads the next event; "" is the end.
func (o *open) want(name string) {
	o.t.Helper()
	var lines []string
	for o.in.Scan() && o.in.Text() != "" {
		if !strings.HasPrefix(o.in.Text(), "retry: ") {
			lines = append(lines, o.in.Text())
		}
	}
	want := []string{"event: " + name, "data:"}
	if name == "" {
		want = nil
	}
	if !slices.Equal(lines, want) {
		o.t.Errorf("event %q, want %q", lines, want)
	}
}

// C13: a poke for each piece of news about one's own caseload, no word more, and an end for every reason.
func TestEvents(t *testing.T) {
	h := newHouse(t)
	p := h.people[testvik]
	n1, n2, n3 := h.tablet(testvik, "n1", nurse), h.tablet(testvik, "n2", nurse), h.tablet(testvik, "n3", nurse)
	h.assign(testvik, "n1", p[0])
	h.assign(testvik, "n2", p[0])
	s := n1.events()
	s.want("pull")
	n2.push(n2.entry(p[0], model.ActRegister, score("score/vision", 2)))
	s.want("pull")
	h.assign(testvik, "n1", p[1])
	s.want("pull")
	h.assign(testvik, "n2", p[1])
	n2.push(n2.entry(p[1], model.ActRegister, score("score/vision", 2)))
	s.want("pull")
	h.plan("n1", p[1])
	s.want("pull")

	newer := n1.events()
	s.want("bye")
	s.want("")
	newer.want("pull")
	_, err := h.engine.Revoke(background, testvik, n1.id, "lost")
	must(t, err)
	newer.want("wipe")
	newer.want("")

	last := n3.events()
	last.want("pull")
	must(t, h.srv.Shutdown(t.Context()))
	last.want("bye")
	last.want("")
}

// quiet makes a server in a bubble of its own time, which serves no connection.
func quiet(t *testing.T, h *house) *Server {
	t.Helper()
	o := h.opts
	began := time.Now()
	o.Now = func() time.Time { return noon.Add(time.Since(began)) }
	s, err := New(o)
	must(t, err)
	return s
}

// What a stream says when nothing happens: a heartbeat, and bye when the lease is over or the
// stream is old.
func TestEventsOfTime(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	synctest.Test(t, func(t *testing.T) {
		s := quiet(t, h)
		defer s.endBase()
		stream := func(lease, old time.Duration) (beats int, last string, took time.Duration) {
			began := time.Now()
			sub, err := h.engine.Subscribe(background, testvik, d.id, "n1", "", true)
			must(t, err)
			defer sub.Close()
			p := &pokes{s: s, sub: sub, lease: model.MillisOf(s.o.Now().Add(lease)), old: s.o.Now().Add(old)}
			for {
				b, err := p.next()
				if errors.Is(err, io.EOF) {
					return beats, last, time.Since(began)
				}
				must(t, err)
				if last = string(b); strings.HasPrefix(last, ":") {
					beats++
				}
			}
		}
		for _, c := range []struct{ lease, old time.Duration }{{90 * time.Second, time.Hour}, {time.Hour, 90 * time.Second}} {
			beats, last, took := stream(c.lease, c.old)
			var ms int
			if _, err := fmt.Sscanf(last, "retry: %d\nevent: bye\ndata:\n\n", &ms); err != nil || ms < 1000 || ms > 21000 {
				t.Errorf("last words %q", last)
			}
			if beats != 4 || took != 90*time.Second {
				t.Errorf("%d heartbeats in %v", beats, took)
			}
		}
	})
}

// A caseload that time alone changes is told of when its time has come.
func TestEventsOfACaseloadThatBegins(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	from := model.MillisOf(noon.Add(50 * time.Second))
	_, err := h.engine.Assign(background, testvik, sync.Assign{Actor: "n1", Persons: h.people[testvik][:1], From: from, By: "test"})
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		s := quiet(t, h)
		defer s.endBase()
		sub, err := h.engine.Subscribe(background, testvik, d.id, "n1", "", true)
		must(t, err)
		defer sub.Close()
		began := time.Now()
		p := &pokes{s: s, sub: sub, lease: model.MillisOf(noon.Add(time.Hour)), old: noon.Add(time.Hour), begun: true}
		for range 3 {
			b, err := p.next()
			must(t, err)
			if string(b) != event(contract.EventPull) {
				continue
			}
			if at := time.Since(began); at != 50*time.Second {
				t.Errorf("poked after %v", at)
			}
			return
		}
		t.Error("not poked")
	})
}

// A reader may be slow for as long as it likes, piece by piece, but not silent: a piece that
// is not taken within the write limit ends the stream, and all that it held is given back.
func TestStreamOfASlowReader(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		s := quiet(t, h)
		defer s.endBase()
		server, client := net.Pipe()
		closed := false
		b := &stream{
			s: s, ex: &exchange{start: s.o.Now()}, conn: server, close: func() { closed = true },
			next: func() ([]byte, error) { return []byte("0123456789"), nil },
		}
		must(t, server.SetWriteDeadline(time.Now().Add(s.o.Limits.Write))) // as the framework does
		done := make(chan error)
		go func() {
			// The framework's copy loop, in one word.
			_, err := io.CopyBuffer(struct{ io.Writer }{server}, struct{ io.Reader }{b}, make([]byte, 4))
			must(t, b.Close())
			must(t, b.Close())
			done <- err
		}()
		for range 100 {
			time.Sleep(59 * time.Second)
			_, err := io.ReadFull(client, make([]byte, 4))
			must(t, err)
		}
		began := time.Now()
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took != time.Minute || !closed {
			t.Errorf("ended after %v, closed: %v", took, closed)
		}
	})
}

// A piece that panics cuts the stream off and nothing else.
func TestStreamThatPanics(t *testing.T) {
	h := newHouse(t)
	b := &stream{s: h.srv, ex: &exchange{id: "abc", start: h.now()}, close: func() {}, next: func() ([]byte, error) { panic("secret") }}
	if _, err := io.ReadAll(b); !errors.Is(err, errPanic) {
		t.Errorf("got %v", err)
	}
	must(t, b.Close())
	if log := h.log.String(); !strings.Contains(log, "stream failed") || strings.Contains(log, "secret") {
		t.Error(log)
	}
}

// A snapshot that takes longer than the limit is cut off, and says so in the log alone.
func TestSnapshotTakesTooLong(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", h.people[testvik]...)
	snap, err := h.engine.Snapshot(background, sync.SnapshotRequest{Tenant: testvik, Device: d.id, Actor: "n1"})
	must(t, err)
	l := &lines{s: h.srv, tenant: testvik, snap: snap, ends: h.now().Add(h.srv.o.Limits.Load)}
	l.enc = plainEncoder{&l.out}
	if b, err := l.next(); err != nil || !bytes.HasPrefix(b, []byte(`{"`)) {
		t.Fatalf("%q, %v", b, err)
	}
	h.advance(h.srv.o.Limits.Load + time.Second)
	if _, err := l.next(); !errors.Is(err, errTooLong) {
		t.Errorf("got %v", err)
	}
	// The session may be over sooner.
	limit := h.now().Add(h.srv.o.Limits.Load)
	for _, c := range []struct {
		lease time.Duration
		want  time.Time
	}{{time.Minute, h.now().Add(time.Minute)}, {24 * time.Hour, limit}, {h.srv.o.Limits.Load, limit}} {
		if got := h.srv.loadEnds(h.now(), model.MillisOf(h.now().Add(c.lease))); !got.Equal(c.want) {
			t.Errorf("a session of %v: the stream ends at %v, want %v", c.lease, got, c.want)
		}
	}
}

type plainEncoder struct{ io.Writer }

func (plainEncoder) Flush() error { return nil }
func (plainEncoder) Close() error { return nil }

func TestDigestRoute(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	p := h.people[testvik]
	h.assign(testvik, "n1", p[:2]...)
	lines := d.snapshot("")
	cursor := lines[len(lines)-1].Cursor
	in := contract.DigestRequest{Cursor: cursor, Persons: []contract.PersonDigest{
		{Person: p[0], Digest: model.NewPersonDigest().Sum()}, {Person: p[2], Digest: "other"},
	}}
	var out contract.DigestResponse
	d.ok(http.StatusOK, "POST", pathDigest, d.auth(), in, &out)
	if len(out.Differ)+len(out.Behind) != 0 || !slices.Equal(out.Missing, p[1:2]) || !slices.Equal(out.Extra, p[2:3]) {
		t.Errorf("%+v", out)
	}
	in.Persons = append(in.Persons, in.Persons[0])
	if f := h.refused("invalid-member", d.request("POST", pathDigest, d.auth(), in)); f.Pointer != "/persons" {
		t.Errorf("pointer %q", f.Pointer)
	}
	in.Persons = []contract.PersonDigest{{Person: p[0], Digest: strings.Repeat("x", 101)}}
	if f := h.refused("invalid-member", d.request("POST", pathDigest, d.auth(), in)); f.Pointer != "/persons/0/digest" {
		t.Errorf("pointer %q", f.Pointer)
	}
	in.Persons = make([]contract.PersonDigest, 1001)
	h.refused("invalid-member", d.request("POST", pathDigest, d.auth(), in))
	in.Persons, in.Cursor = nil, "x"
	h.refused("invalid-member", d.request("POST", pathDigest, d.auth(), map[string]any{"cursor": "x", "persons": nil}))
	h.refused("invalid-cursor", d.request("POST", pathDigest, d.auth(), map[string]any{"cursor": "x", "persons": []any{}}))
	_, err := h.engine.Revoke(background, testvik, d.id, "lost")
	must(t, err)
	h.refused("device-revoked", d.request("POST", pathDigest, d.auth(), map[string]any{"cursor": cursor, "persons": []any{}}))
}

// Giving the place back does not cut off what the framework still has to send.
func TestStreamEndsWhole(t *testing.T) {
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		s := quiet(t, h)
		defer s.endBase()
		server, client := net.Pipe()
		over, leave, _ := s.loads.enter(model.DeviceID{1})
		b := &stream{
			s: s, ex: &exchange{start: s.o.Now()}, conn: server, over: over, close: leave,
			next: func() ([]byte, error) { return []byte("last"), io.EOF },
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "last" {
			t.Fatalf("%q, %v", got, err)
		}
		must(t, b.Close())
		synctest.Wait()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		if _, err := server.Write([]byte("\r\n")); err != nil {
			t.Error(err)
		}
		must(t, server.Close())
		must(t, client.Close())
	})
}
