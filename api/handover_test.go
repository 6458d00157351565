package api

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// A device whose changes of key the store has forgotten comes back with the words of the keys
// that it gave up, and with nothing else (T12, S13).
func TestHandovers(t *testing.T) {
	h := newHouse(t)
	person := h.people[testvik][0]
	h.assign(testvik, "n1", person)
	signer := func(name string) *device {
		seed := sha256.Sum256([]byte(name))
		d := &device{h: h, tenant: testvik, key: ed25519.NewKeyFromSeed(seed[:])}
		d.pub = mustKey(t, d.key)
		return d
	}
	type word struct {
		by, from, to *device
		device       model.DeviceID
		tenant       model.TenantID
		typ          string
		last         int64
	}
	say := func(w word) string {
		return w.by.compact(`{"alg":"EdDSA","typ":"`+w.typ+`"}`, fmt.Sprintf(`{"tenant":%q,"device":%q,"from":%s,"to":%s,"last_seq":%d}`,
			w.tenant, w.device, w.from.pub, w.to.pub, w.last))
	}
	enrol := func(key *device, former model.DeviceID, handovers ...string) *http.Request {
		code, _, err := h.engine.Invite(background, testvik, "igjen")
		must(t, err)
		claim := ""
		if !former.IsZero() {
			claim = fmt.Sprintf(`,"former":%q`, former)
		}
		return h.request("POST", "/v1/devices", "", contract.EnrolRequest{
			Tenant: testvik, Code: code, Key: jsontext.Value(key.pub.String()), Former: former, Handovers: handovers,
			Proof: key.compact(`{"alg":"EdDSA","typ":"flette-enrol+jws"}`,
				fmt.Sprintf(`{"tenant":%q,"code":%q,"jkt":%q%s}`, testvik, code, key.pub.Thumbprint(), claim)),
		})
	}

	d := h.tablet(testvik, "n1", nurse)
	d.push(d.entry(person, model.ActRegister, score("score/vision", 2)))
	second, third := signer("second"), signer("third")
	one := word{d, d, second, d.id, testvik, contract.HandoverType, 3}
	two := word{second, second, third, d.id, testvik, contract.HandoverType, 5}
	with := func(w word, change func(*word)) string {
		change(&w)
		return say(w)
	}
	good := []string{say(one), say(two)}
	other := h.tablet(testvik, "n2", nurse)
	for name, c := range map[string]struct {
		code      string
		former    model.DeviceID
		handovers []string
	}{
		"none":                      {"device-exists", d.id, nil},
		"signed by a stranger":      {"invalid-member", d.id, []string{with(one, func(w *word) { w.by = other }), good[1]}},
		"of another kind":           {"invalid-member", d.id, []string{with(one, func(w *word) { w.typ = "flette-rotate+jws" }), good[1]}},
		"of another device":         {"invalid-member", d.id, []string{with(one, func(w *word) { w.device = other.id }), good[1]}},
		"of another tenant":         {"invalid-member", d.id, []string{with(one, func(w *word) { w.tenant = "annen" }), good[1]}},
		"a gap":                     {"invalid-member", d.id, []string{good[0], with(two, func(w *word) { w.by, w.from = other, other })}},
		"to somebody else":          {"invalid-member", d.id, good[:1]},
		"less than zero":            {"invalid-member", d.id, []string{with(one, func(w *word) { w.last = -1 }), good[1]}},
		"no statement":              {"invalid-member", d.id, []string{"x"}},
		"many":                      {"invalid-member", d.id, make([]string, 33)},
		"without the former device": {"invalid-member", model.DeviceID{}, good},
		"not from the known key":    {"device-exists", d.id, good[1:]},
		"before what has arrived":   {"device-exists", d.id, []string{with(one, func(w *word) { w.last = 0 }), good[1]}},
		"keys backwards":            {"device-exists", d.id, []string{good[0], with(two, func(w *word) { w.last = 2 })}},
		"another's id":              {"invalid-member", other.id, good},
	} {
		if p := h.refused(c.code, enrol(third, c.former, c.handovers...)); c.code == "invalid-member" && p.Pointer == "" {
			t.Errorf("%s: no pointer: %+v", name, p)
		}
	}
	d.push() // nothing of this has cost the device its key

	var out contract.EnrolResponse
	h.want(http.StatusCreated, enrol(third, d.id, good...), &out)
	if out.Device != d.id {
		t.Fatalf("enrolled as %s", out.Device)
	}
	// Each key is good for what it signed, and the old one leads nowhere any more.
	h.refused("lease-not-bound", d.request("GET", "/v1/sync/pull", d.auth(), nil))
	now := *d
	now.key, now.pub = third.key, third.pub
	now.login("n1", nurse)
	for i, by := range []*device{d, d, second, second, third, third, d} {
		now.key = by.key
		jws := now.entry(person, model.ActRegister, score("score/hearing", 2))
		now.key = third.key
		want := contract.OutcomeApplied
		if i == 6 {
			want = contract.OutcomeQuarantined // key-retired
		}
		if r := now.push(jws).Results[0]; r.Outcome != want && r.Outcome != contract.OutcomeConflict {
			t.Errorf("entry %d: %+v", now.seq, r)
		}
	}
	thief := signer("thief")
	h.refused("device-exists", enrol(thief, d.id, with(one, func(w *word) { w.to = thief })))

	// A store that has forgotten the device altogether gets all its keys.
	gone, err := model.ParseDeviceID("0190a000-0000-7000-8000-0000000000f2")
	must(t, err)
	a, b := signer("a"), signer("b")
	first := word{a, a, b, gone, testvik, contract.HandoverType, 1}
	h.want(http.StatusCreated, enrol(b, gone, say(first)), &out)
	back := &device{h: h, tenant: testvik, id: gone, key: b.key, pub: b.pub}
	back.login("n1", nurse)
	back.key = a.key
	old := back.entry(person, model.ActRegister, score("score/assist_memory", 2))
	back.key = b.key
	for i, r := range back.push(old, back.entry(person, model.ActRegister, score("score/assist_eating", 2))).Results {
		if r.Outcome != contract.OutcomeApplied {
			t.Errorf("entry %d of a forgotten device: %+v", i+1, r)
		}
	}

	// Who is revoked stays so, and may hand in what it signed.
	_, err = h.engine.Revoke(background, testvik, other.id, "mistet")
	must(t, err)
	h.want(http.StatusCreated, enrol(thief, other.id, say(word{other, other, thief, other.id, testvik, contract.HandoverType, 0})), nil)
	revoked, err := h.engine.Device(background, testvik, other.id)
	must(t, err)
	if revoked.State != "revoked" || revoked.JKT != thief.pub.Thumbprint() {
		t.Errorf("after a handover: %s %s", revoked.State, revoked.JKT)
	}
}

