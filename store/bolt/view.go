package bolt

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/go-json-experiment/json"
	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
)

// view is one bbolt transaction seen through the port.
type view struct {
	tenant *tenant
	btx    *bbolt.Tx
	tables [tableCount]table
	docs   map[store.Kind]*table
	record store.Tenant
	size   int64
	writes int    // puts and deletes so far, in a writing transaction
	key    []byte // scratch for the key of one read or write
	// put holds the unit states that a writing transaction has put, by key: the rules read
	// right back what the merge wrote, for every entry of a group. nil in a reading one.
	put    map[string]*model.UnitState
	walked walked
}

func newView(t *tenant, btx *bbolt.Tx) (*view, error) {
	v := &view{tenant: t, btx: btx, key: make([]byte, 0, 160)}
	raw, err := v.get(metaTable, keyTenant)
	if err != nil {
		return nil, err
	}
	if v.record, err = t.decodeRecord(raw); err != nil {
		return nil, err
	}
	size, err := v.get(metaTable, keySize)
	if err != nil {
		return nil, err
	}
	if len(size) != 8 {
		return nil, v.tables[metaTable].corrupt(keySize, "")
	}
	v.size = lastInt(size)
	return v, nil
}

// record is a decoded tenant record beside its bytes.
type record struct {
	raw    []byte
	tenant store.Tenant
}

// decodeRecord keeps the last record decoded: it hardly ever changes and every view wants it.
func (t *tenant) decodeRecord(raw []byte) (store.Tenant, error) {
	r := t.record.Load()
	if r == nil || !bytes.Equal(r.raw, raw) {
		r = &record{raw: bytes.Clone(raw)}
		if err := json.Unmarshal(raw, &r.tenant); err != nil {
			return store.Tenant{}, (&table{name: tableNames[metaTable]}).corrupt(keyTenant, "not a tenant record")
		}
		t.record.Store(r)
	}
	return r.tenant, nil
}

// table opens a bucket of the transaction at its first use.
func (v *view) table(i int) (tb *table, err error) {
	tb = &v.tables[i]
	if tb.bucket != nil {
		return tb, nil
	}
	tb.name = tableNames[i]
	defer tb.guard(nil, &err)
	b := v.btx.Bucket([]byte(tb.name))
	if b == nil {
		return nil, tb.corrupt(nil, "bucket is missing")
	}
	*tb = newTable(tb.name, b, fill[i])
	return tb, nil
}

// docTable opens the bucket of a kind, nil when no document was ever put.
func (v *view) docTable(kind store.Kind) (tb *table, err error) {
	if tb := v.docs[kind]; tb != nil {
		return tb, nil
	}
	name := docBucket(kind)
	defer (&table{name: name}).guard(nil, &err)
	b := v.btx.Bucket([]byte(name))
	if b == nil {
		return nil, nil
	}
	return v.keepDocTable(kind, b), nil
}

func (v *view) keepDocTable(kind store.Kind, b *bbolt.Bucket) *table {
	tb := newTable(docBucket(kind), b, docFill)
	if v.docs == nil {
		v.docs = map[store.Kind]*table{}
	}
	v.docs[kind] = &tb
	return &tb
}

func (v *view) get(i int, key []byte) ([]byte, error) {
	tb, err := v.table(i)
	if err != nil {
		return nil, err
	}
	return tb.get(key)
}

// Tenant returns the tenant's own record.
func (v *view) Tenant() store.Tenant {
	t := v.record
	t.Contacts = slices.Clone(t.Contacts)
	return t
}

// Size is the number of log entries.
func (v *view) Size() int64 { return v.size }

// Checkpoint returns the newest checkpoint.
func (v *view) Checkpoint() ([]byte, error) {
	b, err := v.get(metaTable, keyCheckpoint)
	return bytes.Clone(b), err
}

