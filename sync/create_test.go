package sync_test

import (
	"errors"
	"testing"

	"flette/internal/seal"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// TestCreationCutOff: a crash between the tenant's file and its desk leaves a tenant that the
// same command completes, and that can be decided on without it.
func TestCreationCutOff(t *testing.T) {
	keys, err := seal.Generate("testvik")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), tenant: "testvik", keys: keys, now: day0}
	w.open()
	defer func() {
		if err := w.st.Close(); err != nil {
			t.Error(err)
		}
	}()
	cut := store.Tenant{ID: w.tenant, Name: "Testvik før"}
	if err := w.st.CreateTenant(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	var epoch string
	read := func() (tenant store.Tenant, devices int) {
		err := w.st.View(t.Context(), w.tenant, func(v store.View) error {
			all, err := store.List[store.Device](v, "", "", 0)
			tenant, devices = v.Tenant(), len(all)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return tenant, devices
	}
	before, devices := read()
	epoch = before.Epoch
	if devices != 0 {
		t.Fatalf("%d devices before the creation is complete", devices)
	}
	want := store.Tenant{ID: w.tenant, Name: "Testvik", Kommune: "9999"}
	if err := w.e.CreateTenant(t.Context(), want); err != nil {
		t.Fatalf("completing: %v", err)
	}
	after, devices := read()
	if devices != 1 || after.Name != "Testvik" || after.Epoch != epoch {
		t.Errorf("after completing: %d devices, %+v", devices, after)
	}
	if err := w.e.CreateTenant(t.Context(), want); !errors.Is(err, store.ErrExists) {
		t.Errorf("creating it once more: %v", err)
	}
	w.mustVerify()
}

// TestDeskComesBack: a tenant that a crash left without its desk still settles what waits.
func TestDeskComesBack(t *testing.T) {
	w := newWorld(t, 1)
	_, err := w.st.Update(t.Context(), w.tenant, nil, func(tx store.Tx) error {
		all, err := store.List[store.Device](tx, "", "", 0)
		if err != nil || len(all) != 1 || all[0].Kind != sync.KindDesk {
			t.Fatalf("devices of a new tenant: %v, %v", all, err)
		}
		return store.Delete(tx, all[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := w.nurse("anne"), w.nurse("berit")
	w.now += hour
	two, four := a.score(w.persons[0], memory, 2), b.score(w.persons[0], memory, 4)
	a.push(two)
	b.push(four)
	var open []*sync.ReviewStatus
	err = w.st.View(t.Context(), w.tenant, func(v store.View) (err error) {
		open, _, err = w.e.Reviews(v, "open", "", 10)
		return err
	})
	if err != nil || len(open) != 1 {
		t.Fatalf("open reviews %v, %v", open, err)
	}
	_, err = w.e.Decide(t.Context(), sync.Decision{
		Tenant: w.tenant, Review: open[0].ID, HeadSet: open[0].HeadSet(), Actor: "sonja", Roles: model.Roles(model.RoleSupervisor),
		Choose: &two.id, Reason: model.Reason{Code: "seen-both"},
	})
	if err != nil {
		t.Fatal(err)
	}
}
