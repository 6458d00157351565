package sync

import (
	"bytes"
	"context"
	"slices"
	gosync "sync"

	"flette/model"
	"flette/store"
)

// PullRequest asks for what changed in the actor's caseload since the cursor.
type PullRequest struct {
	Tenant model.TenantID
	Device model.DeviceID
	Actor  model.ActorID
	Cursor string // "" for the first
	Limit  int    // items a page, about; 500 when 0
	// Turn, when it is set, is asked before PullWait makes a page, and what it returns is
	// called after: while it waits for news it holds nobody's place. Its error ends the wait.
	Turn func() (done func(), err error)
}

// PullPage is applied atomically by the tablet (S8).
type PullPage struct {
	Epoch      string
	Items      []PullItem
	Cursor     string
	More       bool
	Checkpoint []byte
	Position   int64 // next position the cursor looks at
}

// PullItem is one piece of news: exactly one of the pointers is set, or Removed.
type PullItem struct {
	Position int64
	Person   model.PersonID
	Added    *store.Person
	Until    model.Millis // Added: end of the assignment, 0 for open
	Removed  bool
	Unit     *model.UnitState
	Decision *model.Entry
	Settled  *Settled
	Entry    model.EntryID // of Decision
}

// Settled says what became of a quarantined entry of this device.
type Settled struct {
	Entry  model.EntryID
	Act    model.Act
	Reason *model.Reason
}

const (
	defaultPage = 500
	maxPage     = 2000
)

// Pull returns one page: scope.remove, then scope.add with the person's units, then changes
// in order of position. Its cost is that of the caseload and of what changed in it, never
// that of what history holds. Errors: ErrCursor, ErrCursorGone, ErrRevoked.
func (e *Engine) Pull(ctx context.Context, r PullRequest) (*PullPage, error) {
	ts, err := e.tenant(r.Tenant)
	if err != nil {
		return nil, err
	}
	limit := r.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	p := &puller{e: e, r: r, limit: min(limit, maxPage), now: e.o.Now()}
	page := &PullPage{}
	err = e.st.View(ctx, r.Tenant, func(v store.View) error {
		p.v, p.items = v, nil
		d, err := store.Get[store.Device](v, r.Device.String())
		if err != nil {
			return err
		}
		if d.State != DeviceActive {
			return ErrRevoked
		}
		if err := p.start(ts.keys); err != nil {
			return err
		}
		if err := p.run(); err != nil {
			return err
		}
		page.Epoch, page.Items, page.More = v.Tenant().Epoch, p.items, p.more
		page.Position = p.c.position
		if p.c.root, err = rootAt(v, p.c.position); err != nil {
			return err
		}
		page.Checkpoint, err = v.Checkpoint()
		return err
	})
	if err != nil {
		return nil, err
	}
	page.Cursor, err = p.c.encode(ts.keys, r.Tenant, r.Device, r.Actor)
	return page, err
}

type puller struct {
	e      *Engine
	r      PullRequest
	v      store.View
	now    model.Millis
	limit  int
	c      *cursor
	events []store.Assignment
	items  []PullItem
	more   bool
}

func (p *puller) start(keys Keys) error {
	epoch := epochHash(p.v.Tenant().Epoch)
	var err error
	if p.events, err = assignmentsOf(p.v, p.r.Actor); err != nil {
		return err
	}
	if p.r.Cursor == "" {
		// What comes after this snapshot is sent as changes, however many pages it takes.
		p.c = &cursor{epoch: epoch, position: p.v.Size()}
		return nil
	}
	if p.c, err = decodeCursor(keys, p.r.Tenant, p.r.Device, p.r.Actor, p.r.Cursor); err != nil {
		return err
	}
	return p.c.check(p.v, epoch)
}

func (p *puller) full() bool { return len(p.items) >= p.limit }

func (p *puller) run() error {
	if !p.c.moving {
		held, _ := caseloadAt(p.events, p.c.held, p.c.heldAt)
		version := p.v.Tenant().CaseloadSeq
		want, _ := caseloadAt(p.events, version, p.now)
		if slices.Equal(held, want) {
			p.c.held, p.c.heldAt = version, p.now
		} else {
			p.c.moving, p.c.target, p.c.targetAt = true, version, p.now
			p.c.person, p.c.unit = model.PersonID{}, ""
		}
	}
	if p.c.moving {
		if done, err := p.move(); !done || err != nil {
			p.more = true
			return err
		}
	}
	if err := p.changes(); err != nil {
		return err
	}
	// The caseload may have changed again since the move began.
	held, _ := caseloadAt(p.events, p.c.held, p.c.heldAt)
	want, _ := caseloadAt(p.events, p.v.Tenant().CaseloadSeq, p.now)
	p.more = p.more || !slices.Equal(held, want)
	return nil
}

