package api

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"flette/journal"
	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// newTablet is the reference client against the house.
func newTablet(t *testing.T, h *house, ahead time.Duration) *client.Tablet {
	t.Helper()
	tab, err := client.New(client.Config{
		URL: h.url, HTTP: h.http, Wall: func() time.Time { return h.now().Add(ahead) },
		Mono: func() time.Duration { return time.Duration(h.clock.Load()) }, Sleep: h.sleep, Rand: &counter{n: uint64(ahead) + 99}, App: "test/1",
		Encoding: client.EncodingZstd,
	})
	must(t, err)
	return tab
}

// The working day of two nurses and a supervisor, by the reference client, every exchange
// held against the contract.
func TestStory(t *testing.T) {
	h := newHouse(t)
	boss := h.api(testvik, "boss", supervisor|admin)
	anne, berit := newTablet(t, h, 0), newTablet(t, h, 3*time.Hour)
	person, other := h.people[testvik][0], h.people[testvik][1]
	for name, tab := range map[string]*client.Tablet{"anne": anne, "berit": berit} {
		code, err := boss.Invite(background, "nettbrett "+name)
		must(t, err)
		_, err = tab.Enrol(background, testvik, code.Code, "")
		must(t, err)
		_, err = boss.Assign(background, contract.AssignRequest{Actor: model.ActorID(name), Persons: []model.PersonID{person}})
		must(t, err)
		_, err = tab.Login(background, h.token(testvik, name, nurse))
		must(t, err)
		_, err = tab.Pull(background)
		must(t, err)
		if n := len(tab.Persons()); n != 1 {
			t.Fatalf("%s sees %d persons", name, n)
		}
	}
	set := func(tab *client.Tablet, who model.PersonID, n string) model.EntryID {
		t.Helper()
		id, err := tab.Sign(who, model.ActRegister, []model.Change{{Unit: "score/assist_memory", Value: jsontext.Value(`{"score":` + n + `}`)}}, client.SignOptions{})
		must(t, err)
		return id
	}
	h.advance(time.Minute)
	first := set(anne, person, "2")
	h.advance(time.Minute)
	second := set(berit, person, "4")
	stray := set(berit, other, "1") // not in the caseload
	h.advance(time.Hour)
	report, err := anne.Push(background)
	must(t, err)
	if report.Count(contract.OutcomeApplied) != 1 {
		t.Fatalf("anne: %+v", report)
	}
	report, err = berit.Push(background)
	must(t, err)
	if report.Count(contract.OutcomeConflict) != 1 || report.Count(contract.OutcomeQuarantined) != 1 {
		t.Fatalf("berit: %+v", report)
	}

	queue, err := boss.Reviews(background, "open", "")
	must(t, err)
	if len(queue.Reviews) != 1 || queue.Reviews[0].Class != model.ClassClinical || queue.Reviews[0].Label == "" || queue.Reviews[0].Name == "" {
		t.Fatalf("reviews: %+v", queue)
	}
	review, etag, err := boss.Review(background, queue.Reviews[0].ID)
	must(t, err)
	if len(review.Unit.Heads) != 2 || review.Preselect == nil || *review.Preselect != second {
		t.Fatalf("review: %+v", review)
	}
	why := &model.Reason{Code: "spoke-with-both", Text: "prøve"}
	done, err := boss.Decide(background, review.ID, etag, contract.DecisionRequest{Choose: &first, Reason: why})
	must(t, err)
	if done.Review.State != "closed" || done.Review.Unit.Heads[0].Act != model.ActDecide {
		t.Fatalf("decision: %+v", done)
	}
	// The heads of the review are settled; choosing one of them again needs a value.
	if _, err = boss.Decide(background, review.ID, `"`+done.Review.HeadSet+`"`, contract.DecisionRequest{Choose: &first, Reason: why}); client.CodeOf(err) != "invalid-member" {
		t.Errorf("an overwritten head was chosen: %v", err)
	}

	dead, err := boss.Quarantine(background, "open", "")
	must(t, err)
	if len(dead.Items) != 1 || dead.Items[0].Entry != stray || dead.Items[0].Code != "out-of-scope" {
		t.Fatalf("quarantine: %+v", dead)
	}
	settled, err := boss.Release(background, stray, *why)
	must(t, err)
	if settled.Item.State != "released" || settled.Result.Outcome != contract.OutcomeApplied {
		t.Fatalf("release: %+v", settled)
	}
	if _, err = boss.Close(background, stray, *why); client.CodeOf(err) != "already-settled" {
		t.Errorf("a released entry was closed: %v", err)
	}

	_, err = berit.Pull(background)
	must(t, err)
	if v, ok := berit.View(person, "score/assist_memory"); !ok || string(v.Heads[0].Value) != `{"score":2}` {
		t.Errorf("berit sees %+v", v)
	}
	must(t, anne.Audit(background))

	record, err := boss.Person(background, person, -1)
	must(t, err)
	if len(record.Units) != 1 || record.NationalID == "" || record.Units[0].Heads[0].Act != model.ActDecide {
		t.Errorf("record: %+v", record)
	}
	past, err := boss.Person(background, person, 1)
	must(t, err)
	if len(past.Units) != 1 || past.Units[0].Heads[0].Entry != first || past.Position != 1 {
		t.Errorf("record as of 1: %+v", past)
	}
	history, err := boss.History(background, person, "", "")
	must(t, err)
	if len(history.Entries) != 3 || history.Entries[2].Changes[0].Standing != "shown" || history.Entries[0].Changes[0].Standing != "superseded" {
		t.Errorf("history: %+v", history)
	}
	h.deskRest(t, boss)
	h.proofs(t, person, first)
}

