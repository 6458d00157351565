package catalogue

import (
	"fmt"
	"slices"
)

// ServiceType is one row of code system 9151 and what its registration takes.
type ServiceType struct {
	ID            string   `json:"id"`
	Code          string   `json:"code,omitzero"` // "" for the specialist stay, which has no code
	NB            string   `json:"nb"`
	EN            string   `json:"en"`
	Group         string   `json:"group"`
	From          Date     `json:"valid_from"`
	To            Date     `json:"valid_to,omitzero"`
	ReplacedBy    string   `json:"replaced_by,omitzero"`  // code that an old code is read as
	ReadAsUnit    string   `json:"read_as_unit,omitzero"` // question about the person that took its place
	Requires      Requires `json:"requires"`
	Subcodes      []Code   `json:"subcodes,omitzero"`
	Flags         []string `json:"flags,omitzero"`
	EventReported bool     `json:"event_reported,omitzero"` // has its changes in the event message
	MaxDuration   string   `json:"max_duration,omitzero"`   // ISO 8601, of one decision
	Notes         []string `json:"notes_en,omitzero"`
	Source        string   `json:"source"`
}

// Requires lists what is registered for a service type.
type Requires struct {
	Application   bool   `json:"application"`
	Decision      bool   `json:"decision"`
	Start         bool   `json:"start"`
	End           bool   `json:"end"`
	Rejection     bool   `json:"rejection"`
	Complaint     bool   `json:"complaint"`
	Hours         string `json:"hours"` // "required", "required_if_rolling" or "none"
	ResourceHours bool   `json:"resource_hours"`
	OrgNumber     string `json:"org_number"` // "shall", "can", "shall_not", "none" or "unknown" (R71)
}

// HousingFlags are the questions about dwellings, asked up to 2018 (R58).
type HousingFlags struct {
	To            Date   `json:"valid_to"`
	Staffing      []Code `json:"staffing"`
	OrdinaryStock []Code `json:"ordinary_housing_stock"`
}

// EventMessage names the constants of the event message.
type EventMessage struct {
	Namespace    string   `json:"namespace"`
	Version      string   `json:"version"`
	Root         string   `json:"root"`
	Events       []string `json:"events"`
	ServiceTypes []string `json:"service_types"` // codes that are reported by event
}

func (c *Catalogue) addService(s *ServiceType, seen map[string]bool) error {
	if s.ID == "" || seen[s.ID] || c.Sources[s.Source] == "" || c.services[s.Code] != nil {
		return fmt.Errorf("id, code or source is missing, unknown or there twice")
	}
	seen[s.ID] = true
	if s.To != "" && s.To < s.From {
		return fmt.Errorf("validity dates out of order")
	}
	if s.Code != "" {
		c.services[s.Code] = s
	}
	return nil
}

// Service returns the service type with a code of 9151, spelt without leading zeros, or nil.
func (c *Catalogue) Service(code string) *ServiceType { return c.services[code] }

// HoursAllowed reports whether a decision on the service may carry hours, and resource
// hours (R43). Service 8 carries hours only as a rolling decision. Both are false for a code
// that does not exist.
func (c *Catalogue) HoursAllowed(code string, rolling bool) (hours, resource bool) {
	s := c.services[code]
	if s == nil {
		return false, false
	}
	hours = s.Requires.Hours == "required" || s.Requires.Hours == "required_if_rolling" && rolling
	return hours, hours && s.Requires.ResourceHours
}

// has reports whether a question goes with the type, such as "staffing".
func (s *ServiceType) has(flag string) bool { return slices.Contains(s.Flags, flag) }
