package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func reasonOf(code, text string) string {
	return `"reason":{"code":"` + code + `","text":"` + text + `"}`
}

func changes(c ...string) string { return `"changes":[` + strings.Join(c, ",") + `]` }

func target(unit string) string { return `{"unit":"` + unit + `","target":"` + idA.String() + `"}` }

func set(unit string) string { return `{"unit":"` + unit + `","value":{"score":2}}` }

func TestDecodeEntryRefuses(t *testing.T) {
	const invalid = "invalid-payload"
	because := reasonOf("mistake", "")
	deep := func(n int) string { // n levels below the change
		return changes(`{"unit":"score/vision","value":` + strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1) + `}`)
	}
	ids := func(n int) string {
		var out []string
		for i := range n {
			out = append(out, `"`+NewEntryID([]byte{byte(i), byte(i >> 8)}).String()+`"`)
		}
		return strings.Join(out, ",")
	}
	units := func(n int) string {
		var out []string
		for i := range n {
			out = append(out, set(fmt.Sprintf("score/v%d", i)))
		}
		return changes(out...)
	}
	for _, c := range []struct {
		name, payload string
		code, pointer string // code "" when the payload is good
	}{
		{"good", payload(), "", ""},
		{"good, white space", " {\n" + payload()[1:] + "\n", "", ""},
		{"good, visit", payload(`"visit":"` + thingA + `"`), "", ""},
		{"good, reason not required", payload(reasonOf("other-reason", "because")), "", ""},
		{"good, later in the chain", payload(`"seq":9007199254740991`, `"prev":"`+idA.String()+`"`), "", ""},
		{"good, no lease known", payload(`"lease":""`, `"clock":"none"`, `"elapsed_ms":0`), "", ""},
		{"good, clock far off", payload(`"wall":"1970-01-01T00:00:00Z"`, `"clock":"rebooted"`), "", ""},

		{"empty", "", invalid, ""},
		{"no object", `[]`, invalid, ""},
		{"two values", payload() + "{}", invalid, ""},
		{"cut off", payload()[:200], invalid, ""},
		{"too large", payload() + strings.Repeat(" ", MaxEntryBytes), "too-large", ""},
		{"unknown member", payload(`"colour":1`), invalid, ""},
		{"member in other case", payload(`"Seq":1`), invalid, ""},
		{"member in other case, alone", strings.Replace(payload(), `"seq"`, `"SEQ"`, 1), invalid, ""},
		{"duplicate member", payload()[:len(payload())-1] + `,"seq":1}`, invalid, "/seq"},
		{"duplicate by escape", payload()[:len(payload())-1] + `,"\u0073eq":1}`, invalid, "/seq"},
		{"duplicate inside a value", payload(changes(`{"unit":"score/vision","value":{"score":1,"score":2}}`)), invalid, "/changes/0/value/score"},
		{"duplicate name is repeated nowhere", payload(changes(`{"unit":"score/vision","value":{"Ola N":1,"Ola N":2}}`)), invalid, "/changes/0/value"},
		{"unknown member of a change", payload(changes(`{"unit":"score/vision","value":{},"note":""}`)), invalid, "/changes/0"},
		{"unknown member of a reason", payload(`"reason":{"code":"a","text":"","by":"x"}`), invalid, "/reason"},
		{"invalid UTF-8", payload("\"actor\":\"\xff\""), invalid, "/actor"},
		{"invalid UTF-8 inside a value", payload(changes("{\"unit\":\"score/vision\",\"value\":{\"note\":\"\xc3\"}}")), invalid, "/changes/0/value/note"},
		{"lone surrogate", payload(reasonOf("a", `\ud800`)), invalid, "/reason/text"},
		{"lone surrogate inside a value", payload(changes(`{"unit":"score/vision","value":{"note":"\udc00x"}}`)), invalid, "/changes/0/value/note"},
		{"overlong UTF-8", payload("\"actor\":\"\xc0\xaf\""), invalid, "/actor"},
		{"byte order mark", "\xef\xbb\xbf" + payload(), invalid, ""},
		{"fraction", payload(`"elapsed_ms":1.0`), invalid, ""},
		{"exponent", payload(`"elapsed_ms":1e3`), invalid, ""},
		{"exponent, capital", payload(`"elapsed_ms":1E3`), invalid, ""},
		{"plus sign", payload(`"elapsed_ms":+1`), invalid, ""},
		{"fraction inside a value", payload(changes(`{"unit":"score/vision","value":{"score":2.5}}`)), invalid, ""},
		{"number characters in text", payload(reasonOf("a", `1.5e+3 \"n\" {[`)), "", ""},
		{"deepest", payload(deep(MaxDepth - 3)), "", ""},
		{"too deep", payload(deep(MaxDepth - 2)), invalid, ""},
		{"null member", payload(`"visit":null`), invalid, ""},
		{"null in over", payload(changes(`{"unit":"score/vision","value":{},"over":[null]}`)), invalid, ""},
		{"null inside a value is for the catalogue", payload(changes(`{"unit":"score/vision","value":{"note":null}}`)), "", ""},
		{"null after a value", payload(changes(`{"unit":"score/vision","value":{},"over":null}`)), invalid, ""},

		{"version 0", payload(`"v":0`), "unknown-version", "/v"},
		{"version 4", payload(`"v":4`), "unknown-version", "/v"},
		{"version 4 with members of its own", payload(`"v":4`, `"colour":1`), "unknown-version", "/v"},
		{"version 4 with numbers of its own", payload(`"v":4`, `"score":1.5`), "unknown-version", "/v"},
		{"good, version 2", payload(`"v":2`, `"app":"tablet/3.1"`), "", ""},
		{"good, version 2, longest app", payload(`"v":2`, `"app":"`+strings.Repeat("~", MaxApp)+`"`), "", ""},
		{"version 2 without app", payload(`"v":2`), invalid, "/app"},
		{"version 2, app empty", payload(`"v":2`, `"app":""`), invalid, "/app"},
		{"version 2, app null", payload(`"v":2`, `"app":null`), invalid, ""},
		{"version 2, app too long", payload(`"v":2`, `"app":"`+strings.Repeat("a", MaxApp+1)+`"`), invalid, "/app"},
		{"version 2, app with a line break", payload(`"v":2`, `"app":"a\n"`), invalid, "/app"},
		{"version 2, app beyond ASCII", payload(`"v":2`, `"app":"æ"`), invalid, "/app"},
		{"version 2, app as number", payload(`"v":2`, `"app":1`), invalid, "/app"},
		{"version 2 with members of no version", payload(`"v":2`, `"app":"a"`, `"colour":1`), invalid, ""},
		{"version 1 with app", payload(`"app":"tablet/3.1"`), invalid, ""},
		{"version 1 with an empty app", payload(`"app":""`), invalid, ""},
		{"version missing", payload(`"v"`), "unknown-version", "/v"},
		{"version as text", payload(`"v":"1"`), invalid, "/v"},
		{"version twice", payload(`"v":2`)[:len(payload())-1] + `,"v":2}`, invalid, "/v"},

		{"tenant missing", payload(`"tenant"`), invalid, "/tenant"},
		{"tenant climbs", payload(`"tenant":"../x"`), invalid, "/tenant"},
		{"device missing", payload(`"device"`), invalid, "/device"},
		{"device zero", payload(`"device":"00000000-0000-0000-0000-000000000000"`), invalid, "/device"},
		{"device in capitals", payload(`"device":"` + strings.ToUpper(deviceA) + `"`), invalid, "/device"},
		{"seq missing", payload(`"seq"`), invalid, "/seq"},
		{"seq 0", payload(`"seq":0`), invalid, "/seq"},
		{"seq too large for a double", payload(`"seq":9007199254740992`, `"prev":"`+idA.String()+`"`), invalid, "/seq"},
		{"seq too large for 64 bits", payload(`"seq":9223372036854775808`), invalid, "/seq"},
		{"prev missing", payload(`"prev"`), invalid, "/prev"},
		{"prev for the first", payload(`"prev":"` + idA.String() + `"`), invalid, "/prev"},
		{"no prev for the second", payload(`"seq":2`), invalid, "/prev"},
		{"prev with a line break", payload(`"seq":2`, `"prev":"`+idA.String()[:41]+`A\n"`), invalid, "/prev"},
		{"actor missing", payload(`"actor"`), invalid, "/actor"},
		{"actor with a space", payload(`"actor":"nurse 1"`), invalid, "/actor"},
		{"actor too long", payload(`"actor":"` + strings.Repeat("n", 65) + `"`), invalid, "/actor"},
		{"lease missing", payload(`"lease"`), invalid, "/lease"},
		{"lease too long", payload(`"lease":"` + strings.Repeat("l", 201) + `"`), invalid, "/lease"},
		{"elapsed missing", payload(`"elapsed_ms"`), invalid, "/elapsed_ms"},
		{"elapsed negative", payload(`"elapsed_ms":-1`), invalid, "/elapsed_ms"},
		{"elapsed too large", payload(`"elapsed_ms":9007199254740992`), invalid, "/elapsed_ms"},
		{"clock missing", payload(`"clock"`), invalid, "/clock"},
		{"clock of no kind", payload(`"clock":"Monotonic"`), invalid, "/clock"},
		{"wall missing", payload(`"wall"`), invalid, "/wall"},
		{"wall without offset", payload(`"wall":"2026-03-02T08:15:00"`), invalid, "/wall"},
		{"wall with a comma", payload(`"wall":"2026-03-02T08:15:00,5Z"`), invalid, "/wall"},
		{"wall as number", payload(`"wall":1772439300000`), invalid, "/wall"},
		{"person missing", payload(`"person"`), invalid, "/person"},
		{"person in braces", payload(`"person":"{` + personA[:34] + `}"`), invalid, "/person"},
		{"visit is no UUID", payload(`"visit":"morning"`), invalid, "/visit"},
		{"act missing", payload(`"act"`), invalid, "/act"},
		{"act unknown", payload(`"act":"delete"`), invalid, "/act"},

		{"correct without a reason", payload(`"act":"correct"`), "reason-required", "/reason"},
		{"decide without a reason", payload(`"act":"decide"`), "reason-required", "/reason"},
		{"void without a reason", payload(`"act":"void"`, changes(target("score/vision"))), "reason-required", "/reason"},
		{"reinstate without a reason", payload(`"act":"reinstate"`, changes(target("score/vision"))), "reason-required", "/reason"},
		{"release without a reason", payload(`"act":"release"`, changes(target("quarantine"))), "reason-required", "/reason"},
		{"close without a reason", payload(`"act":"close"`, changes(target("quarantine"))), "reason-required", "/reason"},
		{"reason code empty", payload(reasonOf("", "x")), invalid, "/reason/code"},
		{"reason code in capitals", payload(reasonOf("Mistake", "x")), invalid, "/reason/code"},
		{"reason code too long", payload(reasonOf(strings.Repeat("a", 41), "x")), invalid, "/reason/code"},
		{"reason text longest", payload(reasonOf("a", strings.Repeat("x", 2000))), "", ""},
		{"reason text too long", payload(reasonOf("a", strings.Repeat("x", 2001))), invalid, "/reason/text"},

		{"changes missing", payload(`"changes"`), invalid, "/changes"},
		{"no changes", payload(changes()), invalid, "/changes"},
		{"most changes", payload(units(MaxChanges)), "", ""},
		{"too many changes", payload(units(MaxChanges + 1)), invalid, "/changes"},
		{"unit twice", payload(changes(set("score/vision"), set("score/hearing"), set("score/vision"))), invalid, "/changes/2/unit"},
		{"unit of no section", payload(changes(set("colour/red"))), "unknown-unit", "/changes/0/unit"},
		{"unit missing", payload(changes(set("score/vision"), `{"value":{}}`)), "unknown-unit", "/changes/1/unit"},
		{"value missing", payload(changes(`{"unit":"score/vision"}`)), invalid, "/changes/0"},
		{"value is no object", payload(changes(`{"unit":"score/vision","value":2}`)), invalid, "/changes/0/value"},
		{"value and target", payload(changes(`{"unit":"score/vision","value":{},"target":"` + idA.String() + `"}`)), invalid, "/changes/0"},
		{"value largest", payload(changes(`{"unit":"score/vision","value":{"n":"` + strings.Repeat("x", MaxValueBytes-8) + `"}}`)), "", ""},
		{"value too large", payload(changes(`{"unit":"score/vision","value":{"n":"` + strings.Repeat("x", MaxValueBytes-7) + `"}}`)), invalid, "/changes/0/value"},
		{"over longest", payload(changes(`{"unit":"score/vision","value":{},"over":[` + ids(MaxOver) + `]}`)), "", ""},
		{"over too long", payload(changes(`{"unit":"score/vision","value":{},"over":[` + ids(MaxOver+1) + `]}`)), invalid, "/changes/0/over"},
		{"over twice the same", payload(changes(`{"unit":"score/vision","value":{},"over":[` + ids(2) + "," + ids(1) + `]}`)), invalid, "/changes/0/over"},
		{"over is no id", payload(changes(`{"unit":"score/vision","value":{},"over":["x"]}`)), invalid, "/changes/0/over/0"},

		{"void", payload(`"act":"void"`, because, changes(target("score/vision"))), "", ""},
		{"void with what was seen", payload(`"act":"void"`, because, changes(target("score/vision")[:len(target("score/vision"))-1]+`,"over":["`+idB.String()+`"]}`)), "", ""},
		{"void with a value", payload(`"act":"void"`, because, changes(set("score/vision"))), invalid, "/changes/0"},
		{"void with value and target", payload(`"act":"void"`, because, changes(`{"unit":"score/vision","value":{},"target":"`+idA.String()+`"}`)), invalid, "/changes/0"},
		{"reinstate without a target", payload(`"act":"reinstate"`, because, changes(`{"unit":"score/vision"}`)), invalid, "/changes/0"},
		{"decide", payload(`"act":"decide"`, because), "", ""},
		{"correct with a target", payload(`"act":"correct"`, because, changes(target("score/vision"))), invalid, "/changes/0"},
		{"release", payload(`"act":"release"`, because, changes(target("quarantine"))), "", ""},
		{"close", payload(`"act":"close"`, because, changes(target("quarantine"))), "", ""},
		{"release of a unit", payload(`"act":"release"`, because, changes(target("score/vision"))), "unknown-unit", "/changes/0/unit"},
		{"release of two", payload(`"act":"release"`, because, changes(target("quarantine"), target("quarantine"))), invalid, "/changes/1/unit"},
		{"register of the quarantine", payload(changes(set("quarantine"))), "unknown-unit", "/changes/0/unit"},
		{"void of the quarantine", payload(`"act":"void"`, because, changes(target("quarantine"))), "unknown-unit", "/changes/0/unit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := DecodeEntry([]byte(c.payload))
			p := problemOf(t, err)
			if c.code == "" {
				if p != nil {
					t.Fatalf("refused: %v", p)
				}
				return
			}
			if p == nil || e != nil {
				t.Fatalf("accepted: %+v", e)
			}
			if p.Code != c.code || p.Pointer != c.pointer {
				t.Errorf("%s at %q, want %s at %q", p.Code, p.Pointer, c.code, c.pointer)
			}
			if p.Detail == "" || strings.Contains(p.Error(), "Ola") {
				t.Errorf("sentence %q", p.Detail)
			}
		})
	}
}

