package sync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"flette/conflict"
	"flette/journal"
	"flette/model"
	"flette/store"
)

// Report is what Verify found.
type Report struct {
	Tenant     model.TenantID `json:"tenant"`
	Epoch      string         `json:"epoch"`
	Entries    int64          `json:"entries"`
	Persons    int            `json:"persons"`
	Units      int            `json:"units"`
	Signatures int            `json:"signatures"`
	Checkpoint string         `json:"checkpoint"`
	// FormerRules says that findings follow another version of the rules, so that they were not
	// compared: a server judges them anew when it starts.
	FormerRules bool     `json:"former_rules,omitempty"`
	Problems    []string `json:"problems"` // empty when everything holds
	Dropped     int      `json:"dropped,omitempty"`
}

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

const maxReported = 200

func (r *Report) add(format string, args ...any) {
	if len(r.Problems) == maxReported {
		r.Dropped++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Checks of what is derived from units by packages above this one.
type Checks struct {
	// Person recomputes what the rules derived for a person and lists differences.
	Person func(v store.View, person model.PersonID) ([]string, error)
	// Tenant checks what stands beside persons (the extract ledger).
	Tenant func(v store.View) ([]string, error)
}

// Verify replays the journal and compares every derived table with it: ids, signatures,
// leaves, tree hashes and checkpoint, indexes by device and person, device chains, unit
// states, unit chains, outcomes, reviews and quarantine. The journal is the truth; a
// difference means that something was lost, changed or hidden.
func (e *Engine) Verify(ctx context.Context, tenant model.TenantID, checks Checks, progress func(done, of int64)) (*Report, error) {
	r := &Report{Tenant: tenant, Problems: []string{}}
	if err := e.st.Check(ctx, tenant); err != nil {
		r.add("the store's own check: %v", err)
	}
	ts, err := e.tenant(tenant)
	if err != nil {
		return nil, err
	}
	err = e.st.View(ctx, tenant, func(v store.View) error {
		w := &verifier{e: e, ts: ts, v: v, r: r, chains: map[model.DeviceID]*replayChain{}, persons: map[model.PersonID]bool{}, asked: map[string]store.Review{}, judged: map[string]store.FindingState{}}
		r.Epoch, r.Entries = v.Tenant().Epoch, v.Size()
		if err := w.log(ctx, progress); err != nil {
			return err
		}
		if err := w.checkpoint(); err != nil {
			return err
		}
		if err := w.deviceChains(); err != nil {
			return err
		}
		if err := w.people(ctx, checks); err != nil {
			return err
		}
		return errors.Join(w.quarantine(), w.findingStates(), w.caseloads(), w.catalogues())
	})
	return r, err
}

type verifier struct {
	e       *Engine
	ts      *tenantState
	v       store.View
	r       *Report
	hashes  [][32]byte
	chains  map[model.DeviceID]*replayChain
	persons map[model.PersonID]bool
	asked   map[string]store.Review // expected
	held    []heldEntry
	settled map[model.EntryID]store.LogEntry
	judged  map[string]store.FindingState // expected, by key
}

// heldEntry is the quarantine item that a log entry calls for; pointer, detail and rule are
// what the judge found then, and only the item has them.
type heldEntry struct {
	position int64
	item     store.QuarantineItem
}

// log walks every position: bytes, signature, indexes, tree.
func (w *verifier) log(ctx context.Context, progress func(done, of int64)) error {
	w.settled = map[model.EntryID]store.LogEntry{}
	grown := journal.Overlay(nil, 0, nil)
	for p := range w.v.Size() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if progress != nil && p%256 == 0 {
			progress(p, w.v.Size())
		}
		l, err := w.v.Entry(p)
		if err != nil {
			w.r.add("position %d: %v", p, err)
			// Without this leaf nothing above it can be proven.
			return nil
		}
		first, add, err := journal.Append(p, []tlog.Hash{LeafOf(l).Hash()}, grown)
		if err != nil {
			return err
		}
		w.hashes = append(w.hashes, add...)
		grown = journal.Overlay(nil, 0, w.hashes)
		w.compareHashes(p, first, add)
		if err := w.entry(p, l); err != nil {
			return err
		}
	}
	return nil
}

func (w *verifier) compareHashes(p, first int64, want [][32]byte) {
	indexes := make([]int64, len(want))
	for i := range indexes {
		indexes[i] = first + int64(i)
	}
	got, err := w.v.ReadTreeHashes(indexes)
	if err != nil {
		w.r.add("position %d: tree hashes: %v", p, err)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			w.r.add("position %d: a stored tree hash is not that of the log", p)
			return
		}
	}
}

