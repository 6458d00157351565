package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"flette/internal/seal"
	"flette/iplos/kpr"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// problem is a failure as it goes between the server and the command line.
type problem struct {
	Code   string        `json:"code"` // stable, kebab-case
	Detail string        `json:"detail"`
	Lines  []lineProblem `json:"lines,omitempty"` // of an import
}

// stoppedCode is the code of a write or sync that the disk failed.
const stoppedCode = "store-stopped"

// corruptCode is the code of damage that the store itself sees.
const corruptCode = "store-corrupt"

// Codes of a key file that is not there, or not one that this store was made with.
const (
	keyMissingCode = "key-file-missing"
	keyFileCode    = "key-file"
)

func (p *problem) Error() string { return p.Detail }

func problemf(code, format string, args ...any) *problem {
	return &problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// lineProblem is what is wrong with one line of a file, never with what stands there.
type lineProblem struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (l lineProblem) String() string {
	if l.Column == "" {
		return fmt.Sprintf("line %d: %s [%s]", l.Line, l.Detail, l.Code)
	}
	return fmt.Sprintf("line %d, %s: %s [%s]", l.Line, l.Column, l.Detail, l.Code)
}

// problemOf turns any error into a code and a sentence that an operator can act on.
func problemOf(err error) *problem {
	var p *problem
	var lines sync.ImportProblems
	var found *model.Problem
	var path *fs.PathError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &lines):
		return problemOfLines(lines)
	case errors.As(err, &found):
		return problemf(found.Code, "%s", found.Detail)
	case errors.Is(err, context.Canceled):
		return problemf("interrupted", "interrupted")
	case errors.Is(err, bolt.ErrInUse):
		return problemf("store-in-use", "another process has the store open and does not answer on admin.sock; wait for it, or run this as the user that runs the server")
	case errors.Is(err, store.ErrStopped):
		return problemf(stoppedCode, "%v", err)
	case errors.Is(err, store.ErrFull), errors.Is(err, syscall.ENOSPC):
		return problemf("store-full", "there is no space left on the disk of the data folder; nothing was stored")
	case errors.Is(err, store.ErrNotWritable):
		return problemf("store-not-writable", "the disk of the data folder takes no writes (mounted read-only, or the permission is gone); nothing was stored")
	case errors.Is(err, store.ErrCorrupt):
		return problemf(corruptCode, "%v", err)
	case errors.Is(err, kpr.ErrNothingToSend):
		return problemf("nothing-to-send", "nothing to send: the register has everything")
	case errors.Is(err, seal.ErrFile):
		return problemf(keyFileCode, "%s", strings.TrimPrefix(fromSeal(err), "seal: "))
	case errors.As(err, &path) && strings.HasSuffix(path.Path, keySuffix) && errors.Is(err, fs.ErrNotExist):
		return problemf(keyMissingCode, "the key file %s is missing, and without it nothing of its tenant can be opened or checked; put it back from the copy that was kept apart, or name its folder with --keys", path.Path)
	case errors.As(err, &path) && (errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)):
		return problemf("not-permitted", "%s cannot be opened: %v; the data folder must be on a writable file system and belong to the user that runs flette", path.Path, path.Err)
	case errors.Is(err, store.ErrNotFound):
		return problemf("not-found", "there is no such thing in this tenant; the list verbs show what there is")
	}
	return problemf("failed", "%v", err)
}

// fromSeal leaves out what the layers above the key file say in front.
func fromSeal(err error) string {
	text := err.Error()
	if i := strings.Index(text, "seal: "); i >= 0 {
		return text[i:]
	}
	return text
}

func problemOfLines(lines sync.ImportProblems) *problem {
	out := make([]lineProblem, len(lines))
	for i, l := range lines {
		out[i] = lineProblem{Line: l.Line, Column: strings.TrimPrefix(l.Pointer, "/"), Code: l.Code, Detail: l.Detail}
	}
	return refusal(out)
}

// refusal is an import that does not happen because of its lines.
func refusal(lines []lineProblem) *problem {
	bad := map[int]bool{}
	for _, l := range lines {
		bad[l.Line] = true
	}
	return &problem{Code: "import-refused", Detail: plural(len(bad), "line") + " cannot be imported; nothing was imported", Lines: lines}
}
