package sync

import (
	"errors"
	"fmt"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// filed is the candidate's log entry before it is judged; verify compares with it.
func (c *candidate) filed() *store.LogEntry {
	l := &store.LogEntry{
		ID: c.jws.ID, Device: c.jws.Device, Seq: c.seq(), Stamp: c.stamp, Outcome: store.Applied,
		Header: c.jws.Header, Payload: c.jws.Payload, Signature: c.jws.Signature,
	}
	if f := c.frame(); f != nil {
		l.Person, l.Actor = f.Person, f.Actor
	}
	if c.entry != nil {
		l.Act = c.entry.Act
	}
	if c.leaseOK {
		l.Roles = c.lease.Roles
	}
	return l
}

// apply puts the candidate into the log: merged, or in quarantine. Its whole effect is
// computed before anything is written (S4).
func (b *batch) apply(c *candidate, res *Result) error {
	l := c.filed()
	if b.about == nil {
		b.about = map[model.PersonID]struct{}{}
	}
	b.about[l.Person] = struct{}{}
	var eff *effect
	if c.problem == nil {
		var err error
		eff, err = b.effectOf(c, l)
		var p *model.Problem
		switch {
		case errors.As(err, &p):
			c.problem = p
		case err != nil:
			return err
		}
	}
	if c.problem != nil {
		return b.quarantine(c, l, res)
	}
	l.UnitPrev = eff.prev
	for _, s := range eff.after {
		if s.Class.NeedsReview() && isHead(s, eff.sets) {
			l.Outcome = store.Conflict
			res.Conflicts = append(res.Conflicts, clashOf(l.Person, s, eff.sets))
		}
	}
	if err := b.noteCatalogue(c); err != nil {
		return err
	}
	at, err := b.tx.AppendEntry(l)
	if err != nil {
		return err
	}
	l.Position = at
	res.Outcome, res.Position, res.Stamp = l.Outcome.String(), at, &l.Stamp
	for i, s := range eff.after {
		if err := b.tx.PutUnit(l.Person, s); err != nil {
			return err
		}
		if err := b.review(l, eff.before[i], s); err != nil {
			return err
		}
	}
	if eff.item != nil {
		if err := b.settleItem(eff.item, l); err != nil {
			return err
		}
	}
	for i := range eff.findings {
		if err := b.settleFinding(&eff.findings[i], l); err != nil {
			return err
		}
	}
	if len(eff.after) > 0 {
		b.touch(l.Person, eff.after)
	}
	return nil
}

// effect is what an entry does to the units of its person.
type effect struct {
	sets   model.EntryID // the entry whose values take effect: the released one for a release
	before []*model.UnitState
	after  []*model.UnitState
	prev   []int64
	item   *store.QuarantineItem // release and close of an entry

	findings []store.FindingState // those that the entry settles, or opens again
}

// effectOf computes the effect of an entry at the next position. A *model.Problem means
// quarantine.
func (b *batch) effectOf(c *candidate, l *store.LogEntry) (*effect, error) {
	if c.entry.SettlesFindings() {
		if c.again {
			return b.refiledFindings(c.entry)
		}
		return b.findingEffect(c)
	}
	switch c.entry.Act {
	case model.ActRelease, model.ActClose:
		return b.settleEffect(c, l)
	}
	return b.merge(l.Person, c.entry, l)
}

// merge computes the new state of every unit of an entry that takes effect at the next
// position; held is the entry as it was filed.
func (b *batch) merge(person model.PersonID, en *model.Entry, held *store.LogEntry) (*effect, error) {
	eff := &effect{sets: held.ID}
	for i := range en.Changes {
		ch := &en.Changes[i]
		before, err := b.tx.Unit(person, ch.Unit)
		if err != nil {
			return nil, err
		}
		state := model.UnitState{Unit: ch.Unit, Position: -1}
		prev := int64(-1)
		if before != nil {
			state, prev = *before, before.Position
		}
		n := nodeOf(en, i, held, b.tx.Size())
		after, err := conflict.Apply(state, n, b.e.o.Catalogue.Policy(ch.Unit),
			func(id model.EntryID) bool { return setsUnit(b.tx, person, id, ch.Unit) },
			func() ([]conflict.Node, error) { return History(b.tx, person, ch.Unit, prev) })
		if err != nil {
			return nil, err
		}
		eff.before = append(eff.before, before)
		eff.after = append(eff.after, &after)
		eff.prev = append(eff.prev, prev)
	}
	return eff, nil
}

func nodeOf(en *model.Entry, i int, held *store.LogEntry, at int64) conflict.Node {
	ch := &en.Changes[i]
	n := conflict.Node{
		ID: held.ID, Position: at, Act: en.Act, Actor: en.Actor, Device: en.Device, Seq: en.Seq,
		Stamp: held.Stamp, Value: ch.Value, Over: ch.Over, Bound: !held.Roles.Has(model.RoleSupervisor),
	}
	if ch.Target != nil {
		n.Target = *ch.Target
	}
	return n
}

// setsUnit reports whether an entry that took effect names the unit. Errors count as "no":
// that costs a rebuild and is never wrong.
func setsUnit(v store.View, person model.PersonID, id model.EntryID, unit model.Unit) bool {
	at, err := v.EntryPosition(person, id)
	if err != nil {
		return false
	}
	l, err := v.Entry(at)
	// A quarantined entry may have been released since; then only history can tell.
	if err != nil || l.Outcome == store.Quarantined {
		return false
	}
	en, err := model.DecodeEntry(l.Payload)
	if err != nil {
		return false
	}
	for i := range en.Changes {
		if en.Changes[i].Unit == unit {
			return true
		}
	}
	return false
}

// History returns every entry that took effect on a unit, newest first, by walking the chain
// of positions back from the newest.
func History(v store.View, person model.PersonID, unit model.Unit, from int64) ([]conflict.Node, error) {
	var out []conflict.Node
	for at := from; at >= 0; {
		l, err := v.Entry(at)
		if err != nil {
			return nil, err
		}
		en, held, err := Effective(v, l)
		if err != nil {
			return nil, err
		}
		found := false
		for i := range en.Changes {
			if en.Changes[i].Unit != unit || i >= len(l.UnitPrev) {
				continue
			}
			if l.UnitPrev[i] >= at {
				return nil, fmt.Errorf("%w: unit chain does not go back at position %d", store.ErrCorrupt, at)
			}
			out = append(out, nodeOf(en, i, held, at))
			at, found = l.UnitPrev[i], true
			break
		}
		if !found {
			return nil, fmt.Errorf("%w: unit chain broken at position %d", store.ErrCorrupt, at)
		}
	}
	return out, nil
}

// Effective returns the entry whose changes took effect at a log position: the entry itself,
// or the one that a release let through, with the log entry under which it was filed. nil
// when the position changed no unit.
func Effective(v store.View, l *store.LogEntry) (*model.Entry, *store.LogEntry, error) {
	if l.Outcome == store.Quarantined || l.Act == model.ActClose {
		return nil, l, nil
	}
	en, err := model.DecodeEntry(l.Payload)
	if err != nil {
		return nil, l, fmt.Errorf("%w: payload at position %d", store.ErrCorrupt, l.Position)
	}
	if en.SettlesFindings() {
		return nil, l, nil
	}
	if l.Act != model.ActRelease {
		return en, l, nil
	}
	at, err := v.EntryPosition(l.Person, *en.Changes[0].Target)
	if err != nil {
		return nil, l, err
	}
	target, err := v.Entry(at)
	if err != nil {
		return nil, l, err
	}
	en, err = model.DecodeEntry(target.Payload)
	if err != nil {
		return nil, l, fmt.Errorf("%w: payload at position %d", store.ErrCorrupt, at)
	}
	return en, target, nil
}

func isHead(s *model.UnitState, id model.EntryID) bool {
	for i := range s.Heads {
		if s.Heads[i].ID == id {
			return true
		}
	}
	return false
}

// noteCatalogue notes from which position on entries are judged by the catalogue of now. An
// entry that was judged before (Refile) keeps the note of then.
func (b *batch) noteCatalogue(c *candidate) error {
	if b.noted || c.again {
		return nil
	}
	b.noted = true
	uses, err := store.List[store.CatalogueUse](b.tx, "", "", 0)
	if err != nil {
		return err
	}
	version := b.e.o.Catalogue.Version
	if n := len(uses); n > 0 && uses[n-1].Version == version {
		return nil
	}
	return store.Put(b.tx, store.CatalogueUse{From: b.tx.Size(), Version: version, At: b.received})
}

func (b *batch) touch(person model.PersonID, states []*model.UnitState) {
	if b.touched == nil {
		b.touched = map[model.PersonID][]model.Unit{}
	}
	for _, s := range states {
		b.touched[person] = append(b.touched[person], s.Unit)
	}
}

// quarantine keeps an authentic entry that cannot be applied (S3).
func (b *batch) quarantine(c *candidate, l *store.LogEntry, res *Result) error {
	l.Outcome, l.Code = store.Quarantined, c.problem.Code
	if err := b.noteCatalogue(c); err != nil {
		return err
	}
	at, err := b.tx.AppendEntry(l)
	if err != nil {
		return err
	}
	item := store.QuarantineItem{
		Position: at, ID: l.ID, Person: l.Person, Device: l.Device, Actor: l.Actor,
		Code: c.problem.Code, Pointer: c.problem.Pointer, Detail: c.problem.Detail, Rule: c.problem.Rule,
		State: StateOpen, Received: l.Stamp.Hi,
	}
	res.Outcome, res.Position, res.Stamp, res.Problem = l.Outcome.String(), at, &l.Stamp, c.problem
	if err := store.Put(b.tx, item); err != nil {
		return err
	}
	if err := store.Put(b.tx, store.QuarantineRef{ID: l.ID, Position: at}); err != nil {
		return err
	}
	return store.Put(b.tx, store.OpenQuarantine{Device: l.Device, Position: at})
}

// States of a review and of a quarantined entry.
const (
	StateOpen     = "open"
	StateClosed   = "closed"
	StateReleased = "released"
)

// review opens, updates or closes the one review that a unit can have.
func (b *batch) review(l *store.LogEntry, before, after *model.UnitState) error {
	was := before != nil && before.Class.NeedsReview()
	is := after.Class.NeedsReview()
	if !was && !is {
		return nil
	}
	id := conflict.ReviewID(l.Person, after.Unit)
	r, err := store.Get[store.Review](b.tx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	open := r.State == StateOpen
	next := nextReview(r, l, after)
	if open && !is {
		if err := store.Delete(b.tx, store.OpenReview{Opened: r.Opened, ID: id}); err != nil {
			return err
		}
	}
	if !open && is {
		if err := store.Put(b.tx, store.OpenReview{Opened: next.Opened, ID: id}); err != nil {
			return err
		}
	}
	return store.Put(b.tx, next)
}

// nextReview is the review of a unit after the state that log entry l gave it; the zero
// review when there was none. Verify computes it again.
func nextReview(r store.Review, l *store.LogEntry, after *model.UnitState) store.Review {
	r.ID, r.Person, r.Unit = conflict.ReviewID(l.Person, after.Unit), l.Person, after.Unit
	r.Class, r.Updated, r.Assignee = after.Class, l.Position, ""
	// Whoever decided is asked again when a head turns up that the decision had not seen,
	// whichever of the two came first (S6).
	if h := after.Shown(); h != nil && h.Act == model.ActDecide {
		r.Assignee = h.Actor
	}
	if !after.Class.NeedsReview() {
		r.State, r.ClosedBy = StateClosed, l.ID
		return r
	}
	if r.State != StateOpen {
		r.Opened = l.Position
	}
	r.State, r.ClosedBy = StateOpen, model.EntryID{}
	return r
}
