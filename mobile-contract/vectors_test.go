package contract

import (
	"errors"
	"testing"

	"flette/internal/jwk"
	"flette/model"
	"flette/model/catalogue"
)

// judge does what admission does before it needs to know anything about the tenant.
func judge(t *testing.T, v Vector) (class, code, id string) {
	t.Helper()
	codeOf := func(err error) string {
		var p *model.Problem
		if !errors.As(err, &p) {
			t.Fatalf("%s: %v is no problem", v.Name, err)
		}
		return p.Code
	}
	j, err := model.ParseJWS([]byte(v.Bytes()))
	if err != nil {
		return OutcomeRefused, codeOf(err), ""
	}
	if string(j.Compact()) != v.Bytes() {
		t.Errorf("%s: Compact gives other bytes back", v.Name)
	}
	id = j.ID.String()
	if len(v.Key) == 0 {
		return OutcomeRefused, "unknown-key", id
	}
	key, err := jwk.Parse(v.Key)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	if !key.Verify(j.Alg, j.SigningInput(), j.Signature) {
		return OutcomeRefused, "bad-signature", id
	}
	e, err := model.DecodeEntry(j.Payload)
	switch {
	case err != nil:
		return OutcomeQuarantined, codeOf(err), id
	case e.Device != j.Device:
		return OutcomeQuarantined, "device-mismatch", id
	case e.Tenant != "testvik":
		return OutcomeQuarantined, "tenant-mismatch", id
	}
	if e.Act.Sets() {
		for _, c := range e.Changes {
			if p := catalogue.Default().Validate(c.Unit, c.Value, e.Wall); p != nil {
				return OutcomeQuarantined, p.Code, id
			}
		}
	}
	return OutcomeApplied, "", id
}

func TestVectorsGetTheirOutcome(t *testing.T) {
	vectors, err := Vectors()
	if err != nil {
		t.Fatal(err)
	}
	all := schemas(t)
	first := map[string]Vector{} // by entry id
	classes, codes := map[string]int{}, map[string]bool{}
	for _, v := range vectors {
		class, code, id := judge(t, v)
		if before, again := first[id]; again && class == OutcomeApplied {
			if before.Name != v.Repeats {
				t.Errorf("%s repeats %q, not %q", v.Name, before.Name, v.Repeats)
			}
			class = OutcomeDuplicate
		} else if class == OutcomeApplied {
			first[id] = v
		}
		if class != v.Class || code != v.Code || id != v.ID && v.Class != OutcomeRefused {
			t.Errorf("%s: %s %s %s, want %s %s %s", v.Name, class, code, id, v.Class, v.Code, v.ID)
		}
		if c, ok := LookupCode(code); code != "" && (!ok || c.Entry != class) {
			t.Errorf("%s: the table does not give %s to %s entries", v.Name, code, class)
		}
		classes[class]++
		codes[code] = true
		if class != OutcomeApplied {
			continue
		}
		j, err := model.ParseJWS([]byte(v.JWS))
		if err != nil {
			t.Fatal(err)
		}
		if err := all["header"].Validate(value(t, j.Header)); err != nil {
			t.Errorf("%s: header: %v", v.Name, err)
		}
		if err := all["entry"].Validate(value(t, j.Payload)); err != nil {
			t.Errorf("%s: payload: %v", v.Name, err)
		}
	}
	for class, least := range map[string]int{OutcomeApplied: 15, OutcomeDuplicate: 2, OutcomeQuarantined: 70, OutcomeRefused: 45} {
		if classes[class] < least {
			t.Errorf("only %d vectors are %s", classes[class], class)
		}
	}
	for _, c := range Codes {
		if c.Entry != "" && !codes[c.Code] && !needsState[c.Code] {
			t.Errorf("no vector gets %s", c.Code)
		}
	}
}

// Codes that depend on what the server knows, or (id-date) that no unit of today can give.
var needsState = map[string]bool{
	"key-retired": true, "version-retired": true, "lease-expired": true, "lease-unknown": true, "device-revoked": true, "actor-mismatch": true, "act-forbidden": true,
	"out-of-scope": true, "person-blocked": true, "unknown-person": true, "unknown-target": true, "too-many-heads": true, "seq-fork": true, "device-forked": true, "already-settled": true, "not-releasable": true, "id-date": true,
}

// What the server quarantines for its shape, the schema refuses too, unless it is something
// that a schema cannot say.
func TestSchemaCatchesBadPayloads(t *testing.T) {
	vectors, err := Vectors()
	if err != nil {
		t.Fatal(err)
	}
	beyond := map[string]bool{
		"unit twice": true, "value too large": true,
		"duplicate member": true, "duplicate member, escaped": true, "duplicate member in a value": true,
		"fraction": true, "exponent": true, "fraction in a value": true, "lone surrogate": true, "invalid UTF-8": true,
	}
	entry := schemas(t)["entry"]
	for _, v := range vectors {
		if v.Class != OutcomeQuarantined || v.Code != "invalid-payload" && v.Code != "reason-required" && v.Code != "unknown-version" {
			continue
		}
		j, err := model.ParseJWS([]byte(v.JWS))
		if err != nil {
			t.Fatal(err)
		}
		if !isJSON(j.Payload) || beyond[v.Name] {
			continue
		}
		if entry.Validate(value(t, j.Payload)) == nil {
			t.Errorf("%s: the schema takes it", v.Name)
		}
	}
}
