package catalogue

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"flette/model"
)

// knownUnits is the grammar of unit paths, written out: the catalogue must know each shape.
var knownUnits = []string{
	"diagnosis/*", "service/*", "service/*/application", "service/*/grant", "service/*/start", "service/*/end",
	"service/*/complaint", "service/*/provider", "service/*/pause/*", "service/*/rehab", "status/rehab_criteria", "stay/*", "coercion/*", "time/*", "need/*", "remark/*",
	"person/household", "person/care_for_child_u18", "person/private_unpaid_help", "person/housing_suitable", "person/death_date",
	"assessed/doctor", "assessed/dentist", "score/vision", "score/hearing", "health/nutrition", "health/diagnosis_reservation",
	"health/medication_review", "health/medication_review_nursing_home", "status/individual_plan", "status/individual_plan_2015",
	"status/coordinator", "status/coordinator_2015", "status/waiting_list", "status/round_the_clock", "status/rehab_outside",
	"participation/work_edu_assist", "participation/work_edu_transport", "participation/leisure_assist", "participation/leisure_transport",
	"score/assist_housework", "score/assist_shopping_services", "score/assist_personal_hygiene", "score/assist_dressing",
	"score/assist_toilet", "score/assist_cooking", "score/assist_eating", "score/assist_mobility_indoor", "score/assist_mobility_outdoor",
	"score/assist_own_health", "score/assist_memory", "score/assist_communication", "score/assist_daily_decisions",
	"score/assist_finances", "score/assist_social", "score/assist_behaviour", "score/assist_new_2019_a", "score/assist_new_2019_b",
}

func TestCatalogueIsWhole(t *testing.T) {
	c := Default()
	if c.Version != "2026-11-26.2" || len(c.Variables) != 52 || len(c.Services) != 29 || len(c.Scales) != 4 || len(c.CodeLists) != 5 {
		t.Errorf("version %s, %d variables, %d services, %d scales, %d code lists", c.Version, len(c.Variables), len(c.Services), len(c.Scales), len(c.CodeLists))
	}
	known := map[string]bool{}
	for _, path := range knownUnits {
		known[path] = true
		if c.units[path] == nil {
			t.Errorf("unit %s is missing", path)
		}
	}
	for path := range c.units {
		if !known[path] {
			t.Errorf("unit %s is in the catalogue only", path)
		}
	}
	labelled := func(what string, codes []Code) {
		seen := map[string]bool{}
		for _, k := range codes {
			if k.Code == "" || k.NB == "" || k.EN == "" || seen[k.Code] {
				t.Errorf("%s: code %q is empty, double or without labels", what, k.Code)
			}
			seen[k.Code] = true
		}
	}
	for _, v := range c.Variables {
		if v.NB == "" || v.EN == "" || v.Group == "" || v.Mandatory == "" || v.From == "" {
			t.Errorf("variable %s lacks a label, group or date", v.ID)
		}
		labelled(v.ID, v.Codes)
		labelled(v.ID, v.Received)
	}
	for _, s := range c.Services {
		if s.NB == "" || s.EN == "" || s.From == "" || s.Requires.Hours == "" || s.Requires.OrgNumber == "" {
			t.Errorf("service %s lacks a label, date or requirement", s.ID)
		}
		if s.ReplacedBy != "" && c.Service(s.ReplacedBy) == nil {
			t.Errorf("service %s is replaced by one that does not exist", s.ID)
		}
		labelled(s.ID, s.Subcodes)
	}
	for id, list := range c.CodeLists {
		labelled(id, list)
	}
	for _, s := range c.Scales {
		labelled(s.ID, s.Values)
	}
	labelled("staffing", c.Housing.Staffing)
	labelled("ordinary stock", c.Housing.OrdinaryStock)
	if len(c.Housing.Staffing) != 3 || c.Housing.To != "2018-12-31" || len(c.Message.Events) != 5 || len(c.Message.ServiceTypes) != 5 {
		t.Errorf("housing flags or event message are not whole")
	}
	for _, code := range c.Message.ServiceTypes {
		if s := c.Service(code); s == nil || !s.EventReported {
			t.Errorf("service %s is reported by event, but not marked", code)
		}
	}
}

