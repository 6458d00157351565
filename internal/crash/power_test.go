//go:build linux && amd64

package crash

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flette/store"
	"flette/store/bolt"
)

// moment is an image with what had been confirmed by then.
type cut struct {
	seed  uint64
	state State
	acks  []ack
	nth   int
}

func (c cut) String() string { return fmt.Sprintf("seed %d, power cut after call %d", c.seed, c.nth) }

// cuts replays calls and gives every state at the moments when most is at stake: before each
// sync, and at the end. sample says how many random subsets; keep thins the states out.
func cuts(seed uint64, base map[string][]byte, calls []Call, samples int, fn func(cut) bool) {
	m := NewImage(base)
	rnd := rand.New(rand.NewPCG(seed, 11))
	var acks []ack
	on := true
	at := func(nth int) {
		m.States(rnd, samples, func(s State) bool {
			on = on && fn(cut{seed, s, acks[:len(acks):len(acks)], nth})
			return on
		})
	}
	for i, c := range calls {
		if a, ok := c.Mark.(ack); ok {
			acks = append(acks, a)
			continue
		}
		if c.Syncs() && on {
			at(i)
		}
		m.Apply(c)
	}
	at(len(calls))
}

// folder reads the files of a data folder.
func folder(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		out[rel], err = os.ReadFile(path)
		return err
	})
	return out, err
}

// write puts a state into a folder that holds nothing, or the one before it.
func (s State) write(dir string) error {
	for path, f := range s {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(full, f.Data, 0o600), os.Truncate(full, f.Size)); err != nil {
			return err
		}
	}
	return nil
}

