package api

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"flette/api/auth"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/sync"
)

// example gives each route a path and body that would be good for somebody. Ids are those of
// testvik.
type example struct {
	path string
	body any
}

// world is a house in which every kind of thing exists once.
type world struct {
	*house
	nurse    *device
	examples map[string]example // by "METHOD pattern"
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	h := newHouse(t, change...)
	person := h.people[testvik][0]
	n1, n2 := h.tablet(testvik, "n1", nurse), h.tablet(testvik, "n2", nurse)
	h.assign(testvik, "n1", person)
	h.assign(testvik, "n2", person)
	first := n1.push(n1.entry(person, model.ActRegister, score("score/vision", 1)), n1.entry(h.people[testvik][1], model.ActRegister, score("score/vision", 1)))
	h.advance(time.Minute)
	clash := n2.push(n2.entry(person, model.ActRegister, score("score/vision", 4)))
	review, dead := clash.Results[0].Reviews[0].Review, first.Results[1].ID
	token := "Bearer " + h.token(testvik, "setup", admin)
	h.want(http.StatusCreated, h.request("POST", "/v1/extracts", token, contract.ExtractRequest{Format: format, Target: "test"}), nil)
	loaded := n1.snapshot("")
	cursor := loaded[len(loaded)-1].Cursor
	why := model.Reason{Code: "because", Text: "prøve"}
	use, _, err := h.engine.BreakGlass(background, sync.BreakGlass{
		Tenant: testvik, Actor: "n3", Roles: nurse, Person: h.people[testvik][3], Reason: why,
	})
	must(t, err)
	settle := contract.SettleRequest{Reason: why}
	value := contract.DecisionRequest{Value: []byte(`{"score":2}`), Reason: &why}
	p, d := "/v1/persons/"+person.String(), "/v1/devices/"+n2.id.String()
	w := &world{house: h, nurse: n1, examples: map[string]example{
		"POST /v1/devices":                    {"/v1/devices", contract.EnrolRequest{Tenant: testvik, Code: "ABCD", Key: []byte(n1.pub.String()), Proof: "a.b.c"}},
		"GET /v1/devices":                     {"/v1/devices?limit=2", nil},
		"POST /v1/devices/{id}/revoke":        {d + "/revoke", contract.RevokeRequest{Reason: "lost"}},
		"POST /v1/invites":                    {"/v1/invites", contract.InviteRequest{Label: "nettbrett"}},
		"POST /v1/leases":                     {"/v1/leases", contract.LeaseRequest{Device: n1.id, Wall: model.MillisOf(noon)}},
		"POST /v1/sync/push":                  {pathPush, contract.PushRequest{Diary: &contract.Diary{Outbox: 1}, Entries: []string{}}},
		"GET /v1/sync/pull":                   {"/v1/sync/pull?limit=10", nil},
		"GET /v1/persons":                     {"/v1/persons?limit=2&unassigned=false", nil},
		"GET /v1/persons/{id}":                {p + "?as_of=1", nil},
		"GET /v1/persons/{id}/history":        {p + "/history?limit=1&unit=score/vision", nil},
		"POST /v1/assignments":                {"/v1/assignments", contract.AssignRequest{Actor: "n3", Persons: []model.PersonID{person}}},
		"POST /v1/blocks":                     {"/v1/blocks", contract.BlockRequest{Person: h.people[testvik][1], Actor: "n9", Reason: why}},
		"GET /v1/blocks":                      {"/v1/blocks?limit=1", nil},
		"POST /v1/break-glass":                {"/v1/break-glass", contract.BreakGlassRequest{Person: &h.people[testvik][2], Minutes: new(int64(30)), Reason: why}},
		"GET /v1/break-glass":                 {"/v1/break-glass?state=open&limit=1", nil},
		"POST /v1/break-glass/{id}/follow-up": {"/v1/break-glass/" + glassID(use.Seq) + "/follow-up", settle},
		"POST /v1/findings/settle":            {"/v1/findings/settle", contract.FindingSettleRequest{Person: person, Rule: "R9", Unit: "person/household", Act: "close", Reason: why}},
		"GET /v1/reviews":                     {"/v1/reviews?state=open&limit=1", nil},
		"GET /v1/reviews/{id}":                {"/v1/reviews/" + review, nil},
		"POST /v1/reviews/{id}/decision":      {"/v1/reviews/" + review + "/decision", value},
		"GET /v1/quarantine":                  {"/v1/quarantine?state=open&limit=1&unit=0190a000-0000-7000-8000-000000000001&actor=n1", nil},
		"GET /v1/quarantine/{id}":             {"/v1/quarantine/" + dead, nil},
		"POST /v1/quarantine/{id}/release":    {"/v1/quarantine/" + dead + "/release", settle},
		"POST /v1/quarantine/{id}/close":      {"/v1/quarantine/" + dead + "/close", settle},
		"POST /v1/extracts":                   {"/v1/extracts", contract.ExtractRequest{Format: format, Target: "test"}},
		"GET /v1/extracts":                    {"/v1/extracts?limit=1", nil},
		"GET /v1/extracts/{id}":               {"/v1/extracts/x-1", nil},
		"GET /v1/extracts/{id}/file":          {"/v1/extracts/x-1/file", nil},
		"GET /v1/findings/counts":             {"/v1/findings/counts?rule=R2&severity=M&from=2026-11-01&to=2026-11-30", nil},
		"GET /v1/submissions":                 {"/v1/submissions?target=test&limit=1", nil},
		"GET /v1/worklist":                    {"/v1/worklist?task=confirm-end&ahead=7", nil},
		"POST /v1/worklist/confirm":           {"/v1/worklist/confirm", contract.ConfirmEndsRequest{Ends: []contract.EndSeen{{Person: person, Unit: "service/0190a000-0000-7000-8000-0000000000f1", Date: "2026-02-01"}}, Reason: why}},
		"GET /v1/findings":                    {"/v1/findings?person=" + person.String() + "&rule=R2&severity=B&state=all", nil},
		"GET /v1/reports/time":                {"/v1/reports/time?week=2026-W47&person=" + person.String(), nil},
		"GET /v1/reports/measures":            {"/v1/reports/measures?date=2026-11-21&depth=2&ages=67&format=json&lang=en", nil},
		"GET /v1/journal/checkpoint":          {"/v1/journal/checkpoint", nil},
		"GET /v1/journal/inclusion":           {"/v1/journal/inclusion?size=3&entry=" + first.Results[0].ID + "&person=" + person.String(), nil},
		"GET /v1/journal/consistency":         {"/v1/journal/consistency?from=1&to=3", nil},
		"GET /v1/catalogue":                   {"/v1/catalogue", nil},
		"GET /v1/local-services":              {"/v1/local-services?on=2026-11-21", nil},
		"GET /v1/openapi.json":                {"/v1/openapi.json", nil},
		"GET /livez":                          {"/livez", nil},
		"GET /readyz":                         {"/readyz", nil},
		"GET /v1/devices/{id}":                {d, nil},
		"POST /v1/devices/rotate-key":         {"/v1/devices/rotate-key", contract.RotateRequest{Key: []byte(n2.pub.String()), Proof: "a.b.c"}},
		"POST /v1/sync/wiped":                 {"/v1/sync/wiped", contract.WipedRequest{Order: "none"}},
		"GET /v1/sync/snapshot":               {"/v1/sync/snapshot?person=" + person.String(), nil},
		"POST /v1/sync/digest":                {pathDigest, contract.DigestRequest{Cursor: cursor, Persons: []contract.PersonDigest{{Person: person, Digest: "x"}}}},
		"GET /v1/sync/events":                 {"/v1/sync/events", nil},
		"POST /v1/visits":                     {"/v1/visits", contract.VisitsRequest{Actor: "n3", Date: "2026-11-21", Persons: []model.PersonID{person}}},
	}}
	for i := range routes {
		if _, ok := w.examples[routes[i].method+" "+routes[i].path]; !ok {
			t.Fatalf("no example for %s %s", routes[i].method, routes[i].path)
		}
	}
	return w
}

