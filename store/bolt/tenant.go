package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/go-json-experiment/json"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"flette/model"
	"flette/store"
)

// tenant is one open file with its writer.
type tenant struct {
	id     model.TenantID
	path   string
	store  *Store
	db     *bbolt.DB
	file   *os.File // the one bbolt writes to
	pages  int      // bytes per page: to ask bbolt for it is a race with a growing file
	record atomic.Pointer[record]
	failed atomic.Pointer[failure]
	// committed is the number of the newest commit that is known to be durable.
	committed atomic.Int64
	// refused is the error of the newest commit when it found no room or no permission.
	refused atomic.Pointer[error]
	links   *links // nil when nobody writes, or the caller reads all pages himself

	mu     sync.Mutex // guards queue and closed
	queue  []*request
	closed bool
	wake   chan struct{} // holds one token when the queue may have something

	write   sync.Mutex   // held while a commit group runs, and by Check
	todo    [][]*request // of the writer goroutine: groups still to run, the next one last
	running *attempt     // of the writer goroutine
	done    chan struct{}
}

// failure is why a tenant no longer works.
type failure struct {
	err   error
	reads bool // views are refused too: they could show what is not durable
}

// openDB opens a bbolt file. Damage can make bbolt panic or fault already here; the file
// and its lock are given back then.
func openDB(path string, o *Options) (db *bbolt.DB, file *os.File, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, errors.Join(fmt.Errorf("%w: %s: %v", store.ErrCorrupt, path, r), unlock(file), file.Close())
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockTimeout,
		ReadOnly:        o.ReadOnly,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: o.InitialMmapSize,
		MaxSize:         o.maxSize,
		PageSize:        o.pageSize,
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			var err error
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		err = fmt.Errorf("%w: %s", ErrInUse, path)
	case err != nil && !errors.As(err, new(*os.PathError)) && !errors.As(err, new(syscall.Errno)):
		err = fmt.Errorf("%w: %s: %w", store.ErrCorrupt, path, err)
	}
	return db, file, err
}

