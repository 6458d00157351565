package ident

import "flette/model"

// OrgNumber is an organisation number of nine digits.
type OrgNumber string

var weightsOrg = [8]int{3, 2, 7, 6, 5, 4, 3, 2}

// ParseOrgNumber checks length and the control digit (R70). It returns a *model.Problem
// with code id-length, id-digits or id-checksum.
func ParseOrgNumber(s string) (OrgNumber, error) {
	if len(s) != 9 {
		return "", model.Problemf("id-length", "", "an organisation number has nine digits")
	}
	var d [9]int
	if !readDigits(s, d[:]) {
		return "", model.Problemf("id-digits", "", "an organisation number holds digits only")
	}
	if (weigh(d[:], weightsOrg[:])+d[8])%11 != 0 {
		return "", checksumProblem()
	}
	return OrgNumber(s), nil
}

// IsTest reports whether the number is of the series for test organisations.
func (n OrgNumber) IsTest() bool { return n != "" && (n[0] == '2' || n[0] == '3') }

// Kommune is a municipality number of four digits.
type Kommune string

// Numbers that stand for a place outside Norway or none.
const (
	KommuneAbroad    Kommune = "9000" // abroad, no convention
	KommuneAbroadEEA Kommune = "9900" // abroad, with a convention (EU/EEA)
	KommuneUnknown   Kommune = "9999"
)

// ParseKommune checks the shape (R3): which numbers exist changes with every reform. It
// returns a *model.Problem with code id-length or id-digits.
func ParseKommune(s string) (Kommune, error) {
	if len(s) != 4 {
		return "", model.Problemf("id-length", "", "a municipality number has four digits")
	}
	var d [4]int
	if !readDigits(s, d[:]) || d[0] == 0 && d[1] == 0 {
		return "", model.Problemf("id-digits", "", "a municipality number is four digits of which the first two name a county")
	}
	return Kommune(s), nil
}

// Special reports whether the number names no Norwegian municipality.
func (k Kommune) Special() bool {
	return k == KommuneAbroad || k == KommuneAbroadEEA || k == KommuneUnknown
}

// District is a city district: two digits in every register, "00" where a municipality has
// none; the event message has room for up to six characters.
type District string

// ParseDistrict accepts what the message accepts: 1-6 letters and digits. It returns a
// *model.Problem with code id-length or id-digits.
func ParseDistrict(s string) (District, error) {
	if len(s) == 0 || len(s) > 6 {
		return "", model.Problemf("id-length", "", "a district has two digits, at most six characters")
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return "", model.Problemf("id-digits", "", "a district holds letters and digits only")
		}
	}
	return District(s), nil
}

// Regular reports whether the district has the two digits that registers use (R3).
func (d District) Regular() bool {
	var n [2]int
	return len(d) == 2 && readDigits(string(d), n[:])
}

// HPR is a number in the register of health personnel.
type HPR string

// ParseHPR checks the shape, 7-9 digits not starting with 0; the number has no control
// digit. It returns a *model.Problem with code id-length or id-digits.
func ParseHPR(s string) (HPR, error) {
	if len(s) < 7 || len(s) > 9 {
		return "", model.Problemf("id-length", "", "a health-personnel number has 7 to 9 digits")
	}
	var d [9]int
	if !readDigits(s, d[:]) || d[0] == 0 {
		return "", model.Problemf("id-digits", "", "a health-personnel number holds digits only and does not start with 0")
	}
	return HPR(s), nil
}
