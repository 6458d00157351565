package limitio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func gz(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, body []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, append(opts, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(body, nil)
}

// zstStream has no content size in its frame.
func zstStream(t testing.TB, body []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	e, err := zstd.NewWriter(&b, append(opts, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(body, 4096) {
		if _, err := e.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecode(t *testing.T) {
	body := []byte(strings.Repeat("registrering ", 1000))
	size := int64(len(body))
	g, z, s := gz(t, body), zst(t, body), zstStream(t, body)
	flip := func(b []byte, i int) []byte {
		out := bytes.Clone(b)
		out[(i+len(b))%len(b)] ^= 0x40
		return out
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tc := range []struct {
		name, encoding string
		in             []byte
		max            int64
		want           error
	}{
		{"no encoding", "", body, size, nil},
		{"identity", "identity", body, size, nil},
		{"gzip", "gzip", g, size, nil},
		{"gzip in capitals and spaces", " GZip\t", g, size, nil},
		{"zstd", "zstd", z, size, nil},
		{"zstd without size", "zstd", s, size, nil},
		{"no limit to speak of", "zstd", z, 1<<63 - 1, nil},

		{"identity too large", "", body, size - 1, ErrTooLarge},
		{"gzip too large by one", "gzip", g, size - 1, ErrTooLarge},
		{"zstd too large by one", "zstd", z, size - 1, ErrTooLarge},
		{"zstd without size too large by one", "zstd", s, size - 1, ErrTooLarge},
		{"gzip, nothing allowed", "gzip", g, 0, ErrTooLarge},
		{"zstd, less than nothing allowed", "zstd", s, -1, ErrTooLarge},
		{"window of 16 MiB", "zstd", zstStream(t, body, zstd.WithWindowSize(16<<20)), size, ErrTooLarge},

		{"brotli", "br", body, size, ErrUnsupported},
		{"deflate", "deflate", body, size, ErrUnsupported},
		{"list", "gzip, zstd", g, size, ErrUnsupported},
		{"twice gzip", "gzip, gzip", gz(t, g), size, ErrUnsupported},
		{"list with identity", "identity, gzip", g, size, ErrUnsupported},
		{"any", "*", body, size, ErrUnsupported},
		{"with a weight", "gzip;q=1", g, size, ErrUnsupported},

		{"gzip that is plain", "gzip", body, size, ErrMalformed},
		{"zstd that is plain", "zstd", body, size, ErrMalformed},
		{"gzip that is zstd", "gzip", z, size, ErrMalformed},
		{"zstd that is gzip", "zstd", g, size, ErrMalformed},
		{"gzip of nothing at all", "gzip", nil, size, ErrMalformed},
		{"zstd of nothing at all", "zstd", nil, size, ErrMalformed},
		{"gzip, trailing byte", "gzip", join(g, []byte{0}), size, ErrMalformed},
		{"gzip, second member", "gzip", join(g, gz(t, []byte("x"))), 2 * size, ErrMalformed},
		{"gzip, wrong checksum", "gzip", flip(g, -8), size, ErrMalformed},
		{"gzip, wrong size", "gzip", flip(g, -1), size, ErrMalformed},
		{"zstd, trailing byte", "zstd", join(z, []byte{7}), size, ErrMalformed},
		{"zstd, wrong checksum", "zstd", flip(z, -1), size, ErrMalformed},
		{"zstd, two frames over the limit", "zstd", join(z, z), 2*size - 1, ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Decode(tc.encoding, tc.in, tc.max)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if err == nil && !bytes.Equal(got, body) || err != nil && got != nil {
				t.Errorf("%d bytes, error %v", len(got), err)
			}
		})
	}
	for name, in := range map[string][]byte{"gzip": g, "zstd": z} {
		for cut := range len(in) {
			if got, err := Decode(name, in[:cut], size); !errors.Is(err, ErrMalformed) || got != nil {
				t.Errorf("%s cut at %d of %d: %d bytes, error %v", name, cut, len(in), len(got), err)
			}
		}
	}
	for name, in := range map[string][]byte{"gzip": gz(t, nil), "zstd": zst(t, nil, zstd.WithZeroFrames(true))} {
		if got, err := Decode(name, in, 0); err != nil || len(got) != 0 {
			t.Errorf("%s of an empty body: %d bytes, error %v", name, len(got), err)
		}
	}
}

// gzipBomb is about 10 MB that inflate to 10 GB: one deflated mebibyte of zeros, repeated.
func gzipBomb(t testing.TB) []byte {
	var one bytes.Buffer
	w, err := flate.NewWriter(&one, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	head := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	return append(head, bytes.Repeat(one.Bytes(), 10<<10)...)
}

// zstdBomb is 10 GB of zeros in run-length blocks of 128 KiB, four bytes each.
func zstdBomb(claim bool) []byte {
	const blocks = 80 << 10
	b := []byte{0x28, 0xb5, 0x2f, 0xfd}
	if claim {
		b = append(b, 0xc0, 0x58) // content size of 8 bytes, window 2 MiB
		b = binary.LittleEndian.AppendUint64(b, blocks*128<<10)
	} else {
		b = append(b, 0x00, 0x58)
	}
	for i := range blocks {
		last := uint32(0)
		if i == blocks-1 {
			last = 1
		}
		h := last | 1<<1 | 128<<10<<3
		b = append(b, byte(h), byte(h>>8), byte(h>>16), 0)
	}
	return b
}

func TestBombsStayFlat(t *testing.T) {
	const limit = 4 << 20
	// A bomb that lies about its size is no zip of ours, but must cost no more.
	lie := zstdBomb(true)
	binary.LittleEndian.PutUint64(lie[6:], 100)
	for _, tc := range []struct {
		name, encoding string
		bomb           []byte
		want           error
	}{
		{"gzip", "gzip", gzipBomb(t), ErrTooLarge},
		{"zstd", "zstd", zstdBomb(false), ErrTooLarge},
		{"zstd that says so", "zstd", zstdBomb(true), ErrTooLarge},
		{"zstd that lies", "zstd", lie, ErrMalformed},
		{"zstd frames in a row", "zstd", bytes.Repeat(zst(t, make([]byte, 1<<20)), 10<<10), ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			const rounds = 4
			for range rounds {
				if _, err := Decode(tc.encoding, tc.bomb, limit); !errors.Is(err, tc.want) {
					t.Fatalf("error %v, want %v", err, tc.want)
				}
			}
			runtime.ReadMemStats(&after)
			// Everything that was ever allocated: doubling up to the limit sums to twice the
			// limit, plus the decoder and its window.
			if got := (after.TotalAlloc - before.TotalAlloc) / rounds; got > 2*limit+maxWindow {
				t.Errorf("%d KiB allocated for a limit of %d KiB", got>>10, limit>>10)
			}
		})
	}
}

// A small body allocates by what it holds, not by what it may become or claims to be.
func TestClaimsAreNotAllocated(t *testing.T) {
	small := bytes.Clone(zstdBomb(true)[:14+4])
	binary.LittleEndian.PutUint64(small[6:], 1<<30)
	if _, err := Decode("zstd", small, 1<<31); !errors.Is(err, ErrMalformed) {
		t.Fatalf("error %v", err) // warms the pool: the window is held there
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode("zstd", small, 1<<31)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrMalformed) || got > 2*maxWindow {
		t.Errorf("%d KiB allocated, error %v", got>>10, err)
	}
}

func TestChoose(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                  "",
		"gzip":                              "gzip",
		"zstd":                              "zstd",
		"gzip, deflate, br, zstd":           "zstd",
		"gzip, deflate, br":                 "gzip",
		"GZIP":                              "gzip",
		"deflate, br":                       "",
		"*":                                 "zstd",
		"*;q=0":                             "",
		"*;q=0, gzip":                       "gzip",
		"zstd;q=0, *":                       "gzip",
		"zstd;q=0, gzip;q=0, *":             "",
		"gzip;q=1.0, zstd;q=0.5":            "gzip",
		"gzip;q=0.5 , zstd;q=0.5":           "zstd",
		"gzip; q=0.5":                       "gzip",
		"gzip;q=0":                          "",
		"gzip;q=0.000, zstd;q=0.001":        "zstd",
		"identity":                          "",
		"identity;q=1, gzip;q=0.5":          "",
		"identity;q=0.5, gzip;q=0.5":        "gzip",
		"identity;q=0, gzip":                "gzip",
		"identity;q=0":                      "",
		"gzip;q=nan, zstd;q=2":              "",
		"gzip;level=9":                      "",
		"gzip;q=0, gzip":                    "",
		",,;q=1,":                           "",
		strings.Repeat("x,", 5000) + "gzip": "gzip",
	} {
		if got := choose(accept); got != want {
			t.Errorf("%.60q: %q, want %q", accept, got, want)
		}
	}
}

func TestEncode(t *testing.T) {
	large := []byte(strings.Repeat("registrering ", 1000))
	noise := make([]byte, 4096)
	src := rand.NewChaCha8([32]byte{})
	_, _ = src.Read(noise)
	for _, tc := range []struct {
		name, accept string
		body         []byte
		want         string
	}{
		{"zstd", "zstd, gzip", large, "zstd"},
		{"gzip", "gzip", large, "gzip"},
		{"nothing asked", "", large, ""},
		{"small", "zstd, gzip", large[:minEncode-1], ""},
		{"just large enough", "zstd, gzip", large[:minEncode], "zstd"},
		{"noise does not shrink", "zstd, gzip", noise, ""},
		{"empty", "zstd", nil, ""},
	} {
		got, encoding := Encode(tc.accept, tc.body)
		back, err := Decode(encoding, got, 1<<20)
		if encoding != tc.want || err != nil || !bytes.Equal(back, tc.body) || len(got) > len(tc.body) {
			t.Errorf("%s: %q, %d bytes, error %v, want %q", tc.name, encoding, len(got), err, tc.want)
		}
	}
}

// Pooled coders carry nothing from one body to the next, also after a failure.
func TestPoolsAreClean(t *testing.T) {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				body := []byte(strings.Repeat(fmt.Sprintf("worker %d round %d ", worker, i), 200))
				accept := []string{"gzip", "zstd"}[i%2]
				enc, encoding := Encode(accept, body)
				if _, err := Decode(encoding, enc[:len(enc)/2], 1<<20); !errors.Is(err, ErrMalformed) {
					t.Errorf("cut %s: %v", encoding, err)
				}
				if _, err := Decode(encoding, enc, 100); !errors.Is(err, ErrTooLarge) {
					t.Errorf("limited %s: %v", encoding, err)
				}
				if got, err := Decode(encoding, enc, 1<<20); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s: %d bytes, error %v", encoding, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "unit")
		body := bytes.Repeat(unit, rapid.IntRange(0, 300).Draw(t, "times"))
		accept := rapid.SampledFrom([]string{"gzip", "zstd", "*", ""}).Draw(t, "accept")
		enc, encoding := Encode(accept, body)
		got, err := Decode(encoding, enc, int64(len(body)))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%s: %d bytes of %d, error %v", encoding, len(got), len(body), err)
		}
		if len(body) > 0 {
			if _, err := Decode(encoding, enc, int64(len(body))-1); !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%s over the limit: %v", encoding, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	body := []byte(strings.Repeat("a", 100))
	f.Add("gzip", gz(f, body))
	f.Add("zstd", zst(f, body))
	f.Add("zstd", zstStream(f, body))
	f.Add("zstd", zstdBomb(true)[:40])
	f.Add("br", body)
	f.Fuzz(func(t *testing.T, encoding string, in []byte) {
		const limit = 1 << 16
		out, err := Decode(encoding, in, limit)
		switch {
		case err == nil && len(out) > limit:
			t.Fatalf("%d bytes above the limit", len(out))
		case err != nil && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrMalformed):
			t.Fatalf("error outside the vocabulary: %v", err)
		}
		enc, name := Encode(encoding, in)
		if back, err := Decode(name, enc, int64(len(in))); err != nil || !bytes.Equal(back, in) {
			t.Fatalf("round trip as %q: %v", name, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var body []byte
	for i := range 60 { // like a push of twenty entries
		body = fmt.Appendf(body, `{"unit":"score/%d","value":{"score":%d},"over":["%d"]},`, i, i%5, i*7919)
	}
	for name, in := range map[string][]byte{"gzip": gz(b, body), "zstd": zst(b, body), "zstdStream": zstStream(b, body)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := Decode(name[:4], in, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, name := range []string{"gzip", "zstd"} {
		b.Run("encode/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, got := Encode(name, body); got != name {
					b.Fatal(got)
				}
			}
		})
	}
}

// What was flushed can be read before the stream goes on, in every coding, and a coder that
// went back to its pool begins anew.
func TestEncoderStreams(t *testing.T) {
	lines := []string{"{\"a\":1}\n", strings.Repeat("line ", 500) + "\n", "end\n"}
	for accept, want := range map[string]string{"zstd": "zstd", "gzip": "gzip", "": "", "br": ""} {
		for range 3 {
			wire, out := io.Pipe()
			enc, name := NewEncoder(accept, out)
			if name != want {
				t.Fatalf("accept %q: coding %q", accept, name)
			}
			seen := make(chan struct{})
			go func() {
				for _, line := range lines {
					_, err := io.WriteString(enc, line)
					if err = errors.Join(err, enc.Flush()); err != nil {
						t.Error(err)
					}
					<-seen
				}
				_ = out.CloseWithError(errors.Join(enc.Close(), io.EOF))
			}()
			var r io.Reader = wire
			var err error
			switch name {
			case "gzip":
				r, err = gzip.NewReader(wire)
			case "zstd":
				var d *zstd.Decoder
				if d, err = zstd.NewReader(wire, zstd.WithDecoderConcurrency(1)); err == nil {
					defer d.Close()
				}
				r = d
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				got := make([]byte, len(line))
				if _, err := io.ReadFull(r, got); err != nil || string(got) != line {
					t.Fatalf("%s: %q, %v", name, got, err)
				}
				seen <- struct{}{}
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("%s: after the end: %d bytes, %v", name, n, err)
			}
			_ = wire.Close()
		}
	}
}
