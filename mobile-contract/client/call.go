package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
)

// Error is an answer that is not a success.
type Error struct {
	Problem    *contract.Problem // never nil; without a code when the answer was no problem document
	Status     int
	RetryAfter time.Duration // 0 when the server did not say
	ETag       string        // of 412: to decide again on Problem.Current
}

func (e *Error) Error() string {
	return fmt.Sprintf("server answered %d %s: %s", e.Status, e.Problem.Code, e.Problem.Detail)
}

// CodeOf returns the problem code in an error's chain, or "".
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Problem.Code
	}
	return ""
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// caller makes requests: proofs, nonces, retries.
type caller struct {
	base  string
	http  *http.Client
	wall  func() time.Time
	sleep func(context.Context, time.Duration) error
	rand  io.Reader
	tries int
	prove *prover // nil: plain bearer tokens

	mu    sync.Mutex
	nonce string
}

// request is one call. Body is encoded once, whatever the number of tries.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	scheme       string // Authorization scheme, "" for none
	token        string
	in           any    // JSON body, nil for none
	encoding     string // of the body
	safe         bool   // may be sent again when no answer came
	out          any    // JSON answer, nil to ignore; *[]byte for the bytes, *io.ReadCloser for a body to be read as it comes
}

// do calls until there is an answer that is final. It returns the answer's headers, and an
// *Error for every status of 400 and more.
func (c *caller) do(ctx context.Context, r request) (http.Header, error) {
	var body []byte
	if r.in != nil {
		plain, err := json.Marshal(r.in)
		if err != nil {
			return nil, fmt.Errorf("client: request: %w", err)
		}
		if body, err = encodeBody(r.encoding, plain); err != nil {
			return nil, err
		}
	}
	nonced := false
	for try := 1; ; try++ {
		header, err := c.once(ctx, r, body)
		var answer *Error
		switch {
		case err == nil || ctx.Err() != nil:
			return header, err
		case errors.As(err, &answer):
			if answer.Problem.Code == "use-dpop-nonce" && !nonced {
				nonced, try = true, try-1 // not a failure: the server asked for another proof
				continue
			}
			// Transports repeat a request by themselves when a connection breaks, with the proof
			// that was used up: the first answer is lost, and a new proof gets another one.
			repeated := answer.Problem.Code == "replayed-proof" && r.safe
			if !repeated && answer.Status != http.StatusTooManyRequests && answer.Status != http.StatusServiceUnavailable {
				return header, err
			}
		case !r.safe:
			return header, err
		}
		if try >= c.tries {
			return header, err
		}
		var after time.Duration
		if answer != nil {
			after = answer.RetryAfter
		}
		if err := c.wait(ctx, try, after); err != nil {
			return header, err
		}
	}
}

const firstWait = 500 * time.Millisecond

// wait is T10: what the server says, or a wait that doubles, and jitter on both, so that
// tablets that failed together do not come back together.
func (c *caller) wait(ctx context.Context, try int, after time.Duration) error {
	base := after
	if base == 0 {
		base = firstWait << min(try-1, 7)
	}
	var b [4]byte
	if _, err := io.ReadFull(c.rand, b[:]); err != nil {
		return fmt.Errorf("client: random: %w", err)
	}
	share := float64(binary.BigEndian.Uint32(b[:])) / (1 << 32)
	return c.sleep(ctx, base+time.Duration(share*float64(base)/2))
}

func (c *caller) once(ctx context.Context, r request, body []byte) (http.Header, error) {
	target := c.base + r.path
	var reader io.Reader
	if r.in != nil {
		reader = bytes.NewReader(body)
	}
	full := target
	if len(r.query) > 0 {
		full += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, full, reader)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if r.in != nil {
		req.Header.Set("Content-Type", "application/json")
		if r.encoding != EncodingNone {
			req.Header.Set("Content-Encoding", r.encoding)
		}
	}
	if r.scheme != "" {
		req.Header.Set("Authorization", r.scheme+" "+r.token)
	}
	if r.scheme != "" && c.prove != nil {
		c.mu.Lock()
		nonce := c.nonce
		c.mu.Unlock()
		proof, err := c.prove.proof(r.method, target, c.wall(), r.token, nonce)
		if err != nil {
			return nil, err
		}
		req.Header.Set("DPoP", proof)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if nonce := res.Header.Get("DPoP-Nonce"); nonce != "" {
		c.mu.Lock()
		c.nonce = nonce
		c.mu.Unlock()
	}
	if stream, ok := r.out.(*io.ReadCloser); ok && res.StatusCode < 300 {
		*stream = res.Body
		return res.Header, nil
	}
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if cerr := res.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("client: answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return res.Header, asError(res, got)
	}
	switch out := r.out.(type) {
	case nil:
	case *[]byte:
		*out = got
	default:
		// Unknown members are ignored: the contract grows by adding.
		if err := json.Unmarshal(got, out); err != nil {
			return res.Header, fmt.Errorf("client: answer of %s %s: %w", r.method, r.path, err)
		}
	}
	return res.Header, nil
}

func asError(res *http.Response, body []byte) *Error {
	e := &Error{Problem: &contract.Problem{}, Status: res.StatusCode, ETag: res.Header.Get("ETag")}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		if json.Unmarshal(body, e.Problem) != nil {
			e.Problem = &contract.Problem{}
		}
	}
	if e.Problem.Code == "" {
		e.Problem.Detail = "the answer is no problem document"
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(min(s, 86400)) * time.Second
	}
	return e
}

// sleep waits for real; tests inject their own.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
