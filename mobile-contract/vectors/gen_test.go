// Package vectors_test makes the signed vectors anew from fixed keys and compares them with
// what is checked in: `go test ./mobile-contract/vectors -rewrite` writes them.
package vectors_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/internal/jwk"
	contract "flette/mobile-contract"
	"flette/model"
)

var rewrite = flag.Bool("rewrite", false, "write the vectors anew instead of comparing them")

// The two devices of the vectors. The keys are made from their names: they protect nothing.
const (
	kidEd = "0190a000-0000-7000-8000-000000000001"
	kidEC = "0190a000-0000-7000-8000-000000000002"
	kidNo = "0190a000-0000-7000-8000-00000000ffff"
)

var b64 = base64.RawURLEncoding

// maker collects vectors of one file.
type maker struct {
	t   *testing.T
	ed  ed25519.PrivateKey
	ec  *ecdsa.PrivateKey
	ids map[string]string // vector name to entry id
	out []contract.Vector
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	seed := sha256.Sum256([]byte("flette test vectors, Ed25519"))
	scalar := sha256.Sum256([]byte("flette test vectors, P-256"))
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return &maker{t: t, ed: ed25519.NewKeyFromSeed(seed[:]), ec: ec, ids: map[string]string{}}
}

func (m *maker) jwk(key crypto.Signer) jsontext.Value {
	if key == nil {
		return nil
	}
	k, err := jwk.New(key.Public())
	if err != nil {
		m.t.Fatal(err)
	}
	return jsontext.Value(k.String())
}

// sign gives 64 bytes. ECDSA without a random source is deterministic (RFC 6979).
func (m *maker) sign(key crypto.Signer, input string) []byte {
	if ed, ok := key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(ed, []byte(input))
	}
	r, s := m.signEC(input)
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func (m *maker) signDER(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	der, err := m.ec.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		m.t.Fatal(err)
	}
	return der
}

// signEC reads r and s out of the short DER that a P-256 signature always is.
func (m *maker) signEC(input string) (r, s *big.Int) {
	der := m.signDER(input)
	next := der[2:]
	number := func() *big.Int {
		n := int(next[1])
		v := new(big.Int).SetBytes(next[2 : 2+n])
		next = next[2+n:]
		return v
	}
	return number(), number()
}

func header(alg, kid string) string {
	return `{"alg":"` + alg + `","typ":"` + model.EntryType + `","kid":"` + kid + `"}`
}

func input(header, payload string) string {
	return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
}

// compact signs and joins.
func (m *maker) compact(key crypto.Signer, header, payload string) string {
	in := input(header, payload)
	return in + "." + b64.EncodeToString(m.sign(key, in))
}

// add appends a vector and fills in the id when the bytes have one.
func (m *maker) add(v contract.Vector) {
	m.t.Helper()
	for _, old := range m.out {
		if old.Name == v.Name {
			m.t.Fatalf("two vectors are called %q", v.Name)
		}
	}
	if j, err := model.ParseJWS([]byte(v.JWS)); err == nil && v.Times == 0 {
		v.ID = j.ID.String()
		m.ids[v.Name] = v.ID
	}
	m.out = append(m.out, v)
}

// payload is the Ed25519 device's entry with one thing replaced at a time: pairs of old and
// new text, each of which must be there.
func (m *maker) payload(pairs ...string) string {
	m.t.Helper()
	s := `{"v":1,"tenant":"testvik","device":"` + kidEd + `","seq":1,"prev":"","actor":"nurse-test-1","lease":"L1",` +
		`"elapsed_ms":300000,"clock":"monotonic","wall":"2026-03-02T10:05:00Z","person":"0190a000-0000-7000-8000-0000000000aa",` +
		`"act":"register","changes":[{"unit":"score/assist_memory","value":{"score":2},"over":[]}]}`
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			m.t.Fatalf("payload holds no %s", pairs[i])
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

const oneChange = `{"unit":"score/assist_memory","value":{"score":2},"over":[]}`

// good adds an entry by the Ed25519 device that takes effect.
func (m *maker) good(name, comment string, pairs ...string) {
	m.t.Helper()
	m.add(contract.Vector{Name: name, Comment: comment, Class: contract.OutcomeApplied,
		Key: m.jwk(m.ed), JWS: m.compact(m.ed, header("EdDSA", kidEd), m.payload(pairs...))})
}

// bad adds an authentic entry that is quarantined.
func (m *maker) bad(name, code, comment string, pairs ...string) {
	m.t.Helper()
	m.raw(name, code, comment, m.payload(pairs...))
}

func (m *maker) raw(name, code, comment, payload string) {
	m.t.Helper()
	m.add(contract.Vector{Name: name, Comment: comment, Class: contract.OutcomeQuarantined, Code: code,
		Key: m.jwk(m.ed), JWS: m.compact(m.ed, header("EdDSA", kidEd), payload)})
}

// value adds a quarantined entry for one value of one unit.
func (m *maker) value(name, code, unit, value string) {
	m.t.Helper()
	m.bad(name, code, "", oneChange, `{"unit":"`+unit+`","value":`+value+`}`)
}

// refuse adds bytes that cannot be attributed.
func (m *maker) refuse(name, code, comment string, key crypto.Signer, jws string) {
	m.t.Helper()
	m.add(contract.Vector{Name: name, Comment: comment, Class: contract.OutcomeRefused, Code: code, Key: m.jwk(key), JWS: jws})
}

func (m *maker) file(name string) {
	m.t.Helper()
	var b bytes.Buffer
	if err := json.MarshalWrite(&b, m.out, json.Deterministic(true), jsontext.WithIndent(" "), jsontext.PreserveRawStrings(true)); err != nil {
		m.t.Fatal(err)
	}
	b.WriteByte('\n')
	m.out = nil
	if *rewrite {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			m.t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		m.t.Fatal(err)
	}
	if !bytes.Equal(got, b.Bytes()) {
		m.t.Errorf("%s is out of date: run `go test ./mobile-contract/vectors -rewrite` and review the difference", name)
	}
}

func TestVectors(t *testing.T) {
	m := newMaker(t)
	m.applied()
	m.file("1-applied.json")
	m.duplicates()
	m.file("2-duplicate.json")
	m.quarantinedPayloads()
	m.quarantinedValues()
	m.file("3-quarantined.json")
	m.settling()
	m.file("4-settling.json")
	m.refused()
	m.file("5-refused.json")
	m.versionTwo()
	m.file("6-version-2.json")
	m.versionThree()
	m.file("7-version-3.json")
}
