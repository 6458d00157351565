package bench

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// BenchmarkPushGrowth measures the CPU of a push (5 entries of 10 changes) when the store
// already holds 1 k, 100 k and 1 M entries: it must not grow with them.
//
//	go test -run xxx -bench PushGrowth -benchtime 400x -timeout 30m ./internal/bench
func BenchmarkPushGrowth(b *testing.B) {
	for _, stored := range []int{1_000, 100_000, 1_000_000} {
		var w *world // filled once, however often the benchmark is tried
		var ts []*tablet
		parent := b
		b.Run(fmt.Sprintf("stored=%d", stored), func(b *testing.B) {
			if w == nil {
				w = newWorld(parent, 2000, bolt.Options{InitialMmapSize: 4 << 30})
				prefill(b, w, stored)
				ts = w.tablets(16)
			}
			batches := make([][][]byte, b.N)
			for i := range batches {
				for range 5 {
					batches[i] = append(batches[i], ts[i%len(ts)].entry(10))
				}
			}
			w.now += 3_600_000
			b.ResetTimer()
			start := cpuTime()
			for i := range batches {
				w.push(ts[i%len(ts)], batches[i])
			}
			b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-us/push")
		})
	}
}

// prefill appends entries as if they had been pushed, without signatures: spread over all
// persons, two units each, with heads that name what they replaced.
func prefill(b *testing.B, w *world, n int) {
	b.Helper()
	r := rand.New(rand.NewPCG(3, 3))
	device := model.DeviceID{9}
	last := map[model.PersonID]model.EntryID{}
	at := map[model.PersonID]int64{}
	for done := 0; done < n; {
		group := min(5000, n-done)
		_, err := w.st.Update(b.Context(), tenant, nil, func(tx store.Tx) error {
			for i := range group {
				person := w.persons[1+r.IntN(len(w.persons)-1)]
				pos := tx.Size()
				e := filler(w, person, device, int64(done+i+1), last[person])
				id := model.NewEntryID(e.Payload)
				e.ID, e.UnitPrev = id, []int64{-1, -1}
				if p, ok := at[person]; ok {
					e.UnitPrev = []int64{p, p}
				}
				if _, err := tx.AppendEntry(e); err != nil {
					return err
				}
				for k, u := range []model.Unit{"score/assist_memory", "score/vision"} {
					s := &model.UnitState{Unit: u, Position: pos, Heads: []model.Head{{
						ID: id, Position: pos, Act: model.ActRegister, Actor: "filler", Device: device, Seq: e.Seq,
						Stamp: e.Stamp, Value: fmt.Appendf(nil, `{"score":%d}`, 1+k),
					}}}
					if err := tx.PutUnit(person, s); err != nil {
						return err
					}
				}
				last[person], at[person] = id, pos
			}
			return nil
		})
		check(b, err)
		done += group
	}
}

func filler(w *world, person model.PersonID, device model.DeviceID, seq int64, over model.EntryID) *store.LogEntry {
	var names []model.EntryID
	if !over.IsZero() {
		names = []model.EntryID{over}
	}
	en := model.Entry{
		V: 1, Tenant: tenant, Device: device, Seq: seq, Actor: "filler", Clock: model.ClockMonotonic, Wall: w.now, Person: person,
		Act: model.ActRegister, Changes: []model.Change{
			{Unit: "score/assist_memory", Value: jsontext.Value(`{"score":1,"note":"eldre tilsyn, oppdiktet"}`), Over: names},
			{Unit: "score/vision", Value: jsontext.Value(`{"score":2,"note":"eldre tilsyn, oppdiktet"}`), Over: names},
		},
	}
	payload, err := json.Marshal(en)
	if err != nil {
		panic(err)
	}
	return &store.LogEntry{
		Person: person, Device: device, Seq: seq, Actor: "filler", Act: model.ActRegister, Outcome: store.Applied,
		Stamp:  model.Stamp{Wall: w.now, T: w.now, U: 1000, Lo: w.now, Hi: w.now, TEff: w.now, Class: model.ClockA},
		Header: []byte(`{"alg":"EdDSA","kid":"09000000-0000-0000-0000-000000000000","typ":"flette-entry+jws"}`), Payload: payload,
		Signature: make([]byte, 64),
	}
}

// BenchmarkPullHistory measures the CPU of pulling the same small change when the persons'
// histories are 10, 1 000 and 10 000 entries long: pull must not see history.
func BenchmarkPullHistory(b *testing.B) {
	for _, history := range []int{10, 1_000, 10_000} {
		var w *world
		var ts []*tablet
		var cursor string
		parent := b
		b.Run(fmt.Sprintf("entries-per-person=%d", history), func(b *testing.B) {
			if w == nil {
				w = newWorld(parent, 21, bolt.Options{InitialMmapSize: 1 << 30})
				prefill(b, w, history*20)
				ts = w.tablets(2)
				w.now += 60_000
				cursor = drain(b, w, ts[1], "")
				for range 10 {
					w.push(ts[0], [][]byte{ts[0].entry(5)})
				}
			}
			// The reader has the writer's shared person and its own ten.
			b.ResetTimer()
			start := cpuTime()
			for range b.N {
				drain(b, w, ts[1], cursor)
			}
			b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-us/pull")
		})
	}
}

func drain(b *testing.B, w *world, t *tablet, cursor string) string {
	b.Helper()
	for {
		page, err := w.e.Pull(b.Context(), sync.PullRequest{Tenant: tenant, Device: t.id, Actor: t.actor, Cursor: cursor})
		check(b, err)
		cursor = page.Cursor
		if !page.More {
			return cursor
		}
	}
}

// BenchmarkSteadyState pushes one change at a time from 64 tablets at once, with the group
// committer and with one commit per push, in the same run.
func BenchmarkSteadyState(b *testing.B) {
	run := func(o bolt.Options) float64 {
		w := newWorld(b, 1+64*perTablet, o)
		ts := w.tablets(64)
		const each = 30
		work := map[*tablet][][]byte{}
		for _, t := range ts {
			for range each {
				work[t] = append(work[t], t.entry(1))
			}
		}
		w.now += 3_600_000
		start := time.Now()
		parallel(ts, func(t *tablet) {
			for _, e := range work[t] {
				w.push(t, [][]byte{e})
			}
		})
		return 64 * each / time.Since(start).Seconds()
	}
	var on, off, ratio []float64
	for b.Loop() {
		x, y := run(bolt.Options{}), run(bolt.Options{NoGrouping: true})
		on, off, ratio = append(on, x), append(off, y), append(ratio, x/y)
	}
	b.ReportMetric(median(on), "grouped/s")
	b.ReportMetric(median(off), "ungrouped/s")
	b.ReportMetric(median(ratio), "ratio")
}

// cpuTime is what this process has used of the processor.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
