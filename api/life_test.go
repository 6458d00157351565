package api

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// nth is a fixed key of tests.
func nth(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make32(n)) }

// rig is a reference client whose state is kept as it would be in a file, so that it can be
// restarted and copied.
type rig struct {
	*client.Tablet
	h     *house
	saved []byte
	cfg   client.Config
}

func (h *house) rig(key ed25519.PrivateKey) *rig {
	h.t.Helper()
	r := &rig{h: h}
	r.cfg = client.Config{
		URL: h.url, HTTP: h.http, Key: key, Wall: h.now, Mono: func() time.Duration { return time.Duration(h.clock.Load()) },
		Sleep: h.sleep, Rand: &counter{n: uint64(key[0]) << 20}, App: "rig/1", Save: r.save, Tries: 1,
	}
	var err error
	r.Tablet, err = client.New(r.cfg)
	must(h.t, err)
	return r
}

func (r *rig) save(s *client.State) (err error) {
	r.saved, err = json.Marshal(s)
	return err
}

func (r *rig) state() *client.State {
	r.h.t.Helper()
	var s client.State
	must(r.h.t, json.Unmarshal(r.saved, &s))
	return &s
}

// work enrols the tablet and logs the nurse in.
func (r *rig) work(nurseName string) {
	r.h.t.Helper()
	code, _, err := r.h.engine.Invite(background, testvik, "nettbrett")
	must(r.h.t, err)
	_, err = r.Enrol(background, testvik, code, "")
	must(r.h.t, err)
	r.login(nurseName)
}

func (r *rig) login(name string) {
	r.h.t.Helper()
	_, err := r.Login(background, r.h.token(testvik, name, nurse))
	must(r.h.t, err)
}

func (r *rig) sign(person int, unit string, n string) model.EntryID {
	r.h.t.Helper()
	id, err := r.Sign(r.h.people[testvik][person], model.ActRegister,
		[]model.Change{{Unit: model.Unit(unit), Value: jsontext.Value(`{"score":` + n + `}`)}}, client.SignOptions{})
	must(r.h.t, err)
	return id
}

func (r *rig) push() *client.PushReport {
	r.h.t.Helper()
	report, err := r.Push(background)
	must(r.h.t, err)
	return report
}

// again is the tablet after a restart, or a copy of it, with the key that the state names.
func (r *rig) again(keys ...ed25519.PrivateKey) (*rig, error) {
	r.h.t.Helper()
	state := r.state()
	out := &rig{h: r.h, saved: r.saved, cfg: r.cfg}
	out.cfg.Save = out.save
	for _, key := range keys {
		if mustKey(r.h.t, key).Thumbprint() == state.JKT {
			out.cfg.Key = key
		}
	}
	var err error
	out.Tablet, err = client.Restore(out.cfg, state)
	return out, err
}

// lossy drops the next answers of a path, or their requests.
type lossy struct {
	http.RoundTripper
	path            string
	answers, before int
	during          func() // once, while the request is on its way
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, l.path) {
		return l.RoundTripper.RoundTrip(r)
	}
	if during := l.during; during != nil {
		l.during = nil
		during()
	}
	if l.before > 0 {
		l.before--
		return nil, errors.New("no network")
	}
	res, err := l.RoundTripper.RoundTrip(r)
	if l.answers > 0 && err == nil {
		l.answers--
		return nil, errors.Join(errors.New("answer lost"), res.Body.Close())
	}
	return res, err
}

