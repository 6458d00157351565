package model

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
)

// PersonDigest sums up which entries a person's merged record shows, so that a tablet and the
// server can find out in one line a person whether they hold the same. Its bytes are
// "flette/digest/1\n", then a line for every unit that has heads or a class other than 0, in
// byte order of the path: the path, the class in decimal and the entry ids of the heads, the
// shown one first, each after a space, and a line feed.
type PersonDigest struct{ h hash.Hash }

// NewPersonDigest begins a digest.
func NewPersonDigest() *PersonDigest {
	d := &PersonDigest{sha256.New()}
	d.h.Write([]byte("flette/digest/1\n"))
	return d
}

// Unit adds a unit; call it in byte order of the path. Units without heads and class do not count.
func (d *PersonDigest) Unit(u Unit, class Class, heads int, head func(int) EntryID) {
	if heads == 0 && class == ClassSingle {
		return
	}
	line := make([]byte, 0, len(u)+8+44*heads)
	line = append(append(line, u...), ' ')
	line = strconv.AppendInt(line, int64(class), 10)
	for i := range heads {
		line = append(append(line, ' '), head(i).String()...)
	}
	d.h.Write(append(line, '\n'))
}

// Sum gives the digest: base64url without padding of SHA-256.
func (d *PersonDigest) Sum() string { return base64.RawURLEncoding.EncodeToString(d.h.Sum(nil)) }
