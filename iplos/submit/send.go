package submit

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/store"
)

// Receipt is what became of one attempt: State is Accepted, Rejected, Unknown, or Prepared
// when nothing left. Event has the other fields; Details those of each fault.
type Receipt struct {
	State     string
	Status    int
	Reference string
	MessageID string
	KeyID     string
	Faults    []Fault
	Details   []string
	Reason    string
}

// SendOptions are what Send needs from outside.
type SendOptions struct {
	Who  Who
	Seal func(plain []byte, ad string) ([]byte, error) // as seal.Keys
	Open func(Submission) ([]byte, error)              // the file in clear
	Send func(context.Context, Submission, []byte) Receipt
	// After gives the time when the answer is there; nil for that of Who.
	After func() model.Millis
}

// Send sends one submission and files what became of it; it returns the record then. The
// caller makes sure that one Send runs at a time for a tenant: a submission that is found as
// "sent" was left by a process that died, and becomes unknown (U2).
//
// Problems: submission-unknown, submission-accepted (U3), submission-replaced,
// submission-order (U4), submission-file (the file is gone or not the one prepared). What the
// register says against the message is no error: see Record.State.
func Send(ctx context.Context, st store.Store, tenant model.TenantID, id string, o SendOptions) (Record, error) {
	r, err := change(ctx, st, tenant, id, func(tx store.Tx, list []Record, r *Record) error {
		if err := maySend(list, r); err != nil {
			return err
		}
		return settle(tx, r, o.Who)
	})
	if err != nil {
		return Record{}, err
	}
	sub := r.Submission
	body, err := o.Open(sub)
	if err != nil {
		return Record{}, err
	}
	if hashOf(body) != sub.SHA256 {
		return Record{}, model.Problemf("submission-file", "", "the file is not the one that was prepared: its SHA-256 differs; prepare it anew")
	}
	_, err = change(ctx, st, tenant, id, func(tx store.Tx, list []Record, r *Record) error {
		if err := maySend(list, r); err != nil {
			return err
		}
		return add(tx, r, Event{At: o.Who.Now, By: o.Who.By, Act: ActSend, State: Sent, Attempt: r.Attempts() + 1})
	})
	if err != nil {
		return Record{}, err
	}
	got := o.Send(ctx, sub, body)
	// The answer is filed even when whoever waited is gone.
	return file(context.WithoutCancel(ctx), st, tenant, id, got, o)
}

// maySend keeps U3 and U4.
func maySend(list []Record, r *Record) error {
	switch {
	case r.State == Accepted:
		return model.Problemf("submission-accepted", "", "the register has accepted it; it is not sent twice")
	case !r.Standing():
		return model.Problemf("submission-replaced", "", "submission %s has taken its place", r.ReplacedBy)
	case r.Kind != KindEvents:
		return nil
	}
	for i := range list {
		o := &list[i]
		if o.Kind == KindEvents && o.Target == r.Target && o.To < r.From && o.Standing() && o.State != Accepted {
			return model.Problemf("submission-order", "", "submission %s (serials %d-%d) goes first and is %s: no message may be passed over", o.ID, o.From, o.To, o.State)
		}
	}
	return nil
}

// settle turns what a dead process left into unknown.
func settle(tx store.Tx, r *Record, who Who) error {
	if r.State != Sent {
		return nil
	}
	return add(tx, r, Event{At: who.Now, By: who.By, Act: ActInterrupted, State: Unknown,
		Reason: "the process ended before an answer was filed; the register may have it"})
}

func file(ctx context.Context, st store.Store, tenant model.TenantID, id string, got Receipt, o SendOptions) (Record, error) {
	at := o.Who.Now
	if o.After != nil {
		at = o.After()
	}
	return change(ctx, st, tenant, id, func(tx store.Tx, _ []Record, r *Record) error {
		e := Event{
			At: at, By: o.Who.By, Act: ActAnswer, State: got.State, Status: got.Status, Reference: got.Reference,
			MessageID: got.MessageID, KeyID: got.KeyID, Faults: got.Faults, Reason: got.Reason,
		}
		if got.State == Prepared {
			e.Act, e.State = ActNotSent, before(r.Events)
		}
		if e.Act == ActAnswer && got.MessageID != "" && got.MessageID != r.ID {
			e.State, e.Reason = Unknown, "the answer names another message than the one that was sent"
		}
		var err error
		if e.Sealed, err = seal(o.Seal, r, Private{Details: got.Details}); err != nil {
			return err
		}
		return add(tx, r, e)
	})
}

