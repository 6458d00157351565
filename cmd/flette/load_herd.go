package main

import (
	"cmp"
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"slices"
	gosync "sync"
	"time"

	"flette/model"
)

// herdPlan is how a population that was offline comes back.
type herdPlan struct {
	Within time.Duration // they all begin in it, at times that follow from the seed
	Login  int           // of a hundred tablets, so many log in first
}

// Herds that --herd names.
const (
	herdNight  = "night"  // offline since the evening: four visits to hand in
	herdOutage = "outage" // the server was away for four hours in mid-day: four visits an hour
)

var herdEntries = map[string]int{herdNight: 4, herdOutage: 16}

const herdTablets = 10_000

// herdReport says how the herd got in. The journal is compared with what was acknowledged,
// and replayed by the server.
type herdReport struct {
	WithinSeconds   float64    `json:"within_seconds"`
	DrainedSeconds  float64    `json:"drained_seconds"` // from the first arrival until the last tablet was done
	TabletP50       float64    `json:"tablet_p50_seconds"`
	TabletP99       float64    `json:"tablet_p99_seconds"` // from a tablet's arrival until it was done
	Login           callReport `json:"login"`
	Push            callReport `json:"push"`
	Pull            callReport `json:"pull"`
	Items           int64      `json:"items"` // pulled
	Doubled         int64      `json:"doubled"`
	Journal         int64      `json:"journal"` // entries in it
	VerifyProblems  []string   `json:"verify_problems"`
	ServerOwnBytes  int64      `json:"server_own_peak_bytes,omitzero"` // resident, without mapped files; sampled
	ServerCPU       float64    `json:"server_cpu_seconds,omitzero"`
	DriverCPU       float64    `json:"driver_cpu_seconds,omitzero"`
	ServerPeakBytes int64      `json:"server_peak_bytes,omitzero"`
}

// callReport is about calls of one kind. Only what was answered with 200 or 201 has a time, as
// the tablet sees it: from its first byte to the answer, with the wait for its turn.
type callReport struct {
	Answered   int     `json:"answered"`
	P50Millis  float64 `json:"p50_ms"`
	P99Millis  float64 `json:"p99_ms"`
	MaxMillis  float64 `json:"max_ms"`
	TurnedAway int     `json:"turned_away"` // answered with Retry-After
	Failed     int     `json:"failed"`      // no answer, or another
}

func (p *meterPhase) report() callReport {
	return callReport{len(p.took), quantile(p.took, 0.5), quantile(p.took, 0.99), quantile(p.took, 1), p.turned, p.failed}
}

func (h *herdReport) ok() bool { return h == nil || h.Doubled == 0 && len(h.VerifyProblems) == 0 }

// runHerd lets everybody come back: log in, push, pull, each tablet on a connection of its own
// and as patient as the server asks it to be.
func (f *fleet) runHerd(ctx context.Context) (*loadReport, error) {
	h := &herdReport{WithinSeconds: f.herd.Within.Seconds(), VerifyProblems: []string{}}
	r := &loadReport{
		Plan: f.plan, OfflineSeconds: f.plan.Offline.Seconds(), Encoding: cmp.Or(f.encoding, "identity"), Outcomes: map[string]int64{}, Herd: h,
	}
	began := f.now()
	if err := f.setup(ctx); err != nil {
		return r, fmt.Errorf("setup: %w", err)
	}
	tokens, err := f.herdTokens(ctx)
	if err != nil {
		return r, fmt.Errorf("tokens: %w", err)
	}
	r.SetupSeconds = f.now().Sub(began).Seconds()
	disk := storeBytes(f.target.at.Data)
	f.http.CloseIdleConnections()
	f.meter.read()

	server, known := processUsage(f.target.pid)
	driver, _ := processUsage(os.Getpid())
	stopSampling := f.sample(&h.ServerOwnBytes)
	err = f.stampede(ctx, tokens, &tally{outcomes: r.Outcomes}, h)
	stopSampling()
	if err != nil {
		return r, err
	}
	phases := f.meter.read()
	h.Login, h.Push, h.Pull = phases[meterLogin].report(), phases[meterPush].report(), phases[meterPull].report()
	if u, ok := processUsage(f.target.pid); ok && known {
		h.ServerCPU, h.ServerPeakBytes = (u.cpu - server.cpu).Seconds(), u.peak
		r.ServerPeakBytes, r.ServerHeapBytes = u.peak, u.heap
	}
	if u, ok := processUsage(os.Getpid()); ok {
		h.DriverCPU, r.DriverPeakBytes = (u.cpu - driver.cpu).Seconds(), u.peak
	}
	r.DiskBytesPerChange = float64(storeBytes(f.target.at.Data)-disk) / float64(f.plan.changes())
	if err := f.audit(ctx, &r.Audit); err != nil {
		return r, err
	}
	return r, f.auditHerd(ctx, h)
}

// herdTokens makes the access tokens of those who log in, before anything is measured: the
// identity provider is not the server under load.
func (f *fleet) herdTokens(ctx context.Context) ([]string, error) {
	tokens := make([]string, f.plan.Tablets)
	r := mathrand.New(mathrand.NewPCG(f.plan.Seed, 5))
	logsIn := make([]bool, f.plan.Tablets)
	for i := range logsIn {
		logsIn[i] = r.IntN(100) < f.herd.Login
	}
	return tokens, f.each(ctx, "tokens", 1, func(ctx context.Context, _, i int) (err error) {
		if logsIn[i] {
			tokens[i], err = f.target.token(ctx, f.plan.actor(i), "nurse")
		}
		return err
	})
}

