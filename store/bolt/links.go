package bolt

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"flette/store"
)

// A value says itself when it is damaged; the pages that lead to it do not. One that rots in
// the file of a running store can hide what lies below, show an older version of it, or send
// bbolt round in a circle, and an update writes the damage down as sound. So links holds a
// checksum of each such page, the branch pages and those of the outermost bucket, taken when
// it was written or read at the opening; and compares all of them before an update and before
// a read when the last time was linksEvery ago. There is about one for fifty pages.
//
// A page in use is never written again, so that a page number found both before and after a
// commit is the same page, and what a commit costs here is what it wrote.
type links struct {
	mu    sync.Mutex // held while a commit writes the file, and while pages are compared
	file  io.ReaderAt
	size  int
	pages map[uint64]*link
	kept  map[uint64]bool // during follow: pages of before that are still in use
	top   uint64          // the page of the outermost bucket
	due   atomic.Bool     // the last comparison is old
	every time.Duration
}

// link is a page that leads to others.
type link struct {
	sum   uint32
	level int      // steps down to the leaf pages; 0 in the outermost bucket
	below []uint64 // of the pages that it leads to, those that lead to others
}

// linksEvery bounds how long a rotten page can mislead.
const linksEvery = time.Second

var errLink = errors.New("a page that leads to others has changed in the file")

// follow takes in the tree of the newest commit. The caller holds mu.
func (l *links) follow(db *bbolt.DB) error {
	btx, err := db.Begin(false)
	if err != nil {
		return err
	}
	top := uint64(btx.Cursor().Bucket().Root())
	_ = btx.Rollback() // of a read transaction: cannot fail
	old := l.top
	if l.pages == nil {
		l.pages = map[uint64]*link{}
	}
	l.kept = map[uint64]bool{}
	if _, err := l.take(top, true, 0); err != nil {
		return err
	}
	l.top = top
	if old != 0 {
		l.drop(old)
	}
	return nil
}

// take adds a page and those below it that are new, and gives its level.
func (l *links) take(id uint64, outer bool, depth int) (level int, err error) {
	if known := l.pages[id]; known != nil {
		l.kept[id] = true
		return known.level, nil
	}
	b, err := l.read(id)
	if err != nil {
		return 0, err
	}
	count := int(order.Uint16(b[10:]))
	leaf := order.Uint16(b[8:]) == flagLeaf
	switch {
	case leaf && !outer:
		return 0, nil
	case depth > 32 || pageHeader+count*elementHeader > len(b):
		return 0, fmt.Errorf("page %d: %w", id, errLink)
	}
	at := &link{sum: crc32.Checksum(b, castagnoli)}
	for i := range count {
		start := pageHeader + i*elementHeader
		head := b[start : start+elementHeader]
		below, inOuter := order.Uint64(head[8:]), outer
		if leaf {
			pos := uint64(start) + uint64(order.Uint32(head[4:])) + uint64(order.Uint32(head[8:])) // of the value, behind the key
			if order.Uint32(head) != 1 || pos+bucketHeader > uint64(len(b)) {
				continue
			}
			if below, inOuter = order.Uint64(b[pos:]), false; below == 0 {
				continue // an inline bucket: it lies in this page
			}
		}
		n, err := l.take(below, inOuter, depth+1)
		if err != nil {
			return 0, err
		}
		if n > 0 || inOuter {
			at.below = append(at.below, below)
		} else if !leaf {
			break // all pages of one level are alike: these are leaf pages
		}
		at.level = max(at.level, n)
	}
	if !outer {
		at.level++
	}
	l.pages[id] = at
	return at.level, nil
}

// drop takes out a page of the commit before, and those below it, as far as they are out of use.
func (l *links) drop(id uint64) {
	old := l.pages[id]
	if old == nil || l.kept[id] {
		return
	}
	delete(l.pages, id)
	for _, below := range old.below {
		l.drop(below)
	}
}

func (l *links) read(id uint64) ([]byte, error) {
	b := make([]byte, l.size)
	if _, err := l.file.ReadAt(b, int64(id)*int64(l.size)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	more := int64(order.Uint32(b[12:]))
	if order.Uint64(b) != id || more > 1<<16 {
		return nil, fmt.Errorf("page %d: %w", id, errLink)
	}
	if more > 0 {
		b = make([]byte, (more+1)*int64(l.size))
		if _, err := l.file.ReadAt(b, int64(id)*int64(l.size)); err != nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return b, nil
}

// compare reads all linking pages again. The caller holds mu.
func (l *links) compare() error {
	for id, at := range l.pages {
		b, err := l.read(id)
		if err != nil {
			return err
		}
		if crc32.Checksum(b, castagnoli) != at.sum {
			return fmt.Errorf("page %d: %w", id, errLink)
		}
	}
	l.due.Store(false)
	l.age()
	return nil
}

// age makes the next comparison due when its time has come.
func (l *links) age() { time.AfterFunc(l.every, func() { l.due.Store(true) }) }

// checkLinks compares when it is time. Damage stops the tenant: reads could be led astray, and
// the next start finds out in full what is damaged. While a commit is writing a read does not
// wait for it: the writer has compared.
func (t *tenant) checkLinks(wait bool) error {
	l := t.links
	if l == nil || !l.due.Load() && l.every > time.Microsecond {
		return nil
	}
	if wait {
		l.mu.Lock()
	} else if !l.mu.TryLock() {
		return nil
	}
	defer l.mu.Unlock()
	err := l.compare()
	if err != nil {
		err = t.linkFailure(err)
	}
	return err
}

func (t *tenant) linkFailure(err error) error {
	f := &failure{err: t.store.stop(t.path, fmt.Errorf("%w: tenant %s: %w", store.ErrCorrupt, t.id, err)), reads: true}
	t.failed.Store(f)
	return f.err
}
