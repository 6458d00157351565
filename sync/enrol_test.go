package sync_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"flette/internal/jwk"
	"flette/sync"
)

// The answer to an enrolment may be lost: the same code and key give the same device again,
// and nobody else gets anything.
func TestEnrolAgainAfterALostAnswer(t *testing.T) {
	w := newWorld(t, 0)
	key := func(b byte) jwk.PublicKey {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = b
		k, err := jwk.New(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	code, _, err := w.e.Invite(t.Context(), w.tenant, "nettbrett")
	if err != nil {
		t.Fatal(err)
	}
	enrol := func(k jwk.PublicKey) (string, error) {
		d, err := w.e.Enrol(t.Context(), sync.Enrolment{Tenant: w.tenant, Code: code, Key: k})
		return d.ID.String(), err
	}
	first, err := enrol(key(1))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := enrol(key(1)); err != nil || again != first {
		t.Errorf("again: %s, %v, it was %s", again, err, first)
	}
	if _, err := enrol(key(2)); !errors.Is(err, sync.ErrInvite) {
		t.Errorf("another key with a spent code: %v", err)
	}
	w.now += 11 * min_
	if _, err := enrol(key(1)); !errors.Is(err, sync.ErrInvite) {
		t.Errorf("after the life of the code: %v", err)
	}
	w.now -= 11 * min_
	devices, err := w.e.Devices(t.Context(), w.tenant, "", 10)
	if err != nil || len(devices) != 2 { // with the desk
		t.Errorf("%d devices, %v", len(devices), err)
	}
	for _, d := range devices {
		if d.Kind == sync.KindTablet {
			if _, err := w.e.Revoke(t.Context(), w.tenant, d.ID, "lost"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := enrol(key(1)); !errors.Is(err, sync.ErrInvite) {
		t.Errorf("a revoked device: %v", err)
	}
}
