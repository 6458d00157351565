package model

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Limits of one entry, the same for every store (G10) and advertised to tablets.
const (
	MaxEntryBytes = 256 << 10 // compact JWS
	MaxChanges    = 200       // changes in one entry
	MaxOver       = 256       // entry ids in one `over`
	MaxValueBytes = 16 << 10  // one value
	MaxDepth      = 16        // nesting of a payload
)

// EntryType is the `typ` of every entry: it keeps an entry's signature from meaning
// anything else (a DPoP proof, a token) and the other way round.
const EntryType = "flette-entry+jws"

// Algorithms of entry signatures. Nothing else exists.
const (
	AlgEdDSA = "EdDSA" // Ed25519, RFC 8037
	AlgES256 = "ES256" // ECDSA P-256, RFC 7518
)

// JWS is a split compact JWS. Header, Payload and Signature are decoded bytes; because
// only canonical base64url is accepted, [JWS.Compact] gives back exactly what was received.
type JWS struct {
	Alg       string
	Device    DeviceID // header `kid`
	ID        EntryID
	Header    []byte
	Payload   []byte
	Signature []byte
	input     []byte
}

type jwsHeader struct {
	Alg string   `json:"alg"`
	Typ string   `json:"typ"`
	Kid DeviceID `json:"kid"`
}

// ParseJWS splits a compact JWS. It verifies nothing but shape: every error means that the
// bytes cannot be attributed to a device, so the caller refuses them. It returns a *Problem
// with code "not-a-jws" or "too-large".
func ParseJWS(compact []byte) (*JWS, error) {
	if len(compact) > MaxEntryBytes {
		return nil, Problemf("too-large", "", "entry is larger than %d bytes", MaxEntryBytes)
	}
	first := bytes.IndexByte(compact, '.')
	last := bytes.LastIndexByte(compact, '.')
	if first <= 0 || last == first || bytes.IndexByte(compact[first+1:last], '.') >= 0 {
		return nil, Problemf("not-a-jws", "", "entry is not a compact JWS of three parts")
	}
	buf := make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(compact)))
	part := func(src []byte) ([]byte, error) {
		start := len(buf)
		// AppendDecode would skip line breaks: two spellings of one entry.
		if bytes.ContainsAny(src, "\r\n") {
			return nil, fmt.Errorf("line break")
		}
		var err error
		if buf, err = strictB64.AppendDecode(buf, src); err != nil {
			return nil, err
		}
		return buf[start:len(buf):len(buf)], nil
	}
	j := &JWS{input: compact[:last:last]}
	var err error
	for _, p := range []struct {
		dst *[]byte
		src []byte
	}{{&j.Header, compact[:first]}, {&j.Payload, compact[first+1 : last]}, {&j.Signature, compact[last+1:]}} {
		if *p.dst, err = part(p.src); err != nil {
			return nil, Problemf("not-a-jws", "", "entry is not canonical base64url without padding")
		}
	}
	var h jwsHeader
	// Unknown header members are refused: `crit`, `b64`, `jwk` and the like would change
	// what the signature means.
	if err := json.Unmarshal(j.Header, &h, json.RejectUnknownMembers(true)); err != nil {
		return nil, Problemf("not-a-jws", "", "entry header must be an object of alg, typ and kid")
	}
	if h.Typ != EntryType || (h.Alg != AlgEdDSA && h.Alg != AlgES256) || h.Kid.IsZero() {
		return nil, Problemf("not-a-jws", "", "entry header must carry typ %q, alg EdDSA or ES256 and kid", EntryType)
	}
	j.Alg, j.Device = h.Alg, h.Kid
	j.ID = NewEntryID(j.input)
	return j, nil
}

// SigningInput returns `header.payload` as received: the bytes under the signature.
func (j *JWS) SigningInput() []byte {
	if j.input == nil {
		j.input = joinParts(j.Header, j.Payload)
	}
	return j.input
}

// Compact returns the exact string that was received.
func (j *JWS) Compact() []byte {
	return base64.RawURLEncoding.AppendEncode(append(joinParts(j.Header, j.Payload), '.'), j.Signature)
}

func joinParts(header, payload []byte) []byte {
	enc := base64.RawURLEncoding
	b := make([]byte, 0, enc.EncodedLen(len(header))+enc.EncodedLen(len(payload))+90)
	b = enc.AppendEncode(b, header)
	b = append(b, '.')
	return enc.AppendEncode(b, payload)
}
