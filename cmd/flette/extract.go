package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"flette/iplos/kpr"
	"flette/model"
	"flette/store"
)

type extractCmd struct {
	Run     extractRunCmd     `cmd:"" help:"Make the next messages for the register."`
	List    extractListCmd    `cmd:"" help:"List the messages that were made."`
	Resend  extractResendCmd  `cmd:"" help:"Write notifications again that were sent before."`
	Preview extractPreviewCmd `cmd:"" help:"Say what a run would send and leave out."`
	Yearly  extractYearlyCmd  `cmd:"" help:"Write the yearly extract, or say what it would leave out."`
}

// targetFlags say where messages go.
type targetFlags struct {
	tenantFlags
	Target string `required:"" enum:"test,production" placeholder:"TARGET" help:"test (persons who do not exist) or production."`
}

// eventFlags say of which time a message tells.
type eventFlags struct {
	targetFlags
	progressFlag
	Position int64  `placeholder:"N" help:"Read the journal as it was with N entries; all of it when not given."`
	To       string `placeholder:"DATE" help:"Last day of events, YYYY-MM-DD; today when not given. What happens later waits."`
}

// Validate checks the position.
func (f *eventFlags) Validate() error {
	if f.Position < 0 {
		return errors.New("--position: a number of entries")
	}
	return nil
}

func (f *eventFlags) in() extractRun {
	return extractRun{f.id(), f.Target, operator(), f.Position, f.To}
}

