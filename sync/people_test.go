package sync_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

func lines(t *testing.T, err error) string {
	t.Helper()
	var ps sync.ImportProblems
	if !errors.As(err, &ps) {
		t.Fatalf("error is %v", err)
	}
	var out []string
	for _, p := range ps {
		out = append(out, p.Error())
	}
	return strings.Join(out, "\n")
}

func TestImportPersonsIsAllOrNothingAndRepeatable(t *testing.T) {
	w := newWorld(t, 0)
	good := []sync.PersonInput{
		{Line: 2, Number: "17855834553", Name: "Oppdiktet Gran", Kommune: "9999"},
		{Line: 3, Number: "57855834547", Name: "Oppdiktet Furu", Kommune: "9999"},  // synthetic D-number
		{Line: 4, Number: "01824101237", Name: "Oppdiktet Bjerk", Kommune: "9999"}, // wrong checksum: a finding, not a refusal
	}
	bad := append(good[:3:3], sync.PersonInput{Line: 5, Number: "17855834553", Name: "Oppdiktet To", Kommune: "9999"},
		sync.PersonInput{Line: 6, Number: "24920377749", Name: "Oppdiktet Tre", Unit: "ukjent"})
	_, err := w.e.ImportPersons(t.Context(), w.tenant, bad)
	msg := lines(t, err)
	if !strings.Contains(msg, "line 5: duplicate-number") || !strings.Contains(msg, "line 6: unknown-unit") || strings.Contains(msg, "17855834553") {
		t.Fatalf("problems:\n%s", msg)
	}
	count := func() (n int) {
		if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
			ps, err := store.List[store.Person](v, "", "", 0)
			n = len(ps)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 0 {
		t.Fatalf("%d persons after a failed import", n)
	}
	one, err := w.e.ImportPersons(t.Context(), w.tenant, good)
	if err != nil || one.New != 3 {
		t.Fatalf("%+v, %v", one, err)
	}
	two, err := w.e.ImportPersons(t.Context(), w.tenant, good)
	if err != nil || two.Same != 3 || two.Persons[0] != one.Persons[0] {
		t.Fatalf("%+v, %v", two, err)
	}
	// R1: the D-number becomes a permanent number; it is the same person, both stay linked.
	grown, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{{Line: 2, Number: "29823610163", Former: "57855834547", Name: "Oppdiktet Furu", Kommune: "9999"}})
	if err != nil || grown.Changed != 1 || grown.Persons[0] != one.Persons[1] {
		t.Fatalf("%+v, %v", grown, err)
	}
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
		p, who, err := w.e.PersonDoc(v, one.Persons[1])
		if err != nil {
			return err
		}
		if who.Number != "29823610163" || len(who.Former) != 1 || p.IDType != "1" || !p.Test || who.BirthDate != "1936-02-29" {
			t.Errorf("person %+v", p)
		}
		b, err := store.Get[store.Person](v, one.Persons[2].String())
		if err == nil && (b.IDIssue != "id-checksum" || b.BrukerNr != 3) {
			t.Errorf("person %+v", b)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A file that leaves out what is known does not erase it, also when numbers have stopped
// telling it (domain.md 5.1); and two persons are never made one by a former number.
func TestImportKeepsWhatAFileLeavesOut(t *testing.T) {
	w := newWorld(t, 0)
	line := sync.PersonInput{Line: 2, Number: "17855834553", Name: "Oppdiktet Gran", Sex: "2", Kommune: "9999"}
	one, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{line})
	if err != nil {
		t.Fatal(err)
	}
	w.now += 8 * 366 * 24 * hour // 2034
	line.Sex, line.Name = "", "Oppdiktet Grantre"
	if done, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{line}); err != nil || done.Changed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
		_, who, err := w.e.PersonDoc(v, one.Persons[0])
		if who.BirthDate != "1958-05-17" || who.Sex != "2" {
			t.Errorf("born %q, sex %q", who.BirthDate, who.Sex)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	other := sync.PersonInput{Line: 3, Number: "29823610163", Name: "Oppdiktet Furu", Kommune: "9999"}
	if _, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{other}); err != nil {
		t.Fatal(err)
	}
	other.Former = line.Number
	_, err = w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{other})
	if msg := lines(t, err); !strings.Contains(msg, "line 3: former-is-another") {
		t.Fatalf("problems:\n%s", msg)
	}
}

