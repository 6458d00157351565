package api

import (
	"strings"
	"testing"

	"flette/iplos/submit"
	contract "flette/mobile-contract"
)

// Submissions of one target, in the order of sending, page by page; what the register quoted is not told.
func TestSubmissions(t *testing.T) {
	w := newWorld(t)
	token := "Bearer " + w.token(testvik, "boss", admin)
	st, who := w.engine.Store(), submit.Who{Now: w.engine.Now(), By: "test"}
	shape := strings.Repeat("ab", 32)
	var ids []string
	for _, kind := range submit.YearlyKinds {
		sub, _, err := submit.Prepare(background, st, testvik, submit.Shipment{
			Kind: kind, Target: submit.Production, Year: 2025, SHA256: shape, Bytes: 1, Path: kind, Counts: map[string]int{"15": 2},
		}, "", who)
		must(t, err)
		ids = append(ids, sub.ID)
	}
	seal := func([]byte, string) ([]byte, error) { return []byte("SEALED"), nil }
	_, err := submit.Feedback(background, st, testvik, ids[0], submit.Said{Verdict: submit.Accepted, Counts: map[string]int{"15": 1}, Note: "told by Kari"}, who, seal)
	must(t, err)

	var got []contract.SubmissionView
	for next, n := "", 0; n == 0 || next != "" && n < 5; n++ {
		var page contract.SubmissionList
		url := "/v1/submissions?limit=1"
		if next != "" {
			url += "&cursor=" + next
		}
		w.want(200, w.request("GET", url, token, nil), &page)
		got, next = append(got, page.Submissions...), page.Next
	}
	if len(got) != 2 || got[0].ID != ids[0] || got[0].State != "accepted" || got[1].ID != ids[1] || got[1].State != "prepared" {
		t.Fatalf("%+v", got)
	}
	if d := got[0].Differences; len(d) != 1 || d[0] != (contract.CountsView{Service: "15", Ours: 2, Register: 1}) {
		t.Errorf("%+v", d)
	}
	var other contract.SubmissionList
	w.want(200, w.request("GET", "/v1/submissions?target=test", token, nil), &other)
	if len(other.Submissions) != 0 || other.Due.Text == "" {
		t.Errorf("%+v", other)
	}
	w.refused("invalid-query", w.request("GET", "/v1/submissions?target=x", token, nil))
	w.refused("invalid-cursor", w.request("GET", "/v1/submissions?cursor=x", token, nil))
	w.refused("forbidden", w.request("GET", "/v1/submissions", "Bearer "+w.token(testvik, "n1", nurse), nil))
}
