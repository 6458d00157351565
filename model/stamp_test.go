package model

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func TestStampJSON(t *testing.T) {
	s := Stamp{Wall: 1, T: 2, U: 1060, Lo: 3, Hi: 4, TEff: 5, Class: ClockB}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"wall":"1970-01-01T00:00:00.001Z","t":"1970-01-01T00:00:00.002Z","u_ms":1060,"lo":"1970-01-01T00:00:00.003Z",` +
		`"hi":"1970-01-01T00:00:00.004Z","t_eff":"1970-01-01T00:00:00.005Z","clock_class":"B"}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var back Stamp
	if err := json.Unmarshal(b, &back); err != nil || back != s {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestMillisText(t *testing.T) {
	for _, c := range []struct{ in, want string }{ // want "" when refused
		{"2026-03-02T08:15:00Z", "2026-03-02T08:15:00.000Z"},
		{"2026-03-02T08:15:00.1Z", "2026-03-02T08:15:00.100Z"},
		{"2026-03-02T08:15:00.123999999Z", "2026-03-02T08:15:00.123Z"},
		{"1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"},
		{"2026-03-02T08:15:00+01:00", "2026-03-02T07:15:00.000Z"},
		{"2024-02-29T00:00:00-00:30", "2024-02-29T00:30:00.000Z"},
		{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"},
		{"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		{"", ""},
		{"2026-03-02", ""},
		{"2026-03-02T08:15Z", ""},
		{"2026-03-02T08:15:00", ""},
		{"2026-03-02 08:15:00Z", ""},
		{"2026-03-02t08:15:00z", ""},
		{"2026-03-02T8:15:00Z", ""},
		{"2026-03-02T08:15:00,5Z", ""},
		{"2026-03-02T08:15:00.Z", ""},
		{"2026-03-02T08:15:60Z", ""},
		{"2026-03-02T24:00:00Z", ""},
		{"2025-02-29T00:00:00Z", ""},
		{"2026-03-02T08:15:00+0100", ""},
		{"2026-03-02T08:15:00+99:00", ""},
		{"2026-03-02T08:15:00Z ", ""},
		{"12026-03-02T08:15:00Z", ""},
		{"0000-01-01T00:00:00+23:59", ""},
		{"9999-12-31T23:59:59-23:59", ""},
	} {
		m := Millis(7)
		err := m.UnmarshalText([]byte(c.in))
		if c.want == "" {
			if err == nil || m != 7 {
				t.Errorf("%q read as %s", c.in, m.RFC3339())
			}
		} else if err != nil || m.RFC3339() != c.want {
			t.Errorf("%q read as %s, %v", c.in, m.RFC3339(), err)
		}
	}
}

func TestMillisRoundTrip(t *testing.T) {
	first, last := MillisOf(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), MillisOf(time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC))
	rapid.Check(t, func(t *rapid.T) {
		m := Millis(rapid.Int64Range(int64(first), int64(last)).Draw(t, "m"))
		text, err := m.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Millis
		if err := back.UnmarshalText(text); err != nil || back != m || MillisOf(m.Time()) != m {
			t.Fatalf("%d written %s, read %d, %v", m, text, back, err)
		}
	})
}

func TestClockClassText(t *testing.T) {
	for _, c := range []ClockClass{0, ClockA, ClockB, ClockC} {
		text, err := c.MarshalText()
		back := ClockClass('x')
		if err != nil || string(text) != c.String() || back.UnmarshalText(text) != nil || back != c {
			t.Errorf("%q written %q, read %q", byte(c), text, byte(back))
		}
	}
	for _, s := range []string{"D", "a", "AB", " ", "\x00"} {
		c := ClockB
		if err := c.UnmarshalText([]byte(s)); err == nil || c != ClockB {
			t.Errorf("%q read as %q", s, byte(c))
		}
	}
}
