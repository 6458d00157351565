package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"flette/internal/cms"
	"flette/internal/register"
	"flette/iplos/kpr"
	"flette/iplos/submit"
	"flette/model"
	"flette/model/ident"
)

// registerFile is DIR/register/<tenant>.json: where a municipality's register is, and who we
// are there. Files that it names stand beside it, unless their path is absolute.
type registerFile struct {
	Target    string `json:"target"`    // test or production: only such submissions are sent there
	Transport string `json:"transport"` // slash or process
	URL       string `json:"url"`
	HelseID   struct {
		TokenURL string `json:"token_url"`
		ClientID string `json:"client_id"`
		KeyFile  string `json:"key_file"` // private JWK
		Scope    string `json:"scope"`
		Parent   string `json:"parent"`
	} `json:"helseid"`
	Vendor   string `json:"vendor"`
	Software string `json:"software"`
	Version  string `json:"software_version"`
	Export   string `json:"export_version"`
	// Types are the register's names for our kinds of shipments.
	Types map[string]struct {
		Type    string `json:"type"`
		Version string `json:"version"`
	} `json:"types"`
	FromHer      int64  `json:"from_her"`
	ToHer        int64  `json:"to_her"`
	Certificate  string `json:"certificate_file"`         // of the register, for encryption
	SigningCert  string `json:"signing_certificate_file"` // ours
	SigningKey   string `json:"signing_key_file"`         // PEM
	CA           string `json:"ca_file"`                  // PEM, beside those of the system
	SecureFolder string `json:"secure_folder"`
	KeepDays     *int   `json:"keep_days"`
	NoYearly     bool   `json:"no_yearly"` // another system sends the yearly shipments
	// Events is what goes into event messages: since when, and which types of service (nil for
	// all that the message has).
	Events struct {
		From  string   `json:"from"`
		Types []string `json:"types"`
	} `json:"events"`

	path string
}

// keepDays is how long files stay after they were accepted, when nothing else is said.
const keepDays = 30

const registerConfigCode = "register-config"

func (a *app) registerPath(t model.TenantID) string {
	return filepath.Join(a.dir, "register", string(t)+".json")
}

// registerFile reads the configuration. The problem is register-config.
func (a *app) registerFile(t model.TenantID) (*registerFile, error) {
	f := &registerFile{path: a.registerPath(t)}
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return nil, problemf(registerConfigCode, "the register's configuration cannot be read: %v; docs/submission.md shows one", err)
	}
	if err := json.Unmarshal(raw, f, json.RejectUnknownMembers(true)); err != nil {
		return nil, f.bad("it is not the JSON object that is wanted: %v", err)
	}
	switch {
	case f.Target != submit.Test && f.Target != submit.Production:
		return nil, f.bad("target must be test or production")
	case f.HelseID.Parent != "" && !validOrg(f.HelseID.Parent):
		return nil, f.bad("helseid.parent must be an organisation number")
	case f.KeepDays != nil && (*f.KeepDays < 0 || *f.KeepDays > 3650):
		return nil, f.bad("keep_days must be from 0 to 3650")
	}
	if f.KeepDays == nil {
		days := keepDays
		f.KeepDays = &days
	}
	if f.Events.From != "" {
		if _, err := time.Parse(time.DateOnly, f.Events.From); err != nil {
			return nil, f.bad("events.from must be a date, YYYY-MM-DD")
		}
	}
	for _, code := range f.Events.Types {
		if !kpr.Reportable(code) {
			return nil, f.bad("events.types: message %s has no service type %q", kpr.Format, code)
		}
	}
	for kind, n := range f.Types {
		if kind != submit.KindEvents && kind != submit.KindIdentity && kind != submit.KindSubject {
			return nil, f.bad("types: the kinds are %s, %s and %s", submit.KindEvents, submit.KindIdentity, submit.KindSubject)
		}
		if n.Type == "" || n.Version == "" {
			return nil, f.bad("types: %s needs type and version", kind)
		}
	}
	if f.SecureFolder == "" {
		f.SecureFolder = string(t)
	}
	f.SecureFolder = f.beside(f.SecureFolder)
	return f, nil
}