func (w *verifier) entry(p int64, l *store.LogEntry) error {
	if l.Position != p {
		w.r.add("position %d: the entry says it is at %d", p, l.Position)
	}
	j, err := model.ParseJWS(l.Compact())
	if err != nil || j.ID != l.ID || j.Device != l.Device {
		w.r.add("position %d: the stored bytes are not those of the entry's id", p)
		return nil
	}
	if err := w.signature(p, j); err != nil {
		return err
	}
	en, err := model.DecodeEntry(l.Payload)
	signed := &candidate{jws: j, entry: en}
	switch {
	case l.Outcome == store.Quarantined && (err != nil || l.Code == CodeUnknownVersion):
		// What a server of today can read was filed by one that could not.
		signed.unread(w.ts, w.r.Tenant, l.Code, l.Stamp.Hi)
	case err != nil:
		signed.unread(w.ts, w.r.Tenant, l.Code, l.Stamp.Hi)
		w.r.add("position %d: an entry that cannot be read is marked %s", p, l.Outcome)
	default:
		signed.ownLease(w.ts, w.r.Tenant, en.Actor, en.Lease)
	}
	want := signed.filed()
	if l.Roles != want.Roles {
		w.r.add("position %d: the roles are not those of the lease that was signed", p)
	}
	if l.Person != want.Person || l.Actor != want.Actor || l.Act != want.Act || l.Seq != want.Seq {
		w.r.add("position %d: person, actor, act or seq are not those that were signed", p)
	}
	if l.Person.IsZero() {
		w.leadsHere(l)
	} else {
		w.persons[l.Person] = true // leadsHere waits for the person's turn: see EntryPosition
		at, err := w.v.PersonPositions(l.Person, p-1, 1)
		if err != nil || len(at) != 1 || at[0] != p {
			w.r.add("position %d: the index by person does not lead here", p)
		}
	}
	if l.Seq > 0 {
		at, err := w.v.EntryOf(l.Device, l.Seq, l.ID)
		if err != nil || at != p {
			w.r.add("position %d: the index by device does not lead here", p)
		}
		if f := signed.frame(); f != nil {
			w.chain(l, f.Prev)
		}
	}
	if l.Outcome == store.Quarantined {
		w.held = append(w.held, heldEntry{p, store.QuarantineItem{
			Position: p, ID: l.ID, Person: l.Person, Device: l.Device, Actor: l.Actor,
			Code: l.Code, State: StateOpen, Received: l.Stamp.Hi,
		}})
	} else if en != nil && en.SettlesFindings() {
		w.findings(en, l)
	} else if en != nil && (en.Act == model.ActRelease || en.Act == model.ActClose) {
		w.settled[*en.Changes[0].Target] = *l
	}
	return nil
}

func (w *verifier) leadsHere(l *store.LogEntry) {
	if at, err := w.v.EntryPosition(l.Person, l.ID); err != nil || at != l.Position {
		w.r.add("position %d: the entry's id does not lead here", l.Position)
	}
}

func (w *verifier) signature(p int64, j *model.JWS) error {
	d, err := store.Get[store.Device](w.v, j.Device.String())
	if errors.Is(err, store.ErrNotFound) {
		w.r.add("position %d: the device that signed is not known here", p)
		return nil
	}
	if err != nil {
		return err
	}
	// Any key that the device has had: which seq each is good for is a matter of admission.
	if _, ok := w.e.signedBy(&d, j); !ok {
		w.r.add("position %d: the signature does not hold", p)
		return nil
	}
	w.r.Signatures++
	return nil
}

func (w *verifier) checkpoint() error {
	text, err := w.v.Checkpoint()
	if err != nil {
		return err
	}
	w.r.Checkpoint = string(text)
	if text == nil {
		if w.v.Size() > 0 {
			w.r.add("there is no checkpoint over %d entries", w.v.Size())
		}
		return nil
	}
	cp, err := w.ts.verifier.Verify(text)
	if err != nil {
		w.r.add("the checkpoint is not signed by this tenant's journal key")
		return nil
	}
	if cp.Size != w.v.Size() {
		w.r.add("the checkpoint covers %d entries, the log has %d", cp.Size, w.v.Size())
		return nil
	}
	root, err := journal.Root(cp.Size, journal.Overlay(nil, 0, w.hashes))
	if err != nil || root != cp.Root {
		w.r.add("the checkpoint's root is not that of the log")
	}
	return nil
}

