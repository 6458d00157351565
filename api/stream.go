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

	next  func() ([]byte, error) // io.EOF at the end; another error cuts the answer off
	close func()                 // called once, whatever the end

	rest   []byte
	bytes  int64
	err    error
	timer  *time.Timer
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
		b.timer = time.AfterFunc(b.s.o.Limits.Write, func() { _ = b.conn.SetWriteDeadline(longAgo) })
	default:
		b.timer.Reset(b.s.o.Limits.Write)
	}
}

var errPanic = errors.New("api: panic while streaming")

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
		out, err = b.next()
	}
	return out, err
}

// Close is called by the framework when the answer is over, whole or not.
func (b *stream) Close() error {
	b.closed.Do(func() {
		b.close()
		end := "whole"
		switch {
		case b.err == nil:
			end = "reader gone"
		case !errors.Is(b.err, io.EOF):
			end = reasonOf(b.err)
		}
		b.s.o.Log.Info("stream", "request", b.ex.id, "route", b.ex.route, "bytes", b.bytes,
			slog.Duration("took", b.s.o.Now().Sub(b.ex.start)), "end", end)
	})
	return nil
}

// work is the context for one piece.
func (s *Server) work() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.base, s.o.Limits.Request)
}

// places are slots for streams that are open at a time.
type places struct {
	slots chan struct{}
}

func newPlaces(n int) places { return places{make(chan struct{}, n)} }

// enter takes a place and returns what gives it back, or fails with overloaded.
func (p places) enter() (leave func(), f *failure) {
	select {
	case p.slots <- struct{}{}:
		return gosync.OnceFunc(func() { <-p.slots }), nil
	default:
		return nil, fail("overloaded", "")
	}
}
