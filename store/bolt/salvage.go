package bolt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/store"
)

// Salvage is what a damaged file still holds. The file is read page by page with nothing
// mapped and never written. Three kinds of places are looked at: pages that the tree leads
// to; pages that nothing leads to although they are not free, because what led to them is
// damaged; and free pages, where old copies lie. A checksum covers bucket, key and value, so
// a value whose sum fits is what was once stored under that key, wherever it turns up.
type Salvage struct {
	Lost []LostValue // what could not be read
	// Clean says that both meta pages and every page and value that the tree leads to are whole.
	Clean bool

	file     io.ReaderAt
	closer   io.Closer
	pageSize int
	pages    uint64
	visited  map[uint64]bool // by the tree
	free     map[uint64]bool // nil when the list of free pages cannot be read
	buckets  []string
	seeds    []table

	values  map[string]map[string][]value // bucket, key
	damaged map[string]map[string]bool    // keys whose value is not whole, nowhere
}

// LoseEntry adds a position whose log entry cannot be used to Lost.
func (s *Salvage) LoseEntry(position int64, why string) {
	s.lose(tableNames[logTable], appendInt(nil, position), 0, why)
}

// MetaDamaged says that the newest commit may be missing without a trace.
func (s *Salvage) MetaDamaged() bool {
	return slices.ContainsFunc(s.Lost, func(l LostValue) bool { return l.Bucket == "" && l.Page < 2 })
}

// LostValue is one value, or one page with an unknown number of them, that cannot be read.
type LostValue struct {
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"` // hex
	Page   uint64 `json:"page,omitzero"`
	Why    string `json:"why"`
	// Derived says that the value follows from the journal, so that nothing is lost with it.
	Derived bool `json:"derived,omitzero"`
}

// Trust says where a value was found.
type Trust uint8

// Places, the best first.
const (
	Current Trust = iota // the tree leads there
	Orphan               // nothing leads there, but it is not free
	Stale                // a free page, or the list of free pages cannot be read: it may be old
	Broken               // its checksum does not fit
)

type value struct {
	at    int64 // of the framed value in the file
	size  int
	trust Trust
}

// OpenSalvage reads the whole file once and remembers where everything stands.
func OpenSalvage(path string) (*Salvage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &Salvage{file: f, closer: f, Clean: true, visited: map[uint64]bool{}, values: map[string]map[string][]value{}, damaged: map[string]map[string]bool{}}
	s.read(info.Size())
	return s, nil
}

// Holds reports whether anything in the file could be read: without a value, and without a
// trace of one, it is not a store, or nothing is left of it.
func (s *Salvage) Holds() bool { return len(s.values) > 0 }

// Close closes the file.
func (s *Salvage) Close() error { return s.closer.Close() }

func (s *Salvage) read(size int64) {
	root, freelist, ok := s.metas()
	s.pages = uint64(size) / uint64(s.pageSize)
	for _, name := range tableNames {
		s.addBucket(name)
	}
	if ok {
		s.tree("", root, 0)
		s.freePages(freelist)
	} else {
		s.lose("", nil, 0, "both meta pages are damaged")
	}
	s.orphans()
	for name, keys := range s.damaged {
		if name == tableNames[logTable] {
			continue // whoever files the entries says which positions are lost
		}
		for key := range keys {
			if vs := s.values[name][key]; len(vs) == 0 || vs[0].trust == Broken {
				s.lose(name, []byte(key), 0, "its checksum does not fit, and there is no other copy")
			}
		}
	}
	slices.SortFunc(s.Lost, func(a, b LostValue) int {
		return strings.Compare(fmt.Sprintf("%s %s %20d", a.Bucket, a.Key, a.Page), fmt.Sprintf("%s %s %20d", b.Bucket, b.Key, b.Page))
	})
}

func (s *Salvage) lose(bucket string, key []byte, page uint64, why string) {
	s.Clean = false
	s.Lost = append(s.Lost, LostValue{bucket, hex.EncodeToString(key), page, why, derived[bucket]})
}

// derived are the buckets that are made again from the log.
var derived = map[string]bool{
	tableNames[devTable]: true, tableNames[personTable]: true, tableNames[unitTable]: true,
	tableNames[treeTable]: true, tableNames[chainTable]: true,
}

