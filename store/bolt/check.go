package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
)

const maxCheckErrors = 100

// Check verifies the pages of the tenant's file, bbolt's structure, every checksum and
// encoding, and that the indexes say what the log says. Updates wait while pages and
// structure are walked. It is a long view: see the package comment.
func (s *Store) Check(ctx context.Context, id model.TenantID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := s.tenant(id)
	if err != nil {
		return err
	}
	c := &checker{ctx: ctx, tenant: t}
	if err := c.structure(); err != nil {
		return err
	}
	defer c.btx.Rollback()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	c.content()
	return errors.Join(c.errs...)
}

type checker struct {
	ctx    context.Context
	tenant *tenant
	btx    *bbolt.Tx
	*view
	errs  []error
	twins int64 // entries whose seq another entry had before
}

func (c *checker) report(err error) {
	if err != nil && len(c.errs) < maxCheckErrors {
		c.errs = append(c.errs, err)
	}
}

// structure opens the transaction that content reads, after looking at the pages and at
// bbolt's structure while nobody writes: both need the state of one moment.
func (c *checker) structure() error {
	t := c.tenant
	t.write.Lock()
	defer t.write.Unlock()
	// A descriptor of its own: bbolt's may be closed at any time.
	file, err := os.Open(t.path)
	if err != nil {
		return err
	}
	defer file.Close()
	btx, err := t.db.Begin(false)
	if err != nil {
		return store.ErrClosed
	}
	if err := checkPages(file, t.pages); err != nil {
		return errors.Join(fmt.Errorf("%w: tenant %s: %w", store.ErrCorrupt, t.id, err), btx.Rollback())
	}
	var errs []error
	for err := range btx.Check() { // must be drained: it runs in a goroutine of its own
		if len(errs) < maxCheckErrors {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(fmt.Errorf("%w: tenant %s: %w", store.ErrCorrupt, t.id, errors.Join(errs...)), btx.Rollback())
	}
	c.btx = btx
	return nil
}

// content reads every value of every bucket.
func (c *checker) content() {
	v, err := newView(c.tenant, c.btx)
	if err != nil {
		c.report(err)
		return
	}
	c.view = v
	c.report(c.tenant.checkRecord(v))
	for i := range tableNames {
		tb, err := v.table(i)
		if err != nil {
			c.report(err)
			continue
		}
		count := c.walk(tb, c.judge(i))
		if i == twinTable && count != c.twins {
			c.report(fmt.Errorf("%w: bucket %s has %d keys for %d entries", store.ErrCorrupt, tb.name, count, c.twins))
		}
		if (i == logTable || i == personTable || i == devTable) && count != v.size {
			c.report(fmt.Errorf("%w: bucket %s has %d keys for a log of %d", store.ErrCorrupt, tb.name, count, v.size))
		}
	}
	for _, name := range c.bucketNames() {
		if kind, ok := strings.CutPrefix(name, docBucket("")); ok {
			tb, err := v.docTable(store.Kind(kind))
			if err == nil && tb != nil {
				c.walk(tb, func(_, _ []byte) error { return nil })
			}
			c.report(err)
		} else if !isTable(name) {
			c.report(fmt.Errorf("%w: unknown bucket %x", store.ErrCorrupt, name))
		}
	}
}

func isTable(name string) bool {
	for _, n := range tableNames {
		if n == name {
			return true
		}
	}
	return false
}

func (c *checker) bucketNames() []string {
	var names []string
	cur := c.btx.Cursor()
	for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
		names = append(names, string(k))
	}
	return names
}

// walk reads a whole table and returns its number of keys. It goes on after damage: each
// value has its own report.
func (c *checker) walk(tb *table, judge func(key, value []byte) error) (count int64) {
	cur := tb.bucket.Cursor()
	k, value, err := tb.start(cur, nil, nil)
	for ; k != nil && len(c.errs) < maxCheckErrors; k, value, err = tb.step(cur, k, nil) {
		if c.ctx.Err() != nil {
			break
		}
		if err == nil {
			err = judge(k, value)
		}
		c.report(err)
		count++
	}
	if k == nil {
		c.report(err)
	}
	c.report(c.ctx.Err())
	return count
}

// judge says what the values of a table must be, beyond a matching checksum.
func (c *checker) judge(i int) func(key, value []byte) error {
	tb, v := &c.tables[i], c.view
	switch i {
	case logTable:
		return func(key, _ []byte) error {
			if len(key) != 8 {
				return tb.corrupt(key, "not a position")
			}
			e, err := v.Entry(lastInt(key))
			if err != nil {
				return err
			}
			// That an index has nothing else is told by its number of keys.
			id, err := v.get(personTable, append(e.Person[:], key...))
			if err != nil || !bytes.Equal(id, e.ID[:]) {
				return tb.corrupt(key, "the index of persons disagrees")
			}
			id, err = v.get(devTable, append(appendInt(e.Device[:], e.Seq), key...))
			if err != nil || !bytes.Equal(id, e.ID[:]) {
				return tb.corrupt(key, "the index of devices disagrees")
			}
			first, err := v.FirstOf(e.Device, e.Seq)
			if err != nil || first.Position == e.Position {
				return err
			}
			c.twins++
			id, err = v.get(twinTable, append(twinPrefix(e.Device, e.Seq, e.ID), key...))
			if err != nil || !bytes.Equal(id, e.ID[:]) {
				return tb.corrupt(key, "the index of twins disagrees")
			}
			return nil
		}
	case unitTable:
		return func(key, value []byte) error {
			_, err := v.decodeUnit(key, value)
			return err
		}
	case chainTable:
		return func(key, value []byte) error {
			if _, err := store.DecodeChain(value); err != nil {
				return tb.corrupt(key, "not a chain")
			}
			return nil
		}
	}
	return func(_, _ []byte) error { return nil }
}
