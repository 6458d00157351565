package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
	"flette/sync"
)

// R104: a tablet gets the municipality's own services with the type of the day, by its lease,
// and hears that nothing changed by the ETag. Another municipality has none of it.
func TestLocalServices(t *testing.T) {
	h := newHouse(t)
	_, err := h.engine.ImportMapping(background, testvik, []sync.MappingInput{
		{Line: 2, Local: "Hjemmekonsulent", Code: "1", From: "2020-01-01"}, {Line: 3, Local: "Hjemmekonsulent", Code: "15", From: "2026-11-22"},
		{Line: 4, Local: "Kafé", Code: sync.NoCode}, {Line: 5, Local: "Aktiv", Code: "4"},
	}, "test")
	must(t, err)
	n := h.tablet(testvik, "n1", nurse)
	var got contract.LocalServices
	n.ok(http.StatusOK, "GET", "/v1/local-services", n.auth(), nil, &got)
	if got.On != "2026-11-21" || len(got.Services) != 2 || got.Services[0] != (contract.LocalService{Local: "Aktiv", Code: "4"}) || got.Services[1].Code != "1" {
		t.Errorf("today: %+v", got)
	}
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	head := h.want(http.StatusOK, h.request("GET", "/v1/local-services?on=2026-11-22", token, nil), &got)
	if got.Services[1].Code != "15" {
		t.Errorf("tomorrow: %+v", got)
	}
	again := h.request("GET", "/v1/local-services?on=2026-11-22", token, nil)
	again.Header.Set("If-None-Match", head.Get("ETag"))
	if res, body := h.do(again); res.StatusCode != http.StatusNotModified || len(body) != 0 {
		t.Errorf("unchanged: %d, %d bytes", res.StatusCode, len(body))
	}
	h.refused("invalid-query", h.request("GET", "/v1/local-services?on=tomorrow", token, nil))
	other := "Bearer " + h.token(proveby, "boss", supervisor)
	h.want(http.StatusOK, h.request("GET", "/v1/local-services", other, nil), &got)
	if len(got.Services) != 0 {
		t.Errorf("another municipality: %+v", got)
	}
}

// The catalogue route carries the variables, the texts that help and every rule, in both
// languages where somebody reads them at work.
func TestCatalogueCarriesRulesAndGuidance(t *testing.T) {
	h := newHouse(t)
	var got struct {
		Version   string
		Variables []struct{ ID string }
		Guidance  []struct{ Rule, NB, EN string }
		Rules     []struct {
			Rule, NB, EN string
			Kept         []string
		}
	}
	_, body := h.do(h.request("GET", "/v1/catalogue", "", nil))
	must(t, json.Unmarshal(body, &got, json.MatchCaseInsensitiveNames(true)))
	if got.Version != catalogue.Default().Version || len(got.Variables) != 52 || len(got.Guidance) < 80 || len(got.Rules) != 107 {
		t.Fatalf("version %q, %d variables, %d texts, %d rules", got.Version, len(got.Variables), len(got.Guidance), len(got.Rules))
	}
	for _, r := range got.Rules {
		read := slices.ContainsFunc(r.Kept, func(by string) bool { return by == "guidance" || strings.HasPrefix(by, "finding") })
		if r.EN == "" || len(r.Kept) == 0 || read && r.NB == "" {
			t.Errorf("rule %+v", r)
		}
	}
}

// The history says by which version of the catalogue each entry was judged.
func TestHistoryNamesTheCatalogue(t *testing.T) {
	w := newWorld(t)
	history, err := w.api(testvik, "boss", supervisor).History(background, w.people[testvik][0], "", "")
	must(t, err)
	if len(history.Entries) == 0 {
		t.Fatal("no history")
	}
	for _, e := range history.Entries {
		if e.JudgedBy != catalogue.Default().Version {
			t.Errorf("entry at %d: judged by %q", e.Position, e.JudgedBy)
		}
	}
	// From contract version 3 on the author says which version was on the screen.
	w.advance(time.Minute)
	w.nurse.push(w.nurse.entry(w.people[testvik][0], model.ActRegister, score("score/assist_memory", 2), func(e *model.Entry) {
		e.V, e.App, e.Catalogue = 3, "test/1", "2018-01-01.1"
	}))
	history, err = w.api(testvik, "boss", supervisor).History(background, w.people[testvik][0], "score/assist_memory", "")
	must(t, err)
	if len(history.Entries) != 1 || history.Entries[0].Catalogue != "2018-01-01.1" || history.Entries[0].JudgedBy != catalogue.Default().Version {
		t.Errorf("history: %+v", history.Entries)
	}
}

func TestTimeReportByUnit(t *testing.T) {
	unit := "0190a000-0000-7000-8000-00000000aaaa"
	h := newHouse(t, func(o *Options) {
		o.WeeklyUnits = func(_ store.View, week string) ([]contract.UnitTimeRow, error) {
			if week == "2026-W53" {
				return nil, model.Problemf("invalid-week", "", "the year has no week 53")
			}
			return []contract.UnitTimeRow{{Persons: 3, GrantedMinutes: 600}, {Unit: unit, Persons: 1}}, nil
		}
	})
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	var got contract.TimeReport
	h.want(http.StatusOK, h.request("GET", "/v1/reports/time?week=2026-W47&by=unit", token, nil), &got)
	if len(got.Rows) != 0 || len(got.Units) != 2 || got.Units[0].GrantedMinutes != 600 || got.Units[1].Unit != unit {
		t.Errorf("%+v", got)
	}
	h.want(http.StatusOK, h.request("GET", "/v1/reports/time?week=2026-W47&by=person", token, nil), &got)
	if len(got.Rows) != 1 {
		t.Errorf("by person: %+v", got)
	}
	for _, q := range []string{"week=2026-W47&by=town", "week=2026-W53&by=unit", "week=2026-W47&by=unit&person=" + h.people[testvik][0].String()} {
		h.refused("invalid-query", h.request("GET", "/v1/reports/time?"+q, token, nil))
	}
}
