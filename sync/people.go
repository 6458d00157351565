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
	ts, err := e.tenant(tenant)
	if err != nil {
		return Imported{}, err
	}
	var done Imported
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		done = Imported{}
		im := &importer{e: e, ts: ts, v: tx, tx: tx, now: e.o.Now(), t: tx.Tenant(), done: &done, judging: &judging{}}
		if err := im.persons(in); err != nil {
			return err
		}
		if len(im.problems) > 0 {
			return im.problems
		}
		return tx.PutTenant(im.t)
	})
	return done, err
}

// personBatch is how many persons EnterPersons stores in one update.
const personBatch = 500

// EnterPersons is ImportPersons of lines that CheckPersons has judged: in batches, each whole
// or not at all. A second run leaves alone what the first has stored, so it goes on after a
// crash. It lists no ids.
func (e *Engine) EnterPersons(ctx context.Context, tenant model.TenantID, in Lines[PersonInput]) (Imported, error) {
	var done Imported
	err := batches(in, personBatch, func(lines []PersonInput) error {
		part, err := e.ImportPersons(ctx, tenant, lines)
		if err == nil {
			done.New, done.Changed, done.Same = done.New+part.New, done.Changed+part.Changed, done.Same+part.Same
		}
		return err
	})
	return done, err
}

// errCheck ends the update of a check, so that nothing of it is kept.
var errCheck = errors.New("sync: checked only")

// CheckPersons judges all lines, counts what EnterPersons would do and stores nothing.
// ImportProblems.
func (e *Engine) CheckPersons(ctx context.Context, tenant model.TenantID, in Lines[PersonInput]) (Imported, error) {
	var done Imported
	ts, err := e.tenant(tenant)
	if err != nil {
		return done, err
	}
	j := &judging{}
	linked := map[lineKey]model.PersonID{}
	err = batches(in, checkBatch, func(lines []PersonInput) error {
		return e.st.View(ctx, tenant, func(v store.View) error {
			im := &importer{e: e, ts: ts, v: v, now: e.o.Now(), done: &done, judging: j, linked: linked}
			if err := im.persons(lines); err != nil {
				return err
			}
			return j.batch(im.problems)
		})
	})
	return done, j.verdict(err)
}

// checked is what a check did: its update ended with errCheck.
func checked[Done any](done Done, err error) (Done, error) {
	if errors.Is(err, errCheck) {
		err = nil
	}
	return done, err
}

// importer is one pass over persons. Without tx it judges them: who would be new has an id made
// of the number then, and who would be linked to a former number (R1) stands in linked.
type importer struct {
	e        *Engine
	ts       *tenantState
	v        store.View
	tx       store.Tx
	now      model.Millis
	t        store.Tenant
	units    map[string]string // id and local code -> id
	judging  *judging          // of all batches
	linked   map[lineKey]model.PersonID
	problems ImportProblems // of this one
	done     *Imported
}

