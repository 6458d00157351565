// Package jwk reads, writes and uses the public keys that tablets and proofs carry: Ed25519
// (kty OKP, RFC 8037) and ECDSA P-256 (kty EC, RFC 7518), as JSON Web Keys (RFC 7517).
//
// Start with [Parse] for bytes from outside and [New] for a key held in memory. A
// [PublicKey] can only be built valid: the point is on the curve (P-256) or is canonical and
// not of small order (Ed25519), and its algorithm is fixed by its type, so that no header can
// choose another. An Ed25519 key that is canonical but no point at all is accepted here and
// verifies nothing.
//
// The package imports the standard library only: server, client and tests share it.
package jwk

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
)

// Algorithms of the two key types (RFC 7518, RFC 8037).
const (
	EdDSA = "EdDSA" // Ed25519; signature 64 bytes
	ES256 = "ES256" // P-256 with SHA-256; signature r||s, 64 bytes
)

// MaxBytes is the greatest length of a JWK that Parse reads.
const MaxBytes = 1024

const (
	coordinateLen = 32 // bytes of x and of y
	signatureLen  = 64 // bytes, both algorithms
)

// Errors of Parse and New.
var (
	ErrMalformed   = errors.New("jwk: not a public key of the accepted shape")
	ErrPrivate     = errors.New("jwk: carries private or symmetric key material")
	ErrUnsupported = errors.New("jwk: key type is not Ed25519 or P-256")
	ErrWeak        = errors.New("jwk: point is off the curve, of small order or not canonical")
)

// PublicKey is a verified-to-be-usable public key. The zero value verifies nothing.
type PublicKey struct {
	alg   string
	ed    ed25519.PublicKey
	ec    *ecdsa.PublicKey
	json  string // required members only, in lexical order (RFC 7638 section 3)
	thumb string
}

// New wraps an ed25519.PublicKey or *ecdsa.PublicKey on P-256.
func New(pub any) (PublicKey, error) {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return newEd25519(k)
	case *ecdsa.PublicKey:
		if k == nil || k.Curve != elliptic.P256() {
			return PublicKey{}, ErrUnsupported
		}
		point, err := k.Bytes()
		if err != nil {
			return PublicKey{}, ErrWeak
		}
		return newP256(point[1:1+coordinateLen], point[1+coordinateLen:])
	default:
		return PublicKey{}, ErrUnsupported
	}
}

func newEd25519(x []byte) (PublicKey, error) {
	if len(x) != ed25519.PublicKeySize {
		return PublicKey{}, ErrMalformed
	}
	if weakEd25519(x) {
		return PublicKey{}, ErrWeak
	}
	k := PublicKey{alg: EdDSA, ed: bytes.Clone(x)}
	k.name(`{"crv":"Ed25519","kty":"OKP","x":"` + b64.EncodeToString(x) + `"}`)
	return k, nil
}

func newP256(x, y []byte) (PublicKey, error) {
	if len(x) != coordinateLen || len(y) != coordinateLen {
		return PublicKey{}, ErrMalformed
	}
	point := append(append([]byte{4}, x...), y...)
	ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return PublicKey{}, ErrWeak
	}
	k := PublicKey{alg: ES256, ec: ec}
	k.name(`{"crv":"P-256","kty":"EC","x":"` + b64.EncodeToString(x) + `","y":"` + b64.EncodeToString(y) + `"}`)
	return k, nil
}

var b64 = base64.RawURLEncoding.Strict()

func (k *PublicKey) name(canonical string) {
	sum := sha256.Sum256([]byte(canonical))
	k.json, k.thumb = canonical, b64.EncodeToString(sum[:])
}

// Alg returns the one algorithm of the key: EdDSA or ES256; "" for the zero value.
func (k PublicKey) Alg() string { return k.alg }

// IsZero reports whether the key is unset.
func (k PublicKey) IsZero() bool { return k.alg == "" }

// Equal reports whether both are the same key.
func (k PublicKey) Equal(other PublicKey) bool { return k.json == other.json }

// Thumbprint returns the RFC 7638 SHA-256 thumbprint: 43 characters of base64url.
func (k PublicKey) Thumbprint() string { return k.thumb }

// String returns the canonical JWK, the exact bytes that the thumbprint hashes.
func (k PublicKey) String() string { return k.json }

// MarshalJSON writes the canonical JWK; the zero value has none and is an error.
func (k PublicKey) MarshalJSON() ([]byte, error) {
	if k.IsZero() {
		return nil, ErrMalformed
	}
	return []byte(k.json), nil
}

// UnmarshalJSON reads what Parse reads.
func (k *PublicKey) UnmarshalJSON(b []byte) error {
	parsed, err := Parse(b)
	if err == nil {
		*k = parsed
	}
	return err
}

// Thumbprint returns the RFC 7638 thumbprint of an ed25519.PublicKey or *ecdsa.PublicKey.
func Thumbprint(pub any) (string, error) {
	k, err := New(pub)
	return k.thumb, err
}

// Verify reports whether sig is the key's signature over input. alg is what the message
// claims: any other than the key's own is refused, so that a key is never used under two
// algorithms. An ES256 signature is r||s of exactly 64 bytes, never ASN.1.
func (k PublicKey) Verify(alg string, input, sig []byte) bool {
	if alg == "" || alg != k.alg || len(sig) != signatureLen {
		return false
	}
	if k.ed != nil {
		return ed25519.Verify(k.ed, input, sig)
	}
	digest := sha256.Sum256(input)
	r := new(big.Int).SetBytes(sig[:coordinateLen])
	s := new(big.Int).SetBytes(sig[coordinateLen:])
	return ecdsa.Verify(k.ec, digest[:], r, s)
}

// smallOrder lists the y coordinates of the points whose order divides 8. Whoever enrols
// such a key can show one signature that fits many messages, and so disown what was signed.
var smallOrder = func() (list [][]byte) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // order 1
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	} {
		b, _ := hex.DecodeString(y)
		list = append(list, b)
	}
	return list
}()

// weakEd25519 reports a y coordinate of small order or not below p = 2^255 - 19: the latter
// would give one point two spellings, and so one key two thumbprints.
func weakEd25519(x []byte) bool {
	y := bytes.Clone(x)
	y[31] &= 0x7f // the top bit is the sign of x
	if y[31] == 0x7f && y[0] >= 0xed && bytes.Count(y[1:31], []byte{0xff}) == 30 {
		return true
	}
	for _, w := range smallOrder {
		if bytes.Equal(y, w) {
			return true
		}
	}
	return false
}
