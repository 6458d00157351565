package journal

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof is wrapped when a proof does not prove what it is checked against.
var ErrProof = errors.New("proof does not hold")

// LeafProof is evidence that a leaf stands at Position of a tree of Size leaves: the
// audit path of RFC 6962, lowest level first. In JSON, hashes are standard base64.
type LeafProof struct {
	Position int64       `json:"position"`
	Size     int64       `json:"size"`
	Hashes   []tlog.Hash `json:"hashes"`
}

// ConsistencyProof is evidence that a tree of To leaves starts with the very leaves of a
// tree of From leaves, in the order of RFC 6962, section 2.1.2.
type ConsistencyProof struct {
	From   int64       `json:"from"`
	To     int64       `json:"to"`
	Hashes []tlog.Hash `json:"hashes"`
}

// ProveLeaf proves the leaf at position in the tree's first size leaves. The error wraps
// [ErrRange] unless 0 <= position < size <= MaxSize, or is the reader's.
func ProveLeaf(position, size int64, read tlog.HashReader) (LeafProof, error) {
	if err := checkPosition(position, size); err != nil {
		return LeafProof{}, err
	}
	p, err := tlog.ProveRecord(size, position, read)
	if err != nil {
		return LeafProof{}, fmt.Errorf("journal: prove leaf: %w", err)
	}
	return LeafProof{Position: position, Size: size, Hashes: p}, nil
}

// CheckLeaf checks that the log named by cp holds the leaf where the proof says. The
// caller has verified cp's signature. The error wraps [ErrRange] or [ErrProof].
func CheckLeaf(p LeafProof, leaf tlog.Hash, cp Checkpoint) error {
	if err := checkPosition(p.Position, p.Size); err != nil {
		return err
	}
	if p.Size != cp.Size {
		return fmt.Errorf("journal: proof is for size %d, checkpoint for size %d: %w", p.Size, cp.Size, ErrProof)
	}
	if tlog.CheckRecord(p.Hashes, p.Size, cp.Root, p.Position, leaf) != nil {
		return fmt.Errorf("journal: leaf at position %d of %d: %w", p.Position, p.Size, ErrProof)
	}
	return nil
}

// ProveConsistency proves that the tree's first to leaves start with its first from
// leaves. The error wraps [ErrRange] unless 0 <= from <= to <= MaxSize, or is the reader's.
func ProveConsistency(from, to int64, read tlog.HashReader) (ConsistencyProof, error) {
	if err := checkSpan(from, to); err != nil {
		return ConsistencyProof{}, err
	}
	proof := ConsistencyProof{From: from, To: to, Hashes: []tlog.Hash{}}
	if from == 0 {
		return proof, nil // every tree starts with the empty one
	}
	p, err := tlog.ProveTree(to, from, read)
	if err != nil {
		return ConsistencyProof{}, fmt.Errorf("journal: prove consistency: %w", err)
	}
	proof.Hashes = p
	return proof, nil
}

// CheckConsistency checks that the log named by newer starts with all that the log named
// by older held. Origins are not compared: after a restore they differ in the epoch, and
// whether the content survived is exactly the question. The caller has verified both
// signatures. The error wraps [ErrRange] or [ErrProof].
func CheckConsistency(p ConsistencyProof, older, newer Checkpoint) error {
	if err := checkSpan(p.From, p.To); err != nil {
		return err
	}
	if p.From != older.Size || p.To != newer.Size {
		return fmt.Errorf("journal: proof is from %d to %d, checkpoints from %d to %d: %w",
			p.From, p.To, older.Size, newer.Size, ErrProof)
	}
	ok := false
	if p.From == 0 {
		// RFC 6962 starts at size 1. An empty older tree proves nothing about newer, but it
		// must be the real empty tree, and so must newer when it is empty too.
		ok = len(p.Hashes) == 0 && older.Root == emptyRoot && (p.To > 0 || newer.Root == emptyRoot)
	} else {
		ok = tlog.CheckTree(p.Hashes, p.To, newer.Root, p.From, older.Root) == nil
	}
	if !ok {
		return fmt.Errorf("journal: consistency from %d to %d: %w", p.From, p.To, ErrProof)
	}
	return nil
}

// Standing says how a checkpoint that someone holds stands to our log.
type Standing int8

const (
	Consistent Standing = iota // our log starts with all it names
	Ahead                      // it names more leaves than our log has: our log was rewound
	Diverged                   // our log had another root at its size: rewound and rewritten, or altered
)

// String returns "consistent", "ahead" or "diverged".
func (s Standing) String() string {
	switch s {
	case Consistent:
		return "consistent"
	case Ahead:
		return "ahead"
	case Diverged:
		return "diverged"
	}
	return fmt.Sprintf("standing(%d)", int8(s))
}

// Same judges a checkpoint whose signature has been verified against our log of size
// leaves. Origins are not compared: after a restore the epoch differs by design, and a
// tablet whose checkpoint is still Consistent has lost nothing. Ahead says nothing about
// the leaves below size: whether they survived is for a consistency proof that the tablet
// checks, and without one it re-sends all it keeps.
func Same(old Checkpoint, size int64, read tlog.HashReader) (Standing, error) {
	if err := checkSize(size); err != nil {
		return Diverged, err
	}
	if old.Size < 0 {
		return Diverged, fmt.Errorf("journal: checkpoint size is negative: %w", ErrRange)
	}
	if old.Size > size {
		return Ahead, nil
	}
	root, err := Root(old.Size, read)
	if err != nil {
		return Diverged, err
	}
	if root != old.Root {
		return Diverged, nil
	}
	return Consistent, nil
}

// emptyRoot is the root of the empty tree, SHA-256 of nothing (RFC 6962, section 2.1).
var emptyRoot, _ = tlog.TreeHash(0, nil)

func checkPosition(position, size int64) error {
	if err := checkSize(size); err != nil {
		return err
	}
	if position < 0 || position >= size {
		return fmt.Errorf("journal: position %d is not in a tree of %d: %w", position, size, ErrRange)
	}
	return nil
}

func checkSpan(from, to int64) error {
	if err := checkSize(to); err != nil {
		return err
	}
	if from < 0 || from > to {
		return fmt.Errorf("journal: older size %d is not in 0 to %d: %w", from, to, ErrRange)
	}
	return nil
}
