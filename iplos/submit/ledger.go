package submit

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"

	"flette/model"
	"flette/store"
)

// Record is a submission with all that happened to it.
type Record struct {
	Submission
	Events     []Event `json:"events"`
	State      string  `json:"state"`
	ReplacedBy string  `json:"replaced_by,omitempty"`
}

// Standing says that nothing has taken its place.
func (r *Record) Standing() bool { return r.ReplacedBy == "" }

// Last returns the newest event with an act, nil for none.
func (r *Record) Last(act string) *Event {
	for i := range slices.Backward(r.Events) {
		if r.Events[i].Act == act {
			return &r.Events[i]
		}
	}
	return nil
}

// Attempts counts the requests that may have reached the register.
func (r *Record) Attempts() int {
	n := 0
	for i := range r.Events {
		switch r.Events[i].Act {
		case ActSend:
			n++
		case ActNotSent:
			n--
		}
	}
	return n
}

// ledgerLock is a person that nobody is: updates that name it are serialised (G1).
var ledgerLock = model.PersonID{'s', 'u', 'b', 'm', 'i', 't', '-', 'l', 'e', 'd', 'g', 'e', 'r', 0, 0, 1}

// Load reads the ledger, in the order in which things are sent: by target and kind, event
// messages by serial, yearly ones by year, then by when they were prepared.
func Load(v store.View) ([]Record, error) {
	subs, err := store.List[Submission](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	events, err := store.List[Event](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	out := make([]Record, len(subs))
	at := make(map[string]int, len(subs))
	for i, s := range subs {
		out[i] = Record{Submission: s, State: Prepared}
		at[s.ID] = i
	}
	for _, e := range events {
		if i, ok := at[e.Submission]; ok {
			out[i].Events, out[i].State = append(out[i].Events, e), e.State
		}
	}
	for _, s := range subs {
		if i, ok := at[s.Replaces]; ok {
			out[i].ReplacedBy = s.ID
		}
	}
	slices.SortFunc(out, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.From, b.From),
			cmp.Compare(a.Year, b.Year), cmp.Compare(a.Prepared, b.Prepared), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// Find returns one of the records. The problem is submission-unknown.
func Find(list []Record, id string) (*Record, error) {
	for i := range list {
		if list[i].ID == id {
			return &list[i], nil
		}
	}
	return nil, model.Problemf("submission-unknown", "/id", "there is no such submission; flette submit status shows those that are")
}

// Who says who does something, and when.
type Who struct {
	Now model.Millis
	By  string
}

// Prepare files a shipment; fresh is false when it stands in the ledger already. replaces
// names the submission whose place it takes, "" for none.
//
// Problems: submission-shipment (its form), submission-exists (another stands for the same
// serials or year, U5), submission-replaces (what it replaces is not there, is something
// else, or has been replaced), submission-order (serials before it are not in the ledger).
func Prepare(ctx context.Context, st store.Store, tenant model.TenantID, s Shipment, replaces string, who Who) (out Submission, fresh bool, err error) {
	if err := s.check(); err != nil {
		return out, false, err
	}
	sub := Submission{ID: idOf(tenant, s, replaces), Tenant: tenant, Replaces: replaces, Prepared: who.Now, By: who.By, Shipment: s}
	_, err = st.Update(ctx, tenant, []model.PersonID{ledgerLock}, func(tx store.Tx) error {
		list, err := Load(tx)
		if err != nil {
			return err
		}
		if r, err := Find(list, sub.ID); err == nil {
			out, fresh = r.Submission, false
			return nil
		}
		if err := admit(list, &sub); err != nil {
			return err
		}
		out, fresh = sub, true
		if err := store.Put(tx, sub); err != nil {
			return err
		}
		return add(tx, &Record{Submission: sub}, Event{At: who.Now, By: who.By, Act: ActPrepare, State: Prepared})
	})
	return out, fresh, err
}

// admit judges a new submission against those that stand.
func admit(list []Record, sub *Submission) error {
	var last int64
	for i := range list {
		r := &list[i]
		if r.Target != sub.Target || r.Kind != sub.Kind || !r.Standing() || r.ID == sub.Replaces {
			continue
		}
		if r.Year == sub.Year && r.From <= sub.To && sub.From <= r.To {
			return model.Problemf("submission-exists", "", "submission %s stands for the same; name it with --replace when this one takes its place (R75)", r.ID)
		}
		last = max(last, r.To)
	}
	if sub.Replaces == "" {
		if sub.Kind == KindEvents && sub.From > last+1 {
			return model.Problemf("submission-order", "", "the notifications %d-%d have to be prepared first", last+1, sub.From-1)
		}
		return nil
	}
	r, err := Find(list, sub.Replaces)
	switch {
	case err != nil:
		return model.Problemf("submission-replaces", "/replaces", "the submission to replace is not in the ledger")
	case r.Target != sub.Target || r.Kind != sub.Kind || r.Year != sub.Year || r.From != sub.From || r.To != sub.To:
		return model.Problemf("submission-replaces", "/replaces", "the submission to replace is of another kind, target, year or range of serials")
	case !r.Standing():
		return model.Problemf("submission-replaces", "/replaces", "it has been replaced already by %s", r.ReplacedBy)
	case r.State == Sent:
		return model.Problemf("submission-busy", "", "it is being sent just now")
	}
	return nil
}

// allowed says whether an act may lead from one state to another. before is the state that
// the last send began from.
func allowed(from, act, to, before string) bool {
	settled := from == Prepared || from == Unknown || from == Rejected || from == Accepted
	switch act {
	case ActPrepare:
		return from == "" && to == Prepared
	case ActSend:
		return settled && from != Accepted && to == Sent
	case ActAnswer:
		return from == Sent && (to == Accepted || to == Rejected || to == Unknown)
	case ActNotSent:
		return from == Sent && to == before
	case ActInterrupted:
		return from == Sent && to == Unknown
	case ActFeedback:
		return settled && (to == from || to == Accepted || to == Rejected)
	case ActForget:
		return settled && to == from
	}
	return false
}

// before is the state from which the last send began.
func before(events []Event) string {
	for i := len(events) - 1; i > 0; i-- {
		if events[i].Act == ActSend {
			return events[i-1].State
		}
	}
	return ""
}

var errAct = errors.New("submit: the act does not follow from the state")

// add appends an event to a record and stores it.
func add(tx store.Tx, r *Record, e Event) error {
	from, prev := "", any(r.Submission)
	if n := len(r.Events); n > 0 {
		from, prev = r.Events[n-1].State, r.Events[n-1]
	}
	if !allowed(from, e.Act, e.State, before(r.Events)) {
		return errAct
	}
	body, err := json.Marshal(prev, json.Deterministic(true))
	if err != nil {
		return err
	}
	e.Submission, e.Seq, e.Prev = r.ID, int64(len(r.Events))+1, hashOf(body)
	if err := store.Put(tx, e); err != nil {
		return err
	}
	r.Events, r.State = append(r.Events, e), e.State
	return nil
}

// change runs fn on a record inside an update, and returns the record as it is afterwards.
func change(ctx context.Context, st store.Store, tenant model.TenantID, id string, fn func(tx store.Tx, list []Record, r *Record) error) (Record, error) {
	var out Record
	_, err := st.Update(ctx, tenant, []model.PersonID{ledgerLock}, func(tx store.Tx) error {
		list, err := Load(tx)
		if err != nil {
			return err
		}
		r, err := Find(list, id)
		if err != nil {
			return err
		}
		err = fn(tx, list, r)
		out = *r
		return err
	})
	return out, err
}
