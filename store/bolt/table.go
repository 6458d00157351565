package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"flette/model"
	"flette/store"
)

// Buckets of a tenant's file and their keys. Integers are big-endian, so byte order is
// numeric order; keys start with what is read together, so that a batch touches few pages.
// No key starts with a hash: an index by id alone would dirty one more page for every entry.
// The one index that holds ids in its keys is of entries that should not be: a tablet's seq
// stands on one entry, so everyday writes do not touch it.
const (
	logTable    = iota // position -> log entry
	devTable           // device, seq, position -> entry id
	personTable        // person, position -> entry id
	unitTable          // person, unit path -> unit state
	treeTable          // index -> tree hash
	chainTable         // device -> chain
	metaTable          // "tenant", "size", "checkpoint"
	twinTable          // device, seq, id, position -> id, of the second and further entries of a seq
	tableCount
)

var tableNames = [tableCount]string{"log", "dev", "person", "unit", "tree", "chain", "meta", "twin"}

// fill says how full a page is left when it splits. Appended pages are never written again,
// so they may be full; keys inside a prefix that only grows leave little room behind.
var fill = [tableCount]float64{logTable: 1, treeTable: 1, devTable: 0.9, personTable: 0.9, unitTable: 0.7, chainTable: 0.7, metaTable: 0.5, twinTable: 0.7}

// docBucket names the bucket of a kind of documents; it is created with the first document.
func docBucket(kind store.Kind) string { return "doc/" + string(kind) }

const docFill = 0.7

var (
	keyTenant     = []byte("tenant")
	keySize       = []byte("size")
	keyCheckpoint = []byte("checkpoint")
)

// sumBytes is the length of the CRC-32C in front of every stored value. The sum covers
// bucket name, key and value, so a value that turns up under another key is damage too.
const sumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// table is one bucket inside one transaction.
type table struct {
	name   string
	seed   uint32
	bucket *bbolt.Bucket
	cursor *bbolt.Cursor // for single reads; every Seek starts from the root again
}

func newTable(name string, b *bbolt.Bucket, fill float64) table {
	b.FillPercent = fill
	tb := nameTable(name)
	tb.bucket, tb.cursor = b, b.Cursor()
	return tb
}

// nameTable is a table without its bucket: it knows its checksums.
func nameTable(name string) table {
	return table{name: name, seed: seedOf(name)}
}

// seedOf makes the name of the bucket part of every sum in it.
func seedOf(name string) uint32 { return crc32.Update(0, castagnoli, []byte(name)) }

func (tb *table) sum(key, value []byte) uint32 {
	c := crc32.Update(crc32.Update(tb.seed, castagnoli, key), castagnoli, value)
	// The length keeps "ab"+"c" apart from "a"+"bc".
	return c ^ uint32(len(key))*0x9e3779b1
}

// seal fills in the checksum of a framed value: sumBytes of room, then the value.
func (tb *table) seal(key, framed []byte) {
	binary.BigEndian.PutUint32(framed, tb.sum(key, framed[sumBytes:]))
}

// open verifies a framed value and returns what it frames.
func (tb *table) open(key, framed []byte) ([]byte, error) {
	if len(framed) < sumBytes || binary.BigEndian.Uint32(framed) != tb.sum(key, framed[sumBytes:]) {
		return nil, tb.corrupt(key, "")
	}
	return framed[sumBytes:], nil
}

// corrupt names where the damage is: bucket and key, never content.
func (tb *table) corrupt(key []byte, detail any) error {
	if detail == "" {
		return fmt.Errorf("%w: bucket %s, %s", store.ErrCorrupt, tb.name, keyName(tb.name, key))
	}
	return fmt.Errorf("%w: bucket %s, %s: %v", store.ErrCorrupt, tb.name, keyName(tb.name, key), detail)
}

// keyName spells a key; where keys begin with a person, it says whose record is hit.
func keyName(bucket string, key []byte) string {
	var p model.PersonID
	if (bucket == tableNames[personTable] || bucket == tableNames[unitTable]) && len(key) >= len(p) {
		copy(p[:], key)
		return fmt.Sprintf("key %x of person %s", key, p)
	}
	return fmt.Sprintf("key %x", key)
}

// guard turns a panic of bbolt (it asserts on damaged pages) or a fault on mapped memory
// (see debug.SetPanicOnFault) into an error.
func (tb *table) guard(key []byte, err *error) {
	if r := recover(); r != nil {
		*err = tb.corrupt(key, r)
	}
}

// get returns the value of a key, nil when there is none. It points into memory of the
// transaction: decode or copy it before anything else.
func (tb *table) get(key []byte) (value []byte, err error) {
	defer tb.guard(key, &err)
	k, framed := tb.cursor.Seek(key)
	if k == nil || !bytes.Equal(k, key) {
		_, _, err := tb.before(tb.cursor, key, k, framed)
		return nil, err
	}
	return tb.open(k, framed)
}

