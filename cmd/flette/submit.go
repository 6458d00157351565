package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"flette/iplos/submit"
)

type submitCmd struct {
	Prepare  submitPrepareCmd  `cmd:"" help:"Enter shipments into the ledger of what goes to the register."`
	Send     submitSendCmd     `cmd:"" help:"Send what is prepared, in order."`
	Status   submitStatusCmd   `cmd:"" help:"Say what was sent, what became of it, and what is due."`
	Show     submitShowCmd     `cmd:"" help:"Show all that happened to a submission."`
	Feedback submitFeedbackCmd `cmd:"" help:"File what the register said of a submission elsewhere."`
	Forget   submitForgetCmd   `cmd:"" help:"Remove the files in clear that are no longer kept."`
	Package  submitPackageCmd  `cmd:"" help:"Write the encrypted package of a submission, to be sent by other means."`
}

const (
	maxShipments = 1 << 20
	maxNote      = 64 << 10
	maxCounts    = 64 << 10
)

// readSmall reads a file of the command line; a missing or large one is a problem.
func readSmall(flag, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, problemf("file", "--%s: %v", flag, err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, problemf("file", "--%s: %v", flag, err)
	}
	if int64(len(body)) > limit {
		return nil, problemf("file", "--%s: %s is larger than %d bytes", flag, path, limit)
	}
	return body, nil
}

type submitPrepareCmd struct {
	tenantFlags
	Extract   string `xor:"what" placeholder:"ID" help:"One event message (flette extract list); all that are not in the ledger when nothing is given."`
	Shipments string `xor:"what" placeholder:"FILE" help:"JSON array of yearly shipments: kind, target, year, position, sha256, path, counts."`
	Replace   string `placeholder:"ID" help:"Submission whose place this takes (R75)."`
	JSON      bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*submitPrepareCmd) Help() string {
	return `Enters shipments into the ledger: event messages that flette extract run made, or the yearly
shipments KPR_IDE and KPR_IPL, whose files stand in the secure folder of the register's
configuration. Nothing is sent. The same shipment twice is one submission.

A shipment that takes the place of another names it with --replace; an event message is then
written again, with the contacts and identities of now.

Examples:

    flette submit prepare --data /srv/flette --tenant testvik
    flette submit prepare --data /srv/flette --tenant testvik --shipments yearly-2026.json`
}

// Run prepares.
func (c *submitPrepareCmd) Run(ctx context.Context, out *output) error {
	in := submitPrepare{Tenant: c.id(), By: operator(), Extract: c.Extract, Replaces: c.Replace}
	if c.Replace != "" && c.Extract == "" && c.Shipments == "" {
		return usageError{errors.New("--replace needs --extract or --shipments"), "flette submit prepare"}
	}
	if c.Shipments != "" {
		var err error
		if in.Shipments, err = readSmall("shipments", c.Shipments, maxShipments); err != nil {
			return err
		}
	}
	list, err := doOp(ctx, c.dataFlags, submitPrepareOp, in)
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		if len(list) == 0 {
			return "nothing to prepare: every message is in the ledger"
		}
		var lines []string
		for _, p := range list {
			what := "prepared"
			if !p.Fresh {
				what = "in the ledger already"
			}
			lines = append(lines, fmt.Sprintf("%s %s: %s", p.Submission.ID, subject(p.Submission), what))
		}
		return strings.Join(lines, "\n")
	})
}

// subject says what a submission is about.
func subject(s submit.Submission) string {
	if s.Year != 0 {
		return fmt.Sprintf("%s %d", s.Kind, s.Year)
	}
	return fmt.Sprintf("%s %d-%d", s.Kind, s.From, s.To)
}

