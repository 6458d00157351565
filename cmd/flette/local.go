package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"flette/model"
)

const (
	socketName = "admin.sock"
	// maxOpBytes bounds an operation's input and output: an import file (maxFile) grows by
	// its member names.
	maxOpBytes = 512 << 20
)

// dataFlags say where the data is.
type dataFlags struct {
	Data string `required:"" env:"FLETTE_DATA" placeholder:"DIR" help:"Data folder."`
	Keys string `placeholder:"DIR" help:"Folder of the key files, when it is not DIR/keys."`
}

// tenantFlags say which municipality is meant.
type tenantFlags struct {
	dataFlags
	Tenant tenantArg `required:"" placeholder:"ID" help:"Municipality, by its id (flette tenant list)."`
}

func (f tenantFlags) id() model.TenantID { return model.TenantID(f.Tenant) }

type tenantArg model.TenantID

// UnmarshalText checks the shape.
func (t *tenantArg) UnmarshalText(b []byte) error {
	id, err := model.ParseTenantID(string(b))
	*t = tenantArg(id)
	return err
}

type actorArg model.ActorID

// UnmarshalText checks the shape.
func (a *actorArg) UnmarshalText(b []byte) error {
	id, err := model.ParseActorID(string(b))
	*a = actorArg(id)
	return err
}

// op is an administrative verb. The server that runs on the data folder does it; without
// one, this process opens the store and does it.
type op[In, Out any] struct {
	name  string
	reads bool // the store is opened read-only, beside others who read
	// checks says that it looks for damage itself, and is to see a store that has some.
	checks bool
	run    func(ctx context.Context, a *app, in In) (Out, error)
}

// doOp does an operation wherever it can be done. Errors are a *problem.
func doOp[In, Out any](ctx context.Context, at dataFlags, o op[In, Out], in In) (Out, error) {
	var out Out
	running, err := serverRuns(at.Data)
	if err == nil && running {
		if err = callServer(ctx, at.Data, o.name, in, &out); err == nil {
			return out, nil
		}
	} else if err == nil {
		out, err = doHere(ctx, at, o, in)
	}
	if err != nil {
		return out, problemOf(err)
	}
	return out, nil
}

func doHere[In, Out any](ctx context.Context, at dataFlags, o op[In, Out], in In) (out Out, err error) {
	a, err := openApp(appOptions{Dir: at.Data, Keys: at.Keys, ReadOnly: o.reads, NoWalk: o.checks})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if !o.reads {
		// Whoever has the store open for writing knows that no server is behind the socket.
		_ = os.Remove(socketPath(at.Data))
	}
	return o.run(ctx, a, in)
}

func socketPath(dir string) string { return filepath.Join(dir, socketName) }

// serverRuns reports whether somebody answers on the folder's socket. A socket that is there
// without anybody behind it was left by a server that was killed.
func serverRuns(dir string) (bool, error) {
	c, err := net.DialTimeout("unix", socketPath(dir), 5*time.Second)
	switch {
	case err == nil:
		return true, c.Close()
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR),
		errors.Is(err, syscall.EINVAL): // longer than a socket's name can be, so no server listens there
		return false, nil
	case errors.Is(err, os.ErrPermission):
		return false, problemf("not-permitted", "%s belongs to another user; run this as the user that runs the server", socketPath(dir))
	}
	return false, err
}

// callServer sends an operation to the server.
func callServer(ctx context.Context, dir, name string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return postServer(ctx, dir, name, bytes.NewReader(body), out)
}

// postServer sends the body of an operation and reads the answer.
func postServer(ctx context.Context, dir, name string, body io.Reader, out any) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socketPath(dir))
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(receiveProgress(ctx), http.MethodPost, "http://admin/op/"+name, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the running server did not answer: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxOpBytes))
	if err != nil {
		return fmt.Errorf("the answer of the running server was cut off: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return json.Unmarshal(answer, out)
	case http.StatusUnprocessableEntity:
		var p problem
		if err := json.Unmarshal(answer, &p); err != nil {
			return err
		}
		return &p
	case http.StatusNotFound:
		return problemf("other-version", "the running server does not know this command; it is another version of flette, restart it")
	}
	return fmt.Errorf("the running server answered with status %d", resp.StatusCode)
}

// operator names who is at the command line, for the records that ask by whom.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "cli/" + u.Username
	}
	return fmt.Sprintf("cli/uid-%d", os.Getuid())
}
