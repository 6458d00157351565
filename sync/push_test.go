package sync_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/store"
	"flette/sync"
)

const memory model.Unit = "score/assist_memory"

func want(t *testing.T, got []sync.Result, outcome ...string) {
	t.Helper()
	if o := outcomes(got); !slices.Equal(o, outcome) {
		t.Fatalf("outcomes %q, want %q", o, outcome)
	}
}

func shown(t *testing.T, s *model.UnitState) string {
	t.Helper()
	if s == nil || s.Shown() == nil {
		return ""
	}
	return string(s.Shown().Value)
}

// R90: two nurses score memory 2 at nine and 4 at ten, offline, and come back in the wrong
// order: 4 is shown, the 2|3 line is crossed, a review opens; R92: the same value does not.
func TestTwoNursesScoreOnePerson(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.nurse("anne"), w.nurse("berit")
	p := w.persons[0]
	w.now += hour
	two := a.score(p, memory, 2)
	w.now += hour
	four := b.score(p, memory, 4)
	w.now += hour
	want(t, b.push(four), "applied")
	res := a.push(two)
	want(t, res, "conflict")
	if c := res[0].Conflicts; len(c) != 1 || c[0].Class != model.ClassClinical || !slices.Equal(c[0].Against, []model.EntryID{four.id}) {
		t.Fatalf("conflict is %+v", c)
	}
	s := w.unit(p, memory)
	if got := shown(t, s); got != `{"score":4}` || !s.Late {
		t.Fatalf("shown %s, late %v", got, s.Late)
	}
	// R91: other units of the same person do not clash.
	want(t, a.push(a.score(p, "score/assist_cooking", 1)), "applied")
}

func TestLostReplyAndRetryIsADuplicate(t *testing.T) { // S2
	w := newWorld(t, 1)
	a := w.nurse("anne")
	one, two := a.score(w.persons[0], memory, 2), a.score(w.persons[0], "score/vision", 9)
	want(t, a.push(one), "applied")
	res := a.push(one, two, two)
	want(t, res, "duplicate", "applied", "duplicate")
	if res[0].First != "applied" || res[0].Position != 0 || res[2].Position != 1 {
		t.Fatalf("results %+v", res)
	}
}

func TestOneBadEntryNeverBlocksOthers(t *testing.T) { // S3, S5
	w := newWorld(t, 2)
	a, stranger := w.nurse("anne"), w.tablet("cato", model.RoleNurse)
	p := w.persons[0]
	good := a.score(p, memory, 2)
	outOfScale := a.score(p, "score/assist_toilet", 7)
	unknownUnit := a.score(p, "score/assist_flying", 1)
	notJSON := a.signRaw([]byte(`{"v":1,`))
	version := a.signRaw([]byte(`{"v":99,"new":true}`))
	tampered := a.score(p, memory, 3, good.id)
	tampered.jws = append([]byte{}, tampered.jws...)
	if at := len(tampered.jws) - 10; tampered.jws[at] == 'A' {
		tampered.jws[at] = 'B'
	} else {
		tampered.jws[at] = 'A'
	}
	foreign := stranger.score(p, memory, 3)
	nobody := a.entry(model.PersonID{1}, model.ActRegister, []model.Change{scoreChange(memory, 1)})
	wrongTenant := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 1)}, func(e *model.Entry) { e.Tenant = "nabovik" })
	decide := a.entry(p, model.ActDecide, []model.Change{scoreChange(memory, 1)}, func(e *model.Entry) { e.Reason = &model.Reason{Code: "mine"} })
	noLease := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 1)}, func(e *model.Entry) { e.Lease = "x" + e.Lease[1:] })
	last := a.score(p, "score/assist_eating", 1)
	res := a.push(good, outOfScale, unknownUnit, notJSON, version, signed{jws: []byte("hello")}, tampered, foreign, nobody, wrongTenant, decide, noLease, last)
	want(t, res, "applied", "quarantined score-out-of-range", "quarantined unknown-unit", "quarantined invalid-payload",
		"quarantined unknown-version", "refused not-a-jws", "refused bad-signature", "quarantined out-of-scope",
		"quarantined unknown-person", "quarantined tenant-mismatch", "quarantined act-forbidden", "quarantined lease-unknown", "applied")
	if res[1].Problem.Pointer != "/changes/0/value/score" || res[1].Problem.Rule != "R14" {
		t.Fatalf("problem %+v", res[1].Problem)
	}
	for i, r := range res {
		if (r.Position < 0) != (r.Outcome == "refused") {
			t.Errorf("result %d: %s at position %d", i, r.Outcome, r.Position)
		}
	}
	// Everything kept is a duplicate the next time, with its first outcome (S2).
	again := a.push(good, outOfScale, notJSON)
	want(t, again, "duplicate", "duplicate score-out-of-range", "duplicate invalid-payload")
	if again[1].First != "quarantined" || again[2].Position != res[3].Position {
		t.Fatalf("again %+v", again)
	}
}

