package store

import "slices"

// MapsServices reports whether the municipality has mapped any local service.
func MapsServices(v View) (bool, error) {
	any := false
	err := v.Docs(LocalService{}.DocKind(), "", "", func(string, []byte) bool {
		any = true
		return false
	})
	return any, err
}

// LocalServiceAt is the code of 9151 to which a local service is mapped on a day (YYYY-MM-DD), ""
// for none (R104). It costs the lines of that service.
func LocalServiceAt(v View, local, day string) (code string, err error) {
	lines, err := List[LocalService](v, local+"\n", "", 0)
	if err != nil {
		return "", err
	}
	return CodeOn(lines, day), nil
}

// CodeOn is the code that the lines of one local service, in order, give on a day: that of the
// newest line which covers it.
func CodeOn(lines []LocalService, day string) string {
	for _, l := range slices.Backward(lines) {
		if l.From <= day && (l.To == "" || day <= l.To) {
			return l.Code
		}
	}
	return ""
}

// CatalogueAt is the version of the catalogue by which the entry at a position was judged; ""
// for entries from before that was noted. uses are all notes, in order.
func CatalogueAt(uses []CatalogueUse, position int64) string {
	version := ""
	for _, u := range uses {
		if u.From <= position {
			version = u.Version
		}
	}
	return version
}
