package api

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/api/auth"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// credential says what a route accepts.
type credential uint8

const (
	public     credential = iota // anybody
	byCode                       // anybody with an enrolment code: limited by address
	byLease                      // a lease under scheme DPoP
	byToken                      // an access token
	byTokenKey                   // an access token and a proof by the device key
	byTokenOr                    // an access token, or a lease that has not expired
	byAny                        // the same, and the contract names the lease's problems
)

// authenticate fills c.who and takes a token from the rate limit that fits.
func (c *call) authenticate() *failure {
	switch c.r.who {
	case public:
		return nil
	case byCode:
		return limited(c.s.remotes, remoteKey(c.remote), c.now)
	}
	req := auth.Request{
		Authorization: c.authorization, DPoP: c.proof, Method: c.r.method, URL: *c.s.external.Load() + c.path,
	}
	var f *failure
	if c.leaseLike() {
		f = c.byLease(req)
	} else {
		f = c.byToken(req)
	}
	if f != nil {
		return f
	}
	return c.tenantExists()
}

// leaseLike says which of the two kinds of credentials a route that takes both was shown.
func (c *call) leaseLike() bool {
	return c.r.who == byLease || (c.r.who == byTokenOr || c.r.who == byAny) && carriesLease(c.authorization)
}

// carriesLease looks at the token's typ to know which verifier to ask; the verifier decides.
func carriesLease(authorization []string) bool {
	if len(authorization) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	head, _, _ := strings.Cut(token, ".")
	raw, err := cursorB64.DecodeString(head)
	if err != nil || !strings.EqualFold(scheme, "DPoP") {
		return false
	}
	var h struct {
		Typ string `json:"typ"`
	}
	return json.Unmarshal(raw, &h) == nil && h.Typ == auth.LeaseType
}

func (c *call) byLease(req auth.Request) *failure {
	named := c.r.who != byTokenOr // the contract's answers there speak of tokens only
	claims, expired, proof, err := c.s.guard.Device(req, c.now)
	if err != nil {
		return failureOfAuth(err, named)
	}
	c.who = caller{tenant: claims.Tenant, actor: claims.Actor, roles: claims.Roles, lease: &claims, expired: expired, key: &proof}
	c.ex.subject = slog.String("device", claims.Device.String())
	if f := limited(c.s.devices, string(claims.Tenant)+" "+claims.Device.String(), c.now); f != nil {
		return f
	}
	if expired && !c.r.afterLease {
		// A revoked device hears its order however old its lease is.
		if d, err := c.engine().Device(c.ctx, claims.Tenant, claims.Device); err == nil && d.State != sync.DeviceActive {
			return failureOf(sync.Revoked(&d))
		}
		code := "lease-expired"
		if !named {
			code = "invalid-token"
		}
		f := fail(code, "The session of the lease has ended: the user logs in again.")
		f.challenge = challenge("invalid_token")
		return f
	}
	if c.r.who == byLease {
		return nil // the engine knows what a revoked device may still do
	}
	d, err := c.engine().Device(c.ctx, claims.Tenant, claims.Device)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fail("unknown-device", "")
	case err != nil:
		return failureOf(err)
	case d.State != sync.DeviceActive:
		return failureOf(sync.Revoked(&d))
	}
	if err := sync.BoundTo(&d, claims.JKT); err != nil {
		return failureOf(err)
	}
	return nil
}

func (c *call) byToken(req auth.Request) *failure {
	p, proof, err := c.s.guard.User(c.ctx, req, c.now)
	if err != nil {
		return failureOfAuth(err, false)
	}
	c.who = caller{tenant: p.Tenant, actor: p.Subject, roles: p.Roles, user: p, key: proof}
	c.ex.subject = slog.String("actor", string(p.Subject))
	if f := limited(c.s.actors, string(p.Tenant)+" "+string(p.Subject), c.now); f != nil {
		return f
	}
	if c.r.who == byTokenKey && proof == nil {
		f := fail("invalid-dpop", "A proof by the device key is required.")
		f.challenge = auth.Challenge(auth.ErrInvalidProof)
		return f
	}
	return nil
}

// tenantExists keeps a credential for a tenant that is not here from looking like a failure of ours.
// Tenants are never removed while the server runs, so a good answer is kept.
func (c *call) tenantExists() *failure {
	if _, known := c.s.tenants.Load(c.who.tenant); known {
		return nil
	}
	err := c.view(func(store.View) error { return nil })
	if errors.Is(err, store.ErrNotFound) {
		f := fail("invalid-token", "")
		f.cause = errors.New("tenant is not here")
		return f
	}
	if err != nil {
		return failureOf(err)
	}
	c.s.tenants.Store(c.who.tenant, struct{}{})
	return nil
}

// reasonOf is what the log says about an error: the guard's word where there is one. Errors
// of the layers below hold ids and positions, never content.
func reasonOf(err error) string {
	if why := auth.Reason(err); why != "" {
		return why
	}
	return err.Error()
}

// A lease token's kid is "<tenant>.<key id>", so that the key is found without a table.

func (s *Server) leaseKey(kid string) (auth.LeaseKey, bool) {
	name, want, ok := strings.Cut(kid, ".")
	tenant, err := model.ParseTenantID(name)
	if !ok || err != nil {
		return auth.LeaseKey{}, false
	}
	have, key, err := s.o.TokenKey(tenant)
	if err != nil || have != want || len(key) != ed25519.PrivateKeySize {
		return auth.LeaseKey{}, false
	}
	return auth.LeaseKey{Tenant: tenant, Public: key.Public().(ed25519.PublicKey)}, true
}

// leaseToken signs the token of a lease for the device key.
func (s *Server) leaseToken(tenant model.TenantID, l model.Lease, jkt string) (string, error) {
	kid, key, err := s.o.TokenKey(tenant)
	if err != nil {
		return "", err
	}
	return auth.IssueLease(key, string(tenant)+"."+kid, auth.LeaseClaims{
		ID: l.ID, Tenant: tenant, Device: l.Device, Actor: l.Actor, Roles: l.Roles,
		IssuedAt: l.IssuedAt, ExpiresAt: l.ExpiresAt, JKT: jkt,
	})
}
