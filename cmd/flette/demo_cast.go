package main

import (
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/sync"
)

// The cast of the demo. Nobody in it exists: identity numbers are of the series for tests
// (month + 80), organisation numbers start with 3, and the municipality number is nobody's.
const (
	demoTenant    model.TenantID = "testvik"
	demoKommune                  = "9999"
	demoPersons                  = 200
	demoTablets                  = 12
	demoSuper     model.ActorID  = "supervisor-01"
	demoAdmin     model.ActorID  = "admin-01"
	demoSuperName                = "Leder Oppdiktet"
	demoAdminName                = "Administrator Oppdiktet"
)

// demoDay is the day that the demo plays, a Monday in ISO week 2026-W47, in Oslo. It is
// fixed, so that every run tells the same story.
var demoDay = time.Date(2026, 11, 16, 0, 0, 0, 0, time.FixedZone("CET", 3600))

const demoWeek = "2026-W47"

// nurseOf is the user of a tablet, counted from 0.
func nurseOf(tablet int) model.ActorID { return model.ActorID(fmt.Sprintf("nurse-%02d", tablet+1)) }

func nurseName(tablet int) string { return fmt.Sprintf("Sykepleier Oppdiktet %02d", tablet+1) }

func tabletLabel(tablet int) string { return fmt.Sprintf("Nettbrett %02d (oppdiktet)", tablet+1) }

// demoTenantDoc has the contacts that the register demands of a sender.
func demoTenantDoc() store.Tenant {
	t := store.Tenant{ID: demoTenant, Name: "Testvik kommune (oppdiktet)", Kommune: demoKommune, Format: 1}
	for _, kind := range []string{"1", "15", "16", "17"} {
		t.Contacts = append(t.Contacts, store.Contact{Type: kind, Name: "Kontakt Oppdiktet " + kind, Email: "kontakt" + kind + "@testvik.invalid"})
	}
	return t
}

// demoUnits is the organisation tree: two of the four zones have a number of their own, the
// others inherit the municipality's (R69).
func demoUnits() []sync.UnitInput {
	return []sync.UnitInput{
		{Line: 1, Local: "kommune", Name: "Testvik kommune", OrgNumber: ident.SyntheticOrgNumber(1)},
		{Line: 2, Local: "omsorg", Parent: "kommune", Name: "Helse og omsorg"},
		{Line: 3, Local: "nord", Parent: "omsorg", Name: "Sone Nord", OrgNumber: ident.SyntheticOrgNumber(2)},
		{Line: 4, Local: "sor", Parent: "omsorg", Name: "Sone Sør", OrgNumber: ident.SyntheticOrgNumber(3)},
		{Line: 5, Local: "ost", Parent: "omsorg", Name: "Sone Øst"},
		{Line: 6, Local: "vest", Parent: "omsorg", Name: "Sone Vest"},
	}
}

var demoZones = []string{"nord", "sor", "ost", "vest"}

// zoneOf is the zone of a tablet, and of the persons it visits.
func zoneOf(tablet int) string { return demoZones[tablet%len(demoZones)] }

var demoWords = []string{"Fjell", "Fjord", "Skog", "Myr", "Bekk", "Eng", "Holme", "Vidde", "Strand", "Li"}

// demoPeople makes the persons, with names that cannot be mistaken for real ones, all over 65
// on the day. The same seed gives the same persons.
func demoPeople(seed uint64) []sync.PersonInput {
	r := mathrand.New(mathrand.NewPCG(seed, 1))
	used := map[string]bool{}
	out := make([]sync.PersonInput, 0, demoPersons)
	for len(out) < demoPersons {
		born := time.Date(1930+r.IntN(30), 1, 1+r.IntN(365), 0, 0, 0, 0, time.UTC)
		number, ok := ident.SyntheticFNR(born, r.IntN(50))
		if !ok || used[number] {
			continue
		}
		used[number] = true
		i := len(out)
		out = append(out, sync.PersonInput{
			Line: i + 1, Number: number, Kommune: demoKommune, Unit: zoneOf(i % demoTablets), Test: true,
			Name: fmt.Sprintf("Oppdiktet %s %d", demoWords[i%len(demoWords)], i+1),
		})
	}
	return out
}
