package main

import (
	"context"
	"errors"
	"time"

	"flette/model"
	"flette/store"
)

// scrubRate is how many bytes a second the background scrub reads: a municipality's store
// takes seconds, and nobody who works notices.
const scrubRate = 20 << 20

// scrubbing reads every page of every tenant again and again until stop is called. What it
// finds goes into the log, by tenant and place, and makes the server not ready: reads of what
// is damaged fail by themselves, the rest is served on.
func (a *app) scrubbing(ctx context.Context, every time.Duration) (stop func()) {
	if every <= 0 {
		return func() {}
	}
	return a.inBackground(ctx, func(ctx context.Context) {
		for wait(ctx, every) == nil {
			a.scrub(ctx)
		}
	})
}

// scrub reads every tenant once.
func (a *app) scrub(ctx context.Context) {
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return // closing
	}
	for _, id := range ids {
		read := 0
		began := time.Now()
		err := a.store.Scrub(ctx, id, func(n int) error {
			read += n
			due := time.Duration(read) * time.Second / scrubRate
			if ahead := due - time.Since(began); ahead > 50*time.Millisecond {
				return wait(ctx, ahead)
			}
			return nil
		})
		switch {
		case ctx.Err() != nil || errors.Is(err, store.ErrClosed):
			return
		case errors.Is(err, store.ErrCorrupt):
			a.damage.Store(id, err)
			a.log.Error("the store is damaged; stop the server, run flette verify, restore what it names", "tenant", id, "error", err)
		case err != nil:
			a.log.Error("the store could not be scrubbed", "tenant", id, "error", err)
		default:
			a.damage.Delete(id)
			a.log.Info("scrubbed", "tenant", id, "bytes", read)
		}
	}
}

// damaged returns what the last scrub found in a tenant.
func (a *app) damaged(id model.TenantID) error {
	if err, ok := a.damage.Load(id); ok {
		return err.(error)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
