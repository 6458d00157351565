package client

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/model"
)

// prover makes DPoP proofs (RFC 9449) with one key. The header never changes, so it is
// encoded once.
type prover struct {
	key    crypto.Signer
	public jwk.PublicKey
	header []byte
	rand   io.Reader
}

func newProver(key crypto.Signer, random io.Reader) (*prover, error) {
	alg, err := algOf(key)
	if err != nil {
		return nil, err
	}
	public, err := jwk.New(key.Public())
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	header := `{"typ":"dpop+jwt","alg":"` + alg + `","jwk":` + public.String() + `}`
	return &prover{key: key, public: public, header: []byte(header), rand: random}, nil
}

type proofClaims struct {
	HTM   string `json:"htm"`
	HTU   string `json:"htu"`
	IAT   int64  `json:"iat"`
	JTI   string `json:"jti"`
	ATH   string `json:"ath,omitzero"`
	Nonce string `json:"nonce,omitzero"`
}

// proof is good for one request: url without query and fragment, now by the tablet's clock.
func (p *prover) proof(method, url string, now time.Time, token, nonce string) (string, error) {
	var id [16]byte
	if _, err := io.ReadFull(p.rand, id[:]); err != nil {
		return "", fmt.Errorf("client: random: %w", err)
	}
	ath := sha256.Sum256([]byte(token))
	claims, err := json.Marshal(proofClaims{
		HTM: method, HTU: url, IAT: now.Unix(), JTI: b64.EncodeToString(id[:]), ATH: b64.EncodeToString(ath[:]), Nonce: nonce,
	})
	if err != nil {
		return "", err
	}
	return signCompact(p.key, p.header, claims)
}

// enrolProof shows that whoever spends the code holds the key, and claims the former id.
func (p *prover) enrolProof(in *contract.EnrolRequest) (string, error) {
	payload, err := json.Marshal(struct {
		Tenant model.TenantID `json:"tenant"`
		Code   string         `json:"code"`
		JKT    string         `json:"jkt"`
		Former model.DeviceID `json:"former,omitzero"`
	}{in.Tenant, in.Code, p.public.Thumbprint(), in.Former})
	if err != nil {
		return "", err
	}
	return signCompact(p.key, []byte(`{"alg":"`+p.public.Alg()+`","typ":"flette-enrol+jws"}`), payload)
}

// handover is what the key in force says when another takes its place.
func (p *prover) handover(h contract.Handover, to *prover) (string, error) {
	h.From, h.To = jsontext.Value(p.public.String()), jsontext.Value(to.public.String())
	payload, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	return signCompact(p.key, []byte(`{"alg":"`+p.public.Alg()+`","typ":"`+contract.HandoverType+`"}`), payload)
}

// rotateProof shows that whoever changes a device's key holds the new one too.
func (p *prover) rotateProof(tenant string, device model.DeviceID, lastSeq int64) (string, error) {
	payload, err := json.Marshal(struct {
		Tenant  string         `json:"tenant"`
		Device  model.DeviceID `json:"device"`
		JKT     string         `json:"jkt"`
		LastSeq int64          `json:"last_seq"`
	}{tenant, device, p.public.Thumbprint(), lastSeq})
	if err != nil {
		return "", err
	}
	return signCompact(p.key, []byte(`{"alg":"`+p.public.Alg()+`","typ":"flette-rotate+jws"}`), payload)
}
