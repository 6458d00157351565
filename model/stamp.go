package model

import (
	"bytes"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Millis is a point in time or a length of time in milliseconds; points count from the
// Unix epoch in UTC.
type Millis int64

// MillisOf converts a time.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time converts a point in time to UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// RFC3339 renders a point in time in UTC with milliseconds.
func (m Millis) RFC3339() string { return m.Time().Format("2006-01-02T15:04:05.000Z") }

// MarshalText writes RFC 3339 in UTC with milliseconds.
func (m Millis) MarshalText() ([]byte, error) { return []byte(m.RFC3339()), nil }

// UnmarshalText reads RFC 3339 with any offset; digits beyond the millisecond are dropped.
// The UTC year must be 0-9999, so that what was read can be written again.
func (m *Millis) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.RFC3339, string(b))
	// Package time also takes one-digit hours and a comma before the fraction.
	if err != nil || b[13] != ':' || bytes.IndexByte(b, ',') >= 0 {
		return errors.New("time must be RFC 3339")
	}
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return errors.New("time is outside the years 0-9999 in UTC")
	}
	*m = MillisOf(t)
	return nil
}

// ClockClass says how well an entry's time is known (design: signed, bounded, never
// trusted further than it can be).
type ClockClass byte

const (
	ClockA ClockClass = 'A' // same boot, monotonic since the lease: u = 1 s + 200 ppm
	ClockB ClockClass = 'B' // rebooted since the lease: u = max(5 min, 500 ppm)
	ClockC ClockClass = 'C' // no usable evidence: anything between lo and hi
)

// String returns "A", "B" or "C", and "" when unset.
func (c ClockClass) String() string {
	if c == 0 {
		return ""
	}
	return string(rune(c))
}

// MarshalText writes the letter.
func (c ClockClass) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the letter, or nothing for unset.
func (c *ClockClass) UnmarshalText(b []byte) error {
	switch s := string(b); s {
	case "":
		*c = 0
	case "A", "B", "C":
		*c = ClockClass(s[0])
	default:
		return errors.New("clock class must be A, B or C")
	}
	return nil
}

// Stamp is what the server knows about when an entry was signed. It is fixed once, at
// acceptance, and never changes because of another entry.
type Stamp struct {
	Wall  Millis     `json:"wall"`  // the tablet's own wall clock: a claim
	T     Millis     `json:"t"`     // the estimate before clamping
	U     Millis     `json:"u_ms"`  // uncertainty, +/- milliseconds
	Lo    Millis     `json:"lo"`    // lease issued: not signed before
	Hi    Millis     `json:"hi"`    // received: not signed after
	TEff  Millis     `json:"t_eff"` // clamp(T, Lo, Hi): orders heads
	Class ClockClass `json:"clock_class"`
}

// stampJSON writes U as a number: it is a length of time, which RFC 3339 cannot say.
type stampJSON struct {
	Wall  Millis     `json:"wall"`
	T     Millis     `json:"t"`
	U     int64      `json:"u_ms"`
	Lo    Millis     `json:"lo"`
	Hi    Millis     `json:"hi"`
	TEff  Millis     `json:"t_eff"`
	Class ClockClass `json:"clock_class"`
}

// MarshalJSONTo writes the points in time as RFC 3339 and u_ms as a number.
func (s Stamp) MarshalJSONTo(enc *jsontext.Encoder) error {
	return json.MarshalEncode(enc, stampJSON{s.Wall, s.T, int64(s.U), s.Lo, s.Hi, s.TEff, s.Class})
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (s *Stamp) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var j stampJSON
	if err := json.UnmarshalDecode(dec, &j); err != nil {
		return err
	}
	*s = Stamp{j.Wall, j.T, Millis(j.U), j.Lo, j.Hi, j.TEff, j.Class}
	return nil
}
