package kpr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
)

func TestRun(t *testing.T) {
	w := newWorld(t)
	number := w.newPerson(1)
	w.newPerson(2)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	w.set(1, model.ActRegister, unitOf(serviceID(1), "pause/"+pauseA), `{"from":"2026-06-01","to":"2026-06-08"}`)
	x, file := w.run(w.options())

	want := []string{
		"N TjenesteStart 2026-05-01 15 " + orgA, // R69: from two levels up
		"N MidlertidigStoppFra 2026-06-01 15 " + orgA,
		"N MidlertidigStoppTil 2026-06-08 15 " + orgA,
	}
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	sum := sha256.Sum256(file)
	plain, err := opened(x.File, "extract|"+x.ID+"|1")
	if err != nil || !bytes.Equal(plain, file) || x.SHA256 != fmt.Sprintf("%x", sum) {
		t.Errorf("the stored file is not the one returned: %v", err)
	}
	x.File = nil
	wantX := store.Extract{
		ID: x.ID, Format: "kpr-56.0.0", Target: Test, Position: 5, From: 1, To: 3, Created: w.now, By: "operator", SHA256: x.SHA256,
		Counts: map[string]int{"N": 3, "TjenesteStart": 1, "MidlertidigStoppFra": 1, "MidlertidigStoppTil": 1, "type-15": 3, "persons": 1},
	}
	if diff := cmp.Diff(wantX, x); diff != "" {
		t.Errorf("extract (-want +got)\n%s", diff)
	}
	if got := attributes(t, file, "fid"); !slices.Equal(got, []string{number, number, number}) {
		t.Errorf("fid %v", got)
	}
	if got := attributes(t, file, "navnEPJ")[0] + "|" + attributes(t, file, "lokalident")[0]; got != "TEST Flette|TEST "+x.ID {
		t.Errorf("the file is not marked: %s", got)
	}
	if got := attributes(t, file, "notifikasjonTid")[0]; got != (w.now + 1000).RFC3339() {
		t.Errorf("notifikasjonTid %s is not when the last entry came", got)
	}
	for _, n := range w.ledger(Test) {
		if body, _ := json.Marshal(n); bytes.Contains(body, []byte(number)) || n.Extract != x.ID {
			t.Errorf("K7: %s", body)
		}
	}
	w.nothing(w.options())

	w.set(1, model.ActRegister, unitOf(serviceID(1), "end"), `{"date":"2026-06-30"}`)
	w.set(1, model.ActCorrect, unitOf(serviceID(1), "start"), `{"date":"2026-05-02"}`)
	x2, _ := w.run(w.options())
	want = append(want, "M TjenesteStart 2026-05-02 15 "+orgA, "N TjenesteSlutt 2026-06-30 15 "+orgA)
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if x2.From != 4 || x2.To != 5 || x2.ID == x.ID {
		t.Errorf("second extract %+v", x2)
	}
	checkChain(t, w.ledger(Test))
}

// TestSameWorldSameBytes builds one history twice: the files must be the same.
func TestSameWorldSameBytes(t *testing.T) {
	var files [2][][]byte
	for i := range files {
		w := newWorld(t)
		for n := range 5 {
			w.newPerson(n + 1)
			w.service(n+1, serviceID(n), "15", "2026-05-01", unitLow)
		}
		_, a := w.run(w.options())
		w.set(3, model.ActRegister, unitOf(serviceID(2), "end"), `{"date":"2026-06-30"}`)
		_, b := w.run(w.options())
		files[i] = [][]byte{a, b}
	}
	if diff := cmp.Diff(files[0], files[1]); diff != "" {
		t.Errorf("K2: %s", diff)
	}
}

func TestVoidedStartIsWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	w.run(w.options())
	start := unitOf(serviceID(1), "start")
	first := w.shown(1, start)
	w.void(1, start, first.ID, nil)
	w.run(w.options())
	w.set(1, model.ActRegister, start, `{"date":"2026-05-04"}`)
	w.run(w.options())
	want := []string{"N TjenesteStart 2026-05-01 15 " + orgA, "C TjenesteStart 2026-05-01 15 " + orgA, "N TjenesteStart 2026-05-04 15 " + orgA}
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Errorf("R87 (-want +got)\n%s", diff)
	}
	checkChain(t, w.ledger(Test))
}

