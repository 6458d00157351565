package iplos

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/store"
)

// Settings are a tenant's choices. Changing one means evaluating every person again.
type Settings struct {
	// AssessmentDays is how old the newest assessment may be at a decision (R25). 0 means
	// DefaultAssessmentDays.
	AssessmentDays int
	// BirthDate returns a person's birth date (YYYY-MM-DD), "" when it is not known. It is
	// sealed in the store, so the caller who holds the key hands it in. With nil the rules
	// that need it (Rule.Birth) treat everybody as an adult.
	BirthDate func(store.Person) string
}

// DefaultAssessmentDays is the proposal of R25.
const DefaultAssessmentDays = 90

// Engine evaluates the rules. It is safe for concurrent use when BirthDate is.
type Engine struct {
	set Settings
}

// New returns an engine.
func New(s Settings) *Engine {
	if s.AssessmentDays <= 0 {
		s.AssessmentDays = DefaultAssessmentDays
	}
	return &Engine{set: s}
}

// Func is what the sync engine calls inside an update, after the unit states are written:
// it brings findings and time index up to date with the units touched. touched nil means
// the person document changed: everything but time registrations is evaluated.
type Func = func(tx store.Tx, person model.PersonID, touched []model.Unit, at model.Millis) error

// scope is the part of the stored findings that one evaluation answers for.
type scope struct {
	touched  []model.Unit // nil: all units outside time
	sections []string     // of touched, each once
	times    bool         // with touched nil: the time registrations too
	live     bool         // the live rules instead of the stored ones
	noBirth  bool         // leave out rules that need a birth date
}

// runs reports whether the rule is evaluated at all.
func (s scope) runs(r *Rule) bool {
	if r.Live != s.live || r.Birth && s.noBirth || r.Person == nil && r.Unit == nil {
		return false
	}
	return s.touched == nil || slices.ContainsFunc(s.sections, r.reads)
}

// scopeOf is the scope of units that changed; nil stays nil.
func scopeOf(touched []model.Unit) scope {
	s := scope{touched: distinct(touched)}
	for _, u := range s.touched {
		// Units are in order of path, so those of a section stand together.
		if n := len(s.sections); n == 0 || s.sections[n-1] != u.Section() {
			s.sections = append(s.sections, u.Section())
		}
	}
	return s
}

// answers reports whether a stored finding must be what this evaluation finds.
func (s scope) answers(r *Rule, unit model.Unit) bool {
	if !s.runs(r) {
		return false
	}
	if r.Unit == nil {
		return true
	}
	if s.touched != nil {
		return slices.Contains(s.touched, unit)
	}
	return s.times || unit.Section() != timeSection
}

// Evaluate says which findings to store and which to remove after the units touched
// changed (nil for the person document). Findings that hold already keep Since and Position.
// Overlaps (R94) are not among them: they stand on several persons, see Apply.
func (e *Engine) Evaluate(v store.View, person model.PersonID, touched []model.Unit, at model.Millis) (add, remove []store.Finding, err error) {
	return e.evaluate(v, person, scopeOf(touched), at)
}

// distinct drops repeated units: one unit may be changed by several entries of a batch. nil
// stays nil.
func distinct(units []model.Unit) []model.Unit {
	if units == nil {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(units)))
}

