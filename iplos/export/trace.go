package export

import (
	"flette/model"
	"flette/store"
)

// Trace says that a sheet was written: who took what out, and when. It is never changed.
type Trace struct {
	Report
	At       model.Millis `json:"at"`
	By       string       `json:"by"`
	From     string       `json:"from,omitempty"`
	To       string       `json:"to,omitempty"`
	Unit     string       `json:"unit,omitempty"`     // organisation unit, as it was named
	Identity bool         `json:"identity,omitempty"` // with identity numbers and names
	SHA256   string       `json:"sha256"`
}

// DocKind is "export".
func (Trace) DocKind() store.Kind { return "export" }

// DocKey is in order of time.
func (t Trace) DocKey() string { return store.PositionKey(int64(t.At)) + " " + t.SHA256 }