// Entry returns the log entry at a position.
func (v *view) Entry(position int64) (*store.LogEntry, error) {
	if position < 0 || position >= v.size {
		return nil, store.ErrNotFound
	}
	v.key = appendInt(v.key[:0], position)
	b, err := v.get(logTable, v.key)
	if err != nil {
		return nil, err
	}
	tb := &v.tables[logTable]
	if b == nil { // positions are dense: a hole is damage, not absence
		return nil, tb.corrupt(v.key, "entry is missing")
	}
	e, err := store.DecodeLogEntry(b)
	if err != nil || e.Position != position {
		return nil, tb.corrupt(v.key, "not the entry of this position")
	}
	return e, nil
}

// walked is what EntryPosition has read of one person's index, so that however many ids an
// entry names, its person is walked once.
type walked struct {
	person model.PersonID
	at     map[model.EntryID]int64
	below  int64 // every entry of the person from here on is in at
}

// EntryPosition finds an entry of a person by id. It reads the person's index from the newest
// entry back to the one asked for, and keeps what it has read until it is asked about
// another person: the cost is that of the person's entries since that one.
func (v *view) EntryPosition(person model.PersonID, id model.EntryID) (int64, error) {
	w := &v.walked
	if w.at == nil || w.person != person {
		*w = walked{person, map[model.EntryID]int64{}, math.MaxInt64}
	}
	if p, ok := w.at[id]; ok {
		return p, nil
	}
	tb, err := v.table(personTable)
	if err != nil {
		return 0, err
	}
	v.key = appendInt(append(v.key[:0], person[:]...), w.below)
	c := tb.bucket.Cursor()
	k, value, err := tb.back(c, v.key, person[:])
	for ; err == nil && k != nil; k, value, err = tb.stepBack(c, k, person[:]) {
		e, err := tb.indexed(k, value)
		if err != nil {
			return 0, err
		}
		w.below, w.at[e.ID] = e.Position, e.Position
		if e.ID == id {
			return e.Position, nil
		}
	}
	if err != nil {
		return 0, err
	}
	return 0, store.ErrNotFound
}

// indexed reads a key and value of an index: the position that ends the key, and the id.
func (tb *table) indexed(key, value []byte) (store.DeviceEntry, error) {
	var e store.DeviceEntry
	if len(key) < 8 || len(value) != len(e.ID) {
		return e, tb.corrupt(key, "")
	}
	e.Position = lastInt(key)
	copy(e.ID[:], value)
	return e, nil
}

// DeviceEntries returns a device's entries with one seq.
func (v *view) DeviceEntries(device model.DeviceID, seq int64) ([]store.DeviceEntry, error) {
	prefix := appendInt(append(make([]byte, 0, 24), device[:]...), seq)
	return v.indexed(devTable, prefix, prefix, math.MaxInt)
}

// FirstOf returns the first entry of a device with one seq.
func (v *view) FirstOf(device model.DeviceID, seq int64) (store.DeviceEntry, error) {
	prefix := appendInt(append(make([]byte, 0, 24), device[:]...), seq)
	found, err := v.indexed(devTable, prefix, prefix, 1)
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.DeviceEntry{}, err
	}
	return found[0], nil
}

// EntryOf finds an id under its device and seq: it is the first there, or a twin.
func (v *view) EntryOf(device model.DeviceID, seq int64, id model.EntryID) (int64, error) {
	first, err := v.FirstOf(device, seq)
	if err != nil || first.ID == id {
		return first.Position, err
	}
	twins, err := v.twins(device, seq, id, 1)
	if err != nil || len(twins) == 0 {
		return 0, cmp.Or(err, store.ErrNotFound)
	}
	return twins[0].Position, nil
}

// twins lists the second and further entries of a seq that have this id.
func (v *view) twins(device model.DeviceID, seq int64, id model.EntryID, limit int) ([]store.DeviceEntry, error) {
	prefix := twinPrefix(device, seq, id)
	return v.indexed(twinTable, prefix, prefix, limit)
}

func twinPrefix(device model.DeviceID, seq int64, id model.EntryID) []byte {
	return append(appendInt(append(make([]byte, 0, 64), device[:]...), seq), id[:]...)
}

