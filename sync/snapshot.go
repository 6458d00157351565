package sync

import (
	"context"
	"errors"
	"io"
	"slices"

	"flette/model"
	"flette/store"
)

// A snapshot is the first load of a caseload, or of one person, in pieces: whole persons one
// after another, today's visits first. Every piece is read from a view of its own, so that a
// slow network keeps no view open, and what is held in between is a list of ids.
//
// S15: the cursor at the end is that of the beginning. What a later piece shows is at least as
// new, and a pull from that cursor brings all that was committed since, some of it again.
//
// Between two persons there is a mark. It holds what the order of persons is computed from
// (caseload version, time, last person sent) and the cursor of the beginning, so that a cut
// snapshot goes on after any time, and on another server.

// ErrNotInCaseload means that the actor does not have the person, or that there is no such.
var ErrNotInCaseload = errors.New("sync: the person is not in the caseload")

// SnapshotRequest asks for the caseload of an actor.
type SnapshotRequest struct {
	Tenant model.TenantID
	Device model.DeviceID
	Actor  model.ActorID
	JKT    string         // as in PullRequest
	After  string         // mark to continue after, "" for the beginning
	Person model.PersonID // only this one, for repair
}

// SnapshotPart is one piece of a snapshot: the beginning, items of one person, or the end.
type SnapshotPart struct {
	Begin *SnapshotBegin
	Items []PullItem
	Mark  string // the items end a person: continue after it with this
	End   *SnapshotEnd
}

// SnapshotBegin says what follows.
type SnapshotBegin struct {
	Epoch    string
	Position int64 // of the cursor at the end
	Persons  int   // still to come; less when some leave the caseload meanwhile
}

// SnapshotEnd closes a snapshot.
type SnapshotEnd struct {
	Cursor     string // "" for one person: the tablet's own cursor stands
	Checkpoint []byte
}

// Snapshot gives the pieces, one a call of Next.
type Snapshot struct {
	e       *Engine
	ts      *tenantState
	r       SnapshotRequest
	c       cursor // of the beginning
	epoch   string
	left    []model.PersonID
	visits  map[model.PersonID]int
	version int64 // of now
	now     map[model.PersonID]model.Millis
	expires model.Millis // when now may change by itself, 0 for never
	feed    puller       // for what a first pull sends beside the persons
	unit    model.Unit   // of the first person left: sent up to here
	card    bool         // and its card
	began   bool
	ended   bool
}

// Snapshot begins a snapshot, or continues after a mark. Errors: ErrCursor, ErrCursorGone,
// ErrRevoked, store.ErrNotFound for an unknown device; ErrNotInCaseload for such a person.
func (e *Engine) Snapshot(ctx context.Context, r SnapshotRequest) (*Snapshot, error) {
	ts, err := e.tenant(r.Tenant)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{e: e, ts: ts, r: r}
	err = s.view(ctx, func(v store.View) error {
		events, err := assignmentsOf(v, r.Actor)
		if err != nil {
			return err
		}
		s.epoch = v.Tenant().Epoch
		if err := s.start(v); err != nil {
			return err
		}
		s.left, _ = caseloadAt(events, s.c.held, s.c.heldAt)
		if s.visits, err = visitsAt(v, r.Actor, s.c.held, s.c.heldAt, s.left); err != nil {
			return err
		}
		return s.order()
	})
	return s, err
}

// view reads for a device that is still trusted.
func (s *Snapshot) view(ctx context.Context, fn func(store.View) error) error {
	return s.e.st.View(ctx, s.r.Tenant, func(v store.View) error {
		if err := mayFetch(v, s.r.Device, s.r.JKT); err != nil {
			return err
		}
		return fn(v)
	})
}

// start sets the cursor of the beginning.
func (s *Snapshot) start(v store.View) (err error) {
	if s.r.After == "" {
		s.c = cursor{epoch: epochHash(s.epoch), position: v.Size(), seen: v.Size(), held: v.Tenant().CaseloadSeq, heldAt: s.e.o.Now()}
		s.c.root, err = rootAt(v, s.c.seen)
		return err
	}
	c, err := decodeCursor(s.ts.keys, s.r.Tenant, s.r.Device, s.r.Actor, s.r.After)
	if err != nil {
		return err
	}
	if !c.mark {
		return ErrCursor
	}
	s.c = *c
	return s.c.check(v)
}

