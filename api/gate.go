package api

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// gate bounds the pushes at work at a time by what they weigh on the wire. A push unfolds to
// many times its compressed size while it is judged, so at a reconnect burst memory follows
// the bytes at work; those who wait hold only what they sent. First come, first served.
type gate struct {
	room *semaphore.Weighted
	size int64
}

func newGate(size int) *gate {
	return &gate{room: semaphore.NewWeighted(int64(size)), size: int64(size)}
}

// enter waits for room and returns what gives it back. It fails with overloaded when the
// request's time is over first.
func (g *gate) enter(ctx context.Context, bytes int) (leave func(), f *failure) {
	n := min(int64(max(bytes, 1)), g.size)
	if g.room.Acquire(ctx, n) != nil {
		return nil, fail("overloaded", "")
	}
	return func() { g.room.Release(n) }, nil
}
