package sync

import (
	"crypto/sha256"
	"errors"
	"iter"
	"slices"
)

// Lines are the lines of a file, one after the other; an error is the last.
type Lines[T any] = iter.Seq2[T, error]

// Each gives what is in memory as lines.
func Each[T any](in []T) Lines[T] {
	return func(yield func(T, error) bool) {
		for _, l := range in {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// errEnough ends the judging of a file of which nothing fits.
var errEnough = errors.New("sync: enough problems")

// batches hands the lines to f, n at a time. The slice is used again.
func batches[T any](in Lines[T], n int, f func([]T) error) error {
	part := make([]T, 0, n)
	for l, err := range in {
		if err != nil {
			return err
		}
		if part = append(part, l); len(part) < n {
			continue
		}
		if err := f(part); err != nil {
			return err
		}
		part = part[:0]
	}
	if len(part) == 0 {
		return nil
	}
	return f(part)
}

// maxImportLines bounds what is kept of a file while it is judged: some 40 bytes a line.
const maxImportLines = 4_000_000

// lineKey stands for what tells a line from the others.
type lineKey [16]byte

func lineKeyOf(text string) lineKey {
	sum := sha256.Sum256([]byte(text))
	return lineKey(sum[:16])
}

// judging collects what is wrong with a file, whatever batches it comes in.
type judging struct {
	seen     map[lineKey]int // twice the line, and 1 more when the line would make somebody new
	problems ImportProblems
}

// add notes a line, and gives the earlier one with the same key.
func (j *judging) add(key lineKey, line int) (first int, twice bool) {
	if at, twice := j.seen[key]; twice {
		return at / 2, true
	}
	if j.seen == nil {
		j.seen = map[lineKey]int{}
	}
	j.seen[key] = 2 * line
	return 0, false
}

// makes notes that the line with the key would make somebody new.
func (j *judging) makes(key lineKey) { j.seen[key] |= 1 }

// made reports whether an earlier line would have.
func (j *judging) made(key lineKey) bool { return j.seen[key]&1 == 1 }

// batch takes over the problems of a batch; errEnough ends the judging.
func (j *judging) batch(problems ImportProblems) error {
	j.problems = append(j.problems, problems...)
	if len(j.seen) > maxImportLines {
		j.problems = append(j.problems, &LineProblem{Line: maxImportLines, Problem: *problemOfLine("too-many-lines", "", "a file has at most %d lines; split it", maxImportLines)})
		return errEnough
	}
	if len(j.problems) >= maxImportProblems {
		return errEnough
	}
	return nil
}

// verdict is what is wrong, in order of lines, or err.
func (j *judging) verdict(err error) error {
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if len(j.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(j.problems, func(a, b *LineProblem) int { return a.Line - b.Line })
	return j.problems
}
