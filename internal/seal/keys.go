package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/mod/sumdb/note"

	"flette/model"
)

// MACSize is the length of a lease or cursor MAC and of an index hash, in bytes.
const MACSize = 32

// Errors of this package. Neither says why in more detail: an attacker who alters stored
// values shall not learn which part was wrong.
var (
	ErrOpen       = errors.New("seal: value cannot be opened: altered, moved, or sealed by another key")
	ErrUnknownKey = errors.New("seal: no key with this id")
)

// Keys are the keys of one tenant, from [Generate] or [Load]. Safe for concurrent use.
type Keys struct {
	Tenant model.TenantID
	// m is a function, because printers skip methods on unexported fields, and fmt follows
	// a pointer when the verb does not fit: what holds Keys in such a field and is printed
	// with %s would show them. Of a function only the address can show.
	m func() *material
}

type material struct {
	aead                 tink.AEAD
	index, lease, cursor *prf.Set
	journal, desk, token ed25519.PrivateKey
	signer, verifier     string // note keys of journal
	kid                  string // of token
	file                 []byte // the key file's content
}

// Seal encrypts a value under associated data. ad names where the value lives (bucket|
// key|version) and is not stored: [Keys.Open] needs the same. Two seals of one value differ.
func (k *Keys) Seal(plain []byte, ad string) ([]byte, error) {
	sealed, err := k.m().aead.Encrypt(plain, k.associated(ad))
	if err != nil {
		return nil, fmt.Errorf("seal: value cannot be sealed")
	}
	return sealed, nil
}

// Open decrypts a sealed value. [ErrOpen] when it was altered, when ad is not what it was
// sealed under, or when no key of this tenant sealed it.
func (k *Keys) Open(sealed []byte, ad string) ([]byte, error) {
	plain, err := k.m().aead.Decrypt(sealed, k.associated(ad))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// associated puts the tenant in front, so that values do not even move between tenants
// that were set up, by mistake, with copies of one key file.
func (k *Keys) associated(ad string) []byte {
	return []byte("flette/seal/1\n" + string(k.Tenant) + "\n" + ad)
}

// Index returns the keyed hash under which a person is looked up by value. kind separates
// namespaces ("fnr", "name"); the caller normalises value, so that one number has one form.
func (k *Keys) Index(kind, value string) [MACSize]byte {
	// The length in front keeps ("ab", "c") and ("a", "bc") apart.
	in := "flette/index/1\n" + strconv.Itoa(len(kind)) + ":" + kind + value
	return compute(k.m().index.PRFs[k.m().index.PrimaryID], []byte(in))
}

// LeaseKeyID returns the id of the key that new leases are made with.
func (k *Keys) LeaseKeyID() uint32 { return k.m().lease.PrimaryID }

// LeaseMAC authenticates a lease under the key with this id, the newest or an older one.
// [ErrUnknownKey] for any other. Compare with hmac.Equal.
func (k *Keys) LeaseMAC(keyID uint32, data []byte) ([MACSize]byte, error) {
	return keyedMAC(k.m().lease, keyID, data)
}

// CursorKeyID returns the id of the key that new cursors are made with.
func (k *Keys) CursorKeyID() uint32 { return k.m().cursor.PrimaryID }

// CursorMAC authenticates a pull cursor, as [Keys.LeaseMAC] does a lease.
func (k *Keys) CursorMAC(keyID uint32, data []byte) ([MACSize]byte, error) {
	return keyedMAC(k.m().cursor, keyID, data)
}

func keyedMAC(set *prf.Set, keyID uint32, data []byte) ([MACSize]byte, error) {
	p, ok := set.PRFs[keyID]
	if !ok {
		return [MACSize]byte{}, ErrUnknownKey
	}
	return compute(p, data), nil
}

// compute evaluates one PRF. It fails only when the key cannot give MACSize bytes, and decode
// has let no such key in; a zero hash instead would be one that anybody can forge.
func compute(p prf.PRF, data []byte) [MACSize]byte {
	out, err := p.ComputePRF(data, MACSize)
	if err != nil {
		panic("seal: a key that passed its trial at load fails")
	}
	return [MACSize]byte(out)
}

// JournalSigner returns the journal's note signer key ("PRIVATE+KEY+flette/<tenant>+..."):
// a secret.
func (k *Keys) JournalSigner() string { return k.m().signer }

// JournalVerifier returns the journal's note verifier key ("flette/<tenant>+..."): public,
// to be given to tablets and auditors.
func (k *Keys) JournalVerifier() string { return k.m().verifier }

// DeskKey returns the signing key of the tenant's review desk.
func (k *Keys) DeskKey() ed25519.PrivateKey { return k.m().desk }

// TokenKey returns the key of the server's own token issuer and its key id: the RFC 7638
// thumbprint of the public key.
func (k *Keys) TokenKey() (kid string, key ed25519.PrivateKey) { return k.m().kid, k.m().token }

const redacted = "[keys]"

// String returns a placeholder.
func (k Keys) String() string { return redacted }

// GoString returns a placeholder (%#v).
func (k Keys) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (k Keys) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue returns a placeholder.
func (k Keys) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder: the key file is written by [Keys.Save] alone.
func (k Keys) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// noteKeys renders an Ed25519 key as the signer and verifier key of a C2SP signed note.
func noteKeys(name string, key ed25519.PrivateKey) (signer, verifier string, err error) {
	verifier, err = note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return "", "", err
	}
	id, _, _ := strings.Cut(verifier[len(name)+1:], "+")
	const algEd25519 = 1
	secret := base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, key.Seed()...))
	return "PRIVATE+KEY+" + name + "+" + id + "+" + secret, verifier, nil
}

// thumbprint is RFC 7638 over the members that RFC 8037 names, in their order.
func thumbprint(key ed25519.PrivateKey) string {
	x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
