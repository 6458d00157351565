package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"flette/internal/jwk"
	"flette/model"
	"flette/store"
)

// A device may take a new key and stay itself: its id, its chain and what it signed before
// are as they were. The tablet says up to which seq it signed with the old key, so every seq
// has one key, whenever the entry arrives.

// CodeKeyRetired is of an entry whose seq is not one of those that its key was good for.
const CodeKeyRetired = "key-retired"

// maxRetired bounds the keys that one entry may have to be tried with; maxUnseen the entries
// that a tablet can hold unsent, so that a slip does not put the new key's first seq out of reach.
const (
	maxRetired = 32
	maxUnseen  = 1_000_000
)

// Errors of rotating a key.
var (
	ErrKeyRetired = errors.New("sync: the key is not the device's present one")
	ErrForked     = errors.New("sync: two tablets sign as this device; it has to be enrolled anew")
	ErrManyKeys   = errors.New("sync: the device has had too many keys; enrol it anew")
)

// Rotation asks for another key of a device. The api has checked a proof by the old key, and
// one by the new key that names the tenant, the device, the new key and LastSeq.
type Rotation struct {
	Tenant  model.TenantID
	Device  model.DeviceID
	Actor   model.ActorID
	Old     string // thumbprint of the key that proves the request
	New     jwk.PublicKey
	LastSeq int64 // the last seq signed with the old key
	Ended   bool  // the session is over: good only to hear again what was done
}

// RotateKey gives a device a new key. The same request again, after a lost answer, gives the
// same answer; LastSeq may have grown then, because the tablet went on with its old key.
// Errors: *RevokedError, ErrForked, ErrKeyRetired, ErrDeviceExists, ErrManyKeys, ErrLease when
// the session is over, a *model.Problem for a LastSeq that cannot be.
func (e *Engine) RotateKey(ctx context.Context, r Rotation) (store.Device, error) {
	var d store.Device
	now := e.o.Now()
	_, err := e.st.Update(ctx, r.Tenant, nil, func(tx store.Tx) error {
		var err error
		if d, err = store.Get[store.Device](tx, r.Device.String()); err != nil {
			return err
		}
		if err := Revoked(&d); err != nil {
			return err
		}
		if repeats(&d, r) {
			last := &d.Retired[len(d.Retired)-1]
			if r.LastSeq < last.Last {
				return lastSeqProblem(last.Last)
			}
			if r.LastSeq > last.Last+maxUnseen {
				return model.Problemf("invalid-member", "/last_seq", "the rotation was asked for at seq %d; no tablet has signed as many since as last_seq says", last.Last)
			}
			last.Last = r.LastSeq
		} else if err := e.retire(tx, &d, r, now); err != nil {
			return err
		}
		if err := putDiary(tx, store.Diary{Device: d.ID, At: now, Contact: ContactRotate, Actor: r.Actor}); err != nil {
			return err
		}
		return store.Put(tx, d)
	})
	return d, err
}

// repeats reports whether the rotation is the one that was done last.
func repeats(d *store.Device, r Rotation) bool {
	return len(d.Retired) > 0 && d.JKT == r.New.Thumbprint() && d.Retired[len(d.Retired)-1].JKT == r.Old
}

