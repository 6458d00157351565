package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
)

// Windows of a proof's iat around the server's clock, and other bounds.
const (
	proofPast     = 60 * time.Second
	proofFuture   = 5 * time.Second
	proofsHeld    = 1 << 18 // remembered proofs of bound keys, about 10 MiB
	strangersHeld = 1 << 14 // remembered proofs of keys nobody has vouched for
	headersHeld   = 1 << 12 // parsed proof headers
	maxHeaderKept = 512     // bytes of such a header; an ordinary one has 180 to 260
	maxJTI        = 128
)

// ProofConfig configures a ProofVerifier. Zero durations and counts mean the defaults.
type ProofConfig struct {
	NonceKey []byte        // at least 32 random bytes; servers that share traffic share it
	Past     time.Duration // how old iat may be; default 60 s
	Future   time.Duration // how far ahead iat may be; default 5 s
	Held     int           // remembered proofs; default 262144
}

// ProofVerifier checks DPoP proofs. Safe for concurrent use.
//
// The memory of used proofs is the process's own. After a restart, or on another server
// behind the same address, a proof caught on the way can be shown again while it is fresh;
// what it authorises is then done twice, which is why push is idempotent.
type ProofVerifier struct {
	past, future time.Duration
	nonces       nonces
	held         *replays
	strangers    *replays
	headers      *cache[string, jwk.PublicKey]
}

// NewProofVerifier checks the configuration.
func NewProofVerifier(c ProofConfig) (*ProofVerifier, error) {
	if len(c.NonceKey) < 32 {
		return nil, errors.New("DPoP nonce key must be at least 32 bytes")
	}
	if c.Past < 0 || c.Future < 0 || c.Held < 0 {
		return nil, errors.New("DPoP windows and counts must not be negative")
	}
	v := &ProofVerifier{past: proofPast, future: proofFuture, nonces: nonces{c.NonceKey},
		strangers: newReplays(strangersHeld), headers: newCache[string, jwk.PublicKey](headersHeld)}
	if c.Past > 0 {
		v.past = c.Past
	}
	if c.Future > 0 {
		v.future = c.Future
	}
	if c.Held == 0 {
		c.Held = proofsHeld
	}
	v.held = newReplays(c.Held)
	return v, nil
}

// Nonce returns the value for a DPoP-Nonce header now. Send it with ErrUseNonce, and when
// convenient with every answer.
func (v *ProofVerifier) Nonce(now time.Time) string { return v.nonces.at(windowOf(now)) }

// Want is what a proof must fit.
type Want struct {
	Method string // exact
	URL    string // the server's external URL of the request, from configuration, never from Host
	Token  string // the access or lease token that came along; "" asks for no `ath`
	JKT    string // thumbprint the proof key must have; "" admits any key (enrolment)
}

// Proof is what a good proof showed.
type Proof struct {
	Key      jwk.PublicKey
	JKT      string // thumbprint of Key
	JTI      string
	IssuedAt time.Time // by the device's clock: a claim
}

type proofHeader struct {
	Typ  string         `json:"typ"`
	Alg  string         `json:"alg"`
	JWK  jsontext.Value `json:"jwk"`
	Crit jsontext.Value `json:"crit"`
}

type proofClaims struct {
	JTI   string         `json:"jti"`
	HTM   string         `json:"htm"`
	HTU   string         `json:"htu"`
	IAT   jsontext.Value `json:"iat"`
	ATH   string         `json:"ath"`
	Nonce *string        `json:"nonce"`
}

