package kpr

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flette/model"
)

const (
	svcA   = "11111111-1111-4111-8111-111111111111"
	svcB   = "22222222-2222-4222-8222-222222222222"
	pauseA = "33333333-3333-4333-8333-333333333333"
	// Numbers of the series for test organisations.
	orgA = "312345676"
	orgB = "311111116"
	orgC = "315555558"
)

var personA = model.PersonID{0xaa, 15: 1}

func d(date string) Dated { return Dated{Date: date, At: 1_700_000_000_000} }

// testRules has units named by their number: "u312345676" has 312345676 from 2000 on.
func testRules() Rules {
	return Rules{From: "2021-01-01", To: "2026-11-22", OrgNumber: func(unit, date string) string {
		n, _ := strings.CutPrefix(unit, "u")
		return n
	}}
}

// shortEvents shortens an event for tables: kind, date, type, number and what holds it back.
func shortEvents(w Wanted) []string {
	out := []string{}
	for _, e := range w.Events {
		s := strings.Join([]string{string(e.Kind), e.Date, e.Type, e.OrgNumber}, " ")
		switch e.Held {
		case HeldBefore:
			s += " before"
		case HeldAfter:
			s += " after"
		}
		out = append(out, s)
	}
	return out
}

func shortNotices(w Wanted) []string {
	out := []string{}
	for _, n := range w.Notices {
		s := strings.TrimSpace(n.Rule + " " + n.Code + " " + string(n.Kind))
		if n.LeftOut {
			s += " out"
		}
		out = append(out, s)
	}
	return out
}