// stampede starts every tablet at its time and waits until all are done. The first error ends it.
func (f *fleet) stampede(ctx context.Context, tokens []string, count *tally, h *herdReport) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type arrival struct {
		at     time.Duration
		tablet int
	}
	r := mathrand.New(mathrand.NewPCG(f.plan.Seed, 6))
	order := make([]arrival, f.plan.Tablets)
	for i := range order {
		order[i] = arrival{time.Duration(r.Float64() * float64(f.herd.Within)), i}
	}
	slices.SortFunc(order, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	step, done := f.progress("herd", f.plan.Tablets)
	defer done()
	var wg gosync.WaitGroup
	var mu gosync.Mutex
	var took []time.Duration
	began := f.now()
	for _, a := range order {
		if err := wait(ctx, a.at-f.now().Sub(began)); err != nil {
			break
		}
		wg.Go(func() {
			arrived := f.now()
			items, err := f.comeBack(ctx, a.tablet, tokens[a.tablet], count)
			if err != nil {
				cancel(fmt.Errorf("tablet %d: %w", a.tablet, err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, f.now().Sub(arrived))
			h.Items += items
			step()
		})
	}
	wg.Wait()
	if len(took) != f.plan.Tablets {
		return context.Cause(ctx)
	}
	h.DrainedSeconds = f.now().Sub(began).Seconds()
	h.TabletP50, h.TabletP99 = quantile(took, 0.5)/1000, quantile(took, 0.99)/1000
	return nil
}

// comeBack is one tablet's morning.
func (f *fleet) comeBack(ctx context.Context, i int, token string, count *tally) (items int64, err error) {
	entries, err := f.entries(i)
	if err != nil {
		return 0, err
	}
	own := f.fromOwnAddress(i)
	if own == nil {
		own = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	own.Transport, own.Timeout = &metered{f.meter, own.Transport}, 2*time.Minute
	defer own.CloseIdleConnections()
	t, err := f.tabletOn(own, i, entries)
	if err != nil {
		return 0, err
	}
	if token != "" {
		if _, err := t.Login(ctx, token); err != nil {
			return 0, err
		}
	}
	pushed, err := t.Push(ctx)
	if err != nil {
		return 0, err
	}
	count.add(pushed.Results)
	if err := f.members[i].acknowledge(pushed.Results); err != nil {
		return 0, err
	}
	pulled, err := t.Pull(ctx)
	if err != nil {
		return 0, err
	}
	return int64(pulled.Items), nil
}

// sample notes the most memory of its own that the server has, until stop is called.
func (f *fleet) sample(most *int64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for wait(ctx, 250*time.Millisecond) == nil {
			if u, ok := processUsage(f.target.pid); ok {
				*most = max(*most, u.heap)
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// auditHerd looks for what stands twice: two entries at one position, or more entries in the
// journal than were acknowledged. Then the server replays its journal.
func (f *fleet) auditHerd(ctx context.Context, h *herdReport) error {
	at, ids := map[int64]bool{}, map[model.EntryID]bool{}
	for i := range f.members {
		for _, a := range f.members[i].acks {
			if at[a.position] || ids[a.id] {
				h.Doubled++
			}
			at[a.position], ids[a.id] = true, true
		}
	}
	reports, err := doOp(ctx, f.target.at, verifyOp, f.target.tenant)
	if err != nil {
		return err
	}
	for _, r := range reports {
		h.Journal += r.Entries
		h.VerifyProblems = append(h.VerifyProblems, r.Problems...)
	}
	if extra := h.Journal - int64(len(ids)); extra > 0 {
		h.Doubled += extra
	}
	return nil
}

func (h *herdReport) text(line func(what, format string, args ...any)) {
	line("herd", "all back within %.0f s; the last one done %.1f s after the first came; a tablet's whole visit p50 %.2f s, p99 %.2f s",
		h.WithinSeconds, h.DrainedSeconds, h.TabletP50, h.TabletP99)
	for _, c := range []struct {
		name string
		callReport
	}{{"login", h.Login}, {"push", h.Push}, {"pull", h.Pull}} {
		if c.Answered > 0 {
			line("  "+c.name, "%d answered, p50 %.1f ms, p99 %.1f ms, longest %.0f ms; %d turned away, %d failed",
				c.Answered, c.P50Millis, c.P99Millis, c.MaxMillis, c.TurnedAway, c.Failed)
		}
	}
	if h.ServerCPU > 0 {
		line("", "CPU: server %.1f s, driver %.1f s (%.0f %% of both)", h.ServerCPU, h.DriverCPU, 100*h.DriverCPU/(h.ServerCPU+h.DriverCPU))
		line("", "server memory at most %.0f MiB its own, %.0f MiB with its mapped files", mib(h.ServerOwnBytes), mib(h.ServerPeakBytes))
	}
	line("", "journal of %d entries, %d doubled, verify: %d problems", h.Journal, h.Doubled, len(h.VerifyProblems))
}
