package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type caseloadCmd struct {
	Assign caseloadAssignCmd `cmd:"" help:"Give a user persons."`
	End    caseloadEndCmd    `cmd:"" help:"Take persons from a user."`
	Plan   caseloadPlanCmd   `cmd:"" help:"Say whom a user visits on a day, in order."`
	Show   caseloadShowCmd   `cmd:"" help:"Show whom a user has now."`

	Block    caseloadBlockCmd   `cmd:"" help:"Keep a user, or everybody, from a person."`
	Unblock  caseloadUnblockCmd `cmd:"" help:"Lift blocks of a person."`
	Glass    glassListCmd       `cmd:"" help:"List uses of emergency access."`
	FollowUp glassFollowUpCmd   `cmd:"" name:"follow-up" help:"Follow up a use of emergency access."`
}

// caseloadFlags choose whose caseload changes and by which persons.
type caseloadFlags struct {
	tenantFlags
	Actor  actorArg `required:"" placeholder:"ID" help:"The user."`
	Person []string `xor:"which" placeholder:"UUID" help:"A person; may be given again, or with commas between."`
	Unit   string   `xor:"which" placeholder:"LOCAL" help:"All persons whose home unit is this one or below it."`
	File   string   `xor:"which" placeholder:"FILE" help:"File with the id of a person on each line; - for standard input."`
	All    bool     `xor:"which" help:"All persons of the municipality."`
	From   timeArg  `placeholder:"TIME" help:"From this date or time; now when not given."`
	Reason string   `help:"Why, for the record."`
	JSON   bool     `help:"Print JSON."`
}

// Validate makes sure that somebody is chosen.
func (c *caseloadFlags) Validate() error {
	if len(c.Person) == 0 && c.Unit == "" && c.File == "" && !c.All {
		return fmt.Errorf("choose persons by --person, --unit, --file or --all")
	}
	for _, p := range c.Person {
		if _, err := model.ParsePersonID(p); err != nil {
			return fmt.Errorf("--person: the id of a person is a UUID in lower case (flette person list)")
		}
	}
	return nil
}

// caseloadChange is the input of the operation.
type caseloadChange struct {
	Tenant model.TenantID `json:"tenant"`
	Change sync.Assign    `json:"change"`
	Unit   string         `json:"unit,omitempty"`
	All    bool           `json:"all,omitempty"`
}

type caseloadChanged struct {
	Persons int   `json:"persons"`
	Version int64 `json:"version"` // of the caseloads
}

var caseloadChangeOp = op[caseloadChange, caseloadChanged]{name: "caseload-change", run: func(ctx context.Context, a *app, in caseloadChange) (out caseloadChanged, err error) {
	change := in.Change
	err = a.view(ctx, in.Tenant, func(v store.View) error {
		if in.All || in.Unit != "" {
			if change.Persons, err = personsOf(v, in.Unit); err != nil {
				return err
			}
		}
		out.Persons = len(change.Persons)
		if in.Change.End {
			out.Persons, err = a.engine.Holding(v, change.Actor, change.Persons, change.From)
		}
		return err
	})
	if err != nil {
		return out, err
	}
	if len(change.Persons) == 0 {
		return out, problemf("nobody", "nobody fits; nothing was changed")
	}
	out.Version, err = a.engine.Assign(ctx, in.Tenant, change)
	return out, err
}}

// personsOf lists the persons of a unit and of those below it, of all units when unit is "".
func personsOf(v store.View, unit string) ([]model.PersonID, error) {
	var under map[string]bool
	if unit != "" {
		var err error
		if under, err = unitsUnder(v, unit); err != nil {
			return nil, err
		}
	}
	persons, err := store.List[store.Person](v, "", "", 0)
	var out []model.PersonID
	for _, p := range persons {
		if unit == "" || under[p.Unit] {
			out = append(out, p.ID)
		}
	}
	return out, err
}

func (c *caseloadFlags) change(ctx context.Context, out *output, to timeArg, end bool) error {
	in := caseloadChange{Tenant: c.id(), Unit: c.Unit, All: c.All, Change: sync.Assign{
		Actor: model.ActorID(c.Actor), End: end, By: operator(), Reason: c.Reason,
	}}
	var err error
	if in.Change.Persons, err = c.persons(); err != nil {
		return err
	}
	if in.Change.From, err = c.From.at(false); err != nil {
		return err
	}
	if in.Change.To, err = to.at(true); err != nil {
		return err
	}
	done, err := doOp(ctx, c.dataFlags, caseloadChangeOp, in)
	if err != nil {
		return err
	}
	return out.print(c.JSON, done, func() string {
		what := "given to"
		if end {
			what = "taken from"
		}
		if done.Persons == 0 {
			return string(c.Actor) + " has none of them; nothing is taken"
		}
		return fmt.Sprintf("%s %s %s", plural(done.Persons, "person"), what, c.Actor)
	})
}

