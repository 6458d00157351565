package main

import (
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"flette/model"
	"flette/model/catalogue"
)

// planned is one entry of the day as data: who signs what about whom, and when. What the
// entry replaces is not planned: the tablet knows which heads its user saw.
type planned struct {
	at      time.Time // true time of signing
	tablet  int
	person  int // index in the cast
	visit   string
	act     model.Act
	reason  *model.Reason
	changes []model.Change
	times   []plannedTime
	mark    string // name by which the story asks for the entry, "" for most
}

// plannedTime is a time registration in true time. Tablets write their own wall clock.
type plannedTime struct {
	unit        model.Unit
	start, stop time.Time
	kind        string
	service     string
}

// size is the number of changes.
func (p *planned) size() int { return len(p.changes) + len(p.times) }

// on gives the changes as a tablet whose wall clock is off by skew writes them.
func (p *planned) on(skew time.Duration) []model.Change {
	out := slices.Clone(p.changes)
	for _, t := range p.times {
		out = append(out, model.Change{Unit: t.unit, Value: value(catalogue.Time{
			Start: model.MillisOf(t.start.Add(skew)), Stop: model.MillisOf(t.stop.Add(skew)), Kind: t.kind, Service: t.service,
		})})
	}
	return out
}

// dayPlan is all that is signed on the day, in order of time.
type dayPlan struct {
	morning, afternoon []planned
	services           []string // id of each person's service
	granted            []int    // minutes a week, of each person's service
}

// caseloadOf lists the persons of a tablet's user.
func caseloadOf(tablet int) []int {
	var out []int
	for p := tablet; p < demoPersons; p += demoTablets {
		out = append(out, p)
	}
	if extra, ok := shared[tablet]; ok {
		out = append(out, extra)
	}
	return out
}

func clockAt(hour, minute int) time.Time {
	return demoDay.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

// planDay is a pure function of its arguments. units gives the id of an organisation unit
// by local code.
func planDay(seed uint64, units map[string]string) dayPlan {
	w := &planner{r: mathrand.New(mathrand.NewPCG(seed, 2)), units: units}
	for p := range demoPersons {
		w.d.services = append(w.d.services, w.id())
		w.d.granted = append(w.d.granted, 60*(1+w.r.IntN(12)))
		w.person(p, p%demoTablets, p/demoTablets)
	}
	w.specials()
	for _, list := range [][]planned{w.d.morning, w.d.afternoon} {
		slices.SortStableFunc(list, func(a, b planned) int { return a.at.Compare(b.at) })
	}
	return w.d
}

type planner struct {
	r     *mathrand.Rand
	units map[string]string
	d     dayPlan
}

// id makes a UUID of the seed.
func (w *planner) id() string {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], w.r.Uint64())
	binary.BigEndian.PutUint64(u[8:], w.r.Uint64())
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u.String()
}

// person plans the visits of one person: the k-th of a tablet's round.
func (w *planner) person(p, tablet, k int) {
	came := clockAt(8, 0).Add(time.Duration(k) * 14 * time.Minute)
	service := w.d.services[p]
	visit := w.id()
	assess := planned{at: came.Add(10 * time.Minute), tablet: tablet, person: p, visit: visit, act: model.ActRegister}
	assess.changes = []model.Change{
		set("person/household", catalogue.Coded{Code: fmt.Sprint(1 + w.r.IntN(3))}),
		set("person/care_for_child_u18", catalogue.Coded{Code: "2"}),
		set("person/private_unpaid_help", catalogue.Coded{Code: "6"}),
		set("person/housing_suitable", catalogue.Coded{Code: fmt.Sprint(1 + w.r.IntN(2))}),
	}
	for _, unit := range scoreUnits() {
		n := 1 + min(w.r.IntN(5), w.r.IntN(5))
		if !special(p, unit) {
			assess.changes = append(assess.changes, score(unit, n))
		}
	}
	assess.times = []plannedTime{{unit: w.time(), start: came, stop: came.Add(10 * time.Minute), kind: "direct", service: service}}
	grant := planned{at: came.Add(12 * time.Minute), tablet: tablet, person: p, visit: visit, act: model.ActRegister, changes: w.service(p)}
	if p == personFinding {
		grant.mark = markStart
	}
	w.d.morning = append(w.d.morning, assess, grant)

	back := clockAt(12, 40).Add(time.Duration(k) * 6 * time.Minute)
	later := planned{at: back.Add(5 * time.Minute), tablet: tablet, person: p, visit: w.id(), act: model.ActRegister,
		changes: []model.Change{
			set("participation/leisure_assist", catalogue.Participation{Need: "nei"}),
			set("assessed/doctor", catalogue.Assessed{Month: "2026-10"}),
		},
		times: []plannedTime{
			{unit: w.time(), start: back, stop: back.Add(4 * time.Minute), kind: "direct", service: service},
			{unit: w.time(), start: back.Add(4 * time.Minute), stop: back.Add(5 * time.Minute), kind: "travel"},
		}}
	if p%demoTablets > 0 { // the others stay on the list of what is missing (R9)
		later.changes = append(later.changes, statusOf(p)...)
	}
	if ends(p) {
		later.changes = append(later.changes, set("service/"+service+"/end", catalogue.End{Date: "2026-11-16"}))
	}
	w.d.afternoon = append(w.d.afternoon, later)
}

