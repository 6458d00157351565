package model

import "log/slog"

// Private is text about a person (identity number, name, free text). Printing or logging
// it gives a fixed placeholder; Reveal is the one way to the content, so that a search for
// Reveal finds every place where personal data leaves its wrapper.
type Private string

const redacted = "[private]"

// Reveal returns the content.
func (p Private) Reveal() string { return string(p) }

// String returns a placeholder.
func (p Private) String() string { return redacted }

// GoString returns a placeholder (%#v).
func (p Private) GoString() string { return redacted }

// LogValue returns a placeholder.
func (p Private) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder: personal data is put on a wire by naming it, never by
// marshalling a struct that happens to hold it.
func (p Private) MarshalText() ([]byte, error) { return []byte(redacted), nil }
