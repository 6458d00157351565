package submit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flette/store"
)

func TestPrepareJudgesWhatStands(t *testing.T) {
	w := newWorld(t)
	first := w.mustPrepare(w.events(1, 5, "a"), "")
	if _, fresh, err := Prepare(context.Background(), w.st, skogvik, w.events(1, 5, "a"), "", w.who()); err != nil || fresh {
		t.Errorf("the same again: fresh %v, %v", fresh, err)
	}
	yearly := w.mustPrepare(w.shipment(KindSubject, 2026, "year"), "")
	w.mustPrepare(w.shipment(KindIdentity, 2026, "who"), "")
	again := w.shipment(KindSubject, 2026, "year, mended")
	second := w.mustPrepare(again, yearly.ID) // R75
	bad := w.shipment(KindSubject, 2026, "z")
	for _, c := range []struct {
		name     string
		ship     Shipment
		replaces string
		want     string
	}{
		{"R75 a second for the year", bad, "", "submission-exists"},
		{"R75 in the place of one that was replaced", bad, yearly.ID, "submission-exists"},
		{"in the place of another kind", bad, first.ID, "submission-exists"},
		{"in the place of another year", w.shipment(KindSubject, 2025, "z"), second.ID, "submission-replaces"},
		{"in the place of nothing", w.shipment(KindSubject, 2025, "z"), "nobody", "submission-replaces"},
		{"the same serials in another message", w.events(5, 9, "b"), "", "submission-exists"},
		{"serials with a gap before them", w.events(7, 9, "b"), "", "submission-order"},
		{"R73 no year", w.shipment(KindSubject, 0, "z"), "", "submission-shipment"},
		{"no kind", Shipment{Target: Test}, "", "submission-shipment"},
		{"no hash", Shipment{Kind: KindSubject, Target: Test, Year: 2026, SHA256: "ABC", Bytes: 1, Path: "x"}, "", "submission-shipment"},
	} {
		if _, err := w.prepare(c.ship, c.replaces); code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	w.mustPrepare(w.shipment(KindSubject, 2025, "last year"), "")
	if got := w.record(yearly.ID); got.ReplacedBy != second.ID || got.Standing() {
		t.Errorf("%+v", got)
	}
	if got := w.verify(); len(got) > 0 {
		t.Error(got)
	}
}

func TestLostAnswerIsUnknownAndSentAgainIsTheSame(t *testing.T) {
	w := newWorld(t)
	sub := w.mustPrepare(w.events(1, 5, "message"), "")
	var came []string
	answers := []Receipt{
		{State: Unknown, Reason: "no answer"},
		{State: Prepared, Reason: "no network"}, // nothing left: what is unknown stays unknown
		{State: Rejected, Status: 500, Faults: []Fault{{Code: 2010}}, Details: []string{"quoted 12345"}},
		{State: Prepared, Reason: "no token"},
		{State: Accepted, Status: 200, Reference: "r"},
	}
	w.reg = func(s Submission, body []byte) Receipt {
		came = append(came, s.ID+" "+string(body))
		return answers[len(came)-1]
	}
	for i, want := range []string{Unknown, Unknown, Rejected, Rejected, Accepted} {
		r, err := w.send(sub.ID)
		if err != nil || r.State != want {
			t.Fatalf("attempt %d: %s, %v", i+1, r.State, err)
		}
	}
	for _, one := range came {
		if one != sub.ID+" message" {
			t.Errorf("it sent %q", one)
		}
	}
	if _, err := w.send(sub.ID); code(err) != "submission-accepted" || len(came) != 5 {
		t.Errorf("U3: %v, %d requests", err, len(came))
	}
	r := w.record(sub.ID)
	if r.Attempts() != 3 || len(r.Events) != 1+2*5 {
		t.Errorf("%d attempts, %d events", r.Attempts(), len(r.Events))
	}
	answer := r.Events[6]
	if p, err := answer.Reveal(openTest); err != nil || len(p.Details) != 1 || p.Details[0] != "quoted 12345" {
		t.Errorf("U6: %+v, %v", p, err)
	}
	if strings.Contains(fmt.Sprintf("%+v %s", answer, answer.Sealed), "12345") {
		t.Error("U6: the ledger shows what the register quoted")
	}
	if got := w.verify(); len(got) > 0 {
		t.Error(got)
	}
}

func TestProcessThatDiedLeavesUnknown(t *testing.T) {
	w := newWorld(t)
	sub := w.mustPrepare(w.events(1, 5, "message"), "")
	func() {
		defer func() { _ = recover() }()
		w.reg = func(Submission, []byte) Receipt { panic("died") }
		_, _ = w.send(sub.ID)
	}()
	if got := w.record(sub.ID).State; got != Sent {
		t.Fatalf("U2: while the request is out it is %s", got)
	}
	if _, err := Forgot(context.Background(), w.st, skogvik, sub.ID, []string{"x"}, w.who()); !errors.Is(err, errAct) {
		t.Errorf("files of a message that is out: %v", err)
	}
	w.reg = func(Submission, []byte) Receipt { return Receipt{State: Accepted} }
	r, err := w.send(sub.ID)
	if err != nil || r.State != Accepted {
		t.Fatalf("%v, %v", r.State, err)
	}
	var acts []string
	for _, e := range r.Events {
		acts = append(acts, e.Act+" "+e.State)
	}
	if got, want := strings.Join(acts, ", "), "prepare prepared, send sent, interrupted unknown, send sent, answer accepted"; got != want {
		t.Errorf("%s", got)
	}
}

func TestMessagesGoInOrder(t *testing.T) {
	w := newWorld(t)
	a := w.mustPrepare(w.events(1, 5, "a"), "")
	b := w.mustPrepare(w.events(6, 6, "b"), "")
	for _, answer := range []string{Rejected, Unknown} {
		w.reg = func(Submission, []byte) Receipt { return Receipt{State: answer} }
		if _, err := w.send(a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.send(b.ID); code(err) != "submission-order" {
			t.Errorf("U4: after %s: %v", answer, err)
		}
	}
	// What takes the place of the first has to be accepted, not the first.
	again := w.events(1, 5, "a, mended")
	again.Path = "again.xml"
	w.put(store.Extract{ID: again.Extract, Target: Test, From: 1, To: 5, SHA256: a.SHA256})
	c := w.mustPrepare(again, a.ID)
	if _, err := w.send(a.ID); code(err) != "submission-replaced" {
		t.Errorf("the replaced one: %v", err)
	}
	w.reg = func(Submission, []byte) Receipt { return Receipt{State: Accepted} }
	for _, id := range []string{c.ID, b.ID} {
		if r, err := w.send(id); err != nil || r.State != Accepted {
			t.Errorf("%v, %v", r.State, err)
		}
	}
	if got := w.verify(); len(got) > 0 {
		t.Error(got)
	}
}

func TestAnotherFileIsNotSent(t *testing.T) {
	w := newWorld(t)
	sub := w.mustPrepare(w.shipment(KindSubject, 2026, "right"), "")
	w.files[sub.SHA256] = []byte("wrong")
	if _, err := w.send(sub.ID); code(err) != "submission-file" || w.calls != 0 {
		t.Errorf("%v, %d requests", err, w.calls)
	}
	if got := w.record(sub.ID).State; got != Prepared {
		t.Errorf("it is %s", got)
	}
}

func TestAnswerAboutAnotherMessageIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	sub := w.mustPrepare(w.shipment(KindSubject, 2026, "x"), "")
	w.reg = func(Submission, []byte) Receipt { return Receipt{State: Accepted, MessageID: "other"} }
	if r, err := w.send(sub.ID); err != nil || r.State != Unknown {
		t.Errorf("%v, %v", r.State, err)
	}
}

func TestFeedback(t *testing.T) {
	w := newWorld(t)
	sub := w.mustPrepare(w.shipment(KindSubject, 2026, "x"), "")
	say := func(s Said) (Record, error) {
		return Feedback(context.Background(), w.st, skogvik, sub.ID, s, w.who(), sealTest)
	}
	for _, s := range []Said{{}, {Verdict: "perhaps"}} {
		if _, err := say(s); code(err) != "submission-feedback" {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := say(Said{Counts: map[string]int{"Kari": 1}}); code(err) != "submission-counts" || strings.Contains(err.Error(), "Kari") {
		t.Errorf("%v", err)
	}
	if r := w.record(sub.ID); r.Differences() != nil {
		t.Errorf("%v", r.Differences())
	}
	r, err := say(Said{Verdict: Accepted, Counts: map[string]int{"15": 2, "29": 1, "2": 1}, Note: "told by telephone"})
	if err != nil || r.State != Accepted {
		t.Fatalf("%v, %v", r.State, err)
	}
	if got := fmt.Sprint(r.Differences()); got != "[{15 3 2} {29 0 1}]" {
		t.Errorf("%s", got)
	}
	if p, err := r.Events[1].Reveal(openTest); err != nil || p.Note != "told by telephone" {
		t.Errorf("%+v, %v", p, err)
	}
	if r, err = say(Said{Counts: map[string]int{"15": 3, "2": 1}}); err != nil || r.Differences() == nil || len(r.Differences()) != 0 {
		t.Errorf("%v, %v", r.Differences(), err)
	}
	if r, err = say(Said{Verdict: Rejected}); err != nil || r.State != Rejected {
		t.Errorf("%v, %v", r.State, err)
	}
	if got := w.verify(); len(got) > 0 {
		t.Error(got)
	}
}

func TestForgettable(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	w := newWorld(t)
	old := w.mustPrepare(w.shipment(KindSubject, 2026, "old"), "")
	w.reg = func(Submission, []byte) Receipt { return Receipt{State: Rejected} }
	if _, err := w.send(old.ID); err != nil {
		t.Fatal(err)
	}
	sub := w.mustPrepare(w.shipment(KindSubject, 2026, "new"), old.ID)
	other := w.mustPrepare(w.shipment(KindIdentity, 2026, "who"), "")
	names := func(days int) string {
		var out []string
		for _, r := range Forgettable(w.load(), w.now, days) {
			out = append(out, map[string]string{old.ID: "old", sub.ID: "new", other.ID: "who"}[r.ID])
		}
		return strings.Join(out, " ")
	}
	if got := names(0); got != "" {
		t.Errorf("before anything is accepted: %s", got)
	}
	w.reg = func(Submission, []byte) Receipt { return Receipt{State: Accepted} }
	if _, err := w.send(sub.ID); err != nil {
		t.Fatal(err)
	}
	w.now += 9 * day
	if got := names(10); got != "" {
		t.Errorf("a day too soon: %s", got)
	}
	// What is filed later does not make it younger.
	if _, err := Feedback(context.Background(), w.st, skogvik, sub.ID, Said{Note: "x"}, w.who(), sealTest); err != nil {
		t.Fatal(err)
	}
	w.now += day
	if got := names(10); got != "old new" {
		t.Errorf("in time: %s", got)
	}
}

// TestAnyHistory plays random lives against a register that keeps what it gets, and loses
// answers.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		kept := map[string]string{}
		times := map[string]int{}
		w.reg = func(s Submission, body []byte) Receipt {
			if old, ok := kept[s.ID]; ok && old != string(body) {
				rt.Fatalf("U3: other bytes under one id")
			}
			for _, r := range w.load() {
				if r.Standing() && r.To < s.From && r.State != Accepted {
					rt.Fatalf("U4: %d goes before %d is accepted", s.From, r.From)
				}
			}
			switch rapid.SampledFrom([]string{"accept", "lose", "lose unkept", "reject", "no network", "die"}).Draw(rt, "answer") {
			case "accept":
				kept[s.ID] = string(body)
				times[s.ID]++
				return Receipt{State: Accepted, MessageID: s.ID}
			case "lose":
				kept[s.ID] = string(body)
				return Receipt{State: Unknown}
			case "lose unkept":
				return Receipt{State: Unknown}
			case "reject":
				return Receipt{State: Rejected, Faults: []Fault{{Code: 2010}}}
			case "no network":
				return Receipt{State: Prepared}
			}
			panic("died")
		}
		next := int64(1)
		for i := range rapid.IntRange(3, 15).Draw(rt, "steps") {
			list := w.load()
			pick := func() *Record { return &list[rapid.IntRange(0, len(list)-1).Draw(rt, "which")] }
			switch what := rapid.SampledFrom([]string{"prepare", "send", "send", "send", "replace"}).Draw(rt, "step"); {
			case what == "prepare" || len(list) == 0:
				w.mustPrepare(w.events(next, next+2, fmt.Sprint("message ", i)), "")
				next += 3
			case what == "send":
				func() {
					defer func() {
						if p := recover(); p != nil && p != "died" {
							panic(p)
						}
					}()
					r := pick()
					got, err := w.send(r.ID)
					if err == nil && got.State == Accepted && kept[r.ID] == "" {
						rt.Fatalf("accepted, and the register has nothing")
					}
				}()
			case what == "replace":
				r := pick()
				s := w.events(r.From, r.To, fmt.Sprint("again ", i))
				s.Path = "again.xml"
				w.put(store.Extract{ID: s.Extract, Target: Test, From: r.From, To: r.To, SHA256: firstOf(list, r.From).SHA256})
				if r.Standing() && r.State != Sent {
					w.mustPrepare(s, r.ID)
				}
			}
			if found := w.verify(); len(found) > 0 {
				rt.Fatalf("%v", found)
			}
		}
		for id, n := range times {
			if n > 1 {
				rt.Fatalf("%s was accepted %d times in the ledger", id, n)
			}
		}
	})
}

func firstOf(list []Record, from int64) *Record {
	for i := range list {
		if list[i].From == from && list[i].Path == "" {
			return &list[i]
		}
	}
	return nil
}
