package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// oracle is what a bystander knows who saw every request and every answer at the server's
// door, and keys and people from outside. It says what may take effect and what may not,
// from the protocol alone: it uses neither package sync nor package conflict.
type oracle struct {
	w *world

	everKeys map[model.DeviceID][]crypto.PublicKey // those that a device has had, in whatever life
	leases   map[string]leaseFacts                 // by lease id; a lease proves itself, so a restore loses none
	tokens   map[string]string                     // lease token -> lease id
	former   map[string]map[model.EntryID]int      // byID of the lives that ended, by epoch

	memory
}

// memory is what the bystander knows that the store must hold: a restore takes it back.
type memory struct {
	epoch   string
	keys    map[model.DeviceID]crypto.PublicKey
	revoked map[model.DeviceID]bool
	retired map[model.DeviceID][]retiredKey
	replace map[string]model.DeviceID     // invitation code -> the device that it replaces
	cases   map[model.ActorID][]caseEvent // "" for everybody
	events  int64                         // of cases, together

	journal []journalEntry
	byID    map[model.EntryID]int
	seqs    map[model.DeviceID]map[int64]int // how many different entries
	forked  map[model.DeviceID]bool
	held    map[model.EntryID]*heldEntry // quarantined
	acked   map[model.EntryID]int64      // what any answer of the server said, delivered or not
	units   map[place][]act
}

type place struct {
	person model.PersonID
	unit   model.Unit
}

type leaseFacts struct {
	device          model.DeviceID
	actor           model.ActorID
	roles           model.Roles
	issued, expires model.Millis
	at              model.Millis // true time of its answer
	jumps           int          // of the server's clock until then
}

type journalEntry struct {
	id      model.EntryID
	bytes   [32]byte // hash of the compact JWS
	outcome store.Outcome
	stamp   model.Stamp
}

type heldEntry struct {
	position int64
	code     string
	state    string
	entry    payload
	roles    model.Roles
	stamp    model.Stamp
}

// payload is the protocol's entry, read leniently: the sim signs what it wants.
type payload struct {
	Device  model.DeviceID `json:"device"`
	Seq     int64          `json:"seq"`
	Actor   model.ActorID  `json:"actor"`
	Lease   string         `json:"lease"`
	Elapsed int64          `json:"elapsed_ms"`
	Clock   string         `json:"clock"`
	Person  model.PersonID `json:"person"`
	Act     model.Act      `json:"act"`
	Changes []model.Change `json:"changes"`
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, everKeys: map[model.DeviceID][]crypto.PublicKey{}, leases: map[string]leaseFacts{}, tokens: map[string]string{}, former: map[string]map[model.EntryID]int{}, memory: memory{
		keys: map[model.DeviceID]crypto.PublicKey{}, revoked: map[model.DeviceID]bool{},
		retired: map[model.DeviceID][]retiredKey{}, replace: map[string]model.DeviceID{}, cases: map[model.ActorID][]caseEvent{}, byID: map[model.EntryID]int{},
		seqs: map[model.DeviceID]map[int64]int{}, forked: map[model.DeviceID]bool{}, held: map[model.EntryID]*heldEntry{},
		acked: map[model.EntryID]int64{}, units: map[place][]act{},
	}}
}

// observe learns from an exchange that the server has just finished, and then judges what
// the journal holds beyond what it held before.
func (o *oracle) observe(q, a *wire, at model.Millis) {
	path := strings.TrimPrefix(q.url, baseURL)
	path, _, _ = strings.Cut(path, "?")
	if a.status >= 500 && a.status != http.StatusServiceUnavailable {
		o.w.fail("X", "%s %s answered %d: %s", q.method, path, a.status, a.body)
	}
	var p contract.Problem
	if a.status >= 400 && json.Unmarshal(a.body, &p) == nil {
		o.w.count("http " + p.Code)
	}
	// What an administrator changed holds for what comes after; entries are judged below.
	if a.status < 300 && q.method == http.MethodPost {
		switch {
		case path == "/v1/devices":
			o.enrolled(q, a)
		case path == "/v1/leases":
			o.leased(q, a)
		case path == "/v1/devices/rotate-key":
			o.rotated(q, a)
		case path == "/v1/invites":
			o.invited(q, a)
		case path == "/v1/assignments":
			o.assigned(q, at)
		case path == "/v1/blocks":
			o.blocked(q, at)
		case path == "/v1/break-glass" && a.status == http.StatusCreated:
			o.glassBroken(a)
		case strings.HasSuffix(path, "/revoke"):
			id, err := model.ParseDeviceID(strings.Split(path, "/")[3])
			o.w.must(err)
			o.revoked[id] = true
		}
	}
	o.absorb(door{q: q, path: path, at: at})
	if a.status == http.StatusOK && path == "/v1/sync/push" {
		o.pushed(q, a)
	}
}

