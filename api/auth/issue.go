package auth

import (
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"flette/model"
)

// AccessClaims is what the server's own issuer puts into a break-glass access token, for the
// day when no identity provider answers, or for a place that has none.
type AccessClaims struct {
	Issuer    string
	Audience  string
	Subject   model.ActorID
	Tenant    model.TenantID
	Roles     model.Roles
	Name      model.Private // optional
	HPR       string        // optional
	IssuedAt  time.Time     // whole seconds count
	ExpiresAt time.Time     // whole seconds count
	JKT       string        // optional: the key that must prove itself with the token
}

// Issue signs an access token with the server's own key. Verifier accepts it through the
// configuration that OwnIssuer makes.
func Issue(kid string, key ed25519.PrivateKey, c AccessClaims) (string, error) {
	if kid == "" || len(key) != ed25519.PrivateKeySize || c.Issuer == "" || c.Audience == "" {
		return "", errors.New("kid, key, issuer and audience are required")
	}
	if _, err := model.ParseActorID(string(c.Subject)); err != nil {
		return "", err
	}
	if _, err := model.ParseTenantID(string(c.Tenant)); err != nil {
		return "", err
	}
	if !isHPR(c.HPR) {
		return "", errors.New("HPR number must be up to nine digits")
	}
	if !c.ExpiresAt.After(c.IssuedAt) {
		return "", errors.New("token would be expired when issued")
	}
	claims := jwt.MapClaims{
		"iss": c.Issuer, "aud": c.Audience, "sub": string(c.Subject),
		"tenant": string(c.Tenant), "roles": append([]string{}, c.Roles.Names()...),
		"iat": c.IssuedAt.Unix(), "nbf": c.IssuedAt.Unix(), "auth_time": c.IssuedAt.Unix(), "exp": c.ExpiresAt.Unix(),
	}
	if c.Name != "" {
		claims["name"] = c.Name.Reveal()
	}
	if c.HPR != "" {
		claims["hpr_number"] = c.HPR
	}
	if c.JKT != "" {
		claims["cnf"] = map[string]string{"jkt": c.JKT}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["typ"], token.Header["kid"] = "at+jwt", kid
	return token.SignedString(key)
}

// OwnIssuer configures the acceptance of tokens made by Issue, by kid.
func OwnIssuer(issuer, audience string, keys map[string]ed25519.PublicKey) (IssuerConfig, error) {
	set := jose.JSONWebKeySet{}
	for kid, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: "EdDSA", Use: "sig"})
	}
	body, err := json.Marshal(set)
	return IssuerConfig{Issuer: issuer, Audience: audience, Algorithms: []string{"EdDSA"}, JWKS: body}, err
}
