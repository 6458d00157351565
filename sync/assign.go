package sync

import (
	"context"
	"errors"
	"slices"

	"flette/model"
	"flette/store"
)

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
	events := make([]store.Assignment, len(a.Persons))
	for i, p := range a.Persons {
		events[i] = store.Assignment{
			Actor: a.Actor, Person: p, From: a.From, To: a.To, End: a.End, By: a.By, Reason: a.Reason, At: now,
		}
	}
	return e.change(ctx, tenant, "/persons", func(store.Tx) ([]store.Assignment, error) { return events, nil })
}

// Block is a decision that an actor, or everybody, must not see a person; or that they may
// again. It says nothing about who has the person: that is for assignments.
type Block struct {
	Person model.PersonID
	Actor  model.ActorID // "" for everybody but supervisors and administrators
	Lift   bool          // unblock
	From   model.Millis  // now when 0
	By     string
	Reason model.Reason
}

// Block records a block event. Of those that name the actor the newest in force counts, and of
// those of everybody; lifting one kind leaves the other. It returns the caseload version after it; a *model.Problem for a person that
// does not exist.
func (e *Engine) Block(ctx context.Context, tenant model.TenantID, b Block) (version int64, err error) {
	ev := store.Assignment{
		Actor: b.Actor, Person: b.Person, From: b.From, Block: EventBlock,
		By: b.By, Code: b.Reason.Code, Reason: b.Reason.Text, At: e.o.Now(),
	}
	if b.Lift {
		ev.Block = EventUnblock
	}
	if ev.From == 0 {
		ev.From = ev.At
	}
	return e.change(ctx, tenant, "/person", func(store.Tx) ([]store.Assignment, error) { return []store.Assignment{ev}, nil })
}

// change appends events to the caseloads and wakes the tablets. pointer is what the request
// calls the persons.
func (e *Engine) change(ctx context.Context, tenant model.TenantID, pointer string, events func(store.Tx) ([]store.Assignment, error)) (version int64, err error) {
	var moved []model.ActorID
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		list, err := events(tx)
		if err != nil {
			return err
		}
		if version, err = record(tx, pointer, list); err != nil {
			return err
		}
		moved, err = concerned(tx, list)
		return err
	})
	if err == nil {
		if ts, terr := e.tenant(tenant); terr == nil {
			for _, actor := range moved {
				ts.hub.moved(actor)
			}
		}
	}
	return version, err
}

// concerned lists the actors whose caseload events may change: those named, and for an event
// about everybody those who were ever given the person.
func concerned(v store.View, events []store.Assignment) (actors []model.ActorID, err error) {
	for i := range events {
		about := events[i : i+1]
		if events[i].Actor == "" {
			if about, err = personAssignments(v, events[i].Person); err != nil {
				return nil, err
			}
		}
		for j := range about {
			if actor := about[j].Actor; actor != "" && !slices.Contains(actors, actor) {
				actors = append(actors, actor)
			}
		}
	}
	return actors, nil
}

// NoSuchPerson is what a request hears that names a person who does not exist, or whom its
// author may not know of.
func NoSuchPerson(pointer string) error {
	return model.Problemf(CodeUnknownPerson, pointer, "one of the persons does not exist here")
}

// record numbers events and stores them with what leads to them.
func record(tx store.Tx, pointer string, events []store.Assignment) (version int64, err error) {
	for i := range events {
		if _, err := tx.Doc(store.Person{}.DocKind(), events[i].Person.String()); errors.Is(err, store.ErrNotFound) {
			return 0, NoSuchPerson(pointer)
		} else if err != nil {
			return 0, err
		}
	}
	t := tx.Tenant()
	if t.CaseloadIndexed < t.CaseloadSeq {
		// A store of an older version: the first change builds what leads to its events.
		old, err := store.List[store.Assignment](tx, "", "", 0)
		if err != nil {
			return 0, err
		}
		for i := range old {
			if err := index(tx, &old[i]); err != nil {
				return 0, err
			}
		}
	}
	for i := range events {
		t.CaseloadSeq++
		events[i].Seq = t.CaseloadSeq
		if err := errors.Join(store.Put(tx, events[i]), index(tx, &events[i])); err != nil {
			return 0, err
		}
	}
	t.CaseloadIndexed = t.CaseloadSeq
	return t.CaseloadSeq, tx.PutTenant(t)
}

