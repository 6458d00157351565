package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	jwksTimeout  = 5 * time.Second  // one fetch, connection included
	jwksMaxBytes = 1 << 20          // body of a key set
	jwksRefresh  = 15 * time.Minute // age at which a set is fetched again, beside the request
	jwksMinGap   = 10 * time.Second // between two fetches, whoever asks and however often
	jwksMaxStale = 24 * time.Hour   // a set older than this vouches for nobody
)

// verifyKey is a usable key of an issuer. Alg is what the JWK pins, "" when it pins nothing.
type verifyKey struct {
	alg string
	key any // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// keySet is the cache of one issuer's JWKS. A known kid is answered from memory, also while
// the issuer is down; an unknown kid waits for at most one fetch, shared by all who ask.
type keySet struct {
	url    string // "" when the keys are fixed
	client *http.Client

	mu     sync.Mutex
	keys   map[string]verifyKey // replaced as a whole, never changed
	loaded time.Time            // of keys, by the caller's clock
	tried  time.Time            // last fetch begun
	failed error                // of the last fetch
	flight chan struct{}        // closed when the running fetch has ended
}

// newKeySet checks the address (https, or any scheme of a loopback host for tests and local
// issuers) but fetches nothing: a server must start while its issuer is down.
func newKeySet(address string) (*keySet, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("JWKS address must be an absolute URL without credentials")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return nil, errors.New("JWKS address must be https")
	}
	return &keySet{url: address, client: &http.Client{
		Timeout: jwksTimeout,
		// A redirect would let the answer choose where the server's next request goes.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// lookup returns the key of kid, ErrInvalidToken when the issuer does not have it, or
// ErrUnavailable when that cannot be known now.
func (s *keySet) lookup(ctx context.Context, kid string, now time.Time) (verifyKey, error) {
	s.mu.Lock()
	key, known := s.find(kid, now)
	var flight chan struct{}
	if s.url != "" && (!known || now.Sub(s.loaded) >= jwksRefresh) {
		flight = s.refresh(now)
	}
	s.mu.Unlock()
	if !known && flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return verifyKey{}, &refusal{ErrUnavailable, "gave-up-waiting"}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		key, known = s.find(kid, now)
	}
	switch {
	case known:
		return key, nil
	case s.failed != nil || s.keys == nil:
		return verifyKey{}, &refusal{ErrUnavailable, "keys-unavailable"}
	default:
		return verifyKey{}, badToken("unknown-kid")
	}
}

func (s *keySet) find(kid string, now time.Time) (verifyKey, bool) {
	if s.url != "" && now.Sub(s.loaded) > jwksMaxStale {
		return verifyKey{}, false
	}
	k, ok := s.keys[kid]
	return k, ok
}

// refresh joins the running fetch or begins one, unless the last is too recent (nil): a
// stranger's made-up kids cost the issuer one request per jwksMinGap (A8).
func (s *keySet) refresh(now time.Time) chan struct{} {
	if s.flight != nil {
		return s.flight
	}
	if gap := now.Sub(s.tried); gap >= 0 && gap < jwksMinGap && !s.tried.IsZero() {
		return nil
	}
	done := make(chan struct{})
	s.flight, s.tried = done, now
	go func() {
		keys, err := s.fetch()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failed = err; err == nil {
			s.keys, s.loaded = keys, now
		}
		s.flight = nil
		close(done)
	}()
	return done
}

func (s *keySet) fetch() (map[string]verifyKey, error) {
	resp, err := s.client.Get(s.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end or given up: nothing to learn
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("JWKS answer has status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, jwksMaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > jwksMaxBytes {
		return nil, errors.New("JWKS answer is larger than 1 MiB")
	}
	return parseJWKS(body)
}

// parseJWKS reads the usable keys of a set. A key that we would not use is left out, not an
// error, because issuers publish keys for others too: symmetric, private, weak, of another
// curve, for encryption, without kid. A kid that stands twice is ambiguous: neither is used.
func parseJWKS(body []byte) (map[string]verifyKey, error) {
	var doc struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, errors.New("JWKS is not a JSON object with keys")
	}
	keys := make(map[string]verifyKey, len(doc.Keys))
	twice := map[string]bool{}
	for _, raw := range doc.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err != nil {
			continue
		}
		if k.KeyID == "" || !k.IsPublic() || (k.Use != "" && k.Use != "sig") || !strong(k.Key) {
			continue
		}
		if _, ok := keys[k.KeyID]; ok {
			twice[k.KeyID] = true
		}
		keys[k.KeyID] = verifyKey{alg: k.Algorithm, key: k.Key}
	}
	for kid := range twice {
		delete(keys, kid)
	}
	if len(keys) == 0 {
		return nil, errors.New("JWKS holds no usable signature key")
	}
	return keys, nil
}

// strong admits RSA of 2048 to 8192 bits (above, verifying is itself an attack), P-256,
// P-384 and Ed25519.
func strong(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192 && k.E >= 65537 && k.E%2 == 1
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	}
	return false
}