func (w *world) example(r *route) example { return w.examples[r.method+" "+r.path] }

// status makes a call and gives status and code.
func (w *world) status(req *http.Request) (int, string) {
	w.t.Helper()
	res, body := w.do(req)
	_, code, _ := strings.Cut(string(body), `"code":"`)
	code, _, _ = strings.Cut(code, `"`)
	return res.StatusCode, code
}

// Every role on every route: what the table does not name is forbidden (H1).
func TestRoleMatrix(t *testing.T) {
	w := newWorld(t)
	for i := range routes {
		r := &routes[i]
		if r.who == public || r.who == byCode || r.who == byLease {
			continue
		}
		ex := w.example(r)
		// A user without any role is known, and may do nothing.
		for _, role := range []model.Roles{0, nurse, supervisor, admin, operator} {
			token := "Bearer " + w.token(testvik, fmt.Sprint("role-", role), role)
			req := w.request(r.method, ex.path, token, ex.body)
			if r.who == byTokenKey {
				req = w.nurse.request(r.method, ex.path, token, ex.body)
			}
			if strings.HasSuffix(r.path, "/decision") {
				req.Header.Set("If-Match", `"old"`)
			}
			status, code := w.status(req)
			allowed := role&r.roles != 0
			if (code == "forbidden") == allowed || status >= 500 || status == 401 {
				t.Errorf("%s %s as %v: %d %s", r.method, r.path, role.Names(), status, code)
			}
		}
		// Without a credential, and with one of another kind.
		w.refused("unauthenticated", w.request(r.method, ex.path, "", ex.body))
		for _, header := range []string{"Basic YTpi", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer a b", "DPoP a.b.c", "bearer\ta.b.c"} {
			status, code := w.status(w.request(r.method, ex.path, header, ex.body))
			if status != http.StatusUnauthorized {
				t.Errorf("%s %s with %q: %d %s", r.method, r.path, header, status, code)
			}
		}
		if r.who == byToken || r.who == byTokenKey {
			if status, _ := w.status(w.nurse.request(r.method, ex.path, w.nurse.auth(), ex.body)); status != http.StatusUnauthorized {
				t.Errorf("%s %s takes a lease: %d", r.method, r.path, status)
			}
		}
	}
}

