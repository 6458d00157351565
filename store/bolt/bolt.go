// Package bolt keeps each tenant in one bbolt file, `<dir>/tenants/<tenant>.db`. It is the
// embedded default driver of package store.
//
// Updates of a tenant are run by one writer goroutine, which commits whatever is queued
// with one pair of fsyncs: nobody waits for company, and a busy store shares its commits.
//
// What to know before using it:
//
//   - Never call Update inside the function given to View: bbolt remaps its file when it
//     grows and waits for every reader then. Never call Update inside Update: the one writer
//     would wait for itself.
//   - Keep views short. Pages that an open view may still need are not reused, and the file
//     never shrinks again.
//   - ErrFull and ErrNotWritable mean that nothing of the update was kept; the store recovers
//     by itself once there is room, or the disk takes writes again ([Store.Writable]). Every
//     other failure of a write, above all of fsync, leaves it unknown what the disk holds: the
//     tenant refuses all further work with store.ErrStopped, and [Store.Failed] tells the
//     process to end, so that the next one reads the disk again.
//   - A file is locked by the process that opened it: a second one gets [ErrInUse].
package bolt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"flette/model"
	"flette/store"
)

const (
	formatVersion   = 1 // store.Tenant.Format that this driver reads and writes
	lockTimeout     = time.Second
	defaultMaxGroup = 256
	maxGroupBytes   = 16 << 20 // a commit group is closed once it has written this much
	fileSuffix      = ".db"
)

// ErrInUse means that another process has the file open.
var ErrInUse = errors.New("bolt: store is in use by another process")

// Options of Open. The zero value is what a server wants.
type Options struct {
	ReadOnly        bool          // shared lock, no writer; several readers may have the files open
	NoGrouping      bool          // one commit per Update, to measure what grouping gives
	MaxGroup        int           // updates per commit, 0 for 256
	NewEpoch        func() string // gives a new tenant its epoch (G8), nil for 128 random bits
	NoWalk          bool          // do not read all pages at the opening: the caller runs Check
	InitialMmapSize int           // bytes of address space per file, 0 for 1 GiB on 64-bit machines

	// Now tells how old the files of creations are that did not end: old ones are removed at
	// the opening. nil leaves them.
	Now func() time.Time

	maxSize  int           // tests: largest file
	pageSize int           // tests: bytes per page, 0 for the system's
	links    time.Duration // tests: how old the last look at the linking pages may be, 0 for linksEvery
}

func (o *Options) setDefaults() {
	if o.MaxGroup <= 0 {
		o.MaxGroup = defaultMaxGroup
	}
	if o.NoGrouping {
		o.MaxGroup = 1
	}
	if o.NewEpoch == nil {
		o.NewEpoch = rand.Text
	}
	if o.InitialMmapSize == 0 {
		// Address space costs nothing; a remap makes the writer wait for every reader.
		o.InitialMmapSize = 1 << 30
		if strconv.IntSize == 32 {
			o.InitialMmapSize = 64 << 20
		}
	}
}

// Store is a directory of tenants.
type Store struct {
	dir  string
	opts Options
	hook func(model.TenantID, store.Tx) error

	create  sync.Mutex // one CreateTenant at a time
	failed  chan error // holds the first failure
	mu      sync.RWMutex
	tenants map[model.TenantID]*tenant
	closed  bool
}

var _ store.Store = (*Store)(nil)

// Open opens every tenant under dir and creates the directory when it is missing. It
// returns ErrInUse when another process has a file open and store.ErrCorrupt, naming the
// file, for one that is not a whole tenant.
func Open(dir string, o Options) (*Store, error) {
	o.setDefaults()
	s := &Store{dir: filepath.Join(dir, "tenants"), opts: o, tenants: map[model.TenantID]*tenant{}, failed: make(chan error, 1)}
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) && !o.ReadOnly {
		if err = os.MkdirAll(s.dir, 0o700); err == nil {
			err = errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
		}
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if !o.ReadOnly && o.Now != nil && strings.HasSuffix(f.Name(), newSuffix) {
			s.dropUnfinished(f)
		}
		name, ok := strings.CutSuffix(f.Name(), fileSuffix)
		if !ok {
			continue
		}
		t, err := s.openFile(name, f)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		if t != nil {
			s.tenants[t.id] = t
		}
	}
	return s, nil
}

// newSuffix ends the name of a tenant's file while it is made.
const newSuffix = ".new"

// unfinishedAfter is when nobody can still be at work on a file that is being made: that takes
// less than a second.
const unfinishedAfter = time.Hour

