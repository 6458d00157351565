package submit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestYearlyWindow(t *testing.T) {
	in := func(kind string, year int, state string) Record {
		return Record{Submission: Submission{ID: kind, Shipment: Shipment{Kind: kind, Target: Production, Year: year}}, State: state}
	}
	both := []Record{in(KindIdentity, 2026, Accepted), in(KindSubject, 2026, Accepted)}
	half := []Record{in(KindIdentity, 2026, Accepted), in(KindSubject, 2026, Unknown)}
	replaced := append([]Record{}, both...)
	replaced[1].ReplacedBy = "x"
	test := []Record{in(KindIdentity, 2026, Accepted), in(KindSubject, 2026, Accepted)}
	for i := range test {
		test[i].Target = Test
	}
	for _, c := range []struct {
		day  string
		list []Record
		want string // stage year days missing
		text string
	}{
		{"2026-11-30", nil, "none 0 0 []", "next reminder comes on 1 December"},
		{"2026-12-01", nil, "upcoming 2026 31 [KPR_IDE KPR_IPL]", "opens in 31 days"},
		{"2026-12-31", nil, "upcoming 2026 1 [KPR_IDE KPR_IPL]", "opens in 1 day:"},
		{"2027-01-01", nil, "open 2026 15 [KPR_IDE KPR_IPL]", "15 days left to report 2026: KPR_IDE is not prepared, KPR_IPL is not prepared"},
		{"2027-01-15", half, "open 2026 1 [KPR_IPL]", "1 day left to report 2026: KPR_IPL is unknown"},
		{"2027-01-15", both, "done 2026 0 []", "accepted both"},
		{"2027-01-15", test, "open 2026 1 [KPR_IDE KPR_IPL]", "not prepared"},
		{"2027-01-15", replaced, "open 2026 1 [KPR_IPL]", "KPR_IPL is not prepared"},
		{"2027-01-16", both, "done 2026 0 []", ""},
		{"2027-01-16", half, "overdue 2026 0 [KPR_IPL]", "closed on 15 January and KPR_IPL is unknown; call FHI"},
		{"2027-03-01", half, "overdue 2026 0 [KPR_IPL]", ""},
		{"2027-03-02", half, "none 0 0 []", ""},
		{"2028-01-05", both, "open 2027 11 [KPR_IDE KPR_IPL]", ""},
	} {
		d, err := Yearly(c.day, Production, c.list)
		if got := fmt.Sprint(d.Stage, " ", d.Year, d.Days, d.Missing); err != nil || got != c.want || !strings.Contains(d.Text, c.text) {
			t.Errorf("%s: %s, %q, %v", c.day, got, d.Text, err)
		}
	}
	if _, err := Yearly("4 January", Production, nil); code(err) != "submission-date" {
		t.Errorf("%v", err)
	}
}

// TestEveryDayHasOneStage walks over leap years and a century.
func TestEveryDayHasOneStage(t *testing.T) {
	count := map[string]int{}
	for d := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2124; d = d.AddDate(0, 0, 1) {
		due, err := Yearly(d.Format(time.DateOnly), Production, nil)
		if err != nil {
			t.Fatal(err)
		}
		count[due.Stage]++
		if due.Stage == StageOpen && (d.Month() != 1 || d.Day() > 15 || due.Days != 16-d.Day() || due.Opens != d.Format("2006")+"-01-01" || due.Closes != d.Format("2006")+"-01-15") {
			t.Errorf("%s: %+v", d.Format(time.DateOnly), due)
		}
	}
	if count[StageOpen] != 1500 || count[StageUpcoming] != 3100 || count[StageOverdue] != 4500 {
		t.Errorf("%v", count)
	}
}

func TestEveryCodeIsExplained(t *testing.T) {
	for _, code := range []int{1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010} {
		got := Explain(400, []Fault{{Code: code}})
		if len(got) != 1 || !strings.HasSuffix(got[0], fmt.Sprintf("(code %d)", code)) || len(got[0]) < 50 {
			t.Errorf("%d: %q", code, got)
		}
	}
	seen := map[string]bool{}
	for _, e := range Explanations() {
		if seen[e.Name] || seen[e.Text] || e.For != ForOperator && e.For != ForVendor && e.For != ForRegister {
			t.Errorf("%+v", e)
		}
		seen[e.Name], seen[e.Text] = true, true
	}
	for _, c := range []struct {
		status int
		faults []Fault
		want   string
	}{
		{400, []Fault{{Code: 2006, Name: "SchemaValidationFailed"}}, "does not fit the register's schema"}, // as FHI's own example has it
		{400, []Fault{{Code: 4711, Name: "New"}}, "not in its published table: 4711 New"},
		{401, nil, "clock"}, {403, nil, "admit"}, {404, nil, "status 404"}, {429, nil, "later"},
	} {
		if got := Explain(c.status, c.faults); len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := Explain(200, nil); got != nil {
		t.Errorf("%q", got)
	}
}
