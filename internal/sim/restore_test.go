package sim

import (
	"fmt"
	"maps"
	"os"
	"slices"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// backup is a copy of the server's files, and what the bystander knew when it was made.
type backup struct {
	dir  string
	life int // restores before it
	memory
}

var restoreActions = []action{
	{"backup", 7, (*world).backUp},
	{"restore", 5, (*world).restore},
	{"enrol-again", 6, (*world).enrolAgain},
}

func (w *world) backUp() string {
	dir := w.lifeDir()
	w.must(os.CopyFS(dir, os.DirFS(w.srv.dir)))
	const most = 3
	if len(w.backups) == most {
		at := w.rng.IntN(most)
		w.must(os.RemoveAll(w.backups[at].dir))
		w.backups = slices.Delete(w.backups, at, at+1)
	}
	w.backups = append(w.backups, &backup{dir, w.restores, w.o.memory.clone()})
	return fmt.Sprintf("at %d", len(w.o.journal))
}

// restore puts the store back to one of the backups and begins a new life, as `flette restore`
// does. The office enters again what it remembers: the caseload of whom the store forgot.
func (w *world) restore() string {
	if len(w.backups) == 0 {
		return ""
	}
	b := pick(w, w.backups)
	if w.chance(0.5) {
		// A copy, and work after it: the tablets are ahead by what they have just handed in.
		w.backUp()
		b = w.backups[len(w.backups)-1]
		for range 1 + w.rng.IntN(3) {
			t := w.ready()
			w.visit(t, model.ActRegister)
			w.push(t)
		}
	}
	lost := len(w.o.journal) - len(b.journal)
	w.must(w.srv.store.Close())
	w.must(os.RemoveAll(w.srv.dir))
	dir := w.lifeDir()
	w.must(os.CopyFS(dir, os.DirFS(b.dir)))
	w.start(dir)
	_, err := w.srv.engine.BeginLife(background, tenant, false)
	w.must(err)
	w.o.restored(b, w.srv.epoch())
	w.o.unchanged()
	w.count("restored")
	if b.life < w.restores {
		w.count("restored to another life than the last")
	}
	w.restores++
	for _, t := range w.tablets {
		if t.debts(); len(t.owes) > 0 {
			w.count("tablet ahead of a restored store")
		}
		if !t.remembered() {
			w.count("tablet unknown to a restored store")
		}
		if !t.gone && len(w.o.cases[t.owner]) == 0 && w.chance(0.7) {
			w.assign(t.owner, w.some(w.persons), 0, 0, false)
		}
	}
	for _, i := range w.rng.Perm(len(w.tablets)) { // who comes back first, and asks for what
		if t := w.tablets[i]; !t.gone {
			_ = pick(w, []func(*tablet) string{w.push, w.pull, w.sync, func(*tablet) string { return "" }})(t)
		}
	}
	return fmt.Sprintf("%d of %d entries are gone", lost, lost+len(b.journal))
}

// enrolAgain gives a device back its id to a store that has forgotten it (T5, S13).
func (w *world) enrolAgain() string {
	var in []*tablet
	for _, t := range w.tablets {
		if !t.remembered() {
			in = append(in, t)
		}
	}
	if len(in) == 0 {
		return ""
	}
	return w.reenrol(pick(w, in))
}

func (w *world) reenrol(t *tablet) string {
	code, err := again(w, func() (string, error) {
		in, err := w.boss().Invite(background, "igjen "+t.name)
		if err != nil {
			return "", err
		}
		return in.Code, nil
	})
	w.must(err)
	_, err = t.c.Reenrol(background, code, "")
	t.crashed()
	w.note(t, err)
	if err == nil {
		w.count("enrolled again under its id")
	}
	return fmt.Sprintf("%s: %v", t.name, err)
}

// restored forgets what the bystander learned since the backup: it was on this server alone.
// What the tablets hold is theirs: see debts.
func (o *oracle) restored(b *backup, epoch string) {
	o.former[o.epoch] = o.byID
	o.memory = b.memory.clone()
	o.epoch = epoch
}

func (m memory) clone() memory {
	m.keys, m.revoked, m.forked, m.acked, m.byID = maps.Clone(m.keys), maps.Clone(m.revoked), maps.Clone(m.forked), maps.Clone(m.acked), maps.Clone(m.byID)
	m.journal = slices.Clip(m.journal)
	m.cases, m.units, m.seqs, m.held = maps.Clone(m.cases), maps.Clone(m.units), maps.Clone(m.seqs), maps.Clone(m.held)
	m.retired, m.replace = maps.Clone(m.retired), maps.Clone(m.replace)
	for k, v := range m.cases {
		m.cases[k] = slices.Clip(v)
	}
	for k, v := range m.units {
		m.units[k] = slices.Clip(v)
	}
	for k, v := range m.seqs {
		m.seqs[k] = maps.Clone(v)
	}
	for k, v := range m.held {
		h := *v
		m.held[k] = &h
	}
	return m
}

// holds reports whether the tablet can hand an entry in again, or shows it to a person.
func (t *tablet) holds(id model.EntryID) bool {
	is := func(p client.Pending) bool { return p.ID == id }
	return slices.ContainsFunc(t.stored.Outbox, is) || slices.ContainsFunc(t.stored.Refused, is) ||
		slices.ContainsFunc(t.stored.Kept, func(k client.Kept) bool { return k.ID == id })
}

// past reports whether the time may be over for which an entry is kept: the server's clock
// was that far beyond its receipt once.
func (t *tablet) past(id model.EntryID) bool {
	const keep = 90 * day
	at, stamped := t.received[id]
	return stamped && t.w.maxServer-at > keep
}

// erased reports whether the tablet has obeyed a wipe order; the server may not have heard so yet.
func (t *tablet) erased() bool {
	o := t.stored.Order
	return t.stored.Wiped != "" || o != nil && o.Do == contract.OrderWipe && len(t.stored.Outbox)+len(t.stored.Kept) == 0
}

// debts notes what the server has just lost and the tablet has: nothing of it may get lost
// now. And a tablet must have all that it was told is safe (T5).
func (t *tablet) debts() {
	t.owes = map[model.EntryID]bool{}
	for _, p := range t.signed {
		if _, there := t.w.o.byID[p.ID]; there {
			continue
		}
		outcome, told := t.told[p.ID]
		switch {
		case t.holds(p.ID):
			t.owes[p.ID] = true
			if slices.ContainsFunc(t.c.Outbox(), func(q client.Pending) bool { return q.ID == p.ID }) {
				delete(t.told, p.ID) // whatever it was told, it has to be told again
			}
		case told && outcome != "refused" && !t.past(p.ID) && !t.erased():
			t.w.fail("A", "%s does not keep entry %d, for which it has a receipt", t.name, p.Seq)
		}
	}
}

// stillOwes demands that what the server lost is on the tablet until the server has it (A).
func (t *tablet) stillOwes() {
	for id := range t.owes {
		if _, there := t.w.o.byID[id]; !there && !t.holds(id) && !t.past(id) {
			t.w.fail("A", "%s let go of %s, which the restored store has not got yet", t.name, id)
		}
	}
}

// paid demands that all that the tablets had of what a restore lost is in the journal again.
func (w *world) paid() {
	for _, t := range w.tablets {
		for id := range t.owes {
			_, there := w.o.byID[id]
			refused := slices.ContainsFunc(t.stored.Refused, func(p client.Pending) bool { return p.ID == id })
			switch {
			case there:
				w.count("brought back after a restore")
			case t.stored.Lease != nil && !refused && !t.past(id):
				w.fail("A", "%s never handed in %s, which a restore had lost", t.name, id)
			}
		}
	}
}
