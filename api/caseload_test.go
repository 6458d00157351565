package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/store"
)

var because = model.Reason{Code: "because", Text: "hemmelig grunn"}

// A block by name stops its actor in every role and on every route that shows or settles
// something of the person; a block for everybody stops nurses only.
func TestBlockedByName(t *testing.T) {
	w := newWorld(t, noLimits)
	person := w.people[testvik][0]
	boss, other := w.api(testvik, "boss", supervisor|admin), w.api(testvik, "other", supervisor|admin)
	n := w.nurse
	n.push(n.entry(person, model.ActRegister, score("score/hearing", 9, model.EntryID{1})), n.entry(person, model.ActRegister, score("score/hearing", 0)))
	queue, err := boss.Quarantine(background, "", "")
	must(t, err)
	reviews, err := boss.Reviews(background, "", "")
	must(t, err)
	if len(queue.Items) != 2 || len(reviews.Reviews) != 1 {
		t.Fatalf("%d in quarantine, %d reviews", len(queue.Items), len(reviews.Reviews))
	}
	held := queue.Items[1].Entry
	review := reviews.Reviews[0].ID
	lists := func(a *client.API) (n int) {
		t.Helper()
		persons, err := a.Persons(background, "")
		must(t, err)
		q, err := a.QuarantineOf(background, "open", "", person.String(), "", "")
		must(t, err)
		r, err := a.Reviews(background, "open", "")
		must(t, err)
		for _, p := range persons.Persons {
			if p.Person == person {
				n++
			}
		}
		report, err := a.TimeReport(background, "2026-W47")
		must(t, err)
		return n + len(q.Items) + len(r.Reviews) + len(report.Rows)
	}
	if got := lists(boss); got != 4 {
		t.Fatalf("before the block the supervisor sees %d", got)
	}
	_, err = boss.Block(background, contract.BlockRequest{Person: person, Reason: because})
	must(t, err)
	if got := lists(boss); got != 4 {
		t.Errorf("a block for everybody stops the supervisor: %d", got)
	}
	w.refused("not-found", n.request("GET", "/v1/persons/"+person.String(), n.auth(), nil))
	var page contract.PullResponse
	n.ok(200, "GET", "/v1/sync/pull", n.auth(), nil, &page)
	if len(page.Items) != 0 {
		t.Errorf("a first pull brings %+v", page.Items)
	}
	if _, err = boss.Block(background, contract.BlockRequest{Person: person, Actor: "boss", Reason: because}); err != nil {
		t.Fatal(err)
	}
	if got := lists(boss); got != 0 {
		t.Errorf("the blocked supervisor sees %d", got)
	}
	if got := lists(other); got != 4 {
		t.Errorf("another supervisor sees %d", got)
	}
	token := "Bearer " + w.token(testvik, "boss", supervisor|admin)
	settle := contract.SettleRequest{Reason: because}
	for _, req := range []*http.Request{
		w.request("GET", "/v1/persons/"+person.String(), token, nil),
		w.request("GET", "/v1/persons/"+person.String()+"?as_of=1", token, nil),
		w.request("GET", "/v1/persons/"+person.String()+"/history", token, nil),
		w.request("GET", "/v1/reviews/"+review, token, nil),
		w.request("GET", "/v1/quarantine/"+held.String(), token, nil),
		w.request("POST", "/v1/quarantine/"+held.String()+"/release", token, settle),
		w.request("POST", "/v1/quarantine/"+held.String()+"/close", token, settle),
		w.request("GET", "/v1/findings?person="+person.String(), token, nil),
		w.request("POST", "/v1/findings/settle", token, contract.FindingSettleRequest{Person: person, Rule: "R9", Act: "close", Reason: because}),
		w.request("GET", "/v1/reports/time?week=2026-W47&person="+person.String(), token, nil),
		w.request("GET", "/v1/blocks?person="+person.String(), token, nil),
	} {
		w.refused("not-found", req)
	}
	// What names the person is answered word for word as for nobody.
	for pointer, bodies := range map[string]func(model.PersonID) (string, any){
		"/persons": func(p model.PersonID) (string, any) {
			return "/v1/assignments", contract.AssignRequest{Actor: "x", Persons: []model.PersonID{p}}
		},
		"/persons ": func(p model.PersonID) (string, any) {
			return "/v1/visits", contract.VisitsRequest{Actor: "x", Date: "2026-11-22", Persons: []model.PersonID{p}}
		},
		"/person": func(p model.PersonID) (string, any) {
			return "/v1/blocks", contract.BlockRequest{Person: p, Actor: "x", Reason: because}
		},
	} {
		path, body := bodies(person)
		_, nobody := bodies(model.PersonID{9})
		a, b := w.refused("not-found", w.request("POST", path, token, body)), w.refused("not-found", w.request("POST", path, token, nobody))
		if a.Pointer != strings.TrimSpace(pointer) || a.Pointer != b.Pointer || a.Detail != b.Detail {
			t.Errorf("%s: %+v, and for nobody %+v", path, a, b)
		}
	}
	// So is the proof of an entry, whose id and person are known from before.
	proof := "/v1/journal/inclusion?entry=" + held.String() + "&person="
	a := w.refused("not-found", w.request("GET", proof+person.String(), token, nil))
	b := w.refused("not-found", w.request("GET", proof+model.PersonID{9}.String(), token, nil))
	if a.Pointer != b.Pointer || a.Detail != b.Detail {
		t.Errorf("inclusion: %+v, and for nobody %+v", a, b)
	}
	decision := w.request("POST", "/v1/reviews/"+review+"/decision", token, contract.DecisionRequest{Value: []byte(`{"score":2}`), Reason: &because})
	decision.Header.Set("If-Match", `"`+reviews.Reviews[0].HeadSet+`"`)
	w.refused("not-found", decision)

	blocks, err := other.Blocks(background, person.String(), "")
	must(t, err)
	if len(blocks.Blocks) != 2 || blocks.Blocks[0].Actor != "" || !blocks.Blocks[1].InForce || blocks.Blocks[1].Reason != because || blocks.Blocks[1].By != "boss" {
		t.Errorf("blocks: %+v", blocks.Blocks)
	}
	// Nobody frees oneself, and whether the person exists makes no difference.
	lift := contract.BlockRequest{Person: person, Actor: "boss", Lift: true, Reason: because}
	w.refused("forbidden", w.request("POST", "/v1/blocks", token, lift))
	lift.Person = model.PersonID{9}
	w.refused("forbidden", w.request("POST", "/v1/blocks", token, lift))
	if got := lists(boss); got != 0 {
		t.Errorf("after trying to lift the own block the supervisor sees %d", got)
	}
	// The supervisor breaks the glass: seen by name again, and by somebody else followed up.
	use, err := boss.BreakGlass(background, contract.BreakGlassRequest{Person: &person, Reason: because})
	must(t, err)
	if got := lists(boss); got != 4 {
		t.Errorf("with emergency access the supervisor sees %d", got)
	}
	lift.Person = person
	w.refused("forbidden", w.request("POST", "/v1/blocks", token, lift))
	if _, err = boss.FollowUp(background, use.ID, because); client.CodeOf(err) != "forbidden" {
		t.Errorf("followed up by its user: %v", err)
	}
	if _, err = other.FollowUp(background, use.ID, because); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"glass-0", "glass-01", "glass--1", "glass-1e3", "12", "glass-99999999999999999999"} {
		if _, err = other.FollowUp(background, id, because); client.CodeOf(err) != "invalid-path" {
			t.Errorf("follow-up of %s: %v", id, err)
		}
	}
	if _, err = other.FollowUp(background, "glass-1", because); client.CodeOf(err) != "not-found" {
		t.Errorf("follow-up of an assignment: %v", err)
	}
	// Nothing that was said about the reason is shown to those who are blocked, or logged.
	if strings.Contains(w.log.String(), because.Text) {
		t.Error("a reason is in the log")
	}
}

