package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"flette/model"
	"flette/store"
	"flette/store/bolt"
)

type backupCmd struct {
	dataFlags
	To     string    `required:"" placeholder:"DIR" help:"Folder of the backups; it is made when it is not there."`
	Tenant tenantArg `placeholder:"ID" help:"One municipality; all when not given."`
	Quick  bool      `help:"Look at pages and checksums of the copy only, and do not replay its journal."`
	JSON   bool      `help:"Print JSON."`
}

// Help is shown by --help.
func (*backupCmd) Help() string {
	return `Copies the store of each municipality while the server goes on, looks the copy through, and
only then gives it the name of a backup: ID-TIME.db, with ID-TIME.json beside it that says what
it is. A copy that does not hold is removed, and the exit code is 3.

The server only copies, which takes about as long as the disk needs to read and write the file;
pages that are rewritten meanwhile are added to the server's file for good. The looking is done
by this command: it needs the key files and, without --quick, the time of flette verify.

The keys are never in a backup. Without them a backup cannot be opened: keep copies of the key
files apart, and not in the folder of the backups.

Example:

    flette backup --data /srv/flette --to /mnt/backup/flette`
}

// Validate refuses a folder without a name: a variable that was not set.
func (c *backupCmd) Validate() error {
	if c.To == "" {
		return errors.New("--to: the folder of the backups has no name")
	}
	return nil
}

// backupCopy asks for a copy of one municipality, as it is at one moment.
type backupCopy struct {
	Tenant model.TenantID `json:"tenant"`
	To     string         `json:"to"` // a file that is not there, absolute
}

// backupCopyOp writes the copy and does not judge it. The manifest lacks what only a look at
// the copy can tell.
var backupCopyOp = op[backupCopy, manifest]{name: "backup-copy", reads: true, checks: true, run: func(ctx context.Context, a *app, in backupCopy) (m manifest, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return m, err
	}
	f, err := os.OpenFile(in.To, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return m, noWay(err, in.To)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(in.To) // half a copy; the error is the one to tell
		}
	}()
	h := sha256.New()
	m = manifest{Format: manifestFormat, Tenant: in.Tenant, Taken: model.MillisOf(a.now()), Version: version()}
	c, err := a.store.CopyTo(ctx, in.Tenant, io.MultiWriter(f, h))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return m, noRoom(err, in.To)
	}
	m.Epoch, m.Size, m.Caseload = c.Tenant.Epoch, c.Size, c.Tenant.CaseloadSeq
	m.Checkpoint, m.Root = string(c.Checkpoint), rootLine(string(c.Checkpoint))
	m.SHA256, m.Bytes = hex.EncodeToString(h.Sum(nil)), c.Bytes
	return m, nil
}}

// noRoom names the disk that is full: it is not that of the data folder.
func noRoom(err error, path string) error {
	if errors.Is(err, store.ErrFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return problemf("backup-full", "there is no space left in %s; the half copy was removed, and the store is as it was", filepath.Dir(path))
	}
	return err
}

// noWay says which folder takes no files: it is not the data folder either.
func noWay(err error, path string) error {
	if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		return problemf("backup-folder", "nothing can be written to %s (mounted read-only, or the permission is not there); the store is as it was", filepath.Dir(path))
	}
	return noRoom(err, path)
}

// backupView is what became of one municipality.
type backupView struct {
	File string `json:"file"`
	manifest
	Problems []string `json:"problems"`        // the copy does not hold: File is not there
	Failed   string   `json:"failed,omitzero"` // no copy could be made or judged: File is not there
}

// Run copies and looks.
func (c *backupCmd) Run(ctx context.Context, out *output) error {
	ids, err := c.tenants(ctx)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.To)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return problemf("backup-folder", "the folder of the backups cannot be made: %v", err)
	}
	ctx, end := showProgress(ctx, out.stderr)
	defer end()
	views, bad, failed := []backupView{}, false, 0
	for _, id := range ids {
		v, err := c.backup(ctx, dir, id)
		if err != nil && (len(ids) == 1 || ctx.Err() != nil) {
			return err
		}
		if err != nil { // a municipality must not go without a backup because of another
			failed++
			v = &backupView{manifest: manifest{Tenant: id}, Problems: []string{}, Failed: problemOf(err).Detail}
		}
		views, bad = append(views, *v), bad || len(v.Problems) > 0
	}
	end()
	if err := out.print(c.JSON, views, func() string { return backupText(views) }); err != nil {
		return err
	}
	if bad {
		return exitError(exitProblems)
	}
	if failed > 0 {
		return problemf("backup-incomplete", "%d of %d municipalities not backed up", failed, len(ids))
	}
	return nil
}