// move sends the difference between the caseload that the tablet holds and the one it is to
// hold. It is false when the page filled up before the end.
func (p *puller) move() (bool, error) {
	held, _ := caseloadAt(p.events, p.c.held, p.c.heldAt)
	want, until := caseloadAt(p.events, p.c.target, p.c.targetAt)
	if p.c.person.IsZero() {
		for _, person := range held {
			if !slices.Contains(want, person) {
				p.items = append(p.items, PullItem{Position: p.c.position, Person: person, Removed: true})
			}
		}
	}
	for _, person := range want {
		if slices.Contains(held, person) || bytes.Compare(person[:], p.c.person[:]) < 0 {
			continue
		}
		if person != p.c.person {
			// The first person always fits: a page of removals alone would not move the cursor.
			if p.full() && !p.c.person.IsZero() {
				return false, nil
			}
			doc, err := store.Get[store.Person](p.v, person.String())
			if err != nil {
				return false, err
			}
			p.items = append(p.items, PullItem{Position: p.c.position, Person: person, Added: &doc, Until: until[person]})
			p.c.person, p.c.unit = person, ""
		}
		filled := false
		err := p.v.Units(person, "", p.c.unit, func(s *model.UnitState) bool {
			if filled = p.full(); filled {
				return false
			}
			p.items = append(p.items, PullItem{Position: s.Position, Person: person, Unit: s})
			p.c.unit = s.Unit
			return true
		})
		if err != nil || filled {
			return false, err
		}
	}
	p.c.held, p.c.heldAt, p.c.moving = p.c.target, p.c.targetAt, false
	return true, nil
}

// changes sends what happened to the caseload's persons since the cursor's position.
func (p *puller) changes() error {
	size := p.v.Size()
	if p.c.position >= size {
		return nil
	}
	persons, _ := caseloadAt(p.events, p.c.held, p.c.heldAt)
	room := max(p.limit-len(p.items), 1)
	var due []int64
	cut := size
	for _, person := range persons {
		at, err := p.v.PersonPositions(person, p.c.position-1, room)
		if err != nil {
			return err
		}
		due = append(due, at...)
		if len(at) == room {
			// This person may have more beyond; nobody's news after that may go first.
			cut = min(cut, at[len(at)-1]+1)
		}
	}
	settled, err := store.List[store.Settlement](p.v, p.r.Device.String()+" ", p.settledBefore(), room)
	if err != nil {
		return err
	}
	own := map[int64]bool{}
	for _, s := range settled {
		own[s.Position] = true
		due = append(due, s.Position)
		if len(own) == room {
			cut = min(cut, s.Position+1)
		}
	}
	slices.Sort(due)
	for _, at := range slices.Compact(due) {
		if at >= cut {
			break
		}
		if p.full() {
			p.c.position, p.more = at, true
			return nil
		}
		l, err := p.v.Entry(at)
		if err != nil {
			return err
		}
		if own[at] {
			if err := p.settlement(l); err != nil {
				return err
			}
		}
		if slices.Contains(persons, l.Person) {
			if err := p.entry(l); err != nil {
				return err
			}
		}
	}
	p.c.position = cut
	p.more = cut < size
	return nil
}

// entry sends what one log entry changed and no later one has changed again.
func (p *puller) entry(l *store.LogEntry) error {
	at := l.Position
	if l.Outcome == store.Quarantined {
		return nil // its device was told; the others know nothing of it
	}
	if l.Act == model.ActDecide {
		own, err := model.DecodeEntry(l.Payload)
		if err != nil {
			return err
		}
		p.items = append(p.items, PullItem{Position: at, Person: l.Person, Decision: own, Entry: l.ID})
	}
	en, _, err := Effective(p.v, l)
	if err != nil || en == nil {
		return err
	}
	for i := range en.Changes {
		s, err := p.v.Unit(l.Person, en.Changes[i].Unit)
		if err != nil {
			return err
		}
		// A later entry changed it again: it is sent there, once.
		if s != nil && s.Position == at {
			p.items = append(p.items, PullItem{Position: at, Person: l.Person, Unit: s})
		}
	}
	return nil
}

// settlement tells what became of a quarantined entry of this device, whoever has the person
// by now.
func (p *puller) settlement(l *store.LogEntry) error {
	en, err := model.DecodeEntry(l.Payload)
	if err != nil {
		return err
	}
	p.items = append(p.items, PullItem{Position: l.Position, Person: l.Person, Settled: &Settled{
		Entry: *en.Changes[0].Target, Act: l.Act, Reason: en.Reason,
	}})
	return nil
}

// settledBefore is the key after which settlements are news.
func (p *puller) settledBefore() string {
	if p.c.position == 0 {
		return ""
	}
	return store.Settlement{Device: p.r.Device, Position: p.c.position - 1}.DocKey()
}

// notifier wakes long polls after a commit. A wake-up may be spurious.
type notifier struct {
	mu gosync.Mutex
	ch chan struct{}
}

func (n *notifier) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notifier) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}

// PullWait is Pull that waits for news until ctx is done: then the empty page is returned.
func (e *Engine) PullWait(ctx context.Context, r PullRequest) (*PullPage, error) {
	ts, err := e.tenant(r.Tenant)
	if err != nil {
		return nil, err
	}
	for {
		news := ts.news.wait()
		page, err := e.pullInTurn(context.WithoutCancel(ctx), r)
		if err != nil || len(page.Items) > 0 || page.More {
			return page, err
		}
		select {
		case <-ctx.Done():
			return page, nil
		case <-news:
		}
	}
}

func (e *Engine) pullInTurn(ctx context.Context, r PullRequest) (*PullPage, error) {
	if r.Turn == nil {
		return e.Pull(ctx, r)
	}
	done, err := r.Turn()
	if err != nil {
		return nil, err
	}
	defer done()
	return e.Pull(ctx, r)
}