// A nurse takes a person by identity number, writes, and is followed up. What is not known
// here gets one answer, and trying is slow.
func TestBreakGlassByLease(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.Glass = Rate{time.Hour, 6} })
	boss := h.api(testvik, "boss", supervisor)
	tab := newTablet(t, h, 0)
	code, err := h.api(testvik, "ops", operator).Invite(background, "nettbrett")
	must(t, err)
	_, err = tab.Enrol(background, testvik, code.Code, "")
	must(t, err)
	_, err = tab.Login(background, h.token(testvik, "nils", nurse))
	must(t, err)
	_, err = tab.Pull(background)
	must(t, err)
	person := h.people[testvik][2]
	record, err := boss.Person(background, person, -1)
	must(t, err)

	stranger := h.people[proveby][0]
	details := map[string]bool{}
	for _, r := range []contract.BreakGlassRequest{{NationalID: "01814099999"}, {NationalID: "x"}, {Person: &stranger}} {
		r.Reason = because
		_, err := tab.BreakGlass(background, r)
		if client.CodeOf(err) != "not-found" {
			t.Fatalf("%+v: %v", r, err)
		}
		details[err.Error()] = true
	}
	if len(details) != 1 {
		t.Errorf("several answers for nobody: %v", details)
	}
	both := contract.BreakGlassRequest{NationalID: record.NationalID, Person: &person, Reason: because}
	if _, err := tab.BreakGlass(background, both); client.CodeOf(err) != "invalid-member" {
		t.Errorf("person and number: %v", err)
	}
	for _, minutes := range []int64{-1, 0, 1441} {
		if _, err := tab.BreakGlass(background, contract.BreakGlassRequest{NationalID: record.NationalID, Minutes: &minutes, Reason: because}); client.CodeOf(err) != "invalid-member" {
			t.Errorf("for %d minutes: %v", minutes, err)
		}
	}
	use, err := tab.BreakGlass(background, contract.BreakGlassRequest{NationalID: record.NationalID, Minutes: new(int64(30)), Reason: because})
	must(t, err)
	if use.Person != person || use.Until-use.From != 30*60_000 || use.State != "open" || use.Actor != "nils" {
		t.Fatalf("use: %+v", use)
	}
	if again, err := tab.BreakGlass(background, contract.BreakGlassRequest{Person: &person, Reason: because}); err != nil || again.ID != use.ID || again.Until != use.Until {
		t.Fatalf("again: %+v, %v", again, err)
	}
	_, err = tab.Pull(background)
	must(t, err)
	if cards := tab.Persons(); len(cards) != 1 || cards[0].Person != person || cards[0].Until == nil || *cards[0].Until != use.Until {
		t.Fatalf("the tablet has %+v", cards)
	}
	h.advance(10 * time.Minute)
	_, err = tab.Sign(person, model.ActRegister, score("score/vision", 2), client.SignOptions{})
	must(t, err)
	h.advance(20 * time.Minute)
	if cards := tab.Persons(); len(cards) != 0 {
		t.Fatalf("after the time: %+v", cards)
	}
	report, err := tab.Push(background)
	must(t, err)
	if report.Count(contract.OutcomeApplied) != 1 {
		t.Fatalf("push: %+v", report)
	}
	uses, err := boss.GlassUses(background, "", "")
	must(t, err)
	if len(uses.Uses) != 1 || uses.Uses[0].ID != use.ID {
		t.Fatalf("uses: %+v", uses)
	}
	done, err := boss.FollowUp(background, use.ID, because)
	must(t, err)
	if done.State != "closed" || done.FollowUp.By != "boss" {
		t.Fatalf("followed up: %+v", done)
	}
	if _, err = boss.FollowUp(background, use.ID, because); client.CodeOf(err) != "already-settled" {
		t.Errorf("twice: %v", err)
	}
	// Six tries at once, of which five are gone: the next is the last for an hour.
	one := contract.BreakGlassRequest{NationalID: "x", Reason: because}
	req := func() *http.Request {
		return h.request("POST", "/v1/break-glass", "Bearer "+h.token(testvik, "nils", nurse), one)
	}
	h.refused("not-found", req())
	h.refused("rate-limited", req())
	log := h.log.String()
	if !strings.Contains(log, "missed=4") || strings.Contains(log, record.NationalID) || strings.Contains(log, person.String()) || strings.Contains(log, because.Text) {
		t.Errorf("the log counts wrong, or holds personal data: %s", log)
	}
}

