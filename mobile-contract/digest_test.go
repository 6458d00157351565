package contract

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"flette/model"
)

// The examples of digests are right: each says what is hashed, and our own code agrees.
func TestDigestVectors(t *testing.T) {
	vectors, err := DigestVectors()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, v := range vectors {
		sum := sha256.Sum256([]byte(v.Text))
		if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != v.Digest {
			t.Errorf("%s: the text hashes to %s", v.Name, got)
		}
		units := slices.Clone(v.Units)
		slices.SortFunc(units, func(a, b DigestUnit) int { return strings.Compare(string(a.Unit), string(b.Unit)) })
		d := model.NewPersonDigest()
		for _, u := range units {
			if _, err := model.ParseUnit(string(u.Unit)); err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
			d.Unit(u.Unit, u.Class, len(u.Heads), func(i int) model.EntryID { return u.Heads[i] })
		}
		if got := d.Sum(); got != v.Digest {
			t.Errorf("%s: we make %s, want %s", v.Name, got, v.Digest)
		}
		// One vector says that a voided unit does not count: it has the digest of another.
		if old := seen[v.Digest]; old != "" && !strings.HasPrefix(v.Name, "voided") {
			t.Errorf("%s and %s cannot be told apart", old, v.Name)
		}
		seen[v.Digest] = v.Name
	}
	if len(vectors) < 8 {
		t.Errorf("only %d vectors", len(vectors))
	}
}
