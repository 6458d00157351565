package yearly

import (
	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
)

// services takes the services of the year by the rules that the users of the register apply
// (R76), so that what they would drop is known before it is sent.
func (r *run) services(p *Person, states []*model.UnitState) {
	for _, s := range iplos.GroupServices(states) {
		if s.Type == "" {
			continue // nothing but a part of it has come
		}
		rule, code := r.judge(s)
		if code != "" {
			r.drop(p, s, rule, code)
			continue
		}
		p.Services = append(p.Services, r.row(s))
	}
}

func (r *run) judge(s *iplos.Service) (rule, code string) {
	read, status := r.cat.ServiceOn(s.Type, r.last)
	switch {
	case s.Kind == nil || read == "" && status == "":
		return "R76", UnknownType
	case status != "":
		return "R67", ReadAsStatus
	case s.Rejected():
		if d := s.Grant.Date; d < r.first || d > r.last {
			return "R50", OtherYear
		}
		return "", ""
	}
	start, end := s.Start, s.End
	if start == nil && s.Rolling && s.Granted() {
		// R55: a rolling decision is reported unstarted, with its period.
		from, to := s.Grant.From, s.Grant.To
		if from == "" {
			from = s.Grant.Date
		}
		start = &catalogue.Start{Date: from}
		if end == nil && to != "" {
			end = &catalogue.End{Date: to}
		}
	}
	switch {
	case start == nil:
		return "R55", NotStarted
	case start.Date > r.last:
		return "R76", StartsLater
	case start.Date < "1980-01-01":
		return "R76", StartsEarly
	case end != nil && end.Date < start.Date:
		return "R76", EndsFirst
	case end != nil && end.Date < r.first:
		return "R76", EndedBefore
	}
	return "", ""
}

func (r *run) row(s *iplos.Service) Service {
	read, _ := r.cat.ServiceOn(s.Type, r.last)
	out := Service{ID: s.ID, Type: read, Rejected: s.Rejected(), Rolling: s.Rolling}
	kind := r.cat.Service(read)
	if read != s.Type {
		out.Registered = s.Type
	}
	if s.Application != nil {
		out.Application = string(s.Application.Date)
	}
	if g := s.Grant; g != nil {
		out.Decision, out.From, out.To = string(g.Date), string(g.From), string(g.To)
		if !g.Rejected {
			// R43: hours only where they are asked for.
			if kind.Requires.Hours == "required" || kind.Requires.Hours == "required_if_rolling" && s.Rolling {
				out.Minutes = g.Minutes
			}
			if kind.Requires.ResourceHours {
				out.ResourceMinutes = g.ResourceMinutes
			}
		}
	}
	if c := s.Complaint; c != nil {
		out.Complaint, out.Answer = string(c.Received), string(c.Answered)
	}
	if s.Rejected() {
		return out // R50: neither start nor end
	}
	if s.Start != nil {
		out.Start = string(s.Start.Date)
	}
	if s.End != nil && s.End.Date <= r.last {
		out.End = string(s.End.Date)
	}
	if s.Provider != nil && (kind.Requires.OrgNumber == "shall" || kind.Requires.OrgNumber == "can") { // R71
		at := string(r.last)
		if out.End != "" {
			at = out.End
		}
		out.OrgNumber, _, _ = iplos.OrgNumberAt(r.v, s.Provider.Unit, at)
	}
	return out
}
