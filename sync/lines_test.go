package sync_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/sync"
)

// engineOver is the world's engine over another store.
func (w *world) engineOver(st store.Store) *sync.Engine {
	w.t.Helper()
	o := w.options
	o.Store, o.Rand = st, w.rand
	o.Keys = func(model.TenantID) (sync.Keys, error) { return w.keys, nil }
	o.Now = func() model.Millis { return w.now }
	e, err := sync.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// Persons whose import was cut off in the middle are completed by a second run, and a third
// changes nothing.
func TestEnterPersonsGoesOnAfterACrash(t *testing.T) {
	w := ruled(t, 0)
	var in []sync.PersonInput
	for i := range 1200 {
		number, ok := ident.SyntheticFNR(day0.Time().AddDate(-80, 0, i), 0)
		if !ok {
			t.Fatal("no number")
		}
		in = append(in, sync.PersonInput{Line: i + 2, Number: number, Name: fmt.Sprint("Oppdiktet ", i), Kommune: "9999"})
	}
	for cut, want := range []int{0, 500, 1000} {
		e := w.engineOver(&cutStore{Store: w.st, left: cut})
		if _, err := e.EnterPersons(t.Context(), w.tenant, sync.Each(in)); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		done, err := w.e.CheckPersons(t.Context(), w.tenant, sync.Each(in))
		if err != nil || done.Same != want || done.New != 1200-want || done.Changed != 0 {
			t.Fatalf("after %d batches: %+v, %v", cut, done, err)
		}
	}
	done, err := w.e.EnterPersons(t.Context(), w.tenant, sync.Each(in))
	if err != nil || done.New != 200 || done.Same != 1000 {
		t.Fatalf("%+v, %v", done, err)
	}
	done, err = w.e.EnterPersons(t.Context(), w.tenant, sync.Each(in))
	if err != nil || done.New+done.Changed != 0 || done.Same != 1200 {
		t.Fatalf("%+v, %v", done, err)
	}
	w.view(func(v store.View) error {
		all, err := store.List[store.Person](v, "", "", 0)
		numbers := map[int64]bool{}
		for _, p := range all {
			numbers[p.BrukerNr] = true
		}
		if len(all) != 1200 || len(numbers) != 1200 || v.Tenant().NextBrukerNr != 1200 {
			t.Errorf("%d persons with %d numbers up to %d", len(all), len(numbers), v.Tenant().NextBrukerNr)
		}
		return err
	})
}

// Lines that are judged one batch after the other, without storing anything, are judged as one
// import of all of them does, whatever numbers follow each other in them (R1) or come later (R89).
func TestCheckPersonsIsWhatAnImportDoes(t *testing.T) {
	numbers := []string{"17855834553", "57855834547", "29823610163", "24920377749", "05811981267"}
	draw := func(rt *rapid.T, n int) []sync.PersonInput {
		in := make([]sync.PersonInput, n)
		for i := range in {
			in[i] = sync.PersonInput{
				Line: i + 2, Number: rapid.SampledFrom(append(numbers, "")).Draw(rt, "number"), Former: rapid.SampledFrom(append(numbers, "", "", "", "")).Draw(rt, "former"),
				Ref: rapid.SampledFrom([]string{"", "", "K-1", "K-2", "K-3"}).Draw(rt, "ref"), BirthDate: rapid.SampledFrom([]string{"", "1958-05-17"}).Draw(rt, "born"),
				Name: rapid.SampledFrom([]string{"Oppdiktet Gran", "Oppdiktet Furu"}).Draw(rt, "name"), Kommune: "9999",
				Unit: rapid.SampledFrom([]string{"", "", "", "ukjent"}).Draw(rt, "unit"),
			}
		}
		return in
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 0)
		for _, p := range draw(rt, rapid.IntRange(0, 3).Draw(rt, "before")) {
			if _, err := w.e.ImportPersons(t.Context(), w.tenant, []sync.PersonInput{p}); err != nil {
				continue // one that cannot be
			}
		}
		in := draw(rt, rapid.IntRange(1, 5).Draw(rt, "lines"))
		judged, err := w.e.CheckPersons(t.Context(), w.tenant, sync.Each(in))
		done, err2 := w.e.ImportPersons(t.Context(), w.tenant, in)
		if (err == nil) != (err2 == nil) || err != nil && lines(t, err) != lines(t, err2) {
			rt.Fatalf("judged: %v\nimported: %v\n%+v", err, err2, in)
		}
		if err == nil && (judged.New != done.New || judged.Changed+judged.Same != done.Changed+done.Same) {
			rt.Fatalf("judged: %+v\nimported: %+v\n%+v", judged, done, in)
		}
	})
}
