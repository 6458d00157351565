// Package limitio decodes and encodes message bodies (RFC 9110 Content-Encoding) within a
// bound. A framework's own helper inflated 305 KB to 314 MB here; this one stops at the bound.
//
// [Decode] is for requests, [Encode] for answers. Known codings are gzip, zstd and identity.
// Both are safe for concurrent use and never keep what they are given.
package limitio

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Errors of Decode.
var (
	ErrUnsupported = errors.New("content encoding is not gzip, zstd or identity") // 415
	ErrTooLarge    = errors.New("decoded body is larger than the limit")          // 413
	ErrMalformed   = errors.New("body is not valid in its content encoding")      // 400
)

// maxWindow is the greatest zstd window, so the most that a decoder holds beside its output.
// RFC 8878 asks decoders for 8 MiB, and that is what browsers take.
const maxWindow = 8 << 20

// maxLimit keeps sums of sizes away from the end of the number range.
const maxLimit = 1 << 40

// firstRead is the first size of an output buffer.
const firstRead = 8 << 10

// Decode returns the body without its content encoding: the header's value, which may be
// empty. Output never grows beyond limit bytes and one, whatever the body claims or holds:
// then the error is ErrTooLarge. A list of codings is ErrUnsupported, because nesting
// multiplies ratios. A gzip body is one member, its checksum right, with nothing after it;
// zstd frames may follow each other, under the same bound. With identity the result is body.
func Decode(encoding string, body []byte, limit int64) ([]byte, error) {
	limit = max(0, min(limit, maxLimit))
	switch strings.ToLower(strings.Trim(encoding, " \t")) {
	case "", "identity":
		if int64(len(body)) > limit {
			return nil, ErrTooLarge
		}
		return body, nil
	case "gzip":
		return gunzip(body, limit)
	case "zstd":
		return unzstd(body, limit)
	default:
		return nil, ErrUnsupported
	}
}

// A pooled decoder keeps a pointer to its source; the source is pooled with it and emptied,
// so that the pool holds no body.
type gzipReader struct {
	gzip.Reader
	src bytes.Reader
}

var gzipReaders = sync.Pool{New: func() any { return new(gzipReader) }}

func gunzip(body []byte, limit int64) ([]byte, error) {
	z := gzipReaders.Get().(*gzipReader)
	defer gzipReaders.Put(z)
	defer z.src.Reset(nil)
	z.src.Reset(body)
	if err := z.Reset(&z.src); err != nil {
		return nil, ErrMalformed
	}
	z.Multistream(false)
	out, err := readAll(z, limit)
	if err != nil {
		return nil, err
	}
	if z.src.Len() != 0 { // the decoder takes no byte beyond its member
		return nil, ErrMalformed
	}
	return out, nil
}

type zstdReader struct {
	*zstd.Decoder
	src bytes.Reader
}

// A decoder serves one body at a time, without goroutines (concurrency 1).
var zstdReaders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		return err
	}
	return &zstdReader{Decoder: d}
}}

func unzstd(body []byte, limit int64) ([]byte, error) {
	// What the first frame says about itself is enough to refuse, never enough to trust. An
	// empty body, which the decoder would let pass, has no frame: it was cut.
	var head zstd.Header
	if err := head.Decode(body); err != nil {
		return nil, ErrMalformed
	}
	if head.HasFCS && head.FrameContentSize > uint64(limit) {
		return nil, ErrTooLarge
	}
	d, ok := zstdReaders.Get().(*zstdReader)
	if !ok {
		return nil, ErrUnsupported
	}
	defer zstdReaders.Put(d)
	defer d.src.Reset(nil)
	d.src.Reset(body)
	// Streaming, because decoding in one go sizes its buffer by what the frame claims.
	if err := d.Reset(&d.src); err != nil {
		return nil, ErrMalformed
	}
	return readAll(d, limit)
}

// readAll reads to the end, growing by what has come, up to limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	out := make([]byte, 0, min(firstRead, limit+1))
	for {
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case int64(len(out)) > limit:
			return nil, ErrTooLarge
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return nil, ErrTooLarge
		case err != nil:
			return nil, ErrMalformed
		}
		if len(out) == cap(out) {
			// One byte above the limit is room enough to notice that there is more.
			grown := make([]byte, len(out), min(2*int64(cap(out)), limit+1))
			copy(grown, out)
			out = grown
		}
	}
}