// R89: somebody without a number is found by the id of the source system when the number comes.
func TestImportOfSomebodyWithoutANumber(t *testing.T) {
	w := newWorld(t, 0)
	const first, second, third = "17855834553", "29823610163", "57855834547"
	ana := sync.PersonInput{Ref: "K-1", Name: "Oppdiktet Ukjent", BirthDate: "1958-05-17", Kommune: "9999"}
	var id model.PersonID
	for i, c := range []struct {
		name, number, former, ref, birth string
		want                             string // number that is kept, or a code
		same                             bool   // the person of the first line
	}{
		{"no number", "", "", "K-1", "1958-05-17", "", true},
		{"again", "", "", "K-1", "1958-05-17", "", true},
		{"neither number nor ref", "", "", "", "1958-05-17", "missing-value", false},
		{"nor date of birth", "", "", "K-2", "", "missing-value", false},
		{"the number comes", first, "", "K-1", "", first, true},
		{"a late file without it", "", "", "K-1", "", first, true},
		{"by the number alone", first, "", "", "", first, true},
		{"another number under the ref", second, "", "K-1", "", "ref-is-another", false},
		{"which is told as former", second, first, "K-1", "", second, true},
		{"another person", third, "", "K-3", "", third, false},
		{"under the ref of the first", third, "", "K-1", "", "ref-is-another", false},
		{"known by number, the ref comes later", third, "", "K-4", "", third, false},
	} {
		in := ana
		in.Line, in.Number, in.Former, in.Ref, in.BirthDate = i+2, c.number, c.former, c.ref, c.birth
		done, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{in})
		if err != nil {
			if msg := lines(t, err); c.want == "" || !strings.Contains(msg, c.want) {
				t.Errorf("%s: %s", c.name, msg)
			}
			continue
		}
		if i == 0 {
			id = done.Persons[0]
		}
		w.view(func(v store.View) error {
			p, who, err := w.e.PersonDoc(v, done.Persons[0])
			if err != nil || who.Number != c.want || who.BirthDate == "" || (p.ID == id) != c.same || (p.IDType == "9") != (c.want == "") {
				t.Errorf("%s: %v, %+v, number %q", c.name, err, p, who.Number)
			}
			return nil
		})
	}
}

// A store copied without its key file shows no name and no identity number.
func TestNamesAndNumbersAreSealedAtRest(t *testing.T) {
	w := newWorld(t, 0)
	if _, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{{Line: 2, Number: "17855834553", Name: "Oppdiktet Granskogen", Kommune: "9999"}}); err != nil {
		t.Fatal(err)
	}
	tb := w.tablet("anne", model.RoleNurse)
	if _, _, err := w.e.IssueLease(t.Context(), sync.LeaseGrant{Tenant: w.tenant, Device: tb.id, Actor: "anne", Name: "Oppdiktet Sykepleier"}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(w.dir, "tenants", "testvik.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"17855834553", "Granskogen", "Sykepleier", "1958-05-17"} {
		for _, form := range spellings(secret) {
			if bytes.Contains(raw, []byte(form)) {
				t.Errorf("%q stands in the store file, as %q", secret, form)
			}
		}
	}
	// The search itself finds what is not sealed: the tenant's name, and a base64 of it.
	if !bytes.Contains(raw, []byte("Testvik")) || !slices.ContainsFunc(spellings("Testvik"), func(s string) bool {
		return strings.Contains(base64.StdEncoding.EncodeToString([]byte("av Testvik kommune")), s)
	}) {
		t.Error("the search is blind")
	}
}

// spellings are the ways a text can stand in a file of JSON documents: as it is, and inside
// base64 at each of the three alignments, without the characters that share bits with
// neighbours.
func spellings(text string) []string {
	out := []string{text}
	for shift := range 3 {
		whole := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + text))
		from, to := (shift*8+5)/6, (shift+len(text))*8/6
		out = append(out, whole[from:to])
	}
	return out
}

func TestImportUnits(t *testing.T) {
	w := newWorld(t, 0)
	in := []sync.UnitInput{
		{Line: 2, Local: "A", Name: "Helse", OrgNumber: "312345676"},
		{Line: 3, Local: "B", Parent: "A", Name: "Hjemmetjenester"},
		{Line: 4, Local: "C", Parent: "B", Name: "Sone"},
	}
	one, err := w.e.ImportUnits(t.Context(), w.tenant, in)
	if err != nil || one.New != 3 {
		t.Fatalf("%+v, %v", one, err)
	}
	two, err := w.e.ImportUnits(t.Context(), w.tenant, in)
	if err != nil || two.Same != 3 {
		t.Fatalf("%+v, %v", two, err)
	}
	_, err = w.e.ImportUnits(t.Context(), w.tenant, []sync.UnitInput{
		{Line: 2, Local: "A", Parent: "C", Name: "Helse"},
		{Line: 3, Local: "D", Parent: "X", Name: "Ukjent"},
		{Line: 4, Local: "E", Name: "Feil", OrgNumber: "312345675"},
		{Line: 5, Name: "Uten kode"},
	})
	msg := lines(t, err)
	for _, want := range []string{"line 2: unit-circle", "line 3: unknown-unit", "line 4: ", "line 5: missing-member"} {
		if !strings.Contains(msg, want) {
			t.Errorf("no %q in\n%s", want, msg)
		}
	}
	// A later number ends the one before it the day before (R69).
	if _, err := w.e.ImportUnits(t.Context(), w.tenant, []sync.UnitInput{{Line: 2, Local: "A", Name: "Helse", OrgNumber: "311111116", From: "2026-01-01"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
		units, err := store.List[store.OrgUnit](v, "", "", 0)
		for _, u := range units {
			if u.Local == "A" && (len(u.OrgNumber) != 2 || u.OrgNumber[0].To != "2025-12-31" || u.OrgNumber[1].To != "") {
				t.Errorf("numbers %+v", u.OrgNumber)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
