//go:build linux && amd64

package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/store"
	"flette/store/bolt"
)

// serve starts a server and waits for its line; base is "" when it ended before.
func (k *kit) serve(p Program) (s *Process, base string, err error) {
	p.Path, p.Trampoline = k.flette, k.self
	p.Args = serveArgs(p.Dir)
	if s, err = Start(p); err != nil {
		return nil, "", err
	}
	line, _ := bufio.NewReader(s.Stdout).ReadString('\n')
	base, _ = baseOf(line)
	return s, base, nil
}

// end waits for a process and releases it; one that hangs is killed and told of.
func end(s *Process) (ws syscall.WaitStatus, stderr string, err error) {
	hung := time.AfterFunc(60*time.Second, func() { _ = s.Signal(syscall.SIGQUIT) })
	ws, err = s.Wait()
	if !hung.Stop() {
		err = errors.Join(err, errors.New("the program hung"))
	}
	stderr = s.Stderr()
	return ws, stderr, errors.Join(err, s.Close())
}

// point is one experiment: what happens at the nth call of a script.
type point struct {
	seed   uint64
	nth    int
	action Action
}

func (p point) String() string {
	what := "killed"
	if !p.action.Kill {
		what = p.action.Errno.Error()
	}
	return fmt.Sprintf("seed %d, call %d, %s", p.seed, p.nth, what)
}

// outcome of an experiment that held.
type outcome struct {
	hit    Call
	exit   int // of the server under the fault, -1 when killed
	acks   int
	failed []string
}

// try runs the script with a fault at one call, then restarts and demands invariants A to C.
func (k *kit) try(w *town, p point, full bool) (out outcome, err error) {
	dir, err := os.MkdirTemp(workDir(), "point-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	if err := w.copyTo(dir); err != nil {
		return out, err
	}
	m := newMorning(w, p.seed)
	m.again = !p.action.Kill
	defer m.http.CloseIdleConnections()
	s, base, err := k.serve(Program{Dir: dir, At: func(c Call) Action {
		if c.Seq == p.nth {
			return p.action
		}
		return Action{}
	}})
	if err != nil {
		return out, err
	}
	var played error
	if base != "" {
		played = m.play(context.Background(), base)
		m.http.CloseIdleConnections()
		_ = s.Signal(syscall.SIGTERM) // it may have ended
	}
	ws, stderr, err := end(s)
	if err != nil {
		return out, fmt.Errorf("%w\n%s", err, stderr)
	}
	if s.Hit() == nil {
		return out, nil // the script was shorter this time
	}
	out.hit, out.acks, out.failed = *s.Hit(), len(m.acks), m.failed
	if out.exit = ws.ExitStatus(); strings.Contains(stderr, "panic") {
		return out, fmt.Errorf("panic: %s", stderr)
	}
	if err := judgeExit(p, out, played, stderr); err != nil {
		return out, err
	}
	return out, k.after(w, m, dir, full)
}

// judgeExit says whether the server ended as it must.
func judgeExit(p point, out outcome, played error, stderr string) error {
	const exitDisk = 4
	on := fmt.Sprintf("at %s: exit %d, script: %v, %s", out.hit, out.exit, played, stderr)
	switch {
	case p.action.Kill:
		return nil
	case out.hit.Answers():
		// A connection broke: nothing about the disk. The script ends, the server does not.
		if out.exit != 0 {
			return fmt.Errorf("the server ended over a broken connection %s", on)
		}
	case out.hit.Syncs() || p.action.Errno == syscall.EIO && slices.Contains([]string{"pwrite64", "ftruncate"}, out.hit.Name):
		// After the script there are the diaries: nobody waits for an answer then.
		if out.exit != exitDisk || played != nil && len(out.failed) > 0 && out.failed[0] != "not-ready" {
			return fmt.Errorf("a failed write did not end the server %s", on)
		}
	case slices.Contains([]string{"pwrite64", "ftruncate"}, out.hit.Name):
		if out.exit == 0 && played == nil && len(out.failed) == 0 {
			return nil // found by the last diaries: everybody had been answered, and what was answered is compared below
		}
		if out.exit != 0 || played != nil || len(out.failed) != 1 || out.failed[0] != "store-full" {
			return fmt.Errorf("a full disk was not told and overcome (%v) %s", out.failed, on)
		}
	case out.exit != 0 && out.exit != 1: // before it served: refused with a sentence
		return fmt.Errorf("unexpected end %s", on)
	}
	return nil
}

