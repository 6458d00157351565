package sync

import (
	gosync "sync"

	"golang.org/x/mod/sumdb/tlog"

	"flette/journal"
	"flette/model"
	"flette/store"
)

// sealCommit runs once per commit group: it appends the leaves of all entries that the group
// added and signs one checkpoint over them (S9). A store that has begun a new life signs
// anew what it holds, under the name of that life.
func (e *Engine) sealCommit(tenant model.TenantID, tx store.Tx) error {
	size, origin := tx.Size(), journal.Origin(tenant, tx.Tenant().Epoch)
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
		if sealed == size && cp.Origin == origin {
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
	cp := journal.Checkpoint{Origin: origin, Size: size, Root: root}
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
