package main

import (
	"net/http"
	"slices"
	gosync "sync"
	"time"
)

// meter measures calls of a kind. It counts bodies as they are sent, compressed.
type meter struct {
	base http.RoundTripper
	now  func() time.Time

	mu     gosync.Mutex
	phases meterPhases
}

// Kinds of calls that are measured.
const (
	meterPush = iota
	meterPull
	meterLogin
	meterKinds
)

var meterPaths = map[string]int{"/v1/sync/push": meterPush, "/v1/sync/pull": meterPull, "/v1/leases": meterLogin}

type meterPhases [meterKinds]meterPhase

// meterPhase is what happened since the meter was last read.
type meterPhase struct {
	took   []time.Duration // of calls that were answered with success
	bytes  int64           // of those calls' bodies
	turned int             // calls that were told to come later
	failed int             // calls with another answer, or none
}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) { return m.measure(m.base, req) }

// metered is a meter over a network of its own.
type metered struct {
	m    *meter
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (v *metered) RoundTrip(req *http.Request) (*http.Response, error) {
	return v.m.measure(v.base, req)
}

func (m *meter) measure(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	kind, measured := meterPaths[req.URL.Path]
	if !measured {
		return base.RoundTrip(req)
	}
	began := m.now()
	res, err := base.RoundTrip(req)
	took := m.now().Sub(began)
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.phases[kind]
	switch {
	case err != nil:
		p.failed++
	case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated:
		p.took = append(p.took, took)
		p.bytes += max(req.ContentLength, 0)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable:
		p.turned++
	case res.StatusCode == http.StatusUnauthorized:
		// The server asks for another proof, and the tablet makes it: not an end.
	default:
		p.failed++
	}
	return res, err
}

// CloseIdleConnections is what http.Client asks of its transport.
func (m *meter) CloseIdleConnections() { closeIdle(m.base) }

// CloseIdleConnections is what http.Client asks of its transport.
func (v *metered) CloseIdleConnections() { closeIdle(v.base) }

func closeIdle(base http.RoundTripper) {
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// read takes what was measured and begins anew.
func (m *meter) read() meterPhases {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.phases
	m.phases = meterPhases{}
	return p
}

// quantile of durations, in milliseconds, by nearest rank; 0 for none.
func quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Clone(took)
	slices.Sort(sorted)
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i]) / float64(time.Millisecond)
}

// rate is things a second, 0 when no time passed.
func rate(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
