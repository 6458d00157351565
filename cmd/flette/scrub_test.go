package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"flette/store"
)

// TestDiskProblems: each way a disk says no has a code, a sentence and an exit code.
func TestDiskProblems(t *testing.T) {
	path := func(errno syscall.Errno) error { return &fs.PathError{Op: "open", Path: "/srv/x", Err: errno} }
	for _, c := range []struct {
		err  error
		code string
		exit int
		says string
	}{
		{fmt.Errorf("%w: %w", store.ErrFull, path(syscall.ENOSPC)), "store-full", exitFailure, "no space left"},
		{path(syscall.ENOSPC), "store-full", exitFailure, "no space left"},
		{fmt.Errorf("%w: %w", store.ErrNotWritable, path(syscall.EROFS)), "store-not-writable", exitFailure, "takes no writes"},
		{path(syscall.EROFS), "not-permitted", exitFailure, "/srv/x"},
		{path(syscall.EACCES), "not-permitted", exitFailure, "/srv/x"},
		{fmt.Errorf("%w: file /srv/x: %w", store.ErrStopped, syscall.ENOSPC), "store-stopped", exitDisk, "/srv/x"},
		{errors.Join(fmt.Errorf("%w: file /srv/x", store.ErrStopped), store.ErrClosed), "store-stopped", exitDisk, "/srv/x"},
	} {
		var stderr bytes.Buffer
		exit := (&output{&stderr, &stderr}).fail(c.err)
		if p := problemOf(c.err); p.Code != c.code || exit != c.exit || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%v: %s, exit %d, %s", c.err, p.Code, exit, stderr.String())
		}
	}
}

// TestScrubKeepsWhatItFound: a tenant is not ready from the scrub that finds damage until one
// that finds none.
func TestScrubKeepsWhatItFound(t *testing.T) {
	a, err := openApp(appOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.createTenant(t.Context(), store.Tenant{ID: "testvik", Name: "Testvik", Kommune: "9999"}, false); err != nil {
		t.Fatal(err)
	}
	a.damage.Store(store.Tenant{ID: "testvik"}.ID, store.ErrCorrupt)
	if checks := a.ready(t.Context()); !errors.Is(checks["store"], store.ErrCorrupt) || checks["writes"] != nil {
		t.Errorf("damaged: %v", checks)
	}
	a.scrub(t.Context())
	if checks := a.ready(t.Context()); checks["store"] != nil {
		t.Errorf("scrubbed: %v", checks)
	}
}
