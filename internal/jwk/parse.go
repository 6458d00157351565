package jwk

// Members of a JWK that may stand in a public key. The first four make the key; the rest
// are what WebCrypto and JOSE libraries add when they export one.
type members struct {
	kty, crv, x, y string
	alg, use, kid  string
	ops            []string
	seen           map[string]bool
}

// Parse reads one public JWK. It is strict, because a thumbprint must name one key: each
// member once, no member beyond kty, crv, x, y, alg, use, kid, key_ops and ext, strings
// without escapes, coordinates in canonical base64url of exactly 32 bytes. Any private or
// symmetric member is ErrPrivate, whatever its value.
func Parse(b []byte) (PublicKey, error) {
	m, err := scan(b)
	if err != nil {
		return PublicKey{}, err
	}
	if m.seen["use"] && m.use != "sig" {
		return PublicKey{}, ErrUnsupported
	}
	if m.seen["key_ops"] && (len(m.ops) != 1 || m.ops[0] != "verify") {
		return PublicKey{}, ErrUnsupported
	}
	x, okX := coordinate(m.x)
	y, okY := coordinate(m.y)
	switch {
	case m.kty == "OKP" && m.crv == "Ed25519":
		// RFC 9864 names the algorithm Ed25519 in keys; the older name is EdDSA.
		if m.seen["alg"] && m.alg != EdDSA && m.alg != "Ed25519" {
			return PublicKey{}, ErrUnsupported
		}
		if !okX || m.seen["y"] {
			return PublicKey{}, ErrMalformed
		}
		return newEd25519(x)
	case m.kty == "EC" && m.crv == "P-256":
		if m.seen["alg"] && m.alg != ES256 {
			return PublicKey{}, ErrUnsupported
		}
		if !okX || !okY {
			return PublicKey{}, ErrMalformed
		}
		return newP256(x, y)
	default:
		return PublicKey{}, ErrUnsupported
	}
}

func coordinate(s string) ([]byte, bool) {
	if len(s) != b64.EncodedLen(coordinateLen) {
		return nil, false
	}
	v, err := b64.DecodeString(s)
	return v, err == nil
}

// A public JWK is one flat object of plain strings, so a scanner of three productions reads
// all of it and there is nothing for two readers to disagree about.
type scanner struct {
	b []byte
	i int
}

func scan(b []byte) (*members, error) {
	if len(b) > MaxBytes {
		return nil, ErrMalformed
	}
	s := &scanner{b: b}
	m := &members{seen: make(map[string]bool, 8)}
	if !s.take('{') {
		return nil, ErrMalformed
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return nil, ErrMalformed
		}
		name, ok := s.text()
		if !ok || m.seen[name] || !s.take(':') {
			return nil, ErrMalformed
		}
		m.seen[name] = true
		if err := s.member(m, name); err != nil {
			return nil, err
		}
	}
	if s.space(); s.i != len(b) {
		return nil, ErrMalformed
	}
	return m, nil
}

func (s *scanner) member(m *members, name string) error {
	dst := map[string]*string{"kty": &m.kty, "crv": &m.crv, "x": &m.x, "y": &m.y, "alg": &m.alg, "use": &m.use, "kid": &m.kid}[name]
	ok := false
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		return ErrPrivate
	case "key_ops":
		m.ops, ok = s.list()
	case "ext":
		ok = s.word("true") || s.word("false")
	default:
		if dst != nil {
			*dst, ok = s.text()
		}
	}
	if !ok {
		return ErrMalformed
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	s.space()
	if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
		s.i += len(w)
		return true
	}
	return false
}

// text reads a string of printable ASCII. No member that makes a key needs an escape.
func (s *scanner) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	start := s.i
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return string(s.b[start : s.i-1]), true
		case c < ' ' || c > '~' || c == '\\':
			return "", false
		}
	}
	return "", false
}

func (s *scanner) list() (out []string, ok bool) {
	if !s.take('[') {
		return nil, false
	}
	for !s.take(']') {
		if len(out) > 0 && !s.take(',') {
			return nil, false
		}
		item, ok := s.text()
		if !ok {
			return nil, false
		}
		out = append(out, item)
	}
	return out, true
}
