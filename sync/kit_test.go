package sync_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"flette/internal/jwk"
	"flette/internal/seal"
	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// world is one tenant with an engine, a clock that only the test moves, and tablets.
type world struct {
	t        testing.TB
	dir      string
	tenant   model.TenantID
	keys     *seal.Keys
	st       *bolt.Store
	e        *sync.Engine
	now      model.Millis
	rand     *mathrand.ChaCha8
	persons  []model.PersonID
	options  sync.Options
	tampered bool // cleanup does not verify
}

// day0 is 2026-11-22T08:00:00Z.
const day0 model.Millis = 1795334400000

const (
	sec  model.Millis = 1000
	min_              = 60 * sec
	hour              = 60 * min_
)

func newWorld(t testing.TB, persons int) *world {
	t.Helper()
	return newWorldWith(t, persons, sync.Options{})
}

func newWorldWith(t testing.TB, persons int, o sync.Options) *world {
	t.Helper()
	keys, err := seal.Generate("testvik")
	if err != nil {
		t.Fatal(err)
	}
	return startWorld(t, keys, o, persons)
}

func startWorld(t testing.TB, keys *seal.Keys, o sync.Options, persons int) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), tenant: "testvik", keys: keys, options: o, now: day0, rand: mathrand.NewChaCha8([32]byte{7})}
	w.open()
	if err := w.e.CreateTenant(t.Context(), store.Tenant{ID: w.tenant, Name: "Testvik", Kommune: "9999"}); err != nil {
		t.Fatal(err)
	}
	w.addPersons(persons)
	t.Cleanup(func() {
		if !w.tampered {
			w.mustVerify()
		}
		if err := w.st.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	st, err := bolt.Open(w.dir, bolt.Options{InitialMmapSize: 64 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	w.st = st
	o := w.options
	o.Store, o.Rand = st, w.rand
	o.Keys = func(model.TenantID) (sync.Keys, error) { return w.keys, nil }
	if o.Now == nil {
		o.Now = func() model.Millis { return w.now }
	}
	if w.e, err = sync.New(o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) addPersons(n int) {
	w.t.Helper()
	var in []sync.PersonInput
	born := day0.Time().AddDate(-80, 0, 0)
	for i := range n {
		number, ok := ident.SyntheticFNR(born.AddDate(0, 0, i), 0)
		if !ok {
			w.t.Fatal("no synthetic number")
		}
		in = append(in, sync.PersonInput{Line: i + 1, Number: number, Name: fmt.Sprintf("Oppdiktet Person %d", i), Kommune: "9999"})
	}
	done, err := w.e.ImportPersons(w.t.Context(), w.tenant, in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.persons = append(w.persons, done.Persons...)
}

// mustVerify replays the journal and compares every derived table.
func (w *world) mustVerify() {
	w.t.Helper()
	r, err := w.e.Verify(context.Background(), w.tenant, sync.Checks{}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range r.Problems {
		w.t.Errorf("verify: %s", p)
	}
}

// tablet signs entries as a real one does.
type tablet struct {
	w      *world
	key    ed25519.PrivateKey
	id     model.DeviceID
	actor  model.ActorID
	lease  model.Lease
	seq    int64
	prev   string
	skew   model.Millis // wall clock minus true time
	cursor string
	check  string
}

func (w *world) tablet(actor model.ActorID, roles model.Role) *tablet {
	w.t.Helper()
	var seed [32]byte
	_, _ = w.rand.Read(seed[:])
	tb := &tablet{w: w, key: ed25519.NewKeyFromSeed(seed[:]), actor: actor}
	public, err := jwk.New(tb.key.Public().(ed25519.PublicKey))
	if err != nil {
		w.t.Fatal(err)
	}
	code, _, err := w.e.Invite(w.t.Context(), w.tenant, "tablet of "+string(actor))
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := w.e.Enrol(w.t.Context(), sync.Enrolment{Tenant: w.tenant, Code: code, Key: public})
	if err != nil {
		w.t.Fatal(err)
	}
	tb.id = d.ID
	tb.login(roles)
	return tb
}

func (tb *tablet) login(roles model.Role) int {
	tb.w.t.Helper()
	l, released, err := tb.w.e.IssueLease(tb.w.t.Context(), sync.LeaseGrant{
		Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, Roles: model.Roles(roles), Wall: tb.w.now + tb.skew,
	})
	if err != nil {
		tb.w.t.Fatal(err)
	}
	tb.lease = l
	return released
}

// nurse is a tablet whose user has all persons of the world.
func (w *world) nurse(actor model.ActorID) *tablet {
	w.t.Helper()
	tb := w.tablet(actor, model.RoleNurse)
	w.assign(actor, w.persons...)
	return tb
}

func (w *world) assign(actor model.ActorID, persons ...model.PersonID) {
	w.t.Helper()
	if _, err := w.e.Assign(w.t.Context(), w.tenant, sync.Assign{Actor: actor, Persons: persons, By: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

type signed struct {
	id  model.EntryID
	jws []byte
}

// entry builds an entry at the world's time; edit may change anything before signing.
func (tb *tablet) entry(person model.PersonID, act model.Act, changes []model.Change, edit ...func(*model.Entry)) signed {
	tb.w.t.Helper()
	tb.seq++
	e := model.Entry{
		V: 1, Tenant: tb.w.tenant, Device: tb.id, Seq: tb.seq, Prev: tb.prev, Actor: tb.actor, Lease: tb.lease.ID,
		ElapsedMs: int64(tb.w.now - tb.lease.IssuedAt), Clock: model.ClockMonotonic, Wall: tb.w.now + tb.skew,
		Person: person, Act: act, Changes: changes,
	}
	for _, f := range edit {
		f(&e)
	}
	s := tb.sign(e)
	tb.prev = s.id.String()
	return s
}

func (tb *tablet) sign(e model.Entry) signed {
	tb.w.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		tb.w.t.Fatal(err)
	}
	return tb.signRaw(payload)
}

func (tb *tablet) signRaw(payload []byte) signed {
	enc := base64.RawURLEncoding
	header := fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"%s"}`, tb.id, model.EntryType)
	input := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString(payload)
	sig := ed25519.Sign(tb.key, []byte(input))
	return signed{model.NewEntryID([]byte(input)), []byte(input + "." + enc.EncodeToString(sig))}
}

func (tb *tablet) score(person model.PersonID, unit model.Unit, score int, over ...model.EntryID) signed {
	tb.w.t.Helper()
	return tb.entry(person, model.ActRegister, []model.Change{scoreChange(unit, score, over...)})
}

func scoreChange(unit model.Unit, score int, over ...model.EntryID) model.Change {
	return model.Change{Unit: unit, Value: jsontext.Value(fmt.Sprintf(`{"score":%d}`, score)), Over: over}
}

func (tb *tablet) push(entries ...signed) []sync.Result {
	tb.w.t.Helper()
	raw := make([][]byte, len(entries))
	for i := range entries {
		raw[i] = entries[i].jws
	}
	out, err := tb.w.e.Push(tb.w.t.Context(), sync.PushRequest{
		Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, Entries: raw, Checkpoint: tb.check,
	})
	if err != nil {
		tb.w.t.Fatal(err)
	}
	tb.check = string(out.Checkpoint)
	return out.Results
}

// pull reads to the end and returns all items.
func (tb *tablet) pull(limit int) []sync.PullItem {
	tb.w.t.Helper()
	var all []sync.PullItem
	for range 10_000 {
		page, err := tb.w.e.Pull(tb.w.t.Context(), sync.PullRequest{
			Tenant: tb.w.tenant, Device: tb.id, Actor: tb.actor, Cursor: tb.cursor, Limit: limit,
		})
		if err != nil {
			tb.w.t.Fatal(err)
		}
		all = append(all, page.Items...)
		tb.cursor = page.Cursor
		if !page.More {
			return all
		}
	}
	tb.w.t.Fatal("pull does not end")
	return nil
}

func (w *world) unit(person model.PersonID, unit model.Unit) *model.UnitState {
	w.t.Helper()
	var s *model.UnitState
	if err := w.st.View(w.t.Context(), w.tenant, func(v store.View) (err error) {
		s, err = v.Unit(person, unit)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func outcomes(rs []sync.Result) (out []string) {
	for _, r := range rs {
		s := r.Outcome
		if r.Problem != nil {
			s += " " + r.Problem.Code
		}
		out = append(out, s)
	}
	return out
}

func newUUID(w *world) string {
	var id uuid.UUID
	_, _ = w.rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}
