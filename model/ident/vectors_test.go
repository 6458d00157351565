package ident

import (
	"errors"
	"testing"

	"flette/model"
)

// The personal numbers below have month + 80 (or + 40), so they were never a person's.
func TestParseVectors(t *testing.T) {
	for _, c := range []struct {
		name, number     string
		kind             Kind
		birth            string // legacy only
		legacy, from2032 string // expected code, "" when valid
	}{
		{"synthetic, remainder 0", "01824101236", KindSyntheticFNR, "1941-02-01", "", ""},
		{"remainder 1", "01824101244", KindSyntheticFNR, "", "id-checksum", ""},
		{"remainder 2", "01824101252", KindSyntheticFNR, "", "id-checksum", ""},
		{"remainder 3", "01824101260", KindSyntheticFNR, "", "id-checksum", ""},
		{"synthetic 1958", "17855834553", KindSyntheticFNR, "1958-05-17", "", ""},
		{"leap day", "29823610163", KindSyntheticFNR, "1936-02-29", "", ""},
		{"born 2003", "24920377749", KindSyntheticFNR, "2003-12-24", "", ""},
		{"born 2019", "05811981267", KindSyntheticFNR, "2019-01-05", "", ""},
		{"synthetic D, remainder 1", "41824101238", KindSyntheticDNumber, "", "id-checksum", ""},
		{"synthetic D", "57855834547", KindSyntheticDNumber, "1958-05-17", "", ""},
		{"month + 40", "01424101253", KindHNumber, "1941-02-01", "", ""},
		{"last digit changed", "01824101237", 0, "", "id-checksum", "id-checksum"},
		{"month 99 is none", "41994101208", 0, "", "id-date", "id-date"},
		{"DUF", "209900000103", KindDUF, "", "", ""},
		{"DUF", "209912345608", KindDUF, "", "", ""},
		{"DUF, last digit changed", "209900000104", 0, "", "id-checksum", "id-checksum"},
		{"empty", "", 0, "", "id-length", "id-length"},
		{"ten digits", "0182410123", 0, "", "id-length", "id-length"},
		{"thirteen digits", "2099000001030", 0, "", "id-length", "id-length"},
		{"space", "018241 1236", 0, "", "id-digits", "id-digits"},
		{"leading space", " 01824101236", 0, "", "id-digits", "id-digits"},
		{"Arabic digits", "٠١٨٢٤١", 0, "", "id-digits", "id-digits"},
		{"minus", "-1824101236", 0, "", "id-digits", "id-digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, m := range []struct {
				mode Mode
				want string
			}{{Legacy, c.legacy}, {From2032, c.from2032}} {
				id, err := Parse(c.number, m.mode)
				if got := codeOf(t, err); got != m.want {
					t.Fatalf("mode %d: code %q, want %q", m.mode, got, m.want)
				}
				if m.want != "" {
					if id != (ID{}) {
						t.Errorf("mode %d: refused number gave an ID", m.mode)
					}
					continue
				}
				if id.Kind != c.kind || id.Number.Reveal() != c.number {
					t.Errorf("mode %d: kind %d, want %d", m.mode, id.Kind, c.kind)
				}
				birth, ok := id.Birth()
				if want := m.mode == Legacy && c.birth != ""; ok != want {
					t.Fatalf("mode %d: birth known %v, want %v", m.mode, ok, want)
				}
				if ok && birth.Format("2006-01-02") != c.birth {
					t.Errorf("birth %s, want %s", birth.Format("2006-01-02"), c.birth)
				}
			}
		})
	}
}

func codeOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var p *model.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no Problem", err)
	}
	return p.Code
}

