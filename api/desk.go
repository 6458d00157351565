package api

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// What a supervisor does: reviews and quarantine.

func listReviews(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	state, f := c.choice("state", sync.StateOpen, sync.StateOpen, sync.StateClosed)
	if f != nil {
		return answer{}, f
	}
	// The two queues have keys of their own, so each has cursors of its own.
	list := "reviews-" + state
	after, f := afterOf(list, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	out := contract.ReviewList{Reviews: []contract.ReviewView{}}
	err := c.view(func(v store.View) error {
		reviews, next, err := c.engine().Reviews(v, state, after, limit)
		if err != nil {
			return err
		}
		access, err := c.access(v)
		if err != nil {
			return err
		}
		for _, r := range reviews {
			if !access.Sees(r.Person) {
				continue
			}
			view, err := c.reviewView(v, r)
			if err != nil {
				return err
			}
			out.Reviews = append(out.Reviews, view)
		}
		out.Next = nextOf(list, next)
		return nil
	})
	return answer{status: http.StatusOK, value: out}, err
}

var idShape = regexp.MustCompile(`^[A-Za-z0-9._~:-]{1,200}$`)

func getReview(c *call) (answer, error) {
	view, err := c.readReview()
	return answer{status: http.StatusOK, value: view, etag: etagOf(&view)}, err
}

func (c *call) readReview() (view contract.ReviewView, err error) {
	if !idShape.MatchString(c.id) {
		return view, badPath()
	}
	err = c.view(func(v store.View) error {
		r, err := c.engine().Review(v, c.id)
		if err != nil {
			return err
		}
		if err := c.sees(v, r.Person); err != nil {
			return err
		}
		view, err = c.reviewView(v, r)
		return err
	})
	return view, err
}

var headSetShape = regexp.MustCompile(`^"[!#-~]{1,200}"$`)

// decide settles a review for the heads that the supervisor saw.
func decide(c *call) (answer, error) {
	if !idShape.MatchString(c.id) {
		return answer{}, badPath()
	}
	if len(c.ifMatch) == 0 {
		return answer{}, fail("precondition-required", "")
	}
	if len(c.ifMatch) > 1 || !headSetShape.MatchString(c.ifMatch[0]) {
		return answer{}, fail("invalid-header", "If-Match is one ETag of the review.")
	}
	in, f := c.decision()
	if f != nil {
		return answer{}, f
	}
	if _, err := c.readReview(); err != nil {
		return answer{}, err // who may not see the person decides nothing
	}
	result, err := c.decideOn(in, strings.Trim(c.ifMatch[0], `"`))
	if errors.Is(err, sync.ErrHeadsMoved) {
		return answer{}, c.moved()
	}
	if err != nil {
		return answer{}, decisionError(err)
	}
	r := &result.Results[0]
	if r.Outcome == sync.OutcomeRefused {
		return answer{}, failAt("invalid-member", "/entry", r.Problem.Detail)
	}
	view, err := c.readReview()
	return answer{status: http.StatusCreated, etag: etagOf(&view), value: contract.DecisionResponse{
		Result: resultView(0, r), Review: view, Checkpoint: string(result.Checkpoint),
	}}, err
}

// decision reads the body: choose or value with a reason, or a signed entry alone.
func (c *call) decision() (in contract.DecisionRequest, f *failure) {
	if f := decodeStrict(c.body, &in); f != nil {
		return in, f
	}
	given := 0
	for _, is := range []bool{in.Choose != nil, len(in.Value) != 0, in.Entry != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return in, failAt("invalid-member", "", "Give exactly one of choose, value and entry.")
	case in.Entry != "" && in.Reason != nil:
		return in, failAt("invalid-member", "/reason", "The reason of an entry stands in the entry.")
	case in.Entry != "":
		return in, nil
	case in.Reason == nil:
		return in, failAt("invalid-member", "/reason", "A decision needs a reason.")
	case len(in.Value) != 0 && in.Value.Kind() != '{':
		return in, failAt("invalid-member", "/value", "The value is an object.")
	case len(in.Value) > model.MaxValueBytes:
		return in, failAt("invalid-member", "/value", "The value is too large.")
	}
	return in, checkReason(in.Reason)
}

var reasonShape = regexp.MustCompile(`^[a-z-]{1,40}$`)

func checkReason(r *model.Reason) *failure {
	switch {
	case !reasonShape.MatchString(r.Code):
		return failAt("invalid-member", "/reason/code", "The code of a reason is 1-40 of a-z and hyphen.")
	case len(r.Text) > 2000:
		return failAt("invalid-member", "/reason/text", "The text of a reason is at most 2000 bytes.")
	}
	return nil
}

func (c *call) decideOn(in contract.DecisionRequest, headSet string) (*sync.PushResult, error) {
	if in.Entry != "" {
		return c.engine().DecideEntry(c.ctx, c.who.tenant, c.id, headSet, c.who.actor, []byte(in.Entry))
	}
	return c.engine().Decide(c.ctx, sync.Decision{
		Tenant: c.who.tenant, Review: c.id, HeadSet: headSet, Actor: c.who.actor, Roles: c.who.roles,
		Choose: in.Choose, Value: in.Value, Reason: *in.Reason,
	})
}

// moved answers 412 with the review as it is now, so that the supervisor sees both at once.
func (c *call) moved() error {
	view, err := c.readReview()
	if err != nil {
		return err
	}
	f := fail("precondition-failed", "")
	f.Current, f.etag = &view, etagOf(&view)
	return f
}

// decisionError points into the request instead of into the entry that the desk made of it.
func decisionError(err error) error {
	var p *model.Problem
	if !errors.As(err, &p) {
		return err
	}
	at := *p
	if rest, ok := strings.CutPrefix(at.Pointer, "/changes/0"); ok {
		at.Pointer = rest
	}
	return &at
}

func listQuarantine(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	state, f := c.choice("state", sync.StateOpen, sync.StateOpen, sync.StateReleased, sync.StateClosed)
	if f != nil {
		return answer{}, f
	}
	filter, f := c.quarantineFilter(state)
	if f != nil {
		return answer{}, f
	}
	list := "quarantine-" + state
	after, f := afterOf(list, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	out := contract.QuarantineList{Items: []contract.QuarantineView{}}
	err := c.view(func(v store.View) (err error) {
		if filter.Sees, err = c.access(v); err != nil {
			return err
		}
		items, next, err := c.engine().Quarantine(v, filter, after, limit)
		if err != nil {
			return err
		}
		for i := range items {
			view, err := quarantineView(v, &items[i])
			if err != nil {
				return err
			}
			out.Items = append(out.Items, view)
		}
		out.Next = nextOf(list, next)
		return nil
	})
	return answer{status: http.StatusOK, value: out}, err
}

func (c *call) quarantineFilter(state string) (out sync.QuarantineFilter, f *failure) {
	out = sync.QuarantineFilter{State: state, Unit: c.text("unit"), Owner: model.ActorID(c.text("actor"))}
	person, f := c.personQuery()
	if person != nil {
		out.Person = *person
	}
	if _, err := model.ParsePersonID(out.Unit); out.Unit != "" && err != nil {
		return out, badQuery("unit") // a UUID in its one spelling, like the id of a person
	}
	if _, err := model.ParseActorID(string(out.Owner)); out.Owner != "" && err != nil {
		return out, badQuery("actor")
	}
	return out, f
}

func getQuarantined(c *call) (answer, error) {
	id, err := model.ParseEntryID(c.id)
	if err != nil {
		return answer{}, badPath()
	}
	view, err := c.quarantined(id)
	return answer{status: http.StatusOK, value: view}, err
}

func (c *call) quarantined(id model.EntryID) (view contract.QuarantineView, err error) {
	item, err := c.engine().QuarantineItem(c.ctx, c.who.tenant, id)
	if err != nil {
		return view, err
	}
	err = c.view(func(v store.View) error {
		if err := c.sees(v, item.Person); err != nil {
			return err
		}
		status, err := c.engine().QuarantineStatus(v, &item)
		if err != nil {
			return err
		}
		view, err = quarantineView(v, &status)
		return err
	})
	return view, err
}

func release(c *call) (answer, error)          { return c.settle(model.ActRelease) }
func closeQuarantined(c *call) (answer, error) { return c.settle(model.ActClose) }

func (c *call) settle(act model.Act) (answer, error) {
	id, err := model.ParseEntryID(c.id)
	if err != nil {
		return answer{}, badPath()
	}
	var in contract.SettleRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if f := checkReason(&in.Reason); f != nil {
		return answer{}, f
	}
	if _, err := c.quarantined(id); err != nil {
		return answer{}, err // who may not see the person settles nothing
	}
	result, err := c.engine().Settle(c.ctx, c.who.tenant, id, act, c.who.actor, c.who.roles, in.Reason)
	var p *model.Problem
	if errors.As(err, &p) {
		// The entry's own content is refused now: nothing in this request could change that.
		f := fail("not-releasable", p.Detail)
		f.Rule = p.Rule
		return answer{}, f
	}
	if err != nil {
		return answer{}, err
	}
	view, err := c.quarantined(id)
	return answer{status: http.StatusCreated, value: contract.SettleResponse{
		Result: resultView(0, &result.Results[0]), Item: view, Checkpoint: string(result.Checkpoint),
	}}, err
}
