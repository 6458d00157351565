package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
	"flette/sync"
)

// Who may not see a person, and who takes access in an emergency.

// block keeps an actor, or everybody, from a person; or lifts that.
func block(c *call) (answer, error) {
	var in contract.BlockRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if _, err := model.ParseActorID(string(in.Actor)); in.Actor != "" && err != nil {
		return answer{}, failAt("invalid-member", "/actor", "The actor id is 1-64 printable ASCII characters without spaces.")
	}
	if f := checkReason(&in.Reason); f != nil {
		return answer{}, f
	}
	// Asked before the person is looked up: whoever is blocked learns nothing by it.
	if in.Lift && in.Actor == c.who.actor {
		return answer{}, fail("forbidden", "A block that names you is lifted by somebody else.")
	}
	if err := c.view(func(v store.View) error { return c.mayName(v, "/person", in.Person) }); err != nil {
		return answer{}, err
	}
	b := sync.Block{Person: in.Person, Actor: in.Actor, Lift: in.Lift, By: string(c.who.actor), Reason: in.Reason}
	b.From = moment(in.From)
	version, err := c.engine().Block(c.ctx, c.who.tenant, b)
	return answer{status: http.StatusCreated, value: contract.BlockResponse{Version: version}}, err
}

// moment is a time that a request may leave out. To the engine 0 is none, so that somebody who
// really says 1970 gets the millisecond after it began: no open end, and not now.
func moment(t *model.Millis) model.Millis {
	if t == nil {
		return 0
	}
	if *t == 0 {
		return 1
	}
	return *t
}

func listBlocks(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	after, f := afterOf("blocks", c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	person, f := c.personQuery()
	if f != nil {
		return answer{}, f
	}
	out := contract.BlockList{Blocks: []contract.BlockView{}}
	err := c.view(func(v store.View) error {
		access, err := c.access(v)
		if err != nil {
			return err
		}
		if err := personThere(v, access, person); err != nil {
			return err
		}
		keep := func(p model.PersonID) bool { return (person == nil || p == *person) && access.Sees(p) }
		blocks, next, err := c.engine().Blocks(v, keep, after, limit)
		for i := range blocks {
			b := &blocks[i]
			out.Blocks = append(out.Blocks, contract.BlockView{
				Version: b.Seq, Person: b.Person, Actor: b.Actor, Event: b.Assignment.Block, From: b.From, InForce: b.InForce,
				By: b.By, At: b.At, Reason: model.Reason{Code: b.Code, Text: b.Reason},
			})
		}
		out.Next = nextOf("blocks", next)
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

const maxNumber = 64

// breakGlass gives the caller a person in an emergency. A number or person that is not known
// here gets one answer, and every try costs a token: nobody learns who is here by trying.
func breakGlass(c *call) (answer, error) {
	var in contract.BreakGlassRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	switch {
	case (in.Person != nil) == (in.NationalID != ""):
		return answer{}, failAt("invalid-member", "", "Give exactly one of person and national_id.")
	case len(in.NationalID) > maxNumber:
		return answer{}, failAt("invalid-member", "/national_id", "The number is too long.")
	case in.Minutes != nil && (*in.Minutes < 1 || *in.Minutes > int64(sync.MaxGlass/60_000)):
		return answer{}, failAt("invalid-member", "/minutes", "Emergency access is for 1 to 1440 minutes.")
	}
	if f := checkReason(&in.Reason); f != nil {
		return answer{}, f
	}
	if f := limited(c.s.glasses, string(c.who.tenant)+" "+string(c.who.actor), c.now); f != nil {
		return answer{}, f
	}
	r := sync.BreakGlass{
		Tenant: c.who.tenant, Actor: c.who.actor, Roles: c.who.roles, Number: in.NationalID,
		Reason: in.Reason,
	}
	if in.Minutes != nil {
		r.For = model.Millis(*in.Minutes) * 60_000
	}
	if in.Person != nil {
		r.Person = *in.Person
	}
	g, fresh, err := c.engine().BreakGlass(c.ctx, r)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			c.s.o.Log.Warn("emergency access to nobody", "request", c.ex.id, "tenant", string(c.who.tenant),
				"actor", string(c.who.actor), "missed", c.s.missed.Add(1))
		}
		return answer{}, err
	}
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
		c.s.o.Log.Warn("emergency access taken", "request", c.ex.id, "tenant", string(c.who.tenant),
			"actor", string(c.who.actor), "use", glassID(g.Seq))
	}
	return answer{status: status, value: glassView(&g)}, nil
}

// A use is called by the number of its caseload event.
const glassMark = "glass-"

func glassID(seq int64) string { return glassMark + strconv.FormatInt(seq, 10) }

func glassView(g *sync.Glass) contract.BreakGlassView {
	out := contract.BreakGlassView{
		ID: glassID(g.Seq), Person: g.Person, Actor: g.Actor, From: g.From, Until: g.To, Reason: g.Reason, State: sync.StateClosed,
	}
	if g.Open() {
		out.State = sync.StateOpen
		return out
	}
	out.FollowUp = &contract.FollowUp{By: g.FollowUp.By, At: g.FollowUp.At, Reason: g.FollowUp.Reason}
	return out
}

func listBreakGlass(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	state, f := c.choice("state", sync.StateOpen, sync.StateOpen, sync.StateClosed)
	if f != nil {
		return answer{}, f
	}
	list := "break-glass-" + state
	after, f := afterOf(list, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	out := contract.BreakGlassList{Uses: []contract.BreakGlassView{}}
	err := c.view(func(v store.View) error {
		access, err := c.access(v)
		if err != nil {
			return err
		}
		uses, next, err := c.engine().Glasses(v, state, access.Sees, after, limit)
		for i := range uses {
			out.Uses = append(out.Uses, glassView(&uses[i]))
		}
		out.Next = nextOf(list, next)
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

// followUp is a supervisor's word on somebody else's use of emergency access.
func followUp(c *call) (answer, error) {
	number, ok := strings.CutPrefix(c.id, glassMark)
	seq, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || seq < 1 || glassID(seq) != c.id {
		return answer{}, badPath()
	}
	var in contract.SettleRequest
	if f := decodeStrict(c.body, &in); f != nil {
		return answer{}, f
	}
	if f := checkReason(&in.Reason); f != nil {
		return answer{}, f
	}
	err = c.view(func(v store.View) error {
		g, err := c.engine().Glass(v, seq)
		if err != nil {
			return err
		}
		return c.sees(v, g.Person)
	})
	if err != nil {
		return answer{}, err
	}
	g, err := c.engine().FollowUp(c.ctx, c.who.tenant, seq, c.who.actor, in.Reason)
	return answer{status: http.StatusCreated, value: glassView(&g)}, err
}
