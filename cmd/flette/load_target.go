package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"flette/model"
	"flette/store"
	"flette/sync"
)

// loadTarget is the server under load and its door for the command line.
type loadTarget struct {
	url    string
	at     dataFlags
	tenant model.TenantID // made for this run: it touches no other
	pid    int            // 0 when the server's process is not known
}

// addTenant makes a municipality of its own for the run.
func (t *loadTarget) addTenant(ctx context.Context, salt string) error {
	t.tenant = model.TenantID("load-" + salt)
	_, err := doOp(ctx, t.at, tenantAddOp, tenantAdd{Tenant: store.Tenant{ID: t.tenant, Name: "Last (oppdiktet) " + salt, Kommune: demoKommune}})
	return err
}

func (t *loadTarget) importPersons(ctx context.Context, in []sync.PersonInput) ([]model.PersonID, error) {
	done, err := doOp(ctx, t.at, personImportOp, personImport{Tenant: t.tenant, Persons: in})
	if err == nil && len(done.Persons) != len(in) {
		err = fmt.Errorf("%d of %d persons were imported", len(done.Persons), len(in))
	}
	return done.Persons, err
}

func (t *loadTarget) invite(ctx context.Context, label string) (code string, err error) {
	inv, err := doOp(ctx, t.at, deviceInviteOp, deviceInvite{Tenant: t.tenant, Label: label})
	return inv.Code, err
}

func (t *loadTarget) assign(ctx context.Context, actor model.ActorID, persons []model.PersonID) error {
	_, err := doOp(ctx, t.at, caseloadChangeOp, caseloadChange{Tenant: t.tenant, Change: sync.Assign{Actor: actor, Persons: persons, By: operator()}})
	return err
}

func (t *loadTarget) token(ctx context.Context, actor model.ActorID, role string) (string, error) {
	return doOp(ctx, t.at, userTokenOp, userToken{Tenant: t.tenant, Actor: actor, Roles: []string{role}, Name: "Last Oppdiktet", Seconds: int64(maxToken / time.Second)})
}

// loopback reports whether the server is on this machine's loopback network.
func (t *loadTarget) loopback() bool {
	u, err := url.Parse(t.url)
	return err == nil && strings.HasPrefix(u.Hostname(), "127.")
}

// spawn starts `flette serve` of this binary as a process of its own, on a folder that is
// removed by stop, so that what the server uses can be told from what the driver uses.
func spawn(ctx context.Context, out *output) (t loadTarget, stop func() error, err error) {
	binary, err := os.Executable()
	if err != nil {
		return t, nil, err
	}
	dir, err := os.MkdirTemp("", "flette-load-")
	if err != nil {
		return t, nil, err
	}
	data := filepath.Join(dir, "data")
	// The same program under the same name.
	cmd := &exec.Cmd{Path: binary, Stderr: out.stderr, Args: []string{
		os.Args[0], "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "error",
	}}
	lines, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return t, nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop = func() error {
		err := cmd.Process.Signal(os.Interrupt)
		if waited := cmd.Wait(); waited != nil {
			err = errors.Join(err, fmt.Errorf("the server ended with %w", waited))
		}
		return errors.Join(err, os.RemoveAll(dir))
	}
	// The first line says where; there are no others.
	first := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(lines).ReadString('\n')
		first <- line
	}()
	select {
	case line := <-first:
		if base, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on "); ok {
			return loadTarget{url: base, at: dataFlags{Data: data}, pid: cmd.Process.Pid}, stop, nil
		}
		err = errors.New("the server did not start")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return t, nil, errors.Join(err, stop())
}
