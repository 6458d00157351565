package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/store"
)

// tx writes through one bbolt transaction, on behalf of every update of a commit group.
type tx struct {
	*view
	arena  *arena
	bytes  int   // written so far
	broken error // first failed write: the transaction must not commit, whatever fn says
}

var _ store.Tx = (*tx)(nil)

// arena holds the values of one transaction: bbolt keeps the slices it is given until the
// commit, so a buffer cannot be reused before that.
type arena struct{ block []byte }

const arenaBlock = 1 << 20

var arenas = sync.Pool{New: func() any { return new(arena) }}

func newArena() *arena { return arenas.Get().(*arena) }

// release gives the arena back, once the transaction is over.
func (a *arena) release() {
	if cap(a.block) <= arenaBlock {
		a.block = a.block[:0]
		arenas.Put(a)
	}
}

// frame returns an empty slice with room for the checksum and about hint bytes. A value
// that outgrows it moves to memory of its own, which is just as valid.
func (a *arena) frame(hint int) []byte {
	if need := hint + sumBytes; cap(a.block)-len(a.block) < need {
		a.block = make([]byte, 0, max(arenaBlock, need))
	}
	n := len(a.block)
	return append(a.block[n:n:cap(a.block)], 0, 0, 0, 0)
}

// keep takes the room that a value filled.
func (a *arena) keep(framed []byte) {
	n := len(a.block)
	if n < cap(a.block) && &a.block[:n+1][n] == &framed[0] {
		a.block = a.block[:n+len(framed)]
	}
}

func (x *tx) put(tb *table, key, framed []byte) error {
	if x.broken != nil {
		return x.broken
	}
	x.arena.keep(framed)
	x.writes++
	x.bytes += len(key) + len(framed)
	x.broken = tb.put(key, framed)
	return x.broken
}

// set stores a small value made of parts.
func (x *tx) set(i int, key []byte, value ...byte) error {
	tb, err := x.table(i)
	if err != nil {
		return err
	}
	return x.put(tb, key, append(x.arena.frame(len(value)), value...))
}

// AppendEntry stores an entry at the next position.
func (x *tx) AppendEntry(e *store.LogEntry) (int64, error) {
	twin, err := x.isNew(e)
	if err != nil {
		return 0, err
	}
	tb, err := x.table(logTable)
	if err != nil {
		return 0, err
	}
	at := *e
	at.Position = x.size
	var pos [8]byte
	appendInt(pos[:0], at.Position)
	x.key = append(x.key[:0], pos[:]...)
	hint := 400 + len(e.Header) + len(e.Payload) + len(e.Signature) + 10*len(e.UnitPrev)
	if err := x.put(tb, x.key, store.AppendLogEntry(x.arena.frame(hint), &at)); err != nil {
		return 0, err
	}
	x.key = append(append(x.key[:0], e.Person[:]...), pos[:]...)
	if err := x.set(personTable, x.key, e.ID[:]...); err != nil {
		return 0, err
	}
	x.key = append(appendInt(append(x.key[:0], e.Device[:]...), e.Seq), pos[:]...)
	if err := x.set(devTable, x.key, e.ID[:]...); err != nil {
		return 0, err
	}
	if twin {
		if err := x.set(twinTable, append(twinPrefix(e.Device, e.Seq, e.ID), pos[:]...), e.ID[:]...); err != nil {
			return 0, err
		}
	}
	x.size++
	if x.walked.at != nil && x.walked.person == e.Person {
		x.walked.at[e.ID] = at.Position
	}
	return at.Position, nil
}

