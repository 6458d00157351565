package catalogue

import (
	"errors"
	"time"

	"flette/model"
)

// Date is a calendar day, "YYYY-MM-DD"; "" is no date. Dates compare as strings.
type Date string

// Month is a calendar month, "YYYY-MM"; "" is none. Months compare as strings.
type Month string

const (
	dayMillis model.Millis = 24 * 60 * 60 * 1000
	// A day begins in Oslo one or two hours before it does in UTC. Two hours all the year
	// round lets a date be written at most one hour early, and needs no time zone tables.
	osloAhead model.Millis = 2 * 60 * 60 * 1000
)

var (
	errDate  = errors.New("a date is written YYYY-MM-DD, between the years 1800 and 2199")
	errMonth = errors.New("a month is written YYYY-MM, between the years 1800 and 2199")
)

// UnmarshalText accepts a real day.
func (d *Date) UnmarshalText(b []byte) error {
	if !isDay(string(b)) {
		return errDate
	}
	*d = Date(b)
	return nil
}

// UnmarshalText accepts a real month.
func (m *Month) UnmarshalText(b []byte) error {
	if !isDay(string(b) + "-01") {
		return errMonth
	}
	*m = Month(b)
	return nil
}

// isDay has time.Parse judge the calendar; the years keep typing errors such as 0206 out
// and every computation in range.
func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil && len(s) == len(time.DateOnly) && s >= "1800" && s < "2200"
}

// DateOf is the day in Norway at a time.
func DateOf(at model.Millis) Date { return Date((at + osloAhead).Time().Format(time.DateOnly)) }

// Time is the start of the day in UTC, for arithmetic on days; the zero time for "".
func (d Date) Time() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// start is the earliest time at which it is the day in Norway.
func (d Date) start() model.Millis { return model.MillisOf(d.Time()) - osloAhead }