// after demands what must hold of a folder that a server died on.
func (k *kit) after(w *town, m *morning, dir string, full bool) error {
	if code, text := k.run("verify", "--data", dir); code != 0 {
		return fmt.Errorf("flette verify: exit %d: %s", code, text)
	}
	if err := holds(dir, m.acks, nil); err != nil { // A
		return err
	}
	// C: a tablet has forgotten nothing that was not confirmed.
	for i := range m.nurses {
		if m.nurses[i] == nil {
			continue
		}
		for _, e := range m.nurses[i].Outbox() {
			if slices.ContainsFunc(m.acks, func(a ack) bool { return a.ID == e.ID.String() }) {
				return fmt.Errorf("C: %s is confirmed and still waits", e.ID)
			}
		}
	}
	waiting := 0
	for i := range m.nurses {
		if m.nurses[i] != nil {
			waiting += len(m.nurses[i].Outbox())
		}
	}
	confirmed := 0
	for _, a := range m.acks {
		if a.JWS != "" {
			confirmed++
		}
	}
	if confirmed+waiting != len(m.signed) {
		return fmt.Errorf("C: %d signed, %d confirmed, %d waiting", len(m.signed), confirmed, waiting)
	}
	s, base, err := k.serve(Program{Dir: dir})
	if err != nil || base == "" {
		return errors.Join(fmt.Errorf("the server does not start again: %s", s.Stderr()), err, s.Close())
	}
	pushed := m.pushAll(base)
	m.http.CloseIdleConnections()
	_ = s.Signal(syscall.SIGTERM)
	ws, stderr, err := end(s)
	if err != nil || pushed != nil || ws.ExitStatus() != 0 {
		return fmt.Errorf("after the restart: %w, exit %d %s", errors.Join(err, pushed), ws.ExitStatus(), stderr)
	}
	if err := holds(dir, m.acks, m.signed); err != nil {
		return err
	}
	if full {
		if code, text := k.run("verify", "--data", dir); code != 0 {
			return fmt.Errorf("flette verify after all was sent again: exit %d: %s", code, text)
		}
	}
	return nil
}

// pushAll sends everything that the tablets ever signed once more (B).
func (m *morning) pushAll(base string) error {
	first := map[string]ack{}
	for _, a := range m.acks {
		first[a.ID] = a
	}
	if err := m.open(base); err != nil {
		return err
	}
	for i := range m.nurses {
		if m.nurses[i] == nil || m.disk[i] == nil {
			continue
		}
		state, err := m.saved(i)
		if err != nil {
			return err
		}
		if state.Lease == nil {
			continue
		}
		var all []client.Pending
		for _, kept := range state.Kept {
			all = append(all, kept.Pending)
		}
		state.Outbox, state.Kept = append(all, state.Outbox...), nil
		t, err := client.Restore(m.config(i), state)
		if err != nil {
			return err
		}
		report, err := t.Push(context.Background())
		if err != nil {
			return fmt.Errorf("sending again: %w", err)
		}
		for _, r := range report.Results {
			a, known := first[r.ID]
			if known && (r.Outcome != contract.OutcomeDuplicate || r.First != a.Outcome || r.Position == nil || *r.Position != a.Position) {
				return fmt.Errorf("B: %s was %s at %d, and is %s (first %s)", r.ID, a.Outcome, a.Position, r.Outcome, r.First)
			}
			m.confirm(&r)
		}
	}
	return nil
}

// holds compares the journal with what was confirmed (A), and looks for anything twice (B).
// all, when given, are the entries that must be there by now.
func holds(dir string, acks []ack, all map[string]string) error {
	s, err := bolt.Open(dir, bolt.Options{ReadOnly: true, InitialMmapSize: 1})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.View(context.Background(), tenant, func(v store.View) error { return journalHolds(v, acks, all) })
}

func journalHolds(v store.View, acks []ack, all map[string]string) error {
	seen := map[string]bool{}
	for p := range v.Size() {
		e, err := v.Entry(p)
		if err != nil {
			return err
		}
		if seen[e.ID.String()] {
			return fmt.Errorf("B: %s is in the journal twice", e.ID)
		}
		seen[e.ID.String()] = true
	}
	for _, a := range acks {
		e, err := v.Entry(a.Position)
		if err != nil {
			return fmt.Errorf("A: %s, confirmed at %d: %w", a.ID, a.Position, err)
		}
		if e.ID.String() != a.ID || e.Outcome.String() != a.Outcome || a.JWS != "" && string(e.Compact()) != a.JWS {
			return fmt.Errorf("A: position %d holds %s %s, and %s %s was confirmed", a.Position, e.ID, e.Outcome, a.ID, a.Outcome)
		}
	}
	for id := range all {
		if !seen[id] {
			return fmt.Errorf("%s was sent again and is not in the journal", id)
		}
	}
	return nil
}

