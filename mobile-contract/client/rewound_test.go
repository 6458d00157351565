package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	contract "flette/mobile-contract"
	"flette/model"
)

func TestEpochChangeLoadsAnew(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	sign(t, tab, memory, 2)
	push(t, tab)
	pull(t, tab)
	f.epoch = "e2"
	if r := pull(t, tab); !r.Anew || r.Items != 1 {
		t.Errorf("%+v", r)
	}
	f.rewind, f.lives = true, map[string]int64{"e1": 1}
	if text, _ := tab.Checkpoint(); !strings.Contains(text, "/e1\n") {
		t.Errorf("a pull took a receipt of the new life: %s", text)
	}
	if r := push(t, tab); len(r.Results) != 0 {
		t.Errorf("acknowledged work that the new life continues was sent again: %+v", r)
	}
	if text, _ := tab.Checkpoint(); !strings.Contains(text, "/e2\n") {
		t.Errorf("the receipt of the new life is missing: %s", text)
	}
	f.epoch = "e9" // a life that has never heard of e2
	if _, err := tab.Push(context.Background()); CodeOf(err) != "store-rewound" || len(tab.Outbox()) != 1 {
		t.Errorf("%v, outbox %d", err, len(tab.Outbox()))
	}
}

// The server was restored to before own work, and takes the cursor, which is older: the view
// must not go on showing that work as what the server has. It is sent again with the next push,
// and may be held back then.
func TestAViewOfAFormerLife(t *testing.T) {
	f := newFake(t)
	f.send(cameIn(somebody, 0))
	tab, _ := f.tablet(Config{})
	pull(t, tab)
	sign(t, tab, memory, 2)
	push(t, tab)
	if len(heads(tab, memory)) != 1 {
		t.Fatal("acknowledged work is not shown")
	}
	f.epoch, f.continues, f.items, f.entries = "e2", true, f.items[:1], nil
	if r := pull(t, tab); !r.Anew || len(heads(tab, memory)) != 0 || !tab.holdsCard(somebody) {
		t.Errorf("%+v, the view shows %v", r, heads(tab, memory))
	}
	if r := pull(t, tab); r.Anew {
		t.Error("loaded from the start twice")
	}
}

func TestRewoundServerIsNoticed(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	for i := range 3 {
		sign(t, tab, memory, 1+i)
		push(t, tab)
	}
	f.entries = f.entries[:1] // restored from an old copy without saying so
	sign(t, tab, memory, 5)
	_, err := tab.Push(context.Background())
	var rewound *RewoundError
	if !errors.Is(err, ErrRewound) || !errors.As(err, &rewound) || rewound.Held != 3 || rewound.Got != 2 {
		t.Fatalf("got %v", err)
	}
	if len(tab.Outbox()) != 1 {
		t.Error("an entry was forgotten on the word of a rewound server")
	}
	if _, err := tab.Pull(context.Background()); !errors.Is(err, ErrRewound) {
		t.Errorf("pull: %v", err)
	}
	if _, size := tab.Checkpoint(); size != 3 {
		t.Errorf("the receipt has shrunk to %d", size)
	}
}

func TestStoreRewoundGetsTheEntriesAgain(t *testing.T) {
	for epoch, again := range map[string]int{"e1": 5, "e2": 3} {
		t.Run("restored as "+epoch, func(t *testing.T) {
			f := newFake(t)
			f.rewind = true
			tab, _ := f.tablet(Config{})
			for i := range 5 {
				sign(t, tab, memory, 1+i)
			}
			push(t, tab)
			pull(t, tab)
			lost := slices.Clone(f.entries)
			f.entries, f.items, f.epoch = f.entries[:2], f.items[:2], epoch
			f.lives = map[string]int64{"e1": 2}
			clear(f.first)
			for _, j := range f.entries {
				p := int64(0)
				f.first[j.ID] = contract.PushResult{ID: j.ID.String(), Outcome: contract.OutcomeApplied, Position: &p}
			}
			_, err := tab.Push(context.Background())
			if CodeOf(err) != "store-rewound" || len(tab.Outbox()) != again {
				t.Fatalf("%v, outbox %d", err, len(tab.Outbox()))
			}
			// A stranger's entry takes the place of one that was lost, before ours come back.
			other, _ := f.tablet(Config{})
			sign(t, other, "score/hearing", 1)
			push(t, other)
			push(t, tab)
			pull(t, tab)
			for i := range lost {
				if !slices.ContainsFunc(f.entries, func(j *model.JWS) bool { return j.ID == lost[i].ID }) {
					t.Errorf("entry %d did not come back", i)
				}
			}
			if got := heads(tab, memory); len(got) != 1 || got[0] != lost[4].ID {
				t.Errorf("view after all: %v", got)
			}
		})
	}
}

