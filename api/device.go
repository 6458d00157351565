package api

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

const (
	enrolType    = "flette-enrol+jws"
	maxLabel     = 100
	maxCode      = 64
	maxJWSHeader = 1024
)

// enrol admits a device that shows a one-time code and holds the key it names.
func enrol(c *call) (answer, error) {
	var in contract.EnrolRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	tenant, err := model.ParseTenantID(string(in.Tenant))
	switch {
	case err != nil:
		return answer{}, failAt("invalid-member", "/tenant", "The tenant id is 1-40 of a-z, 0-9 and hyphen.")
	case in.Code == "" || len(in.Code) > maxCode:
		return answer{}, failAt("invalid-member", "/code", "The code is 1-64 characters.")
	case len(in.Label) > maxLabel:
		return answer{}, failAt("invalid-member", "/label", "The label is at most 100 bytes.")
	}
	key, err := jwk.Parse(in.Key)
	if err != nil {
		f := failAt("invalid-key", "/key", "")
		f.cause = err
		return answer{}, f
	}
	if !possesses(in, key) {
		return answer{}, failAt("invalid-proof", "/proof", "")
	}
	handovers, f := handoversOf(in, key)
	if f != nil {
		return answer{}, f
	}
	d, err := c.engine().Enrol(c.ctx, sync.Enrolment{
		Tenant: tenant, Code: in.Code, Key: key, Label: in.Label, Former: in.Former, Handovers: handovers,
	})
	if errors.Is(err, store.ErrNotFound) {
		// A tenant that is not here and a code that is not known look the same.
		err = sync.ErrInvite
	}
	if err != nil {
		return answer{}, err
	}
	c.who.tenant = tenant
	out := contract.EnrolResponse{
		Device: d.ID, Tenant: tenant, Fingerprint: sync.Fingerprint(d.JKT), ServerTime: model.MillisOf(c.now),
	}
	if out.Epoch, out.JournalKey, err = c.identity(); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, value: out}, nil
}

// handoversOf checks what the former keys of a device said when each was given up: signed by the very key, for this
// tenant and device, each naming the next and the last one the key that enrols.
func handoversOf(in contract.EnrolRequest, key jwk.PublicKey) ([]sync.Handover, *failure) {
	bad := func(i int, why string) ([]sync.Handover, *failure) {
		return nil, failAt("invalid-member", "/handovers/"+strconv.Itoa(i), why)
	}
	switch n := len(in.Handovers); {
	case n > contract.MaxHandovers:
		return bad(contract.MaxHandovers, "A device has changed its key at most 32 times.")
	case n > 0 && in.Former.IsZero():
		return bad(0, "Former keys are of a former device: name it.")
	}
	out := make([]sync.Handover, len(in.Handovers))
	for i, text := range in.Handovers {
		var p, unverified contract.Handover
		input, _, _ := cutLast(text)
		_, body, _ := strings.Cut(input, ".")
		if !decodePart(body, &unverified) {
			return bad(i, "The payload is not that of schemas/handover.json.")
		}
		from, err := jwk.Parse(unverified.From)
		if err != nil || !signedProof(text, contract.HandoverType, from, &p) || p.Tenant != in.Tenant || p.Device != in.Former {
			return bad(i, "It is not signed by its `from`, or not about this device.")
		}
		to, err := jwk.Parse(p.To)
		if err != nil || p.LastSeq < 0 || p.LastSeq > maxSafe {
			return bad(i, "`to` or `last_seq` cannot be.")
		}
		if i > 0 && out[i-1].To.Thumbprint() != from.Thumbprint() {
			return bad(i, "`from` is not the key that the one before leads to.")
		}
		out[i] = sync.Handover{From: from, To: to, LastSeq: p.LastSeq}
	}
	if n := len(out); n > 0 && out[n-1].To.Thumbprint() != key.Thumbprint() {
		return bad(n-1, "The last one does not lead to `key`.")
	}
	return out, nil
}

// possesses checks the enrolment proof: signed by the very key, with that key's algorithm,
// for this tenant and code, and the former id when one is claimed. A proof made for one enrolment is good for no other.
func possesses(in contract.EnrolRequest, key jwk.PublicKey) bool {
	var p struct {
		Tenant string `json:"tenant"`
		Code   string `json:"code"`
		JKT    string `json:"jkt"`
		Former string `json:"former"`
	}
	former := ""
	if !in.Former.IsZero() {
		former = in.Former.String()
	}
	return signedProof(in.Proof, enrolType, key, &p) &&
		p.Tenant == string(in.Tenant) && p.Code == in.Code && p.JKT == key.Thumbprint() && p.Former == former
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func decodePart(part string, out any) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return err == nil && json.Unmarshal(raw, out, json.RejectUnknownMembers(true)) == nil
}