type submitSendCmd struct {
	tenantFlags
	ID   string `placeholder:"ID" help:"One submission, even one that was rejected for what it says."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*submitSendCmd) Help() string {
	return `Sends what is prepared, what was lost on the way, and what was refused for reasons outside the
message. Event messages go in the order of their serials, and none passes one that is not
accepted. Sending again sends the same bytes under the same id.

That a message goes out is written down before it goes. When no answer comes, it is unknown:
the next run sends it again. Afterwards files are removed by the policy (flette submit forget).
Exit code 1 when something is not accepted.

Example:

    flette submit send --data /srv/flette --tenant testvik`
}

// Run sends.
func (c *submitSendCmd) Run(ctx context.Context, out *output) error {
	done, err := doOp(ctx, c.dataFlags, submitSendOp, submitSend{Tenant: c.id(), By: operator(), ID: c.ID})
	if err != nil {
		return err
	}
	bad := len(done.Waiting) > 0
	err = out.print(c.JSON, done, func() string {
		var lines []string
		for i := range done.Records {
			lines = append(lines, recordLines(&done.Records[i])...)
		}
		for _, w := range done.Waiting {
			lines = append(lines, "waiting: "+w)
		}
		lines = append(lines, forgottenLines(done.Forgotten)...)
		if len(lines) == 0 {
			return "nothing to send: the register has accepted everything"
		}
		return strings.Join(lines, "\n")
	})
	for i := range done.Records {
		bad = bad || done.Records[i].State != submit.Accepted
	}
	if err == nil && bad {
		return exitError(exitFailure)
	}
	return err
}

// recordLines says what became of a submission, and what to do.
func recordLines(r *submit.Record) []string {
	head := fmt.Sprintf("%s %s: %s", r.ID, subject(r.Submission), r.State)
	e := &r.Events[len(r.Events)-1]
	if e.Act == submit.ActNotSent {
		head += ", not sent"
	}
	if e.Reference != "" {
		head += ", receipt " + e.Reference
	}
	lines := []string{head}
	if e.Reason != "" {
		lines = append(lines, "  "+e.Reason)
	}
	for _, s := range submit.Explain(e.Status, e.Faults) {
		lines = append(lines, "  "+s)
	}
	if r.State == submit.Unknown && e.Act != submit.ActNotSent {
		lines = append(lines, "  whether the register has it is not known; send it again: the bytes and the id are the same")
	}
	return lines
}

func forgottenLines(list []forgotten) []string {
	var lines []string
	for _, f := range list {
		lines = append(lines, fmt.Sprintf("%s: removed %s", f.ID, strings.Join(f.Files, ", ")))
	}
	return lines
}

type submitStatusCmd struct {
	tenantFlags
	All   bool `help:"Also show what was accepted or replaced."`
	Check bool `help:"Exit code 1 when something waits for a person: for a timer that mails."`
	JSON  bool `help:"Print JSON, with all events."`
}

// Help is shown by --help.
func (*submitStatusCmd) Help() string {
	return `Says what the register waits for (the yearly window is 1-15 January; reminders from 1
December), what was sent, and where the register's own numbers differ from ours.

Example:

    flette submit status --data /srv/flette --tenant testvik`
}

// Run shows the ledger.
func (c *submitStatusCmd) Run(ctx context.Context, out *output) error {
	s, err := doOp(ctx, c.dataFlags, submitStatusOp, c.id())
	if err != nil {
		return err
	}
	waits := s.Due.Stage == submit.StageOpen || s.Due.Stage == submit.StageOverdue
	rows := [][]string{{"ID", "TARGET", "WHAT", "STATE", "ATTEMPTS", "LAST", "RECEIPT"}}
	var notes []string
	for i := range s.Records {
		r := &s.Records[i]
		differences := r.Differences()
		waits = waits || r.Standing() && (r.State != submit.Accepted || len(differences) > 0)
		state := r.State
		if !r.Standing() {
			state += ", replaced"
		}
		if c.All || r.Standing() && r.State != submit.Accepted || len(differences) > 0 {
			e := &r.Events[len(r.Events)-1]
			receipt := ""
			if a := r.Last(submit.ActAnswer); a != nil {
				receipt = a.Reference
			}
			rows = append(rows, []string{r.ID, r.Target, subject(r.Submission), state, fmt.Sprint(r.Attempts()), moment(e.At), receipt})
		}
		for _, d := range differences {
			notes = append(notes, fmt.Sprintf("%s: service %s: we reported %d, the register counts %d", r.ID, d.Service, d.Ours, d.Register))
		}
	}
	err = out.print(c.JSON, s, func() string {
		lines := []string{s.Due.Text}
		if len(rows) > 1 {
			lines = append(lines, table(rows))
		} else {
			lines = append(lines, "no submission waits")
		}
		return strings.Join(append(lines, notes...), "\n")
	})
	if err == nil && c.Check && waits {
		return exitError(exitFailure)
	}
	return err
}

type submitShowCmd struct {
	tenantFlags
	ID   string `required:"" placeholder:"ID" help:"The submission (flette submit status --all)."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*submitShowCmd) Help() string {
	return `Shows a submission and its history: every attempt, what the register answered and what to do
about it. What the register quoted may name persons; it is sealed in the store and shown here.

Example:

    flette submit show --data /srv/flette --tenant testvik --id UUID`
}

