package sync

import (
	"context"
	"encoding/base32"
	"errors"
	"io"
	"slices"
	"strings"

	"flette/journal"
	"flette/model"
	"flette/store"
)

// RewoundError says that a tablet holds a checkpoint that this store does not continue: the
// server was restored from a backup, re-created or tampered with. The tablet sends again
// what it keeps (T5).
type RewoundError struct {
	Epoch  string // the present life of this store
	Held   int64  // journal size of the tablet's checkpoint
	Size   int64  // see checkCheckpoint
	Forked bool   // the present life itself went two ways
	Reason string
}

// Error gives the reason.
func (r *RewoundError) Error() string { return "store rewound: " + r.Reason }

// ErrBadCheckpoint means that a presented checkpoint is not one of this tenant's.
var ErrBadCheckpoint = errors.New("sync: checkpoint is not signed by this tenant's journal")

// checkCheckpoint judges the newest checkpoint a tablet holds (S12). nil when ours continues
// it, in this life or from a former one.
//
// Size of a RewoundError is what the tablet goes by. With another epoch than the tablet's it
// is the fork point: what the tablet got receipts for below it is in this store, what lies
// above may not be; 0 when nothing is known. With the same epoch it is only how much this
// store holds: the life went two ways under one name.
func (ts *tenantState) checkCheckpoint(v store.View, text string) error {
	if text == "" {
		return nil
	}
	if ts.issued.has(text) {
		return nil
	}
	cp, err := ts.verifier.Verify([]byte(text))
	if err != nil {
		return ErrBadCheckpoint
	}
	t := v.Tenant()
	end, fork, known := v.Size(), v.Size(), true
	present := cp.Origin == journal.Origin(t.ID, t.Epoch)
	if !present {
		var life store.Life
		life, known = lifeOf(&t, func(epoch string) bool { return cp.Origin == journal.Origin(t.ID, epoch) })
		end, fork = min(life.Size, v.Size()), life.Size
		if life.Forked {
			fork = 0
		}
	}
	rewound := func(size int64, why string) error {
		return &RewoundError{Epoch: t.Epoch, Held: cp.Size, Size: size, Forked: present, Reason: why}
	}
	if !known {
		return rewound(0, "the checkpoint belongs to a life that this store has never had")
	}
	standing, err := journal.Same(cp, end, journal.Reader(v))
	switch {
	case err != nil:
		return err
	case standing == journal.Consistent:
		ts.issued.add(text)
		return nil
	case standing == journal.Ahead:
		return rewound(fork, "the checkpoint is ahead of what this store has of its life")
	case present:
		return rewound(fork, "the checkpoint has another root than this store")
	}
	return rewound(0, "the checkpoint of a former life has another root than this store")
}

// lifeOf finds a former life, the newest first.
func lifeOf(t *store.Tenant, is func(epoch string) bool) (store.Life, bool) {
	for _, l := range slices.Backward(t.Lives) {
		if is(l.Epoch) {
			return l, true
		}
	}
	return store.Life{}, false
}

// noteRewound tells the operator that a tablet holds more than the store, in the log and in
// the device's diary. That it fails must not keep the tablet from hearing it.
func (e *Engine) noteRewound(ctx context.Context, r PushRequest, w *RewoundError, at model.Millis) {
	e.o.Log.Error("a tablet holds a checkpoint that this store does not continue; it sends again what it keeps",
		"tenant", string(r.Tenant), "device", r.Device.String(), "held", w.Held, "from", w.Size, "reason", w.Reason)
	_, err := e.st.Update(ctx, r.Tenant, nil, func(tx store.Tx) error {
		if t := tx.Tenant(); w.Forked && !t.Forked {
			t.Forked = true
			if err := tx.PutTenant(t); err != nil {
				return err
			}
		}
		if r.Device.IsZero() {
			return nil
		}
		d, err := store.Get[store.Diary](tx, r.Device.String())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		d.Device, d.Rewound = r.Device, &store.Rewound{At: at, Held: w.Held, Size: w.Size}
		return store.Put(tx, d)
	})
	if err != nil {
		e.o.Log.Error("the rewound contact was not noted", "device", r.Device.String(), "error", err)
	}
}

// BeginLife gives the tenant's store a new life: the present epoch joins the former ones,
// and the checkpoint is signed anew under a fresh one (G8). It is called on a store that was
// restored from a copy, before anybody is served from it. forked says that the present epoch
// may have gone two ways already: see [store.Life].
func (e *Engine) BeginLife(ctx context.Context, tenant model.TenantID, forked bool) (store.Tenant, error) {
	epoch, err := e.newEpoch()
	if err != nil {
		return store.Tenant{}, err
	}
	return e.beginLife(ctx, tenant, epoch, func(v store.View) store.Life {
		t := v.Tenant()
		return store.Life{Epoch: t.Epoch, Size: v.Size(), Caseload: t.CaseloadSeq, Forked: forked || t.Forked}
	})
}

func (e *Engine) beginLife(ctx context.Context, tenant model.TenantID, epoch string, ended func(store.View) store.Life) (store.Tenant, error) {
	var t store.Tenant
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		life := ended(tx)
		life.Ended = e.o.Now()
		t = tx.Tenant()
		t.Lives = append(slices.Clone(t.Lives), life)
		t.Epoch, t.Forked = epoch, false
		return tx.PutTenant(t)
	})
	if err != nil {
		return store.Tenant{}, err
	}
	if ts, err := e.tenant(tenant); err == nil {
		ts.hub.all()
	}
	return t, nil
}

// newEpoch is 128 random bits, in letters and digits that an origin may hold.
func (e *Engine) newEpoch() (string, error) {
	var raw [16]byte
	if _, err := io.ReadFull(e.o.Rand, raw[:]); err != nil {
		return "", err
	}
	return strings.TrimRight(base32.StdEncoding.EncodeToString(raw[:]), "="), nil
}
