package bolt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
)

// OpenFile opens one tenant's file wherever it lies, as a store of that tenant alone. The
// tenant is the one that the file names. Errors are those of Open.
func OpenFile(path string, o Options) (*Store, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 { // bbolt would make it a new file
		return nil, fmt.Errorf("%w: %s is empty", store.ErrCorrupt, path)
	}
	o.setDefaults()
	s := &Store{dir: filepath.Dir(path), opts: o, tenants: map[model.TenantID]*tenant{}}
	t, err := openTenant(s, "", path)
	if err != nil {
		return nil, err
	}
	s.tenants[t.id] = t
	return s, nil
}

// CreateFile makes a new file of a tenant that must not be there yet, as CreateTenant would
// but for the epoch, which is the caller's.
func CreateFile(path string, t store.Tenant, o Options) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	t.Format = formatVersion
	if err := initFile(path, t, &o); err != nil {
		return refused(err)
	}
	return nil
}

// TenantFile is where the store of a data folder keeps a tenant.
func TenantFile(dir string, id model.TenantID) string {
	return (&Store{dir: filepath.Join(dir, "tenants")}).path(id)
}

// Copied is what a copy holds.
type Copied struct {
	Tenant     store.Tenant
	Size       int64
	Checkpoint []byte
	Bytes      int64
}

// CopyTo writes the tenant's file, as it is at one moment, while others go on reading and
// writing. It costs what every long view costs: pages that are rewritten meanwhile cannot be
// reused, and the file grows by them for good. That is why the copy is looked at afterwards,
// elsewhere, and why w should take it as fast as it comes. ErrFull when w has no room.
func (s *Store) CopyTo(ctx context.Context, id model.TenantID, w io.Writer) (c Copied, err error) {
	t, err := s.tenant(id)
	if err != nil {
		return c, err
	}
	err = t.view(func(v *view) error {
		c.Tenant, c.Size = v.record, v.size
		if c.Checkpoint, err = v.Checkpoint(); err != nil {
			return err
		}
		to := &stopping{ctx: ctx, w: w}
		if c.Bytes, err = v.btx.WriteTo(to); to.err != nil { // bbolt hides some causes in its text
			return refused(to.err)
		}
		return err
	})
	return c, err
}

// stopping is a writer that fails when its context ends, and remembers why it failed.
type stopping struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (s *stopping) Write(p []byte) (n int, err error) {
	if err = s.ctx.Err(); err == nil {
		n, err = s.w.Write(p)
	}
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// Digest is SHA-256 over everything that the tenant's file says, wherever in it that stands:
// two files with one digest hold the same. ErrCorrupt for a value that does not fit its sum.
func (s *Store) Digest(ctx context.Context, id model.TenantID) (sum [sha256.Size]byte, err error) {
	t, err := s.tenant(id)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	err = t.view(func(v *view) error {
		names := (&checker{btx: v.btx}).bucketNames()
		for _, name := range names {
			fmt.Fprintf(h, "%d %s\n", len(name), name)
			if err := v.digest(ctx, h, name); err != nil {
				return err
			}
		}
		return nil
	})
	return [sha256.Size]byte(h.Sum(nil)), err
}

func (v *view) digest(ctx context.Context, h hash.Hash, name string) (err error) {
	tb := &table{name: name}
	defer tb.guard(nil, &err)
	*tb = newTable(name, v.btx.Bucket([]byte(name)), docFill)
	return v.scan(tb, nil, nil, func(key, value []byte) (bool, error) {
		fmt.Fprintf(h, "%d %d\n", len(key), len(value))
		h.Write(key)
		h.Write(value)
		return true, ctx.Err()
	})
}

// CompactFile writes what a file holds into a new one without its free pages. The source is
// only read, but must not be open for writing elsewhere (ErrInUse).
func CompactFile(from, to string, o Options) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s: %v", store.ErrCorrupt, from, r)
		}
	}()
	o.setDefaults()
	o.ReadOnly = true
	src, _, err := openDB(from, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dst, _, err := openDB(to, &Options{pageSize: src.Info().PageSize})
	if err != nil {
		return err
	}
	if err := bbolt.Compact(dst, src, maxGroupBytes); err != nil {
		return errors.Join(refused(err), dst.Close())
	}
	return errors.Join(dst.Sync(), dst.Close())
}

// SwapFile puts a complete, synced file in the place of another at once: a crash leaves the
// one or the other under the name, never none. The file that was there stays as kept; with
// kept "" it is given up. There need not have been one.
func SwapFile(path, with, kept string) error {
	if kept != "" {
		if err := os.Link(path, kept); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := syncDir(filepath.Dir(kept)); err != nil {
			return err
		}
	}
	if err := os.Rename(with, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error { return syncDir(dir) }
