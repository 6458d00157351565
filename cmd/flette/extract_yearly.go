package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/iplos/submit"
	"flette/iplos/yearly"
	"flette/model"
	"flette/store"
)

type extractYearlyCmd struct {
	targetFlags
	progressFlag
	Year     int    `required:"" placeholder:"YYYY" help:"Data year: what was registered by 31 December of it."`
	Out      string `placeholder:"DIR" help:"Folder for the two shipments and the report. Without it nothing is written, and the report says what would be lost."`
	Position int64  `placeholder:"N" help:"Read the journal as it was with N entries; all of it when not given."`
	Kommune  string `placeholder:"NNNN" help:"Number of the municipality in the data year, when it is another than today's."`
	JSON     bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*extractYearlyCmd) Help() string {
	return `Writes the yearly extract as two shipments, which the register joins by brukerNr: identity
(KPR_IDE.xml) and subject matter (KPR_IPL.xml), in our own format (schema.xsd beside them; the
official schema 3.7 is not public), with report.json and, for flette submit prepare, shipments.json. The same journal position gives the same
bytes again. Data are sent even if incomplete (R74).

What the users of the register would drop is left out and counted, with rule and code, and
listed by brukerNr: the same without --out, before anything is sent. So is what is sent and lacks
something of the least that the register wants (R74), or will be taken for a test person because
five municipalities of this data folder know the number (R77).

KPR_IDE.xml holds identity numbers: both files are readable by you alone. Those for production are
written into the secure folder of the municipality only (DIR/register/TENANT when its
configuration says nothing else).

Examples:

    flette extract yearly --data /srv/flette --tenant testvik --target production --year 2026
    flette extract yearly --data /srv/flette --tenant testvik --target production --year 2026 --out /srv/flette/register/testvik`
}

// Validate checks the municipality's number.
func (c *extractYearlyCmd) Validate() error {
	if c.Kommune != "" && !fourDigits(c.Kommune) {
		return errors.New("--kommune: the number of a municipality has four digits")
	}
	if c.Position < 0 {
		return errors.New("--position: a number of entries")
	}
	return nil
}

