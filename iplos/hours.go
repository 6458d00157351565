package iplos

import (
	"strconv"
	"strings"

	"flette/model"
)

// MaxWeekMinutes is the number of minutes in a week: no single service is granted more (R36).
const MaxWeekMinutes = 168 * 60

// ParseHours reads hours as people write them and returns minutes: "5:30", "5,5", "5" (R44).
// Minutes after the colon take two digits below 60. A decimal must come out as whole
// minutes: "5,25" is 315, "0,01" is refused rather than rounded. It returns a *model.Problem
// with code "invalid-hours".
func ParseHours(s string) (minutes int, err error) {
	s = strings.TrimSpace(s)
	if h, m, ok := strings.Cut(s, ":"); ok {
		hours, ok := digits(h, 4)
		if !ok || len(m) != 2 {
			return 0, badHours()
		}
		rest, ok := digits(m, 2)
		if !ok || rest > 59 {
			return 0, badHours()
		}
		return hours*60 + rest, nil
	}
	whole, fraction, decimal := strings.Cut(s, ",")
	hours, ok := digits(whole, 4)
	if !ok {
		return 0, badHours()
	}
	if !decimal {
		return hours * 60, nil
	}
	part, ok := digits(fraction, 4)
	if !ok {
		return 0, badHours()
	}
	scale := 1
	for range fraction {
		scale *= 10
	}
	if part*60%scale != 0 {
		return 0, badHours()
	}
	return hours*60 + part*60/scale, nil
}

// digits reads 1 to limit ASCII digits; strconv alone would take signs and underscores.
func digits(s string, limit int) (int, bool) {
	if s == "" || len(s) > limit || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

func badHours() *model.Problem {
	p := model.Problemf("invalid-hours", "", "hours are written as h:mm or with a decimal comma that gives whole minutes, for example 5:30 or 5,5")
	p.Rule = "R44"
	return p
}

// FormatHours writes minutes as h:mm.
func FormatHours(minutes int) string {
	sign := ""
	if minutes < 0 {
		sign, minutes = "-", -minutes
	}
	m := strconv.Itoa(minutes % 60)
	if len(m) == 1 {
		m = "0" + m
	}
	return sign + strconv.Itoa(minutes/60) + ":" + m
}

// WeeklyFromMonthly gives minutes per week for minutes per month: a fourth, as the register
// counts it, not 4.33 (R39). Halves are rounded up.
func WeeklyFromMonthly(minutes int) int { return (minutes + 2) / 4 }

// WeeklyFromFortnightly gives minutes per week for minutes per 14 days (R40). Halves are
// rounded up.
func WeeklyFromFortnightly(minutes int) int { return (minutes + 1) / 2 }

// Shift is a part of the granted time and how many help at once in it.
type Shift struct {
	Minutes int
	Helpers int
}

// ResourceMinutes sums time by number of helpers (R41). It has no weekly cap: two helpers
// round the clock are 336 hours (R36).
func ResourceMinutes(parts ...Shift) int {
	sum := 0
	for _, p := range parts {
		sum += p.Minutes * p.Helpers
	}
	return sum
}