func TestRollingRespite(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.set(1, model.ActRegister, unitOf(serviceID(1), ""), `{"type":"8","rolling":true}`)
	w.set(1, model.ActRegister, unitOf(serviceID(1), "grant"), `{"date":"2026-04-20","from":"2026-05-01","to":"2026-10-31","minutes_per_week":600}`)
	w.set(1, model.ActRegister, unitOf(serviceID(1), "provider"), `{"unit":"`+unitLow+`","from":"2026-05-01"}`)
	w.set(1, model.ActRegister, unitOf(serviceID(2), ""), `{"type":"8"}`)
	w.set(1, model.ActRegister, unitOf(serviceID(2), "grant"), `{"date":"2026-04-20"}`)
	w.set(1, model.ActRegister, unitOf(serviceID(3), ""), `{"type":"8","rolling":true}`)
	w.set(1, model.ActRegister, unitOf(serviceID(3), "grant"), `{"date":"2026-05-20"}`) // no period: from the decision
	opt := w.options()
	opt.To = "2026-06-01"
	w.run(opt)
	opt.To = "2026-11-01"
	w.run(opt)
	want := []string{"N TjenesteStart 2026-05-01 8 " + orgA, "N TjenesteStart 2026-05-20 8", "N TjenesteSlutt 2026-10-31 8 " + orgA}
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Errorf("R55 (-want +got)\n%s", diff)
	}
}

func TestExclusion(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)                                                                                                  // synthetic
	w.identify(2, store.Person{IDType: "1", IDIssue: "id-checksum"}, store.Identity{Number: badFNR})                // wrong
	w.identify(3, store.Person{IDType: "10"}, store.Identity{Number: someDUF})                                      // sendable
	w.identify(4, store.Person{IDType: "9"}, store.Identity{BirthDate: "1958-05-17"})                               // no number
	w.identify(5, store.Person{IDType: "10", Test: true}, store.Identity{Number: someDUF, BirthDate: "1958-05-17"}) // flagged
	for n := 1; n <= 5; n++ {
		w.service(n, serviceID(n), "15", "2026-05-01", unitLow)
	}
	w.newPerson(6) // synthetic, no services: nothing to leave out
	opt := w.options()
	opt.Target = Production
	x, file := w.run(opt)
	want := []store.Excluded{{Person: person(1), Rule: "R2", Code: "test-person"}, {Person: person(2), Rule: "R2", Code: "id-checksum"}, {Person: person(5), Rule: "R2", Code: "test-person"}}
	if diff := cmp.Diff(want, x.Excluded); diff != "" || x.Counts["excluded"] != 3 {
		t.Errorf("R2 (-want +got)\n%s", diff)
	}
	if got := attributes(t, file, "fid"); !slices.Equal(got, []string{someDUF, "170558"}) {
		t.Errorf("fid %v", got)
	}
	if got := attributes(t, file, "navnEPJ")[0]; got != "Flette" {
		t.Errorf("a production file says %q", got)
	}

	xt, file := w.run(w.options())
	if got := attributes(t, file, "typeID"); !slices.Equal(got, []string{"1", "10"}) {
		t.Errorf("types of the test file %v", got)
	}
	wantTest := []store.Excluded{{Person: person(2), Rule: "R2", Code: "real-person"}, {Person: person(3), Rule: "R2", Code: "real-person"}, {Person: person(4), Rule: "R2", Code: "real-person"}}
	if diff := cmp.Diff(wantTest, xt.Excluded); diff != "" {
		t.Errorf("K5 (-want +got)\n%s", diff)
	}
	if xt.From != 1 {
		t.Errorf("the targets share a chain: from %d", xt.From)
	}

	// R2: found to be a test person after it was sent: withdrawn, without the number.
	tweak(w, person(3).String(), func(p *store.Person) { p.Test = true })
	_, file = w.run(opt)
	if got := strings.Join(append(attributes(t, file, "statusNotifikasjon"), attributes(t, file, "fid")...), " "); got != "C 000000" {
		t.Errorf("R2: %s", got)
	}
	// K6: a number found to be wrong after it was sent: nothing is said before it is mended.
	tweak(w, person(4).String(), func(p *store.Person) { p.IDIssue, p.BrukerNr = "id-checksum", 0 })
	w.nothing(opt)
	// R89: the number came.
	w.identify(4, store.Person{IDType: "10"}, store.Identity{Number: "209912345608", BirthDate: "1958-05-17"})
	_, file = w.run(opt)
	if got := strings.Join(append(attributes(t, file, "statusNotifikasjon"), attributes(t, file, "typeID")...), " "); got != "M 10" {
		t.Errorf("R89: %s", got)
	}
	checkChain(t, w.ledger(Production))
}

