package conflict

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flette/model"
)

var rewrite = flag.Bool("rewrite", false, "write what the code gives into the case files")

// TestCases runs testdata/*.txt. A case is a comment with its title, a command, its input,
// ---- and the output, and ends at an empty line. Entries of a merge arrive in the order of
// their lines; after each, the state is printed.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runFile(t, file) })
	}
}

func runFile(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimSpace(string(raw)), "\n\n")
	for i, block := range blocks {
		input, want, ok := strings.Cut(block, "\n----")
		if !ok && i == 0 {
			continue // what the file is about
		} else if !ok {
			t.Fatalf("block %d has no ----: %.60s", i, block)
		}
		var title string
		var lines []string
		for line := range strings.Lines(input) {
			line = strings.TrimSpace(line)
			if comment, ok := strings.CutPrefix(line, "#"); ok {
				title = strings.TrimSpace(title + comment)
			} else {
				lines = append(lines, line)
			}
		}
		if title == "" || len(lines) == 0 {
			t.Fatalf("block %d has no title or no command", i)
		}
		t.Run(title, func(t *testing.T) {
			got := runCase(t, lines)
			if *rewrite {
				blocks[i] = input + "\n----\n" + got
			} else if got != strings.TrimSpace(want) {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", strings.Join(lines, "\n"), got, strings.TrimSpace(want))
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func runCase(t *testing.T, lines []string) string {
	command, args := fields(lines[0])
	switch command[0] {
	case "clock":
		return clockCase(t, args)
	case "merge":
		var p model.Policy
		for _, word := range command[1:] {
			switch word {
			case "score":
				p.Section, p.Score = "score", true
			case "significant":
				p.Significant = true
			case "yes-no-date":
				p.YesNoDate = true
			case "terminal":
				p.Terminal = true
			default:
				t.Fatalf("unknown policy %q", word)
			}
		}
		return mergeCase(t, p, lines[1:])
	}
	t.Fatalf("unknown command %q", command[0])
	return ""
}

// fields splits a line into plain words and name=value pairs.
func fields(line string) (words []string, args map[string]string) {
	args = map[string]string{}
	for _, f := range strings.Fields(line) {
		if k, v, ok := strings.Cut(f, "="); ok {
			args[k] = v
		} else {
			words = append(words, f)
		}
	}
	return words, args
}

const day = "2026-03-02T"

// moment reads a time of the test day, or a full RFC 3339 time.
func moment(t *testing.T, s string) model.Millis {
	t.Helper()
	var m model.Millis
	switch len(s) {
	case len("09:00"):
		s = day + s + ":00Z"
	case len("09:00:00"):
		s = day + s + "Z"
	}
	if err := m.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return m
}

func length(t *testing.T, s string) model.Millis {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return model.Millis(d.Milliseconds())
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// idOf spells a name into an id, so that ids order as names do.
func idOf(name string) (id model.EntryID) {
	copy(id[:], name)
	return id
}

func nameOf(id model.EntryID) string { return strings.TrimRight(string(id[:]), "\x00") }

func idsOf(names string) (ids []model.EntryID) {
	for name := range strings.SplitSeq(names, ",") {
		ids = append(ids, idOf(name))
	}
	return ids
}

func parseNode(t *testing.T, line string, index int) Node {
	words, args := fields(line)
	if len(words) != 2 {
		t.Fatalf("entry needs a name and an act: %q", line)
	}
	at := moment(t, "08:00") + model.Millis(index)*10*60_000
	n := Node{
		ID: idOf(words[0]), Act: model.Act(words[1]), Position: int64(index), Seq: 1, Device: model.DeviceID{15: 1},
		Stamp: model.Stamp{T: at, U: 1_000, Lo: moment(t, "00:00"), Hi: moment(t, "23:59"), Class: model.ClockA},
	}
	for k, v := range args {
		switch k {
		case "t":
			n.Stamp.T = moment(t, v)
		case "u":
			n.Stamp.U = length(t, v)
		case "clock":
			n.Stamp.Class = model.ClockClass(v[0])
		case "device":
			n.Device[15] = byte(number(t, v))
		case "seq":
			n.Seq = number(t, v)
		case "score":
			n.Value = []byte(`{"score":` + v + `}`)
		case "value":
			n.Value = []byte(v)
		case "over":
			n.Over = idsOf(v)
		case "target":
			n.Target = idOf(v)
		default:
			t.Fatalf("unknown member %q", k)
		}
	}
	n.Stamp.Wall = n.Stamp.T
	n.Stamp.TEff = clamp(n.Stamp.T, n.Stamp.Lo, n.Stamp.Hi)
	return n
}

var classWords = []string{"single", "agree", "minor", "clinical", "clock", "status", "decision"}

func mergeCase(t *testing.T, p model.Policy, lines []string) string {
	var out strings.Builder
	var nodes []Node
	s := model.UnitState{Unit: "test/unit"}
	for i, line := range lines {
		n := parseNode(t, line, i)
		before := nodes
		nodes = append(nodes, n)
		looked := false
		known := func(id model.EntryID) bool {
			return slices.ContainsFunc(before, func(b Node) bool { return b.ID == id })
		}
		next, err := Apply(s, n, p, known, func() ([]Node, error) { looked = true; return nodes, nil })
		if err != nil {
			t.Fatal(err)
		}
		s = next
		if want := Rebuild(s.Unit, nodes, p); !reflect.DeepEqual(s, want) {
			t.Fatalf("M4 broken after %s:\napply   %+v\nrebuild %+v", nameOf(n.ID), s, want)
		}
		fmt.Fprintf(&out, "%s: %s", nameOf(n.ID), describe(&s))
		if looked {
			out.WriteString(", from history")
		}
		out.WriteString("\n")
	}
	reversed := slices.Clone(nodes)
	slices.Reverse(reversed)
	if other := Rebuild(s.Unit, reversed, p); !reflect.DeepEqual(s, other) {
		t.Fatalf("M1 broken:\n%+v\n%+v", s, other)
	}
	fates := Fates(nodes)
	out.WriteString("history")
	for i := range nodes {
		fmt.Fprintf(&out, " %s=%s", nameOf(nodes[i].ID), fates[nodes[i].ID])
	}
	return out.String()
}

func describe(s *model.UnitState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", s.Class, classWords[s.Class])
	if s.Class.NeedsReview() {
		b.WriteString(", review")
	}
	for i := range s.Heads {
		h := &s.Heads[i]
		switch i {
		case 0:
			b.WriteString(", shown")
		case 1:
			b.WriteString(", beside")
		}
		b.WriteString(" " + nameOf(h.ID))
		if h.OverVoid {
			b.WriteString("(over-void)")
		}
		if h.Reset {
			b.WriteString("(reset)")
		}
	}
	if len(s.Heads) == 0 {
		b.WriteString(", nothing shown")
	}
	if s.Late {
		b.WriteString(", late")
	}
	for _, id := range s.Missing {
		b.WriteString(", missing " + nameOf(id))
	}
	return b.String()
}

func clockCase(t *testing.T, args map[string]string) string {
	c := Claim{Clock: args["claim"], Wall: moment(t, args["wall"]), ReceivedAt: moment(t, args["received"])}
	if v, ok := args["elapsed"]; ok {
		c.ElapsedMs = int64(length(t, v))
	}
	if v, ok := args["lease"]; ok {
		c.Lease = &LeaseTimes{IssuedAt: moment(t, v)}
		if v, ok := args["offset"]; ok {
			c.Lease.WallOffset = length(t, v)
		}
	}
	s := Interval(c)
	short := func(m model.Millis) string { return strings.TrimPrefix(m.RFC3339(), day) }
	return fmt.Sprintf("%s: t %s, u %s, between %s and %s, effective %s", s.Class, short(s.T),
		time.Duration(s.U)*time.Millisecond, short(s.Lo), short(s.Hi), short(s.TEff))
}