// A lease that is bound to a key which the store does not know is of a life that it has
// forgotten: nothing is judged (C9).
func TestLeaseOfAForgottenKey(t *testing.T) {
	h := newHouse(t)
	d := h.tablet(testvik, "n1", nurse)
	seed := sha256.Sum256([]byte("forgotten"))
	next := *d
	next.key = ed25519.NewKeyFromSeed(seed[:])
	next.pub = mustKey(t, next.key)
	var out contract.RotateResponse
	d.ok(http.StatusOK, "POST", "/v1/devices/rotate-key", d.auth(), contract.RotateRequest{
		Key: jsontext.Value(next.pub.String()), LastSeq: 0,
		Proof: next.compact(`{"alg":"EdDSA","typ":"flette-rotate+jws"}`,
			fmt.Sprintf(`{"tenant":%q,"device":%q,"jkt":%q,"last_seq":0}`, testvik, d.id, next.pub.Thumbprint())),
	}, &out)
	next.lease = *out.Lease
	next.push()
	h.forget(d.id, d.pub)
	entry := next.entry(h.people[testvik][0], model.ActRegister, score("score/vision", 2))
	h.refused("unknown-device", next.request("POST", pathPush, next.auth(), contract.PushRequest{Entries: []string{entry}}))
	h.refused("unknown-device", next.request("GET", "/v1/sync/pull", next.auth(), nil))
	h.refused("unknown-device", next.request("GET", "/v1/sync/snapshot", next.auth(), nil))
	h.refused("unknown-device", next.request("GET", "/v1/journal/checkpoint", next.auth(), nil))
	d.push()
}

// forget puts a device back to a key, as a restored store has it.
func (h *house) forget(id model.DeviceID, key jwk.PublicKey) {
	h.t.Helper()
	_, err := h.engine.Store().Update(background, testvik, nil, func(tx store.Tx) error {
		d, err := store.Get[store.Device](tx, id.String())
		if err != nil {
			return err
		}
		d.Alg, d.Key, d.JKT, d.Retired = key.Alg(), []byte(key.String()), key.Thumbprint(), nil
		return store.Put(tx, d)
	})
	must(h.t, err)
}
