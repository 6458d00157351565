package model

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseUnit(t *testing.T) {
	const id, sub = thingA, personA
	for _, c := range []struct {
		unit string
		want UnitRef // zero when the path is refused
	}{
		{"person/household", UnitRef{Section: "person", Name: "household"}},
		{"assessed/doctor", UnitRef{Section: "assessed", Name: "doctor"}},
		{"score/assist_memory", UnitRef{Section: "score", Name: "assist_memory"}},
		{"participation/work_education", UnitRef{Section: "participation", Name: "work_education"}},
		{"health/nutrition", UnitRef{Section: "health", Name: "nutrition"}},
		{"status/waiting_list", UnitRef{Section: "status", Name: "waiting_list"}},
		{"score/v2", UnitRef{Section: "score", Name: "v2"}},
		{"diagnosis/" + id, UnitRef{Section: "diagnosis", ID: id}},
		{"service/" + id, UnitRef{Section: "service", ID: id}},
		{"service/" + id + "/application", UnitRef{Section: "service", ID: id, Group: "application"}},
		{"service/" + id + "/grant", UnitRef{Section: "service", ID: id, Group: "grant"}},
		{"service/" + id + "/start", UnitRef{Section: "service", ID: id, Group: "start"}},
		{"service/" + id + "/end", UnitRef{Section: "service", ID: id, Group: "end"}},
		{"service/" + id + "/complaint", UnitRef{Section: "service", ID: id, Group: "complaint"}},
		{"service/" + id + "/provider", UnitRef{Section: "service", ID: id, Group: "provider"}},
		{"service/" + id + "/rehab", UnitRef{Section: "service", ID: id, Group: "rehab"}},
		{"service/" + id + "/pause/" + sub, UnitRef{Section: "service", ID: id, Group: "pause", SubID: sub}},
		{"stay/" + id, UnitRef{Section: "stay", ID: id}},
		{"coercion/" + id, UnitRef{Section: "coercion", ID: id}},
		{"time/" + id, UnitRef{Section: "time", ID: id}},
		{"need/" + id, UnitRef{Section: "need", ID: id}},
		{"remark/" + id, UnitRef{Section: "remark", ID: id}},
		{"score/" + strings.Repeat("v", maxUnitLen-6), UnitRef{Section: "score", Name: strings.Repeat("v", maxUnitLen-6)}},

		{"", UnitRef{}},
		{"score", UnitRef{}},
		{"score/", UnitRef{}},
		{"/vision", UnitRef{}},
		{"Score/vision", UnitRef{}},
		{"score/Vision", UnitRef{}},
		{"score/vision/", UnitRef{}},
		{"score/vision/x", UnitRef{}},
		{"score//vision", UnitRef{}},
		{"score/visión", UnitRef{}},
		{"score/vision\n", UnitRef{}},
		{"score/vi-sion", UnitRef{}},
		{" score/vision", UnitRef{}},
		{"score/" + strings.Repeat("v", maxUnitLen-5), UnitRef{}},
		{"colour/red", UnitRef{}},
		{string(QuarantineUnit), UnitRef{}},
		{"diagnosis/" + id + "/start", UnitRef{}},
		{"diagnosis/" + id + "/", UnitRef{}},
		{"diagnosis/" + strings.ToUpper(id), UnitRef{}},
		{"diagnosis/flu", UnitRef{}},
		{"service/", UnitRef{}},
		{"service/" + id + "/", UnitRef{}},
		{"service/" + id + "//", UnitRef{}},
		{"service/" + id + "/colour", UnitRef{}},
		{"service/" + id + "/start/", UnitRef{}},
		{"service/" + id + "/start/" + sub, UnitRef{}},
		{"service/" + id + "/pause", UnitRef{}},
		{"service/" + id + "/pause/", UnitRef{}},
		{"service/" + id + "/pause/summer", UnitRef{}},
		{"service/" + id + "/pause/" + sub + "/", UnitRef{}},
		{"service//start", UnitRef{}},
	} {
		ref, err := ParseUnit(c.unit)
		if ref != c.want || (err == nil) != (c.want != UnitRef{}) {
			t.Errorf("%q: %+v, %v", c.unit, ref, err)
		}
		if section, _, _ := strings.Cut(c.unit, "/"); Unit(c.unit).Section() != section {
			t.Errorf("%q: section %q", c.unit, Unit(c.unit).Section())
		}
	}
}

// A path that parses is the only spelling of its parts.
func TestUnitHasOneSpelling(t *testing.T) {
	pieces := []string{"score", "service", "diagnosis", "vision", "start", "pause", thingA, personA, strings.ToUpper(thingA), "", "x"}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 5).Draw(t, "pieces"), "/")
		ref, err := ParseUnit(s)
		if err != nil {
			return
		}
		var parts []string
		for _, p := range []string{ref.Section, ref.Name, ref.ID, ref.Group, ref.SubID} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		if got := strings.Join(parts, "/"); got != s {
			t.Fatalf("%q has the parts of %q", s, got)
		}
	})
}
