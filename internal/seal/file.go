package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"flette/model"
)

// Format names the version of the key file.
const Format = "flette/keys/1"

// maxFile bounds a key file in bytes: a fresh one has about 1.7 KiB, and each older key
// of a keyset adds about 250.
const maxFile = 64 << 10

// maxKeys bounds one keyset: a primary and some older keys.
const maxKeys = 16

// ErrFile is wrapped by every error about the content or the mode of a key file. Errors
// of the file system (not there, exists, no right) are wrapped as they are.
var ErrFile = errors.New("key file refused")

type keyFile struct {
	Format  string         `json:"format"`
	Tenant  model.TenantID `json:"tenant"`
	Seal    jsontext.Value `json:"seal"`    // Tink keyset, AEAD: XChaCha20-Poly1305
	Index   jsontext.Value `json:"index"`   // Tink keyset, PRF: HMAC-SHA-256
	Lease   jsontext.Value `json:"lease"`   // Tink keyset, PRF: HMAC-SHA-256
	Cursor  jsontext.Value `json:"cursor"`  // Tink keyset, PRF: HMAC-SHA-256
	Journal string         `json:"journal"` // base64 Ed25519 seed
	Desk    string         `json:"desk"`    // base64 Ed25519 seed
	Token   string         `json:"token"`   // base64 Ed25519 seed
}

// Generate makes fresh keys for a tenant. They exist in memory only until [Keys.Save].
func Generate(tenant model.TenantID) (*Keys, error) {
	if _, err := model.ParseTenantID(string(tenant)); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	f := keyFile{Format: Format, Tenant: tenant}
	for _, k := range []struct {
		into     *jsontext.Value
		template *tinkpb.KeyTemplate
	}{
		// Random 24-byte nonces never repeat by accident, however many values are sealed.
		{&f.Seal, aead.XChaCha20Poly1305KeyTemplate()},
		// Keysets of one key type stay apart by having their own keys.
		{&f.Index, prf.HMACSHA256PRFKeyTemplate()},
		{&f.Lease, prf.HMACSHA256PRFKeyTemplate()},
		{&f.Cursor, prf.HMACSHA256PRFKeyTemplate()},
	} {
		handle, err := keyset.NewHandle(k.template)
		if err != nil {
			return nil, fmt.Errorf("seal: generate keyset: %w", err)
		}
		var buf bytes.Buffer
		if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf)); err != nil {
			return nil, fmt.Errorf("seal: write keyset: %w", err)
		}
		*k.into = buf.Bytes()
	}
	for _, into := range []*string{&f.Journal, &f.Desk, &f.Token} {
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed) // never fails: crypto/rand
		*into = base64.StdEncoding.EncodeToString(seed)
	}
	raw, err := json.Marshal(f, jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("seal: write key file: %w", err)
	}
	// What was just made takes the way that every later start takes.
	return decode(append(raw, '\n'), tenant)
}

