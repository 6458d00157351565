package auth

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// accessClaims are the claims of an access token. They implement jwt.Claims, so that the jwt
// package judges them, but are read by us: its own reader takes duplicate members.
type accessClaims struct {
	iss, sub, name, jkt     string
	aud                     []string
	exp, nbf, iat, authTime *jwt.NumericDate
	all                     map[string]jsontext.Value
}

func parseClaims(segment string) (*accessClaims, string) {
	c := &accessClaims{}
	if reason := decodeJSON(segment, &c.all); reason != "" {
		return nil, reason
	}
	ok := true
	text := func(name string) string {
		s, good := c.text(name)
		ok = ok && good
		return s
	}
	date := func(name string) *jwt.NumericDate {
		raw, present := c.all[name]
		if !present {
			return nil
		}
		d, good := numericDate(raw)
		ok = ok && good
		return d
	}
	c.iss, c.sub, c.name = text("iss"), text("sub"), text("name")
	c.exp, c.nbf, c.iat, c.authTime = date("exp"), date("nbf"), date("iat"), date("auth_time")
	if raw, present := c.all["aud"]; present {
		var good bool
		c.aud, good = list(raw)
		ok = ok && good
	}
	if raw, present := c.all["cnf"]; present {
		// Another kind of confirmation (x5t#S256, ...) is one that we cannot check: refused (A4).
		var cnf struct {
			JKT string `json:"jkt"`
		}
		ok = ok && json.Unmarshal(raw, &cnf, json.RejectUnknownMembers(true)) == nil && cnf.JKT != ""
		c.jkt = cnf.JKT
	}
	if !ok {
		return nil, "bad-claims"
	}
	return c, ""
}

// text reads a string claim; a missing one is "".
func (c *accessClaims) text(name string) (string, bool) {
	raw, present := c.all[name]
	if !present {
		return "", true
	}
	var s string
	ok := raw.Kind() == '"' && json.Unmarshal(raw, &s) == nil
	return s, ok
}

// words reads a claim that is an array of strings or one string of words.
func (c *accessClaims) words(name string) ([]string, bool) {
	raw, present := c.all[name]
	if !present {
		return nil, true
	}
	values, ok := list(raw)
	if ok && raw.Kind() == '"' {
		values = strings.Fields(values[0])
	}
	return values, ok
}

// list reads an array of strings, or one string as a list of one.
func list(raw jsontext.Value) (out []string, ok bool) {
	if raw.Kind() == '"' {
		out = make([]string, 1)
		return out, json.Unmarshal(raw, &out[0]) == nil
	}
	return out, raw.Kind() == '[' && json.Unmarshal(raw, &out) == nil
}

const lastSecond = 253402300799 // the end of the year 9999

// numericDate reads seconds since the epoch; a fraction is cut off, which for exp is the
// careful side. Dates that no clock shows are refused rather than wrapped around.
func numericDate(raw jsontext.Value) (*jwt.NumericDate, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if raw.Kind() != '0' || err != nil || f < 0 || f > lastSecond {
		return nil, false
	}
	return &jwt.NumericDate{Time: time.Unix(int64(f), 0).UTC()}, true
}

// The methods of jwt.Claims.

func (c *accessClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.exp, nil }
func (c *accessClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.iat, nil }
func (c *accessClaims) GetNotBefore() (*jwt.NumericDate, error)      { return c.nbf, nil }
func (c *accessClaims) GetIssuer() (string, error)                   { return c.iss, nil }
func (c *accessClaims) GetSubject() (string, error)                  { return c.sub, nil }
func (c *accessClaims) GetAudience() (jwt.ClaimStrings, error)       { return c.aud, nil }
