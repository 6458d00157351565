package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"flette/model"
)

func save(t testing.TB, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "testvik.keys")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSaveAndLoad(t *testing.T) {
	k := generate(t, "testvik")
	path := filepath.Join(t.TempDir(), "testvik.keys")
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	back, err := Load(path, "testvik")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal([]byte("Kari Eksempel"), "ad")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := back.Open(sealed, "ad"); err != nil || string(plain) != "Kari Eksempel" {
		t.Errorf("%q, %v", plain, err)
	}
	kid, token := k.TokenKey()
	backKid, backToken := back.TokenKey()
	if kid != backKid || !token.Equal(backToken) || !k.DeskKey().Equal(back.DeskKey()) ||
		k.JournalSigner() != back.JournalSigner() || k.JournalVerifier() != back.JournalVerifier() ||
		k.LeaseKeyID() != back.LeaseKeyID() || k.CursorKeyID() != back.CursorKeyID() ||
		k.Index("fnr", "1") != back.Index("fnr", "1") || back.Tenant != "testvik" {
		t.Error("loaded keys differ from the saved ones")
	}

	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := generate(t, "testvik").Save(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("saving over a key file: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key file changed (%v)", err)
	}
	if err := k.Save(filepath.Join(t.TempDir(), "no", "such", "folder")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

// The committed key file of a made-up tenant stays loadable, and what it made stays valid.
func TestCommittedFile(t *testing.T) {
	raw, err := os.ReadFile("testdata/testvik.keys")
	if err != nil {
		t.Fatal(err)
	}
	k, err := Load(save(t, raw), "testvik")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Sealed, Index, Lease, Cursor, Verifier, Kid string }
	made, err := os.ReadFile("testdata/testvik.made.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(made, &want); err != nil {
		t.Fatal(err)
	}
	sealed, err := hex.DecodeString(want.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(sealed, "person|1|1"); err != nil || string(plain) != "Kari Eksempel" {
		t.Errorf("%q, %v", plain, err)
	}
	index := k.Index("fnr", "01810012345")
	lease, err1 := k.LeaseMAC(k.LeaseKeyID(), []byte("data"))
	cursor, err2 := k.CursorMAC(k.CursorKeyID(), []byte("data"))
	kid, _ := k.TokenKey()
	for _, c := range [][2]string{
		{hex.EncodeToString(index[:]), want.Index},
		{hex.EncodeToString(lease[:]), want.Lease},
		{hex.EncodeToString(cursor[:]), want.Cursor},
		{k.JournalVerifier(), want.Verifier},
		{kid, want.Kid},
	} {
		if c[0] != c[1] {
			t.Errorf("got %s, once %s", c[0], c[1])
		}
	}
	if err1 != nil || err2 != nil {
		t.Error(err1, err2)
	}
}

func TestModesRefused(t *testing.T) {
	raw := generate(t, "testvik").m().file
	for mode, ok := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true,
		0o640: false, 0o604: false, 0o620: false, 0o602: false, 0o610: false, 0o644: false, 0o666: false, 0o777: false,
	} {
		path := save(t, raw)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, "testvik")
		if ok != (err == nil) || !ok && (!errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if _, err := Load(t.TempDir(), "testvik"); !errors.Is(err, ErrFile) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none"), "testvik"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestWrongTenantRefused(t *testing.T) {
	path := save(t, generate(t, "testvik").m().file)
	_, err := Load(path, "andrevik")
	if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "testvik") {
		t.Error(err)
	}
	for _, tenant := range []string{"", "Testvik", "../etc", "a+b", "a b"} {
		if _, err := Generate(model.TenantID(tenant)); err == nil {
			t.Errorf("Generate(%q)", tenant)
		}
	}
}

// edit changes one member of a fresh key file; nil removes it.
func edit(t *testing.T, raw []byte, member string, value any) []byte {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if value == nil {
		delete(f, member)
	} else {
		f[member] = value
	}
	out, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tinkKeyset(t *testing.T, templates ...*tinkpb.KeyTemplate) json.RawMessage {
	t.Helper()
	m := keyset.NewManager()
	for _, template := range templates {
		id, err := m.Add(template)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SetPrimary(id); err != nil {
			t.Fatal(err)
		}
	}
	return written(t, m)
}

func written(t *testing.T, m *keyset.Manager) json.RawMessage {
	t.Helper()
	h, err := m.Handle()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&buf)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestDamagedFilesRefused(t *testing.T) {
	k := generate(t, "testvik")
	raw, secrets := k.m().file, secretsOf(t, k)
	cases := map[string]struct {
		raw  []byte
		says string
	}{
		"empty":               {nil, "damaged or cut off"},
		"not JSON":            {[]byte("PRIVATE KEY"), "damaged or cut off"},
		"null":                {[]byte("null"), "format"},
		"later format":        {edit(t, raw, "format", "flette/keys/2"), "its format is not flette/keys/1"},
		"later format, more":  {edit(t, edit(t, raw, "format", "flette/keys/2"), "kms", "x"), "its format is not flette/keys/1"},
		"unknown member":      {edit(t, raw, "extra", "x"), "damaged"},
		"duplicate member":    {bytes.Replace(raw, []byte("{"), []byte(`{"format":"flette/keys/1",`), 1), "damaged"},
		"other capitals":      {bytes.Replace(raw, []byte(`"tenant"`), []byte(`"Tenant"`), 1), "damaged"},
		"trailing bytes":      {append(bytes.Clone(raw), "{}"...), "damaged"},
		"too long":            {append(bytes.Clone(raw), bytes.Repeat([]byte(" "), maxFile)...), "longer than"},
		"bad tenant":          {edit(t, raw, "tenant", "A B"), "member tenant"},
		"no desk key":         {edit(t, raw, "desk", nil), "member desk"},
		"short token key":     {edit(t, raw, "token", "AAAA"), "member token"},
		"journal spare bits":  {edit(t, raw, "journal", strings.Repeat("A", 42)+"B="), "member journal"},
		"no lease keys":       {edit(t, raw, "lease", nil), "member lease"},
		"empty keyset":        {edit(t, raw, "cursor", map[string]any{}), "member cursor"},
		"AEAD key as index":   {edit(t, raw, "index", tinkKeyset(t, aead.XChaCha20Poly1305KeyTemplate())), "member index"},
		"MAC key as lease":    {edit(t, raw, "lease", tinkKeyset(t, mac.HMACSHA256Tag256KeyTemplate())), "member lease"},
		"16-byte PRF":         {edit(t, raw, "cursor", tinkKeyset(t, prf.AESCMACPRFKeyTemplate())), "member cursor"},
		"PRF key as seal":     {edit(t, raw, "seal", tinkKeyset(t, prf.HMACSHA256PRFKeyTemplate())), "member seal"},
		"KMS key not at hand": {edit(t, raw, "seal", tinkKeyset(t, aead.KMSEnvelopeAEADKeyTemplate("fake://k", aead.AES256GCMKeyTemplate()))), "member seal"},
	}
	for name, c := range cases {
		_, err := Load(save(t, c.raw), "testvik")
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Cut anywhere, or with any byte altered: an error or usable keys, never a panic, and
	// never a key in the message.
	for i := range raw {
		flipped := bytes.Clone(raw)
		flipped[i] ^= 0x11
		for _, bad := range [][]byte{raw[:i], flipped} {
			back, err := decode(bad, "testvik")
			if err == nil {
				exercise(t, back)
				continue
			}
			if len(bad) < len(raw)-1 && !errors.Is(err, ErrFile) {
				t.Fatalf("at %d: %v", i, err)
			}
			for _, s := range secrets {
				if strings.Contains(err.Error(), s) {
					t.Fatalf("at %d the error shows a key", i)
				}
			}
		}
	}
}

// exercise uses everything, so that a key that loads but does not work fails the test.
func exercise(t testing.TB, k *Keys) {
	t.Helper()
	sealed, err := k.Seal([]byte("x"), "ad")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(sealed, "ad"); err != nil || string(plain) != "x" {
		t.Fatalf("%q, %v", plain, err)
	}
	k.Index("fnr", "1")
	if _, err := k.LeaseMAC(k.LeaseKeyID(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.CursorMAC(k.CursorKeyID(), nil); err != nil {
		t.Fatal(err)
	}
}

// A rotated file: a new primary makes, the older key still answers for what it made.
func TestOlderKeysStayUsable(t *testing.T) {
	old := generate(t, "testvik")
	sealed, err := old.Seal([]byte("Kari Eksempel"), "ad")
	if err != nil {
		t.Fatal(err)
	}
	lease, err := old.LeaseMAC(old.LeaseKeyID(), []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	raw := old.m().file
	var f map[string]json.RawMessage
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	for member, template := range map[string]*tinkpb.KeyTemplate{
		"seal": aead.XChaCha20Poly1305KeyTemplate(), "lease": prf.HMACSHA256PRFKeyTemplate(),
	} {
		h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f[member])))
		if err != nil {
			t.Fatal(err)
		}
		m := keyset.NewManagerFromHandle(h)
		id, err := m.Add(template)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SetPrimary(id); err != nil {
			t.Fatal(err)
		}
		raw = edit(t, raw, member, written(t, m))
	}
	rotated, err := Load(save(t, raw), "testvik")
	if err != nil {
		t.Fatal(err)
	}
	if rotated.LeaseKeyID() == old.LeaseKeyID() {
		t.Error("the new primary is not used")
	}
	if plain, err := rotated.Open(sealed, "ad"); err != nil || string(plain) != "Kari Eksempel" {
		t.Errorf("sealed before the rotation: %q, %v", plain, err)
	}
	if got, err := rotated.LeaseMAC(old.LeaseKeyID(), []byte("data")); err != nil || got != lease {
		t.Errorf("lease from before the rotation: %v", err)
	}
	fresh, err := rotated.Seal([]byte("x"), "ad")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Open(fresh, "ad"); !errors.Is(err, ErrOpen) {
		t.Errorf("the old file opens what the new key sealed: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	raw, err := os.ReadFile("testdata/testvik.keys")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte(`{"format":"flette/keys/1","tenant":"testvik"}`))
	f.Add([]byte(`{"format":"flette/keys/2"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := decode(data, "testvik")
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		exercise(t, k)
	})
}