// isNew is ErrExists for an entry that its person has already (G3). twin says that another
// entry of the device has the seq.
func (x *tx) isNew(e *store.LogEntry) (twin bool, err error) {
	first, err := x.FirstOf(e.Device, e.Seq)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same, err := x.twins(e.Device, e.Seq, e.ID, math.MaxInt)
	if err != nil {
		return false, err
	}
	if first.ID == e.ID {
		same = append(same, first)
	}
	for _, o := range same {
		x.key = appendInt(append(x.key[:0], e.Person[:]...), o.Position)
		if b, err := x.get(personTable, x.key); b != nil || err != nil {
			return false, cmp.Or(err, store.ErrExists)
		}
	}
	return true, nil
}

// PutUnit replaces the state of a unit.
func (x *tx) PutUnit(person model.PersonID, s *model.UnitState) error {
	if len(s.Unit) > store.MaxKeyBytes {
		return store.ErrTooLarge
	}
	tb, err := x.table(unitTable)
	if err != nil {
		return err
	}
	hint := 64 + len(s.Unit) + 32*len(s.Missing)
	for i := range s.Heads {
		hint += 200 + len(s.Heads[i].Value)
	}
	x.key = append(append(x.key[:0], person[:]...), s.Unit...)
	if err := x.put(tb, x.key, store.AppendUnitState(x.arena.frame(hint), s)); err != nil {
		return err
	}
	x.view.put[string(x.key)] = s
	return nil
}

// PutChain replaces a device's chain.
func (x *tx) PutChain(device model.DeviceID, c store.Chain) error {
	tb, err := x.table(chainTable)
	if err != nil {
		return err
	}
	return x.put(tb, device[:], store.AppendChain(x.arena.frame(64+20*len(c.Missing)), &c))
}

// PutTreeHashes stores consecutive tree hashes.
func (x *tx) PutTreeHashes(first int64, hashes [][32]byte) error {
	for i := range hashes {
		x.key = appendInt(x.key[:0], first+int64(i))
		if err := x.set(treeTable, x.key, hashes[i][:]...); err != nil {
			return err
		}
	}
	return nil
}

// PutCheckpoint replaces the newest checkpoint.
func (x *tx) PutCheckpoint(text []byte) error { return x.set(metaTable, keyCheckpoint, text...) }

// PutDoc stores a document. A key is 1 to MaxKeyBytes bytes.
func (x *tx) PutDoc(kind store.Kind, key string, body []byte) error {
	if key == "" || len(key) > store.MaxKeyBytes || len(body) > store.MaxDocBytes {
		return store.ErrTooLarge
	}
	tb, err := x.docTable(kind)
	if err == nil && tb == nil {
		tb, err = x.createDocTable(kind)
	}
	if err != nil {
		return err
	}
	x.key = append(x.key[:0], key...)
	return x.put(tb, x.key, append(x.arena.frame(len(body)), body...))
}

func (x *tx) createDocTable(kind store.Kind) (tb *table, err error) {
	x.writes++
	defer func() {
		if err != nil {
			x.broken = err
		}
	}()
	name := docBucket(kind)
	defer (&table{name: name}).guard(nil, &err)
	b, err := x.btx.CreateBucket([]byte(name))
	if err != nil {
		return nil, fmt.Errorf("bolt: bucket %s: %w", name, err)
	}
	return x.keepDocTable(kind, b), nil
}

// DeleteDoc removes a document.
func (x *tx) DeleteDoc(kind store.Kind, key string) error {
	tb, err := x.docTable(kind)
	if tb == nil || err != nil {
		return err
	}
	if x.broken != nil {
		return x.broken
	}
	x.writes++
	x.broken = tb.delete([]byte(key))
	return x.broken
}

// PutTenant replaces the tenant's own record. Its id and format belong to the file and stay
// as they are.
func (x *tx) PutTenant(t store.Tenant) error {
	t.ID, t.Format = x.record.ID, x.record.Format
	raw, err := json.Marshal(t, json.Deterministic(true))
	if err != nil {
		return err
	}
	if err := x.set(metaTable, keyTenant, raw...); err != nil {
		return err
	}
	x.record, err = x.tenant.decodeRecord(raw)
	return err
}