// Late entries are routed to where the person is now, and nobody falls out of the list.
func TestQueueFollowsThePerson(t *testing.T) {
	h := newHouse(t)
	boss := h.api(testvik, "boss", supervisor|admin)
	person := h.people[testvik][0]
	n := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", person)
	h.advance(time.Minute)
	_, err := h.engine.Assign(background, testvik, endOf("n1", person))
	must(t, err)
	free, err := boss.Unassigned(background, "")
	must(t, err)
	if len(free.Persons) != 4 {
		t.Fatalf("%d persons whom nobody has", len(free.Persons))
	}
	h.assign(testvik, "n2", person)
	h.advance(time.Minute)
	late := n.push(n.entry(person, model.ActRegister, score("score/vision", 2)))
	if late.Results[0].Code != "out-of-scope" {
		t.Fatalf("late: %+v", late.Results)
	}
	for filter, want := range map[[3]string]int{
		{"", person.String(), "n2"}: 1, {"", "", "n1"}: 0, {"", h.people[testvik][1].String(), ""}: 0,
		{"0190a000-0000-7000-8000-000000000001", "", ""}: 0,
	} {
		q, err := boss.QuarantineOf(background, "open", filter[0], filter[1], filter[2], "")
		must(t, err)
		if len(q.Items) != want {
			t.Errorf("%v: %d items", filter, len(q.Items))
		}
		if want == 1 && (len(q.Items[0].Owners) != 1 || q.Items[0].Owners[0] != "n2") {
			t.Errorf("owners: %+v", q.Items[0].Owners)
		}
	}
	m := h.tablet(testvik, "n2", nurse)
	var page contract.PullResponse
	m.ok(200, "GET", "/v1/sync/pull", m.auth(), nil, &page)
	if len(page.Items) != 2 || page.Items[1].Late == nil || page.Items[1].Late.Code != "out-of-scope" || page.Items[1].Type != contract.ItemLate {
		t.Errorf("n2's tablet gets %+v", page.Items)
	}
	if free, err = boss.Unassigned(background, ""); err != nil || len(free.Persons) != 3 {
		t.Errorf("whom nobody has: %+v, %v", free, err)
	}
	h.refused("forbidden", h.request("GET", "/v1/persons?unassigned=true", "Bearer "+h.token(testvik, "n2", nurse), nil))
}

