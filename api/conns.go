package api

import (
	"container/list"
	"io"
	"net"
	gosync "sync"
	"sync/atomic"
	"time"
)

// Connections cost memory before anybody is authenticated, so two things are bounded here:
// their number, and the bytes of requests that were read and not yet answered.
//
//	H14 When there are too many, the connection that has kept us waiting longest for a whole request makes room. One
//	    whose request is being answered never does, so a crowd of idle or slow connections keeps nobody out.
type connLimits struct {
	conns int           // open at a time
	bytes int64         // of requests that are not answered
	first time.Duration // until the first byte
}

// limitConns puts the limits on a listener.
func limitConns(ln net.Listener, limits connLimits) net.Listener {
	return &limitListener{Listener: ln, limits: limits, slots: make(chan struct{}, limits.conns), closed: make(chan struct{})}
}

type limitListener struct {
	net.Listener
	limits connLimits
	slots  chan struct{}
	closed chan struct{}
	once   gosync.Once

	mu      gosync.Mutex
	waiting list.List // of *limitedConn without a whole request, since their last answer; the longest first
	bytes   int64     // of requests that are not answered
	pressed bool      // somebody waits for a slot
}

// Accept takes a connection and then looks for its slot.
func (l *limitListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	default:
		l.press(true)
		select {
		case l.slots <- struct{}{}:
			l.press(false)
		case <-l.closed:
			_ = c.Close() // nothing was read from it
			return nil, net.ErrClosed
		}
	}
	own := &limitedConn{Conn: c, l: l}
	own.silence = time.AfterFunc(l.limits.first, func() { _ = c.Close() })
	l.mu.Lock()
	own.place = l.waiting.PushBack(own)
	l.mu.Unlock()
	return own, nil
}

// press lets the connection go that waits longest, or the next that has been answered.
func (l *limitListener) press(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pressed = on
	if front := l.waiting.Front(); on && front != nil {
		l.pressed = false
		l.drop(front.Value.(*limitedConn))
	}
}

// drop ends a connection: its reader sees the end and gives the slot back.
func (l *limitListener) drop(c *limitedConn) {
	l.unlist(c)
	_ = c.Conn.Close() // what it says about a connection that is given up is of no use
}

func (l *limitListener) unlist(c *limitedConn) {
	if c.place != nil {
		l.waiting.Remove(c.place)
		c.place = nil
	}
}

// Close also ends connections on which nothing was ever asked: clients open some in advance,
// and the framework's shutdown would wait for their first request. It may be called again;
// it says nothing then.
func (l *limitListener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for el := l.waiting.Front(); el != nil; {
			c := el.Value.(*limitedConn)
			el = el.Next()
			if !c.spoke {
				l.drop(c)
			}
		}
	})
	return err
}

// limitedConn counts what it read, gives its slot back when it is closed, and can linger.
type limitedConn struct {
	net.Conn
	l       *limitListener
	once    gosync.Once
	silence *time.Timer
	linger  atomic.Bool

	// Guarded by l.mu.
	place    *list.Element // in l.waiting
	spoke    bool
	answered bool  // the last request is answered, and nothing was asked since
	pending  int64 // bytes read since
}

// Read notes who waits, for how long, with how much.
func (c *limitedConn) Read(b []byte) (int, error) {
	if c.rest() {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard(int64(n))
	}
	return n, err
}

// rest begins the wait for the next request. It is true when somebody else needs the slot.
func (c *limitedConn) rest() bool {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.answered {
		return false
	}
	if l.pressed {
		l.pressed = false
		return true
	}
	c.answered = false
	if c.place == nil {
		c.place = l.waiting.PushBack(c)
	}
	return false
}

func (c *limitedConn) heard(n int64) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.spoke {
		c.spoke = true
		c.silence.Stop()
	}
	if c.pending == 0 && c.place != nil {
		l.waiting.MoveToBack(c.place) // from here on it is a request that takes its time
	}
	c.pending += n
	l.bytes += n
	for el := l.waiting.Front(); l.bytes > l.limits.bytes && el != nil; {
		slow := el.Value.(*limitedConn)
		el = el.Next()
		if slow.pending > 0 {
			l.bytes -= slow.pending
			slow.pending = 0
			l.drop(slow)
		}
	}
}

// serving says that the request is whole.
func (c *limitedConn) serving() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.unlist(c)
}

// Write notes that what was read is used up.
func (c *limitedConn) Write(b []byte) (int, error) {
	c.forget(true)
	return c.Conn.Write(b)
}

func (c *limitedConn) forget(answered bool) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.bytes -= c.pending
	c.pending, c.answered = 0, answered
}

const (
	lingerFor   = 3 * time.Second
	lingerBytes = 64 << 20
)

// Close closes the connection. After an answer to a body that was not read to its end it
// first reads on for a while: otherwise the system resets the connection, and the client sees
// that instead of the answer, which told it what fits.
func (c *limitedConn) Close() (err error) {
	c.once.Do(func() {
		c.silence.Stop()
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Load() && half.CloseWrite() == nil {
			enough := time.AfterFunc(lingerFor, func() { _ = c.Conn.Close() })
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // whatever ends it, the connection ends
			enough.Stop()
		}
		err = c.Conn.Close()
		c.forget(false)
		c.l.mu.Lock()
		c.l.unlist(c)
		c.l.mu.Unlock()
		<-c.l.slots
	})
	return err
}
