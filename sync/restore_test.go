package sync_test

import (
	"errors"
	"os"
	"testing"

	"flette/model"
	"flette/sync"
)

// A store restored from a copy keeps its epoch. A tablet that pulled beyond the copy must not
// go on from there, not even when the restored store has grown past its cursor: it would
// never learn what was written in between.
func TestCursorOfAnotherBranch(t *testing.T) {
	w := newWorld(t, 3)
	reader, writer := w.nurse("anne"), w.nurse("berit")
	writer.push(writer.score(w.persons[0], memory, 2))
	reader.pull(10)
	held := reader.cursor
	backup := t.TempDir() + "/copy"
	w.reopen(func() {
		if err := os.CopyFS(backup, os.DirFS(w.dir)); err != nil {
			t.Fatal(err)
		}
	})
	writer.push(writer.score(w.persons[0], memory, 3))
	reader.pull(10)
	w.reopen(func() {
		if err := errors.Join(os.RemoveAll(w.dir), os.CopyFS(w.dir, os.DirFS(backup))); err != nil {
			t.Fatal(err)
		}
	})
	pull := func(cursor string) (*sync.PullPage, error) {
		return w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: reader.id, Actor: reader.actor, Cursor: cursor})
	}
	if _, err := pull(reader.cursor); !errors.Is(err, sync.ErrCursorGone) {
		t.Errorf("a cursor beyond the store: %v", err)
	}
	writer.check = ""
	writer.push(writer.score(w.persons[1], memory, 4))
	writer.push(writer.score(w.persons[2], memory, 5))
	if _, err := pull(reader.cursor); !errors.Is(err, sync.ErrCursorGone) {
		t.Errorf("a cursor of the lost branch: %v", err)
	}
	page, err := pull(held)
	if err != nil || len(page.Items) != 2 {
		t.Errorf("a cursor older than the copy: %+v, %v", page, err)
	}
}

// reopen closes the store, lets do work on its files, and opens it again.
func (w *world) reopen(do func()) {
	w.t.Helper()
	if err := w.st.Close(); err != nil {
		w.t.Fatal(err)
	}
	do()
	w.open()
}

// An entry about somebody whom nobody knows must not wait for ever.
func TestCloseAnEntryAboutNobodyKnown(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	e := a.score(model.PersonID{7}, memory, 2)
	want(t, a.push(e), "quarantined unknown-person")
	sup, reason := model.Roles(model.RoleSupervisor), model.Reason{Code: "wrong-person"}
	if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActRelease, "sonja", sup, reason); err == nil {
		t.Error("it is released")
	}
	if _, err := w.e.Settle(t.Context(), w.tenant, e.id, model.ActClose, "sonja", sup, reason); err != nil {
		t.Fatal(err)
	}
	item, err := w.e.QuarantineItem(t.Context(), w.tenant, e.id)
	if err != nil || item.State != sync.StateClosed {
		t.Errorf("%+v, %v", item, err)
	}
}
