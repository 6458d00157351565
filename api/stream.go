package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	gosync "sync"
	"time"

	"flette/model"
)

// stream is an answer that is made while it is sent. The connection's own goroutine asks for
// the next piece when the one before is on its way, so a slow reader holds one piece and no
// more. A piece that is not taken within the write limit ends the connection: the deadline
// counts per piece, because a stream may be longer than any answer.
//
// It is for one answer of a connection, which is closed after it: so the timer needs no end.
type stream struct {
	s    *Server
	ex   *exchange
	conn net.Conn // nil in tests

	over  context.Context        // nil, or cuts the answer off when it ends
	next  func() ([]byte, error) // io.EOF at the end; another error cuts the answer off
	close func()                 // called once, whatever the end

	rest   []byte
	bytes  int64
	err    error
	timer  *time.Timer
	stop   func() bool // of the watch over `over`
	closed gosync.Once
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// Read gives what is left of a piece, or makes the next.
func (b *stream) Read(p []byte) (n int, err error) {
	if b.timer != nil {
		b.timer.Stop()
	}
	if len(b.rest) == 0 && b.err == nil {
		b.rest, b.err = b.piece()
	}
	b.arm()
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n = copy(p, b.rest)
	b.rest = b.rest[n:]
	b.bytes += int64(n)
	return n, nil
}

// arm gives the reader time to take what Read returns.
func (b *stream) arm() {
	switch {
	case b.conn == nil:
	case b.timer == nil:
		_ = b.conn.SetWriteDeadline(time.Time{}) // the one for the whole answer; when it fails, so will the write
		hangUp := func() { _ = b.conn.SetWriteDeadline(longAgo) }
		b.timer = time.AfterFunc(b.s.o.Limits.Write, hangUp)
		if b.over != nil {
			b.stop = context.AfterFunc(b.over, hangUp)
		}
	default:
		b.timer.Reset(b.s.o.Limits.Write)
	}
}

// Why a stream is cut off.
var (
	errReplaced = errors.New("api: the device has opened a newer stream")
	errPanic    = errors.New("api: panic while streaming")
)

func (b *stream) piece() (out []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			what := "panic"
			if e, ok := v.(runtime.Error); ok {
				what = e.Error()
			}
			b.s.o.Log.Error("stream failed", "request", b.ex.id, "route", b.ex.route, "what", what, "stack", string(debug.Stack()))
			out, err = nil, errPanic
		}
	}()
	for len(out) == 0 && err == nil {
		if b.over != nil && b.over.Err() != nil {
			return nil, errReplaced
		}
		out, err = b.next()
	}
	return out, err
}

// Close is called by the framework when the answer is over, whole or not.
func (b *stream) Close() error {
	b.closed.Do(func() {
		if b.stop != nil {
			b.stop() // giving the place back ends the context too, and the last bytes are still to be sent
		}
		b.close()
		end := "whole"
		switch {
		case b.err == nil:
			end = "reader gone"
		case !errors.Is(b.err, io.EOF):
			end = reasonOf(b.err)
		}
		b.s.o.Log.LogAttrs(context.Background(), slog.LevelInfo, "stream", slog.String("request", b.ex.id),
			slog.String("route", b.ex.route), slog.Int64("bytes", b.bytes),
			slog.Duration("took", b.s.o.Now().Sub(b.ex.start)), slog.String("end", end))
	})
	return nil
}

// work is the context for one piece.
func (s *Server) work() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.base, s.o.Limits.Request)
}

// places are streams that are open at a time, one a device: a tablet that comes back over
// another network takes over its own place, and the stream that had it is over.
type places struct {
	mu   gosync.Mutex
	max  int
	held map[model.DeviceID]*place
}

type place struct{ end context.CancelFunc }

func newPlaces(n int) *places { return &places{max: n, held: map[model.DeviceID]*place{}} }

// enter takes a place and returns what gives it back, or fails with overloaded. The context
// ends when the device takes another one.
func (p *places) enter(d model.DeviceID) (ctx context.Context, leave func(), f *failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.held[d]
	if old == nil && len(p.held) >= p.max {
		return nil, nil, fail("overloaded", "")
	}
	if old != nil {
		old.end()
	}
	ctx, end := context.WithCancel(context.Background())
	own := &place{end}
	p.held[d] = own
	return ctx, func() {
		end()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.held[d] == own {
			delete(p.held, d)
		}
	}, nil
}
