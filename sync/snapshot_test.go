package sync_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
	"flette/sync"
)

func (tb *tablet) snapshot(after string) *sync.Snapshot {
	tb.w.t.Helper()
	s, err := tb.w.e.Snapshot(tb.w.t.Context(), sync.SnapshotRequest{Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, After: after})
	if err != nil {
		tb.w.t.Fatal(err)
	}
	return s
}

// load reads a snapshot to its end; between may do anything between two pieces, and cut it by
// returning true: it is then taken up after the last mark.
func (tb *tablet) load(m mirror, between func() bool) {
	tb.w.t.Helper()
	mark := ""
	var items []sync.PullItem
	s := tb.snapshot("")
	for {
		part, err := s.Next(tb.w.t.Context())
		if err != nil {
			tb.w.t.Fatal(err)
		}
		items = append(items, part.Items...)
		if part.Mark != "" {
			m.apply(tb.w.t, items)
			mark, items = part.Mark, nil
		}
		if part.End != nil {
			tb.cursor = part.End.Cursor
			if _, err := s.Next(tb.w.t.Context()); err != io.EOF {
				tb.w.t.Fatalf("after the end: %v", err)
			}
			return
		}
		if between() {
			s, items = tb.snapshot(mark), nil
		}
	}
}

// S15: whatever happens during a snapshot, and wherever it is cut, a pull from its end leaves
// the tablet with exactly what the store shows.
func TestSnapshotMissesNothing(t *testing.T) {
	units := []model.Unit{memory, "score/vision", "score/assist_toilet"}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 5)
		a, reader := w.nurse("anne"), w.tablet("lars", model.RoleNurse)
		w.assign("lars", w.persons[:rapid.IntRange(0, 5).Draw(rt, "has")]...)
		last := map[model.PersonID]map[model.Unit][]model.EntryID{}
		step := func() {
			p := w.persons[rapid.IntRange(0, 4).Draw(rt, "person")]
			w.now += sec
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				w.assign("lars", p)
			case 1:
				if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{Actor: "lars", Persons: []model.PersonID{p}, End: true, By: "test"}); err != nil {
					rt.Fatal(err)
				}
			case 2:
				w.plan("lars", p)
			default:
				u := rapid.SampledFrom(units).Draw(rt, "unit")
				e := a.score(p, u, rapid.IntRange(1, 5).Draw(rt, "score"), last[p][u]...)
				a.push(e)
				if last[p] == nil {
					last[p] = map[model.Unit][]model.EntryID{}
				}
				last[p][u] = []model.EntryID{e.id}
			}
		}
		for range rapid.IntRange(0, 10).Draw(rt, "before") {
			step()
		}
		m := mirror{}
		reader.load(m, func() bool {
			if rapid.Bool().Draw(rt, "meanwhile") {
				step()
			}
			return rapid.IntRange(0, 3).Draw(rt, "cut") == 0
		})
		m.apply(rt, reader.pull(rapid.IntRange(1, 20).Draw(rt, "limit")))
		if want := w.truth("lars"); !m.equal(want) {
			rt.Fatalf("the tablet has %v, the store shows %v", m, want)
		}
	})
}

// A person who left while the caseload was being sent, and was passed over, is sent whole after
// coming back, though the tablet's cursor counts the person among those it was sent.
func TestLeftAndCameBackWhileSending(t *testing.T) {
	for name, send := range map[string]func(reader *tablet, m mirror, between func(persons int)){
		"snapshot": func(reader *tablet, m mirror, between func(int)) {
			pieces := 0
			reader.load(m, func() bool {
				between(pieces)
				pieces++
				return false
			})
		},
		"pull": func(reader *tablet, m mirror, between func(int)) {
			for page, more := 0, true; more; page++ {
				got, err := reader.w.e.Pull(t.Context(), sync.PullRequest{
					Tenant: reader.w.tenant, Device: reader.id, Actor: reader.actor, Cursor: reader.cursor, Limit: 1,
				})
				if err != nil {
					t.Fatal(err)
				}
				m.apply(t, got.Items)
				reader.cursor, more = got.Cursor, got.More
				between(page)
			}
		},
	} {
		for _, back := range []int{1, 2, 3, 100} {
			w := newWorld(t, 4)
			anne, reader := w.nurse("anne"), w.tablet("lars", model.RoleNurse)
			w.assign("lars", w.persons...)
			sorted := slices.SortedFunc(slices.Values(w.persons), func(a, b model.PersonID) int { return slices.Compare(a[:], b[:]) })
			for _, p := range sorted {
				anne.push(anne.score(p, memory, 3))
			}
			m, leaver := mirror{}, sorted[2]
			comes := func() {
				w.now += sec
				w.assign("lars", leaver)
			}
			send(reader, m, func(step int) {
				w.now += sec
				switch step {
				case 0:
					if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{Actor: "lars", Persons: []model.PersonID{leaver}, End: true, By: "test"}); err != nil {
						t.Fatal(err)
					}
				case back:
					comes()
				}
			})
			if back == 100 {
				comes()
			}
			m.apply(t, reader.pull(0))
			if want := w.truth("lars"); !m.equal(want) {
				t.Errorf("%s, back after %d pieces: the tablet has %v, the store shows %v", name, back, m, want)
			}
		}
	}
}

