package export

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Table takes the rows of a sheet, as internal/sheet does: cells are string, int, bool or nil, and
// strings are guarded against formulas there. The first error is told by Flush.
type Table interface {
	Row(cells ...any)
	Flush() error
}

// Options of Write. The zero period is all time.
type Options struct {
	Sheet    string // one of Sheets
	Table    func(columns ...string) Table
	Position int64 // journal size to read at; 0 for all
	// From and To are the first and the last day, YYYY-MM-DD, "" for open: of the day of
	// registration, of what a service covers, of the day since which a finding holds, of the
	// start of a visit.
	From, To string
	Units    map[string]bool // organisation units of the persons, nil for all

	// AsOf gives the view at a position, as sync.Engine does.
	AsOf func(v store.View, size int64) store.View
	// Findings gives the findings of a person, as sync.Engine does; for sheet findings.
	Findings func(v store.View, person model.PersonID) ([]Finding, error)
	// Identity opens who a person is, nil to leave it out.
	Identity func(p *store.Person) (store.Identity, error)
	Progress func(persons int) // after each person, may be nil
}

// Finding is a finding and what was said about it: open, released or closed.
type Finding struct {
	store.Finding
	State string
}

// Report says what was written.
type Report struct {
	Sheet    string `json:"sheet"`
	Position int64  `json:"position"`
	Persons  int    `json:"persons"` // with a row
	Rows     int    `json:"rows"`
}

// kind is a sheet: its columns after brukerNr and person, and the rows of a person.
type kind struct {
	columns []string
	rows    func(w *writer, p *store.Person) error
}

var kinds = map[string]kind{
	"persons":       {[]string{"unit", "kommune", "district", "id_type", "test", "number", "name", "birth_date", "sex"}, persons},
	"registrations": {[]string{"path", "variable", "member", "value", "registered", "act", "author"}, registrations},
	"services": {[]string{
		"service", "type", "application", "decision", "from", "to", "rejected", "rolling", "minutes_per_week", "resource_minutes_per_week",
		"start", "end", "complaint", "answered", "provider", "org_number",
	}, services},
	"findings": {[]string{"rule", "severity", "path", "detail", "owner", "since", "state"}, findings},
	"time":     {[]string{"path", "service", "kind", "start", "stop", "minutes", "workers", "uncertain"}, times},
}

// Sheets lists the names of all sheets.
func Sheets() []string { return slices.Sorted(maps.Keys(kinds)) }

type writer struct {
	Options
	out    Table
	view   store.View
	cat    *catalogue.Catalogue
	report Report
	person []any // the first cells of each row
}

func (w *writer) row(cells ...any) {
	w.out.Row(append(w.person[:2:2], cells...)...)
	w.report.Rows++
}

// in reports whether a day lies in the period.
func (w *writer) in(day string) bool { return day >= w.From && (w.To == "" || day <= w.To) }

// Write writes one sheet. Errors: a *model.Problem with code "export-sheet", "export-position" or
// "export-period"; those of the store and of the table.
func Write(ctx context.Context, v store.View, o Options) (*Report, error) {
	k, ok := kinds[o.Sheet]
	switch {
	case !ok:
		return nil, model.Problemf("export-sheet", "/sheet", "the sheets are %s", strings.Join(Sheets(), ", "))
	case o.Position < 0 || o.Position > v.Size():
		return nil, model.Problemf("export-position", "/position", "the journal is not that long")
	case o.Position > 0 && o.Position < v.Size() && o.Sheet == "findings":
		return nil, model.Problemf("export-position", "/position", "findings are those of now and have no position")
	case !day(o.From) || !day(o.To) || o.To != "" && o.To < o.From:
		return nil, model.Problemf("export-period", "/period", "the period is two dates YYYY-MM-DD, the first not after the second")
	}
	if o.Position > 0 {
		v = o.AsOf(v, o.Position)
	}
	w := &writer{
		Options: o, view: v, cat: catalogue.Default(), report: Report{Sheet: o.Sheet, Position: v.Size()},
		out: o.Table(append([]string{"bruker_nr", "person"}, k.columns...)...),
	}
	const page = 200
	seen := 0
	for after := ""; ; {
		docs, err := store.List[store.Person](v, "", after, page)
		if err != nil {
			return nil, err
		}
		for i := range docs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			p := &docs[i]
			after = p.DocKey()
			if o.Units == nil || o.Units[p.Unit] {
				before := w.report.Rows
				w.person = []any{int(p.BrukerNr), p.ID.String()}
				if err := k.rows(w, p); err != nil {
					return nil, err
				}
				if w.report.Rows > before {
					w.report.Persons++
				}
			}
			if seen++; o.Progress != nil {
				o.Progress(seen)
			}
		}
		if len(docs) < page {
			return &w.report, w.out.Flush()
		}
	}
}