// record plays a script without a fault and returns its calls.
func (k *kit) record(w *town, seed uint64, dir string, keep bool) ([]Call, error) {
	if err := w.copyTo(dir); err != nil {
		return nil, err
	}
	m := newMorning(w, seed)
	defer m.http.CloseIdleConnections()
	s, base, err := k.serve(Program{Dir: dir, Record: keep})
	if err != nil {
		return nil, err
	}
	m.acked = func(a ack) { s.Mark(a) }
	played := errors.New("the server did not start")
	if base != "" {
		played = m.play(context.Background(), base)
	}
	m.http.CloseIdleConnections()
	_ = s.Signal(syscall.SIGTERM)
	ws, stderr, err := end(s)
	if err = errors.Join(err, played); err != nil || ws.ExitStatus() != 0 {
		return nil, fmt.Errorf("%w, exit %d %s", err, ws.ExitStatus(), stderr)
	}
	return s.Calls(), nil
}

// workDir is memory where there is such a folder: what is tested is the order of calls.
func workDir() string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		return "/dev/shm"
	}
	return ""
}

// both does a job with two hands for every item, and stops at the fifth error.
func each[T any](t *testing.T, items []T, do func(T) error) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, bad := 0, 0
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= len(items) || bad >= 5
				mu.Unlock()
				if stop {
					return
				}
				if err := do(items[i]); err != nil {
					mu.Lock()
					bad++
					t.Errorf("%v: %v", items[i], err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

// TestPoints: whatever call the program dies at, or is failed, nothing that was confirmed is
// lost, nothing is there twice, and nothing that was not confirmed is taken for done.
//
// The short run takes about sixty points spread over all kinds of calls; FLETTE_LONG=1 takes
// every call of several scripts.
func TestPoints(t *testing.T) {
	k := newKit(t)
	w := newTown(t, k)
	seeds := []uint64{1}
	if long() {
		seeds = nil
		for seed := range uint64(12) {
			seeds = append(seeds, seed+1)
		}
	}
	began := time.Now()
	var points []point
	for _, seed := range seeds {
		calls, err := k.record(w, seed, t.TempDir(), false)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var plain []Call
		for _, c := range calls {
			if c.Name != "mark" {
				plain = append(plain, c)
			}
		}
		t.Logf("seed %d: %d calls:%s", seed, len(plain), tally(plain))
		points = append(points, choose(seed, plain, long())...)
	}
	var mu sync.Mutex
	n, kinds, missed, acks, done := map[string]int{}, map[string]int{}, 0, 0, 0
	each(t, points, func(p point) error {
		out, err := k.try(w, p, p.nth%10 == 0)
		mu.Lock()
		defer mu.Unlock()
		what := "killed"
		if !p.action.Kill {
			what = strings.ToUpper(errnoName(p.action.Errno))
		}
		if out.hit.Seq == 0 {
			missed++
			return err
		}
		n[what]++
		kinds[what+" at "+out.hit.Name]++
		acks += out.acks
		if done++; done%250 == 0 {
			t.Logf("%d of %d points: %v", done, len(points), n)
		}
		return err
	})
	took := time.Since(began).Seconds()
	total := 0
	for _, c := range n {
		total += c
	}
	t.Logf("%d points really hit (%v), %d not reached, %.0f s, %.1f points/s; %d confirmations checked; by call: %v",
		total, n, missed, took, float64(total)/took, acks, kinds)
	if total < len(points)*9/10 {
		t.Errorf("only %d of %d points were reached", total, len(points))
	}
}

func errnoName(e syscall.Errno) string {
	switch e {
	case syscall.EIO:
		return "EIO"
	case syscall.ENOSPC:
		return "ENOSPC"
	}
	return e.Error()
}

// choose gives the experiments of a script: every call killed, and for the first seeds every
// call that changes the folder failed in two ways; or a sample that has all kinds of calls.
func choose(seed uint64, calls []Call, all bool) []point {
	faults := []Action{{Kill: true}, {Errno: syscall.EIO}, {Errno: syscall.ENOSPC}}
	var out []point
	perKind := map[string]int{}
	for i, c := range calls {
		for f, a := range faults {
			if !a.Kill && c.Answers() && a.Errno != syscall.EIO {
				continue // a network has no space to run out of
			}
			kind := fmt.Sprint(c.Name, c.Answers(), f)
			perKind[kind]++
			// Of many calls of a kind the sample takes some that lie apart; the numbers have no
			// common divisor, so they fall on different steps of a commit.
			every := []int{6, 13, 13}[f]
			if all && (f == 0 || seed <= 3) || perKind[kind] == 1 || perKind[kind]%every == 0 {
				out = append(out, point{seed, i + 1, a})
			}
		}
	}
	return out
}
