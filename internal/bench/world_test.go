package bench

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	gosync "sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	"flette/internal/seal"
	"flette/iplos"
	"flette/model"
	"flette/model/ident"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

const tenant model.TenantID = "benkvik"

// world is a tenant with everything on: signatures, clocks, merge, rules, journal, fsync.
type world struct {
	tb      testing.TB
	dir     string
	st      *bolt.Store
	e       *sync.Engine
	now     model.Millis
	persons []model.PersonID
}

func newWorld(tb testing.TB, persons int, o bolt.Options) *world {
	tb.Helper()
	w := &world{tb: tb, dir: tb.TempDir(), now: 1795334400000}
	keys, err := seal.Generate(tenant)
	check(tb, err)
	w.st, err = bolt.Open(w.dir, o)
	check(tb, err)
	rules := iplos.New(iplos.Settings{})
	w.e, err = sync.New(sync.Options{
		Store: w.st, Keys: func(model.TenantID) (sync.Keys, error) { return keys, nil },
		Rules: rules.Apply, Now: func() model.Millis { return w.now }, Rand: rand.Reader,
	})
	check(tb, err)
	check(tb, w.e.CreateTenant(tb.Context(), store.Tenant{ID: tenant, Name: "Benkvik", Kommune: "9999"}))
	var in []sync.PersonInput
	born := w.now.Time().AddDate(-90, 0, 0)
	for i := range persons {
		number, ok := ident.SyntheticFNR(born.AddDate(0, 0, i%15000), i/15000)
		if !ok {
			tb.Fatal("no synthetic number")
		}
		in = append(in, sync.PersonInput{Line: i + 1, Number: number, Name: fmt.Sprintf("Oppdiktet %d", i), Kommune: "9999"})
	}
	done, err := w.e.ImportPersons(tb.Context(), tenant, in)
	check(tb, err)
	w.persons = done.Persons
	tb.Cleanup(func() { check(tb, w.st.Close()) })
	return w
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

type tablet struct {
	id      model.DeviceID
	actor   model.ActorID
	persons []model.PersonID // the first one is shared with all other tablets
	key     ed25519.PrivateKey
	lease   model.Lease
	seq     int64
	prev    string
	rand    *mathrand.Rand
	last    map[model.PersonID]map[model.Unit]model.EntryID
}

// perTablet is the size of a caseload beside the shared person.
const perTablet = 10

// caseload of tablet i: one person whom everybody visits, and ten of its own.
func (w *world) caseload(i int) []model.PersonID {
	own := 1 + i*perTablet
	return append([]model.PersonID{w.persons[0]}, w.persons[own:own+perTablet]...)
}

func (w *world) tablets(n int) []*tablet {
	w.tb.Helper()
	out := make([]*tablet, n)
	ctx := w.tb.Context()
	for i := range out {
		pub, key, err := ed25519.GenerateKey(nil)
		check(w.tb, err)
		public, err := jwk.New(pub)
		check(w.tb, err)
		code, _, err := w.e.Invite(ctx, tenant, "bench")
		check(w.tb, err)
		d, err := w.e.Enrol(ctx, sync.Enrolment{Tenant: tenant, Code: code, Key: public})
		check(w.tb, err)
		t := &tablet{id: d.ID, actor: model.ActorID(fmt.Sprintf("nurse-%d", i)), persons: w.caseload(i), key: key, rand: mathrand.New(mathrand.NewPCG(1, uint64(i))), last: map[model.PersonID]map[model.Unit]model.EntryID{}}
		_, err = w.e.Assign(ctx, tenant, sync.Assign{Actor: t.actor, Persons: w.caseload(i), By: "bench"})
		check(w.tb, err)
		t.lease, _, err = w.e.IssueLease(ctx, sync.LeaseGrant{Tenant: tenant, Device: t.id, Actor: t.actor, Roles: model.Roles(model.RoleNurse | model.RoleSupervisor), Wall: w.now})
		check(w.tb, err)
		out[i] = t
	}
	return out
}

var scoreUnits = []model.Unit{
	"score/assist_housework", "score/assist_shopping_services", "score/assist_personal_hygiene", "score/assist_dressing",
	"score/assist_toilet", "score/assist_cooking", "score/assist_eating", "score/assist_mobility_indoor",
	"score/assist_mobility_outdoor", "score/assist_own_health", "score/assist_memory", "score/assist_communication",
	"score/assist_daily_decisions", "score/assist_finances", "score/assist_social", "score/assist_behaviour", "score/vision", "score/hearing",
}

// entry signs one visit of n changes on a person the tablet has, over what it wrote last.
// One visit in 50 is to the shared person, whom others score without having seen it: the
// load model has two percent of assessments in conflict.
func (t *tablet) entry(n int) []byte {
	person := t.persons[0]
	if t.rand.IntN(50) > 0 {
		person = t.persons[1+t.rand.IntN(perTablet)]
	}
	return t.sealed(person, n)
}

// sealed signs n scores of a person, over what the tablet wrote last, and more changes.
func (t *tablet) sealed(person model.PersonID, n int, more ...model.Change) []byte {
	if t.last[person] == nil {
		t.last[person] = map[model.Unit]model.EntryID{}
	}
	changes := make([]model.Change, 0, n)
	for i := range n {
		u := scoreUnits[i%len(scoreUnits)]
		var over []model.EntryID
		if id, ok := t.last[person][u]; ok {
			over = []model.EntryID{id}
		}
		v := fmt.Sprintf(`{"score":%d,"note":"tilsyn %d, oppdiktet"}`, 1+t.rand.IntN(5), t.seq)
		changes = append(changes, model.Change{Unit: u, Value: jsontext.Value(v), Over: over})
	}
	changes = append(changes, more...)
	t.seq++
	e := model.Entry{
		V: 1, Tenant: tenant, Device: t.id, Seq: t.seq, Prev: t.prev, Actor: t.actor, Lease: t.lease.ID,
		ElapsedMs: t.seq * 1000, Clock: model.ClockMonotonic, Wall: t.lease.IssuedAt + model.Millis(t.seq*1000),
		Person: person, Act: model.ActRegister, Changes: changes,
	}
	payload, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	jws := t.sign(payload)
	id := model.NewEntryID(jws[:bytes.LastIndexByte(jws, '.')])
	t.prev = id.String()
	for i := range changes {
		t.last[person][changes[i].Unit] = id
	}
	return jws
}

// sign makes a JWS of any payload.
func (t *tablet) sign(payload []byte) []byte {
	enc := base64.RawURLEncoding
	header := fmt.Sprintf(`{"alg":"EdDSA","kid":"%s","typ":"%s"}`, t.id, model.EntryType)
	input := []byte(enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString(payload))
	return append(append(input, '.'), enc.EncodeToString(ed25519.Sign(t.key, input))...)
}

func (w *world) push(t *tablet, entries [][]byte) {
	out, err := w.e.Push(w.tb.Context(), sync.PushRequest{Tenant: tenant, Device: t.id, Actor: t.actor, Entries: entries})
	if err != nil {
		w.tb.Error(err)
		return
	}
	for _, r := range out.Results {
		if r.Outcome != "applied" && r.Outcome != "conflict" {
			w.tb.Errorf("outcome %s %v", r.Outcome, r.Problem)
			return
		}
	}
}

// parallel runs f for every tablet at once.
func parallel(ts []*tablet, f func(*tablet)) {
	var wg gosync.WaitGroup
	for _, t := range ts {
		wg.Go(func() { f(t) })
	}
	wg.Wait()
}

func be(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