// replayChain is a device's chain as the log tells it.
type replayChain struct {
	store.Chain
	ids map[int64]model.EntryID
}

func (w *verifier) chain(l *store.LogEntry, prev string) {
	c := w.chains[l.Device]
	if c == nil {
		c = &replayChain{ids: map[int64]model.EntryID{}}
		w.chains[l.Device] = c
	}
	if _, taken := c.ids[l.Seq]; taken {
		c.Forked = true
		return
	}
	_ = linkChain(&c.Chain, l.Seq, l.ID, prev, func(seq int64) (model.EntryID, bool, error) {
		id, ok := c.ids[seq]
		return id, ok, nil // never an error, so linkChain gives none
	})
	c.ids[l.Seq] = l.ID
}

func (w *verifier) deviceChains() error {
	for id, want := range w.chains {
		got, err := w.v.Chain(id)
		if err != nil {
			return err
		}
		if got.Last != want.Last || got.LastID != want.LastID || got.Forked != want.Forked ||
			got.Broken != want.Broken || !slices.Equal(got.Missing, want.Missing) {
			w.r.add("device %s: the stored chain is not that of the log", id)
		}
	}
	return nil
}

// people replays each person's entries and compares units, chains, outcomes and reviews.
func (w *verifier) people(ctx context.Context, checks Checks) error {
	known, err := store.List[store.Person](w.v, "", "", 0)
	if err != nil {
		return err
	}
	for i := range known {
		w.persons[known[i].ID] = true
	}
	ids := make([]model.PersonID, 0, len(w.persons))
	for p := range w.persons {
		ids = append(ids, p)
	}
	slices.SortFunc(ids, func(a, b model.PersonID) int { return bytes.Compare(a[:], b[:]) })
	current, err := w.e.rulesAreCurrent(w.v)
	if err != nil {
		return err
	}
	w.r.FormerRules = !current
	for _, p := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.person(p); err != nil {
			return err
		}
		if checks.Person == nil || !current {
			continue
		}
		diff, err := checks.Person(w.v, p)
		if err != nil {
			return err
		}
		for _, d := range diff {
			w.r.add("person %s: %s", p, d)
		}
	}
	w.r.Persons = len(ids)
	if err := w.reviews(); err != nil || checks.Tenant == nil {
		return err
	}
	diff, err := checks.Tenant(w.v)
	for _, d := range diff {
		w.r.add("%s", d)
	}
	return err
}

func (w *verifier) person(p model.PersonID) error {
	states := map[model.Unit]*model.UnitState{}
	nodes := map[model.Unit][]conflict.Node{}
	named := map[model.Unit]map[model.EntryID]bool{}
	err := EachEntry(w.v, p, w.v.Size(), func(l *store.LogEntry) error {
		w.leadsHere(l)
		en, held, err := Effective(w.v, l)
		if err != nil {
			w.r.add("position %d: %v", l.Position, err)
			return nil
		}
		if en == nil {
			return nil
		}
		return w.replay(l, en, held, states, nodes, named)
	})
	if err != nil {
		return err
	}
	seen := 0
	err = w.v.Units(p, "", "", func(got *model.UnitState) bool {
		seen++
		if len(nodes[got.Unit]) == 0 {
			w.r.add("person %s unit %s: stored, but no entry set it", p, got.Unit)
			return true
		}
		want := conflict.Rebuild(got.Unit, nodes[got.Unit], w.e.o.Catalogue.Policy(got.Unit))
		if !bytes.Equal(store.AppendUnitState(nil, got), store.AppendUnitState(nil, &want)) {
			w.r.add("person %s unit %s: the stored state is not that of the journal", p, got.Unit)
		}
		return true
	})
	if err != nil {
		w.r.add("person %s: units: %v", p, err)
	}
	if err == nil && seen != len(states) {
		w.r.add("person %s: %d units are stored, the journal gives %d", p, seen, len(states))
	}
	w.r.Units += len(states)
	return nil
}