func (o *oracle) enrolled(q, a *wire) {
	var in contract.EnrolRequest
	var out contract.EnrolResponse
	o.w.must(json.Unmarshal(q.body, &in))
	o.w.must(json.Unmarshal(a.body, &out))
	key := o.keyOf(in.Key)
	if had := o.everKeys[out.Device]; len(had) > 0 && !slices.ContainsFunc(had, func(k crypto.PublicKey) bool { return sameKey(k, key) }) {
		o.w.fail("D", "device %s was given to a strange key", out.Device)
	}
	for id, other := range o.keys {
		if id != out.Device && other.(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
			o.w.fail("D", "one key is two devices")
		}
	}
	o.handedOver(out.Device, in.Handovers)
	o.hasKey(out.Device, key)
	if old, replaces := o.replace[in.Code]; replaces {
		o.revoked[old] = true
	}
}

func (o *oracle) leased(q, a *wire) {
	var in contract.LeaseRequest
	var out contract.LeaseResponse
	o.w.must(json.Unmarshal(q.body, &in))
	o.w.must(json.Unmarshal(a.body, &out))
	if o.revoked[in.Device] {
		o.w.fail("D", "a revoked device got a lease")
	}
	if o.keys[in.Device] == nil {
		o.w.fail("D", "a device that the store cannot know got a lease")
	}
	o.lease(in.Device, &out.Lease)
}

func (o *oracle) lease(device model.DeviceID, l *contract.Lease) {
	o.leases[l.ID] = leaseFacts{
		device: device, actor: l.Actor, roles: model.ParseRoles(l.Roles), issued: l.IssuedAt, expires: l.ExpiresAt, at: o.w.now,
		jumps: o.w.jumps,
	}
	o.tokens[l.Token] = l.ID
}

// pushed notes receipts (A, B): one entry, one position, for ever.
func (o *oracle) pushed(q, a *wire) {
	var in contract.PushRequest
	var out contract.PushResponse
	o.w.must(json.Unmarshal(o.w.plain(q), &in))
	o.w.must(json.Unmarshal(a.body, &out))
	if len(out.Results) != len(in.Entries) {
		o.w.fail("A", "%d results for %d entries", len(out.Results), len(in.Entries))
	}
	for i, r := range out.Results {
		o.w.count("outcome " + r.Outcome)
		if r.Code != "" {
			o.w.count("code " + r.Code)
		}
		if r.Outcome == contract.OutcomeRefused {
			continue
		}
		id, err := model.ParseEntryID(r.ID)
		o.w.must(err)
		at, known := o.byID[id]
		if !known {
			o.w.fail("A", "entry %s is acknowledged and not in the journal", id)
		}
		if r.Position == nil || *r.Position != int64(at) {
			o.w.fail("B", "entry %s is at %d and was said to be elsewhere", id, at)
		}
		if kept := o.journal[at].bytes; kept != sha256.Sum256([]byte(in.Entries[i])) && !o.w.signedByTwins(id, kept) {
			o.w.fail("A", "entry %s is kept with other bytes", id)
		}
		o.acked[id] = int64(at)
	}
	if out.Lease != nil {
		_, token, _ := strings.Cut(q.header.Get("Authorization"), " ")
		o.lease(o.leases[o.tokens[token]].device, out.Lease)
	}
}

