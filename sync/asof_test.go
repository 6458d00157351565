package sync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flette/internal/sheet"
	"flette/iplos/export"
	"flette/iplos/kpr"
	"flette/iplos/yearly"
	"flette/model"
	"flette/store"
)

// dryStore plans updates and keeps nothing of them.
type dryStore struct{ store.Store }

func (dryStore) Update(context.Context, model.TenantID, []model.PersonID, func(store.Tx) error) (store.Commit, error) {
	return store.Commit{}, nil
}

// message makes the next message as of a position, "" for none. With dry nothing is stored.
func (w *world) message(position int64, dry bool) string {
	w.t.Helper()
	var st store.Store = w.st
	if dry {
		st = dryStore{w.st}
	}
	_, file, err := kpr.Run(w.t.Context(), st, w.tenant, kpr.Options{
		Target: kpr.Test, Now: w.now, Vendor: "Flette", System: "Flette", Version: "1", To: "2026-12-31", Position: position, AsOf: w.e.AsOf,
		Open: w.keys.Open, Seal: w.keys.Seal, Index: w.keys.Index,
	})
	if err != nil && !errors.Is(err, kpr.ErrNothingToSend) {
		w.t.Fatal(err)
	}
	return string(file)
}

func (w *world) yearly(position int64) string {
	w.t.Helper()
	var ide, ipl bytes.Buffer
	w.view(func(v store.View) error {
		_, err := yearly.Run(w.t.Context(), v, yearly.Options{Year: 2026, Position: position, Target: kpr.Test, Units: w.e.UnitsOf, Open: w.keys.Open}, &ide, &ipl)
		return err
	})
	return ide.String() + ipl.String()
}

