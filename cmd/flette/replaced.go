package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"flette/journal"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// replaced is the store that a restore puts aside. Its lock is held as long as it can be
// opened, so that no server starts on it meanwhile.
type replaced struct {
	there bool
	app   *app // nil when it cannot be read
	why   error
	now   time.Time
}

// openReplaced opens the store in place. That it cannot be read is no error: that is what
// backups are for.
func openReplaced(path, keys string) (*replaced, error) {
	r := &replaced{now: time.Now()}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return r, nil
	} else if err != nil {
		return nil, err
	}
	r.there = true
	var err error
	r.app, err = openFileApp(path, appOptions{Keys: keys, NoWalk: true}) // what can be read of a damaged one counts
	if errors.Is(err, bolt.ErrInUse) {
		return nil, err
	}
	r.why = err
	return r, nil
}

func (r *replaced) close() error {
	if r.app == nil {
		return nil
	}
	return r.app.Close()
}

// replacedView is what the store that is put aside had, and what of it goes on.
type replacedView struct {
	Unreadable string         `json:"unreadable,omitempty"` // why nothing could be read of it
	Entries    int64          `json:"entries"`
	Beyond     int64          `json:"beyond"`          // entries that the backup has not
	Other      bool           `json:"other,omitempty"` // it had another history than the backup
	Revoked    []string       `json:"revoked"`         // tablets that stay revoked
	Enrol      []string       `json:"enrol"`           // tablets to enrol again
	Lost       map[string]int `json:"lost"`            // records that the backup has not
	Carried    map[string]int `json:"carried"`         // records that were taken along
}

// bring takes from the replaced store what must or shall outlive it.
func (r *replaced) bring(ctx context.Context, to *app, id model.TenantID, carry bool) (*replacedView, error) {
	if !r.there {
		return nil, nil
	}
	v := &replacedView{Revoked: []string{}, Enrol: []string{}, Lost: map[string]int{}, Carried: map[string]int{}}
	if r.app == nil {
		v.Unreadable = firstLine(problemOf(r.why).Detail)
		return v, nil
	}
	err := r.app.store.View(ctx, id, func(old store.View) error {
		// On their own, so that they last when the rest cannot be read to its end.
		_, err := to.store.Update(ctx, id, nil, func(tx store.Tx) error { return v.revocations(old, tx) })
		if err != nil {
			return err
		}
		_, err = to.store.Update(ctx, id, nil, func(tx store.Tx) error {
			if err := v.compare(old, tx); err != nil {
				return err
			}
			if v.Other && carry {
				return problemf("other-history", "the store that is replaced has another history than the backup, so nothing can be taken along; leave --carry away")
			}
			return v.carry(old, tx, carry, func(p model.PersonID) error {
				return to.applyRules(tx, p, nil, to.engine.Now())
			})
		})
		return err
	})
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNotFound) {
		// Half of what it had would mislead.
		return &replacedView{Unreadable: firstLine(problemOf(err).Detail), Revoked: v.Revoked, Enrol: []string{}, Lost: map[string]int{}, Carried: map[string]int{}}, nil
	}
	return v, err
}

// compare says how the replaced journal stands to that of the backup.
func (v *replacedView) compare(old, now store.View) error {
	v.Entries = old.Size()
	common := min(old.Size(), now.Size())
	var root [2]tlog.Hash
	for i, of := range []store.View{old, now} {
		var err error
		if root[i], err = journal.Root(common, journal.Reader(of)); err != nil {
			return err
		}
	}
	v.Beyond = old.Size() - common
	v.Other = root[0] != root[1] || old.Tenant().Forked && old.Tenant().Epoch == now.Tenant().Epoch
	return nil
}

// registry are the kinds that no tablet can hand in again, in words.
var registry = []struct {
	kind  store.Kind
	words string
	carry bool
}{
	{store.Person{}.DocKind(), "person", true},
	{store.PersonIndex{}.DocKind(), "", true},
	{store.OrgUnit{}.DocKind(), "organisation unit", true},
	{store.LocalService{}.DocKind(), "line of the service mapping", true},
	{store.ReferenceList{}.DocKind(), "reference list", true},
	{store.ReferenceRow{}.DocKind(), "", true},
	{store.Actor{}.DocKind(), "", true},
	{store.Assignment{}.DocKind(), "caseload event", true},
	{store.AssignmentRef{}.DocKind(), "", true},
	{store.BlockRef{}.DocKind(), "", true},
	{store.BreakGlass{}.DocKind(), "use of emergency access", true},
	{store.VisitPlan{}.DocKind(), "visit plan", true},
	{store.Device{}.DocKind(), "tablet", true},
	{store.DeviceKey{}.DocKind(), "", true},
	{store.Extract{}.DocKind(), "message to the register", false},
}

