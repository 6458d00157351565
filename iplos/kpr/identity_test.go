package kpr

import (
	"strings"
	"testing"

	"flette/store"
)

// Identity numbers that nobody has: month + 80 where a test needs one that passes, and
// published examples with a wrong digit where it needs one that does not.
const (
	synFNR  = "17855834553"
	synDNR  = "57855834547"
	syn2032 = "01824101244" // valid by the rule of 2032 only
	badFNR  = "01824101237"
	someDUF = "209900000103"
	monthH  = "01424101253" // month + 40
)

func TestResolve(t *testing.T) {
	born := "1958-05-17"
	for _, c := range []struct {
		name   string
		p      store.Person
		id     store.Identity
		target string
		want   string // type and number, or rule and code
	}{
		{"R2 synthetic, production", store.Person{IDType: "1", Test: true}, store.Identity{Number: synFNR}, Production, "R2 test-person"},
		{"R2 synthetic that nobody flagged, production", store.Person{IDType: "1"}, store.Identity{Number: synFNR}, Production, "R2 test-person"},
		{"R2 synthetic by the rule of 2032 that nobody flagged", store.Person{IDType: "1"}, store.Identity{Number: syn2032}, Production, "R2 test-person"},
		{"R2 flagged, production", store.Person{IDType: "10", Test: true}, store.Identity{Number: someDUF}, Production, "R2 test-person"},
		{"R2 synthetic, test", store.Person{IDType: "1", Test: true}, store.Identity{Number: synFNR}, Test, "1 " + synFNR},
		{"synthetic D-number, test", store.Person{IDType: "2", Test: true}, store.Identity{Number: synDNR}, Test, "2 " + synDNR},
		{"K5 real person, test", store.Person{IDType: "10"}, store.Identity{Number: someDUF}, Test, "R2 real-person"},
		{"DUF-number, production", store.Person{IDType: "10"}, store.Identity{Number: someDUF}, Production, "10 " + someDUF},
		{"month + 40, production", store.Person{IDType: "3"}, store.Identity{Number: monthH}, Production, "3 " + monthH},
		{"month + 40 that import found wanting", store.Person{IDType: "3", IDIssue: "id-not-reportable"}, store.Identity{Number: monthH}, Production, "R2 id-not-reportable"},
		{"R2 wrong digit, production", store.Person{IDType: "1", IDIssue: "id-checksum"}, store.Identity{Number: badFNR, BirthDate: born}, Production, "R2 id-checksum"},
		{"R2 wrong digit as import files it", store.Person{IDType: "9", IDIssue: "id-checksum"}, store.Identity{Number: badFNR, BirthDate: born}, Production, "R2 id-checksum"},
		{"R2 wrong digit that import did not see", store.Person{IDType: "1"}, store.Identity{Number: badFNR, BirthDate: born}, Production, "R2 id-checksum"},
		{"R2 wrong length", store.Person{IDType: "1"}, store.Identity{Number: "123"}, Production, "R2 id-length"},
		{"no number: date of birth, type 9", store.Person{IDType: "9"}, store.Identity{BirthDate: born}, Production, "9 170558"},
		{"type 9 with some number: date of birth", store.Person{IDType: "9"}, store.Identity{Number: "temp-4", BirthDate: born}, Production, "9 170558"},
		{"no number, whatever the issue", store.Person{IDIssue: "id-length"}, store.Identity{BirthDate: born}, Production, "9 170558"},
		{"flagged person without number, test", store.Person{Test: true}, store.Identity{BirthDate: born}, Test, "9 170558"},
		{"no number and no date of birth", store.Person{}, store.Identity{}, Production, "R2 id-missing"},
		{"passport", store.Person{IDType: "4"}, store.Identity{Number: `X<"1>&`}, Production, `4 X<"1>&`},
		{"passport that cannot be written", store.Person{IDType: "4"}, store.Identity{Number: "X\n1"}, Production, "R2 id-not-presentable"},
		{"passport that is too long", store.Person{IDType: "4"}, store.Identity{Number: strings.Repeat("9", 101)}, Production, "R2 id-not-presentable"},
		{"R74 no brukerNr", store.Person{IDType: "10", BrukerNr: -1}, store.Identity{Number: someDUF}, Production, "R74 bruker-nr-missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.p.ID = personA
			if c.p.BrukerNr == 0 {
				c.p.BrukerNr = 7
			}
			b, out := Resolve(c.p, c.id, c.target)
			got := b.TypeID + " " + b.FID
			if out != nil {
				got = out.Rule + " " + out.Code
				if out.Person != personA || b != (Bruker{}) {
					t.Errorf("excluded %+v but shown as %+v", out, b)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDistrictIsLeftOutWhenNoAttributeCanHoldIt(t *testing.T) {
	for district, want := range map[string]string{"": "", "03": "03", "123456": "123456", "1234567": "", `0"3`: ""} {
		b, out := Resolve(store.Person{ID: personA, BrukerNr: 7, IDType: "10", District: district}, store.Identity{Number: someDUF}, Production)
		if out != nil || b.District != want {
			t.Errorf("district %q shown as %q", district, b.District)
		}
	}
}

func TestWithoutNumberShowsNoNumber(t *testing.T) {
	p := store.Person{ID: personA, BrukerNr: 7}
	for birth, want := range map[string]string{"1958-05-17": "170558", "": "000000"} {
		if b := withoutNumber(p, store.Identity{Number: synFNR, BirthDate: birth}); b.FID != want || b.TypeID != typeOther {
			t.Errorf("shown as %s %s", b.TypeID, b.FID)
		}
	}
}

func TestMarkSeesEveryChange(t *testing.T) {
	plain := func(s string) string { return s }
	marks := map[Mark]bool{}
	for _, b := range []Bruker{{FID: "1", TypeID: "1"}, {FID: "2", TypeID: "1"}, {FID: "1", TypeID: "2"}} {
		marks[MarkOf(b, plain)] = true
	}
	if len(marks) != 3 {
		t.Errorf("%d marks for 3 identities", len(marks))
	}
	if MarkOf(Bruker{FID: "1", TypeID: "1", District: "03"}, plain) != MarkOf(Bruker{FID: "1", TypeID: "1"}, plain) {
		t.Error("a move to another district looks like a new identity")
	}
}
