package vectors_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math/big"
	"strings"

	contract "flette/mobile-contract"
)

func (m *maker) refused() {
	const notJWS, badSig = "not-a-jws", "bad-signature"
	h, p := header("EdDSA", kidEd), m.payload()
	good := m.compact(m.ed, h, p)
	in, sig := input(h, p), m.sign(m.ed, input(h, p))
	head := func(name, comment, header string) {
		m.refuse(name, notJWS, comment, m.ed, m.compact(m.ed, header, p))
	}

	m.refuse("nothing", notJWS, "", m.ed, "")
	m.refuse("one part", notJWS, "", m.ed, b64.EncodeToString([]byte(p)))
	m.refuse("two parts", notJWS, "An unsecured payload.", m.ed, in)
	m.refuse("four parts", notJWS, "", m.ed, good+".AAAA")
	m.refuse("five parts", notJWS, "The shape of an encrypted message.", m.ed, "AAAA.AAAA.AAAA.AAAA.AAAA")
	m.refuse("JSON serialisation", notJWS, "Compact only.", m.ed, `{"payload":"e30","protected":"e30","signature":"AA"}`)
	m.refuse("padding", notJWS, "base64url without padding.", m.ed, good+"==")
	m.refuse("line break", notJWS, "A lenient decoder skips it: a second spelling of one entry.", m.ed, good[:40]+"\n"+good[40:])
	m.refuse("carriage return", notJWS, "", m.ed, good+"\r")
	m.refuse("space", notJWS, "", m.ed, " "+good)
	m.refuse("standard alphabet", notJWS, "", m.ed, in+"."+strings.NewReplacer("-", "+", "_", "/").Replace(b64.EncodeToString([]byte(strings.Repeat("\xff\xef", 32)))))
	last := good[len(good)-1]
	m.refuse("spare bits", notJWS, "The last character has bits that no byte uses: a second spelling.", m.ed, good[:len(good)-1]+string(last+1))
	m.refuse("length of no base64", notJWS, "", m.ed, good+"AAA")

	head("alg none", "", strings.Replace(h, "EdDSA", "none", 1))
	head("alg HS256", "The public key is no secret.", strings.Replace(h, "EdDSA", "HS256", 1))
	head("alg in another case", "", strings.Replace(h, "EdDSA", "eddsa", 1))
	head("alg RS256", "", strings.Replace(h, "EdDSA", "RS256", 1))
	head("no alg", "", strings.Replace(h, `"alg":"EdDSA",`, "", 1))
	head("crit", "An extension that changes what the signature means.", strings.Replace(h, "{", `{"crit":["b64"],"b64":false,`, 1))
	head("extra header member", "", strings.Replace(h, "{", `{"cty":"json",`, 1))
	head("jwk in the header", "A key that vouches for itself.", strings.Replace(h, "{", `{"jwk":`+string(m.jwk(m.ed))+`,`, 1))
	head("jku in the header", "", strings.Replace(h, "{", `{"jku":"https://attacker.example/keys",`, 1))
	head("typ of a DPoP proof", "A proof is never an entry.", strings.Replace(h, "flette-entry+jws", "dpop+jwt", 1))
	head("typ of an enrolment", "", strings.Replace(h, "flette-entry+jws", "flette-enrol+jws", 1))
	head("typ JWT", "", strings.Replace(h, "flette-entry+jws", "JWT", 1))
	head("no typ", "", strings.Replace(h, `"typ":"flette-entry+jws",`, "", 1))
	head("no kid", "", strings.Replace(h, `,"kid":"`+kidEd+`"`, "", 1))
	head("kid in upper case", "An id has one spelling.", strings.Replace(h, "0190a000", "0190A000", 1))
	head("kid as a path", "", strings.Replace(h, kidEd, "../../etc/keys", 1))
	head("duplicate header member", "", strings.Replace(h, "{", `{"alg":"ES256",`, 1))
	head("header in another case", "", strings.Replace(h, `"kid"`, `"KID"`, 1))
	head("header byte order mark", "", "\ufeff"+h)
	head("header invalid UTF-8", "", strings.Replace(h, "EdDSA", "EdDSA\xff", 1))
	head("header array", "", "["+h+"]")
	head("header null", "", "null")

	m.refuse("unknown key id", "unknown-key", "No device of the tenant has this id.", nil, m.compact(m.ed, header("EdDSA", kidNo), p))

	flip := append([]byte(nil), sig...)
	flip[5] ^= 1
	m.refuse("flipped bit", badSig, "", m.ed, in+"."+b64.EncodeToString(flip))
	m.refuse("no signature", badSig, "", m.ed, in+".")
	m.refuse("short signature", badSig, "", m.ed, in+"."+b64.EncodeToString(sig[:63]))
	m.refuse("long signature", badSig, "", m.ed, in+"."+b64.EncodeToString(append(append([]byte(nil), sig...), 0)))
	m.refuse("zero signature", badSig, "", m.ed, in+"."+b64.EncodeToString(make([]byte, 64)))
	m.refuse("other payload", badSig, "The signature of another entry.", m.ed, input(h, m.payload(`"score":2`, `"score":5`))+"."+b64.EncodeToString(sig))
	m.refuse("other device's key", badSig, "Signed by a key that is enrolled for another device.", m.ed, in+"."+b64.EncodeToString(m.sign(m.ec, in)))
	seed := sha256.Sum256([]byte("flette test vectors, a stranger"))
	m.refuse("stranger's key", badSig, "", m.ed, in+"."+b64.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), []byte(in))))
	m.refuse("detached payload", badSig, "The payload was signed but not sent.", m.ed, in[:strings.IndexByte(in, '.')+1]+"."+b64.EncodeToString(sig))
	m.refuse("signed payload only", badSig, "The header is not under the signature.", m.ed, in+"."+b64.EncodeToString(ed25519.Sign(m.ed, []byte(p))))
	m.refuse("s plus order", badSig, "Ed25519 malleability: s+L verifies where s is not reduced (RFC 8032 section 5.1.7).", m.ed, in+"."+b64.EncodeToString(addOrder(sig)))
	m.refuse("alg of the other kind", badSig, "The header says ES256, the key is Ed25519.", m.ed, m.compact(m.ed, header("ES256", kidEd), p))

	hc, pc := header("ES256", kidEC), m.payload(kidEd, kidEC)
	inc := input(hc, pc)
	m.refuse("es256 DER", badSig, "ASN.1 instead of r||s.", m.ec, inc+"."+b64.EncodeToString(m.signDER(inc)))
	m.refuse("es256 zero", badSig, "r = s = 0 (CVE-2022-21449).", m.ec, inc+"."+b64.EncodeToString(make([]byte, 64)))
	m.refuse("es256 flipped bit", badSig, "", m.ec, inc+"."+b64.EncodeToString(flipped(m.sign(m.ec, inc))))
	m.refuse("es256 s and r", badSig, "In the wrong order.", m.ec, inc+"."+b64.EncodeToString(swapped(m.sign(m.ec, inc))))
	m.refuse("es256 key, EdDSA header", badSig, "", m.ec, m.compact(m.ec, header("EdDSA", kidEC), pc))

	m.add(contract.Vector{Name: "overlong", Comment: "One byte more than an entry may have: `jws` is to be repeated `times` times.",
		Class: contract.OutcomeRefused, Code: "too-large", Key: m.jwk(m.ed), JWS: "A", Times: 262145})
}

// addOrder adds the group order L to the second half of an Ed25519 signature.
func addOrder(sig []byte) []byte {
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int).SetBytes(reversed(sig[32:]))
	return append(append([]byte(nil), sig[:32]...), reversed(s.Add(s, l).FillBytes(make([]byte, 32)))...)
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

func flipped(sig []byte) []byte {
	sig[40] ^= 0x10
	return sig
}

func swapped(sig []byte) []byte { return append(append([]byte(nil), sig[32:]...), sig[:32]...) }