func (w *world) plan(actor model.ActorID, persons ...model.PersonID) {
	w.t.Helper()
	if _, err := w.e.PlanVisits(w.t.Context(), w.tenant, sync.Plan{
		Actor: actor, Date: model.DateInOslo(w.now), Persons: persons, By: "test",
	}); err != nil {
		w.t.Fatal(err)
	}
}

// pieces reads what is left of a snapshot: the persons in order, the visits, the marks.
func pieces(t *testing.T, s *sync.Snapshot) (persons []model.PersonID, visits []int, marks []string) {
	t.Helper()
	for {
		part, err := s.Next(t.Context())
		if err == io.EOF {
			return persons, visits, marks
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range part.Items {
			if it.Added != nil {
				persons, visits = append(persons, it.Person), append(visits, it.Visit)
			}
		}
		if part.Mark != "" {
			marks = append(marks, part.Mark)
		}
	}
}

// Today's visits come first, in their order; what is planned beyond the caseload is not sent.
func TestSnapshotBeginsWithTodaysVisits(t *testing.T) {
	w := newWorld(t, 5)
	lars := w.tablet("lars", model.RoleNurse)
	sorted := slices.Clone(w.persons[:4])
	slices.SortFunc(sorted, func(a, b model.PersonID) int { return slices.Compare(a[:], b[:]) })
	w.assign("lars", sorted...)
	w.plan("lars", sorted[0])
	w.plan("lars", sorted[3], w.persons[4], sorted[1]) // replaces; one is a stranger
	w.plan("anne", sorted[2])
	want := []model.PersonID{sorted[3], sorted[1], sorted[0], sorted[2]}
	persons, visits, marks := pieces(t, lars.snapshot(""))
	if !slices.Equal(persons, want) || !slices.Equal(visits, []int{1, 2, 0, 0}) || len(marks) != 4 {
		t.Fatalf("order %v, visits %v, %d marks", persons, visits, len(marks))
	}
	// A mark goes on in the order of its own snapshot, whatever the plan is by then.
	w.plan("lars", sorted[2])
	for i, mark := range marks {
		if rest, _, _ := pieces(t, lars.snapshot(mark)); !slices.Equal(rest, want[i+1:]) {
			t.Errorf("after mark %d: %v", i, rest)
		}
	}
	// Midnight in Norway is 23:00 UTC in November: tomorrow has no plan.
	w.now = day0 + 15*hour
	if persons, visits, _ = pieces(t, lars.snapshot("")); !slices.Equal(persons, sorted) || !slices.Equal(visits, []int{0, 0, 0, 0}) {
		t.Errorf("tomorrow: %v %v", persons, visits)
	}
}

// A plan made during the day reaches a tablet that has pulled already.
func TestPullBringsPlans(t *testing.T) {
	w := newWorld(t, 3)
	lars := w.nurse("lars")
	w.plan("lars", w.persons[1])
	visits := func() map[model.PersonID]int {
		out := map[model.PersonID]int{}
		for _, it := range lars.pull(0) {
			if it.Card != nil || it.Added != nil {
				out[it.Person] = it.Visit
			}
		}
		return out
	}
	equal := func(step string, want map[model.PersonID]int) {
		t.Helper()
		got := visits()
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
		for p, n := range want {
			if got[p] != n {
				t.Errorf("%s: %v, want %v", step, got, want)
			}
		}
	}
	p := w.persons
	equal("first pull", map[model.PersonID]int{p[0]: 0, p[1]: 1, p[2]: 0})
	equal("nothing new", nil)
	s := lars.subscribe(true)
	w.plan("lars", p[0], p[1])
	if !woken(s) {
		t.Error("a plan does not poke")
	}
	equal("another plan", map[model.PersonID]int{p[0]: 1, p[1]: 2})
	w.plan("lars")
	equal("no plan", map[model.PersonID]int{p[0]: 0, p[1]: 0})
	w.plan("lars", p[2])
	equal("planned again", map[model.PersonID]int{p[2]: 1})
	w.now = day0 + 16*hour
	equal("the next day", map[model.PersonID]int{p[2]: 0})
}

func TestPlansThatAreNone(t *testing.T) {
	w := newWorld(t, 1)
	p := w.persons[0]
	many := make([]model.PersonID, sync.MaxVisits+1)
	for _, c := range []struct {
		plan sync.Plan
		want string
	}{
		{sync.Plan{Date: "2026-02-30", Persons: w.persons}, "/date"},
		{sync.Plan{Date: "today", Persons: w.persons}, "/date"},
		{sync.Plan{Date: "2026-11-22", Persons: []model.PersonID{p, p}}, "/persons"},
		{sync.Plan{Date: "2026-11-22", Persons: []model.PersonID{{1}}}, "/persons"},
		{sync.Plan{Date: "2026-11-22", Persons: many}, "/persons"},
	} {
		c.plan.Actor = "lars"
		_, err := w.e.PlanVisits(t.Context(), w.tenant, c.plan)
		var problem *model.Problem
		if !errors.As(err, &problem) || problem.Pointer != c.want {
			t.Errorf("%s: %v", c.plan.Date, err)
		}
	}
}

// A snapshot ends where access ends: at a revocation, and person by person.
func TestSnapshotGivesNoAccess(t *testing.T) {
	w := newWorld(t, 3)
	lars := w.nurse("lars")
	s := lars.snapshot("")
	next := func() (*sync.SnapshotPart, error) { return s.Next(t.Context()) }
	for range 2 { // the beginning and the first person
		if _, err := next(); err != nil {
			t.Fatal(err)
		}
	}
	w.now += sec
	if _, err := w.e.Assign(t.Context(), w.tenant, sync.Assign{Actor: "lars", Persons: w.persons, End: true, By: "test"}); err != nil {
		t.Fatal(err)
	}
	w.now += sec
	if part, err := next(); err != nil || part.End == nil || len(part.Items) != 0 {
		t.Errorf("after the caseload ended: %+v, %v", part, err)
	}
	w.assign("lars", w.persons...)
	s = lars.snapshot("")
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.e.Revoke(t.Context(), w.tenant, lars.id, "lost"); err != nil {
		t.Fatal(err)
	}
	if _, err := next(); !errors.Is(err, sync.ErrRevoked) {
		t.Errorf("a revoked device was sent: %v", err)
	}
	if _, err := w.e.Snapshot(t.Context(), sync.SnapshotRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars"}); !errors.Is(err, sync.ErrRevoked) {
		t.Errorf("a revoked device began: %v", err)
	}
}

// Marks and cursors are not taken for each other, and belong to their device and actor.
func TestMarksAreNoCursors(t *testing.T) {
	w := newWorld(t, 2)
	lars, anne := w.nurse("lars"), w.nurse("anne")
	_, _, marks := pieces(t, lars.snapshot(""))
	lars.pull(0)
	try := func(tb *tablet, after string) error {
		_, err := w.e.Snapshot(t.Context(), sync.SnapshotRequest{Tenant: w.tenant, Device: tb.id, Actor: tb.actor, After: after})
		return err
	}
	for name, err := range map[string]error{
		"a cursor as a mark": try(lars, lars.cursor),
		"another's mark":     try(anne, marks[0]),
		"garbage":            try(lars, "AAAA"),
	} {
		if !errors.Is(err, sync.ErrCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Cursor: marks[0]}); !errors.Is(err, sync.ErrCursor) {
		t.Errorf("a mark as a cursor: %v", err)
	}
	if _, err := w.e.Digest(t.Context(), sync.DigestRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Cursor: marks[0]}); !errors.Is(err, sync.ErrCursor) {
		t.Errorf("a mark as the digest's cursor: %v", err)
	}
}

