package auth

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"flette/model"
)

func newGuard(t *testing.T) *Guard {
	t.Helper()
	config, err := OwnIssuer("flette", testAudience, map[string]ed25519.PublicKey{"k1": edPrivate(3).Public().(ed25519.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	access, err := NewVerifier([]IssuerConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	return &Guard{Access: access, Leases: newLeases(leaseKeys()), Proofs: newProofs(t)}
}

func userToken(t *testing.T, jkt string) string {
	t.Helper()
	token, err := Issue("k1", edPrivate(3), AccessClaims{Issuer: "flette", Audience: testAudience, Subject: "nurse-1", Tenant: "solvik",
		Roles: model.Roles(model.RoleNurse), IssuedAt: noon, ExpiresAt: noon.Add(time.Hour), JKT: jkt})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestGuardUser(t *testing.T) {
	dev, other := edKey(1), ecKey(t)
	free, bound := userToken(t, ""), userToken(t, dev.pub.Thumbprint())
	lease := mustLease(t, goodLease())
	with := func(k key, token string) string { return k.proof(goodProof().with("ath", tokenHash(token))) }
	for _, tc := range []struct {
		name   string
		auth   []string
		dpop   []string
		want   error
		reason string
		proved string // thumbprint
	}{
		{"Bearer", []string{"Bearer " + free}, nil, nil, "", ""},
		{"Bearer in another case", []string{"bearer " + free}, nil, nil, "", ""},
		{"Bearer with a device's proof", []string{"Bearer " + free}, []string{with(other, free)}, nil, "", other.pub.Thumbprint()},
		{"DPoP", []string{"DPoP " + bound}, []string{with(dev, bound)}, nil, "", dev.pub.Thumbprint()},
		{"bound token under Bearer", []string{"Bearer " + bound}, nil, ErrInvalidToken, "wrong-scheme", ""},
		{"bound token under Bearer with its proof", []string{"Bearer " + bound}, []string{with(dev, bound)}, ErrInvalidToken, "wrong-scheme", ""},
		{"free token under DPoP", []string{"DPoP " + free}, []string{with(dev, free)}, ErrInvalidToken, "wrong-scheme", ""},
		{"bound token, no proof", []string{"DPoP " + bound}, nil, ErrInvalidProof, "not-one-proof", ""},
		{"two proofs", []string{"DPoP " + bound}, []string{with(dev, bound), with(dev, bound)}, ErrInvalidProof, "not-one-proof", ""},
		{"proof by another key", []string{"DPoP " + bound}, []string{with(other, bound)}, ErrInvalidProof, "wrong-key", ""},
		{"proof for another token", []string{"DPoP " + bound}, []string{with(dev, free)}, ErrInvalidProof, "wrong-ath", ""},
		{"Bearer with a bad proof", []string{"Bearer " + free}, []string{"a.b.c"}, ErrInvalidProof, "bad-base64", ""},
		{"a lease as access token", []string{"Bearer " + lease}, nil, ErrInvalidToken, "wrong-typ", ""},
		{"a proof as access token", []string{"Bearer " + with(dev, free)}, nil, ErrInvalidToken, "wrong-typ", ""},
		{"nothing", nil, nil, ErrNoCredentials, "no-authorization", ""},
		{"empty", []string{""}, nil, ErrNoCredentials, "no-authorization", ""},
		{"two lines", []string{"Bearer " + free, "Bearer " + free}, nil, ErrInvalidToken, "several-authorizations", ""},
		{"two in one line", []string{"Bearer " + free + ", Bearer " + free}, nil, ErrInvalidToken, "not-a-jws", ""},
		{"two spaces", []string{"Bearer  " + free}, nil, ErrInvalidToken, "not-a-jws", ""},
		{"no token", []string{"Bearer"}, nil, ErrInvalidToken, "not-a-jws", ""},
		{"Basic", []string{"Basic dXNlcjpwYXNz"}, nil, ErrInvalidToken, "unknown-scheme", ""},
		{"token alone", []string{free}, nil, ErrInvalidToken, "unknown-scheme", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, proof, err := newGuard(t).User(background, Request{tc.auth, tc.dpop, "POST", pushURL}, noon)
			if tc.want != nil {
				refused(t, err, tc.want, tc.reason)
				if p != (Principal{}) || proof != nil {
					t.Errorf("a refused request gave %+v and %+v", p, proof)
				}
				return
			}
			if err != nil || p.Subject != "nurse-1" || (proof != nil) != (tc.proved != "") || (proof != nil && proof.JKT != tc.proved) {
				t.Errorf("%+v, proof %+v, error %v (%s)", p, proof, err, Reason(err))
			}
		})
	}
}

func TestGuardDevice(t *testing.T) {
	dev, other := edKey(1), edKey(2)
	lease := mustLease(t, goodLease())
	free := userToken(t, "")
	with := func(k key, now time.Time) []string {
		return []string{k.proof(goodProof().with("ath", tokenHash(lease)).with("iat", now.Unix()))}
	}
	late := noon.Add(30 * 24 * time.Hour)
	for _, tc := range []struct {
		name    string
		auth    string
		dpop    []string
		now     time.Time
		expired bool
		want    error
		reason  string
	}{
		{"right", "DPoP " + lease, with(dev, noon), noon, false, nil, ""},
		{"expired", "DPoP " + lease, with(dev, late), late, true, nil, ""},
		{"expired still needs its key", "DPoP " + lease, with(other, late), late, false, ErrInvalidProof, "wrong-key"},
		{"stolen lease", "DPoP " + lease, with(other, noon), noon, false, ErrInvalidProof, "wrong-key"},
		{"stolen lease, no proof", "DPoP " + lease, nil, noon, false, ErrInvalidProof, "not-one-proof"},
		{"Bearer", "Bearer " + lease, with(dev, noon), noon, false, ErrInvalidToken, "wrong-scheme"},
		{"access token as lease", "DPoP " + free, with(dev, noon), noon, false, ErrInvalidToken, "not-a-lease"},
		{"wrong clock", "DPoP " + lease, with(dev, noon.Add(3*time.Hour)), noon, false, ErrUseNonce, "clock-off"},
		{"nothing", "", with(dev, noon), noon, false, ErrNoCredentials, "no-authorization"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, expired, proof, err := newGuard(t).Device(Request{[]string{tc.auth}, tc.dpop, "POST", pushURL}, tc.now)
			if tc.want != nil {
				refused(t, err, tc.want, tc.reason)
				if c != (LeaseClaims{}) || !proof.Key.IsZero() {
					t.Errorf("a refused request gave %+v and %+v", c, proof)
				}
				return
			}
			if err != nil || c != goodLease() || expired != tc.expired || proof.JKT != dev.pub.Thumbprint() {
				t.Errorf("%+v, expired %v, proof %+v, error %v (%s)", c, expired, proof, err, Reason(err))
			}
		})
	}
}

func TestGuardPossession(t *testing.T) {
	g := newGuard(t)
	k := ecKey(t)
	claims := goodProof().with("htu", "https://flette.example/v1/devices").with("ath", nil)
	r := Request{DPoP: []string{k.proof(claims)}, Method: "POST", URL: "https://flette.example/v1/devices"}
	p, err := g.Possession(r, noon)
	if err != nil || !p.Key.Equal(k.pub) {
		t.Errorf("%+v, error %v", p, err)
	}
	_, err = g.Possession(r, noon)
	refused(t, err, ErrInvalidProof, "replayed")
	_, err = g.Possession(Request{Method: "POST", URL: r.URL}, noon)
	refused(t, err, ErrInvalidProof, "not-one-proof")
}

// A7: no error text holds anything that the client sent.
func TestErrorsHoldNoInput(t *testing.T) {
	g := newGuard(t)
	marker := "MARKER"
	mark := object{"alg": marker, "typ": marker, "kid": marker}.text()
	for _, token := range []string{marker, compose(mark, mark, edKey(1).sign), strings.Repeat(marker, 3000)} {
		for _, scheme := range []string{"Bearer ", "DPoP ", marker + " "} {
			r := Request{[]string{scheme + token}, []string{token}, "POST", pushURL}
			_, _, errUser := g.User(background, r, noon)
			_, _, _, errDevice := g.Device(r, noon)
			_, errProof := g.Possession(r, noon)
			for _, err := range []error{errUser, errDevice, errProof} {
				if err == nil || strings.Contains(err.Error()+Reason(err)+Challenge(err), marker) {
					t.Errorf("%s: %v (%s)", scheme, err, Reason(err))
				}
			}
		}
	}
}
