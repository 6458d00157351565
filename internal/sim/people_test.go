package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

var deviceActions = []action{
	{"reboot", 8, func(w *world) string { t := w.ready(); t.reboot(); w.count("tablet reboot"); return t.name }},
	{"disk-full", 3, func(w *world) string { t := w.ready(); t.disk = diskFull; return t.name }},
	{"dies-while-saving", 3, func(w *world) string { t := w.ready(); t.disk = diskDies; return t.name }},
	{"copy-tablet", 4, (*world).copyTablet},
	{"tablet-from-copy", 4, (*world).fromCopy},
	{"clone", 2, (*world).clone},
	{"revoke", 2, (*world).revoke},
	{"old-tablet-calls", 4, (*world).oldTablet},
	{"enrol-anew", 2, (*world).enrolAnew},
}

// copyTablet is a backup of a tablet's storage; not amid a change of key, for the copy would lack the new one.
func (w *world) copyTablet() string {
	t := w.ready()
	if t.next != nil {
		return ""
	}
	t.copied = t.stored
	return t.name
}

// fromCopy is a tablet whose storage was restored: what it signed since is gone with the old
// storage, and its numbers are used again.
func (w *world) fromCopy() string {
	t := w.ready()
	if t.copied == nil || t.copied.Seq == t.stored.Seq {
		return ""
	}
	t.signed = slices.DeleteFunc(t.signed, func(p client.Pending) bool { return !inCopy(t.copied, p) })
	t.wake(t.copied)
	maps.DeleteFunc(t.owes, func(id model.EntryID, _ bool) bool { return !t.holds(id) })
	w.count("tablet restored from a copy")
	return fmt.Sprintf("%s: back to %d", t.name, t.copied.Seq)
}

// inCopy reports whether a copy of the storage is from after an entry was signed. What an
// earlier device of the tablet signed has numbers of its own.
func inCopy(s *client.State, p client.Pending) bool {
	return p.Seq <= s.Seq || slices.ContainsFunc(s.Outbox, func(q client.Pending) bool { return q.ID == p.ID }) ||
		slices.ContainsFunc(s.Kept, func(k client.Kept) bool { return k.ID == p.ID })
}

// signedByTwins reports whether a clone signed the very same entry: P-256 gives it another
// signature, and an entry is what is signed.
func (w *world) signedByTwins(id model.EntryID, kept [sha256.Size]byte) bool {
	return slices.ContainsFunc(w.tablets, func(t *tablet) bool {
		return slices.ContainsFunc(t.signed, func(p client.Pending) bool { return p.ID == id && sha256.Sum256([]byte(p.JWS)) == kept })
	})
}

// clone is a second tablet made from a copy of a first one: one key, one device, two chains.
func (w *world) clone() string {
	t := w.ready()
	if len(w.tablets) > 7 || t.next != nil {
		return ""
	}
	if t.copied == nil {
		t.copied = t.stored
	}
	c := &tablet{w: w, name: fmt.Sprintf("t%d", len(w.tablets)), owner: t.owner, key: t.key, told: maps.Clone(t.told), received: maps.Clone(t.received), base: w.now}
	for _, p := range t.signed {
		if inCopy(t.copied, p) {
			c.signed = append(c.signed, p)
		}
	}
	c.wake(t.copied)
	c.owes = maps.Clone(t.owes)
	maps.DeleteFunc(c.owes, func(id model.EntryID, _ bool) bool { return !c.holds(id) })
	w.tablets = append(w.tablets, c)
	w.count("tablet cloned")
	return fmt.Sprintf("%s from %s at %d", c.name, t.name, t.copied.Seq)
}

func (w *world) revoke() string {
	t := w.ready()
	if len(w.tablets) > 6 || w.live() < 2 || !t.remembered() {
		return ""
	}
	_, err := again(w, func() (*contract.DeviceView, error) { return w.boss().Revoke(background, t.c.ID(), "mistet") })
	w.must(err)
	for _, c := range w.tablets {
		c.gone = c.gone || c.c.ID() == t.c.ID()
	}
	w.count("device revoked")
	if w.chance(0.7) {
		w.newTablet(t.owner)
	}
	return t.name
}

