package sync

import (
	"cmp"
	"errors"
	"slices"
	gosync "sync"

	"flette/model"
	"flette/store"
)

// assignmentsOf lists the events that decide what the actor may see: the actor's own and
// those about everybody, in order of number.
func assignmentsOf(v store.View, actor model.ActorID) ([]store.Assignment, error) {
	own, err := store.List[store.Assignment](v, string(actor)+" ", "", 0)
	if err != nil || actor == "" {
		return own, err
	}
	general, err := store.List[store.Assignment](v, " ", "", 0)
	if err != nil || len(general) == 0 {
		return own, err
	}
	all := append(own, general...)
	slices.SortFunc(all, bySeq)
	return all, nil
}

func bySeq(a, b store.Assignment) int { return cmp.Compare(a.Seq, b.Seq) }

// scope is one actor's caseload at a version of the tenant's events.
type scope struct {
	version  int64
	byPerson map[model.PersonID]*reach
}

func (s *scope) person(p model.PersonID) *reach {
	if r := s.byPerson[p]; r != nil {
		return r
	}
	return &reach{}
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
	return &scope{version: version, byPerson: reaches(events, version)}, err
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
// the whole tenant, but for whom they are blocked from by name.
func (b *batch) scope(c *candidate) (*model.Problem, error) {
	// What names a person whom nobody knows must be closable too.
	if c.entry.Act != model.ActClose {
		ok, err := b.knows(c.entry.Person)
		if err != nil {
			return nil, err
		}
		if !ok {
			return model.Problemf(CodeUnknownPerson, "/person", "no such person here; it may have been moved or not imported yet"), nil
		}
	}
	if OfServer(c.device.Kind) {
		return nil, nil // the api has asked whether its caller may see the person
	}
	s, err := b.ts.scopes.of(b.tx, c.entry.Actor)
	if err != nil {
		return nil, err
	}
	may := s.person(c.entry.Person)
	lo, hi := max(c.stamp.Lo, c.stamp.TEff-c.stamp.U), min(c.stamp.Hi, c.stamp.TEff+c.stamp.U)
	supervisor := c.lease.Roles.Has(model.RoleSupervisor)
	switch {
	case supervisor && covers(may.barred, lo, hi), !supervisor && !meets(may.have, lo, hi) && meets(may.given, lo, hi):
		return model.Problemf(CodePersonBlocked, "/person", "the person was blocked for the actor when the entry was signed; a supervisor can release it"), nil
	case !supervisor && !meets(may.have, lo, hi):
		return model.Problemf(CodeOutOfScope, "/person", "the person was not in the actor's caseload when the entry was signed; a supervisor can release it"), nil
	}
	return nil, nil
}

// knows reports whether the person exists.
func (b *batch) knows(person model.PersonID) (bool, error) {
	ok, known := b.persons[person]
	if known {
		return ok, nil
	}
	_, err := b.tx.Doc(store.Person{}.DocKind(), person.String())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	if b.persons == nil {
		b.persons = map[model.PersonID]bool{}
	}
	b.persons[person] = err == nil
	return err == nil, nil
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

// Holding counts of the persons those of whom the actor has something at a time or later,
// blocks aside: what an end from that time takes.
func (e *Engine) Holding(v store.View, actor model.ActorID, persons []model.PersonID, from model.Millis) (n int, err error) {
	events, err := assignmentsOf(v, actor)
	if err != nil {
		return 0, err
	}
	if from == 0 {
		from = e.o.Now()
	}
	all := reaches(events, v.Tenant().CaseloadSeq)
	for _, p := range persons {
		if r := all[p]; r != nil && slices.ContainsFunc(r.given, func(iv interval) bool { return from < iv.end() }) {
			n++
		}
	}
	return n, nil
}

// Access answers whom one actor may see, in one snapshot at one time.
type Access struct {
	all   bool
	at    model.Millis
	reach *scope
}

// Access computes what the actor may see now: a nurse the caseload, a supervisor and an
// administrator everybody whom they are not blocked from by name. v is a committed snapshot.
func (e *Engine) Access(v store.View, actor model.ActorID, roles model.Roles) (*Access, error) {
	ts, err := e.tenant(v.Tenant().ID)
	if err != nil {
		return nil, err
	}
	if err := ts.scopes.keep(v, actor); err != nil {
		return nil, err
	}
	return e.accessIn(ts, v, actor, roles)
}

// accessIn is Access inside an update, too.
func (e *Engine) accessIn(ts *tenantState, v store.View, actor model.ActorID, roles model.Roles) (*Access, error) {
	s, err := ts.scopes.of(v, actor)
	return &Access{all: roles.Has(model.RoleSupervisor | model.RoleAdmin), at: e.o.Now(), reach: s}, err
}

// Caseload lists whom the actor has in the caseload, in order of id, whatever the roles.
func (a *Access) Caseload() []model.PersonID {
	var out []model.PersonID
	for p, r := range a.reach.byPerson {
		if _, has := holds(r.have, a.at); has {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b model.PersonID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// Barred reports whether the actor is kept from the person by name, whatever the roles.
func (a *Access) Barred(person model.PersonID) bool {
	_, barred := holds(a.reach.person(person).barred, a.at)
	return barred
}

// Sees reports whether the actor may see the person. Nothing tells a person who does not
// exist from one who may not be seen.
func (a *Access) Sees(person model.PersonID) bool {
	if a.all {
		return !a.Barred(person)
	}
	_, has := holds(a.reach.person(person).have, a.at)
	return has
}
