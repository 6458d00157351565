package main

import (
	"context"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	gosync "sync"
	"time"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// tally counts outcomes of pushes.
type tally struct {
	mu       gosync.Mutex
	outcomes map[string]int64
}

func (t *tally) add(results []contract.PushResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range results {
		t.outcomes[results[i].Outcome]++
	}
}

// run takes the fleet through its phases. The error is about the run itself; what is
// missing afterwards stands in the report.
func (f *fleet) run(ctx context.Context) (*loadReport, error) {
	r := &loadReport{Plan: f.plan, OfflineSeconds: f.plan.Offline.Seconds(), Encoding: f.encoding, Outcomes: map[string]int64{}}
	if r.Encoding == "" {
		r.Encoding = "identity"
	}
	began := f.now()
	if err := f.setup(ctx); err != nil {
		return r, fmt.Errorf("setup: %w", err)
	}
	r.SetupSeconds = f.now().Sub(began).Seconds()
	disk := storeBytes(f.target.at.Data)
	count := &tally{outcomes: r.Outcomes}
	f.meter.read()

	var err error
	r.Burst, err = f.measured(int64(f.plan.Tablets)*int64(f.plan.Entries), int64(f.plan.Changes), func() error {
		return f.each(ctx, "burst", 1, func(ctx context.Context, _, i int) error { return f.burst(ctx, i, count) })
	})
	if err != nil {
		return r, err
	}
	if f.plan.Steady > 0 {
		awake, err := f.wake()
		if err != nil {
			return r, err
		}
		r.Steady, err = f.measured(int64(f.plan.Tablets)*int64(f.plan.Steady), 1, func() error {
			return f.each(ctx, "steady", f.plan.Steady, func(ctx context.Context, k, i int) error {
				return f.steady(ctx, awake[i], i, k, count)
			})
		})
		if err != nil {
			return r, err
		}
	}
	r.DiskBytesPerChange = float64(storeBytes(f.target.at.Data)-disk) / float64(f.plan.changes())
	if err := f.pull(ctx, r); err != nil {
		return r, err
	}
	if u, ok := processUsage(f.target.pid); ok {
		r.ServerPeakBytes, r.ServerHeapBytes = u.peak, u.heap
	}
	if u, ok := processUsage(os.Getpid()); ok {
		r.DriverPeakBytes = u.peak
	}
	return r, f.audit(ctx, &r.Audit)
}

// setup is everything before the burst: none of it is measured.
func (f *fleet) setup(ctx context.Context) error {
	if err := f.target.addTenant(ctx, f.salt); err != nil {
		return err
	}
	const chunk = 2000
	for first := 0; first < f.plan.persons(); first += chunk {
		ids, err := f.target.importPersons(ctx, f.plan.people(first, chunk))
		if err != nil {
			return err
		}
		f.people = append(f.people, ids...)
	}
	if err := f.each(ctx, "enrol", 1, func(ctx context.Context, _, i int) error { return f.enrol(ctx, i) }); err != nil {
		return err
	}
	loggedIn := f.now()
	if err := f.each(ctx, "sign", 1, func(_ context.Context, _, i int) error { return f.signOffline(i) }); err != nil {
		return err
	}
	// What the entries claim about their time must be possible when they arrive.
	timer := time.NewTimer(f.plan.Offline - f.now().Sub(loggedIn))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// measured runs a phase of pushes and reads the clocks around it.
func (f *fleet) measured(entries, changesEach int64, phase func() error) (*pushReport, error) {
	before, known := processUsage(f.target.pid)
	began := f.now()
	if err := phase(); err != nil {
		return nil, err
	}
	took := f.now().Sub(began)
	m := f.meter.read()[meterPush]
	changes := entries * changesEach
	p := &pushReport{
		Seconds: took.Seconds(), Entries: entries, Changes: changes,
		EntriesPerSecond: rate(entries, took), ChangesPerSecond: rate(changes, took),
		Pushes: len(m.took), P50Millis: quantile(m.took, 0.5), P99Millis: quantile(m.took, 0.99),
		TurnedAway: m.turned, Failed: m.failed, WireBytesPerChange: float64(m.bytes) / float64(changes),
	}
	if after, ok := processUsage(f.target.pid); ok && known {
		p.ServerCPUPer1000 = (after.cpu - before.cpu).Seconds() * 1000 / float64(changes)
	}
	return p, nil
}

func (f *fleet) burst(ctx context.Context, i int, count *tally) error {
	entries, err := f.entries(i)
	if err != nil {
		return err
	}
	results, err := f.push(ctx, i, entries)
	if err != nil {
		return err
	}
	count.add(results)
	return f.members[i].acknowledge(results)
}

// wake makes a client for every tablet before the phase that needs it again and again.
func (f *fleet) wake() ([]*client.Tablet, error) {
	out := make([]*client.Tablet, f.plan.Tablets)
	for i := range out {
		var err error
		if out[i], err = f.tablet(i, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// steady is a nurse with coverage: one registration, sent at once.
func (f *fleet) steady(ctx context.Context, t *client.Tablet, i, k int, count *tally) error {
	w := f.plan.steady(i, k)
	if _, err := t.Sign(f.people[w.person], model.ActRegister, w.changes, client.SignOptions{}); err != nil {
		return err
	}
	box, err := f.spool.put([]string{t.Outbox()[0].JWS})
	if err != nil {
		return err
	}
	report, err := t.Push(ctx)
	if err != nil {
		return err
	}
	count.add(report.Results)
	f.members[i].boxes = append(f.members[i].boxes, box)
	return f.members[i].acknowledge(report.Results)
}

// pull lets every tablet load its caseload from nothing.
func (f *fleet) pull(ctx context.Context, r *loadReport) error {
	var mu gosync.Mutex
	before, known := processUsage(f.target.pid)
	began := f.now()
	err := f.each(ctx, "pull", 1, func(ctx context.Context, _, i int) error {
		t, err := f.tablet(i, nil)
		if err != nil {
			return err
		}
		got, err := t.Pull(ctx)
		mu.Lock()
		defer mu.Unlock()
		r.Pull.Items += int64(got.Items)
		r.Pull.Pages += int64(got.Pages)
		return err
	})
	took := f.now().Sub(began)
	r.Pull.Seconds, r.Pull.ItemsPerSecond = took.Seconds(), rate(r.Pull.Items, took)
	if after, ok := processUsage(f.target.pid); ok && known && r.Pull.Items > 0 {
		r.Pull.ServerCPUPer1000 = (after.cpu - before.cpu).Seconds() * 1000 / float64(r.Pull.Items)
	}
	return err
}

// audit asks for every acknowledged entry: by pushing it again, and for some persons by
// reading the history.
func (f *fleet) audit(ctx context.Context, a *auditReport) error {
	var mu gosync.Mutex
	err := f.each(ctx, "audit", 1, func(ctx context.Context, _, i int) error {
		entries, err := f.entries(i)
		if err != nil {
			return err
		}
		missing, err := auditTablet(ctx, f, i, entries, f.members[i].acks)
		mu.Lock()
		defer mu.Unlock()
		a.Checked += int64(len(entries))
		a.lose(missing)
		return err
	})
	if err != nil {
		return err
	}
	return f.auditSample(ctx, a)
}

const historySample = 25

func (f *fleet) auditSample(ctx context.Context, a *auditReport) error {
	token, err := f.target.token(ctx, "load-supervisor", "supervisor")
	if err != nil {
		return err
	}
	desk, err := client.NewAPI(client.APIConfig{URL: f.target.url, HTTP: f.http, Token: token, Tries: patience})
	if err != nil {
		return err
	}
	order := mathrand.New(mathrand.NewPCG(f.plan.Seed, 3)).Perm(f.plan.persons())
	for _, p := range order[:min(historySample, len(order))] {
		var history []contract.HistoryEntry
		for cursor := ""; ; {
			page, err := desk.History(ctx, f.people[p], "", cursor)
			if err != nil {
				return err
			}
			history = append(history, page.Entries...)
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		a.HistoryPersons++
		a.lose(auditHistory(f.about(p), history))
	}
	return nil
}

// about lists what was acknowledged of a person: by its own tablet, and by the one that
// shares it.
func (f *fleet) about(person int) map[model.EntryID]lost {
	own := person / loadCaseload
	out := f.aboutBy(own, person)
	if n := f.plan.Tablets; n > 1 {
		maps.Copy(out, f.aboutBy((own+n-1)%n, person))
	}
	return out
}

func (f *fleet) aboutBy(tablet, person int) map[model.EntryID]lost {
	out := map[model.EntryID]lost{}
	for k, a := range f.members[tablet].acks {
		var w work
		if k < f.plan.Entries {
			w = f.plan.offline(tablet, k)
		} else {
			w = f.plan.steady(tablet, k-f.plan.Entries)
		}
		if w.person == person {
			out[a.id] = lost{Tablet: tablet, Entry: a.id, Position: a.position}
		}
	}
	return out
}
