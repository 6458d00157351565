//go:build linux && amd64

package crash

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/model/ident"
)

const tenant = model.TenantID("testvik")

// town is a data folder before the morning, with what its people hold in their hands.
type town struct {
	dir     string
	persons []model.PersonID
	tokens  map[string]string // by actor
}

var builtTown struct {
	sync.Once
	town
	err error
}

// newTown makes the folder with the program's own verbs, once.
func newTown(t testing.TB, k *kit) *town {
	t.Helper()
	b := &builtTown
	b.Do(func() { b.err = b.build(k) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return &b.town
}

const people = 6

func (w *town) build(k *kit) error {
	w.dir = filepath.Join(filepath.Dir(k.flette), "town")
	w.tokens = map[string]string{}
	data := "--data=" + w.dir
	verb := func(args ...string) (string, error) {
		code, out := k.run(args...)
		if code != 0 {
			return "", fmt.Errorf("flette %v: exit %d: %s", args, code, out)
		}
		return out, nil
	}
	if _, err := verb("tenant", "add", data, "--id=testvik", "--name=Testvik", "--kommune=9999"); err != nil {
		return err
	}
	file := filepath.Join(filepath.Dir(k.flette), "persons.csv")
	if err := errors.Join(personFile(file, 0, people), personFile(filepath.Join(filepath.Dir(k.flette), "others.csv"), people, 400)); err != nil {
		return err
	}
	if _, err := verb("person", "import", data, "--tenant=testvik", file); err != nil {
		return err
	}
	out, err := verb("person", "list", data, "--tenant=testvik", "--json")
	if err != nil {
		return err
	}
	var list []struct {
		ID model.PersonID `json:"id"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return err
	}
	for _, p := range list {
		w.persons = append(w.persons, p.ID)
	}
	for actor, roles := range map[string]string{"anne": "nurse", "berit": "nurse", "sonja": "supervisor,admin"} {
		if w.tokens[actor], err = verb("user", "token", data, "--tenant=testvik", "--actor="+actor, "--role="+roles, "--name=Oppdiktet"); err != nil {
			return err
		}
	}
	return nil
}

// personFile writes a file to import.
func personFile(path string, first, n int) error {
	csv := "name;number;kommune\n"
	for i := first; i < first+n; i++ {
		number, ok := ident.SyntheticFNR(time.Date(1940, 1, 1+i, 0, 0, 0, 0, time.UTC), 0)
		if !ok {
			return errors.New("no synthetic number")
		}
		csv += fmt.Sprintf("Oppdiktet Person %d;%s;9999\n", i, number)
	}
	return os.WriteFile(path, []byte(csv), 0o600)
}

// copyTo makes a data folder like the town's.
func (w *town) copyTo(dir string) error {
	for _, sub := range []string{"keys", "tenants"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
		files, err := os.ReadDir(filepath.Join(w.dir, sub))
		if err != nil {
			return err
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(w.dir, sub, f.Name()))
			if err != nil {
				return err
			}
			// Room that is reserved and not written takes none.
			to := filepath.Join(dir, sub, f.Name())
			if err := errors.Join(os.WriteFile(to, bytes.TrimRight(b, "\x00"), 0o600), os.Truncate(to, int64(len(b)))); err != nil {
				return err
			}
		}
	}
	return nil
}

// ack is what the server has confirmed about an entry.
type ack struct {
	ID       string
	JWS      string // "" for what the review desk signed
	Position int64
	Outcome  string
}

// morning is a scripted piece of sync: two tablets and a supervisor, one call at a time, so
// that every run of a seed makes the same calls.
type morning struct {
	town   *town
	rand   *mathrand.Rand
	http   *http.Client
	url    string
	began  time.Time
	keys   [2]ed25519.PrivateKey
	nurses [2]*client.Tablet
	disk   [2][]byte // what each tablet has saved
	desk   *client.API
	signed map[string]string // JWS of every entry, by id
	acks   []ack
	acked  func(ack) // told of every confirmation; may be nil
	again  bool      // a step that fails is tried once more
	failed []string  // problem codes of steps that failed
}

func newMorning(w *town, seed uint64) *morning {
	m := &morning{
		town: w, rand: mathrand.New(mathrand.NewPCG(seed, 7)), began: time.Now(), signed: map[string]string{},
		http: &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second},
	}
	for i := range m.keys {
		m.keys[i] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(seed), byte(i + 1)}, 16))
	}
	return m
}

func (m *morning) config(i int) client.Config {
	return client.Config{
		URL: m.url, HTTP: m.http, Key: m.keys[i], Wall: time.Now, Mono: func() time.Duration { return time.Since(m.began) }, Tries: 1,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Save: func(s *client.State) (err error) {
			m.disk[i], err = json.Marshal(s)
			return err
		},
	}
}

// step does one call. A refusal that nothing was done for is no end when again is set.
func (m *morning) step(name string, do func() error) error {
	err := do()
	if err != nil && m.again && client.CodeOf(err) != "" {
		m.failed = append(m.failed, client.CodeOf(err))
		err = do()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (m *morning) open(url string) (err error) {
	m.url = url
	m.desk, err = client.NewAPI(client.APIConfig{URL: url, HTTP: m.http, Token: m.town.tokens["sonja"], Wall: time.Now, Tries: 1})
	return err
}

// play goes through the morning until the end or the first call that fails.
func (m *morning) play(ctx context.Context, url string) error {
	if err := m.open(url); err != nil {
		return err
	}
	actors := []model.ActorID{"anne", "berit"}
	known := m.town.persons[:people-1] // the last one is nobody's
	for i, actor := range actors {
		var err error
		if m.nurses[i], err = client.New(m.config(i)); err != nil {
			return err
		}
		var invite *contract.InviteResponse
		for _, s := range []struct {
			name string
			do   func() error
		}{
			{"invite", func() (err error) { invite, err = m.desk.Invite(ctx, "nettbrett"); return err }},
			{"enrol", func() error { _, err := m.nurses[i].Enrol(ctx, tenant, invite.Code, "nettbrett"); return err }},
			{"assign", func() error {
				_, err := m.desk.Assign(ctx, contract.AssignRequest{Actor: actor, Persons: known})
				return err
			}},
			{"login", func() error { _, err := m.nurses[i].Login(ctx, m.town.tokens[string(actor)]); return err }},
			{"pull", func() error { _, err := m.nurses[i].Pull(ctx); return err }},
		} {
			if err := m.step(s.name, s.do); err != nil {
				return err
			}
		}
	}
	for range 2 + m.rand.IntN(2) {
		for i := range m.nurses {
			for range 1 + m.rand.IntN(4) {
				if err := m.sign(i, known[m.rand.IntN(len(known))]); err != nil {
					return err
				}
			}
		}
		for i := range m.nurses {
			if err := m.step("push", func() error { return m.push(ctx, i) }); err != nil {
				return err
			}
		}
	}
	if err := m.settle(ctx); err != nil {
		return err
	}
	for i := range m.nurses {
		if err := m.step("pull", func() error { _, err := m.nurses[i].Pull(ctx); return err }); err != nil {
			return err
		}
		if err := m.sign(i, known[0]); err != nil {
			return err
		}
		if err := m.step("push", func() error { return m.push(ctx, i) }); err != nil {
			return err
		}
	}
	return nil
}

// settle lets the supervisor decide a review and release an entry.
func (m *morning) settle(ctx context.Context) error {
	for i := range m.nurses { // they disagree about the first person, whatever came before
		if err := m.score(i, m.town.persons[0], "score/assist_memory", 1+3*i); err != nil {
			return err
		}
	}
	if err := m.sign(0, m.town.persons[people-1]); err != nil { // out of her caseload
		return err
	}
	for i := range m.nurses {
		if err := m.step("push", func() error { return m.push(ctx, i) }); err != nil {
			return err
		}
	}
	err := m.step("decide", func() error {
		open, err := m.desk.Reviews(ctx, "open", "")
		if err != nil || len(open.Reviews) == 0 {
			return err
		}
		id := open.Reviews[0].ID
		v, etag, err := m.desk.Review(ctx, id)
		if err != nil {
			return err
		}
		choice := v.Unit.Heads[0].Entry
		done, err := m.desk.Decide(ctx, id, etag, contract.DecisionRequest{Choose: &choice, Reason: &model.Reason{Code: "seen-both"}})
		if err == nil {
			m.confirm(&done.Result)
		}
		return err
	})
	if err != nil {
		return err
	}
	return m.step("release", func() error {
		waiting, err := m.desk.Quarantine(ctx, "open", "")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(waiting.Items, func(q contract.QuarantineView) bool { return q.Code == "out-of-scope" })
		if i < 0 {
			return nil // released by the try before, whose answer was a refusal: the script goes on
		}
		done, err := m.desk.Release(ctx, waiting.Items[i].Entry, model.Reason{Code: "checked"})
		if err == nil {
			m.confirm(&done.Result)
		}
		return err
	})
}

var units = []model.Unit{"score/assist_memory", "score/assist_personal_hygiene", "score/assist_toileting", "score/vision"}

func (m *morning) sign(i int, p model.PersonID) error {
	return m.score(i, p, units[m.rand.IntN(len(units))], 1+m.rand.IntN(5))
}

func (m *morning) score(i int, p model.PersonID, u model.Unit, n int) error {
	id, err := m.nurses[i].Sign(p, model.ActRegister, []model.Change{{Unit: u, Value: jsontext.Value(fmt.Sprintf(`{"score":%d}`, n))}}, client.SignOptions{})
	if err != nil {
		return err
	}
	box := m.nurses[i].Outbox()
	m.signed[id.String()] = box[len(box)-1].JWS
	return nil
}

func (m *morning) push(ctx context.Context, i int) error {
	report, err := m.nurses[i].Push(ctx)
	for k := range report.Results {
		m.confirm(&report.Results[k])
	}
	return err
}

// confirm notes what the server has said it holds.
func (m *morning) confirm(r *contract.PushResult) {
	if r.Position == nil {
		return
	}
	a := ack{r.ID, m.signed[r.ID], *r.Position, r.Outcome}
	if r.Outcome == contract.OutcomeDuplicate {
		a.Outcome = r.First
	}
	if slices.ContainsFunc(m.acks, func(b ack) bool { return b.ID == a.ID }) {
		return
	}
	m.acks = append(m.acks, a)
	if m.acked != nil {
		m.acked(a)
	}
}

// server is `flette serve`, traced or not.
func serveArgs(dir string) []string {
	return []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--log-level", "error"}
}

// baseOf reads the line that says where a server listens.
func baseOf(line string) (string, bool) {
	return strings.CutPrefix(strings.TrimSpace(line), "listening on ")
}

// saved is what a tablet finds on its own disk.
func (m *morning) saved(i int) (*client.State, error) {
	s := new(client.State)
	return s, json.Unmarshal(m.disk[i], s)
}