// oldTablet is one that is revoked or replaced and still in somebody's bag.
func (w *world) oldTablet() string {
	for _, t := range w.tablets {
		if t.gone && w.chance(0.5) {
			return w.visit(t, model.ActRegister) + "; " + w.sync(t) + "; " + w.loginOf(t, t.owner)
		}
	}
	return ""
}

func (w *world) live() int {
	n := 0
	for _, t := range w.tablets {
		if !t.gone {
			n++
		}
	}
	return n
}

// enrolAnew gives a tablet a new key and id once its outbox is empty, as T9 asks.
func (w *world) enrolAnew() string {
	t := w.ready()
	w.push(t)
	if len(t.c.Outbox()) > 0 || len(w.tablets) > 8 {
		return ""
	}
	t.gone = true
	w.count("enrolled anew")
	fresh := w.newTablet(t.owner)
	fresh.ahead, fresh.weather = t.ahead, t.weather
	return t.name + " is " + fresh.name
}

var officeActions = []action{
	{"assign", 6, (*world).assignSome},
	{"end-assignment", 5, (*world).endSome},
	{"move-person", 3, (*world).movePerson},
	{"decide", 16, (*world).decide},
	{"undo-decision", 3, (*world).decideAgain},
	{"release", 12, func(w *world) string { return w.settle(model.ActRelease) }},
	{"close", 5, func(w *world) string { return w.settle(model.ActClose) }},
}

func (w *world) assign(actor model.ActorID, persons []model.PersonID, from, to model.Millis, end bool) {
	r := contract.AssignRequest{Actor: actor, Persons: persons, End: end}
	if from != 0 {
		r.From = &from
	}
	if to != 0 {
		r.To = &to
	}
	_, err := again(w, func() (*contract.AssignResponse, error) { return w.boss().Assign(background, r) })
	w.must(err)
}

func (w *world) some(persons []model.PersonID) (out []model.PersonID) {
	for _, p := range persons {
		if w.chance(0.4) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		out = append(out, pick(w, persons))
	}
	return out
}

func (w *world) assignSome() string {
	actor, persons, now := pick(w, w.tablets).owner, w.some(w.persons), w.serverNow()
	from := pick(w, []model.Millis{0, 0, now - 2*hour, now + hour, now - 3*day})
	to := model.Millis(0)
	if w.chance(0.4) {
		to = max(from, now) + pick(w, []model.Millis{minute, hour, 2 * day})
		w.count("assignment with an end")
	}
	w.assign(actor, persons, from, to, false)
	return fmt.Sprintf("%s: %d persons", actor, len(persons))
}

func (w *world) endSome() string {
	actor := pick(w, w.tablets).owner
	have := w.o.caseload(actor, w.serverNow())
	if len(have) == 0 {
		return ""
	}
	from := pick(w, []model.Millis{0, 0, w.serverNow() - hour, w.serverNow() + hour})
	w.assign(actor, w.some(have), from, 0, true)
	return string(actor)
}

// movePerson takes a person from one nurse to another.
func (w *world) movePerson() string {
	from, to := pick(w, w.tablets).owner, pick(w, w.tablets).owner
	have := w.o.caseload(from, w.serverNow())
	if len(have) == 0 {
		return ""
	}
	who := pick(w, have)
	w.assign(from, []model.PersonID{who}, 0, 0, true)
	w.assign(to, []model.PersonID{who}, 0, 0, false)
	w.count("person moved")
	return fmt.Sprintf("%s from %s to %s", who.String()[:8], from, to)
}

