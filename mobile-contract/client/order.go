package client

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
)

// ErrWiped says that the tablet was ordered to erase what it held. It signs nothing any more,
// and once it has obeyed it does nothing at all: the device has to be enrolled anew by [New].
var ErrWiped = errors.New("client: this device was revoked and has erased what it held; enrol it anew")

// Order returns what the server wants the tablet to do, nil for nothing. A wipe order is
// obeyed by Push; the others are for the user.
func (t *Tablet) Order() *contract.Order {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.s.Order == nil {
		return nil
	}
	o := *t.s.Order
	return &o
}

// mayWork is asked by everything that a wiped tablet must not do. Called with mu held.
func (t *Tablet) mayWork() error {
	if t.s.Wiped != "" {
		return ErrWiped
	}
	return nil
}

// maySign is mayWork for new entries: they end with the order, not with its acknowledgement.
func (t *Tablet) maySign() error {
	if t.wipes() {
		return ErrWiped
	}
	return t.mayWork()
}

func (t *Tablet) wipes() bool { return t.s.Order != nil && t.s.Order.Do == contract.OrderWipe }

// emptyAndWiped reports whether a wipe order stands and the outbox is empty.
func (t *Tablet) emptyAndWiped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wipes() && len(t.s.Outbox) == 0
}

