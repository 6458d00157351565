package sync_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flette/internal/jwk"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// copies are the backups of a test.
func (w *world) backup() (restore func()) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "copy")
	w.reopen(func() {
		if err := os.CopyFS(dir, os.DirFS(w.dir)); err != nil {
			w.t.Fatal(err)
		}
	})
	return func() {
		w.t.Helper()
		w.reopen(func() {
			if err := errors.Join(os.RemoveAll(w.dir), os.CopyFS(w.dir, os.DirFS(dir))); err != nil {
				w.t.Fatal(err)
			}
		})
	}
}

func (w *world) beginLife(forked bool) store.Tenant {
	w.t.Helper()
	t, err := w.e.BeginLife(w.t.Context(), w.tenant, forked)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// present pushes nothing but a checkpoint and returns what the server says of it.
func (tb *tablet) present(checkpoint string) (*sync.PushResult, *sync.RewoundError) {
	tb.w.t.Helper()
	out, err := tb.w.e.Push(tb.w.t.Context(), sync.PushRequest{Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, Checkpoint: checkpoint})
	var rewound *sync.RewoundError
	if err != nil && !errors.As(err, &rewound) {
		tb.w.t.Fatal(err)
	}
	return out, rewound
}

func wantRewound(t *testing.T, what string, r *sync.RewoundError, size int64) {
	t.Helper()
	if r == nil || r.Size != size {
		t.Errorf("%s: %+v, want size %d", what, r, size)
	}
}

// A store restored from a copy begins a new life. What a tablet holds of the former one is
// continued as far as the copy goes, and the fork point is told beyond (S12).
func TestCheckpointsOfFormerLives(t *testing.T) {
	w := newWorld(t, 2)
	a := w.nurse("anne")
	at := map[int]string{}
	push := func(from, to int) {
		for i := from; i < to; i++ {
			a.push(a.score(w.persons[0], memory, 1+i%5))
			at[i+1] = a.check
		}
	}
	push(0, 3)
	restore := w.backup()
	push(3, 5)
	e1 := at[5]
	restore()
	before := w.beginLife(false)
	if len(before.Lives) != 1 || before.Lives[0].Size != 3 || before.Epoch == before.Lives[0].Epoch || before.Lives[0].Ended != w.now {
		t.Fatalf("lives: %+v", before)
	}
	w.mustVerify() // the checkpoint was signed anew

	out, r := a.present(at[3])
	if r != nil || out.Epoch != before.Epoch || !strings.Contains(string(out.Checkpoint), "/"+before.Epoch+"\n3\n") {
		t.Fatalf("what the copy holds is not continued: %+v, %v", out, r)
	}
	if _, r = a.present(at[2]); r != nil {
		t.Errorf("an older receipt of the former life: %v", r)
	}
	_, r = a.present(e1)
	wantRewound(t, "beyond the copy", r, 3)
	if r.Epoch != before.Epoch || r.Held != 5 || r.Forked {
		t.Errorf("%+v", r)
	}
	// The store grows past the lost branch: the receipts of that branch are no better for it.
	a.check = ""
	for i := range 4 {
		a.push(a.score(w.persons[1], memory, 1+i))
	}
	_, r = a.present(e1)
	wantRewound(t, "beyond the copy, after growth", r, 3)
	e2 := a.check
	w.beginLife(false)
	if _, r = a.present(at[3]); r != nil {
		t.Errorf("two lives ago: %v", r)
	}
	if _, r = a.present(e2); r != nil {
		t.Errorf("one life ago: %v", r)
	}
	// The old copy again: it has never heard of the lives between.
	restore()
	w.beginLife(false)
	_, r = a.present(e2)
	wantRewound(t, "of a life that the store does not know", r, 0)
	_, r = a.present(e1)
	wantRewound(t, "beyond the copy, restored twice", r, 3)
}

// A file copied back by hand keeps its epoch. When a tablet shows that, the store remembers
// that its life went two ways, and after the next new life promises nothing of it.
func TestForkedLife(t *testing.T) {
	var log bytes.Buffer
	w := newWorldWith(t, 1, sync.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	a := w.nurse("anne")
	a.push(a.score(w.persons[0], memory, 1))
	restore := w.backup()
	a.push(a.score(w.persons[0], memory, 2))
	a.push(a.score(w.persons[0], memory, 3))
	lost := a.check
	restore()
	b := w.nurse("berit")
	b.push(b.score(w.persons[0], "score/hearing", 1))
	_, r := a.present(lost)
	wantRewound(t, "same epoch", r, 2)
	if !r.Forked {
		t.Error("not marked as forked")
	}
	list, err := w.e.Devices(t.Context(), w.tenant, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(d sync.DeviceStatus) bool { return d.ID == a.id })
	if d := list[i].Diary; d == nil || d.Rewound == nil || *d.Rewound != (store.Rewound{At: w.now, Held: 3, Size: 2}) {
		t.Errorf("diary: %+v", d)
	}
	if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, a.id.String()) {
		t.Errorf("log: %s", text)
	}
	a.check = ""
	a.push() // a contact must not forget it
	if list, err = w.e.Devices(t.Context(), w.tenant, "", 0); err != nil || list[i].Diary.Rewound == nil {
		t.Errorf("the diary has forgotten: %v", err)
	}
	if now := w.beginLife(false); !now.Lives[0].Forked || now.Forked {
		t.Errorf("%+v", now)
	}
	_, r = a.present(lost)
	wantRewound(t, "of a life that forked", r, 0)
	if _, r = b.present(b.check); r != nil {
		t.Errorf("a receipt whose root fits: %v", r)
	}
}

// A receipt of a former life with another root is no fork point but tampering.
func TestTamperedFormerLife(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	start := w.backup()
	a.push(a.score(w.persons[0], memory, 1))
	a.push(a.score(w.persons[0], memory, 2))
	other := a.check
	start()
	a.check, a.seq, a.prev = "", 0, ""
	for i := range 3 {
		a.push(a.score(w.persons[0], "score/hearing", 1+i))
	}
	w.beginLife(false)
	_, r := a.present(other)
	wantRewound(t, "another root within the life", r, 0)
}

// A cursor that saw no more than the copy holds goes on after a restore: no tablet loads its
// caseload anew for it. One that saw more is gone.
func TestCursorsOfFormerLives(t *testing.T) {
	w := newWorld(t, 2)
	reader, writer := w.nurse("anne"), w.nurse("berit")
	writer.push(writer.score(w.persons[0], memory, 2))
	reader.pull(10)
	held := reader.cursor
	restore := w.backup()
	writer.push(writer.score(w.persons[0], memory, 3))
	reader.pull(10)
	ahead := reader.cursor
	w.assign("anne", w.persons[0]) // a caseload event of the lost branch
	reader.cursor = held
	restore()
	w.beginLife(false)
	pull := func(cursor string) (*sync.PullPage, error) {
		return w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: reader.id, Actor: reader.actor, Cursor: cursor})
	}
	writer.check = ""
	writer.push(writer.score(w.persons[1], memory, 4))
	writer.push(writer.score(w.persons[1], memory, 5))
	if _, err := pull(ahead); !errors.Is(err, sync.ErrCursorGone) {
		t.Errorf("a cursor beyond the copy: %v", err)
	}
	page, err := pull(held)
	if err != nil || len(page.Items) != 1 || page.Items[0].Person != w.persons[1] {
		t.Fatalf("a cursor that the copy continues: %+v, %v", page, err)
	}
	w.beginLife(false)
	if page, err = pull(page.Cursor); err != nil || len(page.Items) != 0 {
		t.Errorf("its successor after another life: %+v, %v", page, err)
	}
	if page, err = pull(held); err != nil || len(page.Items) != 1 {
		t.Errorf("two lives later: %+v, %v", page, err)
	}
}

