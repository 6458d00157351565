package main

import (
	gosync "sync"
	"time"
)

// storyClock is the clock of a played day: it runs like the real one and jumps when the
// story says so. It never goes back.
type storyClock struct {
	real func() time.Time

	mu    gosync.Mutex
	began time.Time // of the real clock
	at    time.Time // of the story, at began
}

func newStoryClock(at time.Time, real func() time.Time) *storyClock {
	return &storyClock{real: real, began: real(), at: at}
}

// Now is the time of the story.
func (c *storyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *storyClock) now() time.Time { return c.at.Add(c.real().Sub(c.began)) }

// Until jumps to a moment; a moment that is over already changes nothing.
func (c *storyClock) Until(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Before(t) {
		c.at, c.began = t, c.real()
	}
}
