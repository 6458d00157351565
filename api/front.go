package api

import (
	"bytes"
	"io"
	"net"
	gosync "sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// The front check refuses messages that two HTTP readers could read differently (H8): the
// means of request smuggling when a proxy stands before us. It looks at the header lines as
// they came, because the parser (fasthttp v1.65.0) keeps one value of a repeated Host, lets
// Transfer-Encoding overrule Content-Length, joins folded lines and forgives bare line feeds.
//
// What the parser refuses by itself: two Content-Length, other transfer codings than chunked,
// control bytes, names that are no tokens, versions that are no versions. What it hides from
// us: empty lines before the request line (which RFC 9112 section 2.2 allows), and malformed chunk
// extensions. It has read the body when we are asked, so the connection is closed.

// smuggled names what is wrong with the message, "" when nothing is.
func smuggled(h *fasthttp.RequestHeader) string {
	switch string(h.Protocol()) {
	case "HTTP/1.1", "HTTP/1.0":
	default:
		return "the HTTP version is not 1.1 or 1.0"
	}
	if uri := h.RequestURI(); len(uri) == 0 || uri[0] != '/' {
		return "the request target is not an absolute path"
	} else if !printable(uri) || bytes.IndexByte(uri, '#') >= 0 {
		return "the request target holds characters that do not belong there"
	}
	seen := map[string]int{}
	for rest := h.RawHeaders(); ; {
		line, after, more := bytes.Cut(rest, []byte("\n"))
		if !more {
			if len(line) != 0 {
				return "the header does not end in a line break"
			}
			break
		}
		rest = after
		line, crlf := bytes.CutSuffix(line, []byte("\r"))
		if !crlf || bytes.IndexByte(line, '\r') >= 0 {
			return "a header line ends in something else than CR LF"
		}
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return "a header line is folded"
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return "a header name is not a token"
		}
		seen[string(bytes.ToLower(name))]++
	}
	return repeated(seen, string(h.Protocol()) == "HTTP/1.0")
}

// repeated judges the names that must not come twice, or not together.
func repeated(seen map[string]int, old bool) string {
	if seen["host"] == 0 && !old || seen["host"] > 1 {
		return "there must be one Host header"
	}
	for _, name := range []string{"content-length", "transfer-encoding", "content-type", "content-encoding", "expect"} {
		if seen[name] > 1 {
			return "a header that must be single is repeated"
		}
	}
	if seen["transfer-encoding"] > 0 && (seen["content-length"] > 0 || old) {
		return "Content-Length and Transfer-Encoding do not go together"
	}
	return ""
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// limitConns lets n connections be open at a time; the others wait in the kernel's queue.
func limitConns(ln net.Listener, n int) net.Listener {
	return &limitListener{
		Listener: ln, slots: make(chan struct{}, n), closed: make(chan struct{}), silent: map[*limitedConn]struct{}{},
	}
}

type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   gosync.Once

	mu     gosync.Mutex
	silent map[*limitedConn]struct{} // nothing was ever read from them
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	own := &limitedConn{Conn: c, l: l}
	l.mu.Lock()
	l.silent[own] = struct{}{}
	l.mu.Unlock()
	return own, nil
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
		for c := range l.silent {
			_ = c.Conn.Close() // its reader sees the end and gives the slot back
		}
	})
	return err
}

func (l *limitListener) heard(c *limitedConn) {
	l.mu.Lock()
	delete(l.silent, c)
	l.mu.Unlock()
}

// limitedConn gives its slot back when it is closed, and can linger.
type limitedConn struct {
	net.Conn
	l      *limitListener
	once   gosync.Once
	spoke  gosync.Once
	linger atomic.Bool
}

// Read notes that the connection is in use.
func (c *limitedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.spoke.Do(func() { c.l.heard(c) })
	}
	return n, err
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
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Load() && half.CloseWrite() == nil {
			enough := time.AfterFunc(lingerFor, func() { _ = c.Conn.Close() })
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // whatever ends it, the connection ends
			enough.Stop()
		}
		err = c.Conn.Close()
		c.l.heard(c)
		<-c.l.slots
	})
	return err
}
