package sync

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"flette/model"
	"flette/model/ident"
	"flette/store"
)

// PersonInput is one person of an import, already checked for shape by the caller.
type PersonInput struct {
	Line      int    // of the source, for messages
	Number    string // "" while there is none: then Ref and BirthDate are needed (R89)
	Ref       string // id in the source system; the number that comes later finds the person by it
	Former    string // an earlier number of the same person, kept linked (R1)
	Name      string
	BirthDate string // YYYY-MM-DD; "" to read it from the number
	Sex       string
	Kommune   string // residence municipality
	District  string
	Unit      string // home organisation unit: id or local code
	Test      bool
}

// LineProblem is a problem with one line of an import.
type LineProblem struct {
	Line int
	model.Problem
}

// Error puts the line first.
func (p *LineProblem) Error() string { return fmt.Sprintf("line %d: %s", p.Line, p.Problem.Error()) }

// ImportProblems are all lines that keep an import from happening; nothing was imported.
type ImportProblems []*LineProblem

// Error says how many there are; the caller prints them.
func (p ImportProblems) Error() string {
	return fmt.Sprintf("%d lines cannot be imported; nothing was imported", len(p))
}

// Imported counts what an import did.
type Imported struct {
	New     int              `json:"new"`
	Changed int              `json:"changed"`
	Same    int              `json:"same"`
	Persons []model.PersonID `json:"persons,omitempty"` // in the order of the lines
}

// ImportPersons adds or updates persons by identity number, all or none. Numbers whose
// checksum or date is wrong are accepted as findings (R2), not refused: the person needs
// visits whatever the number is. ImportProblems when lines contradict each other.
func (e *Engine) ImportPersons(ctx context.Context, tenant model.TenantID, in []PersonInput) (Imported, error) {
	return e.importPersons(ctx, tenant, in, nil)
}

// errCheck ends the update of a check, so that nothing of it is kept.
var errCheck = errors.New("sync: checked only")

// CheckPersons counts what ImportPersons would do and stores nothing.
func (e *Engine) CheckPersons(ctx context.Context, tenant model.TenantID, in []PersonInput) (Imported, error) {
	done, err := e.importPersons(ctx, tenant, in, errCheck)
	return checked(done, err)
}

func checked(done Imported, err error) (Imported, error) {
	if errors.Is(err, errCheck) {
		err = nil
	}
	done.Persons = nil // ids of new persons were drawn for the check
	return done, err
}

func (e *Engine) importPersons(ctx context.Context, tenant model.TenantID, in []PersonInput, end error) (Imported, error) {
	ts, err := e.tenant(tenant)
	if err != nil {
		return Imported{}, err
	}
	now := e.o.Now()
	var done Imported
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		done = Imported{}
		im := &importer{e: e, ts: ts, tx: tx, now: now, t: tx.Tenant(), done: &done, seen: map[string]int{}}
		if err := im.loadUnits(); err != nil {
			return err
		}
		for i := range in {
			if err := im.person(&in[i]); err != nil {
				return err
			}
		}
		if len(im.problems) > 0 {
			return im.problems
		}
		if err := tx.PutTenant(im.t); err != nil {
			return err
		}
		return end
	})
	return done, err
}

type importer struct {
	e        *Engine
	ts       *tenantState
	tx       store.Tx
	now      model.Millis
	t        store.Tenant
	units    map[string]string // id and local code -> id
	seen     map[string]int    // number -> line
	problems ImportProblems
	done     *Imported
}

func (im *importer) loadUnits() (err error) {
	im.units, err = unitsByName(im.tx)
	return err
}

func (im *importer) problem(line int, code, pointer, format string, args ...any) {
	im.problems = append(im.problems, &LineProblem{Line: line, Problem: *model.Problemf(code, pointer, format, args...)})
}

