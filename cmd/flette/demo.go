package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"flette/api"
	"flette/model"
)

type demoCmd struct {
	Dir    string `placeholder:"DIR" help:"Folder for the store, the messages and the transcript; a temporary one when not given."`
	Once   bool   `help:"End after the story: exit code 0 when every step held, 1 and the name of the step when not."`
	Listen string `default:"127.0.0.1:0" placeholder:"ADDR" help:"Loopback address to serve on; port 0 picks a free one. Default: ${default}."`
	Seed   uint64 `default:"1" help:"Names, scores and service ids follow from it. Default: ${default}."`
}

// Help is shown by --help.
func (*demoCmd) Help() string {
	return `Plays a working day of a municipality that does not exist: 200 persons, 12 tablets, a real
server on loopback and real clients over HTTP. Tablets enrol, fetch their caseload, go
offline and come back in the wrong order, one with a wrong clock; the supervisor decides, a
message to the register is made and validated, and the journal is verified. Every step
checks what it claims.

It then serves until Ctrl-C. DIR holds the store (flette verify --data DIR), kpr/*.xml and
transcript.json. Everything is synthetic.

Example:

    flette demo --once --dir /tmp/flette-demo`
}

// Validate checks the address.
func (c *demoCmd) Validate() error { return loopbackOnly(c.Listen) }

const demoBanner = `
  flette demo: kun syntetiske data / synthetic data only
  Nobody in this municipality exists. Do not enter real persons.`

// Run plays the day and goes on serving.
func (c *demoCmd) Run(ctx context.Context, out *output) (err error) {
	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "flette-demo-"); err != nil {
			return err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := claimDemoDir(dir); err != nil {
		return problemf("demo-folder", "%v", err)
	}
	tell := func(line string) { fmt.Fprintln(out.stdout, line) }
	tell(demoBanner)
	began := time.Now()
	s, stop, err := newStory(dir, c.Seed, c.Listen, tell)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := s.play(ctx); err != nil {
		return problemf("demo-failed", "the demo did not hold: %v (folder %s)", err, dir)
	}
	tell(fmt.Sprintf("\nAll %d steps held, in %.1f s. %s holds the store, kpr/ and transcript.json.", len(demoSteps), time.Since(began).Seconds(), dir))
	if c.Once {
		return nil
	}
	look, err := s.addresses()
	if err != nil {
		return err
	}
	tell(look)
	select {
	case <-ctx.Done():
		return nil
	case <-s.ended():
		return errors.New("the server stopped by itself")
	}
}

// newStory opens the folder and makes a story whose server starts when the story has a
// municipality to serve. stop ends the server and closes the store.
func newStory(dir string, seed uint64, listen string, tell func(string)) (s *story, stop func() error, err error) {
	clock := newStoryClock(clockAt(6, 30), time.Now)
	a, err := openApp(appOptions{Dir: dir, Now: clock.Now})
	if err != nil {
		return nil, nil, err
	}
	server := &demoServer{listen: listen}
	net := http.DefaultTransport.(*http.Transport).Clone()
	s = &story{dir: dir, seed: seed, clock: clock, a: a, net: net, tell: tell, serve: server.start, ended: server.ended}
	return s, func() error {
		net.CloseIdleConnections() // the server would wait for them
		return errors.Join(server.stop(), a.Close())
	}, nil
}

// demoServer is the server of `flette serve` inside the demo.
type demoServer struct {
	listen string
	api    *api.Server
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	err    error         // then
}

func (d *demoServer) start(a *app) (url string, err error) {
	ln, err := net.Listen("tcp", d.listen)
	if err != nil {
		return "", problemf("listen", "the address cannot be listened on: %v", err)
	}
	url = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	server, err := a.newServer(ctx, nil, url)
	if err != nil {
		cancel()
		return "", errors.Join(err, ln.Close())
	}
	d.api = server
	d.cancel, d.done = cancel, make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(d.done)
		d.err = a.serve(ctx, server, ln, func() error {
			close(ready)
			return nil
		})
	}()
	select {
	case <-ready:
		return url, nil
	case <-d.done:
		return "", d.err
	}
}

// ended is closed when the server has ended; stop then says why.
func (d *demoServer) ended() <-chan struct{} { return d.done }

func (d *demoServer) stop() error {
	if d.cancel == nil {
		return nil
	}
	d.cancel()
	<-d.done
	return d.err
}

// addresses says what there is to look at, with a supervisor's token that begins now.
func (s *story) addresses() (string, error) {
	token, err := s.a.userToken(demoTenant, demoSuper, model.Roles(model.RoleSupervisor), demoSuperName, tokenLife)
	return fmt.Sprintf(`
  Is it alive?     curl %[1]s/livez
  The contract     curl %[1]s/v1/openapi.json
  The open review  curl -H 'Authorization: Bearer %[2]s' %[1]s/v1/reviews

  With the same header, the supervisor's, good for 12 hours:
    %[1]s/v1/findings?severity=B
    %[1]s/v1/persons
    %[1]s/v1/reports/time?week=%[3]s
    '%[1]s/v1/reports/measures?date=%[7]s&format=html'
  On this machine: flette review list --data %[4]s --tenant %[5]s

  It is %[6]s in the story, and its clock runs on. Ctrl-C ends the demo.`,
		s.url, token, demoWeek, s.dir, demoTenant, s.clock.Now().Format("15:04 on Monday 2 January 2006"), s.clock.Now().Format(time.DateOnly)), err
}
