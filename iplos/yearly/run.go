package yearly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/iplos"
	"flette/iplos/kpr"
	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
	"flette/store"
)

// Options of Run.
type Options struct {
	Year     int
	Position int64  // journal size to read at; 0 for all
	Target   string // kpr.Production or kpr.Test
	Kommune  string // municipality of the data year, "" for that of the tenant (R73)
	Format   Format // Own when nil
	// Units gives a person's units as of a position, merged from the entries that count.
	Units func(v store.View, person model.PersonID, size int64, counts func(act model.Act, signed model.Millis, value []byte) bool) ([]*model.UnitState, error)
	// Elsewhere counts the other municipalities that know of an identity number (R77); nil when
	// there are none to ask.
	Elsewhere func(number string) (int, error)
	// Open opens a sealed identity, as seal.Keys does.
	Open     func(sealed []byte, ad string) ([]byte, error)
	Progress func(persons int)
}

// Head is what both shipments begin with.
type Head struct {
	Year     int    `json:"year"`
	Kommune  string `json:"kommune"`
	Position int64  `json:"position"`
	Epoch    string `json:"epoch"`
}

// Report says what was sent and what was not.
type Report struct {
	Head
	Persons  int            `json:"persons"`  // in both shipments
	Services map[string]int `json:"services"` // rows by type
	Values   int            `json:"values"`
	Excluded map[string]int `json:"excluded"` // persons, by code
	Dropped  map[string]int `json:"dropped"`  // services, by code
	Left     []Left         `json:"left"`     // the first maxLeft of both
	Unlisted int            `json:"unlisted"` // how many more there are
	Lacks    map[string]int `json:"lacks"`    // of what is sent: what it lacks of the least that is wanted (R74), by code
	Lacking  []Left         `json:"lacking"`  // the first maxLeft of them
	Looked   int            `json:"looked"`   // persons looked at
}

// Left is a person or a service that is not in the extract. It names nobody.
type Left struct {
	BrukerNr int64  `json:"bruker_nr"`
	Service  string `json:"service,omitempty"` // id, "" for the whole person
	Type     string `json:"type,omitempty"`
	Rule     string `json:"rule"`
	Code     string `json:"code"`
}

const maxLeft = 5000

// Codes of what is sent and lacks something (R74), or will be taken for something else (R77).
const (
	LacksKommune    = "municipality-missing"
	LacksDistrict   = "district-missing"
	LacksIdentity   = "id-gives-no-kpr-id"
	LacksAssistance = "assistance-need-incomplete"
	LacksDecision   = "decision-missing"
	LacksOrgNumber  = "org-number-missing"
	TakenForTest    = "reported-by-five-municipalities"
)

// Codes of what is left out, beside those of kpr.Resolve.
const (
	DiedBefore   = "died-before-year"  // R76
	NothingToSay = "nothing-to-report" // R74
	UnknownType  = "unknown-type"      // R76
	ReadAsStatus = "read-as-status"    // service 16 from 2019 on (R67)
	NotStarted   = "not-started"       // R55
	StartsLater  = "starts-later"      // R76
	StartsEarly  = "starts-before-1980"
	EndsFirst    = "ends-before-start"
	EndedBefore  = "ended-before-year"
	OtherYear    = "rejected-in-another-year" // R50
)

// Problems of options.
var (
	errYear     = model.Problemf("yearly-year", "/year", "a data year is 2006 to the present one")
	errPosition = model.Problemf("yearly-position", "/position", "the journal is not that long")
)

const firstYear = 2006

// Run writes the shipments of one municipality. Errors: a *model.Problem for options that
// cannot be; those of the writers and the store. What was written then is no shipment.
func Run(ctx context.Context, v store.View, o Options, identity, subject io.Writer) (*Report, error) {
	t := v.Tenant()
	if o.Position == 0 {
		o.Position = v.Size()
	}
	switch {
	case o.Year < firstYear || o.Year > 2200:
		return nil, errYear
	case o.Position > v.Size():
		return nil, errPosition
	}
	if o.Format == nil {
		o.Format = Own{}
	}
	o.Kommune = cmp.Or(o.Kommune, t.Kommune)
	if err := existed(v, o.Kommune, o.Year); err != nil {
		return nil, err
	}
	r := &run{
		Options: o, v: v, cat: catalogue.Default(), first: day(o.Year, "01-01"), last: day(o.Year, "12-31"),
		report: Report{
			Head:     Head{Year: o.Year, Kommune: o.Kommune, Position: o.Position, Epoch: t.EpochAt(o.Position)},
			Services: map[string]int{}, Excluded: map[string]int{}, Dropped: map[string]int{}, Lacks: map[string]int{},
		},
	}
	ide, ipl := o.Format.Identity(identity, r.report.Head), o.Format.Subject(subject, r.report.Head)
	if err := r.persons(ctx, func(p *Person) error { return errors.Join(ide.Write(p), ipl.Write(p)) }); err != nil {
		return nil, err
	}
	return &r.report, errors.Join(ide.Close(), ipl.Close())
}

