package sync

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"flette/model"
	"flette/store"
)

// PullRequest asks for what changed in the actor's caseload since the cursor.
type PullRequest struct {
	Tenant model.TenantID
	Device model.DeviceID
	Actor  model.ActorID
	JKT    string // thumbprint of the key that the lease is bound to; "" is not compared
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

// PullItem is one piece of news: exactly one of the pointers is set, or Removed. Position is
// the place in the feed: it never decreases from one item to the next, within a page and
// over all pages. A state that comes with a person who was added stands where the person
// came; its own position is in the state.
type PullItem struct {
	Position int64
	Person   model.PersonID
	Added    *store.Person // a person who came, or whose time was changed; the units follow
	Until    model.Millis  // Added: end of the assignment, 0 for open
	Card     *store.Person // what the card says is new; Until and Visit as with Added
	Visit    int           // Added: place in the day's visits from 1, 0 for none
	Removed  bool
	Late     *Late
	Unit     *model.UnitState
	Decision *model.Entry
	Settled  *Settled
	Entry    model.EntryID // of Decision
}

// Late says that an entry about the person waits for a supervisor: it came from somebody who
// no longer had the person.
type Late struct {
	Entry    model.EntryID
	Code     string
	Received model.Millis
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
// that of what history holds. Errors: ErrCursor, ErrCursorGone, *RevokedError,
// ErrKeyRetired.
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
		if err := mayFetch(v, r.Device, r.JKT); err != nil {
			return err
		}
		if err := p.start(ts.keys); err != nil {
			return err
		}
		if err := p.run(); err != nil {
			return err
		}
		page.Epoch, page.Items, page.More = v.Tenant().Epoch, p.items, p.more
		page.Position = p.c.position
		p.c.seen = v.Size()
		if p.c.root, err = rootAt(v, p.c.seen); err != nil {
			return err
		}
		page.Checkpoint, err = v.Checkpoint()
		return err
	})
	if err != nil {
		return nil, err
	}
	if !page.More {
		ts.contacts.note(store.Diary{Device: r.Device, At: p.now, Contact: ContactPull, Actor: r.Actor, Pulled: p.now, Cursor: page.Position})
	}
	page.Cursor, err = p.c.encode(ts.keys, r.Tenant, r.Device, r.Actor)
	return page, err
}

// mayFetch is nil for a device that is trusted with data under a key: jkt is the thumbprint
// that its lease is bound to, "" is not compared. Errors: *RevokedError, ErrKeyRetired, ErrUnknownDevice,
// store.ErrNotFound for an unknown device.
func mayFetch(v store.View, device model.DeviceID, jkt string) error {
	d, err := store.Get[store.Device](v, device.String())
	if err != nil {
		return err
	}
	if err := Revoked(&d); err != nil {
		return err
	}
	if jkt == "" {
		return nil
	}
	return BoundTo(&d, jkt)
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

	reaches map[int64]map[model.PersonID]*reach // of events, by version

	queue     []store.QuarantineItem // late entries from before the cursor
	queueRead bool
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
		return p.settledBeforeUs()
	}
	if p.c, err = decodeCursor(keys, p.r.Tenant, p.r.Device, p.r.Actor, p.r.Cursor); err != nil {
		return err
	}
	if p.c.mark {
		return ErrCursor
	}
	return p.c.check(p.v)
}

// firstSettled bounds the settlements that a first pull brings.
const firstSettled = 200