func index(tx store.Tx, ev *store.Assignment) error {
	for _, ref := range AssignmentRefs(ev) {
		if err := store.Put(tx, ref); err != nil {
			return err
		}
	}
	return nil
}

// AssignmentRefs are the documents that lead to an event of the caseloads.
func AssignmentRefs(ev *store.Assignment) []store.Doc {
	refs := []store.Doc{store.AssignmentRef{Person: ev.Person, Seq: ev.Seq, Actor: ev.Actor}}
	if ev.Block != "" {
		refs = append(refs, store.BlockRef{Seq: ev.Seq, Actor: ev.Actor, Person: ev.Person})
	}
	return refs
}

// personAssignments lists the events about a person, in order of number.
func personAssignments(v store.View, person model.PersonID) ([]store.Assignment, error) {
	if t := v.Tenant(); t.CaseloadIndexed < t.CaseloadSeq {
		all, err := store.List[store.Assignment](v, "", "", 0)
		all = slices.DeleteFunc(all, func(a store.Assignment) bool { return a.Person != person })
		slices.SortFunc(all, bySeq)
		return all, err
	}
	refs, err := store.List[store.AssignmentRef](v, person.String()+" ", "", 0)
	if err != nil {
		return nil, err
	}
	out := make([]store.Assignment, len(refs))
	for i, ref := range refs {
		if out[i], err = store.Get[store.Assignment](v, store.Assignment{Actor: ref.Actor, Seq: ref.Seq}.DocKey()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Owners lists who has the person in the caseload at a time, in order of id. It follows the
// person: nothing is stored that a move could make stale.
func (e *Engine) Owners(v store.View, person model.PersonID, at model.Millis) ([]model.ActorID, error) {
	events, err := personAssignments(v, person)
	if err != nil {
		return nil, err
	}
	owners := []model.ActorID{}
	for i := range events {
		actor := events[i].Actor
		if actor == "" || slices.ContainsFunc(events[:i], func(a store.Assignment) bool { return a.Actor == actor }) {
			continue
		}
		own := slices.DeleteFunc(slices.Clone(events), func(a store.Assignment) bool { return a.Actor != "" && a.Actor != actor })
		if r := reaches(own, v.Tenant().CaseloadSeq)[person]; r != nil {
			if _, has := holds(r.have, at); has {
				owners = append(owners, actor)
			}
		}
	}
	slices.Sort(owners)
	return owners, nil
}

// BlockStatus is a block event, and whether it still decides something.
type BlockStatus struct {
	store.Assignment
	InForce bool // a block that no newer event about the same actors has replaced
}

// Blocks lists up to limit block events after a key, in order of number. person narrows the
// list to one; next is "" at the end.
func (e *Engine) Blocks(v store.View, keep func(model.PersonID) bool, after string, limit int) (out []BlockStatus, next string, err error) {
	refs, err := store.List[store.BlockRef](v, "", after, 0)
	if err != nil {
		return nil, "", err
	}
	for _, ref := range refs {
		if !keep(ref.Person) {
			continue
		}
		if len(out) == limit {
			return out, store.PositionKey(out[limit-1].Seq), nil
		}
		events, err := personAssignments(v, ref.Person)
		if err != nil {
			return nil, "", err
		}
		i := slices.IndexFunc(events, func(a store.Assignment) bool { return a.Seq == ref.Seq })
		if i < 0 {
			return nil, "", store.ErrCorrupt
		}
		out = append(out, BlockStatus{events[i], inForce(events, i, e.o.Now())})
	}
	return out, "", nil
}

func inForce(events []store.Assignment, i int, at model.Millis) bool {
	ev := &events[i]
	return ev.Block == EventBlock && ev.From <= at && !slices.ContainsFunc(events[i+1:], func(a store.Assignment) bool {
		return a.Block != "" && a.From <= at && a.Actor == ev.Actor
	})
}
