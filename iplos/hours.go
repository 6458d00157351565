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

// PerWeek reads hours as people write them, granted for a period, and returns minutes per week:
// "week" as they are, "fortnight" half (R40), "month" a fourth (R39). Halves are rounded up. A
// *model.Problem with code "invalid-hours", "invalid-period" or, above 168 hours a week,
// "hours-over-168" (R36).
func PerWeek(hours, period string) (minutes int, err error) {
	if minutes, err = ParseHours(hours); err != nil {
		return 0, err
	}
	switch period {
	case "week":
	case "fortnight":
		minutes = WeeklyFromFortnightly(minutes)
	case "month":
		minutes = WeeklyFromMonthly(minutes)
	default:
		return 0, model.Problemf("invalid-period", "", "hours are granted per week, fortnight or month")
	}
	if minutes > MaxWeekMinutes {
		p := model.Problemf("hours-over-168", "", "a week has 168 hours")
		p.Rule = "R36"
		return 0, p
	}
	return minutes, nil
}

// ParseShifts reads parts of the granted time with the number of helpers in each, as "5:00x1
// 5:00x2" or "5x1, 5x2", for ResourceMinutes. A *model.Problem with code "invalid-hours".
func ParseShifts(s string) ([]Shift, error) {
	var out []Shift
	for _, part := range strings.Fields(strings.ReplaceAll(s, ", ", " ")) {
		hours, helpers, ok := strings.Cut(part, "x")
		n, numbered := digits(helpers, 2)
		minutes, err := ParseHours(hours)
		if !ok || !numbered || n == 0 || err != nil {
			p := model.Problemf("invalid-hours", "", "resource hours are written as parts with the number of helpers, for example 5:00x1 5:00x2")
			p.Rule = "R41"
			return nil, p
		}
		out = append(out, Shift{minutes, n})
	}
	return out, nil
}

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