// existed holds the municipality against the list of municipalities, when one was imported: a
// data year is reported on the municipality that existed then (R73).
func existed(v store.View, number string, year int) error {
	m, err := store.MunicipalityOf(v, number)
	if err != nil || !m.Listed || ident.Kommune(number).Special() || m.Existed(string(day(year, "01-01")), string(day(year, "12-31"))) {
		return err
	}
	what := "the list of municipalities has no municipality " + number
	if m.Known {
		what = fmt.Sprintf("the municipality %s did not exist in %d, says the list of municipalities", number, year)
	}
	return model.Problemf("yearly-kommune", "/kommune", "%s; name the one that existed with --kommune (flette kommunelist show tells), or import a newer list (R73)", what)
}

func day(year int, rest string) catalogue.Date {
	return catalogue.Date(fmt.Sprintf("%04d-%s", year, rest))
}

type run struct {
	Options
	v           store.View
	cat         *catalogue.Catalogue
	first, last catalogue.Date
	report      Report
}

func (r *run) persons(ctx context.Context, write func(*Person) error) error {
	const page = 200
	for after := ""; ; {
		docs, err := store.List[store.Person](r.v, "", after, page)
		if err != nil {
			return err
		}
		for i := range docs {
			if err := ctx.Err(); err != nil {
				return err
			}
			after = docs[i].DocKey()
			p, err := r.person(&docs[i])
			if err != nil {
				return err
			}
			if p != nil {
				if err := write(p); err != nil {
					return err
				}
			}
			if r.report.Looked++; r.Progress != nil {
				r.Progress(r.report.Looked)
			}
		}
		if len(docs) < page {
			return nil
		}
	}
}

// person gives what is sent about one, nil for nothing.
func (r *run) person(doc *store.Person) (*Person, error) {
	id, err := r.identity(doc)
	if err != nil {
		return nil, err
	}
	bruker, excluded := kpr.Resolve(*doc, id, r.Target)
	if excluded != nil {
		r.exclude(doc.BrukerNr, excluded.Rule, excluded.Code)
		return nil, nil
	}
	states, err := r.Units(r.v, doc.ID, r.Position, r.counts)
	if err != nil {
		return nil, err
	}
	p := &Person{
		BrukerNr: doc.BrukerNr, FID: bruker.FID, TypeID: bruker.TypeID, Kommune: doc.Kommune, District: cmp.Or(bruker.District, "00"),
		Birth: id.BirthDate, Sex: id.Sex,
	}
	if s := find(states, "person/death_date"); s != nil {
		if d, err := catalogue.Decode[catalogue.Death](s.Shown().Value); err == nil {
			if p.Death = string(d.Date); d.Date < r.first {
				r.exclude(doc.BrukerNr, "R76", DiedBefore)
				return nil, nil
			}
		}
	}
	r.services(p, states)
	r.values(p, states)
	if len(p.Services) == 0 && len(p.Repeated) == 0 {
		r.exclude(doc.BrukerNr, "R74", NothingToSay)
		return nil, nil
	}
	if err := r.least(p, id.Number); err != nil {
		return nil, err
	}
	r.report.Persons++
	r.report.Values += len(p.Values) + len(p.Repeated)
	for i := range p.Services {
		r.report.Services[p.Services[i].Type]++
	}
	return p, nil
}

func (r *run) identity(p *store.Person) (store.Identity, error) {
	var id store.Identity
	if len(p.Sealed) == 0 {
		return id, nil
	}
	plain, err := r.Open(p.Sealed, "person|"+p.ID.String()+"|1")
	if err == nil {
		err = json.Unmarshal(plain, &id)
	}
	if err != nil {
		return id, fmt.Errorf("yearly: the identity of person %s cannot be opened", p.ID)
	}
	return id, nil
}

// counts reports whether an entry's word on a unit is of the year (R73).
func (r *run) counts(act model.Act, signed model.Millis, value []byte) bool {
	switch act {
	case model.ActCorrect, model.ActVoid, model.ActReinstate, model.ActDecide:
		return true
	}
	var own struct{ Type, Assessed, Date, Decided, Received, From, Start, Month string }
	if json.Unmarshal(value, &own, json.MatchCaseInsensitiveNames(true)) != nil {
		return false
	}
	date := cmp.Or(own.Assessed, own.Date, own.Decided, own.Received, own.From, own.Start, own.Month)
	switch {
	case date == "" && own.Type != "":
		return true // a service: its parts have the dates
	case date == "":
		date = model.DateInOslo(signed)
	}
	return date <= string(r.last)
}

func (r *run) exclude(bruker int64, rule, code string) {
	r.report.Excluded[code]++
	r.leave(Left{BrukerNr: bruker, Rule: rule, Code: code})
}

