package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"

	"flette/internal/register/fake"
	"flette/iplos/submit"
	"flette/model"
	"flette/store"
)

// scriptRegisters holds the register of each script that has one.
var scriptRegisters gosync.Map // *testscript.TestScript -> *fake.Register

// registerCommand runs a register beside a script:
//
//	register start TRANSPORT [MEMBER=JSON...]   starts it and writes data/register/testvik.json
//	register next BEHAVIOUR...                  see package fake
//	register rotate                             new keys
//	register wait N                             until N messages are kept
//	register got N                              N messages are kept
//	register body N FILE                        the N-th message that is kept is FILE
//	register codes SUBMISSION                   refuses it with every code there is; each is told in a sentence
//	register faults [TEXT]                      what was wrong holds TEXT, or nothing was wrong
func registerCommand(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "start" {
		startRegister(ts, args[1], args[2:])
		return
	}
	found, ok := scriptRegisters.Load(ts)
	if !ok {
		ts.Fatalf("no register runs")
	}
	r := found.(*fake.Register)
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		ts.Check(err)
		return n
	}
	switch args[0] {
	case "next":
		r.Next(args[1:]...)
	case "rotate":
		r.Rotate()
	case "wait":
		ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
		defer stop()
		ts.Check(r.Wait(ctx, number(1)))
	case "got":
		if n := len(r.Got()); n != number(1) {
			ts.Fatalf("it keeps %d messages; %v", n, r.Faults())
		}
	case "body":
		if want := ts.ReadFile(args[2]); string(r.Got()[number(1)-1].Body) != want {
			ts.Fatalf("it keeps another message")
		}
	case "codes":
		refuseAll(ts, r, args[1])
	case "faults":
		got := strings.Join(r.Faults(), "; ")
		if len(args) == 1 && got != "" || len(args) > 1 && !strings.Contains(got, args[1]) {
			ts.Fatalf("faults: %q", got)
		}
	default:
		ts.Fatalf("register %s?", args[0])
	}
}

func refuseAll(ts *testscript.TestScript, r *fake.Register, id string) {
	for _, code := range fake.Codes() {
		text := strconv.Itoa(code)
		times := 1
		if code == 1004 || code == 1007 {
			times = 4 // the client asks for a newer key first
		}
		for range times {
			r.Next(text)
		}
		if err := ts.Exec("flette", "submit", "send", "--tenant", "testvik", "--id", id); err == nil {
			ts.Fatalf("code %s: exit code 0", text)
		}
		if out := ts.ReadFile("stdout"); !strings.Contains(out, "rejected, receipt ") || !strings.Contains(out, "(code "+text+")") || strings.Contains(out, "SECRET") {
			ts.Fatalf("code %s: %s", text, out)
		}
	}
}

func startRegister(ts *testscript.TestScript, transport string, members []string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	private := jose.JSONWebKey{Key: key, KeyID: "testvik-1", Algorithm: "PS256"}
	r := &fake.Register{
		ClientID: "11111111-2222-4333-8444-555555555555", Client: private.Public(), Now: time.Now, CMSKey: key,
		Types: map[string]string{"IPLOS": "56.0.0", "IPLOS_IDE": "1", "IPLOS_IPL": "1"},
	}
	s := httptest.NewUnstartedServer(r)
	s.Config.ErrorLog = log.New(&bytes.Buffer{}, "", 0)
	s.Start()
	ts.Defer(s.Close)
	r.URL = s.URL
	scriptRegisters.Store(ts, r)

	dir := ts.MkAbs("data/register")
	ts.Check(os.MkdirAll(dir, 0o700))
	write := func(name string, body []byte) {
		ts.Check(os.WriteFile(filepath.Join(dir, name), body, 0o600))
	}
	jwk, err := private.MarshalJSON()
	ts.Check(err)
	write("helseid.jwk", jwk)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: "t"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	ts.Check(err)
	write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write("cert.key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	config := map[string]any{
		"target": "test", "transport": transport, "url": s.URL, "vendor": "Flette", "software": "Flette", "software_version": "1", "export_version": "flette-kpr 1",
		"helseid": map[string]any{"token_url": s.URL + "/connect/token", "client_id": r.ClientID, "key_file": "helseid.jwk"},
		"types": map[string]any{
			"KPR_EVENT": map[string]any{"type": "IPLOS", "version": "56.0.0"},
			"KPR_IDE":   map[string]any{"type": "IPLOS_IDE", "version": "1"}, "KPR_IPL": map[string]any{"type": "IPLOS_IPL", "version": "1"},
		},
		"from_her": 1, "to_her": 8133973, "certificate_file": "cert.pem", "signing_certificate_file": "cert.pem", "signing_key_file": "cert.key",
	}
	for _, m := range members {
		name, text, _ := strings.Cut(m, "=")
		var v any
		ts.Check(json.Unmarshal([]byte(text), &v))
		config[name] = v
	}
	body, err := json.Marshal(config)
	ts.Check(err)
	write("testvik.json", body)
}

