package model

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Act says what an entry does. See docs/ARCHITECTURE.md, life of an entry.
type Act string

const (
	ActRegister  Act = "register"  // set units; the everyday act
	ActConfirm   Act = "confirm"   // seen, no change (R29); sets the same values anew
	ActCorrect   Act = "correct"   // set units with a reason
	ActVoid      Act = "void"      // mark a registration as made in error; it stays readable
	ActReinstate Act = "reinstate" // undo a void, or the settlement of a finding
	ActDecide    Act = "decide"    // a supervisor's choice between heads
	ActRelease   Act = "release"   // let a quarantined entry take effect, or a finding pass
	ActClose     Act = "close"     // settle a quarantined entry without effect, or a finding as handled
)

// Clock claims of an entry.
const (
	ClockMonotonic = "monotonic" // elapsed_ms counted without a break since the lease
	ClockRebooted  = "rebooted"  // the tablet restarted: only its wall clock bridges
	ClockNone      = "none"      // no lease time known
)

// Reason is required for every act but register and confirm.
type Reason struct {
	Code string `json:"code"` // a-z and hyphen, at most 40 characters
	Text string `json:"text"` // free text, at most 2000 bytes; may be empty
}

// Change is one unit's part of an entry. Register, confirm, correct and decide carry Value
// and Over; void, reinstate, release and close carry Target, and may carry Over: the heads
// their author saw.
type Change struct {
	Unit   Unit           `json:"unit"`
	Value  jsontext.Value `json:"value,omitzero"`
	Over   []EntryID      `json:"over,omitzero"`
	Target *EntryID       `json:"target,omitzero"`
}

// QuarantineUnit is the unit that release and close carry when they act on a whole entry.
const QuarantineUnit Unit = "quarantine"

// Entry is the decoded payload: the signed, immutable act of one actor on one person. Whatever
// version was signed, its members are those of the newest (see version.go).
type Entry struct {
	V         int      `json:"v"`                  // contract version that was signed
	App       string   `json:"app,omitzero"`       // from version 2 on: name and version of the app that signed
	Catalogue string   `json:"catalogue,omitzero"` // from version 3 on: version of the catalogue that the author saw
	Tenant    TenantID `json:"tenant"`             // tenant id
	Device    DeviceID `json:"device"`             // equals the header's kid
	Seq       int64    `json:"seq"`                // 1, 2, 3 ... per device, dense
	Prev      string   `json:"prev"`               // entry id of seq-1, "" for the first
	Actor     ActorID  `json:"actor"`              // who did it
	Lease     string   `json:"lease"`              // id of the lease in force
	ElapsedMs int64    `json:"elapsed_ms"`         // monotonic ms since the lease was received
	Clock     string   `json:"clock"`              // "monotonic", "rebooted" or "none"
	Wall      Millis   `json:"wall"`               // the tablet's wall clock, RFC 3339: a claim
	Person    PersonID `json:"person"`             // whose record
	Visit     string   `json:"visit,omitzero"`
	Act       Act      `json:"act"`
	Reason    *Reason  `json:"reason,omitzero"`
	Changes   []Change `json:"changes"`
}

// DecodeEntry reads a payload strictly: valid UTF-8, no duplicate members, exact member
// names, no unknown or missing members, no null outside values, integers only, capped depth and size. It
// returns a *Problem with code "unknown-version", "too-large", "invalid-payload",
// "unknown-unit" or "reason-required" and a pointer. Values are checked for well-formedness
// only; the catalogue judges their content.
func DecodeEntry(payload []byte) (*Entry, error) { return contract.decode(payload) }

