package kpr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
)

// ledger is the register's side of a test: what it has been told, in order.
type ledger struct {
	head  Head
	all   []store.Notification
	newst map[model.PersonID]map[string]store.Notification
}

func newLedger() *ledger {
	return &ledger{head: Head{Target: Test}, newst: map[model.PersonID]map[string]store.Notification{}}
}

func (l *ledger) newest(p model.PersonID) []store.Notification {
	var out []store.Notification
	for _, n := range l.newst[p] {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b store.Notification) int { return strings.Compare(a.EventKey, b.EventKey) })
	return out
}

func (l *ledger) send(p model.PersonID, w Wanted, m Mark) []store.Notification {
	from := len(l.all)
	for _, pending := range Plan(l.newest(p), w, m) {
		n := l.head.link("skogvik", pending, 1_760_000_000_000, "x")
		l.all = append(l.all, n)
		if l.newst[p] == nil {
			l.newst[p] = map[string]store.Notification{}
		}
		l.newst[p][n.EventKey] = n
	}
	return l.all[from:]
}

func statuses(list []store.Notification) string {
	var out []string
	for _, n := range list {
		out = append(out, n.Status+" "+n.Kind)
	}
	return strings.Join(out, ", ")
}

var markA = Mark{"1", "h1"}

func TestPlanChain(t *testing.T) {
	l := newLedger()
	s := Service{ID: svcA, Type: "15", OrgRule: OrgCan, Start: d("2026-05-01")}
	want := func(step, expected string) []store.Notification {
		t.Helper()
		got := l.send(personA, Desired(Subject{Person: personA, Services: []Service{s}}, testRules()), markA)
		if statuses(got) != expected {
			t.Fatalf("%s: sent %q, want %q", step, statuses(got), expected)
		}
		return got
	}
	n := want("first", "N TjenesteStart")[0]
	if n.PrevGUID != ZeroGUID || n.Serial != 1 || n.Ref != "" {
		t.Errorf("K1: first notification %+v", n)
	}
	want("unchanged", "")
	s.Start.At++
	want("R29 confirmed", "")
	s.Start.Date = "2026-05-02"
	m := want("R87 corrected", "M TjenesteStart")[0]
	s.Start.Date = "2026-05-03"
	m2 := want("R87 corrected again", "M TjenesteStart")[0]
	if m.Ref != n.GUID || m2.Ref != n.GUID {
		t.Errorf("R87: M points at %s and %s, the N is %s", m.Ref, m2.Ref, n.GUID)
	}
	if m.EventGUID == n.EventGUID || m2.EventGUID == m.EventGUID {
		t.Error("a new version of an event has the old version's id")
	}
	s.Rejected = true
	c := want("R87 withdrawn", "C TjenesteStart")[0]
	if c.Ref != n.GUID || c.EventGUID != m2.EventGUID || c.Date != "2026-05-03" {
		t.Errorf("C tells %+v", c)
	}
	want("withdrawn stays withdrawn", "")
	s.Rejected = false
	again := want("back again", "N TjenesteStart")[0]
	if again.Ref != "" || again.GUID == n.GUID || again.EventGUID == n.EventGUID {
		t.Errorf("the new N is the old one: %+v", again)
	}
	s.Start.Date = "2027-01-01"
	want("R55 moved to a day ahead", "C TjenesteStart")
	s.Start.Date, s.Pauses = "2026-05-03", []Pause{{pauseA, d("2026-06-01"), d("2026-06-08")}}
	want("pause", "N TjenesteStart, N MidlertidigStoppFra, N MidlertidigStoppTil")
	s.End = d("2026-05-01")
	want("K6 frozen", "")
	s.End = d("2026-06-30")
	want("mended", "N TjenesteSlutt")
	s.Pauses[0].To = Dated{}
	want("pause open again", "C MidlertidigStoppTil")
	s.Type = "6"
	want("recoded to an expired type", "C MidlertidigStoppFra, C TjenesteSlutt, C TjenesteStart")
}

func TestPlanNewIdentity(t *testing.T) {
	l := newLedger()
	w := Desired(Subject{Person: personA, Services: []Service{{ID: svcA, Type: "15", OrgRule: OrgCan, Start: d("2026-05-01"), End: d("2026-06-01")}}}, testRules())
	l.send(personA, w, Mark{typeOther, "birth"})
	got := l.send(personA, w, markA)
	if statuses(got) != "M TjenesteStart, M TjenesteSlutt" {
		t.Fatalf("R89: %s", statuses(got))
	}
	if got[0].TypeID != "1" || got[0].Ref != l.all[0].GUID {
		t.Errorf("R89: %+v", got[0])
	}
	if got := l.send(personA, w, markA); len(got) != 0 {
		t.Errorf("sent twice: %s", statuses(got))
	}
}

func TestPlanWrongPerson(t *testing.T) {
	l := newLedger()
	personB := model.PersonID{0xbb, 15: 1}
	s := []Service{{ID: svcA, Type: "15", OrgRule: OrgCan, Start: d("2026-05-01")}}
	l.send(personA, Desired(Subject{Person: personA, Services: s}, testRules()), markA)
	a := l.send(personA, Desired(Subject{Person: personA}, testRules()), markA)
	b := l.send(personB, Desired(Subject{Person: personB, Services: s}, testRules()), Mark{"1", "h2"})
	if statuses(a)+" | "+statuses(b) != "C TjenesteStart | N TjenesteStart" {
		t.Fatalf("R88: %s | %s", statuses(a), statuses(b))
	}
	if a[0].Person != personA || b[0].Person != personB || b[0].EventGUID == l.all[0].EventGUID {
		t.Errorf("R88: %+v, %+v", a[0], b[0])
	}
}

