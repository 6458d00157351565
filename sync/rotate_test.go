package sync_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"flette/internal/jwk"
	"flette/model"
	"flette/sync"
)

// A key that was taken into use later does not sign for an earlier seq, and nobody signs with
// a key that the tenant has never seen.
func TestNewKeyForAnOldSeq(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	first := a.score(p, memory, 1)
	lost := *a // seq 2 stays on the tablet
	_ = a.score(p, "score/vision", 1)
	a.rotate()
	third := a.score(p, "score/hearing", 2)
	a.push(first, third)
	back := *a
	back.seq, back.prev = lost.seq, lost.prev
	want(t, a.push(back.score(p, "score/vision", 4)), "quarantined key-retired")
	var seed [32]byte
	stranger := *a
	stranger.key = ed25519.NewKeyFromSeed(seed[:])
	want(t, a.push(stranger.score(p, "score/vision", 5)), "refused bad-signature")
}

// A rotation whose answer was lost is asked for again: the same answer, whatever was signed
// with the old key in between, and nothing of it is held back.
func TestRotateAgain(t *testing.T) {
	w := newWorld(t, 1)
	a, p := w.nurse("anne"), w.persons[0]
	want(t, a.push(a.score(p, memory, 1)), "applied")
	old := *a
	r := old.rotation(a.newKey())
	if _, err := w.e.RotateKey(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	between := old.score(p, "score/vision", 2) // the tablet has not heard of it
	r.LastSeq = old.seq
	r.Ended = true // and meanwhile its session has ended
	for range 2 {
		d, err := w.e.RotateKey(t.Context(), r)
		if err != nil || len(d.Retired) != 1 || d.Retired[0].Last != 2 || d.JKT != r.New.Thumbprint() {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	a.seq, a.prev = old.seq, old.prev
	want(t, a.push(between, a.score(p, "score/hearing", 3)), "applied", "applied")

	r.LastSeq = 1
	var p422 *model.Problem
	if _, err := w.e.RotateKey(t.Context(), r); !errors.As(err, &p422) || p422.Pointer != "/last_seq" {
		t.Errorf("last_seq went back: %v", err)
	}
	if got := a.device(); got.Diary.Contact != sync.ContactPush || got.JKT != r.New.Thumbprint() {
		t.Errorf("%+v", got)
	}
}

func TestRotationsThatCannotBe(t *testing.T) {
	w := newWorld(t, 1)
	a, b, p := w.nurse("anne"), w.nurse("berit"), w.persons[0]
	want(t, a.push(a.score(p, memory, 1), a.score(p, "score/vision", 2)), "applied", "applied")
	fresh := func() jwk.PublicKey { c := *a; return c.newKey() }
	try := func(name string, wanted error, edit func(*sync.Rotation)) {
		t.Helper()
		r := a.rotation(fresh())
		edit(&r)
		before := a.device().Device
		_, err := w.e.RotateKey(t.Context(), r)
		var problem *model.Problem
		if wanted == nil && !errors.As(err, &problem) || wanted != nil && !errors.Is(err, wanted) {
			t.Errorf("%s: %v", name, err)
		}
		if after := a.device(); after.JKT != before.JKT || len(after.Retired) != len(before.Retired) {
			t.Errorf("%s: changed the device", name)
		}
	}
	try("another's key", sync.ErrDeviceExists, func(r *sync.Rotation) {
		var err error
		if r.New, err = jwk.New(b.key.Public().(ed25519.PublicKey)); err != nil {
			t.Fatal(err)
		}
	})
	try("its own key", sync.ErrDeviceExists, func(r *sync.Rotation) {
		var err error
		if r.New, err = jwk.New(a.key.Public().(ed25519.PublicKey)); err != nil {
			t.Fatal(err)
		}
	})
	try("proved by a key that the store does not know", sync.ErrUnknownDevice, func(r *sync.Rotation) { r.Old = fresh().Thumbprint() })
	try("session over", sync.ErrLease, func(r *sync.Rotation) { r.Ended = true })
	try("what has arrived was signed after", nil, func(r *sync.Rotation) { r.LastSeq = 1 })
	try("more than a tablet holds", nil, func(r *sync.Rotation) { r.LastSeq = 2_000_000 })
	for range 32 {
		a.rotate()
	}
	try("too many keys", sync.ErrManyKeys, func(*sync.Rotation) {})
	clone := *b
	b.push(b.score(p, "score/vision", 1))
	clone.push(clone.score(p, "score/vision", 2))
	a = b
	try("forked", sync.ErrForked, func(*sync.Rotation) {})
	if _, err := w.e.Revoke(t.Context(), w.tenant, b.id, "lost"); err != nil {
		t.Fatal(err)
	}
	try("revoked", sync.ErrRevoked, func(*sync.Rotation) {})
}

// After a rotation the old lease fetches nothing: a thief of the old key has it too.
func TestOldKeyFetchesNothing(t *testing.T) {
	w := newWorld(t, 1)
	a := w.nurse("anne")
	before, old := a.device().JKT, *a
	a.rotate()
	pull := func(jkt string) error {
		_, err := w.e.Pull(t.Context(), sync.PullRequest{Tenant: w.tenant, Device: a.id, Actor: a.actor, JKT: jkt})
		return err
	}
	if err := pull(before); !errors.Is(err, sync.ErrKeyRetired) {
		t.Errorf("old key: %v", err)
	}
	if err := pull(a.device().JKT); err != nil {
		t.Errorf("new key: %v", err)
	}
	// A key that was given up is nobody's: it does not enrol another device.
	code, _, err := w.e.Invite(t.Context(), w.tenant, "x")
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]ed25519.PrivateKey{"old": old.key, "new": a.key} {
		public, err := jwk.New(key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.e.Enrol(t.Context(), sync.Enrolment{Tenant: w.tenant, Code: code, Key: public}); !errors.Is(err, sync.ErrDeviceExists) {
			t.Errorf("the %s key enrols: %v", name, err)
		}
	}
}
