package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flette/model"
)

// Every operation that this package declares is one that a running server does: a verb that works
// without a server works beside one.
func TestTheServerDoesEveryOperation(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared, served []string
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			lit, ok := spec.Values[0].(*ast.CompositeLit)
			if !ok {
				return true
			}
			if x, ok := lit.Type.(*ast.IndexListExpr); ok && (fmt.Sprint(x.X) == "op" || fmt.Sprint(x.X) == "stream") {
				declared = append(declared, spec.Names[0].Name)
			}
			if spec.Names[0].Name == "adminOps" {
				for _, e := range lit.Elts {
					served = append(served, fmt.Sprint(e))
				}
			}
			return true
		})
	}
	slices.Sort(declared)
	slices.Sort(served)
	if len(declared) < 30 || !slices.Equal(declared, served) {
		t.Errorf("declared %v\nserved   %v", declared, served)
	}
}

// How far a server is comes to the command line before the answer, and the answer is whole.
func TestProgressComesThroughTheSocket(t *testing.T) {
	dir := t.TempDir()
	ln, err := net.Listen("unix", socketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	slow := op[string, string]{name: "slow", run: func(ctx context.Context, _ *app, in string) (string, error) {
		tell := progressOf(ctx)
		tell("testvik", 1, 3)
		tell("testvik", 2, 3) // at once after the first: not sent
		return "done " + in, nil
	}}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerOp(w, r, &app{log: slog.New(slog.DiscardHandler)}, slow)
	})}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	var got []string
	ctx := context.WithValue(t.Context(), progressKey{}, progressFunc(func(tenant model.TenantID, done, of int64) {
		got = append(got, fmt.Sprintf("%s %d %d", tenant, done, of))
	}))
	var out string
	if err := callServer(ctx, dir, "slow", "it", &out); err != nil || out != "done it" {
		t.Fatal(out, err)
	}
	if !slices.Equal(got, []string{"testvik 1 3"}) {
		t.Errorf("%q", got)
	}
}

func TestProgressLines(t *testing.T) {
	var b bytes.Buffer
	at := time.Unix(0, 0)
	p := &progressLines{w: &b, now: func() time.Time { return at }, last: at}
	for i := range int64(21) {
		p.tell("testvik", i*10, 200)
		at = at.Add(time.Second)
	}
	p.last = time.Time{}
	p.tell("testvik", 7, -1)
	want := "testvik: 50 of 200 (25 %)\ntestvik: 100 of 200 (50 %)\ntestvik: 150 of 200 (75 %)\ntestvik: 200 of 200 (100 %)\ntestvik: 7\n"
	if b.String() != want {
		t.Errorf("%s", strings.TrimSpace(b.String()))
	}
}
