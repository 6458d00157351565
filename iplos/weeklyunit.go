package iplos

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// UnitWeek is a week of an organisation unit and of all units below it: what its workers did
// and what is granted (R95). Nothing of it changes a decision.
type UnitWeek struct {
	Unit    string `json:"unit,omitempty"` // id; "" for the municipality
	Persons int    `json:"persons"`        // with granted hours or a registration

	DirectMinutes   int `json:"direct_minutes"` // see WeekRow
	HelperMinutes   int `json:"helper_minutes"`
	IndirectMinutes int `json:"indirect_minutes"`
	TravelMinutes   int `json:"travel_minutes"`

	GrantedMinutes         int  `json:"granted_minutes"`
	GrantedResourceMinutes int  `json:"granted_resource_minutes"` // of decisions without it, the granted minutes (R41)
	Uncertain              bool `json:"uncertain,omitzero"`
}

// WeeklyUnits reports an ISO week for the municipality, first, and for each unit, in order of
// id. A service counts where it is given: at its provider, else at the person's home unit, as
// work that names no service does. Decisions count in the weeks in which the service runs, also
// without any visit; a service that pauses the whole week does not. It reads every person once.
// A *model.Problem with code "invalid-week" for anything that is not a week.
func WeeklyUnits(v store.View, week string) ([]UnitWeek, error) {
	rows, err := Weekly(v, week, model.PersonID{})
	if err != nil {
		return nil, err
	}
	b := unitWeeks{first: mondayOf(week), sum: map[string]*UnitWeek{}, parent: map[string]string{}}
	b.last = after(b.first, 0, 6)
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	for _, u := range units {
		b.parent[u.ID] = u.Parent
	}
	b.at("")
	of := map[model.PersonID][]WeekRow{}
	for _, r := range rows {
		of[r.Person] = append(of[r.Person], r)
	}
	cursor := ""
	for {
		page, err := store.List[store.Person](v, "", cursor, pageSize)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if err := b.person(v, &page[i], of[page[i].ID]); err != nil {
				return nil, err
			}
			delete(of, page[i].ID)
			cursor = page[i].DocKey()
		}
		if len(page) < pageSize {
			break
		}
	}
	for id, left := range of { // visits that arrived before the person did
		if err := b.person(v, &store.Person{ID: id}, left); err != nil {
			return nil, err
		}
	}
	out := make([]UnitWeek, 0, len(b.sum))
	for _, u := range b.sum {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(x, y UnitWeek) int { return cmp.Compare(x.Unit, y.Unit) })
	return out, nil
}

// mondayOf is the first day of a week that isWeek accepts: the 4th of January lies in week 1.
func mondayOf(week string) catalogue.Date {
	year, _ := strconv.Atoi(week[:4])
	n, _ := strconv.Atoi(week[6:])
	fourth := time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC)
	back := (int(fourth.Weekday()) + 6) % 7
	return catalogue.Date(fourth.AddDate(0, 0, 7*(n-1)-back).Format(time.DateOnly))
}

type unitWeeks struct {
	first, last catalogue.Date
	sum         map[string]*UnitWeek
	parent      map[string]string
}

func (b *unitWeeks) at(unit string) *UnitWeek {
	if b.sum[unit] == nil {
		b.sum[unit] = &UnitWeek{Unit: unit}
	}
	return b.sum[unit]
}

// chain is the municipality, the unit and those above it. A tree that bites its own tail ends it.
func (b *unitWeeks) chain(unit string) []string {
	out := []string{""}
	for unit != "" && !slices.Contains(out, unit) {
		out = append(out, unit)
		unit = b.parent[unit]
	}
	return out
}

func (b *unitWeeks) person(v store.View, p *store.Person, rows []WeekRow) error {
	services, err := Services(v, p.ID)
	if err != nil {
		return err
	}
	counted := map[string]bool{} // units in which the person counts already
	add := func(unit string, fn func(*UnitWeek)) {
		for _, id := range b.chain(unit) {
			u := b.at(id)
			fn(u)
			if !counted[id] {
				counted[id] = true
				u.Persons++
			}
		}
	}
	where := map[string]string{}
	for _, s := range services {
		where[s.ID] = p.Unit
		if s.Provider != nil && s.Provider.From <= b.last {
			where[s.ID] = s.Provider.Unit
		}
		if minutes := s.Minutes(); minutes > 0 && b.runs(s) {
			resource := minutes
			if s.Grant.ResourceMinutes != nil {
				resource = *s.Grant.ResourceMinutes
			}
			add(where[s.ID], func(u *UnitWeek) {
				u.GrantedMinutes += minutes
				u.GrantedResourceMinutes += resource
			})
		}
	}
	for i := range rows {
		r := &rows[i]
		unit, ok := where[r.Service]
		if !ok {
			unit = p.Unit
		}
		add(unit, func(u *UnitWeek) {
			u.DirectMinutes += r.DirectMinutes
			u.HelperMinutes += r.HelperMinutes
			u.IndirectMinutes += r.IndirectMinutes
			u.TravelMinutes += r.TravelMinutes
			u.Uncertain = u.Uncertain || r.Uncertain
		})
	}
	return nil
}

// runs reports whether the service runs on some day of the week.
func (b *unitWeeks) runs(s *Service) bool {
	if s.Start == nil || s.Start.Date > b.last || s.End != nil && s.End.Date < b.first {
		return false
	}
	for _, pause := range s.Pauses {
		if pause.From <= b.first && (pause.To == "" || pause.To > b.last) {
			return false
		}
	}
	return true
}