// Run shows one submission.
func (c *submitShowCmd) Run(ctx context.Context, out *output) error {
	s, err := doOp(ctx, c.dataFlags, submitShowOp, submitOne{Tenant: c.id(), ID: c.ID})
	if err != nil {
		return err
	}
	return out.print(c.JSON, s, func() string {
		r := &s.Record
		lines := []string{
			fmt.Sprintf("%s %s for %s: %s", r.ID, subject(r.Submission), r.Target, r.State),
			fmt.Sprintf("  file %s, %d bytes, at journal size %d%s", r.SHA256, r.Bytes, r.Position, serviceCounts(r.Counts)),
		}
		if r.Replaces != "" {
			lines = append(lines, "  takes the place of "+r.Replaces)
		}
		if !r.Standing() {
			lines = append(lines, "  replaced by "+r.ReplacedBy)
		}
		for i := range r.Events {
			e := &r.Events[i]
			lines = append(lines, fmt.Sprintf("%s %s by %s: %s%s", moment(e.At), e.Act, plain(e.By), e.State, answered(e)))
			if e.Reason != "" {
				lines = append(lines, "  "+e.Reason)
			}
			for _, text := range slices.Concat(submit.Explain(e.Status, e.Faults), s.Private[i].Details, []string{s.Private[i].Note}) {
				if text != "" {
					lines = append(lines, "  "+plain(text))
				}
			}
			if e.Counts != nil {
				lines = append(lines, "  the register counts"+serviceCounts(e.Counts))
			}
			if len(e.Files) > 0 {
				lines = append(lines, "  removed "+strings.Join(e.Files, ", "))
			}
		}
		return strings.Join(lines, "\n")
	})
}

func answered(e *submit.Event) string {
	var b strings.Builder
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.Reference != "" {
		b.WriteString(", receipt " + e.Reference)
	}
	return b.String()
}

func serviceCounts(counts map[string]int) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, ", service %s: %d", k, counts[k])
	}
	return b.String()
}

