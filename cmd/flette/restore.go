package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"flette/model"
	"flette/store"
	"flette/store/bolt"
)

type restoreCmd struct {
	tenantFlags
	From  string `placeholder:"FILE" help:"The backup, ID-TIME.db."`
	Adopt bool   `help:"Take no file: give the store that is there a new life, after its file was copied back by hand."`
	Carry bool   `help:"Take along persons, organisation units, caseloads and tablets that came after the backup, from the store that is replaced."`
	Quick bool   `help:"Look at pages and checksums of the backup only, and do not replay its journal."`
	JSON  bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*restoreCmd) Help() string {
	return `Puts a backup in the place of a municipality's store, with the server stopped. The backup is
looked through first, against its manifest and as flette verify would. The store that is
replaced stays beside as ID.db.replaced-TIME and is never deleted; a crash at any moment leaves
the one or the other in place.

The store then begins a new life. Tablets notice at their next contact: they go on where the
backup has what they hold receipts for, and send again what it has not. That needs nobody's
help, as long as they keep it (flette serve --keep-days). Tablets that were enrolled after the
backup are enrolled again with a new invitation, keep their ids, and then do the same.

What no tablet holds is gone with the store that is replaced: decisions of the desk, persons,
organisation units and caseloads that came after the backup, messages to the register. Give
--carry to take persons, units, caseloads and tablets along when that store can still be read;
leave it away when it is a mistake in them that you want undone. Tablets that were revoked stay
revoked either way, when the store that is replaced can be read.

Examples:

    flette restore --data /srv/flette --tenant testvik --from /mnt/backup/flette/testvik-20261122T030000Z.db
    flette restore --data /srv/flette --tenant testvik --adopt`
}

// Validate asks for one of the two.
func (c *restoreCmd) Validate() error {
	if (c.From == "") != c.Adopt {
		return errors.New("give the backup with --from, or --adopt after a file was copied back by hand")
	}
	if c.Adopt && c.Carry {
		return errors.New("--carry goes with --from: with --adopt no store is replaced")
	}
	return nil
}

// restoreView is what a restore did.
type restoreView struct {
	Tenant   model.TenantID `json:"tenant"`
	Epoch    string         `json:"epoch"`
	Entries  int64          `json:"entries"`
	Taken    model.Millis   `json:"taken,omitzero"`
	Manifest bool           `json:"manifest"` // there was one, and it fits
	Kept     string         `json:"kept,omitempty"`
	Lives    []store.Life   `json:"lives"`
	Replaced *replacedView  `json:"replaced,omitzero"` // absent when there was none
}

// Run restores.
func (c *restoreCmd) Run(ctx context.Context, out *output) error {
	if running, err := serverRuns(c.Data); err != nil {
		return err
	} else if running {
		return problemf("server-runs", "a server runs on this data folder; stop it first")
	}
	ctx, end := showProgress(ctx, out.stderr)
	v, err := c.restore(ctx)
	end()
	if err != nil {
		return err
	}
	return out.print(c.JSON, v, v.text)
}

func (c *restoreCmd) restore(ctx context.Context) (*restoreView, error) {
	live := bolt.TenantFile(c.Data, c.id())
	if c.Adopt {
		v := &restoreView{}
		return v, beginLife(ctx, live, c.keyDir(), v, true, nil)
	}
	if _, err := os.Stat(filepath.Join(c.keyDir(), string(c.Tenant)+keySuffix)); err != nil {
		return nil, err // a sentence of its own: without the keys nothing can be checked
	}
	if err := os.MkdirAll(filepath.Dir(live), 0o700); err != nil {
		return nil, err
	}
	tmp := live + ".restoring"
	if err := removeOld(tmp); err != nil {
		return nil, err
	}
	v, err := c.takeIn(ctx, tmp)
	if err != nil {
		return nil, errors.Join(err, removeOld(tmp))
	}
	if err := c.swap(ctx, live, tmp, v); err != nil {
		return nil, errors.Join(err, removeOld(tmp))
	}
	return v, nil
}

// takeIn copies the backup beside the store and looks it through.
func (c *restoreCmd) takeIn(ctx context.Context, tmp string) (*restoreView, error) {
	m, err := readManifest(c.From)
	if err != nil {
		return nil, err
	}
	sum, err := copyFile(ctx, c.From, tmp)
	if err != nil {
		return nil, err
	}
	v := &restoreView{Manifest: m != nil}
	if m != nil {
		v.Taken = m.Taken
		if sum != m.SHA256 {
			return nil, problemf("backup-damaged", "%s is not what was backed up: its SHA-256 is not that of the manifest; nothing was changed", c.From)
		}
	}
	r, err := lookAt(ctx, tmp, c.keyDir(), c.Quick)
	if errors.Is(err, store.ErrCorrupt) {
		return nil, problemf("backup-damaged", "%s cannot be read: %s; nothing was changed", c.From, strings.ReplaceAll(firstLine(err.Error()), tmp, "it"))
	}
	if err != nil {
		return nil, err
	}
	if r.Tenant != c.id() {
		return nil, problemf("other-tenant", "%s is a backup of %s; nothing was changed", c.From, r.Tenant)
	}
	if !r.OK() {
		return nil, problemf("backup-damaged", "%s does not hold: %s; nothing was changed", c.From, firstLine(r.Problems[0]))
	}
	return v, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// swap makes the copy ready and puts it in place, while it holds the lock of the store that
// is replaced.
func (c *restoreCmd) swap(ctx context.Context, live, tmp string, v *restoreView) (err error) {
	old, err := openReplaced(live, c.keyDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.close()) }()
	if err := beginLife(ctx, tmp, c.keyDir(), v, false, func(ctx context.Context, a *app, id model.TenantID) (forked bool, err error) {
		v.Replaced, err = old.bring(ctx, a, id, c.Carry)
		return v.Replaced != nil && v.Replaced.Other, err
	}); err != nil {
		return err
	}
	if old.there {
		v.Kept = unusedName(live+".replaced-"+old.now.UTC().Format(stampLayout), "")
	}
	return bolt.SwapFile(live, tmp, v.Kept)
}

// beginLife opens a store file that nobody serves from, lets prepare work on it, and gives it
// a new life.
func beginLife(ctx context.Context, path, keys string, v *restoreView, forked bool, prepare func(context.Context, *app, model.TenantID) (bool, error)) (err error) {
	a, err := openFileApp(path, appOptions{Keys: keys})
	if errors.Is(err, os.ErrNotExist) {
		return problemf("tenant-unknown", "there is no store %s", path)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return err
	}
	if prepare != nil {
		if forked, err = prepare(ctx, a, ids[0]); err != nil {
			return err
		}
	}
	t, err := a.engine.BeginLife(ctx, ids[0], forked)
	if err != nil {
		return err
	}
	v.Tenant, v.Epoch, v.Lives = t.ID, t.Epoch, t.Lives
	v.Entries = t.Lives[len(t.Lives)-1].Size
	return nil
}

func (v *restoreView) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has a new life (epoch %s) with %d entries", v.Tenant, v.Epoch, v.Entries)
	if v.Taken != 0 {
		fmt.Fprintf(&b, " of the backup of %s", moment(v.Taken))
	}
	if v.Kept != "" {
		fmt.Fprintf(&b, "\nthe store that was replaced is kept as %s", v.Kept)
		if !v.Manifest {
			b.WriteString("\nthere was no manifest beside the backup: only the backup itself was checked")
		}
	}
	if v.Replaced != nil {
		v.Replaced.text(&b)
	}
	b.WriteString("\nstart the server; tablets send again by themselves what they keep and this store has not")
	return b.String()
}
