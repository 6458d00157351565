package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/iplos"
	"flette/journal"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

type salvageCmd struct {
	File    string    `required:"" placeholder:"FILE" help:"The damaged store; it is read only."`
	To      string    `required:"" placeholder:"FILE" help:"The new store; it must not be there."`
	Report  string    `placeholder:"FILE" help:"Write what could not be read as JSON."`
	Data    string    `env:"FLETTE_DATA" placeholder:"DIR" help:"Data folder, for its keys."`
	Keys    string    `placeholder:"DIR" help:"Folder of the key files, when it is not DIR/keys of the data folder."`
	Tenant  tenantArg `placeholder:"ID" help:"Municipality, when the file does not say it any more; goes with --name and --kommune."`
	Name    string    `placeholder:"TEXT" help:"Its name."`
	Kommune string    `placeholder:"NNNN" help:"Its number."`
	JSON    bool      `help:"Print JSON."`
}

// Help is shown by --help.
func (*salvageCmd) Help() string {
	return `Makes a new store of what can be read of a damaged one. Every page of the file is looked at,
also those that nothing leads to any more. Each journal entry whose checksum holds, or which the
journal's tree and its signature vouch for, is filed again with the stamp that it had, and
merged units, reviews, indexes and findings are made again from them. Documents are taken over
when their checksum holds. What could not be read is listed: bucket, key and why.

When entries are missing the new store begins a new life, and tablets send again what they keep
from the first missing one on. Try the newest backup first (flette restore); salvage is for what
came after it, or when there is none. Put the new store in place with flette restore --from.

Exit code 3 means that something is lost that does not follow from the journal.

Example:

    flette salvage --data /srv/flette --file /srv/flette/tenants/testvik.db --to /srv/salvaged.db --report /srv/salvage.json`
}

// Validate asks where the keys are.
func (c *salvageCmd) Validate() error {
	if c.Data == "" && c.Keys == "" {
		return errors.New("give --data, or the folder of the key files with --keys: the new journal is signed")
	}
	if (c.Tenant == "") != (c.Name == "") || (c.Tenant == "") != (c.Kommune == "") {
		return errors.New("--tenant, --name and --kommune go together, and only when the file has lost them")
	}
	return nil
}

// salvageView is what a salvage gave.
type salvageView struct {
	Tenant    model.TenantID       `json:"tenant"`
	File      string               `json:"file"`
	Whole     bool                 `json:"whole"` // the journal is complete, and the same
	Entries   int64                `json:"entries"`
	Missing   int64                `json:"missing"` // entries of which there is a trace
	Documents int                  `json:"documents"`
	Epoch     string               `json:"epoch"`
	From      int64                `json:"from"` // tablets send again from this position on; without meaning when whole
	Changed   []sync.RefiledChange `json:"changed"`
	Lost      []bolt.LostValue     `json:"lost"`
	Problems  []string             `json:"problems"` // of the new store
}

// Run salvages.
func (c *salvageCmd) Run(ctx context.Context, out *output) error {
	if _, err := os.Lstat(c.To); err == nil {
		return problemf("file-exists", "%s is there already; salvage writes a new file", c.To)
	}
	v, err := c.salvage(ctx)
	if err != nil {
		return err
	}
	if c.Report != "" {
		body, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
		if err == nil {
			err = writeWhole(c.Report, append(body, '\n'))
		}
		if err != nil {
			return err
		}
	}
	if err := out.print(c.JSON, v, v.text); err != nil {
		return err
	}
	if v.Missing > 0 || len(v.Problems) > 0 || slices.ContainsFunc(v.Lost, func(l bolt.LostValue) bool { return !l.Derived }) {
		return exitError(exitProblems)
	}
	return nil
}

func (c *salvageCmd) salvage(ctx context.Context) (v *salvageView, err error) {
	s, err := bolt.OpenSalvage(c.File)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t, ok := s.Tenant()
	switch {
	case c.Tenant != "" && ok && t.ID != model.TenantID(c.Tenant):
		return nil, problemf("other-tenant", "the file is of %s", t.ID)
	case !s.Holds():
		return nil, problemf("no-store", "nothing in %s can be read as a part of a store; nothing was made", c.File)
	case !ok && c.Tenant == "":
		return nil, problemf("tenant-lost", "the file does not say any more whose it is; give --tenant, --name and --kommune")
	case !ok:
		t = store.Tenant{ID: model.TenantID(c.Tenant), Name: c.Name, Kommune: c.Kommune, Epoch: "lost"}
		if text, ok := s.Checkpoint(); ok { // it names the life that tablets hold receipts of
			if cp, err := journal.ParseUnverified(text); err == nil {
				t.Epoch = cp.Origin[strings.LastIndexByte(cp.Origin, '/')+1:]
			}
		}
	}
	tmp := c.To + ".partial"
	if err := removeOld(tmp); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeOld(tmp)) }()
	if err := bolt.CreateFile(tmp, t, bolt.Options{}); err != nil {
		return nil, noRoom(err, tmp)
	}
	w := &salvor{s: s, known: ok, v: &salvageView{Tenant: t.ID, File: c.To, Changed: []sync.RefiledChange{}, Lost: []bolt.LostValue{}, Problems: []string{}}}
	if err := w.fill(ctx, tmp, dataFlags{Data: c.Data, Keys: c.Keys}.keyDir()); err != nil {
		return nil, noRoom(err, tmp)
	}
	return w.v, bolt.SwapFile(c.To, tmp, "")
}