func (vs versions) decode(payload []byte) (*Entry, error) {
	if len(payload) > MaxEntryBytes {
		return nil, Problemf("too-large", "", "payload is larger than %d bytes", MaxEntryBytes)
	}
	p := checkShape(payload)
	// A required member that is left out keeps a value that its check refuses.
	e := Entry{App: absent, Catalogue: absent, Prev: absent, Lease: absent, ElapsedMs: -1, Wall: math.MinInt64}
	if p == nil {
		if err := json.Unmarshal(payload, &e, json.RejectUnknownMembers(true)); err != nil {
			p = jsonProblem(err)
		}
	}
	if p != nil {
		// A later version may have other members and other rules of shape.
		if v, ok := peekVersion(payload); ok && !vs.has(v) {
			return nil, vs.unknown(v)
		}
		return nil, p
	}
	if !vs.has(e.V) {
		return nil, vs.unknown(e.V)
	}
	if p := vs.read(&e); p != nil {
		return nil, p
	}
	if p := e.check(); p != nil {
		return nil, p
	}
	return &e, nil
}

const absent = "\x00"

// unknownMember is what the decoder says of a member that the payload's version does not have.
func unknownMember(pointer string) *Problem {
	return Problemf("invalid-payload", pointer, "member is unknown, of the wrong type or out of range")
}

func (vs versions) unknown(v int) *Problem {
	return Problemf("unknown-version", "/v", "contract version %d is not known to this server; it knows 1 to %d", v, vs.newest())
}

func peekVersion(payload []byte) (int, bool) {
	var v struct {
		V *int `json:"v"`
	}
	err := json.Unmarshal(payload, &v)
	return deref(v.V), err == nil && v.V != nil
}

func deref(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

// jsonProblem turns a decoder error into a Problem without repeating any content.
func jsonProblem(err error) *Problem {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		at := sem.JSONPointer
		if errors.Is(err, json.ErrUnknownName) {
			at = at.Parent()
		}
		return unknownMember(SafePointer(at))
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		return Problemf("invalid-payload", SafePointer(syn.JSONPointer), "not strict JSON (UTF-8, no duplicate members) at byte %d", syn.ByteOffset)
	}
	return Problemf("invalid-payload", "", "payload is not one strict JSON object")
}

// SafePointer cuts a pointer before the first token that is no name of the contract: what
// a payload calls its members may be personal data too.
func SafePointer(p jsontext.Pointer) string {
	safe := ""
	for token := range p.Tokens() {
		if len(token) > 30 || !variableName(token) {
			break
		}
		safe += "/" + token
	}
	return safe
}

const valueDepth = 4 // {"changes":[{"value":{

// checkShape walks the bytes once, outside strings, for depth, for null members and for numbers
// that are not plain integers: one reading for every client, whatever its number type.
func checkShape(b []byte) *Problem {
	depth, inString, inValue := 0, false, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inString {
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
			continue
		}
		switch c {
		case '"':
			inString = true
		case '{', '[':
			if depth++; depth > MaxDepth {
				return Problemf("invalid-payload", "", "payload is nested deeper than %d", MaxDepth)
			}
			inValue = inValue || depth == valueDepth && c == '{'
		case '}', ']':
			depth--
			inValue = inValue && depth >= valueDepth
		case '.', 'E', '+':
			return Problemf("invalid-payload", "", "numbers must be integers without fraction or exponent (byte %d)", i)
		case 'n':
			// A null inside a value is the catalogue's to judge.
			if inValue || depth == 0 {
				continue
			}
			return Problemf("invalid-payload", "", "null is no value: leave the member out (byte %d)", i)
		case 'e':
			// "true" and "false" hold the only other e outside strings.
			if i == 0 || (b[i-1] != 'u' && b[i-1] != 's') {
				return Problemf("invalid-payload", "", "numbers must be integers without fraction or exponent (byte %d)", i)
			}
		}
	}
	return nil
}

const maxSafeInt = 1<<53 - 1

