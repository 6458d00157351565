package api

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestGateHoldsBackWhatDoesNotFit(t *testing.T) {
	g := newGate(100)
	leaveA, f := g.enter(t.Context(), 60)
	if f != nil {
		t.Fatal(f)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if _, f := g.enter(late, 60); f == nil || f.Code != "overloaded" {
		t.Fatalf("60 of 100 at work, 60 more entered: %v", f)
	}
	leaveB, f := g.enter(t.Context(), 40)
	if f != nil {
		t.Fatal(f)
	}
	leaveA()
	leaveB()
	// One push larger than the gate gets in alone, or it never would.
	leave, f := g.enter(t.Context(), 5000)
	if f != nil {
		t.Fatal(f)
	}
	leave()
}

// A connection that a client opened in advance and never used does not hold up a shutdown.
func TestShutdownEndsSilentConnections(t *testing.T) {
	h := newHouse(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// A request on another connection proves that the server has accepted both, in order.
	h.want(http.StatusOK, h.request("GET", "/livez", "", nil), nil)
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	if err := h.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}
