package api

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp/fasthttputil"

	"flette/api/auth"
	"flette/internal/seal"
	"flette/mobile-contract/check"
	"flette/mobile-contract/client"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

// inn is a server whose store can be replaced by an older copy of itself between two calls.
type inn struct {
	t       *testing.T
	r       *rand.Rand
	dir     string
	keys    *seal.Keys
	issuer  ed25519.PrivateKey
	clock   atomic.Int64
	st      *bolt.Store
	engine  *sync.Engine
	srv     *Server
	ln      atomic.Pointer[fasthttputil.InmemoryListener]
	served  chan error
	http    *http.Client
	persons []model.PersonID
	entropy *counter
	guests  []*guest
	copies  int
}

// guest is a tablet and all that it ever signed.
type guest struct {
	name   string
	tab    *client.Tablet
	signed []model.EntryID
}

func (n *inn) now() time.Time { return noon.Add(time.Duration(n.clock.Load())) }

func newInn(t *testing.T, r *rand.Rand) *inn {
	n := &inn{t: t, r: r, dir: t.TempDir(), issuer: ed25519.NewKeyFromSeed(make32(7)), entropy: &counter{}}
	var err error
	n.keys, err = seal.Generate(testvik)
	must(t, err)
	transport := &http.Transport{DisableCompression: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return n.ln.Load().Dial()
	}}
	n.http = &http.Client{Transport: check.New().Transport(transport, func(err error) { t.Errorf("contract: %v", err) })}
	n.open()
	must(t, n.engine.CreateTenant(background, store.Tenant{ID: testvik, Name: "Testvik", Kommune: "9901"}))
	var in []sync.PersonInput
	for i := range 3 {
		in = append(in, sync.PersonInput{Line: i + 1, Number: fmt.Sprintf("0181%02d%05d", 40+i, 12345+i), Name: fmt.Sprintf("Navnløs %d", i), Kommune: "9901", Test: true})
	}
	done, err := n.engine.ImportPersons(background, testvik, in)
	must(t, err)
	n.persons = done.Persons
	n.serve()
	t.Cleanup(func() {
		n.stop()
		must(t, n.st.Close())
		transport.CloseIdleConnections()
	})
	return n
}

func (n *inn) open() {
	var err error
	n.st, err = bolt.Open(n.dir, bolt.Options{InitialMmapSize: 1 << 22})
	must(n.t, err)
	n.engine, err = sync.New(sync.Options{
		Store: n.st, Now: func() model.Millis { return model.MillisOf(n.now()) }, Rand: n.entropy, Workers: 2,
		Keys: func(model.TenantID) (sync.Keys, error) { return n.keys, nil },
	})
	must(n.t, err)
}

func (n *inn) serve() {
	own, err := auth.OwnIssuer("https://own.test", "flette", map[string]ed25519.PublicKey{"k1": n.issuer.Public().(ed25519.PublicKey)})
	must(n.t, err)
	verifier, err := auth.NewVerifier([]auth.IssuerConfig{own})
	must(n.t, err)
	n.srv, err = New(Options{
		Engine: n.engine, Verifier: verifier, Now: n.now, Rand: n.entropy, Log: slog.New(slog.DiscardHandler),
		External: "http://inn.test",
		TokenKey: func(model.TenantID) (string, ed25519.PrivateKey, error) {
			kid, key := n.keys.TokenKey()
			return kid, key, nil
		},
	})
	must(n.t, err)
	ln := fasthttputil.NewInmemoryListener()
	n.ln.Store(ln)
	n.served = make(chan error, 1)
	go func() { n.served <- n.srv.Serve(ln) }()
}

func (n *inn) stop() {
	n.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	must(n.t, n.srv.Shutdown(ctx))
	must(n.t, <-n.served)
}

