package journal

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func at(t fataler, size int64, m *memory) Checkpoint {
	return Checkpoint{Size: size, Root: root(t, size, m)}
}

func TestLeafProofs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := numbered(rapid.IntRange(1, 200).Draw(t, "leaves"))
		m := store(t, leaves)
		size := rapid.Int64Range(1, int64(len(leaves))).Draw(t, "size")
		pos := rapid.Int64Range(0, size-1).Draw(t, "position")
		p, err := ProveLeaf(pos, size, Reader(m))
		if err != nil {
			t.Fatal(err)
		}
		cp := Checkpoint{Size: size, Root: naiveRoot(leaves[:size])}
		if err := CheckLeaf(p, leaves[pos], cp); err != nil {
			t.Fatal(err)
		}

		leaf, wantRange := leaves[pos], false
		switch rapid.SampledFrom([]string{"hash", "drop", "add", "leaf", "root", "position", "size", "swap"}).Draw(t, "mutation") {
		case "hash":
			if len(p.Hashes) == 0 {
				t.Skip("no hash to alter")
			}
			flip(t, &p.Hashes[rapid.IntRange(0, len(p.Hashes)-1).Draw(t, "which")])
		case "drop":
			if len(p.Hashes) == 0 {
				t.Skip("no hash to drop")
			}
			p.Hashes = p.Hashes[:len(p.Hashes)-1]
		case "add":
			p.Hashes = append(p.Hashes, leaf)
		case "leaf":
			flip(t, &leaf)
		case "root":
			flip(t, &cp.Root)
		case "position":
			p.Position += rapid.SampledFrom([]int64{-1, 1}).Draw(t, "by")
			wantRange = p.Position < 0 || p.Position >= size
		case "size":
			p.Size++
		case "swap":
			if len(p.Hashes) < 2 {
				t.Skip("nothing to swap")
			}
			p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0]
		}
		err = CheckLeaf(p, leaf, cp)
		if wantRange != errors.Is(err, ErrRange) || wantRange == errors.Is(err, ErrProof) {
			t.Fatalf("mutated proof: %v", err)
		}
	})
}

func flip(t *rapid.T, h *tlog.Hash) {
	h[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
}

func TestConsistencyProofs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := numbered(rapid.IntRange(0, 200).Draw(t, "leaves"))
		m := store(t, leaves)
		to := rapid.Int64Range(0, int64(len(leaves))).Draw(t, "to")
		from := rapid.Int64Range(0, to).Draw(t, "from")
		p, err := ProveConsistency(from, to, Reader(m))
		if err != nil {
			t.Fatal(err)
		}
		older, newer := Checkpoint{Size: from, Root: naiveRoot(leaves[:from])}, Checkpoint{Size: to, Root: naiveRoot(leaves[:to])}
		if err := CheckConsistency(p, older, newer); err != nil {
			t.Fatal(err)
		}

		mutation := rapid.SampledFrom([]string{"hash", "drop", "add", "older", "newer", "from", "to"}).Draw(t, "mutation")
		switch mutation {
		case "hash":
			if len(p.Hashes) == 0 {
				t.Skip("no hash to alter")
			}
			flip(t, &p.Hashes[rapid.IntRange(0, len(p.Hashes)-1).Draw(t, "which")])
		case "drop":
			if len(p.Hashes) == 0 {
				t.Skip("no hash to drop")
			}
			p.Hashes = p.Hashes[1:]
		case "add":
			p.Hashes = append(p.Hashes, tlog.Hash{})
		case "older":
			flip(t, &older.Root)
		case "newer":
			if from == 0 && to > 0 {
				t.Skip("an empty tree says nothing about its successor")
			}
			flip(t, &newer.Root)
		case "from":
			p.From--
		case "to":
			p.To++
		}
		err = CheckConsistency(p, older, newer)
		if wantRange := p.From < 0; wantRange != errors.Is(err, ErrRange) || wantRange == errors.Is(err, ErrProof) {
			t.Fatalf("mutation %s: %v", mutation, err)
		}
	})
}

// A log whose history was rewritten cannot prove consistency with what it said before.
func TestRewrittenHistoryHasNoProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := numbered(rapid.IntRange(2, 150).Draw(t, "leaves"))
		from := rapid.Int64Range(1, int64(len(leaves))).Draw(t, "from")
		older := at(t, from, store(t, leaves))
		altered := slices.Clone(leaves)
		flip(t, &altered[rapid.Int64Range(0, from-1).Draw(t, "altered")])
		m := store(t, altered)
		to := int64(len(leaves))
		p, err := ProveConsistency(from, to, Reader(m))
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckConsistency(p, older, at(t, to, m)); !errors.Is(err, ErrProof) {
			t.Fatalf("rewritten history passed: %v", err)
		}
		if s, err := Same(older, to, Reader(m)); s != Diverged || err != nil {
			t.Fatalf("Same = %v, %v", s, err)
		}
	})
}