func (s *Salvage) addBucket(name string) {
	if !slices.Contains(s.buckets, name) {
		s.buckets = append(s.buckets, name)
		s.seeds = append(s.seeds, table{name: name, seed: seedOf(name)})
	}
}

// metas finds the page size and the newer of the meta pages that are whole.
func (s *Salvage) metas() (root, freelist uint64, ok bool) {
	s.pageSize = os.Getpagesize()
	var newest uint64
	for _, at := range []int64{0, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536} {
		b := make([]byte, pageHeader+metaSummed+8)
		if _, err := s.file.ReadAt(b, at); err != nil {
			continue
		}
		m, sum := b[pageHeader:], fnv.New64a()
		sum.Write(m[:metaSummed])
		pageSize := int64(order.Uint32(m[8:]))
		if order.Uint32(m) != metaMagic || order.Uint64(m[metaSummed:]) != sum.Sum64() || at != 0 && at != pageSize {
			continue
		}
		s.pageSize = int(pageSize)
		if txid := order.Uint64(m[48:]); !ok || txid > newest {
			newest, ok = txid, true
			root, freelist = order.Uint64(m[16:]), order.Uint64(m[32:])
		}
	}
	if ok {
		for id := range uint64(2) {
			if w := newPageWalk(s.file, s.pageSize); !w.metaWhole(id) {
				s.lose("", nil, id, "a meta page is damaged; the last commit may be missing")
			}
		}
	}
	return root, freelist, ok
}

func (w *pageWalk) metaWhole(id uint64) bool {
	w.metas()
	for _, err := range w.errs {
		if strings.HasPrefix(err.Error(), fmt.Sprintf("page %d:", id)) {
			return false
		}
	}
	return true
}

// page reads a page with what overflows from it, nil when its header cannot be right.
func (s *Salvage) page(id uint64) []byte {
	head := make([]byte, pageHeader)
	if id < 2 || id >= s.pages {
		return nil
	}
	if _, err := s.file.ReadAt(head, int64(id)*int64(s.pageSize)); err != nil {
		return nil
	}
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || more >= s.pages-id {
		return nil
	}
	b := make([]byte, int(more+1)*s.pageSize)
	if _, err := s.file.ReadAt(b, int64(id)*int64(s.pageSize)); err != nil {
		return nil
	}
	return b
}

func (s *Salvage) visit(id uint64, b []byte) bool {
	for i := range uint64(len(b) / s.pageSize) {
		if s.visited[id+i] {
			return false
		}
	}
	for i := range uint64(len(b) / s.pageSize) {
		s.visited[id+i] = true
	}
	return true
}

const maxDepth = 64

// tree walks what is below a page of a bucket; "" is the root, which holds the buckets.
func (s *Salvage) tree(bucket string, id uint64, depth int) {
	b := s.page(id)
	if b == nil || depth > maxDepth || !s.visit(id, b) {
		s.lose(bucket, nil, id, "the page cannot be read, or is used twice")
		return
	}
	switch order.Uint16(b[8:]) {
	case flagLeaf:
		s.leaf(bucket, id, int64(id)*int64(s.pageSize), b, depth)
	case flagBranch:
		for i := range int(order.Uint16(b[10:])) {
			at := pageHeader + i*elementHeader
			if at+elementHeader > len(b) {
				s.lose(bucket, nil, id, "the page is damaged")
				return
			}
			s.tree(bucket, order.Uint64(b[at+8:]), depth+1)
		}
	default:
		s.lose(bucket, nil, id, "the page is of the wrong type")
	}
}

// elements calls fn with what a leaf page holds; false when some of it cannot be right.
func elements(b []byte, fn func(flags uint32, key, val []byte, at int)) bool {
	whole := true
	for i := range int(order.Uint16(b[10:])) {
		at := pageHeader + i*elementHeader
		if at+elementHeader > len(b) {
			return false
		}
		pos, ks, vs := uint64(order.Uint32(b[at+4:])), uint64(order.Uint32(b[at+8:])), uint64(order.Uint32(b[at+12:]))
		from := uint64(at) + pos
		if from+ks+vs > uint64(len(b)) {
			whole = false
			continue
		}
		fn(order.Uint32(b[at:]), b[from:from+ks], b[from+ks:from+ks+vs], int(from+ks))
	}
	return whole
}

