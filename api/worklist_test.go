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

// A supervisor confirms the ends that stand on the list, several at a time, each as it was seen.
func TestConfirmEnds(t *testing.T) {
	h := newHouse(t)
	person, other := h.people[testvik][0], h.people[testvik][1]
	d := h.tablet(testvik, "kari", nurse)
	h.assign(testvik, "kari", person, other)
	units := []model.Unit{"service/0190a000-0000-7000-8000-0000000000f1", "service/0190a000-0000-7000-8000-0000000000f2"}
	for _, p := range []model.PersonID{person, other} {
		for _, u := range units {
			d.push(d.entry(p, model.ActRegister, []model.Change{
				{Unit: u, Value: jsontext.Value(`{"type":"15"}`)}, {Unit: u + "/end", Value: jsontext.Value(`{"date":"2019-02-01"}`)},
			}))
			_, err := h.engine.Store().Update(background, testvik, nil, func(tx store.Tx) error {
				return store.Put(tx, store.Finding{Rule: "R107", Severity: "M", Person: p, Unit: u + "/end", Detail: "Ended."})
			})
			must(t, err)
		}
	}
	boss := h.api(testvik, "boss", supervisor)
	seen := func() (out []contract.EndSeen) {
		t.Helper()
		list, err := boss.Worklist(background, "confirm-end", "", "")
		must(t, err)
		for _, it := range list.Items {
			out = append(out, contract.EndSeen{Person: it.Person, Unit: it.Unit, Date: it.Date})
		}
		return out
	}
	ends := seen()
	if len(ends) != 4 {
		t.Fatalf("%+v", ends)
	}
	ask := contract.ConfirmEndsRequest{Ends: ends[:3], Reason: because, DryRun: true}
	ask.Ends[1].Date = "2019-02-02"
	outcomes := func(want ...string) *contract.ConfirmEndsResponse {
		t.Helper()
		out, err := boss.ConfirmEnds(background, ask)
		must(t, err)
		for i, w := range want {
			if r := out.Results[i]; r.Outcome != w || r.Unit != ask.Ends[i].Unit || r.Person != ask.Ends[i].Person || r.Date != ask.Ends[i].Date {
				t.Errorf("%d: %+v, want %s", i, r, w)
			}
		}
		return out
	}
	if out := outcomes("confirmed", "changed", "confirmed"); out.Results[0].Entry != nil || len(seen()) != 4 {
		t.Error("a dry run confirmed")
	}
	ask.DryRun = false
	first := outcomes("confirmed", "changed", "confirmed")
	if got := seen(); len(got) != 2 || got[0].Unit != units[1] || got[0].Person != person || got[1].Unit != units[1] || got[1].Person != other {
		t.Errorf("still waiting: %+v", got)
	}
	again := outcomes("already-confirmed", "changed", "already-confirmed")
	if *again.Results[0].Entry != *first.Results[0].Entry || again.Results[1].Entry != nil {
		t.Errorf("%+v", again)
	}
	list, err := boss.FindingsIn(background, "closed", person.String(), "R107", "")
	must(t, err)
	if len(list.Findings) != 1 || list.Findings[0].Reason == nil || list.Findings[0].Reason.Text != because.Text {
		t.Errorf("who and why: %+v", list.Findings)
	}
	// Who is kept from a person by name learns nothing, and confirms nothing.
	_, err = boss.Block(background, contract.BlockRequest{Person: other, Actor: "chief", Reason: because})
	must(t, err)
	chief := h.api(testvik, "chief", supervisor)
	out, err := chief.ConfirmEnds(background, contract.ConfirmEndsRequest{
		Ends: []contract.EndSeen{{Person: other, Unit: units[1], Date: "2019-02-01"}, {Person: person, Unit: units[1], Date: "2019-02-01"}}, Reason: because,
	})
	must(t, err)
	if out.Results[0].Outcome != "not-found" || out.Results[1].Outcome != "confirmed" {
		t.Errorf("by who is kept from one of them: %+v", out)
	}
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	one := contract.EndSeen{Person: person, Unit: units[0], Date: "2019-02-01"}
	many := make([]contract.EndSeen, 201)
	for i := range many {
		many[i] = one
	}
	for pointer, bad := range map[string]contract.ConfirmEndsRequest{
		"/ends":        {Ends: many, Reason: because},
		"/reason/code": {Ends: []contract.EndSeen{one}},
		"/ends/1/unit": {Ends: []contract.EndSeen{one, {Person: person, Unit: units[0] + "/end", Date: "2019-02-01"}}, Reason: because},
		"/ends/0/date": {Ends: []contract.EndSeen{{Person: person, Unit: units[0], Date: "1.2.2019"}}, Reason: because},
	} {
		if p := h.refused("invalid-member", h.request("POST", "/v1/worklist/confirm", token, bad)); p.Pointer != pointer {
			t.Errorf("%s: %+v", pointer, p)
		}
	}
	h.refused("invalid-member", h.request("POST", "/v1/worklist/confirm", token, contract.ConfirmEndsRequest{Ends: []contract.EndSeen{}, Reason: because}))
	h.refused("forbidden", h.request("POST", "/v1/worklist/confirm", "Bearer "+h.token(testvik, "kari", nurse), ask))
}
