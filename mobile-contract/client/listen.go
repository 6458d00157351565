package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	contract "flette/mobile-contract"
)

// ErrRevoked says that the device is revoked: Push hands in the outbox and obeys the order.
var ErrRevoked = errors.New("client: the device is revoked")

const (
	silence  = 45 * time.Second // twice the server's heartbeat: something holds the bytes back
	pollWait = 25               // seconds
	pollFor  = 10 * time.Minute // before streams are tried again
)

var (
	errSilent = errors.New("client: the event stream is silent")
	errEnded  = errors.New("client: the event stream ended")
)

// Listen tells on of news (contract.EventPull, contract.EventWipe) until ctx is done, the user has to
// log in again or the device is revoked: then the error is ErrRevoked or an *Error. It is for a
// goroutine of its own, holds no lock while it waits, and on runs on it: Pull there. Where
// the server or a proxy gives no stream, it asks for news by long polls, and tries streams
// again from time to time (T15).
func (t *Tablet) Listen(ctx context.Context, on func(event string)) error {
	for failures := 0; ; {
		heard, after, err := t.stream(ctx, on)
		if final, err := t.listenEnds(ctx, on, err); final {
			return err
		}
		var refused *Error
		switch {
		case errors.Is(err, errEnded) && after > 0: // bye
			failures = 0
			err = t.call.sleep(ctx, after)
		case heard && !errors.Is(err, errSilent), failures == 0 && !errors.Is(err, errSilent) && !errors.As(err, &refused):
			if failures++; heard {
				failures = 1
			}
			err = t.call.wait(ctx, failures, 0)
		default:
			failures = 0
			err = t.poll(ctx, on)
		}
		if final, err := t.listenEnds(ctx, on, err); final {
			return err
		}
	}
}

// listenEnds reports whether an error is one that listening again does not change.
func (t *Tablet) listenEnds(ctx context.Context, on func(string), err error) (bool, error) {
	var answer *Error
	switch {
	case ctx.Err() != nil:
		return true, ctx.Err()
	case errors.Is(err, ErrRevoked), CodeOf(err) == "device-revoked":
		on(contract.EventWipe)
		return true, ErrRevoked
	case errors.Is(err, ErrNoLease), errors.Is(err, ErrWiped), errors.As(err, &answer) && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden):
		return true, t.failed(err)
	}
	return false, nil
}

// stream reads one event stream to its end, which is always an error. heard says that
// something came; after is when to come back, 0 when the server did not say.
func (t *Tablet) stream(ctx context.Context, on func(string)) (heard bool, after time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A proxy that holds bytes back may hold the header too.
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return false, 0, err
	}
	token := t.s.Lease.Token
	t.mu.Unlock()
	var body io.ReadCloser
	if _, err := t.call.do(ctx, request{
		method: http.MethodGet, path: "/v1/sync/events", header: http.Header{"Accept": {"text/event-stream"}},
		scheme: "DPoP", token: token, out: &body,
	}); err != nil {
		return false, 0, silent(ctx, err)
	}
	defer body.Close()
	in := bufio.NewReader(body)
	name := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return heard, after, silent(ctx, errors.Join(errEnded, err))
		}
		heard = true
		quiet.Reset(silence)
		line = strings.TrimRight(line, "\r\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "event":
			name = value
		case field == "retry":
			if ms, err := strconv.ParseInt(value, 10, 32); err == nil {
				after = time.Duration(ms) * time.Millisecond
			}
		case line == "" && name != "": // an empty line ends the event
			if name == contract.EventWipe {
				return true, 0, ErrRevoked
			}
			quiet.Stop() // the app may take its time
			if name == contract.EventPull {
				on(name)
			}
			quiet.Reset(silence)
			if name == contract.EventBye {
				return true, max(after, time.Millisecond), errEnded
			}
			name = ""
		}
	}
}

// silent prefers the reason why a stream was given up.
func silent(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	return err
}

// poll asks for news by long polls for a while. It looks at what a pull would bring and
// leaves it there: the app pulls.
func (t *Tablet) poll(ctx context.Context, on func(string)) error {
	began := t.cfg.Mono()
	for failures := 0; t.cfg.Mono()-began < pollFor; {
		asked := t.cfg.Mono()
		news, err := t.peek(ctx)
		if CodeOf(err) == "epoch-changed" || CodeOf(err) == "cursor-gone" || CodeOf(err) == "invalid-cursor" {
			news, err = true, nil // the pull begins anew
		}
		var answer *Error
		if ctx.Err() != nil || errors.Is(err, ErrNoLease) || errors.Is(err, ErrWiped) ||
			errors.As(err, &answer) && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden) {
			return err
		}
		if failures++; err == nil {
			failures = 0
		}
		if news {
			on(contract.EventPull)
		}
		if err != nil || t.cfg.Mono()-asked < time.Second {
			// Failed, or answered at once: by a server that does not wait, or because of news
			// that no pull has taken.
			if err := t.call.wait(ctx, max(failures, 1), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// peek waits for news.
func (t *Tablet) peek(ctx context.Context) (news bool, err error) {
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return false, err
	}
	token, query := t.s.Lease.Token, url.Values{"limit": {"1"}, "wait": {strconv.Itoa(pollWait)}}
	if t.cursor != "" {
		query.Set("cursor", t.cursor)
	}
	t.mu.Unlock()
	var page contract.PullResponse
	_, err = t.call.do(ctx, request{method: http.MethodGet, path: "/v1/sync/pull", query: query, scheme: "DPoP", token: token, out: &page})
	return len(page.Items) > 0 || page.More, err
}
