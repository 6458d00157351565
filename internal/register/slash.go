package register

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// MaxSlashPayload is the size over which the SLASH API refuses a payload (code 2009), in
// bytes of what is posted.
const MaxSlashPayload = 15_000_000

// publicKey is a key of GET /keys.
type publicKey struct {
	ID      string `json:"id"`
	Expires string `json:"expirationDate"` // no zone in the published example: read as UTC
	PEM     string `json:"publicKey"`
}

// newestKey asks for the keys and takes the one that expires last.
func (c *Client) newestKey(ctx context.Context) (string, *rsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.at("keys"), nil)
	if err != nil {
		return "", nil, err
	}
	a, err := c.do(req)
	if err != nil {
		return "", nil, err
	}
	if a.status != http.StatusOK {
		return "", nil, fmt.Errorf("the register gave no public keys: status %d", a.status)
	}
	var keys []publicKey
	if err := json.Unmarshal(a.body, &keys); err != nil {
		return "", nil, errors.New("the register's list of public keys cannot be read")
	}
	var best publicKey
	var until time.Time
	for _, k := range keys {
		at, err := keyTime(k.Expires)
		if err != nil {
			return "", nil, errors.New("the register's list of public keys holds a date that cannot be read")
		}
		if best.ID == "" || at.After(until) {
			best, until = k, at
		}
	}
	if best.ID == "" || !until.After(c.c.Now()) {
		return "", nil, errors.New("the register offers no public key that is still valid; ask FHI")
	}
	block, _ := pem.Decode([]byte(best.PEM))
	if block == nil {
		return "", nil, errors.New("the register's public key is not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", nil, errors.New("the register's public key cannot be read")
	}
	pub, ok := parsed.(*rsa.PublicKey)
	if !ok || pub.N.BitLen() < 2048 {
		return "", nil, errors.New("the register's public key is no RSA key of at least 2048 bits")
	}
	return best.ID, pub, nil
}

func keyTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Parse("2006-01-02T15:04:05", s) // takes fractions too
}

// slashBody encrypts a message: AES-256 in CBC mode, the IV in front, as the register's own
// client does. CBC protects no content by itself: msg_hash stands in the signed proof, and
// the register compares it.
func (c *Client) slashBody(ctx context.Context, m Message) (body []byte, keyID string, claims map[string]any, err error) {
	keyID, pub, err := c.newestKey(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	key, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(iv)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, "", nil, err
	}
	pad := aes.BlockSize - len(m.Body)%aes.BlockSize
	sealed := make([]byte, aes.BlockSize+len(m.Body)+pad)
	copy(sealed, iv)
	plain := sealed[aes.BlockSize:]
	copy(plain, m.Body)
	for i := len(m.Body); i < len(plain); i++ {
		plain[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	if base64.StdEncoding.EncodedLen(len(sealed)) > MaxSlashPayload {
		return nil, "", nil, fmt.Errorf("the message is too large for the register: %d bytes encrypted, at most %d (code 2009); make smaller messages", base64.StdEncoding.EncodedLen(len(sealed)), MaxSlashPayload)
	}
	carried, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, key, nil)
	if err != nil {
		return nil, "", nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, sealed), keyID, map[string]any{
		"msg_type": m.Type, "msg_version": m.Version, "msg_hash": digest(m.Body),
		"enc_sym_key": base64.RawURLEncoding.EncodeToString(carried), "enc_key_id": keyID,
	}, nil
}

// processBody is the JSON of POST /message/process.
func (c *Client) processBody(m Message) ([]byte, error) {
	if m.Pack == nil {
		return nil, errors.New("the CMS package needs certificate_file, signing_certificate_file and signing_key_file")
	}
	packed, err := m.Pack(m.Body)
	if err != nil {
		return nil, err
	}
	type header struct {
		From    int64  `json:"fromHerId"`
		To      int64  `json:"toHerId"`
		Type    string `json:"messageType"`
		Version string `json:"messageVersion"`
		ID      string `json:"messageId"`
	}
	return json.Marshal(struct {
		Header  header `json:"messageHeader"`
		Payload []byte `json:"payload"`
	}{header{c.c.FromHer, c.c.ToHer, m.Type, m.Version, m.ID}, packed})
}
