package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
)

// world is the simplest store that keeps the guarantees: maps, copied for a rollback.
type world struct {
	tenant     store.Tenant
	log        []*store.LogEntry
	units      map[string]*model.UnitState // person and path
	chains     map[model.DeviceID]store.Chain
	tree       map[int64][32]byte
	docs       map[string]string // kind, a zero byte and key
	checkpoint []byte
}

func (w *world) clone() *world {
	c := *w
	c.log = slices.Clone(w.log)
	c.units, c.chains, c.tree, c.docs = maps.Clone(w.units), maps.Clone(w.chains), maps.Clone(w.tree), maps.Clone(w.docs)
	return &c
}

func (w *world) find(person model.PersonID, id model.EntryID) int64 {
	return int64(slices.IndexFunc(w.log, func(e *store.LogEntry) bool { return e.Person == person && e.ID == id }))
}

// positions lists the positions of entries that match.
func (w *world) positions(match func(*store.LogEntry) bool) (out []int64) {
	for _, e := range w.log {
		if match(e) {
			out = append(out, e.Position)
		}
	}
	return out
}

// list gives the keys below a base in order, after a key.
func list[V any](m map[string]V, base, prefix, after string) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		rest, ok := strings.CutPrefix(k, base)
		if ok && strings.HasPrefix(rest, prefix) && (after == "" || rest > after) {
			out = append(out, rest)
		}
	}
	return out
}

// Small domains, so that histories collide.
var (
	people  = rapid.IntRange(0, 2)
	seqs    = rapid.Int64Range(0, 4)
	indexes = rapid.Int64Range(0, 12)
	paths   = rapid.SampledFrom([]string{"score/a", "score/ab", "score/b", "health/x", "service/1", "service/1/grant"})
	kinds   = rapid.SampledFrom([]store.Kind{"note", "other"})
	keys    = rapid.SampledFrom([]string{"a", "a\x00", "a b", "b", "\xff", "æ"})
	marks   = rapid.SampledFrom([]string{"", "", "a", "score/", "score/a", "score/ab", "service/1", "s", "\xff", "zz"})
)

// op does one thing to store and world and says where they differ.
type op func(tx store.Tx, w *world) error

func drawOp(t *rapid.T) op {
	switch rapid.SampledFrom([]string{"append", "append", "unit", "unit", "chain", "tree", "checkpoint", "doc", "doc", "delete", "tenant"}).Draw(t, "op") {
	case "append":
		e := Entry(people.Draw(t, "person"), people.Draw(t, "device"), seqs.Draw(t, "seq"))
		e.UnitPrev = rapid.SliceOfN(rapid.Int64Range(-1, 9), 0, 3).Draw(t, "prev")
		return func(tx store.Tx, w *world) error {
			p, err := tx.AppendEntry(e)
			if w.find(e.Person, e.ID) >= 0 {
				return expect("second append", errors.Is(err, store.ErrExists), true)
			}
			kept := *e
			kept.Position = int64(len(w.log))
			if len(e.UnitPrev) == 0 {
				kept.UnitPrev = nil
			}
			w.log = append(w.log, &kept)
			return errors.Join(err, expect("position", p, kept.Position))
		}
	case "unit":
		person, path := Person(people.Draw(t, "person")), paths.Draw(t, "path")
		s := State(model.Unit(path), seqs.Draw(t, "position"), people.Draw(t, "score"))
		s.Heads = append(s.Heads, s.Heads...)[:people.Draw(t, "heads")]
		if len(s.Heads) == 0 {
			s.Heads = nil
		}
		return func(tx store.Tx, w *world) error {
			w.units[string(person[:])+path] = s
			return tx.PutUnit(person, s)
		}
	case "chain":
		device, c := Device(people.Draw(t, "device")), store.Chain{Last: seqs.Draw(t, "last")}
		return func(tx store.Tx, w *world) error {
			w.chains[device] = c
			return tx.PutChain(device, c)
		}
	case "tree":
		first, n := indexes.Draw(t, "first"), people.Draw(t, "hashes")
		mark := rapid.Byte().Draw(t, "hash")
		return func(tx store.Tx, w *world) error {
			hashes := make([][32]byte, n)
			for i := range hashes {
				hashes[i] = [32]byte{mark, byte(i)}
				w.tree[first+int64(i)] = hashes[i]
			}
			return tx.PutTreeHashes(first, hashes)
		}
	case "checkpoint":
		text := rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "text")
		return func(tx store.Tx, w *world) error {
			w.checkpoint = text
			return tx.PutCheckpoint(text)
		}
	case "doc":
		kind, key := kinds.Draw(t, "kind"), keys.Draw(t, "key")
		body := strings.Repeat("x", rapid.IntRange(0, 3000).Draw(t, "length"))
		return func(tx store.Tx, w *world) error {
			w.docs[string(kind)+"\x00"+key] = body
			return tx.PutDoc(kind, key, []byte(body))
		}
	case "delete":
		kind, key := kinds.Draw(t, "kind"), keys.Draw(t, "key")
		return func(tx store.Tx, w *world) error {
			delete(w.docs, string(kind)+"\x00"+key)
			return tx.DeleteDoc(kind, key)
		}
	default:
		n := seqs.Draw(t, "number")
		return func(tx store.Tx, w *world) error {
			w.tenant.NextBrukerNr = n
			return tx.PutTenant(w.tenant)
		}
	}
}

