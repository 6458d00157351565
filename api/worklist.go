package api

import (
	"net/http"

	"flette/iplos/flow"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
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
