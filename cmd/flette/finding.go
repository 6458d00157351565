package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flette/iplos"
	"flette/model"
	"flette/store"
	"flette/sync"
)

type findingCmd struct {
	List      findingListCmd      `cmd:"" help:"List the rules that merged records break now."`
	Count     findingCountCmd     `cmd:"" help:"Count open findings by unit and rule, now and over time."`
	Release   findingReleaseCmd   `cmd:"" help:"Let a finding pass although the rule is broken."`
	Close     findingCloseCmd     `cmd:"" help:"Settle a finding that was handled, or is as it should be."`
	Reinstate findingReinstateCmd `cmd:"" help:"Open a settled finding again."`
}

// reasonFlags are those of everything that somebody answers for.
type reasonFlags struct {
	Code   string `default:"desk" placeholder:"CODE" help:"Code of the reason: a-z and hyphen."`
	Reason string `required:"" help:"Why, for the record."`
}

// Validate checks the shape that the record asks for.
func (r reasonFlags) Validate() error {
	if len(r.Code) == 0 || len(r.Code) > 40 || strings.Trim(r.Code, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return fmt.Errorf("--code: the code of a reason is 1-40 of a-z and hyphen")
	}
	if len(r.Reason) > 2000 {
		return fmt.Errorf("--reason: at most 2000 bytes")
	}
	return nil
}

func (r reasonFlags) reason() model.Reason { return model.Reason{Code: r.Code, Text: r.Reason} }

type findingListCmd struct {
	tenantFlags
	whichFindings
	State string `enum:"open,closed,released,all" default:"open" help:"open, closed, released or all."`
	Lang  string `enum:"en,nb" default:"en" help:"en, or nb for Norwegian."`
	JSON  bool   `help:"Print JSON."`
}

// whichFindings narrow lists and counts.
type whichFindings struct {
	Org      string `name:"org" placeholder:"UNIT" help:"Of persons of this organisation unit and those below it: local code or id."`
	Rule     string `placeholder:"RULE" help:"Of this rule: R49."`
	Severity string `enum:",B,M" default:"" help:"B or M."`
}

func (w *whichFindings) filter(v store.View, state string) (f sync.FindingFilter, err error) {
	f = sync.FindingFilter{State: state, Rule: w.Rule, Severity: w.Severity}
	if w.Org != "" {
		f.Owners, err = unitsUnder(v, w.Org)
	}
	return f, err
}

// Help is shown by --help.
func (*findingListCmd) Help() string {
	return `Lists findings: which rule (R-number) the record of whom breaks, in which unit, and since
when. B keeps a message from being right, M is a hint. A settled finding is open again when
what was judged has changed.

Example:

    flette finding list --data /srv/flette --tenant testvik`
}

type findingList struct {
	Tenant model.TenantID `json:"tenant"`
	State  string         `json:"state"` // "" for all
	Which  whichFindings  `json:"which"`
}

// findingView is a finding with what was said about it.
type findingView struct {
	store.Finding
	State  string        `json:"state"`
	By     model.EntryID `json:"settled_by,omitzero"`
	Reason *model.Reason `json:"reason,omitzero"`
}

var findingListOp = op[findingList, []findingView]{name: "finding-list", reads: true, run: func(ctx context.Context, a *app, in findingList) ([]findingView, error) {
	out := []findingView{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		filter, err := in.Which.filter(v, in.State)
		if err != nil {
			return err
		}
		for after := ""; ; {
			page, next, err := a.engine.Findings(v, nil, filter, after, 500)
			if err != nil {
				return err
			}
			for i := range page {
				row := findingView{Finding: page[i].Finding, State: page[i].State}
				if s := page[i].Settled; s != nil {
					row.By = s.By
					if row.Reason, err = reasonAt(v, s.Position); err != nil {
						return err
					}
				}
				out = append(out, row)
			}
			if after = next; next == "" {
				return nil
			}
		}
	})
	return out, err
}}

// reasonAt reads the reason of an entry.
func reasonAt(v store.View, position int64) (*model.Reason, error) {
	l, err := v.Entry(position)
	if err != nil {
		return nil, err
	}
	en, err := model.DecodeEntry(l.Payload)
	if err != nil {
		return nil, err
	}
	return en.Reason, nil
}

