package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/model/catalogue"
)

// story is the played day: the server's inside where a municipality would use the command
// line, and real clients over HTTP for everything else.
type story struct {
	dir   string
	seed  uint64
	clock *storyClock
	began time.Time // of the story's clock, for the tablets' monotonic clocks
	a     *app
	net   http.RoundTripper
	serve func(*app) (url string, err error)
	ended func() <-chan struct{} // the server's end, when nobody asked for it
	tell  func(line string)

	url        string
	day        dayPlan
	units      map[string]string // organisation unit ids by local code
	people     []model.PersonID
	names      []string
	tablets    []*demoTablet
	super      *client.API
	admin      *client.API
	vkey       string // of the journal, as given at enrolment
	marks      map[string]model.EntryID
	review     string // the one about memory
	quarantine model.EntryID
	size       int64 // journal size that the story expects
	transcript transcript
}

// demoTablet is one tablet with its network and the error of its wall clock.
type demoTablet struct {
	*client.Tablet
	radio *radio
	skew  time.Duration
}

// told is what a step says when it held: a sentence and its counts.
type told struct {
	says   string
	counts map[string]int64
}

const (
	tokenLife   = 12 * time.Hour // a shift
	callTimeout = 30 * time.Second
)

// step is one scene. Its name stays the same for ever: scripts read it in the transcript.
type step struct {
	name  string
	about string // printed before it runs
	run   func(*story, context.Context) (told, error)
}

// demoSteps is the story, in order.
var demoSteps = []step{
	{"municipality", "A municipality is made: organisation tree, persons, keys, server", (*story).municipality},
	{"enrolment", "Tablets enrol, each with a one-time code and a key of its own", (*story).enrolment},
	{"login", "Nurses log in and fetch their caseload", (*story).login},
	{"offline-morning", "They drive off. No coverage: they score, decide and register time", (*story).offlineMorning},
	{"wrong-order", "The later score of a person arrives before the earlier one", (*story).wrongOrder},
	{"lost-answer", "A connection breaks after the server has done the work", (*story).lostAnswer},
	{"bad-entry", "One entry in a batch cannot be right", (*story).badEntry},
	{"clock-ahead", "The clock of one tablet is three hours ahead", (*story).clockAhead},
	{"reconnect", "The other tablets find coverage, all at once", (*story).reconnect},
	{"review", "The supervisor sees where nurses disagree on something that matters", (*story).seeReview},
	{"decision", "The supervisor decides", (*story).decide},
	{"news", "The tablets fetch the decision", (*story).news},
	{"finding", "A rule of the register is broken by the merged record", (*story).finding},
	{"kpr-message", "The first message to the register is produced and validated", (*story).firstMessage},
	{"offline-afternoon", "Second round without coverage: corrections, ends, time", (*story).offlineAfternoon},
	{"reconnect-afternoon", "All tablets hand in the afternoon", (*story).reconnectAfternoon},
	{"correction", "The corrected start mends the finding", (*story).correction},
	{"weekly-time", "Minutes with the person are held against the minutes granted", (*story).weeklyTime},
	{"quarantine", "The supervisor closes the entry that could not be right", (*story).closeQuarantine},
	{"kpr-changes", "The next message tells only what changed", (*story).nextMessage},
	{"receipt", "A tablet checks that its work is in the journal, trusting the key alone", (*story).receipt},
	{"mangler", "What the register would miss is counted by unit and rule", (*story).mangler},
	{"report", "Persons are counted by function group, without small counts", (*story).report},
	{"verify", "The journal is replayed and compared with every table", (*story).verify},
}