func TestUnknownKeyIsRefused(t *testing.T) { // S3
	w, other := newWorld(t, 1), newWorld(t, 1)
	_, _ = other.rand.Read(make([]byte, 64)) // another key than the first world's
	a := other.nurse("anne")
	b := w.nurse("berit")
	want(t, b.push(a.score(w.persons[0], memory, 1)), "refused unknown-key")
}

func TestChainGapsHealAndForksAreSeen(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	p := w.persons[0]
	var es []signed
	for i := range 6 {
		es = append(es, a.score(p, memory, 1+i%5))
	}
	a.push(es[0], es[4])
	chain := func() store.Chain {
		var c store.Chain
		if err := w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
			c, err = v.Chain(a.id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := chain(); !slices.Equal(c.Missing, []store.Gap{{From: 2, To: 4}}) || c.Last != 5 {
		t.Fatalf("chain %+v", c)
	}
	a.push(es[2])
	if c := chain(); !slices.Equal(c.Missing, []store.Gap{{From: 2, To: 2}, {From: 4, To: 4}}) {
		t.Fatalf("chain %+v", c)
	}
	a.push(es[3], es[1], es[5])
	if c := chain(); len(c.Missing) != 0 || c.Forked || c.Broken != 0 || c.LastID != es[5].id {
		t.Fatalf("chain %+v", c)
	}
	// A clone of the tablet signs another entry with a seq that is taken.
	a.seq, a.prev = 5, es[4].id.String()
	fork := a.score(p, memory, 5)
	next := a.score(p, memory, 4)
	want(t, a.push(fork, next), "quarantined seq-fork", "quarantined device-forked")
	if c := chain(); !c.Forked {
		t.Fatalf("chain %+v", c)
	}
}

func TestClockThreeHoursAheadIsOnlyAClaim(t *testing.T) { // R93, S7
	w := newWorld(t, 1)
	a := w.tablet("anne", model.RoleNurse)
	a.skew = 3 * hour
	a.login(model.RoleNurse)
	w.assign("anne", w.persons...)
	w.now += 20 * min_
	e := a.score(w.persons[0], memory, 2)
	w.now += hour
	res := a.push(e)
	want(t, res, "applied")
	st := res[0].Stamp
	if st.Class != model.ClockA || st.TEff != day0+20*min_ || st.Wall != day0+20*min_+3*hour {
		t.Fatalf("stamp %+v", st)
	}
}

func TestLeaseEndsAndTheNextLoginReleases(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	p := w.persons[0]
	before := a.score(p, memory, 2)
	w.now += 13 * hour
	after := a.score(p, memory, 5, before.id)
	want(t, a.push(before, after), "applied", "quarantined lease-expired")
	if got := shown(t, w.unit(p, memory)); got != `{"score":2}` {
		t.Fatalf("shown %s", got)
	}
	w.now += hour
	if n := a.login(model.RoleNurse); n != 1 {
		t.Fatalf("login released %d", n)
	}
	if got := shown(t, w.unit(p, memory)); got != `{"score":5}` {
		t.Fatalf("shown %s", got)
	}
	if n := a.login(model.RoleNurse); n != 0 {
		t.Fatalf("second login released %d", n)
	}
}

func TestRevokedDeviceHandsInToQuarantine(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	e := a.score(w.persons[0], memory, 2)
	if _, err := w.e.Revoke(t.Context(), w.tenant, a.id, "lost"); err != nil {
		t.Fatal(err)
	}
	res := a.push(e)
	want(t, res, "quarantined device-revoked")
	if _, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor}); !errors.Is(err, sync.ErrRevoked) {
		t.Fatalf("pull: %v", err)
	}
	// A supervisor lets it through; a second time there is nothing to settle.
	settle := func() error {
		_, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActRelease, "sonja", model.Roles(model.RoleSupervisor), model.Reason{Code: "known-tablet"})
		return err
	}
	if err := settle(); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, w.unit(w.persons[0], memory)); got != `{"score":2}` {
		t.Fatalf("shown %s", got)
	}
	if err := settle(); err != sync.ErrSettled {
		t.Fatalf("second: %v", err)
	}
}