func TestDecodeEntryReads(t *testing.T) {
	e, err := DecodeEntry([]byte(payload(`"act":"void"`, `"seq":7`, `"prev":"`+idB.String()+`"`, reasonOf("wrong-person", "Feil bruker å"),
		`"wall":"2026-03-02T09:15:00.1239+01:00"`, changes(`{"unit":"service/`+thingA+`/start","target":"`+idA.String()+`","over":["`+idB.String()+`"]}`))))
	if err != nil {
		t.Fatal(err)
	}
	if e.V != 1 || e.Tenant != "skogvik" || e.Device.String() != deviceA || e.Seq != 7 || e.Prev != idB.String() || e.Actor != "nurse-1" ||
		e.Lease != "lease-1" || e.ElapsedMs != 60000 || e.Clock != ClockMonotonic || e.Person.String() != personA || e.Visit != "" || e.Act != ActVoid {
		t.Errorf("%+v", e)
	}
	if got := e.Wall.RFC3339(); got != "2026-03-02T08:15:00.123Z" {
		t.Errorf("wall %s", got)
	}
	if e.Reason == nil || *e.Reason != (Reason{"wrong-person", "Feil bruker å"}) {
		t.Errorf("reason %+v", e.Reason)
	}
	c := e.Changes[0]
	if c.Unit != Unit("service/"+thingA+"/start") || c.Target == nil || *c.Target != idA || len(c.Over) != 1 || c.Over[0] != idB || c.Value != nil {
		t.Errorf("change %+v", c)
	}
}

func TestValueIsKeptAsSigned(t *testing.T) {
	const value = `{ "score" :2,"note":"\u00e5 \/"}`
	e, err := DecodeEntry([]byte(payload(changes(`{"unit":"score/vision","value":` + value + `}`))))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(e.Changes[0].Value); got != value {
		t.Errorf("value %s, want %s", got, value)
	}
}

func TestActSets(t *testing.T) {
	for act, want := range map[Act]bool{
		ActRegister: true, ActConfirm: true, ActCorrect: true, ActDecide: true, ActVoid: false, ActReinstate: false, ActRelease: false, ActClose: false,
	} {
		if act.Sets() != want {
			t.Errorf("%s sets: %v", act, !want)
		}
	}
}

func TestProblemText(t *testing.T) {
	p := Problemf("too-large", "/changes/0", "more than %d bytes", 5)
	p.Rule = "R14"
	if p.Error() != "too-large at /changes/0: more than 5 bytes" || Problemf("a", "", "b").Error() != "a: b" {
		t.Errorf("%q", p.Error())
	}
	b, err := json.Marshal(p)
	if want := `{"code":"too-large","pointer":"/changes/0","detail":"more than 5 bytes","rule":"R14"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
