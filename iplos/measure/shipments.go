package measure

import (
	"flette/iplos/submit"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Shipments counts what was prepared for the register in the twelve months up to the day, and how
// much of it was sent again (domain.md 4.4). It is about files, not persons.
type Shipments struct {
	Kind         string `json:"kind"`
	Target       string `json:"target"`
	Prepared     int    `json:"prepared"`
	Replacements int    `json:"replacements"` // took the place of another (R75)
	Attempts     int    `json:"attempts"`     // requests that may have reached the register
	Accepted     int    `json:"accepted"`
	Rejected     int    `json:"rejected"`
}

func shipments(v store.View, day catalogue.Date) ([]Shipments, error) {
	list, err := submit.Load(v)
	out := []Shipments{}
	for i := range list { // in order of target and kind
		r := &list[i]
		if !lastYear(model.DateInOslo(r.Prepared), day) {
			continue
		}
		if n := len(out); n == 0 || out[n-1].Kind != r.Kind || out[n-1].Target != r.Target {
			out = append(out, Shipments{Kind: r.Kind, Target: r.Target})
		}
		s := &out[len(out)-1]
		s.Prepared++
		s.Attempts += r.Attempts()
		if r.Replaces != "" {
			s.Replacements++
		}
		switch r.State {
		case submit.Accepted:
			s.Accepted++
		case submit.Rejected:
			s.Rejected++
		}
	}
	return out, err
}
