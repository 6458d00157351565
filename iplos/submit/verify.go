package submit

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"flette/store"
)

// maxDifferences ends a verification that finds nothing but differences.
const maxDifferences = 100

// VerifyLedger replays the ledger and returns what is wrong, one sentence each: a submission
// whose id is not that of its content or whose extract says something else, events that are
// missing, changed or do not follow from each other (U1), two that stand for the same (U5).
//
// The last events of a submission, taken away together, leave a shorter history that holds;
// what they said is lost, which is why the ledger belongs in the backup.
func VerifyLedger(v store.View) ([]string, error) {
	list, err := Load(v)
	if err != nil {
		return nil, err
	}
	c := checker{view: v, list: list}
	events := 0
	for i := range list {
		events += len(list[i].Events)
		if err := c.record(&list[i]); err != nil {
			return nil, err
		}
	}
	all, err := store.List[Event](v, "", "", 0)
	if err != nil {
		return nil, err
	}
	if len(all) != events {
		c.found = append(c.found, fmt.Sprintf("submissions: %d events belong to no submission", len(all)-events))
	}
	return c.found, nil
}

type checker struct {
	view  store.View
	list  []Record
	found []string
}

func (c *checker) say(r *Record, format string, args ...any) {
	if len(c.found) < maxDifferences {
		c.found = append(c.found, "submission "+r.ID+": "+fmt.Sprintf(format, args...))
	}
}

func (c *checker) record(r *Record) error {
	if r.ID != idOf(c.view.Tenant().ID, r.Shipment, r.Replaces) || r.Tenant != c.view.Tenant().ID {
		c.say(r, "its id is not that of its content")
	}
	if err := r.Shipment.check(); err != nil {
		c.say(r, "its content is not that of a shipment")
	}
	if r.Replaces != "" {
		if old, err := Find(c.list, r.Replaces); err != nil {
			c.say(r, "it replaces a submission that is not there")
		} else if old.ReplacedBy != r.ID {
			c.say(r, "it replaces a submission that another replaces too")
		}
	}
	for i := range c.list {
		o := &c.list[i]
		if o.ID < r.ID && o.Standing() && r.Standing() && o.Kind == r.Kind && o.Target == r.Target && o.Year == r.Year && o.From <= r.To && r.From <= o.To {
			c.say(r, "it stands for the same as %s (U5)", o.ID)
		}
	}
	if err := c.extract(r); err != nil {
		return err
	}
	return c.chain(r)
}

// extractSum is a store.Extract without its file.
type extractSum struct {
	Target string `json:"target"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	SHA256 string `json:"sha256"`
}

func (extractSum) DocKind() store.Kind { return store.Extract{}.DocKind() }
func (extractSum) DocKey() string      { return "" }

func (c *checker) extract(r *Record) error {
	if r.Extract == "" {
		return nil
	}
	x, err := store.Get[extractSum](c.view, r.Extract)
	switch {
	case errors.Is(err, store.ErrNotFound):
		c.say(r, "its extract is not there")
	case err != nil:
		return err
	case x.Target != r.Target || x.From != r.From || x.To != r.To || r.Path == "" && x.SHA256 != r.SHA256:
		c.say(r, "its extract is another")
	}
	return nil
}

func (c *checker) chain(r *Record) error {
	if len(r.Events) == 0 {
		c.say(r, "it has no history")
	}
	from, prev := "", any(r.Submission)
	for i := range r.Events {
		e := r.Events[i]
		body, err := json.Marshal(prev, json.Deterministic(true))
		if err != nil {
			return err
		}
		switch {
		case e.Seq != int64(i)+1:
			c.say(r, "event %d is missing", i+1)
			return nil
		case e.Prev != hashOf(body):
			c.say(r, "event %d does not follow from what stands before it", e.Seq)
		case !allowed(from, e.Act, e.State, before(r.Events[:i])):
			c.say(r, "event %d (%s) leads from %q to %q, which it cannot", e.Seq, e.Act, from, e.State)
		}
		from, prev = e.State, e
	}
	return nil
}
