package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"flette/model"
	"flette/store"
)

type restoreDrillCmd struct {
	Backups string        `required:"" placeholder:"DIR" help:"Folder of the backups."`
	Tenant  tenantArg     `placeholder:"ID" help:"One municipality; all that have backups when not given."`
	Data    string        `env:"FLETTE_DATA" placeholder:"DIR" help:"Data folder, to compare with what is live, and for its keys."`
	Keys    string        `placeholder:"DIR" help:"Folder of the key files, when it is not DIR/keys of the data folder."`
	Scratch string        `placeholder:"DIR" help:"Where to unpack, on a disk with room; the system's folder for temporary files when not given. It is emptied again."`
	MaxAge  time.Duration `placeholder:"TIME" help:"A newest backup older than this (30h) is a problem."`
	JSON    bool          `help:"Print JSON."`
}

// Help is shown by --help.
func (*restoreDrillCmd) Help() string {
	return `Restores the newest backup of each municipality into a folder of its own and looks it through
as flette verify would: the drill that shows that a restore will work, and how long it takes.
Nothing that is live is touched. With --data it also says how much the live store has beyond
the backup, with the server running or stopped.

Exit code 3 means that a backup does not hold, is too old, or is missing.

Example:

    flette restore-drill --backups /mnt/backup/flette --data /srv/flette --max-age 30h`
}

// Validate asks where the keys are.
func (c *restoreDrillCmd) Validate() error {
	if c.Data == "" && c.Keys == "" {
		return errors.New("give --data, or the folder of the key files with --keys: without keys a backup cannot be checked")
	}
	return nil
}

// drillView is the drill of one municipality.
type drillView struct {
	Tenant   model.TenantID `json:"tenant"`
	File     string         `json:"file,omitempty"`
	Taken    model.Millis   `json:"taken,omitzero"`
	AgeHours float64        `json:"age_hours"`
	Seconds  float64        `json:"seconds"` // to copy and to look through
	Entries  int64          `json:"entries"`
	Persons  int            `json:"persons"`
	Units    int            `json:"units"`
	Live     *int64         `json:"live,omitzero"`   // entries of the live store
	Beyond   *int64         `json:"beyond,omitzero"` // of these, not in the backup
	Problems []string       `json:"problems"`
}

// Run drills.
func (c *restoreDrillCmd) Run(ctx context.Context, out *output) error {
	newest, err := newestBackups(c.Backups)
	if err != nil {
		return err
	}
	live, err := c.live(ctx)
	if err != nil {
		return err
	}
	ids := c.tenants(newest, live)
	if len(ids) == 0 {
		return problemf("no-backups", "there is no backup in %s", c.Backups)
	}
	ctx, end := showProgress(ctx, out.stderr)
	defer end()
	views, bad := []drillView{}, false
	for _, id := range ids {
		v := drillView{Tenant: id, File: newest[id].file, Problems: []string{}}
		if v.File == "" {
			v.Problems = append(v.Problems, "there is no backup")
		} else if err := c.drill(ctx, newest[id], &v); err != nil {
			return err
		}
		if n, ok := live[id]; ok {
			beyond := max(0, n-v.Entries)
			v.Live, v.Beyond = &n, &beyond
		}
		views, bad = append(views, v), bad || len(v.Problems) > 0
	}
	end()
	if err := out.print(c.JSON, views, func() string { return drillText(views) }); err != nil {
		return err
	}
	if bad {
		return exitError(exitProblems)
	}
	return nil
}

// live counts the entries of the live stores.
func (c *restoreDrillCmd) live(ctx context.Context) (map[model.TenantID]int64, error) {
	out := map[model.TenantID]int64{}
	if c.Data == "" {
		return out, nil
	}
	if _, err := os.Stat(filepath.Join(c.Data, "tenants")); errors.Is(err, os.ErrNotExist) {
		return out, nil // the day after a disaster: keys, but no store yet
	}
	list, err := doOp(ctx, dataFlags{Data: c.Data, Keys: c.Keys}, tenantListOp, struct{}{})
	for _, t := range list {
		out[t.ID] = t.Entries
	}
	return out, err
}

