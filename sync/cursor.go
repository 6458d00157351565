package sync

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"

	"flette/journal"
	"flette/model"
	"flette/store"
)

// Cursor errors.
var (
	// ErrCursor means that the cursor was not given to this device and actor, or is garbled.
	ErrCursor = errors.New("sync: cursor is not one of this device and actor")
	// ErrCursorGone means that the cursor belongs to another life of the store: pull anew.
	ErrCursorGone = errors.New("sync: cursor belongs to another life of this store")
)

// cursor is where a pull stands. The caseload it holds is that of version held at time
// heldAt; while a change of caseload is being sent, target says which one, and next how far.
type cursor struct {
	epoch    uint64
	position int64   // next journal position to look at
	seen     int64   // journal size of the snapshot that the page came from: units may be as new as that
	root     [8]byte // begin of the journal's root at that size: a restored store that grew again has another
	held     int64
	heldAt   model.Millis
	moving   bool
	mark     bool // of a snapshot: persons up to this one, in the order of that snapshot, are sent
	target   int64
	targetAt model.Millis
	person   model.PersonID // next: persons up to this one are done, or being sent
	unit     model.Unit     // next: units of person up to this one are sent
}

const (
	cursorVersion = 3
	cursorFixed   = 1 + 4 + 8 + 8 + 8 + 8 + 8 + 8 + 1 + 8 + 8 + 16
	cursorMAC     = 16
)

var cursorB64 = base64.RawURLEncoding.Strict()

func epochHash(epoch string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(epoch))
	return h.Sum64()
}

// encode writes the cursor so that only its device and actor can present it (opaque and
// authenticated: a tablet cannot ask for what it may not have).
func (c *cursor) encode(keys Keys, tenant model.TenantID, device model.DeviceID, actor model.ActorID) (string, error) {
	b := make([]byte, 0, cursorFixed+len(c.unit)+cursorMAC)
	be := binary.BigEndian
	b = be.AppendUint32(append(b, cursorVersion), keys.CursorKeyID())
	b = be.AppendUint64(b, c.epoch)
	for _, v := range []int64{c.position, c.seen, c.held, int64(c.heldAt)} {
		b = be.AppendUint64(b, uint64(v))
	}
	b = append(b, c.root[:]...)
	kind := byte(0)
	if c.moving {
		kind = 1
	}
	if c.mark {
		kind = 2
	}
	b = append(b, kind)
	b = be.AppendUint64(b, uint64(c.target))
	b = be.AppendUint64(b, uint64(c.targetAt))
	b = append(b, c.person[:]...)
	b = append(b, c.unit...)
	mac, err := cursorSum(keys, tenant, device, actor, b)
	if err != nil {
		return "", err
	}
	return cursorB64.EncodeToString(append(b, mac...)), nil
}

func decodeCursor(keys Keys, tenant model.TenantID, device model.DeviceID, actor model.ActorID, s string) (*cursor, error) {
	if len(s) > 600 {
		return nil, ErrCursor
	}
	raw, err := cursorB64.DecodeString(s)
	if err != nil || len(raw) < cursorFixed+cursorMAC || raw[0] != cursorVersion {
		return nil, ErrCursor
	}
	body, sum := raw[:len(raw)-cursorMAC], raw[len(raw)-cursorMAC:]
	mac, err := cursorSum(keys, tenant, device, actor, body)
	if err != nil || !hmac.Equal(mac, sum) {
		return nil, ErrCursor
	}
	be := binary.BigEndian
	f := body[5:]
	c := &cursor{epoch: be.Uint64(f)}
	c.position = int64(be.Uint64(f[8:]))
	c.seen = int64(be.Uint64(f[16:]))
	c.held = int64(be.Uint64(f[24:]))
	c.heldAt = model.Millis(be.Uint64(f[32:]))
	copy(c.root[:], f[40:])
	c.moving, c.mark = f[48] == 1, f[48] == 2
	c.target = int64(be.Uint64(f[49:]))
	c.targetAt = model.Millis(be.Uint64(f[57:]))
	copy(c.person[:], f[65:81])
	c.unit = model.Unit(f[81:])
	return c, nil
}

// rootAt is what a cursor keeps of the journal's root at a size.
func rootAt(v store.View, size int64) (begin [8]byte, err error) {
	root, err := journal.Root(size, journal.Reader(v))
	copy(begin[:], root[:])
	return begin, err
}

// check makes sure that the journal and the caseload events which the cursor has seen are
// those of this store (S12). A cursor of a former life that saw no more of it than this store
// has goes on as if nothing had happened, and counts as one of the present life from then on.
func (c *cursor) check(v store.View) error {
	t := v.Tenant()
	size, caseload := v.Size(), t.CaseloadSeq
	if present := epochHash(t.Epoch); c.epoch != present {
		life, ok := lifeOf(&t, func(epoch string) bool { return c.epoch == epochHash(epoch) })
		if !ok {
			return ErrCursorGone
		}
		size, caseload, c.epoch = min(size, life.Size), min(caseload, life.Caseload), present
	}
	if c.seen > size || c.position > c.seen || max(c.held, c.target) > caseload {
		return ErrCursorGone
	}
	root, err := rootAt(v, c.seen)
	if err != nil {
		return err
	}
	if root != c.root {
		return ErrCursorGone
	}
	return nil
}

func cursorSum(keys Keys, tenant model.TenantID, device model.DeviceID, actor model.ActorID, body []byte) ([]byte, error) {
	data := make([]byte, 0, 200+len(body))
	data = append(data, "flette/cursor/1\n"...)
	data = append(data, tenant...)
	data = append(data, '\n')
	data = append(data, device[:]...)
	data = append(data, actor...)
	data = append(data, '\n')
	data = append(data, body...)
	mac, err := keys.CursorMAC(binary.BigEndian.Uint32(body[1:5]), data)
	if err != nil {
		return nil, ErrCursor
	}
	return mac[:cursorMAC], nil
}
