package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"flette/api/auth"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// failure is an answer that is not a success: a problem document and the headers that go
// with it.
type failure struct {
	contract.Problem
	challenge string        // WWW-Authenticate
	retry     int           // Retry-After in seconds, before jitter; 0 for the default of the status
	after     time.Duration // the same where the queue gave a time: times that differ already
	etag      string
	cause     error // for the log only
	hangUp    bool  // close the connection
}

// Error gives the code.
func (f *failure) Error() string { return f.Code }

// fail makes a failure of a code of the contract; detail "" means the code's own sentence.
func fail(code, detail string) *failure { return &failure{Problem: *contract.NewProblem(code, detail)} }

func failAt(code, pointer, detail string) *failure {
	f := fail(code, detail)
	const maxPointer = 500
	if len(pointer) <= maxPointer {
		f.Pointer = pointer
	}
	return f
}

// failureOf turns any error into the failure that the contract has for it (H6). It keeps
// the error for the log when the client is told less than it says.
func failureOf(err error) *failure {
	var f *failure
	var p *model.Problem
	var rewound *sync.RewoundError
	var revoked *sync.RevokedError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &p):
		return failureOfProblem(p)
	case errors.As(err, &rewound):
		f = fail("store-rewound", "")
		f.Size, f.Epoch, f.cause = &rewound.Size, rewound.Epoch, err
		return f
	case errors.As(err, &revoked):
		f = fail("device-revoked", "")
		f.Order = orderView(&revoked.Order)
		return f
	}
	for _, k := range errorCodes {
		if errors.Is(err, k.err) {
			f := fail(k.code, errorDetails[k.err])
			f.Pointer, f.cause = k.pointer, err
			if f.Status == http.StatusUnauthorized {
				f.challenge = auth.Challenge(auth.ErrInvalidToken)
			}
			return f
		}
	}
	f = fail("internal", "")
	f.cause = err
	return f
}

// errorDetails says more than the meaning of the code.
var errorDetails = map[error]string{
	sync.ErrBadCheckpoint: "The checkpoint is not a signed note of this tenant's journal.",
	sync.ErrOrder:         "This is not the order that stands for the device: the last push answer has it.",
}

// errorCodes is what the errors of the layers below are called on the wire.
var errorCodes = []struct {
	err           error
	code, pointer string
}{
	{sync.ErrCursor, "invalid-cursor", ""},
	{sync.ErrCursorGone, "cursor-gone", ""},
	{sync.ErrBadCheckpoint, "invalid-member", "/checkpoint"},
	{sync.ErrRevoked, "device-revoked", ""},
	{sync.ErrDesk, "conflict", ""},
	{sync.ErrOrder, "conflict", "/order"},
	{sync.ErrForked, "conflict", ""},
	{sync.ErrManyKeys, "conflict", ""},
	{sync.ErrKeyRetired, "lease-not-bound", ""},
	{sync.ErrInvite, "invite-invalid", ""},
	{sync.ErrDeviceExists, "device-exists", ""},
	{sync.ErrUnknownDevice, "unknown-device", ""},
	{sync.ErrNotInCaseload, "not-found", ""},
	{sync.ErrNoReview, "already-settled", ""},
	{sync.ErrSettled, "already-settled", ""},
	{sync.ErrNotReleasable, "not-releasable", ""},
	{sync.ErrHasAccess, "has-access", ""},
	{sync.ErrOwnUse, "forbidden", ""},
	{store.ErrNotFound, "not-found", ""},
	{store.ErrFull, "store-full", ""},
	{store.ErrClosed, "not-ready", ""},
	{store.ErrReadOnly, "not-ready", ""},
	{store.ErrNotWritable, "not-ready", ""},
	{store.ErrStopped, "not-ready", ""},
	{context.Canceled, "not-ready", ""},
	{context.DeadlineExceeded, "overloaded", ""},
}

// failureOfProblem renders a finding of the engine about what the request asked for. A code
// that only entries carry becomes invalid-member: where and why stay readable.
func failureOfProblem(p *model.Problem) *failure {
	code, pointer := p.Code, p.Pointer
	switch known, ok := contract.LookupCode(code); {
	case code == sync.CodeUnknownPerson:
		code = "not-found"
	case !ok || known.Status == 0:
		code = "invalid-member"
	}
	f := failAt(code, pointer, p.Detail)
	f.Rule = p.Rule
	return f
}

// failureOfAuth renders what the guard found. lease says that the route speaks of leases, so
// that its answers name them.
func failureOfAuth(err error, lease bool) *failure {
	var f *failure
	switch {
	case errors.Is(err, auth.ErrNoCredentials):
		f = fail("unauthenticated", "")
	case errors.Is(err, auth.ErrInvalidToken) && lease:
		f = fail("invalid-lease", "")
	case errors.Is(err, auth.ErrInvalidToken):
		f = fail("invalid-token", "")
	case errors.Is(err, auth.ErrUseNonce):
		f = fail("use-dpop-nonce", "")
	case errors.Is(err, auth.ErrInvalidProof):
		switch auth.Reason(err) {
		case "replayed":
			f = fail("replayed-proof", "")
		case "wrong-key":
			f = fail("lease-not-bound", "")
		default:
			f = fail("invalid-dpop", "")
		}
	case errors.Is(err, auth.ErrTooManyProofs):
		f = fail("rate-limited", "")
		f.retry = 60
	case errors.Is(err, auth.ErrUnavailable):
		f = fail("not-ready", "")
	default:
		return failureOf(err)
	}
	f.challenge, f.cause = auth.Challenge(err), err
	return f
}

// challenge is the WWW-Authenticate of a 401 that the guard did not give itself.
func challenge(word string) string {
	return strings.Replace(auth.Challenge(auth.ErrInvalidToken), "invalid_token", word, 1)
}
