package kpr

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/store/bolt"
)

const skogvik model.TenantID = "skogvik"

const (
	unitTop = "aaaaaaaa-0000-4000-8000-000000000001"
	unitMid = "aaaaaaaa-0000-4000-8000-000000000002"
	unitLow = "aaaaaaaa-0000-4000-8000-000000000003"
	unitOwn = "aaaaaaaa-0000-4000-8000-000000000004"
)

var began = model.MillisOf(time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC))

// world is a municipality in a real store. Entries are written as sync would, but for one
// device and without any clash.
type world struct {
	t    testing.TB
	st   store.Store
	now  model.Millis
	seq  int64
	last model.EntryID
}

func newWorld(t testing.TB) *world {
	t.Helper()
	st, err := bolt.Open(t.TempDir(), bolt.Options{NewEpoch: func() string { return "epoch" }, InitialMmapSize: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Check(context.Background(), skogvik); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, st: st, now: began}
	err = st.CreateTenant(context.Background(), store.Tenant{ID: skogvik, Name: "Skogvik", Kommune: "9999", Created: began, Format: 1, Contacts: contacts()})
	if err != nil {
		t.Fatal(err)
	}
	w.put(store.OrgUnit{ID: unitTop, Name: "Skogvik", OrgNumber: []store.OrgNumber{{Number: orgA, From: "2000-01-01"}}},
		store.OrgUnit{ID: unitMid, Parent: unitTop, Name: "Omsorg"},
		store.OrgUnit{ID: unitLow, Parent: unitMid, Name: "Sone Nord"},
		store.OrgUnit{ID: unitOwn, Parent: unitTop, Name: "Sone Sør", OrgNumber: []store.OrgNumber{{Number: orgB, From: "2026-06-01"}}})
	return w
}

func (w *world) update(fn func(store.Tx) error) {
	w.t.Helper()
	if _, err := w.st.Update(context.Background(), skogvik, nil, fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(docs ...store.Doc) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		for _, d := range docs {
			if err := store.Put(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// tweak changes a document in place.
func tweak[T store.Doc](w *world, key string, change func(*T)) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		d, err := store.Get[T](tx, key)
		if err != nil {
			return err
		}
		change(&d)
		return store.Put(tx, d)
	})
}

func person(n int) model.PersonID { return model.PersonID{0xaa, 14: byte(n >> 8), 15: byte(n)} }

// newPerson stores the n-th synthetic person and returns its number.
func (w *world) newPerson(n int) string {
	w.t.Helper()
	number, ok := ident.SyntheticFNR(time.Date(1940, 1, 1+n, 0, 0, 0, 0, time.UTC), 0)
	if !ok {
		w.t.Fatal("no number")
	}
	w.identify(n, store.Person{IDType: "1", Test: true}, store.Identity{Number: number, Name: "Prøve Person", BirthDate: "1940-01-01"})
	return number
}

func (w *world) identify(n int, p store.Person, id store.Identity) {
	w.t.Helper()
	p.ID, p.BrukerNr, p.Kommune = person(n), int64(n), "9999"
	plain, err := json.Marshal(id)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Sealed, _ = sealed(plain, "person|"+p.ID.String()+"|1")
	w.put(p)
}

// set writes an entry that sets one unit over what is shown. It returns the entry's id.
func (w *world) set(n int, act model.Act, unit, value string) model.EntryID {
	w.t.Helper()
	var id model.EntryID
	w.update(func(tx store.Tx) error {
		s, err := tx.Unit(person(n), model.Unit(unit))
		if err != nil {
			return err
		}
		change := model.Change{Unit: model.Unit(unit), Value: []byte(value)}
		if h := s.Shown(); h != nil {
			change.Over = []model.EntryID{h.ID}
		}
		var head model.Head
		head, err = w.append(tx, n, act, change, s)
		if err != nil {
			return err
		}
		id = head.ID
		return tx.PutUnit(person(n), &model.UnitState{Unit: change.Unit, Position: head.Position, Heads: []model.Head{head}})
	})
	return id
}

// void takes an entry back; shown is what the merge shows then, nil for nothing.
func (w *world) void(n int, unit string, target model.EntryID, shown *model.Head) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		s, err := tx.Unit(person(n), model.Unit(unit))
		if err != nil {
			return err
		}
		head, err := w.append(tx, n, model.ActVoid, model.Change{Unit: model.Unit(unit), Target: &target}, s)
		if err != nil {
			return err
		}
		after := model.UnitState{Unit: model.Unit(unit), Position: head.Position, Tangled: true}
		if shown != nil {
			after.Heads = []model.Head{*shown}
		}
		return tx.PutUnit(person(n), &after)
	})
}