// dropUnfinished removes what a creation left that was killed: nothing was promised with it.
func (s *Store) dropUnfinished(f os.DirEntry) {
	if info, err := f.Info(); err == nil && info.Mode().IsRegular() && s.opts.Now().Sub(info.ModTime()) > unfinishedAfter {
		_ = os.Remove(filepath.Join(s.dir, f.Name())) // it is in nobody's way
	}
}

// openFile opens a file found in the directory. An empty one is no tenant: its creation was
// cut off before anything was promised, and CreateTenant may replace it.
func (s *Store) openFile(name string, f os.DirEntry) (*tenant, error) {
	id, err := model.ParseTenantID(name)
	if err != nil {
		return nil, fmt.Errorf("bolt: %s: %w", f.Name(), err)
	}
	info, err := f.Info()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, nil
	}
	return openTenant(s, id, s.path(id))
}

func (s *Store) path(id model.TenantID) string {
	return filepath.Join(s.dir, string(id)+fileSuffix)
}

// CreateTenant makes an empty tenant. The file gets its final name only when it is complete
// and synced, so that a crash never leaves half a tenant.
func (s *Store) CreateTenant(ctx context.Context, t store.Tenant) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := model.ParseTenantID(string(t.ID)); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return store.ErrReadOnly
	}
	s.create.Lock()
	defer s.create.Unlock()
	if _, err := s.tenant(t.ID); !errors.Is(err, store.ErrNotFound) {
		if err == nil {
			err = store.ErrExists
		}
		return err
	}
	t.Epoch, t.Format = s.opts.NewEpoch(), formatVersion
	if err := s.createFile(t); err != nil {
		return err
	}
	opened, err := openTenant(s, t.ID, s.path(t.ID))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(store.ErrClosed, opened.close())
	}
	s.tenants[t.ID] = opened
	return nil
}

// createFile writes a complete file under another name and links it to its own: linking
// never replaces a file that another process made meanwhile.
func (s *Store) createFile(t store.Tenant) error {
	f, err := os.CreateTemp(s.dir, string(t.ID)+".*"+newSuffix) // mode 0600
	if err != nil {
		return refused(err)
	}
	tmp := f.Name()
	defer os.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	final := s.path(t.ID)
	if err := initFile(tmp, t, &s.opts); err != nil {
		return s.refusedOr(final, err)
	}
	if info, err := os.Stat(final); err == nil && info.Size() == 0 {
		if err := os.Remove(final); err != nil {
			return err
		}
	}
	if err := os.Link(tmp, final); err != nil {
		if errors.Is(err, os.ErrExist) {
			return store.ErrExists
		}
		return refused(err)
	}
	if err := syncDir(s.dir); err != nil {
		return s.stop(s.dir, err)
	}
	return nil
}

// refusedOr returns ErrFull or ErrNotWritable when that is what err means, and stops the
// store for any other failure of a write.
func (s *Store) refusedOr(path string, err error) error {
	if r := refused(err); errors.Is(r, store.ErrFull) || errors.Is(r, store.ErrNotWritable) {
		return r
	}
	return s.stop(path, err)
}

// stop makes an ErrStopped that names the file, and tells who listens to Failed.
func (s *Store) stop(path string, err error) error {
	err = fmt.Errorf("%w: file %s: %w", store.ErrStopped, path, err)
	select {
	case s.failed <- err:
	default: // one is enough to end the process
	}
	return err
}

// Failed gives the first store.ErrStopped of any tenant, with file and cause. Whoever serves
// from the store ends its process then.
func (s *Store) Failed() <-chan error { return s.failed }

// Writable returns why the tenant's newest update could not be written: ErrStopped,
// ErrFull or ErrNotWritable; nil when it could. The latter two end with the next update
// that finds room.
func (s *Store) Writable(id model.TenantID) error {
	t, err := s.tenant(id)
	if err != nil {
		return err
	}
	if f := t.failed.Load(); f != nil {
		return f.err
	}
	if p := t.refused.Load(); p != nil {
		return *p
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// tenant looks an open tenant up.
func (s *Store) tenant(id model.TenantID) (*tenant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	t, ok := s.tenants[id]
	if !ok {
		return nil, store.ErrNotFound
	}
	return t, nil
}

// Tenants lists the tenants in order of id.
func (s *Store) Tenants(ctx context.Context) ([]model.TenantID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	var ids []model.TenantID
	for id := range s.tenants {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// OnCommit sets the hook. See store.Store.
func (s *Store) OnCommit(hook func(tenant model.TenantID, tx store.Tx) error) { s.hook = hook }

// Close lets running updates and views finish, answers queued updates with ErrClosed and
// closes the files. Do not call it inside an Update or View.
func (s *Store) Close() error {
	s.mu.Lock()
	tenants := s.tenants
	s.tenants, s.closed = nil, true
	s.mu.Unlock()
	var errs []error
	for _, t := range tenants {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}
