package auth

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxToken bounds a token or proof in bytes, before anything of it is read.
const maxToken = 8 << 10

// compact is a split compact JWS, still encoded.
type compact struct {
	header, payload, signature string
	input                      string // header.payload, the text under the signature
}

// split cuts a compact JWS. The word is a reason, "" when it could be cut.
func split(token string) (c compact, reason string) {
	if len(token) > maxToken {
		return c, "too-large"
	}
	last := strings.LastIndexByte(token, '.')
	first := strings.IndexByte(token, '.')
	if first <= 0 || last == first || strings.Count(token, ".") != 2 {
		return c, "not-a-jws"
	}
	return compact{token[:first], token[first+1 : last], token[last+1:], token[:last]}, ""
}

var strictB64 = base64.RawURLEncoding.Strict()

// decode reads canonical base64url without padding (A2). The standard decoder skips line
// breaks, which would give one token several spellings.
func decode(segment string) ([]byte, bool) {
	if segment == "" || strings.ContainsAny(segment, "\r\n") {
		return nil, false
	}
	b, err := strictB64.DecodeString(segment)
	return b, err == nil
}

// decodeJSON reads a segment into v strictly; the JSON package refuses duplicate members at
// every depth, invalid UTF-8 and names in the wrong case. Unknown members are ignored, as
// RFC 7515 section 4 and RFC 7519 section 4 demand.
func decodeJSON(segment string, v any) (reason string) {
	b, ok := decode(segment)
	if !ok {
		return "bad-base64"
	}
	if jsontext.Value(b).Kind() != '{' {
		return "bad-json"
	}
	if err := json.Unmarshal(b, v); err != nil {
		return "bad-json"
	}
	return ""
}

// header of an access or lease token. Crit is refused whatever it names: we implement no
// extension, and RFC 7515 section 4.1.11 demands that an unknown one be refused.
type header struct {
	Alg  string         `json:"alg"`
	Typ  string         `json:"typ"`
	Kid  string         `json:"kid"`
	Crit jsontext.Value `json:"crit"`
}
