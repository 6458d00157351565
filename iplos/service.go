package iplos

import (
	"strings"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Service is one service of a person with its groups put together. A group that is not
// registered, or that holds a value nobody can read, is nil.
type Service struct {
	ID          string
	Type        string                 // code of 9151, "" when service/<id> is not registered
	Kind        *catalogue.ServiceType // nil for a type the catalogue does not know
	Rolling     bool                   // respite in institution by a rolling decision (R45)
	Application *catalogue.Application
	Grant       *catalogue.Grant
	Start       *catalogue.Start
	End         *catalogue.End
	Complaint   *catalogue.Complaint
	Provider    *catalogue.Provider
	Rehab       *catalogue.Rehab
	Pauses      []catalogue.Pause
	Heads       map[string]*model.Head // by the part of the path after the id, "" for the service itself
}

// Unit is the path of a group of the service; "" gives the service itself.
func (s *Service) Unit(group string) model.Unit {
	if group == "" {
		return model.Unit("service/" + s.ID)
	}
	return model.Unit("service/" + s.ID + "/" + group)
}

// Rejected reports whether the decision was no (R50).
func (s *Service) Rejected() bool { return s.Grant != nil && s.Grant.Rejected }

// Granted reports whether there is a decision and it was yes.
func (s *Service) Granted() bool { return s.Grant != nil && !s.Grant.Rejected }

// Running reports whether the service has started and not ended. An end is never
// registered before its day (R11), so this needs no calendar.
func (s *Service) Running() bool { return s.Start != nil && s.End == nil && !s.Rejected() }

// Minutes granted per week, 0 when none.
func (s *Service) Minutes() int {
	if !s.Granted() || s.Grant.Minutes == nil {
		return 0
	}
	return *s.Grant.Minutes
}

// isOneOf reports whether the service is of one of the types.
func (s *Service) isOneOf(types ...string) bool {
	for _, t := range types {
		if s.Type == t {
			return true
		}
	}
	return false
}

// TypeOn is the code under which the register reads the service on a day: 29 for 12 and 13 from
// 2019, and "" for 16 from then on, which became a question about the person (RehabOf in
// package catalogue).
func (s *Service) TypeOn(day catalogue.Date) string {
	code, _ := catalogue.Default().ServiceOn(s.Type, day)
	return code
}

// lasts reports whether the service has started by a day and not ended before it.
func (s *Service) lasts(day catalogue.Date) bool {
	return s.Start != nil && !s.Rejected() && s.Start.Date <= day && (s.End == nil || s.End.Date >= day)
}

// Services reads the merged services of a person, in order of id.
func Services(v store.View, person model.PersonID) ([]*Service, error) {
	r := newRecord(v, person, Settings{}, 0)
	return r.all(), r.err
}

// GroupServices puts units together as Services does, from states that the caller has: other
// sections are passed over.
func GroupServices(states []*model.UnitState) []*Service {
	var own []*model.UnitState
	for _, s := range states {
		if strings.HasPrefix(string(s.Unit), "service/") && s.Shown() != nil {
			own = append(own, s)
		}
	}
	return group(own)
}

// group puts shown units of section service together. The units of one service follow each
// other, because they share the start of their path.
func group(states []*model.UnitState) []*Service {
	var out []*Service
	for _, u := range states {
		id, part, _ := strings.Cut(strings.TrimPrefix(string(u.Unit), "service/"), "/")
		if len(out) == 0 || out[len(out)-1].ID != id {
			out = append(out, &Service{ID: id, Heads: map[string]*model.Head{}})
		}
		out[len(out)-1].take(part, u.Shown())
	}
	return out
}

func (s *Service) take(part string, head *model.Head) {
	s.Heads[part] = head
	name, _, _ := strings.Cut(part, "/")
	switch name {
	case "":
		if v := shown[catalogue.Service](head); v != nil {
			s.Type, s.Rolling, s.Kind = v.Type, v.Rolling, catalogue.Default().Service(v.Type)
		}
	case "application":
		s.Application = shown[catalogue.Application](head)
	case "grant":
		s.Grant = shown[catalogue.Grant](head)
	case "start":
		s.Start = shown[catalogue.Start](head)
	case "end":
		s.End = shown[catalogue.End](head)
	case "complaint":
		s.Complaint = shown[catalogue.Complaint](head)
	case "provider":
		s.Provider = shown[catalogue.Provider](head)
	case "rehab":
		s.Rehab = shown[catalogue.Rehab](head)
	case "pause":
		if p := shown[catalogue.Pause](head); p != nil {
			s.Pauses = append(s.Pauses, *p)
		}
	}
}

// shown decodes a head's value; nil when there is none or it cannot be read (R11 tells).
func shown[T any](head *model.Head) *T {
	if head == nil {
		return nil
	}
	v, err := catalogue.Decode[T](head.Value)
	if err != nil {
		return nil
	}
	return &v
}

// hasType reports whether a service of one of the types was started or granted.
func (r *Record) hasType(types ...string) bool {
	for _, s := range r.all() {
		if s.isOneOf(types...) && (s.Start != nil && !s.Rejected() || s.Granted()) {
			return true
		}
	}
	return false
}

// all returns the person's services.
func (r *Record) all() []*Service {
	if !r.listed {
		r.services, r.listed = group(r.units("service")), true
	}
	return r.services
}
