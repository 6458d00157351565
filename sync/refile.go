package sync

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// DerivedKinds are the documents that follow from the journal: Refile makes them again.
func DerivedKinds() []store.Kind {
	return []store.Kind{
		store.Review{}.DocKind(), store.OpenReview{}.DocKind(), store.QuarantineItem{}.DocKind(),
		store.QuarantineRef{}.DocKind(), store.OpenQuarantine{}.DocKind(), store.Settlement{}.DocKind(),
	}
}

// Refiled is what became of the entries of another file's journal.
type Refiled struct {
	Filed   int64           // entries
	Changed []RefiledChange // entries that take effect otherwise than before, because others are missing
}

// RefiledChange is an entry whose judgement is another now.
type RefiledChange struct {
	ID       model.EntryID `json:"id"`
	Position int64         `json:"position"` // now
	Was      string        `json:"was"`
	Is       string        `json:"is"`
}

const refileGroup = 200

// Refile files the entries of a journal anew at the end of this one, in order: with the stamp
// that each was given when it was received, and the quarantine that it was in. Everything
// derived from them is made again. Without a gap the result is the journal that it was; with
// one, what rested on a missing entry may be judged otherwise. item gives what was written
// about a quarantined entry, nil when that is not known. The entries must be authentic.
func (e *Engine) Refile(ctx context.Context, tenant model.TenantID, entries func(yield func(*store.LogEntry, *store.QuarantineItem) bool)) (Refiled, error) {
	var out Refiled
	ts, err := e.tenant(tenant)
	if err != nil {
		return out, err
	}
	type filing struct {
		l    *store.LogEntry
		item *store.QuarantineItem
	}
	var group []filing
	touched := map[model.PersonID]bool{}
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		var changed []RefiledChange
		_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
			changed = nil
			b := &batch{e: e, ts: ts, tx: tx, received: e.o.Now()}
			for _, f := range group {
				is, err := b.refile(f.l, f.item)
				if err != nil {
					return err
				}
				if was := f.l.Outcome.String(); is.Outcome != was {
					changed = append(changed, RefiledChange{f.l.ID, is.Position, was, is.Outcome})
				}
			}
			for p := range b.touched {
				touched[p] = true
			}
			b.touched = nil // rules run once for each person, at the end
			return b.finish()
		})
		out.Filed += int64(len(group))
		out.Changed = append(out.Changed, changed...)
		group = group[:0]
		return err
	}
	entries(func(l *store.LogEntry, item *store.QuarantineItem) bool {
		if group = append(group, filing{l, item}); len(group) == refileGroup {
			err = flush()
		}
		return err == nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return out, err
	}
	return out, e.rulesAnew(ctx, tenant, touched)
}

// refile files one entry as it was judged before.
func (b *batch) refile(l *store.LogEntry, item *store.QuarantineItem) (res Result, err error) {
	c := &candidate{jws: &model.JWS{ID: l.ID, Device: l.Device, Header: l.Header, Payload: l.Payload, Signature: l.Signature}, stamp: l.Stamp}
	tenant := b.tx.Tenant().ID
	if c.entry, err = model.DecodeEntry(l.Payload); err != nil {
		c.unread(b.ts, tenant, l.Code, l.Stamp.Hi)
		c.stamp = l.Stamp
		c.quarantine(asProblem(err))
	} else if lease, err := parseLease(tenant, b.ts.keys, l.Device, c.entry.Actor, c.entry.Lease); err == nil {
		c.lease, c.leaseOK = lease, true
	}
	if c.frame() != nil {
		if err := b.chain(c); err != nil {
			return res, err
		}
	}
	switch {
	case l.Outcome == store.Quarantined && item != nil:
		c.problem = &model.Problem{Code: item.Code, Pointer: item.Pointer, Detail: item.Detail, Rule: item.Rule}
	case l.Outcome == store.Quarantined:
		c.problem = model.Problemf(l.Code, "", "the reason was lost with a damaged file")
	default:
		c.problem = nil // what was let through stays let through
	}
	c.again = true
	err = b.apply(c, &res)
	return res, err
}

// refiledFindings gives the states of findings that an entry settled, as it was judged then. A
// state whose document is lost keeps no digest of what was judged: the finding is open.
func (b *batch) refiledFindings(en *model.Entry) (*effect, error) {
	eff := &effect{}
	for i := range en.Changes {
		ref, err := model.ParseFinding(en.Changes[i].Unit)
		if err != nil {
			return nil, err
		}
		s := store.FindingState{Person: en.Person, Rule: ref.Rule, Unit: ref.Unit, State: findingStateAfter(en.Act)}
		old, err := store.Get[store.FindingState](b.tx, s.DocKey())
		if err = ignoreNotFound(err); err != nil {
			return nil, err
		}
		s.Digest = old.Digest // of the newest settlement, which is filed last
		eff.findings = append(eff.findings, s)
	}
	return eff, nil
}

