package sync

import (
	"context"
	"errors"
	"strings"

	"flette/model"
	"flette/model/catalogue"
	"flette/store"
)

// EndSeen is a service or measure that ended, as the supervisor has it on the screen: the
// unit and date of its task on the worklist (R107).
type EndSeen struct {
	Person model.PersonID `json:"person"`
	Unit   model.Unit     `json:"unit"` // service/<id> or coercion/<id>
	Date   catalogue.Date `json:"date"` // on which it ended
}

// EndOutcome is what became of one of them.
type EndOutcome string

// Outcomes of a confirmation.
const (
	EndConfirmed EndOutcome = "confirmed"         // by this call; in a dry run: it would be
	EndAlready   EndOutcome = "already-confirmed" // a supervisor has said so before
	EndChanged   EndOutcome = "changed"           // it has another end now, or none: look again
	EndNotFound  EndOutcome = "not-found"         // no such end waits about such a person
)

// EndResult is the answer to one of them.
type EndResult struct {
	EndSeen
	Outcome EndOutcome    `json:"outcome"`
	Entry   model.EntryID `json:"entry,omitzero"` // that confirmed it
}

// EndConfirmation is one supervisor's word about ends, each named.
type EndConfirmation struct {
	Tenant model.TenantID
	Actor  model.ActorID
	Roles  model.Roles
	Reason model.Reason
	Dry    bool // says what would be done
	Ends   []EndSeen
}

// ConfirmEnds closes the finding of R107 on each end, by an entry of its own with the same
// reason: what is confirmed in one go is on record as if it had been one by one. An end that is
// not as it was seen is left alone and told. Doing it again does nothing; after an error, do
// it again. The only error about an item is a reason or role that the desk refuses for all.
func (e *Engine) ConfirmEnds(ctx context.Context, c EndConfirmation) ([]EndResult, error) {
	ts, err := e.tenant(c.Tenant)
	if err != nil {
		return nil, err
	}
	out := make([]EndResult, len(c.Ends))
	for i, seen := range c.Ends {
		r := &out[i]
		r.EndSeen = seen
		look := func(v store.View) (err error) {
			r.Outcome, r.Entry, err = e.lookAtEnd(v, seen)
			return err
		}
		if c.Dry {
			if err := e.st.View(ctx, c.Tenant, look); err != nil {
				return nil, err
			}
			continue
		}
		done, err := e.deskPush(ctx, c.Tenant, ts, deskAct{
			person: seen.Person, actor: c.Actor, roles: c.Roles, act: model.ActClose, reason: &c.Reason,
			changes: []model.Change{{Unit: model.FindingRef{Rule: "R107", Unit: seen.finding()}.Path()}},
		}, func(tx store.Tx) error {
			if err := look(tx); err != nil {
				return err
			}
			if r.Outcome != EndConfirmed {
				return errNothingToDo
			}
			return nil
		})
		switch {
		case errors.Is(err, errNothingToDo):
		case err != nil:
			return nil, err
		default:
			r.Entry = done.Results[0].ID
		}
	}
	return out, nil
}

var errNothingToDo = errors.New("sync: nothing to do")

// finding is the unit on which R107 stands.
func (s EndSeen) finding() model.Unit {
	if strings.HasPrefix(string(s.Unit), "service/") {
		return s.Unit + "/end"
	}
	return s.Unit
}

// lookAtEnd compares what was seen with the record of now.
func (e *Engine) lookAtEnd(v store.View, seen EndSeen) (EndOutcome, model.EntryID, error) {
	none := model.EntryID{}
	ref, err := model.ParseUnit(string(seen.Unit))
	if err != nil || ref.Group != "" || ref.Section != "service" && ref.Section != "coercion" {
		return EndNotFound, none, nil
	}
	state, err := v.Unit(seen.Person, seen.finding())
	if err != nil {
		return "", none, err
	}
	var day catalogue.Date
	head := state.Shown()
	switch {
	case state == nil:
		return EndNotFound, none, nil
	case head == nil:
		return EndChanged, none, nil // taken back
	case ref.Section == "service":
		end, err := catalogue.Decode[catalogue.End](head.Value)
		if err != nil {
			return EndChanged, none, nil
		}
		day = end.Date
	default:
		measure, err := catalogue.Decode[catalogue.Coercion](head.Value)
		if err != nil {
			return EndChanged, none, nil
		}
		if measure.Type == "23" {
			return EndNotFound, none, nil // over when it is documented: nobody waits
		}
		day = measure.End
	}
	if day == "" || day != seen.Date {
		return EndChanged, none, nil
	}
	found, err := e.findingsOf(v, seen.Person)
	if err != nil {
		return "", none, err
	}
	for i := range found {
		if f := &found[i]; f.Rule == "R107" && f.Unit == seen.finding() {
			if f.State == StateOpen {
				return EndConfirmed, none, nil
			}
			return EndAlready, f.Settled.By, nil
		}
	}
	if string(day) >= model.DateInOslo(e.o.Now()) && ref.Section == "coercion" {
		return EndNotFound, none, nil // its end lies ahead
	}
	return EndAlready, head.ID, nil // decided on, or registered at the desk
}