func validOrg(s string) bool {
	_, err := ident.ParseOrgNumber(s)
	return err == nil
}

func (f *registerFile) bad(format string, args ...any) error {
	return problemf(registerConfigCode, "%s: %s", f.path, fmt.Sprintf(format, args...))
}

func (f *registerFile) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.path), name)
}

// secret reads a file that holds a private key: nobody else may read it.
func (f *registerFile) secret(member, name string) ([]byte, error) {
	if name == "" {
		return nil, f.bad("%s is missing", member)
	}
	path := f.beside(name)
	st, err := os.Stat(path)
	if err == nil && st.Mode().Perm()&0o077 != 0 {
		return nil, f.bad("%s: others may read %s; chmod 600 it", member, path)
	}
	if err != nil {
		return nil, f.bad("%s: %v", member, err)
	}
	return os.ReadFile(path)
}

func (f *registerFile) certificate(member, name string) (*x509.Certificate, error) {
	if name == "" {
		return nil, f.bad("%s is missing", member)
	}
	body, err := os.ReadFile(f.beside(name))
	if err != nil {
		return nil, f.bad("%s: %v", member, err)
	}
	if block, _ := pem.Decode(body); block != nil {
		body = block.Bytes
	}
	c, err := x509.ParseCertificate(body)
	if err != nil {
		return nil, f.bad("%s is no certificate in PEM or DER", member)
	}
	return c, nil
}

// packer makes CMS packages of messages.
func (f *registerFile) packer(now time.Time) (func(body []byte) ([]byte, error), error) {
	to, err := f.certificate("certificate_file", f.Certificate)
	if err != nil {
		return nil, err
	}
	by, err := f.certificate("signing_certificate_file", f.SigningCert)
	if err != nil {
		return nil, err
	}
	body, err := f.secret("signing_key_file", f.SigningKey)
	if err != nil {
		return nil, err
	}
	key, err := signingKey(body)
	if err != nil {
		return nil, f.bad("signing_key_file: %v", err)
	}
	return func(body []byte) ([]byte, error) {
		packed, err := cms.Pack(body, by, key, to, now)
		if errors.Is(err, cms.ErrRecipient) || errors.Is(err, cms.ErrSigner) {
			return nil, f.bad("%s", strings.TrimPrefix(err.Error(), "cms: "))
		}
		return packed, err
	}, nil
}

func signingKey(body []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it holds no RSA key in PKCS #1 or #8, without password")
	}
	if k, ok := k.(*rsa.PrivateKey); ok {
		return k, nil
	}
	return nil, errors.New("it holds no RSA key")
}

// client makes the register's client.
func (f *registerFile) client(now func() time.Time) (*register.Client, error) {
	body, err := f.secret("helseid.key_file", f.HelseID.KeyFile)
	if err != nil {
		return nil, err
	}
	key, err := register.ParseKey(body)
	if err != nil {
		return nil, f.bad("helseid.key_file: %v", err)
	}
	c := register.Config{
		Transport: f.Transport, URL: f.URL, Vendor: f.Vendor, Software: f.Software, Version: f.Version, Export: f.Export,
		FromHer: f.FromHer, ToHer: f.ToHer, Now: now, NewID: uuid.NewString,
		HelseID: register.HelseID{TokenURL: f.HelseID.TokenURL, ClientID: f.HelseID.ClientID, Key: key, Scope: f.HelseID.Scope, Parent: f.HelseID.Parent},
	}
	if f.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		body, err := os.ReadFile(f.beside(f.CA))
		if err != nil || !pool.AppendCertsFromPEM(body) {
			return nil, f.bad("ca_file holds no certificates in PEM")
		}
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		c.HTTP = t
	}
	cl, err := register.New(c)
	if err != nil {
		return nil, f.bad("%v", err)
	}
	return cl, nil
}