// shipmentProgram prints the shipments of a data year for files: shipment YEAR KIND FILE...
func shipmentProgram(args []string) error {
	year, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var list []submit.Shipment
	for i := 1; i+1 < len(args); i += 2 {
		body, err := os.ReadFile(args[i+1])
		if err != nil {
			return err
		}
		path, err := filepath.Abs(args[i+1])
		if err != nil {
			return err
		}
		list = append(list, submit.Shipment{Kind: args[i], Target: submit.Test, Year: year, Position: 1, SHA256: sum256(body), Path: path, Counts: map[string]int{"15": 2, "2": 1}})
	}
	out, err := json.Marshal(list)
	if err == nil {
		_, err = os.Stdout.Write(out)
	}
	return err
}

// opencmsProgram prints what a package holds: opencms FILE, with the key of the register.
func opencmsProgram(args []string) error {
	body, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	raw, err := os.ReadFile("data/register/cert.key")
	if err != nil {
		return err
	}
	block, _ := pem.Decode(raw)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	content, err := fake.OpenSigned(body, key)
	if err == nil {
		_, err = os.Stdout.Write(content)
	}
	return err
}

func TestSecureFolder(t *testing.T) {
	root := t.TempDir()
	s := secureFolder(filepath.Join(root, "secure"))
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"in": "secure/a.xml", "out": "b.xml", "beside": "secure-not/c.xml"} {
		full := filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "b.xml"), filepath.Join(root, "secure/link.xml")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{"a.xml", ""}, {filepath.Join(root, "secure/a.xml"), ""}, {"../secure/a.xml", ""},
		{"../b.xml", "outside-secure-folder"}, {filepath.Join(root, "b.xml"), "outside-secure-folder"},
		{filepath.Join(root, "secure-not/c.xml"), "outside-secure-folder"}, {"link.xml", "outside-secure-folder"}, {"none.xml", "file"},
	} {
		name, err := s.inside(c.path)
		got := ""
		if err != nil {
			got = problemOf(err).Code
		}
		if got != c.want || c.want == "" && name != "a.xml" {
			t.Errorf("%s: %q, %v", c.path, name, err)
		}
	}
	if gone, err := s.remove("../b.xml", "none.xml", "a.xml"); err != nil || len(gone) != 1 || gone[0] != "a.xml" {
		t.Errorf("%v, %v", gone, err)
	}
	if _, err := os.Stat(filepath.Join(root, "b.xml")); err != nil {
		t.Errorf("a file outside was removed: %v", err)
	}
	if err := os.Chmod(string(s), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.open(); err == nil || problemOf(err).Code != "secure-folder" {
		t.Errorf("a folder that others may enter: %v", err)
	}
}

func TestCountsFile(t *testing.T) {
	for text, want := range map[string]string{
		"service,count\n15,3\n2,0\n":               "",
		"\xef\xbb\xbfservice, count\n15, 3\n":      "",
		"a,b\n":                                    "line 1: the first line must be service,count [submission-counts]",
		"service,count\n":                          "the file holds no counts",
		"service,count\n15\n":                      "line 2: a line has a service type and a count [submission-counts]",
		"service,count\nOla,1\n":                   "line 2, service: a service type is a number of one to three digits [submission-counts]",
		"service,count\n15,1\n15,1\n":              "line 3, service: the service type stands in an earlier line too [submission-counts]",
		"service,count\n15,-1\n2,many\n":           "line 2, count: a count is a whole number, not negative [submission-counts]",
		"service,count\n\"15,1\n":                  "this is not CSV",
		"service,count\n15,99999999999999999999\n": "line 2, count: a count is a whole number, not negative [submission-counts]",
	} {
		got, err := readCounts([]byte(text))
		said := ""
		if err != nil {
			p := problemOf(err)
			said = p.Detail
			if len(p.Lines) > 0 {
				said = p.Lines[0].String()
			}
		}
		if want == "" && (err != nil || got["15"] != 3) || !strings.Contains(said, want) || strings.Contains(said, "Ola") {
			t.Errorf("%q: %v, %q", text, got, said)
		}
	}
}

