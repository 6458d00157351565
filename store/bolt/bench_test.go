package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
	"flette/store/storetest"
)

const (
	benchPersons = 200
	benchUnits   = 30 // of each person
	benchChanges = 10 // in each entry
	benchPuts    = 4 + benchChanges
)

// benchWork is the n-th entry of a load and the units it sets.
func benchWork(n int) (*store.LogEntry, []*model.UnitState) {
	e := storetest.Entry(n*7919%benchPersons, n%40, int64(n/40+1))
	e.Payload = append(e.Payload, bytes.Repeat([]byte("p"), 600-len(e.Payload))...)
	states := make([]*model.UnitState, benchChanges)
	for i := range states {
		unit := model.Unit(fmt.Sprintf("score/variable_%02d", (n+i)%benchUnits))
		states[i] = storetest.State(unit, int64(n), i%5+1)
	}
	return e, states
}

// BenchmarkUpdate is the reconnect burst as the store sees it: 64 tablets, one entry of 600
// bytes with ten changes in each update.
func BenchmarkUpdate(b *testing.B) {
	for _, c := range []struct {
		name string
		o    Options
	}{{"group 64", Options{MaxGroup: 64}}, {"default", Options{}}, {"one commit each", Options{NoGrouping: true}}} {
		b.Run(c.name, func(b *testing.B) {
			s := openTest(b, c.o)
			create(b, s)
			defer s.Close()
			n := b.N
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
						e, states := benchWork(i)
						_, err := s.Update(context.Background(), tenantID, nil, func(tx store.Tx) error {
							if _, err := tx.AppendEntry(e); err != nil {
								return err
							}
							for _, st := range states {
								if err := tx.PutUnit(e.Person, st); err != nil {
									return err
								}
							}
							return nil
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			report(b, s.path(tenantID))
		})
	}
}

func report(b *testing.B, path string) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(b.N*benchPuts)/b.Elapsed().Seconds(), "puts/s")
	if info, err := os.Stat(path); err == nil {
		b.ReportMetric(float64(info.Size())/float64(b.N*benchChanges), "fileB/change")
	}
}

// BenchmarkFloor puts the same keys and values straight into bbolt, 64 entries a
// transaction: what the driver could reach if it cost nothing.
func BenchmarkFloor(b *testing.B) {
	path := filepath.Join(b.TempDir(), "floor.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30, NoStatistics: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for i := 0; i < b.N; i += 64 {
		err := db.Update(func(btx *bbolt.Tx) error {
			var tables [tableCount]*bbolt.Bucket
			for t, name := range tableNames {
				if tables[t], err = btx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
				tables[t].FillPercent = fill[t]
			}
			for n := i; n < min(i+64, b.N); n++ {
				e, states := benchWork(n)
				pos := appendInt(nil, int64(n))
				puts := func(t int, value []byte, key ...[]byte) {
					if err == nil {
						err = tables[t].Put(bytes.Join(key, nil), value)
					}
				}
				puts(logTable, store.AppendLogEntry(nil, e), pos)
				puts(personTable, e.ID[:], e.Person[:], pos)
				puts(devTable, e.ID[:], e.Device[:], binary.BigEndian.AppendUint64(nil, uint64(e.Seq)), pos)
				for _, st := range states {
					puts(unitTable, store.AppendUnitState(nil, st), e.Person[:], []byte(st.Unit))
				}
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	report(b, path)
}

// readStore holds 2,000 entries and every unit of every person.
func readStore(b *testing.B) *Store {
	s := openTest(b, Options{})
	create(b, s)
	b.Cleanup(func() { s.Close() })
	_, err := s.Update(context.Background(), tenantID, nil, func(tx store.Tx) error {
		for n := range 2000 {
			e, states := benchWork(n)
			if _, err := tx.AppendEntry(e); err != nil {
				return err
			}
			for _, st := range states {
				if err := tx.PutUnit(e.Person, st); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkRead(b *testing.B) {
	s := readStore(b)
	e, states := benchWork(1234)
	for _, c := range []struct {
		name string
		read func(v store.View) error
	}{
		{"Unit", func(v store.View) error { _, err := v.Unit(e.Person, states[0].Unit); return err }},
		{"Unit missing", func(v store.View) error { _, err := v.Unit(e.Person, "score/never"); return err }},
		{"Entry", func(v store.View) error { _, err := v.Entry(1234); return err }},
		{"EntryPosition", func(v store.View) error { _, err := v.EntryPosition(e.Person, e.ID); return err }},
		{"DeviceEntries", func(v store.View) error { _, err := v.DeviceEntries(e.Device, e.Seq); return err }},
		{"Units of a person", func(v store.View) error {
			return v.Units(e.Person, "", "", func(*model.UnitState) bool { return true })
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			err := s.View(b.Context(), tenantID, func(v store.View) error {
				for b.Loop() {
					if err := c.read(v); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
	b.Run("View with one Unit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			err := s.View(context.Background(), tenantID, func(v store.View) error {
				_, err := v.Unit(e.Person, states[0].Unit)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
