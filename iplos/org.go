package iplos

import (
	"errors"

	"flette/model/ident"
	"flette/store"
)

// OrgNumberAt finds the organisation number that holds for a unit at a date (YYYY-MM-DD):
// the unit's own, else that of the nearest parent which has one then (R69). fromUnit is the
// unit it stands on. A tree that bites its own tail ends the walk. ok is false when no unit
// on the way has a number at that date, or the unit is not known.
func OrgNumberAt(v store.View, unitID, date string) (number, fromUnit string, ok bool) {
	number, fromUnit, err := orgNumberAt(v, unitID, date)
	return number, fromUnit, err == nil && number != ""
}

// orgNumberAt is OrgNumberAt that tells a broken store from a missing number.
func orgNumberAt(v store.View, unitID, date string) (number, fromUnit string, err error) {
	seen := map[string]bool{}
	for unitID != "" && !seen[unitID] {
		seen[unitID] = true
		u, err := store.Get[store.OrgUnit](v, unitID)
		if errors.Is(err, store.ErrNotFound) {
			return "", "", nil
		}
		if err != nil {
			return "", "", err
		}
		for _, n := range u.OrgNumber {
			if n.Number != "" && n.From <= date && (n.To == "" || date <= n.To) {
				return n.Number, u.ID, nil
			}
		}
		unitID = u.Parent
	}
	return "", "", nil
}

// orgNumberOK checks 9 digits and mod 11 (R70).
func orgNumberOK(number string) bool {
	_, err := ident.ParseOrgNumber(number)
	return err == nil
}
