package api

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"flette/api/auth"
	"flette/journal"
	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// A P-256 tablet enrols, works and is seen; its key and its code are good once.
func TestEnrol(t *testing.T) {
	h := newHouse(t)
	admins := h.api(testvik, "boss", admin)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tab, err := client.New(client.Config{
		URL: h.url, HTTP: h.http, Key: key, Wall: func() time.Time { return h.now().Add(-time.Hour) },
		Mono: func() time.Duration { return time.Duration(h.clock.Load()) }, Sleep: h.sleep, Rand: &counter{n: 5},
	})
	must(t, err)
	enrol := func(code string) error {
		_, err := tab.Enrol(background, testvik, code, "")
		return err
	}
	first, err := admins.Invite(background, "nettbrett")
	must(t, err)
	must(t, enrol(first.Code))
	device := tab.ID()
	if err := enrol(first.Code); err != nil || tab.ID() != device {
		t.Errorf("a tablet that lost the answer asks again: %v", err)
	}
	second, err := admins.Invite(background, "nettbrett")
	must(t, err)
	if err := enrol(second.Code); client.CodeOf(err) != "device-exists" {
		t.Errorf("a key was enrolled twice: %v", err)
	}
	h.advance(time.Hour)
	if err := enrol(second.Code); client.CodeOf(err) != "invite-invalid" {
		t.Errorf("an old code: %v", err)
	}
	_, err = tab.Login(background, h.token(testvik, "n1", nurse))
	must(t, err)
	_, err = tab.Push(background)
	must(t, err)
	list, err := admins.Devices(background, "")
	must(t, err)
	for _, d := range list.Devices {
		if d.Kind == "tablet" && (d.LastContact == nil || d.SkewMs != -time.Hour.Milliseconds() || d.Label != "nettbrett") {
			t.Errorf("device: %+v", d)
		}
		if d.Kind == "desk" {
			if _, err := admins.Revoke(background, d.Device, "by mistake"); client.CodeOf(err) != "conflict" {
				t.Errorf("the review desk was revoked: %v", err)
			}
		}
	}
}

// A lease needs a fresh login, and the proof of the very device that it is for.
func TestLogin(t *testing.T) {
	h := newHouse(t)
	d, other := h.tablet(testvik, "n1", nurse), h.tablet(testvik, "n2", nurse)
	body := contract.LeaseRequest{Device: d.id, Wall: model.MillisOf(h.now())}
	token := "Bearer " + h.token(testvik, "n1", nurse)
	h.refused("invalid-dpop", h.request("POST", "/v1/leases", token, body))
	h.refused("lease-not-bound", other.request("POST", "/v1/leases", token, body))
	h.refused("invalid-token", d.request("POST", "/v1/leases", "Bearer "+h.token(testvik, "n1", nurse, func(c *auth.AccessClaims) {
		c.IssuedAt = h.now().Add(-12 * time.Hour)
	}), body))
	var l contract.LeaseResponse
	d.ok(http.StatusCreated, "POST", "/v1/leases", "Bearer "+h.token(testvik, "n1", nurse, func(c *auth.AccessClaims) {
		c.IssuedAt = h.now().Add(-11 * time.Hour)
	}), body, &l)
	if left := l.Lease.ExpiresAt - model.MillisOf(h.now()); left != model.Millis(time.Hour.Milliseconds()) {
		t.Errorf("a session of 12 h that began 11 h ago lasts %d ms more", left)
	}

	bound := h.token(testvik, "n1", supervisor, func(c *auth.AccessClaims) { c.JKT = d.pub.Thumbprint() })
	d.ok(http.StatusOK, "GET", "/v1/persons", "DPoP "+bound, nil, nil)
	d.ok(http.StatusCreated, "POST", "/v1/leases", "DPoP "+bound, body, nil)
	h.refused("invalid-token", d.request("GET", "/v1/persons", "Bearer "+bound, nil))
	h.refused("lease-not-bound", other.request("GET", "/v1/persons", "DPoP "+bound, nil))
	h.refused("invalid-token", d.request("GET", "/v1/persons", "DPoP "+h.token(testvik, "n1", supervisor), nil))
}

