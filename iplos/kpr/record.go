package kpr

import (
	"strings"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// deathUnit holds the date of death.
const deathUnit model.Unit = "person/death_date"

// readSubject reads what the register asks about a person from the merged record.
func readSubject(v store.View, person model.PersonID) (Subject, error) {
	out := Subject{Person: person}
	services, err := iplos.Services(v, person)
	if err != nil || len(services) == 0 {
		return out, err
	}
	state, err := v.Unit(person, deathUnit)
	if err != nil {
		return out, err
	}
	if head := state.Shown(); head != nil {
		if d, err := catalogue.Decode[catalogue.Death](head.Value); err == nil {
			out.Death = string(d.Date)
		}
	}
	for _, s := range services {
		service, err := readService(v, person, s)
		if err != nil {
			return out, err
		}
		out.Services = append(out.Services, service)
	}
	return out, nil
}

func readService(v store.View, person model.PersonID, s *iplos.Service) (Service, error) {
	out := Service{ID: s.ID, Type: s.Type, Rejected: s.Rejected(), Rolling: s.Rolling}
	if s.Kind != nil {
		out.OrgRule = s.Kind.Requires.OrgNumber
	}
	if s.Start != nil {
		out.Start = Dated{string(s.Start.Date), signed(s, "start")}
	}
	if s.End != nil {
		out.End = Dated{string(s.End.Date), signed(s, "end")}
	}
	if g := s.Grant; g != nil {
		at := signed(s, "grant")
		out.GrantFrom, out.GrantTo = Dated{string(g.From), at}, Dated{string(g.To), at}
		if g.From == "" {
			out.GrantFrom.Date = string(g.Date)
		}
	}
	for _, part := range sortedParts(s) {
		id, ok := strings.CutPrefix(part, "pause/")
		if !ok {
			continue
		}
		if p, err := catalogue.Decode[catalogue.Pause](s.Heads[part].Value); err == nil {
			at := signed(s, part)
			out.Pauses = append(out.Pauses, Pause{ID: id, From: Dated{string(p.From), at}, To: Dated{string(p.To), at}})
		}
	}
	if s.Provider == nil {
		return out, nil
	}
	var err error
	out.Providers, err = readProviders(v, person, s.Unit("provider"))
	return out, err
}

// signed is when a part of a service was registered.
func signed(s *iplos.Service, part string) model.Millis { return s.Heads[part].Stamp.TEff }
