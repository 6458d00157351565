package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flette/iplos/submit"
	"flette/model"
	"flette/store/bolt"
)

// secureFolder is the only place where files in clear may stand: one folder a municipality,
// open to the server's user alone.
type secureFolder string

// open makes the folder when it is not there, and refuses one that others may enter.
func (s secureFolder) open() error {
	if err := os.MkdirAll(string(s), 0o700); err != nil {
		return err
	}
	st, err := os.Stat(string(s))
	if err != nil {
		return err
	}
	if !st.IsDir() || st.Mode().Perm()&0o077 != 0 {
		return problemf("secure-folder", "%s must be a folder that nobody but the server's user may enter; chmod 700 it", string(s))
	}
	return nil
}

// inside returns the name of a file below the folder, with links followed: a link that leads
// out of it is outside.
func (s secureFolder) inside(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(string(s), path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", problemf("file", "the file cannot be read: %v", err)
	}
	root, err := filepath.EvalSymlinks(string(s))
	if err != nil {
		return "", problemf("secure-folder", "the secure folder cannot be read: %v", err)
	}
	if root, err = filepath.Abs(root); err != nil {
		return "", err
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", err
	}
	name, err := filepath.Rel(root, real)
	if err != nil || !filepath.IsLocal(name) {
		return "", problemf("outside-secure-folder", "files in clear are taken from the secure folder %s only; move the file there", root)
	}
	return filepath.ToSlash(name), nil
}

// holds refuses a folder that is not the secure folder or below it, with links followed. It need
// not be there yet.
func (s secureFolder) holds(dir string) error {
	root, err := filepath.EvalSymlinks(string(s))
	if err != nil {
		return problemf("secure-folder", "the secure folder cannot be read: %v", err)
	}
	if root, err = filepath.Abs(root); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			name, err := filepath.Rel(root, filepath.Join(real, rest))
			if err != nil || !filepath.IsLocal(name) {
				return problemf("outside-secure-folder", "what names persons in clear is written into the secure folder %s only; leave --out away, or name a folder in it", root)
			}
			return nil
		}
		if _, e := os.Lstat(dir); e == nil || dir == filepath.Dir(dir) {
			return problemf("outside-secure-folder", "%s cannot be followed: %v", dir, err) // a link to nowhere
		}
		rest, dir = filepath.Join(filepath.Base(dir), rest), filepath.Dir(dir)
	}
}

// secureFolder is the one of a municipality: that of the register's configuration, or
// DATA/register/TENANT.
func (a *app) secureFolder(t model.TenantID) (secureFolder, error) {
	if fileExists(a.registerPath(t)) {
		f, err := a.registerFile(t)
		if err != nil {
			return "", err
		}
		return secureFolder(f.SecureFolder), nil
	}
	return secureFolder(filepath.Join(filepath.Dir(a.registerPath(t)), string(t))), nil
}

// clearFolder says where files in clear go: into the secure folder when nothing is named. What names
// nobody who exists goes anywhere it is told.
func (a *app) clearFolder(t model.TenantID, anywhere bool, dir string) (string, error) {
	if dir != "" && anywhere {
		return dir, nil
	}
	s, err := a.secureFolder(t)
	if err != nil {
		return "", err
	}
	if err := s.open(); err != nil {
		return "", err
	}
	if dir == "" {
		return string(s), nil
	}
	return dir, s.holds(dir)
}

type clearFolder struct {
	Tenant model.TenantID `json:"tenant"`
	Target string         `json:"target"`
	Dir    string         `json:"dir"` // absolute, "" for the secure folder
}

// clearFolderOp asks before anything is made, so that no message is stored without its file.
var clearFolderOp = op[clearFolder, string]{name: "clear-folder", reads: true, run: func(ctx context.Context, a *app, in clearFolder) (string, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return "", err
	}
	return a.clearFolder(in.Tenant, in.Target == submit.Test, in.Dir)
}}

// clearOut resolves --out of a verb that writes files in clear.
func (f *targetFlags) clearOut(ctx context.Context, out string) (string, error) {
	dir := out
	if out != "" {
		var err error
		if dir, err = filepath.Abs(out); err != nil {
			return "", err
		}
	}
	dir, err := doOp(ctx, f.dataFlags, clearFolderOp, clearFolder{f.id(), f.Target, dir})
	if out != "" {
		dir = out
	}
	return dir, err
}

// read reads a file of the folder.
func (s secureFolder) read(name string) ([]byte, error) {
	name, err := s.inside(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(string(s), filepath.FromSlash(name)))
}

// sum reads a file of the folder to its end and returns its SHA-256 and size: a yearly shipment
// may be larger than memory.
func (s secureFolder) sum(name string) (hash string, size int64, err error) {
	if name, err = s.inside(filepath.FromSlash(name)); err != nil {
		return "", 0, err
	}
	file, err := os.Open(filepath.Join(string(s), filepath.FromSlash(name)))
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	h := sha256.New()
	size, err = io.Copy(h, file)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// remove deletes what there is of the names, and returns those that were there.
func (s secureFolder) remove(names ...string) (gone []string, err error) {
	for _, n := range names {
		if !filepath.IsLocal(filepath.FromSlash(n)) {
			continue
		}
		path := filepath.Join(string(s), filepath.FromSlash(n))
		switch e := os.Remove(path); {
		case e == nil:
			gone, err = append(gone, n), errors.Join(err, bolt.SyncDir(filepath.Dir(path)))
		case !errors.Is(e, fs.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	return gone, err
}

// namesOf lists the files that may stand in the secure folder for a submission.
func namesOf(s submit.Submission) []string {
	var out []string
	if s.Path != "" {
		out = append(out, s.Path)
	}
	if s.Extract != "" { // flette extract run
		out = append(out, "kpr/"+strings.Trim(filepath.Base(s.Extract), ".")+".xml")
	}
	return out
}

// clear returns the file of a submission, from the secure folder or from the store.
func (a *app) clear(ctx context.Context, f *registerFile, s submit.Submission) ([]byte, error) {
	if s.Path == "" {
		return a.File(ctx, s.Tenant, s.Extract)
	}
	body, err := secureFolder(f.SecureFolder).read(s.Path)
	if err != nil {
		return nil, problemf("submission-file", "the file of submission %s is not there: %v", s.ID, err)
	}
	return body, nil
}

func sum256(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// forget removes the files that the policy no longer keeps.
func (a *app) forget(ctx context.Context, t model.TenantID, f *registerFile, who submit.Who) ([]forgotten, error) {
	list, err := a.submissions(ctx, t)
	if err != nil {
		return nil, err
	}
	out := []forgotten{}
	done := submit.Forgettable(list, who.Now, *f.KeepDays)
	wanted := map[string]bool{} // a newer shipment may have taken over the name of an older one
	for i := range list {
		if !slices.ContainsFunc(done, func(r submit.Record) bool { return r.ID == list[i].ID }) {
			for _, n := range namesOf(list[i].Submission) {
				wanted[n] = true
			}
		}
	}
	for _, r := range done {
		names := slices.DeleteFunc(namesOf(r.Submission), func(n string) bool { return wanted[n] })
		gone, err := secureFolder(f.SecureFolder).remove(names...)
		if len(gone) > 0 {
			out = append(out, forgotten{r.ID, gone})
			_, e := submit.Forgot(ctx, a.store, t, r.ID, gone, who)
			err = errors.Join(err, e)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// forgotten are the files that were removed of a submission.
type forgotten struct {
	ID    string   `json:"id"`
	Files []string `json:"files"`
}
