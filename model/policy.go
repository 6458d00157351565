package model

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Policy says how heads of one unit are compared. The catalogue gives it per unit; the zero
// Policy is that of a unit of low significance.
type Policy struct {
	Section     string // first part of the unit path: "score", "service", ...
	Score       bool   // value {score, ...}: heads are compared by their score alone (R84)
	Significant bool   // differing heads go to a supervisor
	YesNoDate   bool   // value {code "1"|"2", date?}: Ja, Nei with an end date, or never
	Terminal    bool   // ends something: end of a service, death (R84, R107)
}

// Equal is the unit's rule of equality (R92): the same JSON value whatever the order of
// members, white space and escapes; two scores are equal when their numbers are, because a
// note or an assessed date makes no clash. Values that are not JSON are equal only byte by
// byte.
func (p Policy) Equal(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if p.Score {
		x, ok := ScoreOf(a)
		y, ok2 := ScoreOf(b)
		if ok && ok2 {
			return x == y
		}
	}
	x, ok := canonical(a)
	y, ok2 := canonical(b)
	return ok && ok2 && bytes.Equal(x, y)
}

// Resets reports whether value says Nei without a date where over says Ja: not an ordinary
// change but a correction of an error or a slip, so a supervisor sees it (R84). It is false
// for units without yes/no and date, and for values of any other shape.
func (p Policy) Resets(value, over []byte) bool {
	if !p.YesNoDate {
		return false
	}
	v, ok := yesNoOf(value)
	o, ok2 := yesNoOf(over)
	return ok && ok2 && v.Code == "2" && v.Date == "" && o.Code == "1"
}

type yesNo struct {
	Code string `json:"code"`
	Date string `json:"date"`
}

func yesNoOf(value []byte) (v yesNo, ok bool) {
	return v, json.Unmarshal(value, &v) == nil
}

// canonical rewrites a value so that equal values have equal bytes. Integers keep their
// digits: passing them through a float would make different large numbers equal.
func canonical(value []byte) ([]byte, bool) {
	v := jsontext.Value(bytes.Clone(value))
	err := v.Canonicalize(jsontext.CanonicalizeRawInts(false))
	return v, err == nil
}

// ScoreOf reads the score, 1-5 or 9 (R14), of a value {score, ...}. It is false for every
// other value. The value is taken to be well formed, as [DecodeEntry] leaves it.
func ScoreOf(value []byte) (int, bool) {
	// Nearly every score arrives as the first member in this spelling.
	const head = `{"score":`
	if n := len(head); len(value) > n+1 && string(value[:n]) == head && (value[n+1] == '}' || value[n+1] == ',') {
		return scoreDigit(value[n])
	}
	var v struct {
		Score jsontext.Value `json:"score"`
	}
	if json.Unmarshal(value, &v) != nil || len(v.Score) != 1 {
		return 0, false
	}
	return scoreDigit(v.Score[0])
}

func scoreDigit(c byte) (int, bool) {
	if c >= '1' && c <= '5' || c == '9' {
		return int(c - '0'), true
	}
	return 0, false
}
