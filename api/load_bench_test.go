package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/ident"
	"flette/sync"
)

// BenchmarkFirstLoad loads 200 persons with 40 units each over HTTP, in pages and as a
// snapshot, in turns within one run. CPU is that of server and client together, whose ratio
// holds on a busy machine; first is the time until somebody is complete.
func BenchmarkFirstLoad(b *testing.B) {
	const persons, units = 200, 40
	h := newHouse(b, noLimits)
	var in []sync.PersonInput
	born := noon.AddDate(-80, 0, 0)
	for i := range persons {
		number, ok := ident.SyntheticFNR(born.AddDate(0, 0, i), 0)
		if !ok {
			b.Fatal("no synthetic number")
		}
		in = append(in, sync.PersonInput{Line: i + 1, Number: number, Name: fmt.Sprintf("Oppdiktet %d", i), Kommune: "9901", Test: true})
	}
	done, err := h.engine.ImportPersons(background, testvik, in)
	must(b, err)
	d := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", done.Persons...)
	for i, p := range done.Persons {
		var changes []model.Change
		for k := range units {
			changes = append(changes, model.Change{
				Unit:  model.Unit(fmt.Sprintf("remark/0190a000-0000-7000-8000-%06x%06x", i, k)),
				Value: jsontext.Value(fmt.Sprintf(`{"text":"Oppdiktet merknad nummer %d om dagen, maten og turen."}`, k)),
			})
		}
		if r := d.push(d.entry(p, model.ActRegister, changes)); r.Results[0].Outcome != contract.OutcomeApplied {
			b.Fatalf("%+v", r.Results[0])
		}
	}
	plain := &http.Client{Transport: &http.Transport{DisableCompression: true}} // without the checker
	defer plain.CloseIdleConnections()
	get := func(path, accept string) *http.Response {
		req := d.request("GET", path, d.auth(), nil)
		req.Header.Set("Accept-Encoding", accept)
		res, err := plain.Do(req)
		must(b, err)
		if res.StatusCode != http.StatusOK {
			b.Fatal(res.Status)
		}
		return res
	}
	reader := func(res *http.Response, accept string) io.Reader {
		if accept != "gzip" {
			return res.Body
		}
		r, err := gzip.NewReader(res.Body)
		must(b, err)
		return r
	}
	pull := func(accept string) (first, all time.Duration) {
		began, cursor, items := time.Now(), "", 0
		for more := true; more; {
			path := "/v1/sync/pull?limit=1000"
			if cursor != "" {
				path += "&cursor=" + cursor
			}
			res := get(path, accept)
			var page contract.PullResponse
			must(b, json.UnmarshalRead(reader(res, accept), &page))
			must(b, res.Body.Close())
			if first == 0 {
				first = time.Since(began)
			}
			items, cursor, more = items+len(page.Items), page.Cursor, page.More
		}
		if items != persons*(units+1) {
			b.Fatalf("%d items", items)
		}
		return first, time.Since(began)
	}
	snapshot := func(accept string) (first, all time.Duration) {
		began, items, ended := time.Now(), 0, false
		res := get("/v1/sync/snapshot", accept)
		in := bufio.NewReaderSize(reader(res, accept), 1<<16)
		for !ended {
			text, err := in.ReadBytes('\n')
			must(b, err)
			var l contract.SnapshotLine
			must(b, json.Unmarshal(bytes.TrimSpace(text), &l))
			switch l.Type {
			case contract.LineBegin:
			case contract.LineMark:
				if first == 0 {
					first = time.Since(began)
				}
			case contract.LineEnd:
				ended = true
			default:
				items++
			}
		}
		must(b, res.Body.Close())
		if items != persons*(units+1) {
			b.Fatalf("%d items", items)
		}
		return first, time.Since(began)
	}
	for _, accept := range []string{"identity", "gzip"} {
		b.Run(accept, func(b *testing.B) {
			var sum [4]time.Duration
			var work [2]time.Duration
			for b.Loop() {
				for i, load := range []func(string) (time.Duration, time.Duration){pull, snapshot} {
					began := cpu(b)
					first, all := load(accept)
					work[i] += cpu(b) - began
					sum[2*i] += first
					sum[2*i+1] += all
				}
			}
			ms := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(b.N) }
			b.ReportMetric(ms(sum[0]), "pull-first-ms")
			b.ReportMetric(ms(sum[1]), "pull-ms")
			b.ReportMetric(ms(sum[2]), "snapshot-first-ms")
			b.ReportMetric(ms(sum[3]), "snapshot-ms")
			b.ReportMetric(ms(work[0]), "pull-cpu-ms")
			b.ReportMetric(ms(work[1]), "snapshot-cpu-ms")
			b.ReportMetric(float64(work[1])/float64(work[0]), "cpu-ratio")
		})
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