func TestHeldEvents(t *testing.T) {
	e := Event{Key: "k", Kind: ServiceStart, Person: personA, ServiceID: svcA, Type: "15", Date: "2026-05-01"}
	changed := e
	changed.Type = "1"
	moved := changed
	moved.Date = "2027-01-01"
	for _, c := range []struct {
		name string
		e    Event
		held Held
		want string
	}{
		{"known and the same", e, HeldBefore, ""},
		{"known and changed, before", changed, HeldBefore, "M TjenesteStart"},
		{"known and changed, after", changed, HeldAfter, "M TjenesteStart"},
		{"known and moved, after", moved, HeldAfter, "C TjenesteStart"},
	} {
		l := newLedger()
		l.send(personA, Wanted{Events: []Event{e}}, markA)
		c.e.Held = c.held
		if got := statuses(l.send(personA, Wanted{Events: []Event{c.e}}, markA)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, held := range []Held{HeldBefore, HeldAfter} {
		l := newLedger()
		e.Held = held
		if got := l.send(personA, Wanted{Events: []Event{e}}, markA); len(got) != 0 {
			t.Errorf("held %d sent as new", held)
		}
	}
}

func drawService(t *rapid.T, id, label string) Service {
	day := func(name string) Dated {
		n := rapid.IntRange(0, 40).Draw(t, label+name)
		if n == 0 {
			return Dated{}
		}
		return Dated{fmt.Sprintf("2026-%02d-%02d", 1+n%12, 1+n%28), model.Millis(n)}
	}
	s := Service{
		ID: id, Type: rapid.SampledFrom([]string{"15", "15", "8", "29", "6", "18", ""}).Draw(t, label+"type"),
		OrgRule:  rapid.SampledFrom([]string{OrgShall, OrgCan, OrgShallNot}).Draw(t, label+"org"),
		Rejected: rapid.IntRange(0, 5).Draw(t, label+"rejected") == 0, Rolling: rapid.Bool().Draw(t, label+"rolling"),
		Start: day("start"), End: day("end"), GrantFrom: day("from"), GrantTo: day("to"),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, label+"providers") {
		s.Providers = append(s.Providers, Provider{
			Unit: "u" + rapid.SampledFrom([]string{orgA, orgB, orgC, ""}).Draw(t, label+"unit"), From: day(fmt.Sprint("provider", i)).Date, At: model.Millis(i),
		})
	}
	if rapid.Bool().Draw(t, label+"paused") {
		s.Pauses = []Pause{{pauseA, day("pausefrom"), day("pauseto")}}
	}
	return s
}

// TestRandomHistories plays random lives of two services and reads the ledger as the
// register does: replaying it must give exactly what is wanted now (of what is not frozen).
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger()
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			label := fmt.Sprint(step, " ")
			subject := Subject{Person: personA, Services: []Service{drawService(t, svcA, label+"A "), drawService(t, svcB, label+"B ")}}
			mark := Mark{"1", rapid.SampledFrom([]string{"h1", "h1", "h1", "h2"}).Draw(t, label+"mark")}
			w := Desired(subject, testRules())
			l.send(personA, w, mark)
			if again := l.send(personA, w, mark); len(again) > 0 {
				t.Fatalf("K3: a second run sent %s", statuses(again))
			}
			stands := checkChain(t, l.all)
			for _, e := range w.Events {
				if w.Frozen[e.ServiceID] {
					continue
				}
				got, ok := stands[e.Key]
				if !ok && e.Held == 0 {
					t.Fatalf("the register lacks %s", e.Key)
				}
				if ok && got.Digest != digest(e, mark) {
					t.Fatalf("the register has an old %s", e.Key)
				}
				delete(stands, e.Key)
			}
			for key, n := range stands {
				if !w.Frozen[n.ServiceID] {
					t.Fatalf("the register has %s, which is no event", key)
				}
			}
		}
	})
}

// checkChain replays a ledger, checks K1 and R87, and returns what stands.
func checkChain(t interface{ Fatalf(string, ...any) }, all []store.Notification) map[string]store.Notification {
	stands := map[string]store.Notification{}
	open := map[string]string{} // key -> GUID of its N
	seen := map[string]bool{}
	prev, serial := ZeroGUID, int64(0)
	for _, n := range all {
		if n.Serial != serial+1 || n.PrevGUID != prev {
			t.Fatalf("K1: serial %d after %d, prev %s after %s", n.Serial, serial, n.PrevGUID, prev)
		}
		if seen[n.GUID] {
			t.Fatalf("K2: GUID used twice")
		}
		seen[n.GUID] = true
		serial, prev = n.Serial, n.GUID
		switch n.Status {
		case StatusNew:
			if open[n.EventKey] != "" || n.Ref != "" {
				t.Fatalf("N for an event that stands: %s", n.EventKey)
			}
			open[n.EventKey] = n.GUID
		default:
			if n.Ref == "" || n.Ref != open[n.EventKey] {
				t.Fatalf("R87: %s of %s does not point at the N", n.Status, n.EventKey)
			}
		}
		stands[n.EventKey] = n
		if n.Status == StatusCancel {
			delete(stands, n.EventKey)
			delete(open, n.EventKey)
		}
	}
	return stands
}