func TestCloseSettlesWithoutEffect(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	bad, unreadable := a.score(w.persons[0], memory, 8), a.signRaw([]byte(`[]`))
	a.push(bad, unreadable)
	sup := model.Roles(model.RoleSupervisor)
	if _, err := w.e.Settle(t.Context(), w.tenant, bad.id, model.ActRelease, "sonja", sup, model.Reason{Code: "why-not"}); err != sync.ErrNotReleasable {
		t.Fatalf("release of a wrong value: %v", err)
	}
	for _, id := range []model.EntryID{bad.id, unreadable.id} {
		if _, err := w.e.Settle(t.Context(), w.tenant, id, model.ActClose, "sonja", sup, model.Reason{Code: "registered-anew"}); err != nil {
			t.Fatal(err)
		}
		item, err := w.e.QuarantineItem(t.Context(), w.tenant, id)
		if err != nil || item.State != "closed" {
			t.Fatalf("item %+v, %v", item, err)
		}
	}
	if s := w.unit(w.persons[0], memory); s != nil {
		t.Fatalf("unit %+v", s)
	}
}

func TestDecisionClosesAndAnUnseenHeadReopens(t *testing.T) {
	w := newWorld(t, 1)
	a, b, c := w.nurse("anne"), w.nurse("berit"), w.nurse("cato")
	p := w.persons[0]
	w.now += hour
	two, four, late := a.score(p, memory, 2), b.score(p, memory, 4), c.score(p, memory, 1)
	w.now += hour
	a.push(two)
	b.push(four)
	var rev []*sync.ReviewStatus
	read := func() *sync.ReviewStatus {
		t.Helper()
		if err := w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
			rev, _, err = w.e.Reviews(v, "open", "", 10)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(rev) != 1 {
			t.Fatalf("%d open reviews", len(rev))
		}
		return rev[0]
	}
	r := read()
	if r.Class != model.ClassClock {
		t.Fatalf("class %d: both were signed at the same moment", r.Class)
	}
	decide := func(headSet string, choose model.EntryID) error {
		_, err := w.e.Decide(t.Context(), sync.Decision{
			Tenant: w.tenant, Review: r.ID, HeadSet: headSet, Actor: "sonja", Roles: model.Roles(model.RoleSupervisor),
			Choose: &choose, Reason: model.Reason{Code: "seen-both", Text: ""},
		})
		return err
	}
	if err := decide("stale", two.id); err != sync.ErrHeadsMoved {
		t.Fatalf("stale: %v", err)
	}
	if err := decide(r.HeadSet(), model.EntryID{1}); err == nil {
		t.Fatal("chose what is not a head")
	}
	if err := decide(r.HeadSet(), two.id); err != nil {
		t.Fatal(err)
	}
	s := w.unit(p, memory)
	if len(s.Heads) != 1 || shown(t, s) != `{"score":2}` || s.Heads[0].Act != model.ActDecide {
		t.Fatalf("state %+v", s)
	}
	if err := decide(r.HeadSet(), two.id); err == nil {
		t.Fatal("decided twice")
	}
	res := c.push(late)
	want(t, res, "conflict")
	if r = read(); r.Class != model.ClassDecision || r.Assignee != "sonja" {
		t.Fatalf("review %+v", r)
	}
	if got := shown(t, w.unit(p, memory)); got != `{"score":2}` {
		t.Fatalf("the decision must stay shown, got %s", got)
	}
}

