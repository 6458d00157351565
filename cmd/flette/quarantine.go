package main

import (
	"context"
	"errors"
	"strings"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"List authentic entries that wait for a person."`
	Release quarantineReleaseCmd `cmd:"" help:"Let a quarantined entry take effect."`
	Close   quarantineCloseCmd   `cmd:"" help:"Settle a quarantined entry without effect."`
}

type quarantineListCmd struct {
	tenantFlags
	State  string `enum:"open,released,closed,all" default:"open" help:"open, released, closed or all."`
	Unit   string `placeholder:"LOCAL" help:"Persons whose home unit is this one or below it."`
	Person string `placeholder:"UUID" help:"Entries about this person."`
	Actor  string `placeholder:"ID" help:"Persons whom this user has in the caseload now."`
	JSON   bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*quarantineListCmd) Help() string {
	return `Lists entries that are kept and wait for a decision: why, who wrote them, where the person
belongs now and who has the person now. Values are not shown.

Example:

    flette quarantine list --data /srv/flette --tenant testvik --unit sone-nord`
}

type quarantineList struct {
	Tenant model.TenantID `json:"tenant"`
	State  string         `json:"state"` // "" for all
	Unit   string         `json:"unit,omitempty"`
	Person model.PersonID `json:"person,omitzero"`
	Actor  model.ActorID  `json:"actor,omitempty"`
}

type quarantineRow struct {
	store.QuarantineItem
	HomeUnit string          `json:"home_unit,omitempty"`
	Owners   []model.ActorID `json:"owners"`
}

var quarantineListOp = op[quarantineList, []quarantineRow]{name: "quarantine-list", reads: true, run: func(ctx context.Context, a *app, in quarantineList) ([]quarantineRow, error) {
	out := []quarantineRow{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		f := sync.QuarantineFilter{State: in.State, Person: in.Person, Owner: in.Actor}
		if in.Unit != "" {
			units, err := store.List[store.OrgUnit](v, "", "", 0)
			if err != nil {
				return err
			}
			for _, u := range units {
				if u.ID == in.Unit || u.Local == in.Unit {
					f.Unit = u.ID
				}
			}
			if f.Unit == "" {
				return problemf("unknown-unit", "no organisation unit has this id or local code (flette unit list)")
			}
		}
		names, err := unitNames(v)
		if err != nil {
			return err
		}
		for after := ""; ; {
			page, next, err := a.engine.Quarantine(v, f, after, 500)
			if err != nil {
				return err
			}
			for i := range page {
				out = append(out, quarantineRow{page[i].QuarantineItem, names[page[i].Home], page[i].Owners})
			}
			if after = next; next == "" {
				return nil
			}
		}
	})
	return out, err
}}

// Run lists the entries.
func (c *quarantineListCmd) Run(ctx context.Context, out *output) error {
	in := quarantineList{Tenant: c.id(), State: c.State, Unit: c.Unit, Actor: model.ActorID(c.Actor)}
	if c.State == "all" {
		in.State = ""
	}
	if c.Person != "" {
		var err error
		if in.Person, err = model.ParsePersonID(c.Person); err != nil {
			return problemf("invalid-id", "--person: the id of a person is a UUID in lower case (flette person list)")
		}
	}
	list, err := doOp(ctx, c.dataFlags, quarantineListOp, in)
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ENTRY", "STATE", "CODE", "SINCE", "ACTOR", "PERSON", "UNIT", "WITH"}}
		for i := range list {
			q := &list[i]
			with := make([]string, len(q.Owners))
			for j, o := range q.Owners {
				with[j] = string(o)
			}
			person := ""
			if !q.Person.IsZero() {
				person = q.Person.String()
			}
			rows = append(rows, []string{
				q.ID.String(), q.State, q.Code, moment(q.Received), string(q.Actor), person, q.HomeUnit, strings.Join(with, " "),
			})
		}
		return table(rows) + "\n" + plural(len(list), "item")
	})
}

type quarantineFlags struct {
	tenantFlags
	reasonFlags
	Entry string `arg:"" help:"Id of the entry (flette quarantine list)."`
}

type quarantineSettle struct {
	Tenant model.TenantID `json:"tenant"`
	Entry  model.EntryID  `json:"entry"`
	Act    model.Act      `json:"act"`
	By     model.ActorID  `json:"by"`
	Reason model.Reason   `json:"reason"`
}

var quarantineSettleOp = op[quarantineSettle, settled]{name: "quarantine-settle", run: func(ctx context.Context, a *app, in quarantineSettle) (out settled, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	done, err := a.engine.Settle(ctx, in.Tenant, in.Entry, in.Act, in.By, model.Roles(model.RoleSupervisor), in.Reason)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return out, problemf("not-found", "no such entry is in quarantine (flette quarantine list --state all)")
	case err != nil:
		return out, settleProblem(err)
	}
	out.Entry = done.Results[0].ID
	return out, nil
}}

func (c *quarantineFlags) settle(ctx context.Context, out *output, act model.Act) error {
	id, err := model.ParseEntryID(c.Entry)
	if err != nil {
		return problemf("invalid-id", "the id of an entry is 43 characters (flette quarantine list)")
	}
	done, err := doOp(ctx, c.dataFlags, quarantineSettleOp, quarantineSettle{c.id(), id, act, model.ActorID(operator()), c.reason()})
	if err != nil {
		return err
	}
	return out.print(false, done, func() string { return "done, by entry " + done.Entry.String() })
}

type quarantineReleaseCmd struct{ quarantineFlags }

// Help is shown by --help.
func (*quarantineReleaseCmd) Help() string {
	return `Lets a quarantined entry take effect as it was signed. Its device and whoever has the person
are told.

Example:

    flette quarantine release --data /srv/flette --tenant testvik --reason "was there" ENTRY`
}

// Run releases.
func (c *quarantineReleaseCmd) Run(ctx context.Context, out *output) error {
	return c.settle(ctx, out, model.ActRelease)
}

type quarantineCloseCmd struct{ quarantineFlags }

// Help is shown by --help.
func (*quarantineCloseCmd) Help() string {
	return `Settles a quarantined entry without effect. It stays in the journal, as it was signed.

Example:

    flette quarantine close --data /srv/flette --tenant testvik --reason "registered anew" ENTRY`
}

// Run closes.
func (c *quarantineCloseCmd) Run(ctx context.Context, out *output) error {
	return c.settle(ctx, out, model.ActClose)
}
