package crash

import (
	"fmt"
	"slices"
)

// Call is a system call of the traced program that changes its data folder or answers
// somebody, seen when it begins.
type Call struct {
	Seq  int    // 1 for the first, over all threads
	Name string // write, pwrite64, fdatasync, fsync, ftruncate, rename, link, unlink, mkdir, create, or mark
	Path string // relative to the data folder; "socket" for an answer
	To   string // new name of rename and link
	Off  int64  // of pwrite64; new size of ftruncate
	Size int    // bytes to write
	Data []byte // of writes to files, when they are recorded
	Mark any    // of a mark: what the driver knew at this moment
}

func (c Call) String() string {
	return fmt.Sprintf("call %d, %s %s (offset %d, %d bytes)", c.Seq, c.Name, c.Path, c.Off, c.Size)
}

// Syncs reports whether the call makes earlier calls durable.
func (c Call) Syncs() bool { return c.Name == "fsync" || c.Name == "fdatasync" }

// Answers reports whether the call speaks to somebody.
func (c Call) Answers() bool { return c.Path == "socket" }

// tally counts the kinds of calls.
func tally(calls []Call) string {
	n := map[string]int{}
	var names []string
	for _, c := range calls {
		name := c.Name
		if c.Answers() {
			name = "answer"
		}
		if n[name]++; n[name] == 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := ""
	for _, name := range names {
		out += fmt.Sprintf(" %s %d", name, n[name])
	}
	return out
}
