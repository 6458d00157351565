package auth

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeIssuer serves a key set that tests rotate and break.
type fakeIssuer struct {
	*httptest.Server
	hits   atomic.Int32
	mu     sync.Mutex
	answer http.HandlerFunc
}

func newFakeIssuer(t *testing.T) *fakeIssuer {
	f := &fakeIssuer{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.hits.Add(1)
		f.mu.Lock()
		answer := f.answer
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeIssuer) serve(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeIssuer) publish(seeds ...byte) {
	var keys []jose.JSONWebKey
	for _, s := range seeds {
		keys = append(keys, jose.JSONWebKey{Key: edPrivate(s).Public().(ed25519.PublicKey), KeyID: fmt.Sprint(s)})
	}
	body := jwks(keys...)
	f.serve(func(w http.ResponseWriter, _ *http.Request) { write(w, string(body)) })
}

func (f *fakeIssuer) breakDown() {
	f.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
}

func write(w http.ResponseWriter, body string) { _, _ = w.Write([]byte(body)) }

func (f *fakeIssuer) verifier(t *testing.T) *Verifier {
	t.Helper()
	v, err := NewVerifier([]IssuerConfig{{Issuer: testIssuer, Audience: testAudience, Algorithms: []string{"EdDSA"}, JWKSURL: f.URL + "/jwks"}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// settle waits until no fetch is running.
func settle(v *Verifier) {
	s := v.table.Load().issuers[testIssuer].keys
	s.mu.Lock()
	flight := s.flight
	s.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// tokenAt is a token that is good at the given time, signed by key seed under its kid.
func tokenAt(seed byte, now time.Time) string {
	return compose(object{"alg": "EdDSA", "typ": "at+jwt", "kid": fmt.Sprint(seed)}.text(),
		goodClaims().with("exp", now.Unix()+60).text(), edKey(seed).sign)
}

func TestKeyRotation(t *testing.T) {
	f := newFakeIssuer(t)
	f.publish(1)
	v := f.verifier(t)
	check := func(seed byte, now time.Time, want error, reason string, hits int32) {
		t.Helper()
		_, err := v.Verify(background, tokenAt(seed, now), now)
		settle(v)
		refused(t, err, want, reason)
		if got := f.hits.Load(); got != hits {
			t.Errorf("%d requests to the issuer, want %d", got, hits)
		}
	}
	now := noon
	check(1, now, nil, "", 1)
	check(1, now, nil, "", 1) // from memory

	f.publish(1, 2)
	check(2, now.Add(time.Second), ErrInvalidToken, "unknown-kid", 1) // too soon to ask again
	now = now.Add(jwksMinGap)
	check(2, now, nil, "", 2) // an unknown kid fetches
	for i := range 500 {
		check(9, now.Add(time.Duration(i)*10*time.Millisecond), ErrInvalidToken, "unknown-kid", 2)
	}

	f.breakDown()
	now = now.Add(jwksRefresh)
	check(1, now, nil, "", 3)                                             // issuer down: the old keys work
	check(2, now.Add(time.Second), nil, "", 3)                            // and it is not hammered
	check(9, now.Add(time.Second), ErrUnavailable, "keys-unavailable", 3) // perhaps rotated: not judged
	if st := v.Status(); len(st) != 1 || st[0].Failed == nil || st[0].Keys != 2 || st[0].Loaded.IsZero() {
		t.Errorf("status %+v", st)
	}

	f.publish(2)
	now = now.Add(jwksMinGap)
	check(1, now, nil, "", 4) // refreshed beside the request
	check(1, now, ErrInvalidToken, "unknown-kid", 4)
	check(2, now, nil, "", 4)

	f.breakDown()
	now = now.Add(jwksMaxStale + time.Second)
	check(2, now, ErrUnavailable, "keys-unavailable", 5) // a day without the issuer: vouches for nobody
	f.publish(2)
	check(2, now.Add(jwksMinGap), nil, "", 6)
}

func TestIssuerGarbage(t *testing.T) {
	elsewhere := newFakeIssuer(t)
	elsewhere.publish(1)
	for name, answer := range map[string]http.HandlerFunc{
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { write(w, "<html>") },
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			write(w, string(jwks(jose.JSONWebKey{Key: edPrivate(1).Public(), KeyID: "1"}))+strings.Repeat(" ", jwksMaxBytes))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			write(w, `{"keys":[`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeIssuer(t)
			f.serve(answer)
			v := f.verifier(t)
			_, err := v.Verify(background, tokenAt(1, noon), noon)
			refused(t, err, ErrUnavailable, "keys-unavailable")
			if v.Status()[0].Failed == nil {
				t.Error("the failure is not shown")
			}
		})
	}
	if n := elsewhere.hits.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// Many requests at the start share one fetch, and one that is given up leaves the others be.
func TestFirstFetchIsShared(t *testing.T) {
	f := newFakeIssuer(t)
	asked, release := make(chan struct{}), make(chan struct{})
	body := jwks(jose.JSONWebKey{Key: edPrivate(1).Public(), KeyID: "1"})
	f.serve(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		write(w, string(body))
	})
	v := f.verifier(t)
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err := v.Verify(ctx, tokenAt(1, noon), noon)
	refused(t, err, ErrUnavailable, "gave-up-waiting")
	<-asked
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() {
			_, err := v.Verify(background, tokenAt(1, noon), noon)
			errs <- err
		}()
	}
	close(release)
	for range cap(errs) {
		refused(t, <-errs, nil, "")
	}
	if n := f.hits.Load(); n != 1 {
		t.Errorf("%d requests to the issuer, want 1", n)
	}
}
