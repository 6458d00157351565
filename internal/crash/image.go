package crash

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// Sector is what a disk writes whole or not at all.
const Sector = 512

// Image is a data folder on a disk with a cache: what is durable, and what was done since and
// may or may not survive a power cut, each piece for itself. A sync of a file makes its writes
// and its size durable; a sync of a folder makes the names in it durable, and nothing else
// does. That is less than most file systems promise.
type Image struct {
	files   map[string]*File // durable names
	names   map[string]*File // names as the program sees them
	pending []op
}

// File is the content of a file: Data and, up to Size, zeros.
type File struct {
	Data []byte
	Size int64
}

// op is one change that is not durable yet.
type op struct {
	file *File  // written or cut; nil for a change of names
	off  int64  // of data
	data []byte // nil: the file gets size off
	dir  string // folder of the name
	name string
	to   *File // what the name leads to from now on; nil for nothing
}

// NewImage starts from durable files, by path.
func NewImage(files map[string][]byte) *Image {
	m := &Image{files: map[string]*File{}, names: map[string]*File{}}
	for path, b := range files {
		// A store reserves room far beyond what it has written.
		f := &File{Data: bytes.Clone(bytes.TrimRight(b, "\x00")), Size: int64(len(b))}
		m.files[path], m.names[path] = f, f
	}
	return m
}

// Apply lets a recorded call happen.
func (m *Image) Apply(c Call) {
	f := m.names[c.Path]
	switch c.Name {
	case "create":
		if f == nil {
			m.rename(c.Path, &File{})
		}
	case "write", "pwrite64":
		if f == nil {
			return
		}
		off := c.Off
		if off < 0 { // appends: no file here is written at once and in part again
			off = m.sizeOf(f)
		}
		m.pending = append(m.pending, op{file: f, off: off, data: c.Data})
	case "ftruncate":
		if f != nil {
			m.pending = append(m.pending, op{file: f, off: c.Off})
		}
	case "link":
		if f != nil && m.names[c.To] == nil {
			m.rename(c.To, f)
		}
	case "rename":
		if f != nil {
			m.rename(c.To, f)
			m.rename(c.Path, nil)
		}
	case "unlink":
		if f != nil {
			m.rename(c.Path, nil)
		}
	case "fsync", "fdatasync":
		var rest []op
		for _, p := range m.pending {
			switch {
			case f != nil && p.file == f:
				p.apply(f)
			case f == nil && p.file == nil && p.dir == c.Path:
				setName(m.files, p)
			default:
				rest = append(rest, p)
			}
		}
		m.pending = rest
	}
}

func (m *Image) rename(path string, to *File) {
	p := op{dir: filepath.Dir(path), name: path, to: to}
	m.pending = append(m.pending, p)
	setName(m.names, p)
}

func setName(names map[string]*File, p op) {
	if p.to == nil {
		delete(names, p.name)
	} else {
		names[p.name] = p.to
	}
}

func (m *Image) sizeOf(f *File) int64 {
	size := f.Size
	for _, p := range m.pending {
		if p.file == f {
			size = p.grown(size)
		}
	}
	return size
}

func (p op) grown(size int64) int64 {
	if p.data == nil {
		return p.off
	}
	return max(size, p.off+int64(len(p.data)))
}

func (p op) apply(f *File) {
	f.Size = p.grown(f.Size)
	if p.data != nil {
		if need := int(p.off) + len(p.data); need > len(f.Data) {
			f.Data = append(f.Data, make([]byte, need-len(f.Data))...)
		}
		copy(f.Data[p.off:], p.data)
	}
	if int64(len(f.Data)) > f.Size {
		f.Data = f.Data[:f.Size]
	}
}

// Pending is the number of changes that are not durable.
func (m *Image) Pending() int { return len(m.pending) }

// choice says what of each pending change survived: nothing, all, or some sectors.
type choice [][]bool // nil: nothing; one true: all; else by sector

var whole = []bool{true}

// State is a folder that a power cut may leave.
type State map[string]*File

// Key tells states apart.
func (s State) Key() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s)) {
		f := s[path]
		b.WriteString(path)
		b.WriteByte(0)
		b.Write(f.Data)
		b.WriteString(string(rune(f.Size)))
	}
	return b.String()
}

// build makes the state of a choice.
func (m *Image) build(c choice) State {
	copies := map[*File]*File{}
	of := func(f *File) *File {
		if copies[f] == nil {
			copies[f] = &File{bytes.Clone(f.Data), f.Size}
		}
		return copies[f]
	}
	names := maps.Clone(m.files)
	for i, p := range m.pending {
		switch {
		case c[i] == nil:
		case p.file == nil:
			setName(names, p)
		case len(c[i]) == 1:
			p.apply(of(p.file))
		default:
			for s, survived := range c[i] {
				if survived {
					from, to := s*Sector, min((s+1)*Sector, len(p.data))
					op{off: p.off + int64(from), data: p.data[from:to]}.apply(of(p.file))
				}
			}
		}
	}
	out := State{}
	for path, f := range names {
		out[path] = of(f)
	}
	return out
}

// manySubsets is up to how many pending changes all subsets are built; beyond, samples.
const manySubsets = 5

// States calls fn with the states that a power cut at this moment may leave: all subsets of
// what is not durable when it is little, else none, all, each alone, all but each, and
// samples; and every write torn at every sector while the others are all there, or none.
func (m *Image) States(rnd *rand.Rand, samples int, fn func(State) bool) {
	n := len(m.pending)
	give := func(pick func(i int) []bool) bool {
		c := make(choice, n)
		for i := range c {
			c[i] = pick(i)
		}
		return fn(m.build(c))
	}
	if n <= manySubsets {
		for set := range 1 << n {
			if !give(func(i int) []bool { return pickIf(set>>i&1 == 1) }) {
				return
			}
		}
	} else {
		fixed := []func(i int) bool{func(int) bool { return false }, func(int) bool { return true }}
		for k := range n {
			fixed = append(fixed, func(i int) bool { return i == k }, func(i int) bool { return i != k })
		}
		for range samples {
			fixed = append(fixed, func(int) bool { return rnd.IntN(2) == 0 })
		}
		for _, f := range fixed {
			if !give(func(i int) []bool { return pickIf(f(i)) }) {
				return
			}
		}
	}
	for k, p := range m.pending {
		sectors := (len(p.data) + Sector - 1) / Sector
		for cut := 1; cut < sectors+2+samples/4 && sectors > 1; cut++ {
			torn := make([]bool, sectors)
			for s := range torn { // a prefix; the later ones are scattered
				torn[s] = s < cut && cut < sectors || cut >= sectors && rnd.IntN(2) == 0
			}
			others := cut%2 == 0 || rnd.IntN(2) == 0
			if !give(func(i int) []bool {
				if i == k {
					return torn
				}
				return pickIf(others)
			}) {
				return
			}
		}
	}
}

func pickIf(yes bool) []bool {
	if yes {
		return whole
	}
	return nil
}
