package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// merged compares every unit that the server holds with the merge of all that took effect (E).
func (o *oracle) merged() {
	w := o.w
	open := map[string]bool{}
	w.must(w.srv.view(func(v store.View) error {
		reviews, err := store.List[store.OpenReview](v, "", "", 0)
		if err != nil {
			return err
		}
		for _, r := range reviews {
			open[r.ID] = true
		}
		units := 0
		for _, p := range w.persons {
			if err := v.Units(p, "", "", func(*model.UnitState) bool { units++; return true }); err != nil {
				return err
			}
		}
		if units != len(o.units) {
			w.fail("E", "the server has %d units, %d were set", units, len(o.units))
		}
		for _, at := range o.places() {
			s, err := v.Unit(at.person, at.unit)
			if err != nil {
				return err
			}
			if s == nil {
				w.fail("E", "%s was set and is not there", at)
			}
			h := history(o.units[at])
			if got, want := idsOf(s.Heads), idsOfActs(h.heads()); !slices.Equal(got, want) {
				w.fail("E", "%s shows the heads %v, the entries give %v", at, short(got), short(want))
			}
			class := h.classOf(at.unit)
			if s.Class != class {
				w.fail("E", "%s is of class %d, the entries give %d", at, s.Class, class)
			}
			w.count(fmt.Sprintf("class %d", class))
			id := reviewID(at)
			if class.NeedsReview() != open[id] {
				w.fail("E", "%s is of class %d, and its review is open: %v", at, class, open[id])
			}
			r, err := store.Get[store.Review](v, id)
			if open[id] && (err != nil || r.State != "open" || r.Class != class) {
				w.fail("E", "the review of %s says %q class %d, %v", at, r.State, r.Class, err)
			}
			delete(open, id)
		}
		return nil
	}))
	for id := range open {
		w.fail("E", "review %s is open and asks about nothing", id)
	}
}

func (o *oracle) places() []place {
	return slices.SortedFunc(maps.Keys(o.units), func(a, b place) int {
		if c := bytes.Compare(a.person[:], b.person[:]); c != 0 {
			return c
		}
		return strings.Compare(string(a.unit), string(b.unit))
	})
}

func idsOf(heads []model.Head) (out []model.EntryID) {
	for i := range heads {
		out = append(out, heads[i].ID)
	}
	return out
}

func idsOfActs(heads []*act) (out []model.EntryID) {
	for _, h := range heads {
		out = append(out, h.id)
	}
	return out
}

func short(ids []model.EntryID) (out []string) {
	for _, id := range ids {
		out = append(out, id.String()[:6])
	}
	return out
}

// reviewID as the contract has it: it never depends on the order of things.
func reviewID(at place) string {
	sum := sha256.Sum256([]byte("flette/review/1\n" + at.person.String() + "\n" + string(at.unit)))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}

