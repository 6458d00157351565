package main

import (
	"errors"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, events string
		goTest       error
		noSkip, ok   bool
		shows        []string
		hides        []string
		last         string
	}{
		{
			name: "all pass, quietly",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p"}
`,
			ok: true, hides: []string{"chatter"}, last: "2 passed, 0 failed, 0 skipped",
		},
		{
			name: "a failing test shows its output, once",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"a.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\n"}
{"Action":"fail","Package":"p"}
`,
			goTest: errors.New("exit status 1"),
			shows:  []string{"--- p TestA\na.go:1: wrong\n"}, hides: []string{"exit status", "FAIL\tp"}, last: "0 passed, 1 failed, 0 skipped",
		},
		{
			name: "a package that does not build is one failure",
			events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"x.go:3: undefined: y\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
{"Action":"pass","Package":"q","Test":"TestB"}
`,
			goTest: errors.New("exit status 1"),
			shows:  []string{"x.go:3: undefined: y"}, last: "1 passed, 1 failed, 0 skipped",
		},
		{
			name: "a package that dies shows the test it died in",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}
`,
			goTest: errors.New("exit status 1"), shows: []string{"--- p\n", "panic: boom"}, last: "0 passed, 1 failed, 0 skipped",
		},
		{
			name: "a package that hangs after a failed test is another failure",
			events: `{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"panic: test timed out after 10m0s\\n"}
{"Action":"output","Package":"p","Output":"FAIL\\tp\\t600s\\n"}
{"Action":"fail","Package":"p","Elapsed":600.1}
`,
			goTest: errors.New("exit status 1"), shows: []string{"--- p\npanic: test timed out", "p took 600 s\n"}, hides: []string{"FAIL\tp"}, last: "0 passed, 2 failed, 0 skipped",
		},
		{
			name: "skips are listed with their reason",
			events: `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b.go:2: skipped: not found: xmllint\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"q"}
`,
			ok: true, shows: []string{"  p TestB: skipped: not found: xmllint\n"}, last: "1 passed, 0 failed, 1 skipped",
		},
		{
			name:   "where nothing may be skipped, a skip is an error",
			events: `{"Action":"skip","Package":"p","Test":"TestB"}` + "\n",
			noSkip: true, shows: []string{"p TestB: no reason given", "must run here"}, last: "0 passed, 0 failed, 1 skipped",
		},
		{
			name:   "the line of a complete run",
			events: `{"Action":"pass","Package":"p","Test":"TestB"}`,
			noSkip: true, ok: true, last: "1 passed, 0 failed",
		},
		{
			name:   "the go command's own words are passed on",
			events: "go: cannot find main module\n",
			goTest: errors.New("exit status 1"), shows: []string{"cannot find main module", "exit status 1"}, last: "0 passed, 1 failed, 0 skipped",
		},
		{name: "nothing ran", shows: []string{"no test ran"}, last: "0 passed, 1 failed, 0 skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w strings.Builder
			s, err := read(strings.NewReader(c.events), &w)
			if err != nil {
				t.Fatal(err)
			}
			if ok := s.print(&w, c.goTest, c.noSkip); ok != c.ok {
				t.Errorf("ok = %v", ok)
			}
			for _, want := range c.shows {
				if strings.Count(w.String(), want) != 1 {
					t.Errorf("%q is not shown once in:\n%s", want, w.String())
				}
			}
			for _, not := range c.hides {
				if strings.Contains(w.String(), not) {
					t.Errorf("%q is shown in:\n%s", not, w.String())
				}
			}
			lines := strings.Split(strings.TrimSpace(w.String()), "\n")
			if got := lines[len(lines)-1]; got != c.last {
				t.Errorf("last line %q, want %q", got, c.last)
			}
		})
	}
}
