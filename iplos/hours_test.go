package iplos

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"flette/model"
	"flette/model/catalogue"
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

// Every vector of the rules about hours, by its R-number.
func TestHoursVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/hours.json")
	must(t, err)
	var cases []struct {
		Rule     string `json:"rule"`
		Name     string `json:"name"`
		Of       string `json:"of"` // "per-week", "resource" or "grant"
		Hours    string `json:"hours"`
		Period   string `json:"period"`
		Resource string `json:"resource"`
		Want     string `json:"want"`
		Refused  string `json:"refused"` // code
	}
	must(t, json.Unmarshal(text, &cases, json.RejectUnknownMembers(true)))
	for _, c := range cases {
		t.Run(c.Rule+"/"+c.Name, func(t *testing.T) {
			var got string
			var err error
			switch c.Of {
			case "per-week":
				var n int
				n, err = PerWeek(c.Hours, cmp.Or(c.Period, "week"))
				got = FormatHours(n)
			case "resource":
				var parts []Shift
				parts, err = ParseShifts(c.Hours)
				got = FormatHours(ResourceMinutes(parts...))
			case "grant":
				hours, err1 := ParseHours(c.Hours)
				resource, err2 := ParseHours(c.Resource)
				must(t, errors.Join(err1, err2))
				value := fmt.Sprintf(`{"date":"2026-05-01","minutes_per_week":%d,"resource_minutes_per_week":%d}`, hours, resource)
				got = "ok"
				if p := catalogue.Default().Validate(model.Unit(expand("service/@a/grant")), []byte(value), 1_795_000_000_000); p != nil {
					err = p
				}
			default:
				t.Fatalf("vector of %q", c.Of)
			}
			var p *model.Problem
			switch {
			case c.Refused != "" && (!errors.As(err, &p) || p.Code != c.Refused):
				t.Errorf("got %s, %v, want %s", got, err, c.Refused)
			case c.Refused == "" && (err != nil || got != c.Want):
				t.Errorf("got %s, %v, want %s", got, err, c.Want)
			}
		})
	}
}
