package api

import (
	"errors"
	"net/http"
	"strings"

	"flette/api/auth"
	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

const rotateType = "flette-rotate+jws"

func orderView(o *sync.Order) *contract.Order {
	if o == nil {
		return nil
	}
	return &contract.Order{Do: o.Do, ID: o.ID, Why: o.Why}
}

// wiped takes a tablet's word that it has erased what it held.
func wiped(c *call) (answer, error) {
	var in contract.WipedRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if in.Order == "" || len(in.Order) > maxCode {
		return answer{}, failAt("invalid-member", "/order", "The order is 1-64 characters.")
	}
	if in.Refused < 0 || in.Refused > maxSafe {
		return answer{}, failAt("invalid-member", "/refused", "The refused entries count from 0.")
	}
	d, err := c.engine().Wiped(c.ctx, sync.Wiping{
		Tenant: c.who.tenant, Device: c.who.lease.Device, Actor: c.who.actor, Order: in.Order, Refused: in.Refused,
	})
	if errors.Is(err, store.ErrNotFound) {
		err = fail("unknown-device", "")
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, value: contract.WipedResponse{Wiped: d.Wiped}}, nil
}

// rotateKey gives a device another key. The request is proved by the old one.
func rotateKey(c *call) (answer, error) {
	var in contract.RotateRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if in.LastSeq < 0 || in.LastSeq > maxSafe {
		return answer{}, failAt("invalid-member", "/last_seq", "The seq counts from 1, or is 0 before the first entry.")
	}
	key, err := jwk.Parse(in.Key)
	if err != nil {
		f := failAt("invalid-key", "/key", "")
		f.cause = err
		return answer{}, f
	}
	lease := c.who.lease
	if !rotates(in, key, lease.Tenant, lease.Device) {
		return answer{}, failAt("invalid-proof", "/proof", "")
	}
	d, err := c.engine().RotateKey(c.ctx, sync.Rotation{
		Tenant: lease.Tenant, Device: lease.Device, Actor: lease.Actor, Old: c.who.key.JKT, New: key, LastSeq: in.LastSeq, Ended: c.who.expired,
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = fail("unknown-device", "")
	case errors.Is(err, sync.ErrLease):
		f := fail("lease-expired", "The session of the lease has ended: the user logs in again, then the key can be changed.")
		f.challenge = auth.Challenge(auth.ErrInvalidToken)
		err = f
	}
	if err != nil {
		return answer{}, err
	}
	out := contract.RotateResponse{Device: d.ID, Fingerprint: sync.Fingerprint(d.JKT), LastSeq: d.Retired[len(d.Retired)-1].Last}
	// The old lease is bound to the old key; the session goes on, or has ended and is still good
	// for handing in what was signed: a revoked device gets no other.
	old, err := c.engine().Lease(lease.Tenant, lease.Device, lease.Actor, lease.ID)
	if err != nil {
		return answer{}, err
	}
	l, err := c.leaseView(old, d.JKT)
	if err != nil {
		return answer{}, err
	}
	out.Lease = &l
	return answer{status: http.StatusOK, value: out}, nil
}

// rotates checks that the new key signed for just this rotation.
func rotates(in contract.RotateRequest, key jwk.PublicKey, tenant model.TenantID, device model.DeviceID) bool {
	var p struct {
		Tenant  string         `json:"tenant"`
		Device  model.DeviceID `json:"device"`
		JKT     string         `json:"jkt"`
		LastSeq *int64         `json:"last_seq"`
	}
	return signedProof(in.Proof, rotateType, key, &p) && p.Tenant == string(tenant) && p.Device == device &&
		p.JKT == key.Thumbprint() && p.LastSeq != nil && *p.LastSeq == in.LastSeq
}

// signedProof checks a compact JWS by the very key that it speaks of, with that key's
// algorithm and nothing in its header but alg and typ, and reads its payload.
func signedProof(proof, typ string, key jwk.PublicKey, payload any) bool {
	input, sig, ok := cutLast(proof)
	head, body, ok2 := strings.Cut(input, ".")
	if !ok || !ok2 || len(head) > maxJWSHeader || strings.ContainsAny(proof, "\r\n") {
		return false
	}
	var h struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	signature, err := cursorB64.DecodeString(sig)
	if err != nil || !decodePart(head, &h) || !decodePart(body, payload) || h.Typ != typ || h.Alg != key.Alg() {
		return false
	}
	return key.Verify(h.Alg, []byte(input), signature)
}

// getDevice says all that is known of a device, and why it is not in sync.
func getDevice(c *call) (answer, error) {
	id, err := model.ParseDeviceID(c.id)
	if err != nil {
		return answer{}, badPath()
	}
	d, err := c.engine().DeviceStatus(c.ctx, c.who.tenant, id)
	if err != nil {
		return answer{}, err
	}
	out := deviceView(&d, c.engine().Now())
	e := sync.Explain(&d, c.engine().Now())
	out.Explain = &contract.Explanation{Sentence: e.Sentence, Next: e.Next, Facts: []contract.Fact{}}
	for _, f := range e.Facts {
		out.Explain.Facts = append(out.Explain.Facts, contract.Fact{Name: f.Name, Value: f.Value})
	}
	return answer{status: http.StatusOK, value: out}, nil
}

func deviceView(d *sync.DeviceStatus, now model.Millis) contract.DeviceView {
	e := sync.Explain(d, now)
	out := contract.DeviceView{
		Device: d.ID, Label: d.Label, Kind: d.Kind, State: d.State, Fingerprint: sync.Fingerprint(d.JKT),
		Enrolled: d.Enrolled, LastSeq: d.Chain.Last, Forked: d.Chain.Forked, InSync: e.InSync, Code: e.Code,
		Quarantined: int64(d.Held), Compromised: d.Compromised, Reason: d.Reason, Order: orderView(d.Standing()),
	}
	for _, g := range d.Chain.Missing {
		out.Gaps = append(out.Gaps, contract.Gap{From: g.From, To: g.To})
	}
	if d.State != sync.DeviceActive {
		out.Revoked = &d.Revoked
	}
	if !d.ReplacedBy.IsZero() {
		out.ReplacedBy = &d.ReplacedBy
	}
	if o := d.Standing(); o != nil && o.Do == sync.OrderWipe {
		out.Wipe = &contract.Wipe{State: contract.WipeOrdered, Ordered: d.Revoked}
		if d.Wiped != 0 {
			out.Wipe.State, out.Wipe.Acknowledged, out.Wipe.Refused = contract.WipeAcknowledged, &d.Wiped, d.WipedRefused
		}
	}
	if y := d.Diary; y != nil {
		out.Outbox, out.SkewMs, out.LastError, out.App, out.Contract = y.Outbox, y.SkewMs, y.LastError, y.App, int64(y.Contract)
		out.LastContact, out.LastPull, out.LastLogin, out.Oldest = some(y.At), some(y.Pulled), some(y.Login), some(y.Oldest)
		if y.ProblemAt != 0 {
			out.LastProblem, out.LastProblemAt = y.Problem, &y.ProblemAt
		}
		if w := y.Rewound; w != nil {
			out.Rewound = &contract.RewoundView{At: w.At, Held: w.Held, Size: w.Size}
		}
	}
	return out
}

// some is a time that is there, nil for none.
func some(t model.Millis) *model.Millis {
	if t == 0 {
		return nil
	}
	return &t
}
