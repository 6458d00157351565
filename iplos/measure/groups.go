package measure

import (
	_ "embed"
	"slices"

	"github.com/go-json-experiment/json"
)

//go:embed groups.json
var groupsJSON []byte

// Groups says which scores make a function group and where its levels begin. It is always
// provisional, never official.
type Groups struct {
	Provisional bool    `json:"provisional"`
	Source      string  `json:"source"`
	MiddleFrom  int     `json:"middle_from"` // score from which the level is "middle"
	HighFrom    int     `json:"high_from"`
	Groups      []Group `json:"groups"`
}

// Group is one function group.
type Group struct {
	ID     string   `json:"id"`
	NB     string   `json:"nb"`
	EN     string   `json:"en"`
	Scores []string `json:"scores"` // names of units score/*
}

// The levels of a function group, in Norwegian statistics noe/avgrenset, middels til stort,
// omfattende and uoppgitt.
const (
	LevelLow = iota
	LevelMiddle
	LevelHigh
	LevelUnknown
)

var levelNames = []string{"low", "middle", "high", "unknown"}

// Default is the embedded provisional grouping.
func Default() Groups {
	var g Groups
	if err := json.Unmarshal(groupsJSON, &g); err != nil {
		panic("measure: groups.json: " + err.Error()) // embedded, so a test finds it
	}
	return g
}

// Level is that of the highest score of a group: plain averages mislead (domain.md 4.1). A
// score outside 1 to 5 is missing, not a number: 9 counts for nothing, and with no score at
// all the level is unknown.
func (g Groups) Level(scores []int) int {
	known := slices.DeleteFunc(slices.Clone(scores), func(s int) bool { return s < 1 || s > 5 })
	if len(known) == 0 {
		return LevelUnknown
	}
	switch top := slices.Max(known); {
	case top >= g.HighFrom:
		return LevelHigh
	case top >= g.MiddleFrom:
		return LevelMiddle
	}
	return LevelLow
}
