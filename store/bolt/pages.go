package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of bbolt's file, version 2: pages of one size, the first two of them meta
// pages. bbolt's own check believes the sizes that it reads, so on a damaged page it can
// fault, loop or eat all memory. This walk looks at the bytes of the file with nothing
// mapped, and clears the way for that check.
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
	seen     map[uint64]bool
	errs     []error
}

func newPageWalk(file io.ReaderAt, pageSize int) *pageWalk {
	return &pageWalk{file: file, pageSize: pageSize, limit: 2, seen: map[uint64]bool{}}
}

// checkPages verifies everything that following the pages of a file relies on. The file
// must not change meanwhile.
func checkPages(file io.ReaderAt, pageSize int) error { return newPageWalk(file, pageSize).run() }

func (w *pageWalk) run() error {
	root, freelist, ok := w.metas()
	if ok {
		w.bucket(root)
		if freelist != noFreelist {
			w.freelist(freelist)
		}
	}
	return errors.Join(w.errs...)
}

func (w *pageWalk) fault(page uint64, format string, args ...any) {
	if len(w.errs) < maxPageErrors {
		w.errs = append(w.errs, fmt.Errorf("page %d: %s", page, fmt.Sprintf(format, args...)))
	}
}

// metas reads both meta pages and follows the newer one. A damaged one is reported although
// bbolt lives with it: it may have held the last commit.
func (w *pageWalk) metas() (root, freelist uint64, ok bool) {
	var newest uint64
	for id := range uint64(2) {
		b := make([]byte, pageHeader+metaSummed+8)
		if _, err := w.file.ReadAt(b, int64(id)*int64(w.pageSize)); err != nil {
			w.fault(id, "cannot be read: %v", err)
			continue
		}
		m := b[pageHeader:]
		sum := fnv.New64a()
		sum.Write(m[:metaSummed])
		if order.Uint64(b) != id || order.Uint16(b[8:]) != flagMeta || order.Uint32(m) != metaMagic ||
			order.Uint32(m[4:]) != metaVersion || order.Uint64(m[metaSummed:]) != sum.Sum64() {
			w.fault(id, "meta page is damaged; the last commit may be missing")
			continue
		}
		if txid := order.Uint64(m[48:]); !ok || txid > newest {
			newest, ok = txid, true
			root, freelist, w.limit = order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
		}
	}
	return root, freelist, ok
}

// read returns a whole page with what overflows from it, nil after reporting a fault.
func (w *pageWalk) read(id uint64, flags ...uint16) []byte {
	if id < 2 || id >= w.limit {
		w.fault(id, "outside the file")
		return nil
	}
	head := make([]byte, pageHeader)
	if _, err := w.file.ReadAt(head, int64(id)*int64(w.pageSize)); err != nil {
		w.fault(id, "cannot be read: %v", err)
		return nil
	}
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || more >= w.limit-id {
		w.fault(id, "header is damaged")
		return nil
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i] {
			w.fault(i, "used twice")
			return nil
		}
		w.seen[i] = true
	}
	known := false
	for _, f := range flags {
		known = known || order.Uint16(head[8:]) == f
	}
	if !known {
		w.fault(id, "is of the wrong type")
		return nil
	}
	b := make([]byte, int(more+1)*w.pageSize)
	if _, err := w.file.ReadAt(b, int64(id)*int64(w.pageSize)); err != nil {
		w.fault(id, "cannot be read: %v", err)
		return nil
	}
	return b
}

// bucket walks the tree below a root page.
func (w *pageWalk) bucket(id uint64) {
	b := w.read(id, flagBranch, flagLeaf)
	if b == nil {
		return
	}
	if order.Uint16(b[10:]) == 0 { // an empty bucket is always an inline one
		w.fault(id, "has no elements")
		return
	}
	if order.Uint16(b[8:]) == flagLeaf {
		w.leaf(id, b, false)
		return
	}
	w.elements(id, b, false, func(i int, head, _ []byte) { // pos u32, key size u32, page u64
		w.bucket(order.Uint64(head[8:]))
	})
}

// elements calls fn with header and content of each element. Content follows content
// without a gap, from the end of the headers on: a damaged count or size shows there.
func (w *pageWalk) elements(id uint64, b []byte, leaf bool, fn func(i int, head, content []byte)) {
	count := int(order.Uint16(b[10:]))
	next := uint64(pageHeader + count*elementHeader)
	if next > uint64(len(b)) {
		w.fault(id, "count is damaged")
		return
	}
	for i := range count {
		at := pageHeader + i*elementHeader
		head := b[at : at+elementHeader]
		pos, size := order.Uint32(head), uint64(order.Uint32(head[4:]))
		if leaf { // flags u32, pos u32, key size u32, value size u32
			pos, size = order.Uint32(head[4:]), uint64(order.Uint32(head[8:]))
		}
		empty := size == 0
		if leaf {
			size += uint64(order.Uint32(head[12:]))
		}
		if empty || uint64(at)+uint64(pos) != next || size > uint64(len(b))-next {
			w.fault(id, "element %d is damaged", i)
			return
		}
		next += size
		fn(i, head, b[next-size:next])
	}
}

// leaf checks the elements of a leaf page and follows the buckets in it. Inline pages hold
// no buckets.
func (w *pageWalk) leaf(id uint64, b []byte, inline bool) {
	w.elements(id, b, true, func(i int, head, content []byte) {
		value := content[order.Uint32(head[8:]):]
		switch {
		case order.Uint32(head) == 0:
		case order.Uint32(head) != 1 || inline || len(value) < bucketHeader:
			w.fault(id, "element %d is damaged", i)
		case order.Uint64(value) != 0:
			w.bucket(order.Uint64(value))
		default:
			page := value[bucketHeader:]
			if len(page) < pageHeader || order.Uint16(page[8:]) != flagLeaf || order.Uint16(page[10:]) == 0 && len(page) > pageHeader {
				w.fault(id, "element %d is a damaged inline bucket", i)
				return
			}
			w.leaf(id, page, true)
		}
	})
}

// freelist checks that the free pages are inside the file and not in use.
func (w *pageWalk) freelist(id uint64) {
	b := w.read(id, flagFreelist)
	if b == nil {
		return
	}
	ids, count := b[pageHeader:], uint64(order.Uint16(b[10:]))
	if count == 0xffff { // too many for the header: the first element counts
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		w.fault(id, "free list is longer than its pages")
		return
	}
	for i := range count {
		if free := order.Uint64(ids[8*i:]); free < 2 || free >= w.limit || w.seen[free] {
			w.fault(free, "is free and in use, or outside the file")
		}
	}
}