// decide settles a review at the desk; sometimes something arrives between reading and
// deciding.
func (w *world) decide() string {
	api := w.office(pick(w, supervisors), boss)
	list, err := api.Reviews(background, "open", "")
	if err != nil || len(list.Reviews) == 0 {
		return ""
	}
	return w.decideOn(api, pick(w, list.Reviews).ID)
}

// decideAgain undoes a decision by another one.
func (w *world) decideAgain() string {
	api := w.office(pick(w, supervisors), boss)
	list, err := api.Reviews(background, "closed", "")
	if err != nil || len(list.Reviews) == 0 {
		return ""
	}
	return w.decideOn(api, pick(w, list.Reviews).ID)
}

func (w *world) decideOn(api *client.API, id string) string {
	review, etag, err := api.Review(background, id)
	if err != nil {
		return err.Error()
	}
	if w.chance(0.3) {
		t := w.ready()
		w.signed(t, review.Person, model.ActRegister, []model.Change{{Unit: review.Unit.Unit, Value: w.value(review.Unit.Unit)}}, nil)
		w.push(t)
	}
	d := contract.DecisionRequest{Reason: reason("spoke-with-both")}
	if len(review.Unit.Heads) > 0 && w.chance(0.6) {
		choice := pick(w, review.Unit.Heads).Entry
		d.Choose = &choice
	} else {
		d.Value = w.value(review.Unit.Unit)
	}
	_, err = api.Decide(background, id, etag, d)
	switch code := client.CodeOf(err); {
	case code == "precondition-failed":
		w.count("decision overtaken")
		if w.o.headSetOf(review.Person, review.Unit.Unit) == review.HeadSet {
			w.fail("E", "the decision on %s was refused as overtaken, and its heads are the same", review.Unit.Unit)
		}
	case err == nil:
		w.count("decided class " + fmt.Sprint(int(review.Class)))
	}
	return fmt.Sprintf("%s class %d: %v", review.Unit.Unit, review.Class, err)
}

func (w *world) settle(kind model.Act) string {
	api := w.office(pick(w, supervisors), boss)
	list, err := api.Quarantine(background, "open", "")
	if err != nil || len(list.Items) == 0 {
		return ""
	}
	item := pick(w, list.Items)
	if kind == model.ActRelease {
		_, err = api.Release(background, item.Entry, *reason("seen"))
	} else {
		_, err = api.Close(background, item.Entry, *reason("seen"))
	}
	if err == nil {
		w.count("settled " + string(kind))
	} else {
		w.count("told " + client.CodeOf(err))
	}
	return fmt.Sprintf("%s %s (%s): %v", kind, item.Entry.String()[:6], item.Code, err)
}

var rogueActions = []action{
	{"forge", 5, (*world).forge},
	{"foreign-lease", 3, (*world).foreignLease},
	{"courier", 5, (*world).courier},
	{"settle-on-tablet", 4, (*world).settleHere},
	{"stranger", 2, (*world).stranger},
}

// handIn pushes entries of any kind under a tablet's lease, as a client that does not play by
// the rules.
func (w *world) handIn(t *tablet, entries ...string) string {
	if t.stored.Lease == nil || t.down() {
		return ""
	}
	s := *t.stored
	s.Outbox, s.Kept, s.Refused = nil, nil, nil
	for _, jws := range entries {
		s.Outbox = append(s.Outbox, client.Pending{JWS: jws, ID: idOf(jws)})
	}
	cfg := t.config()
	cfg.Save = nil
	c, err := client.Restore(cfg, &s)
	w.must(err)
	report, err := c.Push(background)
	w.note(t, err)
	return fmt.Sprintf("%s: %d results, %v", t.name, len(report.Results), err)
}

func idOf(jws string) model.EntryID {
	input, _, _ := cutLast(jws)
	return model.NewEntryID([]byte(input))
}

