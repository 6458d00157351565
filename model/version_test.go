package model

import (
	"strings"
	"testing"
)

func TestContractVersionIsTheNewestRow(t *testing.T) {
	if contract.newest() != ContractVersion {
		t.Fatalf("the table ends with version %d, ContractVersion is %d", contract.newest(), ContractVersion)
	}
	for i, v := range contract {
		if v.check == nil || (v.up == nil) != (i == len(contract)-1) {
			t.Errorf("version %d: every row has a check, and every row but the last a way up", i+1)
		}
	}
}

func TestOldVersionsReadAsTheNewest(t *testing.T) {
	one, err := DecodeEntry([]byte(payload()))
	if err != nil {
		t.Fatal(err)
	}
	two, err := DecodeEntry([]byte(payload(`"v":2`, `"app":"tablet/3.1"`)))
	if err != nil {
		t.Fatal(err)
	}
	three, err := DecodeEntry([]byte(payload(`"v":3`, `"app":"tablet/3.1","catalogue":"2026-11-26.1"`)))
	if err != nil {
		t.Fatal(err)
	}
	if one.V != 1 || one.App != "" || two.V != 2 || two.App != "tablet/3.1" || three.V != 3 {
		t.Errorf("V and App: %d %q, %d %q, %d", one.V, one.App, two.V, two.App, three.V)
	}
	if one.Catalogue != "" || two.Catalogue != "" || three.Catalogue != "2026-11-26.1" {
		t.Errorf("Catalogue: %q, %q, %q", one.Catalogue, two.Catalogue, three.Catalogue)
	}
	if one.Seq != two.Seq || one.Lease != two.Lease || one.Person != two.Person || string(one.Changes[0].Value) != string(two.Changes[0].Value) {
		t.Errorf("the rest differs: %+v, %+v", one, two)
	}
}

// Three versions: an entry of N-2 goes through both ways up, in order, and every version keeps
// its own rules. In the third, visit is required; an older entry gets one that says so.
func TestVersionsChain(t *testing.T) {
	var went []string
	three := versions{
		{check: withoutApp, up: func(e *Entry) { went = append(went, "1-2"); e.App = "" }},
		{check: withApp, up: func(e *Entry) { went = append(went, "2-3"); e.Visit = thingA }},
		{check: func(e *Entry) *Problem {
			if p := withApp(e); p != nil {
				return p
			}
			if e.Visit == "" {
				return Problemf("invalid-payload", "/visit", "visit is required")
			}
			return nil
		}},
	}
	app := `"app":"tablet/3.1"`
	for _, c := range []struct {
		name, payload, code, went string
	}{
		{"N-2", payload(), "", "1-2 2-3"},
		{"N-1", payload(`"v":2`, app), "", "2-3"},
		{"N", payload(`"v":3`, app, `"visit":"`+personA+`"`), "", ""},
		{"N+1", payload(`"v":4`, app, `"mood":1.5`), "unknown-version", ""},
		{"N-2 with a member of N-1", payload(app), "invalid-payload", ""},
		{"N-1 without its member", payload(`"v":2`), "invalid-payload", ""},
		{"N with the rules of N-1", payload(`"v":3`, app), "invalid-payload", ""},
	} {
		went = nil
		e, err := three.decode([]byte(c.payload))
		code := ""
		if p := problemOf(t, err); p != nil {
			code = p.Code
		}
		if code != c.code {
			t.Errorf("%s: %q, want %q", c.name, code, c.code)
		}
		if got := strings.Join(went, " "); got != c.went {
			t.Errorf("%s: went %q, want %q", c.name, got, c.went)
		}
		if c.code == "" && (e.Visit == "" || e.V != 1 && e.App != "tablet/3.1") {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
	_, err := three.decode([]byte(payload(`"v":4`)))
	if p := problemOf(t, err); p == nil || !strings.Contains(p.Detail, "knows 1 to 3") {
		t.Errorf("%v", p)
	}
}
