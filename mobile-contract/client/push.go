package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	contract "flette/mobile-contract"
	"flette/model"
)

// ErrAnswer says that a push answer does not fit what was sent; nothing is forgotten.
var ErrAnswer = errors.New("client: the answer does not fit the push")

// PushReport says what became of a push.
type PushReport struct {
	Requests int                   // that got an answer
	Results  []contract.PushResult // in the order of the outbox
	Order    *contract.Order       // what the server wants done, nil for nothing
}

// Count returns how many results have an outcome.
func (r *PushReport) Count(outcome string) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Outcome == outcome {
			n++
		}
	}
	return n
}

// Push hands in the outbox in batches that fit the server's limits. With an empty outbox it is
// one contact: it renews the lease and fetches a checkpoint. The report is never nil and
// holds what was acknowledged before an error; the rest stays in the outbox (T2, T3), so
// Push may always be called again.
//
// After a problem store-rewound the entries that the server may have lost are back in the
// outbox (T5): tell the operator and push again. After unknown-device everything is still
// here: see [Tablet.Reenrol].
//
// A wipe order is obeyed as soon as the outbox is empty; Push then ends without an error, and
// the next call of anything is ErrWiped. A change of key that was not answered is finished
// first: ErrRotating when only the caller has the key.
func (t *Tablet) Push(ctx context.Context) (*PushReport, error) {
	t.net.Lock()
	defer t.net.Unlock()
	report := &PushReport{}
	err := t.finishRotation(ctx)
	if err == nil {
		err = t.pushAll(ctx, report)
	}
	// A tablet on which nobody has logged in holds nothing to hand in, and nobody to say so.
	if err == nil || errors.Is(err, ErrNoLease) && t.emptyAndWiped() {
		err = t.obey(ctx)
	}
	if err != nil {
		return report, t.failed(err)
	}
	return report, nil
}

func (t *Tablet) finishRotation(ctx context.Context) error {
	t.mu.Lock()
	rotating, next := t.s.Rotating, t.next
	t.mu.Unlock()
	switch {
	case !rotating:
		return nil
	case next == nil:
		return ErrRotating
	}
	err := t.rotate(ctx, next)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && t.s.Rotating {
		return err
	}
	return nil // done, or refused for good: then the old key goes on
}

// pushAll pushes until the outbox is empty. Called with net held.
func (t *Tablet) pushAll(ctx context.Context, report *PushReport) error {
	most := t.cfg.Batch
	for {
		if left, err := t.pushOne(ctx, report, &most); err != nil || left == 0 {
			return err
		}
	}
}

// pushOne sends one batch and returns how many entries are left.
func (t *Tablet) pushOne(ctx context.Context, report *PushReport, most *int) (left int, err error) {
	t.mu.Lock()
	if err := t.ready(); err != nil {
		t.mu.Unlock()
		return 0, err
	}
	batch, presented := t.batch(*most), t.held.text
	req := request{
		method: http.MethodPost, path: "/v1/sync/push", scheme: "DPoP", token: t.s.Lease.Token,
		safe: true, encoding: t.cfg.Encoding,
		in: contract.PushRequest{Diary: t.diary(), Checkpoint: presented, Entries: texts(batch)},
	}
	t.mu.Unlock()

	var out contract.PushResponse
	req.out = &out
	_, err = t.call.do(ctx, req)
	var answer *Error
	if errors.As(err, &answer) {
		return t.pushRefused(answer, len(batch), most)
	}
	if err != nil {
		return 0, err
	}
	report.Requests++
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.accept(&out, batch, presented); err != nil {
		return 0, err
	}
	report.Results = append(report.Results, out.Results...)
	report.Order, t.s.Order, t.lastErr = out.Order, out.Order, ""
	return len(t.s.Outbox), t.save()
}

// ready is asked before every call by lease. Called with mu held.
func (t *Tablet) ready() error {
	if err := t.mayWork(); err != nil {
		return err
	}
	if t.s.Lease == nil {
		return ErrNoLease
	}
	return nil
}

// pushRefused does what can be done about a problem; a nil error means to try again.
func (t *Tablet) pushRefused(answer *Error, sent int, most *int) (left int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case answer.Status == http.StatusRequestEntityTooLarge && sent > 1:
		if l := answer.Problem.Limits; l != nil {
			t.limits = *l
		}
		*most = sent / 2
		return sent, nil
	case answer.Problem.Code == "unsupported-encoding" && t.cfg.Encoding != EncodingNone:
		t.cfg.Encoding = EncodingNone
		return max(1, sent), nil
	case answer.Problem.Code == "store-rewound":
		t.rewound(answer.Problem)
		return 0, errors.Join(answer, t.save())
	}
	return 0, answer
}