// obey does what a wipe order asks for once the outbox is empty (T11): erase, acknowledge,
// destroy the key. After an error it is to be called again. Called with net held.
func (t *Tablet) obey(ctx context.Context) error {
	t.mu.Lock()
	if !t.wipes() || len(t.s.Outbox) > 0 {
		t.mu.Unlock()
		return nil
	}
	order := t.s.Order.ID
	err := t.erase()
	token := ""
	if t.s.Lease != nil {
		token = t.s.Lease.Token
	}
	refused := int64(len(t.s.Refused))
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if token != "" {
		_, err := t.call.do(ctx, request{
			method: http.MethodPost, path: "/v1/sync/wiped", scheme: "DPoP", token: token, safe: true,
			in: contract.WipedRequest{Order: order, Refused: refused}, out: &contract.WipedResponse{},
		})
		if err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Wiped, t.s.Lease = order, nil
	if err := t.save(); err != nil {
		return err
	}
	t.cfg.Key, t.call.prove = nil, nil
	if t.cfg.DestroyKey != nil {
		if err := t.cfg.DestroyKey(); err != nil {
			return fmt.Errorf("client: the key could not be destroyed: %w", err)
		}
	}
	return nil
}

// erase forgets everything about persons. Of a refused entry the id, the seq and the code
// stay: nobody else has it, and a person has to see that it was there (T4).
func (t *Tablet) erase() error {
	t.s.Kept, t.s.Checkpoint, t.held = nil, "", checkpoint{}
	for i := range t.s.Refused {
		p := &t.s.Refused[i]
		*p = Pending{ID: p.ID, Seq: p.Seq, Wall: p.Wall, Code: p.Code, Age: p.Age}
	}
	t.cursor, t.view, t.viewOf = "", caseload{}, ""
	clear(t.waiting)
	return t.save()
}

// heard keeps the order of a device-revoked problem. Called with mu held.
func (t *Tablet) heard(err error) {
	var answer *Error
	if errors.As(err, &answer) && answer.Problem.Order != nil {
		t.s.Order = answer.Problem.Order
	}
}

// Replace enrols the tablet anew, with a new key and a new id, by a code that was made for it
// (`flette device invite --replaces`): what a tablet does that was told re-enrol. What it has
// signed stays as it was signed: it is handed in before when there is a lease and a network,
// and otherwise pushed by the new device; the server knows the key that signed it.
//
// Store the key before, beside the old one: [State.JKT] says which of them is in force.
func (t *Tablet) Replace(ctx context.Context, key crypto.Signer, code, label string) (*contract.EnrolResponse, error) {
	t.net.Lock()
	defer t.net.Unlock()
	t.mu.Lock()
	tenant, err := t.s.Tenant, t.mayWork()
	if t.s.Device.IsZero() {
		err = ErrNotEnrolled
	}
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	prove, err := newProver(key, t.cfg.Rand)
	if err != nil {
		return nil, err
	}
	// Whatever comes of it: what is not acknowledged stays in the outbox.
	_ = t.pushAll(ctx, &PushReport{})
	out, verifier, err := t.enrol(ctx, prove, contract.EnrolRequest{Tenant: tenant, Code: code, Label: label})
	if err != nil {
		return nil, t.failed(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.s.Outbox {
		t.s.Outbox[i].Age++
	}
	for i := range t.s.Kept {
		t.s.Kept[i].Age++
	}
	t.cfg.Key, t.call.prove, t.verifier = key, prove, verifier
	t.s.Device, t.s.JKT, t.s.JournalKey = out.Device, prove.public.Thumbprint(), out.JournalKey
	t.s.Seq, t.s.Prev, t.s.Lease, t.s.Order, t.s.Rotating, t.s.Handovers = 0, "", nil, nil, false, nil
	t.next, t.viewOf = nil, ""
	t.dropView()
	return out, t.save()
}

// ErrRotating says that a change of key was begun and not answered: the server may know the
// new key already. Call RotateKey with the same key before anything else.
var ErrRotating = errors.New("client: a change of key is not finished: call RotateKey with the same key")

// RotateKey gives the device another key; nil makes an Ed25519 key. The device stays itself,
// and what was signed before stays good (T12). After an error call it again with the same
// key: the server may have done it, and the answer was lost. Until it succeeds the tablet
// signs with the old key, and pushes nothing unless it can finish the change first.
//
// Store the key before, beside the old one: [State.JKT] says which of them is in force.
func (t *Tablet) RotateKey(ctx context.Context, key crypto.Signer) error {
	t.net.Lock()
	defer t.net.Unlock()
	if key == nil {
		seed := make([]byte, ed25519.SeedSize)
		if _, err := io.ReadFull(t.cfg.Rand, seed); err != nil {
			return fmt.Errorf("client: random: %w", err)
		}
		key = ed25519.NewKeyFromSeed(seed)
	}
	public, err := jwk.New(key.Public())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	t.mu.Lock()
	fresh, done := !t.s.Rotating, t.s.JKT == public.Thumbprint()
	t.mu.Unlock()
	if done {
		return nil // a push has finished the change meanwhile
	}
	if fresh {
		// What has arrived cannot be forged by who holds the old key. Without a network the
		// rotation fails too, and says so.
		_ = t.pushAll(ctx, &PushReport{})
	}
	if err := t.rotate(ctx, key); err != nil {
		return t.failed(err)
	}
	return nil
}

// rotate asks until the server's last_seq is the tablet's: signing goes on while it asks.
func (t *Tablet) rotate(ctx context.Context, key crypto.Signer) error {
	prove, err := newProver(key, t.cfg.Rand)
	if err != nil {
		return err
	}
	const enough = 20 // a person signs far slower than a network answers
	for range enough {
		t.mu.Lock()
		err := t.mayWork()
		if err == nil && t.s.Lease == nil {
			err = ErrNoLease
		}
		if err == nil && !t.s.Rotating {
			t.s.Rotating = true
			err = t.save()
		}
		if err != nil {
			t.mu.Unlock()
			return err
		}
		t.next = key
		tenant, device, token, last := t.s.Tenant, t.s.Device, t.s.Lease.Token, t.s.Seq
		t.mu.Unlock()
		proof, err := prove.rotateProof(string(tenant), device, last)
		if err != nil {
			return err
		}
		var out contract.RotateResponse
		_, err = t.call.do(ctx, request{
			method: http.MethodPost, path: "/v1/devices/rotate-key", scheme: "DPoP", token: token, safe: true, out: &out,
			in: contract.RotateRequest{Key: jsontext.Value(prove.public.String()), Proof: proof, LastSeq: last},
		})
		if err != nil {
			return t.notRotated(err)
		}
		if done, err := t.rotated(key, prove, &out); done || err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the tablet signs faster than the server answers", ErrRotating)
}

// rotated takes the new key into use, unless something was signed since the server was told
// how far the old one goes.
func (t *Tablet) rotated(key crypto.Signer, prove *prover, out *contract.RotateResponse) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if out.LastSeq != t.s.Seq {
		return false, nil
	}
	word, err := t.call.prove.handover(contract.Handover{Tenant: t.s.Tenant, Device: t.s.Device, LastSeq: out.LastSeq}, prove)
	if err != nil {
		return false, err
	}
	t.s.Handovers = append(t.s.Handovers, word)
	t.cfg.Key, t.call.prove, t.next = key, prove, nil
	t.s.JKT, t.s.Rotating = prove.public.Thumbprint(), false
	if out.Lease != nil && t.s.Lease.ID == out.Lease.ID {
		// The same session, and the same clock anchor: only the token speaks of the key.
		t.s.Lease.Token = out.Lease.Token
	}
	return true, t.save()
}

// notRotated ends a change of key that the server will not make; after anything else it may
// have been made.
func (t *Tablet) notRotated(err error) error {
	var answer *Error
	if !errors.As(err, &answer) {
		return err
	}
	code := answer.Problem.Code
	refused := answer.Status == http.StatusBadRequest || answer.Status == http.StatusForbidden || answer.Status == http.StatusConflict
	if !refused && code != "lease-expired" && code != "lease-not-bound" {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Rotating, t.next = false, nil
	return errors.Join(err, t.save())
}
