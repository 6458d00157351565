package journal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"flette/model"
)

// MaxCheckpointBytes bounds a checkpoint's text, with room for the lines of witnesses.
const MaxCheckpointBytes = 4096

// ErrCheckpoint is wrapped by every error about a checkpoint's text: not a checkpoint, not
// signed by this key, or signed by a key of another name.
var ErrCheckpoint = errors.New("not a valid checkpoint")

// Checkpoint is the state of one journal: the receipt that a tablet keeps.
type Checkpoint struct {
	Origin string // "flette/<tenant>/<epoch>"
	Size   int64  // number of leaves
	Root   tlog.Hash
}

// KeyName returns the name of a tenant's note key: "flette/<tenant>".
func KeyName(tenant model.TenantID) string { return "flette/" + string(tenant) }

// Origin returns the first line of a tenant's checkpoints: "flette/<tenant>/<epoch>".
func Origin(tenant model.TenantID, epoch string) string { return KeyName(tenant) + "/" + epoch }

// GenerateKey makes an Ed25519 note key. The first string is secret.
func GenerateKey(name string) (skey, vkey string, err error) {
	if !validKeyName(name) {
		return "", "", fmt.Errorf("journal: key name must have the shape flette/<tenant>")
	}
	return note.GenerateKey(rand.Reader, name)
}

// Signer signs checkpoints with one note key. It is safe for concurrent use.
type Signer struct{ key note.Signer }

// NewSigner reads a note signer key ("PRIVATE+KEY+name+hash+key"). No error repeats it.
func NewSigner(skey string) (*Signer, error) {
	key, err := note.NewSigner(skey)
	if err != nil || !validKeyName(key.Name()) {
		return nil, fmt.Errorf("journal: signer key is not an Ed25519 note key named flette/<tenant>")
	}
	return &Signer{key}, nil
}

// Sign returns the checkpoint's signed text. The origin must be one of this key's.
func (s *Signer) Sign(cp Checkpoint) ([]byte, error) {
	if err := cp.check(s.key.Name()); err != nil {
		return nil, fmt.Errorf("journal: sign: %w", err)
	}
	return note.Sign(&note.Note{Text: cp.text()}, s.key)
}

// Verifier reads checkpoints and checks their signature. It is safe for concurrent use.
type Verifier struct {
	name  string
	known note.Verifiers
}

// NewVerifier reads a note verifier key ("name+hash+key"), which is public.
func NewVerifier(vkey string) (*Verifier, error) {
	key, err := note.NewVerifier(vkey)
	if err != nil || !validKeyName(key.Name()) {
		return nil, fmt.Errorf("journal: verifier key is not an Ed25519 note key named flette/<tenant>")
	}
	return &Verifier{key.Name(), note.VerifierList(key)}, nil
}

// Verify returns the checkpoint when its text is signed by this key and its origin is one
// of this key's. Lines of other signers (witnesses) are allowed and ignored. Every error
// wraps [ErrCheckpoint].
func (v *Verifier) Verify(text []byte) (Checkpoint, error) {
	if len(text) > MaxCheckpointBytes {
		return Checkpoint{}, fmt.Errorf("journal: longer than %d bytes: %w", MaxCheckpointBytes, ErrCheckpoint)
	}
	n, err := note.Open(text, v.known)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("journal: not a note signed by %s: %w", v.name, ErrCheckpoint)
	}
	for _, sig := range n.Sigs {
		// The decoder of package note ignores the two spare bits of the last character:
		// four spellings of one signature. One checkpoint shall have one text.
		if _, err := strictB64.DecodeString(sig.Base64); err != nil {
			return Checkpoint{}, fmt.Errorf("journal: signature is not canonical base64: %w", ErrCheckpoint)
		}
	}
	cp, err := parseText(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	// A key speaks for its own tenant only, whatever it has signed.
	if err := cp.check(v.name); err != nil {
		return Checkpoint{}, fmt.Errorf("journal: %w", err)
	}
	return cp, nil
}

// ParseUnverified reads the checkpoint of a text whose signature is not in question: one
// that our own store gave back. ErrCheckpoint when it is no checkpoint.
func ParseUnverified(text []byte) (Checkpoint, error) {
	body, _, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		return Checkpoint{}, fmt.Errorf("journal: no signature block: %w", ErrCheckpoint)
	}
	return parseText(body + "\n")
}

// Verify is [Verifier.Verify] for one text.
func Verify(text []byte, vkey string) (Checkpoint, error) {
	v, err := NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, err
	}
	return v.Verify(text)
}

var strictB64 = base64.StdEncoding.Strict()

func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// parseText reads the three lines and accepts only what text writes. Extension lines are
// refused: this journal never signs any.
func parseText(text string) (Checkpoint, error) {
	bad := func(what string) (Checkpoint, error) {
		return Checkpoint{}, fmt.Errorf("journal: %s: %w", what, ErrCheckpoint)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return bad("needs exactly the lines origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return bad("size is not a decimal number")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return bad("root is not a base64 hash")
	}
	cp := Checkpoint{Origin: lines[0], Size: size, Root: root}
	// "+7", "007" and base64 with spare bits set parse too, but are not what we write.
	if cp.text() != text {
		return bad("not in canonical form")
	}
	return cp, nil
}

// check wraps ErrCheckpoint when the origin is not "<key name>/<epoch>" or the size is
// out of range.
func (c Checkpoint) check(keyName string) error {
	epoch, ok := strings.CutPrefix(c.Origin, keyName+"/")
	if !ok || !validPart(epoch) {
		return fmt.Errorf("origin must be %s/<epoch>: %w", keyName, ErrCheckpoint)
	}
	if err := checkSize(c.Size); err != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return nil
}

func validKeyName(name string) bool {
	tenant, ok := strings.CutPrefix(name, "flette/")
	if !ok {
		return false
	}
	_, err := model.ParseTenantID(tenant)
	return err == nil
}

// validPart reports whether an epoch is 1-64 of a-z, A-Z, 0-9, hyphen and underscore: no
// slash, so that an origin splits one way only.
func validPart(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}