func (im *importer) person(in *PersonInput) error {
	key := in.Number
	if key == "" {
		if in.Ref == "" {
			im.problem(in.Line, "missing-value", "/number", "the value is missing; somebody who has no number yet needs a ref, by which the number finds the person later")
			return nil
		}
		key = refKey(in.Ref)
	}
	if first, dup := im.seen[key]; dup {
		im.problem(in.Line, "duplicate-number", "/number", "the same identity number stands on line %d", first)
		return nil
	}
	im.seen[key] = in.Line
	unit, ok := im.units[in.Unit]
	if !ok {
		im.problem(in.Line, "unknown-unit", "/unit", "no organisation unit has this id or local code; import units first")
		return nil
	}
	p, old, err := im.find(key)
	if err != nil {
		return err
	}
	if in.Ref != "" && in.Number != "" {
		byRef, oldByRef, err := im.find(refKey(in.Ref))
		if err != nil {
			return err
		}
		switch {
		case byRef.ID.IsZero() || byRef.ID == p.ID:
		case p.ID.IsZero() && oldByRef.Number == "": // R89: the number has come
			p, old = byRef, oldByRef
			if err := im.index(in.Number, p.ID); err != nil {
				return err
			}
		case p.ID.IsZero() && oldByRef.Number == in.Former: // found by that below
		default:
			im.problem(in.Line, "ref-is-another", "/ref", "the number and the ref are known here as two persons, or the ref has another number (give it as former); decide which record stays")
			return nil
		}
	}
	former := old.Former
	if !p.ID.IsZero() && in.Former != "" {
		other, _, err := im.find(in.Former)
		if err != nil {
			return err
		}
		if !other.ID.IsZero() && other.ID != p.ID {
			im.problem(in.Line, "former-is-another", "/former", "both numbers are known here as two persons; decide which record stays before linking them")
			return nil
		}
	}
	if p.ID.IsZero() && in.Former != "" {
		if p, old, err = im.find(in.Former); err != nil {
			return err
		}
		if p.ID.IsZero() {
			im.problem(in.Line, "unknown-former", "/former", "no person here has the former number")
			return nil
		}
		former = append(old.Former, old.Number)
		if err := im.index(in.Number, p.ID); err != nil {
			return err
		}
	}
	isNew := p.ID.IsZero()
	if isNew {
		if p, err = im.newPerson(key); err != nil {
			return err
		}
	}
	if in.Ref != "" && key == in.Number {
		if err := im.index(refKey(in.Ref), p.ID); err != nil {
			return err
		}
	}
	who := store.Identity{Number: cmp.Or(in.Number, old.Number), Former: former, Name: in.Name, BirthDate: in.BirthDate, Sex: cmp.Or(in.Sex, old.Sex)}
	before := p
	p.Kommune, p.District, p.Unit = in.Kommune, in.District, unit
	p.IDType, p.IDIssue, p.Test = "9", "", in.Test
	if who.Number == "" {
		if who.BirthDate = cmp.Or(who.BirthDate, old.BirthDate); who.BirthDate == "" {
			im.problem(in.Line, "missing-value", "/birth_date", "the value is missing; without a number the date of birth is what is reported")
			return nil
		}
	} else if id, err := ident.Parse(who.Number, identMode(im.now)); err != nil {
		p.IDIssue = asProblem(err).Code
	} else {
		p.IDType = id.KPRTypeID()
		p.Test = in.Test || id.Synthetic()
		if who.BirthDate == "" {
			if born, ok := id.Birth(); ok {
				who.BirthDate = born.Format(time.DateOnly)
			}
		}
	}
	// Numbers of 2032 tell neither sex nor century: what is known must not get lost when a
	// file leaves it out.
	who.BirthDate = cmp.Or(who.BirthDate, old.BirthDate)
	return im.save(p, before, who, old, isNew)
}

func (im *importer) find(number string) (store.Person, store.Identity, error) {
	hash := im.ts.keys.Index("person-number", number)
	ref, err := store.Get[store.PersonIndex](im.tx, hex.EncodeToString(hash[:]))
	if errors.Is(err, store.ErrNotFound) {
		return store.Person{}, store.Identity{}, nil
	}
	if err != nil {
		return store.Person{}, store.Identity{}, err
	}
	return im.e.PersonDoc(im.tx, ref.Person)
}

// refKey stands in the index of numbers for a person of a source system.
func refKey(ref string) string { return "ref " + ref }

func (im *importer) newPerson(number string) (store.Person, error) {
	id, err := uuid.NewRandomFromReader(im.e.o.Rand)
	if err != nil {
		return store.Person{}, err
	}
	im.t.NextBrukerNr++
	p := store.Person{ID: model.PersonID(id), BrukerNr: im.t.NextBrukerNr, Created: im.now}
	return p, im.index(number, p.ID)
}