type submitFeedbackCmd struct {
	tenantFlags
	ID       string `required:"" placeholder:"ID" help:"The submission."`
	Verdict  string `enum:",accepted,rejected" default:"" help:"accepted or rejected, when the register said so."`
	Counts   string `placeholder:"FILE" help:"The register's own numbers: CSV with the columns service and count."`
	NoteFile string `placeholder:"FILE" help:"What it said, as text: sealed, because it may name persons."`
	JSON     bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (*submitFeedbackCmd) Help() string {
	return `Files what the register said elsewhere: by e-mail, by telephone, or on its feedback pages, whose
numbers are compared with what was sent. A verdict also settles a submission that is unknown, or
one that was sent by other means.

Examples:

    flette submit feedback --data /srv/flette --tenant testvik --id UUID --counts register.csv
    flette submit feedback --data /srv/flette --tenant testvik --id UUID --verdict accepted --note-file mail.txt`
}

// Run files feedback.
func (c *submitFeedbackCmd) Run(ctx context.Context, out *output) error {
	in := submitFeedback{submitOne: submitOne{Tenant: c.id(), By: operator(), ID: c.ID}, Said: submit.Said{Verdict: c.Verdict}}
	if c.NoteFile != "" {
		note, err := readSmall("note-file", c.NoteFile, maxNote)
		if err != nil {
			return err
		}
		in.Said.Note = strings.ToValidUTF8(string(note), "\uFFFD")
	}
	if c.Counts != "" {
		body, err := readSmall("counts", c.Counts, maxCounts)
		if err != nil {
			return err
		}
		if in.Said.Counts, err = readCounts(body); err != nil {
			return err
		}
	}
	r, err := doOp(ctx, c.dataFlags, submitFeedbackOp, in)
	if err != nil {
		return err
	}
	return out.print(c.JSON, r, func() string {
		lines := []string{fmt.Sprintf("%s %s: %s", r.ID, subject(r.Submission), r.State)}
		differences := r.Differences()
		for _, d := range differences {
			lines = append(lines, fmt.Sprintf("  service %s: we reported %d, the register counts %d", d.Service, d.Ours, d.Register))
		}
		if differences != nil && len(differences) == 0 {
			lines = append(lines, "  the register's numbers are ours")
		}
		return strings.Join(lines, "\n")
	})
}

// readCounts reads service,count lines. Every mistake names its line, and nothing is filed.
func readCounts(body []byte) (map[string]int, error) {
	rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	rows.FieldsPerRecord = -1
	rows.TrimLeadingSpace = true
	out := map[string]int{}
	p := &problem{Code: "submission-counts", Detail: "the counts cannot be read; nothing was filed"}
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var at *csv.ParseError
			if errors.As(err, &at) {
				p.Lines = append(p.Lines, lineProblem{Line: at.Line, Code: "csv", Detail: "this is not CSV"})
				return nil, p
			}
			return nil, err
		}
		line, _ := rows.FieldPos(0)
		bad := func(column, detail string) {
			p.Lines = append(p.Lines, lineProblem{Line: line, Column: column, Code: "submission-counts", Detail: detail})
		}
		if first {
			if !slices.Equal(row, []string{"service", "count"}) {
				bad("", "the first line must be service,count")
				return nil, p
			}
			continue
		}
		if len(row) != 2 {
			bad("", "a line has a service type and a count")
			continue
		}
		service, err := submit.ParseService(row[0])
		if err != nil {
			bad("service", "a service type is a number of one to three digits")
			continue
		}
		if _, twice := out[service]; twice {
			bad("service", "the service type stands in an earlier line too")
			continue
		}
		n, err := strconv.Atoi(row[1])
		if err != nil || n < 0 {
			bad("count", "a count is a whole number, not negative")
			continue
		}
		out[service] = n
	}
	if len(p.Lines) > 0 {
		return nil, p
	}
	if len(out) == 0 {
		return nil, problemf("submission-counts", "the file holds no counts")
	}
	return out, nil
}

type submitForgetCmd struct {
	tenantFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (*submitForgetCmd) Help() string {
	return `Removes files in clear from the secure folder: those of submissions that the register accepted,
or accepted a replacement of, keep_days ago or earlier (register configuration). The ledger
stays, and says what was removed. flette submit send does the same at its end.

Example:

    flette submit forget --data /srv/flette --tenant testvik`
}

// Run removes files.
func (c *submitForgetCmd) Run(ctx context.Context, out *output) error {
	list, err := doOp(ctx, c.dataFlags, submitForgetOp, submitOne{Tenant: c.id(), By: operator()})
	if err != nil {
		return err
	}
	return out.print(c.JSON, list, func() string {
		if len(list) == 0 {
			return "nothing to remove"
		}
		return strings.Join(forgottenLines(list), "\n")
	})
}

type submitPackageCmd struct {
	tenantFlags
	ID  string `required:"" placeholder:"ID" help:"The submission."`
	Out string `required:"" placeholder:"DIR" help:"Folder in which <id>.p7m is written."`
}

// Help is shown by --help.
func (*submitPackageCmd) Help() string {
	return `Writes a submission as a CMS package, signed by the municipality and encrypted to the register's
certificate (AES-256-GCM, RSA-OAEP): to be handed to a message system. Only this file may leave
the secure folder. File the outcome with flette submit feedback.

Example:

    flette submit package --data /srv/flette --tenant testvik --id UUID --out /srv/outbox`
}

// Run writes a package.
func (c *submitPackageCmd) Run(ctx context.Context, out *output) error {
	body, err := doOp(ctx, c.dataFlags, submitPackageOp, submitOne{Tenant: c.id(), By: operator(), ID: c.ID})
	if err != nil {
		return err
	}
	path, err := writeSecret(c.Out, c.ID+".p7m", body) // the id is one of the ledger by now
	if err != nil {
		return problemf("file", "the package was not written: %v", err)
	}
	return out.print(false, path, func() string { return path })
}