func (c *restoreDrillCmd) tenants(newest map[model.TenantID]backupFile, live map[model.TenantID]int64) []model.TenantID {
	if c.Tenant != "" {
		return []model.TenantID{model.TenantID(c.Tenant)}
	}
	var ids []model.TenantID
	for id := range newest {
		ids = append(ids, id)
	}
	for id := range live {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// backupFile is one backup with its manifest.
type backupFile struct {
	file string
	m    *manifest
}

// newestBackups finds the newest backup of each municipality. A manifest without its file is
// left of a backup that was cut off, and a file without its manifest is none of ours.
func newestBackups(dir string) (map[model.TenantID]backupFile, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+dbSuffix))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	out := map[model.TenantID]backupFile{}
	for _, f := range files {
		m, err := readManifest(f)
		if err != nil {
			return nil, err
		}
		if m != nil && (out[m.Tenant].m == nil || m.Taken >= out[m.Tenant].m.Taken) {
			out[m.Tenant] = backupFile{f, m}
		}
	}
	return out, nil
}

func (c *restoreDrillCmd) drill(ctx context.Context, b backupFile, v *drillView) (err error) {
	start := time.Now()
	age := start.Sub(b.m.Taken.Time())
	v.Taken, v.AgeHours, v.Entries = b.m.Taken, age.Hours(), b.m.Size
	if c.MaxAge > 0 && age > c.MaxAge {
		v.Problems = append(v.Problems, fmt.Sprintf("the newest backup is %s old, more than %s", age.Round(time.Minute), c.MaxAge))
	}
	dir, err := os.MkdirTemp(c.Scratch, "flette-drill-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tmp := filepath.Join(dir, string(v.Tenant)+dbSuffix)
	sum, err := copyFile(ctx, b.file, tmp)
	if err != nil {
		return err
	}
	if sum != b.m.SHA256 {
		v.Problems = append(v.Problems, "the file is not what was backed up: its SHA-256 is not that of the manifest")
	}
	keys := dataFlags{Data: c.Data, Keys: c.Keys}.keyDir()
	r, err := lookAt(ctx, tmp, keys, false)
	v.Seconds = time.Since(start).Seconds()
	if errors.Is(err, store.ErrCorrupt) {
		v.Problems = append(v.Problems, err.Error())
		return nil
	}
	if p := problemOf(err); p.Code == keyMissingCode || p.Code == keyFileCode {
		// Without its keys no backup can be restored: what a drill is to find.
		v.Problems = append(v.Problems, p.Detail)
		return nil
	}
	if err != nil {
		return err
	}
	if r.Entries != b.m.Size || r.Epoch != b.m.Epoch || r.Checkpoint != b.m.Checkpoint {
		v.Problems = append(v.Problems, "the file and its manifest disagree about size, epoch or checkpoint")
	}
	v.Entries, v.Persons, v.Units, v.Problems = r.Entries, r.Persons, r.Units, append(v.Problems, r.Problems...)
	return nil
}

func drillText(views []drillView) string {
	var lines []string
	for _, v := range views {
		word := "ok"
		if len(v.Problems) > 0 {
			word = strings.ToUpper(plural(len(v.Problems), "problem"))
		}
		line := fmt.Sprintf("%s: %s", v.Tenant, word)
		if v.File != "" {
			line += fmt.Sprintf(" in %.1f minutes (%s, %.1f hours old: %d entries, %d persons, %d units)",
				v.Seconds/60, filepath.Base(v.File), v.AgeHours, v.Entries, v.Persons, v.Units)
		}
		if v.Beyond != nil {
			line += fmt.Sprintf("; the live store has %d entries, %d beyond", *v.Live, *v.Beyond)
		}
		lines = append(lines, line)
		for _, p := range v.Problems {
			lines = append(lines, "  "+strings.ReplaceAll(p, "\n", "\n  "))
		}
	}
	return strings.Join(lines, "\n")
}
