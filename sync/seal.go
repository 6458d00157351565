package sync

import (
	"errors"
	gosync "sync"

	"golang.org/x/mod/sumdb/tlog"

	"flette/journal"
	"flette/model"
	"flette/store"
)

// sealCommit runs once per commit group: it appends the leaves of all entries that the group
// added and signs one checkpoint over them (S9).
func (e *Engine) sealCommit(tenant model.TenantID, tx store.Tx) error {
	size := tx.Size()
	var sealed int64
	text, err := tx.Checkpoint()
	if err != nil {
		return err
	}
	if text != nil {
		cp, err := journal.ParseUnverified(text)
		if err != nil {
			return err
		}
		sealed = cp.Size
		if sealed == size {
			return nil
		}
	}
	ts, err := e.tenant(tenant)
	if err != nil {
		return err
	}
	leaves := make([]tlog.Hash, 0, size-sealed)
	for p := sealed; p < size; p++ {
		entry, err := tx.Entry(p)
		if err != nil {
			return err
		}
		leaves = append(leaves, LeafOf(entry).Hash())
	}
	read := journal.Reader(tx)
	first, hashes, err := journal.Append(sealed, leaves, read)
	if err != nil {
		return err
	}
	if err := tx.PutTreeHashes(first, hashes); err != nil {
		return err
	}
	root, err := journal.Root(size, journal.Overlay(read, first, hashes))
	if err != nil {
		return err
	}
	cp := journal.Checkpoint{Origin: journal.Origin(tenant, tx.Tenant().Epoch), Size: size, Root: root}
	signed, err := ts.signer.Sign(cp)
	if err != nil {
		return err
	}
	return tx.PutCheckpoint(signed)
}

// LeafOf is the journal leaf of a log entry: what inclusion proofs speak of.
func LeafOf(l *store.LogEntry) journal.Leaf {
	return journal.Leaf{
		ID: l.ID, ReceivedAt: l.Stamp.Hi, TEff: l.Stamp.TEff, Class: l.Stamp.Class,
		Outcome: l.Outcome.String(), Code: l.Code,
	}
}

// RewoundError says that a tablet holds a checkpoint that this store cannot continue: the
// server was restored from a backup, re-created or tampered with.
type RewoundError struct {
	Size   int64 // what this store can prove
	Reason string
}

// Error gives the reason.
func (r *RewoundError) Error() string { return "store rewound: " + r.Reason }

// ErrBadCheckpoint means that a presented checkpoint is not one of this tenant's.
var ErrBadCheckpoint = errors.New("sync: checkpoint is not signed by this tenant's journal")

// checkCheckpoint judges the newest checkpoint a tablet holds. nil when ours continues it.
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
	if cp.Origin != journal.Origin(t.ID, t.Epoch) {
		return &RewoundError{Size: v.Size(), Reason: "the checkpoint belongs to another life of this store"}
	}
	standing, err := journal.Same(cp, v.Size(), journal.Reader(v))
	if err != nil {
		return err
	}
	if standing != journal.Consistent {
		return &RewoundError{Size: v.Size(), Reason: "the checkpoint is " + standing.String() + " of this store"}
	}
	ts.issued.add(text)
	return nil
}

// rootCache remembers the checkpoints that were found good lately, so that a tablet which
// presents what it got a minute ago costs no signature check.
type rootCache struct {
	mu    gosync.Mutex
	known map[string]struct{}
	order []string
	next  int
}

const rootCacheSize = 1024

func (c *rootCache) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.known[text]
	return ok
}

func (c *rootCache) add(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]struct{}, rootCacheSize)
		c.order = make([]string, rootCacheSize)
	}
	if _, ok := c.known[text]; ok {
		return
	}
	delete(c.known, c.order[c.next])
	c.order[c.next] = text
	c.known[text] = struct{}{}
	c.next = (c.next + 1) % rootCacheSize
}
