package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
)

// The layout of bbolt's file, version 2: pages of one size, the first two of them meta
// pages. bbolt's own check believes the sizes that it reads, so on a damaged page it can
// fault, loop or eat all memory. This walk looks at the bytes of the file with nothing
// mapped, and clears the way for that check. It is also the quick look at every open and the
// background scrub: it sees every page that is in use once, and every checksum.
const (
	pageHeader    = 16 // id u64, flags u16, count u16, overflow u32
	elementHeader = 16
	bucketHeader  = 16 // root u64, sequence u64

	flagBranch, flagLeaf, flagMeta, flagFreelist = 0x01, 0x02, 0x04, 0x10

	metaMagic, metaVersion = 0xED0CDAED, 2
	metaSummed             = 56 // bytes of a meta in front of its checksum
	noFreelist             = 1<<64 - 1
	maxPageErrors          = 20
)

var order = binary.NativeEndian

type pageWalk struct {
	file     io.ReaderAt
	pageSize int
	limit    uint64 // first page beyond the used part of the file
	seen     []bool
	used     uint64 // how many are seen
	spare    [][]byte
	errs     []error

	// value judges an element of a bucket; nil for none.
	value func(bucket string, key, framed []byte) error
	// pace is told how many bytes were read; its error ends the walk.
	pace  func(bytes int) error
	ended error
}

// place says where in the tree a page stands: which bucket, and the keys that it may hold,
// from lo on and below hi; nil for no bound. The bucket is "" for the one that holds the others.
type place struct {
	bucket string
	lo, hi []byte
}

func newPageWalk(file io.ReaderAt, pageSize int) *pageWalk {
	return &pageWalk{file: file, pageSize: pageSize}
}

// checkPages verifies everything that following the pages of a file relies on. The file
// must not change meanwhile.
func checkPages(file io.ReaderAt, pageSize int) error { return newPageWalk(file, pageSize).run() }

func (w *pageWalk) run() error {
	root, freelist, ok := w.metas()
	if ok {
		w.follow(root, freelist)
	}
	return errors.Join(append(w.errs, w.ended)...)
}

// follow walks all that hangs on the root page, then the list of free pages.
func (w *pageWalk) follow(root, freelist uint64) {
	w.bucket(root, place{})
	if freelist != noFreelist && w.ended == nil {
		w.freelist(freelist)
	}
}

func (w *pageWalk) fault(page uint64, at place, format string, args ...any) {
	if len(w.errs) >= maxPageErrors {
		return
	}
	where := ""
	if at.bucket != "" {
		where = fmt.Sprintf(" (bucket %s, from %s)", at.bucket, keyName(at.bucket, at.lo))
	}
	w.errs = append(w.errs, fmt.Errorf("page %d%s: %s", page, where, fmt.Sprintf(format, args...)))
}

// maxPages is how many pages the file has room for: a damaged meta must not make the walk
// ask for more memory than the file deserves.
func (w *pageWalk) maxPages() uint64 {
	switch f := w.file.(type) {
	case interface{ Size() int64 }:
		return uint64(f.Size()) / uint64(w.pageSize)
	case *os.File:
		if info, err := f.Stat(); err == nil {
			return uint64(info.Size()) / uint64(w.pageSize)
		}
	}
	return 0
}

// metas reads both meta pages and follows the newer one. A damaged one is reported although
// bbolt lives with it: it may have held the last commit.
func (w *pageWalk) metas() (root, freelist uint64, ok bool) {
	var newest uint64
	for id := range uint64(2) {
		b := make([]byte, pageHeader+metaSummed+8)
		if _, err := w.file.ReadAt(b, int64(id)*int64(w.pageSize)); err != nil {
			w.fault(id, place{}, "cannot be read: %v", err)
			continue
		}
		m := b[pageHeader:]
		sum := fnv.New64a()
		sum.Write(m[:metaSummed])
		if order.Uint64(b) != id || order.Uint16(b[8:]) != flagMeta || order.Uint32(m) != metaMagic ||
			order.Uint32(m[4:]) != metaVersion || order.Uint64(m[metaSummed:]) != sum.Sum64() {
			w.fault(id, place{}, "meta page is damaged; the last commit may be missing")
			continue
		}
		if txid := order.Uint64(m[48:]); !ok || txid > newest {
			newest, ok = txid, true
			root, freelist, w.limit = order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
		}
	}
	if ok && w.limit > w.maxPages() {
		w.fault(0, place{}, "the file is shorter than its pages")
		return 0, 0, false
	}
	w.seen = make([]bool, w.limit)
	return root, freelist, ok
}

// read returns a whole page with what overflows from it, nil after reporting a fault. Give
// it back with release.
func (w *pageWalk) read(id uint64, at place, flags ...uint16) []byte {
	if w.ended != nil {
		return nil
	}
	if id < 2 || id >= w.limit {
		w.fault(id, at, "outside the file")
		return nil
	}
	b := w.buffer(w.pageSize)
	if _, err := w.file.ReadAt(b, int64(id)*int64(w.pageSize)); err != nil {
		w.fault(id, at, "cannot be read: %v", err)
		return nil
	}
	more := uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != id || more >= w.limit-id {
		w.fault(id, at, "header is damaged")
		return nil
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i] {
			w.fault(i, at, "used twice")
			return nil
		}
		w.seen[i] = true
		w.used++
	}
	known := false
	for _, f := range flags {
		known = known || order.Uint16(b[8:]) == f
	}
	if !known {
		w.fault(id, at, "is of the wrong type")
		return nil
	}
	if more > 0 {
		w.release(b)
		b = w.buffer(int(more+1) * w.pageSize)
		if _, err := w.file.ReadAt(b, int64(id)*int64(w.pageSize)); err != nil {
			w.fault(id, at, "cannot be read: %v", err)
			return nil
		}
	}
	if w.pace != nil {
		if w.ended = w.pace(len(b)); w.ended != nil {
			return nil
		}
	}
	return b
}