// The scores of a variable are covered by exactly one wording on every day.
func TestScalesDoNotOverlap(t *testing.T) {
	c := Default()
	for day := Date("2006-03-01").start(); day < testAt; day += dayMillis {
		n := 0
		for _, id := range []string{"scale_assist_2015", "scale_assist_2018"} {
			if s := c.scale(id); s.From <= DateOf(day) && (s.To == "" || DateOf(day) <= s.To) {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d wordings on %s", n, DateOf(day))
		}
	}
	v := c.Variable("assist_memory")
	if a, b := c.Codes(v, atDay("2018-05-31")), c.Codes(v, atDay("2018-06-01")); a[3].NB == b[3].NB {
		t.Error("the wording of score 4 did not change in June 2018")
	}
	if !c.Codes(v, testAt)[2].NeedsPerson || c.Codes(v, testAt)[1].NeedsPerson {
		t.Error("R16: the line is between 2 and 3")
	}
	if c.Variable("assist_flying") != nil {
		t.Error("a variable nobody knows is found")
	}
}

// Variables that share the nutrition unit name members of its value.
func TestMembersOfNutrition(t *testing.T) {
	members := map[string]bool{}
	typ := reflect.TypeFor[Nutrition]()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		members[name] = true
	}
	n := 0
	for _, v := range Default().Variables {
		if v.Unit == "health/nutrition" {
			n++
			if !members[v.Member] {
				t.Errorf("%s is member %q, which the value does not have", v.ID, v.Member)
			}
		} else if v.Member != "" {
			t.Errorf("%s has a member but a unit of its own", v.ID)
		}
	}
	if n != 6 {
		t.Errorf("%d variables in the nutrition unit", n)
	}
}

// R43: hours on 1, 2, 3, 4, 7, 9, 11, 15, 17, 22 and on 8 when rolling; resource hours on 1,
// 2, 3, 4, 7, 9, 15.
func TestHoursAllowed(t *testing.T) {
	hours := map[string]bool{"1": true, "2": true, "3": true, "4": true, "7": true, "9": true, "11": true, "15": true, "17": true, "22": true}
	resource := map[string]bool{"1": true, "2": true, "3": true, "4": true, "7": true, "9": true, "15": true}
	for _, s := range Default().Services {
		for _, rolling := range []bool{false, true} {
			h, r := Default().HoursAllowed(s.Code, rolling)
			if h != (hours[s.Code] || s.Code == "8" && rolling) || r != resource[s.Code] {
				t.Errorf("service %s rolling %v: hours %v, resource hours %v", s.Code, rolling, h, r)
			}
		}
	}
	if h, r := Default().HoursAllowed("10", true); h || r {
		t.Error("service 10 has hours")
	}
}