// overhead leaves room for the diary and the checkpoint in a push.
const overhead = 8 << 10

// batch takes the oldest entries that fit, at least one.
func (t *Tablet) batch(most int) []Pending {
	n, size := 0, overhead
	limit := t.limits.Entries
	if most > 0 {
		limit = min(limit, most)
	}
	for n < len(t.s.Outbox) && n < limit {
		size += len(t.s.Outbox[n].JWS) + 3
		if n > 0 && size > t.limits.Bytes {
			break
		}
		n++
	}
	return slices.Clone(t.s.Outbox[:n])
}

func texts(batch []Pending) []string {
	out := make([]string, len(batch))
	for i := range batch {
		out[i] = batch[i].JWS
	}
	return out
}

func (t *Tablet) diary() *contract.Diary {
	d := &contract.Diary{Outbox: int64(len(t.s.Outbox)), Wall: model.MillisOf(t.cfg.Wall()), App: t.cfg.App, LastError: t.lastErr}
	if len(t.s.Outbox) > 0 {
		d.Oldest = t.s.Outbox[0].Wall
	}
	return d
}

// accept checks the whole answer before anything is forgotten, then settles each entry.
func (t *Tablet) accept(out *contract.PushResponse, batch []Pending, presented string) error {
	if len(out.Results) != len(batch) {
		return fmt.Errorf("%w: %d results for %d entries", ErrAnswer, len(out.Results), len(batch))
	}
	cp, err := t.check(out.Checkpoint, out.Epoch)
	if err != nil {
		return err
	}
	for i, r := range out.Results {
		if r.Index != i || r.ID != "" && r.ID != batch[i].ID.String() {
			return fmt.Errorf("%w: result %d is of another entry", ErrAnswer, i)
		}
		if r.Outcome != contract.OutcomeRefused && (r.ID == "" || r.Position == nil || *r.Position >= cp.size) {
			return fmt.Errorf("%w: result %d is acknowledged without a receipt", ErrAnswer, i) // C6
		}
	}
	t.adopt(cp, presented)
	for i := range out.Results {
		if r := &out.Results[i]; r.Stamp != nil && r.Outcome != contract.OutcomeDuplicate {
			t.s.ServerTime = r.Stamp.Hi
		}
		t.settle(&batch[i], &out.Results[i])
	}
	if out.Limits.Entries > 0 && out.Limits.Bytes > 0 {
		t.limits = out.Limits
	}
	if out.Lease != nil {
		t.anchor(out.Lease)
	}
	t.letGo()
	return nil
}

// settle takes one entry out of the outbox.
func (t *Tablet) settle(p *Pending, r *contract.PushResult) {
	i := slices.IndexFunc(t.s.Outbox, func(o Pending) bool { return o.ID == p.ID })
	if i < 0 {
		return
	}
	t.s.Outbox = slices.Delete(t.s.Outbox, i, i+1)
	outcome := r.Outcome
	if outcome == contract.OutcomeDuplicate {
		outcome = r.First
	}
	taken := outcome == contract.OutcomeApplied || outcome == contract.OutcomeConflict
	if e, id, err := p.decode(); err == nil {
		for _, c := range e.Changes {
			if u := t.view.unit(e.Person, c.Unit, false); u != nil {
				u.settle(id, taken, r.Position)
			}
		}
	}
	if t.waiting[p.Person]--; t.waiting[p.Person] <= 0 {
		delete(t.waiting, p.Person)
		if who := t.view[p.Person]; who != nil && (who.gone || who.loose && t.whole) {
			delete(t.view, p.Person) // T8
		}
	}
	if r.Outcome == contract.OutcomeRefused {
		p.Code = r.Code
		t.s.Refused = append(t.s.Refused, *p)
		return
	}
	t.keep(*p, r)
}

// check verifies a checkpoint against the key and the one that is held (T6).
func (t *Tablet) check(text, epoch string) (checkpoint, error) {
	if text == t.held.text && epoch == t.held.epoch {
		return t.held, nil
	}
	cp, err := openCheckpoint(text, t.verifier, t.s.Tenant)
	if err != nil {
		return cp, err
	}
	if cp.epoch != epoch {
		return cp, fmt.Errorf("%w: it is of another epoch than the answer", ErrCheckpoint)
	}
	return cp, cp.follows(t.held)
}