// Leases and proofs on the routes that take them, one thing wrong at a time.
func TestProofs(t *testing.T) {
	w := newWorld(t)
	d := w.nurse
	before := w.size(testvik)
	for i := range routes {
		r := &routes[i]
		if r.who != byLease && r.who != byTokenOr && r.who != byAny {
			continue
		}
		ex := w.example(r)
		make := func() *http.Request { return d.request(r.method, ex.path, d.auth(), ex.body) }
		lease := map[bool]string{true: "invalid-lease", false: "invalid-token"}[r.who != byTokenOr]

		if status, code := w.status(make()); status >= 300 && code != refusal[r.path] {
			t.Errorf("%s: %d %s", ex.path, status, code)
		}
		same := make()
		w.do(same)
		again := w.request(r.method, ex.path, d.auth(), ex.body)
		again.Header = same.Header
		w.refused("replayed-proof", again)

		req := make()
		req.Header.Del("DPoP")
		w.refused("invalid-dpop", req)
		req = make()
		req.Header.Add("DPoP", d.dpop(r.method, ex.path, d.lease.Token))
		w.refused("invalid-dpop", req)
		for name, proof := range map[string]string{
			"method": d.dpop("PUT", ex.path, d.lease.Token), "path": d.dpop(r.method, "/livez", d.lease.Token),
			"token": d.dpop(r.method, ex.path, "other"), "garbage": "a.b.c",
		} {
			req = make()
			req.Header.Set("DPoP", proof)
			if p := w.refused("invalid-dpop", req); p.Code != "invalid-dpop" {
				t.Errorf("wrong %s", name)
			}
		}
		stranger := &device{h: w.house, key: ed25519.NewKeyFromSeed(make32(9)), tenant: testvik}
		stranger.pub = mustKey(t, stranger.key)
		req = make()
		req.Header.Set("DPoP", stranger.dpop(r.method, ex.path, d.lease.Token))
		w.refused("lease-not-bound", req)

		req = make()
		req.Header.Add("Authorization", "DPoP "+d.lease.Token)
		if status, code := w.status(req); status != 401 || code == "invalid-header" {
			t.Errorf("%s: two Authorization headers: %d %s", ex.path, status, code)
		}
		req = make()
		req.Header.Set("Authorization", "DPoP "+d.lease.Token+"x")
		w.refused(lease, req)
		req = make()
		req.Header.Set("Authorization", "Bearer "+d.lease.Token)
		if status, code := w.status(req); status != 401 {
			t.Errorf("%s: lease as bearer: %d %s", ex.path, status, code)
		}

		// A tablet whose clock is off learns the nonce and proves itself with it.
		w.advance(2 * time.Minute)
		req = make()
		req.Header.Set("DPoP", d.dpop(r.method, ex.path, d.lease.Token))
		w.advance(2 * time.Minute)
		res, _ := w.do(req)
		nonce := res.Header.Get("DPoP-Nonce")
		if res.StatusCode != 401 || nonce == "" || !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
			t.Errorf("%s: no nonce: %d %v", ex.path, res.StatusCode, res.Header)
		}
		proof := d.compact(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+d.pub.String()+`}`, fmt.Sprintf(
			`{"jti":"n-%d","htm":%q,"htu":%q,"iat":1,"ath":%q,"nonce":%q}`, i, r.method, w.url+strings.Split(ex.path, "?")[0], athOf(d.lease.Token), nonce))
		req.Header.Set("DPoP", proof)
		req = cloneWithBody(w, req, r, ex)
		if status, code := w.status(req); status >= 300 && code != refusal[r.path] {
			t.Errorf("%s with a nonce: %d %s", ex.path, status, code)
		}
	}
	if w.size(testvik) != before {
		t.Error("a refused request had an effect")
	}
}

