package client

import (
	"context"
	"net/http"

	contract "flette/mobile-contract"
)

// BreakGlass takes a person in an emergency, for the user who is logged in. The next Pull
// brings the person. It is safe to repeat: a use that runs is answered as it is.
func (t *Tablet) BreakGlass(ctx context.Context, r contract.BreakGlassRequest) (*contract.BreakGlassView, error) {
	t.net.Lock()
	defer t.net.Unlock()
	t.mu.Lock()
	if t.s.Lease == nil {
		t.mu.Unlock()
		return nil, ErrNoLease
	}
	token := t.s.Lease.Token
	t.mu.Unlock()
	out := new(contract.BreakGlassView)
	if _, err := t.call.do(ctx, request{
		method: http.MethodPost, path: "/v1/break-glass", scheme: "DPoP", token: token, safe: true, in: r, out: out,
	}); err != nil {
		return nil, t.failed(err)
	}
	return out, nil
}
