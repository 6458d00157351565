package register

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"flette/internal/cms"
	"flette/internal/register/fake"
)

var start = time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)

// world is a client and the fake that it talks to.
type world struct {
	reg    *fake.Register
	server *httptest.Server
	now    time.Time
	ids    int
	config Config
}

func newWorld(t *testing.T, key any) *world {
	t.Helper()
	w := &world{now: start}
	w.reg = &fake.Register{
		ClientID: "11111111-2222-4333-8444-555555555555", Now: func() time.Time { return w.now },
		Types: map[string]string{"KPR_TEST": "1"},
	}
	w.server = httptest.NewServer(w.reg)
	t.Cleanup(w.server.Close)
	w.server.Config.ErrorLog = nil
	w.reg.URL = w.server.URL
	private := jose.JSONWebKey{Key: key, KeyID: "k1"}
	w.reg.Client = private.Public()
	w.config = Config{
		Transport: Slash, URL: w.server.URL + "/", Vendor: "Flette", Software: "Flette", Version: "1", Export: "flette-kpr 1",
		HelseID: HelseID{TokenURL: w.server.URL + "/connect/token", ClientID: w.reg.ClientID, Key: private},
		Now:     func() time.Time { return w.now }, NewID: func() string { w.ids++; return fmt.Sprintf("id-%d", w.ids) },
	}
	return w
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) client(t *testing.T) *Client {
	t.Helper()
	c, err := New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var hello = Message{ID: "m1", Type: "KPR_TEST", Version: "1", Body: []byte(`[{"navn":"Prøve"}]`), Extracted: start}

func TestSlashMessageArrives(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"RSA": rsaKey(t), "EC": ec} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, key)
			w.config.HelseID.Parent = "123456785"
			c := w.client(t)
			for i := range 33 { // every length of padding
				m := hello
				m.Body = bytes.Repeat([]byte{'x'}, i)
				r := c.Send(t.Context(), m)
				if r.State != Accepted || r.Status != 200 || r.Reference == "" || r.KeyID != w.reg.Newest() {
					t.Fatalf("%+v; %v", r, w.reg.Faults())
				}
				if got := w.reg.Got()[i]; !bytes.Equal(got.Body, m.Body) || got.Headers.Get("x-data-extraction-date") != "04.01.2027" {
					t.Errorf("it got %q and %v", got.Body, got.Headers)
				}
			}
			if got := w.reg.Parents(); !slices.Equal(got, []string{"NO:ORGNR:123456785"}) {
				t.Errorf("on behalf of %v", got)
			}
			if f := w.reg.Faults(); len(f) > 0 {
				t.Errorf("faults %v", f)
			}
		})
	}
}

func TestWhatBecameOfIt(t *testing.T) {
	for _, c := range []struct {
		next   []string
		state  string
		status int
		posts  int // that reached the register
		kept   int
		reason string
	}{
		{[]string{fake.Accept}, Accepted, 200, 1, 1, ""},
		{[]string{fake.AskNonce, fake.Accept}, Accepted, 200, 2, 1, ""},
		{[]string{fake.ExpireTokens}, Accepted, 200, 2, 1, ""},
		{[]string{fake.RotateKeys}, Accepted, 200, 2, 1, ""},
		{[]string{fake.AskNonce, fake.ExpireTokens, fake.RotateKeys}, Accepted, 200, 4, 1, ""},
		{[]string{fake.Stubborn}, Rejected, 401, 4, 0, ""},
		{[]string{fake.Lose}, Unknown, 0, 1, 1, "gave no answer"},
		{[]string{fake.LoseUnkept}, Unknown, 0, 1, 0, "gave no answer"},
		{[]string{fake.Garble}, Unknown, 200, 1, 1, "not in the agreed form"},
		{[]string{fake.Break}, Unknown, 503, 1, 0, "status 503"},
		{[]string{"2010"}, Rejected, 500, 1, 0, ""},
	} {
		t.Run(strings.Join(c.next, " "), func(t *testing.T) {
			w := newWorld(t, rsaKey(t))
			cl := w.client(t)
			if r := cl.Send(t.Context(), hello); r.State != Accepted { // so that there is a token that can end
				t.Fatalf("%+v", r)
			}
			w.reg.Next(c.next...)
			r := cl.Send(t.Context(), hello)
			if r.State != c.state || r.Status != c.status || !strings.Contains(r.Reason, c.reason) || (r.Reason == "") != (c.reason == "") {
				t.Errorf("%+v", r)
			}
			if posts, kept := w.reg.Posts()-1, len(w.reg.Got())-1; posts != c.posts || kept != c.kept {
				t.Errorf("%d messages came and %d were kept; want %d and %d", posts, kept, c.posts, c.kept)
			}
		})
	}
}

func TestEveryCodeComesThrough(t *testing.T) {
	w := newWorld(t, rsaKey(t))
	c := w.client(t)
	for _, code := range fake.Codes() {
		before := w.reg.Posts()
		times := 1
		if code == 1004 || code == 1007 { // asked for a newer key each time
			times = 4
		}
		for range times {
			w.reg.Next(fmt.Sprint(code))
		}
		r := c.Send(t.Context(), hello)
		if r.State != Rejected || len(r.Faults) != 1 || r.Faults[0].Code != code || r.Faults[0].Name == "" || strings.Contains(r.Faults[0].Name, " ") {
			t.Errorf("%d: %+v", code, r)
		}
		if strings.Contains(r.Reason+r.Faults[0].Name+r.Reference, "SECRET") {
			t.Errorf("%d: details outside of details: %+v", code, r)
		}
		if got := w.reg.Posts() - before; got != times {
			t.Errorf("%d: sent %d times, want %d", code, got, times)
		}
	}
}