func TestDesired(t *testing.T) {
	home := func(change func(*Service)) Service {
		s := Service{ID: svcA, Type: "15", OrgRule: OrgShall, Start: d("2026-05-01"), Providers: []Provider{{Unit: "u" + orgA, From: "2026-05-01"}}}
		change(&s)
		return s
	}
	for _, c := range []struct {
		name    string
		service Service
		death   string
		events  []string
		notices []string
		frozen  bool
	}{
		{"R55 started", home(func(s *Service) {}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA}, nil, false},
		{"R55 not started", home(func(s *Service) { s.Start = Dated{} }), "", nil, []string{"R55 service-not-started out"}, false},
		{"R50 rejected", home(func(s *Service) { s.Rejected = true }), "", nil, nil, false},
		{"ended", home(func(s *Service) { s.End = d("2026-06-01") }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteSlutt 2026-06-01 15 " + orgA}, nil, false},
		{"end lies ahead", home(func(s *Service) { s.End = d("2027-06-01") }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteSlutt 2027-06-01 15 " + orgA + " after"}, nil, false},
		{"ended before reporting began", home(func(s *Service) { s.Start, s.End = d("2019-05-01"), d("2020-06-01") }), "",
			[]string{"TjenesteStart 2019-05-01 15 " + orgA + " before", "TjenesteSlutt 2020-06-01 15 " + orgA + " before"}, nil, false},
		{"ended on the day reporting began", home(func(s *Service) { s.Start, s.End = d("2019-05-01"), d("2021-01-01") }), "",
			[]string{"TjenesteStart 2019-05-01 15 " + orgA, "TjenesteSlutt 2021-01-01 15 " + orgA}, nil, false},
		{"R55 rolling respite decision, unstarted", Service{ID: svcA, Type: "8", OrgRule: OrgShall, Rolling: true,
			GrantFrom: d("2026-01-01"), GrantTo: d("2026-10-31"), Providers: []Provider{{Unit: "u" + orgA, From: "2026-01-01"}}}, "",
			[]string{"TjenesteStart 2026-01-01 8 " + orgA, "TjenesteSlutt 2026-10-31 8 " + orgA}, nil, false},
		{"R55 respite decision that does not roll, unstarted", Service{ID: svcA, Type: "8", OrgRule: OrgShall, GrantFrom: d("2026-01-01")}, "",
			nil, []string{"R55 service-not-started out"}, false},
		{"R55 rolling and rejected", Service{ID: svcA, Type: "8", Rolling: true, Rejected: true, GrantFrom: d("2026-01-01")}, "", nil, nil, false},
		{"R55 other type cannot roll", Service{ID: svcA, Type: "7", OrgRule: OrgCan, Rolling: true, GrantFrom: d("2026-01-01")}, "",
			nil, []string{"R55 service-not-started out"}, false},
		{"R80 provider changed", home(func(s *Service) {
			s.Providers = append(s.Providers, Provider{Unit: "u" + orgB, From: "2026-07-01"})
		}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteutforerEndret 2026-07-01 15 " + orgB}, nil, false},
		{"other unit, same number", home(func(s *Service) {
			s.Providers = append(s.Providers, Provider{Unit: "ux", From: "2026-07-01"})
			s.Providers[1].Unit = "u" + orgA
		}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA}, nil, false},
		{"provider changed twice on a day: the later registration", home(func(s *Service) {
			s.Providers = append(s.Providers, Provider{Unit: "u" + orgC, From: "2026-07-01", At: 2}, Provider{Unit: "u" + orgB, From: "2026-07-01", At: 1})
		}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteutforerEndret 2026-07-01 15 " + orgC}, nil, false},
		{"provider changes after the end", home(func(s *Service) {
			s.End = d("2026-06-01")
			s.Providers = append(s.Providers, Provider{Unit: "u" + orgB, From: "2026-07-01"})
		}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteSlutt 2026-06-01 15 " + orgA}, nil, false},
		{"provider changes on the last day", home(func(s *Service) {
			s.End = d("2026-07-01")
			s.Providers = append(s.Providers, Provider{Unit: "u" + orgB, From: "2026-07-01"})
		}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteutforerEndret 2026-07-01 15 " + orgB, "TjenesteSlutt 2026-07-01 15 " + orgB}, nil, false},
		{"provider at the date of the end", home(func(s *Service) {
			s.End = d("2026-08-01")
			s.Providers = append(s.Providers, Provider{Unit: "u" + orgB, From: "2026-07-01"})
		}), "", []string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteutforerEndret 2026-07-01 15 " + orgB, "TjenesteSlutt 2026-08-01 15 " + orgB}, nil, false},
		{"old service: the provider of the day reporting began", home(func(s *Service) {
			s.Start = d("2015-03-01")
			s.Providers = []Provider{{Unit: "u" + orgA, From: "2015-03-01"}, {Unit: "u" + orgB, From: "2018-01-01"}, {Unit: "u" + orgC, From: "2024-01-01"}}
		}), "", []string{"TjenesteStart 2015-03-01 15 " + orgB, "TjenesteutforerEndret 2024-01-01 15 " + orgC}, nil, false},
		{"R69 no number although it shall", home(func(s *Service) { s.Providers = nil }), "",
			[]string{"TjenesteStart 2026-05-01 15 "}, []string{"R69 org-number-missing TjenesteStart"}, false},
		{"R69 change without number", home(func(s *Service) { s.Providers = append(s.Providers, Provider{Unit: "u", From: "2026-07-01"}) }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA}, []string{"R69 org-number-missing TjenesteutforerEndret out"}, false},
		{"R70 number with a wrong digit", home(func(s *Service) { s.Providers[0].Unit = "u312345675" }), "",
			[]string{"TjenesteStart 2026-05-01 15 "}, []string{"R70 org-number-invalid TjenesteStart"}, false},
		{"R71 can, found", Service{ID: svcA, Type: "9", OrgRule: OrgCan, Start: d("2026-05-01"), Providers: []Provider{{Unit: "u" + orgA}}}, "",
			[]string{"TjenesteStart 2026-05-01 9 " + orgA}, nil, false},
		{"R71 can, not found", Service{ID: svcA, Type: "9", OrgRule: OrgCan, Start: d("2026-05-01")}, "", []string{"TjenesteStart 2026-05-01 9 "}, nil, false},
		{"R71 shall not", Service{ID: svcA, Type: "29", OrgRule: OrgShallNot, Start: d("2026-05-01"), End: d("2026-06-01"), Providers: []Provider{{Unit: "u" + orgA}, {Unit: "u" + orgB, From: "2026-05-15"}}}, "",
			[]string{"TjenesteStart 2026-05-01 29 ", "TjenesteSlutt 2026-06-01 29 "}, []string{"R71 org-number-not-allowed"}, false},
		{"R76 expired code", Service{ID: svcA, Type: "6", OrgRule: OrgCan, Start: d("2026-05-01")}, "", nil, []string{"R76 service-type-expired out"}, false},
		{"R76 old dwelling in use is read as 29", Service{ID: svcA, Type: "12", OrgRule: OrgShallNot, Start: d("2015-05-01")}, "",
			[]string{"TjenesteStart 2015-05-01 29 "}, nil, false},
		{"R76 old dwelling that ended in time", Service{ID: svcA, Type: "13", OrgRule: OrgShallNot, Start: d("2015-05-01"), End: d("2018-12-31")}, "",
			nil, []string{"R76 service-type-expired out"}, false},
		{"R76 no type", Service{ID: svcA, Start: d("2026-05-01")}, "", nil, []string{"R76 service-type-missing out"}, true},
		{"R76 end before start", home(func(s *Service) { s.End = d("2026-04-30") }), "", nil, []string{"R76 end-before-start out"}, true},
		{"R76 start before 1980", home(func(s *Service) { s.Start = d("1979-12-31") }), "", nil, []string{"R76 start-before-1980 out"}, true},
		{"R76 dead before the start", home(func(s *Service) {}), "2026-04-30", nil, []string{"R76 start-after-death out"}, true},
		{"R76 died during the service, which goes on", home(func(s *Service) {}), "2026-05-30", []string{"TjenesteStart 2026-05-01 15 " + orgA}, []string{"R76 open-after-death"}, false},
		{"R76 ended with the death", home(func(s *Service) { s.End = d("2026-05-30") }), "2026-05-30",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA, "TjenesteSlutt 2026-05-30 15 " + orgA}, nil, false},
		{"R11 not a date", home(func(s *Service) { s.Start = d("2026-02-30") }), "", nil, []string{"R11 date-invalid out"}, true},
		{"pause", home(func(s *Service) { s.Pauses = []Pause{{pauseA, d("2026-06-01"), d("2026-06-08")}} }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA, "MidlertidigStoppFra 2026-06-01 15 " + orgA, "MidlertidigStoppTil 2026-06-08 15 " + orgA}, nil, false},
		{"open pause", home(func(s *Service) { s.Pauses = []Pause{{pauseA, d("2026-06-01"), Dated{}}} }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA, "MidlertidigStoppFra 2026-06-01 15 " + orgA}, nil, false},
		{"pause over before reporting began", home(func(s *Service) {
			s.Start = d("2018-01-01")
			s.Pauses = []Pause{{pauseA, d("2019-06-01"), d("2019-07-01")}}
		}), "", []string{"TjenesteStart 2018-01-01 15 " + orgA, "MidlertidigStoppFra 2019-06-01 15 " + orgA + " before", "MidlertidigStoppTil 2019-07-01 15 " + orgA + " before"}, nil, false},
		{"R49 pause ends before it starts", home(func(s *Service) { s.Pauses = []Pause{{pauseA, d("2026-06-08"), d("2026-06-01")}} }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA}, []string{"R49 pause-ends-before-it-starts out"}, true},
		{"R49 pause before the service", home(func(s *Service) { s.Pauses = []Pause{{pauseA, d("2026-04-08"), Dated{}}} }), "",
			[]string{"TjenesteStart 2026-05-01 15 " + orgA}, []string{"R49 pause-outside-service out"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Desired(Subject{Person: personA, Death: c.death, Services: []Service{c.service}}, testRules())
			if diff := cmp.Diff(append([]string{}, c.events...), shortEvents(w)); diff != "" {
				t.Errorf("events (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{}, c.notices...), shortNotices(w)); diff != "" {
				t.Errorf("notices (-want +got)\n%s", diff)
			}
			if w.Frozen[svcA] != c.frozen {
				t.Errorf("frozen = %v", w.Frozen[svcA])
			}
		})
	}
}

func TestMessageTypeCoversTheList(t *testing.T) {
	for _, code := range []string{"6", "14", "16", "23", "24", "26", "27", "28", "10", "30", "", "015"} {
		if got, ok := messageType(code, ""); ok {
			t.Errorf("messageType(%q) = %q, want none", code, got)
		}
	}
	for code := range reportable {
		if got, ok := messageType(code, "2001-01-01"); !ok || got != code {
			t.Errorf("messageType(%q) = %q, %v", code, got, ok)
		}
	}
}

func TestTypesOnContinuousReportingOnly(t *testing.T) {
	r := testRules()
	r.Types = []string{"18", "29"}
	w := Desired(Subject{Person: personA, Services: []Service{
		{ID: svcA, Type: "15", OrgRule: OrgCan, Start: d("2026-05-01")},
		{ID: svcB, Type: "18", OrgRule: OrgCan, Start: d("2026-05-01")},
	}}, r)
	if got := shortEvents(w); !slices.Equal(got, []string{"TjenesteStart 2026-05-01 18 "}) {
		t.Errorf("events %v", got)
	}
	if got := shortNotices(w); !slices.Equal(got, []string{"R80 service-type-not-reported out"}) {
		t.Errorf("notices %v", got)
	}
}
