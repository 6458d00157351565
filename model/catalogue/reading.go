package catalogue

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// ReadAs says what took the place of a variable that is over.
type ReadAs struct {
	Unit     string            `json:"unit"`
	Codes    map[string]string `json:"codes"` // old code to new; one that is missing is not read any more
	Reselect bool              `json:"reselect,omitzero"`
}

// Reading is how a registration is read on a later day.
type Reading struct {
	// Unit is where it is read: its own unit, or the one that took its place. It is "" when
	// nobody reads it any more, as the opt-out of sending diagnoses from 2019 on (R31).
	Unit model.Unit
	// Value is what it is read as; nil with Unit "", and for service 16, whose answer follows
	// from start and end of the service (RehabOf).
	Value jsontext.Value
	// Old says that a code or variable is meant which is not registered any more.
	Old bool
	// Reselect says that the register wants a person to choose among the codes of the day: the
	// reading is a proposal.
	Reselect bool
}

// ReadAt says how a registration is read on a day: 12 and 13 as 29, 16 as a question about the
// person, plan and coordinator by the codes of 2019, medication review by that of nursing
// homes. Whether the person lives in one is for whoever knows the services (R35). It is a pure
// function; the registration stays as it was signed. A value that cannot be read, and a unit
// that the catalogue does not know, are read as they are.
func (c *Catalogue) ReadAt(path model.Unit, value []byte, day Date) Reading {
	same := Reading{Unit: path, Value: value}
	u := c.find(path)
	if u == nil {
		return same
	}
	if u.value == "service" {
		return c.readService(same, day)
	}
	if u.last == "" || day <= u.last {
		return same
	}
	if u.readAs == nil {
		return Reading{Old: true}
	}
	out := Reading{Unit: model.Unit(u.readAs.Unit), Old: true, Reselect: u.readAs.Reselect}
	switch u.value {
	case "dated_code":
		v, err := Decode[DatedCode](value)
		if err != nil {
			return same
		}
		code, ok := u.readAs.Codes[v.Code]
		v.Code = code
		return out.with(v, ok)
	case "medication_review":
		v, err := Decode[MedicationReview](value)
		if err != nil {
			return same
		}
		code, ok := u.readAs.Codes[v.Code]
		v.Code = code
		return out.with(v, ok)
	}
	return same
}

// with sets the value; one without a code of today is not read.
func (r Reading) with(v any, ok bool) Reading {
	if !ok {
		return Reading{Old: true}
	}
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return Reading{Old: true}
	}
	r.Value = text
	return r
}

func (c *Catalogue) readService(same Reading, day Date) Reading {
	v, err := Decode[Service](same.Value)
	if err != nil {
		return same
	}
	code, unit := c.ServiceOn(v.Type, day)
	switch {
	case unit != "":
		return Reading{Unit: unit, Old: true, Reselect: true}
	case code == v.Type:
		return same
	}
	// Staffing and housing stock went with the old codes (R58).
	v.Type, v.Staffing, v.OrdinaryStock = code, "", ""
	return Reading{Unit: same.Unit, Old: true, Reselect: true}.with(v, true)
}

// ServiceOn is the code as which a service type is read on a day: itself, or the code that
// replaced it. Where a question about the person took its place, code is "" and unit is that
// question. A code that the catalogue does not know is read as it is.
func (c *Catalogue) ServiceOn(code string, day Date) (read string, unit model.Unit) {
	t := c.services[code]
	switch {
	case t == nil || t.To == "" || day <= t.To:
		return code, ""
	case t.ReadAsUnit != "":
		return "", model.Unit(t.ReadAsUnit)
	case t.ReplacedBy != "":
		return t.ReplacedBy, ""
	}
	return code, ""
}

// RehabOf answers from a service 16 the question that took its place: Ja with the start, or
// Nei with the end. ok is false when the service never started.
func RehabOf(start, end Date) (answer YesNoDate, ok bool) {
	switch {
	case start == "":
		return YesNoDate{}, false
	case end != "":
		return YesNoDate{Code: no, Date: end}, true
	}
	return YesNoDate{Code: yes, Date: start}, true
}

// datedBefore reports whether a value of a variable that is over carries a date of its time:
// what was true then may be registered later, as by an import.
func (u *unit) datedBefore(value []byte) bool {
	var own Date
	switch u.value {
	case "dated_code":
		v, err := Decode[DatedCode](value)
		if err != nil {
			return false
		}
		own = v.Date
	case "medication_review":
		v, err := Decode[MedicationReview](value)
		if err != nil {
			return false
		}
		own = v.Date
	}
	return own != "" && u.first <= own && own <= u.last
}

// checkReadAs wants the unit and the codes that a variable is read as to exist.
func (c *Catalogue) checkReadAs(v *Variable) error {
	if v.ReadAs == nil {
		return nil
	}
	to := c.units[v.ReadAs.Unit]
	if to == nil || v.To == "" || to.value != v.Value {
		return fmt.Errorf("read as something of another kind, or while it is valid")
	}
	for from, code := range v.ReadAs.Codes {
		if known(v.Codes, from, "") != nil || known(to.codes, code, "") != nil {
			return fmt.Errorf("code %s is read as %s, and one of them does not exist", from, code)
		}
	}
	return nil
}