func (r *run) drop(p *Person, s *iplos.Service, rule, code string) {
	r.report.Dropped[code]++
	r.leave(Left{BrukerNr: p.BrukerNr, Service: s.ID, Type: s.Type, Rule: rule, Code: code})
}

func (r *run) leave(l Left) {
	if len(r.report.Left) == maxLeft {
		r.report.Unlisted++
		return
	}
	r.report.Left = append(r.report.Left, l)
}

func find(states []*model.UnitState, path model.Unit) *model.UnitState {
	i := slices.IndexFunc(states, func(s *model.UnitState) bool { return s.Unit == path })
	if i < 0 || states[i].Shown() == nil {
		return nil
	}
	return states[i]
}

// values takes the variables of the catalogue that are valid in the year, in its order, and the
// repeated ones. What is registered under an old code is read as on 31 December; where the new
// variable has a registration of its own, that one counts.
func (r *run) values(p *Person, states []*model.UnitState) {
	reserved := false
	now, old := r.byUnit(states)
	for i := range r.cat.Variables {
		v := &r.cat.Variables[i]
		if v.Unit == "" || v.Closed || v.LocalOnly || v.From > r.last || v.To != "" && v.To < r.first {
			continue
		}
		if section, _, _ := strings.Cut(v.Unit, "/"); strings.Contains(v.Unit, "*") || section == "service" {
			continue
		}
		s := now[model.Unit(v.Unit)]
		if s == nil {
			s = old[model.Unit(v.Unit)]
		}
		if s == nil {
			continue
		}
		val, ok := valueOf(v, s)
		if !ok {
			continue
		}
		if v.Unit == "health/diagnosis_reservation" && r.Year <= 2017 {
			reserved = val.get("code") == "1"
		}
		p.Values = append(p.Values, val)
	}
	for _, s := range states {
		section, _, _ := strings.Cut(string(s.Unit), "/")
		if s.Shown() == nil || section != "diagnosis" && section != "stay" && section != "coercion" || section == "diagnosis" && reserved {
			continue // R31: up to data year 2017 an opt-out withholds diagnoses
		}
		val, ok := fields(Value{ID: section, Registered: registered(s)}, s.Shown().Value, "")
		from, to := val.get("from")+val.get("start"), val.get("to")+val.get("end")
		if section == "coercion" && from == "" {
			if val.get("rejected") != "true" {
				continue // R55, R59: not approved yet, so not started
			}
			from, to = val.get("decided"), val.get("decided")
		}
		if !ok || section != "diagnosis" && from > string(r.last) || to != "" && to < string(r.first) {
			continue
		}
		p.Repeated = append(p.Repeated, val)
	}
}

// byUnit finds registrations by their unit, and those under a variable that was replaced by the
// unit as which they are read at the end of the year.
func (r *run) byUnit(states []*model.UnitState) (now, old map[model.Unit]*model.UnitState) {
	now, old = make(map[model.Unit]*model.UnitState, len(states)), map[model.Unit]*model.UnitState{}
	for _, s := range states {
		head := s.Shown()
		if head == nil || strings.HasPrefix(string(s.Unit), "service/") {
			continue
		}
		now[s.Unit] = s
		if read := r.cat.ReadAt(s.Unit, head.Value, r.last); read.Old && read.Unit != s.Unit && read.Value != nil && old[read.Unit] == nil {
			h := *head
			h.Value = read.Value
			old[read.Unit] = &model.UnitState{Unit: read.Unit, Heads: []model.Head{h}}
		}
	}
	return now, old
}

func registered(s *model.UnitState) string { return model.DateInOslo(s.Shown().Stamp.TEff) }

// local are members that never leave: free text, and what only the municipality uses (R78).
var local = map[string]bool{"note": true, "name": true, "source": true, "method": true, "basis": true, "service": true, "reason": true, "text": true}

func valueOf(v *catalogue.Variable, s *model.UnitState) (Value, bool) {
	return fields(Value{ID: v.ID, Registered: registered(s)}, s.Shown().Value, v.Member)
}

// fields reads the members of a value, in the order in which they were signed; only one when the
// variable shares its unit with others.
func fields(out Value, raw []byte, only string) (Value, bool) {
	d := jsontext.NewDecoder(strings.NewReader(string(raw)))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return out, false
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return out, false
		}
		name := t.String()
		val, err := d.ReadValue()
		if err != nil {
			return out, false
		}
		text := string(val)
		if val.Kind() == '"' {
			if unquoted, err := jsontext.AppendUnquote(nil, val); err == nil {
				text = string(unquoted)
			}
		}
		if local[name] && !(name == "name" && out.ID == "diagnosis") || val.Kind() == '{' || val.Kind() == '[' || only != "" && name != only {
			continue
		}
		out.Fields = append(out.Fields, Field{name, text})
	}
	return out, len(out.Fields) > 0
}