// deskRest are the calls of the desk that the day above does not need.
func (h *house) deskRest(t *testing.T, boss *client.API) {
	t.Helper()
	cards, err := boss.Persons(background, "")
	must(t, err)
	if len(cards.Persons) != 4 {
		t.Errorf("persons: %d", len(cards.Persons))
	}
	devices, err := boss.Devices(background, "")
	must(t, err)
	if len(devices.Devices) != 3 {
		t.Errorf("devices: %+v", devices)
	}
	for _, d := range devices.Devices {
		if d.Kind == "tablet" && (d.LastContact == nil || d.Fingerprint == "") {
			t.Errorf("device: %+v", d)
		}
	}
	_, err = boss.Findings(background, "", "", "", "")
	must(t, err)
	week, err := boss.TimeReport(background, "2026-W47")
	must(t, err)
	if len(week.Rows) != 1 || *week.Rows[0].GrantedMinutes != 120 {
		t.Errorf("week: %+v", week)
	}
	x, err := boss.RunExtract(background, contract.ExtractRequest{Format: format, Target: "test"})
	must(t, err)
	file, err := boss.ExtractFile(background, x.ID)
	must(t, err)
	if string(file) != "<message/>" {
		t.Errorf("file: %s", file)
	}
	if _, err := boss.RunExtract(background, contract.ExtractRequest{Format: format, Target: "production"}); client.CodeOf(err) != "nothing-to-send" {
		t.Errorf("empty extract: %v", err)
	}
	again, err := boss.RunExtract(background, contract.ExtractRequest{Format: format, Target: "test", Resend: &contract.ExtractResend{Extract: x.ID}})
	must(t, err)
	if again.FromSerial != 1 || again.ToSerial != 2 {
		t.Errorf("resent serials %d-%d", again.FromSerial, again.ToSerial)
	}
	if file, err = boss.ExtractFile(background, again.ID); err != nil || string(file) != "<again/>" {
		t.Errorf("resent: %s, %v", file, err)
	}
	token := "Bearer " + h.token(testvik, "boss", admin)
	h.want(http.StatusOK, h.request("GET", "/v1/extracts", token, nil), nil)
	h.want(http.StatusOK, h.request("GET", "/v1/extracts/x-1", token, nil), nil)
	h.want(http.StatusOK, h.request("GET", "/v1/extracts/"+again.ID, token, nil), nil)
	h.refused("not-found", h.request("GET", "/v1/extracts/resend~test~x-2~0~0~~~/file", token, nil))
	h.refused("not-found", h.request("GET", "/v1/extracts/x-2/file", token, nil))
}

