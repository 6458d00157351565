package kpr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"flette/model"
)

// messages runs until there is nothing to send, and returns how much each message holds.
func (w *world) messages(opt Options) (sizes []int) {
	w.t.Helper()
	for {
		x, file, err := Run(context.Background(), w.st, skogvik, opt)
		if errors.Is(err, ErrNothingToSend) {
			return sizes
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if opt.MaxBytes > 0 && len(file) > opt.MaxBytes && x.To > x.From {
			w.t.Errorf("a file of %d bytes", len(file))
		}
		sizes = append(sizes, int(x.To-x.From+1))
		if len(sizes) > 100 {
			w.t.Fatal("it does not end")
		}
	}
}

// Somebody with more events than a message holds is told of in several.
func TestAPersonOfSeveralMessages(t *testing.T) {
	for name, c := range map[string]struct {
		max, maxBytes int
		want          []int
	}{
		"by number": {4, 0, []int{4, 4, 4, 2}},
		"by bytes":  {0, 4000, nil},
		"one line":  {0, 1, slices.Repeat([]int{1}, 14)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for n := 1; n <= 3; n++ {
				w.newPerson(n)
				w.service(n, serviceID(n), "15", "2026-05-01", unitLow)
			}
			for i := range 11 {
				w.set(2, model.ActRegister, unitOf(serviceID(2), fmt.Sprintf("pause/33333333-3333-4333-8333-%012x", i)), fmt.Sprintf(`{"from":"2026-06-%02d"}`, i+1))
			}
			opt := w.options()
			opt.Max, opt.MaxBytes = c.max, c.maxBytes
			sizes := w.messages(opt)
			if c.want != nil && !slices.Equal(sizes, c.want) || len(sizes) < 3 {
				t.Errorf("messages of %v, want %v", sizes, c.want)
			}
			if all := checkChain(t, w.ledger(Test)); len(all) != 14 {
				t.Errorf("%d events stand", len(all))
			}
			if wrong := w.verify(); len(wrong) > 0 {
				t.Errorf("%q", wrong)
			}
			w.nothing(opt)
		})
	}
}
