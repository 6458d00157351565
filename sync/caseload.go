package sync

import (
	"context"
	"errors"
	"slices"
	gosync "sync"

	"flette/model"
	"flette/store"
)

// A caseload is a list of events (store.Assignment): each gives the actor a person between
// two times, or ends what earlier events gave. Events are numbered per tenant and never
// changed, so that the caseload of any version at any time can be computed again.

// interval is a stretch of time in which an actor has a person: [from, to), to 0 for open.
type interval struct{ from, to model.Millis }

func (iv interval) has(t model.Millis) bool { return iv.from <= t && (iv.to == 0 || t < iv.to) }

// intervals computes what events up to version give, per person.
func intervals(events []store.Assignment, version int64) map[model.PersonID][]interval {
	out := map[model.PersonID][]interval{}
	for i := range events {
		a := &events[i]
		if a.Seq > version {
			continue
		}
		if !a.End {
			out[a.Person] = append(out[a.Person], interval{a.From, a.To})
			continue
		}
		kept := out[a.Person][:0]
		for _, iv := range out[a.Person] {
			if iv.from >= a.From {
				continue
			}
			if iv.to == 0 || iv.to > a.From {
				iv.to = a.From
			}
			kept = append(kept, iv)
		}
		out[a.Person] = kept
	}
	return out
}

// caseloadAt lists the persons of an actor at a version and time, in order of id, with the
// end of the assignment (0 for open).
func caseloadAt(events []store.Assignment, version int64, at model.Millis) ([]model.PersonID, map[model.PersonID]model.Millis) {
	until := map[model.PersonID]model.Millis{}
	var persons []model.PersonID
	for p, ivs := range intervals(events, version) {
		for _, iv := range ivs {
			if !iv.has(at) {
				continue
			}
			end, seen := until[p]
			if !seen {
				persons = append(persons, p)
				until[p] = iv.to
			} else if end != 0 && (iv.to == 0 || iv.to > end) {
				until[p] = iv.to
			}
		}
	}
	slices.SortFunc(persons, func(a, b model.PersonID) int { return slices.Compare(a[:], b[:]) })
	return persons, until
}

func assignmentsOf(v store.View, actor model.ActorID) ([]store.Assignment, error) {
	return store.List[store.Assignment](v, string(actor)+" ", "", 0)
}

// scope is one actor's caseload at a version of the tenant's events.
type scope struct {
	version  int64
	byPerson map[model.PersonID][]interval
}

// scopes keeps caseloads between updates: a nurse pushes a dozen times a day, and the
// events change once. A scope of another version than the transaction's is never used.
type scopes struct {
	mu    gosync.Mutex
	actor map[model.ActorID]*scope
}

const maxScopes = 20_000

// of gives the actor's caseload as the transaction has it.
func (s *scopes) of(v store.View, actor model.ActorID) (*scope, error) {
	s.mu.Lock()
	known := s.actor[actor]
	s.mu.Unlock()
	version := v.Tenant().CaseloadSeq
	if known != nil && known.version == version {
		return known, nil
	}
	events, err := assignmentsOf(v, actor)
	return &scope{version: version, byPerson: intervals(events, version)}, err
}

// keep remembers the actor's caseload. It must be given a committed snapshot: the version of
// an update that is rolled back is given again, to other events.
func (s *scopes) keep(v store.View, actor model.ActorID) error {
	sc, err := s.of(v, actor)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.actor == nil || len(s.actor) >= maxScopes {
		s.actor = map[model.ActorID]*scope{}
	}
	s.actor[actor] = sc
	return nil
}

// scope judges person and caseload: the person must exist, and must have been in the
// actor's caseload at some moment at which the entry can have been signed. Supervisors see
// the whole tenant.
func (b *batch) scope(c *candidate) (*model.Problem, error) {
	if c.entry.Act == model.ActClose {
		return nil, nil // what names a person whom nobody knows must be closable too
	}
	ok, known := b.persons[c.entry.Person]
	if !known {
		_, err := b.tx.Doc(store.Person{}.DocKind(), c.entry.Person.String())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		ok = err == nil
		if b.persons == nil {
			b.persons = map[model.PersonID]bool{}
		}
		b.persons[c.entry.Person] = ok
	}
	if !ok {
		return model.Problemf(CodeUnknownPerson, "/person", "no such person here; it may have been moved or not imported yet"), nil
	}
	if c.lease.Roles.Has(model.RoleSupervisor) {
		return nil, nil
	}
	s, err := b.ts.scopes.of(b.tx, c.entry.Actor)
	if err != nil {
		return nil, err
	}
	lo, hi := max(c.stamp.Lo, c.stamp.TEff-c.stamp.U), min(c.stamp.Hi, c.stamp.TEff+c.stamp.U)
	for _, iv := range s.byPerson[c.entry.Person] {
		if iv.from <= hi && (iv.to == 0 || lo < iv.to) {
			return nil, nil
		}
	}
	return model.Problemf(CodeOutOfScope, "/person", "the person was not in the actor's caseload when the entry was signed; a supervisor can release it"), nil
}

// Assign is a change of an actor's caseload.
type Assign struct {
	Actor   model.ActorID
	Persons []model.PersonID
	From    model.Millis // now when 0
	To      model.Millis // exclusive, 0 for open
	End     bool         // end what the actor has of these persons at From
	By      string
	Reason  string
}

// Assign records assignment events. It returns the caseload version after them. A *model.Problem for a
// person that does not exist; nothing is recorded then.
func (e *Engine) Assign(ctx context.Context, tenant model.TenantID, a Assign) (version int64, err error) {
	now := e.o.Now()
	if a.From == 0 {
		a.From = now
	}
	if a.To != 0 && a.To <= a.From {
		return 0, model.Problemf("invalid-member", "/to", "the assignment ends before it begins")
	}
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		t := tx.Tenant()
		for _, p := range a.Persons {
			if _, err := tx.Doc(store.Person{}.DocKind(), p.String()); errors.Is(err, store.ErrNotFound) {
				return model.Problemf(CodeUnknownPerson, "/persons", "one of the persons does not exist here")
			} else if err != nil {
				return err
			}
		}
		for _, p := range a.Persons {
			t.CaseloadSeq++
			ev := store.Assignment{
				Seq: t.CaseloadSeq, Actor: a.Actor, Person: p, From: a.From, To: a.To, End: a.End,
				By: a.By, Reason: a.Reason, At: now,
			}
			if err := store.Put(tx, ev); err != nil {
				return err
			}
		}
		version = t.CaseloadSeq
		return tx.PutTenant(t)
	})
	if err == nil {
		if ts, terr := e.tenant(tenant); terr == nil {
			ts.hub.moved(a.Actor)
		}
	}
	return version, err
}

// Caseload lists whom the actor has now.
func (e *Engine) Caseload(v store.View, actor model.ActorID, at model.Millis) ([]model.PersonID, error) {
	events, err := assignmentsOf(v, actor)
	if err != nil {
		return nil, err
	}
	persons, _ := caseloadAt(events, v.Tenant().CaseloadSeq, at)
	return persons, nil
}
