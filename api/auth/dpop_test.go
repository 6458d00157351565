package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The wrong proofs of HelseID's InvalidDPoPProofParameters and of RFC 9449 section 4.3.
func TestWrongProofs(t *testing.T) {
	dev, other := ecKey(t), edKey(9)
	head := dev.proofHeader()
	private := head.with("jwk", object{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"})
	none := func([]byte) []byte { return nil }
	good := func() string { return dev.proof(goodProof()) }
	withHead := func(h object) string { return compose(h.text(), goodProof().text(), dev.sign) }
	for _, tc := range []struct {
		name   string
		proof  string
		want   error
		reason string
	}{
		{"right", good(), nil, ""},
		{"no htm", dev.proof(goodProof().with("htm", nil)), ErrInvalidProof, "wrong-htm"},
		{"wrong htm", dev.proof(goodProof().with("htm", "GET")), ErrInvalidProof, "wrong-htm"},
		{"htm in lower case", dev.proof(goodProof().with("htm", "post")), ErrInvalidProof, "wrong-htm"},
		{"no htu", dev.proof(goodProof().with("htu", nil)), ErrInvalidProof, "wrong-htu"},
		{"wrong htu", dev.proof(goodProof().with("htu", "https://flette.example/v1/sync/pull")), ErrInvalidProof, "wrong-htu"},
		{"no ath", dev.proof(goodProof().with("ath", nil)), ErrInvalidProof, "wrong-ath"},
		{"ath of another token", dev.proof(goodProof().with("ath", tokenHash("other"))), ErrInvalidProof, "wrong-ath"},
		{"no iat", dev.proof(goodProof().with("iat", nil)), ErrInvalidProof, "bad-iat"},
		{"iat as text", dev.proof(goodProof().with("iat", "now")), ErrInvalidProof, "bad-iat"},
		{"iat negative", dev.proof(goodProof().with("iat", -1)), ErrInvalidProof, "bad-iat"},
		{"iat beyond all clocks", dev.proof(goodProof().with("iat", 1e300)), ErrInvalidProof, "bad-iat"},
		{"iat past", dev.proof(goodProof().with("iat", noon.Unix()-61)), ErrUseNonce, "clock-off"},
		{"iat future", dev.proof(goodProof().with("iat", noon.Unix()+6)), ErrUseNonce, "clock-off"},
		{"made-up nonce", dev.proof(goodProof().with("nonce", "AAAAAAAAAAAAAAAAAAAAAA")), ErrUseNonce, "stale-nonce"},
		{"empty nonce", dev.proof(goodProof().with("nonce", "")), ErrUseNonce, "stale-nonce"},
		{"no jti", dev.proof(goodProof().with("jti", nil)), ErrInvalidProof, "bad-jti"},
		{"long jti", dev.proof(goodProof().with("jti", strings.Repeat("j", 129))), ErrInvalidProof, "bad-jti"},
		{"no jwk", withHead(head.with("jwk", nil)), ErrInvalidProof, "bad-jwk"},
		{"private jwk", withHead(private), ErrInvalidProof, "private-jwk"},
		{"symmetric jwk", withHead(head.with("jwk", object{"kty": "oct", "k": "AA"})), ErrInvalidProof, "private-jwk"},
		{"no alg", withHead(head.with("alg", nil)), ErrInvalidProof, "wrong-alg"},
		{"alg none", compose(head.with("alg", "none").text(), goodProof().text(), none), ErrInvalidProof, "wrong-alg"},
		{"no signature", compose(head.text(), goodProof().text(), none), ErrInvalidProof, "bad-base64"},
		{"HS256", withHead(head.with("alg", "HS256")), ErrInvalidProof, "wrong-alg"},
		{"RS256", withHead(head.with("alg", "RS256")), ErrInvalidProof, "wrong-alg"},
		{"alg of the other key type", withHead(head.with("alg", "EdDSA")), ErrInvalidProof, "alg-key-mismatch"},
		{"no typ", withHead(head.with("typ", nil)), ErrInvalidProof, "wrong-typ"},
		{"typ JWT", withHead(head.with("typ", "JWT")), ErrInvalidProof, "wrong-typ"},
		{"crit", withHead(head.with("crit", []string{"b64"}).with("b64", false)), ErrInvalidProof, "unknown-crit"},
		{"bad signature", good()[:len(good())-4] + "AAAA", ErrInvalidProof, "bad-signature"},
		{"signed by another key", compose(head.text(), goodProof().text(), other.sign), ErrInvalidProof, "bad-signature"},
		{"key is not the token's", other.proof(goodProof()), ErrInvalidProof, "wrong-key"},
		{"two proofs in one line", good() + ", " + good(), ErrInvalidProof, "not-a-jws"},
		{"padding", good() + "=", ErrInvalidProof, "bad-base64"},
		{"line break", strings.Replace(good(), ".", "\n.", 1), ErrInvalidProof, "bad-base64"},
		{"trailing bits", good()[:len(good())-1] + "B", ErrInvalidProof, "bad-base64"},
		{"duplicate claim", compose(head.text(), strings.Replace(goodProof().text(), "{", `{"htm":"GET",`, 1), dev.sign), ErrInvalidProof, "bad-json"},
		{"duplicate in jwk", compose(strings.Replace(head.text(), `"kty"`, `"kty":"EC","kty"`, 1), goodProof().text(), dev.sign), ErrInvalidProof, "bad-json"},
		{"claims are an array", compose(head.text(), `[]`, dev.sign), ErrInvalidProof, "bad-json"},
		{"huge", strings.Repeat("a", maxToken) + ".a.a", ErrInvalidProof, "too-large"},
		{"two parts", "a.b", ErrInvalidProof, "not-a-jws"},
		{"empty", "", ErrInvalidProof, "not-a-jws"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := newProofs(t).VerifyProof(tc.proof, dev.want(), noon)
			refused(t, err, tc.want, tc.reason)
		})
	}
}

func TestProofByEitherAlgorithm(t *testing.T) {
	for _, k := range []key{ecKey(t), edKey(1)} {
		v := newProofs(t)
		for range 2 { // the second time from the header cache
			p, err := v.VerifyProof(k.proof(goodProof()), k.want(), noon)
			if err != nil || p.JKT != k.pub.Thumbprint() || !p.Key.Equal(k.pub) || !p.IssuedAt.Equal(noon) {
				t.Errorf("%s: %+v, error %v", k.alg, p, err)
			}
		}
	}
}

// A proof is good once (A5), also when its header comes in another spelling of the request.
func TestReplay(t *testing.T) {
	dev := edKey(1)
	v := newProofs(t)
	claims := goodProof()
	proof := dev.proof(claims)
	_, err := v.VerifyProof(proof, dev.want(), noon)
	refused(t, err, nil, "")
	for _, after := range []time.Duration{0, time.Second, 59 * time.Second, 60 * time.Second} {
		_, err = v.VerifyProof(proof, dev.want(), noon.Add(after))
		refused(t, err, ErrInvalidProof, "replayed")
	}
	_, err = v.VerifyProof(dev.proof(claims.with("iat", noon.Unix()+1)), dev.want(), noon)
	refused(t, err, ErrInvalidProof, "replayed") // same jti, signed anew
	_, err = v.VerifyProof(proof, dev.want(), noon.Add(61*time.Second))
	refused(t, err, ErrUseNonce, "clock-off") // forgotten only when too old anyway
	other := edKey(2)
	_, err = v.VerifyProof(other.proof(claims), other.want(), noon)
	refused(t, err, nil, "") // jti is unique for one key only
}

// A tablet whose clock is wrong by hours signs with the server's nonce instead.
func TestNonceStandsInForTheClock(t *testing.T) {
	dev := edKey(1)
	v := newProofs(t)
	nonce := v.Nonce(noon)
	at := func(iat time.Duration) string {
		return dev.proof(goodProof().with("iat", noon.Add(iat).Unix()).with("nonce", nonce))
	}
	_, err := v.VerifyProof(dev.proof(goodProof().with("iat", noon.Add(3*time.Hour).Unix())), dev.want(), noon)
	refused(t, err, ErrUseNonce, "clock-off")
	for _, off := range []time.Duration{3 * time.Hour, -40 * 24 * time.Hour, 0} {
		_, err = v.VerifyProof(at(off), dev.want(), noon)
		refused(t, err, nil, "")
	}
	_, err = v.VerifyProof(at(0), dev.want(), noon.Add(5*time.Minute))
	refused(t, err, nil, "") // the window before is still good
	_, err = v.VerifyProof(at(0), dev.want(), noon.Add(10*time.Minute))
	refused(t, err, ErrUseNonce, "stale-nonce")
	if v.Nonce(noon.Add(5*time.Minute)) == nonce {
		t.Error("the nonce does not change")
	}
	elsewhere, err := NewProofVerifier(ProofConfig{NonceKey: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = elsewhere.VerifyProof(at(0), dev.want(), noon)
	refused(t, err, ErrUseNonce, "stale-nonce")
}

// A proof dated into the future and used with a nonce must not come back when its date has
// come and its nonce is forgotten.
func TestFutureProofCannotBeKeptForLater(t *testing.T) {
	dev := edKey(1)
	v := newProofs(t)
	later := noon.Add(20 * time.Minute)
	proof := dev.proof(goodProof().with("iat", later.Unix()).with("nonce", v.Nonce(noon)))
	_, err := v.VerifyProof(proof, dev.want(), noon)
	refused(t, err, nil, "")
	_, err = v.VerifyProof(proof, dev.want(), noon.Add(9*time.Minute))
	refused(t, err, ErrInvalidProof, "replayed")
	_, err = v.VerifyProof(proof, dev.want(), later)
	refused(t, err, ErrUseNonce, "stale-nonce")
}

func TestReplayMemoryIsBoundedAndFair(t *testing.T) {
	r := newReplays(64)
	end := noon.Add(time.Minute)
	refused(t, r.use("victim", "1", end, noon), nil, "")
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = r.use("flooder", fmt.Sprint(i), end, noon)
	}
	refused(t, err, ErrTooManyProofs, "proofs-of-one-key")
	refused(t, r.use("victim", "1", end, noon), ErrInvalidProof, "replayed")
	refused(t, r.use("victim", "2", end, noon), nil, "")

	late := noon.Add(10 * time.Minute)
	refused(t, r.use("late", "1", late, noon), nil, "")
	for i := range 1000 {
		_ = r.use(fmt.Sprint("device ", i), "1", noon.Add(time.Duration(i%5)*time.Minute), noon)
		if r.size > 64 {
			t.Fatalf("%d proofs held, cap 64", r.size)
		}
	}
	refused(t, r.use("late", "1", late, noon), ErrInvalidProof, "replayed") // the last to expire is kept longest
	refused(t, r.use("x", "1", noon.Add(time.Hour), noon.Add(30*time.Minute)), nil, "")
	if r.size != 1 || len(r.buckets) != 1 {
		t.Errorf("%d proofs in %d buckets after all others expired", r.size, len(r.buckets))
	}
}

// A8: keys that nobody has vouched for fill neither the memory of proofs nor that of headers.
func TestStrangersDisplaceNobody(t *testing.T) {
	v := newProofs(t)
	for seed := range byte(50) {
		k := edKey(100 + seed)
		_, err := v.VerifyProof(k.proof(goodProof()), Want{"POST", pushURL, "", ""}, noon)
		refused(t, err, nil, "")
	}
	if v.held.size != 0 || len(v.headers.young) != 0 || v.strangers.size != 50 {
		t.Errorf("strangers hold %d proofs, %d headers and %d of their own", v.held.size, len(v.headers.young), v.strangers.size)
	}
	dev := edKey(1)
	for i, pad := range []int{0, maxHeaderKept} {
		head := dev.proofHeader().with("x-pad", strings.Repeat("x", pad)).text()
		_, err := v.VerifyProof(compose(head, goodProof().text(), dev.sign), dev.want(), noon)
		refused(t, err, nil, "")
		if v.held.size != i+1 || len(v.headers.young) != 1 {
			t.Errorf("pad %d: %d proofs and %d headers held", pad, v.held.size, len(v.headers.young))
		}
	}
}

func TestSameURL(t *testing.T) {
	for _, tc := range []struct {
		htu, want string
		same      bool
	}{
		{"https://a.example/v1/x", "https://a.example/v1/x", true},
		{"HTTPS://A.Example/v1/x", "https://a.example/v1/x", true},
		{"https://a.example:443/v1/x", "https://a.example/v1/x", true},
		{"http://a.example:80", "http://a.example/", true},
		{"http://[::1]:8080/x", "http://[::1]:8080/x?q=1", true},
		{"https://a.example/v1/x?cursor=1#f", "https://a.example/v1/x?cursor=2", true},
		{"https://a.example/v1/%7euser/%2f", "https://a.example/v1/~user/%2F", true},
		{"https://a.example:8443/v1/x", "https://a.example/v1/x", false},
		{"http://a.example/v1/x", "https://a.example/v1/x", false},
		{"http://a.example:443/v1/x", "https://a.example/v1/x", false},
		{"https://b.example/v1/x", "https://a.example/v1/x", false},
		{"https://a.example/V1/x", "https://a.example/v1/x", false},
		{"https://a.example/v1/x/", "https://a.example/v1/x", false},
		{"https://a.example/v1/y/../x", "https://a.example/v1/x", false},
		{"https://a.example/v1%2Fx", "https://a.example/v1/x", false},
		{"https://u@a.example/v1/x", "https://a.example/v1/x", false},
		{"https://a.example/%zz", "https://a.example/v1/x", false},
		{"//a.example/v1/x", "https://a.example/v1/x", false},
		{"/v1/x", "https://a.example/v1/x", false},
		{"", "", false},
		{"ftp://a.example/x", "ftp://A.example/x", false},
	} {
		if got := sameURL(tc.htu, tc.want); got != tc.same {
			t.Errorf("%q and %q: %v, want %v", tc.htu, tc.want, got, tc.same)
		}
	}
}

func TestProofConfig(t *testing.T) {
	for _, c := range []ProofConfig{{}, {NonceKey: make([]byte, 31)}, {NonceKey: make([]byte, 32), Past: -1}} {
		if _, err := NewProofVerifier(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func FuzzProof(f *testing.F) {
	dev := edKey(1)
	f.Add(dev.proof(goodProof()))
	f.Add(dev.proof(goodProof().with("nonce", "x")))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, proof string) {
		v := newProofs(t)
		p, err := v.VerifyProof(proof, dev.want(), noon)
		if err == nil && p.JKT != dev.pub.Thumbprint() {
			t.Fatalf("a proof of key %s passed as %s", p.JKT, dev.pub.Thumbprint())
		}
		if err == nil {
			_, err = v.VerifyProof(proof, dev.want(), noon)
			refused(t, err, ErrInvalidProof, "replayed")
		} else if Reason(err) == "" {
			t.Fatalf("no reason for %v", err)
		}
	})
}

func BenchmarkVerifyProof(b *testing.B) {
	for _, k := range []key{edKey(1), ecKey(b)} {
		b.Run(k.alg, func(b *testing.B) {
			v := newProofs(b)
			proofs := make([]string, b.N)
			for i := range proofs {
				proofs[i] = k.proof(goodProof())
			}
			b.ResetTimer()
			for _, p := range proofs {
				if _, err := v.VerifyProof(p, k.want(), noon); err != nil {
					b.Fatal(err, Reason(err))
				}
			}
		})
	}
}