func (w *world) shown(n int, unit string) *model.Head {
	w.t.Helper()
	var head model.Head
	err := w.st.View(context.Background(), skogvik, func(v store.View) error {
		s, err := v.Unit(person(n), model.Unit(unit))
		if err == nil {
			head = *s.Shown()
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &head
}

// append writes one log entry whose payload passes model.DecodeEntry.
func (w *world) append(tx store.Tx, n int, act model.Act, c model.Change, before *model.UnitState) (model.Head, error) {
	prev := int64(-1)
	if before != nil {
		prev = before.Position
	}
	return w.appendAs(tx, n, act, store.Applied, prev, c)
}

func (w *world) appendAs(tx store.Tx, n int, act model.Act, outcome store.Outcome, prev int64, c model.Change) (model.Head, error) {
	w.seq++
	w.now += 60_000
	e := model.Entry{
		V: 1, Tenant: skogvik, Device: model.DeviceID{1}, Seq: w.seq, Actor: "nurse", Lease: "l", Clock: model.ClockMonotonic,
		Wall: w.now, Person: person(n), Act: act, Changes: []model.Change{c},
	}
	if w.seq > 1 {
		e.Prev = w.last.String()
	}
	if act != model.ActRegister && act != model.ActConfirm {
		e.Reason = &model.Reason{Code: "mistake"}
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return model.Head{}, err
	}
	if _, err := model.DecodeEntry(payload); err != nil {
		return model.Head{}, err
	}
	l := &store.LogEntry{
		ID: model.NewEntryID(payload), Person: e.Person, Device: e.Device, Seq: e.Seq, Actor: e.Actor, Act: act, Outcome: outcome,
		Stamp:  model.Stamp{Wall: w.now, T: w.now, Lo: began, Hi: w.now + 1000, TEff: w.now, Class: model.ClockA},
		Header: []byte("{}"), Payload: payload, Signature: []byte{1}, UnitPrev: []int64{prev},
	}
	if outcome == store.Quarantined {
		l.UnitPrev = nil
	}
	w.last = l.ID
	at, err := tx.AppendEntry(l)
	return model.Head{ID: l.ID, Position: at, Act: act, Actor: e.Actor, Device: e.Device, Seq: e.Seq, Stamp: l.Stamp, Value: c.Value}, err
}

func unitOf(service, part string) string {
	if part == "" {
		return "service/" + service
	}
	return "service/" + service + "/" + part
}

// service starts a service of a type at a unit.
func (w *world) service(n int, id, kind, start, orgUnit string) {
	w.t.Helper()
	w.set(n, model.ActRegister, unitOf(id, ""), `{"type":"`+kind+`"}`)
	w.set(n, model.ActRegister, unitOf(id, "grant"), `{"date":"`+start+`"}`)
	w.set(n, model.ActRegister, unitOf(id, "provider"), `{"unit":"`+orgUnit+`","from":"`+start+`"}`)
	w.set(n, model.ActRegister, unitOf(id, "start"), `{"date":"`+start+`"}`)
}

func serviceID(n int) string { return fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012x", n) }

// sealed is no encryption, but refuses other associated data as the real one does.
func sealed(plain []byte, ad string) ([]byte, error) {
	return append([]byte("sealed "+ad+"\x00"), plain...), nil
}

func opened(b []byte, ad string) ([]byte, error) {
	plain, ok := bytes.CutPrefix(b, []byte("sealed "+ad+"\x00"))
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return plain, nil
}

func (w *world) options() Options {
	return Options{
		Target: Test, Now: w.now, By: "operator", Vendor: "Flette", System: "Flette", Version: "1.0.0", To: "2026-11-22",
		Open: opened, Seal: sealed,
		Index: func(kind, value string) [32]byte {
			h := hmac.New(sha256.New, []byte("key"))
			h.Write([]byte(kind + " " + value))
			return [32]byte(h.Sum(nil))
		},
	}
}

func (w *world) run(opt Options) (store.Extract, []byte) {
	w.t.Helper()
	x, file, err := Run(context.Background(), w.st, skogvik, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	return x, file
}

func (w *world) nothing(opt Options) {
	w.t.Helper()
	if _, file, err := Run(context.Background(), w.st, skogvik, opt); !errors.Is(err, ErrNothingToSend) || file != nil {
		w.t.Fatalf("got %v, want ErrNothingToSend", err)
	}
}

func (w *world) ledger(target string) []store.Notification {
	w.t.Helper()
	var out []store.Notification
	err := w.st.View(context.Background(), skogvik, func(v store.View) error {
		var err error
		out, err = store.List[store.Notification](v, target+" ", "", 0)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func shortLedger(list []store.Notification) []string {
	var out []string
	for _, n := range list {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", n.Status, n.Kind, n.Date, n.Type, n.OrgNumber)))
	}
	return out
}
