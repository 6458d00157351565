package bench

import (
	"path/filepath"
	"slices"
	gosync "sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"flette/internal/jwk"
	"flette/model"
	"flette/store/bolt"
)

const (
	burstTablets = 64
	burstBatches = 4
	burstEntries = 5  // per batch
	burstChanges = 10 // per entry
)

// BenchmarkReconnectBurst measures, interleaved in one run: the raw floor (verify every
// signature, put the same JWS bytes into bbolt under a group committer, fsync) and the whole
// engine on the same entries. It reports both rates and the ratio.
//
//	go test -run xxx -bench ReconnectBurst -benchtime 5x ./internal/bench
func BenchmarkReconnectBurst(b *testing.B) {
	var floors, ours, ratios []float64
	var floorCPU, ourCPU time.Duration
	for b.Loop() {
		w := newWorld(b, 1+burstTablets*perTablet, bolt.Options{})
		ts := w.tablets(burstTablets)
		work := map[*tablet][][][]byte{}
		for _, t := range ts {
			for range burstBatches {
				var batch [][]byte
				for range burstEntries {
					batch = append(batch, t.entry(burstChanges))
				}
				work[t] = append(work[t], batch)
			}
		}
		w.now += 3_600_000
		changes := float64(burstTablets * burstBatches * burstEntries * burstChanges)
		cpu := cpuTime()
		floor := changes / rawFloor(b, ts, work).Seconds()
		floorCPU += cpuTime() - cpu
		start, cpu := time.Now(), cpuTime()
		parallel(ts, func(t *tablet) {
			for _, batch := range work[t] {
				w.push(t, batch)
			}
		})
		our := changes / time.Since(start).Seconds()
		ourCPU += cpuTime() - cpu
		floors, ours, ratios = append(floors, floor), append(ours, our), append(ratios, our/floor)
	}
	b.ReportMetric(median(floors), "floor-changes/s")
	b.ReportMetric(median(ours), "changes/s")
	b.ReportMetric(median(ratios), "of-floor")
	b.ReportMetric(float64(floorCPU)/float64(ourCPU), "of-floor-cpu")
	all := float64(len(ours) * burstTablets * burstBatches * burstEntries)
	b.ReportMetric(float64(ourCPU.Microseconds())/all, "cpu-us/entry")
	b.ReportMetric(float64(floorCPU.Microseconds())/all, "floor-cpu-us/entry")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// rawFloor does the two things that cannot be left out, and nothing else.
func rawFloor(b *testing.B, ts []*tablet, work map[*tablet][][][]byte) time.Duration {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "floor.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30})
	check(b, err)
	defer func() { check(b, db.Close()) }()
	type job struct {
		raw  [][]byte
		done chan struct{}
	}
	queue := make(chan job, 1024)
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		var next uint64
		for first := range queue {
			group := []job{first}
		drain:
			for len(group) < 256 {
				select {
				case j, ok := <-queue:
					if !ok {
						break drain
					}
					group = append(group, j)
				default:
					break drain
				}
			}
			check(b, db.Update(func(tx *bbolt.Tx) error {
				bk, err := tx.CreateBucketIfNotExists([]byte("log"))
				if err != nil {
					return err
				}
				bk.FillPercent = 0.9
				for _, j := range group {
					for _, raw := range j.raw {
						next++
						if err := bk.Put(be(next), raw); err != nil {
							return err
						}
					}
				}
				return nil
			}))
			for _, j := range group {
				close(j.done)
			}
		}
	}()
	keys := map[*tablet]jwk.PublicKey{}
	for _, t := range ts {
		k, err := jwk.New(t.key.Public())
		check(b, err)
		keys[t] = k
	}
	slots := make(chan struct{}, 2)
	start := time.Now()
	var mu gosync.Mutex
	parallel(ts, func(t *tablet) {
		for _, batch := range work[t] {
			slots <- struct{}{}
			for _, raw := range batch {
				j, err := model.ParseJWS(raw)
				if err != nil || !keys[t].Verify(j.Alg, j.SigningInput(), j.Signature) {
					mu.Lock()
					b.Error("floor: bad signature")
					mu.Unlock()
				}
			}
			<-slots
			done := make(chan struct{})
			queue <- job{batch, done}
			<-done
		}
	})
	took := time.Since(start)
	close(queue)
	<-stop
	return took
}
