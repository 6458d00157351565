package sync

import (
	"errors"
	"fmt"
	gosync "sync"

	"flette/conflict"
	"flette/model"
	"flette/store"
)

// Codes of admission. The decoder and the catalogue have codes of their own.
const (
	CodeUnknownKey     = "unknown-key"     // refused: kid is not a device of this tenant
	CodeBadSignature   = "bad-signature"   // refused: not signed by the enrolled key
	CodeTenantMismatch = "tenant-mismatch" // payload names another tenant
	CodeDeviceMismatch = "device-mismatch" // payload names another device than the header
	CodeLeaseUnknown   = "lease-unknown"   // lease id was not issued to this device and actor
	CodeLeaseExpired   = "lease-expired"   // signed after the lease had ended
	CodeDeviceRevoked  = "device-revoked"
	CodeSeqFork        = "seq-fork"      // another entry has this device and seq
	CodeDeviceForked   = "device-forked" // the device has forked before: re-enrol it
	CodeActForbidden   = "act-forbidden" // the role may not do this act
	CodeUnknownPerson  = "unknown-person"
	CodeOutOfScope     = "out-of-scope" // the person was not in the actor's caseload
	CodePersonBlocked  = "person-blocked"
	CodeNotReleasable  = "not-releasable"
	CodeTooManyHeads   = "too-many-heads"
)

// releasable lists the codes that a person can lift: doubts about authority, never about
// what the entry says.
var releasable = map[string]bool{
	CodeLeaseUnknown: true, CodeLeaseExpired: true, CodeDeviceRevoked: true, CodeSeqFork: true,
	CodeDeviceForked: true, CodeActForbidden: false, CodeUnknownPerson: true, CodeOutOfScope: true, CodeTooManyHeads: true,
	CodePersonBlocked: true,
	CodeKeyRetired:    true, CodeVersionRetired: true,
	CodeUnknownVersion: true, // once this server knows it
}

// candidate is one entry on its way in.
type candidate struct {
	jws     *model.JWS
	entry   *model.Entry // nil when the payload is not readable
	placed  *model.Frame // of a payload that is not readable; nil when that is not either
	device  store.Device
	lease   model.Lease
	leaseOK bool
	stamp   model.Stamp
	refused *model.Problem
	problem *model.Problem // first reason for quarantine
	again   bool           // it was judged before: see Refile
}

// quarantine notes a reason; the first one stands. That the lease had ended gives way to
// every other reason: a mere login lifts it, and must not lift what a person has to judge.
func (c *candidate) quarantine(p *model.Problem) {
	if c.problem == nil || c.onlyExpired() {
		c.problem = p
	}
}

func (c *candidate) onlyExpired() bool { return c.problem != nil && c.problem.Code == CodeLeaseExpired }

// frame is what places the entry; nil when it cannot be read.
func (c *candidate) frame() *model.Frame {
	if c.entry == nil {
		return c.placed
	}
	f := c.entry.Frame()
	return &f
}

// seq is the entry's place in the chain of the device that signed it, 0 for none: its frame
// is not readable, or names another device.
func (c *candidate) seq() int64 { return seqOf(c.frame(), c.jws.Device) }

func seqOf(f *model.Frame, device model.DeviceID) int64 {
	if f == nil || f.Device != device {
		return 0
	}
	return f.Seq
}

// placeOf is the frame of a payload that cannot be decoded. It counts only when it names the
// tenant and the device that signed; nil otherwise.
func placeOf(payload []byte, tenant model.TenantID, device model.DeviceID) *model.Frame {
	f, ok := model.DecodeFrame(payload)
	if !ok || f.Tenant != tenant || f.Device != device {
		return nil
	}
	return &f
}

// attribute splits the entries and finds the device that each one names. Candidates come
// back in the order of raw.
func attribute(v store.View, raw [][]byte) ([]*candidate, error) {
	out := make([]*candidate, len(raw))
	devices := map[model.DeviceID]*store.Device{}
	for i := range raw {
		c := &candidate{}
		out[i] = c
		j, err := model.ParseJWS(raw[i])
		if err != nil {
			c.refused = asProblem(err)
			continue
		}
		c.jws = j
		d, ok := devices[j.Device]
		if !ok {
			doc, err := store.Get[store.Device](v, j.Device.String())
			switch {
			case err == nil:
				d = &doc
			case !errors.Is(err, store.ErrNotFound):
				return nil, err
			}
			devices[j.Device] = d
		}
		if d == nil {
			c.refused = model.Problemf(CodeUnknownKey, "", "no device of this tenant is enrolled under the entry's kid")
			continue
		}
		c.device = *d
	}
	return out, nil
}