// VerifyProof checks one proof, the whole of a DPoP header, at the given time, and uses it
// up. Errors: ErrInvalidProof; ErrUseNonce when all is well but freshness; ErrTooManyProofs.
func (v *ProofVerifier) VerifyProof(proof string, want Want, now time.Time) (Proof, error) {
	c, reason := split(proof)
	if reason != "" {
		return Proof{}, badProof(reason)
	}
	// A device sends the same header with every proof; equal bytes parse to equal keys.
	key, cached := v.headers.get(c.header)
	if !cached {
		if key, reason = parseProofHeader(c.header); reason != "" {
			return Proof{}, badProof(reason)
		}
	}
	var claims proofClaims
	if reason := decodeJSON(c.payload, &claims); reason != "" {
		return Proof{}, badProof(reason)
	}
	p := Proof{Key: key, JKT: key.Thumbprint(), JTI: claims.JTI}
	iat, ok := numericDate(claims.IAT)
	switch {
	case claims.JTI == "" || len(claims.JTI) > maxJTI:
		return Proof{}, badProof("bad-jti")
	case !ok:
		return Proof{}, badProof("bad-iat")
	case claims.HTM == "" || claims.HTM != want.Method:
		return Proof{}, badProof("wrong-htm")
	case !sameURL(claims.HTU, want.URL):
		return Proof{}, badProof("wrong-htu")
	case want.Token != "" && !equal(claims.ATH, tokenHash(want.Token)):
		return Proof{}, badProof("wrong-ath")
	case want.JKT != "" && !equal(p.JKT, want.JKT):
		return Proof{}, badProof("wrong-key")
	}
	p.IssuedAt = iat.Time
	sig, ok := decode(c.signature)
	if !ok {
		return Proof{}, badProof("bad-base64")
	}
	if !key.Verify(key.Alg(), []byte(c.input), sig) {
		return Proof{}, badProof("bad-signature")
	}
	if !cached && want.JKT != "" && len(c.header) <= maxHeaderKept {
		v.headers.put(strings.Clone(c.header), key) // a part would keep the whole proof alive
	}
	expires, err := v.expiry(claims, p.IssuedAt, now)
	if err != nil {
		return Proof{}, err
	}
	memory := v.held
	if want.JKT == "" {
		memory = v.strangers // anyone can make keys: they share one small memory (A8)
	}
	return p, memory.use(p.JKT, p.JTI, expires, now)
}

func parseProofHeader(segment string) (jwk.PublicKey, string) {
	var h proofHeader
	if reason := decodeJSON(segment, &h); reason != "" {
		return jwk.PublicKey{}, reason
	}
	if h.Typ != "dpop+jwt" {
		return jwk.PublicKey{}, "wrong-typ"
	}
	if h.Alg != jwk.ES256 && h.Alg != jwk.EdDSA {
		return jwk.PublicKey{}, "wrong-alg"
	}
	if h.Crit != nil {
		return jwk.PublicKey{}, "unknown-crit"
	}
	key, err := jwk.Parse(h.JWK)
	switch {
	case errors.Is(err, jwk.ErrPrivate):
		return jwk.PublicKey{}, "private-jwk"
	case err != nil:
		return jwk.PublicKey{}, "bad-jwk"
	case key.Alg() != h.Alg:
		return jwk.PublicKey{}, "alg-key-mismatch"
	}
	return key, ""
}

// expiry judges freshness and returns the moment after which the proof can no longer be
// shown, so how long its jti must be remembered. A proof with a nonce is judged by the nonce
// alone: were iat a second chance, a proof dated into the future could be used now with its
// nonce and again, forgotten, when its date has come.
func (v *ProofVerifier) expiry(c proofClaims, iat, now time.Time) (time.Time, error) {
	if c.Nonce != nil {
		if end, ok := v.nonces.expiry(*c.Nonce, now); ok {
			return end, nil
		}
		return time.Time{}, &refusal{ErrUseNonce, "stale-nonce"}
	}
	if age := now.Sub(iat); age > v.past || age < -v.future {
		return time.Time{}, &refusal{ErrUseNonce, "clock-off"}
	}
	return iat.Add(v.past), nil
}

// tokenHash is `ath`: base64url of SHA-256 of the token as sent.
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return strictB64.EncodeToString(sum[:])
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