func (s *Salvage) leaf(bucket string, id uint64, base int64, b []byte, depth int) {
	whole := elements(b, func(flags uint32, key, val []byte, at int) {
		switch {
		case bucket == "" && flags == 1 && len(val) >= bucketHeader:
			name := string(key)
			if !isTable(name) && !strings.HasPrefix(name, docBucket("")) {
				s.lose("", key, id, "the name of a bucket is damaged")
				return
			}
			s.addBucket(name)
			if root := order.Uint64(val); root != 0 {
				s.tree(name, root, depth+1)
			} else if page := val[bucketHeader:]; len(page) >= pageHeader {
				s.leaf(name, id, base+int64(at)+bucketHeader, page, depth+1)
			}
		case bucket != "" && flags == 0:
			tb := &table{name: bucket, seed: seedOf(bucket)}
			if _, err := tb.open(key, val); err != nil {
				s.Clean = false
				s.keep(bucket, key, value{base + int64(at), len(val), Broken})
				return
			}
			s.keep(bucket, key, value{base + int64(at), len(val), Current})
		default:
			s.lose(bucket, key, id, "the element is damaged")
		}
	})
	if !whole {
		s.lose(bucket, nil, id, "elements of the page are damaged")
	}
}

// keep remembers a value, the most trusted first.
func (s *Salvage) keep(bucket string, key []byte, v value) {
	if v.trust == Broken {
		if s.damaged[bucket] == nil {
			s.damaged[bucket] = map[string]bool{}
		}
		s.damaged[bucket][string(key)] = true
	}
	if s.values[bucket] == nil {
		s.values[bucket] = map[string][]value{}
	}
	all := append(s.values[bucket][string(key)], v)
	slices.SortStableFunc(all, func(a, b value) int { return int(a.trust) - int(b.trust) })
	s.values[bucket][string(key)] = all
}

func (s *Salvage) freePages(id uint64) {
	if id == noFreelist {
		return
	}
	b := s.page(id)
	if b == nil || order.Uint16(b[8:]) != flagFreelist || !s.visit(id, b) {
		s.lose("", nil, id, "the list of free pages cannot be read")
		return
	}
	ids, count := b[pageHeader:], uint64(order.Uint16(b[10:]))
	if count == 0xffff {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		s.lose("", nil, id, "the list of free pages is damaged")
		return
	}
	s.free = map[uint64]bool{}
	for i := range count {
		s.free[order.Uint64(ids[8*i:])] = true
	}
}

// orphans looks at every page that the tree did not lead to. The bucket of what stands there
// is told by the sum. Names of buckets that turn up come first: their values may stand before.
func (s *Salvage) orphans() {
	each := func(fn func(id uint64, b []byte)) {
		for id := uint64(2); id < s.pages; id++ {
			if s.visited[id] {
				continue
			}
			if b := s.page(id); b != nil && order.Uint16(b[8:]) == flagLeaf {
				fn(id, b)
			}
		}
	}
	each(func(_ uint64, b []byte) {
		elements(b, func(flags uint32, key, _ []byte, _ int) {
			if kind, ok := strings.CutPrefix(string(key), docBucket("")); ok && flags == 1 && len(kind) < 40 && isWord(kind) {
				s.addBucket(string(key))
			}
		})
	})
	each(func(id uint64, b []byte) {
		trust := Stale
		if s.free != nil && !s.free[id] {
			trust = Orphan
		}
		elements(b, func(flags uint32, key, val []byte, at int) {
			if flags != 0 {
				s.inline(id, val, at, trust)
				return
			}
			s.guess(key, val, value{int64(id)*int64(s.pageSize) + int64(at), len(val), trust})
		})
	})
}

// inline looks into a small bucket that stands inside its parent's page.
func (s *Salvage) inline(id uint64, val []byte, at int, trust Trust) {
	if len(val) < bucketHeader+pageHeader || order.Uint64(val) != 0 {
		return
	}
	base := int64(id)*int64(s.pageSize) + int64(at) + bucketHeader
	elements(val[bucketHeader:], func(flags uint32, key, val []byte, at int) {
		if flags == 0 {
			s.guess(key, val, value{base + int64(at), len(val), trust})
		}
	})
}

func (s *Salvage) guess(key, val []byte, v value) {
	for i := range s.seeds {
		if _, err := s.seeds[i].open(key, val); err == nil {
			s.keep(s.seeds[i].name, key, v)
			return
		}
	}
}

func isWord(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return s != ""
}

