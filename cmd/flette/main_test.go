package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	gosync "sync"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"flette/model"
)

// TestMain makes the program itself, and the helpers of the scripts, commands of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"flette": main,
		"visit":  program(inFolder(visitProgram)),
		"sign":   program(inFolder(signProgram)),
		"tell":   program(inFolder(tellProgram)),
		"flip":   program(flipProgram),
		"get":    program(getProgram),

		"outdate": program(inFolder(outdateProgram)),
		"judged":  program(judgedProgram),

		"shipment": program(shipmentProgram),
		"opencms":  program(opencmsProgram),
	})
}

func program(fn func(args []string) error) func() {
	return func() {
		if err := fn(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// inFolder makes a program of what is done in an open data folder: PROGRAM DIR TENANT ...
func inFolder(do func(ctx context.Context, a *app, tenant model.TenantID, args []string) error) func(args []string) error {
	return func(args []string) error {
		a, err := openApp(appOptions{Dir: args[0]})
		if err != nil {
			return err
		}
		return errors.Join(do(context.Background(), a, model.TenantID(args[1]), args), a.Close())
	}
}

// TestScripts runs the scripts: one subject each, with the real program.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FLETTE_DATA", "data")
			e.Setenv("USER", "testvik")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // each of a hundred programs would wait a second at its end
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serveCommand, "stopserver": stopCommand, "setenv": setenvCommand, "setmatch": setmatchCommand,
			"register": registerCommand,
		},
	})
}

// serving is the server of a script.
type serving struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// scriptServers holds the server of each script that has one.
type scriptServers struct {
	mu gosync.Mutex
	of map[*testscript.TestScript]*serving
}

var scriptServer = scriptServers{of: map[*testscript.TestScript]*serving{}}

func (s *scriptServers) put(ts *testscript.TestScript, one *serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[ts] = one
}

func (s *scriptServers) take(ts *testscript.TestScript) *serving {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of[ts]
	delete(s.of, ts)
	return one
}

// serveCommand starts "flette serve ARGS" and waits for its line; $URL is its address then.
func serveCommand(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("flette")
	ts.Check(err)
	s := &serving{cmd: exec.Command(path, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)}
	s.cmd.Dir, s.cmd.Env, s.cmd.Stderr = ts.MkAbs("."), append(os.Environ(), "FLETTE_DATA=data", "GORACE=atexit_sleep_ms=0"), &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() { _ = s.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		ts.Fatalf("the server did not start: %s", s.stderr.String())
	}
	_, url, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if !ok {
		ts.Fatalf("the server said %q", line)
	}
	ts.Setenv("URL", url)
	scriptServer.put(ts, s)
}

// stopCommand ends the server, with -KILL as a crash would, and looks at its exit code.
func stopCommand(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptServer.take(ts)
	if s == nil {
		ts.Fatalf("no server runs")
	}
	if len(args) > 0 && args[0] == "-KILL" {
		ts.Check(s.cmd.Process.Kill())
		_ = s.cmd.Wait()
		return
	}
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	if err := s.cmd.Wait(); err != nil {
		ts.Fatalf("the server ended with %v: %s", err, s.stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("server.log"), s.stderr.Bytes(), 0o600))
}

// setenvCommand sets a variable from the last output.
func setenvCommand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// setmatchCommand sets a variable from what the first group of a pattern finds in the last output.
func setmatchCommand(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("the output holds no %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// getProgram prints status and body of an address: get URL [TOKEN].
func getProgram(args []string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[0], nil)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		req.Header.Set("Authorization", "Bearer "+args[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%d %s\n", resp.StatusCode, body)
	return err
}

// flipProgram changes a letter of every occurrence of a text in a file: flip FILE TEXT.
func flipProgram(args []string) error {
	body, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	if !bytes.Contains(body, []byte(args[1])) {
		return fmt.Errorf("%s does not hold the text", args[0])
	}
	other := []byte(args[1])
	other[0] ^= 1
	return os.WriteFile(args[0], bytes.ReplaceAll(body, []byte(args[1]), other), 0o600)
}

// TestEveryVerbHelps asks each command for its help: what it does, and an example of it.
func TestEveryVerbHelps(t *testing.T) {
	parser, err := newParser(&cli{}, &output{io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	leaves := 0
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if c, ok := node.(*kong.Command); ok && c.Leaf() {
			leaves++
			checkHelp(t, c)
		}
		return next(nil)
	})
	if leaves < 18 {
		t.Errorf("%d verbs", leaves)
	}
}

func checkHelp(t *testing.T, c *kong.Command) {
	t.Helper()
	path := c.FullPath()
	if !strings.HasSuffix(c.Help, ".") {
		t.Errorf("%s: the first line %q is no sentence", path, c.Help)
	}
	if path != "flette version" && !strings.Contains(c.Detail, "\n    "+path) {
		t.Errorf("%s: the help has no example of it", path)
	}
	for _, f := range c.Flags {
		if f.Help == "" {
			t.Errorf("%s: --%s has no help", path, f.Name)
		}
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append(strings.Fields(path)[1:], "--help"), &output{&stdout, &stderr})
	if code != exitOK || stderr.Len() > 0 || !strings.HasPrefix(stdout.String(), "Usage: "+path) {
		t.Errorf("%s --help: exit code %d, %s%s", path, code, stdout.String(), stderr.String())
	}
}

// TestOpNames makes sure that the server finds every operation by its name.
func TestOpNames(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range adminOps {
		if o.opName() == "" || seen[o.opName()] {
			t.Errorf("the name %q is empty or taken", o.opName())
		}
		seen[o.opName()] = true
	}
}
