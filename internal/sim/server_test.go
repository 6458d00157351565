package sim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/valyala/fasthttp"

	"flette/api"
	"flette/api/auth"
	"flette/internal/seal"
	"flette/iplos"
	"flette/iplos/kpr"
	"flette/model"
	"flette/store"
	"flette/store/bolt"
	"flette/sync"
)

const tenant model.TenantID = "simvik"

const (
	baseURL  = "http://flette.sim"
	issuer   = "https://own.sim"
	audience = "flette"
)

// tenantKeys are made once: the same for every history, so that a seed says everything.
var tenantKeys *seal.Keys

func loadKeys(t *testing.T) {
	t.Helper()
	if tenantKeys != nil {
		return
	}
	cryptotest.SetGlobalRandom(t, 1)
	var err error
	if tenantKeys, err = seal.Generate(tenant); err != nil {
		t.Fatal(err)
	}
}

var issuerKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// server is one life of the server process: store, engine, rules and api, as cmd wires them.
type server struct {
	dir     string
	store   *bolt.Store
	engine  *sync.Engine
	rules   *iplos.Engine
	api     *api.Server
	handler fasthttp.RequestHandler
}

type serverConfig struct {
	dir  string
	now  func() time.Time
	rand io.Reader
	// external is "" for a server that listens.
	external string
	epoch    func() string
	limits   api.Limits
}

func startServer(c serverConfig) (*server, error) {
	s := &server{dir: c.dir}
	var err error
	if s.store, err = bolt.Open(c.dir, bolt.Options{InitialMmapSize: 8 << 20, NewEpoch: c.epoch}); err != nil {
		return nil, err
	}
	s.rules = iplos.New(iplos.Settings{BirthDate: func(p store.Person) string {
		who, err := s.engine.Identity(tenant, &p)
		if err != nil {
			return ""
		}
		return who.BirthDate
	}})
	s.engine, err = sync.New(sync.Options{
		Store: s.store, Keys: func(model.TenantID) (sync.Keys, error) { return tenantKeys, nil },
		Rules: s.rules.Apply, Live: s.rules.Live,
		Now: func() model.Millis { return model.MillisOf(c.now()) }, Rand: c.rand, Workers: 1,
	})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	own, err := auth.OwnIssuer(issuer, audience, map[string]ed25519.PublicKey{"k1": issuerKey.Public().(ed25519.PublicKey)})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	verifier, err := auth.NewVerifier([]auth.IssuerConfig{own})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	kid, key := tenantKeys.TokenKey()
	s.api, err = api.New(api.Options{
		Engine: s.engine, Verifier: verifier, External: c.external, Now: c.now, Rand: c.rand, Limits: c.limits,
		TokenKey: func(model.TenantID) (string, ed25519.PrivateKey, error) { return kid, key, nil },
	})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.api.App().Handler() // builds the routing tree
	s.handler = s.api.App().Server().Handler
	return s, nil
}

// setup makes the tenant with its persons.
func (s *server) setup(persons []sync.PersonInput) ([]model.PersonID, error) {
	ctx := context.Background()
	if err := s.engine.CreateTenant(ctx, store.Tenant{ID: tenant, Name: "Simvik", Kommune: "9999"}); err != nil {
		return nil, err
	}
	done, err := s.engine.ImportPersons(ctx, tenant, persons)
	return done.Persons, err
}

// wire is a request or an answer as bytes on the way.
type wire struct {
	method, url string // of a request
	status      int    // of an answer
	header      http.Header
	body        []byte
}

// serve gives a request to the server's handler and returns its answer: no sockets, but the
// bytes pass the real parser.
func (s *server) serve(r *wire) (*wire, error) {
	req, err := http.NewRequest(r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header = r.header
	var text bytes.Buffer
	if err := req.Write(&text); err != nil {
		return nil, err
	}
	var in fasthttp.Request
	if err := in.Read(bufio.NewReaderSize(&text, 64<<10)); err != nil {
		return nil, err
	}
	rc := &fasthttp.RequestCtx{}
	rc.Init2(noConn{}, nil, false)
	in.CopyTo(&rc.Request)
	s.handler(rc)
	out := &wire{status: rc.Response.StatusCode(), header: http.Header{}, body: bytes.Clone(rc.Response.Body())}
	for k, v := range rc.Response.Header.All() {
		out.header.Add(string(k), string(v))
	}
	return out, nil
}

// noConn is a connection of which a stream sets the deadlines, and nothing more is asked.
type noConn struct{ net.Conn }

func (noConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (noConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (noConn) SetWriteDeadline(time.Time) error { return nil }

// response makes an answer that a client can read; broken ends the body with an error.
func (w *wire) response(req *http.Request, broken bool) *http.Response {
	var body io.Reader = bytes.NewReader(w.body)
	if broken {
		body = io.MultiReader(body, brokenReader{})
	}
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprintf("%d", w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header.Clone(), Body: io.NopCloser(body), ContentLength: -1, Request: req,
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// wireOf reads a request whole.
func wireOf(req *http.Request) (*wire, error) {
	w := &wire{method: req.Method, url: req.URL.String(), header: req.Header.Clone()}
	if req.Body == nil {
		return w, nil
	}
	body, err := io.ReadAll(req.Body)
	w.body = body
	return w, errors.Join(err, req.Body.Close())
}

// verify replays the journal and compares everything derived, as `flette verify` does.
func (s *server) verify() error {
	r, err := s.engine.Verify(context.Background(), tenant, sync.Checks{
		Person: s.rules.Verify,
		Tenant: func(v store.View) ([]string, error) {
			times, err := iplos.VerifyTimeIndex(v)
			if err != nil {
				return nil, err
			}
			ledger, err := kpr.VerifyLedger(v)
			return append(times, ledger...), err
		},
	}, nil)
	if err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("%d problems, the first: %s", len(r.Problems), r.Problems[0])
	}
	return nil
}

// view reads a snapshot of the tenant.
func (s *server) view(f func(store.View) error) error {
	return s.store.View(context.Background(), tenant, f)
}

// epoch names the store's present life.
func (s *server) epoch() (epoch string) {
	if err := s.view(func(v store.View) error { epoch = v.Tenant().Epoch; return nil }); err != nil {
		return ""
	}
	return epoch
}

// scratch makes a folder for stores, in memory where there is such a place: the simulation is
// about order, not about disks.
func scratch(t testing.TB) string {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "flette-sim-"); err == nil {
			t.Cleanup(func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			return dir
		}
	}
	return t.TempDir()
}

// userToken is what an identity provider would give a user who has just logged in.
func userToken(actor model.ActorID, roles model.Roles, now time.Time) (string, error) {
	return auth.Issue("k1", issuerKey, auth.AccessClaims{
		Issuer: issuer, Audience: audience, Subject: actor, Tenant: tenant, Roles: roles,
		Name: model.Private("Oppdiktet " + string(actor)), IssuedAt: now, ExpiresAt: now.Add(12 * time.Hour),
	})
}

func subdir(parent string, n int) (string, error) {
	dir := filepath.Join(parent, fmt.Sprintf("life-%d", n))
	return dir, os.MkdirAll(dir, 0o700)
}