// bytes reads a value without its sum.
func (s *Salvage) bytes(v value) ([]byte, error) {
	b := make([]byte, v.size)
	if _, err := s.file.ReadAt(b, v.at); err != nil {
		return nil, err
	}
	return b[min(sumBytes, len(b)):], nil
}

// get is the value of a key that is known for sure: one that the tree leads to, or the only
// one that there is.
func (s *Salvage) get(bucket string, key []byte) ([]byte, bool) {
	var found []byte
	for _, v := range s.values[bucket][string(key)] {
		b, err := s.bytes(v)
		switch {
		case err != nil || v.trust == Broken:
		case v.trust <= Orphan && found == nil:
			return b, true
		case found != nil && !bytes.Equal(found, b):
			return nil, false // two versions, and nothing says which is the newer one
		default:
			found = b
		}
	}
	return found, found != nil
}

// Tenant is the tenant's own record.
func (s *Salvage) Tenant() (t store.Tenant, ok bool) {
	b, ok := s.get(tableNames[metaTable], keyTenant)
	return t, ok && json.Unmarshal(b, &t) == nil
}

// Size is the size of the journal as the file has it.
func (s *Salvage) Size() (int64, bool) {
	b, ok := s.get(tableNames[metaTable], keySize)
	if !ok || len(b) != 8 {
		return 0, false
	}
	return lastInt(b), true
}

// Checkpoint is the newest signed checkpoint.
func (s *Salvage) Checkpoint() ([]byte, bool) { return s.get(tableNames[metaTable], keyCheckpoint) }

// End is the first position beyond every log entry of which there is a trace. The key of a
// value that is not whole may be damaged itself: it counts only where one can be missing.
func (s *Salvage) End() int64 {
	end, _ := s.Size()
	var doubtful []int64
	for key, vs := range s.values[tableNames[logTable]] {
		if len(key) != 8 {
			continue
		}
		if at := lastInt([]byte(key)); vs[0].trust != Broken {
			end = max(end, at+1)
		} else {
			doubtful = append(doubtful, at)
		}
	}
	room := end + int64(len(doubtful))
	for _, at := range doubtful {
		if at >= end && at < room {
			end = at + 1
		}
	}
	return end
}

// SalvagedEntry is a log entry and how far it can be trusted as it stands.
type SalvagedEntry struct {
	*store.LogEntry
	Trust Trust
}

// Entries are the readable log entries at a position, the most trusted first. There can be
// several: a commit that never counted may have left its own on a page that is free again.
func (s *Salvage) Entries(position int64) (out []SalvagedEntry) {
	var key [8]byte
	for _, v := range s.values[tableNames[logTable]][string(appendInt(key[:0], position))] {
		b, err := s.bytes(v)
		if err != nil {
			continue
		}
		e, err := store.DecodeLogEntry(b)
		if err != nil || e.Position != position {
			continue
		}
		if !slices.ContainsFunc(out, func(o SalvagedEntry) bool { return o.ID == e.ID && o.Trust <= v.trust && v.trust != Broken }) {
			out = append(out, SalvagedEntry{e, v.trust})
		}
	}
	return out
}

// TreeHash is a stored hash of the journal's tree.
func (s *Salvage) TreeHash(index int64) (h [32]byte, ok bool) {
	var key [8]byte
	b, ok := s.get(tableNames[treeTable], appendInt(key[:0], index))
	return h, ok && copy(h[:], b) == len(b)
}

// Docs calls fn with every document that is known for sure. What there is of others is added
// to Lost.
func (s *Salvage) Docs(fn func(kind store.Kind, key string, body []byte) error) error {
	for _, name := range s.buckets {
		kind, ok := strings.CutPrefix(name, docBucket(""))
		if !ok {
			continue
		}
		for key, vs := range s.values[name] {
			body, ok := s.get(name, []byte(key))
			if !ok {
				if vs[0].trust != Broken { // those are in Lost already
					s.lose(name, []byte(key), 0, "there are several versions, and nothing says which is the newest")
				}
				continue
			}
			if err := fn(store.Kind(kind), key, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// Device is the public record of a device, for signatures.
func (s *Salvage) Device(id model.DeviceID) (d store.Device, ok bool) {
	b, ok := s.get(docBucket(d.DocKind()), []byte(id.String()))
	return d, ok && json.Unmarshal(b, &d) == nil
}
