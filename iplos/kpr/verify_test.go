package kpr

import (
	"context"
	"strings"
	"testing"

	"flette/model"
	"flette/store"
)

func (w *world) verify() []string {
	w.t.Helper()
	var out []string
	err := w.st.View(context.Background(), skogvik, func(v store.View) error {
		var err error
		out, err = VerifyLedger(v)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestVerifyLedger(t *testing.T) {
	notification := func(serial int64) string { return store.Notification{Target: Test, Serial: serial}.DocKey() }
	newest := Newest{Target: Test, Person: person(1), EventKey: serviceID(1) + " " + string(ServiceStart)}.DocKey()
	for _, c := range []struct {
		name  string
		spoil func(*world)
		says  string
	}{
		{"as written", func(w *world) {}, ""},
		{"K1 chain", func(w *world) {
			tweak(w, notification(2), func(n *store.Notification) { n.PrevGUID = svcA })
		}, "serial 2: it does not name"},
		{"R87 reference", func(w *world) {
			tweak(w, notification(3), func(n *store.Notification) { n.Ref = svcA })
		}, "serial 3: it does not point at the original"},
		{"told twice", func(w *world) {
			tweak(w, notification(3), func(n *store.Notification) { n.Status, n.Ref = StatusNew, "" })
		}, "serial 3: it tells an event as new"},
		{"status", func(w *world) { tweak(w, notification(3), func(n *store.Notification) { n.Status = "T" }) }, "serial 3: its status"},
		{"no extract", func(w *world) {
			tweak(w, notification(1), func(n *store.Notification) { n.Extract = svcA })
		}, "serial 1: no extract"},
		{"end of the chain", func(w *world) { tweak(w, Test, func(h *Head) { h.Serial++ }) }, "the stored end of the chain is serial 4"},
		{"newest is another", func(w *world) { tweak(w, newest, func(n *Newest) { n.Serial = 1 }) }, "serial 1: it is kept as the newest"},
		{"newest differs", func(w *world) { tweak(w, newest, func(n *Newest) { n.Digest = "x" }) }, "serial 3: what is kept as the newest"},
		{"newest is missing", func(w *world) {
			w.update(func(tx store.Tx) error { return tx.DeleteDoc(Newest{}.DocKind(), newest) })
		}, "1 events have no newest"},
		{"notification is missing", func(w *world) {
			w.update(func(tx store.Tx) error { return tx.DeleteDoc(store.Notification{}.DocKind(), notification(2)) })
		}, "serial 3: the serial before it is 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for n := 1; n <= 2; n++ {
				w.newPerson(n)
				w.service(n, serviceID(n), "15", "2026-05-01", unitLow)
			}
			w.run(w.options())
			w.set(1, model.ActCorrect, unitOf(serviceID(1), "start"), `{"date":"2026-05-02"}`)
			w.run(w.options())
			c.spoil(w)
			got := strings.Join(w.verify(), "\n")
			if c.says == "" && got != "" || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want %q", got, c.says)
			}
		})
	}
}