// draft is an entry as the tablet would sign it next; nothing is signed.
func (t *tablet) draft() *model.Entry {
	who := t.patient()
	u := t.w.unit(who)
	s := t.stored
	return &model.Entry{
		V: 1, Tenant: tenant, Device: s.Device, Seq: s.Seq + 1, Prev: s.Prev, Actor: s.Lease.Actor, Lease: s.Lease.ID,
		ElapsedMs: max(0, int64(t.w.serverNow()-s.Lease.IssuedAt)), Clock: model.ClockMonotonic, Wall: t.w.now,
		Person: who, Act: model.ActRegister, Changes: []model.Change{{Unit: u, Value: t.w.value(u)}},
	}
}

// forge is an entry in the name of a tablet that its key did not sign.
func (w *world) forge() string {
	t := w.ready()
	if t.stored.Lease == nil {
		return ""
	}
	e := t.draft()
	var seed [32]byte
	_, _ = w.bytes.Read(seed[:])
	stranger := ed25519.NewKeyFromSeed(seed[:])
	if w.chance(0.3) {
		e.Device = model.DeviceID{9, 9}
	}
	jws, _, err := client.SignEntry(stranger, e)
	w.must(err)
	w.count("forged entry")
	return w.handIn(t, jws)
}

// signRogue signs an entry with the tablet's own key and number, outside of its client.
func (w *world) signRogue(t *tablet, e *model.Entry) string {
	jws, id, err := client.SignEntry(t.key, e)
	w.must(err)
	s := *t.stored
	s.Seq, s.Prev = e.Seq, id.String()
	s.Outbox = append(slices.Clone(s.Outbox), client.Pending{ID: id, Seq: e.Seq, Person: e.Person, Wall: e.Wall, JWS: jws})
	t.wake(&s)
	t.signed = append(t.signed, s.Outbox[len(s.Outbox)-1])
	return fmt.Sprintf("%s signs %s", t.name, id.String()[:6])
}

// foreignLease is an entry that names a lease of another device or person, or none at all.
func (w *world) foreignLease() string {
	t, other := w.ready(), w.ready()
	if t.stored.Lease == nil || other.stored.Lease == nil {
		return ""
	}
	e := t.draft()
	e.Lease = other.stored.Lease.ID
	switch {
	case w.chance(0.3):
		e.Lease = "none"
	case w.chance(0.3):
		e.Lease, e.Actor = t.stored.Lease.ID, "nurse-9"
	}
	w.count("foreign lease")
	return w.signRogue(t, e)
}

// courier hands in what another tablet has in its outbox; that one will hand it in too.
func (w *world) courier() string {
	t, other := w.ready(), w.ready()
	var entries []string
	for _, p := range other.stored.Outbox {
		entries = append(entries, p.JWS)
	}
	if t == other || len(entries) == 0 {
		return ""
	}
	w.count("courier")
	return w.handIn(t, entries...)
}

// settleHere is a release or close signed on a tablet; supervisors may.
func (w *world) settleHere() string {
	t := w.ready()
	if w.chance(0.5) {
		w.loginOf(t, pick(w, supervisors))
	}
	if t.stored.Lease == nil {
		return ""
	}
	e := t.draft()
	e.Act, e.Reason = pick(w, []model.Act{model.ActRelease, model.ActClose}), reason("seen")
	target := model.EntryID{3}
	for id, h := range w.o.held {
		// The map's order is nobody's: take the least id that fits.
		if (target == model.EntryID{3} || id.String() < target.String()) && (h.state == "open" || w.jumps%2 == 0) {
			target, e.Person = id, h.entry.Person
		}
	}
	e.Changes = []model.Change{{Unit: model.QuarantineUnit, Target: &target}}
	w.count("settled on a tablet")
	return w.signRogue(t, e)
}

// stranger is an entry on a person whom nobody here knows.
func (w *world) stranger() string {
	t := w.ready()
	if t.stored.Lease == nil {
		return ""
	}
	e := t.draft()
	e.Person = model.PersonID{5, 5, 5}
	return w.signRogue(t, e)
}
