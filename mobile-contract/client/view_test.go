package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	contract "flette/mobile-contract"
	"flette/model"
)

// The server's word about what is shown stands when it comes before the receipt: after a lost
// answer the tablet may pull the merged unit first and hear of its own entry again later.
func TestALateReceiptDoesNotReorderTheView(t *testing.T) {
	other := model.EntryID{7}
	for _, c := range []struct {
		name  string
		heads func(own model.EntryID) []model.EntryID // as the server has merged them
	}{
		{"shown is the other one", func(own model.EntryID) []model.EntryID { return []model.EntryID{other, own} }},
		{"overwritten meanwhile", func(model.EntryID) []model.EntryID { return []model.EntryID{other} }},
		{"voided meanwhile", func(model.EntryID) []model.EntryID { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			tab, _ := f.tablet(Config{Tries: 1})
			own := sign(t, tab, memory, 2)
			f.loseAnswers = 1
			if _, err := tab.Push(context.Background()); err == nil {
				t.Fatal("the answer was not lost")
			}
			want := c.heads(own)
			v := contract.UnitView{Unit: memory, Position: 3, Heads: []contract.HeadView{}}
			for _, id := range want {
				v.Heads = append(v.Heads, contract.HeadView{
					Entry: id, Act: model.ActRegister, Actor: "berit", Stamp: model.Stamp{Class: model.ClockA}, Value: []byte(`{"score":4}`),
				})
			}
			f.mu.Lock()
			f.items = append(f.items, contract.PullItem{Type: contract.ItemUnit, Position: 3, Person: somebody, Unit: &v})
			f.mu.Unlock()
			pull(t, tab)
			if r := push(t, tab); r.Count(contract.OutcomeDuplicate) != 1 {
				t.Fatalf("%+v", r)
			}
			if got := heads(tab, memory); !slices.Equal(got, want) {
				t.Errorf("the tablet shows %v, the server said %v", got, want)
			}
		})
	}
}

// Work about a person whom the user has not is handed in and then forgotten (T8).
func TestViewForgetsWhomTheUserHasNot(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	stranger := model.PersonID{8}
	_, err := tab.Sign(stranger, model.ActRegister, []model.Change{{Unit: memory, Value: []byte(`{"score":2}`)}}, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pull(t, tab)
	if _, ok := tab.View(stranger, memory); !ok {
		t.Error("work that waits is hidden")
	}
	push(t, tab)
	f.items = nil // nothing about this person is for this user
	pull(t, tab)
	if _, ok := tab.View(stranger, memory); ok {
		t.Error("the tablet still shows a person whom its user has not")
	}
}

// A tablet that is enrolled once more, because an answer was lost, is the device it was and
// goes on with its chain; with work in its outbox it is not enrolled anew (T1, T2).
func TestEnrolAgainKeepsTheChain(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{Tries: 2})
	device := tab.ID()
	first := sign(t, tab, memory, 2)
	if _, err := tab.Enrol(context.Background(), tenant, "CODE-0001", ""); !errors.Is(err, ErrUnsent) {
		t.Fatalf("with work in the outbox: %v", err)
	}
	push(t, tab)
	f.loseAnswers = 1
	if _, err := tab.Enrol(context.Background(), tenant, "CODE-0001", ""); err != nil || tab.ID() != device {
		t.Fatalf("once more: %v, device %s", err, tab.ID())
	}
	sign(t, tab, memory, 3)
	if e := decoded(t, tab.Outbox()[0].JWS); e.Seq != 2 || e.Prev != first.String() {
		t.Errorf("the chain goes on with seq %d, prev %s", e.Seq, e.Prev)
	}
}

// Go's transport repeats a GET by itself when a connection breaks, with the proof that was
// used up; the first answer is lost.
func TestATransportThatRepeatsIsNoFailure(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	base, repeated := f.client().Transport, false
	tab.call.http = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		res, err := base.RoundTrip(req)
		if err != nil || repeated {
			return res, err
		}
		repeated = true
		if err := res.Body.Close(); err != nil {
			return nil, err
		}
		return base.RoundTrip(req)
	})}
	pull(t, tab)
	if !repeated {
		t.Error("nothing was repeated")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
