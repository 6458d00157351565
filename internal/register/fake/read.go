package fake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/smallstep/pkcs7"
)

func bad(code int, text string) *refusal { return &refusal{http.StatusBadRequest, code, text} }

func (r *Register) readSlash(one *Got, c claims, req *http.Request, body []byte) *refusal {
	for _, h := range []string{"x-vendor-name", "x-software-name", "x-software-version", "x-export-software-version", "x-data-extraction-date"} {
		if req.Header.Get(h) == "" {
			return bad(1001, h)
		}
	}
	if _, err := time.Parse("02.01.2006", req.Header.Get("x-data-extraction-date")); err != nil {
		return bad(1002, "x-data-extraction-date")
	}
	if v, ok := r.Types[c.Type]; !ok || v != c.Version {
		return bad(1003, "")
	}
	var use *key
	for i := range r.keys {
		if r.keys[i].id == c.KeyID {
			use = &r.keys[i]
		}
	}
	switch {
	case use == nil:
		return bad(1004, "")
	case len(decode64(c.Hash)) != sha256.Size:
		return bad(1005, "")
	case !r.Now().Before(use.expires):
		return bad(1007, "")
	}
	sym, err := rsa.DecryptOAEP(sha256.New(), nil, use.private, decode64(c.Key), nil)
	if err != nil || len(sym) != 32 {
		return bad(1008, "")
	}
	sealed, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil || len(sealed) < 2*aes.BlockSize || len(sealed)%aes.BlockSize != 0 {
		return bad(1009, "")
	}
	block, err := aes.NewCipher(sym)
	if err != nil {
		return bad(1009, "")
	}
	plain := bytes.Clone(sealed[aes.BlockSize:])
	cipher.NewCBCDecrypter(block, sealed[:aes.BlockSize]).CryptBlocks(plain, plain)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return bad(1009, "padding")
	}
	plain = plain[:len(plain)-pad]
	if sum := sha256.Sum256(plain); !bytes.Equal(sum[:], decode64(c.Hash)) {
		return bad(1006, "")
	}
	one.Type, one.Version, one.Body = c.Type, c.Version, plain
	return nil
}

func (r *Register) readProcess(one *Got, body []byte) *refusal {
	var m struct {
		Header struct {
			From    int64  `json:"fromHerId"`
			To      int64  `json:"toHerId"`
			Type    string `json:"messageType"`
			Version string `json:"messageVersion"`
			ID      string `json:"messageId"`
		} `json:"messageHeader"`
		Payload []byte `json:"payload"`
	}
	if json.Unmarshal(body, &m) != nil || m.Header.From == 0 || m.Header.To == 0 || m.Header.ID == "" {
		return bad(1001, "the message header")
	}
	if v, ok := r.Types[m.Header.Type]; !ok || v != m.Header.Version {
		return bad(1003, "")
	}
	content, err := OpenSigned(m.Payload, r.CMSKey)
	if err != nil {
		return bad(1009, err.Error())
	}
	for _, g := range r.got {
		if g.Message == m.Header.ID && !bytes.Equal(g.Body, content) {
			return bad(1006, "the id was used for something else")
		}
	}
	one.Type, one.Version, one.Body, one.Message = m.Header.Type, m.Header.Version, content, m.Header.ID
	return nil
}

// OpenSigned opens a package and returns what is signed in it; the signature must hold.
func OpenSigned(der []byte, private *rsa.PrivateKey) ([]byte, error) {
	signed, err := OpenCMS(der, private)
	if err != nil {
		return nil, err
	}
	p, err := pkcs7.Parse(signed)
	if err != nil {
		return nil, err
	}
	return p.Content, p.Verify()
}

type envelope struct {
	Type    asn1.ObjectIdentifier
	Content struct {
		Version    int
		Recipients []struct {
			Version   int
			ID        asn1.RawValue
			Algorithm pkix.AlgorithmIdentifier
			Key       []byte
		} `asn1:"set"`
		Content struct {
			Type       asn1.ObjectIdentifier
			Algorithm  pkix.AlgorithmIdentifier
			Ciphertext []byte `asn1:"tag:0"`
		}
		MAC []byte
	} `asn1:"explicit,tag:0"`
}

// OpenCMS reads AuthEnvelopedData with AES-256-GCM and RSA-OAEP with SHA-256, one recipient.
func OpenCMS(der []byte, private *rsa.PrivateKey) ([]byte, error) {
	var e envelope
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) > 0 || len(e.Content.Recipients) != 1 {
		return nil, errors.Join(err, errors.New("fake: not one CMS value for one recipient"))
	}
	if e.Type.String() != "1.2.840.113549.1.9.16.1.23" || e.Content.Content.Algorithm.Algorithm.String() != "2.16.840.1.101.3.4.1.46" ||
		e.Content.Recipients[0].Algorithm.Algorithm.String() != "1.2.840.113549.1.1.7" {
		return nil, errors.New("fake: other algorithms")
	}
	var p struct {
		Nonce []byte
		ICV   int
	}
	if _, err := asn1.Unmarshal(e.Content.Content.Algorithm.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	k, err := rsa.DecryptOAEP(sha256.New(), nil, private, e.Content.Recipients[0].Key, nil)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(p.Nonce) != gcm.NonceSize() || p.ICV != gcm.Overhead() || len(e.Content.MAC) != p.ICV {
		return nil, errors.New("fake: nonce or MAC of another length")
	}
	return gcm.Open(nil, p.Nonce, append(bytes.Clone(e.Content.Content.Ciphertext), e.Content.MAC...), nil)
}
