package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"flette/iplos/measure"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// The route of reports: who may ask, in which forms, and that none of them shows a small count.
func TestMeasureReport(t *testing.T) {
	h := newHouse(t)
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	get := func(query string) *http.Request { return h.request("GET", "/v1/reports/measures?"+query, token, nil) }
	var r measured
	h.want(http.StatusOK, h.request("GET", "/v1/reports/measures?date=2026-11-21", "Bearer "+h.token(testvik, "adm", admin), nil), &r)
	if len(r.Tables) < 40 || len(r.Tables[0].Rows) != 0 || !r.Provisional || r.Ages != measure.AllAges {
		t.Errorf("nobody has a service: %+v", r.Tables[0])
	}
	h.refused("forbidden", h.request("GET", "/v1/reports/measures?date=2026-11-21", "Bearer "+h.token(testvik, "n1", nurse), nil))
	for _, query := range []string{"", "date=x", "date=2026-13-01", "date=2026-11-21&depth=4", "date=2026-11-21&ages=66", "date=2026-11-21&format=pdf", "date=2026-11-21&lang=se"} {
		h.refused("invalid-query", get(query))
	}
	var more []sync.PersonInput
	for i := range 8 {
		more = append(more, sync.PersonInput{Line: i + 1, Number: fmt.Sprintf("0281%02d%05d", 40+i, 22345+i), Name: fmt.Sprintf("Navnløs %d", i), Kommune: "9901", Test: true})
	}
	done, err := h.engine.ImportPersons(background, testvik, more)
	must(t, err)
	h.people[testvik] = append(h.people[testvik], done.Persons...)
	n1 := h.tablet(testvik, "n1", nurse)
	home := func(i int, value int) {
		p, id := h.people[testvik][i], fmt.Sprintf("service/0190a000-0000-7000-8000-0000000000%02d", i)
		h.assign(testvik, "n1", p)
		out := n1.push(n1.entry(p, model.ActRegister, append(score("score/assist_eating", value),
			model.Change{Unit: model.Unit(id), Value: []byte(`{"type":"15"}`)}, model.Change{Unit: model.Unit(id + "/start"), Value: []byte(`{"date":"2026-01-01"}`)})))
		if out.Results[0].Outcome != contract.OutcomeApplied {
			t.Fatalf("%+v", out.Results[0])
		}
	}
	for i := range 4 {
		home(i, 2)
	}
	h.refused("too-few-persons", get("date=2026-11-21"))
	for i := range len(h.people[testvik]) - 4 {
		home(i+4, 5)
	}
	all := len(h.people[testvik])
	h.want(http.StatusOK, get("date=2026-11-21&ages=67&depth=3"), &r)
	care := r.Tables[slices.IndexFunc(r.Tables, func(t measure.Table) bool { return t.ID == "self_care" })]
	if fmt.Sprint(care.Rows, care.Totals) != fmt.Sprintf("[[-1 0 -1 0]] [%d]", all) || r.Ages != measure.From67 || r.Depth != 3 {
		t.Errorf("%+v", care)
	}
	for _, c := range []struct{ format, lang, mime, hidden, disposition string }{
		{"html", "nb", "text/html; charset=utf-8", `<td class="hidden">skjult</td>`, ""},
		{"html", "en", "text/html; charset=utf-8", `<td class="hidden">hidden</td>`, ""},
		{"csv", "nb", "text/csv; charset=utf-8", "Noe/avgrenset;;Ja;", `attachment; filename="flette-2026-11-21.csv"`},
	} {
		res, body := h.do(get("date=2026-11-21&format=" + c.format + "&lang=" + c.lang))
		policy := res.Header.Get("Content-Security-Policy")
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != c.mime || res.Header.Get("Content-Disposition") != c.disposition ||
			!strings.Contains(string(body), c.hidden) || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %d %v", c.format, res.StatusCode, res.Header)
		}
		for _, part := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'", "sandbox"} {
			if !strings.Contains(policy, part) || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
				t.Errorf("%s: policy %q", c.format, policy)
			}
		}
	}
}

// One report at a time: another is told to come again. A grouping that cannot be read is said
// to be the server's trouble.
func TestMeasureReportInTrouble(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(o *Options) {
		o.Report = func(context.Context, store.View, string, int, bool) (measure.Report, map[string]string, error) {
			close(begun)
			<-end
			return measure.Report{}, nil, model.Problemf("report-groups", "/source", "/source must say where it is from")
		}
	})
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	const path = "/v1/reports/measures?date=2026-11-21"
	first := make(chan int)
	go func() {
		res, _ := h.do(h.request("GET", path, token, nil))
		first <- res.StatusCode
	}()
	<-begun
	h.refused("overloaded", h.request("GET", path, token, nil))
	close(end)
	if status := <-first; status != http.StatusServiceUnavailable {
		t.Error(status)
	}
	h.srv.o.Report = nil
	h.refused("not-ready", h.request("GET", path, token, nil))
}
