package auth

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"flette/model"
)

var testDevice = model.DeviceID{0x01, 0x93, 0xe0, 0, 0, 0, 0x70, 0, 0x80, 15: 1}

func goodLease() LeaseClaims {
	return LeaseClaims{ID: "lease-1", Tenant: "solvik", Device: testDevice, Actor: "nurse-1", Roles: model.Roles(model.RoleNurse),
		IssuedAt: model.MillisOf(noon), ExpiresAt: model.MillisOf(noon.Add(12 * time.Hour)), JKT: edKey(1).pub.Thumbprint()}
}

// leaseKeys are two tenants' keys by kid, made from seeds 21 and 22.
func leaseKeys() map[string]LeaseKey {
	return map[string]LeaseKey{
		"s1": {"solvik", edPrivate(21).Public().(ed25519.PublicKey)},
		"f1": {"fjellby", edPrivate(22).Public().(ed25519.PublicKey)},
	}
}

func newLeases(keys map[string]LeaseKey) *LeaseVerifier {
	return NewLeaseVerifier(func(kid string) (LeaseKey, bool) { k, ok := keys[kid]; return k, ok })
}

func mustLease(t testing.TB, c LeaseClaims) string {
	t.Helper()
	token, err := IssueLease(edPrivate(21), "s1", c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestLeaseExpiryIsNoError(t *testing.T) {
	v := newLeases(leaseKeys())
	token := mustLease(t, goodLease())
	for _, tc := range []struct {
		after   time.Duration
		expired bool
	}{{0, false}, {12*time.Hour - time.Millisecond, false}, {12 * time.Hour, true}, {60 * 24 * time.Hour, true}, {-time.Hour, false}} {
		got, expired, err := v.ParseLease(token, noon.Add(tc.after))
		if err != nil || got != goodLease() || expired != tc.expired {
			t.Errorf("after %s: %+v, expired %v, error %v", tc.after, got, expired, err)
		}
	}
}

func TestWrongLeases(t *testing.T) {
	good := mustLease(t, goodLease())
	key := func(seed byte) func([]byte) []byte { return edKey(seed).sign }
	head := object{"alg": "EdDSA", "typ": LeaseType, "kid": "s1"}
	body := object{"iss": "flette", "tenant": "solvik", "sub": testDevice.String(), "actor": "nurse-1", "roles": []string{"nurse"},
		"jti": "lease-1", "iat": noon.Unix(), "exp": noon.Unix() + 60, "cnf": object{"jkt": "thumb"}}
	sign := func(h, b object) string { return compose(h.text(), b.text(), key(21)) }
	parts := strings.Split(good, ".")
	for _, tc := range []struct{ name, token, reason string }{
		{"right", sign(head, body), ""},
		{"right, a claim of a later version", sign(head, body.with("later", 1)), ""},
		{"alg none", compose(head.with("alg", "none").text(), body.text(), func([]byte) []byte { return nil }), "not-a-lease"},
		{"HS256", sign(head.with("alg", "HS256"), body), "not-a-lease"},
		{"typ of an access token", sign(head.with("typ", "at+jwt"), body), "not-a-lease"},
		{"crit", sign(head.with("crit", []string{"exp"}), body), "not-a-lease"},
		{"no kid", sign(head.with("kid", nil), body), "unknown-kid"},
		{"kid path traversal", sign(head.with("kid", "../s1"), body), "unknown-kid"},
		{"another server key", compose(head.text(), body.text(), key(22)), "bad-signature"},
		{"a device's key", compose(head.text(), body.text(), key(1)), "bad-signature"},
		{"another tenant's key", compose(head.with("kid", "f1").text(), body.text(), key(22)), "wrong-tenant"},
		{"another tenant", sign(head, body.with("tenant", "fjellby")), "wrong-tenant"},
		{"tenant as a path", sign(head, body.with("tenant", "../x")), "bad-tenant"},
		{"another issuer", sign(head, body.with("iss", "other")), "bad-tenant"},
		{"no device", sign(head, body.with("sub", nil)), "missing-claim"},
		{"device in capitals", sign(head, body.with("sub", strings.ToUpper(testDevice.String()))), "bad-json"},
		{"no actor", sign(head, body.with("actor", nil)), "bad-actor"},
		{"no id", sign(head, body.with("jti", nil)), "missing-claim"},
		{"not bound to a key", sign(head, body.with("cnf", nil)), "missing-claim"},
		{"no exp", sign(head, body.with("exp", nil)), "bad-times"},
		{"exp before iat", sign(head, body.with("exp", noon.Unix())), "bad-times"},
		{"exp beyond all clocks", sign(head, body.with("exp", int64(1)<<60)), "bad-times"},
		{"exp with a fraction", sign(head, body.with("exp", 1.5e9+0.5)), "bad-json"},
		{"duplicate claim", compose(head.text(), strings.Replace(body.text(), "{", `{"actor":"boss",`, 1), key(21)), "bad-json"},
		{"changed payload", parts[0] + "." + strictB64.EncodeToString([]byte(body.with("actor", "boss").text())) + "." + parts[2], "bad-signature"},
		{"cut signature", good[:len(good)-2], "bad-signature"},
		{"line break", parts[0] + "." + parts[1] + ".\n" + parts[2], "bad-signature"},
		{"huge", good + strings.Repeat("A", maxToken), "too-large"},
		{"an entry", "a.b.c.d", "not-a-jws"},
		{"empty", "", "not-a-jws"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := newLeases(leaseKeys()).ParseLease(tc.token, noon)
			if tc.reason == "" {
				refused(t, err, nil, "")
			} else {
				refused(t, err, ErrInvalidToken, tc.reason)
			}
		})
	}
}

// A remembered signature is worth nothing once its key is gone or another.
func TestRevokedLeaseKey(t *testing.T) {
	keys := leaseKeys()
	v := newLeases(keys)
	token := mustLease(t, goodLease())
	_, _, err := v.ParseLease(token, noon)
	refused(t, err, nil, "")
	mine := keys["s1"]
	delete(keys, "s1")
	_, _, err = v.ParseLease(token, noon)
	refused(t, err, ErrInvalidToken, "unknown-kid")
	keys["s1"] = LeaseKey{"solvik", keys["f1"].Public}
	_, _, err = v.ParseLease(token, noon)
	refused(t, err, ErrInvalidToken, "bad-signature")
	keys["s1"] = LeaseKey{"fjellby", mine.Public}
	_, _, err = v.ParseLease(token, noon)
	refused(t, err, ErrInvalidToken, "wrong-tenant")
	keys["s1"] = mine
	_, _, err = v.ParseLease(token, noon)
	refused(t, err, nil, "")
}

func TestIssueLeaseRefuses(t *testing.T) {
	for name, change := range map[string]func(*LeaseClaims){
		"no id":           func(c *LeaseClaims) { c.ID = "" },
		"no tenant":       func(c *LeaseClaims) { c.Tenant = "" },
		"no device":       func(c *LeaseClaims) { c.Device = model.DeviceID{} },
		"no actor":        func(c *LeaseClaims) { c.Actor = "" },
		"no key":          func(c *LeaseClaims) { c.JKT = "" },
		"expired already": func(c *LeaseClaims) { c.ExpiresAt = c.IssuedAt },
		"less than 1 s":   func(c *LeaseClaims) { c.ExpiresAt = c.IssuedAt + 999 },
		"huge id":         func(c *LeaseClaims) { c.ID = strings.Repeat("i", maxToken) },
	} {
		c := goodLease()
		change(&c)
		if _, err := IssueLease(edPrivate(21), "s1", c); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := IssueLease(nil, "s1", goodLease()); err == nil {
		t.Error("no key: issued")
	}
}

// What is issued reads back as it was, to the second, and no other lease.
func TestLeaseRoundTrip(t *testing.T) {
	v := newLeases(leaseKeys())
	rapid.Check(t, func(t *rapid.T) {
		c := goodLease()
		c.ID = rapid.StringMatching(`[ -~æøå]{1,80}`).Draw(t, "id")
		c.Actor = model.ActorID(rapid.StringMatching(`[!-~]{1,64}`).Draw(t, "actor"))
		c.Roles = model.Roles(rapid.IntRange(0, 15).Draw(t, "roles"))
		c.IssuedAt = model.Millis(rapid.Int64Range(0, 4e12).Draw(t, "iat"))
		c.ExpiresAt = c.IssuedAt + model.Millis(rapid.Int64Range(1000, 1e9).Draw(t, "life"))
		token, err := IssueLease(edPrivate(21), "s1", c)
		if err != nil {
			t.Fatal(err)
		}
		got, expired, err := v.ParseLease(token, noon)
		c.IssuedAt, c.ExpiresAt = c.IssuedAt/1000*1000, c.ExpiresAt/1000*1000
		if err != nil || got != c || expired != (model.MillisOf(noon) >= c.ExpiresAt) {
			t.Fatalf("%+v, expired %v, error %v, want %+v", got, expired, err, c)
		}
	})
}

func TestCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	c := newCache[int, int](10)
	c.put(0, 0)
	for i := 1; i < 1000; i++ {
		c.put(i, i)
		if v, ok := c.get(0); !ok || v != 0 {
			t.Fatalf("0 was forgotten after %d others although in use", i)
		}
		if n := len(c.young) + len(c.old); n > 20 {
			t.Fatalf("%d held, cap 20", n)
		}
	}
	if _, ok := c.get(1); ok {
		t.Error("1 was never used again and is still held")
	}
}

func FuzzLease(f *testing.F) {
	f.Add(mustLease(f, goodLease()))
	f.Add("a.b.c")
	v := newLeases(leaseKeys())
	f.Fuzz(func(t *testing.T, token string) {
		c, _, err := v.ParseLease(token, noon)
		if err != nil {
			if Reason(err) == "" {
				t.Fatalf("no reason for %v", err)
			}
			return
		}
		if again, err := IssueLease(edPrivate(21), "s1", c); err != nil || again != token {
			t.Fatalf("%q was accepted but not issued: %v", token, err)
		}
	})
}

func BenchmarkParseLease(b *testing.B) {
	token := mustLease(b, goodLease())
	b.Run("cached", func(b *testing.B) {
		v := newLeases(leaseKeys())
		for b.Loop() {
			if _, _, err := v.ParseLease(token, noon); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := newLeases(leaseKeys()).ParseLease(token, noon); err != nil {
				b.Fatal(err)
			}
		}
	})
}
