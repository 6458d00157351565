package sync_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"flette/internal/seal"
	"flette/iplos"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// shortWorld lets a property test close each world when its case ends, and sends failures to
// rapid, so that a failing case is made smaller.
type shortWorld struct {
	testing.TB
	rt   *rapid.T
	done []func()
}

func (s *shortWorld) Cleanup(f func())                  { s.done = append(s.done, f) }
func (s *shortWorld) Fatal(args ...any)                 { s.rt.Fatal(args...) }
func (s *shortWorld) Fatalf(format string, args ...any) { s.rt.Fatalf(format, args...) }
func (s *shortWorld) Errorf(format string, args ...any) { s.rt.Errorf(format, args...) }

func (s *shortWorld) TempDir() string {
	dir, err := os.MkdirTemp(s.TB.TempDir(), "world")
	if err != nil {
		s.rt.Fatal(err)
	}
	return dir
}

func (s *shortWorld) end() {
	for _, f := range slices.Backward(s.done) {
		f()
	}
}

// twin is one of several worlds that are equal in everything but the order of work: keys,
// random bits and the calls of set-up are the same, so persons, devices and leases are too.
type twin struct {
	*world
	rules   *iplos.Engine
	tablets []*tablet // two nurses and a supervisor
}

func newTwin(t testing.TB, keys *seal.Keys) *twin {
	rules := iplos.New(iplos.Settings{})
	w := startWorld(t, keys, sync.Options{Rules: rules.Apply}, 2)
	tw := &twin{world: w, rules: rules}
	for _, actor := range []model.ActorID{"anne", "berit"} {
		tw.tablets = append(tw.tablets, w.nurse(actor))
	}
	tw.tablets = append(tw.tablets, w.tablet("sonja", model.RoleNurse|model.RoleSupervisor))
	return tw
}

const (
	serviceA = "service/0f7c2f8e-5b8b-4c52-9a55-2f6e0a3d9b11"
	timeA    = "time/0f7c2f8e-5b8b-4c52-9a55-2f6e0a3d9b12"
)

// said is what tablets may say of each unit: values that agree, clash by every class, break
// rules, or are refused by the catalogue.
var said = map[model.Unit][]string{
	memory:                          {`{"score":1}`, `{"score":2}`, `{"score":3}`, `{"score":5}`, `{"score":9}`, `{"score":7}`},
	"score/assist_toilet":           {`{"score":4,"note":"oppdiktet"}`, `{"score":9}`},
	"person/private_unpaid_help":    {`{"code":"1"}`, `{"code":"6"}`},
	"person/death_date":             {`{"date":"2026-11-20"}`, `{"date":"2026-11-21"}`},
	"status/waiting_list":           {`{"code":"1","date":"2026-01-05"}`, `{"code":"2"}`, `{"code":"2","date":"2026-02-05"}`},
	"health/nutrition":              {`{"mapped":"2"}`, `{"mapped":"1","weight_loss":"1","risk":"1","plan":"1"}`},
	model.Unit(serviceA):            {`{"type":"15"}`, `{"type":"5"}`},
	model.Unit(serviceA + "/grant"): {`{"date":"2026-11-01","minutes_per_week":330}`, `{"date":"2026-11-10","minutes_per_week":60}`},
	model.Unit(serviceA + "/start"): {`{"date":"2026-11-05"}`, `{"date":"2026-10-05"}`},
	model.Unit(serviceA + "/end"):   {`{"date":"2026-11-15"}`, `{"date":"2026-11-01"}`},
	model.Unit(timeA):               {`{"start":"2026-11-22T08:00:00Z","stop":"2026-11-22T08:30:00Z","kind":"direct"}`, `{"start":"2026-11-22T08:10:00Z","stop":"2026-11-22T08:20:00Z","kind":"travel"}`},
}