// Run lists the findings.
func (c *findingListCmd) Run(ctx context.Context, out *output) error {
	state := c.State
	if state == "all" {
		state = ""
	}
	list, err := doOp(ctx, c.dataFlags, findingListOp, findingList{c.id(), state, c.whichFindings})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"RULE", "SEVERITY", "STATE", "SINCE", "PERSON", "UNIT", "WHAT"}}
		for i := range list {
			f := &list[i]
			what := f.Detail
			if nb, ok := iplos.Norwegian(what); ok && c.Lang == "nb" {
				what = nb
			}
			if f.Reason != nil {
				what += " (" + f.Reason.Code + ": " + f.Reason.Text + ")"
			}
			rows = append(rows, []string{f.Rule, f.Severity, f.State, moment(f.Since), f.Person.String(), string(f.Unit), what})
		}
		return table(rows) + "\n" + plural(len(list), "finding")
	})
}

// findingFlags name one finding.
type findingFlags struct {
	tenantFlags
	reasonFlags
	Person string `required:"" placeholder:"UUID" help:"Whose record."`
	Rule   string `required:"" placeholder:"RULE" help:"Which rule: R49."`
	Unit   string `placeholder:"PATH" help:"Where, when the finding stands on a unit."`
}

type findingSettle struct {
	Tenant model.TenantID `json:"tenant"`
	Person model.PersonID `json:"person"`
	Rule   string         `json:"rule"`
	Unit   model.Unit     `json:"unit,omitempty"`
	Act    model.Act      `json:"act"`
	By     model.ActorID  `json:"by"`
	Reason model.Reason   `json:"reason"`
}

type settled struct {
	Entry model.EntryID `json:"entry"` // the desk's entry
}

var findingSettleOp = op[findingSettle, settled]{name: "finding-settle", run: func(ctx context.Context, a *app, in findingSettle) (out settled, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	done, err := a.engine.SettleFinding(ctx, sync.FindingAct{
		Tenant: in.Tenant, Person: in.Person, Ref: model.FindingRef{Rule: in.Rule, Unit: in.Unit}, Act: in.Act,
		Actor: in.By, Roles: model.Roles(model.RoleSupervisor), Reason: in.Reason,
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return out, problemf("not-found", "no such finding holds now, or it is not settled (flette finding list --state all)")
	case err != nil:
		return out, settleProblem(err)
	}
	out.Entry = done.Results[0].ID
	return out, nil
}}

// settleProblem gives the errors of settling a code and a sentence.
func settleProblem(err error) error {
	switch {
	case errors.Is(err, sync.ErrSettled):
		return problemf("already-settled", "it is settled already")
	case errors.Is(err, sync.ErrNotReleasable):
		return problemf("not-releasable", "what the entry says cannot be applied; close it and register anew")
	}
	return err
}

func (c *findingFlags) settle(ctx context.Context, out *output, act model.Act) error {
	person, err := model.ParsePersonID(c.Person)
	if err != nil {
		return problemf("invalid-id", "--person: the id of a person is a UUID in lower case (flette person list)")
	}
	ref := model.FindingRef{Rule: c.Rule, Unit: model.Unit(c.Unit)}
	if _, err := model.ParseFinding(ref.Path()); err != nil {
		return problemf("invalid-finding", "--rule and --unit name no finding: %v", err)
	}
	done, err := doOp(ctx, c.dataFlags, findingSettleOp, findingSettle{c.id(), person, ref.Rule, ref.Unit, act, model.ActorID(operator()), c.reason()})
	if err != nil {
		return err
	}
	return out.print(false, done, func() string { return "done, by entry " + done.Entry.String() })
}

type findingReleaseCmd struct{ findingFlags }

// Help is shown by --help.
func (*findingReleaseCmd) Help() string {
	return `Lets a finding pass although the rule is broken. It says so in the record and on the list;
what goes to the register stays as it is.

Example:

    flette finding release --data /srv/flette --tenant testvik --person UUID --rule R46 --reason "two helpers, agreed"`
}

// Run releases.
func (c *findingReleaseCmd) Run(ctx context.Context, out *output) error {
	return c.settle(ctx, out, model.ActRelease)
}

type findingCloseCmd struct{ findingFlags }

// Help is shown by --help.
func (*findingCloseCmd) Help() string {
	return `Settles a finding that was handled elsewhere, or that is as it should be.

Example:

    flette finding close --data /srv/flette --tenant testvik --person UUID --rule R107 --unit service/UUID/end --reason "followed up by phone"`
}

// Run closes.
func (c *findingCloseCmd) Run(ctx context.Context, out *output) error {
	return c.settle(ctx, out, model.ActClose)
}

type findingReinstateCmd struct{ findingFlags }

// Help is shown by --help.
func (*findingReinstateCmd) Help() string {
	return `Takes a release or close back: the finding is open as before.

Example:

    flette finding reinstate --data /srv/flette --tenant testvik --person UUID --rule R46 --reason "wrong person"`
}

// Run opens again.
func (c *findingReinstateCmd) Run(ctx context.Context, out *output) error {
	return c.settle(ctx, out, model.ActReinstate)
}