// headSetOf names the heads of a unit as an ETag does.
func (o *oracle) headSetOf(p model.PersonID, u model.Unit) string {
	ids := idsOfActs(history(o.units[place{p, u}]).heads())
	slices.SortFunc(ids, func(a, b model.EntryID) int { return bytes.Compare(a[:], b[:]) })
	text := []byte("flette/heads/1\n")
	for _, id := range ids {
		text = append(text, id[:]...)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// heal ends all faults, and demands that everything arrives (liveness): bounded rounds of what
// a tablet does by itself whenever it has a network.
func (w *world) heal() {
	for len(w.late) > 0 {
		w.arrive(w.rng.IntN(len(w.late)))
	}
	for _, t := range w.tablets {
		t.weather, t.offline, t.disk = weather{}, 0, diskFine
	}
	rounds := 3
	if w.restores > 0 {
		rounds++ // one to hear that the store is another
	}
	waits := func(t *tablet) bool {
		return (len(t.c.Outbox()) > 0 || t.stored.Epoch != w.o.epoch) && t.stored.Lease != nil && t.stored.Wiped == ""
	}
	for round := range rounds {
		if round > 0 && !slices.ContainsFunc(w.tablets, waits) {
			break
		}
		for _, t := range w.tablets {
			if !t.remembered() && t.stored.Wiped == "" {
				w.reenrol(t)
			}
			if t.served() {
				w.loginOf(t, t.owner)
			}
			w.push(t)
		}
	}
	for _, t := range w.tablets {
		if t.served() {
			w.loginOf(t, t.owner) // again: a change of key may have been finished by the push alone
		}
	}
	for _, t := range w.tablets {
		if t.served() {
			w.pull(t)
		}
	}
	for _, t := range w.tablets {
		if left := t.c.Outbox(); waits(t) {
			w.fail("L", "%s still holds %d entries after %d rounds, the first is %d", t.name, len(left), rounds, left[0].Seq)
		}
		t.honest()
	}
}

// served is a tablet that the server gives data to: it is not shut out, and was not erased.
func (t *tablet) served() bool { return !t.w.o.revoked[t.c.ID()] && t.stored.Wiped == "" }

// quiesce is the end of a history: all of it must hold now.
func (w *world) quiesce(twin bool) {
	w.heal()
	w.paid()
	w.o.unchanged()
	w.o.merged()
	if err := w.srv.verify(); err != nil {
		w.fail("F", "verify: %v", err)
	}
	for _, t := range w.tablets {
		if t.served() {
			w.sameView(t)
			if err := t.c.Audit(background); err != nil {
				w.fail("F", "%s: its checkpoint is not one of this journal: %v", t.name, err)
			}
		}
	}
	w.sameRecord()
	if twin {
		w.twin()
	}
}

// sameView compares what a tablet shows with the merge, person by person (G). It holds after
// every pull that came to its end, when nothing waits in the outbox.
func (w *world) sameView(t *tablet) {
	user := t.c.Actor()
	var got []model.PersonID
	for _, c := range t.c.Persons() {
		got = append(got, c.Person)
	}
	want := t.expects(w.o.caseload(user, w.serverNow()), got)
	slices.SortFunc(got, func(a, b model.PersonID) int { return bytes.Compare(a[:], b[:]) })
	slices.SortFunc(want, func(a, b model.PersonID) int { return bytes.Compare(a[:], b[:]) })
	if !slices.Equal(got, want) {
		w.fail("G", "%s shows %d persons, %s has %d", t.name, len(got), user, len(want))
	}
	for _, at := range w.o.places() {
		v, ok := t.c.View(at.person, at.unit)
		if !slices.Contains(want, at.person) {
			if ok {
				w.fail("G", "%s still shows %s, whom its user has not", t.name, at)
			}
			continue
		}
		h := history(w.o.units[at])
		heads, class := h.heads(), h.classOf(at.unit)
		var ids []model.EntryID
		for _, x := range v.Heads {
			ids = append(ids, x.Entry)
		}
		if !slices.Equal(ids, idsOfActs(heads)) || v.Class != class || (v.Review != "") != class.NeedsReview() {
			w.fail("G", "%s shows %s as %v class %d, it is %v class %d", t.name, at, short(ids), v.Class, short(idsOfActs(heads)), class)
		}
		if len(heads) > 0 && !bytes.Equal(v.Heads[0].Value, heads[0].value) {
			w.fail("G", "%s shows another value of %s", t.name, at)
		}
	}
}

// reckons is the server's time by the tablet's own clocks. sure is false after a reboot, when
// only the wall clock bridges.
func (t *tablet) reckons() (now model.Millis, sure bool) {
	lease := t.stored.Lease
	switch {
	case lease == nil:
		return 0, false
	case t.stored.Rebooted:
		return max(lease.IssuedAt, model.MillisOf(t.wall())-t.stored.Skew), false
	}
	return lease.IssuedAt + t.w.now - t.w.o.leases[lease.ID].at, true
}

// ages notes how far the tablet's sure clock has come: it has forgotten whose time was over then.
func (t *tablet) ages() {
	if now, sure := t.reckons(); sure {
		t.latest = max(t.latest, now)
	}
}

// expects leaves out whose time is over by the tablet's own reckoning (T8), which a jump of the
// server's clock does not reach. Who was forgotten so before the server's clock was set back
// comes with a change of the assignment or a repair, and may be missing until then.
func (t *tablet) expects(persons, shown []model.PersonID) []model.PersonID {
	t.ages()
	now, _ := t.reckons()
	return slices.DeleteFunc(persons, func(p model.PersonID) bool {
		until := t.w.o.until(t.stored.Lease.Actor, p, t.w.serverNow())
		if until == 0 || now < until && (t.latest < until || slices.Contains(shown, p)) {
			return false
		}
		t.w.count("over by the tablet's clock")
		return true
	})
}

// sameRecord reads every person through the api, as a supervisor does (G).
func (w *world) sameRecord() {
	api := w.boss()
	for _, p := range w.persons {
		rec, err := again(w, func() (*contract.PersonRecord, error) { return api.Person(background, p, -1) })
		w.must(err)
		n := 0
		for _, u := range rec.Units {
			h := history(w.o.units[place{p, u.Unit}])
			if len(u.Heads) != len(h.heads()) || len(u.Heads) > 0 && u.Heads[0].Entry != h.heads()[0].id || u.Class != h.classOf(u.Unit) {
				w.fail("G", "the api shows %s otherwise than it is", place{p, u.Unit})
			}
			n++
		}
		if rec.Next == "" && n != w.o.unitsOf(p) {
			w.fail("G", "the api shows %d units of a person who has %d", n, w.o.unitsOf(p))
		}
	}
}

func (o *oracle) unitsOf(p model.PersonID) (n int) {
	for at := range o.units {
		if at.person == p {
			n++
		}
	}
	return n
}

// twin feeds a second store with all that took effect, in another order and in other batches,
// each at the time at which it was received, and compares every unit (G). Position and
// lateness tell of the order itself and are left out.
func (w *world) twin() {
	dir := w.lifeDir()
	var at model.Millis
	second, err := startServer(serverConfig{dir: dir, now: func() time.Time { return at.Time() }, rand: w.bytes, external: baseURL})
	w.must(err)
	defer func() { w.must(second.store.Close()); w.must(os.RemoveAll(dir)) }()
	_, err = second.setup(nil)
	w.must(err)
	entries := w.copyPeople(second)
	// Those that came in at one moment may be split, never mixed with others: a batch has one time.
	groups := map[model.Millis][][]byte{}
	for _, e := range entries {
		groups[e.Stamp.Hi] = append(groups[e.Stamp.Hi], e.Compact())
	}
	times := slices.Sorted(maps.Keys(groups))
	w.rng.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
	ctx := context.Background()
	var held []model.EntryID
	for _, at = range times {
		batch := groups[at]
		w.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		for len(batch) > 0 {
			n := 1 + w.rng.IntN(len(batch))
			out, err := second.engine.Push(ctx, sync.PushRequest{Tenant: tenant, Entries: batch[:n]})
			w.must(err)
			for _, r := range out.Results {
				if r.Outcome == "quarantined" {
					held = append(held, r.ID)
				}
			}
			batch = batch[n:]
		}
	}
	for _, id := range held {
		_, err := second.engine.Settle(ctx, tenant, id, model.ActRelease, "twin", model.Roles(model.RoleSupervisor), *reason("seen"))
		w.must(err)
	}
	if err := second.verify(); err != nil {
		w.fail("F", "verify of the second store: %v", err)
	}
	for _, at := range w.o.places() {
		a, b := w.srv.export(at), second.export(at)
		if a != b {
			w.fail("G", "%s differs between two orders:\n%s\n%s", at, a, b)
		}
	}
	w.count("second store")
}

// copyPeople gives another server the people, devices and caseloads of this one, every device
// active, and returns the log entries that took effect: as they came, or by a release.
func (w *world) copyPeople(to *server) (entries []*store.LogEntry) {
	docs := map[store.Kind]map[string][]byte{}
	var t store.Tenant
	w.must(w.srv.view(func(v store.View) error {
		t = v.Tenant()
		for _, k := range []store.Kind{"person", "person-index", "device-key", "assignment", "person-assignment", "block", "break-glass", "device"} {
			docs[k] = map[string][]byte{}
			if err := v.Docs(k, "", "", func(key string, body []byte) bool { docs[k][key] = body; return true }); err != nil {
				return err
			}
		}
		for i := range w.o.journal {
			j := &w.o.journal[i]
			h := w.o.held[j.id]
			l, err := v.Entry(int64(i))
			if err != nil {
				return err
			}
			if (j.outcome != store.Quarantined || h.state == "released") && l.Act != model.ActRelease && l.Act != model.ActClose {
				entries = append(entries, l)
			}
		}
		return nil
	}))
	_, err := to.store.Update(context.Background(), tenant, nil, func(tx store.Tx) error {
		for k, all := range docs {
			for key, body := range all {
				if k == "device" {
					var d store.Device
					if err := json.Unmarshal(body, &d); err != nil {
						return err
					}
					d.State, d.Revoked = "active", 0
					if err := store.Put(tx, d); err != nil {
						return err
					}
				} else if err := tx.PutDoc(k, key, body); err != nil {
					return err
				}
			}
		}
		other := tx.Tenant()
		for _, p := range w.persons { // as an import does
			if err := to.rules.Apply(tx, p, nil, day0); err != nil {
				return err
			}
		}
		other.NextBrukerNr, other.CaseloadSeq, other.CaseloadIndexed = t.NextBrukerNr, t.CaseloadSeq, t.CaseloadIndexed
		return tx.PutTenant(other)
	})
	w.must(err)
	return entries
}

// export writes a unit as text, without what tells of the order of arrival.
func (s *server) export(at place) string {
	var out string
	err := s.view(func(v store.View) error {
		u, err := v.Unit(at.person, at.unit)
		if err != nil || u == nil {
			out = "nothing"
			return err
		}
		c := *u
		c.Position, c.Late = 0, false
		c.Heads = slices.Clone(u.Heads)
		for i := range c.Heads {
			c.Heads[i].Position = 0
		}
		body, err := json.Marshal(&c, json.Deterministic(true))
		out = string(body)
		return err
	})
	if err != nil {
		return err.Error()
	}
	return out
}
