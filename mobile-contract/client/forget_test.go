package client

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	contract "flette/mobile-contract"
	"flette/model"
)

// cameIn is a person who came into the caseload, until a time (0 for open).
func cameIn(p model.PersonID, until model.Millis) contract.PullItem {
	card := &contract.PersonCard{Person: p, BrukerNr: 1, Name: "Oppdiktet Person", Test: true}
	if until != 0 {
		card.Until = &until
	}
	return contract.PullItem{Type: contract.ItemScopeAdd, Person: p, Card: card}
}

func left(p model.PersonID) contract.PullItem {
	return contract.PullItem{Type: contract.ItemScopeRemove, Person: p}
}

func (f *fake) send(items ...contract.PullItem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items = append(f.items, items...)
}

// knows reports whether anything of the person is left on the tablet, beside the outbox.
func (t *Tablet) knows(p model.PersonID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view[p] != nil
}

func (t *Tablet) holdsCard(p model.PersonID) bool {
	for _, c := range t.Persons() {
		if c.Person == p {
			return true
		}
	}
	return false
}

func pushed(t *testing.T, tab *Tablet, applied int) {
	t.Helper()
	if r := push(t, tab); r.Count(contract.OutcomeApplied) != applied || len(tab.Outbox()) != 0 {
		t.Fatalf("push: %+v, %d left", r.Results, len(tab.Outbox()))
	}
}

// T8: a person whose time is over is gone from the list at that moment, without coverage, by
// the time of the lease and not by the wall clock; and from the tablet, once all is handed in.
func TestTimeRunsOutOffline(t *testing.T) {
	f := newFake(t)
	end := f.now + 2*3600_000
	f.send(cameIn(somebody, end), cameIn(another, 0))
	tab, c := f.tablet(Config{})
	pull(t, tab)
	c.wall = c.wall.Add(48 * time.Hour) // somebody set the clock: it says nothing
	c.mono += 2*time.Hour - time.Millisecond
	if !tab.holdsCard(somebody) || !tab.holdsCard(another) {
		t.Fatal("hidden before the end")
	}
	sign(t, tab, memory, 2)
	c.mono += time.Millisecond
	if tab.holdsCard(somebody) || !tab.holdsCard(another) {
		t.Fatal("the wrong persons are hidden at the end")
	}
	if !tab.knows(somebody) || len(heads(tab, memory)) != 1 || len(tab.Outbox()) != 1 {
		t.Fatal("work that waits was hidden")
	}
	f.mu.Lock()
	f.now = end
	f.mu.Unlock()
	pushed(t, tab, 1)
	if tab.knows(somebody) || !tab.knows(another) {
		t.Fatal("the person stayed after the outbox was in")
	}
	// Made longer: the server sends the person anew.
	f.send(cameIn(somebody, end+3600_000))
	pull(t, tab)
	if !tab.holdsCard(somebody) {
		t.Fatal("the longer time has no effect")
	}
	// Without anything to hand in the person goes at once.
	c.mono += 2 * time.Hour
	if tab.holdsCard(somebody) || tab.knows(somebody) {
		t.Fatal("the person stayed on the tablet")
	}
}

// After a restart only the wall clock tells the time: it hides, but what it says is no
// ground to drop what the server believes to be here.
func TestTimeAfterARestart(t *testing.T) {
	f := newFake(t)
	end := f.now + 2*3600_000
	f.send(cameIn(somebody, end), unitItem(somebody, memory))
	path := filepath.Join(t.TempDir(), "state.json")
	tab, c := f.tablet(Config{Save: SaveFile(path)})
	s, err := LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.mono = 0
	if tab, err = Restore(tab.cfg, s); err != nil {
		t.Fatal(err)
	}
	pull(t, tab)
	c.wall = c.wall.Add(2*time.Hour - time.Millisecond) // three hours ahead, as at the lease
	if !tab.holdsCard(somebody) {
		t.Fatal("hidden too early")
	}
	c.wall = c.wall.Add(time.Millisecond)
	if tab.holdsCard(somebody) || !tab.knows(somebody) {
		t.Fatal("not hidden, or dropped for a wall clock")
	}
	if _, shown := tab.View(somebody, memory); shown {
		t.Fatal("the card is hidden, and the units are not")
	}
	c.wall = c.wall.Add(-time.Hour) // it was wrong
	if _, shown := tab.View(somebody, memory); !shown || !tab.holdsCard(somebody) {
		t.Fatal("the person is lost")
	}
	f.mu.Lock()
	f.now = end
	f.mu.Unlock()
	push(t, tab) // a contact: the lease is renewed, and time is sure
	if tab.knows(somebody) && tab.holdsCard(somebody) || tab.knows(somebody) {
		t.Fatal("the person stayed on the tablet")
	}
}

// T8 over a crash: scope.remove came while an entry waited, and then the tablet went down.
// The entry is handed in, and nothing of the person is left.
func TestCrashBetweenRemovalAndPush(t *testing.T) {
	for _, order := range []string{"push first", "pull first"} {
		f := newFake(t)
		f.send(cameIn(somebody, 0))
		path := filepath.Join(t.TempDir(), "state.json")
		tab, _ := f.tablet(Config{Save: SaveFile(path)})
		pull(t, tab)
		id := sign(t, tab, memory, 3)
		f.send(left(somebody))
		pull(t, tab)
		if tab.holdsCard(somebody) || len(heads(tab, memory)) != 1 {
			t.Fatal("removed with work, or still listed")
		}
		s, err := LoadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if tab, err = Restore(tab.cfg, s); err != nil {
			t.Fatal(err)
		}
		if got := tab.Outbox(); len(got) != 1 || got[0].ID != id || len(heads(tab, memory)) != 1 {
			t.Fatalf("%s: the work is hidden: %+v", order, got)
		}
		// The server has nothing about a person who is not in the caseload.
		f.mu.Lock()
		f.items = nil
		f.mu.Unlock()
		if order == "pull first" {
			pull(t, tab)
			if len(heads(tab, memory)) != 1 {
				t.Fatal("a pull hid work that waits")
			}
			pushed(t, tab, 1)
		} else {
			pushed(t, tab, 1)
			f.mu.Lock()
			f.items = nil
			f.mu.Unlock()
			pull(t, tab)
		}
		if tab.knows(somebody) {
			t.Fatalf("%s: something of the person is left", order)
		}
	}
}