// each runs f over the candidates on at most Workers goroutines engine-wide.
func (e *Engine) each(cs []*candidate, f func(*candidate)) {
	const perWorker = 4
	n := min(cap(e.workers), (len(cs)+perWorker-1)/perWorker)
	if n <= 1 {
		e.workers <- struct{}{}
		defer func() { <-e.workers }()
		for _, c := range cs {
			f(c)
		}
		return
	}
	var wg gosync.WaitGroup
	for w := range n {
		wg.Go(func() {
			e.workers <- struct{}{}
			defer func() { <-e.workers }()
			for i := w; i < len(cs); i += n {
				f(cs[i])
			}
		})
	}
	wg.Wait()
}

// judge does everything that needs no lock: verify, decode, judge clock and values (S11).
func (e *Engine) judge(ts *tenantState, tenant model.TenantID, c *candidate, received model.Millis) {
	if c.refused != nil {
		return
	}
	key, ok := e.signedBy(&c.device, c.jws)
	if !ok {
		c.refused = model.Problemf(CodeBadSignature, "", "the entry is not signed by a key that the device enrolled")
		return
	}
	var err error
	if c.entry, err = e.decode(c.jws.Payload); err != nil {
		p := asProblem(err)
		c.unread(ts, tenant, p.Code, received)
		c.quarantine(p)
		return
	}
	if p := outOfRange(&c.device, key, c.seq()); p != nil {
		c.quarantine(p)
	}
	if c.entry.V < e.o.Floor {
		c.quarantine(model.Problemf(CodeVersionRetired, "/v", "contract version %d is no longer applied without a supervisor; update the app", c.entry.V))
	}
	c.authority(ts, tenant, received)
	e.checkValues(c)
}

// authority judges tenant, device, lease and clock.
func (c *candidate) authority(ts *tenantState, tenant model.TenantID, received model.Millis) {
	en := c.entry
	claim := conflict.Claim{ElapsedMs: en.ElapsedMs, Clock: en.Clock, Wall: en.Wall, ReceivedAt: received}
	if en.Tenant != tenant {
		c.quarantine(model.Problemf(CodeTenantMismatch, "/tenant", "the entry was signed for another tenant"))
	}
	if en.Device != c.jws.Device {
		c.quarantine(model.Problemf(CodeDeviceMismatch, "/device", "device and the header's kid differ"))
	}
	claim.Lease = c.ownLease(ts, tenant, en.Actor, en.Lease)
	c.stamp = conflict.Interval(claim)
	switch {
	case !c.leaseOK:
		c.quarantine(model.Problemf(CodeLeaseUnknown, "/lease", "the lease was not issued to this device and actor; log in and let a supervisor release the entry"))
	case c.stamp.TEff > c.lease.ExpiresAt:
		c.quarantine(model.Problemf(CodeLeaseExpired, "/lease", "signed after the lease ended; it is released when the actor logs in again"))
	}
	if c.device.State != DeviceActive {
		c.quarantine(revokedProblem(&c.device))
	}
	if c.leaseOK && !mayAct(c.lease.Roles, en) {
		c.quarantine(model.Problemf(CodeActForbidden, "/act", "act %s needs the role supervisor", en.Act))
	}
}

func revokedProblem(d *store.Device) *model.Problem {
	why := "the device is revoked; a supervisor can release what it hands in"
	if d.Compromised {
		why = "the device was revoked because strangers may hold its key: release what it hands in only after the nurse has confirmed the work"
	}
	return model.Problemf(CodeDeviceRevoked, "", "%s", why)
}

// mayAct is the table of who may do what in an entry.
func mayAct(r model.Roles, en *model.Entry) bool {
	switch {
	case en.Act == model.ActDecide, en.Act == model.ActRelease, en.Act == model.ActClose, en.SettlesFindings():
		return r.Has(model.RoleSupervisor)
	default:
		return r.Has(model.RoleNurse | model.RoleSupervisor)
	}
}

// checkValues asks the catalogue about every value; the first wrong one stops the entry (S4).
func (e *Engine) checkValues(c *candidate) {
	if !c.entry.Act.Sets() {
		return
	}
	for i := range c.entry.Changes {
		ch := &c.entry.Changes[i]
		if p := e.o.Catalogue.Validate(ch.Unit, ch.Value, c.stamp.TEff); p != nil {
			at := *p
			at.Pointer = fmt.Sprintf("/changes/%d/value%s", i, p.Pointer)
			if p.Code == "unknown-unit" || p.Code == "unit-closed" || p.Code == "not-valid-then" {
				at.Pointer = fmt.Sprintf("/changes/%d/unit", i)
			}
			c.quarantine(&at)
			return
		}
	}
}

func asProblem(err error) *model.Problem {
	var p *model.Problem
	if errors.As(err, &p) {
		return p
	}
	return model.Problemf("invalid-payload", "", "the entry cannot be read")
}
