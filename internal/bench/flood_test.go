package bench

import (
	"fmt"
	"testing"

	"flette/store/bolt"
	"flette/sync"
)

// BenchmarkFlood measures the CPU of a push of one entry by a tablet that sends what no tablet
// should, when the store holds so many such entries already: with a seq that all of them have,
// with a payload that nobody can read, and with a hole before every seq. It must not grow with them.
//
//	go test -run xxx -bench Flood -benchtime 200x ./internal/bench
func BenchmarkFlood(b *testing.B) {
	for _, c := range []struct {
		name string
		next func(t *tablet, i int) []byte
	}{
		{"same-seq", func(t *tablet, _ int) []byte { t.seq, t.prev = 0, ""; return t.entry(1) }},
		{"unreadable", func(t *tablet, i int) []byte { return t.sign(fmt.Appendf(nil, `{"nonsense":%d}`, i)) }},
		{"holes", func(t *tablet, _ int) []byte { t.seq++; return t.entry(1) }},
	} {
		for _, stored := range []int{500, 5000} {
			b.Run(fmt.Sprintf("%s/stored=%d", c.name, stored), func(b *testing.B) {
				w := newWorld(b, 2000, bolt.Options{})
				t := w.tablets(1)[0]
				w.now += 3_600_000
				push := func(entries [][]byte) {
					out, err := w.e.Push(b.Context(), sync.PushRequest{Tenant: tenant, Device: t.id, Actor: t.actor, Entries: entries})
					check(b, err)
					for _, r := range out.Results {
						if r.Position < 0 {
							b.Fatalf("outcome %s %v", r.Outcome, r.Problem)
						}
					}
				}
				n := 0
				for n < stored {
					var batch [][]byte
					for range 100 {
						batch, n = append(batch, c.next(t, n)), n+1
					}
					push(batch)
				}
				var batches [][][]byte
				for range b.N {
					batches, n = append(batches, [][]byte{c.next(t, n)}), n+1
				}
				b.ResetTimer()
				start := cpuTime()
				for _, batch := range batches {
					push(batch)
				}
				b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-us/push")
			})
		}
	}
}
