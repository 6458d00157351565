package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// blockFlags choose whom a block keeps from whom.
type blockFlags struct {
	tenantFlags
	reasonFlags
	Person   string  `required:"" placeholder:"UUID" help:"The person."`
	Actor    string  `xor:"whom" required:"" placeholder:"ID" help:"The user, in any role."`
	Everyone bool    `xor:"whom" required:"" help:"Everybody but supervisors and administrators."`
	From     timeArg `placeholder:"TIME" help:"From this date or time; now when not given."`
}

type blockChange struct {
	Tenant model.TenantID `json:"tenant"`
	Block  sync.Block     `json:"block"`
}

var blockOp = op[blockChange, caseloadChanged]{name: "caseload-block", run: func(ctx context.Context, a *app, in blockChange) (out caseloadChanged, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	out.Persons = 1
	out.Version, err = a.engine.Block(ctx, in.Tenant, in.Block)
	return out, err
}}

func (c *blockFlags) change(ctx context.Context, out *output, lift bool) error {
	in := blockChange{Tenant: c.id(), Block: sync.Block{Actor: model.ActorID(c.Actor), Lift: lift, By: operator(), Reason: c.reason()}}
	var err error
	if in.Block.Person, err = model.ParsePersonID(c.Person); err != nil {
		return problemf("invalid-id", "--person: the id of a person is a UUID in lower case (flette person list)")
	}
	if _, err := model.ParseActorID(c.Actor); c.Actor != "" && err != nil {
		return problemf("invalid-id", "--actor: %v", err)
	}
	if in.Block.From, err = c.From.at(false); err != nil {
		return err
	}
	done, err := doOp(ctx, c.dataFlags, blockOp, in)
	if err != nil {
		return err
	}
	return out.print(false, done, func() string {
		whom, what := c.Actor, "blocked for"
		if c.Everyone {
			whom = "everybody"
		}
		if lift {
			what = "no longer blocked for"
		}
		return fmt.Sprintf("1 person %s %s", what, whom)
	})
}

type caseloadBlockCmd struct{ blockFlags }

// Help is shown by --help.
func (*caseloadBlockCmd) Help() string {
	return `Keeps a user, or everybody, from a person, whatever the caseloads say. Tablets remove the
person with their next pull, once what was written before has been handed in. A block of a
user and a block of everybody are two things, and each is lifted by itself.

Example:

    flette caseload block --data /srv/flette --tenant testvik --person UUID --actor anne --reason "is a relative"`
}

// Run blocks.
func (c *caseloadBlockCmd) Run(ctx context.Context, out *output) error {
	return c.change(ctx, out, false)
}

type caseloadUnblockCmd struct{ blockFlags }

// Help is shown by --help.
func (*caseloadUnblockCmd) Help() string {
	return `Lifts the block of a person, for a user or for everybody. With --actor it also makes an exception
of a block of everybody; with --everyone who is blocked by name stays so. Nobody is given the
person by that: the caseloads are as they were.

Example:

    flette caseload unblock --data /srv/flette --tenant testvik --person UUID --everyone --reason "withdrawn"`
}

// Run unblocks.
func (c *caseloadUnblockCmd) Run(ctx context.Context, out *output) error {
	return c.change(ctx, out, true)
}

type glassListCmd struct {
	tenantFlags
	State string `enum:"open,closed,all" default:"open" help:"open (to be followed up), closed or all."`
	JSON  bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*glassListCmd) Help() string {
	return `Lists uses of emergency access: who took whom, when, until when and why, and what a
supervisor wrote about it.

Example:

    flette caseload glass --data /srv/flette --tenant testvik`
}

type glassList struct {
	Tenant model.TenantID `json:"tenant"`
	State  string         `json:"state"` // "" for all
}

type glassRow struct {
	store.BreakGlass
	From   model.Millis `json:"from"`
	Until  model.Millis `json:"until"`
	Reason model.Reason `json:"reason"`
}

var glassListOp = op[glassList, []glassRow]{name: "glass-list", reads: true, run: func(ctx context.Context, a *app, in glassList) ([]glassRow, error) {
	out := []glassRow{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		for after := ""; ; {
			page, next, err := a.engine.Glasses(v, in.State, func(model.PersonID) bool { return true }, after, 500)
			if err != nil {
				return err
			}
			for i := range page {
				out = append(out, glassRow{page[i].BreakGlass, page[i].From, page[i].To, page[i].Reason})
			}
			if after = next; next == "" {
				return nil
			}
		}
	})
	return out, err
}}

// Run lists the uses.
func (c *glassListCmd) Run(ctx context.Context, out *output) error {
	state := c.State
	if state == "all" {
		state = ""
	}
	list, err := doOp(ctx, c.dataFlags, glassListOp, glassList{c.id(), state})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"USE", "ACTOR", "PERSON", "FROM", "UNTIL", "WHY", "FOLLOWED UP"}}
		for i := range list {
			g := &list[i]
			done := ""
			if g.FollowUp != nil {
				done = string(g.FollowUp.By) + ": " + g.FollowUp.Reason.Code
			}
			rows = append(rows, []string{
				fmt.Sprint("glass-", g.Seq), string(g.Actor), g.Person.String(), moment(g.From), moment(g.Until),
				strings.TrimSuffix(g.Reason.Code+": "+g.Reason.Text, ": "), done,
			})
		}
		return table(rows) + "\n" + plural(len(list), "use")
	})
}

type glassFollowUpCmd struct {
	tenantFlags
	reasonFlags
	By  actorArg `required:"" placeholder:"ID" help:"The supervisor who answers for it."`
	Use int64    `arg:"" help:"Number of the use, without glass- (flette caseload glass)."`
}

// Help is shown by --help.
func (*glassFollowUpCmd) Help() string {
	return `Writes what a supervisor found about a use of emergency access. It must be another than the
one who used it.

Example:

    flette caseload follow-up --data /srv/flette --tenant testvik --by sonja --reason "called the nurse" 12`
}

type glassFollowUp struct {
	Tenant model.TenantID `json:"tenant"`
	Use    int64          `json:"use"`
	By     model.ActorID  `json:"by"`
	Reason model.Reason   `json:"reason"`
}

var glassFollowUpOp = op[glassFollowUp, glassRow]{name: "glass-follow-up", run: func(ctx context.Context, a *app, in glassFollowUp) (glassRow, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return glassRow{}, err
	}
	g, err := a.engine.FollowUp(ctx, in.Tenant, in.Use, in.By, in.Reason)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = problemf("not-found", "there is no such use (flette caseload glass --state all)")
	case errors.Is(err, sync.ErrOwnUse):
		err = problemf("own-use", "who used it does not follow it up")
	case errors.Is(err, sync.ErrSettled):
		err = problemf("already-settled", "it has been followed up already")
	}
	return glassRow{g.BreakGlass, g.From, g.To, g.Reason}, err
}}

// Run follows up.
func (c *glassFollowUpCmd) Run(ctx context.Context, out *output) error {
	done, err := doOp(ctx, c.dataFlags, glassFollowUpOp, glassFollowUp{c.id(), c.Use, model.ActorID(c.By), c.reason()})
	if err != nil {
		return err
	}
	return out.print(false, done, func() string { return fmt.Sprintf("glass-%d is followed up", done.Seq) })
}