// door is the request that brought entries in.
type door struct {
	q    *wire
	path string
	at   model.Millis
}

// absorb reads what is new in the journal.
func (o *oracle) absorb(d door) {
	o.w.must(o.w.srv.view(func(v store.View) error {
		for p := int64(len(o.journal)); p < v.Size(); p++ {
			l, err := v.Entry(p)
			if err != nil {
				return err
			}
			o.judge(d, p, l)
		}
		return nil
	}))
}

// unchanged reads the whole journal again (A).
func (o *oracle) unchanged() {
	o.w.must(o.w.srv.view(func(v store.View) error {
		if v.Size() != int64(len(o.journal)) {
			o.w.fail("A", "the journal has %d entries and had %d", v.Size(), len(o.journal))
		}
		for p := range o.journal {
			l, err := v.Entry(int64(p))
			if err != nil {
				return err
			}
			was := &o.journal[p]
			if l.ID != was.id || sha256.Sum256(l.Compact()) != was.bytes || l.Outcome != was.outcome || l.Stamp != was.stamp {
				o.w.fail("A", "position %d has changed", p)
			}
		}
		return nil
	}))
	for id, at := range o.acked {
		if at >= int64(len(o.journal)) || o.journal[at].id != id {
			o.w.fail("A", "acknowledged entry %s is gone", id)
		}
	}
}

// judge holds one new entry against what may be (D), and takes its effect.
func (o *oracle) judge(d door, p int64, l *store.LogEntry) {
	compact := l.Compact()
	input, sig, _ := cutLast(string(compact))
	sum := sha256.Sum256([]byte("flette/entry/1\n" + input))
	if l.ID != model.EntryID(sum) {
		o.w.fail("A", "position %d holds other bytes than its id says", p)
	}
	if at, twice := o.byID[l.ID]; twice {
		o.w.fail("B", "entry %s is at %d and at %d", l.ID, at, p)
	}
	o.byID[l.ID] = len(o.journal)
	o.journal = append(o.journal, journalEntry{l.ID, sha256.Sum256(compact), l.Outcome, l.Stamp})

	raw, err := base64.RawURLEncoding.DecodeString(sig)
	o.w.must(err)
	keys, which := o.keysOf(l.Device), -1
	desk := l.Device == o.w.desk
	if desk {
		keys = []crypto.PublicKey{tenantKeys.DeskKey().Public()}
	}
	for i, key := range keys {
		if key != nil && signedBy(key, []byte(input), raw) {
			which = i
		}
	}
	if which < 0 {
		o.w.fail("D", "position %d was kept without the signature of an enrolled key", p)
	}
	var e payload
	o.w.must(json.Unmarshal(l.Payload, &e))
	var reasons []string
	var roles model.Roles
	if desk {
		roles = o.deskMay(d, p, &e, l.Stamp)
	} else {
		reasons, roles = o.reasons(p, l, &e, d.at)
		if o.retiredFor(l.Device, which, e.Seq) {
			reasons = append(reasons, "key-retired")
		}
	}
	o.sequence(l.Device, e.Seq)

	taken := l.Outcome != store.Quarantined
	switch {
	case taken && len(reasons) > 0:
		o.w.fail("D", "position %d (%s by %s) took effect and must not: %v", p, e.Act, e.Actor, reasons)
	case !taken && len(reasons) == 0:
		o.w.fail("D", "position %d (%s by %s) was quarantined as %s and nothing stands against it", p, e.Act, e.Actor, l.Code)
	case !taken && !slices.Contains(reasons, l.Code):
		o.w.fail("D", "position %d (%s by %s) was quarantined as %s, what stands against it: %v", p, e.Act, e.Actor, l.Code, reasons)
	case l.Code == "lease-expired" && len(reasons) > 1 && e.Act != model.ActRelease && e.Act != model.ActClose:
		o.w.fail("D", "position %d waits for a login only, and %v stands against it", p, reasons)
	}
	o.w.count("clock " + l.Stamp.Class.String())
	if !taken {
		o.held[l.ID] = &heldEntry{position: p, code: l.Code, state: "open", entry: e, roles: roles, stamp: l.Stamp}
		return
	}
	o.w.count("act " + string(e.Act))
	o.effect(p, l.ID, &e, roles, l.Stamp)
}