// PersonPositions returns positions of a person's entries, ascending.
func (v *view) PersonPositions(person model.PersonID, after int64, limit int) ([]int64, error) {
	if limit <= 0 || after == math.MaxInt64 {
		return nil, nil
	}
	start := appendInt(append(make([]byte, 0, 24), person[:]...), max(after, -1)+1)
	found, err := v.indexed(personTable, start, person[:], limit)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	out := make([]int64, len(found))
	for i := range found {
		out[i] = found[i].Position
	}
	return out, nil
}

// indexed collects up to limit entries of an index.
func (v *view) indexed(i int, start, prefix []byte, limit int) ([]store.DeviceEntry, error) {
	tb, err := v.table(i)
	if err != nil {
		return nil, err
	}
	var out []store.DeviceEntry
	err = v.scan(tb, start, prefix, func(key, value []byte) (bool, error) {
		e, err := tb.indexed(key, value)
		out = append(out, e)
		return len(out) < limit, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Chain returns what is known of a device's seq chain.
func (v *view) Chain(device model.DeviceID) (store.Chain, error) {
	b, err := v.get(chainTable, device[:])
	if b == nil || err != nil {
		return store.Chain{}, err
	}
	c, err := store.DecodeChain(b)
	if err != nil {
		return store.Chain{}, v.tables[chainTable].corrupt(device[:], "not a chain")
	}
	return c, nil
}

// Unit returns the state of one unit.
func (v *view) Unit(person model.PersonID, unit model.Unit) (*model.UnitState, error) {
	v.key = append(append(v.key[:0], person[:]...), unit...)
	b, err := v.get(unitTable, v.key)
	if b == nil || err != nil {
		return nil, err
	}
	return v.decodeUnit(v.key, b)
}

func (v *view) decodeUnit(key, b []byte) (*model.UnitState, error) {
	if s, ok := v.put[string(key)]; ok {
		return s, nil
	}
	s, err := store.DecodeUnitState(b)
	if err != nil || len(key) < 16 || string(s.Unit) != string(key[16:]) {
		return nil, v.tables[unitTable].corrupt(key, "not the state of this unit")
	}
	return s, nil
}

// Units walks a person's units. See store.View.
func (v *view) Units(person model.PersonID, prefix string, after model.Unit, fn func(*model.UnitState) bool) error {
	tb, err := v.table(unitTable)
	if err != nil {
		return err
	}
	start, within := listRange(person[:], prefix, string(after))
	return v.scan(tb, start, within, func(key, value []byte) (bool, error) {
		s, err := v.decodeUnit(key, value)
		return err == nil && fn(s), err
	})
}

// listRange gives the first key and the prefix of a listing below a base; neither is nil.
func listRange(base []byte, prefix, after string) (start, within []byte) {
	within = append(append([]byte{}, base...), prefix...)
	if after < prefix || after == "" {
		return within, within
	}
	return append(append(append([]byte{}, base...), after...), 0), within
}

// ReadTreeHashes returns the tree hashes at the indexes.
func (v *view) ReadTreeHashes(indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, len(indexes))
	for i, index := range indexes {
		v.key = appendInt(v.key[:0], index)
		b, err := v.get(treeTable, v.key)
		if err != nil {
			return nil, err
		}
		if b == nil {
			return nil, store.ErrNotFound
		}
		if len(b) != len(out[i]) {
			return nil, v.tables[treeTable].corrupt(v.key, "")
		}
		copy(out[i][:], b)
	}
	return out, nil
}

// Doc reads a document.
func (v *view) Doc(kind store.Kind, key string) ([]byte, error) {
	tb, err := v.docTable(kind)
	if err != nil {
		return nil, err
	}
	if tb == nil || key == "" {
		return nil, store.ErrNotFound
	}
	v.key = append(v.key[:0], key...)
	b, err := tb.get(v.key)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, store.ErrNotFound
	}
	return bytes.Clone(b), nil
}

// Docs walks documents of a kind. See store.View.
func (v *view) Docs(kind store.Kind, prefix, after string, fn func(key string, body []byte) bool) error {
	tb, err := v.docTable(kind)
	if tb == nil || err != nil {
		return err
	}
	start, within := listRange(nil, prefix, after)
	return v.scan(tb, start, within, func(key, value []byte) (bool, error) {
		return fn(string(key), bytes.Clone(value)), nil
	})
}
