package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
)

// request is one queued Update.
type request struct {
	fn     func(store.Tx) error
	state  atomic.Int32
	done   chan struct{} // closed when commit and err are set
	commit store.Commit
	err    error
}

// States of a request. Whoever moves it on from queued decides whether it runs.
const (
	queued int32 = iota
	started
	cancelled
)

func (r *request) start() bool {
	return r.state.CompareAndSwap(queued, started) || r.state.Load() == started
}

func (r *request) answer(c store.Commit, err error) {
	r.commit, r.err = c, err
	r.commit.Checkpoint = bytes.Clone(c.Checkpoint)
	close(r.done)
}

// Update queues fn for the writer and waits for its commit. An update whose context ends
// before it started never runs; once started it finishes. See store.Store.
func (s *Store) Update(ctx context.Context, id model.TenantID, _ []model.PersonID, fn func(store.Tx) error) (store.Commit, error) {
	if err := ctx.Err(); err != nil {
		return store.Commit{}, err
	}
	t, err := s.tenant(id)
	if err != nil {
		return store.Commit{}, err
	}
	if s.opts.ReadOnly {
		return store.Commit{}, store.ErrReadOnly
	}
	r := &request{fn: fn, done: make(chan struct{})}
	if !t.enqueue(r) {
		return store.Commit{}, store.ErrClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, cancelled) {
			return store.Commit{}, ctx.Err()
		}
		<-r.done
	}
	return r.commit, r.err
}

func (t *tenant) enqueue(r *request) bool {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return false
	}
	t.queue = append(t.queue, r)
	t.mu.Unlock()
	t.signal()
	return true
}

func (t *tenant) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take waits for work and returns up to MaxGroup requests, or nil when the tenant closes;
// what is still queued then is answered with ErrClosed.
func (t *tenant) take() []*request {
	for {
		t.mu.Lock()
		n := min(len(t.queue), t.store.opts.MaxGroup)
		group, closed := t.queue[:n:n], t.closed
		t.queue = t.queue[n:]
		if len(t.queue) == 0 {
			t.queue = nil
		}
		t.mu.Unlock()
		switch {
		case closed && n == 0:
			return nil
		case closed:
			for _, r := range group {
				if r.start() {
					r.answer(store.Commit{}, store.ErrClosed)
				}
			}
		case n > 0:
			return group
		default:
			<-t.wake
		}
	}
}

// writer is the one goroutine that writes to the file. A fn that ends its goroutine
// (runtime.Goexit, as a test's FailNow does) ends this one too: a new one takes over.
func (t *tenant) writer() {
	defer func() {
		if a := t.running; a != nil {
			a.abandon(errors.New("bolt: update ended the goroutine that ran it"))
			t.write.Unlock()
			go t.writer()
			return
		}
		close(t.done)
	}()
	debug.SetPanicOnFault(true) // see table.guard
	for {
		group := t.take()
		if group == nil {
			return
		}
		t.write.Lock()
		t.commit(group)
		t.write.Unlock()
	}
}

// commit runs a group to its end: every request is answered when it returns, unless it was
// cancelled. When a fn fails after it wrote, the whole bbolt transaction has to go; what ran
// before it is then committed on its own (G6) and the failing fn starts the next
// transaction, so that its error never rests on writes that did not last. A fn runs at most
// twice, however many of its neighbours fail.
func (t *tenant) commit(group []*request) {
	t.todo = append(t.todo[:0], group)
	for len(t.todo) > 0 {
		last := len(t.todo) - 1
		group, t.todo = t.todo[last], t.todo[:last]
		t.running = &attempt{tenant: t, group: group}
		again := t.running.run()
		if rest := t.running.group; len(rest) > 0 {
			t.todo = append(t.todo, rest)
		}
		if again > 0 {
			t.todo = append(t.todo, group[:again])
		}
		t.running = nil
	}
}

// attempt is one bbolt transaction over the first requests of a group.
type attempt struct {
	tenant  *tenant
	group   []*request // not run yet
	current *request   // running now, still the first of group
	ran     []*request // ran without leaving the transaction unusable
	results []error    // of ran
	btx     *bbolt.Tx
	tx      *tx
}

// run answers everything it could settle and leaves the rest in a.group. It returns how
// many requests of the original group have to run again before that rest.
func (a *attempt) run() (again int) {
	t := a.tenant
	if f := t.failed.Load(); f != nil {
		a.settleAll(f.err)
		return 0
	}
	if err := a.begin(); err != nil {
		a.settleAll(err)
		return 0
	}
	for taken := 0; len(a.group) > 0 && a.tx.bytes < maxGroupBytes; taken++ {
		r := a.group[0]
		if r.start() {
			writes := a.tx.writes
			a.current = r
			err := safely(func() error { return r.fn(a.tx) })
			a.current = nil
			if err == nil {
				err = a.tx.broken
			}
			if err != nil && a.tx.writes != writes {
				a.rollback()
				if len(a.ran) > 0 {
					return taken
				}
				a.group = a.group[1:]
				r.answer(store.Commit{}, err)
				return 0
			}
			a.ran, a.results = append(a.ran, r), append(a.results, err)
		}
		a.group = a.group[1:]
	}
	a.settle(a.finish())
	return 0
}

