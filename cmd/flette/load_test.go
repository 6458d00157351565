package main

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
)

// TestLoad drives a real server with a small population: everything that was acknowledged
// is there, and the counts are those of the plan.
func TestLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	server := &demoServer{listen: "127.0.0.1:0"}
	url, err := server.start(a)
	if err != nil {
		t.Fatal(err)
	}
	plan := loadPlan{Tablets: 5, Entries: 5, Changes: 4, Steady: 2, Seed: 9}
	target := loadTarget{url: url, at: dataFlags{Data: dir}}
	f, err := newFleet(plan, &target, 3, "zstd")
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Audit.Checked != 35 || r.Audit.Missing != 0 || r.Audit.HistoryPersons != 25 {
		t.Errorf("audit %+v", r.Audit)
	}
	if r.Burst.Changes != 100 || r.Burst.Pushes != 5 || r.Steady.Changes != 10 || r.Steady.Pushes != 10 || r.Burst.Failed+r.Steady.Failed != 0 {
		t.Errorf("burst %+v, steady %+v", r.Burst, r.Steady)
	}
	if n := r.Outcomes[contract.OutcomeApplied] + r.Outcomes[contract.OutcomeConflict]; n != 35 {
		t.Errorf("outcomes %v", r.Outcomes)
	}
	// Every entry of the plan has scores or times of its own, so every unit is pulled.
	if r.Pull.Items < 5*(loadCaseload+1)+100 {
		t.Errorf("pull %+v", r.Pull)
	}

	// The same audit finds an acknowledgement that the server does not keep.
	f.members[2].acks[3].position++
	var again auditReport
	if err := f.audit(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	if again.Missing == 0 || again.Lost[0].Tablet != 2 {
		t.Errorf("an entry in another place was not noticed: %+v", again)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	report, err := a.engine.Verify(t.Context(), target.tenant, a.checks(target.tenant), nil)
	if err != nil || !report.OK() || report.Entries != 35 {
		t.Errorf("verify %+v, %v", report, err)
	}
	if err := errors.Join(server.stop(), a.Close()); err != nil {
		t.Error(err)
	}
}

// forgetful is a server that lost one acknowledged entry: pushed again, it is new there.
type forgetful struct {
	acks []ack
	lost int
	off  int64 // of the positions it names
}

func (s forgetful) push(_ context.Context, _ int, entries []string) ([]contract.PushResult, error) {
	var out []contract.PushResult
	for i := range entries {
		at := s.acks[i].position + s.off
		r := contract.PushResult{Index: i, ID: s.acks[i].id.String(), Outcome: contract.OutcomeDuplicate, Position: &at}
		if i == s.lost {
			r.Outcome = contract.OutcomeApplied
		}
		out = append(out, r)
	}
	return out, nil
}

func TestAuditFindsWhatWasLost(t *testing.T) {
	entries := []string{"a", "b", "c"}
	var acks []ack
	for i, e := range entries {
		acks = append(acks, ack{model.NewEntryID([]byte(e)), int64(10 * i)})
	}
	for name, c := range map[string]struct {
		server pusher
		want   []lost
	}{
		"all there": {forgetful{acks, -1, 0}, nil},
		"one lost":  {forgetful{acks, 1, 0}, []lost{{4, acks[1].id, 10, "outcome applied"}}},
		"moved":     {forgetful{acks, -1, 1}, []lost{{4, acks[0].id, 0, "position 1"}, {4, acks[1].id, 10, "position 11"}, {4, acks[2].id, 20, "position 21"}}},
	} {
		got, err := auditTablet(t.Context(), c.server, 4, entries, acks)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if got := auditResults(4, acks, nil); len(got) != 3 || got[0].Says != "no answer" {
		t.Errorf("no answers: %v", got)
	}
	other := []contract.PushResult{{ID: acks[2].id.String(), Outcome: contract.OutcomeDuplicate, Position: &acks[0].position}}
	if got := auditResults(4, acks[:1], other); len(got) != 1 || got[0].Says != "answer about another entry" {
		t.Errorf("another entry: %v", got)
	}
	if _, err := auditTablet(t.Context(), forgetful{acks, -1, 0}, 4, entries, acks[:2]); err == nil {
		t.Error("entries without acknowledgement were not noticed")
	}
}

func TestAuditHistory(t *testing.T) {
	a, b := model.NewEntryID([]byte("a")), model.NewEntryID([]byte("b"))
	want := map[model.EntryID]lost{a: {Entry: a, Position: 1}, b: {Entry: b, Position: 2}}
	if got := auditHistory(want, []contract.HistoryEntry{{Entry: a, Position: 1}, {Entry: b, Position: 2}}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := auditHistory(want, []contract.HistoryEntry{{Entry: a, Position: 1}}); len(got) != 1 || got[0].Entry != b {
		t.Errorf("%v", got)
	}
	if got := auditHistory(want, []contract.HistoryEntry{{Entry: a, Position: 9}, {Entry: b, Position: 2}}); len(got) != 1 || got[0].Entry != a {
		t.Errorf("%v", got)
	}
}

// TestLoadPlan: what is signed is valid, follows from the seed, and nobody in it can exist.
func TestLoadPlan(t *testing.T) {
	p := loadPlan{Tablets: 3, Entries: 60, Changes: 25, Steady: 2, Seed: 5}
	for i := range p.Tablets {
		for k := range p.Entries {
			w := p.offline(i, k)
			if len(w.changes) != 25 || !reflect.DeepEqual(w, p.offline(i, k)) {
				t.Fatalf("entry %d of tablet %d", k, i)
			}
			checkWork(t, p, i, w)
		}
		checkWork(t, p, i, p.steady(i, 1))
	}
	if reflect.DeepEqual(p.offline(0, 0), loadPlan{Tablets: 3, Entries: 60, Changes: 25, Seed: 6}.offline(0, 0)) {
		t.Error("the seed changes nothing")
	}
	if p.changes() != 3*(60*25+2) {
		t.Errorf("%d changes", p.changes())
	}
	big := loadPlan{Tablets: 100, Seed: 1}
	seen := map[string]bool{}
	for first := 0; first < big.persons(); first += 300 {
		for _, who := range big.people(first, 300) {
			id, err := ident.Parse(who.Number, ident.Legacy)
			if err != nil || !id.Synthetic() || seen[who.Number] {
				t.Fatalf("line %d: %v", who.Line, err)
			}
			seen[who.Number] = true
		}
	}
	if len(seen) != big.persons() {
		t.Errorf("%d persons of %d", len(seen), big.persons())
	}
}

func checkWork(t *testing.T, p loadPlan, tablet int, w work) {
	t.Helper()
	known := false
	for _, who := range p.caseload(tablet) {
		known = known || who == w.person
	}
	if !known {
		t.Errorf("tablet %d has no person %d", tablet, w.person)
	}
	units := map[model.Unit]bool{}
	for _, c := range w.changes {
		if units[c.Unit] {
			t.Errorf("%s stands twice", c.Unit)
		}
		units[c.Unit] = true
		if problem := catalogue.Default().Validate(c.Unit, c.Value, model.MillisOf(demoDay.AddDate(0, 0, 8))); problem != nil {
			t.Errorf("%s: %v", c.Unit, problem)
		}
	}
}

func TestSpool(t *testing.T) {
	s, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.put([]string{"one", "two"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.put([]string{"three"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   outbox
		want []string
	}{{second, []string{"three"}}, {first, []string{"one", "two"}}, {outbox{}, nil}} {
		got, err := s.get(c.at)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v, %v; want %v", got, err, c.want)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestProcessFiguresAreRead(t *testing.T) {
	stat := "4242 (a name) with ) in it) S 1 4242 4242 0 -1 4194560 900 0 0 0 125 75 0 0 20 0 9 0 1 2 3"
	if cpu, ok := parseStat([]byte(stat)); !ok || cpu != 2*time.Second {
		t.Errorf("cpu %s, %v", cpu, ok)
	}
	if _, ok := parseStat([]byte("4242 (x) S 1")); ok {
		t.Error("a short line was read")
	}
	status := []byte("VmPeak:\t  10 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n")
	if peak, none := parseStatus(status, "VmHWM:"), parseStatus(status, "RssAnon:"); peak != 2<<20 || none != 0 {
		t.Errorf("peak %d, none %d", peak, none)
	}
	if _, ok := processUsage(0); ok {
		t.Error("no process has figures")
	}
}

func TestQuantile(t *testing.T) {
	var took []time.Duration
	for i := range 100 {
		took = append(took, time.Duration(100-i)*time.Millisecond)
	}
	if p50, p99 := quantile(took, 0.5), quantile(took, 0.99); p50 != 51 || p99 != 100 {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	if quantile(nil, 0.5) != 0 || rate(5, 0) != 0 || rate(10, 2*time.Second) != 5 {
		t.Error("nothing measured is not 0")
	}
}
