package bolt

import (
	"bytes"
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
	put map[string]*model.UnitState
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

// EntryPosition finds an entry of a person by id.
func (v *view) EntryPosition(person model.PersonID, id model.EntryID) (int64, error) {
	v.key = append(append(v.key[:0], person[:]...), id[:]...)
	b, err := v.get(idsTable, v.key)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return 0, store.ErrNotFound
	}
	if len(b) != 8 {
		return 0, v.tables[idsTable].corrupt(v.key, "")
	}
	return lastInt(b), nil
}

// DeviceEntries returns the positions of a device's entries with one seq.
func (v *view) DeviceEntries(device model.DeviceID, seq int64) ([]int64, error) {
	prefix := appendInt(append(make([]byte, 0, 24), device[:]...), seq)
	return v.positions(devTable, prefix, prefix, math.MaxInt)
}

// PersonPositions returns positions of a person's entries, ascending.
func (v *view) PersonPositions(person model.PersonID, after int64, limit int) ([]int64, error) {
	if limit <= 0 || after == math.MaxInt64 {
		return nil, nil
	}
	start := appendInt(append(make([]byte, 0, 24), person[:]...), max(after, -1)+1)
	return v.positions(personTable, start, person[:], limit)
}

// positions collects the positions that end the keys of an index.
func (v *view) positions(i int, start, prefix []byte, limit int) ([]int64, error) {
	tb, err := v.table(i)
	if err != nil {
		return nil, err
	}
	var out []int64
	err = v.scan(tb, start, prefix, func(key, _ []byte) (bool, error) {
		if len(key) < 8 {
			return false, tb.corrupt(key, "")
		}
		out = append(out, lastInt(key))
		return len(out) < limit, nil
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
