package sync_test

import (
	"context"
	"errors"
	"testing"

	"flette/iplos"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// After an upgrade the findings follow the rules of before until Rejudge has judged everybody, whenever it was cut
// off; verify says so until then, and compares them again from then on.
func TestFindingsFollowNewRules(t *testing.T) {
	const persons = 130
	var calls int
	of := func(e *iplos.Engine) func(store.Tx, model.PersonID, model.Millis) error {
		return func(tx store.Tx, p model.PersonID, at model.Millis) error {
			calls++
			return e.Again(tx, p, at)
		}
	}
	// The former rules found nothing, but one thing that no rule finds any more.
	gone := store.Finding{Rule: "R0", Severity: "M", Detail: "Of a former version.", Since: day0}
	former := func(tx store.Tx, p model.PersonID, _ []model.Unit, _ model.Millis) error {
		f := gone
		f.Person = p
		return store.Put(tx, f)
	}
	rules := iplos.New(iplos.Settings{})
	checks := sync.Checks{Person: rules.Verify}
	w := newWorldWith(t, 0, sync.Options{Rules: former, Rejudge: sync.Rejudge{Version: "1", Person: of(rules)}})
	w.addPersons(persons)
	n := w.nurse("anne")
	const service = "service/0190a000-0000-7000-8000-0000000000d1"
	n.push(n.entry(w.persons[0], model.ActRegister, []model.Change{set(service, `{"type":"15"}`), set(service+"/start", `{"date":"2026-03-01"}`)}))

	w.restart(sync.Options{Rules: rules.Apply, Live: rules.Live, Rejudge: sync.Rejudge{Version: "2", Person: of(rules)}})
	verified := func(current bool) {
		t.Helper()
		r, err := w.e.Verify(t.Context(), w.tenant, checks, nil)
		if err != nil || !r.OK() || r.FormerRules == current {
			t.Fatalf("current %t: %+v, %v", current, r, err)
		}
	}
	verified(false)
	ctx, cancel := context.WithCancel(t.Context())
	cut := w.options
	cut.Rejudge.Person = func(tx store.Tx, p model.PersonID, at model.Millis) error {
		if calls++; calls == 60 {
			cancel()
		}
		return rules.Again(tx, p, at)
	}
	w.restart(cut)
	first, err := w.e.Rejudge(ctx, w.tenant)
	if !errors.Is(err, context.Canceled) || first == 0 || first >= persons {
		t.Fatalf("%d persons before it was cut off, %v", first, err)
	}
	verified(false)
	rest, err := w.e.Rejudge(t.Context(), w.tenant)
	if err != nil || first+rest != persons {
		t.Fatalf("%d and %d persons, want %d: %v", first, rest, persons, err)
	}
	verified(true)
	w.view(func(v store.View) error {
		found, err := store.List[store.Finding](v, "", "", 0)
		if err != nil {
			return err
		}
		start := false
		for _, f := range found {
			if f.Rule == gone.Rule {
				t.Errorf("%+v is still there", f)
			}
			start = start || f.Rule == "R49" && f.Person == w.persons[0]
		}
		if !start {
			t.Error("what the new rules find is not there")
		}
		return nil
	})
	calls = 0
	if again, err := w.e.Rejudge(t.Context(), w.tenant); err != nil || again != 0 || calls != 0 {
		t.Errorf("once more: %d persons, %d calls, %v", again, calls, err)
	}
}

// A municipality that is new here has nobody whom other rules judged.
func TestANewMunicipalityFollowsTheRules(t *testing.T) {
	rules := iplos.New(iplos.Settings{})
	w := newWorldWith(t, 3, sync.Options{Rules: rules.Apply, Rejudge: sync.Rejudge{Version: "1", Person: rules.Again}})
	r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{Person: rules.Verify}, nil)
	if err != nil || !r.OK() || r.FormerRules {
		t.Fatalf("%+v, %v", r, err)
	}
	if n, err := w.e.Rejudge(t.Context(), w.tenant); n != 0 || err != nil {
		t.Errorf("%d persons, %v", n, err)
	}
}
