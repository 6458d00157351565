package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// statesOf gives the contents of a file in all states of a moment: "-" when it is not there.
func statesOf(m *Image, path string) map[string]bool {
	out := map[string]bool{}
	m.States(rand.New(rand.NewPCG(1, 1)), 20, func(s State) bool {
		if f := s[path]; f == nil {
			out["-"] = true
		} else {
			out[fmt.Sprintf("%s/%d", f.Data, f.Size)] = true
		}
		return true
	})
	return out
}

// TestImage: what is not synced may be there, in any part; what is synced is.
func TestImage(t *testing.T) {
	m := NewImage(map[string][]byte{"d/a": []byte("old")})
	expect := func(when string, want ...string) {
		t.Helper()
		got := statesOf(m, "d/b")
		for _, w := range want {
			if !got[w] {
				t.Errorf("%s: no state %q in %v", when, w, got)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %q", when, got, want)
		}
	}
	do := func(calls ...Call) {
		for _, c := range calls {
			m.Apply(c)
		}
	}
	expect("before", "-")
	do(Call{Name: "create", Path: "d/b"}, Call{Name: "write", Path: "d/b", Off: -1, Data: []byte("ab")}, Call{Name: "write", Path: "d/b", Off: -1, Data: []byte("cd")})
	expect("written", "-", "/0", "ab/2", "\x00\x00cd/4", "abcd/4")
	do(Call{Name: "fsync", Path: "d/b"})
	expect("file synced, name not", "-", "abcd/4")
	do(Call{Name: "fsync", Path: "d"})
	expect("both synced", "abcd/4")
	do(Call{Name: "ftruncate", Path: "d/b", Off: 8}, Call{Name: "pwrite64", Path: "d/b", Off: 1, Data: []byte("X")})
	expect("grown and written", "abcd/4", "abcd/8", "aXcd/4", "aXcd/8")
	do(Call{Name: "fdatasync", Path: "d/b"}, Call{Name: "unlink", Path: "d/b"})
	expect("unlinked", "-", "aXcd/8")
	do(Call{Name: "fsync", Path: "d"}, Call{Name: "rename", Path: "d/a", To: "d/b"})
	expect("renamed", "-", "old/3")
	do(Call{Name: "fsync", Path: "d"}, Call{Name: "link", Path: "d/b", To: "d/c"}, Call{Name: "fsync", Path: "d"})
	if got := statesOf(m, "d/c"); !got["old/3"] || len(got) != 1 {
		t.Errorf("linked: %v", got)
	}
	if m.Pending() != 0 {
		t.Errorf("%d changes pending", m.Pending())
	}
}

// TestImageTears: a long write survives by sectors.
func TestImageTears(t *testing.T) {
	m := NewImage(map[string][]byte{"f": bytes.Repeat([]byte("o"), 3*Sector)})
	m.Apply(Call{Name: "pwrite64", Path: "f", Data: bytes.Repeat([]byte("n"), 3*Sector)})
	got := map[string]bool{}
	m.States(rand.New(rand.NewPCG(1, 1)), 200, func(s State) bool {
		b := s["f"].Data
		for i := 0; i < 3*Sector; i += Sector {
			if c := b[i]; !bytes.Equal(b[i:i+Sector], bytes.Repeat([]byte{c}, Sector)) {
				t.Fatal("a sector is torn")
			}
		}
		got[string([]byte{b[0], b[Sector], b[2*Sector]})] = true
		return true
	})
	for _, want := range strings.Fields("ooo nnn noo nno ono oon onn non") {
		if !got[want] {
			t.Errorf("no state %s in %v", want, got)
		}
	}
}
