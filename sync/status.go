package sync

import (
	"context"
	"errors"

	"flette/model"
	"flette/store"
)

// Devices lists devices after an id.
func (e *Engine) Devices(ctx context.Context, tenant model.TenantID, after string, limit int) ([]DeviceStatus, error) {
	var out []DeviceStatus
	err := e.st.View(ctx, tenant, func(v store.View) error {
		devices, err := store.List[store.Device](v, "", after, limit)
		if err != nil {
			return err
		}
		out = make([]DeviceStatus, len(devices))
		for i := range devices {
			if out[i], err = e.status(v, tenant, devices[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// DeviceStatus reads a device with all that is known of it. store.ErrNotFound.
func (e *Engine) DeviceStatus(ctx context.Context, tenant model.TenantID, id model.DeviceID) (s DeviceStatus, err error) {
	err = e.st.View(ctx, tenant, func(v store.View) error {
		d, err := store.Get[store.Device](v, id.String())
		if err != nil {
			return err
		}
		s, err = e.status(v, tenant, d)
		return err
	})
	return s, err
}

// maxHeld bounds what is counted of a device's quarantine.
const maxHeld = 10_000

func (e *Engine) status(v store.View, tenant model.TenantID, d store.Device) (s DeviceStatus, err error) {
	s = DeviceStatus{Device: d, Size: v.Size(), Floor: e.o.Floor}
	if s.Chain, err = v.Chain(d.ID); err != nil {
		return s, err
	}
	diary, err := store.Get[store.Diary](v, d.ID.String())
	if err == nil {
		s.Diary = &diary
	} else if !errors.Is(err, store.ErrNotFound) {
		return s, err
	}
	ts, err := e.tenant(tenant)
	if err != nil {
		return s, err
	}
	s.Diary = ts.contacts.over(d.ID, s.Diary)
	open, err := store.List[store.OpenQuarantine](v, d.ID.String()+" ", "", maxHeld)
	if err != nil {
		return s, err
	}
	s.Held = len(open)
	for _, o := range open {
		item, err := store.Get[store.QuarantineItem](v, store.PositionKey(o.Position))
		if err != nil {
			return s, err
		}
		if item.Code == CodeLeaseExpired {
			s.ForLogin++
		}
		if item.Code == CodeUnknownVersion {
			s.TooNew++
		}
	}
	return s, nil
}