func (e *Entry) check() *Problem {
	f := e.Frame()
	if p := f.check(); p != nil {
		return p
	}
	t := Timing{Lease: e.Lease, ElapsedMs: e.ElapsedMs, Clock: e.Clock, Wall: e.Wall}
	if p := t.check(); p != nil {
		return p
	}
	if e.Visit != "" && !canonicalUUID(e.Visit) {
		return Problemf("invalid-payload", "/visit", "visit must be a lower-case UUID")
	}
	if p := e.checkReason(); p != nil {
		return p
	}
	if e.SettlesFindings() {
		return e.checkFindings()
	}
	if len(e.Changes) == 0 || len(e.Changes) > MaxChanges {
		return Problemf("invalid-payload", "/changes", "an entry carries 1-%d changes", MaxChanges)
	}
	seen := make(map[Unit]struct{}, len(e.Changes))
	for i := range e.Changes {
		if p := e.checkChange(i); p != nil {
			return p
		}
		if _, dup := seen[e.Changes[i].Unit]; dup {
			return Problemf("invalid-payload", changePointer(i, "/unit"), "a unit appears at most once in an entry")
		}
		seen[e.Changes[i].Unit] = struct{}{}
	}
	return nil
}

func (e *Entry) checkReason() *Problem {
	switch e.Act {
	case ActRegister, ActConfirm:
	case ActCorrect, ActVoid, ActReinstate, ActDecide, ActRelease, ActClose:
		if e.Reason == nil {
			return Problemf("reason-required", "/reason", "act %s needs a reason with code and text", e.Act)
		}
	default:
		return Problemf("invalid-payload", "/act", "act is none of register, confirm, correct, void, reinstate, decide, release, close")
	}
	if e.Reason == nil {
		return nil
	}
	if len(e.Reason.Code) == 0 || len(e.Reason.Code) > 40 || strings.Trim(e.Reason.Code, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return Problemf("invalid-payload", "/reason/code", "reason code is 1-40 of a-z and hyphen")
	}
	if len(e.Reason.Text) > 2000 {
		return Problemf("invalid-payload", "/reason/text", "reason text is longer than 2000 bytes")
	}
	return nil
}

// Sets reports whether the act sets values (and does not point at a target).
func (a Act) Sets() bool {
	return a == ActRegister || a == ActConfirm || a == ActCorrect || a == ActDecide
}

func (e *Entry) checkChange(i int) *Problem {
	c := &e.Changes[i]
	if e.Act == ActRelease || e.Act == ActClose {
		if c.Unit != QuarantineUnit {
			return Problemf("unknown-unit", changePointer(i, "/unit"), "act %s carries the unit %q", e.Act, QuarantineUnit)
		}
	} else if _, err := ParseUnit(string(c.Unit)); err != nil {
		return Problemf("unknown-unit", changePointer(i, "/unit"), "%s", err)
	}
	if e.Act.Sets() {
		if len(c.Value) == 0 || c.Target != nil {
			return Problemf("invalid-payload", changePointer(i, ""), "act %s carries value and over, not target", e.Act)
		}
		if len(c.Value) > MaxValueBytes {
			return Problemf("invalid-payload", changePointer(i, "/value"), "value is larger than %d bytes", MaxValueBytes)
		}
		if c.Value.Kind() != '{' {
			return Problemf("invalid-payload", changePointer(i, "/value"), "value must be an object")
		}
	} else if c.Target == nil || len(c.Value) != 0 {
		return Problemf("invalid-payload", changePointer(i, ""), "act %s carries target, not value", e.Act)
	}
	if len(c.Over) > MaxOver {
		return Problemf("invalid-payload", changePointer(i, "/over"), "over names more than %d entries", MaxOver)
	}
	for a, id := range c.Over {
		for _, other := range c.Over[:a] {
			if id == other {
				return Problemf("invalid-payload", changePointer(i, "/over"), "over names an entry twice")
			}
		}
	}
	return nil
}

func changePointer(i int, rest string) string {
	return "/changes/" + strconv.Itoa(i) + rest
}