func (w *planner) time() model.Unit { return model.Unit("time/" + w.id()) }

// pauses and ends say of which persons the service was paused, and ends on the day.
func pauses(p int) bool { return p%10 == 1 }
func ends(p int) bool   { return p%20 == 5 }

// service plans health services at home: type 15, with hours.
func (w *planner) service(p int) []model.Change {
	base := "service/" + w.d.services[p]
	start := catalogue.Date("2026-10-19")
	if p == personFinding {
		start = "2026-10-05" // R49: before the decision
	}
	minutes := w.d.granted[p]
	out := []model.Change{
		set(base, catalogue.Service{Type: "15"}),
		set(base+"/application", catalogue.Application{Date: "2026-10-01"}),
		set(base+"/grant", catalogue.Grant{Date: "2026-10-12", Minutes: &minutes}),
		set(base+"/provider", catalogue.Provider{Unit: w.units[zoneOf(p%demoTablets)], From: start}),
		set(base+"/start", catalogue.Start{Date: start}),
	}
	if pauses(p) {
		out = append(out, set(base+"/pause/"+w.id(), catalogue.Pause{From: "2026-11-02", To: "2026-11-09"}))
	}
	return out
}

// statusOf answers what is always asked about a person, in ways that differ a little.
func statusOf(p int) []model.Change {
	plan, coordinator := "nei_ikke_rett", "nei_ikke_rett"
	if p%7 == 0 {
		plan, coordinator = "ja_virksom", "ja_oppnevnt"
	}
	return []model.Change{
		set("participation/leisure_transport", catalogue.Participation{Need: "nei"}),
		set("participation/work_edu_assist", catalogue.Participation{Need: "ikke_relevant"}),
		set("participation/work_edu_transport", catalogue.Participation{Need: "ikke_relevant"}),
		set("status/coordinator", catalogue.DatedCode{Code: coordinator}),
		set("status/individual_plan", catalogue.DatedCode{Code: plan}),
		set("status/rehab_outside", catalogue.YesNoDate{Code: "2"}),
		set("status/round_the_clock", catalogue.YesNoDate{Code: "2"}),
		set("status/waiting_list", catalogue.YesNoDate{Code: "2"}),
	}
}

// scoreUnits lists the function variables that take registrations, in order of the catalogue.
func scoreUnits() []model.Unit {
	var out []model.Unit
	for _, v := range catalogue.Default().Variables {
		if v.Value == "score" && !v.Closed {
			out = append(out, model.Unit(v.Unit))
		}
	}
	return out
}

func score(unit model.Unit, n int) model.Change {
	return model.Change{Unit: unit, Value: jsontext.Value(fmt.Sprintf(`{"score":%d}`, n))}
}

func set(unit string, v any) model.Change {
	return model.Change{Unit: model.Unit(unit), Value: value(v)}
}

// value marshals one of the catalogue's own structs, which cannot fail.
func value(v any) jsontext.Value {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil
	}
	return body
}