// order puts today's visits first, and takes away what a mark says is sent.
func (s *Snapshot) order() error {
	if !s.r.Person.IsZero() {
		if !slices.Contains(s.left, s.r.Person) {
			return ErrNotInCaseload
		}
		s.left = []model.PersonID{s.r.Person}
		return nil
	}
	last := len(s.visits) + 1
	place := func(p model.PersonID) int {
		if n := s.visits[p]; n != 0 {
			return n
		}
		return last
	}
	slices.SortStableFunc(s.left, func(a, b model.PersonID) int { return place(a) - place(b) })
	if !s.c.mark {
		return nil
	}
	i := slices.Index(s.left, s.c.person)
	if i < 0 {
		return ErrCursor
	}
	s.left = s.left[i+1:]
	s.c.mark, s.c.person = false, model.PersonID{}
	return nil
}

// snapshotUnits bounds the items of one piece.
const snapshotUnits = 500

// Next gives the next piece. io.EOF after the end, ErrRevoked when the device is revoked
// meanwhile. After an error the snapshot is over.
func (s *Snapshot) Next(ctx context.Context) (*SnapshotPart, error) {
	if !s.began {
		s.began = true
		return &SnapshotPart{Begin: &SnapshotBegin{Epoch: s.epoch, Position: s.c.position, Persons: len(s.left)}}, nil
	}
	if s.ended {
		return nil, io.EOF
	}
	part := &SnapshotPart{}
	err := s.view(ctx, func(v store.View) error {
		if err := s.look(v); err != nil {
			return err
		}
		for len(s.left) > 0 {
			if _, still := s.now[s.left[0]]; still {
				return s.person(v, part)
			}
			s.done() // it left; the pull after the end says so, and sends it whole when it came back
		}
		return s.end(v, part)
	})
	return part, err
}

// look learns whom the actor has now: a snapshot of an hour ago gives nobody access.
func (s *Snapshot) look(v store.View) error {
	now := s.e.o.Now()
	version := v.Tenant().CaseloadSeq
	if s.now != nil && version == s.version && (s.expires == 0 || now < s.expires) {
		return nil
	}
	events, err := assignmentsOf(v, s.r.Actor)
	if err != nil {
		return err
	}
	_, s.now = caseloadAt(events, version, now)
	s.version, s.expires = version, 0
	for _, to := range s.now {
		if to != 0 && (s.expires == 0 || to < s.expires) {
			s.expires = to
		}
	}
	return nil
}

// person sends the next items of the first person left.
func (s *Snapshot) person(v store.View, part *SnapshotPart) error {
	p := s.left[0]
	if !s.card {
		doc, err := store.Get[store.Person](v, p.String())
		if err != nil {
			return err
		}
		part.Items = append(part.Items, PullItem{
			Position: s.c.position, Person: p, Added: &doc, Until: s.now[p], Visit: s.visits[p],
		})
		if err := s.tell(v, part, func(f *puller) error { return f.waiting(p) }); err != nil {
			return err
		}
		s.card = true
	}
	more := false
	err := v.Units(p, "", s.unit, func(u *model.UnitState) bool {
		if more = len(part.Items) >= snapshotUnits; more {
			return false
		}
		part.Items = append(part.Items, PullItem{Position: s.c.position, Person: p, Unit: u})
		s.unit = u.Unit
		return true
	})
	if err != nil || more {
		return err
	}
	s.done()
	if s.r.Person.IsZero() {
		mark := s.c
		mark.mark, mark.person = true, p
		part.Mark, err = mark.encode(s.ts.keys, s.r.Tenant, s.r.Device, s.r.Actor)
	}
	return err
}

func (s *Snapshot) done() { s.left, s.unit, s.card = s.left[1:], "", false }

func (s *Snapshot) end(v store.View, part *SnapshotPart) (err error) {
	s.ended = true
	part.End = &SnapshotEnd{}
	if s.r.Person.IsZero() {
		if err := s.tell(v, part, (*puller).settledBeforeUs); err != nil {
			return err
		}
		if part.End.Cursor, err = s.c.encode(s.ts.keys, s.r.Tenant, s.r.Device, s.r.Actor); err != nil {
			return err
		}
	}
	if s.r.Person.IsZero() {
		now := s.e.o.Now()
		s.ts.contacts.note(store.Diary{Device: s.r.Device, At: now, Contact: ContactPull, Actor: s.r.Actor, Pulled: now, Cursor: s.c.position})
	}
	part.End.Checkpoint, err = v.Checkpoint()
	return err
}

// tell adds what a first pull says at this place.
func (s *Snapshot) tell(v store.View, part *SnapshotPart, say func(*puller) error) error {
	f := &s.feed
	f.e, f.v, f.c, f.items = s.e, v, &s.c, nil
	f.r = PullRequest{Tenant: s.r.Tenant, Device: s.r.Device, Actor: s.r.Actor}
	err := say(f)
	part.Items = append(part.Items, f.items...)
	return err
}