func TestNothingLeavesWhenItCannot(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	closed.Close()
	for _, c := range []struct {
		name   string
		change func(w *world)
		want   string
	}{
		{"nobody at the register", func(w *world) { w.config.URL = nobody }, "gave no answer"},
		{"nobody at HelseID", func(w *world) { w.config.HelseID.TokenURL = nobody + "/connect/token" }, "gave no answer"},
		{"another client", func(w *world) { w.config.HelseID.ClientID = "other" }, "self-service"},
		{"another key", func(w *world) { w.reg.Client = jose.JSONWebKey{Key: &rsaKey(t).PublicKey} }, "self-service"},
		{"a clock that is wrong", func(w *world) {
			w.config.Now = func() time.Time { return w.now.Add(time.Hour) }
		}, "clock"},
		{"keys that have ended", func(w *world) { w.config.Now = func() time.Time { return w.now.AddDate(3, 0, 0) } }, "no public key that is still valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, rsaKey(t))
			c.change(w)
			r := w.client(t).Send(t.Context(), hello)
			if r.State != NotSent || !strings.Contains(r.Reason, c.want) || w.reg.Posts() != 0 {
				t.Errorf("%+v, %d messages", r, w.reg.Posts())
			}
		})
	}
	t.Run("nobody when the message is to go", func(t *testing.T) {
		w := newWorld(t, rsaKey(t))
		w.config.HTTP = roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/message" {
				return nil, errors.New("no route to host")
			}
			return http.DefaultTransport.RoundTrip(req)
		})
		r := w.client(t).Send(t.Context(), hello)
		if r.State != NotSent || r.KeyID == "" || !strings.Contains(r.Reason, "no route to host") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("too large", func(t *testing.T) {
		w := newWorld(t, rsaKey(t))
		m := hello
		m.Body = make([]byte, MaxSlashPayload/4*3)
		if r := w.client(t).Send(t.Context(), m); r.State != NotSent || !strings.Contains(r.Reason, "too large") {
			t.Errorf("%+v", r)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTokenIsUsedUntilItEnds(t *testing.T) {
	w := newWorld(t, rsaKey(t))
	w.reg.Life = 10 * time.Minute
	c := w.client(t)
	var tokens []string
	for range 6 {
		if r := c.Send(t.Context(), hello); r.State != Accepted {
			t.Fatalf("%+v", r)
		}
		got := w.reg.Got()
		if one := got[len(got)-1].Headers.Get("Authorization"); !slices.Contains(tokens, one) {
			tokens = append(tokens, one)
		}
		w.now = w.now.Add(4 * time.Minute)
	}
	if len(tokens) != 2 || len(w.reg.Faults()) != 0 {
		t.Errorf("%d tokens for 24 minutes of ten each; faults %v", len(tokens), w.reg.Faults())
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	w := newWorld(t, rsaKey(t))
	var asked int
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer thief.Close()
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		http.Redirect(rw, req, thief.URL+req.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer front.Close()
	w.config.URL = front.URL
	if r := w.client(t).Send(t.Context(), hello); r.State != NotSent || asked != 0 {
		t.Errorf("%+v, the other server was asked %d times", r, asked)
	}
}

func TestProcessTransport(t *testing.T) {
	w := newWorld(t, rsaKey(t))
	to, by := rsaKey(t), rsaKey(t)
	cert := func(k *rsa.PrivateKey) *x509.Certificate {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "t"}, NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.AddDate(1, 0, 0)}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	w.reg.CMSKey = to
	w.config.Transport, w.config.FromHer, w.config.ToHer = Process, 1, 2
	c := w.client(t)
	m := hello
	m.Pack = func(body []byte) ([]byte, error) { return cms.Pack(body, cert(by), by, cert(to), start) }
	for range 2 { // sent again: the same id and content
		if r := c.Send(t.Context(), m); r.State != Accepted || r.MessageID != "m1" || r.Reference == "" {
			t.Fatalf("%+v %v", r, w.reg.Faults())
		}
	}
	if got := w.reg.Got()[0]; !bytes.Equal(got.Body, hello.Body) {
		t.Errorf("it got %q", got.Body)
	}
	m.Pack = nil
	if r := c.Send(t.Context(), m); r.State != NotSent || !strings.Contains(r.Reason, "certificate_file") {
		t.Errorf("%+v", r)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"transport":        func(c *Config) { c.Transport = "fax" },
		"url must begin":   func(c *Config) { c.URL = "http://register.example/" },
		"url must be":      func(c *Config) { c.URL = "https://user@register.example/" },
		"token_url":        func(c *Config) { c.HelseID.TokenURL = "ftp://x/" },
		"vendor":           func(c *Config) { c.Vendor = "a\nb" },
		"client_id":        func(c *Config) { c.HelseID.ClientID = "" },
		"from_her":         func(c *Config) { c.Transport = Process },
		"helseid key must": func(c *Config) { c.HelseID.Key = jose.JSONWebKey{Key: []byte("secret")} },
		"does not fit":     func(c *Config) { c.HelseID.Key.Algorithm = "ES256" },
	} {
		w := newWorld(t, rsaKey(t))
		change(&w.config)
		if _, err := New(w.config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, body := range map[string]string{"not a JSON Web Key": `{"kty":"RSA","d":"SECRET"}`, "public half": `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`} {
		if _, err := ParseKey([]byte(body)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%v", err)
		}
	}
}
