package api

import (
	"net/http"
	"testing"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// The counts are those of the list, without persons whom the caller is kept from by name; a unit
// that is not here is not found, on both routes.
func TestFindingCounts(t *testing.T) {
	h := newHouse(t)
	if _, err := h.engine.ImportUnits(background, testvik, []sync.UnitInput{{Line: 1, Local: "nord", Name: "Nord"}}); err != nil {
		t.Fatal(err)
	}
	// What rules would find.
	if _, err := h.engine.Store().Update(background, testvik, nil, func(tx store.Tx) error {
		for i, p := range h.people[testvik] {
			if err := store.Put(tx, store.Finding{Rule: "R2", Severity: "M", Person: p, Detail: "A district has two digits.", Since: model.MillisOf(noon)}); err != nil {
				return err
			}
			if i%2 == 0 {
				if err := store.Put(tx, store.Finding{Rule: "R1", Severity: "B", Person: p, Detail: "Test.", Since: model.MillisOf(noon)}); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	counts := func(query string) (out contract.FindingCounts, all int64) {
		t.Helper()
		h.want(http.StatusOK, h.request("GET", "/v1/findings/counts"+query, token, nil), &out)
		for _, n := range out.Counts {
			all += n.Open
		}
		return out, all
	}
	var list contract.FindingList
	h.want(http.StatusOK, h.request("GET", "/v1/findings?limit=200", token, nil), &list)
	_, before := counts("")
	if before == 0 || before != int64(len(list.Findings)) {
		t.Fatalf("%d are counted, %d listed", before, len(list.Findings))
	}
	for _, f := range list.Findings {
		if want := map[string]string{"A district has two digits.": "En bydel har to sifre."}[f.Detail]; f.DetailNB != want {
			t.Errorf("%q is %q in Norwegian, want %q", f.Detail, f.DetailNB, want)
		}
	}
	if _, n := counts("?rule=R2"); n == 0 || n == before {
		t.Errorf("of one rule: %d of %d", n, before)
	}
	if _, n := counts("?owner=nord"); n != 0 {
		t.Errorf("a unit without persons has %d", n)
	}
	if _, err := h.engine.KeepFindingCounts(background, testvik); err != nil {
		t.Fatal(err)
	}
	out, _ := counts("?from=2026-11-01&to=2026-11-30")
	kept := int64(0)
	for _, d := range out.Days {
		for _, n := range d.Counts {
			kept += n.Open
		}
	}
	if len(out.Days) != 1 || kept != before {
		t.Errorf("%d days with %d, want %d", len(out.Days), kept, before)
	}
	if out, _ = counts("?from=2026-12-01"); len(out.Days) != 0 {
		t.Errorf("days to come: %+v", out.Days)
	}
	person := h.people[testvik][0]
	if _, err := h.engine.Block(background, testvik, sync.Block{Person: person, Actor: "boss", By: "test", Reason: model.Reason{Code: "x"}}); err != nil {
		t.Fatal(err)
	}
	if _, n := counts(""); n >= before {
		t.Errorf("kept from a person: %d of %d", n, before)
	}
	for _, path := range []string{"/v1/findings/counts?owner=nowhere", "/v1/findings?owner=nowhere"} {
		h.refused("not-found", h.request("GET", path, token, nil))
	}
	for _, query := range []string{"from=x", "to=2026-13-01", "rule=R", "severity=X"} {
		h.refused("invalid-query", h.request("GET", "/v1/findings/counts?"+query, token, nil))
	}
	h.refused("forbidden", h.request("GET", "/v1/findings/counts", "Bearer "+h.token(testvik, "n1", nurse), nil))
}
