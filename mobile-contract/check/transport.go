package check

import (
	"bytes"
	"io"
	"net/http"
)

// Transport wraps a transport (nil for http.DefaultTransport) so that every exchange is
// checked. What is wrong goes to report, which may be called from several goroutines; the
// exchange itself is left as it is.
func (c *Checker) Transport(base http.RoundTripper, report func(error)) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		var sent []byte
		if req.Body != nil {
			var err error
			if sent, err = io.ReadAll(req.Body); err != nil {
				return nil, err
			}
			if err := req.Body.Close(); err != nil {
				return nil, err
			}
			clone := *req // a transport must not change the request it was given
			clone.Body = io.NopCloser(bytes.NewReader(sent))
			req = &clone
		}
		res, err := base.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if c.err == nil && c.streamedAnswer(req, sent, res, report) {
			return res, nil
		}
		got, err := io.ReadAll(res.Body)
		if cerr := res.Body.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
		res.Body = io.NopCloser(bytes.NewReader(got))
		if err := c.Exchange(req, sent, res, got); err != nil {
			report(err)
		}
		return res, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