// tenants lists what to back up.
func (c *backupCmd) tenants(ctx context.Context) ([]model.TenantID, error) {
	if c.Tenant != "" {
		return []model.TenantID{model.TenantID(c.Tenant)}, nil
	}
	list, err := doOp(ctx, c.dataFlags, tenantListOp, struct{}{})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, problemf("nothing-to-back-up", "there is no municipality in this data folder")
	}
	var ids []model.TenantID
	for _, t := range list {
		ids = append(ids, t.ID)
	}
	return ids, nil
}

func (c *backupCmd) backup(ctx context.Context, dir string, id model.TenantID) (v *backupView, err error) {
	if err := clearPartials(dir); err != nil {
		return nil, err
	}
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%d%s", id, os.Getpid(), partialSuffix))
	if err := removeOld(tmp); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeOld(tmp)) }()
	m, err := doOp(ctx, c.dataFlags, backupCopyOp, backupCopy{Tenant: id, To: tmp})
	if err != nil {
		return nil, err
	}
	v = &backupView{manifest: m, Problems: []string{}}
	sum, _, err := hashFile(ctx, tmp)
	if err != nil {
		return nil, err
	}
	if sum != m.SHA256 {
		v.Problems = append(v.Problems, "the disk gives back other bytes than were written to it")
		return v, nil
	}
	r, err := lookAt(ctx, tmp, c.keyDir(), c.Quick)
	if errors.Is(err, store.ErrCorrupt) {
		v.Problems = append(v.Problems, err.Error())
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	if v.Problems = append(v.Problems, r.Problems...); len(v.Problems) > 0 {
		return v, nil
	}
	v.Verified, v.Persons, v.Units = verifiedFully, r.Persons, r.Units
	if c.Quick {
		v.Verified = verifiedQuick
	}
	name := filepath.Join(dir, string(id)+"-"+m.Taken.Time().UTC().Format(stampLayout))
	if v.File, err = reserveName(name); err != nil {
		return nil, noWay(err, name)
	}
	// The manifest first: a file with the name of a backup is one.
	if err = writeManifest(v.File, &v.manifest); err == nil {
		err = bolt.SwapFile(v.File, tmp, "")
	}
	if err != nil {
		if _, serr := os.Lstat(v.File); serr != nil {
			_ = removeOld(manifestFile(v.File)) // it speaks of nothing; the first error is the one to tell
		}
		return nil, noWay(err, v.File)
	}
	return v, nil
}

// reserveName finds a name for a backup that no other has: two may end in one second. Who
// makes the manifest has the name.
func reserveName(name string) (db string, err error) {
	for n := 1; ; n++ {
		if db = name + dbSuffix; n > 1 {
			db = fmt.Sprintf("%s-%d%s", name, n, dbSuffix)
		}
		if _, err := os.Lstat(db); err == nil {
			continue
		}
		f, err := os.OpenFile(manifestFile(db), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return db, f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
}

const partialSuffix = ".partial"

// clearPartials removes what backups that were killed have left. One that still runs is
// younger than a day.
func clearPartials(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, ".*"+partialSuffix))
	for _, f := range files {
		info, serr := os.Lstat(f)
		if serr == nil && time.Since(info.ModTime()) > 24*time.Hour {
			err = errors.Join(err, removeOld(f))
		}
	}
	return err
}

// unusedName numbers a name that is taken: two in one second.
func unusedName(name, suffix string) string {
	path := name + suffix
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); err != nil {
			return path
		}
		path = fmt.Sprintf("%s-%d%s", name, n, suffix)
	}
}

func removeOld(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// keyDir is the folder of the key files.
func (f dataFlags) keyDir() string {
	if f.Keys != "" {
		return f.Keys
	}
	return filepath.Join(f.Data, "keys")
}

func backupText(views []backupView) string {
	var lines []string
	for _, v := range views {
		if v.Failed != "" {
			lines = append(lines, fmt.Sprintf("%s: NOT BACKED UP: %s", v.Tenant, v.Failed))
			continue
		}
		if len(v.Problems) > 0 {
			lines = append(lines, fmt.Sprintf("%s: NOT BACKED UP, the copy does not hold and was removed; look at the store itself with flette verify", v.Tenant))
			for _, p := range v.Problems {
				lines = append(lines, "  "+strings.ReplaceAll(p, "\n", "\n  "))
			}
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s (%d entries, %s; verified: %s)", v.Tenant, v.File, v.Size, byteCount(v.Bytes), v.Verified))
	}
	return strings.Join(append(lines, "the keys are not in a backup; keep copies of the key files apart"), "\n")
}

// byteCount spells a size for people.
func byteCount(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