// refusal is what an example gets that would change the device under the test.
var refusal = map[string]string{"/v1/devices/rotate-key": "invalid-proof", "/v1/sync/wiped": "conflict"}

func cloneWithBody(w *world, req *http.Request, r *route, ex example) *http.Request {
	fresh := w.request(r.method, ex.path, "", ex.body)
	fresh.Header = req.Header.Clone()
	return fresh
}

// Token A for tenant B's things: not there, or nothing of the kind; never data, never an effect (H2).
func TestForeignTenant(t *testing.T) {
	w := newWorld(t)
	foreign := w.tablet(proveby, "stranger", everyRole)
	before, theirs := w.size(testvik), w.size(proveby)
	for i := range routes {
		r := &routes[i]
		ex := w.example(r)
		if r.who == public || r.who == byCode || r.path == "/v1/invites" || r.path == "/v1/extracts" {
			continue
		}
		var req *http.Request
		switch r.who {
		case byLease:
			req = foreign.request(r.method, ex.path, foreign.auth(), ex.body)
		case byTokenKey:
			req = w.nurse.request(r.method, ex.path, "Bearer "+w.token(proveby, "stranger", everyRole), ex.body)
		default:
			req = w.request(r.method, ex.path, "Bearer "+w.token(proveby, "stranger", everyRole), ex.body)
		}
		if strings.HasSuffix(r.path, "/decision") {
			req.Header.Set("If-Match", `"old"`)
		}
		res, body := w.do(req)
		named := strings.Contains(r.path, "{id}") || strings.Contains(ex.path, "person=") || r.path == "/v1/assignments" || r.path == "/v1/visits"
		if named && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", r.method, ex.path, res.StatusCode, body)
		}
		if r.path == "/v1/leases" && !strings.Contains(string(body), "unknown-device") {
			t.Errorf("lease on a foreign device: %d %s", res.StatusCode, body)
		}
		for _, p := range w.people[testvik] {
			said, err := json.Marshal(ex.body) // an answer may name what was asked about
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(body), p.String()) && !strings.Contains(string(said), p.String()) {
				t.Errorf("%s %s shows a person of another tenant", r.method, ex.path)
			}
		}
	}
	// Somebody else's entries are not attributable here, whoever hands them in.
	jws := w.nurse.entry(w.people[testvik][0], model.ActRegister, score("score/vision", 2))
	if r := foreign.push(jws).Results[0]; r.Outcome != contract.OutcomeRefused || r.Code != "unknown-key" {
		t.Errorf("foreign entry: %+v", r)
	}
	// A lease signed by one tenant's key says nothing for another, even if it claims so.
	kid, key := w.keys[proveby].TokenKey()
	forged, err := auth.IssueLease(key, "proveby."+kid, auth.LeaseClaims{
		ID: "x", Tenant: testvik, Device: w.nurse.id, Actor: "n1", Roles: everyRole,
		IssuedAt: model.MillisOf(w.now()), ExpiresAt: model.MillisOf(w.now().Add(time.Hour)), JKT: w.nurse.pub.Thumbprint(),
	})
	must(t, err)
	w.refused("invalid-lease", w.nurse.request("GET", "/v1/sync/pull", "DPoP "+forged, nil))
	for _, tenant := range []model.TenantID{"nowhere", "a"} {
		w.refused("invalid-token", w.request("GET", "/v1/persons", "Bearer "+w.token(tenant, "x", everyRole), nil))
	}
	if w.size(testvik) != before || w.size(proveby) != theirs {
		t.Error("a journal has changed")
	}
}

