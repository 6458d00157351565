package measure

import (
	"context"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Report is what is counted of a municipality on a day: services that run on it, and the rest
// of the record as it is now.
type Report struct {
	Date        string             `json:"date"` // YYYY-MM-DD
	Depth       int                `json:"depth"`
	Ages        string             `json:"ages"`        // AllAges or From67
	Provisional bool               `json:"provisional"` // the grouping of functions is not the official one
	Source      string             `json:"source"`      // of the grouping, in its own words
	Grouping    string             `json:"grouping"`    // "built-in", or the file that it was read from
	SHA256      string             `json:"sha256"`      // of the grouping, hex
	Smallest    int                `json:"smallest"`
	National    map[string]float64 `json:"national_hours"` // mean granted hours a week by level, and "all"
	Tables      []Table            `json:"tables"`
	Shipments   []Shipments        `json:"shipments"`
}

// Ages of whom the indicators of nutrition and medication review ask.
const (
	AllAges = "all"
	From67  = "67"
)

// national is table 09933 of Statistics Norway, of the type of 2019 (domain.md 4.1), to hold a
// grouping against.
var national = map[string]float64{"low": 1.7, "middle": 6.4, "high": 37.3, "unknown": 2.9, "all": 9.2}

// MaxDepth is the number of levels of a local structure (R78).
const MaxDepth = 3

// Options of Make.
type Options struct {
	Groups Groups
	Date   string // YYYY-MM-DD
	Depth  int    // level of the organisation, 1 for units without a parent
	// Born gives a person's date of birth, "" when it is not known. With it, the national
	// indicators of residents are those of 67 and above; nil: everybody counts.
	Born func(*store.Person) string
	// Section gives a person's units of a section merged from the entries that count, as
	// sync.Engine.SectionOf does; nil: nothing is said about stays that have ended.
	Section func(v store.View, person model.PersonID, prefix string, counts func(act model.Act, signed model.Millis, value []byte) bool) ([]*model.UnitState, error)
}

// Make counts persons by the units of a level of the unit tree. A person of a unit above that level
// counts there. It holds one person at a time. A *model.Problem with code "invalid-depth", "invalid-date" or
// "too-few-persons"; else errors of the context and the store.
func Make(ctx context.Context, v store.View, o Options) (Report, error) {
	if o.Depth < 1 || o.Depth > MaxDepth {
		return Report{}, &model.Problem{Code: "invalid-depth", Detail: "a report is made for level 1, 2 or 3 of the organisation (R78)"}
	}
	if d := catalogue.Date(o.Date); d.Time().IsZero() {
		return Report{}, &model.Problem{Code: "invalid-date", Detail: "a day is written YYYY-MM-DD"}
	}
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	if err != nil {
		return Report{}, err
	}
	parent := map[string]string{}
	for _, u := range units {
		parent[u.ID] = u.Parent
	}
	all := populations(o)
	r := &reader{v, o}
	const page = 500
	for after := ""; ; {
		persons, err := store.List[store.Person](v, "", after, page)
		if err != nil {
			return Report{}, err
		}
		for i := range persons {
			if err := ctx.Err(); err != nil {
				return Report{}, err
			}
			p := &persons[i]
			after = p.DocKey()
			s, err := r.read(p)
			if err != nil {
				return Report{}, err
			}
			if s == nil {
				continue
			}
			unit := above(parent, p.Unit, o.Depth)
			for _, pop := range all {
				pop.count(unit, s)
			}
		}
		if len(persons) < page {
			out, err := made(o, all)
			if err == nil {
				out.Shipments, err = shipments(v, catalogue.Date(o.Date))
			}
			return out, err
		}
	}
}

func made(o Options, all []*population) (Report, error) {
	out := Report{
		Date: o.Date, Depth: o.Depth, Ages: AllAges, Provisional: o.Groups.Provisional, Source: o.Groups.Source,
		Grouping: o.Groups.From, SHA256: o.Groups.SHA256, Smallest: Smallest, National: national,
	}
	if o.Born != nil {
		out.Ages = From67
	}
	for i, p := range all {
		tables, ok := p.tables()
		if !ok && i == 0 {
			return Report{}, &model.Problem{Code: "too-few-persons", Detail: "too few persons have a service for a report that shows none of them; nothing is shown"}
		}
		out.Tables = append(out.Tables, tables...)
	}
	return out, nil
}

// populations are those with a service on the day, first, and those of each event of the last
// year: somebody may be in several, but no table of one follows from those of another.
func populations(o Options) []*population {
	day := newPopulation(func(s *subject) bool { return len(s.running) > 0 }, today(o.Groups, catalogue.Date(o.Date)))
	day.byKind = true
	out := []*population{day}
	for _, w := range waits {
		of := waited(w.code)
		out = append(out, newPopulation(func(s *subject) bool { return of(s) >= 0 }, []define{{PartWaiting, w.id, w.nb, w.en, waitColumns, of, false}}))
	}
	if o.Section == nil {
		return out
	}
	for _, e := range endings {
		asks := func(s *subject) bool { _, ok := s.stays[e.id]; return ok }
		out = append(out, newPopulation(asks, []define{{PartStays, e.id, e.nb, e.en, stayColumns, func(s *subject) int { return int(s.stays[e.id]) }, false}}))
	}
	return out
}
