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

// checkPages verifies everything that following the pages of a file relies on. The file
// must not change meanwhile.
func checkPages(file io.ReaderAt, pageSize int) error {
	w := &pageWalk{file: file, pageSize: pageSize, limit: 2, seen: map[uint64]bool{}}
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
	switch {
	case b == nil:
	case order.Uint16(b[8:]) == flagLeaf:
		w.leaf(id, b, false)
	default:
		count := int(order.Uint16(b[10:]))
		if count == 0 {
			w.fault(id, "branch page is empty")
		}
		for i := range count { // element: pos u32, key size u32, page u64
			e := w.element(id, b, i, count, 4, 4)
			if e == nil {
				return
			}
			w.bucket(order.Uint64(b[pageHeader+i*elementHeader+8:]))
		}
	}
}

// element returns key and value of an element, nil when they leave the page. keySize and
// valueSize are where their lengths stand in the element's header.
func (w *pageWalk) element(id uint64, b []byte, i, count, keySize, valueSize int) []byte {
	at, first := pageHeader+i*elementHeader, pageHeader+count*elementHeader
	if first > len(b) {
		w.fault(id, "count is damaged")
		return nil
	}
	head := b[at : at+elementHeader]
	pos, size := uint64(order.Uint32(head)), uint64(order.Uint32(head[keySize:]))
	if keySize != 4 { // a leaf element starts with its flags
		pos = uint64(order.Uint32(head[4:]))
	}
	if size == 0 {
		w.fault(id, "element %d has no key", i)
		return nil
	}
	if valueSize != keySize {
		size += uint64(order.Uint32(head[valueSize:]))
	}
	start := uint64(at) + pos
	if start < uint64(first) || start+size > uint64(len(b)) {
		w.fault(id, "element %d leaves its page", i)
		return nil
	}
	return b[start : start+size]
}

// leaf checks the elements of a leaf page and follows the buckets in it. Inline pages hold
// no buckets.
func (w *pageWalk) leaf(id uint64, b []byte, inline bool) {
	count := int(order.Uint16(b[10:]))
	for i := range count { // element: flags u32, pos u32, key size u32, value size u32
		e := w.element(id, b, i, count, 8, 12)
		if e == nil {
			return
		}
		head := b[pageHeader+i*elementHeader:]
		value := e[order.Uint32(head[8:]):]
		switch order.Uint32(head) {
		case 0:
			continue
		case 1:
		default:
			w.fault(id, "element %d has unknown flags", i)
			continue
		}
		if inline || len(value) < bucketHeader {
			w.fault(id, "element %d is no bucket", i)
			continue
		}
		if root := order.Uint64(value); root != 0 {
			w.bucket(root)
		} else if page := value[bucketHeader:]; len(page) < pageHeader || order.Uint16(page[8:]) != flagLeaf {
			w.fault(id, "element %d is a damaged inline bucket", i)
		} else {
			w.leaf(id, page, true)
		}
	}
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
