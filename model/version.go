package model

import "slices"

// ContractVersion is the newest payload version. Every version ever issued stays accepted.
const ContractVersion = 3

// version is one version of the payload.
type version struct {
	// check judges the members that not every version has. One that was left out is absent.
	check func(*Entry) *Problem
	// up reads the payload as one of the next version: a pure function of its members. The
	// newest version has none.
	up func(*Entry)
}

// versions holds every version ever issued, the first at index 0.
type versions []version

// contract is the table: a new version is a row here, a check and the way up to it.
//
//	1  the first
//	2  app: the name and version of the program that signed
//	3  catalogue: the version of the catalogue that the author saw
var contract = versions{
	{check: both(withoutApp, withoutCatalogue), up: func(e *Entry) { e.App = "" }},
	{check: both(withApp, withoutCatalogue), up: func(e *Entry) { e.Catalogue = "" }},
	{check: both(withApp, withCatalogue)},
}

func both(one, two func(*Entry) *Problem) func(*Entry) *Problem {
	return func(e *Entry) *Problem {
		if p := one(e); p != nil {
			return p
		}
		return two(e)
	}
}

// newest is the version that every older one can be read as.
func (vs versions) newest() int { return len(vs) }

// has reports whether v was ever issued.
func (vs versions) has(v int) bool { return v >= 1 && v <= len(vs) }

// read checks an entry by its own version and brings it up to the newest. V stays what was signed.
func (vs versions) read(e *Entry) *Problem {
	if p := vs[e.V-1].check(e); p != nil {
		return p
	}
	for _, v := range vs[e.V-1 : len(vs)-1] {
		v.up(e)
	}
	return nil
}

func withoutApp(e *Entry) *Problem {
	if e.App != absent {
		return unknownMember("")
	}
	return nil
}

func withApp(e *Entry) *Problem {
	if e.App == absent || !IsApp(e.App) {
		return Problemf("invalid-payload", "/app", "app is the name and version of the program that signed, 1-%d printable characters of ASCII", MaxApp)
	}
	return nil
}

func withoutCatalogue(e *Entry) *Problem {
	if e.Catalogue != absent {
		return unknownMember("")
	}
	return nil
}

func withCatalogue(e *Entry) *Problem {
	if !IsCatalogue(e.Catalogue) {
		return Problemf("invalid-payload", "/catalogue", "catalogue is the version of the catalogue that the author saw, 1-%d printable characters of ASCII", MaxCatalogue)
	}
	return nil
}

// MaxApp bounds the name of an app in bytes, MaxCatalogue the version of a catalogue.
const (
	MaxApp       = 100
	MaxCatalogue = 40
)

// IsApp reports whether s can stand as the app of an entry: 1-100 bytes of printable ASCII.
func IsApp(s string) bool { return isPrintable(s, MaxApp) }

// IsCatalogue reports whether s can stand as the catalogue of an entry: 1-40 bytes of printable ASCII.
func IsCatalogue(s string) bool { return isPrintable(s, MaxCatalogue) }

func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < ' ' || c > '~' })
}
