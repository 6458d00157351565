package journal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// The tenant is made up; its key in testdata is the seed of 32 zero bytes.
const testOrigin = "flette/testvik/e1"

func testKey(t testing.TB, name string) (*Signer, string) {
	t.Helper()
	skey, vkey, err := GenerateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func sign(t testing.TB, s *Signer, cp Checkpoint) []byte {
	t.Helper()
	text, err := s.Sign(cp)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCheckpointRoundTrip(t *testing.T) {
	signer, vkey := testKey(t, KeyName("testvik"))
	rapid.Check(t, func(rt *rapid.T) {
		cp := Checkpoint{
			Origin: Origin("testvik", rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Draw(rt, "epoch")),
			Size:   rapid.Int64Range(0, MaxSize).Draw(rt, "size"),
			Root:   tlog.RecordHash(rapid.SliceOf(rapid.Byte()).Draw(rt, "root")),
		}
		text := sign(t, signer, cp)
		got, err := Verify(text, vkey)
		if err != nil || got != cp {
			rt.Fatalf("%+v, %v\n%s", got, err, text)
		}
		if again := sign(t, signer, cp); !bytes.Equal(text, again) {
			rt.Fatal("signing is not deterministic")
		}
	})
}

// No byte of a checkpoint can change without the checkpoint failing, at any bit.
func TestFlippedBitFails(t *testing.T) {
	signer, vkey := testKey(t, KeyName("testvik"))
	v, err := NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	text := sign(t, signer, Checkpoint{testOrigin, 42, tlog.RecordHash(nil)})
	for i := range text {
		for bit := range 8 {
			bad := bytes.Clone(text)
			bad[i] ^= 1 << bit
			if _, err := v.Verify(bad); !errors.Is(err, ErrCheckpoint) {
				t.Fatalf("byte %d (%q) bit %d: %v", i, text[i], bit, err)
			}
		}
	}
	for i := range text {
		if _, err := v.Verify(text[:i]); !errors.Is(err, ErrCheckpoint) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// An outside reader needs Ed25519, SHA-256 and base64, nothing of ours and no note library.
func TestOutsideVerification(t *testing.T) {
	signer, vkey := testKey(t, KeyName("testvik"))
	m := store(t, numbered(5))
	text := sign(t, signer, Checkpoint{testOrigin, 5, root(t, 5, m)})

	parts := strings.Split(vkey, "+") // base64 may contain "+", so join what follows
	pub, err := base64.StdEncoding.DecodeString(strings.Join(parts[2:], "+"))
	if err != nil || len(pub) != 33 || pub[0] != 1 {
		t.Fatalf("verifier key %q: %v", vkey, err)
	}
	body, sigs, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		t.Fatal("no empty line")
	}
	line := strings.TrimPrefix(string(sigs), "— flette/testvik ")
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(line, "\n"))
	if err != nil || len(sig) != 68 {
		t.Fatalf("signature line %q: %v", line, err)
	}
	if !ed25519.Verify(pub[1:], append(body, '\n'), sig[4:]) {
		t.Error("signature does not cover the text")
	}
	want := testOrigin + "\n5\n" + naiveRoot(numbered(5)).String()
	if string(body) != want {
		t.Errorf("got %q\nwant %q", body, want)
	}
}

// The committed checkpoint and key stay valid for ever: tablets keep such texts.
func TestCommittedCheckpoint(t *testing.T) {
	read := func(name string) []byte {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	skey, vkey, text := strings.TrimSpace(string(read("signer.key"))), strings.TrimSpace(string(read("verifier.key"))), read("checkpoint.txt")
	cp, err := Verify(text, vkey)
	if err != nil {
		t.Fatal(err)
	}
	if cp.Origin != testOrigin || cp.Size != 3 || cp.Root != naiveRoot(numbered(3)) {
		t.Errorf("%+v", cp)
	}
	s, err := NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	if got := sign(t, s, cp); !bytes.Equal(got, text) {
		t.Errorf("signing today gives\n%s", got)
	}
}

func TestRefusedCheckpoints(t *testing.T) {
	skey, vkey, err := GenerateKey(KeyName("testvik"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := testKey(t, KeyName("testvik")) // same name, another key
	root := tlog.RecordHash(nil).String()
	for name, text := range map[string]string{
		"origin of another tenant": "flette/andrevik/e1\n1\n" + root + "\n",
		"origin of a longer name":  "flette/testvik2/e1\n1\n" + root + "\n",
		"origin without epoch":     "flette/testvik\n1\n" + root + "\n",
		"empty epoch":              "flette/testvik/\n1\n" + root + "\n",
		"epoch with a slash":       "flette/testvik/a/b\n1\n" + root + "\n",
		"epoch with a space":       "flette/testvik/a b\n1\n" + root + "\n",
		"negative size":            testOrigin + "\n-1\n" + root + "\n",
		"plus sign":                testOrigin + "\n+1\n" + root + "\n",
		"leading zero":             testOrigin + "\n01\n" + root + "\n",
		"size beyond the limit":    testOrigin + "\n1099511627777\n" + root + "\n",
		"size beyond 64 bits":      testOrigin + "\n18446744073709551616\n" + root + "\n",
		"hexadecimal size":         testOrigin + "\n0x1\n" + root + "\n",
		"short root":               testOrigin + "\n1\nAAAA\n",
		"root with spare bits":     testOrigin + "\n1\n" + root[:42] + string(root[42]+1) + "=\n",
		"extension line":           testOrigin + "\n1\n" + root + "\nmore\n",
		"missing root":             testOrigin + "\n1\n",
		"go.sum database":          "go.sum database tree\n1\n" + root + "\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(signed, vkey); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := sign(t, other, Checkpoint{Origin: testOrigin})
	if _, err := Verify(good, vkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("signed by another key of the same name: %v", err)
	}
	if _, err := Verify(append(good, bytes.Repeat([]byte("x"), MaxCheckpointBytes)...), vkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("too long: %v", err)
	}
	if _, err := Verify(good, "flette/testvik+00000000+AAAA"); err == nil {
		t.Error("garbled verifier key")
	}
}

// A witness may add its line; it neither helps nor harms.
func TestWitnessLineIsIgnored(t *testing.T) {
	signer, vkey := testKey(t, KeyName("testvik"))
	witness, _, err := note.GenerateKey(nil, "witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	w, err := note.NewSigner(witness)
	if err != nil {
		t.Fatal(err)
	}
	cp := Checkpoint{testOrigin, 3, tlog.RecordHash(nil)}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(sign(t, signer, cp), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := note.Sign(n, w)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Verify(cosigned, vkey); err != nil || got != cp {
		t.Errorf("%+v, %v", got, err)
	}
	alone, err := note.Sign(&note.Note{Text: n.Text}, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(alone, vkey); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("only a witness signed: %v", err)
	}
}

func TestSignerArguments(t *testing.T) {
	signer, _ := testKey(t, KeyName("testvik"))
	for name, cp := range map[string]Checkpoint{
		"another tenant": {Origin: "flette/andrevik/e1"},
		"two lines":      {Origin: testOrigin + "\nmore"},
		"negative":       {Origin: testOrigin, Size: -1},
		"too large":      {Origin: testOrigin, Size: MaxSize + 1},
		"no origin":      {},
	} {
		if text, err := signer.Sign(cp); err == nil {
			t.Errorf("%s: signed\n%s", name, text)
		}
	}
	for _, name := range []string{"", "flette", "flette/", "flette/UPPER", "flette/a b", "flette/a+b", "flette/a/b", "other/a"} {
		if _, _, err := GenerateKey(name); err == nil {
			t.Errorf("GenerateKey(%q)", name)
		}
	}
	foreign, foreignV, err := note.GenerateKey(nil, "example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, skey := range []string{"", "PRIVATE+KEY", foreign, foreign[:len(foreign)-4]} {
		_, err := NewSigner(skey)
		if err == nil {
			t.Errorf("NewSigner(%q)", skey)
		} else if len(skey) > 60 && strings.Contains(err.Error(), skey[len(skey)-44:]) {
			t.Error("the error repeats the key")
		}
	}
	if _, err := NewVerifier(foreignV); err == nil {
		t.Error("verifier key of another name")
	}
}

func FuzzVerify(f *testing.F) {
	skey, err := os.ReadFile("testdata/signer.key")
	if err != nil {
		f.Fatal(err)
	}
	vkey, err := os.ReadFile("testdata/verifier.key")
	if err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile("testdata/checkpoint.txt")
	if err != nil {
		f.Fatal(err)
	}
	raw, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		f.Fatal(err)
	}
	v, err := NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(testOrigin + "\n0\n" + emptyRoot.String() + "\n"))
	f.Add([]byte(testOrigin + "\n-0\n" + emptyRoot.String() + "\n"))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// As it came: only the committed text (or it with foreign lines) can pass.
		if cp, err := v.Verify(data); err == nil && !bytes.HasPrefix(seed, []byte(cp.text())) {
			t.Fatalf("accepted %q", data)
		}
		// Signed with the right key, so that the parser behind the signature is reached too:
		// what is accepted is canonical.
		signed, err := note.Sign(&note.Note{Text: string(data)}, raw)
		if err != nil {
			return
		}
		if cp, err := v.Verify(signed); err == nil && cp.text() != string(data) {
			t.Fatalf("%q read as %+v", data, cp)
		} else if err != nil && !errors.Is(err, ErrCheckpoint) {
			t.Fatalf("unexpected error %v", err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	signer, _ := testKey(b, KeyName("testvik"))
	cp := Checkpoint{testOrigin, 123456, tlog.RecordHash(nil)}
	for b.Loop() {
		sign(b, signer, cp)
	}
}

func BenchmarkVerify(b *testing.B) {
	signer, vkey := testKey(b, KeyName("testvik"))
	text := sign(b, signer, Checkpoint{testOrigin, 123456, tlog.RecordHash(nil)})
	v, err := NewVerifier(vkey)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Verify(text); err != nil {
			b.Fatal(err)
		}
	}
}
