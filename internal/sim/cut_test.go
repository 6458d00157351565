package sim

import (
	"errors"
	"fmt"
	"io"
	"net"
	gosync "sync"
)

// proxy stands between clients and the server and breaks the connection once, after so many
// bytes in one direction; counted over all connections.
type proxy struct {
	ln     net.Listener
	target string
	after  int64 // bytes until the cut; negative for none
	down   bool  // the cut is in what the server sends
	reset  bool  // end with a reset instead of a proper close

	mu    gosync.Mutex
	moved [2]int64 // bytes so far: up, down
	cut   bool
	wg    gosync.WaitGroup
}

func newProxy(target string, at cutPoint) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{ln: ln, target: target, after: at.after, down: at.down, reset: at.after%2 == 1}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) url() string { return "http://" + p.ln.Addr().String() }

func (p *proxy) close() error {
	err := p.ln.Close()
	p.wg.Wait()
	return err
}

func (p *proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			return
		}
		// Either direction ends both: nobody here closes half of a connection.
		end := gosync.OnceFunc(func() { p.end(client); p.end(server) })
		p.wg.Go(func() { p.pump(server, client, 0, end) })
		p.wg.Go(func() { p.pump(client, server, 1, end) })
	}
}

func (p *proxy) end(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok && p.reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// pump moves bytes until an end, or until the cut.
func (p *proxy) pump(to, from net.Conn, way int, end func()) {
	defer end()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		pass, broken := p.pass(way, int64(n))
		if pass > 0 {
			if _, werr := to.Write(buf[:pass]); werr != nil {
				return
			}
		}
		if broken || err != nil {
			return
		}
	}
}

// pass says how many of n bytes go through, and whether the connection breaks then.
func (p *proxy) pass(way int, n int64) (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := p.down == (way == 1)
	if mine && !p.cut && p.after >= 0 && p.moved[way]+n >= p.after {
		n = p.after - p.moved[way]
		p.moved[way] += n
		p.cut = true
		return n, true
	}
	p.moved[way] += n
	return n, false
}

func (p *proxy) count() (up, down int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved[0], p.moved[1]
}

func (p *proxy) wasCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

var errNever = errors.New("the exchange never succeeds")

// insist repeats a step until it succeeds: what a person does who presses the button again.
func insist(name string, step func() error) error {
	var err error
	for range 6 {
		if err = step(); err == nil {
			return nil
		}
		if !errors.As(err, new(net.Error)) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !retryable(err) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fmt.Errorf("%s: %w: %w", name, errNever, err)
}
