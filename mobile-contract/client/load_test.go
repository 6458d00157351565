package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/model"
)

// scissors cuts the bodies of snapshots after so many bytes, as a lost network does.
type scissors struct {
	base http.RoundTripper
	cuts []int // of the next snapshots; then none
	seen int   // bytes of the last one
}

func (s *scissors) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.base.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/snapshot") || res.StatusCode != 200 {
		return res, err
	}
	s.seen = 0
	res.Body = &cutBody{res.Body, s, -1}
	if len(s.cuts) > 0 {
		res.Body = &cutBody{res.Body, s, s.cuts[0]}
		s.cuts = s.cuts[1:]
	}
	return res, nil
}

type cutBody struct {
	io.ReadCloser
	s    *scissors
	left int // -1 for no cut
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if b.left > 0 {
		p = p[:min(len(p), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	b.s.seen += n
	if b.left > 0 {
		b.left -= n
	}
	return n, err
}

// full gives a real server with persons who have units, and a tablet whose network can be cut.
func full(t *testing.T, persons int) (*real, *Tablet, *scissors) {
	t.Helper()
	f := newReal(t, persons)
	f.assign("anne", false, f.persons...)
	f.assign("lars", false, f.persons...)
	anne := f.tablet("anne", nil)
	for i, p := range f.persons {
		for k, u := range []model.Unit{memory, "score/vision", "score/assist_toilet"}[:1+i%3] {
			_, err := anne.Sign(p, model.ActRegister, score(u, 1+(i+k)%5), SignOptions{})
			f.must(err)
		}
	}
	_, err := anne.Push(t.Context())
	f.must(err)
	cut := &scissors{}
	lars := f.tablet("lars", func(base http.RoundTripper) http.RoundTripper {
		cut.base = base
		return cut
	})
	return f, lars, cut
}

// T14: wherever the network is lost, the persons that are complete are there, the visits of
// today first, there is no cursor yet, and the next load brings the rest and nothing twice.
func TestLoadGoesOnAfterACut(t *testing.T) {
	f, tab, cut := full(t, 5)
	f.plan("lars", f.persons[4], f.persons[2])
	if r, err := tab.Load(t.Context()); err != nil || r.Persons != 5 || r.Cuts != 0 || r.Pulled {
		t.Fatalf("%+v, %v", r, err)
	}
	f.must(f.right(tab, f.persons...))
	size := cut.seen
	tab.cfg.Tries = 1 // a load that brings nobody gives up at once
	for at := 0; at < size; at += 101 {
		tab.mu.Lock()
		tab.dropView()
		tab.mu.Unlock()
		cut.cuts = []int{at, 0}
		first, err := tab.Load(t.Context())
		if !errors.Is(err, errCut) {
			t.Fatalf("cut at %d: %v", at, err)
		}
		got := map[int]bool{}
		for _, c := range tab.Persons() {
			got[c.Visit] = true
		}
		if tab.cursor != "" || len(tab.Persons()) != first.Persons || first.Persons > 0 && !got[1] || first.Persons > 1 && !got[2] {
			t.Fatalf("cut at %d: %d persons, visits %v, cursor %q", at, first.Persons, got, tab.cursor)
		}
		cut.cuts = nil
		second, err := tab.Load(t.Context())
		if err != nil || first.Persons+second.Persons != 5 || tab.cursor == "" {
			t.Fatalf("cut at %d: %+v, then %+v, %v", at, first, second, err)
		}
		f.must(f.right(tab, f.persons...))
	}
	// Cut and cut again within one load, which goes on by itself.
	tab.mu.Lock()
	tab.dropView()
	tab.mu.Unlock()
	cut.cuts = []int{size / 3, size / 3, size / 3}
	if r, err := tab.Load(t.Context()); err != nil || r.Cuts != 3 || r.Persons != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	f.must(f.right(tab, f.persons...))
}

// What happens while a load is interrupted comes with the pull after it.
func TestLoadThenPull(t *testing.T) {
	f, tab, cut := full(t, 4)
	tab.cfg.Tries = 1
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	tab.mu.Lock()
	tab.dropView()
	tab.mu.Unlock()
	cut.cuts = []int{cut.seen / 2, 0}
	if _, err := tab.Load(t.Context()); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	cut.cuts = nil
	anne := f.tablet("anne2", nil)
	f.assign("anne2", false, f.persons...)
	if _, err := anne.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range f.persons {
		_, err := anne.Sign(p, model.ActRegister, score("score/hearing", 2), SignOptions{})
		f.must(err)
	}
	_, err := anne.Push(t.Context())
	f.must(err)
	f.clock.Add(1)
	f.assign("lars", true, f.persons[0])
	f.clock.Add(1)
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	pull(t, tab)
	f.must(f.right(tab, f.persons[1:]...))
}

// Work that waits stays on top of what a load brings, and stays when its person is not in it.
func TestLoadKeepsOwnWork(t *testing.T) {
	f, tab, _ := full(t, 3)
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var own []model.EntryID
	for _, p := range f.persons[:2] {
		id, err := tab.Sign(p, model.ActRegister, score(memory, 4), SignOptions{})
		f.must(err)
		own = append(own, id)
	}
	f.clock.Add(1)
	f.assign("lars", true, f.persons[0])
	f.clock.Add(1)
	if _, err := tab.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(tab.Persons()) != 2 {
		t.Errorf("%d persons", len(tab.Persons()))
	}
	for i, p := range f.persons[:2] {
		if v, ok := tab.View(p, memory); !ok || v.Heads[0].Entry != own[i] {
			t.Errorf("own work on person %d is hidden", i)
		}
	}
	push(t, tab)
	if _, ok := tab.View(f.persons[0], memory); ok {
		t.Error("T8: a person who left is kept after the last entry")
	}
}

// A server without snapshots is pulled from; an unfinished load does not leave strangers behind.
func TestLoadFallsBack(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	f.items = append(f.items, unitItem(somebody, memory))
	unknown := &http.Client{Transport: f.srv.Client().Transport} // an old server breaks today's contract
	tab.call.http = unknown
	r, err := tab.Load(context.Background())
	if err != nil || !r.Pulled {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, ok := tab.View(somebody, memory); !ok {
		t.Error("nothing was pulled")
	}

	g, lars, cut := full(t, 3)
	lars.cfg.Tries = 1
	if _, err := lars.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	lars.mu.Lock()
	lars.dropView()
	lars.mu.Unlock()
	cut.cuts = []int{cut.seen * 3 / 4, 0}
	if r, err := lars.Load(t.Context()); !errors.Is(err, errCut) || r.Persons < 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	left := lars.Persons()[0].Person
	g.clock.Add(1)
	g.assign("lars", true, left)
	g.clock.Add(1)
	pull(t, lars)
	g.must(g.right(lars, slices.DeleteFunc(slices.Clone(g.persons), func(p model.PersonID) bool { return p == left })...))
}

// A line that the tablet cannot read is the end of the load, not of the view.
func TestLoadOfGarbage(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{Tries: 1})
	for _, body := range []string{"", "\n", "{", "{}", "[]\n", `{"type":"begin","epoch":"e1","position":0,"persons":1}` + "\n" + `{"type":"end","checkpoint":"x"}` + "\n"} {
		tab.call.http = &http.Client{Transport: answers(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})}
		if _, err := tab.Load(context.Background()); err == nil || tab.cursor != "" {
			t.Errorf("%q was taken", body)
		}
	}
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func unitItem(p model.PersonID, u model.Unit) contract.PullItem {
	v := contract.UnitView{Unit: u, Heads: []contract.HeadView{{
		Entry: model.NewEntryID([]byte(fmt.Sprint(p, u))), Act: model.ActRegister, Actor: "x", Value: jsontext.Value(`{"score":2}`),
		Stamp: model.Stamp{Class: model.ClockA},
	}}}
	return contract.PullItem{Type: "unit", Person: p, Unit: &v}
}
