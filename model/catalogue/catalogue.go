package catalogue

import (
	_ "embed"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// Code is one value of a value set.
type Code struct {
	Code        string `json:"code"`
	NB          string `json:"nb"`
	EN          string `json:"en"`
	NeedsPerson bool   `json:"needs_person,omitzero"` // of a score: above the line between 2 and 3 (R16)
	GivesKPRID  bool   `json:"gives_kpr_id,omitzero"` // of a person id type: the register finds the person
}

// Scale is one wording of the scores 1-5 and 9.
type Scale struct {
	ID     string `json:"id"`
	NB     string `json:"nb"`
	EN     string `json:"en"`
	From   Date   `json:"valid_from"`
	To     Date   `json:"valid_to,omitzero"` // "" while valid
	Source string `json:"source"`
	Values []Code `json:"values"`
}

// Variable is one registration of the catalogue.
type Variable struct {
	ID          string   `json:"id"`
	NB          string   `json:"nb"`
	EN          string   `json:"en"`
	Group       string   `json:"group"`
	Unit        string   `json:"unit,omitzero"`   // unit path, * for a UUID; "" for an attribute of the person
	Member      string   `json:"member,omitzero"` // member of the unit's value, when several variables share a unit
	Value       string   `json:"value"`           // kind of value: which struct of this package
	From        Date     `json:"valid_from"`
	To          Date     `json:"valid_to,omitzero"` // last valid day, "" while valid
	Mandatory   string   `json:"mandatory"`
	Scales      []string `json:"scales,omitzero"`
	Codes       []Code   `json:"codes,omitzero"`
	Received    []Code   `json:"received,omitzero"` // second value set of participation
	OID         string   `json:"oid,omitzero"`
	Covers      string   `json:"covers_en,omitzero"` // what the variable is about
	Notes       []string `json:"notes_en,omitzero"`
	Source      string   `json:"source"`                // key of Catalogue.Sources
	CodesSource string   `json:"codes_source,omitzero"` // when the codes come from elsewhere than the variable
	LocalOnly   bool     `json:"local_only,omitzero"`   // never sent to the register
	Closed      bool     `json:"closed,omitzero"`       // listed, but takes no registrations
	Significant bool     `json:"significant,omitzero"`
	Terminal    bool     `json:"terminal,omitzero"`
	ReadAs      *ReadAs  `json:"read_as,omitzero"` // of a variable that is over: what took its place
}

// Repeating is a unit that a person has many of and that is no variable of IPLOS by itself.
type Repeating struct {
	Unit        string `json:"unit"` // unit path, * for a UUID
	Value       string `json:"value"`
	NB          string `json:"nb"`
	EN          string `json:"en"`
	Significant bool   `json:"significant,omitzero"`
	Terminal    bool   `json:"terminal,omitzero"`
}

// Catalogue is the whole of it.
type Catalogue struct {
	Version     string            `json:"version"`
	Title       string            `json:"title"`
	Sources     map[string]string `json:"sources"`
	CodeSystems map[string]string `json:"code_systems"` // OIDs
	Scales      []Scale           `json:"scales"`
	Variables   []Variable        `json:"variables"`
	Repeating   []Repeating       `json:"repeating"`
	Services    []ServiceType     `json:"services"`
	Housing     HousingFlags      `json:"housing_flags"`
	Message     EventMessage      `json:"event_message"`
	CodeLists   map[string][]Code `json:"code_lists"` // of the event message, by number
	Guidance    []Guidance        `json:"guidance"`   // embedded as guidance.json

	units    map[string]*unit
	services map[string]*ServiceType
}

// unit is what Validate and Policy need to know about a unit path, found in one look-up.
type unit struct {
	from, until model.Millis // valid from, and until before
	first, last Date
	closed      bool
	codes       []Code
	received    []Code
	value       string // kind of value
	readAs      *ReadAs
	judge       judge
	policy      model.Policy
}

//go:embed catalogue.json
var embedded []byte

//go:embed guidance.json
var embeddedGuidance []byte

// Default returns the embedded catalogue. It is parsed once.
var Default = sync.OnceValue(func() *Catalogue {
	c, err := parse(embedded)
	if err == nil {
		err = c.addGuidance(embeddedGuidance)
	}
	if err != nil {
		panic("catalogue: embedded data: " + err.Error()) // a fault of the build, not of any input
	}
	return c
})

func parse(data []byte) (*Catalogue, error) {
	c := &Catalogue{units: map[string]*unit{}, services: map[string]*ServiceType{}}
	if err := json.Unmarshal(data, c, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if c.Version == "" {
		return nil, fmt.Errorf("no version")
	}
	seen := map[string]bool{}
	for i := range c.Variables {
		v := &c.Variables[i]
		if err := c.addVariable(v, seen); err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.ID, err)
		}
	}
	for i := range c.Repeating {
		r := &c.Repeating[i]
		if c.units[r.Unit] != nil {
			return nil, fmt.Errorf("unit %s: stands there twice", r.Unit)
		}
		if err := c.addUnit(r.Unit, r.Value, unit{from: math.MinInt64, until: math.MaxInt64}, r.Significant, r.Terminal); err != nil {
			return nil, fmt.Errorf("unit %s: %w", r.Unit, err)
		}
	}
	for i := range c.Services {
		s := &c.Services[i]
		if err := c.addService(s, seen); err != nil {
			return nil, fmt.Errorf("service %s: %w", s.ID, err)
		}
	}
	for _, s := range c.Scales {
		if seen[s.ID] || c.Sources[s.Source] == "" || s.To != "" && s.To < s.From || len(s.Values) != 6 {
			return nil, fmt.Errorf("scale %s: double, without source or six values, or with validity dates out of order", s.ID)
		}
		seen[s.ID] = true
	}
	for _, v := range c.Variables {
		if err := c.checkReadAs(&v); err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.ID, err)
		}
		for _, id := range v.Scales {
			if c.scale(id) == nil {
				return nil, fmt.Errorf("variable %s: unknown scale %s", v.ID, id)
			}
		}
	}
	return c, nil
}

