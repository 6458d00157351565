package measure

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/model/catalogue"
)

//go:embed groups.json
var groupsJSON []byte

// Groups says which scores make a function group and where its levels begin. The one built in is
// provisional; a municipality puts its own in its place.
type Groups struct {
	Provisional bool    `json:"provisional"`
	Source      string  `json:"source"`
	MiddleFrom  int     `json:"middle_from"` // score from which the level is "middle"
	HighFrom    int     `json:"high_from"`
	Groups      []Group `json:"groups"`

	From   string `json:"-"` // where it was read: BuiltIn, or the name of a file
	SHA256 string `json:"-"` // of what was read, hex
}

// BuiltIn is where Default is from.
const BuiltIn = "built-in"

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

// Default is the embedded provisional grouping.
func Default() Groups {
	g, err := ParseGroups(groupsJSON, BuiltIn)
	if err != nil {
		panic("measure: groups.json: " + err.Error()) // embedded, so a test finds it
	}
	return g
}

const (
	maxGroups = 20
	maxLabel  = 200
)

var groupID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// ParseGroups reads a grouping as it stands in a file; from is what the report calls it. A
// *model.Problem with code "report-groups", and the line or the member in words and as a JSON pointer.
func ParseGroups(body []byte, from string) (Groups, error) {
	g := Groups{From: from}
	if err := json.Unmarshal(body, &g, json.RejectUnknownMembers(true)); err != nil {
		return Groups{}, unreadable(body, err)
	}
	sum := sha256.Sum256(body)
	g.SHA256 = hex.EncodeToString(sum[:])
	switch {
	case !label(g.Source):
		return Groups{}, badGroups("/source", "must say where the grouping is from, in at most %d characters", maxLabel)
	case g.MiddleFrom < 2 || g.MiddleFrom > 5:
		return Groups{}, badGroups("/middle_from", "must be a score from 2 to 5")
	case g.HighFrom <= g.MiddleFrom || g.HighFrom > 5:
		return Groups{}, badGroups("/high_from", "must be a score above middle_from, at most 5")
	case len(g.Groups) == 0 || len(g.Groups) > maxGroups:
		return Groups{}, badGroups("/groups", "must hold 1 to %d groups", maxGroups)
	}
	seen := map[string]bool{}
	for i := range g.Groups {
		at, x := fmt.Sprintf("/groups/%d", i), &g.Groups[i]
		switch {
		case !groupID.MatchString(x.ID) || seen[x.ID]:
			return Groups{}, badGroups(at+"/id", "must be a name of its own, of small letters, digits and _")
		case reserved(x.ID):
			return Groups{}, badGroups(at+"/id", "must not be the name of another table of the report")
		case !label(x.NB):
			return Groups{}, badGroups(at+"/nb", "must be the group's name in Norwegian")
		case !label(x.EN):
			return Groups{}, badGroups(at+"/en", "must be the group's name in English")
		case len(x.Scores) == 0:
			return Groups{}, badGroups(at+"/scores", "must name at least one score")
		}
		seen[x.ID] = true
		for j, name := range x.Scores {
			switch at := fmt.Sprintf("%s/scores/%d", at, j); {
			case !isScore(name):
				return Groups{}, badGroups(at, "must be a score of the catalogue, as assist_cooking is")
			case slices.Contains(x.Scores[:j], name):
				return Groups{}, badGroups(at, "must not stand there twice")
			}
		}
		// Two groups of the same scores ask the same, and what is hidden in one could be read in the other.
		for j := range g.Groups[:i] {
			if sameScores(x.Scores, g.Groups[j].Scores) {
				return Groups{}, badGroups(at+"/scores", "must not be those of the group %s", g.Groups[j].ID)
			}
		}
	}
	return g, nil
}

func badGroups(pointer, format string, args ...any) error {
	return model.Problemf("report-groups", pointer, "%s "+format, append([]any{pointer}, args...)...)
}

func unreadable(body []byte, err error) error {
	var offset int64
	var at jsontext.Pointer
	var sem *json.SemanticError
	var syn *jsontext.SyntacticError
	why := "is not strict JSON"
	switch {
	case errors.As(err, &syn):
		offset, at = syn.ByteOffset, syn.JSONPointer
	case errors.As(err, &sem):
		offset, at, why = sem.ByteOffset, sem.JSONPointer, "holds a member that is unknown or of the wrong type"
	}
	line := 1 + bytes.Count(body[:min(offset, int64(len(body)))], []byte("\n"))
	pointer := model.SafePointer(at)
	return model.Problemf("report-groups", pointer, "line %d %s %s", line, why, pointer)
}

func label(s string) bool { return s != "" && len(s) <= maxLabel && strings.TrimSpace(s) == s }

func isScore(name string) bool {
	return slices.ContainsFunc(catalogue.Default().Variables, func(v catalogue.Variable) bool {
		return v.Unit == "score/"+name && v.Value == "score" && !v.Closed
	})
}

// reserved are the ids of tables that are there without any group.
func reserved(id string) bool {
	is := func(d define) bool { return d.id == id }
	return slices.ContainsFunc(indicators, is) || slices.ContainsFunc(quality, is) ||
		slices.ContainsFunc(catalogue.Default().Variables, func(v catalogue.Variable) bool { return v.ID == id }) ||
		slices.ContainsFunc(waits, func(w wait) bool { return w.id == id }) || slices.ContainsFunc(endings, func(e ending) bool { return e.id == id })
}

func sameScores(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
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
