package api

import (
	"net/http"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// A visit ends a service and sees a new need: both stand on the list of whoever may see the
// person, page by page, until somebody deals with them (R105, R107).
func TestWorklist(t *testing.T) {
	h := newHouse(t)
	person, other := h.people[testvik][0], h.people[testvik][1]
	d := h.tablet(testvik, "kari", nurse)
	h.assign(testvik, "kari", person, other)
	const service = "service/0190a000-0000-7000-8000-0000000000f1"
	change := func(unit model.Unit, value string) model.Change {
		return model.Change{Unit: unit, Value: jsontext.Value(value)}
	}
	out := d.push(d.entry(person, model.ActRegister, []model.Change{
		change(service, `{"type":"15"}`), change(service+"/grant", `{"date":"2026-01-02","minutes_per_week":60}`),
		change(service+"/start", `{"date":"2026-01-05"}`), change(service+"/end", `{"date":"2026-02-01"}`),
		change("need/0190a000-0000-7000-8000-0000000000f2", `{"seen":"2026-02-01","text":"Oppdiktet behov"}`),
	}), d.entry(other, model.ActRegister, []model.Change{change("status/waiting_list", `{"code":"1","date":"2026-02-02"}`)}))
	for _, r := range out.Results {
		if r.Outcome != contract.OutcomeApplied {
			t.Fatalf("%+v", r)
		}
	}
	f := store.Finding{Rule: "R107", Severity: "M", Person: person, Unit: service + "/end", Detail: "Ended."}
	_, err := h.engine.Store().Update(background, testvik, nil, func(tx store.Tx) error { return store.Put(tx, f) })
	must(t, err)
	boss := "Bearer " + h.token(testvik, "boss", supervisor)
	all := func(query string) (tasks map[string]model.PersonID) {
		t.Helper()
		tasks = map[string]model.PersonID{}
		for next := ""; ; {
			var page contract.Worklist
			h.want(http.StatusOK, h.request("GET", "/v1/worklist?limit=1"+query+next, boss, nil), &page)
			for _, it := range page.Items {
				tasks[it.Task] = it.Person
			}
			if page.Next == "" {
				return tasks
			}
			next = "&cursor=" + page.Next
		}
	}
	if got := all(""); len(got) != 3 || got["confirm-end"] != person || got["act-on-need"] != person || got["waits-for-place"] != other {
		t.Fatalf("%v", got)
	}
	if got := all("&task=act-on-need"); len(got) != 1 {
		t.Errorf("one task: %v", got)
	}
	h.want(http.StatusCreated, h.request("POST", "/v1/findings/settle", boss,
		contract.FindingSettleRequest{Person: person, Rule: "R107", Unit: f.Unit, Act: model.ActClose, Reason: because}), nil)
	d.push(d.entry(person, model.ActRegister, []model.Change{change("service/0190a000-0000-7000-8000-0000000000f3/application", `{"date":"2026-02-01"}`)}))
	if got := all(""); len(got) != 2 || got["decide"] != person || got["waits-for-place"] != other {
		t.Errorf("after it was dealt with: %v", got)
	}
	for _, query := range []string{"task=sleep", "ahead=-1", "ahead=4000", "limit=0", "who=me"} {
		h.refused("invalid-query", h.request("GET", "/v1/worklist?"+query, boss, nil))
	}
	h.refused("invalid-cursor", h.request("GET", "/v1/worklist?cursor=AAAA", boss, nil))
	h.refused("forbidden", h.request("GET", "/v1/worklist", "Bearer "+h.token(testvik, "kari", nurse), nil))
}
