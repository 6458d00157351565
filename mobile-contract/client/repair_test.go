package client

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	contract "flette/mobile-contract"
	"flette/model"
)

// damage spoils a random part of a person's view, as a half-written page of a tablet's
// database would. It is false when nothing changed that a digest can see.
func damage(rt *rapid.T, who *person) bool {
	before := who.digest()
	paths := slices.Sorted(maps.Keys(who.units))
	if len(paths) == 0 {
		return false
	}
	path := rapid.SampledFrom(paths).Draw(rt, "unit")
	u := who.units[path]
	switch rapid.IntRange(0, 4).Draw(rt, "how") {
	case 0:
		delete(who.units, path)
	case 1:
		u.class = (u.class + 1) % 7
	case 2:
		u.heads = nil
	case 3:
		u.heads = append([]head{{id: model.NewEntryID([]byte("strange"))}}, u.heads...)
	case 4:
		who.units["score/hearing"] = &unit{heads: slices.Clone(u.heads)}
	}
	return who.digest() != before
}

// Whatever is damaged in a view, a repair makes it what the server shows, and touches nobody
// who was right.
func TestRepairHeals(t *testing.T) {
	f, tab, _ := full(t, 6)
	stranger := personID("0190a000-0000-7000-8000-0000000000ff")
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := tab.Load(t.Context()); err != nil {
			rt.Fatal(err)
		}
		cursor := tab.cursor
		wrong := map[model.PersonID]bool{}
		extra := 0
		for range rapid.IntRange(0, 5).Draw(rt, "damages") {
			p := rapid.SampledFrom(f.persons).Draw(rt, "person")
			switch {
			case rapid.IntRange(0, 5).Draw(rt, "what") == 0:
				delete(tab.view, p)
				wrong[p] = true
			case rapid.IntRange(0, 5).Draw(rt, "what") == 0:
				tab.view[stranger] = &person{card: &contract.PersonCard{Person: stranger}}
				extra = 1
			case tab.view[p] != nil && !wrong[p] && damage(rt, tab.view[p]):
				wrong[p] = true
			}
		}
		held := maps.Clone(tab.view)
		r, err := tab.Repair(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		if err := f.right(tab, f.persons...); err != nil {
			rt.Fatal(err)
		}
		if len(r.Loaded) != len(wrong) || len(r.Purged) != extra || tab.cursor != cursor {
			rt.Fatalf("%d were wrong, %d loaded; %d purged", len(wrong), len(r.Loaded), len(r.Purged))
		}
		for p, who := range held {
			if p != stranger && !wrong[p] && tab.view[p] != who {
				rt.Fatal("somebody who was right was touched")
			}
		}
	})
}

// Own work that waits neither counts as damage nor is lost by a repair, and news is pulled first.
func TestRepairAmongWork(t *testing.T) {
	f, tab, _ := full(t, 3)
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	own, err := tab.Sign(f.persons[0], model.ActRegister, score("score/hearing", 4), SignOptions{})
	f.must(err)
	r, err := tab.Repair(t.Context())
	if err != nil || len(r.Loaded)+len(r.Purged) != 0 || r.Checked != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	anne := f.tablet("anne2", nil)
	f.assign("anne2", false, f.persons...)
	if _, err := anne.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = anne.Sign(f.persons[1], model.ActRegister, score("score/hearing", 2), SignOptions{})
	f.must(err)
	_, err = anne.Push(t.Context())
	f.must(err)
	tab.view[f.persons[0]].units[memory].heads = nil
	tab.view[f.persons[1]].units[memory].heads = nil
	r, err = tab.Repair(t.Context())
	if err != nil || !slices.Equal(r.Loaded, f.persons[:2]) {
		t.Fatalf("%+v, %v", r, err)
	}
	if v, _ := tab.View(f.persons[0], "score/hearing"); len(v.Heads) != 1 || v.Heads[0].Entry != own {
		t.Error("own work is hidden")
	}
	push(t, tab)
	pull(t, tab)
	f.must(f.right(tab, f.persons...))

	// A person whom the user lost while work waits is hidden, not forgotten (T8).
	_, err = tab.Sign(f.persons[2], model.ActRegister, score("score/hearing", 1), SignOptions{})
	f.must(err)
	f.clock.Add(1)
	f.assign("lars", true, f.persons[2])
	f.clock.Add(1)
	if r, err = tab.Repair(t.Context()); err != nil || !slices.Equal(r.Purged, f.persons[2:]) {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, ok := tab.View(f.persons[2], "score/hearing"); !ok || len(tab.Persons()) != 2 {
		t.Error("T8: own work was forgotten")
	}
}

// With more persons than fit in one request, missing is what every part misses.
func TestRepairInParts(t *testing.T) {
	f, tab, _ := full(t, 5)
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func(n int) { maxDigests = n }(maxDigests)
	maxDigests = 2
	slices.SortFunc(f.persons, func(a, b model.PersonID) int { return slices.Compare(a[:], b[:]) })
	delete(tab.view, f.persons[1])
	tab.view[f.persons[4]].units[memory].class = 3
	r, err := tab.Repair(t.Context())
	if err != nil || !slices.Equal(r.Loaded, []model.PersonID{f.persons[4], f.persons[1]}) {
		t.Fatalf("%+v, %v", r, err)
	}
	f.must(f.right(tab, f.persons...))
}

// The examples of the contract: a tablet's own words for a digest give the same bytes.
func TestDigestVectors(t *testing.T) {
	vectors, err := contract.DigestVectors()
	if err != nil || len(vectors) < 5 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		view := caseload{somebody: &person{}}
		for _, u := range v.Units {
			at := view.unit(somebody, u.Unit, true)
			at.class = u.Class
			for _, id := range u.Heads {
				at.heads = append(at.heads, head{id: id})
			}
		}
		if got := view[somebody].digest(); got != v.Digest {
			t.Errorf("%s: %s, want %s", v.Name, got, v.Digest)
		}
	}
}
