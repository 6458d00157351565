package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

const (
	listOfPersons = "persons"

	listOfUnassigned = "unassigned"
	listOfUnits      = "units"
	listOfHistory    = "history"
	unitsPage        = 500
)

// access is what the caller may see (H3), in the snapshot of v.
func (c *call) access(v store.View) (*sync.Access, error) {
	return c.engine().Access(v, c.who.actor, c.who.roles)
}

// sees answers not-found for a person whom the caller may not see: nobody's person and
// somebody else's get the same answer (H3).
func (c *call) sees(v store.View, id model.PersonID) error {
	access, err := c.access(v)
	if err == nil && !access.Sees(id) {
		err = store.ErrNotFound
	}
	return err
}

// mayName answers as for persons who do not exist when the caller is kept from one of them by name.
func (c *call) mayName(v store.View, pointer string, persons ...model.PersonID) error {
	access, err := c.access(v)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(persons, func(p model.PersonID) bool { return !access.Sees(p) }) {
		return sync.NoSuchPerson(pointer)
	}
	return nil
}

// listPersons lists the tenant for those who see it, and the own caseload for a nurse (H3).
func listPersons(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	unassigned, f := c.choice("unassigned", "false", "true", "false")
	if f != nil {
		return answer{}, f
	}
	if unassigned == "true" && !c.who.seesAll() {
		return answer{}, fail("forbidden", "")
	}
	list := listOfPersons
	if unassigned == "true" {
		list = listOfUnassigned
	}
	after, f := afterPerson(list, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	out := contract.PersonList{Persons: []contract.PersonCard{}}
	err := c.view(func(v store.View) error {
		persons, err := c.persons(v, unassigned == "true", after, limit)
		if err != nil {
			return err
		}
		for i := range persons {
			card, err := c.s.personCard(c.who.tenant, &persons[i])
			if err != nil {
				return err
			}
			out.Persons = append(out.Persons, card)
		}
		if len(persons) == limit {
			out.Next = nextOf(list, persons[limit-1].ID.String())
		}
		return nil
	})
	return answer{status: http.StatusOK, value: out}, err
}

// persons lists up to limit persons whom the caller may see after an id, in order of id;
// with unassigned, those of them whom nobody has.
func (c *call) persons(v store.View, unassigned bool, after model.PersonID, limit int) ([]store.Person, error) {
	access, err := c.access(v)
	if err != nil {
		return nil, err
	}
	var out []store.Person
	if !c.who.seesAll() {
		for _, id := range access.Caseload() {
			if !after.IsZero() && id.String() <= after.String() {
				continue
			}
			p, err := store.Get[store.Person](v, id.String())
			if err != nil {
				return nil, err
			}
			if out = append(out, p); len(out) == limit {
				break
			}
		}
		return out, nil
	}
	var owned map[model.PersonID]bool
	if unassigned {
		if owned, err = c.engine().Owned(v, c.engine().Now()); err != nil {
			return nil, err
		}
	}
	key := ""
	if !after.IsZero() {
		key = after.String()
	}
	for {
		page, err := store.List[store.Person](v, "", key, limit)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if key = page[i].DocKey(); owned[page[i].ID] || !access.Sees(page[i].ID) {
				continue
			}
			if out = append(out, page[i]); len(out) == limit {
				return out, nil
			}
		}
		if len(page) < limit {
			return out, nil
		}
	}
}

// person reads the {id} of the path as a person whom the caller may see.
func (c *call) person(v store.View) (store.Person, error) {
	id, err := model.ParsePersonID(c.id)
	if err != nil {
		return store.Person{}, badPath()
	}
	if err := c.sees(v, id); err != nil {
		return store.Person{}, err
	}
	return store.Get[store.Person](v, id.String())
}

// getPerson reads the merged record, now or at an earlier size of the journal.
func getPerson(c *call) (answer, error) {
	asOf, f := c.number("as_of", -1, 0, maxSafe)
	if f != nil {
		return answer{}, f
	}
	key, f := afterOf(listOfUnits, c.text("after"))
	if f != nil {
		return answer{}, badQuery("after")
	}
	after := model.Unit(key)
	var out contract.PersonRecord
	err := c.view(func(v store.View) error {
		p, err := c.person(v)
		if err != nil {
			return err
		}
		if asOf > v.Size() {
			return fail("invalid-query", "The parameter as_of is beyond the journal's size.")
		}
		who, err := c.engine().Identity(c.who.tenant, &p)
		if err != nil {
			return err
		}
		out = contract.PersonRecord{Card: cardOf(&p, &who), Position: v.Size(), Units: []contract.UnitView{}}
		if c.who.seesAll() {
			out.NationalID = who.Number
		}
		add := func(s *model.UnitState) bool {
			if len(out.Units) == unitsPage {
				out.Next = nextOf(listOfUnits, string(out.Units[unitsPage-1].Unit))
				return false
			}
			out.Units = append(out.Units, unitView(p.ID, s))
			return true
		}
		if asOf >= 0 {
			return c.pastUnits(v, p.ID, asOf, after, &out, add)
		}
		if err := v.Units(p.ID, "", after, add); err != nil || after != "" {
			return err
		}
		return c.personFindings(v, p.ID, &out)
	})
	return answer{status: http.StatusOK, value: out}, err
}

