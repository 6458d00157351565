package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

const getLive = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"

// dial opens a connection that ends with the test.
func (h *house) dial() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	must(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	must(h.t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	return conn
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	must(t, err)
}

// answered reads one answer and gives its status.
func answered(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	must(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	must(t, err)
	must(t, res.Body.Close())
	return res.StatusCode
}

// ended says that the server ended the connection, whatever it said before. A connection that
// the server leaves open ends in the deadline of dial.
func ended(conn net.Conn) bool {
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func (h *house) listener() *limitListener {
	h.srv.mu.Lock()
	defer h.srv.mu.Unlock()
	return h.srv.ln.(*limitListener)
}

// H14: one connection too many takes the place of one that asks nothing.
func TestConnectionLimit(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.Conns = 1 })
	first, second := h.dial(), h.dial()
	say(t, second, getLive)
	if answered(t, bufio.NewReader(second)) != http.StatusOK || !ended(first) {
		t.Error("a silent connection kept another out")
	}
	third := h.dial()
	say(t, third, getLive)
	if answered(t, bufio.NewReader(third)) != http.StatusOK || !ended(second) {
		t.Error("an idle connection kept another out")
	}
}

// H14: a request that is being answered never makes room. Once it is, its connection does.
func TestConnectionsAtWorkStay(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(o *Options) {
		o.Limits.Conns = 1
		o.Weekly = func(store.View, string, *model.PersonID) ([]contract.TimeRow, error) {
			close(began)
			<-release
			return nil, nil
		}
	})
	token := h.token(testvik, "kari", supervisor)
	first := h.dial()
	say(t, first, "GET /v1/reports/time?week=2026-W40 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	<-began
	second := h.dial()
	say(t, second, getLive)
	close(release)
	if status := answered(t, bufio.NewReader(first)); status != http.StatusOK {
		t.Errorf("the one at work: %d", status)
	}
	if answered(t, bufio.NewReader(second)) != http.StatusOK || !ended(first) {
		t.Error("the second had no turn after the first was answered")
	}
}

// H14: a crowd that opens connections and asks nothing, or asks very slowly, keeps nobody out.
func TestCrowdsOfIdleAndSlowConnections(t *testing.T) {
	const conns, crowd = 16, 200
	for name, opening := range map[string]string{
		"idle":        "",
		"after one":   getLive,
		"slow header": "POST /v1/devices HTTP/1.1\r\nHost: a\r\nX-",
		"slow body":   "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(o *Options) { o.Limits.Conns = conns })
			for i := range crowd {
				c := h.dial()
				say(t, c, opening)
				if opening == getLive && answered(t, bufio.NewReader(c)) != http.StatusOK {
					t.Fatal("not answered")
				}
				if i%10 == 0 {
					h.want(http.StatusOK, h.request("GET", "/readyz", "", nil), nil)
				}
			}
			useful := h.dial()
			say(t, useful, getLive)
			if answered(t, bufio.NewReader(useful)) != http.StatusOK {
				t.Error("not answered beside the crowd")
			}
			if n := len(h.listener().slots); n > conns {
				t.Errorf("%d connections, the limit is %d", n, conns)
			}
		})
	}
}

// Whoever says nothing, or sends slowly, or does not read, is given up in the time for it.
func TestSlowConnectionsAreGivenUp(t *testing.T) {
	h := newHouse(t, func(o *Options) {
		o.Limits.Read, o.Limits.Idle, o.Limits.Write = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	})
	for name, opening := range map[string]string{
		"silent": "", "slow header": "GET /livez HTTP/1.1\r\nHo", "idle after an answer": getLive,
		"slow body": "POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
	} {
		c := h.dial()
		say(t, c, opening)
		if !ended(c) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	// One that asks for much and reads nothing: what it asks for does not fit into any socket.
	deaf := h.dial()
	for range 2000 {
		if _, err := io.WriteString(deaf, "GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			break // the server has given up already
		}
	}
	h.http.CloseIdleConnections()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(h.listener().slots) > 0 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%d connections stay open", len(h.listener().slots))
		}
	}
	h.want(http.StatusOK, h.request("GET", "/livez", "", nil), nil)
}

// H14: what is received and not answered stays within its bound, whoever sends it; those who
// take longest lose it, and a tablet that sends at once is served.
func TestUnfinishedRequestsAreBounded(t *testing.T) {
	const bound = 256 << 10
	h := newHouse(t, func(o *Options) { o.Limits.Unread = bound })
	d := h.tablet(testvik, "sara", nurse)
	h.assign(testvik, "sara", h.people[testvik][0])
	half := strings.Repeat(" ", 30_000)
	var crowd []net.Conn
	for i := range 40 {
		c := h.dial()
		crowd = append(crowd, c)
		say(t, c, fmt.Sprintf("POST /v1/devices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", 2*len(half), half))
		if i%4 == 0 {
			d.push(d.entry(h.people[testvik][0], "register", score("score/vision", 1+i%5)))
		}
	}
	l := h.listener()
	l.mu.Lock()
	held := l.bytes
	l.mu.Unlock()
	if held > bound {
		t.Errorf("%d bytes are held, the bound is %d", held, bound)
	}
	if !ended(crowd[0]) {
		t.Error("the slowest is still heard")
	}
	last := crowd[len(crowd)-1]
	say(t, last, half)
	if status := answered(t, bufio.NewReader(last)); status != http.StatusBadRequest {
		t.Errorf("the newest went on and got %d", status)
	}
	if got := d.push(d.entry(h.people[testvik][0], "register", score("score/vision", 2))); got.Results[0].Position == nil {
		t.Errorf("%+v", got.Results[0])
	}
}

// A municipality behind one address: 300 tablets enrol, log in, push and pull, and none is told
// to wait. All tablets of a house come from 127.0.0.1.
func TestOneAddressForThreeHundredTablets(t *testing.T) {
	h := newHouse(t)
	person := h.people[testvik][0]
	for i := range 300 {
		actor := fmt.Sprint("nurse-", i)
		d := h.tablet(testvik, actor, nurse) // fails the test on any answer but success
		h.assign(testvik, actor, person)
		d.push(d.entry(person, "register", score("score/vision", 1+i%5)))
		d.ok(http.StatusOK, "GET", "/v1/sync/pull", d.auth(), nil, nil)
	}
	for name, l := range h.srv.Loads() {
		if l.TurnedAway != 0 || l.Admitted < 300 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
