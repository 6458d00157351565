package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// ErrKey says that a key is neither Ed25519 nor P-256.
var ErrKey = errors.New("client: key must be ed25519.PrivateKey or *ecdsa.PrivateKey on P-256")

var b64 = base64.RawURLEncoding

// SignEntry signs an entry as it stands and gives the compact JWS and the entry's id. It
// checks nothing: a test signs what a tablet never would.
func SignEntry(key crypto.Signer, e *model.Entry) (string, model.EntryID, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return "", model.EntryID{}, fmt.Errorf("client: entry: %w", err)
	}
	return SignPayload(key, e.Device, payload)
}

// SignPayload is SignEntry for payload bytes of any kind.
func SignPayload(key crypto.Signer, device model.DeviceID, payload []byte) (string, model.EntryID, error) {
	alg, err := algOf(key)
	if err != nil {
		return "", model.EntryID{}, err
	}
	header := `{"alg":"` + alg + `","typ":"` + model.EntryType + `","kid":"` + device.String() + `"}`
	jws, err := signCompact(key, []byte(header), payload)
	if err != nil {
		return "", model.EntryID{}, err
	}
	return jws, model.NewEntryID([]byte(jws[:len(jws)-1-signatureLen])), nil
}

// signatureLen is the text length of a signature: 64 bytes with both algorithms.
const signatureLen = 86

func algOf(key crypto.Signer) (string, error) {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		if len(k) == ed25519.PrivateKeySize {
			return model.AlgEdDSA, nil
		}
	case *ecdsa.PrivateKey:
		if k != nil && k.Curve == elliptic.P256() {
			return model.AlgES256, nil
		}
	}
	return "", ErrKey
}

// signCompact makes a compact JWS with a protected header of the caller's choice.
func signCompact(key crypto.Signer, header, payload []byte) (string, error) {
	buf := make([]byte, 0, b64.EncodedLen(len(header))+b64.EncodedLen(len(payload))+2+signatureLen)
	buf = b64.AppendEncode(buf, header)
	buf = append(buf, '.')
	buf = b64.AppendEncode(buf, payload)
	sig, err := signRaw(key, buf)
	if err != nil {
		return "", err
	}
	buf = append(buf, '.')
	return string(b64.AppendEncode(buf, sig)), nil
}

// signRaw gives 64 bytes: an Ed25519 signature, or r||s of an ECDSA one (RFC 7518 section
// 3.4), never ASN.1.
func signRaw(key crypto.Signer, input []byte) ([]byte, error) {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(k, input), nil
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			return nil, fmt.Errorf("client: sign: %w", err)
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig, nil
	}
	return nil, ErrKey
}