// play runs the steps until one fails. The transcript is written in any case.
func (s *story) play(ctx context.Context) error {
	s.marks = map[string]model.EntryID{}
	s.transcript = transcript{Format: transcriptFormat, Seed: s.seed, Tenant: demoTenant, Day: demoDay.Format(time.DateOnly), OK: true, Steps: []transcriptStep{}}
	var failed error
	for i, st := range demoSteps {
		s.tell(fmt.Sprintf("\n%2d. %s", i+1, st.about))
		got, err := st.run(s, ctx)
		row := transcriptStep{Name: st.name, At: model.MillisOf(s.clock.Now()), Says: got.says, Outcome: "ok", Counts: got.counts}
		if row.Counts == nil {
			row.Counts = map[string]int64{}
		}
		row.Checkpoint, _ = s.newestReceipt()
		if err != nil {
			failed = fmt.Errorf("step %d, %s: %w", i+1, st.name, err)
			row.Outcome, row.Error = "failed", err.Error()
			s.transcript.OK, s.transcript.Failed = false, st.name
		}
		s.transcript.Steps = append(s.transcript.Steps, row)
		if failed != nil {
			break
		}
		s.tell("    " + got.says)
		if line := countsLine(got.counts); line != "" {
			s.tell("    " + line)
		}
	}
	s.transcript.Checkpoint, s.transcript.Size = s.newestReceipt()
	return errors.Join(failed, s.transcript.save(filepath.Join(s.dir, "transcript.json")))
}

// newestReceipt is the greatest checkpoint that any tablet holds.
func (s *story) newestReceipt() (text string, size int64) {
	for _, t := range s.tablets {
		if c, n := t.Checkpoint(); n > size {
			text, size = c, n
		}
	}
	return text, size
}

// newTablet makes a tablet whose clocks follow the story. Its calls are tried once: the
// story decides when to try again.
func (s *story) newTablet(i int) (*demoTablet, error) {
	t := &demoTablet{radio: &radio{base: s.net}, skew: skewOf(i)}
	var err error
	t.Tablet, err = client.New(client.Config{
		URL: s.url, HTTP: &http.Client{Transport: t.radio, Timeout: callTimeout},
		Wall:     func() time.Time { return s.clock.Now().Add(t.skew) },
		Mono:     func() time.Duration { return s.clock.Now().Sub(s.began) },
		Encoding: client.EncodingZstd, App: "flette-demo", Catalogue: catalogue.Default().Version, Tries: 1,
	})
	return t, err
}

// api makes a desk client for a user of the server's own issuer.
func (s *story) api(actor model.ActorID, role model.Role, name string) (*client.API, error) {
	token, err := s.a.userToken(demoTenant, actor, model.Roles(role), name, tokenLife)
	if err != nil {
		return nil, err
	}
	return client.NewAPI(client.APIConfig{URL: s.url, HTTP: &http.Client{Transport: s.net, Timeout: callTimeout}, Token: token, Wall: s.clock.Now, Tries: 1})
}

// sign lets time pass while the nurses of a round sign what is planned.
func (s *story) sign(round []planned) (changes int64, err error) {
	for i := range round {
		p := &round[i]
		s.clock.Until(p.at)
		t := s.tablets[p.tablet]
		id, err := t.Sign(s.people[p.person], p.act, p.on(t.skew), client.SignOptions{Reason: p.reason, Visit: p.visit})
		if err != nil {
			return 0, fmt.Errorf("nurse %d signs about person %d: %w", p.tablet+1, p.person+1, err)
		}
		if p.mark != "" {
			s.marks[p.mark] = id
		}
		changes += int64(p.size())
	}
	return changes, nil
}

// push hands in a tablet's outbox and checks that nothing is left.
func (s *story) push(ctx context.Context, tablet int) (*client.PushReport, error) {
	t := s.tablets[tablet]
	t.radio.turn(true)
	report, err := t.Push(ctx)
	if err != nil {
		return nil, fmt.Errorf("tablet %d pushes: %w", tablet+1, err)
	}
	if left := len(t.Outbox()); left != 0 {
		return nil, fmt.Errorf("tablet %d still has %d entries in the outbox", tablet+1, left)
	}
	return report, nil
}

// resultOf finds the judgement of a marked entry.
func (s *story) resultOf(r *client.PushReport, mark string) (*contract.PushResult, error) {
	for i := range r.Results {
		if r.Results[i].ID == s.marks[mark].String() {
			return &r.Results[i], nil
		}
	}
	return nil, fmt.Errorf("the answer says nothing about entry %q", mark)
}

// leave writes a file into the demo's folder.
func (s *story) leave(name string, body []byte) error {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o600)
}