// backup copies the store while nobody writes.
func (n *inn) backup() string {
	n.copies++
	to := filepath.Join(n.t.TempDir(), fmt.Sprintf("copy-%d", n.copies))
	must(n.t, os.CopyFS(to, os.DirFS(n.dir)))
	return to
}

func (n *inn) restore(from string) {
	n.stop()
	must(n.t, n.st.Close())
	must(n.t, errors.Join(os.RemoveAll(n.dir), os.CopyFS(n.dir, os.DirFS(from))))
	n.open()
	_, err := n.engine.BeginLife(background, testvik, false)
	must(n.t, err)
	n.serve()
}

func (n *inn) code() string {
	code, _, err := n.engine.Invite(background, testvik, "nettbrett")
	must(n.t, err)
	return code
}

func (n *inn) arrive(name string) *guest {
	mono := func() time.Duration { return time.Duration(n.clock.Load()) }
	tab, err := client.New(client.Config{
		URL: "http://inn.test", HTTP: n.http, Wall: n.now, Mono: mono, Rand: n.entropy, Keep: 100_000,
		Sleep: func(_ context.Context, d time.Duration) error { n.clock.Add(int64(d)); return nil },
	})
	must(n.t, err)
	_, err = tab.Enrol(background, testvik, n.code(), "")
	must(n.t, err)
	g := &guest{name: name, tab: tab}
	n.assign(g)
	n.login(g)
	n.guests = append(n.guests, g)
	return g
}

func (n *inn) assign(g *guest) {
	_, err := n.engine.Assign(background, testvik, sync.Assign{Actor: model.ActorID(g.name), Persons: n.persons, By: "test"})
	must(n.t, err)
}

func (n *inn) login(g *guest) {
	token, err := auth.Issue("k1", n.issuer, auth.AccessClaims{
		Issuer: "https://own.test", Audience: "flette", Subject: model.ActorID(g.name), Tenant: testvik, Roles: nurse,
		IssuedAt: n.now(), ExpiresAt: n.now().Add(24 * time.Hour),
	})
	must(n.t, err)
	_, err = g.tab.Login(background, token)
	must(n.t, err)
}

func (n *inn) sign(g *guest) {
	unit := []model.Unit{"score/vision", "score/hearing", "score/assist_memory"}[n.r.IntN(3)]
	value := jsontext.Value(fmt.Sprintf(`{"score":%d}`, 1+n.r.IntN(5)))
	id, err := g.tab.Sign(n.persons[n.r.IntN(len(n.persons))], model.ActRegister, []model.Change{{Unit: unit, Value: value}}, client.SignOptions{})
	must(n.t, err)
	g.signed = append(g.signed, id)
}

// contact is one push, and what a tablet and its people do about the answer.
func (n *inn) contact(g *guest, seen *restoreSeen) {
	for range 10 {
		n.clock.Add(int64(time.Minute))
		kept := len(g.tab.Outbox())
		report, err := g.tab.Push(background)
		switch client.CodeOf(err) {
		case "":
			must(n.t, err)
			if len(g.tab.Refused()) != 0 {
				n.t.Fatalf("%s: refused: %+v", g.name, report.Results)
			}
			return
		case "store-rewound":
			seen.rewound++
			seen.resent += len(g.tab.Outbox()) - kept
			seen.held += len(g.signed) - kept
		case "unknown-device":
			seen.unknown++
			_, err := g.tab.Reenrol(background, n.code(), "")
			must(n.t, err)
			n.assign(g) // the store has lost that too
		default:
			n.t.Fatal(err)
		}
	}
	n.t.Fatalf("%s does not get through", g.name)
}

// restoreSeen counts what happened, so that the test cannot pass without it.
type restoreSeen struct{ rewound, unknown, resent, held, pulls, anew, keys int }

func (n *inn) pull(g *guest, seen *restoreSeen) {
	n.clock.Add(int64(time.Second))
	report, err := g.tab.Pull(background)
	if client.CodeOf(err) == "unknown-device" {
		return
	}
	must(n.t, err)
	seen.pulls++
	if report.Anew {
		seen.anew++
	}
}

