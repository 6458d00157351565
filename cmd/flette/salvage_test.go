package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// ward is a data folder with a journal that holds every outcome: two nurses who disagree,
// an entry that waits in quarantine, one that was released and one that was closed. One of
// the nurses changes her tablet's key half-way.
func ward(t *testing.T, rounds int) (dir, file string) {
	t.Helper()
	ctx := t.Context()
	dir = t.TempDir()
	a, err := openApp(appOptions{Dir: dir})
	check(t, err)
	defer func() { check(t, a.Close()) }()
	check(t, a.createTenant(ctx, store.Tenant{ID: "testvik", Name: "Testvik", Kommune: "9999"}, false))
	var in []sync.PersonInput
	born := a.now().AddDate(-80, 0, 0)
	for i := range 8 {
		number, ok := ident.SyntheticFNR(born.AddDate(0, 0, i), 0)
		if !ok {
			t.Fatal("no synthetic number")
		}
		in = append(in, sync.PersonInput{Line: i + 1, Number: number, Name: fmt.Sprintf("Oppdiktet Person %d", i), Kommune: "9999"})
	}
	done, err := a.engine.ImportPersons(ctx, "testvik", in)
	check(t, err)
	_, err = a.engine.Assign(ctx, "testvik", sync.Assign{Actor: "anne", Persons: done.Persons, By: "sonja"})
	check(t, err)
	nurses := map[string]*nurse{}
	for _, name := range []string{"anne", "berit"} {
		nurses[name], err = newNurse(ctx, a, "testvik", model.ActorID(name))
		check(t, err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for round := range rounds {
		if round == rounds/2 {
			check(t, nurses["anne"].rotate(ctx))
		}
		for _, name := range []string{"anne", "berit"} {
			n := nurses[name]
			for range 4 {
				unit := []string{"score/assist_memory", "score/vision", "score/hearing"}[r.IntN(3)]
				check(t, n.sign(done.Persons[r.IntN(8)], []model.Change{{Unit: model.Unit(unit), Value: fmt.Appendf(nil, `{"score":%d}`, 1+r.IntN(5))}}))
			}
			check(t, n.push(ctx))
			n.outbox = nil
		}
	}
	n := nurses["anne"]
	// An app that is newer than the server.
	check(t, n.signAs(model.ContractVersion+1, done.Persons[0], []model.Change{{Unit: "score/vision", Value: []byte(`{"score":2}`)}}))
	_, err = a.engine.Push(ctx, sync.PushRequest{Tenant: "testvik", Device: n.device, Actor: n.actor, Entries: n.outbox})
	check(t, err)
	n.outbox = nil
	var held []model.EntryID
	for range 3 { // about nobody known
		check(t, n.sign(model.PersonID{9}, []model.Change{{Unit: "score/vision", Value: []byte(`{"score":2}`)}}))
		out, err := a.engine.Push(ctx, sync.PushRequest{Tenant: "testvik", Device: n.device, Actor: n.actor, Entries: n.outbox})
		check(t, err)
		n.outbox = nil
		held = append(held, out.Results[0].ID)
	}
	_, err = a.engine.Settle(ctx, "testvik", held[0], model.ActClose, "sonja", model.Roles(model.RoleSupervisor), model.Reason{Code: "wrong-person"})
	check(t, err)
	return dir, bolt.TenantFile(dir, "testvik")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// states renders entries by id and every unit state but for its position.
func states(t *testing.T, dir, file string) (entries map[model.EntryID]string, units map[string]string, root string) {
	t.Helper()
	a, err := openFileApp(file, appOptions{Keys: filepath.Join(dir, "keys"), ReadOnly: true})
	check(t, err)
	defer func() { check(t, a.Close()) }()
	entries, units = map[model.EntryID]string{}, map[string]string{}
	check(t, a.view(t.Context(), "testvik", func(v store.View) error {
		for p := range v.Size() {
			l, err := v.Entry(p)
			if err != nil {
				return err
			}
			l.Position, l.UnitPrev = 0, nil
			entries[l.ID] = string(store.AppendLogEntry(nil, l))
		}
		persons, err := store.List[store.Person](v, "", "", 0)
		if err != nil {
			return err
		}
		for _, p := range persons {
			if err := v.Units(p.ID, "", "", func(s *model.UnitState) bool {
				units[p.ID.String()+string(s.Unit)] = string(store.AppendUnitState(nil, s))
				return true
			}); err != nil {
				return err
			}
		}
		cp, err := v.Checkpoint()
		root = rootLine(string(cp))
		return err
	}))
	return entries, units, root
}

func salvageTo(ctx context.Context, dir, file, to string) (*salvageView, error) {
	c := salvageCmd{File: file, To: to, Data: dir}
	return c.salvage(ctx)
}

// A file whose journal is whole gives the same store, whatever else is damaged.
func TestSalvageOfAWholeJournal(t *testing.T) {
	dir, file := ward(t, 10)
	entries, units, root := states(t, dir, file)
	whole, err := os.ReadFile(file)
	check(t, err)
	for name, damage := range map[string]func([]byte){
		"nothing":     func([]byte) {},
		"unit states": func(b []byte) { flipUnits(t, b, units) },
		"what leads from a person to the caseloads": func(b []byte) { flipRef(t, b, " 0000000000000003") },
		"a review's text": func(b []byte) { flipAfter(t, b, `"state":"open"`) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(whole)
			damage(b)
			hurt, to := filepath.Join(t.TempDir(), "hurt.db"), filepath.Join(t.TempDir(), "out.db")
			check(t, os.WriteFile(hurt, b, 0o600))
			v, err := salvageTo(t.Context(), dir, hurt, to)
			check(t, err)
			if !v.Whole || v.Missing != 0 || len(v.Problems) != 0 || len(v.Changed) != 0 {
				t.Errorf("%+v", v)
			}
			gotEntries, gotUnits, gotRoot := states(t, dir, to)
			if !maps.Equal(gotEntries, entries) || !maps.Equal(gotUnits, units) || gotRoot != root {
				t.Error("the salvaged store is another")
			}
			if now, err := os.ReadFile(hurt); err != nil || !bytes.Equal(now, b) {
				t.Error("the damaged file was written to")
			}
		})
	}
}

// flipUnits damages every copy of the keys of some unit states.
func flipUnits(t *testing.T, b []byte, units map[string]string) {
	t.Helper()
	hit := 0
	for key := range units {
		p, err := model.ParsePersonID(key[:36])
		check(t, err)
		pattern := append(p[:], "score/hearing"...)
		for i := bytes.Index(b, pattern); i >= 0; i = bytes.Index(b, pattern) {
			b[i+len(pattern)-1] ^= 4
			hit++
		}
	}
	if hit == 0 {
		t.Fatal("there is no such unit in the file")
	}
}

// flipRef damages the last of the places that hold a text behind the id of a person.
func flipRef(t *testing.T, b []byte, text string) {
	t.Helper()
	for i := bytes.LastIndex(b, []byte(text)); i >= 36; i = bytes.LastIndex(b[:i], []byte(text)) {
		if _, err := model.ParsePersonID(string(b[i-36 : i])); err == nil {
			b[i+2] ^= 4
			return
		}
	}
	t.Fatalf("no person's id stands before %q", text)
}

// flipAfter damages the last of the places that hold a text: the live one, mostly.
func flipAfter(t *testing.T, b []byte, text string) {
	t.Helper()
	i := bytes.LastIndex(b, []byte(text))
	if i < 0 {
		t.Fatalf("there is no %q in the file", text)
	}
	b[i+2] ^= 4
}

// Whatever is damaged, salvage ends with a store that verifies but for what it lists, holds
// nothing that was not in the journal, and says of every entry whether it is there.
func TestSalvageOfRandomDamage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	dir, file := ward(t, 40)
	entries, _, _ := states(t, dir, file)
	whole, err := os.ReadFile(file)
	check(t, err)
	pages := (len(bytes.TrimRight(whole, "\x00")) + os.Getpagesize() - 1) / os.Getpagesize() // the rest was never used
	kept, rounds, lossy, unclean := 0, 15, 0, 0
	for i := range rounds {
		b := bytes.Clone(whole)
		how := damageAtRandom(r, b, pages)
		hurt, to := filepath.Join(t.TempDir(), "hurt.db"), filepath.Join(t.TempDir(), "out.db")
		check(t, os.WriteFile(hurt, b, 0o600))
		v, err := salvageTo(t.Context(), dir, hurt, to)
		var p *problem
		if errors.As(err, &p) && p.Code == "tenant-lost" {
			c := salvageCmd{File: hurt, To: to, Data: dir, Tenant: "testvik", Name: "Testvik", Kommune: "9999"}
			v, err = c.salvage(t.Context())
		}
		if err != nil {
			t.Fatalf("round %d, %s: %v", i, how, err)
		}
		got, _, _ := states(t, dir, to)
		for id, l := range got {
			if entries[id] == "" {
				t.Fatalf("round %d, %s: an entry that never was", i, how)
			}
			if entries[id] != l && len(v.Changed) == 0 {
				t.Errorf("round %d, %s: entry %s is another", i, how, id)
			}
		}
		if int64(len(got)) != v.Entries || v.Entries+v.Missing > int64(len(entries)) {
			t.Errorf("round %d, %s: %d entries, said %d and %d missing, of %d", i, how, len(got), v.Entries, v.Missing, len(entries))
		}
		if v.Whole && (len(got) != len(entries) || len(v.Changed) > 0) {
			t.Errorf("round %d, %s: called whole: %d of %d, %v", i, how, len(got), len(entries), v.Changed)
		}
		if v.Missing > 0 {
			lossy++
		}
		if len(v.Problems) > 0 && !slices.ContainsFunc(v.Lost, func(l bolt.LostValue) bool { return !l.Derived }) {
			t.Errorf("round %d, %s: nothing is lost, but it does not verify: %v", i, how, v.Problems)
		}
		if len(v.Problems) > 0 {
			unclean++
			t.Logf("round %d, %s: %d problems, first %s", i, how, len(v.Problems), v.Problems[0])
		}
		kept += len(got)
	}
	share := float64(kept) / float64(rounds*len(entries))
	t.Logf("%d entries, %d pages: %.1f %% kept in %d rounds, %d with missing entries, %d that do not verify", len(entries), pages, 100*share, rounds, lossy, unclean)
	if share < 0.6 || lossy == 0 {
		t.Errorf("%.2f kept, %d rounds with loss", share, lossy)
	}
}

func damageAtRandom(r *rand.Rand, b []byte, pages int) string {
	size := os.Getpagesize()
	n := 1 + r.IntN(4)
	switch r.IntN(4) {
	case 0:
		for range n {
			b[r.IntN(pages*size)] ^= 1 << r.IntN(8)
		}
		return fmt.Sprintf("%d flips", n)
	case 1:
		for range n {
			at := r.IntN(pages) * size
			clear(b[at : at+size])
		}
		return fmt.Sprintf("%d zeroed pages", n)
	case 2:
		for range n {
			at := r.IntN(pages) * size
			for i := range size {
				b[at+i] = byte(r.Uint32())
			}
		}
		return fmt.Sprintf("%d pages of noise", n)
	}
	for range n {
		from, to := r.IntN(pages)*size, r.IntN(pages)*size
		copy(b[to:to+size], b[from:from+size])
	}
	return fmt.Sprintf("%d pages in the wrong place", n)
}