// rulesAnew evaluates everything about everybody: who has a record, and who has entries only.
func (e *Engine) rulesAnew(ctx context.Context, tenant model.TenantID, who map[model.PersonID]bool) error {
	err := e.st.View(ctx, tenant, func(v store.View) error {
		known, err := store.List[store.Person](v, "", "", 0)
		for i := range known {
			who[known[i].ID] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	persons := slices.SortedFunc(maps.Keys(who), func(a, b model.PersonID) int { return bytes.Compare(a[:], b[:]) })
	for group := range slices.Chunk(persons, refileGroup) {
		_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
			for _, p := range group {
				units := []model.Unit{}
				err := tx.Units(p, "", "", func(s *model.UnitState) bool {
					units = append(units, s.Unit)
					return true
				})
				if err == nil && len(units) > 0 {
					err = e.o.Rules(tx, p, units, e.o.Now())
				}
				if err == nil {
					err = e.o.Rules(tx, p, nil, e.o.Now())
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Evidence is what speaks for a log entry that was found in a damaged file.
type Evidence struct {
	Sum    bool                                            // its checksum holds
	Live   bool                                            // it stands where nothing older can
	Device func(model.DeviceID) (store.Device, bool)       // devices that are known
	Leaf   func(storedHash int64) (hash [32]byte, ok bool) // stored hashes of the journal's tree
}

// Authentic reports why a log entry cannot be taken for what a device signed and the journal
// holds at its position; nil when it can. What neither signature nor leaf covers of an entry
// without its checksum is computed again from what they do cover.
func (e *Engine) Authentic(tenant model.TenantID, l *store.LogEntry, ev Evidence) error {
	j, err := model.ParseJWS(l.Compact())
	if err != nil || j.ID != l.ID || j.Device != l.Device {
		return errors.New("the bytes are not those of the entry's id")
	}
	d, known := ev.Device(l.Device)
	if known {
		// Any key that the device has had, as in verify.
		if _, ok := e.signedBy(&d, j); !ok {
			return errors.New("the signature does not hold")
		}
	}
	if !ev.Sum {
		ts, err := e.tenant(tenant)
		if err != nil {
			return err
		}
		c := &candidate{jws: j}
		c.stamp = conflict.Interval(conflict.Claim{Clock: model.ClockNone, ReceivedAt: l.Stamp.Hi, Wall: l.Stamp.Hi})
		if c.entry, err = model.DecodeEntry(l.Payload); err == nil {
			c.authority(ts, tenant, l.Stamp.Hi)
		} else {
			c.unread(ts, tenant, l.Code, l.Stamp.Hi)
		}
		l.Stamp = c.stamp
	}
	want, stored := ev.Leaf(tlog.StoredHashIndex(0, l.Position))
	switch {
	case stored && want != LeafOf(l).Hash():
		return errors.New("the journal's tree has another entry there")
	case !(ev.Sum && ev.Live) && (!stored || !known):
		return errors.New("nothing vouches for it: its checksum does not fit or it may be old, and the tree or the device is lost too")
	}
	return nil
}

// RestoreDesk makes the tenant's review desk a device when it is none.
func (e *Engine) RestoreDesk(ctx context.Context, tenant model.TenantID) error {
	ts, err := e.tenant(tenant)
	if err != nil {
		return err
	}
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		if err := knows(tx, ts.desk.id, ""); !errors.Is(err, ErrUnknownDevice) {
			return err
		}
		if err := store.Put(tx, ts.desk.device(e.o.Now())); err != nil {
			return err
		}
		return store.Put(tx, ts.importer.device(e.o.Now()))
	})
	return err
}

// BeginLifeAt is BeginLife for a journal that was made anew and is the one of the epoch only
// as far as size: what a tablet holds beyond it is sent again. Lives that the record names
// are cut down too.
func (e *Engine) BeginLifeAt(ctx context.Context, tenant model.TenantID, size int64) (store.Tenant, error) {
	epoch, err := e.newEpoch()
	if err != nil {
		return store.Tenant{}, err
	}
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		t := tx.Tenant()
		t.Lives = slices.Clone(t.Lives)
		for i := range t.Lives {
			t.Lives[i].Size = min(t.Lives[i].Size, size)
		}
		return tx.PutTenant(t)
	})
	if err != nil {
		return store.Tenant{}, err
	}
	return e.beginLife(ctx, tenant, epoch, func(v store.View) store.Life {
		t := v.Tenant()
		return store.Life{Epoch: t.Epoch, Size: size, Caseload: t.CaseloadSeq, Forked: t.Forked}
	})
}
