package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	contract "flette/mobile-contract"
	"flette/model"
)

// resend puts the kept entries at a position and above back into the outbox, oldest first,
// and forgets the receipt for them (T5).
func (t *Tablet) resend(from int64) {
	kept := t.s.Kept[:0:0]
	for _, k := range t.s.Kept {
		if k.Position < from {
			kept = append(kept, k)
			continue
		}
		t.putBack(k.Pending)
	}
	t.sortOutbox()
	t.s.Kept, t.held, t.s.Checkpoint = kept, checkpoint{}, ""
}

func (t *Tablet) putBack(p Pending) {
	p.Code = ""
	t.waiting[p.Person]++
	t.s.Outbox = append(t.s.Outbox, p)
}

func (t *Tablet) sortOutbox() {
	// What an earlier identity signed comes first: each has a chain of its own.
	slices.SortStableFunc(t.s.Outbox, func(a, b Pending) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.Seq, b.Seq))
	})
}

// rewound does what a store-rewound asks for. With a new epoch the server knows from where
// on the two ways part; a life that goes on under the same name went two ways itself, and
// then nothing is known but that a duplicate costs little.
func (t *Tablet) rewound(p *contract.Problem) {
	if p.Epoch == "" || p.Epoch == t.held.epoch || p.Size == nil {
		t.resend(0)
		return
	}
	t.resend(*p.Size)
	t.s.Epoch = p.Epoch
}

// adopt takes a checkpoint that a push to the present life has given. presented is the one
// that the server continued to get there. A life begun meanwhile that was shown none has
// proved nothing of what is kept.
func (t *Tablet) adopt(cp checkpoint, presented string) {
	if cp.epoch != t.s.Epoch && presented == "" {
		t.resend(0)
	}
	t.s.Epoch, t.held, t.s.Checkpoint = cp.epoch, cp, cp.text
}

// pulled takes a checkpoint that came with a page. One of another life is not taken while
// something rests on the former one: only a push can ask whether that goes on.
func (t *Tablet) pulled(cp checkpoint) {
	if cp.epoch == t.s.Epoch || t.held.text == "" && len(t.s.Kept) == 0 {
		t.s.Epoch, t.held, t.s.Checkpoint = cp.epoch, cp, cp.text
	}
}

const day model.Millis = 24 * 60 * 60 * 1000

// keep holds on to an acknowledged entry, and lets go of those that are past the window.
func (t *Tablet) keep(p Pending, r *contract.PushResult) {
	if t.cfg.Keep < 0 {
		return
	}
	k := Kept{Pending: p, Position: *r.Position, Told: model.MillisOf(t.cfg.Wall())}
	if r.Stamp != nil {
		k.Received = r.Stamp.Hi
	}
	t.s.Kept = append(t.s.Kept, k)
}

// letGo lets go of what both clocks, the server's and the tablet's, say is past the window:
// either may be wrong by years, for a day or for good.
func (t *Tablet) letGo() {
	if t.limits.KeepDays > 0 {
		window := model.Millis(t.limits.KeepDays) * day
		server, wall := t.s.ServerTime-window, model.MillisOf(t.cfg.Wall())-window
		t.s.Kept = slices.DeleteFunc(t.s.Kept, func(k Kept) bool { return k.Received != 0 && k.Received < server && k.Told < wall })
	}
	if extra := len(t.s.Kept) - max(0, t.cfg.Keep); extra > 0 {
		t.s.Kept = slices.Delete(t.s.Kept, 0, extra)
	}
}

// Reenrol makes the tablet known again to a server that answers unknown-device, because its
// store was restored to before the enrolment or a change of key, or begins anew. Key, id, outbox, kept entries
// and chain stay; what had been refused for want of the key waits again. The new code came
// from a person, so this is no sending again by itself (T4).
func (t *Tablet) Reenrol(ctx context.Context, code, label string) (*contract.EnrolResponse, error) {
	t.net.Lock()
	defer t.net.Unlock()
	t.mu.Lock()
	prove, former := t.call.prove, t.s.Device
	in := contract.EnrolRequest{Tenant: t.s.Tenant, Code: code, Label: label, Former: former, Handovers: t.s.Handovers}
	t.mu.Unlock()
	if former.IsZero() {
		return nil, ErrNotEnrolled
	}
	out, verifier, err := t.enrol(ctx, prove, in)
	if err != nil {
		return nil, err
	}
	if out.Device != former {
		return nil, fmt.Errorf("%w: the device id is not the former one", ErrAnswer)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if out.JournalKey != t.s.JournalKey {
		// Another key: no receipt of before means anything to this server.
		t.verifier, t.s.JournalKey = verifier, out.JournalKey
		t.resend(0)
	}
	t.s.Refused = slices.DeleteFunc(t.s.Refused, func(p Pending) bool {
		unknown := p.Code == "unknown-key" || p.Code == "bad-signature"
		if unknown {
			t.putBack(p)
		}
		return unknown
	})
	t.sortOutbox()
	return out, t.save()
}
