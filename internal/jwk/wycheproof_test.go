package jwk

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
)

type wycheproof struct {
	TestGroups []struct {
		PublicKey struct {
			Pk           string `json:"pk"`
			Uncompressed string `json:"uncompressed"`
		} `json:"publicKey"`
		Tests []struct {
			ID      int    `json:"tcId"`
			Comment string `json:"comment"`
			Msg     string `json:"msg"`
			Sig     string `json:"sig"`
			Result  string `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// Project Wycheproof's vectors: malleable, truncated, extended and special signatures, and
// special public keys.
func TestWycheproof(t *testing.T) {
	for _, tc := range []struct {
		file, alg string
		count     int
	}{{"ed25519_test.json", EdDSA, 151}, {"ecdsa_secp256r1_sha256_p1363_test.json", ES256, 262}} {
		t.Run(tc.alg, func(t *testing.T) {
			path := filepath.Join(os.Getenv("FLETTE_OUTSIDE"), "corpora/wycheproof", tc.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Skip("skipped: not found: FLETTE_OUTSIDE/corpora/wycheproof/" + tc.file)
			}
			var file wycheproof
			if err := json.Unmarshal(b, &file); err != nil {
				t.Fatal(err)
			}
			checked := 0
			for _, g := range file.TestGroups {
				key := groupKey(t, g.PublicKey.Pk, g.PublicKey.Uncompressed)
				for _, v := range g.Tests {
					msg, sig := unhex(t, v.Msg), unhex(t, v.Sig)
					if got := key.Verify(tc.alg, msg, sig); got != (v.Result == "valid") {
						t.Errorf("%d %s: %v, want %s", v.ID, v.Comment, got, v.Result)
					}
					checked++
				}
			}
			if checked != tc.count {
				t.Errorf("checked %d vectors, want %d", checked, tc.count)
			}
		})
	}
}

func groupKey(t *testing.T, pk, uncompressed string) PublicKey {
	t.Helper()
	if pk != "" {
		key, err := newEd25519(unhex(t, pk))
		if err != nil {
			t.Logf("key %s: %v", pk, err) // a refused key verifies nothing
		}
		return key
	}
	point := unhex(t, uncompressed)
	if len(point) != 65 || point[0] != 4 {
		t.Fatalf("not an uncompressed point: %s", uncompressed)
	}
	key, err := newP256(point[1:33], point[33:])
	if err != nil {
		t.Logf("key %s: %v", uncompressed, err)
	}
	return key
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
