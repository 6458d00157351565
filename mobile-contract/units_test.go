package contract

import (
	"strings"
	"testing"

	"flette/model"
	"flette/model/catalogue"
)

// catalogueUnits lists one unit path of every kind that the catalogue knows.
func catalogueUnits(t *testing.T, id string) (units []model.Unit) {
	t.Helper()
	c := catalogue.Default()
	for _, v := range c.Variables {
		if v.Unit != "" {
			units = append(units, model.Unit(strings.ReplaceAll(v.Unit, "*", id)))
		}
	}
	for _, r := range c.Repeating {
		units = append(units, model.Unit(strings.ReplaceAll(r.Unit, "*", id)))
	}
	if len(units) < 40 {
		t.Fatalf("the catalogue has only %d units", len(units))
	}
	return units
}