// A nurse sees the own caseload, and outside of it nobody exists (H3).
func TestCaseload(t *testing.T) {
	w := newWorld(t)
	mine, other := w.people[testvik][0], w.people[testvik][1]
	token := "Bearer " + w.token(testvik, "n1", nurse)
	var list contract.PersonList
	w.want(http.StatusOK, w.request("GET", "/v1/persons", token, nil), &list)
	if len(list.Persons) != 1 || list.Persons[0].Person != mine {
		t.Errorf("caseload: %+v", list)
	}
	var record contract.PersonRecord
	w.want(http.StatusOK, w.nurse.request("GET", "/v1/persons/"+mine.String(), w.nurse.auth(), nil), &record)
	if record.NationalID != "" || record.Card.Name == "" {
		t.Errorf("record: %+v", record)
	}
	for _, id := range []string{other.String(), w.people[proveby][0].String(), "00000000-0000-4000-8000-000000000000"} {
		for _, path := range []string{"/v1/persons/" + id, "/v1/persons/" + id + "/history", "/v1/persons/" + id + "?as_of=99"} {
			a := w.refused("not-found", w.request("GET", path, token, nil))
			b := w.refused("not-found", w.nurse.request("GET", path, w.nurse.auth(), nil))
			if a.Detail != b.Detail {
				t.Error("two answers for nobody")
			}
		}
	}
	_, err := w.engine.Assign(background, testvik, endOf("n1", mine))
	must(t, err)
	w.refused("not-found", w.request("GET", "/v1/persons/"+mine.String(), token, nil))
}

// Pages of every list end, hold everything once, and take no other list's cursor.
func TestPaging(t *testing.T) {
	w := newWorld(t)
	n := w.nurse
	for i := range 5 {
		n.push(n.entry(w.people[testvik][1+i%3], model.ActRegister, score("score/vision", 1)))
	}
	token := "Bearer " + w.token(testvik, "boss", supervisor|admin)
	cursors := map[string]string{}
	for path, want := range map[string]int{"/v1/persons": 4, "/v1/devices": 3, "/v1/quarantine": 6, "/v1/reviews": 1, "/v1/extracts": 1} {
		var seen []string
		next := ""
		for range 20 {
			url := path + "?limit=1"
			if next != "" {
				url += "&cursor=" + next
				cursors[path] = next
			}
			_, body := w.do(w.request("GET", url, token, nil))
			items := itemsOf(t, body)
			seen = append(seen, items.ids...)
			if next = items.next; next == "" {
				break
			}
		}
		slices.Sort(seen)
		if len(slices.Compact(seen)) != want || next != "" {
			t.Errorf("%s: %d different items in %v", path, len(seen), seen)
		}
	}
	for from, cursor := range cursors {
		for _, path := range []string{"/v1/persons", "/v1/devices", "/v1/quarantine", "/v1/reviews", "/v1/extracts", "/v1/findings"} {
			if path != from {
				w.refused("invalid-cursor", w.request("GET", path+"?cursor="+cursor, token, nil))
			}
		}
	}
}
