package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"flette/model"
)

// maxLeeway is how far an issuer's clock may be off; both sides are servers.
const maxLeeway = 10 * time.Second

// IssuerConfig says whose access tokens are accepted and how they are read.
type IssuerConfig struct {
	Issuer     string   // exact `iss`
	Audience   string   // exact name that must be in `aud`
	Algorithms []string // allow-list: RS256/384/512, PS256/384/512, ES256, ES384, EdDSA
	JWKSURL    string   // where the keys are; or:
	JWKS       []byte   // the key set itself

	RolesClaim  string // default "roles": array of names, or names with spaces between
	TenantClaim string // default "tenant"
	HPRClaim    string // default "hpr_number"

	// Require names claims that must hold a value, alone, in a list or among words: scopes,
	// or the security level that HelseID puts in a claim of its own.
	Require map[string]string

	Leeway time.Duration // of exp, nbf and iat; 0 to 10 s
}

// Principal is the user an access token speaks for.
type Principal struct {
	Issuer   string
	Subject  model.ActorID
	Tenant   model.TenantID
	Roles    model.Roles
	Name     model.Private // "" when the token has none
	HPR      string        // number in the register of health personnel, digits, or ""
	AuthTime time.Time     // when the user last logged in; zero when the token does not say
	Expires  time.Time
	CnfJKT   string // thumbprint of the key the token is bound to, or ""
}

// Verifier checks access tokens of the configured issuers. Safe for concurrent use.
type Verifier struct {
	table atomic.Pointer[issuerTable]
}

// issuerTable is one configuration; it is replaced as a whole, never changed.
type issuerTable struct {
	issuers map[string]*issuer
	names   []string
}

type issuer struct {
	IssuerConfig
	methods map[string]jwt.SigningMethod
	keys    *keySet
}

// NewVerifier checks the configuration. It fetches nothing.
func NewVerifier(configs []IssuerConfig) (*Verifier, error) {
	v := &Verifier{}
	v.table.Store(&issuerTable{})
	return v, v.Replace(configs)
}

// Replace puts another configuration in force, for a server whose tenants change while it
// runs. An issuer that is configured as before keeps the keys it has fetched. On an error
// the old configuration stays.
func (v *Verifier) Replace(configs []IssuerConfig) error {
	before := v.table.Load()
	t := &issuerTable{issuers: map[string]*issuer{}}
	for _, c := range configs {
		is, err := newIssuer(c)
		if err != nil {
			return fmt.Errorf("issuer %q: %w", c.Issuer, err)
		}
		if t.issuers[c.Issuer] != nil {
			return fmt.Errorf("issuer %q is configured twice", c.Issuer)
		}
		if old := before.issuers[c.Issuer]; old != nil && reflect.DeepEqual(old.IssuerConfig, is.IssuerConfig) {
			is = old
		}
		t.issuers[c.Issuer] = is
		t.names = append(t.names, c.Issuer)
	}
	v.table.Store(t)
	return nil
}

func newIssuer(c IssuerConfig) (*issuer, error) {
	// jwt skips the check of an empty issuer or audience, so neither may be empty.
	if c.Issuer == "" || c.Audience == "" || len(c.Algorithms) == 0 {
		return nil, errors.New("issuer, audience and algorithms are required")
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		return nil, fmt.Errorf("leeway must be 0 to %s", maxLeeway)
	}
	if (c.JWKSURL == "") == (len(c.JWKS) == 0) {
		return nil, errors.New("exactly one of JWKS address and JWKS is required")
	}
	c.RolesClaim = defaultTo(c.RolesClaim, "roles")
	c.TenantClaim = defaultTo(c.TenantClaim, "tenant")
	c.HPRClaim = defaultTo(c.HPRClaim, "hpr_number")
	is := &issuer{IssuerConfig: c, methods: map[string]jwt.SigningMethod{}}
	for _, alg := range c.Algorithms {
		if !slices.Contains(asymmetric, alg) {
			return nil, fmt.Errorf("algorithm %q is not accepted", alg)
		}
		is.methods[alg] = jwt.GetSigningMethod(alg)
	}
	var err error
	if c.JWKSURL != "" {
		is.keys, err = newKeySet(c.JWKSURL)
	} else {
		is.keys = &keySet{}
		is.keys.keys, err = parseJWKS(c.JWKS)
	}
	return is, err
}

func defaultTo(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}