func (e *Engine) evaluate(v store.View, person model.PersonID, s scope, at model.Millis) (add, remove []store.Finding, err error) {
	found, err := e.find(v, person, s, at)
	if err != nil {
		return nil, nil, err
	}
	stored, err := storedFindings(v, person, s)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(stored)) {
		if _, holds := found[key]; !holds {
			remove = append(remove, stored[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		f := found[key]
		old, known := stored[key]
		if known {
			f.Since, f.Position = old.Since, old.Position
			if f == old {
				continue
			}
		} else {
			f.Since, f.Position = at, v.Size()
		}
		add = append(add, f)
	}
	return add, remove, nil
}

// find runs the rules in scope.
func (e *Engine) find(v store.View, person model.PersonID, s scope, at model.Millis) (map[string]store.Finding, error) {
	rec := newRecord(v, person, e.set, at)
	rep := &report{person: person, rec: rec, found: map[string]store.Finding{}}
	for i := range rules {
		r := &rules[i]
		if !s.runs(r) {
			continue
		}
		rep.rule = r
		if r.Person != nil {
			r.Person(rec, rep)
			continue
		}
		for _, u := range rec.unitsIn(r, s) {
			r.Unit(rec, u, rep)
		}
	}
	return rep.found, rec.err
}

// storedFindings reads the person's findings that the scope answers for. Keys are ordered
// by rule, so reading stops after the last rule in scope and leaps over the overlaps (R94),
// which a long record collects: they are not walked for a score.
func storedFindings(v store.View, person model.PersonID, s scope) (map[string]store.Finding, error) {
	last := ""
	for i := range rules {
		if s.runs(&rules[i]) {
			last = max(last, rules[i].ID)
		}
	}
	out := map[string]store.Finding{}
	prefix := person.String() + " "
	var bad error
	leap := false
	read := func(key string, body []byte) bool {
		id, unit, _ := strings.Cut(key[len(prefix):], " ")
		r := storedRule(id)
		retired := r == nil && s.touched == nil // of an earlier version: goes at the next full evaluation
		if id > last && s.touched != nil {
			return false
		}
		if id == "R94" && s.touched != nil {
			leap = true
			return false
		}
		if !retired && (r == nil || !s.answers(r, model.Unit(unit))) {
			return true
		}
		var f store.Finding
		if bad = json.Unmarshal(body, &f); bad != nil {
			return false
		}
		out[key] = f
		return true
	}
	err := v.Docs(store.Finding{}.DocKind(), prefix, "", read)
	if err == nil && leap {
		err = v.Docs(store.Finding{}.DocKind(), prefix, prefix+"R94!", read) // after every "R94 <unit>"
	}
	if err == nil {
		err = bad
	}
	return out, err
}

func storedRule(id string) *Rule {
	for i := range rules {
		if rules[i].ID == id && !rules[i].Live {
			return &rules[i]
		}
	}
	return nil
}

// Apply is the engine's [Func]. It writes findings, also on the other persons whose visits
// overlap a touched one (R94), and the time index.
func (e *Engine) Apply(tx store.Tx, person model.PersonID, touched []model.Unit, at model.Millis) error {
	if touched != nil && len(touched) == 0 {
		return nil
	}
	add, remove, err := e.Evaluate(tx, person, touched, at)
	if err != nil {
		return err
	}
	if err := change(tx, add, remove); err != nil {
		return err
	}
	if touched == nil {
		return reown(tx, person)
	}
	for _, u := range distinct(touched) {
		if u.Section() == timeSection {
			if err := e.indexTime(tx, person, u, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// Again evaluates all rules of a person, also those of each time registration, as after a change
// of the rules. Overlaps (R94) stay as they are.
func (e *Engine) Again(tx store.Tx, person model.PersonID, at model.Millis) error {
	add, remove, err := e.evaluate(tx, person, scope{times: true}, at)
	if err != nil {
		return err
	}
	return change(tx, add, remove)
}

func change(tx store.Tx, add, remove []store.Finding) error {
	for _, f := range remove {
		if err := store.Delete(tx, f); err != nil {
			return err
		}
	}
	for _, f := range add {
		if err := store.Put(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// reown gives the findings on time registrations, which a full evaluation leaves as they
// are, to the person's home unit of now.
func reown(tx store.Tx, person model.PersonID) error {
	rec := newRecord(tx, person, Settings{}, 0)
	owner := rec.doc().Unit
	if rec.err != nil {
		return rec.err
	}
	stored, err := store.List[store.Finding](tx, person.String()+" ", "", 0)
	if err != nil {
		return err
	}
	for _, f := range stored {
		if f.Owner == owner {
			continue
		}
		f.Owner = owner
		if err := store.Put(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// Live evaluates the rules that read the calendar or the organisation tree, for the Oslo
// date of at; nothing is stored. Since is the day on which the calendar brought it about, else
// when the unit that it is about was registered, which is the earliest that it can be.
func (e *Engine) Live(v store.View, person model.PersonID, at model.Millis) ([]store.Finding, error) {
	found, err := e.find(v, person, scope{live: true}, at)
	if err != nil {
		return nil, err
	}
	out := make([]store.Finding, 0, len(found))
	for _, key := range slices.Sorted(maps.Keys(found)) {
		f := found[key]
		if f.Since == 0 {
			if f.Since, err = registered(v, person, f.Unit); err != nil {
				return nil, err
			}
		}
		if f.Since == 0 || f.Since > at {
			f.Since = at
		}
		f.Position = v.Size()
		out = append(out, f)
	}
	return out, nil
}

// registered is when the value that a unit shows was registered, 0 when it shows none.
func registered(v store.View, person model.PersonID, unit model.Unit) (model.Millis, error) {
	if unit == "" {
		return 0, nil
	}
	u, err := v.Unit(person, unit)
	if err != nil || u.Shown() == nil {
		return 0, err
	}
	return u.Shown().Stamp.TEff, nil
}

// Verify recomputes every stored finding and index document of a person and describes each
// difference in a sentence, without personal data. Rules that need a birth date are left
// out when Settings.BirthDate is nil.
func (e *Engine) Verify(v store.View, person model.PersonID) ([]string, error) {
	add, remove, err := e.evaluate(v, person, scope{times: true, noBirth: e.set.BirthDate == nil}, 0)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range add {
		out = append(out, "finding "+f.Rule+" on "+place(f)+" is not stored as it should be")
	}
	for _, f := range remove {
		out = append(out, "finding "+f.Rule+" on "+place(f)+" is stored but does not hold")
	}
	times, err := e.verifyTimes(v, person)
	return append(out, times...), err
}

func place(f store.Finding) string {
	if f.Unit == "" {
		return "person " + f.Person.String()
	}
	return string(f.Unit) + " of person " + f.Person.String()
}
