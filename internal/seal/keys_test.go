package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"flette/model"
)

func generate(t testing.TB, tenant model.TenantID) *Keys {
	t.Helper()
	k, err := Generate(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealRoundTrip(t *testing.T) {
	k := generate(t, "testvik")
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		ad := rapid.String().Draw(t, "ad")
		sealed, err := k.Seal(plain, ad)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != len(plain)+45 {
			t.Fatalf("%d bytes became %d", len(plain), len(sealed))
		}
		if len(plain) >= 4 && bytes.Contains(sealed, plain) {
			t.Fatal("the content shows")
		}
		got, err := k.Open(sealed, ad)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%x, %v", got, err)
		}
		again, err := k.Seal(plain, ad)
		if err != nil || bytes.Equal(again, sealed) {
			t.Fatalf("sealing twice gave the same bytes: equal values would show (%v)", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	k, other := generate(t, "testvik"), generate(t, "testvik")
	const ad = "person|4f6f|1"
	sealed, err := k.Seal([]byte("Kari Eksempel"), ad)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, k *Keys, sealed []byte, ad string) {
		t.Helper()
		if plain, err := k.Open(sealed, ad); !errors.Is(err, ErrOpen) || plain != nil {
			t.Errorf("%s: %q, %v", what, plain, err)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			refused(fmt.Sprintf("byte %d bit %d flipped", i, bit), k, bad, ad)
		}
		refused("cut short", k, sealed[:i], ad)
	}
	refused("another row", k, sealed, "person|4f70|1")
	refused("another version", k, sealed, "person|4f6f|2")
	refused("no associated data", k, sealed, "")
	refused("one byte more", k, append(bytes.Clone(sealed), 0), ad)
	refused("other keys", other, sealed, ad)
	// One key file copied to a second tenant by mistake: values still do not move.
	refused("another tenant with the same keys", &Keys{Tenant: "andrevik", m: k.m}, sealed, ad)
}

func TestIndex(t *testing.T) {
	k, other := generate(t, "testvik"), generate(t, "andrevik")
	const number = "01810012345" // month + 80: synthetic
	h := k.Index("fnr", number)
	if h != k.Index("fnr", number) {
		t.Error("not stable")
	}
	for what, got := range map[string][MACSize]byte{
		"another tenant": other.Index("fnr", number),
		"another kind":   k.Index("dnr", number),
		"another value":  k.Index("fnr", "01810012346"),
		"shifted border": k.Index("fnr0", number[1:]),
		"empty kind":     k.Index("", "fnr"+number),
	} {
		if got == h {
			t.Errorf("%s: same hash", what)
		}
	}
}

func TestMACs(t *testing.T) {
	k := generate(t, "testvik")
	data := []byte("lease of somebody")
	lease, err := k.LeaseMAC(k.LeaseKeyID(), data)
	if err != nil {
		t.Fatal(err)
	}
	cursor, err := k.CursorMAC(k.CursorKeyID(), data)
	if err != nil {
		t.Fatal(err)
	}
	if lease == cursor || lease == ([MACSize]byte{}) {
		t.Error("lease and cursor MAC must come from different keys")
	}
	if again, err := k.LeaseMAC(k.LeaseKeyID(), data); err != nil || again != lease {
		t.Errorf("not stable: %v", err)
	}
	if changed, err := k.LeaseMAC(k.LeaseKeyID(), data[1:]); err != nil || changed == lease {
		t.Errorf("other data, same MAC (%v)", err)
	}
	if _, err := k.LeaseMAC(k.LeaseKeyID()+1, data); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown lease key: %v", err)
	}
	if _, err := k.CursorMAC(0, data); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown cursor key: %v", err)
	}
}

func TestJournalKeys(t *testing.T) {
	k := generate(t, "testvik")
	s, err := note.NewSigner(k.JournalSigner())
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.JournalVerifier())
	if err != nil {
		t.Fatal(err)
	}
	if s.Name() != "flette/testvik" || v.Name() != s.Name() || v.KeyHash() != s.KeyHash() {
		t.Errorf("signer %s %08x, verifier %s %08x", s.Name(), s.KeyHash(), v.Name(), v.KeyHash())
	}
	signed, err := note.Sign(&note.Note{Text: "flette/testvik/e1\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		t.Error(err)
	}
}

