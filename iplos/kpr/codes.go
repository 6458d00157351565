package kpr

// firstYear is the earliest start that users of the register accept (R76).
const firstYear = "1980-01-01"

const typeRespiteInstitution = "8"

// The types that message 56.0.0 may carry (code list 9151). Codes 6, 14, 23, 24, 26, 27 and
// 28 are in the list but expired; 12, 13 and 16 left it before.
var reportable = map[string]bool{
	"1": true, "2": true, "3": true, "4": true, "5": true, "7": true, "8": true, "9": true, "11": true,
	"15": true, "17": true, "18": true, "19": true, "20": true, "21": true, "22": true, "25": true, "29": true,
}

// Reportable reports whether the message may carry a service type today.
func Reportable(code string) bool { return reportable[code] }

// oldHousing are the two kinds of dwelling that became one, 29, in 2019.
var oldHousing = map[string]bool{"12": true, "13": true}

const newHousing, newHousingFrom = "29", "2019-01-01"

// messageType returns the code to send for a service, or false when none is valid. A
// dwelling of an old kind that was still in use when the kinds were joined is read as the
// new kind, as the register's users do.
func messageType(code, end string) (string, bool) {
	if oldHousing[code] && (end == "" || end >= newHousingFrom) {
		return newHousing, true
	}
	return code, reportable[code]
}
