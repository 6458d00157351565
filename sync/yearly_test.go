package sync_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"flette/iplos/kpr"
	"flette/iplos/yearly"
	"flette/model"
	"flette/store"
)

// The yearly extract of a journal prefix is the same to the byte, whatever is pushed later; what
// is registered in the new year is not of the old one, and what is corrected then is (R73).
func TestYearlyExtractOfAPrefix(t *testing.T) {
	w := ruled(t, 3)
	n := w.nurse("anne")
	const service = "service/0190a000-0000-7000-8000-0000000000c1"
	for _, p := range w.persons {
		n.push(n.entry(p, model.ActRegister, []model.Change{
			set("score/vision", `{"score":2}`), set(service, `{"type":"15"}`), set(service+"/start", `{"date":"2026-03-01"}`),
		}))
	}
	extract := func(position int64, year int) string {
		t.Helper()
		var ide, ipl bytes.Buffer
		w.view(func(v store.View) error {
			_, err := yearly.Run(t.Context(), v, yearly.Options{
				Year: year, Position: position, Target: kpr.Test, Units: w.e.UnitsOf, Open: w.keys.Open,
			}, &ide, &ipl)
			return err
		})
		return ide.String() + ipl.String()
	}
	var size int64
	w.view(func(v store.View) error { size = v.Size(); return nil })
	first := extract(size, 2026)
	if strings.Count(first, `type="15"`) != 3 || strings.Count(first, `id="sense_vision"`) != 3 {
		t.Fatal(first)
	}
	old := w.unit(w.persons[0], service+"/start").Heads[0].ID
	w.now = model.MillisOf(time.Date(2027, 1, 5, 9, 0, 0, 0, time.UTC))
	n.login(model.RoleNurse)
	for _, p := range w.persons {
		n.push(n.entry(p, model.ActRegister, []model.Change{set("score/vision", `{"score":5}`, w.unit(p, "score/vision").Heads[0].ID)}))
	}
	n.push(n.entry(w.persons[0], model.ActCorrect, []model.Change{set(service+"/start", `{"date":"2026-03-02"}`, old)}, func(e *model.Entry) {
		e.Reason = &model.Reason{Code: "wrong-date"}
	}))
	if again := extract(size, 2026); again != first {
		t.Errorf("the prefix gives another extract:\n%s\n%s", first, again)
	}
	now := extract(0, 2026)
	if strings.Count(now, `verdi="2"`) != 3 || strings.Contains(now, `verdi="5"`) || strings.Count(now, `start="2026-03-02"`) != 1 || strings.Count(now, `start="2026-03-01"`) != 2 {
		t.Errorf("in January:\n%s", now)
	}
	if next := extract(0, 2027); strings.Count(next, `verdi="5"`) != 3 {
		t.Errorf("of the next year:\n%s", next)
	}
}

// A correction of January speaks of the year of what it corrects: what was registered in the new year and
// corrected then is not of the old one, and neither is a correction of that correction (R73).
func TestACorrectionIsOfTheYearOfWhatItCorrects(t *testing.T) {
	w := ruled(t, 1)
	n, p := w.nurse("anne"), w.persons[0]
	const service = "service/0190a000-0000-7000-8000-0000000000c1"
	n.push(n.entry(p, model.ActRegister, []model.Change{set("score/vision", `{"score":2}`), set(service, `{"type":"15"}`), set(service+"/start", `{"date":"2026-03-01"}`)}))
	w.now = model.MillisOf(time.Date(2027, 1, 5, 9, 0, 0, 0, time.UTC))
	n.login(model.RoleNurse)
	on := func(act model.Act, value string) {
		w.now += 60_000
		res := n.push(n.entry(p, act, []model.Change{set("score/vision", value, w.unit(p, "score/vision").Heads[0].ID)}, func(e *model.Entry) {
			if act == model.ActCorrect {
				e.Reason = &model.Reason{Code: "typo"}
			}
		}))
		if res[0].Outcome != store.Applied.String() {
			t.Fatalf("%+v", res[0])
		}
	}
	on(model.ActRegister, `{"score":5}`)
	on(model.ActCorrect, `{"score":4}`)
	on(model.ActCorrect, `{"score":3}`)
	for year, want := range map[int]string{2026: `verdi="2"`, 2027: `verdi="3"`} {
		var ide, ipl bytes.Buffer
		w.view(func(v store.View) error {
			_, err := yearly.Run(t.Context(), v, yearly.Options{Year: year, Target: kpr.Test, Units: w.e.UnitsOf, Open: w.keys.Open}, &ide, &ipl)
			return err
		})
		if !strings.Contains(ipl.String(), `navn="score" `+want) {
			t.Errorf("%d lacks %s:\n%s", year, want, ipl.String())
		}
	}
}
