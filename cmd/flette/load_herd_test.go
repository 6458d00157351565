package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"flette/api"
	contract "flette/mobile-contract"
)

// TestHerd lets a small herd come at once to a server that takes little at a time: some are
// turned away and come back, nothing is lost, nothing stands twice, and what waits stays
// within its bound.
func TestHerd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const room = 48 << 10
	a.limits = api.Limits{Wire: 32 << 10, AtWork: 24 << 10, Waiting: room, Queue: 20 * time.Millisecond}
	server := &demoServer{listen: "127.0.0.1:0"}
	url, err := server.start(a)
	if err != nil {
		t.Fatal(err)
	}
	target := loadTarget{url: url, at: dataFlags{Data: dir}}
	f, err := newFleet(loadPlan{Tablets: 150, Entries: 4, Changes: 10, Seed: 11}, &target, 64, "zstd")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d", f.plan.Seed)
	f.herd = herdPlan{Login: 30}
	// They come back sooner than they are told, which gains them nothing but is sooner over.
	f.sleep = func(ctx context.Context, d time.Duration) error { return wait(ctx, d/20) }
	r, err := f.runHerd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := r.Herd
	t.Logf("push %+v, pull %+v, login %+v", h.Push, h.Pull, h.Login)
	if r.Audit.Checked != 600 || r.Audit.Missing != 0 || h.Doubled != 0 || h.Journal != 600 || len(h.VerifyProblems) != 0 {
		t.Errorf("audit %+v, herd %+v", r.Audit, h)
	}
	if n := r.Outcomes[contract.OutcomeApplied] + r.Outcomes[contract.OutcomeConflict]; n != 600 {
		t.Errorf("outcomes %v", r.Outcomes)
	}
	if h.Push.Answered != 150 || h.Push.TurnedAway == 0 || h.Push.Failed+h.Pull.Failed+h.Login.Failed != 0 || h.Login.Answered == 0 || h.Pull.Answered < 150 {
		t.Errorf("push %+v, pull %+v, login %+v", h.Push, h.Pull, h.Login)
	}
	loads := server.api.Loads()
	// On a slow machine nobody waits: what would take longer than 20 ms is turned away at once.
	if l := loads["push"]; l.TurnedAway == 0 || l.Waiting != 0 || l.AtWork != 0 || l.MostWaiting > room {
		t.Errorf("push load %+v", l)
	}
	if err := errors.Join(f.close(), server.stop(), a.Close()); err != nil {
		t.Error(err)
	}
}
