package api

import (
	"context"
	"testing"
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
