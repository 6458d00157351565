package sync_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/sync"
)

// numberOf is the identity number that addPersons gave its nth person.
func numberOf(t *testing.T, n int) string {
	t.Helper()
	number, ok := ident.SyntheticFNR(day0.Time().AddDate(-80, 0, n), 0)
	if !ok {
		t.Fatal("no synthetic number")
	}
	return number
}

func importedService(t *testing.T, line, person int, ref, start string) sync.RecordInput {
	return sync.RecordInput{Line: line, Number: numberOf(t, person), Section: "service", Ref: ref, Items: []sync.RecordItem{
		{Value: jsontext.Value(`{"type":"15"}`), Columns: map[string]string{"": "type"}},
		{Group: "grant", Value: jsontext.Value(`{"date":"2026-01-02","minutes_per_week":90}`), Columns: map[string]string{"": "decision"}},
		{Group: "start", Value: jsontext.Value(fmt.Sprintf(`{"date":%q}`, start)), Columns: map[string]string{"": "start"}},
	}}
}

var fromFile = sync.RecordSource{Actor: "cli/ola", SHA256: "00ff"}

// cutStore fails every update after some.
type cutStore struct {
	store.Store
	left int
}

var errCut = errors.New("cut")

func (c *cutStore) Update(ctx context.Context, t model.TenantID, touches []model.PersonID, fn func(store.Tx) error) (store.Commit, error) {
	if c.left--; c.left < 0 {
		return store.Commit{}, errCut
	}
	return c.Store.Update(ctx, t, touches, fn)
}