func TestMessagesEndAndGoOn(t *testing.T) {
	w := newWorld(t)
	for n := 1; n <= 7; n++ {
		w.newPerson(n)
		w.service(n, serviceID(n), "15", "2026-05-01", unitLow)
	}
	opt := w.options()
	opt.Max = 3
	var sizes []int
	for {
		x, _, err := Run(context.Background(), w.st, skogvik, opt)
		if errors.Is(err, ErrNothingToSend) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, x.Counts["N"])
		if len(sizes) == 1 {
			// Before where the next message goes on: it must not be forgotten.
			w.set(1, model.ActRegister, unitOf(serviceID(1), "end"), `{"date":"2026-06-30"}`)
		}
	}
	if !slices.Equal(sizes, []int{3, 3, 1, 1}) {
		t.Errorf("messages of %v", sizes)
	}
	if all := checkChain(t, w.ledger(Test)); len(all) != 8 {
		t.Errorf("%d events stand", len(all))
	}
	// The round is over, so the next one begins with the first person.
	w.set(1, model.ActCorrect, unitOf(serviceID(1), "end"), `{"date":"2026-06-29"}`)
	w.set(7, model.ActRegister, unitOf(serviceID(7), "end"), `{"date":"2026-06-30"}`)
	if x, _ := w.run(opt); x.Counts["persons"] != 2 {
		t.Errorf("a new round tells of %d persons", x.Counts["persons"])
	}
}

// movedStore lets another run go first, between the plan and its storing.
type movedStore struct {
	store.Store
	first func()
}

func (m *movedStore) Update(ctx context.Context, tenant model.TenantID, persons []model.PersonID, fn func(store.Tx) error) (store.Commit, error) {
	if first := m.first; first != nil {
		m.first = nil
		first()
	}
	return m.Store.Update(ctx, tenant, persons, fn)
}

func TestRunPlansAgainWhenTheLedgerMoved(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	m := &movedStore{Store: w.st, first: func() {
		w.run(w.options())
		w.set(1, model.ActRegister, unitOf(serviceID(1), "end"), `{"date":"2026-06-30"}`)
	}}
	x, _, err := Run(context.Background(), m, skogvik, w.options())
	if err != nil || x.From != 2 || x.To != 2 {
		t.Fatalf("extract %d-%d, %v", x.From, x.To, err)
	}
	checkChain(t, w.ledger(Test))
	m.first = func() {
		w.set(1, model.ActCorrect, unitOf(serviceID(1), "end"), `{"date":"2026-06-29"}`)
		w.run(w.options())
	}
	if _, _, err := Run(context.Background(), m, skogvik, w.options()); !errors.Is(err, ErrNothingToSend) {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsStoredWhenAMessageIsRefused(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	w.update(func(tx store.Tx) error {
		x := tx.Tenant()
		x.Contacts = x.Contacts[:3]
		return tx.PutTenant(x)
	})
	_, _, err := Run(context.Background(), w.st, skogvik, w.options())
	var p *model.Problem
	if !errors.As(err, &p) || p.Code != "kpr-contact-missing" || !strings.Contains(p.Detail, "17") {
		t.Errorf("got %v", err)
	}
	f, err := Preview(context.Background(), w.st, skogvik, w.options())
	if err != nil || f.Blocked == nil || f.Blocked.Code != "kpr-contact-missing" || f.Counts["N"] != 1 {
		t.Errorf("preview %+v, %v", f, err)
	}
	if got := w.ledger(Test); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*Options)
		code   string
	}{
		"target":           {func(o *Options) { o.Target = "prod" }, "kpr-target"},
		"not a date":       {func(o *Options) { o.From = "2021" }, "kpr-period"},
		"period backwards": {func(o *Options) { o.From = "2026-12-01" }, "kpr-period"},
	} {
		opt := w.options()
		c.change(&opt)
		var p *model.Problem
		if _, _, err := Run(context.Background(), w.st, skogvik, opt); !errors.As(err, &p) || p.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	opt := w.options()
	opt.Open = nil
	if _, err := Preview(context.Background(), w.st, skogvik, opt); err == nil {
		t.Error("went on without keys")
	}
	opt = w.options()
	opt.To = ""
	if done, err := opt.complete(); err != nil || done.To != "2026-05-01" || done.From != "2021-01-01" || done.Max != MaxLines {
		t.Errorf("defaults %+v, %v", done, err)
	}
	if _, _, err := Run(context.Background(), w.st, "elsewhere", w.options()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	opt = w.options()
	opt.Open = func([]byte, string) ([]byte, error) { return nil, errors.New("wrong key") }
	if _, _, err := Run(context.Background(), w.st, skogvik, opt); err == nil || !strings.Contains(err.Error(), "wrong key") {
		t.Errorf("a wrong key gives %v", err)
	}
}

// TestRandomLivesInAStore plays random lives of three persons through the store and reads
// the ledger as the register does.
func TestRandomLivesInAStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		for n := 1; n <= 3; n++ {
			w.newPerson(n)
		}
		opt := w.options()
		opt.Max = rapid.IntRange(1, 6).Draw(rt, "max")
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			n := rapid.IntRange(1, 3).Draw(rt, fmt.Sprint("person ", step))
			id := serviceID(n*10 + rapid.IntRange(0, 1).Draw(rt, "service"))
			day := fmt.Sprintf("2026-%02d-%02d", rapid.IntRange(1, 11).Draw(rt, "month"), rapid.IntRange(1, 28).Draw(rt, "day"))
			act := rapid.SampledFrom([]model.Act{model.ActRegister, model.ActRegister, model.ActCorrect}).Draw(rt, "act")
			switch rapid.SampledFrom([]string{"service", "start", "start", "end", "pause", "provider", "reject", "run"}).Draw(rt, "what") {
			case "service":
				w.service(n, id, rapid.SampledFrom([]string{"15", "29", "6", "18"}).Draw(rt, "type"), day, unitLow)
			case "start":
				w.set(n, act, unitOf(id, "start"), `{"date":"`+day+`"}`)
			case "end":
				w.set(n, act, unitOf(id, "end"), `{"date":"`+day+`"}`)
			case "pause":
				w.set(n, act, unitOf(id, "pause/"+pauseA), `{"from":"`+day+`"}`)
			case "provider":
				w.set(n, act, unitOf(id, "provider"), `{"unit":"`+rapid.SampledFrom([]string{unitLow, unitOwn}).Draw(rt, "unit")+`","from":"`+day+`"}`)
			case "reject":
				w.set(n, act, unitOf(id, "grant"), `{"date":"`+day+`","rejected":true}`)
			case "run":
				if _, _, err := Run(context.Background(), w.st, skogvik, opt); err != nil && !errors.Is(err, ErrNothingToSend) {
					rt.Fatal(err)
				}
			}
		}
		for range 200 {
			if _, _, err := Run(context.Background(), w.st, skogvik, opt); errors.Is(err, ErrNothingToSend) {
				break
			} else if err != nil {
				rt.Fatal(err)
			}
		}
		w.nothing(opt)
		checkChain(rt, w.ledger(Test))
		if wrong := w.verify(); len(wrong) > 0 {
			rt.Fatalf("%q", wrong)
		}
		f, err := Preview(context.Background(), w.st, skogvik, opt)
		if err != nil || f.Counts["persons"] != 0 {
			rt.Fatalf("a preview after the last run: %v, %v", f.Counts, err)
		}
	})
}

