package sync

import (
	"context"
	"encoding/hex"
	"errors"

	"flette/model"
	"flette/store"
)

// Emergency access ("break the glass"): who needs a person's record at once and does not
// have it, takes it, with a reason and for a time. It is a caseload event like any other, so
// the tablet, the merge and the history know nothing special; but it outranks the blocks
// before it, and stays on a list until a supervisor has followed it up.

// Errors of emergency access.
var (
	// ErrHasAccess means that the actor may see the person already.
	ErrHasAccess = errors.New("sync: the actor may see the person already")
	// ErrOwnUse means that somebody wanted to follow up what they did themselves.
	ErrOwnUse = errors.New("sync: emergency access is followed up by somebody else than its user")
)

// MaxGlass and DefaultGlass bound one use of emergency access.
const (
	MaxGlass     = 24 * hour
	DefaultGlass = 8 * hour
)

// BreakGlass asks for emergency access, by the person's id or identity number.
type BreakGlass struct {
	Tenant model.TenantID
	Actor  model.ActorID
	Roles  model.Roles
	Person model.PersonID // zero when Number is given
	Number string
	For    model.Millis // DefaultGlass when 0, at most MaxGlass
	Reason model.Reason
}

// Glass is one use of emergency access.
type Glass struct {
	store.BreakGlass
	From, To model.Millis
	Reason   model.Reason
}

// Open reports whether a supervisor has still to follow it up.
func (g *Glass) Open() bool { return g.FollowUp == nil }

// BreakGlass gives the actor the person for a time. A use that runs is answered as it is, so
// that a request whose answer was lost can be repeated. store.ErrNotFound for a person or
// number that is not known here, alike; ErrHasAccess.
func (e *Engine) BreakGlass(ctx context.Context, r BreakGlass) (g Glass, fresh bool, err error) {
	ts, err := e.tenant(r.Tenant)
	if err != nil {
		return g, false, err
	}
	now := e.o.Now()
	if r.For <= 0 {
		r.For = DefaultGlass
	}
	hash := ts.keys.Index("person-number", r.Number)
	_, err = e.change(ctx, r.Tenant, "/person", func(tx store.Tx) ([]store.Assignment, error) {
		g, fresh = Glass{}, false
		person := r.Person
		if person.IsZero() {
			// A number of which nobody has heard and a person of whom nobody has take the same way.
			ref, err := store.Get[store.PersonIndex](tx, hex.EncodeToString(hash[:]))
			if err != nil {
				return nil, err
			}
			person = ref.Person
		}
		if _, err := tx.Doc(store.Person{}.DocKind(), person.String()); err != nil {
			return nil, err
		}
		access, err := e.accessIn(ts, tx, r.Actor, r.Roles)
		if err != nil {
			return nil, err
		}
		if access.Sees(person) {
			if g, err = runningGlass(tx, r.Actor, person, now); err == nil && g.Seq == 0 {
				err = ErrHasAccess
			}
			return nil, err
		}
		ev := store.Assignment{
			Actor: r.Actor, Person: person, From: now, To: now + min(r.For, MaxGlass), Glass: true,
			By: string(r.Actor), Code: r.Reason.Code, Reason: r.Reason.Text, At: now,
		}
		doc := store.BreakGlass{Seq: tx.Tenant().CaseloadSeq + 1, Actor: r.Actor, Person: person}
		g, fresh = glassOf(doc, &ev), true
		return []store.Assignment{ev}, store.Put(tx, doc)
	})
	return g, fresh, err
}

func glassOf(doc store.BreakGlass, ev *store.Assignment) Glass {
	return Glass{BreakGlass: doc, From: ev.From, To: ev.To, Reason: model.Reason{Code: ev.Code, Text: ev.Reason}}
}

// runningGlass finds the actor's newest use on the person that still runs; Seq is 0 for none.
func runningGlass(v store.View, actor model.ActorID, person model.PersonID, now model.Millis) (g Glass, err error) {
	events, err := personAssignments(v, person)
	if err != nil {
		return g, err
	}
	for i := range events {
		ev := &events[i]
		if ev.Actor != actor || !ev.Glass || now >= ev.To {
			continue
		}
		doc, err := store.Get[store.BreakGlass](v, store.PositionKey(ev.Seq))
		if err != nil {
			return g, err
		}
		g = glassOf(doc, ev)
	}
	return g, nil
}

// Glasses lists up to limit uses of emergency access after a key, in order of number; state
// is "open", "closed" or "" for all. next is "" at the end.
func (e *Engine) Glasses(v store.View, state string, keep func(model.PersonID) bool, after string, limit int) (out []Glass, next string, err error) {
	docs, err := store.List[store.BreakGlass](v, "", after, 0)
	if err != nil {
		return nil, "", err
	}
	for i := range docs {
		open := docs[i].FollowUp == nil
		if state == StateOpen && !open || state == StateClosed && open || !keep(docs[i].Person) {
			continue
		}
		if len(out) == limit {
			return out, store.PositionKey(out[limit-1].Seq), nil
		}
		g, err := e.glass(v, docs[i])
		if err != nil {
			return nil, "", err
		}
		out = append(out, g)
	}
	return out, "", nil
}

func (e *Engine) glass(v store.View, doc store.BreakGlass) (Glass, error) {
	ev, err := store.Get[store.Assignment](v, store.Assignment{Actor: doc.Actor, Seq: doc.Seq}.DocKey())
	return glassOf(doc, &ev), err
}

// Glass reads one use. store.ErrNotFound.
func (e *Engine) Glass(v store.View, seq int64) (Glass, error) {
	doc, err := store.Get[store.BreakGlass](v, store.PositionKey(seq))
	if err != nil {
		return Glass{}, err
	}
	return e.glass(v, doc)
}

// FollowUp closes a use of emergency access by what a supervisor wrote about it.
// store.ErrNotFound, ErrOwnUse; ErrSettled when somebody has done it.
func (e *Engine) FollowUp(ctx context.Context, tenant model.TenantID, seq int64, by model.ActorID, reason model.Reason) (g Glass, err error) {
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		if g, err = e.Glass(tx, seq); err != nil {
			return err
		}
		switch {
		case g.Actor == by:
			return ErrOwnUse
		case g.FollowUp != nil:
			return ErrSettled
		}
		g.FollowUp = &store.FollowUp{By: by, At: e.o.Now(), Reason: reason}
		return store.Put(tx, g.BreakGlass)
	})
	return g, err
}
