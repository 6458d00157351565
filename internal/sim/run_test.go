package sim

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "the history that TestSeed repeats")
	historiesFlag = flag.Int("histories", 0, "how many histories; 300 when 0, 12 under the race detector")
	fromFlag      = flag.Uint64("from", 1, "seed of the first history")
	stepsFlag     = flag.Int("steps", 125, "actions of a history")
	traceFlag     = flag.Bool("trace", false, "TestSeed prints every step")
)

// script is a history: what happens, and the seed of each thing. Each step draws from its own
// seed, so that leaving one out changes nothing about the others.
type script struct {
	seed  uint64
	steps []step
}

type step struct {
	action string
	seed   uint64
}

func randomScript(seed uint64, n int) script {
	s := script{seed: seed}
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	rng := mathrand.New(mathrand.NewPCG(seed, 2))
	for range n {
		at := rng.IntN(total)
		for _, a := range actions {
			if at -= a.weight; at < 0 {
				s.steps = append(s.steps, step{a.name, rng.Uint64()})
				break
			}
		}
	}
	return s
}

func actionNamed(name string) *action {
	i := slices.IndexFunc(actions, func(a action) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return &actions[i]
}

type result struct {
	err   error
	ran   int // steps until the end
	seen  map[string]int
	trace []string
	size  int
}

// play runs a script from an empty folder to its end.
func play(s script, dir string) (r result) {
	var w *world
	defer func() {
		if v := recover(); v != nil {
			var broken violation
			if err, ok := v.(error); ok && errors.As(err, &broken) {
				r.err = broken
			} else {
				r.err = violation{"X", fmt.Sprintf("panic: %v\n%s", v, debug.Stack())}
			}
		}
		if w != nil {
			r.seen, r.trace, r.size = w.seen, w.trace, len(w.o.journal)
			if w.srv != nil {
				r.err = errors.Join(r.err, w.close())
			}
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return result{err: err}
	}
	w = newWorld(s.seed, dir)
	for i, st := range s.steps {
		a := actionNamed(st.action)
		if a == nil {
			return result{err: fmt.Errorf("no action is called %q", st.action)}
		}
		r.ran = i + 1
		w.rng = mathrand.New(mathrand.NewPCG(st.seed, 3))
		w.trace = append(w.trace, a.name)
		if what := a.do(w); what != "" {
			w.count("action " + a.name)
			w.trace[len(w.trace)-1] = fmt.Sprintf("%s: %s", a.name, what)
		} else if a.name == "restart" || a.name == "kill" {
			w.count("action " + a.name)
		}
		for _, t := range w.tablets {
			t.honest()
		}
		if i%50 == 49 {
			w.o.merged()
		}
	}
	r.ran = len(s.steps) + 1
	w.rng = mathrand.New(mathrand.NewPCG(s.seed, 4))
	w.quiesce(s.seed%4 == 0)
	w.count("history")
	return r
}

// shrink cuts a failing script while it fails by the same law: first its end, then pieces of
// it, until nothing more can go or the budget is spent.
func shrink(s script, r result, dir string, budget int) script {
	law := func(err error) string {
		var v violation
		errors.As(err, &v)
		return v.law
	}
	want := law(r.err)
	fails := func(t script) bool {
		budget--
		return law(play(t, filepath.Join(dir, "shrink-"+strconv.Itoa(budget))).err) == want
	}
	best := script{s.seed, s.steps[:min(r.ran, len(s.steps))]}
	if !fails(best) {
		return s
	}
	for size := len(best.steps) / 2; size >= 1 && budget > 0; size /= 2 {
		for at := 0; at+size <= len(best.steps) && budget > 0; {
			cut := script{s.seed, slices.Concat(best.steps[:at], best.steps[at+size:])}
			if fails(cut) {
				best = cut
			} else {
				at += size
			}
		}
	}
	return best
}

// String is the form of testdata/seeds: it does not depend on the table of actions.
func (s script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", s.seed)
	for _, st := range s.steps {
		fmt.Fprintf(&b, "%s %d\n", st.action, st.seed)
	}
	return b.String()
}

func readScript(text string) (s script, err error) {
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return s, fmt.Errorf("line %d: %w", i+1, err)
		}
		if name == "seed" {
			s.seed = n
		} else {
			s.steps = append(s.steps, step{name, n})
		}
	}
	return s, nil
}

// report fails the test with all that is needed to see it again.
func report(t *testing.T, s script, r result, dir string) {
	t.Helper()
	cut := shrink(s, r, dir, 150)
	again := play(cut, filepath.Join(dir, "again"))
	if again.err == nil {
		cut, again = s, r
	}
	t.Errorf("seed %d breaks after %d of %d steps: %v\nagain: go test ./internal/sim -run 'TestSeed$' -seed %d -steps %d\nshrunk to %d steps: %v\n%s\nas a case for testdata/seeds:\n%s",
		s.seed, r.ran, len(s.steps), r.err, s.seed, len(s.steps), len(cut.steps), again.err, strings.Join(again.trace, "\n"), cut)
}