// S6: whoever decided is asked about a head that the decision had not seen, also when that
// head was here first.
func TestADecisionThatMissedAHeadIsAskedOfWhoDecided(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.nurse("anne"), w.nurse("berit")
	sonja := w.tablet("sonja", model.RoleNurse|model.RoleSupervisor)
	p := w.persons[0]
	w.now += hour
	two, four, unseen := a.score(p, memory, 2), b.score(p, memory, 4), b.score(p, memory, 1)
	decide := sonja.entry(p, model.ActDecide, []model.Change{scoreChange(memory, 2, two.id, four.id)},
		func(e *model.Entry) { e.Reason = &model.Reason{Code: "seen-both"} })
	a.push(unseen, two, four, decide)
	var open []*sync.ReviewStatus
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
		open, _, err = w.e.Reviews(v, "open", "", 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(open) != 1 || open[0].Class != model.ClassDecision || open[0].Assignee != "sonja" {
		t.Fatalf("reviews %+v", open)
	}
}

func TestVoidCorrectReinstate(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	p := w.persons[0]
	one := a.score(p, memory, 1)
	w.now += min_
	two := a.score(p, memory, 2, one.id)
	w.now += min_
	reason := func(e *model.Entry) { e.Reason = &model.Reason{Code: "wrong-person"} }
	void := a.entry(p, model.ActVoid, []model.Change{{Unit: memory, Target: &two.id, Over: []model.EntryID{two.id}}}, reason)
	a.push(one, two, void)
	if got := shown(t, w.unit(p, memory)); got != `{"score":1}` {
		t.Fatalf("after the void: %s", got)
	}
	back := a.entry(p, model.ActReinstate, []model.Change{{Unit: memory, Target: &void.id}}, reason)
	a.push(back)
	if got := shown(t, w.unit(p, memory)); got != `{"score":2}` {
		t.Fatalf("after the reinstate: %s", got)
	}
	var past []sync.Past
	if err := w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
		past, _, err = w.e.PersonHistory(v, p, "", -1, 100)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var standing []string
	for _, x := range past {
		standing = append(standing, x.Standings...)
	}
	if !slices.Equal(standing, []string{"superseded", "shown", "act", "act"}) {
		t.Fatalf("standings %v", standing)
	}
}

func TestReconnectInWrongOrderHealsThePredecessor(t *testing.T) { // S6
	w := newWorld(t, 1)
	a := w.nurse("anne")
	p := w.persons[0]
	one := a.score(p, memory, 1)
	two := a.score(p, memory, 2, one.id)
	a.push(two)
	if s := w.unit(p, memory); !slices.Equal(s.Missing, []model.EntryID{one.id}) {
		t.Fatalf("missing %v", s.Missing)
	}
	want(t, a.push(one), "applied")
	if s := w.unit(p, memory); len(s.Missing) != 0 || len(s.Heads) != 1 || shown(t, s) != `{"score":2}` {
		t.Fatalf("state %+v", s)
	}
}

func TestAnEntryIsAtomic(t *testing.T) { // S4
	w := newWorld(t, 1)
	a := w.nurse("anne")
	p := w.persons[0]
	e := a.entry(p, model.ActRegister, []model.Change{scoreChange(memory, 2), scoreChange("score/vision", 6)})
	want(t, a.push(e), "quarantined score-out-of-range")
	if s := w.unit(p, memory); s != nil {
		t.Fatalf("half an entry took effect: %+v", s)
	}
}

func TestTimeRegistrationAndServiceUnits(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	p := w.persons[0]
	svc, tid := newUUID(w), newUUID(w)
	value := func(s string) jsontext.Value { return jsontext.Value(s) }
	e := a.entry(p, model.ActRegister, []model.Change{
		{Unit: model.Unit("service/" + svc), Value: value(`{"type":"15"}`)},
		{Unit: model.Unit("service/" + svc + "/grant"), Value: value(`{"date":"2026-11-01","minutes_per_week":330}`)},
		{Unit: model.Unit("time/" + tid), Value: value(`{"start":"2026-11-22T07:00:00Z","stop":"2026-11-22T07:30:00Z","kind":"direct","service":"` + svc + `"}`)},
	})
	want(t, a.push(e), "applied")
	over := a.entry(p, model.ActRegister, []model.Change{{Unit: model.Unit("service/" + svc + "/grant"), Value: value(`{"date":"2026-11-01","minutes_per_week":10081}`)}})
	res := a.push(over)
	want(t, res, "quarantined hours-over-168")
	if res[0].Problem.Rule != "R36" || !strings.HasPrefix(res[0].Problem.Pointer, "/changes/0/value/") {
		t.Fatalf("problem %+v", res[0].Problem)
	}
}

// What became of a quarantined entry reaches the device that signed it, also when the person
// is not, or no longer, in its user's caseload.
func TestSettlementReachesTheDevice(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.tablet("anne", model.RoleNurse), w.nurse("berit")
	a.pull(10)
	b.pull(10)
	e := a.score(w.persons[0], memory, 2)
	want(t, a.push(e), "quarantined out-of-scope")
	if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActRelease, "sonja", model.Roles(model.RoleSupervisor), model.Reason{Code: "was-there"}); err != nil {
		t.Fatal(err)
	}
	items := a.pull(1)
	if len(items) != 1 || items[0].Settled == nil || items[0].Settled.Entry != e.id || items[0].Settled.Reason.Code != "was-there" {
		t.Fatalf("anne's tablet got %+v", items)
	}
	if again := a.pull(10); len(again) != 0 {
		t.Fatalf("told twice: %+v", again)
	}
	items = b.pull(10)
	if len(items) != 2 || items[0].Settled == nil || items[1].Unit == nil || shown(t, items[1].Unit) != `{"score":2}` {
		t.Fatalf("berit's tablet got %+v", items)
	}
}