func (w *pageWalk) buffer(size int) []byte {
	if n := len(w.spare); n > 0 && size == w.pageSize {
		b := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return b
	}
	return make([]byte, size)
}

func (w *pageWalk) release(b []byte) {
	if len(b) == w.pageSize {
		w.spare = append(w.spare, b)
	}
}

// bucket walks the tree below a page.
func (w *pageWalk) bucket(id uint64, at place) {
	b := w.read(id, at, flagBranch, flagLeaf)
	if b == nil {
		return
	}
	defer w.release(b)
	if order.Uint16(b[10:]) == 0 { // an empty bucket is always an inline one
		w.fault(id, at, "has no elements")
		return
	}
	if order.Uint16(b[8:]) == flagLeaf {
		w.leaf(id, b, at, false)
		return
	}
	type child struct {
		key  []byte
		page uint64
	}
	var children []child
	w.elements(id, b, at, false, func(head, key []byte, _ []byte) { // pos u32, key size u32, page u64
		children = append(children, child{key, order.Uint64(head[8:])})
	})
	for i, c := range children {
		below := place{at.bucket, c.key, at.hi}
		if i+1 < len(children) {
			below.hi = children[i+1].key
		}
		w.bucket(c.page, below)
	}
}

// elements calls fn with header, key and value of each element. Content follows content
// without a gap, from the end of the headers on: a damaged count or size shows there. Keys
// ascend inside the bounds that the branch pages give.
// It returns where the content ends, 0 after reporting a fault.
func (w *pageWalk) elements(id uint64, b []byte, at place, leaf bool, fn func(head, key, value []byte)) (end int) {
	count := int(order.Uint16(b[10:]))
	next := uint64(pageHeader + count*elementHeader)
	if next > uint64(len(b)) {
		w.fault(id, at, "count is damaged")
		return 0
	}
	var last []byte
	for i := range count {
		start := pageHeader + i*elementHeader
		head := b[start : start+elementHeader]
		pos, keySize, valueSize := order.Uint32(head), uint64(order.Uint32(head[4:])), uint64(0)
		if leaf { // flags u32, pos u32, key size u32, value size u32
			pos, keySize, valueSize = order.Uint32(head[4:]), uint64(order.Uint32(head[8:])), uint64(order.Uint32(head[12:]))
		}
		if size := keySize + valueSize; keySize == 0 || uint64(start)+uint64(pos) != next || size > uint64(len(b))-next {
			w.fault(id, at, "element %d is damaged", i)
			return 0
		}
		key, value := b[next:next+keySize], b[next+keySize:next+keySize+valueSize]
		if i > 0 && bytes.Compare(key, last) <= 0 || bytes.Compare(key, at.lo) < 0 || at.hi != nil && bytes.Compare(key, at.hi) >= 0 {
			w.fault(id, at, "element %d is out of order", i)
			return 0
		}
		last = key
		next += keySize + valueSize
		fn(head, key, value)
	}
	return int(next)
}

// leaf checks the elements of a leaf page and follows the buckets in it, which only the
// outermost bucket holds. Inline pages hold no buckets.
func (w *pageWalk) leaf(id uint64, b []byte, at place, inline bool) {
	end := w.elements(id, b, at, true, func(head, key, value []byte) {
		isBucket := order.Uint32(head) == 1
		switch {
		case !isBucket && (order.Uint32(head) != 0 || at.bucket == ""), isBucket && (inline || at.bucket != "" || len(value) < bucketHeader):
			w.fault(id, at, "an element is damaged")
		case !isBucket:
			if w.value != nil && len(w.errs) < maxPageErrors {
				if err := w.value(at.bucket, key, value); err != nil {
					w.errs = append(w.errs, fmt.Errorf("page %d: %w", id, err))
				}
			}
		case !isTable(string(key)) && !strings.HasPrefix(string(key), docBucket("")):
			w.fault(id, at, "an element names no bucket") // an empty one has no checksum that says so
		case order.Uint64(value) != 0:
			if len(value) != bucketHeader {
				w.fault(id, at, "an element is damaged")
				return
			}
			w.bucket(order.Uint64(value), place{bucket: string(key)})
		default:
			page := value[bucketHeader:]
			if len(page) < pageHeader || order.Uint16(page[8:]) != flagLeaf || order.Uint16(page[10:]) == 0 && len(page) > pageHeader {
				w.fault(id, at, "an element is a damaged inline bucket")
				return
			}
			w.leaf(id, page, place{bucket: string(key)}, true)
		}
	})
	if inline && end != 0 && end != len(b) {
		w.fault(id, at, "an element is damaged")
	}
}

// freelist checks that every page is either in use or free.
func (w *pageWalk) freelist(id uint64) {
	b := w.read(id, place{}, flagFreelist)
	if b == nil {
		return
	}
	ids, count := b[pageHeader:], uint64(order.Uint16(b[10:]))
	if count == 0xffff { // too many for the header: the first element counts
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		w.fault(id, place{}, "free list is longer than its pages")
		return
	}
	whole := len(w.errs) == 0
	for i := range count {
		free := order.Uint64(ids[8*i:])
		if free < 2 || free >= w.limit || w.seen[free] {
			w.fault(free, place{}, "is free and in use, or outside the file")
			continue
		}
		w.seen[free] = true
		w.used++
	}
	if whole && w.used != w.limit-2 {
		w.fault(id, place{}, "%d pages are neither free nor in use", w.limit-2-w.used)
	}
}