// settledBeforeUs sends the newest settlements from before a pull without cursor: a tablet
// that starts anew has no position after which they would be news.
func (p *puller) settledBeforeUs() error {
	prefix := p.r.Device.String() + " "
	var keys []string // of the newest, oldest first
	err := p.v.Docs(store.Settlement{}.DocKind(), prefix, "", func(key string, _ []byte) bool {
		if len(keys) == firstSettled {
			keys = slices.Delete(keys, 0, 1)
		}
		keys = append(keys, key)
		return true
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		s, err := store.Get[store.Settlement](p.v, key)
		if err != nil {
			return err
		}
		l, err := p.v.Entry(s.Position)
		if err != nil {
			return err
		}
		if err := p.settlement(l); err != nil {
			return err
		}
	}
	return nil
}

func (p *puller) full() bool { return len(p.items) >= p.limit }

func (p *puller) run() error {
	if !p.c.moving {
		version := p.v.Tenant().CaseloadSeq
		if p.current(version) {
			if err := p.replanned(version, p.now); err != nil {
				return err
			}
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
	p.more = p.more || !p.current(p.v.Tenant().CaseloadSeq)
	return nil
}

// caseloadAt is the function of that name for the actor. Held and wanted version are mostly
// the same, and the times are not.
func (p *puller) caseloadAt(version int64, at model.Millis) ([]model.PersonID, map[model.PersonID]model.Millis) {
	r, known := p.reaches[version]
	if !known {
		if r = reaches(p.events, version); p.reaches == nil {
			p.reaches = map[int64]map[model.PersonID]*reach{}
		}
		p.reaches[version] = r
	}
	return heldAt(r, at)
}

// current reports whether the tablet holds the caseload of a version now, and knows until
// when: it forgets by itself whose time is over.
func (p *puller) current(version int64) bool {
	_, held := p.caseloadAt(p.c.held, p.c.heldAt)
	_, want := p.caseloadAt(version, p.now)
	if !maps.Equal(held, want) {
		return false
	}
	for person, away := range interrupted(p.events, point{p.c.held, p.c.heldAt}, point{version, p.now}) {
		if _, has := held[person]; has && away {
			return false
		}
	}
	return true
}

// present is whom the actor has now, whatever the pages of a move began with.
func (p *puller) present() map[model.PersonID]model.Millis {
	_, now := p.caseloadAt(p.v.Tenant().CaseloadSeq, p.now)
	return now
}

// move sends the difference between the caseload that the tablet holds and the one it is to
// hold. It is false when the page filled up before the end.
func (p *puller) move() (bool, error) {
	held, heldUntil := p.caseloadAt(p.c.held, p.c.heldAt)
	want, until := p.caseloadAt(p.c.target, p.c.targetAt)
	away := interrupted(p.events, point{p.c.held, p.c.heldAt}, point{p.c.target, p.c.targetAt})
	now := p.present()
	visits, err := visitsAt(p.v, p.r.Actor, p.c.target, p.c.targetAt, want)
	if err != nil {
		return false, err
	}
	if p.c.person.IsZero() {
		for _, person := range held {
			if !slices.Contains(want, person) {
				p.items = append(p.items, PullItem{Position: p.c.position, Person: person, Removed: true})
			}
		}
	}
	for _, person := range want {
		end, has := heldUntil[person]
		if has && !away[person] && end == until[person] || bytes.Compare(person[:], p.c.person[:]) < 0 {
			continue
		}
		if _, still := now[person]; !still {
			continue // left since the move began: the next one says so
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
			p.items = append(p.items, PullItem{Position: p.c.position, Person: person, Added: &doc, Until: until[person], Visit: visits[person]})
			if err := p.waiting(person); err != nil {
				return false, err
			}
			p.c.person, p.c.unit = person, ""
		}
		filled := false
		err := p.v.Units(person, "", p.c.unit, func(s *model.UnitState) bool {
			if filled = p.full(); filled {
				return false
			}
			p.items = append(p.items, PullItem{Position: p.c.position, Person: person, Unit: s})
			p.c.unit = s.Unit
			return true
		})
		if err != nil || filled {
			return false, err
		}
	}
	if err := p.replanned(p.c.target, p.c.targetAt); err != nil {
		return false, err
	}
	p.c.held, p.c.heldAt, p.c.moving = p.c.target, p.c.targetAt, false
	return true, nil
}

// waiting tells of the late entries that wait about a person who came. The queue of a
// municipality is short, so it is looked through.
func (p *puller) waiting(person model.PersonID) error {
	if !p.queueRead {
		open, err := store.List[store.OpenQuarantine](p.v, "", "", 0)
		if err != nil {
			return err
		}
		slices.SortFunc(open, func(a, b store.OpenQuarantine) int { return cmp.Compare(a.Position, b.Position) })
		for _, o := range open {
			item, err := store.Get[store.QuarantineItem](p.v, store.PositionKey(o.Position))
			if err != nil {
				return err
			}
			// What came since the cursor is sent in its place.
			if item.Position < p.c.position && p.isLate(&item) {
				p.queue = append(p.queue, item)
			}
		}
		p.queueRead = true
	}
	for i := range p.queue {
		if p.queue[i].Person == person {
			p.late(&p.queue[i], p.c.position)
		}
	}
	return nil
}

// isLate reports whether others than its author are told of a quarantined entry. That
// somebody is blocked is nobody's business.
func (p *puller) isLate(item *store.QuarantineItem) bool {
	return item.State == StateOpen && item.Code == CodeOutOfScope && item.Device != p.r.Device
}

func (p *puller) late(item *store.QuarantineItem, at int64) {
	p.items = append(p.items, PullItem{Position: at, Person: item.Person, Late: &Late{item.ID, item.Code, item.Received}})
}

// changes sends what happened to the caseload's persons since the cursor's position.
func (p *puller) changes() error {
	size := p.v.Size()
	if p.c.position >= size {
		return nil
	}
	persons, _ := p.caseloadAt(p.c.held, p.c.heldAt)
	now := p.present()
	persons = slices.DeleteFunc(persons, func(person model.PersonID) bool {
		_, still := now[person]
		return !still
	})
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
			if !own[at] {
				if err := p.lateSettled(l); err != nil {
					return err
				}
			}
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
		item, err := store.Get[store.QuarantineItem](p.v, store.PositionKey(at))
		if err == nil && p.isLate(&item) {
			p.late(&item, at)
		}
		return err
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

// lateSettled tells those who were told of a late entry what became of it.
func (p *puller) lateSettled(l *store.LogEntry) error {
	if l.Outcome == store.Quarantined || l.Act != model.ActRelease && l.Act != model.ActClose {
		return nil
	}
	en, err := model.DecodeEntry(l.Payload)
	if err != nil || en.SettlesFindings() {
		return err
	}
	ref, err := store.Get[store.QuarantineRef](p.v, en.Changes[0].Target.String())
	if err != nil {
		return err
	}
	item, err := store.Get[store.QuarantineItem](p.v, store.PositionKey(ref.Position))
	if err != nil || item.Code != CodeOutOfScope || item.Device == p.r.Device {
		return err
	}
	return p.settlement(l)
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