func (w *verifier) replay(l *store.LogEntry, en *model.Entry, held *store.LogEntry,
	states map[model.Unit]*model.UnitState, nodes map[model.Unit][]conflict.Node,
	named map[model.Unit]map[model.EntryID]bool) error {
	outcome := store.Applied
	if len(l.UnitPrev) != len(en.Changes) {
		w.r.add("position %d: the unit chain does not fit the entry", l.Position)
		return nil
	}
	for i := range en.Changes {
		u := en.Changes[i].Unit
		before := states[u]
		prev, was := int64(-1), false
		if before != nil {
			prev, was = before.Position, before.Class.NeedsReview()
		}
		if l.UnitPrev[i] != prev {
			w.r.add("position %d: the unit chain of %s leads to %d, not %d", l.Position, u, l.UnitPrev[i], prev)
		}
		state := model.UnitState{Unit: u, Position: -1}
		if before != nil {
			state = *before
		}
		n := nodeOf(en, i, held, l.Position)
		after, err := conflict.Apply(state, n, w.e.o.Catalogue.Policy(u),
			func(id model.EntryID) bool { return named[u][id] },
			func() ([]conflict.Node, error) { return nodes[u], nil })
		if err != nil {
			w.r.add("position %d: the replay of %s fails: %v", l.Position, u, err)
			continue
		}
		nodes[u] = append(nodes[u], n)
		if named[u] == nil {
			named[u] = map[model.EntryID]bool{}
		}
		named[u][held.ID] = true
		if is := after.Class.NeedsReview(); was || is {
			review := conflict.ReviewID(l.Person, u)
			w.asked[review] = nextReview(w.asked[review], l, &after)
			if is && isHead(&after, held.ID) {
				outcome = store.Conflict
			}
		}
		states[u] = &after
	}
	if outcome != l.Outcome {
		w.r.add("position %d: marked %s, the replay gives %s", l.Position, l.Outcome, outcome)
	}
	return nil
}

// reviews compares the reviews and the queue of open ones with those of the replay.
func (w *verifier) reviews() error {
	got, err := store.List[store.Review](w.v, "", "", 0)
	if err != nil {
		return err
	}
	queue, err := store.List[store.OpenReview](w.v, "", "", 0)
	if err != nil {
		return err
	}
	queued := map[string]int64{}
	for _, o := range queue {
		if want, ok := w.asked[o.ID]; !ok || want.State != StateOpen || want.Opened != o.Opened {
			w.r.add("review %s: in the queue, but the journal has nothing to decide there", o.ID)
			continue
		}
		queued[o.ID] = o.Opened
	}
	stored := map[string]bool{}
	for _, r := range got {
		stored[r.ID] = true
		if r != w.asked[r.ID] {
			w.r.add("review %s: its record is not that of the journal", r.ID)
		}
	}
	for id, want := range w.asked {
		if !stored[id] {
			w.r.add("review %s: it has no record", id)
		}
		if _, ok := queued[id]; !ok && want.State == StateOpen {
			w.r.add("review %s: to be decided, but not in the queue", id)
		}
	}
	return nil
}

func (w *verifier) quarantine() error {
	open := 0
	for _, h := range w.held {
		item, err := store.Get[store.QuarantineItem](w.v, store.PositionKey(h.position))
		if err != nil {
			w.r.add("position %d: quarantined, but its item is not readable: %v", h.position, err)
			continue
		}
		want := h.item
		if by, ok := w.settled[want.ID]; ok {
			want.State, want.By = StateReleased, by.ID
			if by.Act == model.ActClose {
				want.State = StateClosed
			}
		} else {
			open++
		}
		want.Pointer, want.Detail, want.Rule = item.Pointer, item.Detail, item.Rule
		if item != want {
			w.r.add("position %d: the quarantine item is not that of the journal", h.position)
		}
		ref := store.OpenQuarantine{Device: want.Device, Position: h.position}
		_, err = w.v.Doc(ref.DocKind(), ref.DocKey())
		if (err == nil) != (want.State == StateOpen) {
			w.r.add("position %d: the quarantine queue does not match the journal", h.position)
		}
	}
	items, err := store.List[store.QuarantineItem](w.v, "", "", 0)
	if err != nil {
		return err
	}
	queue, err := store.List[store.OpenQuarantine](w.v, "", "", 0)
	if err != nil {
		return err
	}
	if len(items) > len(w.held) || len(queue) > open {
		w.r.add("quarantine: %d items and %d in the queue, the journal gives %d and %d", len(items), len(queue), len(w.held), open)
	}
	return nil
}
