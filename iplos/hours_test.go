package iplos

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
)

func TestParseHours(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int // -1 for refused
	}{
		{"5,5", 330}, {"5:30", 330}, {"5", 300}, {" 5:30 ", 330}, {"0:00", 0}, {"0,25", 15}, {"168:00", 10080}, {"168:01", 10081},
		{"336", 20160}, {"1,05", 63}, {"5:3", -1}, {"5:60", -1}, {"5.5", -1}, {"0,01", -1}, {"-1", -1}, {"+1:00", -1}, {"1_0", -1},
		{"", -1}, {":30", -1}, {",5", -1}, {"5,", -1}, {"5:3a", -1}, {"99999", -1}, {"1:00:00", -1}, {"٥", -1},
	} {
		got, err := ParseHours(c.in)
		if c.want < 0 {
			var p *model.Problem
			if !errors.As(err, &p) || p.Code != "invalid-hours" || p.Rule != "R44" {
				t.Errorf("ParseHours(%q) = %d, %v, want invalid-hours", c.in, got, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("ParseHours(%q) = %d, %v, want %d", c.in, got, err, c.want)
		}
	}
}

func TestHoursRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(0, 9999*60+59).Draw(t, "minutes")
		got, err := ParseHours(FormatHours(m))
		if err != nil || got != m {
			t.Fatalf("%d -> %s -> %d, %v", m, FormatHours(m), got, err)
		}
	})
	if got := FormatHours(-65); got != "-1:05" {
		t.Errorf("FormatHours(-65) = %s", got)
	}
}

// The vectors of R39, R40 and R41.
func TestWeeklyHours(t *testing.T) {
	for _, c := range []struct {
		rule string
		got  int
		want string
	}{
		{"R39", WeeklyFromMonthly(24 * 60), "6:00"},
		{"R39", WeeklyFromMonthly(10 * 60), "2:30"},
		{"R39", WeeklyFromMonthly(60), "0:15"},
		{"R40", WeeklyFromFortnightly(3 * 60), "1:30"},
		{"R41", ResourceMinutes(Shift{5 * 60, 1}, Shift{5 * 60, 2}), "15:00"},
		{"R41", ResourceMinutes(Shift{5 * 60, 1}, Shift{5 * 60, 3}), "20:00"},
		{"R41", ResourceMinutes(Shift{10 * 60, 1}), "10:00"},
		{"R36", ResourceMinutes(Shift{MaxWeekMinutes, 2}), "336:00"},
	} {
		if got := FormatHours(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", c.rule, got, c.want)
		}
	}
}