// A void of a decision undoes it, so it takes the right to decide; by a nurse it is kept and
// changes nothing, whichever of the two arrives first.
func TestOnlyASupervisorVoidsADecision(t *testing.T) {
	for _, voidFirst := range []bool{false, true} {
		w := newWorld(t, 1)
		a := w.nurse("anne")
		s := w.tablet("sonja", model.RoleSupervisor)
		p := w.persons[0]
		reason := func(e *model.Entry) { e.Reason = &model.Reason{Code: "seen-again"} }
		one := a.score(p, memory, 1)
		decide := s.entry(p, model.ActDecide, []model.Change{scoreChange(memory, 3, one.id)}, reason)
		void := func(tb *tablet) signed {
			return tb.entry(p, model.ActVoid, []model.Change{{Unit: memory, Target: &decide.id}}, reason)
		}
		a.push(one)
		if voidFirst {
			want(t, a.push(void(a)), "applied")
			want(t, s.push(decide), "applied")
		} else {
			want(t, s.push(decide), "applied")
			want(t, a.push(void(a)), "applied")
		}
		if got := shown(t, w.unit(p, memory)); got != `{"score":3}` {
			t.Fatalf("void first %v: shown %s", voidFirst, got)
		}
		want(t, s.push(void(s)), "applied")
		if got := shown(t, w.unit(p, memory)); got != `{"score":1}` {
			t.Fatalf("shown %s", got)
		}
	}
}

func TestEveryPushIsAContact(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	contact := func() store.Diary {
		t.Helper()
		list, err := w.e.Devices(t.Context(), w.tenant, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.ID == a.id && d.Diary != nil {
				return *d.Diary
			}
		}
		t.Fatal("no contact is known")
		return store.Diary{}
	}
	a.push(a.score(w.persons[0], memory, 2))
	if d := contact(); d.At != w.now || d.Actor != "anne" {
		t.Fatalf("diary %+v", d)
	}
	w.now += hour
	if _, err := w.e.Push(t.Context(), sync.PushRequest{Tenant: w.tenant, Device: a.id, Actor: "anne", Diary: &store.Diary{Outbox: 3}}); err != nil {
		t.Fatal(err)
	}
	w.now += hour
	a.push()
	if d := contact(); d.At != w.now || d.Outbox != 3 {
		t.Fatalf("diary %+v", d)
	}
}