// sequence notes device and seq; two entries with one seq are a fork.
func (o *oracle) sequence(device model.DeviceID, seq int64) {
	if o.seqs[device] == nil {
		o.seqs[device] = map[int64]int{}
	}
	o.seqs[device][seq]++
	if o.seqs[device][seq] > 1 {
		o.forked[device] = true
	}
}

// reasons lists all that stands against an entry of a tablet, by code.
func (o *oracle) reasons(p int64, l *store.LogEntry, e *payload, at model.Millis) (out []string, roles model.Roles) {
	if o.revoked[l.Device] {
		out = append(out, "device-revoked")
	}
	if o.seqs[l.Device][e.Seq] > 0 {
		out = append(out, "seq-fork")
	} else if o.forked[l.Device] {
		out = append(out, "device-forked")
	}
	s := &l.Stamp
	if s.Hi != at || s.Lo > s.TEff || s.TEff > s.Hi {
		o.w.fail("D", "position %d was received at %d and is placed at %d in [%d, %d]", p, at, s.TEff, s.Lo, s.Hi)
	}
	lease, known := o.leases[e.Lease]
	if !known || lease.device != l.Device || lease.actor != e.Actor {
		out = append(out, "lease-unknown")
		if s.Class != model.ClockC {
			o.w.fail("D", "position %d has a clock without a lease", p)
		}
	} else {
		roles = lease.roles
		if s.Lo != min(lease.issued, at) {
			o.w.fail("D", "position %d was not signed before %d, not %d", p, lease.issued, s.Lo)
		}
		if s.TEff > lease.expires {
			out = append(out, "lease-expired")
		}
		needs := model.RoleNurse | model.RoleSupervisor
		if e.Act == model.ActDecide || e.Act == model.ActRelease || e.Act == model.ActClose {
			needs = model.RoleSupervisor
		}
		if !roles.Has(needs) {
			out = append(out, "act-forbidden")
		}
	}
	if e.Act != model.ActClose && !o.w.knownPerson(e.Person) {
		out = append(out, "unknown-person")
	} else {
		lo, hi := max(s.Lo, s.TEff-s.U), min(s.Hi, s.TEff+s.U)
		if why := o.kept(e.Actor, e.Person, roles, lo, hi); why != "" {
			out = append(out, why)
		}
	}
	if bad := o.w.badValue[l.ID]; bad != "" {
		out = append(out, bad)
	}
	if e.Act == model.ActRelease || e.Act == model.ActClose {
		if why := o.unsettleable(e); why != "" {
			out = append(out, why)
		}
	}
	o.truth(p, l, e, lease)
	return out, roles
}

// truth checks the promise of clock class A against the moment at which the entry was really
// signed: nothing that a wall clock does takes it out of t_eff +/- u.
func (o *oracle) truth(p int64, l *store.LogEntry, e *payload, lease leaseFacts) {
	signed, honest := o.w.signedAt[l.ID]
	if !honest || l.Stamp.Class != model.ClockA || lease.jumps != o.w.jumps || signed.jumps != o.w.jumps {
		return
	}
	if d := l.Stamp.T - signed.server; d > l.Stamp.U || -d > l.Stamp.U {
		o.w.fail("D", "position %d (clock A) was signed %d ms from where it is placed, its bound is %d", p, -d, l.Stamp.U)
	}
}

// unsettleable says why a release or close cannot be.
func (o *oracle) unsettleable(e *payload) string {
	h := o.held[*e.Changes[0].Target]
	switch {
	case h == nil || h.entry.Person != e.Person:
		return "unknown-target"
	case h.state != "open":
		return "already-settled"
	case e.Act == model.ActRelease && !liftable(h):
		return "not-releasable"
	case e.Act == model.ActRelease:
		return o.w.badValue[*e.Changes[0].Target]
	}
	return ""
}