// salvor moves what holds into the new store.
type salvor struct {
	s     *bolt.Salvage
	known bool // the tenant's record was readable
	a     *app
	v     *salvageView
	good  []int64 // positions
	first int64   // missing position
	items map[int64]store.QuarantineItem
}

func (w *salvor) fill(ctx context.Context, path, keys string) (err error) {
	if w.a, err = openFileApp(path, appOptions{Keys: keys}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.a.Close()) }()
	w.survey()
	if err := w.documents(ctx); err != nil {
		return err
	}
	if err := w.a.engine.RestoreDesk(ctx, w.v.Tenant); err != nil {
		return err
	}
	done, err := w.a.engine.Refile(ctx, w.v.Tenant, func(yield func(*store.LogEntry, *store.QuarantineItem) bool) {
		for _, at := range w.good {
			l, _ := w.entry(at)
			var item *store.QuarantineItem
			if it, ok := w.items[at]; ok && it.ID == l.ID {
				item = &it
			}
			if !yield(l, item) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	w.v.Entries, w.v.Changed = done.Filed, append(w.v.Changed, done.Changed...)
	if err := w.life(ctx); err != nil {
		return err
	}
	r, err := w.a.verify(ctx, w.v.Tenant)
	if err != nil {
		return err
	}
	w.v.Problems, w.v.Lost = append(w.v.Problems, r.Problems...), append(w.v.Lost, w.s.Lost...)
	return nil
}

// survey finds out which positions can be filed again.
func (w *salvor) survey() {
	end := w.s.End()
	w.first = end
	size, sized := w.s.Size()
	for at := range end {
		if _, err := w.entry(at); err != nil {
			if sized && at >= size && !w.s.MetaDamaged() {
				continue // of a commit that never counted
			}
			w.s.LoseEntry(at, err.Error())
			w.first, w.v.Missing = min(w.first, at), w.v.Missing+1
			continue
		}
		w.good = append(w.good, at)
	}
}

// entry is the entry at a position that something vouches for.
func (w *salvor) entry(at int64) (*store.LogEntry, error) {
	why := errors.New("it cannot be read, and there is no other copy")
	for _, e := range w.s.Entries(at) {
		err := w.a.engine.Authentic(w.v.Tenant, e.LogEntry, sync.Evidence{
			Sum: e.Trust != bolt.Broken, Live: e.Trust <= bolt.Orphan, Device: w.s.Device, Leaf: w.s.TreeHash,
		})
		if err == nil {
			return e.LogEntry, nil
		}
		why = err
	}
	return nil, why
}

// documents takes over what does not follow from the journal. Findings follow, but know since
// when; that is worth keeping when nothing is missing.
func (w *salvor) documents(ctx context.Context) error {
	again := append(sync.DerivedKinds(), iplos.TimeIndexKinds()...)
	again = append(again, store.AssignmentRef{}.DocKind(), store.BlockRef{}.DocKind()) // follow from the events
	if w.v.Missing > 0 {
		again = append(again, store.Finding{}.DocKind())
	}
	w.items = map[int64]store.QuarantineItem{}
	type doc struct {
		kind store.Kind
		key  string
		body []byte
	}
	var group, findings []doc
	var refs []store.Doc
	var number, seq int64
	persons := map[model.PersonID]bool{}
	flush := func() error {
		_, err := w.a.store.Update(ctx, w.v.Tenant, nil, func(tx store.Tx) error {
			for _, d := range group {
				if err := tx.PutDoc(d.kind, d.key, d.body); err != nil {
					return err
				}
			}
			return nil
		})
		group = group[:0]
		return err
	}
	lead := func() error {
		for some := range slices.Chunk(refs, 500) {
			_, err := w.a.store.Update(ctx, w.v.Tenant, nil, func(tx store.Tx) error {
				for _, r := range some {
					if err := store.Put(tx, r); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	err := w.s.Docs(func(kind store.Kind, key string, body []byte) error {
		switch kind {
		case store.QuarantineItem{}.DocKind():
			var item store.QuarantineItem
			if json.Unmarshal(body, &item) == nil {
				w.items[item.Position] = item
			}
		case store.Person{}.DocKind():
			var p store.Person
			if json.Unmarshal(body, &p) == nil {
				number, persons[p.ID] = max(number, p.BrukerNr), true
			}
		case store.Assignment{}.DocKind():
			var e store.Assignment
			if json.Unmarshal(body, &e) == nil {
				seq = max(seq, e.Seq)
				refs = append(refs, sync.AssignmentRefs(&e)...)
			}
		}
		if slices.Contains(again, kind) {
			return nil
		}
		w.v.Documents++
		if kind == (store.Finding{}).DocKind() {
			findings = append(findings, doc{kind, key, body})
			return nil
		}
		if group = append(group, doc{kind, key, body}); len(group) < 500 {
			return nil
		}
		return flush()
	})
	for _, f := range findings { // on a person who is lost there is nothing to find
		if p, perr := model.ParsePersonID(f.key[:min(len(f.key), 36)]); perr == nil && persons[p] {
			group = append(group, f)
		}
	}
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = lead()
	}
	if err != nil || w.known {
		return err
	}
	_, err = w.a.store.Update(ctx, w.v.Tenant, nil, func(tx store.Tx) error {
		t := tx.Tenant()
		t.NextBrukerNr, t.CaseloadSeq = number+1, seq
		return tx.PutTenant(t)
	})
	return err
}

// life begins a new one unless the journal is provably the one that it was.
func (w *salvor) life(ctx context.Context) error {
	common := w.first
	for _, c := range w.v.Changed {
		common = min(common, c.Position)
	}
	size, sized := w.s.Size()
	w.v.Whole = w.known && sized && w.v.Entries == size && common == size && !w.s.MetaDamaged()
	var text []byte
	err := w.a.store.View(ctx, w.v.Tenant, func(v store.View) (err error) {
		w.v.Epoch = v.Tenant().Epoch
		text, err = v.Checkpoint()
		return err
	})
	if err != nil {
		return err
	}
	if old, ok := w.s.Checkpoint(); ok && w.v.Missing == 0 && rootLine(string(old)) != rootLine(string(text)) {
		w.v.Whole, common = false, 0
	}
	if w.v.Whole {
		return nil
	}
	w.v.From = common
	t, err := w.a.engine.BeginLifeAt(ctx, w.v.Tenant, common)
	w.v.Epoch = t.Epoch
	return err
}

func (v *salvageView) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s has %d entries and %d documents", v.Tenant, v.File, v.Entries, v.Documents)
	if v.Whole {
		b.WriteString("\nthe journal is complete; everything that follows from it was made again")
	} else {
		fmt.Fprintf(&b, "\n%s missing; a new life begins (epoch %s), and tablets send again what they keep from position %d on", entriesAre(v.Missing), v.Epoch, v.From)
	}
	if n := len(v.Changed); n > 0 {
		fmt.Fprintf(&b, "\n%d entries take effect otherwise than before, because of what is missing", n)
	}
	lost := 0
	for _, l := range v.Lost {
		if l.Derived {
			continue
		}
		if lost++; lost <= maxLines {
			fmt.Fprintf(&b, "\n  lost: %s", lostText(l))
		}
	}
	if lost > maxLines {
		fmt.Fprintf(&b, "\n  and %d more; --report or --json lists all", lost-maxLines)
	}
	for _, p := range v.Problems {
		b.WriteString("\n  verify: " + strings.ReplaceAll(p, "\n", "\n  "))
	}
	quick := ""
	if len(v.Problems) > 0 { // a restore looks for the same
		quick = " --quick"
	}
	b.WriteString("\nput it in place with flette restore" + quick + " --from " + v.File)
	return b.String()
}

func entriesAre(n int64) string {
	if n == 1 {
		return "1 entry is"
	}
	return fmt.Sprintf("%d entries are", n)
}

func lostText(l bolt.LostValue) string {
	var parts []string
	if l.Bucket != "" {
		parts = append(parts, "bucket "+l.Bucket)
	}
	if l.Key != "" {
		parts = append(parts, "key "+l.Key)
	}
	if l.Page != 0 || l.Bucket == "" {
		parts = append(parts, fmt.Sprintf("page %d", l.Page))
	}
	return strings.Join(parts, ", ") + ": " + l.Why
}
