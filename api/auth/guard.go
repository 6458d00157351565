package auth

import (
	"context"
	"strings"
	"time"
)

// Request is the part of a request that authentication reads. Header values are given as
// received, one item for each header line.
type Request struct {
	Authorization []string
	DPoP          []string
	Method        string
	URL           string // external URL from configuration and the path; query and fragment do not matter
}

// Guard judges the credentials of requests.
type Guard struct {
	Access *Verifier
	Leases *LeaseVerifier
	Proofs *ProofVerifier
}

// User authenticates a person's access token. With scheme Bearer the token must not be bound
// to a key; with scheme DPoP it must be, and the proof must be by that key (A4). A proof that
// comes along with a Bearer token must be good too; the caller that needs a device (leases,
// enrolment) compares proof.JKT with the device's key. The proof is nil when none was sent.
func (g *Guard) User(ctx context.Context, r Request, now time.Time) (Principal, *Proof, error) {
	scheme, token, err := credentials(r.Authorization)
	if err != nil {
		return Principal{}, nil, err
	}
	p, err := g.Access.Verify(ctx, token, now)
	if err != nil {
		return Principal{}, nil, err
	}
	if (scheme == dpopScheme) != (p.CnfJKT != "") {
		return Principal{}, nil, badToken("wrong-scheme")
	}
	if scheme == bearerScheme && len(r.DPoP) == 0 {
		return p, nil, nil
	}
	proof, err := g.proof(r, Want{Token: token, JKT: p.CnfJKT}, now)
	if err != nil {
		return Principal{}, nil, err
	}
	return p, &proof, nil
}

// Device authenticates a lease token and the device key it is bound to. An expired lease is
// no error (A6): the caller lets it push and nothing else.
func (g *Guard) Device(r Request, now time.Time) (c LeaseClaims, expired bool, p Proof, err error) {
	scheme, token, err := credentials(r.Authorization)
	if err != nil {
		return LeaseClaims{}, false, Proof{}, err
	}
	if scheme != dpopScheme {
		return LeaseClaims{}, false, Proof{}, badToken("wrong-scheme")
	}
	if c, expired, err = g.Leases.ParseLease(token, now); err != nil {
		return LeaseClaims{}, false, Proof{}, err
	}
	if p, err = g.proof(r, Want{Token: token, JKT: c.JKT}, now); err != nil {
		return LeaseClaims{}, false, Proof{}, err
	}
	return c, expired, p, nil
}

// Possession checks a proof that stands alone: enrolment, where the device has a key and no
// token yet. Any key is good; what it may do is decided by the one-time code.
func (g *Guard) Possession(r Request, now time.Time) (Proof, error) {
	return g.proof(r, Want{}, now)
}

func (g *Guard) proof(r Request, want Want, now time.Time) (Proof, error) {
	// RFC 9449 section 4.3: not more than one DPoP header, or two readers could each check
	// another one.
	if len(r.DPoP) != 1 {
		return Proof{}, badProof("not-one-proof")
	}
	want.Method, want.URL = r.Method, r.URL
	return g.Proofs.VerifyProof(r.DPoP[0], want, now)
}

const (
	bearerScheme = "bearer"
	dpopScheme   = "dpop"
)

// credentials reads the Authorization header: one line, one scheme, one token.
func credentials(values []string) (scheme, token string, err error) {
	if len(values) == 0 || (len(values) == 1 && values[0] == "") {
		return "", "", &refusal{ErrNoCredentials, "no-authorization"}
	}
	if len(values) > 1 {
		return "", "", badToken("several-authorizations")
	}
	scheme, token, _ = strings.Cut(values[0], " ")
	scheme = strings.ToLower(scheme)
	if scheme != bearerScheme && scheme != dpopScheme {
		return "", "", badToken("unknown-scheme")
	}
	if token == "" || strings.ContainsAny(token, " ,\t") {
		return "", "", badToken("not-a-jws")
	}
	return scheme, token, nil
}
