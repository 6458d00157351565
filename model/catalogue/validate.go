package catalogue

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"flette/model"
)

// scope is what a value is judged in.
type scope struct {
	c    *Catalogue
	unit *unit
	at   model.Millis
}

// judge decodes a value of one kind and finds the first thing wrong with it, or nil.
type judge func(value []byte, s scope) *model.Problem

// judges maps the kinds of value in the catalogue to their structs.
var judges = map[string]judge{
	"score":             judgeScore,
	"coded":             judgeAs[Coded],
	"death":             judgeAs[Death],
	"assessed":          judgeAs[Assessed],
	"participation":     judgeAs[Participation],
	"dated_code":        judgeAs[DatedCode],
	"yes_no_date":       judgeAs[YesNoDate],
	"medication_review": judgeAs[MedicationReview],
	"nutrition":         judgeAs[Nutrition],
	"diagnosis":         judgeAs[Diagnosis],
	"service":           judgeAs[Service],
	"application":       judgeAs[Application],
	"grant":             judgeAs[Grant],
	"start":             judgeAs[Start],
	"end":               judgeAs[End],
	"complaint":         judgeAs[Complaint],
	"provider":          judgeAs[Provider],
	"pause":             judgeAs[Pause],
	"rehab":             judgeAs[Rehab],
	"stay":              judgeAs[Stay],
	"coercion":          judgeAs[Coercion],
	"time":              judgeAs[Time],
	"need":              judgeAs[Need],
	"remark":            judgeAs[Remark],
}

// Validate judges the value of one unit at the time it was signed. It returns nil when the
// value is fine, otherwise a Problem with a pointer into the value and, for a clinical rule,
// its R-number. Codes: unknown-unit, unit-closed, not-valid-then, value-invalid,
// score-out-of-range, date-in-future, dates-out-of-order, hours-over-168,
// resource-below-hours, rejected-with-hours, rolling-not-allowed, received-without-need,
// date-required, date-not-allowed, doctor-not-confirmed, nutrition-inconsistent,
// time-too-long and the id-* codes of package ident.
func (c *Catalogue) Validate(path model.Unit, value []byte, at model.Millis) *model.Problem {
	u := c.find(path)
	if u == nil {
		return model.Problemf("unknown-unit", "", "the catalogue (version %s) has no such unit", c.Version)
	}
	if u.closed {
		return model.Problemf("unit-closed", "", "the variable is listed, but not open for registration yet")
	}
	if at < u.from {
		return model.Problemf("not-valid-then", "", "the variable is registered from %s", u.first)
	}
	if at >= u.until && !u.datedBefore(value) {
		return model.Problemf("not-valid-then", "", "the variable was registered until %s", u.last)
	}
	return u.judge(value, scope{c: c, unit: u, at: at})
}

type rules interface {
	check(s scope) *model.Problem
}

func judgeAs[T rules](value []byte, s scope) *model.Problem {
	var v T
	if p := decode(value, &v); p != nil {
		return p
	}
	if p := shape(&v); p != nil {
		return p
	}
	return v.check(s)
}

// judgeScore is the hot path: most changes are a score, bare or with a plain note, which
// needs no decoder.
func judgeScore(value []byte, s scope) *model.Problem {
	if plainScore(value) {
		return nil
	}
	var v Score
	if p := decode(value, &v); p != nil {
		return p
	}
	return v.check(s)
}

// plainScore recognises {"score":N} and {"score":N,"note":"..."} in exactly this spelling,
// with a score of the scale (R14) and a note of valid length without escapes. What it does
// not recognise goes the long way, so it may err on one side only.
func plainScore(value []byte) bool {
	const bare, noted = len(`{"score":1`), len(`{"score":1,"note":"`)
	if _, ok := model.ScoreOf(value); !ok || len(value) <= bare || string(value[:bare-1]) != `{"score":` {
		return false
	}
	if len(value) == bare+1 {
		return value[bare] == '}'
	}
	if len(value) < noted+2 || string(value[bare:noted]) != `,"note":"` || string(value[len(value)-2:]) != `"}` {
		return false
	}
	note := value[noted : len(value)-2]
	for _, c := range note {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return len(note) <= maxPlainNote && utf8.Valid(note)
}

// maxPlainNote is below the limit of a note in characters, whatever they are.
const maxPlainNote = 500

// shaper is built once; building it is slow, and a misspelt tag panics at first use of the
// struct, which the tests exercise for each.
var shaper = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	return v
})

// shape checks the validate tags. The validator's own texts are not used: they repeat values.
func shape(v any) *model.Problem {
	err := shaper().Struct(v)
	if err == nil {
		return nil
	}
	var bad validator.ValidationErrors
	if !errors.As(err, &bad) || len(bad) == 0 {
		return model.Problemf("value-invalid", "", "value has the wrong shape")
	}
	_, path, _ := strings.Cut(bad[0].Namespace(), ".")
	return model.Problemf("value-invalid", "/"+path, "%s", sentence(bad[0]))
}

func sentence(f validator.FieldError) string {
	switch f.Tag() {
	case "required":
		return "the member is required and must not be empty"
	case "oneof":
		return "the member is one of: " + strings.Join(strings.Fields(f.Param()), ", ")
	case "max":
		return "the member is longer than " + f.Param()
	case "min":
		return "the member is below " + f.Param()
	case "uuid", "lowercase":
		return "the member is a lower-case UUID"
	case "unique":
		return "the member lists something twice"
	}
	return "the member has the wrong shape"
}
