package model

import (
	"fmt"
	"io"
	"log/slog"
)

// Private is text about a person (identity number, name, free text). Printing or logging
// it gives a fixed placeholder; Reveal is the one way to the content, so that a search for
// Reveal finds every place where personal data leaves its wrapper. Two things it cannot
// guard: the verbs %p and %w, which ask no method (go vet refuses both), and the keys of a
// map, which encoding/json and so log/slog write as they are.
type Private string

const redacted = "[private]"

// Reveal returns the content.
func (p Private) Reveal() string { return string(p) }

// String returns a placeholder.
func (p Private) String() string { return redacted }

// Format returns a placeholder for every verb. Package fmt does not ask methods of
// unexported fields, so a struct that holds a Private must export the field.
func (p Private) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (p Private) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder: personal data is put on a wire by naming it, never by
// marshalling a struct that happens to hold it.
func (p Private) MarshalText() ([]byte, error) { return []byte(redacted), nil }