// R71: shall, can and shall not.
func TestOrgNumberRequirements(t *testing.T) {
	want := map[string]string{"shall": "1 2 3 4 8 15 17 18 19 20 21 22 25", "can": "5 6 7 9 11 16", "shall_not": "12 13 26 29", "none": "14 23 24", "unknown": "27 28"}
	got := map[string]string{}
	for _, s := range Default().Services {
		if s.Code != "" {
			got[s.Requires.OrgNumber] = strings.TrimSpace(got[s.Requires.OrgNumber] + " " + s.Code)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPolicy(t *testing.T) {
	c := Default()
	for path, want := range map[model.Unit]model.Policy{
		"score/vision":                           {Section: "score", Score: true, Significant: true},
		"person/household":                       {Section: "person"},
		"person/death_date":                      {Section: "person", Significant: true, Terminal: true},
		"assessed/doctor":                        {Section: "assessed"},
		"participation/leisure_assist":           {Section: "participation"},
		"health/nutrition":                       {Section: "health", Significant: true},
		"status/waiting_list":                    {Section: "status", Significant: true, YesNoDate: true},
		"status/individual_plan":                 {Section: "status", Significant: true},
		"diagnosis/" + testID:                    {Section: "diagnosis", Significant: true},
		"service/" + testID + "/grant":           {Section: "service", Significant: true},
		"service/" + testID + "/end":             {Section: "service", Significant: true, Terminal: true},
		"service/" + testID + "/pause/" + testID: {Section: "service", Significant: true},
		"stay/" + testID:                         {Section: "stay", Significant: true},
		"coercion/" + testID:                     {Section: "coercion", Significant: true},
		"time/" + testID:                         {Section: "time"},
		"need/" + testID:                         {Section: "need"},
		"remark/" + testID:                       {Section: "remark"},
		"score/unheard_of":                       {Section: "score", Significant: true},
	} {
		if got := c.Policy(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

// A day begins in Norway before it does in UTC.
func TestDateOf(t *testing.T) {
	late := atDay("2026-07-01") + 11*60*60*1000 + 30*60*1000 // 22:30 UTC
	if DateOf(late) != "2026-07-02" || DateOf(testAt) != "2026-03-02" {
		t.Errorf("22:30 UTC is %s, noon is %s", DateOf(late), DateOf(testAt))
	}
	if Date("2026-03-02").start() >= testAt || !Date("").Time().IsZero() {
		t.Error("start of a day")
	}
}

func TestParseRefusesBrokenData(t *testing.T) {
	for name, edit := range map[string][2]string{
		"unknown member":       {`"title":`, `"titel":`},
		"no version":           {`"version": "2026-11-26.2"`, `"version": ""`},
		"variable twice":       {`"id": "person_household"`, `"id": "person_death_date"`},
		"scale twice":          {`{"id": "scale_hearing"`, `{"id": "scale_vision"`},
		"unknown scale":        {`"scales": ["scale_vision"]`, `"scales": ["scale_smell"]`},
		"dates out of order":   {`"valid_from": "2015-01-01", "valid_to": "2018-12-31"`, `"valid_from": "2019-01-01", "valid_to": "2018-12-31"`},
		"no date":              {`"valid_from": "2015-01-01", "valid_to": "2018-12-31"`, `"valid_from": "2015-02-31", "valid_to": "2018-12-31"`},
		"unknown kind":         {`"value": "yes_no_date"`, `"value": "maybe"`},
		"source of a scale":    {`"source": "guide", "values"`, `"source": "hearsay", "values"`},
		"source of a variable": {`"source": "guide"},`, `"source": "hearsay"},`},
		"source of a service":  {`"org_number": "shall"}, "source": "guide"`, `"org_number": "shall"}, "source": "hearsay"`},
		"bad unit":             {`"unit": "person/household"`, `"unit": "person/House"`},
		"unit twice":           {`"unit": "person/household"`, `"unit": "person/housing_suitable"`},
		"repeating unit twice": {`"unit": "need/*"`, `"unit": "time/*"`},
		"bad repeating unit":   {`"unit": "need/*"`, `"unit": "needs/*"`},
		"service code twice":   {`"code": "22"`, `"code": "21"`},
		"service dates":        {`"valid_from": "2006-03-01", "valid_to": "2018-12-31", "replaced_by"`, `"valid_from": "2019-03-01", "valid_to": "2018-12-31", "replaced_by"`},
		"read as nothing":      {`"unit": "status/coordinator", "codes"`, `"unit": "status/coordinatar", "codes"`},
		"read as no code":      {`"1": "ja_oppnevnt"`, `"1": "ja_kanskje"`},
		"read as another kind": {`"unit": "status/coordinator", "codes"`, `"unit": "status/waiting_list", "codes"`},
		"attribute with unit":  {`"value": "attribute"`, `"value": "coded"`},
	} {
		data := bytes.Replace(embedded, []byte(edit[0]), []byte(edit[1]), 1)
		if bytes.Equal(data, embedded) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parse(data); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
