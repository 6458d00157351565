package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"flette/model"
	"flette/store/bolt"
)

type compactCmd struct {
	tenantFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*compactCmd) Help() string {
	return `Writes what the store of a municipality holds into a new file without free pages, makes sure
that the new one says the same to the last byte, and puts it in place. A crash at any moment
leaves the one or the other. The server must be stopped, and the disk needs room for both.

A file grows when it is read for long while it is written, and never shrinks by itself; that
costs room and nothing else. There is no need to do this regularly.

Example:

    flette compact --data /srv/flette --tenant testvik`
}

type compactView struct {
	Tenant model.TenantID `json:"tenant"`
	Before int64          `json:"before"` // bytes
	After  int64          `json:"after"`
	SHA256 string         `json:"digest"` // of what both hold
	Left   bool           `json:"left"`   // the old one stays: there was nothing to gain
}

// Run compacts.
func (c *compactCmd) Run(ctx context.Context, out *output) error {
	if running, err := serverRuns(c.Data); err != nil {
		return err
	} else if running {
		return problemf("server-runs", "a server runs on this data folder; stop it first")
	}
	v, err := c.compact(ctx)
	if err != nil {
		return err
	}
	return out.print(c.JSON, v, func() string {
		if v.Left {
			return fmt.Sprintf("%s: %s, and no smaller without free pages; left as it is", v.Tenant, byteCount(v.Before))
		}
		return fmt.Sprintf("%s: %s before, %s after; both hold the same", v.Tenant, byteCount(v.Before), byteCount(v.After))
	})
}

func (c *compactCmd) compact(ctx context.Context) (v *compactView, err error) {
	live := bolt.TenantFile(c.Data, c.id())
	tmp := live + ".compacting"
	if err := removeOld(tmp); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeOld(tmp)) }()
	// Open for reading, so that no server can start on it before the new file is in place.
	s, err := bolt.OpenFile(live, bolt.Options{ReadOnly: true})
	if errors.Is(err, os.ErrNotExist) {
		return nil, noTenant(c.id())
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(ctx, c.id()); err != nil {
		return nil, err
	}
	if err := bolt.CompactFile(live, tmp, bolt.Options{}); err != nil {
		return nil, noRoom(err, tmp)
	}
	v = &compactView{Tenant: c.id()}
	before, err := s.Digest(ctx, c.id())
	if err != nil {
		return nil, err
	}
	after, err := digestOf(ctx, tmp, c.id())
	if err != nil {
		return nil, err
	}
	if before != after {
		return nil, problemf("compact-differs", "the new file does not hold what the old one does; the old one stays")
	}
	v.SHA256 = fmt.Sprintf("%x", before)
	for path, size := range map[string]*int64{live: &v.Before, tmp: &v.After} {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		*size = info.Size()
	}
	if v.Left = v.After >= v.Before; v.Left {
		return v, nil
	}
	return v, bolt.SwapFile(live, tmp, "")
}

func digestOf(ctx context.Context, path string, id model.TenantID) (sum [32]byte, err error) {
	s, err := bolt.OpenFile(path, bolt.Options{ReadOnly: true})
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Check(ctx, id); err != nil {
		return sum, err
	}
	return s.Digest(ctx, id)
}