// before looks at both sides of the place where a cursor that sought a key came to rest at
// k, and returns the element in front of it. A damaged key or page number sends the search to
// another leaf: what stands there is then not at or after the key, or its neighbour not before
// it. A value that was hidden by a flipped bit of its own key stands, in nearly every case,
// just beside its place, and does not match its checksum.
func (tb *table) before(c *bbolt.Cursor, key, k, framed []byte) (prev, value []byte, err error) {
	if k != nil {
		if _, err := tb.open(k, framed); err != nil {
			return nil, nil, err
		}
		if bytes.Compare(k, key) < 0 {
			return nil, nil, tb.corrupt(key, "the search ended at a smaller key")
		}
		k, framed = c.Prev()
	} else {
		k, framed = c.Last()
	}
	if k == nil {
		return nil, nil, nil
	}
	if value, err = tb.open(k, framed); err != nil {
		return nil, nil, err
	}
	if bytes.Compare(k, key) >= 0 {
		return nil, nil, tb.corrupt(key, "the search passed a greater key")
	}
	return k, value, nil
}

// start moves a cursor to the first key from a place on, step to the next one; both return
// a nil key at the end of the prefix. at is the key that the cursor stands on.
func (tb *table) start(c *bbolt.Cursor, from, prefix []byte) (k, value []byte, err error) {
	defer tb.guard(from, &err)
	k, framed := c.Seek(from)
	if _, _, err := tb.before(c, from, k, framed); err != nil {
		return nil, nil, err
	}
	k, framed = c.Seek(from)
	return tb.within(prefix, k, framed)
}

func (tb *table) step(c *bbolt.Cursor, at, prefix []byte) (k, value []byte, err error) {
	defer tb.guard(prefix, &err)
	k, framed := c.Next()
	if k != nil && bytes.Compare(k, at) <= 0 {
		return k, nil, tb.corrupt(k, "keys do not ascend")
	}
	return tb.within(prefix, k, framed)
}

// back moves a cursor to the last key before a place, stepBack to the one before that; both
// return a nil key at the start of the prefix.
func (tb *table) back(c *bbolt.Cursor, before, prefix []byte) (k, value []byte, err error) {
	defer tb.guard(before, &err)
	k, framed := c.Seek(before)
	k, value, err = tb.before(c, before, k, framed)
	if err != nil || !bytes.HasPrefix(k, prefix) {
		return nil, nil, err
	}
	return k, value, nil
}

func (tb *table) stepBack(c *bbolt.Cursor, at, prefix []byte) (k, value []byte, err error) {
	defer tb.guard(prefix, &err)
	k, framed := c.Prev()
	if k != nil && bytes.Compare(k, at) >= 0 {
		return k, nil, tb.corrupt(k, "keys do not descend")
	}
	return tb.within(prefix, k, framed)
}

// within opens a value and ends the listing when its key is beyond the prefix.
func (tb *table) within(prefix, k, framed []byte) ([]byte, []byte, error) {
	if k == nil {
		return nil, nil, nil
	}
	value, err := tb.open(k, framed)
	if err == nil && !bytes.HasPrefix(k, prefix) {
		return nil, nil, nil
	}
	return k, value, err
}

// last returns the greatest key, nil for an empty table.
func (tb *table) last() (key []byte, err error) {
	defer tb.guard(nil, &err)
	key, _ = tb.cursor.Last()
	return key, nil
}

func (tb *table) put(key, framed []byte) (err error) {
	defer tb.guard(key, &err)
	// A search that damage has misled would put the key where no sound search finds it, and
	// the commit would write keys over the damage that told.
	if k, old := tb.cursor.Seek(key); k == nil || !bytes.Equal(k, key) {
		if _, _, err := tb.before(tb.cursor, key, k, old); err != nil {
			return err
		}
	}
	tb.seal(key, framed)
	return tb.bucket.Put(key, framed)
}

func (tb *table) delete(key []byte) (err error) {
	defer tb.guard(key, &err)
	return tb.bucket.Delete(key)
}

// scan calls fn for every key from a place on that has the prefix, until fn returns false.
// fn may write: the cursor then finds its place anew.
func (v *view) scan(tb *table, from, prefix []byte, fn func(key, value []byte) (bool, error)) error {
	c := tb.bucket.Cursor()
	var last []byte
	k, value, err := tb.start(c, from, prefix)
	for err == nil && k != nil {
		writes := v.writes
		if v.btx.Writable() {
			last = append(append(last[:0], k...), 0)
		}
		var more bool
		if more, err = fn(k, value); err != nil || !more {
			return err
		}
		if v.writes != writes {
			k, value, err = tb.start(c, last, prefix)
		} else {
			k, value, err = tb.step(c, k, prefix)
		}
	}
	return err
}

func appendInt(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

// lastInt reads the integer that ends a key or value.
func lastInt(b []byte) int64 { return int64(binary.BigEndian.Uint64(b[len(b)-8:])) }
