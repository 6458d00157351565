package jwk

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
)

// The key and thumbprint of RFC 8037 appendix A.3, and the EC key of RFC 7515 appendix A.3.
const (
	rfc8037Key   = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	rfc8037Thumb = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	rfc7515X     = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
	rfc7515Y     = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
)

func ec(extra string) string {
	return `{"kty":"EC","crv":"P-256","x":"` + rfc7515X + `","y":"` + rfc7515Y + `"` + extra + `}`
}

func TestParse(t *testing.T) {
	okp := strings.TrimSuffix(rfc8037Key, "}")
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"Ed25519", rfc8037Key, nil},
		{"P-256", ec(""), nil},
		{"as WebCrypto exports it", ec(`,"ext":true,"key_ops":["verify"]`), nil},
		{"spaces between tokens", " { \"kty\" : \"OKP\",\n\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}\n", nil},
		{"alg, use and kid", okp + `,"alg":"EdDSA","use":"sig","kid":"a"}`, nil},
		{"alg of RFC 9864", okp + `,"alg":"Ed25519"}`, nil},
		{"alg of the other type", okp + `,"alg":"ES256"}`, ErrUnsupported},
		{"alg none", ec(`,"alg":"none"`), ErrUnsupported},
		{"alg empty", ec(`,"alg":""`), ErrUnsupported},
		{"for encryption", ec(`,"use":"enc"`), ErrUnsupported},
		{"for signing", ec(`,"key_ops":["sign"]`), ErrUnsupported},
		{"no operations", ec(`,"key_ops":[]`), ErrUnsupported},
		{"private EC", ec(`,"d":"AAAA"`), ErrPrivate},
		{"private member null", ec(`,"d":null`), ErrPrivate},
		{"private OKP", okp + `,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`, ErrPrivate},
		{"symmetric", `{"kty":"oct","k":"AAAA"}`, ErrPrivate},
		{"RSA", `{"kty":"RSA","n":"AAAA","e":"AQAB"}`, ErrMalformed},
		{"P-384", `{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}`, ErrUnsupported},
		{"secp256k1", strings.Replace(ec(""), "P-256", "secp256k1", 1), ErrUnsupported},
		{"X25519", strings.Replace(rfc8037Key, "Ed25519", "X25519", 1), ErrUnsupported},
		{"off the curve", strings.Replace(ec(""), rfc7515Y, rfc7515X, 1), ErrWeak},
		{"infinity", `{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`, ErrWeak},
		{"small order", `{"kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("A", 43) + `"}`, ErrWeak},
		{"member twice", okp + `,"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, ErrMalformed},
		{"unknown member", okp + `,"x5u":"https://keys.example"}`, ErrMalformed},
		{"wrong case of a name", strings.Replace(rfc8037Key, "kty", "KTY", 1), ErrMalformed},
		{"escaped name", strings.Replace(rfc8037Key, "kty", `\u006bty`, 1), ErrMalformed},
		{"trailing bits", strings.Replace(rfc8037Key, "HURo", "HURp", 1), ErrMalformed},
		{"padding", strings.Replace(rfc8037Key, "HURo", "HURo=", 1), ErrMalformed},
		{"31 bytes", `{"kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("B", 42) + `"}`, ErrMalformed},
		{"OKP with y", okp + `,"y":"` + rfc7515Y + `"}`, ErrMalformed},
		{"EC without y", `{"kty":"EC","crv":"P-256","x":"` + rfc7515X + `"}`, ErrMalformed},
		{"number for a string", `{"kty":"OKP","crv":"Ed25519","x":1}`, ErrMalformed},
		{"no kty", `{"crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, ErrUnsupported},
		{"empty object", `{}`, ErrUnsupported},
		{"two values", rfc8037Key + rfc8037Key, ErrMalformed},
		{"trailing comma", okp + `,}`, ErrMalformed},
		{"cut", rfc8037Key[:40], ErrMalformed},
		{"empty", ``, ErrMalformed},
		{"array", `[]`, ErrMalformed},
		{"too long", `{"kid":"` + strings.Repeat("a", MaxBytes) + `"}`, ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := Parse([]byte(tc.in))
			if !errors.Is(err, tc.want) || (err == nil) != !k.IsZero() {
				t.Errorf("key %q, error %v, want %v", k, err, tc.want)
			}
		})
	}
}

func TestThumbprintOfRFC8037(t *testing.T) {
	k, err := Parse([]byte(rfc8037Key))
	if err != nil || k.Thumbprint() != rfc8037Thumb {
		t.Errorf("thumbprint %q, error %v, want %q", k.Thumbprint(), err, rfc8037Thumb)
	}
}

