package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/smallstep/pkcs7"
)

// Errors about certificates and keys. They say what an operator has to replace.
var (
	ErrRecipient = errors.New("cms: the recipient's certificate cannot be used for encryption")
	ErrSigner    = errors.New("cms: the signing certificate and key cannot be used")
)

// MinRSABits is the smallest RSA key that a message is encrypted to.
const MinRSABits = 2048

var (
	oidData              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidAuthEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23}
	oidAES256GCM         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}
	oidRSAESOAEP         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidMGF1              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidSHA256            = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     authEnvelopedData `asn1:"explicit,tag:0"`
}

// authEnvelopedData is that of RFC 5083 without attributes: then nothing but the content is
// authenticated.
type authEnvelopedData struct {
	Version    int
	Recipients []recipient `asn1:"set"`
	Content    encryptedContent
	MAC        []byte
}

type recipient struct {
	Version      int
	ID           issuerAndSerial
	Algorithm    pkix.AlgorithmIdentifier
	EncryptedKey []byte
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial asn1.RawValue
}

type encryptedContent struct {
	ContentType asn1.ObjectIdentifier
	Algorithm   pkix.AlgorithmIdentifier
	Ciphertext  []byte `asn1:"tag:0"`
}

type gcmParameters struct {
	Nonce  []byte
	ICVLen int
}

type oaepParameters struct {
	Hash pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
	MGF  pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
}

// Encrypt encrypts content to a certificate with an RSA key, in DER. [ErrRecipient] when the
// certificate is not valid at that time, not meant for encryption, or its key is too small.
func Encrypt(content []byte, to *x509.Certificate, at time.Time) ([]byte, error) {
	pub, err := recipientKey(to, at)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	nonce := make([]byte, 12)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(nonce)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sealed := gcm.Seal(nil, nonce, content, nil)
	body, mac := sealed[:len(content)], sealed[len(content):]
	carried, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, key, nil)
	if err != nil {
		return nil, err
	}
	oaep, err := oaepAlgorithm()
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(gcmParameters{nonce, len(mac)})
	if err != nil {
		return nil, err
	}
	serial, err := asn1.Marshal(to.SerialNumber)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(contentInfo{oidAuthEnvelopedData, authEnvelopedData{
		Recipients: []recipient{{
			ID:        issuerAndSerial{asn1.RawValue{FullBytes: to.RawIssuer}, asn1.RawValue{FullBytes: serial}},
			Algorithm: oaep, EncryptedKey: carried,
		}},
		Content: encryptedContent{
			ContentType: oidData, Ciphertext: body,
			Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidAES256GCM, Parameters: asn1.RawValue{FullBytes: params}},
		},
		MAC: mac,
	}})
}

func oaepAlgorithm() (pkix.AlgorithmIdentifier, error) {
	hash := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}
	raw, err := asn1.Marshal(hash)
	if err != nil {
		return hash, err
	}
	params, err := asn1.Marshal(oaepParameters{
		Hash: hash, MGF: pkix.AlgorithmIdentifier{Algorithm: oidMGF1, Parameters: asn1.RawValue{FullBytes: raw}},
	})
	return pkix.AlgorithmIdentifier{Algorithm: oidRSAESOAEP, Parameters: asn1.RawValue{FullBytes: params}}, err
}

func recipientKey(to *x509.Certificate, at time.Time) (*rsa.PublicKey, error) {
	pub, ok := to.PublicKey.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: it holds no RSA key", ErrRecipient)
	case pub.N.BitLen() < MinRSABits:
		return nil, fmt.Errorf("%w: its key has %d bits, at least %d are needed", ErrRecipient, pub.N.BitLen(), MinRSABits)
	case at.Before(to.NotBefore) || at.After(to.NotAfter):
		return nil, fmt.Errorf("%w: it holds from %s to %s", ErrRecipient, to.NotBefore.Format(time.DateOnly), to.NotAfter.Format(time.DateOnly))
	case to.KeyUsage != 0 && to.KeyUsage&x509.KeyUsageKeyEncipherment == 0:
		return nil, fmt.Errorf("%w: it is meant for something else; the address register has one for encryption", ErrRecipient)
	}
	return pub, nil
}

// Sign wraps content in SignedData with the signer's certificate, in DER. [ErrSigner] when
// key and certificate are not a pair, or the certificate is not valid at that time.
func Sign(content []byte, by *x509.Certificate, key crypto.Signer, at time.Time) ([]byte, error) {
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(by.PublicKey) {
		return nil, fmt.Errorf("%w: the key is not that of the certificate", ErrSigner)
	}
	if at.Before(by.NotBefore) || at.After(by.NotAfter) {
		return nil, fmt.Errorf("%w: the certificate holds from %s to %s", ErrSigner, by.NotBefore.Format(time.DateOnly), by.NotAfter.Format(time.DateOnly))
	}
	s, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, err
	}
	s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := s.AddSigner(by, key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	return s.Finish()
}

// Pack signs content and encrypts the whole to a certificate.
func Pack(content []byte, by *x509.Certificate, key crypto.Signer, to *x509.Certificate, at time.Time) ([]byte, error) {
	signed, err := Sign(content, by, key, at)
	if err != nil {
		return nil, err
	}
	return Encrypt(signed, to, at)
}
