package catalogue

import (
	"errors"
	"unicode/utf8"

	"flette/model"
	"flette/model/ident"
)

const (
	maxNote        = 2000      // characters of the note beside a score
	maxWeekMinutes = 168 * 60  // R36
	maxTimeLength  = dayMillis // of one time registration
)

func broken(rule, code, pointer, detail string) *model.Problem {
	return &model.Problem{Code: code, Pointer: pointer, Detail: detail, Rule: rule}
}

// notFuture is R11: what has a date has happened.
func (s scope) notFuture(d Date, pointer string) *model.Problem {
	if d != "" && d > DateOf(s.at) {
		return broken("R11", "date-in-future", pointer, "the date is after the day of registration")
	}
	return nil
}

// ordered wants from <= to when both are set.
func ordered(rule string, from, to Date, pointer string) *model.Problem {
	if from != "" && to != "" && to < from {
		return broken(rule, "dates-out-of-order", pointer, "the date is before the one it follows")
	}
	return nil
}

// known wants a code of the variable's value set.
func known(codes []Code, code, pointer string) *model.Problem {
	list := ""
	for _, c := range codes {
		if c.Code == code {
			return nil
		}
		list += " " + c.Code
	}
	return broken("", "value-invalid", pointer, "the code is one of:"+list)
}

// first returns the first problem found.
func first(ps ...*model.Problem) *model.Problem {
	for _, p := range ps {
		if p != nil {
			return p
		}
	}
	return nil
}

func (v Score) check(s scope) *model.Problem {
	if v.Score < 1 || v.Score > 5 && v.Score != 9 {
		return broken("R14", "score-out-of-range", "/score", "a score is 1, 2, 3, 4, 5 or 9")
	}
	if utf8.RuneCountInString(v.Note) > maxNote {
		return broken("", "value-invalid", "/note", "the member is longer than 2000")
	}
	return s.notFuture(v.Assessed, "/assessed")
}

func (v Coded) check(s scope) *model.Problem { return known(s.unit.codes, v.Code, "/code") }

func (v Death) check(s scope) *model.Problem { return s.notFuture(v.Date, "/date") }

func (v Assessed) check(s scope) *model.Problem {
	if v.Month > Month(DateOf(s.at)[:len("2006-01")]) {
		return broken("R11", "date-in-future", "/month", "the month is after the month of registration")
	}
	return nil
}

func (v Participation) check(s scope) *model.Problem {
	if p := known(s.unit.codes, v.Need, "/need"); p != nil || v.Received == "" {
		return p
	}
	if v.Need != "ja" {
		return broken("R97", "received-without-need", "/received", "what is received is asked only when there is a need")
	}
	return known(s.unit.received, v.Received, "/received")
}

func (v DatedCode) check(s scope) *model.Problem {
	return first(known(s.unit.codes, v.Code, "/code"), s.notFuture(v.Date, "/date"))
}

// check holds for one value by itself; Nei without date over an active Ja is for the merge.
func (v YesNoDate) check(s scope) *model.Problem {
	if p := known(s.unit.codes, v.Code, "/code"); p != nil {
		return p
	}
	if v.Code == "1" && v.Date == "" {
		return broken("", "date-required", "/date", "Ja carries the date it began")
	}
	return s.notFuture(v.Date, "/date")
}

func (v MedicationReview) check(s scope) *model.Problem {
	if p := known(s.unit.codes, v.Code, "/code"); p != nil {
		return p
	}
	if v.Code == "1" && v.Date == "" {
		return broken("R33", "date-required", "/date", "a review that is done carries its date")
	}
	if v.Code == "1" && !v.DoctorConfirmed {
		return broken("R33", "doctor-not-confirmed", "/doctor_confirmed", "a review counts as done when the doctor has confirmed it")
	}
	return s.notFuture(v.Date, "/date")
}

func (v Diagnosis) check(s scope) *model.Problem {
	return first(s.notFuture(v.From, "/from"), s.notFuture(v.To, "/to"), ordered("R30", v.From, v.To, "/to"))
}

func (v Service) check(s scope) *model.Problem {
	t := s.c.Service(v.Type)
	if t == nil {
		return broken("", "value-invalid", "/type", "the type is a code of 9151 without leading zeros")
	}
	if t.Group == "coercion" {
		return broken("R59", "value-invalid", "/type", "coercion is registered as coercion/<id>, not as a service")
	}
	// A code that is over stays accepted: changes take the municipalities years, and a service
	// that began under it goes on. How it is read today is for ReadAt.
	if s.at < t.From.start() {
		return broken("", "not-valid-then", "/type", "the service type is registered from "+string(t.From))
	}
	if p := v.dwelling(s, t); p != nil {
		return p
	}
	if v.Rolling && v.Type != "8" {
		return broken("R45", "rolling-not-allowed", "/rolling", "only respite in institution is rolling")
	}
	return nil
}