// A caseload that is being sent shows units as new as the snapshot, beyond the position where
// changes go on. When those are lost, the cursor must not pass.
func TestCursorThatSawMoreThanItsPosition(t *testing.T) {
	w := newWorld(t, 3)
	reader, writer := w.nurse("anne"), w.nurse("berit")
	for i := range 3 {
		writer.push(writer.score(w.persons[i], memory, 2))
	}
	pull := func(cursor string) (*sync.PullPage, error) {
		return w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: reader.id, Actor: reader.actor, Cursor: cursor, Limit: 2})
	}
	page, err := pull("")
	if err != nil || !page.More {
		t.Fatal(page, err)
	}
	restore := w.backup()
	for i := range 3 {
		writer.push(writer.score(w.persons[i], memory, 5))
	}
	next, err := pull(page.Cursor)
	if err != nil || next.Position != 3 || !next.More {
		t.Fatalf("the test's premise: %+v, %v", next, err)
	}
	restore()
	w.beginLife(false)
	if _, err := pull(next.Cursor); !errors.Is(err, sync.ErrCursorGone) {
		t.Errorf("a tablet that saw what is lost goes on: %v", err)
	}
	if _, err := pull(page.Cursor); err != nil {
		t.Errorf("the page before: %v", err)
	}
}

// A device that the store does not know gets nothing judged, and can have its id back (S13).
func TestFormerDevice(t *testing.T) {
	w := newWorld(t, 1)
	restore := w.backup()
	a := w.nurse("anne")
	e := a.score(w.persons[0], memory, 2)
	a.push(e)
	restore()
	w.assign("anne", w.persons...)
	_, err := w.e.Push(t.Context(), sync.PushRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor, Entries: [][]byte{e.jws}})
	if !errors.Is(err, sync.ErrUnknownDevice) {
		t.Fatalf("an unknown device is judged: %v", err)
	}
	b := w.nurse("berit")
	want(t, b.push(e), "refused unknown-key") // of others it says what it always said

	enrol := func(former model.DeviceID, key jwk.PublicKey) (store.Device, error) {
		code, _, err := w.e.Invite(t.Context(), w.tenant, "again")
		if err != nil {
			t.Fatal(err)
		}
		return w.e.Enrol(t.Context(), sync.Enrolment{Tenant: w.tenant, Code: code, Key: key, Former: former})
	}
	key, err := jwk.New(a.key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enrol(b.id, key); !errors.Is(err, sync.ErrDeviceExists) {
		t.Errorf("another's id was given away: %v", err)
	}
	d, err := enrol(a.id, key)
	if err != nil || d.ID != a.id {
		t.Fatal(d, err)
	}
	if _, err := enrol(a.id, key); !errors.Is(err, sync.ErrDeviceExists) {
		t.Errorf("enrolled twice: %v", err)
	}
	a.check = ""
	want(t, a.push(e), "applied")
}