// fits pins algorithms to key types (A1): a public key can never be read as an HMAC secret,
// and ES256 never runs on another curve, which the jwt package would let through.
func fits(alg string, key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return (alg == "ES256" && k.Curve == elliptic.P256()) || (alg == "ES384" && k.Curve == elliptic.P384())
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// Verify checks an access token at the given time. The error is ErrInvalidToken, or
// ErrUnavailable when the issuer's keys could not be had. A token with CnfJKT set is only
// good together with a proof by that key (A4): see Guard.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (Principal, error) {
	c, reason := split(token)
	if reason != "" {
		return Principal{}, badToken(reason)
	}
	var h header
	if reason := decodeJSON(c.header, &h); reason != "" {
		return Principal{}, badToken(reason)
	}
	// RFC 9068 and HelseID: nothing else is an access token. This keeps ID tokens, leases and
	// proofs, which the same key may have signed, from being used as one.
	if h.Typ != "at+jwt" && h.Typ != "JWT" {
		return Principal{}, badToken("wrong-typ")
	}
	if h.Crit != nil {
		return Principal{}, badToken("unknown-crit")
	}
	claims, reason := parseClaims(c.payload)
	if reason != "" {
		return Principal{}, badToken(reason)
	}
	is := v.table.Load().issuers[claims.iss]
	if is == nil {
		return Principal{}, badToken("unknown-issuer")
	}
	method := is.methods[h.Alg]
	if method == nil {
		return Principal{}, badToken("wrong-alg")
	}
	key, err := is.keys.lookup(ctx, h.Kid, now)
	if err != nil {
		return Principal{}, err
	}
	if !fits(h.Alg, key.key) || (key.alg != "" && key.alg != h.Alg) {
		return Principal{}, badToken("alg-key-mismatch")
	}
	sig, ok := decode(c.signature)
	if !ok {
		return Principal{}, badToken("bad-base64")
	}
	if method.Verify(c.input, sig, key.key) != nil {
		return Principal{}, badToken("bad-signature")
	}
	return is.principal(claims, now)
}

func (is *issuer) principal(claims *accessClaims, now time.Time) (Principal, error) {
	err := jwt.NewValidator(
		jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithLeeway(is.Leeway),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(is.Issuer), jwt.WithAudience(is.Audience),
	).Validate(claims)
	if err != nil {
		return Principal{}, badToken(claimsReason(err))
	}
	for name, want := range is.Require {
		if words, _ := claims.words(name); !slices.Contains(words, want) {
			return Principal{}, badToken("missing-required-claim")
		}
	}
	p := Principal{Issuer: is.Issuer, Expires: claims.exp.Time, Name: model.Private(claims.name), CnfJKT: claims.jkt}
	if claims.authTime != nil {
		p.AuthTime = claims.authTime.Time
	}
	if p.Subject, err = model.ParseActorID(claims.sub); err != nil {
		return Principal{}, badToken("bad-subject")
	}
	tenant, _ := claims.text(is.TenantClaim)
	if p.Tenant, err = model.ParseTenantID(tenant); err != nil {
		return Principal{}, badToken("bad-tenant")
	}
	roles, ok := claims.words(is.RolesClaim)
	if !ok {
		return Principal{}, badToken("bad-roles")
	}
	p.Roles = model.ParseRoles(roles)
	if p.HPR, ok = claims.text(is.HPRClaim); !ok || !isHPR(p.HPR) {
		return Principal{}, badToken("bad-hpr")
	}
	return p, nil
}

func isHPR(s string) bool { return len(s) <= 9 && strings.Trim(s, "0123456789") == "" }

func claimsReason(err error) string {
	for _, k := range []struct {
		err    error
		reason string
	}{
		{jwt.ErrTokenExpired, "expired"}, {jwt.ErrTokenNotValidYet, "not-yet-valid"},
		{jwt.ErrTokenUsedBeforeIssued, "issued-in-future"}, {jwt.ErrTokenInvalidAudience, "wrong-audience"},
		{jwt.ErrTokenInvalidIssuer, "unknown-issuer"}, {jwt.ErrTokenRequiredClaimMissing, "missing-claim"},
	} {
		if errors.Is(err, k.err) {
			return k.reason
		}
	}
	return "bad-claims"
}

// IssuerStatus is what operations see of an issuer's keys.
type IssuerStatus struct {
	Issuer string
	Keys   int
	Loaded time.Time // zero for fixed keys or when never fetched
	Failed error     // of the last fetch, nil when it went well
}

// Status lists the issuers in configured order.
func (v *Verifier) Status() []IssuerStatus {
	t := v.table.Load()
	out := make([]IssuerStatus, 0, len(t.names))
	for _, name := range t.names {
		s := t.issuers[name].keys
		s.mu.Lock()
		out = append(out, IssuerStatus{name, len(s.keys), s.loaded, s.failed})
		s.mu.Unlock()
	}
	return out
}
