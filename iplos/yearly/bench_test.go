package yearly

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/iplos/kpr"
	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
	"flette/store"
)

// BenchmarkRun extracts 2,000 persons with 33 registrations each, from states that are merged
// already, beside decoding the same values and writing the same bytes and nothing else.
func BenchmarkRun(b *testing.B) {
	w := newTown(b)
	values := map[string]jsontext.Value{
		"service/@a": jsontext.Value(`{"type":"15"}`), "service/@a/application": jsontext.Value(`{"date":"2026-01-02"}`),
		"service/@a/grant": jsontext.Value(`{"date":"2026-01-03","minutes_per_week":300}`), "service/@a/start": jsontext.Value(`{"date":"2026-01-05"}`),
	}
	for _, v := range catalogue.Default().Variables {
		if v.Value == "score" && !v.Closed {
			values[v.Unit] = jsontext.Value(`{"score":3}`)
		}
	}
	for _, u := range []string{"household", "care_for_child_u18", "housing_suitable"} {
		values["person/"+u] = jsontext.Value(`{"code":"1"}`)
	}
	for i := range 8 {
		values[fmt.Sprintf("diagnosis/@%c", 'a'+i)] = jsontext.Value(`{"code_system":"ICPC-2","code":"P70","from":"2020-01-01"}`)
	}
	const persons = 2000
	for n := range persons {
		number, ok := ident.SyntheticFNR(time.Date(1935, 1, 1+n, 0, 0, 0, 0, time.UTC), 0)
		if !ok {
			b.Fatal("no number")
		}
		w.add(n+1, number, values)
	}
	o := Options{
		Year: 2026, Target: kpr.Test, Open: func(sealed []byte, _ string) ([]byte, error) { return sealed, nil },
		Units: func(_ store.View, p model.PersonID, _ int64, _ func(model.Act, model.Millis, []byte) bool) ([]*model.UnitState, error) {
			return w.units[p], nil
		},
	}
	var size int
	var run, raw time.Duration
	for b.Loop() {
		var ide, ipl bytes.Buffer
		began := time.Now()
		if err := w.st.View(context.Background(), tenant, func(v store.View) error {
			_, err := Run(context.Background(), v, o, &ide, &ipl)
			return err
		}); err != nil {
			b.Fatal(err)
		}
		run += time.Since(began)
		size = ide.Len() + ipl.Len()
		began = time.Now()
		out := bufio.NewWriter(io.Discard)
		if err := w.st.View(context.Background(), tenant, func(v store.View) error {
			docs, err := store.List[store.Person](v, "", "", 0)
			for i := range docs {
				for _, s := range w.units[docs[i].ID] {
					var any map[string]any
					if err := json.Unmarshal(s.Heads[0].Value, &any); err != nil {
						return err
					}
				}
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
		for _, part := range bytes.SplitAfter(ipl.Bytes(), []byte("\n")) {
			_, _ = out.Write(part) // to nowhere
		}
		raw += time.Since(began)
	}
	b.ReportMetric(float64(persons)*float64(b.N)/run.Seconds(), "persons/s")
	b.ReportMetric(float64(size)*float64(b.N)/run.Seconds()/1e6, "MB/s")
	b.ReportMetric(run.Seconds()/raw.Seconds(), "run/raw")
	b.ReportMetric(float64(len(w.units[model.PersonID{15: 1, 6: 0x40, 8: 0x80}])), "units/person")
}
