package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/model"
)

// What the bystander knows of keys and of who has whom, from the requests alone.

// retiredKey is a key that a device had, and the last seq that it was good for.
type retiredKey struct {
	key  crypto.PublicKey
	last int64
}

func (o *oracle) keyOf(raw jsontext.Value) crypto.PublicKey {
	var k struct{ Kty, X, Y string }
	o.w.must(json.Unmarshal(raw, &k, json.MatchCaseInsensitiveNames(true)))
	x, err := base64.RawURLEncoding.DecodeString(k.X)
	o.w.must(err)
	var key crypto.PublicKey = ed25519.PublicKey(x)
	if k.Kty == "EC" {
		y, err := base64.RawURLEncoding.DecodeString(k.Y)
		o.w.must(err)
		pub, err := ecdsa.ParseUncompressedPublicKey(p256, append(append([]byte{4}, x...), y...))
		o.w.must(err)
		key = pub
	}
	return key
}

func sameKey(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// keysOf lists the keys of a device in order of time; the last is the one in force.
func (o *oracle) keysOf(d model.DeviceID) (out []crypto.PublicKey) {
	for _, r := range o.retired[d] {
		out = append(out, r.key)
	}
	return append(out, o.keys[d])
}

// retiredFor reports whether the nth key of a device was not good for a seq.
func (o *oracle) retiredFor(d model.DeviceID, n int, seq int64) bool {
	r := o.retired[d]
	return n > 0 && seq <= r[n-1].last || n < len(r) && seq > r[n].last
}

func (o *oracle) rotated(q, a *wire) {
	var in contract.RotateRequest
	var out contract.RotateResponse
	o.w.must(json.Unmarshal(q.body, &in))
	o.w.must(json.Unmarshal(a.body, &out))
	key, r := o.keyOf(in.Key), o.retired[out.Device]
	if sameKey(key, o.keys[out.Device]) {
		r = slices.Clone(r)
		r[len(r)-1].last = in.LastSeq
	} else {
		r = append(slices.Clip(r), retiredKey{o.keys[out.Device], in.LastSeq})
		o.w.count("key rotated")
	}
	if out.Lease != nil {
		o.tokens[out.Lease.Token] = out.Lease.ID // the same session under the new key
	}
	o.retired[out.Device] = r
	o.hasKey(out.Device, key)
}

// handedOver takes back in the changes of key that the store had forgotten.
func (o *oracle) handedOver(d model.DeviceID, words []string) {
	for _, text := range words {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
		o.w.must(err)
		var h contract.Handover
		o.w.must(json.Unmarshal(payload, &h))
		from, to := o.keyOf(h.From), o.keyOf(h.To)
		if o.keys[d] == nil {
			o.hasKey(d, from)
		}
		if sameKey(o.keys[d], from) {
			o.retired[d] = append(slices.Clip(o.retired[d]), retiredKey{from, h.LastSeq})
			o.hasKey(d, to)
			o.w.count("key handed over to a store that had forgotten it")
		}
	}
}

// remembered reports whether the server knows the key in a tablet's hand.
func (t *tablet) remembered() bool {
	d := t.c.ID()
	return t.w.o.keys[d] != nil && slices.ContainsFunc(t.w.o.keysOf(d), func(k crypto.PublicKey) bool { return sameKey(k, t.key.Public()) })
}

func (o *oracle) hasKey(d model.DeviceID, key crypto.PublicKey) {
	o.keys[d], o.everKeys[d] = key, append(o.everKeys[d], key)
}

func (o *oracle) invited(q, a *wire) {
	var in contract.InviteRequest
	var out contract.InviteResponse
	o.w.must(json.Unmarshal(q.body, &in))
	o.w.must(json.Unmarshal(a.body, &out))
	if in.Replaces != nil {
		o.replace[out.Code] = *in.Replaces
	}
}

// caseEvent is one line of a caseload: the actor has the person from..to, or it ends, or a
// block begins or is lifted.
type caseEvent struct {
	seq         int64
	person      model.PersonID
	from, to    model.Millis
	end, glass  bool
	block, lift bool
}

func (o *oracle) line(actor model.ActorID, ev caseEvent) {
	o.events++
	ev.seq = o.events
	o.cases[actor] = append(o.cases[actor], ev)
}

func (o *oracle) assigned(q *wire, at model.Millis) {
	var in contract.AssignRequest
	o.w.must(json.Unmarshal(q.body, &in))
	for _, p := range in.Persons {
		ev := caseEvent{person: p, from: at, end: in.End}
		if in.From != nil {
			ev.from = *in.From
		}
		if in.To != nil {
			ev.to = *in.To
		}
		o.line(in.Actor, ev)
	}
}

func (o *oracle) blocked(q *wire, at model.Millis) {
	var in contract.BlockRequest
	o.w.must(json.Unmarshal(q.body, &in))
	ev := caseEvent{person: in.Person, from: at, block: !in.Lift, lift: in.Lift}
	if in.From != nil {
		ev.from = *in.From
	}
	o.line(in.Actor, ev)
}

func (o *oracle) glassBroken(a *wire) {
	var out contract.BreakGlassView
	o.w.must(json.Unmarshal(a.body, &out))
	if o.hasAt(out.Actor, out.Person, out.From) {
		o.w.fail("D", "%s was given emergency access to somebody who is in the caseload", out.Actor)
	}
	o.w.count("emergency access")
	o.line(out.Actor, caseEvent{person: out.Person, from: out.From, to: out.Until, glass: true})
}

// linesOf are the lines about a person that decide for an actor, in order.
func (o *oracle) linesOf(actor model.ActorID, person model.PersonID) (out []caseEvent) {
	for _, ev := range slices.Concat(o.cases[actor], o.cases[""]) {
		if ev.person == person {
			out = append(out, ev)
		}
	}
	slices.SortFunc(out, func(a, b caseEvent) int { return int(a.seq - b.seq) })
	return out
}

// grantsAt: a line gives the moment when it covers it and no later line ended it before.
func (o *oracle) grantsAt(actor model.ActorID, person model.PersonID, t model.Millis) (out []caseEvent) {
	lines := o.linesOf(actor, person)
	for i, ev := range lines {
		if ev.end || ev.block || ev.lift || t < ev.from || ev.to != 0 && t >= ev.to {
			continue
		}
		if !slices.ContainsFunc(lines[i+1:], func(later caseEvent) bool { return later.end && t >= later.from }) {
			out = append(out, ev)
		}
	}
	return out
}

// blockAt finds the newest word on a block that has begun; block is 0 when it lifts.
func blockAt(lines []caseEvent, person model.PersonID, t model.Millis) (block, word int64) {
	var newest caseEvent
	for _, ev := range lines {
		if ev.person == person && (ev.block || ev.lift) && ev.from <= t && ev.seq > newest.seq {
			newest = ev
		}
	}
	if newest.lift {
		return 0, newest.seq
	}
	return newest.seq, newest.seq
}

// outranks: emergency access goes before the blocks that were there when it was taken.
func outranks(grants []caseEvent, block int64) bool {
	return slices.ContainsFunc(grants, func(g caseEvent) bool { return g.glass && g.seq > block })
}

// hasAt says whether the actor has the person and is not kept from it.
func (o *oracle) hasAt(actor model.ActorID, person model.PersonID, t model.Millis) bool {
	grants := o.grantsAt(actor, person, t)
	block, word := blockAt(o.cases[actor], person, t)
	if general, _ := blockAt(o.cases[""], person, t); general > 0 && (block > 0 || word < general) {
		block = max(block, general) // no word by name has made an exception of it
	}
	return len(grants) > 0 && (block == 0 || outranks(grants, block))
}

// barredAt: a block by name stops every role.
func (o *oracle) barredAt(actor model.ActorID, person model.PersonID, t model.Millis) bool {
	block, _ := blockAt(o.cases[actor], person, t)
	return block != 0 && !outranks(o.grantsAt(actor, person, t), block)
}

// moments stand for all of [lo, hi]: only the ends of lines change anything.
func (o *oracle) moments(actor model.ActorID, person model.PersonID, lo, hi model.Millis) []model.Millis {
	out := []model.Millis{lo, hi}
	for _, ev := range o.linesOf(actor, person) {
		for _, t := range []model.Millis{ev.from, ev.from - 1, ev.to, ev.to - 1} {
			if lo <= t && t <= hi {
				out = append(out, t)
			}
		}
	}
	return out
}

// kept says what keeps an actor from a person during all of [lo, hi], as all that is known now
// tells; "" for nothing.
func (o *oracle) kept(actor model.ActorID, person model.PersonID, roles model.Roles, lo, hi model.Millis) string {
	moments := o.moments(actor, person, lo, hi)
	if roles.Has(model.RoleSupervisor) {
		if slices.ContainsFunc(moments, func(t model.Millis) bool { return !o.barredAt(actor, person, t) }) {
			return ""
		}
		return "person-blocked"
	}
	switch {
	case slices.ContainsFunc(moments, func(t model.Millis) bool { return o.hasAt(actor, person, t) }):
		return ""
	case slices.ContainsFunc(moments, func(t model.Millis) bool { return len(o.grantsAt(actor, person, t)) > 0 }):
		return "person-blocked"
	}
	return "out-of-scope"
}

// until is when the actor, who has the person at a moment, stops having it; 0 for never.
func (o *oracle) until(actor model.ActorID, person model.PersonID, t model.Millis) (end model.Millis) {
	for _, ev := range o.linesOf(actor, person) {
		for _, m := range []model.Millis{ev.from, ev.to} {
			if m > t && (end == 0 || m < end) && !o.hasAt(actor, person, m) {
				end = m
			}
		}
	}
	return end
}

// caseload lists whom the actor has at a moment.
func (o *oracle) caseload(actor model.ActorID, t model.Millis) (out []model.PersonID) {
	for _, p := range o.w.persons {
		if o.hasAt(actor, p, t) {
			out = append(out, p)
		}
	}
	return out
}