type extractRunCmd struct {
	eventFlags
	Out  string `placeholder:"DIR" help:"Folder in which kpr/<id>.xml is written; the secure folder when not given."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*extractRunCmd) Help() string {
	return `Compares the merged records with what the register was told, and writes the difference as
messages to kpr/<id>.xml in the secure folder of the municipality (DIR/register/TENANT when its
configuration says nothing else). The files hold identity numbers and are readable by you alone;
those for production are written nowhere else. flette submit removes them when they are accepted.
The store keeps them sealed; flette extract resend --id writes one again.

A long list goes into several messages. Nothing to send is no failure. The same journal position,
day and ledger give the same bytes.

Examples:

    flette extract run --data /srv/flette --tenant testvik --target production
    flette extract run --data /srv/flette --tenant testvik --target test --out /tmp/try`
}

type extractRun struct {
	Tenant model.TenantID `json:"tenant"`
	Target string         `json:"target"`
	By     string         `json:"by"`

	Position int64  `json:"position"`
	To       string `json:"to"`
}

// options are those of the run, with its progress.
func (in *extractRun) options(ctx context.Context, a *app) (kpr.Options, error) {
	o, err := a.kprOptions(in.Tenant, in.Target, in.By)
	if err != nil {
		return o, err
	}
	o.Position, o.To = in.Position, in.To
	return o, a.view(ctx, in.Tenant, func(v store.View) error {
		o.Progress = a.ofPersons(ctx, v)
		return nil
	})
}

// madeExtract is a message with its file in clear.
type madeExtract struct {
	Extract store.Extract `json:"extract"`
	File    []byte        `json:"file"`
}

var extractRunOp = op[extractRun, madeExtract]{name: "extract-run", run: func(ctx context.Context, a *app, in extractRun) (out madeExtract, err error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return out, err
	}
	o, err := in.options(ctx, a)
	if err != nil {
		return out, err
	}
	out.Extract, out.File, err = kpr.Run(ctx, a.store, in.Tenant, o)
	out.Extract.File = nil
	return out, err
}}

// extractView is a message as the command line shows it.
type extractView struct {
	ID       string           `json:"id"`
	Target   string           `json:"target"`
	Created  model.Millis     `json:"created"`
	By       string           `json:"by"`
	Position int64            `json:"position"`
	From     int64            `json:"from"`
	To       int64            `json:"to"`
	SHA256   string           `json:"sha256"`
	Counts   map[string]int   `json:"counts"`
	Excluded []store.Excluded `json:"excluded"`
	Path     string           `json:"path,omitempty"`
}

func viewExtract(x store.Extract) extractView {
	return extractView{x.ID, x.Target, x.Created, x.By, x.Position, x.From, x.To, x.SHA256, x.Counts, x.Excluded, ""}
}

// Run makes messages until nothing is left to send.
func (c *extractRunCmd) Run(ctx context.Context, out *output) error {
	dir, err := c.clearOut(ctx, c.Out)
	if err != nil {
		return err
	}
	made := []extractView{}
	ctx, end := c.show(ctx, out)
	defer end()
	for {
		x, err := doOp(ctx, c.dataFlags, extractRunOp, c.in())
		var p *problem
		if errors.As(err, &p) && p.Code == "nothing-to-send" {
			break
		}
		if err != nil {
			return err
		}
		v := viewExtract(x.Extract)
		if v.Path, err = writeSecret(filepath.Join(dir, "kpr"), v.ID+".xml", x.File); err != nil {
			return problemf("file", "message %s is made and stored, but its file was not written: %v; write it with flette extract resend --id %s", v.ID, err, v.ID)
		}
		made = append(made, v)
	}
	end()
	return out.print(c.JSON, made, func() string {
		if len(made) == 0 {
			return "nothing to send: the register has everything"
		}
		var lines []string
		for _, x := range made {
			lines = append(lines, fmt.Sprintf("%s\n  serials %d-%d%s", x.Path, x.From, x.To, countsText(x.Counts)))
			lines = append(lines, excludedText(x.Excluded)...)
		}
		return strings.Join(lines, "\n")
	})
}

func countsText(counts map[string]int) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", %s %d", k, counts[k])
	}
	return b.String()
}

func excludedText(list []store.Excluded) []string {
	var lines []string
	for _, e := range list {
		lines = append(lines, fmt.Sprintf("  left out: person %s, %s (%s)", e.Person, e.Code, e.Rule))
	}
	return lines
}

// writeSecret writes a file that only its owner reads, whole or not at all.
func writeSecret(dir, name string, body []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.Rename(f.Name(), path)
}

type extractListCmd struct {
	tenantFlags
	JSON bool `help:"Print JSON, with counts and exclusions."`
}

// Help is shown by --help.
func (*extractListCmd) Help() string {
	return `Lists the messages that were made, the oldest first.

Example:

    flette extract list --data /srv/flette --tenant testvik`
}

var extractListOp = op[model.TenantID, []extractView]{name: "extract-list", reads: true, run: func(ctx context.Context, a *app, in model.TenantID) ([]extractView, error) {
	out := []extractView{}
	err := a.view(ctx, in, func(v store.View) error {
		for after := ""; ; {
			// One at a time: each carries its file.
			page, err := store.List[store.Extract](v, "", after, 1)
			if err != nil || len(page) == 0 {
				return err
			}
			out = append(out, viewExtract(page[0]))
			after = page[0].DocKey()
		}
	})
	slices.SortFunc(out, func(a, b extractView) int {
		if a.Created != b.Created {
			return int(a.Created - b.Created)
		}
		return int(a.From - b.From)
	})
	return out, err
}}

// Run lists the messages.
func (c *extractListCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, extractListOp, c.id())
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		rows := [][]string{{"ID", "TARGET", "MADE", "SERIALS", "PERSONS", "LEFT OUT", "BY"}}
		for _, x := range list {
			rows = append(rows, []string{x.ID, x.Target, moment(x.Created), fmt.Sprintf("%d-%d", x.From, x.To),
				fmt.Sprint(x.Counts["persons"]), fmt.Sprint(x.Counts["excluded"]), x.By})
		}
		return table(rows)
	})
}

type extractResendCmd struct {
	targetFlags
	ID      string `placeholder:"ID" help:"The message with this id, byte by byte as it was."`
	Serials string `placeholder:"A-B" help:"Notifications with these serials."`
	Dates   string `placeholder:"A..B" help:"Notifications of these days, YYYY-MM-DD..YYYY-MM-DD."`
	Person  string `placeholder:"UUID" help:"Notifications of this person."`
	Out     string `placeholder:"DIR" help:"Folder in which kpr/<name>.xml is written; the secure folder when not given."`
	JSON    bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*extractResendCmd) Help() string {
	return `Writes notifications again, with the serials and ids that they had: for the day when the
register asks for them. What is chosen must hold all together. Nothing is stored. As with flette
extract run, files for production are written into the secure folder only.

Examples:

    flette extract resend --data /srv/flette --tenant testvik --target production --serials 100-250
    flette extract resend --data /srv/flette --tenant testvik --target production --dates 2026-11-01..2026-11-22`
}

var (
	serialRange = regexp.MustCompile(`^([1-9][0-9]{0,17})-([1-9][0-9]{0,17})$`)
	dateRange   = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})\.\.([0-9]{4}-[0-9]{2}-[0-9]{2})$`)
)

