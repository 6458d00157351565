package auth

import "errors"

// What a client may learn (A7). Compare with errors.Is.
var (
	ErrNoCredentials = errors.New("credentials required")             // 401
	ErrInvalidToken  = errors.New("invalid token")                    // 401
	ErrInvalidProof  = errors.New("invalid DPoP proof")               // 401
	ErrUseNonce      = errors.New("DPoP proof needs the given nonce") // 401, with a DPoP-Nonce header
	ErrTooManyProofs = errors.New("too many DPoP proofs")             // 429
	ErrUnavailable   = errors.New("issuer keys unavailable")          // 503: the token was not judged
)

// refusal carries the reason beside the sentence; only the sentence is in Error().
type refusal struct {
	kind   error
	reason string
}

func (r *refusal) Error() string { return r.kind.Error() }
func (r *refusal) Unwrap() error { return r.kind }

func badToken(reason string) error { return &refusal{ErrInvalidToken, reason} }
func badProof(reason string) error { return &refusal{ErrInvalidProof, reason} }

// Reason returns a stable kebab-case word for the log, "" when err is none of ours. It never
// holds anything that the client sent.
func Reason(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.reason
	}
	return ""
}

// Challenge returns the WWW-Authenticate value that goes with a 401 (RFC 6750 section 3,
// RFC 9449 section 7.1), or "" when err is not answered with 401.
func Challenge(err error) string {
	const scheme = `DPoP algs="ES256 EdDSA"`
	switch {
	case errors.Is(err, ErrNoCredentials):
		return scheme
	case errors.Is(err, ErrInvalidToken):
		return scheme + `, error="invalid_token"`
	case errors.Is(err, ErrInvalidProof):
		return scheme + `, error="invalid_dpop_proof"`
	case errors.Is(err, ErrUseNonce):
		return scheme + `, error="use_dpop_nonce"`
	}
	return ""
}
