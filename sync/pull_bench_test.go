package sync_test

import (
	"testing"

	"flette/sync"
)

// BenchmarkPullNothingNew is the pull of a tablet that has everything: what most pulls are.
func BenchmarkPullNothingNew(b *testing.B) {
	w := newWorld(b, 20)
	a := w.nurse("anne")
	for _, p := range w.persons {
		a.push(a.score(p, memory, 2))
	}
	a.pull(500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.e.Pull(b.Context(), sync.PullRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor, Cursor: a.cursor}); err != nil {
			b.Fatal(err)
		}
	}
}
