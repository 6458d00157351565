package main

import (
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// transcriptFormat names the shape of transcript.json. Members are never taken away or
// given another meaning under one name of the format.
const transcriptFormat = "flette-demo-1"

// transcript is what the demo leaves in DIR/transcript.json. Two runs with one seed differ in
// ids, times of the millisecond and checkpoints, and in nothing else.
type transcript struct {
	Format     string           `json:"format"`           // "flette-demo-1"
	Seed       uint64           `json:"seed"`             // names, scores and service ids follow from it
	Tenant     model.TenantID   `json:"tenant"`           // "testvik"
	Day        string           `json:"day"`              // the day that was played, YYYY-MM-DD
	OK         bool             `json:"ok"`               // every step held what it claims
	Failed     string           `json:"failed,omitempty"` // name of the step that did not, then the last one
	Steps      []transcriptStep `json:"steps"`
	Size       int64            `json:"size"`       // journal size at the end
	Checkpoint string           `json:"checkpoint"` // signed, at the end
}

// transcriptStep is one step, in the order of the story.
type transcriptStep struct {
	Name       string           `json:"name"`            // stable, kebab-case
	At         model.Millis     `json:"at"`              // of the story's clock, when the step was over
	Says       string           `json:"says"`            // in plain words, as printed
	Outcome    string           `json:"outcome"`         // "ok" or "failed"
	Error      string           `json:"error,omitempty"` // failed: what did not hold
	Counts     map[string]int64 `json:"counts"`          // what the step did and saw, by stable names
	Checkpoint string           `json:"checkpoint"`      // newest that a tablet held after the step, "" before the first
}

// save writes the transcript whole or not at all.
func (t *transcript) save(path string) error {
	body, err := json.Marshal(t, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(body, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
