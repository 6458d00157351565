package limitio

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// minEncode is the least body that is worth encoding, in bytes.
const minEncode = 1 << 10

// Encode returns body in the coding that an Accept-Encoding value likes best, and that
// coding's name for Content-Encoding: "zstd", "gzip" or "" (identity). Among equals zstd goes
// before gzip before identity; q=0 forbids. Bodies below 1 KiB and bodies that do not shrink
// stay as they are; the result is then body itself. An answer that depends on this needs
// `Vary: Accept-Encoding`.
func Encode(accept string, body []byte) (encoded []byte, encoding string) {
	if len(body) < minEncode {
		return body, ""
	}
	coding := choose(accept)
	switch coding {
	case "zstd":
		encoded = toZstd(body)
	case "gzip":
		encoded = toGzip(body)
	}
	if encoded == nil || len(encoded) >= len(body) {
		return body, ""
	}
	return encoded, coding
}

// choose reads Accept-Encoding (RFC 9110 section 12.5.3).
func choose(accept string) string {
	q := map[string]int{}
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if _, named := q[name]; name != "" && !named {
			q[name] = quality(params)
		}
	}
	weight := func(name string) int {
		if w, named := q[name]; named {
			return w
		}
		return q["*"]
	}
	// Identity is always allowed, but unless it is named nobody asked for it.
	best, most := "", q["identity"]
	for _, name := range []string{"gzip", "zstd"} {
		if w := weight(name); w > 0 && w >= most {
			best, most = name, w
		}
	}
	return best
}

// quality reads `q=` in thousandths; what cannot be read forbids, so that a coding is never
// sent to someone who may have refused it.
func quality(params string) int {
	params = strings.ToLower(strings.Trim(params, " \t"))
	if params == "" {
		return 1000
	}
	value, ok := strings.CutPrefix(params, "q=")
	f, err := strconv.ParseFloat(value, 64)
	if !ok || err != nil || !(f >= 0 && f <= 1) {
		return 0
	}
	return int(f*1000 + 0.5)
}

var zstdWriters = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil
	}
	return e
}}

func toZstd(body []byte) []byte {
	e, ok := zstdWriters.Get().(*zstd.Encoder)
	if !ok {
		return nil
	}
	defer zstdWriters.Put(e)
	return e.EncodeAll(body, make([]byte, 0, len(body)/4+64))
}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		return nil
	}
	return w
}}

func toGzip(body []byte) []byte {
	w, ok := gzipWriters.Get().(*gzip.Writer)
	if !ok {
		return nil
	}
	defer gzipWriters.Put(w)
	var out bytes.Buffer
	out.Grow(len(body)/4 + 64)
	w.Reset(&out)
	_, errWrite := w.Write(body)
	if errClose := w.Close(); errWrite != nil || errClose != nil {
		return nil
	}
	w.Reset(nil) // held in the pool, the writer must not keep the answer
	return out.Bytes()
}

// Encoder encodes a stream. Flush makes all that was written readable at the other end; Close
// ends the coding, not what is below. It must be closed once.
type Encoder interface {
	io.Writer
	Flush() error
	Close() error
}

// NewEncoder writes to w in the coding that an Accept-Encoding value likes best, and gives
// that coding's name for Content-Encoding: "zstd", "gzip" or "" (identity).
func NewEncoder(accept string, w io.Writer) (Encoder, string) {
	switch choose(accept) {
	case "zstd":
		if e, ok := zstdWriters.Get().(*zstd.Encoder); ok {
			e.Reset(w)
			return &pooled{e, func() { e.Reset(nil); zstdWriters.Put(e) }}, "zstd"
		}
	case "gzip":
		if e, ok := gzipWriters.Get().(*gzip.Writer); ok {
			e.Reset(w)
			return &pooled{e, func() { e.Reset(nil); gzipWriters.Put(e) }}, "gzip"
		}
	}
	return plain{w}, ""
}

type coder interface {
	io.WriteCloser
	Flush() error
}

// pooled gives its coder back when it is closed.
type pooled struct {
	coder
	back func()
}

// Close ends the coding.
func (p *pooled) Close() error {
	err := p.coder.Close()
	p.back()
	return err
}

type plain struct{ io.Writer }

// Flush does nothing: nothing is held back.
func (plain) Flush() error { return nil }

// Close does nothing.
func (plain) Close() error { return nil }
