package ident

import (
	"time"

	"flette/model"
)

// Kind of a personal number.
type Kind uint8

const (
	KindFNR              Kind = iota + 1 // fødselsnummer: the permanent national identity number
	KindDNumber                          // temporary number, day + 40
	KindHNumber                          // emergency number or an older test series, month + 40
	KindSyntheticFNR                     // never a real person, month + 80
	KindSyntheticDNumber                 // never a real person, day + 40 and month + 80
	KindFHNumber                         // felles hjelpenummer: common help number, starts with 8 or 9
	KindDUF                              // 12 digits, from the immigration authorities
)

// Mode says which control digits are accepted.
type Mode uint8

const (
	// Legacy accepts the control digits issued before 2032: remainder 0.
	Legacy Mode = iota
	// From2032 accepts remainder 0 to 3 in the first control digit, as issued from
	// 2032-01-01; old numbers stay valid. Century and sex can no longer be read.
	From2032
)

// ID is a well-formed personal number. The zero ID is no number.
type ID struct {
	Kind   Kind
	Number model.Private // the digits as given
	birth  time.Time     // zero when the number does not tell
}

var (
	weightsK1  = [9]int{3, 7, 6, 1, 8, 9, 4, 5, 2}
	weightsK2  = [10]int{5, 4, 3, 2, 7, 6, 5, 4, 3, 2}
	weightsDUF = [10]int{4, 6, 3, 2, 4, 6, 3, 2, 7, 5}
)

// Parse reads a personal number of 11 digits, or a DUF-number of 12, without spaces. It
// returns a *model.Problem with code id-length, id-digits, id-checksum or id-date.
func Parse(s string, mode Mode) (ID, error) {
	if len(s) != 11 && len(s) != 12 {
		return ID{}, model.Problemf("id-length", "", "a personal number has 11 digits, a DUF-number 12")
	}
	var digits [12]int
	if !readDigits(s, digits[:]) {
		return ID{}, model.Problemf("id-digits", "", "a personal number holds digits only")
	}
	if len(s) == 12 {
		if weigh(digits[:], weightsDUF[:])%11 != digits[10]*10+digits[11] {
			return ID{}, checksumProblem()
		}
		return ID{Kind: KindDUF, Number: model.Private(s)}, nil
	}
	d := digits[:11]
	help := d[0] >= 8
	if mode != From2032 || help {
		mode = Legacy // the rule of 2032 is for national and D-numbers
	}
	if !controlDigits(d, mode) {
		return ID{}, checksumProblem()
	}
	id := ID{Number: model.Private(s)}
	if help {
		id.Kind = KindFHNumber
		return id, nil
	}
	var ok bool
	if id.Kind, id.birth, ok = readDate(d, mode); !ok {
		return ID{}, model.Problemf("id-date", "", "the first six digits are not a date of any kind of personal number")
	}
	return id, nil
}

func checksumProblem() *model.Problem {
	return model.Problemf("id-checksum", "", "the control digits do not fit: a digit is wrong or two have changed places")
}

// readDigits fills out from the start with the digits of s; it is false for anything else.
func readDigits(s string, out []int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		out[i] = int(s[i] - '0')
	}
	return true
}

func weigh(digits, weights []int) int {
	sum := 0
	for i, w := range weights {
		sum += w * digits[i]
	}
	return sum
}

func controlDigits(d []int, mode Mode) bool {
	r1 := (weigh(d, weightsK1[:]) + d[9]) % 11
	r2 := (weigh(d, weightsK2[:]) + d[10]) % 11
	return r2 == 0 && (r1 == 0 || mode == From2032 && r1 <= 3)
}

func readDate(d []int, mode Mode) (Kind, time.Time, bool) {
	day, month, yy := d[0]*10+d[1], d[2]*10+d[3], d[4]*10+d[5]
	kind := KindFNR
	if day > 40 {
		day, kind = day-40, KindDNumber
	}
	switch {
	case month > 80:
		month -= 80
		if kind == KindDNumber {
			kind = KindSyntheticDNumber
		} else {
			kind = KindSyntheticFNR
		}
	case month > 40:
		month, kind = month-40, KindHNumber
	}
	if mode == From2032 {
		// The century is unknown: 2000 has every day that 1800 and 1900 have.
		return kind, time.Time{}, realDate(2000+yy, month, day)
	}
	year, ok := birthYear(yy, d[6]*100+d[7]*10+d[8])
	if !ok || !realDate(year, month, day) {
		return 0, time.Time{}, false
	}
	return kind, time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), true
}

func realDate(year, month, day int) bool {
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return month >= 1 && month <= 12 && day >= 1 && t.Day() == day
}

// birthYear is the century table of numbers issued before 2032.
func birthYear(yy, individual int) (int, bool) {
	switch {
	case individual <= 499:
		return 1900 + yy, true
	case individual <= 749 && yy >= 54:
		return 1800 + yy, true
	case yy <= 39:
		return 2000 + yy, true
	case individual >= 900:
		return 1900 + yy, true
	}
	return 0, false
}

// Birth returns the date of birth in UTC. It is false for DUF-numbers, common help numbers and
// for every number read in mode From2032: then the date must be held as a field of its own.
func (id ID) Birth() (time.Time, bool) { return id.birth, !id.birth.IsZero() }

// Synthetic reports whether the number can never be a real person's.
func (id ID) Synthetic() bool { return id.Kind == KindSyntheticFNR || id.Kind == KindSyntheticDNumber }

// Reportable reports whether a person with this number may go into a production extract
// (R2): not the synthetic ones, and not month + 40, which may be an old test series.
func (id ID) Reportable() bool {
	switch id.Kind {
	case KindFNR, KindDNumber, KindFHNumber, KindDUF:
		return true
	}
	return false
}

// GivesKPRID reports whether the register can find the person; other numbers are accepted
// by it and reported back as a defect.
func (id ID) GivesKPRID() bool {
	return id.Kind == KindFNR || id.Kind == KindDNumber || id.Kind == KindDUF
}

// KPRTypeID returns the code of the number's type in code list 9032; 9 (other) for the
// zero ID. Synthetic numbers carry the type of what they imitate.
func (id ID) KPRTypeID() string {
	switch id.Kind {
	case KindFNR, KindSyntheticFNR:
		return "1"
	case KindDNumber, KindSyntheticDNumber:
		return "2"
	case KindHNumber:
		return "3"
	case KindDUF:
		return "10"
	case KindFHNumber:
		return "12"
	}
	return "9"
}
