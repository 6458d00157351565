package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"flette/model"
)

// ErrCheckpoint says that a checkpoint is malformed or not signed by the journal's key.
var ErrCheckpoint = errors.New("client: checkpoint is not one of this journal")

// ErrRewound says that the server showed less of the journal than it did before, or another
// history. See [RewoundError].
var ErrRewound = errors.New("client: the journal was rewound")

// RewoundError is an alarm for the operator: work that was acknowledged may be gone from the
// server. The tablet still has it (T5, T6). errors.Is(err, ErrRewound) holds.
type RewoundError struct {
	Epoch string // of the held checkpoint
	Held  int64  // size that the tablet can prove
	Got   int64  // size that the server shows
}

func (e *RewoundError) Error() string {
	return fmt.Sprintf("journal of epoch %s was rewound or forked: held size %d, shown size %d", e.Epoch, e.Held, e.Got)
}

// Is makes the error an ErrRewound.
func (e *RewoundError) Is(target error) bool { return target == ErrRewound }

// checkpoint is a verified receipt.
type checkpoint struct {
	text  string
	epoch string
	size  int64
	root  tlog.Hash
}

// openCheckpoint verifies a signed note of the tenant's journal.
func openCheckpoint(text string, key note.Verifier, tenant model.TenantID) (checkpoint, error) {
	n, err := note.Open([]byte(text), note.VerifierList(key))
	if err != nil {
		return checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return checkpoint{}, fmt.Errorf("%w: needs origin, size and root", ErrCheckpoint)
	}
	epoch, ok := strings.CutPrefix(lines[0], "flette/"+string(tenant)+"/")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if !ok || epoch == "" || err != nil || size < 0 || lines[1] != strconv.FormatInt(size, 10) {
		return checkpoint{}, fmt.Errorf("%w: origin or size", ErrCheckpoint)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return checkpoint{}, fmt.Errorf("%w: root", ErrCheckpoint)
	}
	return checkpoint{text: text, epoch: epoch, size: size, root: root}, nil
}

// follows checks T6 between the held checkpoint and a newer one.
func (c checkpoint) follows(held checkpoint) error {
	if held.text == "" || held.epoch != c.epoch {
		return nil
	}
	if c.size < held.size || c.size == held.size && c.root != held.root {
		return &RewoundError{Epoch: held.epoch, Held: held.size, Got: c.size}
	}
	return nil
}
