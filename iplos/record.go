package iplos

import (
	"errors"
	"time"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// timeSection is never loaded into a Record: it grows with every visit.
const timeSection = "time"

// recordSections are the sections that a Record can load.
var recordSections = []string{
	"person", "assessed", "score", "participation", "health", "diagnosis", "status", "service", "stay", "coercion", "need", "remark",
}

// Record is the merged record of one person, read from the store when a rule asks for it
// and kept for the next rule. It holds shown values only. The first read error stays in err
// and makes everything after it empty.
type Record struct {
	view     store.View
	id       model.PersonID
	set      Settings
	today    catalogue.Date // Oslo date of the evaluation; only live rules may read it
	person   *store.Person
	sections map[string][]*model.UnitState
	single   map[model.Unit]*model.UnitState // units read one by one
	services []*Service
	listed   bool // services is filled
	err      error
}

func newRecord(v store.View, person model.PersonID, set Settings, at model.Millis) *Record {
	return &Record{view: v, id: person, set: set, today: dateOf(at), sections: map[string][]*model.UnitState{}, single: map[model.Unit]*model.UnitState{}}
}

// doc returns the person document; the zero one when the person is not known (entries may
// arrive before the import).
func (r *Record) doc() store.Person {
	if r.person == nil {
		p, err := store.Get[store.Person](r.view, r.id.String())
		if err != nil && !notFound(err) {
			r.fail(err)
		}
		r.person = &p
	}
	return *r.person
}

func notFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

// failed is fail for an error that may be nil.
func (r *Record) failed(err error) {
	if err != nil {
		r.fail(err)
	}
}

func (r *Record) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// units returns the units of a section that show a value, in order of path.
func (r *Record) units(section string) []*model.UnitState {
	if have, ok := r.sections[section]; ok {
		return have
	}
	out := []*model.UnitState{}
	if section != timeSection && r.err == nil {
		out = r.scan(section)
	}
	r.sections[section] = out
	return out
}

func (r *Record) scan(section string) []*model.UnitState {
	out := []*model.UnitState{}
	err := r.view.Units(r.id, section+"/", "", func(s *model.UnitState) bool {
		if s.Shown() != nil {
			out = append(out, s)
		}
		return true
	})
	if err != nil {
		r.fail(err)
	}
	return out
}

// unit returns one unit, nil when it shows nothing. Outside the time section the whole
// section is loaded: a rule that wants one wants the others.
func (r *Record) unit(u model.Unit) *model.UnitState {
	if u.Section() == timeSection {
		return r.load(u)
	}
	for _, s := range r.units(u.Section()) {
		if s.Unit == u {
			return s
		}
	}
	return nil
}

// load reads one unit once. Where other rules want the whole section, that is read at once.
func (r *Record) load(u model.Unit) *model.UnitState {
	if wholeSections[u.Section()] {
		return r.unit(u)
	}
	if have, ok := r.single[u]; ok {
		return have
	}
	s := r.read(u)
	r.single[u] = s
	return s
}

// wholeSections have a fixed number of units, so that reading all costs little.
var wholeSections = map[string]bool{
	"person": true, "assessed": true, "score": true, "participation": true, "health": true, "status": true,
}

func (r *Record) read(u model.Unit) *model.UnitState {
	s, err := r.view.Unit(r.id, u)
	if err != nil {
		r.fail(err)
	}
	if s.Shown() == nil {
		return nil
	}
	return s
}

// unitsIn returns the units that a rule about single units judges in a scope.
func (r *Record) unitsIn(rule *Rule, s scope) []*model.UnitState {
	var out []*model.UnitState
	if s.touched != nil {
		for _, u := range s.touched {
			if !rule.reads(u.Section()) {
				continue
			}
			if state := r.load(u); state != nil {
				out = append(out, state)
			}
		}
		return out
	}
	for _, section := range rule.Sections {
		if section != timeSection {
			out = append(out, r.units(section)...)
		} else if s.times {
			out = append(out, r.scan(section)...)
		}
	}
	return out
}

// startOf is when a day begins in Oslo.
func startOf(day catalogue.Date) model.Millis {
	t := day.Time()
	return model.Millis(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, model.Oslo()).UnixMilli())
}

// dateOf is the day in Oslo at a point in time.
func dateOf(at model.Millis) catalogue.Date {
	return catalogue.Date(model.DateInOslo(at))
}

// after moves a date by years and days; 29 February becomes 1 March where there is none.
func after(d catalogue.Date, years, days int) catalogue.Date {
	return catalogue.Date(d.Time().AddDate(years, 0, days).Format(time.DateOnly))
}