// identity returns what a client knows a journal by.
func (c *call) identity() (epoch, key string, err error) {
	keys, err := c.engine().Keys(c.who.tenant)
	if err != nil {
		return "", "", err
	}
	err = c.view(func(v store.View) error {
		epoch = v.Tenant().Epoch
		return nil
	})
	return epoch, keys.JournalVerifier(), err
}

func listDevices(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	after, f := afterOf("devices", c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	devices, err := c.engine().Devices(c.ctx, c.who.tenant, after, limit)
	if err != nil {
		return answer{}, err
	}
	out := contract.DeviceList{Devices: []contract.DeviceView{}}
	for i := range devices {
		out.Devices = append(out.Devices, deviceView(&devices[i], c.engine().Now()))
	}
	if len(devices) == limit {
		out.Next = nextOf("devices", devices[limit-1].ID.String())
	}
	return answer{status: http.StatusOK, value: out}, nil
}

func revokeDevice(c *call) (answer, error) {
	id, err := model.ParseDeviceID(c.id)
	if err != nil {
		return answer{}, badPath()
	}
	var in contract.RevokeRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if in.Reason == "" || len(in.Reason) > 500 {
		return answer{}, failAt("invalid-member", "/reason", "The reason is 1-500 bytes.")
	}
	if in.Compromised {
		_, err = c.engine().RevokeCompromised(c.ctx, c.who.tenant, id, in.Reason)
	} else {
		_, err = c.engine().Revoke(c.ctx, c.who.tenant, id, in.Reason)
	}
	if err != nil {
		return answer{}, err
	}
	status, err := c.engine().DeviceStatus(c.ctx, c.who.tenant, id)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, value: deviceView(&status, c.engine().Now())}, nil
}

func invite(c *call) (answer, error) {
	var in contract.InviteRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if in.Label == "" || len(in.Label) > maxLabel {
		return answer{}, failAt("invalid-member", "/label", "The label is 1-100 bytes.")
	}
	var replaces model.DeviceID
	if in.Replaces != nil {
		replaces = *in.Replaces
	}
	code, expires, err := c.engine().InviteReplacement(c.ctx, c.who.tenant, in.Label, replaces)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, value: contract.InviteResponse{Tenant: c.who.tenant, Code: code, Expires: expires}}, nil
}

// lease logs a user in on a device.
func lease(c *call) (answer, error) {
	var in contract.LeaseRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	d, err := c.engine().Device(c.ctx, c.who.tenant, in.Device)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return answer{}, fail("unknown-device", "")
	case err != nil:
		return answer{}, err
	case d.JKT != c.who.key.JKT:
		return answer{}, fail("lease-not-bound", "The proof is not by the key of this device.")
	}
	grant := sync.LeaseGrant{
		Tenant: c.who.tenant, Device: d.ID, Actor: c.who.actor, Roles: c.who.roles, Name: c.who.user.Name, Wall: in.Wall,
	}
	if at := c.who.user.AuthTime; !at.IsZero() {
		// A session counts from the login, however often the token was refreshed since.
		grant.Session = model.MillisOf(at) + c.engine().Session()
		if grant.Session-1000 <= c.engine().Now() {
			return answer{}, fail("invalid-token", "The login is too long ago for a session: log in again.")
		}
	}
	l, released, err := c.engine().IssueLease(c.ctx, grant)
	if err != nil {
		c.engine().NoteProblem(c.who.tenant, d.ID, sync.ContactLease, failureOf(err).Code)
		return answer{}, err
	}
	out := contract.LeaseResponse{Released: released}
	if out.Lease, err = c.leaseView(l, d.JKT); err != nil {
		return answer{}, err
	}
	if out.Epoch, _, err = c.identity(); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, value: out}, nil
}

func (c *call) leaseView(l model.Lease, jkt string) (contract.Lease, error) {
	token, err := c.s.leaseToken(c.who.tenant, l, jkt)
	return contract.Lease{
		Token: token, ID: l.ID, Actor: l.Actor, Roles: l.Roles.Names(), IssuedAt: l.IssuedAt, ExpiresAt: l.ExpiresAt,
	}, err
}