// sheets are those that are functions of the journal.
func (w *world) sheets(position int64) string {
	w.t.Helper()
	var b bytes.Buffer
	w.view(func(v store.View) (err error) {
		for _, name := range []string{"persons", "registrations", "services", "time"} {
			if _, err = export.Write(w.t.Context(), v, export.Options{
				Sheet: name, Position: position, AsOf: w.e.AsOf, Table: func(columns ...string) export.Table { return sheet.New(&b, columns...) },
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return b.String()
}

func (w *world) size() (size int64) {
	w.t.Helper()
	w.view(func(v store.View) error { size = v.Size(); return nil })
	return size
}

// units shows all units of the persons.
func (w *world) units(position int64) (out []*model.UnitState) {
	w.t.Helper()
	w.view(func(v store.View) (err error) {
		v = w.e.AsOf(v, position)
		for _, p := range w.persons {
			err = errors.Join(err, v.Units(p, "", "", func(s *model.UnitState) bool { out = append(out, s); return true }))
		}
		return err
	})
	return out
}

func (w *world) addContacts() {
	w.t.Helper()
	if _, err := w.st.Update(w.t.Context(), w.tenant, nil, func(tx store.Tx) error {
		t := tx.Tenant()
		for _, kind := range []string{"1", "15", "16", "17"} {
			t.Contacts = append(t.Contacts, store.Contact{Type: kind, Name: "Prøve", Email: "p@skogvik.example"})
		}
		return tx.PutTenant(t)
	}); err != nil {
		w.t.Fatal(err)
	}
}

// randomService signs something about one of two services of a person: over what is shown, or
// beside it, or taking it back.
func (tb *tablet) randomService(r *mathrand.Rand) signed {
	w := tb.w
	p := w.persons[r.IntN(len(w.persons))]
	base := model.Unit(fmt.Sprintf("service/0190a000-0000-7000-8000-%012x", 1+r.IntN(2)))
	day := fmt.Sprintf("2026-%02d-%02d", 1+r.IntN(10), 1+r.IntN(28))
	units := []struct {
		unit  model.Unit
		value string
	}{
		{base, `{"type":"` + []string{"15", "18", "29"}[r.IntN(3)] + `"}`},
		{base + "/start", `{"date":"` + day + `"}`},
		{base + "/start", `{"date":"` + day + `"}`},
		{base + "/end", `{"date":"` + day + `","reason":"ended"}`},
		{base + "/pause/0190a000-0000-7000-8000-00000000000f", `{"from":"` + day + `"}`},
		{"score/vision", fmt.Sprintf(`{"score":%d}`, 1+r.IntN(5))},
		{"time/0190a000-0000-7000-8000-00000000000e", fmt.Sprintf(`{"start":%q,"stop":%q,"kind":"direct"}`, (w.now - hour).RFC3339(), (w.now - model.Millis(r.IntN(3000))*sec).RFC3339())},
	}
	u := units[r.IntN(len(units))]
	c := model.Change{Unit: u.unit, Value: []byte(u.value)}
	act := model.ActRegister
	if s := w.unit(p, u.unit); s.Shown() != nil && r.IntN(4) > 0 {
		switch r.IntN(4) {
		case 0:
			id := s.Shown().ID
			c, act = model.Change{Unit: u.unit, Target: &id}, model.ActVoid
		case 1:
			act = model.ActCorrect
			fallthrough
		default:
			for _, h := range s.Heads {
				c.Over = append(c.Over, h.ID)
			}
		}
	}
	return tb.entry(p, act, []model.Change{c}, func(e *model.Entry) {
		if act != model.ActRegister {
			e.Reason = &model.Reason{Code: "wrong-value"}
		}
	})
}

// A message, the yearly extract, the sheets and the units of a journal prefix are the same to the byte,
// whatever is pushed later, and in a store that was restored from a copy.
func TestAPrefixGivesTheSameExtracts(t *testing.T) {
	all := 0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := mathrand.New(mathrand.NewPCG(seed, 1))
			w := ruled(t, 3)
			w.addContacts()
			n := w.nurse("anne")
			type made struct{ message, yearly, sheets string }
			var from int64 // where the ledger stands: no message goes back behind it
			was := map[int64]made{}
			units := map[int64][]*model.UnitState{}
			messages, told := 0, false
			remember := func() {
				at := w.size()
				was[at] = made{w.message(0, true), w.yearly(0), w.sheets(0)}
				w.view(func(v store.View) error {
					units[at] = nil
					for _, p := range w.persons {
						if err := v.Units(p, "", "", func(s *model.UnitState) bool { units[at] = append(units[at], s); return true }); err != nil {
							return err
						}
					}
					return nil
				})
			}
			check := func(when string) {
				t.Helper()
				for at, m := range was {
					if at == 0 {
						continue
					}
					if got := w.yearly(at); got != m.yearly {
						t.Errorf("%s: another yearly extract at %d (-was +is)\n%s", when, at, cmp.Diff(m.yearly, got))
					}
					if got := w.sheets(at); got != m.sheets {
						t.Errorf("%s: other sheets at %d (-was +is)\n%s", when, at, cmp.Diff(m.sheets, got))
					}
					if diff := cmp.Diff(units[at], w.units(at)); diff != "" {
						t.Errorf("%s: other units at %d (-was +is)\n%s", when, at, diff)
					}
					if at < from {
						continue
					}
					if m.message != "" {
						messages++
					}
					if got := w.message(at, true); got != m.message {
						t.Errorf("%s: another message at %d (-was +is)\n%s", when, at, cmp.Diff(m.message, got))
					}
				}
			}
			var restore func()
			for step := range 36 {
				if got := n.push(n.randomService(r))[0]; got.Outcome != "applied" && got.Outcome != "conflict" {
					t.Fatalf("%+v", got)
				}
				switch {
				case step == 20:
					told = w.message(0, false) != ""
					from = w.size()
					clear(was)
				case step == 28:
					restore = w.backup()
					n.login(model.RoleNurse)
				}
				remember()
			}
			check("later")
			restore()
			w.beginLife(false)
			kept := w.size()
			for at := range was {
				if at > kept {
					delete(was, at)
				}
			}
			check("restored")
			all += messages
			// And not behind what the register was told.
			var p *model.Problem
			_, _, err := kpr.Run(t.Context(), w.st, w.tenant, kpr.Options{
				Target: kpr.Test, Now: w.now, Vendor: "F", System: "F", Version: "1", Position: 1, AsOf: w.e.AsOf, Open: w.keys.Open, Seal: w.keys.Seal, Index: w.keys.Index,
			})
			if told && (!errors.As(err, &p) || p.Code != "kpr-position") {
				t.Errorf("a message behind the last one: %v", err)
			}
		})
	}
	if all < 25 {
		t.Errorf("only %d messages were compared", all)
	}
}

// What lies beyond the position is not there.
func TestAsOfHidesWhatCameLater(t *testing.T) {
	w := ruled(t, 1)
	n := w.nurse("anne")
	first := n.score(w.persons[0], "score/vision", 2)
	n.push(first)
	second := n.score(w.persons[0], "score/vision", 3, first.id)
	n.push(second)
	w.view(func(v store.View) error {
		if w.e.AsOf(v, v.Size()) != v {
			t.Error("the whole journal is wrapped")
		}
		v = w.e.AsOf(v, 1)
		s, err := v.Unit(w.persons[0], "score/vision")
		if err != nil || s.Shown().ID != first.id || v.Size() != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		if s, err := v.Unit(w.persons[0], "score/hearing"); s != nil || err != nil {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := v.Entry(1); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if at, err := v.EntryPosition(w.persons[0], first.id); at != 0 || err != nil {
			t.Error(at, err)
		}
		if _, err := v.EntryPosition(w.persons[0], second.id); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if list, err := v.PersonPositions(w.persons[0], -1, 10); len(list) != 1 || err != nil {
			t.Error(list, err)
		}
		return nil
	})
}