func (im *importer) persons(in []PersonInput) (err error) {
	if im.units, err = unitsByName(im.v); err != nil {
		return err
	}
	for i := range in {
		if err := im.person(&in[i]); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) problem(line int, code, pointer, format string, args ...any) {
	im.problems = append(im.problems, &LineProblem{Line: line, Problem: *model.Problemf(code, pointer, format, args...)})
}

// found is whom a line is about: nobody yet when p has no id.
type found struct {
	p      store.Person
	old    store.Identity
	former []string
}

// match finds whom a line is about, by number, by former number or by the id in the source
// system. It is false when the line is refused.
func (im *importer) match(in *PersonInput) (f found, ok bool, err error) {
	if f.p, f.old, err = im.find(in.key()); err != nil {
		return f, false, err
	}
	var byRef found
	if in.Ref != "" && in.Number != "" {
		if byRef.p, byRef.old, err = im.find(refKey(in.Ref)); err != nil {
			return f, false, err
		}
	}
	if !im.once(in) {
		return f, false, nil
	}
	if f.p.ID.IsZero() && in.Former == "" && !byRef.p.ID.IsZero() && byRef.old.Number == "" { // R89: the number has come
		f = byRef
		if err := im.index(in.Number, f.p.ID); err != nil {
			return f, false, err
		}
	}
	f.former = f.old.Former
	if in.Former != "" {
		if ok, err := im.link(in, &f); !ok || err != nil {
			return f, false, err
		}
	}
	if !byRef.p.ID.IsZero() && byRef.p.ID != f.p.ID {
		im.problem(in.Line, "ref-is-another", "/ref", "the number and the ref are known here as two persons, or the ref has another number (give it as former); decide which record stays")
		return f, false, nil
	}
	return f, true, nil
}

// key is what the index of numbers finds the person by.
func (in *PersonInput) key() string {
	if in.Number == "" {
		return refKey(in.Ref)
	}
	return in.Number
}

// once refuses a line whose number or ref stands on an earlier one, or that has neither.
func (im *importer) once(in *PersonInput) bool {
	if in.Number == "" && (in.Ref == "" || in.Former != "") {
		im.problem(in.Line, "missing-value", "/number", "the value is missing; somebody who has no number yet needs a ref, by which the number finds the person later, and has no former number")
		return false
	}
	if in.Number != "" {
		if first, twice := im.judging.add(im.keyOf(in.Number), in.Line); twice {
			im.problem(in.Line, "duplicate-number", "/number", "the same identity number stands on line %d", first)
			return false
		}
	}
	if in.Ref != "" {
		if first, twice := im.judging.add(im.keyOf(refKey(in.Ref)), in.Line); twice {
			im.problem(in.Line, "duplicate-ref", "/ref", "the same ref stands on line %d; a person stands on one line", first)
			return false
		}
	}
	return true
}

// link gives the person of a former number the one of now (R1). It is false when the line is refused.
func (im *importer) link(in *PersonInput, f *found) (bool, error) {
	other, old, err := im.find(in.Former)
	switch {
	case err != nil:
		return false, err
	case f.p.ID.IsZero() && other.ID.IsZero():
		im.problem(in.Line, "unknown-former", "/former", "no person here has the former number")
		return false, nil
	case f.p.ID.IsZero():
		*f = found{other, old, append(old.Former, old.Number)}
		return true, im.index(in.Number, other.ID)
	case !other.ID.IsZero() && other.ID != f.p.ID:
		im.problem(in.Line, "former-is-another", "/former", "both numbers are known here as two persons; decide which record stays before linking them")
		return false, nil
	}
	return true, nil
}

func (im *importer) person(in *PersonInput) error {
	f, ok, err := im.match(in)
	if !ok || err != nil {
		return err
	}
	p, old := f.p, f.old
	unit, ok := im.units[in.Unit]
	if !ok {
		im.problem(in.Line, "unknown-unit", "/unit", "no organisation unit has this id or local code; import units first")
		return nil
	}
	if cmp.Or(in.Number, old.Number, in.BirthDate, old.BirthDate) == "" {
		im.problem(in.Line, "missing-value", "/birth_date", "the value is missing; without a number the date of birth is what is reported")
		return nil
	}
	isNew := p.ID.IsZero()
	if isNew {
		if p, err = im.newPerson(in.key()); err != nil {
			return err
		}
	}
	if in.Ref != "" && in.Number != "" {
		if err := im.index(refKey(in.Ref), p.ID); err != nil {
			return err
		}
	}
	who := store.Identity{Number: cmp.Or(in.Number, old.Number), Former: f.former, Name: in.Name, BirthDate: in.BirthDate, Sex: cmp.Or(in.Sex, old.Sex)}
	before := p
	p.Kommune, p.District, p.Unit = in.Kommune, in.District, unit
	p.IDType, p.IDIssue, p.Test = "9", "", in.Test
	switch id, err := ident.Parse(who.Number, identMode(im.now)); {
	case who.Number == "": // the register is told the date of birth, with type 9
	case err != nil:
		p.IDIssue = asProblem(err).Code
	default:
		p.IDType = id.KPRTypeID()
		p.Test = in.Test || id.Synthetic()
		if born, ok := id.Birth(); ok && who.BirthDate == "" {
			who.BirthDate = born.Format(time.DateOnly)
		}
	}
	// Numbers of 2032 tell neither sex nor century: what is known must not get lost when a
	// file leaves it out.
	who.BirthDate = cmp.Or(who.BirthDate, old.BirthDate)
	return im.save(p, before, who, old, isNew)
}

func (im *importer) find(number string) (store.Person, store.Identity, error) {
	hash := im.ts.keys.Index("person-number", number)
	ref, err := store.Get[store.PersonIndex](im.v, hex.EncodeToString(hash[:]))
	if errors.Is(err, store.ErrNotFound) {
		return store.Person{ID: im.earlier(number)}, store.Identity{}, nil
	}
	if err != nil {
		return store.Person{}, store.Identity{}, err
	}
	return im.e.PersonDoc(im.v, ref.Person)
}

// keyOf stands for a number: of the keyed index, so that no number can be guessed from it.
func (im *importer) keyOf(number string) lineKey {
	hash := im.ts.keys.Index("person-number", number)
	return lineKey(hash[:16])
}

// earlier is the person that an earlier line would have given the number, when lines are judged.
func (im *importer) earlier(number string) model.PersonID {
	key := im.keyOf(number)
	if im.tx != nil {
		return model.PersonID{}
	}
	if p, ok := im.linked[key]; ok {
		return p
	}
	if im.judging.made(key) {
		return model.PersonID(key)
	}
	return model.PersonID{}
}

// refKey stands in the index of numbers for a person of a source system.
func refKey(ref string) string { return "ref " + ref }

func (im *importer) newPerson(number string) (store.Person, error) {
	if im.tx == nil {
		im.judging.makes(im.keyOf(number))
		return store.Person{ID: model.PersonID(im.keyOf(number))}, nil
	}
	id, err := uuid.NewRandomFromReader(im.e.o.Rand)
	if err != nil {
		return store.Person{}, err
	}
	im.t.NextBrukerNr++
	p := store.Person{ID: model.PersonID(id), BrukerNr: im.t.NextBrukerNr, Created: im.now}
	return p, im.index(number, p.ID)
}

func (im *importer) index(number string, person model.PersonID) error {
	if im.tx == nil {
		im.linked[im.keyOf(number)] = person
		return nil
	}
	hash := im.ts.keys.Index("person-number", number)
	return store.Put(im.tx, store.PersonIndex{Hash: hex.EncodeToString(hash[:]), Person: person})
}

func (im *importer) save(p, before store.Person, who, old store.Identity, isNew bool) error {
	same := !isNew && sameIdentity(who, old) && samePerson(p, before)
	switch {
	case same:
		im.done.Same++
	case isNew:
		im.done.New++
	default:
		im.done.Changed++
	}
	if im.tx == nil {
		return nil
	}
	if im.done.Persons = append(im.done.Persons, p.ID); same {
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
	return checked(e.importUnits(ctx, tenant, in, errCheck))
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
