package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	gosync "sync"
	"time"

	"golang.org/x/term"

	"flette/model"
	"flette/store"
)

// progressFlag makes progress visible where nobody looks at a terminal.
type progressFlag struct {
	Progress bool `help:"Say on stderr how far it is every few seconds, also where that is no terminal."`
}

// show draws a bar on a terminal. Elsewhere it is quiet, or with --progress writes lines.
func (f progressFlag) show(ctx context.Context, out *output) (_ context.Context, end func()) {
	if t, ok := out.stderr.(*os.File); !f.Progress || ok && term.IsTerminal(int(t.Fd())) {
		return showProgress(ctx, out.stderr)
	}
	lines := &progressLines{w: out.stderr, now: time.Now, last: time.Now()}
	return context.WithValue(ctx, progressKey{}, progressFunc(lines.tell)), func() {}
}

// lineEvery is the time between two lines of progress.
const lineEvery = 5 * time.Second

type progressLines struct {
	w    io.Writer
	now  func() time.Time
	last time.Time
}

func (p *progressLines) tell(tenant model.TenantID, done, of int64) {
	now := p.now()
	if now.Sub(p.last) < lineEvery {
		return
	}
	p.last = now
	if of > 0 {
		fmt.Fprintf(p.w, "%s: %d of %d (%d %%)\n", tenant, done, of, min(100, 100*done/of))
		return
	}
	fmt.Fprintf(p.w, "%s: %d\n", tenant, done)
}

// ofPersons tells how many persons of a municipality are done.
func (a *app) ofPersons(ctx context.Context, v store.View) func(done int) {
	tell, t := progressOf(ctx), v.Tenant()
	return func(done int) { tell(t.ID, int64(done), max(int64(done), t.NextBrukerNr)) }
}

// Progress of an operation that a server does goes to the command line as informational
// answers (102) before the one that counts.
const progressHeader = "Flette-Progress"

const sendEvery = 200 * time.Millisecond

// sendProgress answers with how far it is, until end.
func sendProgress(ctx context.Context, w http.ResponseWriter) (_ context.Context, end func()) {
	var mu gosync.Mutex
	var last time.Time
	ended := false
	fn := progressFunc(func(tenant model.TenantID, done, of int64) {
		mu.Lock()
		defer mu.Unlock()
		if ended || time.Since(last) < sendEvery {
			return
		}
		last = time.Now()
		w.Header().Set(progressHeader, fmt.Sprintf("%s %d %d", tenant, done, of))
		w.WriteHeader(http.StatusProcessing)
	})
	return context.WithValue(ctx, progressKey{}, fn), func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		w.Header().Del(progressHeader)
	}
}

// receiveProgress passes on what the server says.
func receiveProgress(ctx context.Context) context.Context {
	progress := progressOf(ctx)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		var tenant model.TenantID
		var done, of int64
		if n, err := fmt.Sscan(h.Get(progressHeader), &tenant, &done, &of); n == 3 && err == nil {
			progress(tenant, done, of)
		}
		return nil
	}})
}
