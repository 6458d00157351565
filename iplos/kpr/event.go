package kpr

import (
	"cmp"
	"slices"
	"time"

	"flette/model"
	"flette/model/ident"
)

// Kind of event: the element of the message.
type Kind string

// The five kinds (R80).
const (
	ServiceStart    Kind = "TjenesteStart"
	ProviderChanged Kind = "TjenesteutforerEndret"
	PauseFrom       Kind = "MidlertidigStoppFra"
	PauseTo         Kind = "MidlertidigStoppTil"
	ServiceEnd      Kind = "TjenesteSlutt"
)

var kindRank = map[Kind]int{ServiceStart: 0, ProviderChanged: 1, PauseFrom: 2, PauseTo: 3, ServiceEnd: 4}

// Rules for the organisation number of the place that gives the service (R71).
const (
	OrgShall    = "shall"
	OrgCan      = "can"
	OrgShallNot = "shall_not"
)

// Dated is a date (YYYY-MM-DD, "" for none) and when it was registered.
type Dated struct {
	Date string
	At   model.Millis
}

// Provider says which unit gives the service from a date on; From "" is from the start.
type Provider struct {
	Unit string
	From string
	At   model.Millis
}

// Pause is one temporary stop.
type Pause struct {
	ID       string
	From, To Dated
}

// Service is one service of a person, as far as the register asks.
type Service struct {
	ID        string
	Type      string // code list 9151
	OrgRule   string // OrgShall, OrgCan, or anything else for "no number"
	Rejected  bool
	Rolling   bool  // rolling respite decision (type 8)
	GrantFrom Dated // decision period, used when Rolling and not started
	GrantTo   Dated
	Start     Dated
	End       Dated
	Providers []Provider
	Pauses    []Pause
}

// Subject is a person's part of the merged record.
type Subject struct {
	Person   model.PersonID
	Death    string // YYYY-MM-DD, "" for alive or unknown
	Services []Service
}

// Rules is what planning depends on besides the record.
type Rules struct {
	From  string   // first day of continuous reporting: what ended before is not sent anew
	To    string   // last day: what happens later waits
	Types []string // service types to report; nil for all valid ones
	// OrgNumber finds the number of a unit on a date, upwards in the tree (R69); "" for none.
	OrgNumber func(unit, date string) string
}

// Event is one thing that the register should know.
type Event struct {
	Key       string // unique inside the person and stable for ever
	Kind      Kind
	Person    model.PersonID
	ServiceID string
	PauseID   string
	Type      string
	OrgNumber string
	Date      string
	RegTime   model.Millis
	Held      Held // never sent as a new event while set
}

// Held says why an event that is not known to the register is not sent now.
type Held uint8

const (
	HeldBefore Held = iota + 1 // it ended before reporting began
	HeldAfter                  // it lies ahead
)

// Notice is something a person should know about an extract: a code, the rule behind it,
// and whether the event was left out or sent without the detail.
type Notice struct {
	Person    model.PersonID `json:"person"`
	ServiceID string         `json:"service_id,omitempty"` // "" for the person
	Kind      Kind           `json:"kind,omitempty"`       // "" for the whole service
	Code      string         `json:"code"`
	Rule      string         `json:"rule"`
	LeftOut   bool           `json:"left_out"`
}

// Wanted is the outcome of planning one person.
type Wanted struct {
	Events  []Event // in the order of the message
	Notices []Notice
	// Frozen names services that cannot be judged before a person mends them (K6).
	Frozen map[string]bool
}

// Desired plans one person: every event that the register should have, from what the record
// says now. It is a pure function of its arguments.
func Desired(s Subject, r Rules) Wanted {
	p := planner{subject: s, rules: r, out: Wanted{Frozen: map[string]bool{}}}
	for i := range s.Services {
		p.service(&s.Services[i])
	}
	slices.SortFunc(p.out.Events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.ServiceID, b.ServiceID),
			cmp.Compare(kindRank[a.Kind], kindRank[b.Kind]), cmp.Compare(a.Key, b.Key))
	})
	return p.out
}

type planner struct {
	subject Subject
	rules   Rules
	out     Wanted
	// Of the service at hand.
	s    *Service
	code string // service type after recoding
	held Held   // of the whole service
	told bool   // org-number-not-allowed was noted
}

func (p *planner) notice(kind Kind, code, rule string, leftOut bool) {
	p.out.Notices = append(p.out.Notices, Notice{p.subject.Person, p.s.ID, kind, code, rule, leftOut})
}

func (p *planner) freeze(code, rule string) {
	p.out.Frozen[p.s.ID] = true
	p.notice("", code, rule, true)
}