// A revoked tablet hands in what it holds, erases it, says so though the network fails, and
// does nothing any more (T11).
func TestATabletObeysAWipeOrder(t *testing.T) {
	h := newHouse(t)
	admins := h.api(testvik, "boss", supervisor|admin)
	h.assign(testvik, "anne", h.people[testvik][0])
	a := h.rig(nth(1))
	wire := &lossy{RoundTripper: h.http.Transport, path: "/v1/sync/wiped", answers: 1, before: 1}
	a.cfg.HTTP = &http.Client{Transport: wire}
	destroyed := 0
	a.cfg.DestroyKey = func() error { destroyed++; return nil }
	var err error
	a.Tablet, err = client.New(a.cfg)
	must(t, err)
	a.work("anne")
	_, err = a.Pull(background)
	must(t, err)
	a.sign(0, "score/vision", "2")
	a.push()
	waits := a.sign(0, "score/hearing", "3")
	h.advance(time.Minute)
	_, err = admins.Revoke(background, a.ID(), "lost on the bus")
	must(t, err)
	view, err := admins.Device(background, a.ID())
	must(t, err)
	if view.Wipe == nil || view.Wipe.State != contract.WipeOrdered || view.Wipe.Ordered != model.MillisOf(h.now()) || view.Code != "revoked" || view.InSync {
		t.Errorf("ordered: %+v %+v", view, view.Wipe)
	}
	if _, err := a.Pull(background); client.CodeOf(err) != "device-revoked" || a.Order() == nil || a.Order().Do != contract.OrderWipe {
		t.Fatalf("pull: %v, order %+v", err, a.Order())
	}
	if _, err := a.Sign(h.people[testvik][0], model.ActRegister, score("score/vision", 1), client.SignOptions{}); !errors.Is(err, client.ErrWiped) {
		t.Errorf("signed under a wipe order: %v", err)
	}
	for try := range 2 { // the request is lost, then the answer
		if _, err := a.Push(background); err == nil || destroyed != 0 {
			t.Fatalf("try %d: %v, key destroyed %d times", try, err, destroyed)
		}
		if len(a.Outbox()) != 0 || len(a.Persons()) != 0 {
			t.Errorf("try %d: the tablet still holds %d entries and %d persons", try, len(a.Outbox()), len(a.Persons()))
		}
		// Also after a restart in between.
		a, err = a.again(nth(1))
		must(t, err)
	}
	report := a.push()
	if report.Order == nil || destroyed != 1 {
		t.Errorf("report %+v, key destroyed %d times", report, destroyed)
	}
	text := string(a.saved)
	for _, secret := range []string{h.people[testvik][0].String(), "anne", "eyJ"} {
		if strings.Contains(text, secret) {
			t.Errorf("the state still holds %q: %s", secret, text)
		}
	}
	for name, call := range map[string]func() error{
		"push": func() error { _, err := a.Push(background); return err }, "pull": func() error { _, err := a.Pull(background); return err },
		"login":  func() error { _, err := a.Login(background, "x"); return err },
		"enrol":  func() error { _, err := a.Enrol(background, testvik, "x", ""); return err },
		"rotate": func() error { return a.RotateKey(background, nth(9)) },
		"replace": func() error {
			_, err := a.Replace(background, nth(9), "x", "")
			return err
		},
		"restart": func() error { _, err := a.again(nth(1)); return err },
	} {
		if err := call(); !errors.Is(err, client.ErrWiped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	view, err = admins.Device(background, view.Device)
	must(t, err)
	if view.Wipe.State != contract.WipeAcknowledged || view.Wipe.Acknowledged == nil || view.Code != "wiped" {
		t.Errorf("acknowledged: %+v %+v", view, view.Wipe)
	}
	if _, err := admins.Release(background, waits, model.Reason{Code: "checked"}); err != nil {
		t.Errorf("what was handed in is lost: %v", err)
	}
}

// A refused entry is erased with the rest, but that it was there stays, here and at the desk.
func TestAWipeSaysWhatNobodyElseHas(t *testing.T) {
	h := newHouse(t)
	admins := h.api(testvik, "boss", admin)
	h.assign(testvik, "anne", h.people[testvik][0])
	a := h.rig(nth(1))
	a.work("anne")
	id := a.sign(0, "score/vision", "2")
	state := a.state()
	jws := state.Outbox[0].JWS
	state.Outbox[0].JWS = jws[:len(jws)-20] + strings.Repeat("A", 20) // flash memory that rots
	var err error
	a.Tablet, err = client.Restore(a.cfg, state)
	must(t, err)
	if report := a.push(); report.Count(contract.OutcomeRefused) != 1 {
		t.Fatalf("%+v", report)
	}
	_, err = admins.Revoke(background, a.ID(), "lost")
	must(t, err)
	device := a.ID()
	a.push()
	if lost := a.Refused(); len(lost) != 1 || lost[0].ID != id || lost[0].Code != "bad-signature" || lost[0].JWS != "" || !lost[0].Person.IsZero() {
		t.Errorf("refused: %+v", lost)
	}
	view, err := admins.Device(background, device)
	must(t, err)
	if view.Wipe == nil || view.Wipe.Refused != 1 || !strings.Contains(view.Explain.Sentence, "1 entry that the server had refused") {
		t.Errorf("%+v %+v", view.Wipe, view.Explain)
	}
}

// A tablet that was revoked before anybody logged in on it hears so at the first login.
func TestAWipeBeforeTheFirstLogin(t *testing.T) {
	h := newHouse(t)
	a := h.rig(nth(1))
	code, _, err := h.engine.Invite(background, testvik, "nettbrett")
	must(t, err)
	_, err = a.Enrol(background, testvik, code, "")
	must(t, err)
	_, err = h.engine.Revoke(background, testvik, a.ID(), "lost in the post")
	must(t, err)
	if _, err := a.Push(background); !errors.Is(err, client.ErrNoLease) {
		t.Errorf("push: %v", err)
	}
	if _, err := a.Login(background, h.token(testvik, "anne", nurse)); client.CodeOf(err) != "device-revoked" || a.Order() == nil {
		t.Fatalf("login: %v", err)
	}
	a.push()
	if _, err := a.Push(background); !errors.Is(err, client.ErrWiped) {
		t.Errorf("after the wipe: %v", err)
	}
	d, err := h.engine.DeviceStatus(background, testvik, a.ID())
	must(t, err)
	if d.Wiped != 0 || d.Diary == nil || d.Diary.Problem != "device-revoked" {
		t.Errorf("%+v %+v", d.Device, d.Diary)
	}
}

// Two tablets from one copied state sign and push. The guided way ends with a clean new
// device; nothing is lost, and what was signed goes out byte for byte.
func TestACloneIsGuidedToANewDevice(t *testing.T) {
	h := newHouse(t)
	boss := h.api(testvik, "boss", supervisor|admin)
	h.assign(testvik, "anne", h.people[testvik]...)
	a := h.rig(nth(1))
	a.work("anne")
	a.sign(0, "score/vision", "1")
	a.push()
	b, err := a.again(nth(1)) // a backup, restored on a second tablet
	must(t, err)
	signed := []model.EntryID{a.sign(0, "score/hearing", "2"), a.sign(1, "score/hearing", "2")}
	signed = append(signed, b.sign(2, "score/hearing", "3"), b.sign(3, "score/hearing", "3"))
	a.push()
	if report := b.push(); report.Order == nil || report.Order.Do != contract.OrderReEnrol || report.Count(contract.OutcomeQuarantined) != 2 {
		t.Fatalf("the copy: %+v", report)
	}
	signed = append(signed, a.sign(0, "score/assist_toilet", "4"))
	report := a.push()
	if report.Order == nil || report.Order.Do != contract.OrderReEnrol {
		t.Fatalf("order %+v", report.Order)
	}
	// It signs on while it waits for the code, and there is no network for the last push.
	signed = append(signed, a.sign(0, "score/assist_eating", "1"))
	waits := a.Outbox()
	view, err := boss.Device(background, a.ID())
	must(t, err)
	if view.Code != "forked" || !strings.Contains(view.Explain.Next, "--replaces "+a.ID().String()) || view.Order.Do != contract.OrderReEnrol {
		t.Errorf("%+v %+v", view, view.Explain)
	}
	code, err := boss.InviteReplacement(background, "nettbrett anne", a.ID())
	must(t, err)
	wire := &lossy{RoundTripper: h.http.Transport, path: "/v1/sync/push", before: 1}
	old := a.ID()
	state := a.state()
	a.cfg.HTTP = &http.Client{Transport: wire}
	a.Tablet, err = client.Restore(a.cfg, state)
	must(t, err)
	_, err = a.Replace(background, nth(2), code.Code, "")
	must(t, err)
	if a.ID() == old || a.Order() != nil || len(a.Outbox()) != 1 || a.Outbox()[0].JWS != waits[0].JWS {
		t.Fatalf("after the enrolment: %s, order %+v, outbox %+v", a.ID(), a.Order(), a.Outbox())
	}
	if _, err := a.again(nth(1)); !errors.Is(err, client.ErrKey) {
		t.Errorf("restarted with the old key: %v", err)
	}
	a, err = a.again(nth(1), nth(2))
	must(t, err)
	a.login("anne")
	fresh := a.sign(1, "score/assist_toilet", "2")
	report = a.push()
	if report.Count(contract.OutcomeQuarantined) != 1 || report.Results[0].Code != "device-revoked" || report.Count(contract.OutcomeApplied) != 1 || report.Order != nil {
		t.Fatalf("the new device: %+v", report)
	}
	if report.Results[1].ID != fresh.String() {
		t.Errorf("what the old device signed does not go first: %+v", report.Results)
	}
	if _, err := b.Pull(background); client.CodeOf(err) != "device-revoked" || b.Order().Do != contract.OrderReEnrol {
		t.Errorf("the copy pulls: %v", err)
	}
	queue, err := boss.Quarantine(background, "open", "")
	must(t, err)
	for _, item := range queue.Items {
		_, err := boss.Release(background, item.Entry, model.Reason{Code: "checked"})
		must(t, err)
	}
	if len(queue.Items) != 4 {
		t.Errorf("%d entries waited", len(queue.Items))
	}
	for i, id := range signed {
		person := h.people[testvik][map[int]int{1: 1, 2: 2, 3: 3}[i]]
		history, err := boss.History(background, person, "", "")
		must(t, err)
		found := false
		for _, e := range history.Entries {
			found = found || e.Entry == id && e.Changes[0].Standing == "shown"
		}
		if !found {
			t.Errorf("entry %d has no effect: %+v", i, history.Entries)
		}
	}
	if _, err := a.Pull(background); err != nil {
		t.Error(err)
	}
	view, err = boss.Device(background, a.ID())
	must(t, err)
	if !view.InSync || view.Forked || len(view.Gaps) != 0 {
		t.Errorf("in the end: %+v %+v", view, view.Explain)
	}
}

// A tablet changes its key; the answer is lost; its nurse signs on; a restart comes in between.
func TestAKeyChangeSurvivesALostAnswer(t *testing.T) {
	h := newHouse(t)
	h.assign(testvik, "anne", h.people[testvik]...)
	a := h.rig(nth(1))
	wire := &lossy{RoundTripper: h.http.Transport, path: "/v1/devices/rotate-key"}
	a.cfg.HTTP = &http.Client{Transport: wire}
	var err error
	a.Tablet, err = client.New(a.cfg)
	must(t, err)
	a.work("anne")
	clean := func(what string, n int) {
		t.Helper()
		if report := a.push(); report.Count(contract.OutcomeApplied) != n {
			t.Errorf("%s: %+v", what, report)
		}
	}
	a.sign(0, "score/vision", "1")
	clean("before", 1)
	must(t, a.RotateKey(background, nth(2)))
	a.sign(1, "score/vision", "1")
	clean("after a rotation without trouble", 1)

	// Signed while the request is on its way: the tablet asks again, and nothing is held back.
	wire.during = func() { a.sign(0, "score/assist_eating", "4") }
	must(t, a.RotateKey(background, nth(7)))
	a.sign(1, "score/assist_eating", "4")
	clean("signed in flight", 2)
	must(t, a.RotateKey(background, nth(8)))

	for _, restart := range []bool{false, true} {
		name, key := "in one life", nth(3)
		if restart {
			name, key = "over a restart", nth(4)
		}
		wire.answers = 1
		if err := a.RotateKey(background, key); err == nil {
			t.Fatalf("%s: the answer was not lost", name)
		}
		unit := map[bool]string{false: "score/hearing", true: "score/assist_toilet"}[restart]
		a.sign(0, unit, "2") // with the old key: the tablet knows no better
		if restart {
			a, err = a.again(nth(3), nth(4))
			must(t, err)
			if _, err := a.Push(background); !errors.Is(err, client.ErrRotating) {
				t.Fatalf("%s: pushed with a key that may be gone: %v", name, err)
			}
			h.advance(13 * time.Hour) // and the session ends
			must(t, a.RotateKey(background, key))
			a.login("anne")
		}
		clean(name, 1)
		a.sign(1, unit, "3")
		clean(name+", with the new key", 1)
	}

	// The server will not have it: the old key goes on.
	if err := a.RotateKey(background, nth(1)); client.CodeOf(err) != "device-exists" {
		t.Errorf("a key of before: %v", err)
	}
	a.sign(2, "score/vision", "1")
	clean("after a refusal", 1)
	state := a.state()
	if state.JKT != mustKey(t, nth(4)).Thumbprint() || state.Rotating {
		t.Errorf("state: key %s, rotating %v", state.JKT, state.Rotating)
	}
}

// The old lease and the old key still hand in, and are good for nothing else.
func TestTheOldLeaseAfterARotation(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", h.people[testvik][0])
	old := *d
	before := d.entry(h.people[testvik][0], model.ActRegister, score("score/vision", 1))
	old.seq, old.prev = d.seq, d.prev
	after := old.entry(h.people[testvik][0], model.ActRegister, score("score/hearing", 1))
	rotate := func(by *device, to *device, last int64) *http.Request {
		return by.request("POST", "/v1/devices/rotate-key", by.auth(), contract.RotateRequest{
			Key: jsontext.Value(to.pub.String()), LastSeq: last,
			Proof: to.compact(`{"alg":"EdDSA","typ":"flette-rotate+jws"}`, mustJSON(t, map[string]any{"tenant": testvik, "device": d.id, "jkt": to.pub.Thumbprint(), "last_seq": last})),
		})
	}
	d.key = nth(5)
	d.pub = mustKey(t, d.key)
	req := rotate(&old, d, 1)
	var out contract.RotateResponse
	h.want(http.StatusOK, req, &out)
	if out.LastSeq != 1 || out.Device != d.id || out.Lease == nil || out.Lease.ID != d.lease.ID {
		t.Fatalf("%+v", out)
	}
	var again contract.RotateResponse
	h.want(http.StatusOK, rotate(&old, d, 1), &again)
	if again.Lease.ID != out.Lease.ID || again.Fingerprint != out.Fingerprint || again.LastSeq != out.LastSeq {
		t.Errorf("the second answer is another: %+v", again)
	}
	d.lease = *out.Lease
	for _, path := range []string{"/v1/sync/pull", "/v1/persons", "/v1/journal/checkpoint"} {
		h.refused("lease-not-bound", old.request("GET", path, old.auth(), nil))
		d.ok(http.StatusOK, "GET", path, d.auth(), nil, nil)
	}
	token := "Bearer " + h.token(testvik, "n1", nurse)
	login := contract.LeaseRequest{Device: d.id, Wall: model.MillisOf(h.now())}
	h.refused("lease-not-bound", old.request("POST", "/v1/leases", token, login))
	d.ok(http.StatusCreated, "POST", "/v1/leases", token, login, nil)
	h.advance(time.Hour)
	pushed := old.push(before, after)
	if pushed.Results[0].Outcome != contract.OutcomeApplied || pushed.Results[1].Code != "key-retired" || pushed.Lease != nil {
		t.Errorf("%+v", pushed)
	}

	// Proofs that are not for just this rotation.
	third := *d
	third.key = nth(6)
	third.pub = mustKey(t, third.key)
	good := contract.RotateRequest{Key: jsontext.Value(third.pub.String()), LastSeq: 9}
	for name, payload := range map[string]map[string]any{
		"other tenant": {"tenant": proveby, "device": d.id, "jkt": third.pub.Thumbprint(), "last_seq": 9},
		"other device": {"tenant": testvik, "device": h.people[testvik][0], "jkt": third.pub.Thumbprint(), "last_seq": 9},
		"other key":    {"tenant": testvik, "device": d.id, "jkt": d.pub.Thumbprint(), "last_seq": 9},
		"other seq":    {"tenant": testvik, "device": d.id, "jkt": third.pub.Thumbprint(), "last_seq": 8},
		"no seq":       {"tenant": testvik, "device": d.id, "jkt": third.pub.Thumbprint()},
		"more":         {"tenant": testvik, "device": d.id, "jkt": third.pub.Thumbprint(), "last_seq": 9, "x": 1},
	} {
		good.Proof = third.compact(`{"alg":"EdDSA","typ":"flette-rotate+jws"}`, mustJSON(t, payload))
		if p := h.refused("invalid-proof", d.request("POST", "/v1/devices/rotate-key", d.auth(), good)); p.Pointer != "/proof" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	good.Proof = third.enrolProof(string(testvik), "x")
	h.refused("invalid-proof", d.request("POST", "/v1/devices/rotate-key", d.auth(), good))
	good.Proof = d.compact(`{"alg":"EdDSA","typ":"flette-rotate+jws"}`, mustJSON(t, map[string]any{"tenant": testvik, "device": d.id, "jkt": third.pub.Thumbprint(), "last_seq": 9}))
	h.refused("invalid-proof", d.request("POST", "/v1/devices/rotate-key", d.auth(), good))
	third.jti = 1000
	h.refused("conflict", d.request("POST", "/v1/sync/wiped", d.auth(), contract.WipedRequest{Order: "none"}))
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v, json.Deterministic(true))
	must(t, err)
	return string(b)
}

// An expired lease on every call of the contract: it hands in, it acknowledges, it hears its
// orders, and it is good for nothing else.
func TestExpiredLeaseOnEveryRoute(t *testing.T) {
	w := newWorld(t, noLimits)
	d := w.nurse
	w.advance(13 * time.Hour)
	good := w.examples["POST /v1/devices/rotate-key"].body.(contract.RotateRequest)
	fresh := &device{h: w.house, key: nth(8)}
	fresh.pub = mustKey(t, fresh.key)
	good.Key, good.LastSeq = jsontext.Value(fresh.pub.String()), d.seq
	good.Proof = fresh.compact(`{"alg":"EdDSA","typ":"flette-rotate+jws"}`, mustJSON(t, map[string]any{"tenant": testvik, "device": d.id, "jkt": fresh.pub.Thumbprint(), "last_seq": d.seq}))
	wanted := func(r *route, revoked bool) (status int, code string) {
		switch {
		case r.who == public || r.who == byCode:
			return 0, "" // asks for no lease
		case r.path == pathPush:
			return 200, ""
		case r.path == "/v1/sync/wiped":
			return 409, "conflict" // heard: it is not the order
		case revoked && (r.who == byLease || r.who == byTokenOr || r.who == byAny):
			return 403, "device-revoked"
		case r.who == byLease || r.who == byAny:
			return 401, "lease-expired"
		default:
			return 401, "invalid-token"
		}
	}
	for _, revoked := range []bool{false, true} {
		if revoked {
			_, err := w.engine.Revoke(background, testvik, d.id, "lost")
			must(t, err)
		}
		for i := range routes {
			r := &routes[i]
			status, code := wanted(r, revoked)
			if status == 0 {
				continue
			}
			ex := w.example(r)
			if r.path == "/v1/devices/rotate-key" {
				ex.body = good
			}
			res, body := w.do(d.request(r.method, ex.path, d.auth(), ex.body))
			var p contract.Problem
			if res.StatusCode >= 400 {
				must(t, json.Unmarshal(body, &p))
			}
			if res.StatusCode != status || p.Code != code {
				t.Errorf("revoked %v, %s %s: %d %s, want %d %s", revoked, r.method, r.path, res.StatusCode, p.Code, status, code)
			}
			if (p.Order != nil) != (code == "device-revoked") || p.Order != nil && p.Order.Do != contract.OrderWipe {
				t.Errorf("revoked %v, %s %s: order %+v", revoked, r.method, r.path, p.Order)
			}
		}
	}
	if out := d.push(); out.Order == nil || out.Order.Do != contract.OrderWipe || out.Lease != nil {
		t.Errorf("push: %+v", out)
	}
	// What it was refused stands on its page.
	var view contract.DeviceView
	w.want(http.StatusOK, w.request("GET", "/v1/devices/"+d.id.String(), "Bearer "+w.token(testvik, "ops", operator), nil), &view)
	if view.LastProblem != "device-revoked" || view.LastProblemAt == nil || view.Explain == nil || len(view.Explain.Facts) == 0 {
		t.Errorf("%+v", view)
	}
}
