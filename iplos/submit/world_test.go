package submit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"flette/model"
	"flette/store"
	"flette/store/bolt"
)

const skogvik model.TenantID = "skogvik"

var began = model.MillisOf(time.Date(2027, 1, 2, 8, 0, 0, 0, time.UTC))

// world is a ledger in a real store, with files by hash and a register that is a function.
type world struct {
	t     testing.TB
	st    store.Store
	now   model.Millis
	files map[string][]byte
	reg   func(Submission, []byte) Receipt
	calls int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	st, err := bolt.Open(t.TempDir(), bolt.Options{NewEpoch: func() string { return "epoch" }, InitialMmapSize: 1 << 22})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := st.CreateTenant(context.Background(), store.Tenant{ID: skogvik, Name: "Skogvik", Kommune: "9999", Created: began, Format: 1}); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, st: st, now: began, files: map[string][]byte{}, reg: func(Submission, []byte) Receipt { return Receipt{State: Accepted, Status: 200} }}
}

func (w *world) who() Who {
	w.now += 1000
	return Who{w.now, "cli/test"}
}

// events is an event message with its extract in the store.
func (w *world) events(from, to int64, text string) Shipment {
	w.t.Helper()
	s := w.shipment(KindEvents, 0, text)
	s.From, s.To, s.Path, s.Extract = from, to, "", fmt.Sprintf("x-%d", from)
	w.put(store.Extract{ID: s.Extract, Target: Test, From: from, To: to, SHA256: s.SHA256})
	return s
}

func (w *world) shipment(kind string, year int, text string) Shipment {
	sum := hashOf([]byte(text))
	w.files[sum] = []byte(text)
	return Shipment{Kind: kind, Target: Test, Year: year, Position: 7, SHA256: sum, Bytes: int64(len(text)), Path: kind + ".xml", Counts: map[string]int{"15": 3, "2": 1}}
}

func (w *world) put(docs ...store.Doc) {
	w.t.Helper()
	_, err := w.st.Update(context.Background(), skogvik, nil, func(tx store.Tx) error {
		for _, d := range docs {
			if err := store.Put(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) prepare(s Shipment, replaces string) (Submission, error) {
	sub, _, err := Prepare(context.Background(), w.st, skogvik, s, replaces, w.who())
	return sub, err
}

func (w *world) mustPrepare(s Shipment, replaces string) Submission {
	w.t.Helper()
	sub, err := w.prepare(s, replaces)
	if err != nil {
		w.t.Fatal(err)
	}
	return sub
}

// Sealing in these tests turns the bytes over, under the associated data in front.
func sealTest(plain []byte, ad string) ([]byte, error) {
	out := []byte(ad + "\n")
	for _, b := range plain {
		out = append(out, ^b)
	}
	return out, nil
}

func openTest(sealed []byte, ad string) ([]byte, error) {
	if len(sealed) < len(ad)+1 || string(sealed[:len(ad)]) != ad {
		return nil, errors.New("sealed elsewhere")
	}
	var out []byte
	for _, b := range sealed[len(ad)+1:] {
		out = append(out, ^b)
	}
	return out, nil
}

func (w *world) send(id string) (Record, error) {
	return Send(context.Background(), w.st, skogvik, id, SendOptions{
		Who: w.who(), Seal: sealTest,
		Open: func(s Submission) ([]byte, error) {
			b, ok := w.files[s.SHA256]
			if !ok {
				return nil, model.Problemf("submission-file", "", "gone")
			}
			return b, nil
		},
		Send: func(_ context.Context, s Submission, body []byte) Receipt {
			w.calls++
			return w.reg(s, body)
		},
	})
}

func (w *world) load() []Record {
	w.t.Helper()
	var out []Record
	err := w.st.View(context.Background(), skogvik, func(v store.View) error {
		var err error
		out, err = Load(v)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) record(id string) *Record {
	w.t.Helper()
	r, err := Find(w.load(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) verify() []string {
	w.t.Helper()
	var out []string
	err := w.st.View(context.Background(), skogvik, func(v store.View) error {
		var err error
		out, err = VerifyLedger(v)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func code(err error) string {
	var p *model.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return fmt.Sprint(err)
}
