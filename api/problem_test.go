package api

import (
	"fmt"
	"net/http"
	"testing"

	"flette/store"
)

// TestStoreErrors: what a disk does is told as something to try again, never as a fault of
// the server or a success.
func TestStoreErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{
		{store.ErrFull, "store-full", http.StatusInsufficientStorage},
		{store.ErrNotWritable, "not-ready", http.StatusServiceUnavailable},
		{store.ErrStopped, "not-ready", http.StatusServiceUnavailable},
		{store.ErrClosed, "not-ready", http.StatusServiceUnavailable},
	} {
		f := failureOf(fmt.Errorf("update: %w: the cause", c.err))
		if f.Code != c.code || f.Status != c.status || f.cause == nil {
			t.Errorf("%v: %s, %d", c.err, f.Code, f.Status)
		}
	}
}

// A code that stands for several things says which of them it was.
func TestErrorDetails(t *testing.T) {
	for err, want := range errorDetails {
		f := failureOf(fmt.Errorf("wiped: %w", err))
		if f.Code == "internal" || f.Detail != want || f.Pointer == "" {
			t.Errorf("%v: %s at %q: %q", err, f.Code, f.Pointer, f.Detail)
		}
	}
}
