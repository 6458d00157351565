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
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

const (
	manifestFormat = 1
	dbSuffix       = ".db"
	manifestSuffix = ".json"
	stampLayout    = "20060102T150405Z" // in names of files: sorts by time, and no colon
)

// What was looked at in a copy.
const (
	verifiedFully = "pages, checksums and a replay of the journal"
	verifiedQuick = "pages and checksums, not the journal"
)

// manifest says what a backup is, beside its file.
type manifest struct {
	Format     int            `json:"format"`
	Tenant     model.TenantID `json:"tenant"`
	Epoch      string         `json:"epoch"`
	Size       int64          `json:"size"` // entries in the journal
	Root       string         `json:"root"` // of the journal, base64
	Checkpoint string         `json:"checkpoint"`
	Caseload   int64          `json:"caseload"` // events
	SHA256     string         `json:"sha256"`   // of the file, hex
	Bytes      int64          `json:"bytes"`
	Taken      model.Millis   `json:"taken"`
	Version    string         `json:"version"` // of the program
	Verified   string         `json:"verified"`
	Persons    int            `json:"persons"`
	Units      int            `json:"units"`
}

// rootLine is the root of a checkpoint, "" when there is none.
func rootLine(checkpoint string) string {
	lines := strings.SplitN(checkpoint, "\n", 4)
	if len(lines) < 4 {
		return ""
	}
	return lines[2]
}

func manifestFile(db string) string { return strings.TrimSuffix(db, dbSuffix) + manifestSuffix }

// readManifest reads what lies beside a backup; nil when nothing does.
func readManifest(db string) (*manifest, error) {
	body, err := os.ReadFile(manifestFile(db))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(body, &m); err != nil || m.Format != manifestFormat {
		return nil, problemf("manifest", "%s is not a manifest of a backup that this program knows", manifestFile(db))
	}
	return &m, nil
}

// writeManifest puts the manifest in place whole.
func writeManifest(db string, m *manifest) error {
	body, err := json.Marshal(m, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return writeWhole(manifestFile(db), append(body, '\n'))
}

// writeWhole makes a file that is there complete or not at all.
func writeWhole(path string, body []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return bolt.SyncDir(filepath.Dir(path))
}

// hashFile gives the SHA-256 of what the disk holds.
func hashFile(ctx context.Context, path string) (sum string, bytes int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	bytes, err = io.Copy(h, ctxReader{ctx, f})
	return hex.EncodeToString(h.Sum(nil)), bytes, err
}

// copyFile copies a file to a new one, syncs it and gives the hash of what was read.
func copyFile(ctx context.Context, from, to string) (sum string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), ctxReader{ctx, in})
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		_ = os.Remove(to) // the first error is the one to tell
		return "", noRoom(err, to)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// lookAt verifies a store file that nobody serves from: everything, or only pages and
// checksums. keys is the folder of the key files.
func lookAt(ctx context.Context, path, keys string, quick bool) (r *sync.Report, err error) {
	a, err := openFileApp(path, appOptions{Keys: keys, ReadOnly: true, NoWalk: true}) // what is looked at may be damaged
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if !quick {
		return a.verify(ctx, ids[0])
	}
	r = &sync.Report{Tenant: ids[0], Problems: []string{}}
	if err := a.store.Check(ctx, ids[0]); errors.Is(err, store.ErrCorrupt) {
		r.Problems = append(r.Problems, err.Error())
	} else if err != nil {
		return nil, err
	}
	err = a.store.View(ctx, ids[0], func(v store.View) error {
		cp, err := v.Checkpoint()
		r.Epoch, r.Entries, r.Checkpoint = v.Tenant().Epoch, v.Size(), string(cp)
		return err
	})
	return r, err
}