// initFile makes a complete file for a new tenant.
func initFile(path string, t store.Tenant, o *Options) error {
	raw, err := json.Marshal(t, json.Deterministic(true))
	if err != nil {
		return err
	}
	db, _, err := openDB(path, &Options{pageSize: o.pageSize, maxSize: o.maxSize})
	if err != nil {
		return err
	}
	err = db.Update(func(btx *bbolt.Tx) error {
		for i, name := range tableNames {
			b, err := btx.CreateBucket([]byte(name))
			if err != nil {
				return err
			}
			if i != metaTable {
				continue
			}
			tb := newTable(name, b, fill[i])
			if err := tb.put(keyTenant, append(make([]byte, sumBytes), raw...)); err != nil {
				return err
			}
			if err := tb.put(keySize, make([]byte, sumBytes+8)); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// openTenant opens a tenant's file, makes sure that it is a whole one of this tenant, and
// starts its writer. An id of "" is that which the file names.
func openTenant(s *Store, id model.TenantID, path string) (*tenant, error) {
	db, file, err := openDB(path, &s.opts)
	if err != nil {
		return nil, err
	}
	t := &tenant{id: id, path: path, store: s, db: db, file: file, pages: db.Info().PageSize, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if !s.opts.NoWalk {
		if err := t.walk(); err != nil {
			return nil, errors.Join(fmt.Errorf("%w (file %s)", err, path), db.Close())
		}
	}
	if err := t.view(func(v *view) error {
		if t.id == "" {
			t.id = v.record.ID
		}
		return t.checkRecord(v)
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (file %s)", err, path), db.Close())
	}
	if err := t.addTwins(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (file %s)", err, path), db.Close())
	}
	if err := t.view(func(v *view) error {
		t.committed.Store(int64(v.btx.ID()))
		return nil
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (file %s)", err, path), db.Close())
	}
	if s.opts.ReadOnly {
		close(t.done)
		return t, nil
	}
	if !s.opts.NoWalk {
		t.links = &links{file: file, size: t.pages, every: cmp.Or(s.opts.links, linksEvery)}
		if err := t.links.follow(db); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w (file %s)", store.ErrCorrupt, err, path), db.Close())
		}
		t.links.age()
	}
	go t.writer()
	return t, nil
}

// addTwins makes the index of twins in a file that was written before there was one.
func (t *tenant) addTwins() error {
	missing := false
	err := t.view(func(v *view) error {
		missing = v.btx.Bucket([]byte(tableNames[twinTable])) == nil
		return nil
	})
	if err != nil || !missing || t.store.opts.ReadOnly {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return t.db.Update(func(btx *bbolt.Tx) error {
		if _, err := btx.CreateBucket([]byte(tableNames[twinTable])); err != nil {
			return fmt.Errorf("%w: bucket %s: %w", store.ErrCorrupt, tableNames[twinTable], err)
		}
		v, err := newView(t, btx)
		if err != nil {
			return err
		}
		dev, err := v.table(devTable)
		if err != nil {
			return err
		}
		twins, err := v.table(twinTable)
		if err != nil {
			return err
		}
		var last []byte // device and seq of the key before
		return v.scan(dev, nil, nil, func(key, value []byte) (bool, error) {
			if _, err := dev.indexed(key, value); err != nil {
				return false, err
			}
			place := key[:len(key)-8]
			if !bytes.Equal(place, last) {
				last = append(last[:0], place...)
				return true, nil
			}
			twin := append(append(bytes.Clone(place), value...), key[len(key)-8:]...)
			return true, twins.put(twin, append(make([]byte, sumBytes, sumBytes+len(value)), value...))
		})
	})
}

// checkRecord is the quick look at every open: is this the tenant, and does the journal end
// where it should?
func (t *tenant) checkRecord(v *view) error {
	if v.record.Format != formatVersion {
		return fmt.Errorf("bolt: file has format %d, this program knows %d", v.record.Format, formatVersion)
	}
	if v.record.ID != t.id {
		return fmt.Errorf("bolt: file belongs to tenant %s", v.record.ID)
	}
	tb, err := v.table(logTable)
	if err != nil {
		return err
	}
	key, err := tb.last()
	if err != nil {
		return err
	}
	if len(key) != 8 && v.size != 0 || len(key) == 8 && int64(binary.BigEndian.Uint64(key)) != v.size-1 {
		return tb.corrupt(key, "the log does not end at the stored size")
	}
	return nil
}

// View runs fn on a snapshot. See store.Store.
func (s *Store) View(ctx context.Context, id model.TenantID, fn func(store.View) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := s.tenant(id)
	if err != nil {
		return err
	}
	return t.view(func(v *view) error { return fn(v) })
}

func (t *tenant) view(fn func(*view) error) error {
	if f := t.failed.Load(); f != nil && f.reads {
		return f.err
	}
	if err := t.checkLinks(false); err != nil {
		return err
	}
	newest := t.committed.Load()
	btx, err := t.db.Begin(false)
	if err != nil {
		if errors.Is(err, berrors.ErrDatabaseNotOpen) {
			err = store.ErrClosed
		}
		return err
	}
	defer btx.Rollback()
	if err := t.current(int64(btx.ID()), newest); err != nil {
		return err
	}
	// A damaged page can point outside the file; table.guard makes an error of the fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	v, err := newView(t, btx)
	if err != nil {
		return err
	}
	return fn(v)
}

// current makes sure that bbolt did not fall back to the commit before the newest one, as it
// does when the meta page of the newest is damaged.
func (t *tenant) current(snapshot, newest int64) error {
	if snapshot >= newest {
		return nil
	}
	return t.damaged(errors.New("the meta page of the newest commit is damaged"))
}

// close stops the writer and closes the file.
func (t *tenant) close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.signal()
	<-t.done
	return t.db.Close()
}

// refusals are the errors of a write that say that nothing was written.
var refusals = []struct {
	errno syscall.Errno
	means error
}{
	{syscall.ENOSPC, store.ErrFull}, {syscall.EDQUOT, store.ErrFull}, {syscall.EFBIG, store.ErrFull},
	{syscall.EROFS, store.ErrNotWritable}, {syscall.EACCES, store.ErrNotWritable}, {syscall.EPERM, store.ErrNotWritable},
}

// refused returns ErrFull or ErrNotWritable for the errors that mean that a write was
// refused, and any other error as it is; that of a sync is never a refusal, whatever its
// number, and has no path. bbolt hides the cause of a failed resize in its text.
func refused(err error) error {
	var path *os.PathError
	var link *os.LinkError
	isWrite := errors.As(err, &path) && path.Op != "sync"
	isResize := strings.HasPrefix(err.Error(), "file resize error")
	for _, r := range refusals {
		if isWrite && errors.Is(path.Err, r.errno) || errors.As(err, &link) && errors.Is(link.Err, r.errno) ||
			isResize && strings.Contains(err.Error(), r.errno.Error()) {
			return fmt.Errorf("%w: %w", r.means, err)
		}
	}
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}
