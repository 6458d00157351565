package flow

import (
	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// Load reads the record of a person; values that nobody can read count as not registered.
func Load(v store.View, person model.PersonID) (Record, error) {
	services, err := iplos.Services(v, person)
	if err != nil {
		return Record{}, err
	}
	r := Record{Services: services, Needs: map[model.Unit]catalogue.Need{}, Coercion: map[model.Unit]catalogue.Coercion{}}
	if err := v.Units(person, "need/", "", func(s *model.UnitState) bool {
		if need := shown[catalogue.Need](s); need != nil {
			r.Needs[s.Unit] = *need
		}
		return true
	}); err != nil {
		return Record{}, err
	}
	if err := v.Units(person, "coercion/", "", func(s *model.UnitState) bool {
		if c := shown[catalogue.Coercion](s); c != nil {
			r.Coercion[s.Unit] = *c
		}
		return true
	}); err != nil {
		return Record{}, err
	}
	waiting, err := v.Unit(person, WaitingList)
	if err != nil {
		return Record{}, err
	}
	r.Waiting = shown[catalogue.YesNoDate](waiting)
	nutrition, err := v.Unit(person, nutritionUnit)
	if v := shown[catalogue.Nutrition](nutrition); v != nil {
		r.Nutrition = &Nutrition{Value: *v, Day: mappedOn(*v, nutrition.Shown())}
	}
	return r, err
}

// mappedOn is the day that a mapping is from. A confirmation says that it still holds (R29).
func mappedOn(v catalogue.Nutrition, h *model.Head) catalogue.Date {
	if v.Date != "" && h.Act != model.ActConfirm {
		return v.Date
	}
	return catalogue.Date(model.DateInOslo(h.Stamp.TEff))
}

func shown[T any](s *model.UnitState) *T {
	h := s.Shown()
	if h == nil {
		return nil
	}
	v, err := catalogue.Decode[T](h.Value)
	if err != nil {
		return nil
	}
	return &v
}

// asks reports whether List looks at findings of the record, so that they are computed only
// for those of whom they say something.
func (r *Record) asks(today catalogue.Date) bool {
	for _, s := range r.Services {
		if stage := StageOf(s, today); stage == Ended || stage == RunOut {
			return true
		}
	}
	for _, v := range r.Coercion {
		if stage := CoercionStage(v, today); stage == Ended || stage == RunOut {
			return true
		}
	}
	return len(r.Needs) > 0
}

// Of lists what waits about a person of a store. findings gives the states of findings by
// "RULE UNIT"; it is asked only when the record ended something, or somebody saw a need.
func Of(v store.View, person model.PersonID, today catalogue.Date, ahead int, findings func() (map[string]string, error)) ([]Item, error) {
	r, err := Load(v, person)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	if r.asks(today) {
		if states, err = findings(); err != nil {
			return nil, err
		}
	}
	return List(r, Options{Today: today, Ahead: ahead, Finding: func(rule string, unit model.Unit) string {
		return states[rule+" "+string(unit)]
	}}), nil
}
