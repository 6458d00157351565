package model

import (
	"strings"
	"testing"
)

func TestDecodeFrame(t *testing.T) {
	later := []string{`"seq":7`, `"prev":"` + idA.String() + `"`}
	with := func(replace ...string) string { return payload(append(later, replace...)...) }
	for _, c := range []struct {
		name, payload string
		ok            bool
	}{
		{"good", with(), true},
		{"later version", with(`"v":99`, `"colour":1.5`, `"mood":null`), true},
		{"version missing", with(`"v"`), true},
		{"reason missing", with(`"act":"correct"`), true},
		{"act, lease, clock and changes missing", with(`"act"`, `"lease"`, `"clock"`, `"changes"`), true},
		{"changes of another shape", with(`"changes":{"a":[1e3]}`), true},
		{"deep", with(`"changes":` + strings.Repeat("[", 50) + strings.Repeat("]", 50)), true},

		{"empty", "", false},
		{"null", "null", false},
		{"no object", "[]", false},
		{"two values", with() + "{}", false},
		{"cut off", with()[:200], false},
		{"too large", with() + strings.Repeat(" ", MaxEntryBytes), false},
		{"duplicate member", with(`"v":99`)[:len(with(`"v":99`))-1] + `,"seq":7}`, false},
		{"duplicate unknown member", with(`"a":{"b":1,"b":2}`), false},
		{"invalid UTF-8", with("\"a\":\"\xff\""), false},
		{"lone surrogate", with(`"a":"\ud800"`), false},
		{"member in other case", strings.Replace(with(), `"seq"`, `"SEQ"`, 1), false},
		{"tenant missing", with(`"tenant"`), false},
		{"tenant climbs", with(`"tenant":"../x"`), false},
		{"device missing", with(`"device"`), false},
		{"device null", with(`"device":null`), false},
		{"device in capitals", with(`"device":"` + strings.ToUpper(deviceA) + `"`), false},
		{"seq missing", with(`"seq"`), false},
		{"seq null", with(`"seq":null`), false},
		{"seq 0", with(`"seq":0`), false},
		{"seq with a fraction", with(`"seq":7.0`), false},
		{"seq with an exponent", with(`"seq":7e0`), false},
		{"seq as text", with(`"seq":"7"`), false},
		{"seq too large for a double", with(`"seq":9007199254740992`), false},
		{"first", payload(`"v":2`), true},
		{"first, prev missing", payload(`"prev"`), false},
		{"first, prev null", payload(`"prev":null`), false},
		{"first with prev", payload(`"prev":"` + idA.String() + `"`), false},
		{"prev empty", payload(`"seq":7`), false},
		{"prev no id", payload(`"seq":7`, `"prev":"before"`), false},
		{"actor missing", with(`"actor"`), false},
		{"actor with a space", with(`"actor":"nurse 1"`), false},
		{"person missing", with(`"person"`), false},
		{"person zero", with(`"person":"00000000-0000-0000-0000-000000000000"`), false},
		{"person in braces", with(`"person":"{` + personA[:34] + `}"`), false},
	} {
		f, ok := DecodeFrame([]byte(c.payload))
		if ok != c.ok {
			t.Errorf("%s: %v, want %v", c.name, ok, c.ok)
		}
		if !ok && f != (Frame{}) {
			t.Errorf("%s: refused, yet %+v", c.name, f)
		}
	}
	e, err := DecodeEntry([]byte(with()))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := DecodeFrame([]byte(with(`"v":99`)))
	if f != e.Frame() || f.Seq != 7 || f.Prev != idA.String() || f.Person.String() != personA {
		t.Errorf("frame %+v of %+v", f, e)
	}
}
