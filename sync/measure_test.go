package sync_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"flette/iplos/measure"
	"flette/model"
	"flette/store"
)

// Change of function from admission to discharge, from the history of scores that tablets signed.
// Each case is six persons with the same short stay for rehabilitation.
func TestChangeOfFunctionInStays(t *testing.T) {
	type scored struct {
		on    string // day on which it is signed
		value string
	}
	const stay = "service/0190a000-0000-7000-8000-0000000000c1"
	for _, c := range []struct {
		name, start, end string
		scores           []scored
		voided           int // number of scores, from the last, that are withdrawn in the end
		want             string
	}{
		{"nothing assessed", "2027-03-02", "2027-03-30", nil, 0, "no_assessment"},
		{"assessed at admission, and in the middle", "2027-03-02", "2027-03-30", []scored{{"2027-03-03", `{"score":4}`}, {"2027-03-12", `{"score":3}`}}, 0, "admission_only"},
		{"an assessment before the admission that counts still", "2027-03-02", "2027-03-30", []scored{{"2027-02-16", `{"score":4}`}}, 0, "admission_only"},
		{"a day too early", "2027-03-02", "2027-03-30", []scored{{"2027-02-15", `{"score":4}`}}, 0, "no_assessment"},
		{"at discharge alone", "2027-03-02", "2027-03-30", []scored{{"2027-03-23", `{"score":4}`}}, 0, "discharge_only"},
		{"better; what came after the discharge does not count", "2027-03-02", "2027-03-30",
			[]scored{{"2027-03-03", `{"score":4}`}, {"2027-03-28", `{"score":3}`}, {"2027-05-01", `{"score":5}`}}, 0, "improved"},
		{"the same", "2027-03-02", "2027-03-30", []scored{{"2027-03-03", `{"score":4}`}, {"2027-04-06", `{"score":4}`}}, 0, "unchanged"},
		{"worse, in the two halves of a short stay", "2027-03-02", "2027-03-05", []scored{{"2027-03-03", `{"score":3}`}, {"2027-03-04", `{"score":4}`}}, 0, "worse"},
		{"signed later, of the day of discharge", "2027-03-02", "2027-03-30",
			[]scored{{"2027-03-03", `{"score":4}`}, {"2027-06-01", `{"score":2,"assessed":"2027-03-30"}`}}, 0, "improved"},
		{"9 is no assessment", "2027-03-02", "2027-03-30", []scored{{"2027-03-03", `{"score":4}`}, {"2027-03-28", `{"score":9}`}}, 0, "admission_only"},
		{"the assessment of the discharge was withdrawn", "2027-03-02", "2027-03-30", []scored{{"2027-03-03", `{"score":4}`}, {"2027-03-28", `{"score":3}`}}, 1, "admission_only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ruled(t, 6)
			n := w.nurse("anne")
			at := func(day string) {
				d, err := time.Parse(time.DateOnly, day)
				if err != nil {
					t.Fatal(err)
				}
				w.now = model.MillisOf(d.Add(10 * time.Hour))
				n.login(model.RoleNurse)
			}
			push := func(e signed) model.EntryID {
				for _, r := range n.push(e) {
					if r.Outcome != store.Applied.String() {
						t.Fatalf("%+v", r)
					}
				}
				return e.id
			}
			var ids [][]model.EntryID
			for _, s := range c.scores {
				at(s.on)
				var of []model.EntryID
				for i, p := range w.persons {
					var over []model.EntryID
					if len(ids) > 0 {
						over = append(over, ids[len(ids)-1][i])
					}
					of = append(of, push(n.entry(p, model.ActRegister, []model.Change{set("score/assist_dressing", s.value, over...)})))
				}
				ids = append(ids, of)
			}
			at("2027-11-20")
			for i, p := range w.persons {
				push(n.entry(p, model.ActRegister, []model.Change{
					set(stay, `{"type":"19"}`), set(stay+"/start", `{"date":"`+c.start+`"}`), set(stay+"/end", `{"date":"`+c.end+`"}`),
					set("service/0190a000-0000-7000-8000-0000000000c2", `{"type":"5"}`), set("service/0190a000-0000-7000-8000-0000000000c2/start", `{"date":"2027-01-01"}`),
				}))
				for v := range c.voided {
					push(n.entry(p, model.ActVoid, []model.Change{{Unit: "score/assist_dressing", Target: &ids[len(ids)-1-v][i]}}, func(e *model.Entry) {
						e.Reason = &model.Reason{Code: "wrong-person"}
					}))
				}
			}
			w.view(func(v store.View) error {
				r, err := measure.Make(t.Context(), v, measure.Options{Groups: measure.Default(), Date: "2027-11-26", Depth: 1, Section: w.e.SectionOf})
				if err != nil {
					t.Fatal(err)
				}
				sameSections(t, w, v)
				table := r.Tables[slices.IndexFunc(r.Tables, func(t measure.Table) bool { return t.ID == "stays_rehab" })]
				for i, n := range table.Sum {
					if want := map[bool]int{true: 6}[table.Columns[i] == c.want]; n != want {
						t.Errorf("%s: %d, want %d", table.Columns[i], n, want)
					}
				}
				return nil
			})
		})
	}
}

// A section by its own chains is that of the person's whole history, for any day.
func sameSections(t *testing.T, w *world, v store.View) {
	t.Helper()
	for _, p := range w.persons {
		for _, day := range []int{0, 30, 60, 400} {
			until := day0.Time().AddDate(0, 0, 60+day)
			counts := func(_ model.Act, signed model.Millis, _ []byte) bool { return signed.Time().Before(until) }
			all, err := w.e.UnitsOf(v, p, v.Size(), counts)
			if err != nil {
				t.Fatal(err)
			}
			all = slices.DeleteFunc(all, func(s *model.UnitState) bool { return s.Unit.Section() != "score" })
			got, err := w.e.SectionOf(v, p, "score/", counts)
			if err != nil || !reflect.DeepEqual(got, all) {
				t.Errorf("until %v: %v: %v, want %v", until, err, got, all)
			}
		}
	}
}