// dwelling is R58: staffing and housing stock are questions about the dwellings of before 2019.
func (v Service) dwelling(s scope, t *ServiceType) *model.Problem {
	if v.Staffing == "" && v.OrdinaryStock == "" {
		return nil
	}
	if !t.has("staffing") {
		return broken("R58", "value-invalid", "/staffing", "staffing and housing stock are registered on services 12 and 13 only")
	}
	for _, q := range []struct {
		code, pointer string
		codes         []Code
	}{{v.Staffing, "/staffing", s.c.Housing.Staffing}, {v.OrdinaryStock, "/ordinary_stock", s.c.Housing.OrdinaryStock}} {
		if q.code == "" {
			continue
		}
		if p := known(q.codes, q.code, q.pointer); p != nil {
			p.Rule = "R58"
			return p
		}
	}
	return nil
}

func (v Application) check(s scope) *model.Problem { return s.notFuture(v.Date, "/date") }

// check lets from and to lie ahead: they are the period that was decided, not events.
func (v Grant) check(s scope) *model.Problem {
	if v.Rejected && (v.Minutes != nil || v.ResourceMinutes != nil || v.From != "" || v.To != "") {
		return broken("R50", "rejected-with-hours", "/rejected", "a rejected service has neither hours nor a period")
	}
	if v.Minutes != nil && *v.Minutes > maxWeekMinutes {
		return broken("R36", "hours-over-168", "/minutes_per_week", "a week has 168 hours (10080 minutes)")
	}
	if v.Minutes != nil && v.ResourceMinutes != nil && *v.ResourceMinutes < *v.Minutes {
		return broken("R42", "resource-below-hours", "/resource_minutes_per_week", "resource minutes are at least the minutes per week")
	}
	return first(s.notFuture(v.Date, "/date"), ordered("R49", v.From, v.To, "/to"))
}

func (v Start) check(s scope) *model.Problem { return s.notFuture(v.Date, "/date") }

func (v End) check(s scope) *model.Problem { return s.notFuture(v.Date, "/date") }

func (v Complaint) check(s scope) *model.Problem {
	return first(s.notFuture(v.Received, "/received"), s.notFuture(v.Answered, "/answered"),
		ordered("R51", v.Received, v.Answered, "/answered"))
}

func (v Provider) check(s scope) *model.Problem { return s.notFuture(v.From, "/from") }

func (v Pause) check(s scope) *model.Problem {
	return first(s.notFuture(v.From, "/from"), s.notFuture(v.To, "/to"), ordered("R49", v.From, v.To, "/to"))
}

func (v Rehab) check(s scope) *model.Problem {
	return first(s.notFuture(v.Mapping, "/mapping"), s.notFuture(v.Informed, "/informed"), s.notFuture(v.Plan, "/plan"),
		s.notFuture(v.Evaluation, "/evaluation"), s.notFuture(v.Attainment, "/attainment"), ordered("R67", v.Mapping, v.Attainment, "/attainment"))
}

func (v Stay) check(s scope) *model.Problem {
	if v.OrgNumber != "" {
		var p *model.Problem
		if _, err := ident.ParseOrgNumber(v.OrgNumber); errors.As(err, &p) {
			return broken("R70", p.Code, "/org_number", p.Detail)
		}
	}
	return first(s.notFuture(v.From, "/from"), s.notFuture(v.To, "/to"), ordered("R49", v.From, v.To, "/to"))
}

// check is R59. The end of a decision may lie ahead; that of an emergency is past, because
// it is documented when it is over. A planned measure may wait for the county governor, who
// approves or rejects it.
func (v Coercion) check(s scope) *model.Problem {
	if v.Rejected && v.Type != "14" {
		return broken("R59", "value-invalid", "/rejected", "only a planned measure is rejected by the county governor")
	}
	if v.Rejected && v.Start != "" {
		return broken("R59", "date-not-allowed", "/start", "a rejected measure does not start")
	}
	if v.Rejected && v.End != "" || v.Start == "" && v.Type == "14" && v.End != "" {
		return broken("R59", "date-not-allowed", "/end", "a measure that has not started does not end")
	}
	if v.Start == "" && v.Type != "14" {
		return broken("R59", "date-required", "/start", "the start is required")
	}
	if v.Type == "23" {
		if v.Decided != "" {
			return broken("R59", "date-not-allowed", "/decided", "an emergency has no decision date")
		}
		if p := s.notFuture(v.End, "/end"); p != nil {
			return p
		}
	} else if v.Decided == "" {
		return broken("R59", "date-required", "/decided", "the decision date is required")
	}
	if v.Type != "14" && v.End == "" {
		return broken("R59", "date-required", "/end", "the end is required")
	}
	return first(s.notFuture(v.Decided, "/decided"), s.notFuture(v.Start, "/start"),
		ordered("R59", v.Decided, v.Start, "/start"), ordered("R59", v.Start, v.End, "/end"))
}

// check does not compare with the time of signing: a time registration is a claim of the
// tablet's clock, and no entry is held back because of a clock.
func (v Time) check(scope) *model.Problem {
	if v.Stop < v.Start {
		return broken("", "dates-out-of-order", "/stop", "stop is before start")
	}
	if v.Stop-v.Start > maxTimeLength {
		return broken("", "time-too-long", "/stop", "one time registration is at most 24 hours")
	}
	for _, h := range v.Helpers {
		if _, err := model.ParseActorID(string(h)); err != nil {
			return broken("", "value-invalid", "/helpers", err.Error())
		}
	}
	return nil
}

func (v Need) check(s scope) *model.Problem { return s.notFuture(v.Seen, "/seen") }

func (v Remark) check(scope) *model.Problem { return nil }