func seal(fn func([]byte, string) ([]byte, error), r *Record, p Private) ([]byte, error) {
	empty := p.Note == ""
	for _, d := range p.Details {
		empty = empty && d == ""
	}
	if empty {
		return nil, nil
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return fn(body, privateAD(r.ID, int64(len(r.Events))+1))
}

// Reveal opens what the register quoted, or what an operator noted. It is empty when there
// is none.
func (e *Event) Reveal(open func(sealed []byte, ad string) ([]byte, error)) (Private, error) {
	var p Private
	if len(e.Sealed) == 0 {
		return p, nil
	}
	body, err := open(e.Sealed, privateAD(e.Submission, e.Seq))
	if err != nil {
		return p, err
	}
	if json.Unmarshal(body, &p) != nil {
		return p, fmt.Errorf("%w: submission event", store.ErrCorrupt)
	}
	return p, nil
}

// Said is what somebody files of what the register said elsewhere: by e-mail, by telephone,
// on its pages.
type Said struct {
	Verdict string         // Accepted, Rejected, or "" when it says nothing of that
	Counts  map[string]int // the register's own numbers, by service type
	Note    string         // may name persons: it is sealed
}

// Feedback files it. It must not run beside a Send of the same tenant. Problems:
// submission-unknown, submission-feedback, submission-counts.
func Feedback(ctx context.Context, st store.Store, tenant model.TenantID, id string, said Said, who Who, sealer func([]byte, string) ([]byte, error)) (Record, error) {
	if said.Verdict == "" && len(said.Counts) == 0 && said.Note == "" || said.Verdict != "" && said.Verdict != Accepted && said.Verdict != Rejected {
		return Record{}, model.Problemf("submission-feedback", "", "say what the register said: a verdict (accepted or rejected), its counts, or a note")
	}
	for k, n := range said.Counts {
		if _, err := ParseService(k); err != nil {
			return Record{}, err
		}
		if n < 0 {
			return Record{}, model.Problemf("submission-counts", "/counts", "a count is not negative")
		}
	}
	return change(ctx, st, tenant, id, func(tx store.Tx, _ []Record, r *Record) error {
		if err := settle(tx, r, who); err != nil {
			return err
		}
		e := Event{At: who.Now, By: who.By, Act: ActFeedback, State: r.State, Counts: said.Counts}
		if said.Verdict != "" {
			e.State = said.Verdict
		}
		var err error
		if e.Sealed, err = seal(sealer, r, Private{Note: said.Note}); err != nil {
			return err
		}
		return add(tx, r, e)
	})
}

// Forgettable lists the submissions whose files are no longer needed: accepted, or replaced
// by one that is, at least keepDays ago.
func Forgettable(list []Record, now model.Millis, keepDays int) []Record {
	done := map[string]model.Millis{}
	for i := range list {
		if r := &list[i]; r.State == Accepted {
			for j := range slices.Backward(r.Events) {
				if r.Events[j].State == Accepted {
					done[r.ID] = r.Events[j].At // the earliest of the last run of accepted
				} else {
					break
				}
			}
		}
	}
	var out []Record
	for i := range list {
		r := &list[i]
		at, ok := done[r.ID]
		for by := r.ReplacedBy; !ok && by != ""; {
			at, ok = done[by]
			next, err := Find(list, by)
			if err != nil {
				break
			}
			by = next.ReplacedBy
		}
		if ok && r.State != Sent && now-at >= model.Millis(keepDays)*24*60*60*1000 {
			out = append(out, *r)
		}
	}
	return out
}

// Forgot files that files of a submission were removed.
func Forgot(ctx context.Context, st store.Store, tenant model.TenantID, id string, files []string, who Who) (Record, error) {
	return change(ctx, st, tenant, id, func(tx store.Tx, _ []Record, r *Record) error {
		return add(tx, r, Event{At: who.Now, By: who.By, Act: ActForget, State: r.State, Files: files})
	})
}