func day(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return s == "" || err == nil
}

// instant is a time as the municipality's clock showed it, in a form that sorts.
func instant(at model.Millis) string { return at.Time().In(model.Oslo()).Format("2006-01-02 15:04") }

func persons(w *writer, p *store.Person) error {
	var who store.Identity
	if w.Identity != nil {
		var err error
		if who, err = w.Identity(p); err != nil {
			return err
		}
	}
	w.row(p.Unit, p.Kommune, p.District, p.IDType, p.Test, who.Number, who.Name, who.BirthDate, who.Sex)
	return nil
}

// registrations has a row for each member of each value that is shown. Parts of services and time
// have sheets of their own.
func registrations(w *writer, p *store.Person) error {
	return w.units(p, "", func(s *model.UnitState) error {
		section, _, _ := strings.Cut(string(s.Unit), "/")
		head := s.Shown()
		if section == "service" || section == "time" || head == nil || !w.in(model.DateInOslo(head.Stamp.TEff)) {
			return nil
		}
		members, err := membersOf(head.Value)
		for _, m := range members {
			w.row(string(s.Unit), w.variable(s.Unit, m.name), m.name, m.text, instant(head.Stamp.TEff), string(head.Act), string(head.Actor))
		}
		return err
	})
}

// units calls fn for what is registered of a person below a path.
func (w *writer) units(p *store.Person, prefix string, fn func(*model.UnitState) error) error {
	var failed error
	err := w.view.Units(p.ID, prefix, "", func(s *model.UnitState) bool {
		failed = fn(s)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

func services(w *writer, p *store.Person) error {
	list, err := iplos.Services(w.view, p.ID)
	for _, s := range list {
		if !w.covers(s) {
			continue
		}
		var application, decision, from, to, start, end, complaint, answered, provider, number string
		var minutes, resource any
		if s.Application != nil {
			application = string(s.Application.Date)
		}
		if g := s.Grant; g != nil {
			decision, from, to = string(g.Date), string(g.From), string(g.To)
			minutes, resource = optional(g.Minutes), optional(g.ResourceMinutes)
		}
		if s.Start != nil {
			start = string(s.Start.Date)
		}
		if s.End != nil {
			end = string(s.End.Date)
		}
		if c := s.Complaint; c != nil {
			complaint, answered = string(c.Received), string(c.Answered)
		}
		if s.Provider != nil {
			provider = s.Provider.Unit
			number, _, _ = iplos.OrgNumberAt(w.view, provider, lastDay(w.To, end))
		}
		w.row(s.ID, s.Type, application, decision, from, to, s.Rejected(), s.Rolling, minutes, resource, start, end, complaint, answered, provider, number)
	}
	return err
}

// lastDay is the day of which the organisation number is shown: the service's last in the period.
func lastDay(to, end string) string {
	switch {
	case end != "" && (to == "" || end < to):
		return end
	case to != "":
		return to
	}
	return "9999-12-31"
}

// covers reports whether a service touches the period: from the first day that is known of it to
// its end.
func (w *writer) covers(s *iplos.Service) bool {
	first := ""
	switch {
	case s.Start != nil:
		first = string(s.Start.Date)
	case s.Grant != nil:
		first = string(s.Grant.Date)
	case s.Application != nil:
		first = string(s.Application.Date)
	}
	return (w.To == "" || first <= w.To) && (s.End == nil || string(s.End.Date) >= w.From)
}

func optional(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}

func findings(w *writer, p *store.Person) error {
	list, err := w.Findings(w.view, p.ID)
	for _, f := range list {
		if since := model.DateInOslo(f.Since); w.in(since) {
			w.row(f.Rule, f.Severity, string(f.Unit), f.Detail, f.Owner, since, f.State)
		}
	}
	return err
}

func times(w *writer, p *store.Person) error {
	list, err := iplos.Times(w.view, p.ID)
	for _, r := range list {
		if !w.in(model.DateInOslo(r.Start)) {
			continue
		}
		workers := make([]string, len(r.Workers))
		for i, a := range r.Workers {
			workers[i] = string(a)
		}
		w.row(string(r.Unit), r.Service, r.Kind, instant(r.Start), instant(r.Stop), int((r.Stop-r.Start+30_000)/60_000), strings.Join(workers, " "), r.Uncertain)
	}
	return err
}
