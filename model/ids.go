package model

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"

	"github.com/google/uuid"
)

// TenantID names one reporting municipality. Shape: 1-40 characters of a-z, 0-9 and
// hyphen, not starting with a hyphen. It becomes a file name, so nothing else is allowed.
type TenantID string

var tenantShape = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ParseTenantID returns the id, or an error when the shape is wrong.
func ParseTenantID(s string) (TenantID, error) {
	if !tenantShape.MatchString(s) {
		return "", fmt.Errorf("tenant id must be 1-40 of a-z, 0-9 and hyphen")
	}
	return TenantID(s), nil
}

// PersonID identifies a recipient of care inside a tenant. It is never derived from a
// national identity number.
type PersonID uuid.UUID

// DeviceID identifies an enrolled tablet or a review desk; it is the `kid` of its entries.
type DeviceID uuid.UUID

// ActorID identifies the user who did the work: the `sub` of the access token, at most 64
// bytes of printable ASCII without spaces.
type ActorID string

// String returns the canonical lower-case UUID.
func (p PersonID) String() string { return uuid.UUID(p).String() }

// String returns the canonical lower-case UUID.
func (d DeviceID) String() string { return uuid.UUID(d).String() }

// IsZero reports whether the id is unset.
func (p PersonID) IsZero() bool { return p == PersonID{} }

// IsZero reports whether the id is unset.
func (d DeviceID) IsZero() bool { return d == DeviceID{} }

// MarshalText writes the canonical UUID.
func (p PersonID) MarshalText() ([]byte, error) { return uuid.UUID(p).MarshalText() }

// MarshalText writes the canonical UUID.
func (d DeviceID) MarshalText() ([]byte, error) { return uuid.UUID(d).MarshalText() }

// UnmarshalText accepts the canonical lower-case UUID and nothing else.
func (p *PersonID) UnmarshalText(b []byte) error { return parseUUID(b, (*uuid.UUID)(p)) }

// UnmarshalText accepts the canonical lower-case UUID and nothing else.
func (d *DeviceID) UnmarshalText(b []byte) error { return parseUUID(b, (*uuid.UUID)(d)) }

// ParsePersonID reads a canonical lower-case UUID.
func ParsePersonID(s string) (PersonID, error) {
	var p PersonID
	err := p.UnmarshalText([]byte(s))
	return p, err
}

// ParseDeviceID reads a canonical lower-case UUID.
func ParseDeviceID(s string) (DeviceID, error) {
	var d DeviceID
	err := d.UnmarshalText([]byte(s))
	return d, err
}

// parseUUID refuses the braces, URN and upper-case forms that uuid.Parse allows: one id,
// one spelling, so that two spellings can never be two keys.
func parseUUID(b []byte, out *uuid.UUID) error {
	if len(b) != 36 {
		return fmt.Errorf("not a canonical UUID")
	}
	for _, c := range b {
		if c >= 'A' && c <= 'F' {
			return fmt.Errorf("UUID must be lower-case")
		}
	}
	u, err := uuid.ParseBytes(b)
	if err != nil {
		return fmt.Errorf("not a canonical UUID")
	}
	*out = u
	return nil
}

// ParseActorID returns the id, or an error when the shape is wrong.
func ParseActorID(s string) (ActorID, error) {
	if len(s) == 0 || len(s) > 64 {
		return "", fmt.Errorf("actor id must be 1-64 characters")
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return "", fmt.Errorf("actor id must be printable ASCII without spaces")
		}
	}
	return ActorID(s), nil
}

// EntryID is the SHA-256 of the entry's signing input under a domain label; it names the
// content and nothing but the content (the signature bytes do not enter).
type EntryID [32]byte

const entryIDDomain = "flette/entry/1\n"

// EntryIDLen is the length of the text form: base64url without padding.
const EntryIDLen = 43

// NewEntryID hashes a JWS signing input (`header.payload`).
func NewEntryID(signingInput []byte) EntryID {
	h := sha256.New()
	h.Write([]byte(entryIDDomain))
	h.Write(signingInput)
	var id EntryID
	h.Sum(id[:0])
	return id
}

// String returns 43 characters of base64url.
func (e EntryID) String() string { return base64.RawURLEncoding.EncodeToString(e[:]) }

// IsZero reports whether the id is unset.
func (e EntryID) IsZero() bool { return e == EntryID{} }

// MarshalText writes the base64url form.
func (e EntryID) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, e[:]), nil
}

// strictB64 refuses trailing bits, so that an id or token has one spelling only.
var strictB64 = base64.RawURLEncoding.Strict()

// UnmarshalText accepts exactly 43 characters of canonical base64url.
func (e *EntryID) UnmarshalText(b []byte) error {
	// The decoder skips line breaks, so the number of bytes counts too.
	var id EntryID
	if len(b) != EntryIDLen {
		return fmt.Errorf("entry id must be %d characters of base64url", EntryIDLen)
	}
	if n, err := strictB64.Decode(id[:], b); err != nil || n != len(id) {
		return fmt.Errorf("entry id is not canonical base64url")
	}
	*e = id
	return nil
}

// ParseEntryID reads the base64url form.
func ParseEntryID(s string) (EntryID, error) {
	var e EntryID
	err := e.UnmarshalText([]byte(s))
	return e, err
}
