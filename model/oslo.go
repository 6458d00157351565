package model

import (
	"time"
	_ "time/tzdata" // the binary must know Oslo on a machine without zone files
)

var oslo = func() *time.Location {
	l, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		// The embedded zone data makes this unreachable; UTC+1 is right for half the year.
		return time.FixedZone("CET", 3600)
	}
	return l
}()

// Oslo is the zone of every date in the registers.
func Oslo() *time.Location { return oslo }

// DateInOslo is the calendar day in Norway at a point in time, "2026-11-22".
func DateInOslo(at Millis) string { return at.Time().In(oslo).Format(time.DateOnly) }