// TestSeed repeats one history.
func TestSeed(t *testing.T) {
	loadKeys(t)
	seed := *seedFlag
	if seed == 0 {
		seed = 1
	}
	t.Logf("seed %d, %d steps", seed, *stepsFlag)
	dir := scratch(t)
	s := randomScript(seed, *stepsFlag)
	r := play(s, filepath.Join(dir, "first"))
	if *traceFlag {
		t.Log(strings.Join(r.trace, "\n"))
	}
	if r.err != nil {
		report(t, s, r, dir)
		return
	}
	// The same seed is the same history, to the byte.
	if again := play(s, filepath.Join(dir, "second")); again.err != nil || !slices.Equal(r.trace, again.trace) || !maps.Equal(r.seen, again.seen) {
		t.Errorf("seed %d gives two histories: %v", seed, again.err)
		for i := range r.trace {
			if i >= len(again.trace) || r.trace[i] != again.trace[i] {
				t.Errorf("from step %d: %q", i+1, r.trace[i])
				break
			}
		}
	}
}

// TestKnownSeeds runs what once failed.
func TestKnownSeeds(t *testing.T) {
	loadKeys(t)
	files, err := filepath.Glob("testdata/seeds/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no seeds in testdata/seeds: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			s, err := readScript(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if r := play(s, filepath.Join(scratch(t), "w")); r.err != nil {
				t.Errorf("%v\n%s", r.err, strings.Join(r.trace, "\n"))
			}
		})
	}
}

func histories() int {
	switch {
	case *historiesFlag > 0:
		return *historiesFlag
	case raceOn:
		return 12
	case testing.Short():
		return 60
	}
	return 300
}

// TestHistories runs many histories and shows what they reached.
func TestHistories(t *testing.T) {
	loadKeys(t)
	n := histories()
	dir := scratch(t)
	began := time.Now()
	t.Logf("%d histories of %d steps from seed %d (race detector: %v)", n, *stepsFlag, *fromFlag, raceOn)
	var mu gosync.Mutex
	seen := map[string]int{}
	entries, failed := 0, 0
	next := *fromFlag
	var wg gosync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				stop := seed >= *fromFlag+uint64(n) || failed >= 3
				mu.Unlock()
				if stop {
					return
				}
				s := randomScript(seed, *stepsFlag)
				at := filepath.Join(dir, fmt.Sprintf("seed-%d", seed))
				r := play(s, at)
				mu.Lock()
				for k, v := range r.seen {
					seen[k] += v
				}
				entries += r.size
				if r.err != nil {
					failed++
				}
				mu.Unlock()
				if r.err != nil {
					report(t, s, r, at+"-again")
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d entries in %s", entries, time.Since(began).Round(time.Millisecond))
	covered(t, seen, n >= enough)
}

// enough histories reach everything; fewer show a table and demand nothing of it.
const enough = 200

// covered prints what occurred how often, and fails when something never did: a simulation
// that does not reach conflicts proves nothing about them.
func covered(t *testing.T, seen map[string]int, demand bool) {
	t.Helper()
	must := slices.Clone(mustOccur)
	for _, a := range actions {
		must = append(must, "action "+a.name)
	}
	for _, what := range must {
		if demand && seen[what] == 0 {
			t.Errorf("%q never occurred", what)
		}
	}
	var table strings.Builder
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(&table, "%9d  %s\n", seen[k], k)
	}
	t.Logf("how often:\n%s", table.String())
}

// mustOccur beside the actions themselves.
var mustOccur = []string{
	"outcome applied", "outcome conflict", "outcome duplicate", "outcome quarantined", "outcome refused",
	"class 0", "class 1", "class 2", "class 3", "class 4", "class 5", "class 6",
	"clock A", "clock B", "clock C",
	"act register", "act confirm", "act correct", "act void", "act reinstate", "act decide", "act release", "act close",
	"code lease-expired", "code lease-unknown", "code out-of-scope", "code device-revoked", "code seq-fork", "code device-forked",
	"code act-forbidden", "code unknown-person", "code score-out-of-range", "code value-invalid", "code unknown-unit", "code unit-closed",
	"code bad-signature", "code unknown-key", "code unknown-target", "code already-settled",
	"released lease-expired", "released out-of-scope",
	"net request lost", "net request delayed", "net request arrives late", "net request twice", "net answer lost", "net answer cut",
	"net 503 by a proxy", "net desk lost answer",
	"http use-dpop-nonce", "http replayed-proof", "http lease-expired", "http not-releasable", "http already-settled", "http device-revoked", "http precondition-failed",
	"server restart", "server killed", "server clock set", "clock tie", "offline for 60 days",
	"tablet reboot", "tablet died while saving", "disk full", "tablet restored from a copy", "tablet cloned", "device revoked", "enrolled anew",
	"person moved", "assignment with an end", "decision overtaken", "courier", "forged entry", "foreign lease", "audit",
	"void of a decision by a nurse", "void of a decision by a supervisor",
	"restored", "restored to another life than the last", "tablet ahead of a restored store", "brought back after a restore",
	"tablet unknown to a restored store", "enrolled again under its id", "http store-rewound", "http unknown-device",
	"key rotated", "key handed over to a store that had forgotten it", "replaced, twins: true", "replaced, twins: false", "tablet erased itself",
	"code person-blocked", "released person-blocked", "emergency access",
	"view by pull", "view by load", "view by repair",
	"view compared", "news decision", "news quarantine", "second store",
}