// carry counts what only the replaced store has, and takes the registry along when asked to.
// rules gives the findings of a person who came along. What the backup has too stays as the backup has it.
func (v *replacedView) carry(old store.View, tx store.Tx, all bool, rules func(model.PersonID) error) error {
	var persons []model.PersonID
	for _, k := range registry {
		missing, err := missingDocs(old, tx, k.kind)
		if err != nil {
			return err
		}
		counts := v.Lost
		if all && k.carry {
			counts = v.Carried
			for key, body := range missing {
				if err := tx.PutDoc(k.kind, key, body); err != nil {
					return err
				}
				if p, err := model.ParsePersonID(key); err == nil && k.kind == (store.Person{}).DocKind() {
					persons = append(persons, p)
				}
			}
		} else if k.kind == (store.Device{}).DocKind() {
			for key := range missing {
				v.Enrol = append(v.Enrol, key)
			}
		}
		if n := len(missing); n > 0 && k.words != "" {
			counts[k.words] = n
		}
	}
	if !all {
		return nil
	}
	was, is := old.Tenant(), tx.Tenant()
	if is.CaseloadIndexed == is.CaseloadSeq {
		is.CaseloadIndexed = max(is.CaseloadIndexed, was.CaseloadIndexed)
	}
	is.NextBrukerNr, is.CaseloadSeq = max(is.NextBrukerNr, was.NextBrukerNr), max(is.CaseloadSeq, was.CaseloadSeq)
	if err := tx.PutTenant(is); err != nil {
		return err
	}
	for _, p := range persons {
		if err := rules(p); err != nil {
			return err
		}
	}
	return nil
}

func missingDocs(old, now store.View, kind store.Kind) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := old.Docs(kind, "", "", func(key string, body []byte) bool {
		out[key] = bytes.Clone(body)
		return true
	})
	if err != nil {
		return nil, err
	}
	return out, now.Docs(kind, "", "", func(key string, _ []byte) bool {
		delete(out, key)
		return true
	})
}

// revocations revokes here what was revoked there, and takes over the keys that tablets have
// changed to. A tablet that only the replaced store knew leaves its tombstone too, so that it
// cannot come back under its old id.
func (v *replacedView) revocations(old store.View, tx store.Tx) error {
	v.Revoked = []string{}
	devices, err := store.List[store.Device](old, "", "", 0)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.State != sync.DeviceRevoked {
			changed, err := keyChanged(tx, &d)
			if err != nil {
				return err
			}
			if !changed {
				continue
			}
		} else {
			v.Revoked = append(v.Revoked, d.ID.String())
		}
		if err := errors.Join(store.Put(tx, d), store.Put(tx, store.DeviceKey{JKT: d.JKT, Device: d.ID})); err != nil {
			return err
		}
	}
	return nil
}

// keyChanged reports whether a tablet has changed its key since the backup: the backup knows
// only a key that the tablet has given up, and would refuse all that it signs.
func keyChanged(tx store.Tx, d *store.Device) (bool, error) {
	is, err := store.Get[store.Device](tx, d.ID.String())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil // it enrols again
	}
	return err == nil && is.State == sync.DeviceActive && len(is.Retired) < len(d.Retired), err
}

func (v *replacedView) text(b *strings.Builder) {
	if v.Unreadable != "" {
		fmt.Fprintf(b, "\nthe store that was replaced cannot be read (%s): what it had beyond the backup is not known; revoke again the tablets that were revoked since then", v.Unreadable)
	} else {
		fmt.Fprintf(b, "\nthe store that was replaced had %d entries, %d beyond the backup", v.Entries, v.Beyond)
	}
	if v.Other {
		fmt.Fprintf(b, "\nthe store that was replaced had another history than the backup: tablets send all that they keep")
	}
	if n := len(v.Revoked); n > 0 {
		fmt.Fprintf(b, "\nrevoked tablets that stay revoked: %d", n)
	}
	for _, k := range registry {
		if n := v.Carried[k.words]; n > 0 {
			fmt.Fprintf(b, "\n%s taken along", plural(n, k.words))
		}
		if n := v.Lost[k.words]; n > 0 {
			fmt.Fprintf(b, "\n%s that the backup has not", plural(n, k.words))
		}
	}
	if n := len(v.Enrol); n > 0 {
		fmt.Fprintf(b, "\nto be enrolled again (flette device invite): %s", strings.Join(v.Enrol, ", "))
	}
}