// One person alone: all of it, and no cursor, because the tablet has not seen the others.
func TestSnapshotOfOnePerson(t *testing.T) {
	w := newWorld(t, 3)
	lars := w.tablet("lars", model.RoleNurse)
	w.assign("lars", w.persons[:2]...)
	lars.push(lars.score(w.persons[0], memory, 2))
	ask := func(p model.PersonID) (*sync.Snapshot, error) {
		return w.e.Snapshot(t.Context(), sync.SnapshotRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Person: p})
	}
	s, err := ask(w.persons[0])
	if err != nil {
		t.Fatal(err)
	}
	var items []sync.PullItem
	for {
		part, err := s.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil || part.Mark != "" || part.End != nil && (part.End.Cursor != "" || len(part.End.Checkpoint) == 0) {
			t.Fatalf("%+v, %v", part, err)
		}
		items = append(items, part.Items...)
	}
	if len(items) != 2 || items[0].Added == nil || items[1].Unit == nil || items[1].Person != w.persons[0] {
		t.Errorf("%+v", items)
	}
	for _, p := range []model.PersonID{w.persons[2], {9}} {
		if _, err := ask(p); !errors.Is(err, sync.ErrNotInCaseload) {
			t.Errorf("a person of others: %v", err)
		}
	}
}

