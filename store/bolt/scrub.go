package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"flette/model"
	"flette/store"
)

// The walk of all pages in use reads every page once and judges its place in the tree, the
// order of its keys and the checksum of every value. What a flipped bit anywhere in a live
// page can do shows here, also what no read can see: a page number that leads to an older
// version of the page it stood for. It is done at every open, and again by Scrub.

// newFullWalk also verifies the checksum of every value.
func newFullWalk(file io.ReaderAt, pageSize int) *pageWalk {
	w := newPageWalk(file, pageSize)
	tables := map[string]*table{}
	w.value = func(bucket string, key, framed []byte) error {
		tb := tables[bucket]
		if tb == nil {
			t := nameTable(bucket)
			tb, tables[bucket] = &t, &t
		}
		_, err := tb.open(key, framed)
		return err
	}
	return w
}

// walk reads the file of a tenant that nobody writes to yet.
func (t *tenant) walk() error {
	if err := newFullWalk(t.file, t.pages).run(); err != nil {
		return t.damaged(err)
	}
	return nil
}

func (t *tenant) damaged(err error) error {
	return fmt.Errorf("%w: tenant %s: %w", store.ErrCorrupt, t.id, err)
}

// Scrub walks every page of a snapshot of the tenant and verifies every checksum, while
// updates go on; ErrCorrupt names the damage. pace is told how many bytes were read and may
// wait or end the walk with an error; nil for full speed. Pages that are freed meanwhile are
// not reused before it ends, so the file grows by what is written until then, and an update
// that outgrows the mapped size (Options.InitialMmapSize) waits for it.
func (s *Store) Scrub(ctx context.Context, id model.TenantID, pace func(bytes int) error) error {
	t, err := s.tenant(id)
	if err != nil {
		return err
	}
	file, err := os.Open(t.path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := newFullWalk(file, t.pages)
	w.pace = func(n int) error {
		if err := ctx.Err(); err != nil || pace == nil {
			return err
		}
		return pace(n)
	}
	t.write.Lock() // the meta pages and the snapshot must be of one commit
	root, freelist, ok := w.metas()
	btx, err := t.db.Begin(false)
	t.write.Unlock()
	if err != nil {
		return store.ErrClosed
	}
	defer btx.Rollback()
	if ok {
		w.follow(root, freelist)
	}
	if w.ended != nil {
		return w.ended
	}
	if err := errors.Join(w.errs...); err != nil {
		return t.damaged(err)
	}
	return nil
}