// R2 and code list 9032.
func TestReporting(t *testing.T) {
	for _, c := range []struct {
		kind                       Kind
		synthetic, reportable, kpr bool
		typeID                     string
	}{
		{KindFNR, false, true, true, "1"},
		{KindDNumber, false, true, true, "2"},
		{KindHNumber, false, false, false, "3"},
		{KindSyntheticFNR, true, false, false, "1"},
		{KindSyntheticDNumber, true, false, false, "2"},
		{KindFHNumber, false, true, false, "12"},
		{KindDUF, false, true, true, "10"},
		{0, false, false, false, "9"},
	} {
		id := ID{Kind: c.kind}
		if id.Synthetic() != c.synthetic || id.Reportable() != c.reportable || id.GivesKPRID() != c.kpr || id.KPRTypeID() != c.typeID {
			t.Errorf("kind %d: synthetic %v, reportable %v, KPR-ID %v, type %s", c.kind, id.Synthetic(), id.Reportable(), id.GivesKPRID(), id.KPRTypeID())
		}
	}
}

func TestBirthYear(t *testing.T) {
	for _, c := range []struct{ yy, individual, year int }{
		{0, 0, 1900}, {99, 499, 1999}, {54, 500, 1854}, {99, 749, 1899}, {0, 500, 2000}, {39, 999, 2039},
		{39, 750, 2039}, {40, 900, 1940}, {99, 999, 1999}, {40, 500, 0}, {53, 749, 0}, {53, 750, 0}, {99, 899, 0},
	} {
		year, ok := birthYear(c.yy, c.individual)
		if year != c.year || ok != (c.year != 0) {
			t.Errorf("birthYear(%d, %d) = %d, want %d", c.yy, c.individual, year, c.year)
		}
	}
}

func TestOrgNumber(t *testing.T) {
	for number, want := range map[string]string{
		"312345676": "", "311111116": "", "210000003": "", "315555558": "", "310000019": "",
		"312345675": "id-checksum", "31234567": "id-length", "3123456760": "id-length", "31234567x": "id-digits",
	} {
		n, err := ParseOrgNumber(number)
		if got := codeOf(t, err); got != want {
			t.Errorf("%s: code %q, want %q", number, got, want)
		}
		if want == "" && !n.IsTest() {
			t.Errorf("%s is of the test series", number)
		}
	}
	if OrgNumber("").IsTest() || OrgNumber("999999999").IsTest() {
		t.Error("no test number taken for one")
	}
}

func TestOtherNumbers(t *testing.T) {
	kommune := func(s string) error { _, err := ParseKommune(s); return err }
	district := func(s string) error { _, err := ParseDistrict(s); return err }
	hpr := func(s string) error { _, err := ParseHPR(s); return err }
	for _, c := range []struct {
		name   string
		parse  func(string) error
		number string
		want   string
	}{
		{"Oslo", kommune, "0301", ""},
		{"unknown", kommune, "9999", ""},
		{"three digits", kommune, "301", "id-length"},
		{"letters", kommune, "03o1", "id-digits"},
		{"no county", kommune, "0001", "id-digits"},
		{"district", district, "15", ""},
		{"none", district, "00", ""},
		{"six characters", district, "0301A2", ""},
		{"empty district", district, "", "id-length"},
		{"seven characters", district, "0301A21", "id-length"},
		{"punctuation", district, "0-1", "id-digits"},
		{"HPR of 7", hpr, "1234567", ""},
		{"HPR of 9", hpr, "123456789", ""},
		{"HPR of 6", hpr, "123456", "id-length"},
		{"HPR of 10", hpr, "1234567890", "id-length"},
		{"HPR with 0", hpr, "0234567", "id-digits"},
		{"HPR with letter", hpr, "12345x7", "id-digits"},
	} {
		if got := codeOf(t, c.parse(c.number)); got != c.want {
			t.Errorf("%s: code %q, want %q", c.name, got, c.want)
		}
	}
	for _, k := range []Kommune{KommuneAbroad, KommuneAbroadEEA, KommuneUnknown} {
		if !k.Special() {
			t.Errorf("%s is special", k)
		}
	}
	if Kommune("0301").Special() || District("1").Regular() || !District("01").Regular() || District("A1").Regular() {
		t.Error("a regular number is taken for a special one, or the other way round")
	}
}