func TestDeskAndTokenKeys(t *testing.T) {
	k := generate(t, "testvik")
	kid, token := k.TokenKey()
	if len(kid) != 43 || len(token) != ed25519.PrivateKeySize || len(k.DeskKey()) != ed25519.PrivateKeySize {
		t.Fatalf("kid %q, %d and %d bytes", kid, len(token), len(k.DeskKey()))
	}
	if token.Equal(k.DeskKey()) || token.Equal(k.m().journal) || k.DeskKey().Equal(k.m().journal) {
		t.Error("two purposes share a key")
	}
}

// The thumbprint of the key in RFC 8037, appendix A.1 and A.3.
func TestThumbprint(t *testing.T) {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	if got := thumbprint(ed25519.NewKeyFromSeed(seed)); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("got %s", got)
	}
}

// No way of printing shows a key: every secret of the file is looked for in every rendering.
func TestNothingPrintsKeys(t *testing.T) {
	k := generate(t, "testvik")
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("keys", "pointer", k, "value", *k, "inside", struct{ K *Keys }{k}, "err", fmt.Errorf("with %v", k))
	}
	renderings := []string{log.String(), k.String(), fmt.Sprint(k), fmt.Sprint(*k)}
	type outer struct {
		Public  *Keys
		private Keys
		hidden  *Keys
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for _, v := range []any{k, *k, outer{k, *k, k}, &outer{k, *k, k}, []*Keys{k}, []Keys{*k}, map[string]Keys{"k": *k}} {
			renderings = append(renderings, fmt.Sprintf(verb, v))
		}
	}
	for _, v := range []any{k, *k, outer{k, *k, k}, []Keys{*k}, map[string]any{"k": k}} {
		v1, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		v2, err := jsonv2.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		renderings = append(renderings, string(v1), string(v2))
	}
	secrets := secretsOf(t, k)
	for _, r := range renderings {
		for _, s := range secrets {
			if strings.Contains(strings.ToLower(r), strings.ToLower(s)) {
				t.Fatalf("a key shows in %.200q", r)
			}
		}
	}
	for _, s := range []string{fmt.Sprintf("%v", k), fmt.Sprintf("%#v", *k)} {
		if s != "[keys]" {
			t.Errorf("got %q", s)
		}
	}
}

// secretsOf lists the file's secrets in the spellings that a printer could use.
func secretsOf(t testing.TB, k *Keys) []string {
	t.Helper()
	var out []string
	add := func(b []byte) {
		decimal := strings.Trim(fmt.Sprint(b[:16]), "[]")
		goHex := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b[:16]), "[]byte{"), "}")
		out = append(out, base64.StdEncoding.EncodeToString(b)[:20], hex.EncodeToString(b[:16]), decimal, goHex)
	}
	for _, key := range []ed25519.PrivateKey{k.m().journal, k.m().desk, k.m().token} {
		add(key.Seed())
	}
	var f map[string]any
	if err := json.Unmarshal(k.m().file, &f); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"seal", "index", "lease", "cursor"} {
		key := f[name].(map[string]any)["key"].([]any)[0].(map[string]any)
		raw, err := base64.StdEncoding.DecodeString(key["keyData"].(map[string]any)["value"].(string))
		if err != nil {
			t.Fatal(err)
		}
		add(raw)               // the serialised key
		add(raw[len(raw)-32:]) // the key itself stands last
	}
	if len(out) != 4*(3+4*2) {
		t.Fatalf("%d spellings", len(out))
	}
	return out
}

func BenchmarkSeal(b *testing.B) {
	k := generate(b, "testvik")
	for b.Loop() {
		if _, err := k.Seal([]byte("Kari Eksempel"), "person|4f6f|1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	k := generate(b, "testvik")
	for b.Loop() {
		k.Index("fnr", "01810012345")
	}
}