// content is the number of entries and the units under service of all persons.
func (w *world) content() (entries int64, units []string) {
	w.view(func(v store.View) error {
		entries = v.Size()
		for _, p := range w.persons {
			if err := v.Units(p, "service/", "", func(s *model.UnitState) bool {
				units = append(units, fmt.Sprintf("%s %s %d %s", p, s.Unit, len(s.Heads), s.Shown().Value))
				return true
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return entries, units
}

// A crash in the middle and a second run end as one run does; a third changes nothing.
func TestImportRecordsGoesOnAfterACrash(t *testing.T) {
	w := ruled(t, 7)
	var in []sync.RecordInput
	for i := range 450 {
		in = append(in, importedService(t, i+2, i%7, fmt.Sprint("A-", i), "2026-01-03"))
	}
	cut := &cutStore{Store: w.st, left: 1}
	o := w.options
	o.Store, o.Rand = cut, w.rand
	o.Keys = func(model.TenantID) (sync.Keys, error) { return w.keys, nil }
	o.Now = func() model.Millis { return w.now }
	e, err := sync.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.ImportRecords(t.Context(), w.tenant, fromFile, in); !errors.Is(err, errCut) {
		t.Fatalf("the second batch: %v", err)
	}
	if n, units := w.content(); n != 200 || len(units) != 600 {
		t.Fatalf("%d entries, %d units after the first batch", n, len(units))
	}
	w.now += min_
	done, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, in)
	if err != nil || done.New != 750 || done.Same != 600 || done.Lines != 450 {
		t.Fatalf("%+v, %v", done, err)
	}
	n, units := w.content()
	if n != 450 || len(units) != 1350 {
		t.Fatalf("%d entries, %d units", n, len(units))
	}
	done, err = w.e.ImportRecords(t.Context(), w.tenant, fromFile, in)
	if err != nil || done.Same != 1350 || done.New+done.Changed+done.Kept != 0 {
		t.Fatalf("again: %+v, %v", done, err)
	}
	if again, same := w.content(); again != n || !slices.Equal(units, same) {
		t.Fatal("importing the same file again changed something")
	}
}

// One bad line keeps all of them out.
func TestImportRecordsIsJudgedBeforeTheFirstLine(t *testing.T) {
	w := ruled(t, 2)
	in := []sync.RecordInput{importedService(t, 2, 0, "A", "2026-01-03"), importedService(t, 3, 1, "A", "2027-01-03"), importedService(t, 4, 0, "A", "2026-01-03")}
	for range 2 {
		_, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, in)
		if msg := lines(t, err); msg != "line 3: date-in-future at /start: the date is after the day of registration (R11)\n"+
			"line 4: duplicate-ref at /ref: line 2 has the same person and ref (or without one the same dates); each service, diagnosis, stay, measure or pause has a ref of its own" {
			t.Fatal(msg)
		}
	}
	if n, _ := w.content(); n != 0 {
		t.Fatalf("%d entries", n)
	}
}

// What was said here since is newer than what the former system knows.
func TestImportRecordsKeepsWhatWasRegisteredHere(t *testing.T) {
	w := ruled(t, 1)
	nurse := w.nurse("kari")
	if _, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, []sync.RecordInput{importedService(t, 2, 0, "A", "2026-01-03")}); err != nil {
		t.Fatal(err)
	}
	var start, grant model.Unit
	var over, voided model.EntryID
	w.view(func(v store.View) error {
		return v.Units(w.persons[0], "service/", "", func(s *model.UnitState) bool {
			switch ref, _ := model.ParseUnit(string(s.Unit)); ref.Group {
			case "start":
				start, over = s.Unit, s.Shown().ID
			case "grant":
				grant, voided = s.Unit, s.Shown().ID
			}
			return true
		})
	})
	w.now += hour
	if got := outcomes(nurse.push(
		nurse.entry(w.persons[0], model.ActRegister, []model.Change{set(start, `{"date":"2026-01-05"}`, over)}),
		nurse.entry(w.persons[0], model.ActVoid, []model.Change{{Unit: grant, Target: &voided}}, func(e *model.Entry) {
			e.Reason = &model.Reason{Code: "error", Text: "prøve"}
		}),
	)); !slices.Equal(got, []string{"applied", "applied"}) {
		t.Fatal(got)
	}
	line := importedService(t, 2, 0, "A", "2026-01-09")
	line.Items[0].Value = jsontext.Value(`{"type":"1"}`)
	done, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, []sync.RecordInput{line})
	if err != nil || done.Changed != 1 || done.Kept != 2 || done.New != 0 || !slices.Equal(done.KeptAt, []int{2}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := string(w.unit(w.persons[0], start).Shown().Value); got != `{"date":"2026-01-05"}` {
		t.Fatal(got)
	}
	if w.unit(w.persons[0], grant).Shown() != nil {
		t.Fatal("a withdrawn decision came back")
	}
}

// The import key is no supervisor: what it ends stays on the worklist (R107).
func TestImportRecordsConfirmsNoEnd(t *testing.T) {
	w := ruled(t, 1)
	line := importedService(t, 2, 0, "A", "2026-01-03")
	line.Items = append(line.Items, sync.RecordItem{Group: "end", Value: jsontext.Value(`{"date":"2026-02-01"}`)})
	if _, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, []sync.RecordInput{line}); err != nil {
		t.Fatal(err)
	}
	w.view(func(v store.View) error {
		found, _, err := w.e.Findings(v, &w.persons[0], sync.FindingFilter{Rule: "R107"}, "", 10)
		if len(found) != 1 {
			t.Errorf("%d findings of R107", len(found))
		}
		return err
	})
}

func importedValue(t *testing.T, line int, in sync.RecordInput, value string) sync.RecordInput {
	in.Line, in.Number = line, numberOf(t, 0)
	in.Items = []sync.RecordItem{{Value: jsontext.Value(value), Columns: map[string]string{"": "value"}}}
	return in
}

// Variables, stays, coercion and pauses come by the same key, and the same file changes nothing;
// what a nurse said of a variable since is kept.
func TestImportRecordsOfEveryKind(t *testing.T) {
	w := ruled(t, 1)
	nurse := w.nurse("kari")
	alone := importedValue(t, 2, sync.RecordInput{Section: "pause", Ref: "P", Service: "A"}, `{"from":"2026-02-01"}`)
	_, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, []sync.RecordInput{alone})
	if msg := lines(t, err); !strings.Contains(msg, "line 2: unknown-service at /service") {
		t.Fatal(msg)
	}
	if _, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, []sync.RecordInput{importedService(t, 2, 0, "A", "2026-01-03"), importedService(t, 3, 0, "B", "2026-01-03")}); err != nil {
		t.Fatal(err)
	}
	in := []sync.RecordInput{
		alone,
		importedValue(t, 3, sync.RecordInput{Section: "pause", Ref: "P", Service: "B"}, `{"from":"2026-02-01","to":"2026-02-10"}`),
		importedValue(t, 4, sync.RecordInput{Section: "stay", Ref: "S", Service: "B"}, `{"kind":"respite","from":"2026-02-01"}`),
		importedValue(t, 5, sync.RecordInput{Section: "coercion", Ref: "S"}, `{"type":"23","start":"2026-02-01","end":"2026-02-01"}`),
		importedValue(t, 6, sync.RecordInput{Path: "score/vision"}, `{"score":3,"assessed":"2026-02-01"}`),
		importedValue(t, 7, sync.RecordInput{Path: "status/waiting_list"}, `{"code":"1","date":"2026-02-01"}`),
	}
	for i := range 2 {
		done, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, in)
		if err != nil || done.New != 6*(1-i) || done.Same != 6*i || done.Lines != 6 {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	var pauses, ids []string
	stay := ""
	w.view(func(v store.View) error {
		return v.Units(w.persons[0], "s", "", func(s *model.UnitState) bool {
			switch ref, _ := model.ParseUnit(string(s.Unit)); {
			case ref.Group == "pause":
				pauses = append(pauses, string(s.Unit))
			case ref.Section == "service" && ref.Group == "":
				ids = append(ids, ref.ID)
			case ref.Section == "stay":
				stay = string(s.Shown().Value)
			}
			return true
		})
	})
	if len(pauses) != 2 || len(ids) != 2 || !strings.Contains(pauses[0], ids[0]) || !strings.Contains(pauses[1], ids[1]) {
		t.Fatalf("pauses %v of services %v", pauses, ids)
	}
	if !strings.Contains(stay, ids[0]) && !strings.Contains(stay, ids[1]) {
		t.Fatalf("the stay is of no service: %s", stay)
	}
	w.now += hour
	over := w.unit(w.persons[0], "score/vision").Shown().ID
	if got := outcomes(nurse.push(nurse.entry(w.persons[0], model.ActRegister, []model.Change{set("score/vision", `{"score":4}`, over)}))); !slices.Equal(got, []string{"applied"}) {
		t.Fatal(got)
	}
	in[4] = importedValue(t, 6, sync.RecordInput{Path: "score/vision"}, `{"score":5,"assessed":"2026-02-01"}`)
	in[5] = importedValue(t, 7, sync.RecordInput{Path: "status/waiting_list"}, `{"code":"2","date":"2026-03-01"}`)
	done, err := w.e.ImportRecords(t.Context(), w.tenant, fromFile, in)
	if err != nil || done.Changed != 1 || done.Kept != 1 || !slices.Equal(done.KeptAt, []int{6}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := string(w.unit(w.persons[0], "score/vision").Shown().Value); got != `{"score":4}` {
		t.Fatal(got)
	}
}
