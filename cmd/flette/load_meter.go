package main

import (
	"net/http"
	"slices"
	gosync "sync"
	"time"
)

// meter is a transport that measures pushes. It counts bodies as they are sent, compressed.
type meter struct {
	base http.RoundTripper
	now  func() time.Time

	mu    gosync.Mutex
	phase meterPhase
}

// meterPhase is what happened since the meter was last read.
type meterPhase struct {
	took   []time.Duration // of pushes that were answered with 200
	bytes  int64           // of those pushes' bodies
	turned int             // pushes that were told to come later
	failed int             // pushes with another answer, or none
}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/v1/sync/push" {
		return m.base.RoundTrip(req)
	}
	began := m.now()
	res, err := m.base.RoundTrip(req)
	took := m.now().Sub(began)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		m.phase.failed++
	case res.StatusCode == http.StatusOK:
		m.phase.took = append(m.phase.took, took)
		m.phase.bytes += max(req.ContentLength, 0)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable:
		m.phase.turned++
	default:
		m.phase.failed++
	}
	return res, err
}

// CloseIdleConnections is what http.Client asks of its transport.
func (m *meter) CloseIdleConnections() {
	if c, ok := m.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// read takes what was measured and begins anew.
func (m *meter) read() meterPhase {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.phase
	m.phase = meterPhase{}
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