// Restored again before the tablet came back to say what it keeps: the first answer promised
// for another store.
func TestRestoredTwiceBeforeTheNextPush(t *testing.T) {
	f := newFake(t)
	f.rewind = true
	tab, _ := f.tablet(Config{})
	for i := range 4 {
		sign(t, tab, memory, 1+i)
	}
	push(t, tab)
	f.epoch, f.lives = "e2", map[string]int64{"e1": 3}
	f.entries = f.entries[:3]
	if _, err := tab.Push(context.Background()); CodeOf(err) != "store-rewound" || len(tab.Outbox()) != 1 {
		t.Fatalf("%v, outbox %d", err, len(tab.Outbox()))
	}
	f.epoch, f.lives = "e3", map[string]int64{"e1": 1}
	f.entries = f.entries[:1]
	clear(f.first)
	pull(t, tab) // must not count as proof
	push(t, tab)
	push(t, tab)
	if len(tab.Outbox()) != 0 || len(f.entries) != 5 { // the fake has forgotten that it holds one
		t.Errorf("outbox %d, journal %d", len(tab.Outbox()), len(f.entries))
	}
}

// A server that does not know the device takes nothing and refuses nothing; a new enrolment
// makes everything good.
func TestReenrol(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	first := sign(t, tab, memory, 1)
	push(t, tab)
	waiting := sign(t, tab, memory, 2)
	f.forget, f.rewind, f.epoch, f.entries = true, true, "e2", nil
	clear(f.first)
	if _, err := tab.Push(context.Background()); CodeOf(err) != "unknown-device" {
		t.Fatal(err)
	}
	if box := tab.Outbox(); len(box) != 1 || box[0].ID != waiting || len(tab.Refused()) != 0 {
		t.Fatalf("outbox %v, refused %v", box, tab.Refused())
	}
	id := tab.ID()
	if _, err := tab.Reenrol(context.Background(), "CODE-0001", ""); err != nil || tab.ID() != id {
		t.Fatal(err, tab.ID())
	}
	if _, err := tab.Push(context.Background()); CodeOf(err) != "store-rewound" {
		t.Fatal(err)
	}
	if r := push(t, tab); r.Count(contract.OutcomeApplied) != 2 || f.entries[0].ID != first || f.entries[1].ID != waiting {
		t.Errorf("%+v", r)
	}
}

// Kept entries go when both clocks have it that their time is over. Each line moves the clocks
// from where they were and pushes a new entry.
func TestKeepWindow(t *testing.T) {
	for name, steps := range map[string][]struct{ server, wall, kept int }{
		"both go right":              {{0, 0, 1}, {29, 29, 2}, {2, 2, 2}, {29, 29, 2}},
		"wall ahead":                 {{0, 0, 1}, {29, 1000, 2}, {2, 2, 2}},
		"wall ahead and put right":   {{0, 0, 1}, {1, 3000, 2}, {1, -2998, 3}, {29, 29, 3}},
		"wall behind at first":       {{0, -20000, 1}, {1, 20001, 2}, {30, 30, 2}},
		"server ahead":               {{0, 0, 1}, {3650, 1, 2}, {2, 2, 3}},
		"server ahead and put right": {{0, 0, 1}, {3650, 1, 2}, {-3649, 1, 3}, {29, 29, 4}, {2, 2, 3}},
		"server ahead at first":      {{3650, 0, 1}, {-3650, 1, 2}, {31, 31, 2}},
	} {
		f := newFake(t)
		f.keepDays = 30
		tab, clock := f.tablet(Config{})
		for i, s := range steps {
			f.now += model.Millis(s.server) * day
			clock.wall = clock.wall.Add(time.Duration(s.wall) * 24 * time.Hour)
			sign(t, tab, memory, 1)
			push(t, tab)
			if n := len(tab.s.Kept); n != s.kept {
				t.Errorf("%s: step %d keeps %d, want %d", name, i, n, s.kept)
			}
		}
	}
}

// What is kept is bounded by count too, and the oldest goes first.
func TestKeepCount(t *testing.T) {
	f := newFake(t)
	few, _ := f.tablet(Config{Keep: 3})
	for i := range 5 {
		sign(t, few, memory, 1+i)
	}
	push(t, few)
	if k := few.s.Kept; len(k) != 3 || k[0].Seq != 3 {
		t.Errorf("kept by count: %+v", k)
	}
}