func TestSmallOrderAndNonCanonicalAreWeak(t *testing.T) {
	spell := func(first, middle, last byte) ed25519.PublicKey {
		b := make([]byte, 32)
		b[0], b[31] = first, last
		for i := 1; i < 31; i++ {
			b[i] = middle
		}
		return b
	}
	weak := []ed25519.PublicKey{
		spell(0xed, 0xff, 0x7f), spell(0xee, 0xff, 0x7f), // p and p+1: second spellings of 0 and 1
		spell(0xff, 0xff, 0xff), // greatest value, with the sign bit
		spell(0, 0, 0x80), spell(1, 0, 0x80),
	}
	for _, y := range smallOrder {
		weak = append(weak, y)
	}
	for _, k := range weak {
		if _, err := New(k); !errors.Is(err, ErrWeak) {
			t.Errorf("%x: error %v, want %v", []byte(k), err, ErrWeak)
		}
	}
	// p-2 is the greatest y that is canonical and not of small order.
	if _, err := New(spell(0xeb, 0xff, 0x7f)); err != nil {
		t.Errorf("p-2: %v", err)
	}
}

func TestVerifyPinsAlgorithmAndLength(t *testing.T) {
	edPub, edPriv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecPriv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	msg := []byte("header.payload")
	digest := sha256.Sum256(msg)
	r, s, err := ecdsa.Sign(rand.Reader, ecPriv, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	asn1, err := ecdsa.SignASN1(rand.Reader, ecPriv, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	edSig := ed25519.Sign(edPriv, msg)
	edKey, errEd := New(edPub)
	ecKey, errEC := New(&ecPriv.PublicKey)
	if errEd != nil || errEC != nil {
		t.Fatal(errEd, errEC)
	}
	for _, tc := range []struct {
		name string
		key  PublicKey
		alg  string
		sig  []byte
		want bool
	}{
		{"EdDSA", edKey, EdDSA, edSig, true},
		{"ES256", ecKey, ES256, raw, true},
		{"ES256 under an Ed25519 key", edKey, ES256, edSig, false},
		{"EdDSA under a P-256 key", ecKey, EdDSA, raw, false},
		{"empty alg", ecKey, "", raw, false},
		{"none", ecKey, "none", nil, false},
		{"zero key", PublicKey{}, "", raw, false},
		{"ASN.1", ecKey, ES256, asn1, false},
		{"63 bytes", ecKey, ES256, raw[:63], false},
		{"65 bytes", edKey, EdDSA, append(edSig[:64:64], 0), false},
		{"no signature", edKey, EdDSA, nil, false},
		{"zero signature", ecKey, ES256, make([]byte, 64), false},
	} {
		if got := tc.key.Verify(tc.alg, msg, tc.sig); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	k, err := Parse([]byte(ec(`,"kid":"x"`)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back PublicKey
	if err := back.UnmarshalJSON(b); err != nil || !back.Equal(k) || back.Thumbprint() != k.Thumbprint() {
		t.Errorf("got %v, error %v, want %v", back, err, k)
	}
	if _, err := (PublicKey{}).MarshalJSON(); err == nil {
		t.Error("a zero key was marshalled")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(rfc8037Key))
	f.Add([]byte(ec(`,"ext":true,"key_ops":["verify"],"alg":"ES256"`)))
	f.Add([]byte(ec(`,"d":"AAAA"`)))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := Parse(in)
		if err != nil {
			return
		}
		again, err := Parse([]byte(k.String()))
		if err != nil || !again.Equal(k) {
			t.Fatalf("canonical form %s of %q reads as %v, error %v", k, in, again, err)
		}
		if k.Verify(k.Alg(), in, make([]byte, 64)) {
			t.Fatalf("%s accepts a zero signature", k)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	_, edPriv, _ := ed25519.GenerateKey(rand.Reader)
	key, _ := New(edPriv.Public())
	msg := make([]byte, 600)
	sig := ed25519.Sign(edPriv, msg)
	b.Run("EdDSA", func(b *testing.B) {
		for b.Loop() {
			if !key.Verify(EdDSA, msg, sig) {
				b.Fatal("refused")
			}
		}
	})
	ecPriv, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ecKey, _ := New(&ecPriv.PublicKey)
	digest := sha256.Sum256(msg)
	r, s, _ := ecdsa.Sign(rand.Reader, ecPriv, digest[:])
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	b.Run("ES256", func(b *testing.B) {
		for b.Loop() {
			if !ecKey.Verify(ES256, msg, raw) {
				b.Fatal("refused")
			}
		}
	})
	in := []byte(ec(""))
	b.Run("ParseP256", func(b *testing.B) {
		for b.Loop() {
			if _, err := Parse(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
