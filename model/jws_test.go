package model

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseJWSReads(t *testing.T) {
	compact := compactOf(goodHeader, payload(), "signature")
	j, err := ParseJWS(compact)
	if err != nil {
		t.Fatal(err)
	}
	input := compact[:bytes.LastIndexByte(compact, '.')]
	if j.Alg != AlgEdDSA || j.Device.String() != deviceA || string(j.Header) != goodHeader || string(j.Payload) != payload() || string(j.Signature) != "signature" {
		t.Errorf("%+v", j)
	}
	if j.ID != NewEntryID(input) || !bytes.Equal(j.SigningInput(), input) || !bytes.Equal(j.Compact(), compact) {
		t.Errorf("id %s, input %s", j.ID, j.SigningInput())
	}
	// A store keeps the parts; the input is then put together anew.
	kept := JWS{Header: j.Header, Payload: j.Payload, Signature: j.Signature}
	if !bytes.Equal(kept.SigningInput(), input) || !bytes.Equal(kept.Compact(), compact) {
		t.Errorf("put together: %s", kept.SigningInput())
	}
}

// The id names the content: other signature bytes do not make another entry.
func TestIDIgnoresSignature(t *testing.T) {
	a, err := ParseJWS(compactOf(goodHeader, payload(), "one"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseJWS(compactOf(goodHeader, payload(), "two"))
	if err != nil || a.ID != b.ID {
		t.Errorf("%s and %s, %v", a.ID, b.ID, err)
	}
	c, err := ParseJWS(compactOf(goodHeader, payload(`"elapsed_ms":60001`), "one"))
	if err != nil || a.ID == c.ID {
		t.Errorf("two contents, one id, %v", err)
	}
}

func TestParseJWSRefuses(t *testing.T) {
	good := string(compactOf(goodHeader, payload(), "12345678"))
	header := func(h string) string { return string(compactOf(h, payload(), "signature")) }
	parts := strings.Split(good, ".")
	for _, c := range []struct{ name, compact, code string }{
		{"empty", "", "not-a-jws"},
		{"two parts", parts[0] + "." + parts[1], "not-a-jws"},
		{"four parts", good + ".x", "not-a-jws"},
		{"five parts, as JWE", good + ".x.y", "not-a-jws"},
		{"no header", "." + parts[1] + "." + parts[2], "not-a-jws"},
		{"JSON form", `{"payload":"x"}`, "not-a-jws"},
		{"padding", good + "=", "not-a-jws"},
		{"other alphabet", parts[0] + "." + parts[1] + ".ab+/", "not-a-jws"},
		{"trailing bits", parts[0] + "." + parts[1] + ".MTIzNDU2NzhB"[:12], "not-a-jws"},
		{"length of no encoding", parts[0] + "." + parts[1] + ".abcde", "not-a-jws"},
		{"line break in the header", parts[0][:8] + "\n" + parts[0][8:] + "." + parts[1] + "." + parts[2], "not-a-jws"},
		{"line break in the payload", parts[0] + "." + parts[1][:8] + "\r\n" + parts[1][8:] + "." + parts[2], "not-a-jws"},
		{"line break at the end", good + "\n", "not-a-jws"},
		{"space", " " + good, "not-a-jws"},
		{"too large", good + strings.Repeat("A", MaxEntryBytes), "too-large"},
		{"header no JSON", header("eddsa"), "not-a-jws"},
		{"header null", header("null"), "not-a-jws"},
		{"header a list", header(`[]`), "not-a-jws"},
		{"alg none", header(strings.Replace(goodHeader, AlgEdDSA, "none", 1)), "not-a-jws"},
		{"alg HS256", header(strings.Replace(goodHeader, AlgEdDSA, "HS256", 1)), "not-a-jws"},
		{"alg in other case", header(strings.Replace(goodHeader, AlgEdDSA, "eddsa", 1)), "not-a-jws"},
		{"alg missing", header(strings.Replace(goodHeader, `"alg":"EdDSA",`, "", 1)), "not-a-jws"},
		{"typ of a proof", header(strings.Replace(goodHeader, EntryType, "dpop+jwt", 1)), "not-a-jws"},
		{"typ missing", header(strings.Replace(goodHeader, `"typ":"`+EntryType+`",`, "", 1)), "not-a-jws"},
		{"kid missing", header(strings.Replace(goodHeader, `,"kid":"`+deviceA+`"`, "", 1)), "not-a-jws"},
		{"kid zero", header(strings.Replace(goodHeader, deviceA, "00000000-0000-0000-0000-000000000000", 1)), "not-a-jws"},
		{"kid no UUID", header(strings.Replace(goodHeader, deviceA, "tablet", 1)), "not-a-jws"},
		{"kid in capitals", header(strings.Replace(goodHeader, deviceA, strings.ToUpper(deviceA), 1)), "not-a-jws"},
		{"member twice", header(goodHeader[:len(goodHeader)-1] + `,"alg":"ES256"}`), "not-a-jws"},
		{"member in other case", header(strings.Replace(goodHeader, `"alg"`, `"ALG"`, 1)), "not-a-jws"},
		{"crit", header(goodHeader[:len(goodHeader)-1] + `,"crit":["b64"],"b64":false}`), "not-a-jws"},
		{"embedded key", header(goodHeader[:len(goodHeader)-1] + `,"jwk":{}}`), "not-a-jws"},
		{"two headers", header(goodHeader + goodHeader), "not-a-jws"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := ParseJWS([]byte(c.compact))
			p := problemOf(t, err)
			if p == nil || j != nil {
				t.Fatal("accepted")
			}
			if p.Code != c.code {
				t.Errorf("code %s, want %s", p.Code, c.code)
			}
		})
	}
}

// An entry has one spelling: every change of a character that still parses is another id or
// another signature.
func TestOneSpelling(t *testing.T) {
	good := compactOf(goodHeader, payload(), "12345678")
	want, err := ParseJWS(good)
	if err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/.\r\n "
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(good)
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "insert") {
			b = append(b[:i], append([]byte{'A'}, b[i:]...)...)
		}
		b[i] = alphabet[rapid.IntRange(0, len(alphabet)-1).Draw(t, "character")]
		j, err := ParseJWS(b)
		if err != nil || bytes.Equal(b, good) {
			return
		}
		if j.ID == want.ID && bytes.Equal(j.Signature, want.Signature) {
			t.Fatalf("%q is a second spelling", b)
		}
	})
}

func TestCompactGivesBackWhatCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		header := goodHeader
		if rapid.Bool().Draw(t, "ES256") {
			header = strings.Replace(header, AlgEdDSA, AlgES256, 1)
		}
		header = rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space") + header
		compact := compactOf(header, string(rapid.SliceOf(rapid.Byte()).Draw(t, "payload")), string(rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "signature")))
		j, err := ParseJWS(compact)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(j.Compact(), compact) || string(j.Header) != header {
			t.Fatalf("came %s, given back %s", compact, j.Compact())
		}
		if want := base64.RawURLEncoding.EncodeToString(j.Header) + "." + base64.RawURLEncoding.EncodeToString(j.Payload); string(j.SigningInput()) != want {
			t.Fatalf("signing input %s", j.SigningInput())
		}
	})
}
