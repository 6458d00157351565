package sync

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"flette/model"
	"flette/store"
)

// What an order tells a tablet to do.
const (
	OrderWipe    = "wipe"     // hand in, erase, acknowledge, destroy the key (T11)
	OrderReEnrol = "re-enrol" // hand in, and enrol anew with a code that replaces this device
	OrderUpdate  = "update"   // install a newer app
)

// Order is what a tablet has to do now. It is a function of what is stored of the device, so
// it is the same in every answer and nothing has to be delivered.
type Order struct {
	Do  string
	ID  string // names this order of this device, 16 characters
	Why string // a sentence for the person who holds the tablet
}

// ErrOrder means that a device acknowledges an order that it was not given.
var ErrOrder = errors.New("sync: the device was given no such order")

// RevokedError is ErrRevoked with the order that stands in its place.
type RevokedError struct{ Order Order }

// Error says that the device is revoked.
func (e *RevokedError) Error() string { return ErrRevoked.Error() }

// Is makes a RevokedError an ErrRevoked.
func (e *RevokedError) Is(target error) bool { return target == ErrRevoked }

// orderOf gives the order of a device, nil for none. floor is the oldest contract version
// that is taken, signed the one that the device last signed (0 when it is not known).
func orderOf(d *store.Device, ch *store.Chain, signed, floor int) *Order {
	switch {
	case d.State != DeviceActive && d.Order == OrderReEnrol:
		return order(d, OrderReEnrol, int64(d.Revoked), "another device has taken the place of this one; what it still holds can be handed in, then it has to be enrolled anew")
	case d.State != DeviceActive:
		return order(d, OrderWipe, int64(d.Revoked), "this device is revoked; what it still holds can be handed in, then everything on it has to be erased")
	case ch.Forked:
		return order(d, OrderReEnrol, 0, "two tablets have signed as this device: it was copied or restored; it has to be enrolled anew with a code that replaces it")
	case signed > 0 && signed < floor:
		return order(d, OrderUpdate, int64(floor), "the app signs in a version of the contract that is no longer applied without a supervisor; install the newest app")
	}
	return nil
}

func order(d *store.Device, do string, since int64, why string) *Order {
	sum := sha256.Sum256(fmt.Appendf(nil, "flette/order/1\n%s\n%s\n%d\n", d.ID, do, since))
	return &Order{Do: do, ID: base64.RawURLEncoding.EncodeToString(sum[:12]), Why: why}
}

// Revoked gives the *RevokedError of a device, nil for one that is active.
func Revoked(d *store.Device) error {
	if d.State == DeviceActive {
		return nil
	}
	return &RevokedError{Order: *orderOf(d, &store.Chain{}, 0, 0)}
}

// Wiping is what a tablet says when it has obeyed a wipe order.
type Wiping struct {
	Tenant  model.TenantID
	Device  model.DeviceID
	Actor   model.ActorID
	Order   string // id
	Refused int64  // entries that the server had refused, and that are erased now
}

// Wiped takes a tablet's word that it has obeyed the wipe order: it has handed in what it
// held, and has erased it. Saying it again changes nothing. ErrOrder when this is not the
// wipe order of the device.
func (e *Engine) Wiped(ctx context.Context, r Wiping) (store.Device, error) {
	var d store.Device
	now := e.o.Now()
	_, err := e.st.Update(ctx, r.Tenant, nil, func(tx store.Tx) error {
		var err error
		if d, err = store.Get[store.Device](tx, r.Device.String()); err != nil {
			return err
		}
		o := orderOf(&d, &store.Chain{}, 0, 0)
		if o == nil || o.Do != OrderWipe || o.ID != r.Order {
			return ErrOrder
		}
		if err := putDiary(tx, store.Diary{Device: d.ID, At: now, Contact: ContactWiped, Actor: r.Actor}); err != nil || d.Wiped != 0 {
			return err
		}
		d.Wiped, d.WipedRefused = now, r.Refused
		return store.Put(tx, d)
	})
	return d, err
}