// Save writes the key file with mode 0600 and returns once it and its name are durable.
// It never replaces a file: fs.ErrExists when there is one. On an error nothing usable is
// left behind.
func (k *Keys) Save(path string) error {
	// The file gets its name when it is whole: a crash must not leave half a key file in the
	// place that nothing ever replaces.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // mode 0600
	if err != nil {
		return fmt.Errorf("seal: create key file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(k.m().file)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("seal: write key file: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		_ = os.Remove(path) // the first error says what happened
		return fmt.Errorf("seal: write key file: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

// Load reads a tenant's key file. It refuses ([ErrFile]) a file that group or others may
// read or write, that is not a regular file, that belongs to another tenant, or that is
// not exactly what [Keys.Save] writes: strict JSON, every member, usable keys.
func Load(path string, tenant model.TenantID) (*Keys, error) {
	// Asked before opening, because opening a pipe would wait for ever, and again on the
	// open file, because the name may point elsewhere by then.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	if err := checkMode(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	if err := checkMode(path, info); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	k, err := decode(raw, tenant)
	if err != nil {
		return nil, fmt.Errorf("seal: %s: %w", path, err)
	}
	return k, nil
}

func checkMode(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("seal: %s: %w: it is not a regular file", path, ErrFile)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("seal: %s: %w: its mode %04o lets other users at the keys; run: chmod 600 %s",
			path, ErrFile, perm, path)
	}
	return nil
}

// decode reads a key file. Errors name the member and never its content; the decoders'
// own errors quote what they choke on, so they are not passed on.
func decode(raw []byte, tenant model.TenantID) (*Keys, error) {
	refuse := func(format string, args ...any) (*Keys, error) {
		return nil, fmt.Errorf("%w: %s", ErrFile, fmt.Sprintf(format, args...))
	}
	if len(raw) > maxFile {
		return refuse("it is longer than %d bytes", maxFile)
	}
	var f keyFile
	if err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true)); err != nil {
		var head struct {
			Format string `json:"format"`
		}
		if json.Unmarshal(raw, &head) == nil && head.Format != Format {
			return refuse("its format is not %s", Format)
		}
		return refuse("it is damaged or cut off: not one strict JSON object of the format %s", Format)
	}
	if f.Format != Format {
		return refuse("its format is not %s", Format)
	}
	if _, err := model.ParseTenantID(string(f.Tenant)); err != nil {
		return refuse("member tenant: %v", err)
	}
	if f.Tenant != tenant {
		return refuse("it holds the keys of tenant %s, not of %q", f.Tenant, tenant)
	}

	m := &material{file: raw}
	h, err := readKeyset(f.Seal)
	if err == nil {
		m.aead, err = aead.New(h)
	}
	if err != nil {
		return refuse("member seal is not a usable Tink AEAD keyset")
	}
	for _, s := range []struct {
		name string
		raw  jsontext.Value
		into **prf.Set
	}{{"index", f.Index, &m.index}, {"lease", f.Lease, &m.lease}, {"cursor", f.Cursor, &m.cursor}} {
		if *s.into, err = readPRFs(s.raw); err != nil {
			return refuse("member %s is not a usable Tink PRF keyset", s.name)
		}
	}
	for _, s := range []struct {
		name, seed string
		into       *ed25519.PrivateKey
	}{{"journal", f.Journal, &m.journal}, {"desk", f.Desk, &m.desk}, {"token", f.Token, &m.token}} {
		seed, err := base64.StdEncoding.Strict().DecodeString(s.seed)
		if err != nil || len(seed) != ed25519.SeedSize {
			return refuse("member %s is not a base64 Ed25519 seed", s.name)
		}
		*s.into = ed25519.NewKeyFromSeed(seed)
	}
	// The name is that of journal.KeyName; this package imports no other room.
	if m.signer, m.verifier, err = noteKeys("flette/"+string(tenant), m.journal); err != nil {
		return refuse("member journal gives no note key")
	}
	m.kid = thumbprint(m.token)
	return &Keys{Tenant: tenant, m: func() *material { return m }}, nil
}

func readKeyset(raw jsontext.Value) (*keyset.Handle, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	if h.Len() > maxKeys {
		return nil, fmt.Errorf("too many keys")
	}
	return h, nil
}

// readPRFs tries every key once: the Tink PRFs of other types give fewer than MACSize
// bytes, and that must show now and not in the middle of a request.
func readPRFs(raw jsontext.Value) (*prf.Set, error) {
	h, err := readKeyset(raw)
	if err != nil {
		return nil, err
	}
	set, err := prf.NewPRFSet(h)
	if err != nil {
		return nil, err
	}
	if set.PRFs[set.PrimaryID] == nil {
		return nil, fmt.Errorf("no primary key")
	}
	for _, p := range set.PRFs {
		if _, err := p.ComputePRF([]byte("trial"), MACSize); err != nil {
			return nil, err
		}
	}
	return set, nil
}