// No view is open between two pieces: a writer's pages can be used again. The store says so
// by closing at once, which waits for open views.
func TestSnapshotHoldsNoView(t *testing.T) {
	w := newWorld(t, 2)
	w.tampered = true // the store is closed below
	lars := w.nurse("lars")
	s := lars.snapshot("")
	for range 2 {
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// The verdict on what a tablet holds, person by person.
func TestDigest(t *testing.T) {
	w := newWorld(t, 5)
	lars, anne := w.tablet("lars", model.RoleNurse), w.nurse("anne")
	p := w.persons
	w.assign("lars", p[:4]...)
	for i, person := range p {
		anne.push(anne.score(person, memory, i+1))
	}
	digest := func(person model.PersonID) string {
		d := model.NewPersonDigest()
		if err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
			return v.Units(person, "", "", func(s *model.UnitState) bool {
				d.Unit(s.Unit, s.Class, len(s.Heads), func(i int) model.EntryID { return s.Heads[i].ID })
				return true
			})
		}); err != nil {
			t.Fatal(err)
		}
		return d.Sum()
	}
	lars.pull(0)
	held := []sync.PersonDigest{{p[0], digest(p[0])}, {p[1], model.NewPersonDigest().Sum()}, {p[2], digest(p[2])}, {p[4], digest(p[4])}}
	anne.push(anne.score(p[2], "score/vision", 2))
	r := sync.DigestRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Cursor: lars.cursor, Persons: held}
	got, err := w.e.Digest(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want []model.PersonID }{
		"differ": {got.Differ, p[1:2]}, "behind": {got.Behind, p[2:3]}, "missing": {got.Missing, p[3:4]}, "extra": {got.Extra, p[4:5]},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if got.Position != 6 {
		t.Errorf("position %d", got.Position)
	}
	r.Persons = append(held, held[0])
	var problem *model.Problem
	if _, err := w.e.Digest(t.Context(), r); !errors.As(err, &problem) {
		t.Errorf("named twice: %v", err)
	}
	// A device that was revoked hears its order, whatever its cursor is.
	stig := w.tablet("stig", model.RoleNurse)
	if _, err := w.e.Revoke(t.Context(), w.tenant, stig.id, "lost"); err != nil {
		t.Fatal(err)
	}
	var revoked *sync.RevokedError
	if _, err := w.e.Digest(t.Context(), sync.DigestRequest{Tenant: w.tenant, Device: stig.id, Actor: "stig", Cursor: "none"}); !errors.As(err, &revoked) {
		t.Errorf("revoked, and no cursor: %v", err)
	}
	// While pages are still to come there is no verdict.
	lars.cursor = ""
	page, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: lars.id, Actor: "lars", Limit: 1})
	if err != nil || !page.More {
		t.Fatalf("%v %v", page, err)
	}
	r.Cursor, r.Persons = page.Cursor, held[:2]
	if got, err = w.e.Digest(t.Context(), r); err != nil || len(got.Behind) != 2 || len(got.Differ) != 0 {
		t.Errorf("in between: %+v, %v", got, err)
	}
}
