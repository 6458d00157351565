package main

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"flette/model"
	"flette/model/catalogue"
	"flette/sync"
)

var registrationColumns = []column{
	{"number", true, isNumber}, {"variable", true, isVariable}, {"value", false, nil}, {"date", false, isDay}, {"note", false, nil},
}

var stayColumns = []column{
	{"number", true, isNumber}, {"ref", false, nil}, {"kind", true, nil}, {"from", true, isDay}, {"to", false, isDay}, {"org_number", false, nil}, {"service", false, nil},
}

var coercionColumns = []column{
	{"number", true, isNumber}, {"ref", false, nil}, {"type", true, nil}, {"decided", false, isDay}, {"start", true, isDay}, {"end", false, isDay},
}

var pauseColumns = []column{
	{"number", true, isNumber}, {"service", true, nil}, {"ref", false, nil}, {"from", true, isDay}, {"to", false, isDay}, {"reason", false, nil},
}

// valueKind says where the columns value and date of a registration go in a value of the
// catalogue, "" for nowhere.
type valueKind struct {
	value, date string
	pairs       bool // it has members beside these: the value may be written as member=value pairs
}

var valueKinds = map[string]valueKind{
	"score":             {"score", "assessed", false},
	"coded":             {"code", "", false},
	"death":             {"", "date", false},
	"assessed":          {"month", "", false},
	"participation":     {"need", "", true},
	"dated_code":        {"code", "date", false},
	"yes_no_date":       {"code", "date", false},
	"medication_review": {"code", "date", true},
	"nutrition":         {"mapped", "date", true},
}

// importable lists the variables that a person has once, those of several members by the
// first of them.
func importable() []*catalogue.Variable {
	var out []*catalogue.Variable
	vs := catalogue.Default().Variables
	for i := range vs {
		v := &vs[i]
		_, kind := valueKinds[v.Value]
		if kind && !v.Closed && !slices.ContainsFunc(out, func(o *catalogue.Variable) bool { return o.Unit == v.Unit }) {
			out = append(out, v)
		}
	}
	return out
}

// variableOf finds a variable by its unit (score/vision) or, when it is alone there, its id.
func variableOf(name string) *catalogue.Variable {
	for _, v := range importable() {
		if name == v.Unit || name == v.ID && v.Member == "" {
			return v
		}
	}
	return nil
}

func isVariable(s string) *model.Problem {
	if variableOf(s) != nil {
		return nil
	}
	if v := catalogue.Default().Variable(s); v != nil && v.Closed {
		return model.Problemf("unit-closed", "", "the variable is listed, but not open for registration yet; leave the line out")
	} else if v != nil && v.Member != "" {
		return model.Problemf("unknown-variable", "", "the variable is one of several that are registered together: write %s, and member=value pairs as value", v.Unit)
	}
	return model.Problemf("unknown-variable", "", "the catalogue has no such variable; flette registration variables lists them")
}

// registrationOf makes a value of the catalogue of a line. What the rules say of it is for the
// engine, which asks the catalogue.
func registrationOf(f *fields) sync.RecordInput {
	v := variableOf(f.value["variable"])
	if v == nil {
		return sync.RecordInput{} // isVariable has said so
	}
	kind := valueKinds[v.Value]
	members := map[string]any{}
	f.ended(v)
	switch value := f.value["value"]; {
	case strings.Contains(value, "=") && kind.pairs:
		f.pairs(v, value, members)
	case kind.value == "" && value != "":
		f.bad.problem(f.line, "value", "value-not-allowed", "the variable has no value beside its date; leave the column empty")
	case kind.value == "score":
		if members["score"] = value; len(value) == 1 && value >= "0" && value <= "9" {
			members["score"], _ = strconv.Atoi(value) // one digit
		} else {
			f.bad.problem(f.line, "value", "score-out-of-range", "a score is 1, 2, 3, 4, 5 or 9 (R14)")
		}
	case kind.value == "month" && value == "":
		members["month"] = string(f.date("date"))[:min(len(f.date("date")), len("2006-01"))]
	case kind.value != "":
		members[kind.value] = codeOf(v, value)
	}
	switch date := f.date("date"); {
	case date == "" || kind.value == "month" && f.value["value"] == "":
	case kind.date == "":
		f.bad.problem(f.line, "date", "date-not-allowed", "the variable carries no date; leave the column empty")
	default:
		members[kind.date] = date
	}
	if note := f.value["note"]; note != "" && v.Value == "score" {
		members["note"] = note
	} else if note != "" {
		f.bad.problem(f.line, "note", "note-not-allowed", "only scores carry a note; leave the column empty")
	}
	columns := map[string]string{"": "value", "/note": "note"}
	if kind.date != "" {
		columns["/"+kind.date] = "date"
	}
	return sync.RecordInput{Path: model.Unit(v.Unit), Items: []sync.RecordItem{item("", members, columns)}}
}

// ended tells how a variable is registered that is over.
func (f *fields) ended(v *catalogue.Variable) {
	if date := f.date("date"); v.To == "" || date != "" && date <= v.To {
		return
	}
	instead := "leave the line out"
	if v.ReadAs != nil {
		if now := variableOf(v.ReadAs.Unit); now != nil {
			instead = "write " + now.ID + " with a code of today, or leave the line out"
		}
	}
	f.bad.problem(f.line, "variable", "not-valid-then", "the variable was registered until %s: give the date of the registration when it is of that time; otherwise %s", v.To, instead)
}

var pair = regexp.MustCompile(`^([a-z_]+)=([^= ]+)$`)

// pairs reads member=value pairs with blanks between.
func (f *fields) pairs(v *catalogue.Variable, text string, into map[string]any) {
	for _, p := range strings.Fields(text) {
		m := pair.FindStringSubmatch(p)
		if m == nil || into[m[1]] != nil {
			f.bad.problem(f.line, "value", "value-invalid", "the value is pairs member=value with a blank between, each member once")
			return
		}
		switch into[m[1]] = codeOf(v, m[2]); m[2] {
		case "true", "false":
			into[m[1]] = m[2] == "true"
		}
	}
}

// codeOf is the code that a text means: itself, or the code whose Norwegian name it is.
func codeOf(v *catalogue.Variable, text string) string {
	for _, c := range v.Codes {
		if strings.EqualFold(text, c.NB) {
			return c.Code
		}
	}
	return text
}

// record is an input of one value that is not a service.
func (f *fields) record(section, ref string, value any, columns map[string]string) sync.RecordInput {
	return sync.RecordInput{Section: section, Ref: cmp.Or(f.value["ref"], ref), Service: f.value["service"], Items: []sync.RecordItem{item("", value, columns)}}
}

func stayOf(f *fields) sync.RecordInput {
	v := catalogue.Stay{Kind: f.value["kind"], From: f.date("from"), To: f.date("to"), OrgNumber: f.value["org_number"]}
	return f.record("stay", v.Kind+" "+string(v.From), v, map[string]string{"": "kind", "/from": "from", "/to": "to", "/org_number": "org_number"})
}

func coercionOf(f *fields) sync.RecordInput {
	v := catalogue.Coercion{Type: f.value["type"], Decided: f.date("decided"), Start: f.date("start"), End: f.date("end")}
	return f.record("coercion", v.Type+" "+string(v.Start), v, map[string]string{"": "type", "/decided": "decided", "/start": "start", "/end": "end"})
}

func pauseOf(f *fields) sync.RecordInput {
	v := catalogue.Pause{From: f.date("from"), To: f.date("to"), Reason: f.value["reason"]}
	return f.record("pause", string(v.From), v, map[string]string{"": "from", "/to": "to", "/reason": "reason"})
}
