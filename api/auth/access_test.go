package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

const (
	testIssuer   = "https://login.example"
	testAudience = "flette:test"
)

func goodClaims() object {
	return object{"iss": testIssuer, "aud": testAudience, "sub": "nurse-1", "tenant": "solvik", "roles": []string{"nurse", "stranger"},
		"exp": noon.Unix() + 600, "nbf": noon.Unix(), "iat": noon.Unix(), "auth_time": noon.Unix() - 5,
		"name": "Kari Prøvesen", "hpr_number": "1234567"}
}

func signRS256(k *rsa.PrivateKey) func([]byte) []byte {
	return func(in []byte) []byte {
		digest := sha256.Sum256(in)
		sig, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return sig
	}
}

func jwks(keys ...jose.JSONWebKey) []byte {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		panic(err)
	}
	return b
}

func newRSA(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The attacks of jwt_tool and HelseID's list of what an API must check.
func TestWrongAccessTokens(t *testing.T) {
	rsaKey := newRSA(t, 2048)
	edPriv := edPrivate(7)
	signEd := func(in []byte) []byte { return ed25519.Sign(edPriv, in) }
	signRSA := signRS256(rsaKey)
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hmacWith := func(secret []byte) func([]byte) []byte {
		return func(in []byte) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write(in)
			return m.Sum(nil)
		}
	}
	v, err := NewVerifier([]IssuerConfig{{
		Issuer: testIssuer, Audience: testAudience, Algorithms: []string{"RS256", "EdDSA"}, Leeway: 5 * time.Second,
		JWKS: jwks(jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "rsa", Algorithm: "RS256"},
			jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "rsa-any"},
			jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "rsa-pss", Algorithm: "PS256"},
			jose.JSONWebKey{Key: edPriv.Public(), KeyID: "ed"}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	head := object{"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}
	claims := func(c object) string { return compose(head.text(), c.text(), signRSA) }
	header := func(h object) string { return compose(h.text(), goodClaims().text(), signRSA) }
	raw := func(payload string) string { return compose(head.text(), payload, signRSA) }
	good := claims(goodClaims())
	edJWK := object{"kty": "OKP", "crv": "Ed25519", "x": strictB64.EncodeToString(edPrivate(8).Public().(ed25519.PublicKey))}
	for _, tc := range []struct {
		name, token string
		reason      string // "" = accepted
	}{
		{"right", good, ""},
		{"right, typ JWT", header(head.with("typ", "JWT")), ""},
		{"right, EdDSA", compose(object{"alg": "EdDSA", "typ": "at+jwt", "kid": "ed"}.text(), goodClaims().text(), signEd), ""},
		{"right, one audience of two", claims(goodClaims().with("aud", []string{"other", testAudience})), ""},
		{"right, no nbf", claims(goodClaims().with("nbf", nil)), ""},
		{"right, unknown header member", header(head.with("x-vendor", true)), ""},
		{"right, jku and x5u are ignored", header(head.with("jku", "https://evil.example/jwks").with("x5u", "http://169.254.169.254/")), ""},
		{"expired inside the leeway", claims(goodClaims().with("exp", noon.Unix()-4)), ""},

		{"alg none", compose(head.with("alg", "none").text(), goodClaims().text(), func([]byte) []byte { return nil }), "wrong-alg"},
		{"alg None", header(head.with("alg", "None")), "wrong-alg"},
		{"no alg", header(head.with("alg", nil)), "wrong-alg"},
		{"HS256 with the public key as PEM", compose(head.with("alg", "HS256").text(), goodClaims().text(),
			hmacWith(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), "wrong-alg"},
		{"HS256 with the public key as DER", compose(head.with("alg", "HS256").text(), goodClaims().text(), hmacWith(der)), "wrong-alg"},
		{"algorithm outside the list", header(head.with("alg", "PS256")), "wrong-alg"},
		{"allowed algorithm, other key type", header(head.with("alg", "EdDSA")), "alg-key-mismatch"},
		{"allowed algorithm, other type of an unpinned key", header(head.with("alg", "EdDSA").with("kid", "rsa-any")), "alg-key-mismatch"},
		{"key pinned to another algorithm", header(head.with("kid", "rsa-pss")), "alg-key-mismatch"},
		{"right, unpinned key", header(head.with("kid", "rsa-any")), ""},
		{"embedded jwk", compose(object{"alg": "EdDSA", "typ": "at+jwt", "jwk": edJWK}.text(), goodClaims().text(), edKey(8).sign), "unknown-kid"},
		{"embedded jwk beside a known kid", compose(object{"alg": "EdDSA", "typ": "at+jwt", "kid": "ed", "jwk": edJWK}.text(), goodClaims().text(), edKey(8).sign), "bad-signature"},
		{"no kid", header(head.with("kid", nil)), "unknown-kid"},
		{"kid path traversal", header(head.with("kid", "../../../../dev/null")), "unknown-kid"},
		{"kid as SQL", header(head.with("kid", "x' UNION SELECT 'a")), "unknown-kid"},
		{"kid not a string", header(head.with("kid", 1)), "bad-json"},
		{"crit", header(head.with("crit", []string{"exp"})), "unknown-crit"},
		{"crit empty", header(head.with("crit", []string{})), "unknown-crit"},
		{"no typ", header(head.with("typ", nil)), "wrong-typ"},
		{"typ dpop+jwt", header(head.with("typ", "dpop+jwt")), "wrong-typ"},
		{"typ of a lease", header(head.with("typ", LeaseType)), "wrong-typ"},
		{"typ in another case", header(head.with("typ", "jwt")), "wrong-typ"},
		{"typ written in another case", header(head.with("typ", nil).with("TYP", "JWT")), "wrong-typ"},

		{"expired", claims(goodClaims().with("exp", noon.Unix()-6)), "expired"},
		{"no exp", claims(goodClaims().with("exp", nil)), "missing-claim"},
		{"exp null", claims(goodClaims().with("exp", jsontext.Value("null"))), "bad-claims"},
		{"exp as text", claims(goodClaims().with("exp", "2999")), "bad-claims"},
		{"exp beyond all clocks", claims(goodClaims().with("exp", 1e300)), "bad-claims"},
		{"nbf in the future", claims(goodClaims().with("nbf", noon.Unix()+6)), "not-yet-valid"},
		{"iat in the future", claims(goodClaims().with("iat", noon.Unix()+60)), "issued-in-future"},
		{"wrong aud", claims(goodClaims().with("aud", "other")), "wrong-audience"},
		{"aud as a prefix", claims(goodClaims().with("aud", testAudience+":x")), "wrong-audience"},
		{"no aud", claims(goodClaims().with("aud", nil)), "missing-claim"},
		{"no audiences", claims(goodClaims().with("aud", []string{})), "missing-claim"},
		{"aud a number", claims(goodClaims().with("aud", 7)), "bad-claims"},
		{"wrong iss", claims(goodClaims().with("iss", "https://evil.example")), "unknown-issuer"},
		{"iss with a slash more", claims(goodClaims().with("iss", testIssuer+"/")), "unknown-issuer"},
		{"no iss", claims(goodClaims().with("iss", nil)), "unknown-issuer"},
		{"no sub", claims(goodClaims().with("sub", nil)), "bad-subject"},
		{"sub with a line break", claims(goodClaims().with("sub", "a\nb")), "bad-subject"},
		{"no tenant", claims(goodClaims().with("tenant", nil)), "bad-tenant"},
		{"tenant as a path", claims(goodClaims().with("tenant", "../other")), "bad-tenant"},
		{"roles an object", claims(goodClaims().with("roles", object{"nurse": true})), "bad-roles"},
		{"HPR number with letters", claims(goodClaims().with("hpr_number", "12a")), "bad-hpr"},
		{"confirmation we cannot check", claims(goodClaims().with("cnf", object{"x5t#S256": "AA"})), "bad-claims"},
		{"two confirmations, one of which we cannot check", claims(goodClaims().with("cnf", object{"jkt": "x", "x5t#S256": "AA"})), "bad-claims"},
		{"confirmation empty", claims(goodClaims().with("cnf", object{})), "bad-claims"},
		{"confirmation null", raw(strings.Replace(goodClaims().text(), "{", `{"cnf":null,`, 1)), "bad-claims"},

		{"duplicate claim", raw(strings.Replace(goodClaims().text(), "{", `{"tenant":"other",`, 1)), "bad-json"},
		{"duplicate claim deep inside", raw(strings.Replace(goodClaims().text(), "{", `{"x":[{"a":1,"a":2}],`, 1)), "bad-json"},
		{"duplicate header member", compose(strings.Replace(head.text(), "{", `{"alg":"none",`, 1), goodClaims().text(), signRSA), "bad-json"},
		{"invalid UTF-8", raw(strings.Replace(goodClaims().text(), "Kari", "Kari\xff", 1)), "bad-json"},
		{"two values", raw(goodClaims().text() + "{}"), "bad-json"},
		{"claims null", raw("null"), "bad-json"},
		{"changed payload", func() string {
			p := strings.Split(good, ".")
			return p[0] + "." + strictB64.EncodeToString([]byte(goodClaims().with("roles", []string{"admin"}).text())) + "." + p[2]
		}(), "bad-signature"},
		{"no signature", good[:strings.LastIndex(good, ".")+1], "bad-base64"},
		{"padded", good + "=", "bad-base64"},
		{"line break in the payload", strings.Replace(good, ".", ".\n", 1), "bad-base64"},
		{"standard base64", good[:len(good)-4] + "+/+A", "bad-base64"},
		{"four parts", good + ".x", "not-a-jws"},
		{"huge", good + strings.Repeat("A", maxToken), "too-large"},
		{"JSON serialisation", `{"payload":"","signatures":[]}`, "not-a-jws"},
		{"empty", "", "not-a-jws"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := v.Verify(background, tc.token, noon)
			if tc.reason == "" {
				refused(t, err, nil, "")
			} else {
				refused(t, err, ErrInvalidToken, tc.reason)
			}
		})
	}
}

func TestPrincipal(t *testing.T) {
	ed := edPrivate(7)
	v, err := NewVerifier([]IssuerConfig{{
		Issuer: testIssuer, Audience: testAudience, Algorithms: []string{"EdDSA"},
		JWKS:       jwks(jose.JSONWebKey{Key: ed.Public(), KeyID: "ed"}),
		RolesClaim: "groups", TenantClaim: "helseid://claims/client/claims/orgnr_parent", HPRClaim: "helseid://claims/hpr/hpr_number",
		Require: map[string]string{"helseid://claims/identity/security_level": "4", "scope": "flette"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	claims := goodClaims().with("tenant", nil).with("groups", "supervisor nurse").
		with("helseid://claims/client/claims/orgnr_parent", "999000999").with("helseid://claims/hpr/hpr_number", "7654321").
		with("helseid://claims/identity/security_level", "4").with("scope", "openid flette")
	verify := func(c object) (Principal, error) {
		return v.Verify(background, compose(`{"alg":"EdDSA","typ":"at+jwt","kid":"ed"}`, c.text(), edKey(7).sign), noon)
	}
	got, err := verify(claims.with("cnf", object{"jkt": "thumb"}))
	want := Principal{Issuer: testIssuer, Subject: "nurse-1", Tenant: "999000999", Roles: model.Roles(model.RoleNurse | model.RoleSupervisor),
		Name: "Kari Prøvesen", HPR: "7654321", AuthTime: noon.Add(-5 * time.Second), Expires: noon.Add(10 * time.Minute), CnfJKT: "thumb"}
	if err != nil || got != want {
		t.Errorf("%+v, error %v, want %+v", got, err, want)
	}
	if s := fmt.Sprintf("%v %+v %s", got, got, slog.AnyValue(got.Name).Resolve()); strings.Contains(s, "Kari") {
		t.Errorf("the name is printed: %s", s)
	}
	_, err = verify(claims.with("helseid://claims/identity/security_level", "3"))
	refused(t, err, ErrInvalidToken, "missing-required-claim")
	_, err = verify(claims.with("scope", "openid flette2"))
	refused(t, err, ErrInvalidToken, "missing-required-claim")
	_, err = verify(claims.with("scope", nil))
	refused(t, err, ErrInvalidToken, "missing-required-claim")
}

func TestIssuerConfig(t *testing.T) {
	set := jwks(jose.JSONWebKey{Key: edPrivate(7).Public(), KeyID: "ed"})
	good := IssuerConfig{Issuer: "i", Audience: "a", Algorithms: []string{"EdDSA"}, JWKS: set}
	for name, change := range map[string]func(*IssuerConfig){
		"no issuer":           func(c *IssuerConfig) { c.Issuer = "" },
		"no audience":         func(c *IssuerConfig) { c.Audience = "" },
		"no algorithm":        func(c *IssuerConfig) { c.Algorithms = nil },
		"HS256":               func(c *IssuerConfig) { c.Algorithms = []string{"EdDSA", "HS256"} },
		"none":                func(c *IssuerConfig) { c.Algorithms = []string{"none"} },
		"long leeway":         func(c *IssuerConfig) { c.Leeway = 11 * time.Second },
		"negative leeway":     func(c *IssuerConfig) { c.Leeway = -1 },
		"no keys":             func(c *IssuerConfig) { c.JWKS = nil },
		"both kinds of keys":  func(c *IssuerConfig) { c.JWKSURL = "https://i/jwks" },
		"plain http":          func(c *IssuerConfig) { c.JWKS, c.JWKSURL = nil, "http://keys.example/jwks" },
		"metadata service":    func(c *IssuerConfig) { c.JWKS, c.JWKSURL = nil, "http://169.254.169.254/" },
		"file":                func(c *IssuerConfig) { c.JWKS, c.JWKSURL = nil, "file:///etc/passwd" },
		"key set is not JSON": func(c *IssuerConfig) { c.JWKS = []byte("keys") },
	} {
		c := good
		change(&c)
		if _, err := NewVerifier([]IssuerConfig{c}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewVerifier([]IssuerConfig{good}); err != nil {
		t.Error(err)
	}
	if _, err := NewVerifier([]IssuerConfig{good, good}); err == nil {
		t.Error("the same issuer was accepted twice")
	}
}

// TestReplace adds a tenant's issuer to a verifier in use; the issuer that stays keeps the
// keys it has fetched, so that it works on while its address is down.
func TestReplace(t *testing.T) {
	f := newFakeIssuer(t)
	f.publish(1)
	v := f.verifier(t)
	if _, err := v.Verify(background, tokenAt(1, noon), noon); err != nil {
		t.Fatal(err)
	}
	settle(v)
	f.breakDown()
	fetched := IssuerConfig{Issuer: testIssuer, Audience: testAudience, Algorithms: []string{"EdDSA"}, JWKSURL: f.URL + "/jwks"}
	own, err := OwnIssuer("flette/skogvik", testAudience, map[string]ed25519.PublicKey{"own": edPrivate(9).Public().(ed25519.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := Issue("own", edPrivate(9), AccessClaims{Issuer: own.Issuer, Audience: testAudience, Subject: "nurse-1", Tenant: "skogvik", Roles: model.Roles(model.RoleNurse),
		IssuedAt: noon, ExpiresAt: noon.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(background, token, noon)
	refused(t, err, ErrInvalidToken, "unknown-issuer")
	if err := v.Replace([]IssuerConfig{fetched, own}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{token, tokenAt(1, noon)} {
		if _, err := v.Verify(background, text, noon); err != nil {
			t.Errorf("after the change: %v (%s)", err, Reason(err))
		}
	}
	if err := v.Replace([]IssuerConfig{own, own}); err == nil {
		t.Error("the same issuer was accepted twice")
	}
	if _, err := v.Verify(background, tokenAt(1, noon), noon); err != nil || len(v.Status()) != 2 {
		t.Errorf("a refused change did not leave the old one in force: %v", err)
	}
	if err := v.Replace([]IssuerConfig{own}); err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(background, tokenAt(1, noon), noon)
	refused(t, err, ErrInvalidToken, "unknown-issuer")
}

func TestKeySetLeavesOutUnusableKeys(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak := newRSA(t, 1024)
	strongKey := newRSA(t, 2048)
	ed := edPrivate(1)
	oneExponent := strongKey.PublicKey
	oneExponent.E = 3
	set := jwks(
		jose.JSONWebKey{Key: &strongKey.PublicKey, KeyID: "rsa", Use: "sig"},
		jose.JSONWebKey{Key: ed.Public(), KeyID: "ed"},
		jose.JSONWebKey{Key: &weak.PublicKey, KeyID: "rsa-1024"},
		jose.JSONWebKey{Key: &oneExponent, KeyID: "rsa-e3"},
		jose.JSONWebKey{Key: &p521.PublicKey, KeyID: "p521"},
		jose.JSONWebKey{Key: []byte("a secret of thirty-two characters"), KeyID: "oct"},
		jose.JSONWebKey{Key: ed, KeyID: "private"},
		jose.JSONWebKey{Key: ed.Public(), KeyID: "enc", Use: "enc"},
		jose.JSONWebKey{Key: ed.Public()},
		jose.JSONWebKey{Key: ed.Public(), KeyID: "twice"},
		jose.JSONWebKey{Key: edPrivate(2).Public(), KeyID: "twice"},
	)
	keys, err := parseJWKS(set)
	if err != nil || len(keys) != 2 || keys["rsa"].key == nil || keys["ed"].key == nil {
		t.Errorf("%v, error %v, want rsa and ed", keys, err)
	}
	if strong(&p224.PublicKey) || strong([]byte("secret")) || strong(nil) {
		t.Error("a weak key counts as strong")
	}
	for _, body := range []string{"", "[]", `{"keys":{}}`, `{"keys":[]}`, `{"keys":[1,null,{}]}`, `{"keys":[],"keys":[]}`} {
		if _, err := parseJWKS([]byte(body)); err == nil {
			t.Errorf("%s: accepted", body)
		}
	}
}

// The jwt package would verify ES256 on any curve; A1 says it must not.
func TestAlgorithmsArePinnedToKeys(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey := &rsa.PublicKey{}
	keys := map[string]any{"rsa": rsaKey, "p256": &p256.PublicKey, "p384": &p384.PublicKey, "ed": edPrivate(1).Public(), "secret": []byte("x")}
	allowed := map[string]string{"ES256": "p256", "ES384": "p384", "EdDSA": "ed"}
	for _, alg := range append([]string{"none", "HS256", "HS512", "ES512"}, asymmetric...) {
		for name, k := range keys {
			want := allowed[alg] == name || (name == "rsa" && (alg[:2] == "RS" || alg[:2] == "PS"))
			if fits(alg, k) != want {
				t.Errorf("%s with %s: %v, want %v", alg, name, !want, want)
			}
		}
	}
}

func TestOwnIssuer(t *testing.T) {
	priv := edPrivate(3)
	config, err := OwnIssuer("flette", testAudience, map[string]ed25519.PublicKey{"k1": priv.Public().(ed25519.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier([]IssuerConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	c := AccessClaims{Issuer: "flette", Audience: testAudience, Subject: "admin-1", Tenant: "solvik", Roles: model.Roles(model.RoleAdmin),
		Name: "Ola Nødmann", HPR: "12345", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour), JKT: "thumb"}
	token, err := Issue("k1", priv, c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Verify(background, token, noon.Add(time.Minute))
	want := Principal{Issuer: "flette", Subject: "admin-1", Tenant: "solvik", Roles: c.Roles, Name: c.Name, HPR: "12345",
		AuthTime: noon, Expires: noon.Add(time.Hour), CnfJKT: "thumb"}
	if err != nil || got != want {
		t.Errorf("%+v, error %v, want %+v", got, err, want)
	}
	_, err = v.Verify(background, token, noon.Add(time.Hour))
	refused(t, err, ErrInvalidToken, "expired")
	_, err = v.Verify(background, token, noon.Add(-time.Second))
	refused(t, err, ErrInvalidToken, "not-yet-valid")
	foreign, err := Issue("k1", edPrivate(4), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(background, foreign, noon)
	refused(t, err, ErrInvalidToken, "bad-signature")
	for name, change := range map[string]func(*AccessClaims){
		"no subject":      func(c *AccessClaims) { c.Subject = "" },
		"tenant a path":   func(c *AccessClaims) { c.Tenant = "../x" },
		"no audience":     func(c *AccessClaims) { c.Audience = "" },
		"expired already": func(c *AccessClaims) { c.ExpiresAt = c.IssuedAt },
		"HPR not digits":  func(c *AccessClaims) { c.HPR = "x" },
	} {
		bad := c
		change(&bad)
		if _, err := Issue("k1", priv, bad); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := Issue("", priv, c); err == nil {
		t.Error("no kid: issued")
	}
}

func TestChallenge(t *testing.T) {
	for err, want := range map[error]string{
		ErrNoCredentials:    `DPoP algs="ES256 EdDSA"`,
		badToken("expired"): `DPoP algs="ES256 EdDSA", error="invalid_token"`,
		badProof("bad-jti"): `DPoP algs="ES256 EdDSA", error="invalid_dpop_proof"`,
		ErrUseNonce:         `DPoP algs="ES256 EdDSA", error="use_dpop_nonce"`,
		ErrUnavailable:      "",
		errors.New("other"): "",
	} {
		if got := Challenge(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if Reason(errors.New("other")) != "" || Reason(nil) != "" {
		t.Error("a reason was given for a foreign error")
	}
}

func FuzzAccessToken(f *testing.F) {
	v, err := NewVerifier([]IssuerConfig{{Issuer: testIssuer, Audience: testAudience, Algorithms: []string{"EdDSA"},
		JWKS: jwks(jose.JSONWebKey{Key: edPrivate(7).Public(), KeyID: "ed"})}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"alg":"EdDSA","typ":"at+jwt","kid":"ed"}`, goodClaims().text())
	f.Add(`{"alg":"EdDSA","typ":"JWT","kid":"ed"}`, goodClaims().with("cnf", object{"jkt": "x"}).with("roles", "nurse").text())
	f.Fuzz(func(t *testing.T, head, payload string) {
		p, err := v.Verify(background, compose(head, payload, edKey(7).sign), noon)
		if err != nil {
			if Reason(err) == "" {
				t.Fatalf("no reason for %v", err)
			}
			return
		}
		if p.Issuer != testIssuer || p.Subject == "" || p.Tenant == "" || !p.Expires.After(noon) {
			t.Fatalf("incomplete principal %+v", p)
		}
	})
}