// persons reads the ids that were given one by one.
func (c *caseloadFlags) persons() ([]model.PersonID, error) {
	words := c.Person
	if c.File != "" {
		var r io.Reader = os.Stdin
		if c.File != "-" {
			f, err := os.Open(c.File)
			if err != nil {
				return nil, problemf("file", "the file cannot be read: %v", err)
			}
			defer f.Close()
			r = f
		}
		lines := bufio.NewScanner(io.LimitReader(r, maxFile))
		for lines.Scan() {
			words = append(words, strings.TrimSpace(lines.Text()))
		}
		if err := lines.Err(); err != nil {
			return nil, problemf("file", "the file cannot be read: %v", err)
		}
	}
	var out []model.PersonID
	var bad problem
	for i, w := range words {
		if w == "" {
			continue
		}
		p, err := model.ParsePersonID(w)
		if err != nil {
			bad.Lines = append(bad.Lines, lineProblem{Line: i + 1, Code: "invalid-id", Detail: "the id of a person is a UUID in lower case (flette person list)"})
		}
		out = append(out, p)
	}
	if len(bad.Lines) > 0 {
		bad.Code, bad.Detail = "import-refused", plural(len(bad.Lines), "line")+" cannot be read; nothing was changed"
		return nil, &bad
	}
	return out, nil
}

type caseloadAssignCmd struct {
	caseloadFlags
	To timeArg `placeholder:"TIME" help:"Up to the end of this date, or up to this time; open when not given."`
}

// Help is shown by --help.
func (*caseloadAssignCmd) Help() string {
	return `Gives a user persons to see and write about, from a time and up to a time. Tablets get them
with their next pull.

Examples:

    flette caseload assign --data /srv/flette --tenant testvik --actor anne --unit sone-nord
    flette caseload assign --data /srv/flette --tenant testvik --actor anne --all --from 2026-11-23 --to 2026-12-31`
}

// Run assigns.
func (c *caseloadAssignCmd) Run(ctx context.Context, out *output) error {
	return c.change(ctx, out, c.To, false)
}

type caseloadEndCmd struct{ caseloadFlags }

// Help is shown by --help.
func (*caseloadEndCmd) Help() string {
	return `Takes persons from a user, now or at --from. Tablets remove them once what was written
about them has been handed in.

Example:

    flette caseload end --data /srv/flette --tenant testvik --actor anne --all --reason "new job"`
}

// Run ends assignments.
func (c *caseloadEndCmd) Run(ctx context.Context, out *output) error {
	return c.change(ctx, out, "", true)
}

type caseloadShowCmd struct {
	tenantFlags
	Actor actorArg `required:"" placeholder:"ID" help:"The user."`
	JSON  bool     `help:"Print JSON."`
}

// Help is shown by --help.
func (*caseloadShowCmd) Help() string {
	return `Shows whom a user has now: ids, and numbers within the municipality.

Example:

    flette caseload show --data /srv/flette --tenant testvik --actor anne`
}

type caseloadShow struct {
	Tenant model.TenantID `json:"tenant"`
	Actor  model.ActorID  `json:"actor"`
}

type caseloadPerson struct {
	ID       model.PersonID `json:"id"`
	BrukerNr int64          `json:"bruker_nr"`
	Unit     string         `json:"unit,omitempty"`
}

var caseloadShowOp = op[caseloadShow, []caseloadPerson]{name: "caseload-show", reads: true, run: func(ctx context.Context, a *app, in caseloadShow) ([]caseloadPerson, error) {
	out := []caseloadPerson{}
	err := a.view(ctx, in.Tenant, func(v store.View) error {
		ids, err := a.engine.Caseload(v, in.Actor, a.engine.Now())
		if err != nil {
			return err
		}
		units, err := unitNames(v)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p, err := store.Get[store.Person](v, id.String())
			if err != nil {
				return err
			}
			out = append(out, caseloadPerson{id, p.BrukerNr, units[p.Unit]})
		}
		return nil
	})
	return out, err
}}

// Run shows the caseload.
func (c *caseloadShowCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, caseloadShowOp, caseloadShow{c.id(), model.ActorID(c.Actor)})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ID", "BRUKER_NR", "UNIT"}}
		for _, p := range list {
			rows = append(rows, []string{p.ID.String(), fmt.Sprint(p.BrukerNr), p.Unit})
		}
		return table(rows)
	})
}