// A tablet that has seen more than the server can prove is told how much that is.
func TestRewound(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", h.people[testvik][0])
	out := d.push(d.entry(h.people[testvik][0], model.ActRegister, score("score/vision", 1)))
	signer, err := journal.NewSigner(h.keys[testvik].JournalSigner())
	must(t, err)
	newer, err := signer.Sign(journal.Checkpoint{Origin: journal.Origin(testvik, out.Epoch), Size: 9})
	must(t, err)
	p := h.refused("store-rewound", d.request("POST", pathPush, d.auth(), contract.PushRequest{Checkpoint: string(newer), Entries: []string{}}))
	if p.Size == nil || *p.Size != 1 || p.Epoch != out.Epoch {
		t.Errorf("rewound: %+v", p)
	}
	d.ok(http.StatusOK, "POST", pathPush, d.auth(), contract.PushRequest{Checkpoint: out.Checkpoint, Entries: []string{}}, nil)
	var list contract.DeviceList
	h.want(http.StatusOK, h.request("GET", "/v1/devices", "Bearer "+h.token(testvik, "boss", admin), nil), &list)
	for _, v := range list.Devices {
		if v.Device == d.id && (v.Rewound == nil || v.Rewound.Held != 9 || v.Rewound.Size != 1) {
			t.Errorf("the operator is not told: %+v", v.Rewound)
		}
	}
	// A new life: a receipt of before is continued, the one beyond it gets the fork point.
	life, err := h.engine.BeginLife(background, testvik, false)
	must(t, err)
	p = h.refused("store-rewound", d.request("POST", pathPush, d.auth(), contract.PushRequest{Checkpoint: string(newer), Entries: []string{}}))
	if *p.Size != 0 || p.Epoch != life.Epoch { // it was shown in the life itself, which has forked
		t.Errorf("after a new life: %+v", p)
	}
	var went contract.PushResponse
	d.ok(http.StatusOK, "POST", pathPush, d.auth(), contract.PushRequest{Checkpoint: out.Checkpoint, Entries: []string{}}, &went)
	if went.Epoch != life.Epoch || went.Limits.KeepDays != 90 {
		t.Errorf("continued: %+v", went)
	}

	h.refused("invalid-cursor", d.request("GET", "/v1/sync/pull?cursor=AAAA", d.auth(), nil))
	var page contract.PullResponse
	d.ok(http.StatusOK, "GET", "/v1/sync/pull", d.auth(), nil, &page)
	other := h.tablet(testvik, "n2", nurse)
	h.refused("invalid-cursor", other.request("GET", "/v1/sync/pull?cursor="+page.Cursor, other.auth(), nil))
}

// A tablet that the store does not know is told so before anything is judged, and gets its id
// back when it proves that it means it (C9, T9).
func TestFormer(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	known := h.tablet(testvik, "n2", nurse)
	forged, err := model.ParseDeviceID("0190a000-0000-7000-8000-0000000000f1")
	must(t, err)
	enrol := func(former, proven model.DeviceID, code, want string) {
		t.Helper()
		claim := ""
		if !proven.IsZero() {
			claim = fmt.Sprintf(`,"former":%q`, proven)
		}
		seed := sha256.Sum256([]byte(code))
		key := &device{h: h, key: ed25519.NewKeyFromSeed(seed[:])}
		key.pub = mustKey(t, key.key)
		proof := key.compact(`{"alg":"EdDSA","typ":"flette-enrol+jws"}`,
			fmt.Sprintf(`{"tenant":%q,"code":%q,"jkt":%q%s}`, testvik, code, key.pub.Thumbprint(), claim))
		req := h.request("POST", "/v1/devices", "", contract.EnrolRequest{
			Tenant: testvik, Code: code, Key: jsontext.Value(key.pub.String()), Proof: proof, Former: former,
		})
		if want != "" {
			h.refused(want, req)
			return
		}
		var out contract.EnrolResponse
		h.want(http.StatusCreated, req, &out)
		if out.Device != former {
			t.Errorf("enrolled as %s, not %s", out.Device, former)
		}
	}
	invite := func() string {
		code, _, err := h.engine.Invite(background, testvik, "igjen")
		must(t, err)
		return code
	}
	enrol(forged, model.DeviceID{}, invite(), "invalid-proof")
	enrol(model.DeviceID{}, forged, invite(), "invalid-proof")
	enrol(forged, known.id, invite(), "invalid-proof")
	enrol(known.id, known.id, invite(), "device-exists")
	enrol(d.id, d.id, invite(), "device-exists")
	enrol(forged, forged, "WRONG-CODE", "invite-invalid")
	enrol(forged, forged, invite(), "")
	enrol(forged, forged, invite(), "device-exists")
}

// A value of the decision that the catalogue refuses, and an entry that cannot be let
// through, are told in the contract's words.
func TestNotReleasable(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	h.assign(testvik, "n1", h.people[testvik][0])
	out := d.push(
		d.entry(h.people[testvik][0], model.ActRegister, []model.Change{{Unit: "score/vision", Value: jsontext.Value(`{"score":7}`)}}),
		d.entry(h.people[testvik][0], model.ActRegister, score("score/nothing_known", 1)),
	)
	token := "Bearer " + h.token(testvik, "boss", supervisor)
	for i, code := range []string{"score-out-of-range", "unknown-unit"} {
		r := out.Results[i]
		if r.Outcome != contract.OutcomeQuarantined || r.Code != code {
			t.Errorf("entry %d: %+v", i, r)
		}
		path := "/v1/quarantine/" + r.ID
		settle := contract.SettleRequest{Reason: model.Reason{Code: "checked", Text: ""}}
		h.refused("not-releasable", h.request("POST", path+"/release", token, settle))
		var done contract.SettleResponse
		h.want(http.StatusCreated, h.request("POST", path+"/close", token, settle), &done)
		if done.Item.State != "closed" {
			t.Errorf("closed: %+v", done.Item)
		}
		h.refused("already-settled", h.request("POST", path+"/close", token, settle))
		h.want(http.StatusOK, h.request("GET", path, token, nil), nil)
	}
}
