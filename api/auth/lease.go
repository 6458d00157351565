package auth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"flette/internal/jwk"
	"flette/model"
)

// LeaseType is the `typ` of a lease token: no other verifier of ours accepts it.
const LeaseType = "flette-lease+jwt"

const (
	leaseIssuer = "flette"
	leasesHeld  = 1 << 12 // verified lease tokens kept, about 400 bytes each
)

// LeaseClaims is what a lease token says. Times are whole seconds, as in every JWT; the
// millisecond anchor of the clock is inside the lease id.
type LeaseClaims struct {
	ID        string // `jti`: the lease id that entries name
	Tenant    model.TenantID
	Device    model.DeviceID // `sub`
	Actor     model.ActorID
	Roles     model.Roles
	IssuedAt  model.Millis
	ExpiresAt model.Millis
	JKT       string // `cnf.jkt`: thumbprint of the device key
}

type leaseJSON struct {
	Iss    string         `json:"iss"`
	Tenant string         `json:"tenant"`
	Sub    model.DeviceID `json:"sub"`
	Actor  string         `json:"actor"`
	Roles  []string       `json:"roles"`
	JTI    string         `json:"jti"`
	IAT    int64          `json:"iat"`
	EXP    int64          `json:"exp"`
	CNF    leaseCNF       `json:"cnf"`
}

type leaseCNF struct {
	JKT string `json:"jkt"`
}

type leaseHeader struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"`
	Kid string `json:"kid"`
}

// IssueLease signs a lease token with the tenant's server key. Milliseconds are cut off.
func IssueLease(key ed25519.PrivateKey, kid string, c LeaseClaims) (string, error) {
	if len(key) != ed25519.PrivateKeySize || kid == "" {
		return "", errors.New("lease key and kid are required")
	}
	iat, exp := int64(c.IssuedAt)/1000, int64(c.ExpiresAt)/1000
	body := leaseJSON{leaseIssuer, string(c.Tenant), c.Device, string(c.Actor), c.Roles.Names(), c.ID, iat, exp, leaseCNF{c.JKT}}
	if body.Roles == nil {
		body.Roles = []string{}
	}
	if _, reason := body.claims(); reason != "" {
		return "", errors.New("lease: " + reason)
	}
	head, err := json.Marshal(leaseHeader{jwk.EdDSA, LeaseType, kid})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	input := strictB64.EncodeToString(head) + "." + strictB64.EncodeToString(payload)
	token := input + "." + strictB64.EncodeToString(ed25519.Sign(key, []byte(input)))
	if len(token) > maxToken {
		return "", errors.New("lease: token is too large")
	}
	return token, nil
}

// claims checks the shape, the same for what is issued and what is read.
func (b *leaseJSON) claims() (LeaseClaims, string) {
	c := LeaseClaims{ID: b.JTI, Device: b.Sub, Roles: model.ParseRoles(b.Roles), JKT: b.CNF.JKT}
	var err error
	if c.Tenant, err = model.ParseTenantID(b.Tenant); err != nil || b.Iss != leaseIssuer {
		return LeaseClaims{}, "bad-tenant"
	}
	if c.Actor, err = model.ParseActorID(b.Actor); err != nil {
		return LeaseClaims{}, "bad-actor"
	}
	if b.Sub.IsZero() || b.JTI == "" || b.CNF.JKT == "" {
		return LeaseClaims{}, "missing-claim"
	}
	if b.IAT < 0 || b.EXP <= b.IAT || b.EXP > lastSecond {
		return LeaseClaims{}, "bad-times"
	}
	c.IssuedAt, c.ExpiresAt = model.Millis(b.IAT*1000), model.Millis(b.EXP*1000)
	return c, ""
}

// LeaseKey is a server key that signs leases, and the tenant it signs for.
type LeaseKey struct {
	Tenant model.TenantID
	Public ed25519.PublicKey
}

// LeaseKeys finds a server key by kid. It is asked for every request, so a key that it no
// longer gives is revoked at once; it must be safe for concurrent use.
type LeaseKeys func(kid string) (LeaseKey, bool)

// LeaseVerifier checks lease tokens and remembers those it has verified, because every push
// carries one. Safe for concurrent use.
type LeaseVerifier struct {
	keys     LeaseKeys
	verified *cache[[32]byte, verifiedLease]
}

type verifiedLease struct {
	claims LeaseClaims
	kid    string
	key    ed25519.PublicKey
}

// NewLeaseVerifier makes a verifier that finds keys with the given function.
func NewLeaseVerifier(keys LeaseKeys) *LeaseVerifier {
	return &LeaseVerifier{keys: keys, verified: newCache[[32]byte, verifiedLease](leasesHeld)}
}

// ParseLease checks a lease token at the given time. An authentic token whose time is over
// gives its claims and expired = true, not an error (A6). The error is ErrInvalidToken.
func (v *LeaseVerifier) ParseLease(token string, now time.Time) (c LeaseClaims, expired bool, err error) {
	if len(token) > maxToken {
		return LeaseClaims{}, false, badToken("too-large")
	}
	id := sha256.Sum256([]byte(token))
	lease, ok := v.verified.get(id)
	if ok {
		// A remembered signature counts only while its key does.
		key, found := v.keys(lease.kid)
		ok = found && key.Tenant == lease.claims.Tenant && key.Public.Equal(lease.key)
	}
	if !ok {
		var reason string
		if lease, reason = v.verify(token); reason != "" {
			return LeaseClaims{}, false, badToken(reason)
		}
		v.verified.put(id, lease)
	}
	return lease.claims, model.MillisOf(now) >= lease.claims.ExpiresAt, nil
}

func (v *LeaseVerifier) verify(token string) (verifiedLease, string) {
	parts, reason := split(token)
	if reason != "" {
		return verifiedLease{}, reason
	}
	var h header
	if reason := decodeJSON(parts.header, &h); reason != "" {
		return verifiedLease{}, reason
	}
	if h.Typ != LeaseType || h.Alg != jwk.EdDSA || h.Crit != nil {
		return verifiedLease{}, "not-a-lease"
	}
	key, ok := v.keys(h.Kid)
	if !ok || len(key.Public) != ed25519.PublicKeySize {
		return verifiedLease{}, "unknown-kid"
	}
	sig, ok := decode(parts.signature)
	if !ok || !ed25519.Verify(key.Public, []byte(parts.input), sig) {
		return verifiedLease{}, "bad-signature"
	}
	var body leaseJSON
	if reason := decodeJSON(parts.payload, &body); reason != "" {
		return verifiedLease{}, reason
	}
	claims, reason := body.claims()
	if reason == "" && claims.Tenant != key.Tenant {
		// One tenant's key must not speak for another.
		reason = "wrong-tenant"
	}
	return verifiedLease{claims, h.Kid, key.Public}, reason
}