func (p *planner) service(s *Service) {
	p.s, p.held, p.told = s, 0, false
	start, end := s.Start, s.End
	if start.Date == "" && s.Rolling && s.Type == typeRespiteInstitution {
		// R55: a rolling decision is reported unstarted, with the period of the decision.
		start = s.GrantFrom
		if end.Date == "" {
			end = s.GrantTo
		}
	}
	switch {
	case s.Rejected: // R50: a rejection has no start, so it is no event.
		return
	case start.Date == "":
		p.notice("", "service-not-started", "R55", true)
		return
	case s.Type == "":
		p.freeze("service-type-missing", "R76")
		return
	case !realDate(start.Date) || end.Date != "" && !realDate(end.Date):
		p.freeze("date-invalid", "R11")
		return
	case start.Date < firstYear:
		p.freeze("start-before-1980", "R76")
		return
	case end.Date != "" && end.Date < start.Date:
		p.freeze("end-before-start", "R76")
		return
	case p.subject.Death != "" && p.subject.Death < start.Date:
		p.freeze("start-after-death", "R76")
		return
	}
	code, ok := messageType(s.Type, end.Date)
	if !ok {
		p.notice("", "service-type-expired", "R76", true)
		return
	}
	if p.rules.Types != nil && !slices.Contains(p.rules.Types, code) {
		p.notice("", "service-type-not-reported", "R80", true)
		return
	}
	p.code = code
	if end.Date != "" && end.Date < p.rules.From {
		p.held = HeldBefore
	}
	if d := p.subject.Death; d != "" && (end.Date == "" || end.Date > d) {
		p.notice("", "open-after-death", "R76", false)
	}

	providers := p.providers()
	// The first message tells the state on the day reporting began, then what changed.
	first := max(start.Date, p.rules.From)
	org := p.org(ServiceStart, unitAt(providers, first), first)
	p.add(ServiceStart, "", start, org, p.held)
	last := org
	for i, c := range providers {
		if i == 0 || c.From <= first || end.Date != "" && c.From > end.Date || p.superseded(providers, i) {
			continue
		}
		if org := p.org(ProviderChanged, c.Unit, c.From); org != "" && org != last {
			p.add(ProviderChanged, c.From, Dated{c.From, c.At}, org, p.held)
			last = org
		}
	}
	for _, pause := range s.Pauses {
		p.pause(pause, start.Date, end.Date, providers)
	}
	if end.Date != "" {
		p.add(ServiceEnd, "", end, p.org(ServiceEnd, unitAt(providers, end.Date), end.Date), p.held)
	}
}

func (p *planner) pause(x Pause, start, end string, providers []Provider) {
	switch {
	case x.From.Date == "" && x.To.Date == "":
		return
	case !realDate(x.From.Date) || x.To.Date != "" && !realDate(x.To.Date):
		p.freeze("date-invalid", "R11")
		return
	case x.To.Date != "" && x.To.Date < x.From.Date:
		p.freeze("pause-ends-before-it-starts", "R49")
		return
	case x.From.Date < start || end != "" && (x.From.Date > end || x.To.Date > end):
		p.freeze("pause-outside-service", "R49")
		return
	}
	held := p.held
	if x.To.Date != "" && x.To.Date < p.rules.From {
		held = HeldBefore
	}
	p.add(PauseFrom, x.ID, x.From, p.org(PauseFrom, unitAt(providers, x.From.Date), x.From.Date), held)
	if x.To.Date != "" {
		p.add(PauseTo, x.ID, x.To, p.org(PauseTo, unitAt(providers, x.To.Date), x.To.Date), held)
	}
}

// add appends an event; sub is the pause id, or the date of a change of provider.
func (p *planner) add(kind Kind, sub string, at Dated, org string, held Held) {
	e := Event{
		Key: p.s.ID + " " + string(kind), Kind: kind, Person: p.subject.Person, ServiceID: p.s.ID,
		Type: p.code, OrgNumber: org, Date: at.Date, RegTime: at.At, Held: held,
	}
	if sub != "" {
		e.Key += " " + sub
	}
	if kind == PauseFrom || kind == PauseTo {
		e.PauseID = sub
	}
	if held == 0 && at.Date > p.rules.To {
		e.Held = HeldAfter
	}
	p.out.Events = append(p.out.Events, e)
}

// providers returns the usable providers in order of date, registration deciding ties.
func (p *planner) providers() []Provider {
	list := slices.DeleteFunc(slices.Clone(p.s.Providers), func(x Provider) bool {
		return x.Unit == "" || x.From != "" && !realDate(x.From)
	})
	slices.SortStableFunc(list, func(a, b Provider) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.At, b.At))
	})
	return list
}

// superseded is true when a later registration changed the provider on the same day.
func (p *planner) superseded(list []Provider, i int) bool {
	return i+1 < len(list) && list[i+1].From == list[i].From
}

// unitAt returns the provider on a date. Before the first known provider it is that one: a
// service has been given by somebody since it started.
func unitAt(list []Provider, date string) string {
	unit := ""
	for i, x := range list {
		if i == 0 || x.From <= date {
			unit = x.Unit
		}
	}
	return unit
}

// org finds the organisation number that may go with an event, and notes what is amiss.
func (p *planner) org(kind Kind, unit, date string) string {
	var number string
	if unit != "" {
		number = p.rules.OrgNumber(unit, date)
	}
	if p.s.OrgRule != OrgShall && p.s.OrgRule != OrgCan {
		if number != "" && !p.told {
			p.told = true
			p.notice("", "org-number-not-allowed", "R71", false)
		}
		return ""
	}
	if number != "" {
		if _, err := ident.ParseOrgNumber(number); err != nil {
			p.notice(kind, "org-number-invalid", "R70", kind == ProviderChanged)
			return ""
		}
		return number
	}
	if p.s.OrgRule == OrgShall || kind == ProviderChanged {
		p.notice(kind, "org-number-missing", "R69", kind == ProviderChanged)
	}
	return ""
}

func realDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