// T8, whatever comes in whatever order: as long as an entry about a person waits, it is in
// the outbox and its person is not forgotten; when none waits, the tablet knows the persons
// of the caseload whose time is not over, and nobody else.
func TestForgetsExactly(t *testing.T) {
	f := newFake(t)
	persons := []model.PersonID{somebody, another}
	rapid.Check(t, func(rt *rapid.T) {
		f.mu.Lock()
		f.entries, f.items = nil, nil
		clear(f.first)
		clear(f.seenJTI)
		f.mu.Unlock()
		var disk []byte
		tab, c := f.tablet(Config{Save: func(s *State) (err error) {
			disk, err = json.Marshal(s)
			return err
		}})
		start := c.mono
		until := map[model.PersonID]model.Millis{} // the caseload as the server has it; 1<<50 for open
		held := map[model.PersonID]model.Millis{}  // as the tablet was told
		unsure, partial := false, false            // since a restart: of the time, of the caseload
		who := func() model.PersonID { return rapid.SampledFrom(persons).Draw(rt, "person") }
		now := func() model.Millis { return f.now + model.Millis((c.mono - start).Milliseconds()) }
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				waits := map[model.PersonID]bool{}
				for _, p := range tab.Outbox() {
					waits[p.Person] = true
				}
				listed := map[model.PersonID]bool{}
				for _, card := range tab.Persons() {
					listed[card.Person] = true
				}
				for _, p := range persons {
					if waits[p] && !tab.knows(p) {
						rt.Fatal("forgotten while an entry waits")
					}
					_, has := held[p]
					if has = has && now() < held[p]; listed[p] != has {
						rt.Fatalf("listed: %v, in the caseload: %v", listed[p], has)
					}
					if !waits[p] && !unsure && !partial && tab.knows(p) && !has {
						rt.Fatal("known without a right and without work")
					}
				}
			},
			"comes": func(rt *rapid.T) {
				p, end := who(), model.Millis(1<<50)
				item := cameIn(p, 0)
				if rapid.Bool().Draw(rt, "limited") {
					end = now() + 3600_000
					item = cameIn(p, end)
				}
				until[p] = end
				f.send(item)
			},
			"goes": func(rt *rapid.T) {
				p := who()
				delete(until, p)
				f.send(left(p))
			},
			"sign": func(rt *rapid.T) {
				p := who()
				if _, in := held[p]; !in || !tab.knows(p) {
					return // the user sees nobody to write about
				}
				if _, err := tab.Sign(p, model.ActRegister, score(memory, 2), SignOptions{}); err != nil {
					rt.Fatal(err)
				}
			},
			"hours": func(*rapid.T) { c.advance(40 * time.Minute) },
			"push": func(rt *rapid.T) {
				f.mu.Lock()
				was := f.now
				f.now = now()
				f.mu.Unlock()
				if _, err := tab.Push(context.Background()); err != nil {
					rt.Fatal(err)
				}
				unsure = false
				f.mu.Lock()
				// The fake sends what was written to everybody; a server asks for the caseload.
				kept := f.items[:0]
				for _, it := range f.items {
					if it.Type != contract.ItemUnit {
						kept = append(kept, it)
					} else {
						kept = append(kept, left(personID("0190a000-0000-7000-8000-0000000000ff")))
					}
				}
				f.items, f.now = kept, was
				f.mu.Unlock()
			},
			"pull": func(rt *rapid.T) {
				if _, err := tab.Pull(context.Background()); err != nil {
					rt.Fatal(err)
				}
				clear(held)
				for p, end := range until {
					held[p] = end
				}
				partial = false
			},
			"restart": func(rt *rapid.T) {
				var s State
				err := json.Unmarshal(disk, &s)
				if err != nil {
					rt.Fatal(err)
				}
				if tab, err = Restore(tab.cfg, &s); err != nil {
					rt.Fatal(err)
				}
				clear(held)
				unsure, partial = true, true
			},
		})
	})
}

// The server's clock was set back: it has it that the person is still held, and sends a unit
// of somebody whom the tablet has forgotten. That is no record, and nothing is shown of it.
func TestAUnitOfSomebodyForgotten(t *testing.T) {
	f := newFake(t)
	end := f.now + 3600_000
	f.send(cameIn(somebody, end), cameIn(another, 0))
	tab, c := f.tablet(Config{})
	pull(t, tab)
	c.mono += 2 * time.Hour
	if tab.holdsCard(somebody) || tab.knows(somebody) {
		t.Fatal("the person stayed after the end")
	}
	unit := unitItem(somebody, memory)
	f.send(unit)
	pull(t, tab)
	if tab.knows(somebody) || !tab.knows(another) {
		t.Fatal("a unit brought somebody back who was forgotten")
	}
	f.send(cameIn(somebody, 0), unit)
	pull(t, tab)
	if !tab.holdsCard(somebody) || len(heads(tab, memory)) != 1 {
		t.Fatal("who comes back does not come whole")
	}
}
