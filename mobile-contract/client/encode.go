package client

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encodings of request bodies.
const (
	EncodingNone = ""
	EncodingGzip = "gzip"
	EncodingZstd = "zstd"
)

// Compressors are shared: thousands of tablets in one process would otherwise hold a window each.
var (
	gzips = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	zstds = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<18), zstd.WithEncoderConcurrency(2))
	})
)

func encodeBody(encoding string, body []byte) ([]byte, error) {
	switch encoding {
	case EncodingNone:
		return body, nil
	case EncodingGzip:
		var out bytes.Buffer
		w := gzips.Get().(*gzip.Writer)
		defer gzips.Put(w)
		w.Reset(&out)
		if _, err := w.Write(body); err != nil {
			return nil, fmt.Errorf("client: gzip: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("client: gzip: %w", err)
		}
		return out.Bytes(), nil
	case EncodingZstd:
		enc, err := zstds()
		if err != nil {
			return nil, fmt.Errorf("client: zstd: %w", err)
		}
		return enc.EncodeAll(body, nil), nil
	}
	return nil, fmt.Errorf("client: encoding %q is not one of the contract's", encoding)
}
