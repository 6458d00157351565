// Command flette is the server and every tool around it: one verb a file.
//
// A verb that looks at or changes the data folder is an operation ([op]) with an input and
// an output. It is done by the server that runs on the folder, or in this process when none
// does, so that every verb works either way.
//
// Exit codes: 0 done, 1 not done, 2 the command line was not understood, 3 verify found
// problems, 4 the disk failed a write and the process ended so that the next one reads it again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailure  = 1
	exitUsage    = 2
	exitProblems = 3
	exitDisk     = 4
)

// cli is the command line.
type cli struct {
	Serve serveCmd `cmd:"" help:"Serve tablets and supervisors from a data folder."`

	Tenant      tenantCmd      `cmd:"" help:"Municipalities of the data folder: add, list, contacts."`
	Person      personCmd      `cmd:"" help:"Recipients of care: import, list."`
	Unit        unitCmd        `cmd:"" help:"Organisation units: import, list."`
	Mapping     mappingCmd     `cmd:"" help:"Local services and the types they are registered under: import, list."`
	OrgList     orgListCmd     `cmd:"" name:"orglist" help:"Organisation numbers of a data year and their service types (R70): import, show."`
	KommuneList kommuneListCmd `cmd:"" name:"kommunelist" help:"Municipality numbers and the days on which they hold (R3, R73): import, show."`

	Hours    hoursCmd    `cmd:"" help:"Granted hours and time: report, convert."`
	Report   reportCmd   `cmd:"" help:"Persons by function group and indicator, aggregated, without small counts."`
	Caseload caseloadCmd `cmd:"" help:"Who may see whom: assign, end, show, block, unblock, glass, follow-up."`
	Device   deviceCmd   `cmd:"" help:"Tablets: invite, list, revoke."`
	User     userCmd     `cmd:"" help:"Access without an identity provider: token."`
	Review   reviewCmd   `cmd:"" help:"Questions that wait for a supervisor: list."`
	Finding  findingCmd  `cmd:"" help:"Rules that merged records break: list, release, close, reinstate."`

	Service      serviceCmd      `cmd:"" help:"Services and decisions (vedtak): import."`
	Diagnosis    diagnosisCmd    `cmd:"" help:"Diagnoses: import."`
	Registration registrationCmd `cmd:"" help:"Scores, statuses and other variables of persons: import, variables."`
	Stay         stayCmd         `cmd:"" help:"Stays outside the home: import."`
	Coercion     coercionCmd     `cmd:"" help:"Use of coercion (bruk av tvang): import."`
	Pause        pauseCmd        `cmd:"" help:"Temporary stops of services (midlertidig stopp): import."`

	Worklist worklistCmd `cmd:"" help:"What waits for somebody: ends to confirm, decisions that run out, needs that were seen."`

	Quarantine quarantineCmd `cmd:"" help:"Entries that wait for a person: list, release, close."`
	Extract    extractCmd    `cmd:"" help:"Messages to the register: run, list, resend, preview."`

	Export exportCmd `cmd:"" help:"Sheets (CSV) for local use: write, list."`

	Submit submitCmd `cmd:"" help:"What goes to the register: prepare, send, status, show, feedback, forget, package."`

	Backup       backupCmd       `cmd:"" help:"Copy the stores while the server runs, and look the copies through."`
	Restore      restoreCmd      `cmd:"" help:"Put a backup in the place of a store."`
	RestoreDrill restoreDrillCmd `cmd:"" help:"Try the newest backups without touching anything."`
	Salvage      salvageCmd      `cmd:"" help:"Make a new store of what can be read of a damaged one."`
	Compact      compactCmd      `cmd:"" help:"Give the free pages of a store back to the disk."`

	Demo    demoCmd    `cmd:"" help:"Play a working day of a municipality that does not exist."`
	Load    loadCmd    `cmd:"" help:"Drive a server with a population of tablets and measure it."`
	Verify  verifyCmd  `cmd:"" help:"Replay the journal and compare everything with it."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

const description = `Offline-first sync of home-care assessments: takes signed batches from tablets,
merges them into one record per person, and feeds the IPLOS/KPR register.

  flette tenant add --data DIR --id testvik --name "Testvik kommune" --kommune 9999
  flette serve --data DIR

Exit codes: 0 done, 1 not done, 2 command line not understood, 3 verify found problems,
4 the disk failed a write or a sync: start again, and the disk is read again.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &output{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run parses and runs one command line and returns its exit code.
func run(ctx context.Context, args []string, out *output) int {
	var c cli
	parser, err := newParser(&c, out)
	if err != nil {
		return out.fail(err)
	}
	parsed, done, err := parse(parser, args)
	if done {
		return exitOK
	}
	if err != nil {
		return out.fail(usageError{err, helpFor(err)})
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(out)
	if err := parsed.Run(); err != nil {
		return out.fail(err)
	}
	return exitOK
}

func newParser(c *cli, out *output) (*kong.Kong, error) {
	return kong.New(c, kong.Name("flette"), kong.Description(description),
		kong.Writers(out.stdout, out.stderr), kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoAppDescFormat: true, NoExpandSubcommands: true, WrapUpperBound: 100}))
}

// helpShown ends the parse after --help: kong would go on to complain about missing flags.
type helpShown struct{}

func parse(parser *kong.Kong, args []string) (parsed *kong.Context, done bool, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case helpShown:
			done = true
		default:
			panic(r)
		}
	}()
	parsed, err = parser.Parse(args)
	return parsed, false, err
}

// helpFor names the command whose help tells more.
func helpFor(err error) string {
	var bad *kong.ParseError
	if errors.As(err, &bad) && bad.Context != nil {
		if node := bad.Context.Selected(); node != nil {
			return node.FullPath()
		}
		for _, p := range slices.Backward(bad.Context.Path) {
			if p.Command != nil {
				return p.Command.FullPath()
			}
		}
	}
	return "flette"
}

// usageError is a command line that was not understood.
type usageError struct {
	error
	command string
}

// exitError ends a verb that has said everything already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// output is where verbs write: what was asked for on stdout, the rest on stderr.
type output struct{ stdout, stderr io.Writer }

// print writes a result, as JSON or as text.
func (o *output) print(asJSON bool, value any, text func() string) error {
	if !asJSON {
		_, err := fmt.Fprintln(o.stdout, text())
		return err
	}
	body, err := json.Marshal(value, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.stdout, string(body))
	return err
}

// maxLines of an import are shown; --json shows all.
const maxLines = 50

// fail says what went wrong in one sentence and returns the exit code.
func (o *output) fail(err error) int {
	var usage usageError
	var code exitError
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(o.stderr, "flette: %v (%s --help tells more)\n", usage.error, usage.command)
		return exitUsage
	}
	p := problemOf(err)
	fmt.Fprintf(o.stderr, "flette: %s\n", p.Detail)
	for i, l := range p.Lines {
		if i == maxLines {
			fmt.Fprintf(o.stderr, "  and %d more; --json lists all\n", len(p.Lines)-maxLines)
			break
		}
		fmt.Fprintf(o.stderr, "  %s\n", l)
	}
	if p.Code == stoppedCode {
		return exitDisk
	}
	return exitFailure
}