// TestPowerLoss records a script's writes and rebuilds every state that a power cut can leave
// of them. Each opens, passes the store's check, and holds all that was confirmed; a sample
// is replayed by flette verify.
func TestPowerLoss(t *testing.T) {
	k := newKit(t)
	w := newTown(t, k)
	seeds, samples, thin := []uint64{2}, 16, 1
	if long() {
		seeds, samples, thin = []uint64{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 200, 1
	}
	began := time.Now()
	var built, distinct, verified atomic.Int64
	for _, seed := range seeds {
		calls, err := k.record(w, seed, filepath.Join(t.TempDir(), "data"), true)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		known := map[string]bool{}
		for _, c := range calls {
			if a, ok := c.Mark.(ack); ok {
				known[a.ID] = true
			}
		}
		base, err := folder(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		// States are made by one hand and tried by all.
		states := make(chan cut, 4)
		stop := make(chan struct{})
		go func() {
			defer close(states)
			var hash maphash.Hash
			seen := map[uint64]int{} // number of confirmations by then
			cuts(seed, base, calls, samples, func(c cut) bool {
				if built.Add(1)%int64(thin) != 0 {
					return true
				}
				hash.Reset()
				hash.WriteString(c.state.Key())
				if n, ok := seen[hash.Sum64()]; ok && n >= len(c.acks) {
					return true // tried already, and asked for as much
				}
				seen[hash.Sum64()] = len(c.acks)
				select {
				case states <- c:
					return true
				case <-stop:
					return false
				}
			})
		}()
		var wg sync.WaitGroup
		var once sync.Once
		for range 2 {
			wg.Go(func() {
				dir, err := os.MkdirTemp(workDir(), "power-")
				if err != nil {
					t.Error(err)
					return
				}
				defer os.RemoveAll(dir)
				for c := range states {
					n := distinct.Add(1)
					full := n%400 == 0
					if full {
						verified.Add(1)
					}
					if err := k.survives(dir, c, known, full); err != nil {
						t.Errorf("%v: %v", c, err)
						once.Do(func() { close(stop) })
					}
				}
			})
		}
		wg.Wait()
	}
	took := time.Since(began).Seconds()
	t.Logf("%d distinct states opened and checked, %d of them replayed by flette verify; %d built; %.0f s, %.0f states/s",
		distinct.Load(), verified.Load(), built.Load(), took, float64(distinct.Load())/took)
	if least := map[bool]int64{false: 1000, true: 50000}[long()]; distinct.Load() < least {
		t.Errorf("only %d states", distinct.Load())
	}
}

// TestPowerLossCanFail plays a disk that takes every sync of a meta page for done and does
// nothing: what was confirmed is then lost in some state, and the test must say so.
func TestPowerLossCanFail(t *testing.T) {
	k := newKit(t)
	w := newTown(t, k)
	calls, err := k.record(w, 2, filepath.Join(t.TempDir(), "data"), true)
	if err != nil {
		t.Fatal(err)
	}
	base, err := folder(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	var lying []Call
	meta := false
	for _, c := range calls {
		if a, ok := c.Mark.(ack); ok {
			known[a.ID] = true
		}
		if c.Name == "pwrite64" {
			meta = c.Off < 2*4096
		}
		if !meta || !c.Syncs() {
			lying = append(lying, c)
		}
	}
	dir, lost, tried := t.TempDir(), 0, 0
	cuts(2, base, lying, 2, func(c cut) bool {
		if tried++; tried%7 == 0 {
			if err := k.survives(dir, c, known, false); err != nil && strings.Contains(err.Error(), "A: ") {
				lost++
			}
		}
		return lost < 3 && tried < 3000
	})
	if lost < 3 {
		t.Errorf("a disk that does not sync lost nothing in %d states", tried)
	}
}

// survives opens a state as the next start does.
func (k *kit) survives(dir string, c cut, known map[string]bool, full bool) error {
	if err := c.state.write(dir); err != nil {
		return err
	}
	s, err := bolt.Open(dir, bolt.Options{InitialMmapSize: 1})
	if err != nil {
		return err
	}
	err = s.Check(context.Background(), tenant)
	if err == nil {
		err = s.View(context.Background(), tenant, func(v store.View) error {
			for p := range v.Size() {
				e, err := v.Entry(p)
				if err != nil {
					return err
				}
				if !known[e.ID.String()] {
					return fmt.Errorf("an entry that nobody sent: %s", e.ID)
				}
			}
			return journalHolds(v, c.acks, nil)
		})
	}
	if err = errors.Join(err, s.Close()); err != nil || !full {
		return err
	}
	if code, text := k.run("verify", "--data", dir); code != 0 {
		return fmt.Errorf("flette verify: exit %d: %s", code, text)
	}
	return nil
}

// verb is a command that changes a folder.
type verb struct {
	name string
	args []string
}

func firstVerbs(k *kit, dir string) []verb {
	data := "--data=" + dir
	return []verb{
		{"tenant add", []string{"tenant", "add", data, "--id=testvik", "--name=Testvik", "--kommune=9999"}},
		{"person import", []string{"person", "import", data, "--tenant=testvik", filepath.Join(filepath.Dir(k.flette), "persons.csv")}},
		{"caseload assign", []string{"caseload", "assign", data, "--tenant=testvik", "--actor=anne", "--all"}},
		{"device invite", []string{"device", "invite", data, "--tenant=testvik", "--label=nettbrett"}},
	}
}

// done reports whether a verb that is run again has nothing left to do, or did it.
func done(code int, text string) bool {
	return code == 0 || code == 1 && strings.Contains(text, "municipality testvik already")
}

// completes runs the verbs of a folder from one on, as an operator does who was interrupted.
func (k *kit) completes(dir string, from int) error {
	if code, text := k.run("verify", "--data", dir); code != 0 && !strings.Contains(text, "holds no Flette store") {
		return fmt.Errorf("verify: exit %d: %s", code, text)
	}
	for _, v := range firstVerbs(k, dir)[from:] {
		if code, text := k.run(v.args...); !done(code, text) {
			return fmt.Errorf("%s, once more: exit %d: %s", v.name, code, text)
		}
	}
	code, text := k.run("person", "list", "--data", dir, "--tenant=testvik", "--json")
	if n := strings.Count(text, `"id":`); code != 0 || n != people {
		return fmt.Errorf("%d persons in the end: exit %d", n, code)
	}
	if code, text := k.run("verify", "--data", dir); code != 0 || !strings.Contains(text, "testvik: ok") {
		return fmt.Errorf("verify in the end: exit %d: %s", code, text)
	}
	return nil
}

// TestFirstSteps kills and fails every call of the verbs that make a municipality, and cuts
// the power after each: what was told as done is there, and the same verbs complete the rest.
func TestFirstSteps(t *testing.T) {
	k := newKit(t)
	newTown(t, k) // its persons.csv
	root := filepath.Join(t.TempDir(), "data")
	type trial struct {
		verb  int
		name  string
		calls map[string][]byte // the folder before
		call  int
		act   Action
		state State
	}
	var trials []trial
	var images int
	rnd := rand.New(rand.NewPCG(5, 5))
	for i, v := range firstVerbs(k, root) {
		before := map[string][]byte{}
		if i > 0 {
			var err error
			if before, err = folder(root); err != nil {
				t.Fatal(err)
			}
		}
		p := k.start(t, Program{Args: v.args, Dir: root, Record: true})
		if ws, err := p.Wait(); err != nil || ws.ExitStatus() != 0 {
			t.Fatalf("%s: exit %d, %v: %s", v.name, ws.ExitStatus(), err, p.Stderr())
		}
		n := 0
		for f, act := range []Action{{Kill: true}, {Errno: 5}, {Errno: 28}} {
			for _, c := range p.Calls() {
				if n++; c.Answers() || !long() && n%(9-i) != f {
					continue
				}
				trials = append(trials, trial{i, v.name, before, c.Seq, act, nil})
			}
		}
		m := NewImage(before)
		for _, c := range p.Calls() {
			if c.Syncs() {
				m.States(rnd, 8, func(s State) bool {
					if images++; long() || images%41 == 0 {
						trials = append(trials, trial{verb: i, name: v.name, call: c.Seq, state: s})
					}
					return true
				})
			}
			m.Apply(c)
		}
		// The verb has said that it is done.
		m.States(rnd, 8, func(s State) bool {
			trials = append(trials, trial{verb: min(i+1, 3), name: v.name + " (done)", call: len(p.Calls()), state: s})
			return true
		})
	}
	each(t, trials, func(r trial) error {
		dir, err := os.MkdirTemp(workDir(), "first-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		where := fmt.Sprintf("%s, call %d, %v", r.name, r.call, r.act)
		if r.state != nil {
			if err := r.state.write(dir); err != nil {
				return err
			}
			// Names of folders are made durable with the first tenant.
			if err := k.completes(dir, r.verb); err != nil {
				return fmt.Errorf("%s, power cut: %w", where, err)
			}
			return nil
		}
		for path, b := range r.calls {
			if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o700), os.WriteFile(filepath.Join(dir, path), b, 0o600)); err != nil {
				return err
			}
		}
		p, err := Start(Program{Path: k.flette, Trampoline: k.self, Args: firstVerbs(k, dir)[r.verb].args, Dir: dir, At: func(c Call) Action {
			if c.Seq == r.call {
				return r.act
			}
			return Action{}
		}})
		if err != nil {
			return err
		}
		ws, stderr, err := end(p)
		if err != nil || strings.Contains(stderr, "panic") {
			return fmt.Errorf("%s: %w %s", where, err, stderr)
		}
		if !r.act.Kill && ws.ExitStatus() != 0 && !strings.HasPrefix(stderr, "flette: ") {
			return fmt.Errorf("%s: exit %d: %s", where, ws.ExitStatus(), stderr)
		}
		if err := k.completes(dir, r.verb); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		return nil
	})
	t.Logf("%d trials, %d images", len(trials), images)
}
