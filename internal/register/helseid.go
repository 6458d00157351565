package register

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// HelseID says how a token is got.
type HelseID struct {
	TokenURL string
	ClientID string
	Key      jose.JSONWebKey // private; proves the client and binds the token
	Scope    string          // "" leaves it to the client's registration
	Parent   string          // organisation number of the municipality, for a supplier's client
}

// Times of assertions and tokens.
const (
	assertionLife = time.Minute
	tokenMargin   = 30 * time.Second // a token that ends sooner is not used any more
)

type signer struct {
	key jose.JSONWebKey
	alg jose.SignatureAlgorithm
}

// newSigner takes RSA of 2048 bits or more and the curve P-256 or P-384. An alg in the key counts.
func newSigner(key jose.JSONWebKey) (signer, error) {
	s := signer{key: key}
	if key.Valid() {
		switch k := key.Key.(type) {
		case *rsa.PrivateKey:
			if k.N.BitLen() >= 2048 {
				s.alg = jose.RS256
			}
		case *ecdsa.PrivateKey:
			s.alg = map[int]jose.SignatureAlgorithm{256: jose.ES256, 384: jose.ES384}[k.Curve.Params().BitSize]
		}
	}
	if s.alg == "" {
		return s, errors.New("helseid key must be a private RSA key of at least 2048 bits, or EC P-256 or P-384")
	}
	if key.Algorithm != "" {
		s.alg = jose.SignatureAlgorithm(key.Algorithm)
	}
	_, err := s.sign("JWT", false, map[string]any{})
	return s, err
}

// sign makes a JWT. embed puts the public key into the header, as a DPoP proof has it.
func (s signer) sign(typ jose.ContentType, embed bool, claims map[string]any) (string, error) {
	opt := (&jose.SignerOptions{EmbedJWK: embed}).WithType(typ)
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, opt)
	if err != nil {
		return "", errors.New("the helseid key does not fit its alg")
	}
	body, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	signed, err := js.Sign(body)
	if err != nil {
		return "", errors.New("the helseid key does not sign")
	}
	return signed.CompactSerialize()
}

// proof makes a DPoP proof (RFC 9449) with further claims in it.
func (c *Client) proof(method, to, token string, extra map[string]any) (string, error) {
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	claims := map[string]any{"jti": c.c.NewID(), "htm": method, "htu": to, "iat": c.c.Now().Unix()}
	if n := c.nonces[u.Host]; n != "" {
		claims["nonce"] = n
	}
	if token != "" {
		claims["ath"] = digest([]byte(token))
	}
	for k, v := range extra {
		claims[k] = v
	}
	return c.signer.sign("dpop+jwt", true, claims)
}

// digest is base64url of SHA-256.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// freshToken makes sure that there is a token with some life left. HelseID answers the first
// proof with a nonce, and the second that holds it with a token.
func (c *Client) freshToken(ctx context.Context) error {
	if c.token != "" && c.c.Now().Add(tokenMargin).Before(c.expires) {
		return nil
	}
	for range 2 {
		a, err := c.askToken(ctx)
		if err != nil {
			return err
		}
		var t struct {
			AccessToken string `json:"access_token"`
			TokenType   string `json:"token_type"`
			ExpiresIn   int64  `json:"expires_in"`
			Error       string `json:"error"`
		}
		readable := json.Unmarshal(a.body, &t) == nil
		switch {
		case readable && t.Error == "use_dpop_nonce" && a.header.Get("DPoP-Nonce") != "":
			continue
		case !readable || a.status != http.StatusOK || t.AccessToken == "":
			return fmt.Errorf("HelseID gave no token: status %d, %s", a.status, explainToken(short(t.Error)))
		case !strings.EqualFold(t.TokenType, "DPoP"):
			return errors.New("HelseID gave a token that is not bound to our key; ask for DPoP in the client's registration")
		}
		c.token, c.expires = t.AccessToken, c.c.Now().Add(time.Duration(min(t.ExpiresIn, 86400))*time.Second)
		return nil
	}
	return errors.New("HelseID kept asking for a new nonce")
}

func (c *Client) askToken(ctx context.Context) (answer, error) {
	h := c.c.HelseID
	to, err := url.Parse(h.TokenURL)
	if err != nil {
		return answer{}, err
	}
	now := c.c.Now()
	claims := map[string]any{
		"iss": h.ClientID, "sub": h.ClientID, "aud": to.Scheme + "://" + to.Host, "jti": c.c.NewID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	}
	if h.Parent != "" {
		claims["assertion_details"] = []any{map[string]any{
			"type": "helseid_authorization",
			"practitioner_role": map[string]any{"organization": map[string]any{"identifier": map[string]any{
				"system": "urn:oid:1.0.6523", "type": "ENH", "value": "NO:ORGNR:" + h.Parent,
			}}},
		}}
	}
	assertion, err := c.signer.sign("client-authentication+jwt", false, claims)
	if err != nil {
		return answer{}, err
	}
	proof, err := c.proof(http.MethodPost, h.TokenURL, "", nil)
	if err != nil {
		return answer{}, err
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {h.ClientID}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	if h.Scope != "" {
		form.Set("scope", h.Scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("DPoP", proof)
	return c.do(req)
}

// explainToken says what to do about an error of the token endpoint (RFC 6749, 5.2).
func explainToken(code string) string {
	switch code {
	case "invalid_client":
		return "it does not know the client or its key; compare client_id and key with HelseID self-service"
	case "invalid_scope", "unauthorized_client":
		return "the client may not ask for this; the register's API has to be granted to it in HelseID self-service"
	case "invalid_dpop_proof":
		return "it did not take our proof; look at the clock of this machine"
	case "":
		return "without saying why"
	}
	return "it said " + code
}
