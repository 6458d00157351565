package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

type loadCmd struct {
	URL       string        `placeholder:"URL" help:"Server to drive; needs --admin-data. Without it a server of its own is started on a temporary folder."`
	AdminData string        `placeholder:"DIR" help:"Data folder of the server at --url: tablets are set up through its socket."`
	Spawn     bool          `help:"Start a server of its own, as without --url."`
	PID       int           `name:"pid" placeholder:"PID" help:"Process of the server at --url, to measure its CPU and memory."`
	Herd      string        `enum:"none,night,outage" default:"none" help:"Everybody comes back at once, after a night offline or after an outage of four hours in mid-day: night or outage. Default: ${default}."`
	Within    time.Duration `default:"60s" help:"With --herd: time in which they all come. Default: ${default}."`
	Login     int           `default:"0" placeholder:"PERCENT" help:"With --herd: so many of a hundred tablets log in first. Default: ${default}."`
	Tablets   int           `default:"-1" placeholder:"N" help:"Tablets. Default: 50, and 10000 with --herd."`
	Entries   int           `default:"-1" placeholder:"N" help:"Entries that each tablet signs offline. Default: 20; with --herd 4 after a night, 16 after an outage."`
	Changes   int           `default:"10" help:"Changes of an entry, 1 to 200. Default: ${default}."`
	Steady    int           `default:"5" help:"Entries of one change that each tablet then pushes one by one. Default: ${default}."`
	Offline   time.Duration `default:"1s" help:"Time that tablets are offline: their entries are spread over it. Default: ${default}."`
	Seed      uint64        `default:"1" help:"What is signed follows from it. Default: ${default}."`
	Encoding  string        `enum:"identity,gzip,zstd" default:"zstd" help:"Encoding of push bodies: identity, gzip or zstd. Default: ${default}."`
	AtOnce    int           `default:"64" help:"Requests at a time. Default: ${default}."`
	JSON      bool          `help:"Print JSON."`
}

// Help is shown by --help.
func (*loadCmd) Help() string {
	return `Drives a running server as a closed population of tablets that sign: they enrol, work
offline, come back all at once, go on entry by entry, and load their caseload. In the end
every acknowledged entry is asked for again; the exit code is 1 when one is missing.

Signing the offline entries and setting up are not part of the figures; the driver's own
work on the same machine is. The run makes a municipality of its own (load-...) and leaves it
in the data folder of a server that was given by --url.

With --herd the tablets do not take turns: each comes at its time with all that it signed, on
a connection of its own, pushes, pulls, and comes back when the server asks it to. The report
says how long that took, what the calls that were let in took, and how many were turned away.

Examples:

    flette load --herd night
    flette load --tablets 200 --entries 20 --changes 10
    flette load --url http://127.0.0.1:8080 --admin-data /srv/flette --pid 1234 --json`
}

// notGiven is the default of flags whose default depends on others.
const notGiven = -1

// Validate checks what belongs together.
func (c *loadCmd) Validate() error {
	tablets, entries := 50, 20
	if n, herd := herdEntries[c.Herd]; herd {
		tablets, entries, c.Steady = herdTablets, n, 0
	}
	if c.Tablets == notGiven {
		c.Tablets = tablets
	}
	if c.Entries == notGiven {
		c.Entries = entries
	}
	switch {
	case c.Within < 0 || c.Login < 0 || c.Login > 100:
		return errors.New("--within and --login cannot be that")
	case (c.URL == "") != (c.AdminData == ""):
		return errors.New("--url and --admin-data go together")
	case c.URL != "" && c.Spawn:
		return errors.New("--spawn: --url names a server already")
	case c.Tablets < 1 || c.Tablets > 1_000_000 || c.Entries < 1 || c.Entries > 1_000_000 || c.Changes < 1 || c.Changes > 200:
		return errors.New("--tablets, --entries and --changes are at least 1, and an entry has at most 200 changes")
	case c.Steady < 0 || c.Offline < 0 || c.Offline > maxToken || c.AtOnce < 1:
		return errors.New("--steady, --offline and --at-once cannot be that, and nobody is offline longer than a shift of 12h")
	}
	return nil
}

// Run drives the server and reports.
func (c *loadCmd) Run(ctx context.Context, out *output) (err error) {
	target := loadTarget{url: c.URL, at: dataFlags{Data: c.AdminData}, pid: c.PID}
	if c.URL == "" {
		var stop func() error
		if target, stop, err = spawn(ctx, out); err != nil {
			return problemf("load-server", "no server could be started: %v", err)
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	plan := loadPlan{Tablets: c.Tablets, Entries: c.Entries, Changes: c.Changes, Steady: c.Steady, Offline: c.Offline, Seed: c.Seed}
	encoding := c.Encoding
	if encoding == "identity" {
		encoding = ""
	}
	f, err := newFleet(plan, &target, c.AtOnce, encoding)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	f.progress = out.bar
	run := f.run
	if c.Herd != "none" {
		f.herd = herdPlan{Within: c.Within, Login: c.Login}
		run = f.runHerd
	}
	report, err := run(ctx)
	if err != nil {
		return problemf("load-failed", "the load did not come to its end: %v", err)
	}
	if err := out.print(c.JSON, report, report.text); err != nil {
		return err
	}
	if report.Audit.Missing > 0 {
		fmt.Fprintf(out.stderr, "flette: %d acknowledged entries are missing\n", report.Audit.Missing)
		return exitError(exitFailure)
	}
	if !report.Herd.ok() {
		fmt.Fprintln(out.stderr, "flette: the journal is not what was acknowledged")
		return exitError(exitFailure)
	}
	return nil
}

// bar shows progress when somebody looks.
func (o *output) bar(what string, of int) (step, done func()) {
	f, ok := o.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}, func() {}
	}
	bar := progressbar.NewOptions(of, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(fmt.Sprintf("%-7s", what)),
		progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	return func() { _ = bar.Add(1) }, func() { _ = bar.Finish() }
}
