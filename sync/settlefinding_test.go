package sync_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/iplos"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// ruled is a world with the rules of the register.
func ruled(t *testing.T, persons int) *world {
	rules := iplos.New(iplos.Settings{})
	w := newWorldWith(t, 0, sync.Options{Rules: rules.Apply, Live: rules.Live})
	w.addPersons(persons)
	t.Cleanup(func() {
		if r, err := w.e.Verify(context.Background(), w.tenant, sync.Checks{Person: rules.Verify}, nil); !w.tampered && (err != nil || !r.OK()) {
			t.Errorf("%+v, %v", r, err)
		}
	})
	return w
}

func set(unit model.Unit, value string, over ...model.EntryID) model.Change {
	return model.Change{Unit: unit, Value: jsontext.Value(value), Over: over}
}

// state of a finding: "" when the rule is not broken there.
func (w *world) finding(person model.PersonID, ref model.FindingRef) (state string) {
	w.t.Helper()
	w.view(func(v store.View) error {
		all, _, err := w.e.Findings(v, &person, sync.FindingFilter{Rule: ref.Rule}, "", 100)
		for _, f := range all {
			if f.Unit == ref.Unit {
				state = f.State
			}
		}
		return err
	})
	return state
}

func (w *world) say(person model.PersonID, ref model.FindingRef, act model.Act) error {
	_, err := w.e.SettleFinding(w.t.Context(), sync.FindingAct{
		Tenant: w.tenant, Person: person, Ref: ref, Act: act, Actor: "sonja", Roles: model.Roles(model.RoleSupervisor),
		Reason: model.Reason{Code: "looked-at", Text: "prøve"},
	})
	return err
}

func (w *world) mustSay(person model.PersonID, ref model.FindingRef, act model.Act, want string) {
	w.t.Helper()
	if err := w.say(person, ref, act); err != nil {
		w.t.Fatalf("%s of %s: %v", act, ref.Path(), err)
	}
	if got := w.finding(person, ref); got != want {
		w.t.Fatalf("after %s: %q, want %q", act, got, want)
	}
}

// A stored finding: settled, opened again by hand, by other facts, and by coming back.
func TestSettlingAStoredFinding(t *testing.T) {
	w := ruled(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	end := model.FindingRef{Rule: "R107", Unit: model.Unit(serviceA + "/end")}
	if err := w.say(p, end, model.ActClose); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a finding that does not hold: %v", err)
	}
	first := a.entry(p, model.ActRegister, []model.Change{
		set(model.Unit(serviceA), `{"type":"15"}`), set(model.Unit(serviceA+"/start"), `{"date":"2026-05-01"}`), set(end.Unit, `{"date":"2026-11-20"}`),
	})
	want(t, a.push(first), "applied")
	if got := w.finding(p, end); got != sync.StateOpen {
		t.Fatalf("at first %q", got)
	}
	w.mustSay(p, end, model.ActClose, sync.StateClosed)
	if err := w.say(p, end, model.ActRelease); !errors.Is(err, sync.ErrSettled) {
		t.Fatalf("settled twice: %v", err)
	}
	w.mustVerify()
	w.mustSay(p, end, model.ActReinstate, sync.StateOpen)
	if err := w.say(p, end, model.ActReinstate); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("opened twice: %v", err)
	}
	w.mustSay(p, end, model.ActRelease, sync.StateReleased)
	// Seen again, nothing new: the settlement stands.
	confirm := a.entry(p, model.ActConfirm, []model.Change{set(end.Unit, `{"date":"2026-11-20"}`, first.id)})
	want(t, a.push(confirm), "applied")
	if got := w.finding(p, end); got != sync.StateReleased {
		t.Fatalf("after a confirmation %q", got)
	}
	// Another date is another fact.
	reason := func(e *model.Entry) { e.Reason = &model.Reason{Code: "wrong-date"} }
	other := a.entry(p, model.ActCorrect, []model.Change{set(end.Unit, `{"date":"2026-11-21"}`, confirm.id)}, reason)
	want(t, a.push(other), "applied")
	if got := w.finding(p, end); got != sync.StateOpen {
		t.Fatalf("after a correction %q", got)
	}
	w.mustSay(p, end, model.ActClose, sync.StateClosed)
	// A void shows what stood before: another date, so it is open. When the void is taken back
	// the facts are those that were judged, and the rule was broken all the time.
	void := a.entry(p, model.ActVoid, []model.Change{{Unit: end.Unit, Target: &other.id}}, reason)
	want(t, a.push(void), "applied")
	if got := w.finding(p, end); got != sync.StateOpen {
		t.Fatalf("after a void %q", got)
	}
	want(t, a.push(a.entry(p, model.ActReinstate, []model.Change{{Unit: end.Unit, Target: &void.id}}, reason)), "applied")
	if got := w.finding(p, end); got != sync.StateClosed {
		t.Fatalf("after the void was taken back %q", got)
	}
}

