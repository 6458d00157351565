package bench

import (
	"bufio"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/seal"
	"flette/iplos/kpr"
	"flette/iplos/yearly"
	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// recordOf is a person's 33 registrations, in three entries as visits and an import make them.
func recordOf(n int) [3][]model.Change {
	change := func(unit, value string) model.Change {
		return model.Change{Unit: model.Unit(unit), Value: jsontext.Value(value)}
	}
	var out [3][]model.Change
	for i, v := range catalogue.Default().Variables {
		if v.Value == "score" && !v.Closed {
			out[0] = append(out[0], change(v.Unit, fmt.Sprintf(`{"score":%d,"assessed":"2026-03-%02d"}`, 1+(n+i)%5, 1+n%28)))
		}
	}
	for _, u := range []string{"household", "care_for_child_u18", "housing_suitable"} {
		out[0] = append(out[0], change("person/"+u, `{"code":"1"}`))
	}
	const service = "service/0190a000-0000-7000-8000-00000000000a"
	for part, value := range map[string]string{
		"": `{"type":"15"}`, "/application": `{"date":"2026-01-02"}`, "/grant": `{"date":"2026-01-03","minutes_per_week":330}`, "/start": `{"date":"2026-01-05"}`,
	} {
		out[1] = append(out[1], change(service+part, value))
	}
	for i := range 8 {
		out[2] = append(out[2], change(fmt.Sprintf("diagnosis/0190a000-0000-7000-8000-%012x", i), `{"code_system":"ICPC-2","code":"P70","name":"Demens","from":"2020-01-01"}`))
	}
	return out
}

// fill stores persons with their entries and merged units, in order of id.
func fill(b *testing.B, st *bolt.Store, keys *seal.Keys, persons int) {
	b.Helper()
	const batch = 2000
	at := model.MillisOf(time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC))
	seq, last := int64(0), model.EntryID{}
	for first := 0; first < persons; first += batch {
		_, err := st.Update(b.Context(), tenant, nil, func(tx store.Tx) error {
			for n := first; n < min(first+batch, persons); n++ {
				number, ok := ident.SyntheticFNR(time.Date(1930, 1, 1+n%25000, 0, 0, 0, 0, time.UTC), n/25000)
				if !ok {
					return fmt.Errorf("no number")
				}
				p := store.Person{
					ID:       model.PersonID{0: byte(n >> 24), 1: byte(n >> 16), 2: byte(n >> 8), 3: byte(n), 6: 0x40, 8: 0x80},
					BrukerNr: int64(n + 1), IDType: "1", Test: true, Kommune: "9999",
				}
				plain, err := json.Marshal(store.Identity{Number: number, Name: "Oppdiktet", BirthDate: "1941-02-01", Sex: "2"})
				if err != nil {
					return err
				}
				if p.Sealed, err = keys.Seal(plain, "person|"+p.ID.String()+"|1"); err != nil {
					return err
				}
				if err := store.Put(tx, p); err != nil {
					return err
				}
				for _, changes := range recordOf(n) {
					seq++
					e := model.Entry{
						V: 1, Tenant: tenant, Device: model.DeviceID{1}, Seq: seq, Actor: "anne", Lease: "l", Clock: model.ClockMonotonic,
						Wall: at, Person: p.ID, Act: model.ActRegister, Changes: changes,
					}
					if seq > 1 {
						e.Prev = last.String()
					}
					payload, err := json.Marshal(e)
					if err != nil {
						return err
					}
					l := &store.LogEntry{
						ID: model.NewEntryID(payload), Person: p.ID, Device: e.Device, Seq: seq, Actor: e.Actor, Act: e.Act, Outcome: store.Applied,
						Stamp:  model.Stamp{Wall: at, T: at, Lo: at, Hi: at, TEff: at, Class: model.ClockA},
						Header: []byte(`{"alg":"EdDSA"}`), Payload: payload, Signature: make([]byte, 64), UnitPrev: make([]int64, len(changes)),
					}
					for i := range l.UnitPrev {
						l.UnitPrev[i] = -1
					}
					last = l.ID
					position, err := tx.AppendEntry(l)
					if err != nil {
						return err
					}
					for _, c := range changes {
						head := model.Head{ID: l.ID, Position: position, Act: e.Act, Actor: e.Actor, Device: e.Device, Seq: seq, Stamp: l.Stamp, Value: c.Value}
						if err := tx.PutUnit(p.ID, &model.UnitState{Unit: c.Unit, Position: position, Heads: []model.Head{head}}); err != nil {
							return err
						}
					}
				}
			}
			return nil
		})
		check(b, err)
	}
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

// BenchmarkYearly extracts a data year of a store: 33 registrations a person, merged from their
// entries. The raw floor beside it reads the same persons and entries from the same snapshot, decodes
// every value and writes as many escaped bytes; nothing is merged, judged or put in order. It is
// taken before and after each extract, because what else the machine does changes meanwhile.
// FLETTE_BENCH_PERSONS sets the size, 2,000 when it is not given.
func BenchmarkYearly(b *testing.B) {
	persons := 2000
	if s := os.Getenv("FLETTE_BENCH_PERSONS"); s != "" {
		var err error
		persons, err = strconv.Atoi(s)
		check(b, err)
	}
	st, err := bolt.Open(b.TempDir(), bolt.Options{InitialMmapSize: 1 << 34})
	check(b, err)
	defer func() { check(b, st.Close()) }()
	keys, err := seal.Generate(tenant)
	check(b, err)
	e, err := sync.New(sync.Options{
		Store: st, Keys: func(model.TenantID) (sync.Keys, error) { return keys, nil }, Rand: rand.Reader,
		Now: func() model.Millis { return model.MillisOf(time.Now()) },
	})
	check(b, err)
	check(b, e.CreateTenant(b.Context(), store.Tenant{ID: tenant, Name: "Benkvik", Kommune: "9999"}))
	began := time.Now()
	fill(b, st, keys, persons)
	b.Logf("%d persons stored in %v", persons, time.Since(began).Round(time.Millisecond))

	var run, raw time.Duration
	var size int64
	var peak uint64
	floor := func(size int64) {
		began := time.Now()
		check(b, st.View(b.Context(), tenant, func(v store.View) error { return rawRead(v, keys, size) }))
		raw += time.Since(began) / 2
	}
	for b.Loop() {
		floor(int64(persons) * 4800)
		var ide, ipl counted
		ide.w, ipl.w = bufio.NewWriter(io.Discard), bufio.NewWriter(io.Discard)
		began := time.Now()
		check(b, st.View(b.Context(), tenant, func(v store.View) error {
			r, err := yearly.Run(b.Context(), v, yearly.Options{
				Year: 2026, Target: kpr.Test, Units: e.UnitsOf, Open: keys.Open, Progress: func(n int) {
					if n%20_000 == 0 {
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						peak = max(peak, m.HeapInuse)
					}
				},
			}, &ide, &ipl)
			if err == nil && (r.Persons != persons || r.Values+4*persons != 33*persons) {
				err = fmt.Errorf("%d persons, %d values", r.Persons, r.Values)
			}
			return err
		}))
		run += time.Since(began)
		size = ide.n + ipl.n
		b.Logf("%d bytes, %d a person", size, size/int64(persons))
		floor(size)
	}
	b.ReportMetric(float64(persons)*float64(b.N)/run.Seconds(), "persons/s")
	b.ReportMetric(float64(size)*float64(b.N)/run.Seconds()/1e6, "MB/s")
	b.ReportMetric(run.Seconds()/raw.Seconds(), "run/raw")
	b.ReportMetric(float64(peak)/1e6, "heap-MB")
	b.ReportMetric(run.Seconds()/float64(b.N), "s/run")
}

// rawRead reads and decodes all, and writes size bytes of it to nowhere.
func rawRead(v store.View, keys *seal.Keys, size int64) error {
	out := counted{w: bufio.NewWriter(io.Discard)}
	for after := ""; ; {
		docs, err := store.List[store.Person](v, "", after, 200)
		if err != nil || len(docs) == 0 {
			return err
		}
		for i := range docs {
			after = docs[i].DocKey()
			plain, err := keys.Open(docs[i].Sealed, "person|"+after+"|1")
			if err != nil {
				return err
			}
			var who store.Identity
			if err := json.Unmarshal(plain, &who); err != nil {
				return err
			}
			if err := xml.EscapeText(&out, []byte(who.Number)); err != nil {
				return err
			}
			var last []byte
			if err := sync.EachEntry(v, docs[i].ID, v.Size(), func(l *store.LogEntry) error {
				en, err := model.DecodeEntry(l.Payload)
				if err != nil {
					return err
				}
				for _, c := range en.Changes {
					var members map[string]any
					if err := json.Unmarshal(c.Value, &members); err != nil {
						return err
					}
					last = c.Value
					if err := xml.EscapeText(&out, c.Value); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return err
			}
			// Names of elements and attributes stand in the extract beside the values.
			for share := size * docs[i].BrukerNr / v.Size() * 3; out.n < share && len(last) > 0; {
				if err := xml.EscapeText(&out, last); err != nil {
					return err
				}
			}
		}
	}
}
