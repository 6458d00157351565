package kpr

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flette/iplos"
	"flette/model"
	"flette/store"
)

func TestProviderHistory(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	provider := unitOf(serviceID(1), "provider")
	x, _ := w.run(w.options())
	if x.Counts["N"] != 1 {
		t.Fatalf("%v", x.Counts)
	}
	w.set(1, model.ActConfirm, provider, `{"unit":"`+unitLow+`","from":"2026-05-01"}`)
	w.nothing(w.options())

	// The unit got its own number on 1 June: on 15 May it reports its parent's, which is
	// the number told before, so that is no change.
	w.set(1, model.ActRegister, provider, `{"unit":"`+unitOwn+`","from":"2026-05-15"}`)
	w.nothing(w.options())
	w.set(1, model.ActCorrect, provider, `{"unit":"`+unitOwn+`","from":"2026-06-15"}`)
	w.run(w.options())
	w.set(1, model.ActRegister, provider, `{"unit":"`+unitMid+`","from":"2026-07-01"}`)
	w.run(w.options())
	want := []string{"N TjenesteStart 2026-05-01 15 " + orgA, "N TjenesteutforerEndret 2026-06-15 15 " + orgB, "N TjenesteutforerEndret 2026-07-01 15 " + orgA}
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Fatalf("R69, R80 (-want +got)\n%s", diff)
	}

	// The last change was a mistake: it is withdrawn, and the one before it stays.
	w.set(1, model.ActCorrect, provider, `{"unit":"`+unitOwn+`","from":"2026-06-20"}`)
	w.run(w.options())
	want = append(want, "C TjenesteutforerEndret 2026-07-01 15 "+orgA)
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Fatalf("a correction keeps what came before the corrected one (-want +got)\n%s", diff)
	}
}

func TestTimeline(t *testing.T) {
	id := func(n byte) model.EntryID { return model.EntryID{n} }
	say := func(n byte, act model.Act, unit, from string, over ...byte) iplos.Told {
		out := iplos.Told{ID: id(n), Act: act, At: model.Millis(n), Value: []byte(`{"unit":"` + unit + `","from":"` + from + `"}`)}
		for _, o := range over {
			out.Over = append(out.Over, id(o))
		}
		return out
	}
	undo := func(n byte, act model.Act, target byte) iplos.Told {
		return iplos.Told{ID: id(n), Act: act, Target: id(target)}
	}
	for _, c := range []struct {
		name    string
		history []iplos.Told
		shown   byte
		want    string
	}{
		{"one", []iplos.Told{say(1, "register", "a", "2026-01-01")}, 1, "a 2026-01-01"},
		{"two after each other", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "register", "b", "2026-02-01", 1)}, 2, "b 2026-02-01, a 2026-01-01"},
		{"confirmed", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "confirm", "a", "2026-01-01", 1), say(3, "register", "b", "2026-02-01", 2)}, 3, "b 2026-02-01, a 2026-01-01"},
		{"corrected", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "correct", "b", "2026-02-01", 1)}, 2, "b 2026-02-01"},
		{"corrected after it was confirmed", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "confirm", "a", "2026-01-01", 1), say(3, "correct", "b", "2026-02-01", 2)}, 3, "b 2026-02-01"},
		{"only the last was corrected", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "register", "b", "2026-02-01", 1), say(3, "correct", "c", "2026-03-01", 2)}, 3, "c 2026-03-01, a 2026-01-01"},
		{"corrected twice", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "correct", "b", "2026-02-01", 1), say(3, "correct", "c", "2026-03-01", 2)}, 3, "c 2026-03-01"},
		{"decided between two", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "register", "b", "2026-02-01", 1), say(3, "register", "c", "2026-02-05", 1), say(4, "decide", "b", "2026-02-01", 2, 3)}, 4, "b 2026-02-01, a 2026-01-01"},
		{"decided for the later one", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "register", "b", "2026-02-01", 1), say(3, "register", "c", "2026-02-05", 1), say(4, "decide", "c", "2026-02-05", 2, 3)}, 4, "c 2026-02-05, a 2026-01-01"},
		{"rewritten with an earlier day", []iplos.Told{say(1, "register", "a", "2026-03-01"), say(2, "register", "b", "2026-02-01", 1)}, 2, "b 2026-02-01"},
		{"voided in between", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "register", "b", "2026-02-01", 1), undo(3, "void", 2), say(4, "register", "c", "2026-03-01", 2)}, 4, "c 2026-03-01, a 2026-01-01"},
		{"voided and reinstated", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "register", "b", "2026-02-01", 1), undo(3, "void", 2), undo(4, "reinstate", 3), say(5, "register", "c", "2026-03-01", 2)}, 5, "c 2026-03-01, b 2026-02-01, a 2026-01-01"},
		{"a voided correction corrects nothing", []iplos.Told{say(1, "register", "a", "2026-01-01"), say(2, "correct", "b", "2026-02-01", 1), undo(3, "void", 2), say(4, "register", "c", "2026-03-01", 2)}, 4, "c 2026-03-01, a 2026-01-01"},
		{"what it replaced has not arrived", []iplos.Told{say(2, "register", "b", "2026-02-01", 1)}, 2, "b 2026-02-01"},
		{"shown entry unknown", nil, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.history {
				if !c.history[i].Act.Sets() && c.history[i].Target.IsZero() {
					t.Fatal("bad case")
				}
			}
			var got []string
			for _, p := range timeline(iplos.NewHistory(c.history), id(c.shown)) {
				got = append(got, p.Unit+" "+p.From)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

// TestReleasedProvider lets a change of provider out of quarantine: its place in the unit's
// history is that of the release, its content that of the held entry.
func TestReleasedProvider(t *testing.T) {
	w := newWorld(t)
	w.newPerson(1)
	w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
	provider := model.Unit(unitOf(serviceID(1), "provider"))
	w.update(func(tx store.Tx) error {
		before, err := tx.Unit(person(1), provider)
		if err != nil {
			return err
		}
		held, err := w.appendAs(tx, 1, model.ActRegister, store.Quarantined, -1, model.Change{
			Unit: provider, Value: []byte(`{"unit":"` + unitOwn + `","from":"2026-06-15"}`), Over: []model.EntryID{before.Shown().ID}})
		if err != nil {
			return err
		}
		release, err := w.appendAs(tx, 1, model.ActRelease, store.Applied, before.Position, model.Change{Unit: model.QuarantineUnit, Target: &held.ID})
		if err != nil {
			return err
		}
		held.Position = release.Position
		return tx.PutUnit(person(1), &model.UnitState{Unit: provider, Position: release.Position, Heads: []model.Head{held}})
	})
	w.run(w.options())
	want := []string{"N TjenesteStart 2026-05-01 15 " + orgA, "N TjenesteutforerEndret 2026-06-15 15 " + orgB}
	if diff := cmp.Diff(want, shortLedger(w.ledger(Test))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBrokenHistoryStopsTheRun(t *testing.T) {
	for name, at := range map[string]int64{"another unit's entry": 0, "beyond the journal": 99} {
		w := newWorld(t)
		w.newPerson(1)
		w.service(1, serviceID(1), "15", "2026-05-01", unitLow)
		w.update(func(tx store.Tx) error {
			s, err := tx.Unit(person(1), model.Unit(unitOf(serviceID(1), "provider")))
			if err != nil {
				return err
			}
			s.Position = at
			return tx.PutUnit(person(1), s)
		})
		_, _, err := Run(context.Background(), w.st, skogvik, w.options())
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