// liftable: doubts about authority can be lifted, what an entry says cannot.
func liftable(h *heldEntry) bool {
	switch h.code {
	case "lease-unknown", "lease-expired", "device-revoked", "seq-fork", "device-forked", "out-of-scope", "person-blocked", "key-retired":
	default:
		return false
	}
	return h.entry.Act != model.ActRelease && h.entry.Act != model.ActClose
}

// deskMay checks that the review desk signed because somebody who may asked for just this, in
// the request that has just been served.
func (o *oracle) deskMay(d door, p int64, e *payload, s model.Stamp) model.Roles {
	_, token, _ := strings.Cut(d.q.header.Get("Authorization"), " ")
	asked, supervisor := o.w.users[token], model.Roles(model.RoleSupervisor)
	parts := strings.Split(d.path, "/")
	switch {
	case e.Act == model.ActDecide && strings.HasSuffix(d.path, "/decision"):
	case e.Act == model.ActRelease && strings.HasSuffix(d.path, "/release") && parts[3] == e.Changes[0].Target.String():
	case e.Act == model.ActClose && strings.HasSuffix(d.path, "/close") && parts[3] == e.Changes[0].Target.String():
	case e.Act == model.ActRelease && d.path == "/v1/leases":
		var in contract.LeaseRequest
		o.w.must(json.Unmarshal(d.q.body, &in))
		h := o.held[*e.Changes[0].Target]
		if h == nil || h.code != "lease-expired" || h.entry.Device != in.Device || h.entry.Actor != asked.actor || e.Actor != asked.actor {
			o.w.fail("D", "position %d: a login let through what it must not", p)
		}
		supervisor = 0
	default:
		o.w.fail("D", "position %d: the desk signed %s on %s, which nobody asked for", p, e.Act, d.path)
	}
	if supervisor != 0 && !asked.roles.Has(model.RoleSupervisor) || e.Actor != asked.actor {
		o.w.fail("D", "position %d: the desk signed for %s, who may not", p, asked.actor)
	}
	if supervisor != 0 && o.barredAt(asked.actor, e.Person, d.at) {
		o.w.fail("D", "position %d: the desk signed for %s, who is blocked from the person", p, asked.actor)
	}
	if e.Act != model.ActDecide {
		if why := o.unsettleable(e); why != "" {
			o.w.fail("D", "position %d: the desk settled what it cannot: %s", p, why)
		}
	}
	if s.Hi != d.at || s.TEff != d.at {
		o.w.fail("D", "position %d: the desk's clock is the server's", p)
	}
	return model.Roles(model.RoleSupervisor)
}

// effect adds an entry that took effect to the set of its units.
func (o *oracle) effect(p int64, id model.EntryID, e *payload, roles model.Roles, stamp model.Stamp) {
	switch e.Act {
	case model.ActClose:
		o.held[*e.Changes[0].Target].state = "closed"
	case model.ActRelease:
		target := *e.Changes[0].Target
		h := o.held[target]
		h.state = "released"
		o.w.count("released " + h.code)
		o.effect(p, target, &h.entry, h.roles, h.stamp)
	default:
		for _, c := range e.Changes {
			n := act{
				id: id, position: p, kind: e.Act, device: e.Device, seq: e.Seq, actor: e.Actor, stamp: stamp,
				value: c.Value, over: c.Over, mayDecide: roles.Has(model.RoleSupervisor),
			}
			if c.Target != nil {
				n.target = *c.Target
			}
			at := place{e.Person, c.Unit}
			if below := history(o.units[at]).find(n.target); n.kind == model.ActVoid && below != nil && below.kind == model.ActDecide {
				o.w.count("void of a decision by " + map[bool]string{true: "a supervisor", false: "a nurse"}[n.mayDecide])
			}
			o.units[at] = append(o.units[at], n)
		}
	}
}

func signedBy(key crypto.PublicKey, input, sig []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, input, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(input)
		return len(sig) == 64 && ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	return false
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

func (p place) String() string { return fmt.Sprintf("%s %s", p.person.String()[:8], p.unit) }
