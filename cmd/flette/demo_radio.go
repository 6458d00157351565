package main

import (
	"errors"
	"io"
	"net/http"
	gosync "sync"
)

// radio is a tablet's network: it can be off, and it can lose an answer after the server has
// done the work.
type radio struct {
	base http.RoundTripper

	mu   gosync.Mutex
	off  bool
	lose int // answers of status 200 to lose from now on
}

var (
	errNoCoverage = errors.New("no coverage")
	errLostAnswer = errors.New("the connection broke before the answer came")
)

func (r *radio) turn(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off = !on
}

func (r *radio) loseNext() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose++
}

// RoundTrip implements http.RoundTripper.
func (r *radio) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	off := r.off
	r.mu.Unlock()
	if off {
		if req.Body != nil {
			return nil, errors.Join(errNoCoverage, req.Body.Close())
		}
		return nil, errNoCoverage
	}
	res, err := r.base.RoundTrip(req)
	if err != nil || res.StatusCode != http.StatusOK || !r.loses() {
		return res, err
	}
	// The whole answer is on the way when the connection breaks: the server is done.
	_, err = io.Copy(io.Discard, res.Body)
	return nil, errors.Join(errLostAnswer, err, res.Body.Close())
}

// loses reports whether this answer is to be lost, and counts it.
func (r *radio) loses() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lose == 0 {
		return false
	}
	r.lose--
	return true
}