// selection reads what is chosen.
func (c *extractResendCmd) selection() (kpr.Selection, error) {
	s := kpr.Selection{Extract: c.ID}
	if c.Serials != "" {
		m := serialRange.FindStringSubmatch(c.Serials)
		if m == nil {
			return s, fmt.Errorf("--serials: two numbers with a hyphen between, for example 100-250")
		}
		s.FromSerial, _ = strconv.ParseInt(m[1], 10, 64) // the pattern fits
		s.ToSerial, _ = strconv.ParseInt(m[2], 10, 64)
	}
	if c.Dates != "" {
		m := dateRange.FindStringSubmatch(c.Dates)
		if m == nil {
			return s, fmt.Errorf("--dates: two dates with .. between, for example 2026-11-01..2026-11-22")
		}
		s.FromDate, s.ToDate = m[1], m[2]
	}
	if c.Person != "" {
		p, err := model.ParsePersonID(c.Person)
		if err != nil {
			return s, fmt.Errorf("--person: the id of a person is a UUID in lower case (flette person list)")
		}
		s.Person = p
	}
	if s == (kpr.Selection{}) {
		return s, fmt.Errorf("choose what to write again: --id, --serials, --dates or --person")
	}
	return s, nil
}

// Validate checks what is chosen.
func (c *extractResendCmd) Validate() error {
	_, err := c.selection()
	return err
}

type extractResend struct {
	Tenant    model.TenantID `json:"tenant"`
	Target    string         `json:"target"`
	By        string         `json:"by"`
	Selection kpr.Selection  `json:"selection"`
}

var extractResendOp = op[extractResend, []byte]{name: "extract-resend", reads: true, run: func(ctx context.Context, a *app, in extractResend) ([]byte, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return nil, err
	}
	return a.Resend(ctx, in.Tenant, in.Target, in.By, in.Selection)
}}

// resent is a file that was written again, with the first and the last serial in it.
type resent struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Path string `json:"path"`
}

// Run writes the file.
func (c *extractResendCmd) Run(ctx context.Context, out *output) error {
	s, err := c.selection()
	if err != nil {
		return usageError{err, "flette extract resend"}
	}
	dir, err := c.clearOut(ctx, c.Out)
	if err != nil {
		return err
	}
	file, err := doOp(ctx, c.dataFlags, extractResendOp, extractResend{c.id(), c.Target, operator(), s})
	if err != nil {
		return err
	}
	name := "resend.xml"
	if s == (kpr.Selection{Extract: s.Extract}) {
		name = filepath.Base(s.Extract) + ".xml"
	}
	path, err := writeSecret(filepath.Join(dir, "kpr"), name, file)
	if err != nil {
		return problemf("file", "the file was not written: %v", err)
	}
	again := resent{Path: path}
	if again.From, again.To, err = kpr.Serials(file); err != nil {
		return err
	}
	return out.print(c.JSON, again, func() string { return fmt.Sprintf("%s\n  serials %d-%d", path, again.From, again.To) })
}

type extractPreviewCmd struct {
	eventFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*extractPreviewCmd) Help() string {
	return `Says what a run would send now: counts, who would be left out and why, and what would be
lost for the register. Nothing is stored.

Example:

    flette extract preview --data /srv/flette --tenant testvik --target production`
}

var extractPreviewOp = op[extractRun, kpr.Forecast]{name: "extract-preview", reads: true, run: func(ctx context.Context, a *app, in extractRun) (kpr.Forecast, error) {
	if err := a.has(ctx, in.Tenant); err != nil {
		return kpr.Forecast{}, err
	}
	o, err := in.options(ctx, a)
	if err != nil {
		return kpr.Forecast{}, err
	}
	return kpr.Preview(ctx, a.store, in.Tenant, o)
}}

// Run prints the forecast.
func (c *extractPreviewCmd) Run(ctx context.Context, out *output) error {
	ctx, end := c.show(ctx, out)
	f, err := doOp(ctx, c.dataFlags, extractPreviewOp, c.in())
	end()
	if err != nil {
		return err
	}
	return out.print(c.JSON, f, func() string {
		lines := []string{fmt.Sprintf("at journal size %d%s", f.Position, countsText(f.Counts))}
		if f.Blocked != nil {
			lines = append(lines, "  no message can be made: "+f.Blocked.Detail)
		}
		for _, k := range slices.Sorted(maps.Keys(f.Lost)) {
			lines = append(lines, fmt.Sprintf("  lost or incomplete: %s: %d", k, f.Lost[k]))
		}
		for _, n := range f.Notices {
			lines = append(lines, fmt.Sprintf("  person %s: %s (%s)", n.Person, n.Code, n.Rule))
		}
		return strings.Join(append(lines, excludedText(f.Excluded)...), "\n")
	})
}