func (im *importer) index(number string, person model.PersonID) error {
	hash := im.ts.keys.Index("person-number", number)
	return store.Put(im.tx, store.PersonIndex{Hash: hex.EncodeToString(hash[:]), Person: person})
}

func (im *importer) save(p, before store.Person, who, old store.Identity, isNew bool) error {
	im.done.Persons = append(im.done.Persons, p.ID)
	if !isNew && sameIdentity(who, old) && samePerson(p, before) {
		im.done.Same++
		return nil
	}
	plain, err := json.Marshal(who)
	if err != nil {
		return err
	}
	if p.Sealed, err = im.ts.keys.Seal(plain, sealedPerson(p.ID)); err != nil {
		return err
	}
	p.Updated = im.now
	if isNew {
		im.done.New++
	} else {
		im.done.Changed++
	}
	if err := store.Put(im.tx, p); err != nil {
		return err
	}
	return im.e.o.Rules(im.tx, p.ID, nil, im.now)
}

func sameIdentity(a, b store.Identity) bool {
	return a.Number == b.Number && a.Name == b.Name && a.BirthDate == b.BirthDate && a.Sex == b.Sex
}

func samePerson(a, b store.Person) bool {
	return a.Kommune == b.Kommune && a.District == b.District && a.Unit == b.Unit &&
		a.Test == b.Test && a.IDType == b.IDType && a.IDIssue == b.IDIssue
}

// identMode: from 2032 new numbers use a wider checksum rule (domain.md 5.1).
func identMode(now model.Millis) ident.Mode {
	if now.Time().Year() >= 2032 {
		return ident.From2032
	}
	return ident.Legacy
}

// Identity opens the sealed part of a person.
func (e *Engine) Identity(tenant model.TenantID, p *store.Person) (store.Identity, error) {
	var who store.Identity
	ts, err := e.tenant(tenant)
	if err != nil {
		return who, err
	}
	plain, err := ts.keys.Open(p.Sealed, sealedPerson(p.ID))
	if err != nil {
		return who, err
	}
	return who, json.Unmarshal(plain, &who)
}

// UnitInput is one organisation unit of an import.
type UnitInput struct {
	Line      int
	Local     string // the municipality's own code: names the unit in later imports
	Parent    string // local code, "" for the root
	Name      string
	OrgNumber string // "" when it inherits (R69)
	From      string // of the number, YYYY-MM-DD; "" for 1900-01-01
	To        string
}

// ImportUnits adds or updates the organisation tree by local code, all or none. A line with
// an org number adds it beside those that the unit had at other times. ImportProblems.
func (e *Engine) ImportUnits(ctx context.Context, tenant model.TenantID, in []UnitInput) (Imported, error) {
	return e.importUnits(ctx, tenant, in, nil)
}

// CheckUnits counts what ImportUnits would do and stores nothing.
func (e *Engine) CheckUnits(ctx context.Context, tenant model.TenantID, in []UnitInput) (Imported, error) {
	done, err := e.importUnits(ctx, tenant, in, errCheck)
	return checked(done, err)
}

func (e *Engine) importUnits(ctx context.Context, tenant model.TenantID, in []UnitInput, end error) (Imported, error) {
	now := e.o.Now()
	var done Imported
	_, err := e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		done = Imported{}
		units, err := store.List[store.OrgUnit](tx, "", "", 0)
		if err != nil {
			return err
		}
		tree := newUnitTree(units)
		for i := range in {
			tree.add(&in[i], e.o.Rand)
		}
		tree.check()
		if len(tree.problems) > 0 {
			return tree.problems
		}
		for _, u := range tree.changed() {
			u.Updated = now
			if err := store.Put(tx, *u); err != nil {
				return err
			}
		}
		done = tree.counts()
		return end
	})
	return done, err
}

func dayBefore(date string) string { return dayBeside(date, -1) }
func dayAfter(date string) string  { return dayBeside(date, 1) }

func dayBeside(date string, days int) string {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return d.AddDate(0, 0, days).Format(time.DateOnly)
}