// proofs checks a receipt as an auditor would.
func (h *house) proofs(t *testing.T, person model.PersonID, entry model.EntryID) {
	t.Helper()
	token := "Bearer " + h.token(testvik, "auditor", supervisor)
	var cp contract.CheckpointResponse
	h.want(http.StatusOK, h.request("GET", "/v1/journal/checkpoint", token, nil), &cp)
	newest, err := journal.Verify([]byte(cp.Checkpoint), cp.Key)
	must(t, err)
	var in contract.InclusionProof
	h.want(http.StatusOK, h.request("GET", "/v1/journal/inclusion?entry="+entry.String()+"&person="+person.String(), token, nil), &in)
	must(t, journal.CheckLeaf(journal.LeafProof{Position: in.Position, Size: in.Size, Hashes: treeHashes(t, in.Proof)}, tlog.RecordHash([]byte(in.Leaf)), newest))
	var con contract.ConsistencyProof
	h.want(http.StatusOK, h.request("GET", "/v1/journal/consistency?from=1", token, nil), &con)
	one := journal.Checkpoint{Origin: newest.Origin, Size: 1, Root: tlog.RecordHash([]byte(in.Leaf))}
	must(t, journal.CheckConsistency(journal.ConsistencyProof{From: 1, To: con.To, Hashes: treeHashes(t, con.Proof)}, one, newest))
}

func treeHashes(t *testing.T, in []string) []tlog.Hash {
	t.Helper()
	out := make([]tlog.Hash, len(in))
	for i := range in {
		must(t, out[i].UnmarshalJSON([]byte(`"`+in[i]+`"`)))
	}
	return out
}

// A reply that was lost, a device that was revoked, a lease that ran out.
func TestPushAgain(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "nurse-1", nurse)
	person := h.people[testvik][0]
	h.assign(testvik, "nurse-1", person)
	jws := d.entry(person, model.ActRegister, score("score/vision", 3))
	if r := d.push(jws).Results[0]; r.Outcome != contract.OutcomeApplied || *r.Position != 0 {
		t.Fatalf("first: %+v", r)
	}
	if r := d.push(jws).Results[0]; r.Outcome != contract.OutcomeDuplicate || r.First != contract.OutcomeApplied {
		t.Errorf("again: %+v", r)
	}
	h.advance(20 * time.Minute)
	out := d.push()
	if out.Lease == nil || out.Lease.ID == d.lease.ID || out.Lease.ExpiresAt > d.lease.ExpiresAt {
		t.Fatalf("no nearer anchor, or a longer session: %+v", out.Lease)
	}
	d.lease = *out.Lease

	h.advance(13 * time.Hour)
	late := d.entry(person, model.ActRegister, score("score/vision", 4))
	if r := d.push(late).Results[0]; r.Outcome != contract.OutcomeQuarantined || r.Code != "lease-expired" {
		t.Errorf("under an expired lease: %+v", r)
	}
	h.refused("lease-expired", d.request("GET", "/v1/sync/pull", d.auth(), nil))
	h.refused("invalid-token", d.request("GET", "/v1/persons", d.auth(), nil))
	h.refused("lease-expired", d.request("GET", "/v1/journal/checkpoint", d.auth(), nil))
	d.login("nurse-1", nurse)
	if n := h.size(testvik); n != 3 { // applied, quarantined, released by the login
		t.Errorf("journal has %d entries", n)
	}

	boss := "Bearer " + h.token(testvik, "boss", admin)
	for range 2 {
		var v contract.DeviceView
		h.want(http.StatusOK, h.request("POST", "/v1/devices/"+d.id.String()+"/revoke", boss, contract.RevokeRequest{Reason: "lost"}), &v)
		if v.State != "revoked" || v.LastSeq != 2 {
			t.Errorf("revoked: %+v", v)
		}
	}
	h.advance(20 * time.Minute)
	out = d.push(d.entry(person, model.ActRegister, score("score/vision", 1)))
	if r := out.Results[0]; r.Outcome != contract.OutcomeQuarantined || r.Code != "device-revoked" || out.Lease != nil {
		t.Errorf("from a revoked device: %+v", out)
	}
	for path, code := range map[string]string{"/v1/sync/pull": "device-revoked", "/v1/persons": "device-revoked", "/v1/journal/checkpoint": "device-revoked"} {
		h.refused(code, d.request("GET", path, d.auth(), nil))
	}
	h.refused("device-revoked", d.request("POST", "/v1/leases", "Bearer "+h.token(testvik, "nurse-1", nurse),
		contract.LeaseRequest{Device: d.id, Wall: model.MillisOf(h.now())}))
}

