package journal

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxSize bounds every tree size: a trillion leaves. Sizes come from tablets too, and the
// arithmetic of package tlog does not end for sizes near 2^63.
const MaxSize int64 = 1 << 40

// ErrRange is wrapped by every error about a size or position that cannot be: negative,
// beyond MaxSize, or beyond the tree it refers to.
var ErrRange = errors.New("out of range")

// Hashes is what a store offers: the tree hashes at the given stored-hash indexes, in
// that order. A missing hash is an error.
type Hashes interface {
	ReadTreeHashes(indexes []int64) ([][32]byte, error)
}

// Reader adapts a store to the reader that this package's functions take.
func Reader(h Hashes) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		raw, err := h.ReadTreeHashes(indexes)
		if err != nil {
			return nil, err
		}
		out := make([]tlog.Hash, len(raw))
		for i := range raw {
			out[i] = raw[i]
		}
		return out, nil
	})
}

// Append returns the hashes to store when a group of leaf hashes is appended to a tree of
// size leaves, and the index of the first: hashes[i] belongs at first+i. The
// result equals that of appending the leaves one by one. It reads at most log2(size)
// hashes, all with indexes below first.
func Append(size int64, leaves []tlog.Hash, read tlog.HashReader) (first int64, hashes [][32]byte, err error) {
	if err := checkSize(size); err != nil {
		return 0, nil, err
	}
	if int64(len(leaves)) > MaxSize-size {
		return 0, nil, fmt.Errorf("journal: %d leaves on a tree of %d are too many: %w", len(leaves), size, ErrRange)
	}
	first = tlog.StoredHashCount(size)
	grown := &overlay{below: read, first: first}
	grown.hashes = make([][32]byte, 0, tlog.StoredHashCount(size+int64(len(leaves)))-first)
	for i, leaf := range leaves {
		add, err := tlog.StoredHashesForRecordHash(size+int64(i), leaf, grown)
		if err != nil {
			return 0, nil, fmt.Errorf("journal: read tree hashes: %w", err)
		}
		for _, h := range add {
			grown.hashes = append(grown.hashes, h)
		}
	}
	return first, grown.hashes, nil
}

// Overlay reads hashes that are not stored yet (the result of [Append]) as if they were,
// and all others from read.
func Overlay(read tlog.HashReader, first int64, hashes [][32]byte) tlog.HashReader {
	return &overlay{below: read, first: first, hashes: hashes}
}

type overlay struct {
	below  tlog.HashReader
	first  int64
	hashes [][32]byte
}

// ReadHashes implements tlog.HashReader.
func (o *overlay) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var stored, at []int64
	for i, x := range indexes {
		switch n := x - o.first; {
		case n < 0:
			stored, at = append(stored, x), append(at, int64(i))
		case n < int64(len(o.hashes)):
			out[i] = o.hashes[n]
		default:
			return nil, fmt.Errorf("journal: tree hash %d is not stored: %w", x, ErrRange)
		}
	}
	if len(stored) == 0 {
		return out, nil
	}
	below, err := o.below.ReadHashes(stored)
	if err != nil {
		return nil, err
	}
	if len(below) != len(stored) {
		return nil, fmt.Errorf("journal: asked for %d tree hashes, got %d", len(stored), len(below))
	}
	for i, h := range below {
		out[at[i]] = h
	}
	return out, nil
}

// Root returns the root hash of the tree's first size leaves. The root of the empty tree
// is SHA-256 of nothing.
func Root(size int64, read tlog.HashReader) (tlog.Hash, error) {
	if err := checkSize(size); err != nil {
		return tlog.Hash{}, err
	}
	root, err := tlog.TreeHash(size, read)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("journal: read tree hashes: %w", err)
	}
	return root, nil
}

func checkSize(size int64) error {
	if size < 0 || size > MaxSize {
		return fmt.Errorf("journal: tree size must be 0 to %d: %w", MaxSize, ErrRange)
	}
	return nil
}