func TestSame(t *testing.T) {
	leaves := numbered(100)
	m := store(t, leaves)
	for _, c := range []struct {
		name string
		old  Checkpoint
		want Standing
	}{
		{"the same size", at(t, 100, m), Consistent},
		{"older", at(t, 37, m), Consistent},
		{"empty", Checkpoint{Root: emptyRoot}, Consistent},
		{"empty with a wrong root", Checkpoint{}, Diverged},
		{"another root", Checkpoint{Size: 37, Root: leaves[0]}, Diverged},
		{"one beyond", Checkpoint{Size: 101}, Ahead},
		{"far beyond", Checkpoint{Size: math.MaxInt64}, Ahead},
	} {
		got, err := Same(c.old, 100, Reader(m))
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if _, err := Same(Checkpoint{Size: -1}, 100, Reader(m)); !errors.Is(err, ErrRange) {
		t.Errorf("negative size: %v", err)
	}
	if _, err := Same(at(t, 1, m), -1, Reader(m)); !errors.Is(err, ErrRange) {
		t.Errorf("negative own size: %v", err)
	}
	if Consistent.String() != "consistent" || Ahead.String() != "ahead" || Diverged.String() != "diverged" || Standing(9).String() != "standing(9)" {
		t.Error("names of standings")
	}
}

func TestProofArguments(t *testing.T) {
	m := store(t, numbered(8))
	bad := []int64{-1, math.MinInt64, 9, MaxSize + 1, math.MaxInt64}
	for _, n := range bad {
		if _, err := ProveLeaf(n, 8, Reader(m)); !errors.Is(err, ErrRange) {
			t.Errorf("ProveLeaf(%d, 8): %v", n, err)
		}
		if _, err := ProveConsistency(n, 8, Reader(m)); !errors.Is(err, ErrRange) {
			t.Errorf("ProveConsistency(%d, 8): %v", n, err)
		}
		if err := CheckLeaf(LeafProof{Position: n, Size: 8}, tlog.Hash{}, Checkpoint{Size: 8}); !errors.Is(err, ErrRange) {
			t.Errorf("CheckLeaf(%d, 8): %v", n, err)
		}
		if err := CheckConsistency(ConsistencyProof{From: n, To: 8}, Checkpoint{Size: n}, Checkpoint{Size: 8}); !errors.Is(err, ErrRange) {
			t.Errorf("CheckConsistency(%d, 8): %v", n, err)
		}
		if n == 9 {
			continue
		}
		if _, err := ProveLeaf(0, n, Reader(m)); !errors.Is(err, ErrRange) {
			t.Errorf("ProveLeaf(0, %d): %v", n, err)
		}
		if _, err := ProveConsistency(0, n, Reader(m)); !errors.Is(err, ErrRange) {
			t.Errorf("ProveConsistency(0, %d): %v", n, err)
		}
		if err := CheckLeaf(LeafProof{Size: n}, tlog.Hash{}, Checkpoint{Size: n}); !errors.Is(err, ErrRange) {
			t.Errorf("CheckLeaf(0, %d): %v", n, err)
		}
		if err := CheckConsistency(ConsistencyProof{To: n}, Checkpoint{}, Checkpoint{Size: n}); !errors.Is(err, ErrRange) {
			t.Errorf("CheckConsistency(0, %d): %v", n, err)
		}
	}
	if _, err := ProveLeaf(8, 8, Reader(m)); !errors.Is(err, ErrRange) {
		t.Errorf("position = size: %v", err)
	}
}

func TestProofsTravelAsJSON(t *testing.T) {
	m := store(t, numbered(13))
	leaf, err := ProveLeaf(5, 13, Reader(m))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(leaf)
	if err != nil {
		t.Fatal(err)
	}
	var back LeafProof
	if err := json.Unmarshal(raw, &back, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if err := CheckLeaf(back, numbered(13)[5], at(t, 13, m)); err != nil {
		t.Error(err)
	}
	empty, err := ProveConsistency(0, 13, Reader(m))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := json.Marshal(empty); err != nil || string(raw) != `{"from":0,"to":13,"hashes":[]}` {
		t.Errorf("%s, %v", raw, err)
	}
}
