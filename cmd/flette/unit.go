package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"flette/model"
	"flette/store"
	"flette/sync"
)

type unitCmd struct {
	Import unitImportCmd `cmd:"" help:"Add or update organisation units from a file."`
	List   unitListCmd   `cmd:"" help:"Show the organisation as a tree."`
}

type unitImportCmd struct{ importFlags }

// Help is shown by --help.
func (*unitImportCmd) Help() string {
	return `Adds organisation units and updates those whose local code is known, all lines or none.
Columns, in any order: local (the municipality's own code), name, parent (local code of the
unit above, empty at the top), org_number (empty when it is that of the unit above), from and
to (first and last day on which the number holds). A unit may stand on several lines with
numbers of different times: one without an end ends where the next begins, one with an end must
not reach into the next. CSV or NDJSON, as for flette person import.

Example:

    flette unit import --data /srv/flette --tenant testvik units.csv`
}

type unitImport struct {
	Tenant model.TenantID   `json:"tenant"`
	Units  []sync.UnitInput `json:"units"`
	DryRun bool             `json:"dry_run"`
}

var unitImportOp = op[unitImport, sync.Imported]{name: "unit-import", run: func(ctx context.Context, a *app, in unitImport) (sync.Imported, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return sync.Imported{}, err
	}
	if in.DryRun {
		return a.engine.CheckUnits(ctx, in.Tenant, in.Units)
	}
	return a.engine.ImportUnits(ctx, in.Tenant, in.Units)
}}

// Run imports the file.
func (c *unitImportCmd) Run(ctx context.Context, out *output) error {
	file, err := c.open()
	if err != nil {
		return err
	}
	defer file.Close()
	var done sync.Imported
	units, err := readUnits(file, c.Format)
	if err == nil {
		done, err = doOp(ctx, c.dataFlags, unitImportOp, unitImport{c.id(), units, c.DryRun})
	}
	return c.report(out, plural(done.New+done.Changed+done.Same, "unit"), done, err)
}

type unitListCmd struct {
	tenantFlags
	JSON bool `help:"Print JSON, a flat list."`
}

// Help is shown by --help.
func (*unitListCmd) Help() string {
	return `Shows the organisation of a municipality as a tree, with local codes and organisation
numbers.

Example:

    flette unit list --data /srv/flette --tenant testvik`
}

var unitListOp = op[model.TenantID, []store.OrgUnit]{name: "unit-list", reads: true, run: func(ctx context.Context, a *app, in model.TenantID) ([]store.OrgUnit, error) {
	out := []store.OrgUnit{}
	err := a.view(ctx, in, func(v store.View) error {
		list, err := store.List[store.OrgUnit](v, "", "", 0)
		out = append(out, list...)
		return err
	})
	return out, err
}}

// Run shows the tree.
func (c *unitListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, unitListOp, c.id())
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string { return strings.Join(unitTree(list, "", "", nil), "\n") })
}

// unitTree draws the units under a parent.
func unitTree(all []store.OrgUnit, parent, indent string, lines []string) []string {
	var here []store.OrgUnit
	for _, u := range all {
		if u.Parent == parent {
			here = append(here, u)
		}
	}
	slices.SortFunc(here, func(a, b store.OrgUnit) int { return cmp.Compare(a.Local, b.Local) })
	for _, u := range here {
		line := indent + u.Name
		if u.Local != "" {
			line += " (" + u.Local + ")"
		}
		for _, n := range u.OrgNumber {
			line += fmt.Sprintf(" %s from %s", n.Number, n.From)
			if n.To != "" {
				line += " to " + n.To
			}
		}
		lines = unitTree(all, u.ID, indent+"  ", append(lines, line))
	}
	return lines
}

// unitNames maps the id of a unit to what the municipality calls it.
func unitNames(v store.View) (map[string]string, error) {
	units, err := store.List[store.OrgUnit](v, "", "", 0)
	out := map[string]string{}
	for _, u := range units {
		out[u.ID] = cmp.Or(u.Local, u.ID)
	}
	return out, err
}

// unitsUnder lists the ids of the unit with a local code or id, and of all below it.
func unitsUnder(v store.View, name string) (map[string]bool, error) {
	in, err := sync.UnitsUnder(v, name)
	if err == nil && in == nil {
		err = problemf("unknown-unit", "no organisation unit has this local code or id; flette unit list shows those that are")
	}
	return in, err
}
