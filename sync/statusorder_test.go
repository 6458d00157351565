package sync_test

import (
	"testing"

	"flette/model"
	"flette/sync"
)

// Nei with a date before its Ja is accepted from the tablet, found, and gone once it is set
// right (domain.md 1.5, R49). The two sides are registrations of different visits.
func TestAnEndBeforeItsJa(t *testing.T) {
	w := ruled(t, 1)
	anne, berit, p := w.nurse("anne"), w.nurse("berit"), w.persons[0]
	const unit = model.Unit("status/waiting_list")
	ref := model.FindingRef{Rule: "R49", Unit: unit}
	state := func(wanted string) {
		t.Helper()
		if got := w.finding(p, ref); got != wanted {
			t.Fatalf("R49 is %q, want %q", got, wanted)
		}
	}
	ja := anne.entry(p, model.ActRegister, []model.Change{set(unit, `{"code":"1","date":"2026-05-01"}`)})
	want(t, anne.push(ja), "applied")
	state("")
	nei := berit.entry(p, model.ActRegister, []model.Change{set(unit, `{"code":"2","date":"2026-04-01"}`, ja.id)})
	want(t, berit.push(nei), "applied")
	state(sync.StateOpen)
	w.mustVerify()
	right := berit.entry(p, model.ActCorrect, []model.Change{set(unit, `{"code":"2","date":"2026-06-01"}`, nei.id)},
		func(e *model.Entry) { e.Reason = &model.Reason{Code: "wrong-date"} })
	want(t, berit.push(right), "applied")
	state("")
	// Taking the correction back brings the wrong end back, and taking that back the Ja.
	for _, c := range []struct {
		undo model.EntryID
		want string
	}{{right.id, sync.StateOpen}, {nei.id, ""}} {
		void := anne.entry(p, model.ActVoid, []model.Change{{Unit: unit, Target: &c.undo}},
			func(e *model.Entry) { e.Reason = &model.Reason{Code: "mistake"} })
		want(t, anne.push(void), "applied")
		state(c.want)
		w.mustVerify()
	}
}