// testModel plays random histories of updates, some of which fail, and compares every read
// with the world after each.
func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		defer CheckAndClose(t, s)
		if err := s.CreateTenant(t.Context(), store.Tenant{ID: Tenant}); err != nil {
			rt.Fatal(err)
		}
		w := &world{units: map[string]*model.UnitState{}, chains: map[model.DeviceID]store.Chain{}, tree: map[int64][32]byte{}, docs: map[string]string{}}
		read := func(fn func(store.View) error) {
			if err := s.View(t.Context(), Tenant, fn); err != nil {
				rt.Fatal(err)
			}
		}
		read(func(v store.View) error { w.tenant = v.Tenant(); return nil })
		rt.Repeat(map[string]func(*rapid.T){
			"update": func(rt *rapid.T) {
				ops := make([]op, rapid.IntRange(0, 8).Draw(rt, "ops"))
				for i := range ops {
					ops[i] = drawOp(rt)
				}
				fail, look := rapid.IntRange(0, 3).Draw(rt, "fail") == 0, drawLook(rt)
				var next *world
				c, err := s.Update(t.Context(), Tenant, nil, func(tx store.Tx) error {
					next = w.clone()
					for _, do := range ops {
						if err := do(tx, next); err != nil {
							return err
						}
					}
					if err := look.compare(tx, next); err != nil {
						return fmt.Errorf("inside: %w", err)
					}
					if fail {
						return errTest
					}
					return nil
				})
				if fail && errors.Is(err, errTest) {
					return
				}
				if fail || err != nil {
					rt.Fatalf("update: %v", err)
				}
				w = next
				if err := expect("commit", c, store.Commit{Size: int64(len(w.log)), Checkpoint: w.checkpoint}); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				look := drawLook(rt)
				read(func(v store.View) error { return look.compare(v, w) })
			},
		})
	})
}

// look is how to read: the arguments of the listings.
type look struct {
	prefix, after string
	position      int64
	limit         int
}

func drawLook(t *rapid.T) look {
	return look{marks.Draw(t, "prefix"), marks.Draw(t, "after"), rapid.Int64Range(-2, 12).Draw(t, "position"), rapid.IntRange(1, 4).Draw(t, "limit")}
}

// compare reads everything there is and says where store and world differ.
func (l look) compare(v store.View, w *world) error {
	var errs []error
	check := func(what string, got, want any, err error) { errs = append(errs, err, expect(what, got, want)) }
	checkpoint, err := v.Checkpoint()
	check("checkpoint", checkpoint, w.checkpoint, err)
	check("tenant", v.Tenant(), w.tenant, nil)
	check("size", v.Size(), int64(len(w.log)), nil)
	for p, want := range w.log {
		got, err := v.Entry(int64(p))
		check("entry", got, want, err)
		at, err := v.EntryPosition(want.Person, want.ID)
		check("position of id", at, want.Position, err)
	}
	for i := range int64(14) {
		got, err := v.ReadTreeHashes([]int64{i})
		if want, ok := w.tree[i]; ok {
			check("tree hash", got, [][32]byte{want}, err)
		} else {
			check("no tree hash", errors.Is(err, store.ErrNotFound), true, nil)
		}
	}
	for n := range 3 {
		person, device := Person(n), Device(n)
		chain, err := v.Chain(device)
		check("chain", chain, w.chains[device], err)
		for seq := range int64(5) {
			got, err := v.DeviceEntries(device, seq)
			var want []store.DeviceEntry
			for _, p := range w.positions(func(e *store.LogEntry) bool { return e.Device == device && e.Seq == seq }) {
				want = append(want, store.DeviceEntry{Position: p, ID: w.log[p].ID})
			}
			check("device entries", got, want, err)
			check("device entries one by one", sameOneByOne(v, device, seq, want), nil, nil)
		}
		positions, err := v.PersonPositions(person, l.position, l.limit)
		want := w.positions(func(e *store.LogEntry) bool { return e.Person == person && e.Position > l.position })
		check("person positions", positions, want[:min(l.limit, len(want))], err)
		var units []string
		err = v.Units(person, l.prefix, model.Unit(l.after), func(s *model.UnitState) bool {
			units = append(units, string(s.Unit))
			check("listed unit", s, w.units[string(person[:])+string(s.Unit)], nil)
			return true
		})
		check("units", units, list(w.units, string(person[:]), l.prefix, l.after), err)
	}
	for _, kind := range []store.Kind{"note", "other"} {
		var found []string
		err := v.Docs(kind, l.prefix, l.after, func(key string, body []byte) bool {
			found = append(found, key)
			check("listed document", string(body), w.docs[string(kind)+"\x00"+key], nil)
			one, err := v.Doc(kind, key)
			check("document", string(one), string(body), err)
			return true
		})
		check("documents", found, list(w.docs, string(kind)+"\x00", l.prefix, l.after), err)
	}
	return errors.Join(errs...)
}