func (c *call) pastUnits(v store.View, person model.PersonID, asOf int64, after model.Unit, out *contract.PersonRecord, add func(*model.UnitState) bool) error {
	out.Position = asOf
	states, err := c.engine().UnitsAsOf(v, person, asOf)
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Unit > after && !add(s) {
			break
		}
	}
	return nil
}

func (c *call) personFindings(v store.View, person model.PersonID, out *contract.PersonRecord) error {
	findings, _, err := c.engine().Findings(v, &person, sync.FindingFilter{}, "", maxLimit)
	if err != nil {
		return err
	}
	for i := range findings {
		view, err := findingView(v, &findings[i])
		if err != nil {
			return err
		}
		out.Findings = append(out.Findings, view)
	}
	return nil
}

// getHistory lists a person's entries as signed.
func getHistory(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	after, f := afterPosition(listOfHistory, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	unit := c.text("unit")
	if unit != "" && !namesUnit(model.Unit(unit)) {
		return answer{}, badQuery("unit")
	}
	out := contract.History{Entries: []contract.HistoryEntry{}}
	err := c.view(func(v store.View) error {
		p, err := c.person(v)
		if err != nil {
			return err
		}
		out.Person = p.ID
		uses, err := store.List[store.CatalogueUse](v, "", "", 0)
		if err != nil {
			return err
		}
		past, next, err := c.engine().PersonHistory(v, p.ID, model.Unit(unit), after, limit)
		for i := range past {
			entry := historyEntry(&past[i])
			entry.JudgedBy = store.CatalogueAt(uses, entry.Position)
			out.Entries = append(out.Entries, entry)
		}
		if next >= 0 {
			out.Next = nextOf(listOfHistory, strconv.FormatInt(next, 10))
		}
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

// namesUnit reports whether some act can name the unit.
func namesUnit(u model.Unit) bool {
	_, err := model.ParseUnit(string(u))
	_, ferr := model.ParseFinding(u)
	return err == nil || ferr == nil || u == model.QuarantineUnit
}

// assign changes a caseload.
func assign(c *call) (answer, error) {
	var in contract.AssignRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	actor, err := model.ParseActorID(string(in.Actor))
	switch {
	case err != nil:
		return answer{}, failAt("invalid-member", "/actor", "The actor id is 1-64 printable ASCII characters without spaces.")
	case len(in.Persons) == 0 || len(in.Persons) > 1000:
		return answer{}, failAt("invalid-member", "/persons", "Name 1 to 1000 persons.")
	case len(in.Reason) > 500:
		return answer{}, failAt("invalid-member", "/reason", "The reason is at most 500 bytes.")
	}
	a := sync.Assign{Actor: actor, Persons: in.Persons, End: in.End, By: string(c.who.actor), Reason: in.Reason}
	a.From, a.To = moment(in.From), moment(in.To)
	out := contract.AssignResponse{Changed: len(in.Persons)}
	err = c.view(func(v store.View) error {
		if err := c.mayName(v, "/persons", in.Persons...); err != nil || !a.End {
			return err
		}
		out.Changed, err = c.engine().Holding(v, actor, in.Persons, a.From)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	out.Version, err = c.engine().Assign(c.ctx, c.who.tenant, a)
	return answer{status: http.StatusCreated, value: out}, err
}

func getCatalogue(c *call) (answer, error) { return c.document(&c.s.catalogue) }
func getOpenAPI(c *call) (answer, error)   { return c.document(&c.s.openapi) }

// getLocalServices tells what the municipality calls its services (R104).
func getLocalServices(c *call) (answer, error) {
	on := c.text("on")
	if !isDate(on) {
		return answer{}, badQuery("on")
	}
	out := contract.LocalServices{On: cmp.Or(on, model.DateInOslo(model.MillisOf(c.now))), Services: []contract.LocalService{}}
	err := c.view(func(v store.View) error {
		lines, err := store.List[store.LocalService](v, "", "", 0)
		for len(lines) > 0 {
			n := 1
			for n < len(lines) && lines[n].Local == lines[0].Local {
				n++
			}
			if code := store.CodeOn(lines[:n], out.On); code != "" {
				out.Services = append(out.Services, contract.LocalService{Local: lines[0].Local, Code: code})
			}
			lines = lines[n:]
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return answer{}, err
	}
	d := newDocument(body)
	return c.document(&d)
}

// document answers with a fixed text, or 304 when the client has it.
func (c *call) document(d *document) (answer, error) {
	for _, have := range c.ifNoneMatch {
		if have == d.etag || have == "*" {
			return answer{status: http.StatusNotModified, etag: d.etag, cache: true}, nil
		}
	}
	return answer{status: http.StatusOK, raw: d.body, mime: jsonMIME, etag: d.etag, cache: true}, nil
}
