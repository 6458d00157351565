package iplos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"flette/model"
	"flette/store"
)

// WeekOf is the ISO week in Oslo of a point in time, "2026-W48".
func WeekOf(at model.Millis) string {
	year, week := at.Time().In(model.Oslo()).ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, week)
}

// WeekRow compares what a person got of one service in one week with what is granted (R95).
// It is a report: nothing here ever changes a decision, which alone is what is sent (R37).
type WeekRow struct {
	Person      model.PersonID `json:"person"`
	Service     string         `json:"service,omitempty"`      // "" for work that names no service
	ServiceType string         `json:"service_type,omitempty"` // code of 9151

	// DirectMinutes is the time in which at least one worker was with the person, to be
	// held against GrantedMinutes. HelperMinutes counts every worker who was there, to be
	// held against the granted resource minutes (R41).
	DirectMinutes int `json:"direct_minutes"`
	HelperMinutes int `json:"helper_minutes"`

	IndirectMinutes int `json:"indirect_minutes"` // worker minutes
	TravelMinutes   int `json:"travel_minutes"`   // worker minutes

	GrantedMinutes         *int `json:"granted_minutes,omitempty"` // per week; nil when no hours are granted
	GrantedResourceMinutes *int `json:"granted_resource_minutes,omitempty"`
	Uncertain              bool `json:"uncertain,omitempty"` // some of it rests on an unchecked clock
}

// pageSize bounds what a report holds of the index at a time.
const pageSize = 1000

// Weekly reports an ISO week ("2026-W48"), for one person or, with the zero person, for
// all; rows are ordered by person and service. A registration belongs to the week it starts
// in. It reads the index of that week alone. A *model.Problem with code "invalid-week" for
// anything that is not a week.
func Weekly(v store.View, week string, person model.PersonID) ([]WeekRow, error) {
	if !isWeek(week) {
		return nil, model.Problemf("invalid-week", "", "a week is written as year and ISO week, for example 2026-W48")
	}
	prefix := week + " "
	if !person.IsZero() {
		prefix += person.String() + " "
	}
	var rows []WeekRow
	var of []Registration // of one person
	after := ""
	for {
		page, err := store.List[Registration](v, prefix, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, reg := range page {
			if len(of) > 0 && of[0].Person != reg.Person {
				if rows, err = appendRows(v, rows, of); err != nil {
					return nil, err
				}
				of = of[:0]
			}
			of = append(of, reg)
			after = reg.DocKey()
		}
		if len(page) < pageSize {
			return appendRows(v, rows, of)
		}
	}
}

func isWeek(s string) bool {
	if len(s) != len("2026-W48") || s[4:6] != "-W" {
		return false
	}
	year, err := strconv.ParseUint(s[:4], 10, 16)
	n, err2 := strconv.ParseUint(s[6:], 10, 8)
	if err != nil || err2 != nil || n < 1 {
		return false
	}
	// The 28th of December lies in the last week of its year.
	_, last := time.Date(int(year), time.December, 28, 0, 0, 0, 0, time.UTC).ISOWeek()
	return int(n) <= last
}

// appendRows adds the rows of one person.
func appendRows(v store.View, rows []WeekRow, of []Registration) ([]WeekRow, error) {
	if len(of) == 0 {
		return rows, nil
	}
	services, err := Services(v, of[0].Person)
	if err != nil {
		return nil, err
	}
	byService := map[string][]Registration{}
	for _, reg := range of {
		byService[reg.Service] = append(byService[reg.Service], reg)
	}
	for _, id := range slices.Sorted(maps.Keys(byService)) {
		row := WeekRow{Person: of[0].Person, Service: id}
		row.count(byService[id])
		for _, s := range services {
			if s.ID != id {
				continue
			}
			row.ServiceType = s.Type
			if s.Granted() {
				row.GrantedMinutes, row.GrantedResourceMinutes = s.Grant.Minutes, s.Grant.ResourceMinutes
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

type span struct{ start, stop model.Millis }

// count sums the registrations. Two workers at once are one visit for the person and two
// for the resources; a worker named twice, as helper and by an own registration, is one.
func (w *WeekRow) count(regs []Registration) {
	var with []span
	each := map[string]map[model.ActorID][]span{}
	for _, reg := range regs {
		s := span{reg.Start, reg.Stop}
		if reg.Kind == "direct" {
			with = append(with, s)
		}
		if each[reg.Kind] == nil {
			each[reg.Kind] = map[model.ActorID][]span{}
		}
		for _, worker := range reg.Workers {
			each[reg.Kind][worker] = append(each[reg.Kind][worker], s)
		}
		w.Uncertain = w.Uncertain || reg.Uncertain
	}
	w.DirectMinutes = minutes(union(with))
	w.HelperMinutes = workerMinutes(each["direct"])
	w.IndirectMinutes = workerMinutes(each["indirect"])
	w.TravelMinutes = workerMinutes(each["travel"])
}

func workerMinutes(each map[model.ActorID][]span) int {
	var sum model.Millis
	for _, spans := range each {
		sum += union(spans)
	}
	return minutes(sum)
}

// minutes rounds to the nearest minute, once per row and not per visit.
func minutes(d model.Millis) int { return int((d + 30_000) / 60_000) }

// union is the time covered by at least one span.
func union(spans []span) model.Millis {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var sum, reached model.Millis
	for i, s := range spans {
		if i == 0 || s.start > reached {
			reached = s.start
		}
		if s.stop > reached {
			sum += s.stop - reached
			reached = s.stop
		}
	}
	return sum
}
