package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"flette/internal/jwk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the clock of the tests: 2026-11-21 12:00:30 UTC, away from window borders.
var noon = time.Unix(1795262430, 0).UTC()

var background = context.Background()

// object is a JSON object under construction; with makes a changed copy, nil removes.
type object map[string]any

func (o object) with(name string, v any) object {
	out := object{}
	for k, old := range o {
		out[k] = old
	}
	if out[name] = v; v == nil {
		delete(out, name)
	}
	return out
}

func (o object) text() string {
	b, err := json.Marshal(map[string]any(o), json.Deterministic(true))
	if err != nil {
		panic(err) // a test wrote something that is not JSON
	}
	return string(b)
}

// key is a test key pair that signs compact JWS.
type key struct {
	alg  string
	pub  jwk.PublicKey
	sign func(input []byte) []byte
}

func edPrivate(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
}

func edKey(seed byte) key {
	priv := edPrivate(seed)
	pub, err := jwk.New(priv.Public())
	if err != nil {
		panic(err)
	}
	return key{"EdDSA", pub, func(in []byte) []byte { return ed25519.Sign(priv, in) }}
}

func ecKey(t testing.TB) key {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := jwk.New(&priv.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key{"ES256", pub, func(in []byte) []byte {
		digest := sha256.Sum256(in)
		r, s, err := ecdsa.Sign(rand.NewChaCha8([32]byte{2}), priv, digest[:])
		if err != nil {
			panic(err)
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}}
}

// compose signs a header and payload given as text, so that bad text can be given too.
func compose(head, payload string, sign func([]byte) []byte) string {
	input := strictB64.EncodeToString([]byte(head)) + "." + strictB64.EncodeToString([]byte(payload))
	return input + "." + strictB64.EncodeToString(sign([]byte(input)))
}

func (k key) proofHeader() object {
	var pub map[string]any
	if err := json.Unmarshal([]byte(k.pub.String()), &pub); err != nil {
		panic(err)
	}
	return object{"typ": "dpop+jwt", "alg": k.alg, "jwk": pub}
}

const (
	pushURL   = "https://flette.example/v1/sync/push"
	someToken = "header.payload.signature"
)

var jtiCount int

// proofClaims are right for Want{POST, pushURL, someToken} at noon, with a fresh jti.
func goodProof() object {
	jtiCount++
	return object{"jti": fmt.Sprintf("jti-%d", jtiCount), "htm": "POST", "htu": pushURL,
		"iat": noon.Unix(), "ath": tokenHash(someToken)}
}

func (k key) proof(claims object) string {
	return compose(k.proofHeader().text(), claims.text(), k.sign)
}

func (k key) want() Want { return Want{"POST", pushURL, someToken, k.pub.Thumbprint()} }

func newProofs(t testing.TB) *ProofVerifier {
	t.Helper()
	v, err := NewProofVerifier(ProofConfig{NonceKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// refused asserts the sentence and the reason of an error; want nil asserts success.
func refused(t *testing.T, err, want error, reason string) {
	t.Helper()
	if !errors.Is(err, want) || Reason(err) != reason {
		t.Errorf("error %v (%s), want %v (%s)", err, Reason(err), want, reason)
	}
	if err != nil && err.Error() != want.Error() {
		t.Errorf("the client would learn %q, want %q", err, want)
	}
}