func (e *Engine) retire(tx store.Tx, d *store.Device, r Rotation, now model.Millis) error {
	chain, err := tx.Chain(d.ID)
	if err != nil {
		return err
	}
	switch {
	case OfServer(d.Kind):
		return ErrDesk
	case d.JKT != r.Old:
		return BoundTo(d, r.Old)
	case r.Ended:
		return ErrLease
	case chain.Forked:
		return ErrForked
	case len(d.Retired) >= maxRetired:
		return ErrManyKeys
	case r.LastSeq < max(chain.Last, firstSeq(d, len(d.Retired))-1):
		return lastSeqProblem(max(chain.Last, firstSeq(d, len(d.Retired))-1))
	}
	if r.LastSeq > chain.Last+maxUnseen {
		return model.Problemf("invalid-member", "/last_seq", "seq %d has arrived; no tablet holds as many more as last_seq says", chain.Last)
	}
	jkt := r.New.Thumbprint()
	if _, err := store.Get[store.DeviceKey](tx, jkt); err == nil {
		return ErrDeviceExists
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.Retired = append(d.Retired, store.RetiredKey{Alg: d.Alg, Key: d.Key, JKT: d.JKT, Last: r.LastSeq, At: now})
	d.Alg, d.Key, d.JKT = r.New.Alg(), []byte(r.New.String()), jkt
	return store.Put(tx, store.DeviceKey{JKT: jkt, Device: d.ID})
}

// Handover is the word of a device, signed by the key From, that To takes its place. The api
// has checked the signature, that it is about this device, and that one leads to the next.
type Handover struct {
	From, To jwk.PublicKey
	LastSeq  int64 // the last seq signed with From
}

// handOver repeats the changes of key that the store has forgotten, from the key that it knows
// on. ErrDeviceExists when none is from that key, or when what has arrived speaks against it.
func (e *Engine) handOver(tx store.Tx, d *store.Device, steps []Handover, now model.Millis) error {
	from := slices.IndexFunc(steps, func(h Handover) bool { return h.From.Thumbprint() == d.JKT })
	if from < 0 {
		return ErrDeviceExists
	}
	for _, h := range steps[from:] {
		err := e.retire(tx, d, Rotation{Old: d.JKT, New: h.To, LastSeq: h.LastSeq}, now)
		var p *model.Problem
		if errors.As(err, &p) {
			return fmt.Errorf("%w: %s", ErrDeviceExists, p.Detail)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasHad reports whether a key is the device's, or was.
func hasHad(d *store.Device, jkt string) bool {
	return d.JKT == jkt || slices.ContainsFunc(d.Retired, func(k store.RetiredKey) bool { return k.JKT == jkt })
}

// BoundTo is nil when jkt is the thumbprint of the device's present key. ErrKeyRetired for an
// earlier one; ErrUnknownDevice for one that the store does not know: a lease speaks of it, so
// it was the device's, and the store was restored to before that (S13).
func BoundTo(d *store.Device, jkt string) error {
	switch {
	case d.JKT == jkt:
		return nil
	case hasHad(d, jkt):
		return ErrKeyRetired
	}
	return ErrUnknownDevice
}

func lastSeqProblem(least int64) error {
	return model.Problemf("invalid-member", "/last_seq", "entries up to seq %d were signed with the old key already", least)
}

// firstSeq is the first seq that a device's nth key is good for; the present key has n =
// len(Retired).
func firstSeq(d *store.Device, n int) int64 {
	if n == 0 {
		return 1
	}
	return d.Retired[n-1].Last + 1
}

// signedBy finds which of a device's keys signed an entry (S14): the present one is asked first.
func (e *Engine) signedBy(d *store.Device, j *model.JWS) (n int, ok bool) {
	holds := func(alg string, key []byte) bool {
		k, err := e.keys.get(key)
		return err == nil && j.Alg == alg && k.Verify(j.Alg, j.SigningInput(), j.Signature)
	}
	if holds(d.Alg, d.Key) {
		return len(d.Retired), true
	}
	for n := len(d.Retired) - 1; n >= 0; n-- {
		if k := &d.Retired[n]; holds(k.Alg, k.Key) {
			return n, true
		}
	}
	return 0, false
}

// outOfRange says why the nth key was not good for a seq, nil when it was. An entry that has
// no readable seq is quarantined for that.
func outOfRange(d *store.Device, n int, seq int64) *model.Problem {
	why := ""
	switch {
	case seq == 0:
		return nil
	case seq < firstSeq(d, n):
		why = fmt.Sprintf("it took this key into use after seq %d", firstSeq(d, n)-1)
	case n < len(d.Retired) && seq > d.Retired[n].Last:
		why = fmt.Sprintf("it gave this key up at seq %d", d.Retired[n].Last)
	default:
		return nil
	}
	return model.Problemf(CodeKeyRetired, "/seq", "the device signed, but with another key than that of this seq: %s; a supervisor who knows the work can release it", why)
}