// TestFullMessageFitsIntoADocument fills a message with the longest lines there are.
func TestFullMessageFitsIntoADocument(t *testing.T) {
	long := strings.Repeat("x", maxText)
	m := message(nil)
	m.Vendor, m.Version, m.LocalID = long, long, long[5:]
	head := Head{Target: Test}
	for range MaxLines {
		e := Event{Key: svcA, Kind: PauseFrom, Person: personA, ServiceID: svcA, PauseID: pauseA, Type: "15", OrgNumber: orgA, Date: "2026-05-01", RegTime: began}
		n := head.link(skogvik, Pending{StatusReplace, e, markA, &store.Notification{GUID: uuid.NewString()}}, began, "x")
		m.Lines = append(m.Lines, Line{n, Bruker{personA.String(), "1234567890", "123456", long, "1"}})
	}
	excluded := make([]store.Excluded, maxExcluded)
	for i := range excluded {
		excluded[i] = store.Excluded{Person: personA, Rule: "R74", Code: codeNoBrukerNr}
	}
	file := written(t, m)
	if err := Validate(context.Background(), file); err != nil {
		t.Error(err)
	}
	body, err := json.Marshal(store.Extract{File: file, Excluded: excluded})
	if err != nil || len(body) > store.MaxDocBytes*9/10 {
		t.Errorf("an extract takes %d bytes, %v", len(body), err)
	}
	t.Logf("longest file %d bytes, document %d of %d", len(file), len(body), store.MaxDocBytes)
}

func TestDeathIsRead(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	w.set(1, model.ActRegister, "person/death_date", `{"date":"2026-04-30"}`)
	w.nothing(w.options())
	f, err := Preview(context.Background(), w.st, skogvik, w.options())
	if err != nil || len(f.Notices) != 1 || f.Notices[0].Code != "start-after-death" {
		t.Errorf("R76: %+v, %v", f.Notices, err)
	}
}

// BenchmarkNothingToSend measures the scan that every run makes.
func BenchmarkNothingToSend(b *testing.B) {
	w := newWorld(b)
	const persons = 1000
	for n := 1; n <= persons; n++ {
		w.newPerson(n % 300)
		w.service(n%300, serviceID(n), "15", "2026-05-01", unitLow)
	}
	w.run(w.options())
	b.ReportAllocs()
	for b.Loop() {
		w.nothing(w.options())
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/persons, "µs/service")
}
