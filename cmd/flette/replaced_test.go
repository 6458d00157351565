package main

import (
	"testing"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// A tablet that changed its key after the backup keeps it over a restore: with the key that
// the backup has, everything that it signs would be refused.
func TestChangedKeysOutliveARestore(t *testing.T) {
	open := func(devices ...store.Device) *app {
		a, err := openApp(appOptions{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		if err := a.createTenant(t.Context(), store.Tenant{ID: "testvik", Name: "Testvik", Kommune: "9999"}, false); err != nil {
			t.Fatal(err)
		}
		if _, err := a.store.Update(t.Context(), "testvik", nil, func(tx store.Tx) error {
			for _, d := range devices {
				if err := store.Put(tx, d); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return a
	}
	device := func(n byte, jkt string, retired ...store.RetiredKey) store.Device {
		return store.Device{ID: model.DeviceID{n}, Kind: sync.KindTablet, State: sync.DeviceActive, JKT: jkt, Retired: retired}
	}
	was := open(device(1, "new", store.RetiredKey{JKT: "old", Last: 7}), device(2, "same"), device(3, "unknown", store.RetiredKey{JKT: "x"}))
	is := open(device(1, "old"), device(2, "same"))
	v := &replacedView{}
	if err := was.store.View(t.Context(), "testvik", func(old store.View) error {
		_, err := is.store.Update(t.Context(), "testvik", nil, func(tx store.Tx) error { return v.revocations(old, tx) })
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := is.store.View(t.Context(), "testvik", func(now store.View) error {
		d, err := store.Get[store.Device](now, model.DeviceID{1}.String())
		if err != nil || d.JKT != "new" || len(d.Retired) != 1 || d.Retired[0].Last != 7 {
			t.Errorf("%+v, %v", d, err)
		}
		if ref, err := store.Get[store.DeviceKey](now, "new"); err != nil || ref.Device != d.ID {
			t.Errorf("the key leads to %v, %v", ref, err)
		}
		if _, err := store.Get[store.Device](now, model.DeviceID{3}.String()); err == nil {
			t.Error("a tablet that the backup does not know is there: it has to enrol again")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(v.Revoked) != 0 {
		t.Errorf("revoked %v", v.Revoked)
	}
}
