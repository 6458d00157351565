package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/model"
)

const memory = model.Unit("score/assist_memory")

var (
	somebody = personID("0190a000-0000-7000-8000-0000000000aa")
	another  = personID("0190a000-0000-7000-8000-0000000000ab")
)

func personID(s string) model.PersonID {
	p, err := model.ParsePersonID(s)
	if err != nil {
		panic(err)
	}
	return p
}

func score(u model.Unit, n int) []model.Change {
	return []model.Change{{Unit: u, Value: jsontext.Value(`{"score":` + strconv.Itoa(n) + `}`)}}
}

func sign(t testing.TB, tab *Tablet, u model.Unit, n int) model.EntryID {
	t.Helper()
	id, err := tab.Sign(somebody, model.ActRegister, score(u, n), SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func push(t testing.TB, tab *Tablet) *PushReport {
	t.Helper()
	r, err := tab.Push(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pull(t testing.TB, tab *Tablet) *PullReport {
	t.Helper()
	r, err := tab.Pull(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func heads(tab *Tablet, u model.Unit) (ids []model.EntryID) {
	v, _ := tab.View(somebody, u)
	for _, h := range v.Heads {
		ids = append(ids, h.Entry)
	}
	return ids
}

func decoded(t testing.TB, jws string) *model.Entry {
	t.Helper()
	e, _, err := Pending{JWS: jws}.decode()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWorkingDay(t *testing.T) {
	for _, encoding := range []string{EncodingNone, EncodingGzip, EncodingZstd} {
		t.Run("encoding "+encoding, func(t *testing.T) {
			f := newFake(t)
			tab, clock := f.tablet(Config{Encoding: encoding, App: "test/1"})
			f.items = append(f.items, contract.PullItem{Type: contract.ItemScopeAdd, Person: somebody,
				Card: &contract.PersonCard{Person: somebody, BrukerNr: 1, Name: "Test Testesen", Test: true}})
			pull(t, tab)
			if cards := tab.Persons(); len(cards) != 1 || cards[0].Person != somebody {
				t.Fatalf("caseload is %v", cards)
			}
			clock.advance(20 * time.Minute)
			first := sign(t, tab, memory, 2)
			clock.advance(time.Minute)
			second := sign(t, tab, memory, 4)
			box := tab.Outbox()
			e := decoded(t, box[1].JWS)
			if e.Seq != 2 || e.Prev != first.String() || e.ElapsedMs != 21*60*1000 || e.Clock != model.ClockMonotonic {
				t.Errorf("second entry is %+v", e)
			}
			if !slices.Equal(e.Changes[0].Over, []model.EntryID{first}) {
				t.Errorf("second entry is over %v, not over own work", e.Changes[0].Over)
			}
			if ahead := e.Wall - f.now; ahead != 3*3600*1000+21*60*1000 {
				t.Errorf("the wall clock is signed as it is: %d ms ahead", ahead)
			}
			r := push(t, tab)
			if r.Count(contract.OutcomeApplied) != 2 || r.Requests != 1 || len(tab.Outbox()) != 0 {
				t.Errorf("report %+v, outbox %d", r, len(tab.Outbox()))
			}
			if got := heads(tab, memory); !slices.Equal(got, []model.EntryID{second}) {
				t.Errorf("before the pull: %v", got)
			}
			pull(t, tab)
			if got := heads(tab, memory); !slices.Equal(got, []model.EntryID{second}) {
				t.Errorf("after the pull: %v", got)
			}
			if _, size := tab.Checkpoint(); size != 2 {
				t.Errorf("receipt is for %d entries", size)
			}
			// The push has renewed the lease: elapsed time counts from there.
			clock.advance(time.Second)
			sign(t, tab, memory, 3)
			if e := decoded(t, tab.Outbox()[0].JWS); e.ElapsedMs != 1000 || e.Lease == "L0" {
				t.Errorf("after renewal: %+v", e)
			}
		})
	}
}

func TestES256Tablet(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t)
	tab, _ := f.tablet(Config{Key: key})
	sign(t, tab, memory, 2)
	if r := push(t, tab); r.Count(contract.OutcomeApplied) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestLostAnswerIsSentAgain(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	sign(t, tab, memory, 2)
	sign(t, tab, memory, 3)
	f.loseAnswers = 2
	r := push(t, tab)
	if r.Count(contract.OutcomeDuplicate) != 2 || len(f.entries) != 2 || len(tab.Outbox()) != 0 {
		t.Errorf("report %+v, journal %d, outbox %d", r, len(f.entries), len(tab.Outbox()))
	}
}

func TestNoAnswerForgetsNothing(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{Tries: 2})
	id := sign(t, tab, memory, 2)
	f.loseAnswers = 2
	if r, err := tab.Push(context.Background()); err == nil || len(r.Results) != 0 {
		t.Errorf("report %+v, %v", r, err)
	}
	if box := tab.Outbox(); len(box) != 1 || box[0].ID != id {
		t.Errorf("outbox is %v", box)
	}
	if d := tab.diary(); d.LastError != "no answer" || d.Outbox != 1 {
		t.Errorf("diary %+v", d)
	}
	push(t, tab)
	if len(tab.Outbox()) != 0 || len(f.entries) != 1 {
		t.Error("the second push did not settle it")
	}
}

func TestTooLargeIsHalved(t *testing.T) {
	f := newFake(t)
	f.maxEntries = 3
	tab, _ := f.tablet(Config{Keep: -1})
	for i := range 20 {
		sign(t, tab, memory, 1+i%5)
	}
	if r := push(t, tab); r.Count(contract.OutcomeApplied) != 20 || r.Requests != 10 {
		t.Errorf("%d requests, %d applied", r.Requests, r.Count(contract.OutcomeApplied))
	}
	for i, j := range f.entries {
		if e := decoded(t, string(j.Compact())); e.Seq != int64(i+1) {
			t.Errorf("place %d holds seq %d", i, e.Seq)
		}
	}
}

func TestEncodingThatTheServerDoesNotKnow(t *testing.T) {
	f := newFake(t)
	f.noZstd = true
	tab, _ := f.tablet(Config{Encoding: EncodingZstd})
	sign(t, tab, memory, 2)
	if r := push(t, tab); r.Count(contract.OutcomeApplied) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestNonceIsTakenUp(t *testing.T) {
	f := newFake(t)
	f.nonce = "n1"
	tab, _ := f.tablet(Config{Tries: 1})
	push(t, tab)
	f.nonce = "n2"
	push(t, tab)
	pull(t, tab)
}

func TestWaitsAreHonoured(t *testing.T) {
	f := newFake(t)
	var waits []time.Duration
	tab, _ := f.tablet(Config{Sleep: func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}})
	f.busy = []string{"7", "60"}
	push(t, tab)
	if len(waits) != 2 || waits[0] < 7*time.Second || waits[0] > 10500*time.Millisecond || waits[1] < time.Minute || waits[1] > 90*time.Second {
		t.Errorf("waits were %v", waits)
	}
	waits = nil
	f.loseAnswers = 3
	push(t, tab)
	for i, least := range []time.Duration{firstWait, 2 * firstWait, 4 * firstWait} {
		if i >= len(waits) || waits[i] < least || waits[i] > least*3/2 {
			t.Errorf("waits were %v", waits)
		}
	}
	f.busy = []string{"1", "1", "1", "1"}
	if _, err := tab.Push(context.Background()); CodeOf(err) != "rate-limited" {
		t.Errorf("got %v after four tries", err)
	}
}

func TestForgedCheckpointForgetsNothing(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	sign(t, tab, memory, 2)
	f.forge = true
	if _, err := tab.Push(context.Background()); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("got %v", err)
	}
	if len(tab.Outbox()) != 1 {
		t.Error("the outbox was emptied by an unsigned receipt")
	}
}

func TestAudit(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	for i := range 5 {
		sign(t, tab, memory, 1+i)
		push(t, tab)
	}
	other, _ := f.tablet(Config{})
	for i := range 3 {
		sign(t, other, "score/hearing", 1+i)
	}
	push(t, other)
	if err := tab.Audit(context.Background()); err != nil {
		t.Error(err)
	}
	f.entries[1], f.entries[2] = f.entries[2], f.entries[1] // history rewritten, size kept growing
	if err := tab.Audit(context.Background()); !errors.Is(err, ErrRewound) {
		t.Errorf("got %v", err)
	}
}

func TestQuarantinedWorkLeavesTheView(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	good := sign(t, tab, memory, 2)
	push(t, tab)
	pull(t, tab)
	f.quarantine[memory] = "out-of-scope"
	sign(t, tab, memory, 4)
	if r := push(t, tab); r.Count(contract.OutcomeQuarantined) != 1 || r.Results[0].Code != "out-of-scope" {
		t.Errorf("%+v", r.Results)
	}
	if got := heads(tab, memory); !slices.Equal(got, []model.EntryID{good}) {
		t.Errorf("the view shows %v", got)
	}
}

func TestRefusedWorkIsKeptForAPerson(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	sign(t, tab, memory, 2)
	tab.s.Outbox[0].JWS = tab.s.Outbox[0].JWS[:200] + "." // bit rot
	good := sign(t, tab, "score/hearing", 2)
	r := push(t, tab)
	if r.Count(contract.OutcomeRefused) != 1 || r.Count(contract.OutcomeApplied) != 1 || f.entries[0].ID != good {
		t.Errorf("%+v", r.Results)
	}
	if lost := tab.Refused(); len(lost) != 1 || lost[0].Code != "not-a-jws" {
		t.Errorf("refused: %+v", lost)
	}
	push(t, tab)
	if f.pushes != 2 || len(tab.Refused()) != 1 {
		t.Error("a refused entry was sent again")
	}
}

// Two tablets score the same unit without seeing each other; the one that pulls before it
// has pushed keeps its own work on top, and its next entry is over both.
func TestPullUnderUnsentWork(t *testing.T) {
	f := newFake(t)
	a, _ := f.tablet(Config{})
	b, _ := f.tablet(Config{})
	theirs := sign(t, a, memory, 2)
	push(t, a)
	ours := sign(t, b, memory, 4)
	pull(t, b)
	if got := heads(b, memory); !slices.Equal(got, []model.EntryID{ours, theirs}) {
		t.Errorf("the view shows %v", got)
	}
	last := sign(t, b, memory, 3)
	if over := decoded(t, b.Outbox()[1].JWS).Changes[0].Over; !slices.Equal(over, []model.EntryID{ours, theirs}) {
		t.Errorf("over is %v", over)
	}
	push(t, b)
	pull(t, b)
	if got := heads(b, memory); !slices.Equal(got, []model.EntryID{last}) {
		t.Errorf("after all the view shows %v", got)
	}
}

func TestScopeRemoveWaitsForTheOutbox(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	for _, p := range []model.PersonID{somebody, another} {
		f.items = append(f.items, contract.PullItem{Type: contract.ItemScopeAdd, Person: p, Card: &contract.PersonCard{Person: p, Name: "Test"}})
	}
	pull(t, tab)
	sign(t, tab, memory, 2)
	for _, p := range []model.PersonID{somebody, another} {
		f.items = append(f.items, contract.PullItem{Type: contract.ItemScopeRemove, Person: p})
	}
	pull(t, tab)
	if _, there := tab.View(somebody, memory); !there || len(tab.Persons()) != 0 {
		t.Errorf("unsent work hidden, or persons still listed: %v", tab.Persons())
	}
	push(t, tab)
	if len(tab.view) != 0 {
		t.Errorf("the tablet still holds %d persons", len(tab.view))
	}
}

func TestOtherUserOtherView(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	f.items = append(f.items, contract.PullItem{Type: contract.ItemScopeAdd, Person: another, Card: &contract.PersonCard{Person: another, Name: "Test"}})
	pull(t, tab)
	mine := sign(t, tab, memory, 2)
	if _, err := tab.Login(context.Background(), "access-nurse-test-2"); err != nil {
		t.Fatal(err)
	}
	if len(tab.Persons()) != 0 || tab.Actor() != "nurse-test-2" {
		t.Errorf("%s sees %v", tab.Actor(), tab.Persons())
	}
	if got := heads(tab, memory); !slices.Equal(got, []model.EntryID{mine}) {
		t.Errorf("unsent work is not shown: %v", got)
	}
	if e := decoded(t, tab.Outbox()[0].JWS); string(e.Actor) != nurse {
		t.Errorf("the author became %s", e.Actor)
	}
	if r := pull(t, tab); r.Items != 1 {
		t.Errorf("the new user's caseload was not loaded from the start: %+v", r)
	}
}

func TestRestart(t *testing.T) {
	f := newFake(t)
	file := filepath.Join(t.TempDir(), "tablet.json")
	tab, _ := f.tablet(Config{Save: SaveFile(file)})
	sign(t, tab, memory, 2)
	push(t, tab)
	waiting := sign(t, tab, memory, 3)
	s, err := LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Restore(tab.cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := heads(again, memory); !slices.Equal(got, []model.EntryID{waiting}) {
		t.Errorf("the view shows %v", got)
	}
	sign(t, again, memory, 4)
	e := decoded(t, again.Outbox()[1].JWS)
	if e.Clock != model.ClockRebooted || e.Seq != 3 || e.Prev != waiting.String() || e.ElapsedMs != 0 {
		t.Errorf("after the restart: %+v", e)
	}
	if r := push(t, again); r.Count(contract.OutcomeApplied) != 2 {
		t.Errorf("%+v", r)
	}
	if _, size := again.Checkpoint(); size != 3 {
		t.Errorf("receipt for %d", size)
	}
	if _, err := Restore(Config{URL: "x"}, s); !errors.Is(err, ErrKey) {
		t.Errorf("restored without a key: %v", err)
	}
}

func TestUnsavedWorkIsNotSigned(t *testing.T) {
	f := newFake(t)
	broken := false
	tab, _ := f.tablet(Config{Save: func(*State) error {
		if broken {
			return errors.New("disk full")
		}
		return nil
	}})
	broken = true
	if _, err := tab.Sign(somebody, model.ActRegister, score(memory, 2), SignOptions{}); err == nil {
		t.Fatal("told that it is saved")
	}
	broken = false
	sign(t, tab, memory, 3)
	if e := decoded(t, tab.Outbox()[0].JWS); e.Seq != 1 || len(e.Changes[0].Over) != 0 {
		t.Errorf("the failed entry left a trace: %+v", e)
	}
}

func TestSignRefusesWhatIsNoEntry(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	var p *model.Problem
	if _, err := tab.Sign(somebody, model.ActCorrect, score(memory, 2), SignOptions{}); !errors.As(err, &p) || p.Code != "reason-required" {
		t.Errorf("got %v", err)
	}
	if _, err := tab.Sign(somebody, model.ActRegister, score("no/unit", 2), SignOptions{}); !errors.As(err, &p) || p.Code != "unknown-unit" {
		t.Errorf("got %v", err)
	}
	id := sign(t, tab, memory, 2)
	if _, err := tab.Sign(somebody, model.ActVoid, []model.Change{{Unit: memory, Target: &id}}, SignOptions{Reason: &model.Reason{Code: "wrong-person"}}); err != nil {
		t.Error(err)
	}
	if n := len(tab.Outbox()); n != 2 {
		t.Errorf("outbox holds %d", n)
	}
}

func TestNotReady(t *testing.T) {
	tab, err := New(Config{URL: "http://127.0.0.1:1", Wall: time.Now, Mono: func() time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := tab.Login(ctx, "x"); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("login: %v", err)
	}
	if _, err := tab.Push(ctx); !errors.Is(err, ErrNoLease) {
		t.Errorf("push: %v", err)
	}
	if _, err := tab.Pull(ctx); !errors.Is(err, ErrNoLease) {
		t.Errorf("pull: %v", err)
	}
	if _, err := tab.Sign(somebody, model.ActRegister, score(memory, 2), SignOptions{}); !errors.Is(err, ErrNoLease) {
		t.Errorf("sign: %v", err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a tablet without clocks was made")
	}
}

func TestSigningNeverWaitsForTheNetwork(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 10 {
			if _, err := tab.Push(context.Background()); err != nil {
				t.Error(err)
			}
			if _, err := tab.Pull(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 100 {
		sign(t, tab, memory, 1+i%5)
	}
	wg.Wait()
	push(t, tab)
	pull(t, tab)
	if len(f.entries) != 100 || len(heads(tab, memory)) != 1 {
		t.Errorf("%d entries, heads %v", len(f.entries), heads(tab, memory))
	}
}

func TestLeanTabletKnowsHeads(t *testing.T) {
	f := newFake(t)
	tab, _ := f.tablet(Config{Lean: true})
	id := sign(t, tab, memory, 2)
	push(t, tab)
	pull(t, tab)
	v, _ := tab.View(somebody, memory)
	if len(v.Heads) != 1 || v.Heads[0].Entry != id || v.Heads[0].Value != nil {
		t.Errorf("%+v", v)
	}
}
