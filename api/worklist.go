package api

import (
	"fmt"
	"net/http"

	"flette/iplos/flow"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
	"flette/sync"
)

const listWork = "worklist"

// listWorklist says what waits about persons, in order of person: a page ends with a person.
func listWorklist(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	after, f := afterOf(listWork, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	ahead, f := c.number("ahead", 30, 0, 3660)
	if f != nil {
		return answer{}, f
	}
	task := flow.Task(c.text("task"))
	if task != "" && !flow.Known(task) {
		return answer{}, badQuery("task")
	}
	today := catalogue.Date(model.DateInOslo(c.engine().Now()))
	out := contract.Worklist{Items: []contract.WorkItem{}}
	err := c.view(func(v store.View) error {
		access, err := c.access(v)
		if err != nil {
			return err
		}
		const persons = 200
		for {
			docs, err := store.List[store.Person](v, "", after, persons)
			if err != nil {
				return err
			}
			for i := range docs {
				id := docs[i].ID
				after = docs[i].DocKey()
				if !access.Sees(id) {
					continue
				}
				items, err := flow.Of(v, id, today, int(ahead), func() (map[string]string, error) { return c.engine().FindingStates(v, id) })
				if err != nil {
					return err
				}
				for _, it := range items {
					if task == "" || task == it.Task {
						out.Items = append(out.Items, contract.WorkItem{
							Person: id, Task: string(it.Task), Unit: it.Unit, Type: it.Type, Stage: string(it.Stage), Date: string(it.Date),
						})
					}
				}
				if len(out.Items) >= limit {
					out.Next = nextOf(listWork, after)
					return nil
				}
			}
			if len(docs) < persons {
				return nil
			}
		}
	})
	return answer{status: http.StatusOK, value: out}, err
}

// maxEnds are confirmed in one call: what a supervisor looks through on one screen.
const maxEnds = 200

// confirmEnds confirms ends that a supervisor has seen, each named (R107).
func confirmEnds(c *call) (answer, error) {
	var in contract.ConfirmEndsRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if n := len(in.Ends); n == 0 || n > maxEnds {
		return answer{}, failAt("invalid-member", "/ends", "1 to 200 ends are confirmed in one call.")
	}
	if f := checkReason(&in.Reason); f != nil {
		return answer{}, f
	}
	ask := sync.EndConfirmation{Tenant: c.who.tenant, Actor: c.who.actor, Roles: c.who.roles, Reason: in.Reason, Dry: in.DryRun}
	out := contract.ConfirmEndsResponse{Results: make([]contract.EndResult, len(in.Ends))}
	var at []int // of what is asked, in the answer
	err := c.view(func(v store.View) error {
		access, err := c.access(v)
		if err != nil {
			return err
		}
		for i, e := range in.Ends {
			if f := checkEnd(i, &e); f != nil {
				return f
			}
			out.Results[i] = contract.EndResult{Person: e.Person, Unit: e.Unit, Date: e.Date, Outcome: string(sync.EndNotFound)}
			if access.Sees(e.Person) {
				ask.Ends, at = append(ask.Ends, sync.EndSeen{Person: e.Person, Unit: e.Unit, Date: catalogue.Date(e.Date)}), append(at, i)
			}
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	done, err := c.engine().ConfirmEnds(c.ctx, ask)
	if err != nil {
		return answer{}, err
	}
	for j := range done {
		r := &out.Results[at[j]]
		r.Outcome = string(done[j].Outcome)
		if !done[j].Entry.IsZero() {
			r.Entry = &done[j].Entry
		}
	}
	return answer{status: http.StatusOK, value: out}, nil
}

func checkEnd(i int, e *contract.EndSeen) *failure {
	ref, err := model.ParseUnit(string(e.Unit))
	if err != nil || ref.Group != "" || ref.Section != "service" && ref.Section != "coercion" {
		return failAt("invalid-member", fmt.Sprintf("/ends/%d/unit", i), "The unit is that of a task confirm-end.")
	}
	if e.Date == "" || !isDate(e.Date) {
		return failAt("invalid-member", fmt.Sprintf("/ends/%d/date", i), "A date is written YYYY-MM-DD.")
	}
	return nil
}