// rotate changes the key of a tablet, whether or not the server remembers the present one.
func (n *inn) rotate(g *guest, seen *restoreSeen) {
	if n.r.IntN(4) > 0 {
		n.contact(g, seen)
	}
	n.clock.Add(int64(time.Minute))
	switch err := g.tab.RotateKey(background, nil); client.CodeOf(err) {
	case "":
		must(n.t, err)
		seen.keys++
	case "unknown-device", "store-rewound", "conflict": // conflict: it has had 32 keys
	default:
		n.t.Fatal(err)
	}
}

// A store restored from a copy of any moment, also one that was restored before, loses
// nothing that a tablet was given a receipt for, as long as the tablet keeps it (C1, C8, C9,
// T5): by the real client, over the api.
func TestRestoresLoseNothing(t *testing.T) {
	restores := 100
	if raceOn {
		restores = 16 // `make sim` has all of them
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	n := newInn(t, rand.New(rand.NewPCG(seed, 1)))
	var seen restoreSeen
	backups := []string{n.backup()}
	n.arrive("anne")
	backups = append(backups, n.backup())
	for _, name := range []string{"berit", "cecilie", "dorte"} {
		n.arrive(name)
	}
	work := func(steps int) {
		for range steps {
			g := n.guests[n.r.IntN(len(n.guests))]
			switch n.r.IntN(11) {
			case 10:
				n.rotate(g, &seen)
			case 0, 1, 2, 3:
				n.sign(g)
			case 4, 5, 6:
				n.contact(g, &seen)
			case 7:
				n.pull(g, &seen)
			case 8:
				backups = append(backups, n.backup())
			case 9:
				n.contact(g, &seen)
				n.login(g)
			}
		}
	}
	for i := range restores {
		work(4 + n.r.IntN(8))
		// Mostly a fresh copy, as an operator would, but any will do.
		pick := len(backups) - 1 - min(int(n.r.ExpFloat64()*2), len(backups)-1)
		if i == 0 {
			pick = 1 // from before most tablets were enrolled
		}
		n.restore(backups[pick])
		if n.r.IntN(20) == 0 {
			n.restore(backups[n.r.IntN(len(backups))])
		}
		if i == restores/2 {
			n.arrive("eva")
		}
		if i == 0 {
			for _, g := range n.guests {
				n.contact(g, &seen)
			}
		}
	}
	for _, i := range n.r.Perm(len(n.guests)) {
		n.contact(n.guests[i], &seen)
	}
	stored := map[model.EntryID]bool{}
	must(t, n.st.View(background, testvik, func(v store.View) error {
		for p := range v.Size() {
			l, err := v.Entry(p)
			if err != nil {
				return err
			}
			stored[l.ID] = true
		}
		return nil
	}))
	all := 0
	for _, g := range n.guests {
		if left := g.tab.Outbox(); len(left) != 0 {
			t.Errorf("%s has %d entries left", g.name, len(left))
		}
		all += len(g.signed)
		if i := slices.IndexFunc(g.signed, func(id model.EntryID) bool { return !stored[id] }); i >= 0 {
			t.Errorf("entry %d of %d of %s is lost", i+1, len(g.signed), g.name)
		}
	}
	report, err := n.engine.Verify(background, testvik, sync.Checks{}, nil)
	must(t, err)
	if !report.OK() {
		t.Errorf("verify: %v", report.Problems)
	}
	t.Logf("%d entries; %+v", all, seen)
	if raceOn {
		return // too few to be sure to meet everything
	}
	if seen.rewound == 0 || seen.unknown == 0 || seen.keys == 0 || seen.anew == 0 || seen.anew == seen.pulls || seen.resent >= seen.held {
		t.Errorf("the test did not get to what it is about: %+v", seen)
	}
}