// What goes away as a whole and comes again is open, although nothing is different.
func TestAFindingThatComesAgainIsOpen(t *testing.T) {
	w := ruled(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	pair := model.FindingRef{Rule: "R9", Unit: "person/household"}
	want(t, a.push(a.entry(p, model.ActRegister, []model.Change{set(model.Unit(serviceA), `{"type":"15"}`)})), "applied")
	w.mustSay(p, pair, model.ActRelease, sync.StateReleased)
	e := a.entry(p, model.ActRegister, []model.Change{set(pair.Unit, `{"code":"1"}`)})
	want(t, a.push(e), "applied")
	if got := w.finding(p, pair); got != "" {
		t.Fatalf("still broken: %q", got)
	}
	if err := w.say(p, pair, model.ActReinstate); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("opened again although it is gone: %v", err)
	}
	void := a.entry(p, model.ActVoid, []model.Change{{Unit: pair.Unit, Target: &e.id}}, func(e *model.Entry) { e.Reason = &model.Reason{Code: "mistake"} })
	want(t, a.push(void), "applied")
	if got := w.finding(p, pair); got != sync.StateOpen {
		t.Fatalf("what came again is %q", got)
	}
	if err := w.say(p, pair, model.ActReinstate); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("opened again although it is open: %v", err)
	}
}

// A live finding: a decision ran out. It is settled for that decision, day after day; the next
// one that runs out is a new question.
func TestSettlingALiveFinding(t *testing.T) {
	w := ruled(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	grant := model.FindingRef{Rule: "R107", Unit: model.Unit(serviceA + "/grant")}
	first := a.entry(p, model.ActRegister, []model.Change{
		set(model.Unit(serviceA), `{"type":"15"}`), set(model.Unit(serviceA+"/start"), `{"date":"2026-05-01"}`),
		set(grant.Unit, `{"date":"2026-05-01","minutes_per_week":60,"from":"2026-05-01","to":"2026-11-23"}`),
	})
	want(t, a.push(first), "applied")
	if got := w.finding(p, grant); got != "" {
		t.Fatalf("before it ran out: %q", got)
	}
	w.now += 3 * 24 * hour
	if got := w.finding(p, grant); got != sync.StateOpen {
		t.Fatalf("when it ran out: %q", got)
	}
	w.mustSay(p, grant, model.ActClose, sync.StateClosed)
	w.now += 30 * 24 * hour
	if got := w.finding(p, grant); got != sync.StateClosed {
		t.Fatalf("a month later: %q", got)
	}
	a.login(model.RoleNurse)
	next := a.entry(p, model.ActRegister, []model.Change{
		set(grant.Unit, `{"date":"2026-12-20","minutes_per_week":60,"from":"2026-12-20","to":"2026-12-24"}`, first.id),
	})
	want(t, a.push(next), "applied")
	if got := w.finding(p, grant); got == sync.StateClosed {
		t.Fatalf("with the next decision: %q", got)
	}
	w.now += 10 * 24 * hour
	if got := w.finding(p, grant); got != sync.StateOpen {
		t.Fatalf("when that ran out: %q", got)
	}
}

// The same acts signed on tablets: a supervisor's count, a nurse's wait; several findings in one
// entry go together; what does not hold is kept and says so.
func TestFindingsSettledOnATablet(t *testing.T) {
	w := ruled(t, 2)
	a, s, p := w.nurse("anne"), w.tablet("sonja", model.RoleSupervisor), w.persons[0]
	household, care := model.FindingRef{Rule: "R9", Unit: "person/household"}, model.FindingRef{Rule: "R9", Unit: "person/care_for_child_u18"}
	why := func(e *model.Entry) { e.Reason = &model.Reason{Code: "followed-up"} }
	service := a.entry(p, model.ActRegister, []model.Change{set(model.Unit(serviceA), `{"type":"15"}`)})
	both := []model.Change{{Unit: household.Path()}, {Unit: care.Path()}}
	want(t, a.push(service, a.entry(p, model.ActClose, both, why)), "applied", "quarantined act-forbidden")
	if got := w.finding(p, household); got != sync.StateOpen {
		t.Fatalf("a nurse closed it: %q", got)
	}
	one := s.entry(p, model.ActClose, both, why)
	two := s.entry(p, model.ActRelease, []model.Change{{Unit: household.Path()}}, why)
	none := s.entry(w.persons[1], model.ActClose, []model.Change{{Unit: household.Path()}}, why)
	want(t, s.push(one, two, none), "applied", "quarantined already-settled", "quarantined unknown-target")
	for _, ref := range []model.FindingRef{household, care} {
		if got := w.finding(p, ref); got != sync.StateClosed {
			t.Fatalf("%s: %q", ref.Path(), got)
		}
	}
	want(t, s.push(one), "duplicate")
	reopen := func(target model.EntryID) signed {
		return s.entry(p, model.ActReinstate, []model.Change{{Unit: care.Path(), Target: &target}}, why)
	}
	want(t, s.push(reopen(two.id)), "quarantined unknown-target")
	bad := a.entry(p, model.ActReinstate, []model.Change{{Unit: care.Path(), Target: &one.id}}, why)
	want(t, a.push(bad), "quarantined act-forbidden")
	want(t, s.push(reopen(one.id)), "applied")
	if h, c := w.finding(p, household), w.finding(p, care); h != sync.StateClosed || c != sync.StateOpen {
		t.Fatalf("household %q, care %q", h, c)
	}
	// An entry about findings that waits is closed, never released.
	sup := model.Roles(model.RoleSupervisor)
	if _, err := w.e.Settle(t.Context(), w.tenant, bad.id, model.ActRelease, "sonja", sup, model.Reason{Code: "why-not"}); err != sync.ErrNotReleasable {
		t.Fatalf("released: %v", err)
	}
	w.settle(bad.id, model.ActClose)
	// A batch that breaks a rule and closes the finding at once.
	b := w.tablet("boss", model.RoleSupervisor)
	q := w.persons[1]
	want(t, b.push(b.entry(q, model.ActRegister, []model.Change{set(model.Unit(serviceA), `{"type":"15"}`)}),
		b.entry(q, model.ActRelease, []model.Change{{Unit: care.Path()}}, why)), "applied", "applied")
	if got := w.finding(q, care); got != sync.StateReleased {
		t.Fatalf("in one batch: %q", got)
	}
	past := []string{}
	w.view(func(v store.View) error {
		list, _, err := w.e.PersonHistory(v, q, care.Path(), -1, 10)
		for _, x := range list {
			past = append(past, x.Standings...)
		}
		return err
	})
	if !slices.Equal(past, []string{sync.StandingAct}) {
		t.Fatalf("history of the finding: %v", past)
	}
}

// Verify misses a settlement that is gone, and one that nobody signed.
func TestVerifySeesFindingStates(t *testing.T) {
	w := ruled(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	ref := model.FindingRef{Rule: "R9", Unit: "person/household"}
	want(t, a.push(a.entry(p, model.ActRegister, []model.Change{set(model.Unit(serviceA), `{"type":"15"}`)})), "applied")
	w.mustSay(p, ref, model.ActClose, sync.StateClosed)
	w.mustVerify()
	w.tampered = true
	for name, change := range map[string]func(store.Tx, store.FindingState) error{
		"gone":    func(tx store.Tx, s store.FindingState) error { return store.Delete(tx, s) },
		"another": func(tx store.Tx, s store.FindingState) error { s.State = sync.StateReleased; return store.Put(tx, s) },
		"invented": func(tx store.Tx, s store.FindingState) error {
			s.Rule = "R46"
			return store.Put(tx, s)
		},
	} {
		var kept store.FindingState
		if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) (err error) {
			if kept, err = store.Get[store.FindingState](tx, store.FindingState{Person: p, Rule: ref.Rule, Unit: ref.Unit}.DocKey()); err != nil {
				return err
			}
			return change(tx, kept)
		}); err != nil {
			t.Fatal(err)
		}
		if r, err := w.e.Verify(t.Context(), w.tenant, sync.Checks{}, nil); err != nil || r.OK() {
			t.Errorf("%s: verify is content, %v", name, err)
		}
		if _, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error {
			invented := kept
			invented.Rule = "R46"
			return errors.Join(store.Delete(tx, invented), store.Put(tx, kept))
		}); err != nil {
			t.Fatal(err)
		}
		w.mustVerify()
	}
}

