package sync_test

import (
	"errors"
	"testing"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
	"flette/sync"
)

// A municipality that starts with Flette: services that ended long ago wait until a
// supervisor has confirmed them (R107), several at a time, each named and each on record.
func TestConfirmEnds(t *testing.T) {
	w := ruled(t, 3)
	a, p, q := w.nurse("anne"), w.persons[0], w.persons[1]
	const other, running = "service/0190a000-0000-7000-8000-0000000000f1", "service/0190a000-0000-7000-8000-0000000000f2"
	const force, ahead, fast = "coercion/0190a000-0000-7000-8000-0000000000c1", "coercion/0190a000-0000-7000-8000-0000000000c2", "coercion/0190a000-0000-7000-8000-0000000000c3"
	ended := func(unit model.Unit, date string) []model.Change {
		return []model.Change{set(unit, `{"type":"15"}`), set(unit+"/start", `{"date":"2019-05-01"}`), set(unit+"/end", `{"date":"`+date+`"}`)}
	}
	want(t, a.push(
		a.entry(p, model.ActRegister, append(ended(serviceA, "2019-11-20"), ended(other, "2020-01-31")...)),
		a.entry(q, model.ActRegister, append(ended(serviceA, "2021-03-04"), set(running, `{"type":"1"}`), set(running+"/start", `{"date":"2021-03-04"}`),
			set(force, `{"type":"24","decided":"2025-11-01","start":"2025-11-01","end":"2026-10-31"}`),
			set(ahead, `{"type":"24","decided":"2026-11-01","start":"2026-11-01","end":"2027-10-31"}`),
			set(fast, `{"type":"23","start":"2026-11-01","end":"2026-11-01"}`))),
	), "applied", "applied")

	seen := []sync.EndSeen{
		{Person: p, Unit: serviceA, Date: "2019-11-20"},
		{Person: p, Unit: other, Date: "2020-02-01"},   // as it was yesterday
		{Person: q, Unit: other, Date: "2020-01-31"},   // of somebody else
		{Person: q, Unit: running, Date: "2021-03-04"}, // has not ended
		{Person: q, Unit: force, Date: "2026-10-31"},
		{Person: q, Unit: ahead, Date: "2027-10-31"},
		{Person: q, Unit: fast, Date: "2026-11-01"},
		{Person: q, Unit: "service/x", Date: "2026-10-31"},
		{Person: model.PersonID{1}, Unit: serviceA, Date: "2019-11-20"},
		{Person: p, Unit: serviceA, Date: "2019-11-20"}, // twice in one call
	}
	confirm := func(dry bool, outcomes ...sync.EndOutcome) []sync.EndResult {
		t.Helper()
		got, err := w.e.ConfirmEnds(t.Context(), sync.EndConfirmation{
			Tenant: w.tenant, Actor: "sonja", Roles: model.Roles(model.RoleSupervisor), Dry: dry,
			Reason: model.Reason{Code: "imported", Text: "avsluttet i forrige system"}, Ends: seen[:len(outcomes)],
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range got {
			if r.Outcome != outcomes[i] || r.EndSeen != seen[i] {
				t.Errorf("%d: %+v, want %s", i, r, outcomes[i])
			}
		}
		return got
	}
	size := func() (n int64) {
		w.view(func(v store.View) error { n = v.Size(); return nil })
		return n
	}
	before := size()
	confirm(true, sync.EndConfirmed, sync.EndChanged, sync.EndNotFound, sync.EndNotFound, sync.EndConfirmed, sync.EndNotFound, sync.EndNotFound, sync.EndNotFound, sync.EndNotFound, sync.EndConfirmed)
	if size() != before || w.finding(p, model.FindingRef{Rule: "R107", Unit: serviceA + "/end"}) != sync.StateOpen {
		t.Fatal("a dry run wrote something")
	}
	first := confirm(false, sync.EndConfirmed, sync.EndChanged, sync.EndNotFound, sync.EndNotFound, sync.EndConfirmed, sync.EndNotFound, sync.EndNotFound, sync.EndNotFound, sync.EndNotFound, sync.EndAlready)
	if size() != before+2 || first[9].Entry != first[0].Entry {
		t.Errorf("%d entries, %+v", size()-before, first[9])
	}
	// Only what was named, each by an entry that says who and why.
	for _, f := range []struct {
		person model.PersonID
		unit   model.Unit
		state  string
	}{{p, serviceA + "/end", sync.StateClosed}, {p, other + "/end", sync.StateOpen}, {q, serviceA + "/end", sync.StateOpen}, {q, force, sync.StateClosed}} {
		if got := w.finding(f.person, model.FindingRef{Rule: "R107", Unit: f.unit}); got != f.state {
			t.Errorf("%s is %q, want %s", f.unit, got, f.state)
		}
	}
	w.view(func(v store.View) error {
		for position := before; position < v.Size(); position++ {
			l, err := v.Entry(position)
			if err != nil {
				return err
			}
			en, err := model.DecodeEntry(l.Payload)
			if err != nil || en.Actor != "sonja" || en.Reason.Text != "avsluttet i forrige system" || len(en.Changes) != 1 {
				t.Errorf("%+v, %v", en, err)
			}
		}
		return nil
	})
	again := confirm(false, sync.EndAlready, sync.EndChanged, sync.EndNotFound, sync.EndNotFound, sync.EndAlready)
	if size() != before+2 || again[0].Entry != first[0].Entry || again[4].Entry != first[4].Entry {
		t.Errorf("the second time: %+v", again)
	}
	w.mustVerify()
	// A nurse's role confirms nothing.
	_, err := w.e.ConfirmEnds(t.Context(), sync.EndConfirmation{
		Tenant: w.tenant, Actor: "anne", Roles: model.Roles(model.RoleNurse), Reason: model.Reason{Code: "x"},
		Ends: []sync.EndSeen{{Person: q, Unit: serviceA, Date: catalogue.Date("2021-03-04")}},
	})
	var problem *model.Problem
	if !errors.As(err, &problem) || size() != before+2 {
		t.Errorf("a nurse: %v", err)
	}
}