func fourDigits(s string) bool {
	if len(s) != 4 {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

type yearlyRun struct {
	Tenant   model.TenantID `json:"tenant"`
	Target   string         `json:"target"`
	Year     int            `json:"year"`
	Position int64          `json:"position"`
	Kommune  string         `json:"kommune"`
	Dir      string         `json:"dir"` // absolute, "" for none
}

type yearlyDone struct {
	Report    yearly.Report     `json:"report"`
	Shipments []submit.Shipment `json:"shipments,omitempty"`
}

var extractYearlyOp = op[yearlyRun, yearlyDone]{name: "extract-yearly", reads: true, run: func(ctx context.Context, a *app, in yearlyRun) (out yearlyDone, err error) {
	k, err := a.tenantKeys(in.Tenant)
	if err != nil {
		return out, err
	}
	if in.Dir != "" {
		if in.Dir, err = a.clearFolder(in.Tenant, in.Target == submit.Test, in.Dir); err != nil {
			return out, err
		}
	}
	kinds := []string{submit.KindIdentity, submit.KindSubject}
	var files [2]*wholeFile
	for i, kind := range kinds {
		name := ""
		if in.Dir != "" {
			name = filepath.Join(in.Dir, kind+".xml")
		}
		if files[i], err = newWholeFile(name); err != nil {
			return out, err
		}
		defer files[i].discard()
	}
	elsewhere, err := a.elsewhere(ctx, in.Tenant)
	if err != nil {
		return out, err
	}
	err = a.view(ctx, in.Tenant, func(v store.View) error {
		r, err := yearly.Run(ctx, v, yearly.Options{
			Year: in.Year, Position: in.Position, Target: in.Target, Kommune: in.Kommune, Units: a.engine.UnitsOf, Open: k.Open,
			Progress: a.ofPersons(ctx, v), Elsewhere: elsewhere,
		}, files[0], files[1])
		if err == nil {
			out.Report = *r
		}
		return err
	})
	if err != nil || in.Dir == "" {
		return out, err
	}
	for i, f := range files {
		if err := f.finish(); err != nil {
			return out, err
		}
		out.Shipments = append(out.Shipments, submit.Shipment{
			Kind: kinds[i], SHA256: f.hash(), Bytes: f.size, Path: f.path,
			Target: in.Target, Year: out.Report.Year, Position: out.Report.Position, Counts: out.Report.Services,
		})
	}
	for name, value := range map[string]any{"report.json": out.Report, "shipments.json": out.Shipments} {
		text, err := json.Marshal(value, json.Deterministic(true), jsontext.WithIndent("  "))
		if err != nil {
			return out, err
		}
		if _, err := writeSecret(in.Dir, name, append(text, '\n')); err != nil {
			return out, err
		}
	}
	_, err = writeSecret(in.Dir, "schema.xsd", yearly.Schema)
	return out, err
}}

// Run writes the shipments, or says what would be lost.
func (c *extractYearlyCmd) Run(ctx context.Context, out *output) error {
	in := yearlyRun{Tenant: c.id(), Target: c.Target, Year: c.Year, Position: c.Position, Kommune: c.Kommune}
	if c.Year > time.Now().Year() {
		return problemf("yearly-year", "the data year %d has not begun", c.Year)
	}
	if c.Out != "" {
		dir, err := filepath.Abs(c.Out)
		if err != nil {
			return err
		}
		in.Dir = dir
	}
	ctx, end := c.show(ctx, out)
	done, err := doOp(ctx, c.dataFlags, extractYearlyOp, in)
	end()
	if err != nil {
		return err
	}
	return out.print(c.JSON, done, func() string {
		r := &done.Report
		text := fmt.Sprintf("data year %d, municipality %s, journal of %d entries: %s with %s%s", r.Year, r.Kommune, r.Position,
			plural(r.Persons, "person"), plural(r.Values, "registration"), countsText(prefixed("type ", r.Services)))
		for _, s := range done.Shipments {
			text += fmt.Sprintf("\n%s  sha256 %s", s.Path, s.SHA256)
		}
		if len(r.Excluded) > 0 {
			text += "\npersons left out" + countsText(r.Excluded)
		}
		if len(r.Dropped) > 0 {
			text += "\nservices left out" + countsText(r.Dropped)
		}
		for _, l := range r.Left {
			text += leftText(l)
		}
		if r.Unlisted > 0 {
			text += fmt.Sprintf("\n  and %d more", r.Unlisted)
		}
		if len(r.Lacks) > 0 {
			text += "\nsent although something is missing (R74)" + countsText(r.Lacks)
		}
		for _, l := range r.Lacking {
			text += leftText(l)
		}
		return text
	})
}

func leftText(l yearly.Left) string {
	what := "person"
	if l.Service != "" {
		what = "service " + l.Service + " (type " + l.Type + ")"
	}
	return fmt.Sprintf("\n  brukerNr %d: %s: %s (%s)", l.BrukerNr, what, l.Code, l.Rule)
}

// elsewhere counts in how many of the other municipalities of this data folder somebody is known by
// an identity number (R77). nil when there are too few for it to matter. A municipality whose keys
// are not here is not asked.
func (a *app) elsewhere(ctx context.Context, tenant model.TenantID) (func(number string) (int, error), error) {
	ids, err := a.store.Tenants(ctx)
	if err != nil || len(ids) < 5 {
		return nil, err
	}
	return func(number string) (n int, err error) {
		for _, id := range ids {
			k, err := a.tenantKeys(id)
			if id == tenant || err != nil {
				continue
			}
			hash := k.Index("person-number", number)
			err = a.view(ctx, id, func(v store.View) error {
				_, err := store.Get[store.PersonIndex](v, hex.EncodeToString(hash[:]))
				return err
			})
			switch {
			case err == nil:
				n++
			case !errors.Is(err, store.ErrNotFound):
				return n, err
			}
		}
		return n, nil
	}, nil
}

func prefixed(with string, counts map[string]int) map[string]int {
	out := make(map[string]int, len(counts))
	for k, n := range counts {
		out[with+k] = n
	}
	return out
}
