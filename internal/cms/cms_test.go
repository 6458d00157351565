package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
	"pgregory.net/rapid"

	"flette/internal/register/fake"
)

var now = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

func certificate(t testing.TB, usage x509.KeyUsage, key crypto.Signer) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(0x81), 120), // the first bit set: DER puts a zero in front
		Subject:      pkix.Name{CommonName: "Testregisteret", Organization: []string{"Prøve AS"}},
		NotBefore:    now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), KeyUsage: usage,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEveryContentComesBackAndNoChangedBitPasses(t *testing.T) {
	key := rsaKey(t)
	cert := certificate(t, x509.KeyUsageKeyEncipherment, key)
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "content")
		der, err := Encrypt(content, cert, now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fake.OpenCMS(der, key)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%v; got %x, want %x", err, got, content)
		}
		if len(content) > 15 && bytes.Contains(der, content) {
			t.Fatal("the content stands in the package")
		}
		var ci contentInfo
		if _, err := asn1.Unmarshal(der, &ci); err != nil {
			t.Fatal(err)
		}
		tail := len(ci.Content.Content.Ciphertext) + len(ci.Content.MAC) // both stand at the end
		i := len(der) - 1 - rapid.IntRange(0, max(tail-4, 0)).Draw(t, "from the end")
		der[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, err := fake.OpenCMS(der, key); err == nil && bytes.Equal(got, content) {
			t.Fatalf("byte %d of %d changed and nobody saw it", i, len(der))
		}
	})
}

// TestOpenSSLReadsIt is the second engine: it decrypts, then verifies the signature.
func TestOpenSSLReadsIt(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("skipped: not found: openssl")
	}
	key, signKey := rsaKey(t), rsaKey(t)
	cert, signCert := certificate(t, x509.KeyUsageKeyEncipherment, key), certificate(t, x509.KeyUsageDigitalSignature, signKey)
	content := []byte("<Melding>æøå\r\n</Melding>")
	der, err := Pack(content, signCert, signKey, cert, now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name string, body []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(args ...string) []byte {
		t.Helper()
		var stderr bytes.Buffer
		cmd := exec.Command(openssl, args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, stderr.String())
		}
		return out
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	packed := put("packed.der", der)
	recip := put("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	private := put("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	signer := put("signer.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signCert.Raw}))

	shown := string(run("cms", "-cmsout", "-print", "-inform", "DER", "-in", packed))
	for _, want := range []string{"id-smime-ct-authEnvelopedData", "aes-256-gcm", "rsaesOaep", "sha256"} {
		if !strings.Contains(shown, want) {
			t.Errorf("OpenSSL does not see %s", want)
		}
	}
	signed := put("signed.der", run("cms", "-decrypt", "-binary", "-inform", "DER", "-in", packed, "-recip", recip, "-inkey", private))
	got := run("cms", "-verify", "-binary", "-noverify", "-certfile", signer, "-inform", "DER", "-in", signed)
	if !bytes.Equal(got, content) {
		t.Errorf("OpenSSL reads %q", got)
	}

	der[len(der)-1] ^= 1 // in the MAC
	cmd := exec.Command(openssl, "cms", "-decrypt", "-inform", "DER", "-in", put("bad.der", der), "-recip", recip, "-inkey", private)
	if out, err := cmd.Output(); err == nil {
		t.Errorf("OpenSSL takes a changed MAC: %q", out)
	}
}

func TestSignatureIsSHA256AndVerifies(t *testing.T) {
	key := rsaKey(t)
	cert := certificate(t, x509.KeyUsageDigitalSignature, key)
	der, err := Sign([]byte("content"), cert, key, now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(); err != nil || string(p.Content) != "content" {
		t.Errorf("%v, content %q", err, p.Content)
	}
	if got := p.Signers[0].DigestAlgorithm.Algorithm; !got.Equal(oidSHA256) {
		t.Errorf("digest %v", got)
	}
}

func TestWhatCannotBeUsedIsRefused(t *testing.T) {
	key := rsaKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := certificate(t, x509.KeyUsageKeyEncipherment, key)
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		at   time.Time
		want string
	}{
		{"expired", good, now.AddDate(2, 0, 0), "it holds from 2025-11-26 to 2027-11-26"},
		{"not yet", good, now.AddDate(-2, 0, 0), "it holds from"},
		{"for signing", certificate(t, x509.KeyUsageDigitalSignature, key), now, "meant for something else"},
		{"no RSA key", certificate(t, 0, ec), now, "no RSA key"},
	} {
		if _, err := Encrypt(nil, c.cert, c.at); !errors.Is(err, ErrRecipient) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Sign(nil, good, rsaKey(t), now); !errors.Is(err, ErrSigner) {
		t.Errorf("another's key: %v", err)
	}
	if _, err := Sign(nil, good, key, now.AddDate(3, 0, 0)); !errors.Is(err, ErrSigner) {
		t.Errorf("expired signer: %v", err)
	}
}
