package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"testing"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"flette/model"
)

// memory is a store of tree hashes; it counts reads and refuses what it does not hold.
type memory struct {
	hashes [][32]byte
	reads  int
}

func (m *memory) ReadTreeHashes(indexes []int64) ([][32]byte, error) {
	out := make([][32]byte, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(m.hashes)) {
			return nil, errors.New("not stored")
		}
		out[i] = m.hashes[x]
		m.reads++
	}
	return out, nil
}

type fataler interface{ Fatalf(string, ...any) }

func (m *memory) append(t fataler, size int64, leaves []tlog.Hash) {
	first, add, err := Append(size, leaves, Reader(m))
	if err != nil || first != int64(len(m.hashes)) {
		t.Fatalf("Append at %d: first %d, stored %d, err %v", size, first, len(m.hashes), err)
	}
	m.hashes = append(m.hashes, add...)
}

func store(t fataler, leaves []tlog.Hash) *memory {
	m := &memory{}
	m.append(t, 0, leaves)
	return m
}

func root(t fataler, size int64, m *memory) tlog.Hash {
	r, err := Root(size, Reader(m))
	if err != nil {
		t.Fatalf("Root(%d): %v", size, err)
	}
	return r
}

// naiveRoot is RFC 6962, section 2.1, word by word, and shares no code with package tlog.
func naiveRoot(leaves []tlog.Hash) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		l, r := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
}

func numbered(n int) []tlog.Hash {
	out := make([]tlog.Hash, n)
	for i := range out {
		out[i] = Leaf{ID: model.NewEntryID([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), Class: model.ClockA, Outcome: "applied"}.Hash()
	}
	return out
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublishedVectors(t *testing.T) {
	var v struct {
		Leaves, Roots []string
		Inclusion     []struct {
			Position, Size int64
			Hashes         []string
		}
		Consistency []struct {
			From, To int64
			Hashes   []string
		}
	}
	raw, err := os.ReadFile("testdata/rfc6962.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &v, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	var leaves []tlog.Hash
	for _, l := range v.Leaves {
		leaves = append(leaves, tlog.RecordHash(unhex(t, l)))
	}
	m := store(t, leaves)
	at := func(size int64) Checkpoint {
		return Checkpoint{Size: size, Root: tlog.Hash(unhex(t, v.Roots[size]))}
	}
	hashes := func(list []string) []tlog.Hash {
		out := []tlog.Hash{}
		for _, h := range list {
			out = append(out, tlog.Hash(unhex(t, h)))
		}
		return out
	}
	if len(v.Roots) != 9 || len(v.Inclusion) == 0 || len(v.Consistency) == 0 {
		t.Fatal("vectors are missing")
	}
	for size := range v.Roots {
		if got := root(t, int64(size), m); got != at(int64(size)).Root {
			t.Errorf("root of %d leaves = %x", size, got[:])
		}
	}
	for _, c := range v.Inclusion {
		got, err := ProveLeaf(c.Position, c.Size, Reader(m))
		if err != nil || !equal(got.Hashes, hashes(c.Hashes)) {
			t.Errorf("proof of %d in %d = %v, %v", c.Position, c.Size, got.Hashes, err)
		}
		if err := CheckLeaf(LeafProof{c.Position, c.Size, hashes(c.Hashes)}, leaves[c.Position], at(c.Size)); err != nil {
			t.Error(err)
		}
	}
	for _, c := range v.Consistency {
		got, err := ProveConsistency(c.From, c.To, Reader(m))
		if err != nil || !equal(got.Hashes, hashes(c.Hashes)) {
			t.Errorf("consistency %d to %d = %v, %v", c.From, c.To, got.Hashes, err)
		}
		if err := CheckConsistency(ConsistencyProof{c.From, c.To, hashes(c.Hashes)}, at(c.From), at(c.To)); err != nil {
			t.Error(err)
		}
	}
}

func equal(a, b []tlog.Hash) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// However leaves are grouped, the stored hashes are the same, and every root is the naive one.
func TestGroupsEqualOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := numbered(rapid.IntRange(0, 300).Draw(t, "leaves"))
		one := &memory{}
		for i, l := range leaves {
			one.append(t, int64(i), []tlog.Hash{l})
		}
		grouped, size := &memory{}, 0
		for size < len(leaves) {
			n := rapid.IntRange(0, len(leaves)-size).Draw(t, "group")
			if n == 0 {
				n = 1
			}
			grouped.reads = 0
			first, add, err := Append(int64(size), leaves[size:size+n], Reader(grouped))
			if err != nil {
				t.Fatal(err)
			}
			if grouped.reads > 9 {
				t.Fatalf("%d reads for a group of %d on %d leaves: more than log2", grouped.reads, n, size)
			}
			size += n
			// Before the hashes are stored, the overlay already knows the new root.
			early, err := Root(int64(size), Overlay(Reader(grouped), first, add))
			if err != nil || early != naiveRoot(leaves[:size]) {
				t.Fatalf("root over the overlay at %d: %v, %v", size, early, err)
			}
			grouped.hashes = append(grouped.hashes, add...)
			if got := root(t, int64(size), grouped); got != early {
				t.Fatalf("root at %d differs once stored", size)
			}
		}
		if len(one.hashes) != len(grouped.hashes) {
			t.Fatalf("%d hashes one by one, %d in groups", len(one.hashes), len(grouped.hashes))
		}
		for i := range one.hashes {
			if one.hashes[i] != grouped.hashes[i] {
				t.Fatalf("hash %d differs", i)
			}
		}
	})
}

func TestAnyAlteredLeafChangesTheRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := numbered(rapid.IntRange(1, 200).Draw(t, "leaves"))
		before := root(t, int64(len(leaves)), store(t, leaves))
		i := rapid.IntRange(0, len(leaves)-1).Draw(t, "which")
		leaves[i][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if root(t, int64(len(leaves)), store(t, leaves)) == before {
			t.Fatal("an altered leaf left the root unchanged")
		}
	})
}

func TestLeafText(t *testing.T) {
	l := Leaf{ID: model.NewEntryID([]byte("a.b")), ReceivedAt: 1760000000123, TEff: 1759999999000,
		Class: model.ClockB, Outcome: "quarantined", Code: "lease-expired"}
	want := "flette/leaf/1\n" + l.ID.String() + "\n1760000000123\n1759999999000\nB\nquarantined\nlease-expired\n"
	if got := string(l.Bytes()); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	sum := sha256.Sum256([]byte("\x00" + want))
	if l.Hash() != tlog.Hash(sum) {
		t.Error("leaf hash is not SHA-256(0x00 || text)")
	}
}

// Two leaves have one text only when they are the same leaf: no field runs into the next.
func TestLeafTextIsInjective(t *testing.T) {
	odd := rapid.StringOf(rapid.SampledFrom([]rune("a-\n% 0Æ\x00")))
	leaf := rapid.Custom(func(t *rapid.T) Leaf {
		return Leaf{
			ReceivedAt: model.Millis(rapid.Int64Range(-2, 20).Draw(t, "received")),
			TEff:       model.Millis(rapid.Int64Range(-2, 20).Draw(t, "teff")),
			Class:      model.ClockClass(rapid.SampledFrom([]byte{0, '\n', 'A', 'B', 255}).Draw(t, "class")),
			Outcome:    odd.Draw(t, "outcome"),
			Code:       odd.Draw(t, "code"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := leaf.Draw(t, "a"), leaf.Draw(t, "b")
		if (a == b) != (string(a.Bytes()) == string(b.Bytes())) {
			t.Fatalf("%+v and %+v: %q", a, b, a.Bytes())
		}
	})
}

func TestSizesOutOfRange(t *testing.T) {
	m := store(t, numbered(4))
	for _, size := range []int64{-1, math.MinInt64, MaxSize + 1, 1 << 62, math.MaxInt64} {
		if _, err := Root(size, Reader(m)); !errors.Is(err, ErrRange) {
			t.Errorf("Root(%d): %v", size, err)
		}
		if _, _, err := Append(size, numbered(1), Reader(m)); !errors.Is(err, ErrRange) {
			t.Errorf("Append(%d): %v", size, err)
		}
	}
	if _, _, err := Append(MaxSize, numbered(1), Reader(m)); !errors.Is(err, ErrRange) {
		t.Errorf("Append at the limit: %v", err)
	}
}

// A store that fails, or that answers with too few hashes, gives an error.
func TestReaderFailures(t *testing.T) {
	broken := errors.New("disk on fire")
	fails := tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, broken })
	short := tlog.HashReaderFunc(func(x []int64) ([]tlog.Hash, error) { return make([]tlog.Hash, len(x)-1), nil })
	calls := map[string]func(tlog.HashReader) error{
		"append":      func(r tlog.HashReader) error { _, _, err := Append(7, numbered(1), r); return err },
		"root":        func(r tlog.HashReader) error { _, err := Root(7, r); return err },
		"leaf":        func(r tlog.HashReader) error { _, err := ProveLeaf(3, 7, r); return err },
		"consistency": func(r tlog.HashReader) error { _, err := ProveConsistency(3, 7, r); return err },
		"same":        func(r tlog.HashReader) error { _, err := Same(Checkpoint{Size: 3}, 7, r); return err },
		"overlay":     func(r tlog.HashReader) error { _, err := Root(8, Overlay(r, tlog.StoredHashCount(7), nil)); return err },
	}
	for name, call := range calls {
		if err := call(fails); name != "overlay" && !errors.Is(err, broken) {
			t.Errorf("%s with a failing reader: %v", name, err)
		}
		if err := call(short); err == nil {
			t.Errorf("%s accepted a short answer", name)
		}
	}
	if _, err := Root(8, Reader(store(t, numbered(7)))); err == nil {
		t.Error("root of more leaves than stored")
	}
}

func BenchmarkAppend100(b *testing.B) {
	m := store(b, numbered(100_000))
	group := numbered(100)
	read := Reader(m)
	for b.Loop() {
		if _, _, err := Append(100_000, group, read); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeafHash(b *testing.B) {
	l := Leaf{ReceivedAt: 1760000000123, TEff: 1759999999000, Class: model.ClockA, Outcome: "applied"}
	for b.Loop() {
		l.Hash()
	}
}
