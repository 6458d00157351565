package kpr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flette/model"
	"flette/store"
)

func TestResend(t *testing.T) {
	w := newWorld(t)
	for n := 1; n <= 3; n++ {
		w.newPerson(n)
		w.service(n, serviceID(n), "15", "2026-05-01", unitLow)
	}
	x1, file1 := w.run(w.options())
	w.now += 3 * 24 * 3600 * 1000
	w.set(2, model.ActRegister, unitOf(serviceID(2), "end"), `{"date":"2026-06-30"}`)
	_, file2 := w.run(w.options())
	resend := func(sel Selection) []byte {
		t.Helper()
		file, err := Resend(context.Background(), w.st, skogvik, w.options(), sel)
		if err != nil {
			t.Fatal(err)
		}
		if err := Validate(context.Background(), file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if !bytes.Equal(resend(Selection{Extract: x1.ID}), file1) {
		t.Error("an extract sent again is not the extract")
	}
	serials := func(sel Selection) string { return strings.Join(attributes(t, resend(sel), "notifikasjonLopeNr"), " ") }
	for _, c := range []struct {
		name string
		sel  Selection
		want string
	}{
		{"serials", Selection{FromSerial: 2, ToSerial: 3}, "2 3"},
		{"from a serial", Selection{FromSerial: 3}, "3 4"},
		{"to a serial", Selection{ToSerial: 1}, "1"},
		{"person", Selection{Person: person(2)}, "2 4"},
		{"dates", Selection{FromDate: "2026-05-02"}, "4"},
		{"to a date", Selection{ToDate: "2026-05-01"}, "1 2 3"},
		{"person and date", Selection{Person: person(2), FromDate: "2026-05-02"}, "4"},
	} {
		if got := serials(c.sel); got != c.want {
			t.Errorf("%s: serials %s, want %s", c.name, got, c.want)
		}
		from, to, err := Serials(resend(c.sel))
		if err != nil || fmt.Sprint(from) != c.want[:1] || fmt.Sprint(to) != c.want[len(c.want)-1:] {
			t.Errorf("%s: serials %d-%d, %v; want those of %s", c.name, from, to, err, c.want)
		}
		if !bytes.Equal(resend(c.sel), resend(c.sel)) {
			t.Errorf("%s: not the same bytes twice", c.name)
		}
	}
	all := append(attributes(t, file1, "notifikasjonGUID"), attributes(t, file2, "notifikasjonGUID")...)
	if got := attributes(t, resend(Selection{FromSerial: 1}), "notifikasjonGUID"); !slices.Equal(got, all) {
		t.Errorf("GUIDs %v, want %v", got, all)
	}
	for name, sel := range map[string]Selection{"nothing chosen": {}, "nothing fits": {FromSerial: 9}, "no such extract": {Extract: "x"}} {
		var p *model.Problem
		if _, err := Resend(context.Background(), w.st, skogvik, w.options(), sel); !errors.As(err, &p) || p.Code != "kpr-selection" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// K5: no longer a test person: what is sent again to test shows no number.
	tweak(w, person(3).String(), func(p *store.Person) { p.Test = false })
	w.identify(3, store.Person{IDType: "10"}, store.Identity{Number: someDUF})
	if got := attributes(t, resend(Selection{Person: person(3)}), "fid"); got[0] != "000000" {
		t.Errorf("K5: a real number in a test file: %v", got)
	}
}

func TestPreview(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	w.service(1, serviceID(2), "6", "2026-05-01", unitLow)
	w.service(1, serviceID(3), "15", "2026-05-01", "aaaaaaaa-0000-4000-8000-00000000ffff")
	w.identify(2, store.Person{IDType: "10"}, store.Identity{Number: someDUF})
	w.service(2, serviceID(4), "15", "2026-05-01", unitLow)
	f, err := Preview(context.Background(), w.st, skogvik, w.options())
	if err != nil {
		t.Fatal(err)
	}
	want := Forecast{
		Position: 16, Counts: map[string]int{"N": 2, "TjenesteStart": 2, "type-15": 2, "persons": 1, "excluded": 1},
		Excluded: []store.Excluded{{Person: person(2), Rule: "R2", Code: "real-person"}},
		Lost:     map[string]int{"R2 real-person": 1, "R69 org-number-missing": 1, "R76 service-type-expired": 1},
		Notices: []Notice{
			{person(1), serviceID(2), "", "service-type-expired", "R76", true},
			{person(1), serviceID(3), ServiceStart, "org-number-missing", "R69", false},
		},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(w.ledger(Test)) != 0 {
		t.Error("a preview stored something")
	}
}

func TestNoticeOfAnIdentityWithoutKPRID(t *testing.T) {
	w := newWorld(t)
	w.identify(1, store.Person{IDType: "9", Test: true}, store.Identity{BirthDate: "1958-05-17"})
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	f, err := Preview(context.Background(), w.st, skogvik, w.options())
	want := []Notice{{Person: person(1), Code: "id-gives-no-kpr-id", Rule: "R89"}}
	if diff := cmp.Diff(want, f.Notices); diff != "" || err != nil {
		t.Errorf("(-want +got)\n%s %v", diff, err)
	}
}

func TestSerialsOfNoMessage(t *testing.T) {
	if from, to, err := Serials([]byte("<a/>")); from != 0 || to != 0 || err != nil {
		t.Errorf("a message without notifications: %d-%d, %v", from, to, err)
	}
	for _, bad := range []string{`<a notifikasjonLopeNr="x"/>`, `<a notifikasjonLopeNr="1"/><`} {
		if from, to, err := Serials([]byte(bad)); from != 0 || to != 0 || err == nil {
			t.Errorf("%s: %d-%d, %v", bad, from, to, err)
		}
	}
}

// What waits or was over is counted, once: what the register has already is not lost.
func TestPreviewCountsWhatIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2019-05-01", unitLow)
	w.set(1, model.ActRegister, unitOf(serviceID(1), "end"), `{"date":"2020-06-30"}`)
	w.service(1, serviceID(2), "15", "2026-12-24", unitLow)
	w.service(1, serviceID(3), "15", "2026-05-01", unitLow)
	for range 2 {
		f, err := Preview(context.Background(), w.st, skogvik, w.options())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"R55 lies-ahead": 1, "R76 ended-before-reporting": 2}, f.Lost); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if f.Counts["N"] == 1 {
			w.run(w.options())
		}
	}
}
