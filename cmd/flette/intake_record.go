package main

import (
	"cmp"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/iplos"
	"flette/model"
	"flette/model/catalogue"
	"flette/sync"
)

var serviceColumns = []column{
	{"number", true, isNumber}, {"ref", true, nil}, {"type", true, isServiceType}, {"local", false, nil}, {"unit", false, nil}, {"rolling", false, isBool},
	{"application", false, isDay}, {"decision", false, isDay}, {"from", false, isDay}, {"to", false, isDay}, {"rejected", false, isBool},
	{"hours", false, isHours}, {"resource_hours", false, isHours}, {"start", false, isDay}, {"end", false, isDay}, {"end_reason", false, nil},
	{"complaint", false, isDay}, {"complaint_answered", false, isDay},
}

var diagnosisColumns = []column{
	{"number", true, isNumber}, {"ref", false, nil}, {"code_system", true, nil}, {"code", true, nil}, {"name", false, nil}, {"from", false, isDay}, {"to", false, isDay},
}

func isDay(s string) *model.Problem {
	if _, ok := isoDate(s); !ok {
		return model.Problemf("invalid-date", "", "a date is written YYYY-MM-DD or dd.mm.yyyy")
	}
	return nil
}

func isHours(s string) *model.Problem {
	if _, err := iplos.ParseHours(s); err != nil {
		return model.Problemf("invalid-hours", "", "hours a week are written 5:30, 5,5 or 5, and come out as whole minutes (R44)")
	}
	return nil
}

// isServiceType also says what an old type is called now: who moves to a new system has some.
func isServiceType(s string) *model.Problem {
	t := catalogue.Default().Service(strings.TrimLeft(s, "0"))
	switch {
	case t == nil:
		return model.Problemf("unknown-service-type", "", "the type is a code of 9151: 1 to 29, without 10")
	case t.Group == "coercion":
		return model.Problemf("unknown-service-type", "", "coercion is no service; register it in the record of the person (R59)")
	case t.To == "":
		return nil
	case t.ReplacedBy != "":
		return model.Problemf("not-valid-then", "", "the type ended with %s; write %s", t.To, t.ReplacedBy)
	}
	return model.Problemf("not-valid-then", "", "the type ended with %s; leave the line out, and register what it says about the person", t.To)
}

// fields are the values of a line by the name of the column.
type fields struct {
	columns []column
	value   map[string]string
	line    int
	bad     *intake
}

func fieldsOf(columns []column, bad *intake) *fields {
	return &fields{columns: columns, value: make(map[string]string, len(columns)), bad: bad}
}

// set takes over a line; what was read of the one before stays good.
func (f *fields) set(r row) {
	f.line = r.line
	for at, c := range f.columns {
		f.value[c.name] = r.value[at]
	}
}

func (f *fields) date(name string) catalogue.Date {
	d, _ := isoDate(f.value[name])
	return catalogue.Date(d)
}

func (f *fields) minutes(name string) *int {
	if f.value[name] == "" {
		return nil
	}
	m, err := iplos.ParseHours(f.value[name])
	if err != nil {
		return nil
	}
	return &m
}

// needs tells that one column says nothing without another.
func (f *fields) needs(other string, names ...string) {
	for _, n := range names {
		if v := f.value[n]; v != "" && v != "false" {
			f.bad.problem(f.line, n, "missing-value", "the value says nothing without one in the column %s", other)
		}
	}
}

// recordReader makes an input of a line.
type recordReader func(f *fields) sync.RecordInput

func item(group string, value any, columns map[string]string) sync.RecordItem {
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		panic(err) // a struct of the catalogue, or strings by name
	}
	return sync.RecordItem{Group: group, Value: text, Columns: columns}
}

// Pointers into the values of the catalogue, and the columns that they come from.
var (
	serviceAt     = map[string]string{"": "type", "/rolling": "rolling", "/local": "local"}
	applicationAt = map[string]string{"": "application"}
	grantAt       = map[string]string{
		"": "decision", "/minutes_per_week": "hours", "/resource_minutes_per_week": "resource_hours", "/rejected": "rejected", "/from": "from", "/to": "to",
	}
	startAt     = map[string]string{"": "start"}
	endAt       = map[string]string{"": "end", "/reason": "end_reason"}
	complaintAt = map[string]string{"": "complaint", "/answered": "complaint_answered"}
	diagnosisAt = map[string]string{"": "code", "/code_system": "code_system", "/name": "name", "/from": "from", "/to": "to"}
)

func serviceOf(f *fields) sync.RecordInput {
	in := sync.RecordInput{Section: "service", Ref: f.value["ref"], Unit: f.value["unit"]}
	add := func(group string, value any, columns map[string]string) {
		in.Items = append(in.Items, item(group, value, columns))
	}
	add("", catalogue.Service{Type: strings.TrimLeft(f.value["type"], "0"), Rolling: f.value["rolling"] == "true", Local: f.value["local"]},
		serviceAt)
	if d := f.date("application"); d != "" {
		add("application", catalogue.Application{Date: d}, applicationAt)
	}
	if d := f.date("decision"); d != "" {
		add("grant", catalogue.Grant{
			Date: d, Minutes: f.minutes("hours"), ResourceMinutes: f.minutes("resource_hours"), Rejected: f.value["rejected"] == "true", From: f.date("from"), To: f.date("to"),
		}, grantAt)
	} else {
		f.needs("decision", "hours", "resource_hours", "rejected", "from", "to")
	}
	if d := f.date("start"); d != "" {
		add("start", catalogue.Start{Date: d}, startAt)
	}
	if d := f.date("end"); d != "" {
		add("end", catalogue.End{Date: d, Reason: f.value["end_reason"]}, endAt)
	} else {
		f.needs("end", "end_reason")
	}
	if d := f.date("complaint"); d != "" {
		add("complaint", catalogue.Complaint{Received: d, Answered: f.date("complaint_answered")}, complaintAt)
	} else {
		f.needs("complaint", "complaint_answered")
	}
	in.UnitFrom = string(cmp.Or(f.date("start"), f.date("decision"), f.date("application")))
	if in.UnitFrom == "" {
		f.needs("start", "unit")
	}
	return in
}

func diagnosisOf(f *fields) sync.RecordInput {
	v := catalogue.Diagnosis{CodeSystem: f.value["code_system"], Code: f.value["code"], Name: f.value["name"], From: f.date("from"), To: f.date("to")}
	ref := cmp.Or(f.value["ref"], v.CodeSystem+" "+v.Code+" "+string(v.From))
	return sync.RecordInput{Section: "diagnosis", Ref: ref, Items: []sync.RecordItem{item("", v, diagnosisAt)}}
}
