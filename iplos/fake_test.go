package iplos

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/store"
)

// memory is a store.Tx of maps: enough of the port for rules and index.
type memory struct {
	store.Tx // nil: what a test does not need panics
	docs     map[string][]byte
	units    map[string]*model.UnitState
	log      []store.LogEntry
	scanned  []string // prefixes given to Units and Docs
	handed   int      // documents that Docs gave out
}

func newMemory() *memory {
	return &memory{docs: map[string][]byte{}, units: map[string]*model.UnitState{}}
}

func (m *memory) Size() int64 { return int64(len(m.log)) }

func (m *memory) Entry(position int64) (*store.LogEntry, error) {
	if position < 0 || position >= m.Size() {
		return nil, store.ErrNotFound
	}
	return &m.log[position], nil
}

func (m *memory) EntryPosition(person model.PersonID, id model.EntryID) (int64, error) {
	for i := range m.log {
		if m.log[i].Person == person && m.log[i].ID == id {
			return int64(i), nil
		}
	}
	return 0, store.ErrNotFound
}

func (m *memory) Unit(person model.PersonID, unit model.Unit) (*model.UnitState, error) {
	return m.units[person.String()+" "+string(unit)], nil
}

func (m *memory) Units(person model.PersonID, prefix string, after model.Unit, fn func(*model.UnitState) bool) error {
	m.scanned = append(m.scanned, prefix)
	head := person.String() + " "
	for _, key := range slices.Sorted(maps.Keys(m.units)) {
		path, ok := strings.CutPrefix(key, head)
		if ok && strings.HasPrefix(path, prefix) && path > string(after) && !fn(m.units[key]) {
			return nil
		}
	}
	return nil
}

func (m *memory) Doc(kind store.Kind, key string) ([]byte, error) {
	body, ok := m.docs[string(kind)+"\n"+key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return bytes.Clone(body), nil
}

func (m *memory) Docs(kind store.Kind, prefix, after string, fn func(string, []byte) bool) error {
	m.scanned = append(m.scanned, string(kind)+" "+prefix)
	for _, full := range slices.Sorted(maps.Keys(m.docs)) {
		k, key, _ := strings.Cut(full, "\n")
		if k != string(kind) || !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		if m.handed++; !fn(key, bytes.Clone(m.docs[full])) {
			return nil
		}
	}
	return nil
}

func (m *memory) PutUnit(person model.PersonID, s *model.UnitState) error {
	m.units[person.String()+" "+string(s.Unit)] = s
	return nil
}

// say appends an entry that sets one unit over what it showed before, and returns its head.
func (m *memory) say(t interface {
	Helper()
	Fatal(...any)
}, person model.PersonID, h model.Head, unit model.Unit) model.Head {
	t.Helper()
	before, prev := m.units[person.String()+" "+string(unit)], int64(-1)
	c := model.Change{Unit: unit, Value: h.Value}
	if before != nil {
		prev = before.Position
		for _, o := range before.Heads {
			c.Over = append(c.Over, o.ID)
		}
	}
	h.Position, h.Device, h.Seq = m.Size(), pad, m.Size()+1
	e := model.Entry{
		V: 1, Tenant: "testvik", Device: h.Device, Seq: h.Seq, Actor: "nurse", Lease: "l", Clock: model.ClockMonotonic,
		Wall: h.Stamp.TEff, Person: person, Act: h.Act, Changes: []model.Change{c},
	}
	if h.Seq > 1 {
		e.Prev = m.log[h.Seq-2].ID.String()
	}
	if h.Act != model.ActRegister && h.Act != model.ActConfirm {
		e.Reason = &model.Reason{Code: "mistake"}
	}
	payload, err := json.Marshal(e)
	must(t, err)
	_, err = model.DecodeEntry(payload)
	must(t, err)
	h.ID = model.NewEntryID(payload)
	m.log = append(m.log, store.LogEntry{
		Position: h.Position, ID: h.ID, Person: person, Device: h.Device, Seq: h.Seq, Act: h.Act, Stamp: h.Stamp, Payload: payload, UnitPrev: []int64{prev},
	})
	must(t, m.PutUnit(person, &model.UnitState{Unit: unit, Position: h.Position, Heads: []model.Head{h}}))
	return h
}

func (m *memory) PutDoc(kind store.Kind, key string, body []byte) error {
	if len(key) > store.MaxKeyBytes {
		return store.ErrTooLarge
	}
	m.docs[string(kind)+"\n"+key] = body
	return nil
}

func (m *memory) DeleteDoc(kind store.Kind, key string) error {
	delete(m.docs, string(kind)+"\n"+key)
	return nil
}

// kind lists the documents of a kind as text, for comparison.
func (m *memory) kind(kind store.Kind) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m.docs)) {
		if strings.HasPrefix(k, string(kind)+"\n") {
			out = append(out, k+" "+string(m.docs[k]))
		}
	}
	return out
}

func must(t interface {
	Helper()
	Fatal(...any)
}, err error,
) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	alice = testPerson(1)
	berit = testPerson(2)
	desk  = model.DeviceID{0xde}
	pad   = model.DeviceID{0x7a}
)

func testPerson(n byte) model.PersonID { return model.PersonID{0x40, n} }

// at reads "2026-11-20T08:00:00Z".
func at(t *testing.T, s string) model.Millis {
	t.Helper()
	var m model.Millis
	must(t, m.UnmarshalText([]byte(s)))
	return m
}