// Findings are settled by an entry, are counted by state, and say why.
func TestSettleFindings(t *testing.T) {
	h := newHouse(t)
	boss := h.api(testvik, "boss", supervisor)
	person := h.people[testvik][0]
	_, err := h.engine.Store().Update(background, testvik, nil, func(tx store.Tx) error {
		for _, f := range []store.Finding{
			{Rule: "R46", Severity: "M", Person: person, Detail: "Too many hours."},
			{Rule: "R9", Severity: "M", Person: person, Unit: "person/household", Detail: "Not registered."},
		} {
			if err := store.Put(tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, err)
	counts := func(state string) (n int) {
		t.Helper()
		list, err := boss.FindingsIn(background, state, person.String(), "", "")
		must(t, err)
		for _, c := range list.Counts {
			n += c
		}
		if n != len(list.Findings) {
			t.Errorf("%d findings, counted %d", len(list.Findings), n)
		}
		return n
	}
	ask := contract.FindingSettleRequest{Person: person, Rule: "R9", Unit: "person/household", Act: model.ActClose, Reason: because}
	done, err := boss.SettleFinding(background, ask)
	must(t, err)
	if f := done.Finding; f.State != "closed" || f.Reason == nil || *f.Reason != because || f.Settled == nil || f.Settled.String() != done.Result.ID || done.Result.Outcome != contract.OutcomeApplied {
		t.Fatalf("closed: %+v", done)
	}
	if _, err = boss.SettleFinding(background, ask); client.CodeOf(err) != "already-settled" {
		t.Errorf("twice: %v", err)
	}
	if o, c, r, all := counts(""), counts("closed"), counts("released"), counts("all"); o != 1 || c != 1 || r != 0 || all != 2 {
		t.Errorf("%d open, %d closed, %d released, %d in all", o, c, r, all)
	}
	record, err := boss.Person(background, person, -1)
	must(t, err)
	if len(record.Findings) != 2 || record.Findings[1].State != "closed" {
		t.Errorf("record: %+v", record.Findings)
	}
	history, err := boss.History(background, person, "finding/R9/person/household", "")
	must(t, err)
	if len(history.Entries) != 1 || history.Entries[0].Act != model.ActClose || history.Entries[0].Changes[0].Standing != "act" {
		t.Errorf("history: %+v", history.Entries)
	}
	ask.Act = model.ActReinstate
	if done, err = boss.SettleFinding(background, ask); err != nil || done.Finding.State != "open" || done.Finding.Reason != nil {
		t.Errorf("opened again: %+v, %v", done, err)
	}
	if _, err = boss.SettleFinding(background, contract.FindingSettleRequest{Person: person, Rule: "R14", Act: model.ActClose, Reason: because}); client.CodeOf(err) != "not-found" {
		t.Errorf("a rule that is not broken: %v", err)
	}
	for pointer, bad := range map[string]contract.FindingSettleRequest{
		"/act": {Person: person, Rule: "R9", Act: model.ActVoid, Reason: because}, "/rule": {Person: person, Rule: "9", Act: model.ActClose, Reason: because},
		"/unit": {Person: person, Rule: "R9", Unit: "quarantine", Act: model.ActClose, Reason: because}, "/reason/code": {Person: person, Rule: "R9", Act: model.ActClose},
	} {
		p := h.refused("invalid-member", h.request("POST", "/v1/findings/settle", "Bearer "+h.token(testvik, "boss", supervisor), bad))
		if p.Pointer != pointer {
			t.Errorf("%s: pointer %s", pointer, p.Pointer)
		}
	}
}

// T8 with a real server: the person is blocked, or the time ends, while work about the person
// waits. The work is handed in and counts, and then the tablet knows nothing of the person.
func TestRemovedWithWork(t *testing.T) {
	for _, how := range []string{"blocked", "ended", "ran out"} {
		t.Run(how, func(t *testing.T) {
			h := newHouse(t)
			boss := h.api(testvik, "boss", supervisor|admin)
			tab := newTablet(t, h, time.Hour)
			code, err := boss.Invite(background, "nettbrett")
			must(t, err)
			_, err = tab.Enrol(background, testvik, code.Code, "")
			must(t, err)
			person, other := h.people[testvik][0], h.people[testvik][1]
			end := model.MillisOf(h.now().Add(time.Hour))
			give := contract.AssignRequest{Actor: "vikar", Persons: []model.PersonID{person}}
			if how == "ran out" {
				give.To = &end
			}
			_, err = boss.Assign(background, give)
			must(t, err)
			_, err = boss.Assign(background, contract.AssignRequest{Actor: "vikar", Persons: []model.PersonID{other}})
			must(t, err)
			_, err = tab.Login(background, h.token(testvik, "vikar", nurse))
			must(t, err)
			_, err = tab.Pull(background)
			must(t, err)
			h.advance(50 * time.Minute)
			id, err := tab.Sign(person, model.ActRegister, score("score/vision", 3), client.SignOptions{})
			must(t, err)
			h.advance(20 * time.Minute)
			switch how {
			case "blocked":
				_, err = boss.Block(background, contract.BlockRequest{Person: person, Reason: because})
			case "ended":
				give.End = true
				_, err = boss.Assign(background, give)
			}
			must(t, err)
			_, err = tab.Pull(background)
			must(t, err)
			if cards := tab.Persons(); len(cards) != 1 || cards[0].Person != other {
				t.Fatalf("listed after the removal: %+v", cards)
			}
			if _, there := tab.View(person, "score/vision"); !there || len(tab.Outbox()) != 1 {
				t.Fatal("work that waits is hidden")
			}
			report, err := tab.Push(background)
			must(t, err)
			if report.Count(contract.OutcomeApplied) != 1 {
				t.Fatalf("push: %+v", report.Results)
			}
			if _, there := tab.View(person, "score/vision"); there {
				t.Error("something of the person is left on the tablet")
			}
			record, err := boss.Person(background, person, -1)
			must(t, err)
			if len(record.Units) != 1 || record.Units[0].Heads[0].Entry != id {
				t.Errorf("the record: %+v", record.Units)
			}
			free, err := boss.Unassigned(background, "")
			must(t, err)
			if len(free.Persons) != 3 {
				t.Errorf("%d persons whom nobody has", len(free.Persons))
			}
		})
	}
}
