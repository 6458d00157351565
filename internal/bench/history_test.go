package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/store/bolt"
)

// BenchmarkPushHistory measures the CPU of a push (ten scores and a visit's time, all rules on) about
// a person of whom the store already holds 10, 1 000 and 10 000 visits: findings and the
// time index follow what changed, not what there is.
//
//	go test -run xxx -bench PushHistory -benchtime 300x ./internal/bench
func BenchmarkPushHistory(b *testing.B) {
	for _, visits := range []int{10, 1_000, 10_000} {
		var w *world
		var ts []*tablet
		parent := b
		b.Run(fmt.Sprintf("visits=%d", visits), func(b *testing.B) {
			if w == nil {
				w = newWorld(parent, 11, bolt.Options{InitialMmapSize: 1 << 30})
				ts = w.tablets(1)
				person := ts[0].persons[1]
				for done := 0; done < visits; {
					var batch [][]byte
					for range min(200, visits-done) {
						batch = append(batch, ts[0].visit(person))
						done++
					}
					w.now += 1_000_000
					w.push(ts[0], batch)
				}
			}
			batches := make([][][]byte, b.N)
			for i := range batches {
				batches[i] = [][]byte{ts[0].visit(ts[0].persons[1])}
			}
			w.now += 3_600_000
			b.ResetTimer()
			start := cpuTime()
			for i := range batches {
				w.push(ts[0], batches[i])
			}
			b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-us/push")
		})
	}
}

// visit signs ten scores and 25 minutes of direct time, an hour after the visit before.
func (t *tablet) visit(person model.PersonID) []byte {
	start := time.Date(2020, 1, 1, int(t.seq), 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return start.Add(d).UTC().Format(time.RFC3339) }
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", t.seq+1)
	return t.sealed(person, 10, model.Change{
		Unit:  model.Unit("time/" + id),
		Value: jsontext.Value(fmt.Sprintf(`{"start":%q,"stop":%q,"kind":"direct"}`, at(0), at(25*time.Minute))),
	})
}