// R84: a settlement counts for the facts that were judged, the date of death among them, and
// what belongs to the same service; nothing else about the person opens the finding again.
func TestASettlementCountsForWhatWasJudged(t *testing.T) {
	w := ruled(t, 1)
	p, n := w.persons[0], w.nurse("anne")
	const service = "service/0190a000-0000-7000-8000-0000000000c1"
	n.push(n.entry(p, model.ActRegister, []model.Change{
		set("person/death_date", `{"date":"2026-03-01"}`),
		set(service, `{"type":"15"}`), set(service+"/grant", `{"date":"2026-04-01","minutes_per_week":60}`),
	}))
	late := model.FindingRef{Rule: "R84", Unit: service + "/grant"}
	w.mustSay(p, late, model.ActClose, sync.StateClosed)
	n.push(n.entry(p, model.ActRegister, []model.Change{set("score/vision", `{"score":3}`)}))
	if got := w.finding(p, late); got != sync.StateClosed {
		t.Errorf("after a score the finding is %s", got)
	}
	head := w.unit(p, "person/death_date").Heads[0].ID
	n.push(n.entry(p, model.ActCorrect, []model.Change{set("person/death_date", `{"date":"2026-03-02"}`, head)}, func(e *model.Entry) { e.Reason = &model.Reason{Code: "typing-error", Text: "prøve"} }))
	if got := w.finding(p, late); got != sync.StateOpen {
		t.Errorf("after another date of death the finding is %s", got)
	}
	w.mustSay(p, late, model.ActClose, sync.StateClosed)
	n.push(n.entry(p, model.ActRegister, []model.Change{set(service+"/application", `{"date":"2026-02-01"}`)}))
	if got := w.finding(p, late); got != sync.StateOpen {
		t.Errorf("after a word on the same service the finding is %s", got)
	}
}
