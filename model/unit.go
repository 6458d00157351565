package model

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Unit is the path of the smallest thing chosen as a whole when two entries clash:
// `section/variable` for what a person has once, `section/<uuid>[/group[/<uuid>]]` for what
// a person has many of. At most 120 bytes.
type Unit string

// UnitRef is a parsed unit path.
type UnitRef struct {
	Section string // "score", "service", ...
	Name    string // variable name for single sections, "" for repeating ones
	ID      string // canonical UUID for repeating sections, "" otherwise
	Group   string // "grant", "pause", ... for sections with groups
	SubID   string // UUID of a pause
}

const maxUnitLen = 120

// repeating maps each repeating section to its groups; the empty group is the thing
// itself. A group ending in "/" takes a UUID of its own.
var repeating = map[string][]string{
	"diagnosis": {""},
	"service":   {"", "application", "grant", "start", "end", "complaint", "provider", "pause/", "rehab"},
	"stay":      {""},
	"coercion":  {""},
	"time":      {""},
	"need":      {""},
	"remark":    {""},
}

// single lists the sections whose second part is a variable name of the catalogue.
var single = map[string]bool{
	"person": true, "assessed": true, "score": true, "participation": true, "health": true, "status": true,
}

// ParseUnit checks the grammar of a path. Whether the catalogue knows the variable is
// another question (package catalogue).
func ParseUnit(s string) (UnitRef, error) {
	if len(s) == 0 || len(s) > maxUnitLen {
		return UnitRef{}, fmt.Errorf("unit path must be 1-%d bytes", maxUnitLen)
	}
	section, rest, ok := strings.Cut(s, "/")
	if !ok || rest == "" {
		return UnitRef{}, fmt.Errorf("unit path needs a section and a name")
	}
	if single[section] {
		if !variableName(rest) {
			return UnitRef{}, fmt.Errorf("variable name must be a-z, 0-9 and underscore")
		}
		return UnitRef{Section: section, Name: rest}, nil
	}
	groups, ok := repeating[section]
	if !ok {
		return UnitRef{}, fmt.Errorf("unknown section")
	}
	id, group, _ := strings.Cut(rest, "/")
	if !canonicalUUID(id) {
		return UnitRef{}, fmt.Errorf("section %s needs a lower-case UUID", section)
	}
	ref := UnitRef{Section: section, ID: id}
	if group == "" {
		if strings.HasSuffix(s, "/") {
			return UnitRef{}, fmt.Errorf("unit path ends in a slash")
		}
		return ref, nil
	}
	for _, g := range groups {
		name, takesID := strings.CutSuffix(g, "/")
		switch {
		case g == "":
		case !takesID && g == group:
			ref.Group = g
			return ref, nil
		case takesID && strings.HasPrefix(group, g):
			sub := group[len(g):]
			if !canonicalUUID(sub) {
				return UnitRef{}, fmt.Errorf("group %s needs a lower-case UUID", name)
			}
			ref.Group, ref.SubID = name, sub
			return ref, nil
		}
	}
	return UnitRef{}, fmt.Errorf("unknown group of section %s", section)
}

// Section returns the part before the first slash.
func (u Unit) Section() string {
	s, _, _ := strings.Cut(string(u), "/")
	return s
}

func variableName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return s != ""
}

func canonicalUUID(s string) bool {
	var u uuid.UUID
	return parseUUID([]byte(s), &u) == nil
}