func (c *Catalogue) addVariable(v *Variable, seen map[string]bool) error {
	if v.ID == "" || seen[v.ID] || c.Sources[v.Source] == "" {
		return fmt.Errorf("id or source is missing, unknown or there twice")
	}
	seen[v.ID] = true
	if v.To != "" && v.To < v.From {
		return fmt.Errorf("validity dates out of order")
	}
	if v.Unit == "" {
		if v.Value != "attribute" {
			return fmt.Errorf("only an attribute has no unit")
		}
		return nil
	}
	if c.units[v.Unit] != nil {
		if v.Member == "" {
			return fmt.Errorf("unit %s stands there twice", v.Unit)
		}
		return nil
	}
	u := unit{from: v.From.start(), until: math.MaxInt64, first: v.From, last: v.To, closed: v.Closed, codes: v.Codes, received: v.Received, readAs: v.ReadAs}
	if v.To != "" {
		u.until = v.To.start() + dayMillis
	}
	return c.addUnit(v.Unit, v.Value, u, v.Significant, v.Terminal)
}

func (c *Catalogue) addUnit(path, value string, u unit, significant, terminal bool) error {
	ref, err := model.ParseUnit(strings.ReplaceAll(path, "*", "00000000-0000-4000-8000-000000000000"))
	if err != nil {
		return err
	}
	if u.judge = judges[value]; u.judge == nil {
		return fmt.Errorf("unknown kind of value %q", value)
	}
	u.value = value
	u.policy = model.Policy{
		Section: ref.Section, Score: value == "score", Significant: significant,
		YesNoDate: value == "yes_no_date", Terminal: terminal,
	}
	c.units[path] = &u
	return nil
}

// find returns what is known about a unit path, or nil.
func (c *Catalogue) find(path model.Unit) *unit {
	if u, ok := c.units[string(path)]; ok && !strings.Contains(string(path), "*") {
		return u
	}
	ref, err := model.ParseUnit(string(path))
	if err != nil || ref.ID == "" {
		return nil
	}
	key := ref.Section + "/*"
	if ref.Group != "" {
		key += "/" + ref.Group
	}
	if ref.SubID != "" {
		key += "/*"
	}
	return c.units[key]
}

func (c *Catalogue) scale(id string) *Scale {
	for i := range c.Scales {
		if c.Scales[i].ID == id {
			return &c.Scales[i]
		}
	}
	return nil
}

// Policy says how heads of the unit are compared. A unit the catalogue does not know gets
// significance: a disagreement about it is for a person to see.
func (c *Catalogue) Policy(path model.Unit) model.Policy {
	if u := c.find(path); u != nil {
		return u.policy
	}
	return model.Policy{Section: path.Section(), Significant: true}
}

// Variable returns the variable with the id, or nil.
func (c *Catalogue) Variable(id string) *Variable {
	for i := range c.Variables {
		if c.Variables[i].ID == id {
			return &c.Variables[i]
		}
	}
	return nil
}

// Codes returns the value set of a variable with the wording in use at a time.
func (c *Catalogue) Codes(v *Variable, at model.Millis) []Code {
	day := DateOf(at)
	for _, id := range v.Scales {
		if s := c.scale(id); s != nil && s.From <= day && (s.To == "" || day <= s.To) {
			return s.Values
		}
	}
	return v.Codes
}
