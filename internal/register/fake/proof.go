package fake

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384}

type claims struct {
	JTI, HTM, HTU, ATH, Nonce string
	IAT                       int64
	Type                      string `json:"msg_type"`
	Version                   string `json:"msg_version"`
	Hash                      string `json:"msg_hash"`
	Key                       string `json:"enc_sym_key"`
	KeyID                     string `json:"enc_key_id"`
}

// proof judges a DPoP proof and returns the thumbprint of its key, or what is wrong.
func (r *Register) proof(req *http.Request, at string) (claims, string, string) {
	var c claims
	all := req.Header.Values("DPoP")
	if len(all) != 1 {
		return c, "", "not one DPoP header"
	}
	sig, err := jose.ParseSignedCompact(all[0], algorithms)
	if err != nil {
		return c, "", "the proof cannot be read"
	}
	h := sig.Signatures[0].Protected
	if h.ExtraHeaders[jose.HeaderType] != "dpop+jwt" || h.JSONWebKey == nil || !h.JSONWebKey.IsPublic() {
		return c, "", "typ or jwk of the proof"
	}
	body, err := sig.Verify(h.JSONWebKey)
	if err != nil {
		return c, "", "the signature of the proof"
	}
	if err := json.Unmarshal(body, &c, json.MatchCaseInsensitiveNames(true)); err != nil {
		return c, "", "the claims of the proof"
	}
	thumb, err := h.JSONWebKey.Thumbprint(crypto.SHA256)
	if err != nil {
		return c, "", "the key of the proof"
	}
	jkt := base64.RawURLEncoding.EncodeToString(thumb)
	age := r.Now().Sub(time.Unix(c.IAT, 0))
	switch {
	case c.HTM != req.Method:
		return c, "", "htm"
	case c.HTU != at:
		return c, "", "htu " + c.HTU + " is not " + at
	case age > time.Minute || age < -time.Minute:
		return c, "", "iat"
	case c.JTI == "" || r.used[jkt+c.JTI]:
		return c, "", "jti was used"
	}
	r.used[jkt+c.JTI] = true
	return c, jkt, ""
}

func (r *Register) authorize(req *http.Request) (claims, *refusal) {
	raw, ok := strings.CutPrefix(req.Header.Get("Authorization"), "DPoP ")
	t, known := r.tokens[raw]
	if !ok || !known || !r.Now().Before(t.expires) {
		return claims{}, &refusal{http.StatusUnauthorized, 0, "the token is not known or has ended"}
	}
	c, jkt, wrong := r.proof(req, r.URL+req.URL.Path)
	sum := sha256.Sum256([]byte(raw))
	switch {
	case wrong != "":
		return c, &refusal{http.StatusUnauthorized, 0, wrong}
	case jkt != t.jkt:
		return c, &refusal{http.StatusUnauthorized, 0, "the token is bound to another key"}
	case c.ATH != base64.RawURLEncoding.EncodeToString(sum[:]):
		return c, &refusal{http.StatusUnauthorized, 0, "ath"}
	case c.Nonce != r.nonce && (c.Nonce != "" || r.ask):
		return c, &refusal{http.StatusUnauthorized, 0, "nonce"}
	}
	r.ask = false
	return c, nil
}

// giveToken is HelseID: the first proof of a client without nonce gets one, the next a token.
func (r *Register) giveToken(w http.ResponseWriter, req *http.Request, body string) {
	no := func(code, why string) {
		r.faults = append(r.faults, "token: "+why)
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": code})
	}
	c, jkt, wrong := r.proof(req, r.URL+"/connect/token")
	if wrong != "" {
		no("invalid_dpop_proof", wrong)
		return
	}
	if c.Nonce != r.nonce {
		w.Header().Set("DPoP-Nonce", r.nonce)
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "use_dpop_nonce"})
		return
	}
	form, err := url.ParseQuery(body)
	if err != nil || form.Get("grant_type") != "client_credentials" || form.Get("client_id") != r.ClientID {
		no("invalid_client", "the form")
		return
	}
	sig, err := jose.ParseSignedCompact(form.Get("client_assertion"), algorithms)
	if err != nil || sig.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != "client-authentication+jwt" {
		no("invalid_client", "the assertion's form")
		return
	}
	text, err := sig.Verify(r.Client)
	var a struct {
		Iss, Sub, Aud, JTI string
		Exp, Nbf           int64
		Details            []struct {
			Role struct {
				Organization struct {
					Identifier struct{ Value string }
				}
			} `json:"practitioner_role"`
		} `json:"assertion_details"`
	}
	if err != nil || json.Unmarshal(text, &a, json.MatchCaseInsensitiveNames(true)) != nil {
		no("invalid_client", "the assertion's signature")
		return
	}
	now := r.Now().Unix()
	if a.Iss != r.ClientID || a.Sub != r.ClientID || a.Aud != r.URL || a.Exp < now || a.Nbf > now || a.Exp-now > 60 || a.JTI == "" || r.used["assertion "+a.JTI] {
		no("invalid_client", "the assertion's claims")
		return
	}
	r.used["assertion "+a.JTI] = true
	t := token{jkt: jkt, expires: r.Now().Add(time.Hour)}
	if r.Life > 0 {
		t.expires = r.Now().Add(r.Life)
	}
	if len(a.Details) > 0 {
		t.parent = a.Details[0].Role.Organization.Identifier.Value
	}
	name := random()
	r.tokens[name] = t
	answerJSON(w, http.StatusOK, map[string]any{"access_token": name, "token_type": "DPoP", "expires_in": int(t.expires.Sub(r.Now()).Seconds())})
}

// Parents lists the organisations on whose behalf tokens were given.
func (r *Register) Parents() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, t := range r.tokens {
		if t.parent != "" && !slices.Contains(out, t.parent) {
			out = append(out, t.parent)
		}
	}
	return out
}