// begin opens the transaction.
func (a *attempt) begin() error {
	if err := a.tenant.checkLinks(true); err != nil {
		return err
	}
	btx, err := a.tenant.db.Begin(true)
	if err != nil {
		return err
	}
	a.btx = btx
	if err := a.tenant.current(int64(btx.ID())-1, a.tenant.committed.Load()); err != nil {
		a.rollback()
		return err
	}
	v, err := newView(a.tenant, btx)
	if err != nil {
		a.rollback()
		return err
	}
	v.put = map[string]*model.UnitState{}
	a.tx = &tx{view: v, arena: newArena()}
	return nil
}

// finish runs the hook and commits. Without writes there is nothing to do.
func (a *attempt) finish() (store.Commit, error) {
	x := a.tx
	if x.writes == 0 {
		defer a.rollback()
		return a.outcome()
	}
	if hook := a.tenant.store.hook; hook != nil {
		if err := safely(func() error { return hook(a.tenant.id, x) }); err != nil {
			a.rollback()
			return store.Commit{}, fmt.Errorf("bolt: commit hook: %w", err)
		}
	}
	var now [8]byte
	err := x.set(metaTable, keySize, appendInt(now[:0], x.size)...)
	c, err2 := a.outcome()
	if err := errors.Join(err, x.broken, err2); err != nil {
		a.rollback()
		return store.Commit{}, err
	}
	if err := a.commit(); err != nil {
		return store.Commit{}, err
	}
	return c, nil
}

func (a *attempt) outcome() (store.Commit, error) {
	checkpoint, err := a.tx.Checkpoint()
	return store.Commit{Size: a.tx.size, Checkpoint: checkpoint}, err
}

// commit makes the transaction durable. A write that found no room happened before the
// page that would have made it count, so nothing of it is kept; after any other failure
// nothing is known, and fsync must not be tried again: the kernel may have dropped the
// pages that it could not write.
func (a *attempt) commit() error {
	t, before := a.tenant, a.btx.ID()
	if t.links != nil {
		t.links.mu.Lock()
		defer t.links.mu.Unlock()
	}
	err := safely(a.btx.Commit)
	a.rollback() // only to free what a panic inside the commit has left locked
	if err == nil {
		t.refused.Store(nil)
		t.committed.Store(int64(before))
		if t.links != nil {
			if err := t.links.follow(t.db); err != nil {
				return t.linkFailure(err)
			}
		}
		return nil
	}
	moved := true // does the newest snapshot hold what could not be committed?
	if btx, err := t.db.Begin(false); err == nil {
		moved = btx.ID() >= before
		_ = btx.Rollback() // of a read transaction: cannot fail
	}
	if r := refused(err); !moved && (errors.Is(r, store.ErrFull) || errors.Is(r, store.ErrNotWritable)) {
		t.refused.Store(&r)
		return r
	}
	f := &failure{err: t.store.stop(t.path, err), reads: moved}
	t.failed.Store(f)
	return f.err
}

func (a *attempt) rollback() {
	if a.btx != nil {
		_ = safely(a.btx.Rollback) // fails only when the transaction is over already
		a.btx = nil
	}
	if a.tx != nil {
		a.tx.arena.release()
	}
}

// settle answers what ran: with its own error, or with what became of the group.
func (a *attempt) settle(c store.Commit, err error) {
	for i, r := range a.ran {
		switch {
		case err != nil:
			r.answer(store.Commit{}, err)
		case a.results[i] != nil:
			r.answer(store.Commit{}, a.results[i])
		default:
			r.answer(c, nil)
		}
	}
	a.ran = nil
}

func (a *attempt) settleAll(err error) {
	for _, r := range a.group {
		if r.start() {
			r.answer(store.Commit{}, err)
		}
	}
	a.group = nil
}

// abandon gives up an attempt whose goroutine is ending. The fn that did it gets the error,
// everybody when it was the hook; the others go back to the head of the queue.
func (a *attempt) abandon(err error) {
	t := a.tenant
	t.running = nil
	a.rollback()
	if a.current != nil {
		a.current.answer(store.Commit{}, err)
		a.group = a.group[1:]
	} else {
		a.settle(store.Commit{}, err)
	}
	back := append(a.ran, a.group...)
	for len(t.todo) > 0 {
		last := len(t.todo) - 1
		back = append(back, t.todo[last]...)
		t.todo = t.todo[:last]
	}
	t.mu.Lock()
	t.queue = append(back, t.queue...)
	t.mu.Unlock()
	t.signal()
}

// safely turns a panic of fn into an error.
func safely(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("bolt: update panicked: %v", r)
		}
	}()
	return fn()
}