// A decision on heads that have moved gets them back, and nothing is decided.
func TestPreconditions(t *testing.T) {
	h := newHouse(t)
	person := h.people[testvik][0]
	var tabs []*device
	for _, who := range []string{"n1", "n2", "n3"} {
		h.assign(testvik, who, person)
		tabs = append(tabs, h.tablet(testvik, who, nurse))
	}
	tabs[0].push(tabs[0].entry(person, model.ActRegister, score("score/vision", 1)))
	h.advance(time.Minute)
	r := tabs[1].push(tabs[1].entry(person, model.ActRegister, score("score/vision", 4))).Results[0]
	if len(r.Reviews) != 1 {
		t.Fatalf("no review: %+v", r)
	}
	path := "/v1/reviews/" + r.Reviews[0].Review
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	var seen contract.ReviewView
	etag := h.want(http.StatusOK, h.request("GET", path, token, nil), &seen).Get("ETag")
	body := contract.DecisionRequest{Value: jsontext.Value(`{"score":2}`), Reason: &model.Reason{Code: "seen-myself"}}
	decide := func(match ...string) *http.Request {
		req := h.request("POST", path+"/decision", token, body)
		for _, m := range match {
			req.Header.Add("If-Match", m)
		}
		return req
	}
	h.refused("precondition-required", decide())
	h.refused("invalid-header", decide(etag, etag))
	h.refused("invalid-header", decide("*"))
	h.refused("invalid-header", decide("W/"+etag))
	h.advance(time.Minute)
	tabs[2].push(tabs[2].entry(person, model.ActRegister, score("score/vision", 9)))
	before := h.size(testvik)
	p := h.refused("precondition-failed", decide(etag))
	if p.Current == nil || len(p.Current.Unit.Heads) != 3 || p.Current.HeadSet == seen.HeadSet || h.size(testvik) != before {
		t.Fatalf("412: %+v", p)
	}
	body.Value = jsontext.Value(`{"score":7}`)
	if p := h.refused("invalid-member", decide(`"`+p.Current.HeadSet+`"`)); p.Pointer != "/value/score" {
		t.Errorf("pointer %q", p.Pointer)
	}
	body.Value = jsontext.Value(`{"score":2}`)
	var done contract.DecisionResponse
	h.want(http.StatusCreated, decide(`"`+p.Current.HeadSet+`"`), &done)
	if done.Review.State != "closed" || string(done.Review.Unit.Heads[0].Value) != `{"score":2}` {
		t.Errorf("decided: %+v", done)
	}

	// The supervisor's own device signs the next one.
	own := h.tablet(testvik, "boss", supervisor)
	entry := own.entry(person, model.ActDecide, score("score/vision", 3, done.Review.Unit.Heads[0].Entry), func(e *model.Entry) {
		e.Reason = &model.Reason{Code: "seen-again"}
	})
	body = contract.DecisionRequest{Entry: entry}
	h.want(http.StatusCreated, decide(`"`+done.Review.HeadSet+`"`), &done)
	if done.Result.Outcome != contract.OutcomeApplied || string(done.Review.Unit.Heads[0].Value) != `{"score":3}` {
		t.Errorf("own entry: %+v", done)
	}
}

// A long poll answers as soon as there is news, and at once when the server stops.
func TestLongPoll(t *testing.T) {
	arrived := make(chan struct{}, 100) // a request with a lease has reached the server
	h := newHouse(t, func(o *Options) {
		keys := o.TokenKey
		o.TokenKey = func(id model.TenantID) (string, ed25519.PrivateKey, error) {
			arrived <- struct{}{}
			return keys(id)
		}
	})
	d := h.tablet(testvik, "n1", nurse)
	person := h.people[testvik][0]
	h.assign(testvik, "n1", person)
	var page contract.PullResponse
	d.ok(http.StatusOK, "GET", "/v1/sync/pull", d.auth(), nil, &page)
	if len(page.Items) != 1 || page.Items[0].Type != contract.ItemScopeAdd || page.Items[0].Card.Name == "" {
		t.Fatalf("first page: %+v", page)
	}
	wait := func() chan contract.PullResponse {
		got := make(chan contract.PullResponse, 1)
		req := d.request("GET", "/v1/sync/pull?wait=60&cursor="+page.Cursor, d.auth(), nil)
		go func() {
			defer close(got) // also when the request fails
			var next contract.PullResponse
			h.want(http.StatusOK, req, &next)
			got <- next
		}()
		return got
	}
	got := wait()
	d.push(d.entry(person, model.ActRegister, score("score/vision", 2)))
	next := <-got
	if len(next.Items) != 1 || next.Items[0].Unit == nil {
		t.Fatalf("news: %+v", next)
	}
	page = next
	for len(arrived) > 0 {
		<-arrived
	}
	got = wait()
	<-arrived
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	must(t, h.srv.Shutdown(ctx))
	if next = <-got; len(next.Items) != 0 || next.Cursor == "" {
		t.Errorf("at shutdown: %+v", next)
	}
}