func TestWhatIsSentAgainByItself(t *testing.T) {
	f := &registerFile{Target: submit.Test}
	record := func(id, state string, from int64, replaced string, events ...submit.Event) submit.Record {
		return submit.Record{Submission: submit.Submission{ID: id, Shipment: submit.Shipment{Kind: submit.KindEvents, Target: submit.Test, From: from, To: from}}, State: state, ReplacedBy: replaced, Events: events}
	}
	answer := func(code int) submit.Event {
		return submit.Event{Act: submit.ActAnswer, State: submit.Rejected, Faults: []submit.Fault{{Code: code}}}
	}
	notSent := submit.Event{Act: submit.ActNotSent, State: submit.Rejected}
	told := submit.Event{Act: submit.ActFeedback, State: submit.Rejected}
	for _, c := range []struct {
		name string
		list []submit.Record
		want string
	}{
		{"in order", []submit.Record{record("a", submit.Accepted, 1, ""), record("b", submit.Unknown, 2, ""), record("c", submit.Prepared, 3, "")}, "b c"},
		{"refused for the way", []submit.Record{record("a", submit.Rejected, 1, "", answer(2010)), record("b", submit.Prepared, 2, "")}, "a b"},
		{"refused for the way, then no network", []submit.Record{record("a", submit.Rejected, 1, "", answer(1003), notSent)}, "a"},
		{"refused for what it says", []submit.Record{record("a", submit.Rejected, 1, "", answer(2008)), record("b", submit.Prepared, 2, "")}, "; 1 waits"},
		{"refused for what it says, then no network", []submit.Record{record("a", submit.Rejected, 1, "", answer(2008), notSent)}, "; 1 waits"},
		{"refused later, by e-mail", []submit.Record{record("a", submit.Rejected, 1, "", submit.Event{Act: submit.ActAnswer, State: submit.Accepted}, told)}, "; 1 waits"},
		{"replaced", []submit.Record{record("a", submit.Rejected, 1, "b", answer(2008)), record("b", submit.Prepared, 1, "")}, "b"},
	} {
		todo, waiting := dueNow(c.list, f, "")
		var ids []string
		for _, s := range todo {
			ids = append(ids, s.ID)
		}
		got := strings.Join(ids, " ")
		if len(waiting) > 0 {
			got += "; " + strconv.Itoa(len(waiting)) + " waits"
		}
		if got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestRegisterConfiguration wants a sentence for every mistake, and no secret in it.
func TestRegisterConfiguration(t *testing.T) {
	dir := t.TempDir()
	a := &app{dir: dir, now: time.Now}
	if err := os.MkdirAll(filepath.Join(dir, "register"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "register", "open.jwk"), []byte(`{"k":"SECRET"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "register", "bad.jwk"), []byte(`{"kty":"RSA","d":"SECRET"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{`:                                "not the JSON object",
		`{"target":"x"}`:                   "target must be test or production",
		`{"target":"test","uri":"x"}`:      "uri",
		`{"target":"test","keep_days":-1}`: "keep_days",
		`{"target":"test","helseid":{"parent":"123"}}`:               "organisation number",
		`{"target":"test","types":{"X":{"type":"a","version":"1"}}}`: "the kinds are",
		`{"target":"test","types":{"KPR_IPL":{"type":"a"}}}`:         "needs type and version",
		`{"target":"test"}`: "helseid.key_file is missing",
		`{"target":"test","helseid":{"key_file":"none.jwk"}}`: "no such file",
		`{"target":"test","helseid":{"key_file":"open.jwk"}}`: "others may read",
		`{"target":"test","helseid":{"key_file":"bad.jwk"}}`:  "not a JSON Web Key",
	} {
		if err := os.WriteFile(a.registerPath("testvik"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := a.registerFile(model.TenantID("testvik"))
		if err == nil {
			_, err = f.client(time.Now)
		}
		if err == nil || problemOf(err).Code != registerConfigCode || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestVerifyReadsTheSubmissions changes a submission in a way that the store's checksums hold.
func TestVerifyReadsTheSubmissions(t *testing.T) {
	ctx := context.Background()
	a, err := openApp(appOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.createTenant(ctx, store.Tenant{ID: "testvik", Name: "Testvik", Kommune: "9999"}, false); err != nil {
		t.Fatal(err)
	}
	s := submit.Shipment{Kind: submit.KindSubject, Target: submit.Test, Year: 2026, SHA256: sum256(nil), Bytes: 1, Path: "x"}
	sub, _, err := submit.Prepare(ctx, a.store, "testvik", s, "", a.who("cli/test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{0, 1} {
		r, err := a.verify(ctx, "testvik")
		if err != nil || len(r.Problems) != want {
			t.Fatalf("%+v, %v", r, err)
		}
		sub.By = "nobody"
		if err := a.update(ctx, "testvik", func(tx store.Tx) error { return store.Put(tx, sub) }); err != nil {
			t.Fatal(err)
		}
	}
}