// work draws what the tablets sign while all of them are offline.
func (tw *twin) work(rt *rapid.T) []signed {
	var all []signed
	type named struct {
		person model.PersonID
		unit   model.Unit
	}
	sets, acts := map[named][]model.EntryID{}, map[named][]model.EntryID{}
	for range rapid.IntRange(1, 16).Draw(rt, "entries") {
		tw.now += model.Millis(rapid.SampledFrom([]int{0, 1, 600}).Draw(rt, "seconds")) * sec
		tb := rapid.SampledFrom(tw.tablets).Draw(rt, "tablet")
		p := rapid.SampledFrom(tw.persons).Draw(rt, "person")
		act := rapid.SampledFrom([]model.Act{model.ActRegister, model.ActRegister, model.ActConfirm, model.ActCorrect, model.ActVoid, model.ActReinstate, model.ActDecide}).Draw(rt, "act")
		used := map[model.Unit]bool{}
		var changes []model.Change
		for range rapid.IntRange(1, 3).Draw(rt, "changes") {
			u := rapid.SampledFrom(saidUnits).Draw(rt, "unit")
			at := named{p, u}
			if used[u] {
				continue
			}
			used[u] = true
			ch := model.Change{Unit: u}
			if len(sets[at]) > 0 {
				ch.Over = rapid.SliceOfNDistinct(rapid.SampledFrom(sets[at]), 0, 2, rapid.ID).Draw(rt, "over")
			}
			switch act {
			case model.ActVoid, model.ActReinstate:
				targets := sets[at]
				if act == model.ActReinstate {
					targets = acts[at]
				}
				target := model.NewEntryID([]byte("an entry that never comes"))
				if len(targets) > 0 {
					target = rapid.SampledFrom(targets).Draw(rt, "target")
				}
				ch.Target = &target
			default:
				ch.Value = jsontext.Value(rapid.SampledFrom(said[u]).Draw(rt, "value"))
			}
			changes = append(changes, ch)
		}
		e := tb.entry(p, act, changes, func(e *model.Entry) {
			e.Clock = rapid.SampledFrom([]string{model.ClockMonotonic, model.ClockMonotonic, model.ClockRebooted, model.ClockNone}).Draw(rt, "clock")
			if act != model.ActRegister && act != model.ActConfirm {
				e.Reason = &model.Reason{Code: "drawn"}
			}
		})
		for _, ch := range changes {
			at := named{p, ch.Unit}
			if act.Sets() {
				sets[at] = append(sets[at], e.id)
			} else {
				acts[at] = append(acts[at], e.id)
			}
		}
		all = append(all, e)
	}
	return all
}

var saidUnits = func() (units []model.Unit) {
	for u := range said {
		units = append(units, u)
	}
	slices.Sort(units)
	return units
}()

// record renders what the merge, the reviews and the rules say, without what tells of the
// order of arrival: positions and Late.
func (tw *twin) record() string {
	tw.t.Helper()
	var b strings.Builder
	if err := tw.st.View(tw.t.Context(), tw.tenant, func(v store.View) error {
		for _, p := range tw.persons {
			if err := v.Units(p, "", "", func(s *model.UnitState) bool {
				fmt.Fprintf(&b, "%s class %d missing %v tangled %v\n", s.Unit, s.Class, s.Missing, s.Tangled)
				for _, h := range s.Heads {
					h.Position = 0
					fmt.Fprintf(&b, "  %+v %s\n", h, h.Value)
				}
				return true
			}); err != nil {
				return err
			}
		}
		reviews, err := store.List[store.Review](v, "", "", 0)
		if err != nil {
			return err
		}
		for _, r := range reviews {
			if r.State == "open" {
				fmt.Fprintf(&b, "review %s %s class %d for %q\n", r.Person, r.Unit, r.Class, r.Assignee)
			}
		}
		findings, err := store.List[store.Finding](v, "", "", 0)
		for _, f := range findings {
			f.Position = 0
			fmt.Fprintf(&b, "finding %+v\n", f)
		}
		items, err2 := store.List[store.QuarantineItem](v, "", "", 0)
		slices.SortFunc(items, func(a, b store.QuarantineItem) int { return strings.Compare(a.ID.String(), b.ID.String()) })
		for _, it := range items {
			it.Position = 0
			fmt.Fprintf(&b, "quarantine %+v\n", it)
		}
		if err == nil {
			err = err2
		}
		return err
	}); err != nil {
		tw.t.Fatal(err)
	}
	return b.String()
}

// S6, S2: the same signed entries in any order and any batching give the same units, open
// reviews, findings and quarantine; all of them once more change nothing at all.
func TestOrderAndBatchingDoNotMatter(t *testing.T) {
	keys, err := seal.Generate("testvik")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		tb := &shortWorld{TB: t, rt: rt}
		defer tb.end()
		one, two := newTwin(tb, keys), newTwin(tb, keys)
		if !slices.Equal(one.persons, two.persons) || one.tablets[2].lease.ID != two.tablets[2].lease.ID {
			rt.Fatal("the worlds are no twins")
		}
		entries := one.work(rt)
		two.now = one.now
		shuffled := rapid.Permutation(entries).Draw(rt, "order")
		for _, e := range entries {
			one.tablets[0].push(e)
		}
		for rest := shuffled; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			two.tablets[rapid.IntRange(0, 2).Draw(rt, "by")].push(rest[:n]...)
			rest = rest[n:]
		}
		want := one.record()
		if got := two.record(); got != want {
			rt.Fatalf("in order:\n%s\nshuffled:\n%s", want, got)
		}
		for _, r := range one.tablets[1].push(shuffled...) {
			if r.Outcome != sync.OutcomeDuplicate {
				rt.Fatalf("known, yet %s", r.Outcome)
			}
		}
		if got := one.record(); got != want {
			rt.Fatalf("once:\n%s\ntwice:\n%s", want, got)
		}
		for _, tw := range []*twin{one, two} {
			r, err := tw.e.Verify(t.Context(), tw.tenant, sync.Checks{Person: tw.rules.Verify}, nil)
			if err != nil || !r.OK() || r.Entries != int64(len(entries)) {
				rt.Fatalf("verify: %+v, %v", r, err)
			}
		}
	})
}
