package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"flette/sync"
)

// readPass reads a file once and gives what came and the error that ended it.
func readPass(t *testing.T, f *importFile) ([]byte, error) {
	t.Helper()
	r, err := f.pass(t.Context(), func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return io.ReadAll(r)
}

// What the second reading gives was hashed in the first one, to the byte before a change.
func TestImportFileThatChanges(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcde\n"), 3*importChunk/16)
	body = body[:len(body)-5]
	for name, change := range map[string]func(path string) error{
		"a byte in the second chunk": func(path string) error {
			b := bytes.Clone(body)
			b[importChunk+7] ^= 1
			return os.WriteFile(path, b, 0o600)
		},
		"shorter": func(path string) error { return os.Truncate(path, 2*importChunk) },
		"longer":  func(path string) error { return os.WriteFile(path, append(bytes.Clone(body), "x\n"...), 0o600) },
	} {
		path := filepath.Join(t.TempDir(), "f.csv")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := (&importFlags{File: path}).openTwice()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readPass(t, f); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%s: first reading: %d bytes, %v", name, len(got), err)
		}
		if got, err := readPass(t, f); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%s: second reading: %d bytes, %v", name, len(got), err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		got, err := readPass(t, f)
		if !errors.Is(err, errFileChanged) || !bytes.HasPrefix(body, got) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}
}

// The reader of records gives the CSV reader what it would have read without it.
func TestCSVRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		body := []byte(rapid.StringMatching(`["";,a\r\n]{0,40}`).Draw(rt, "body"))
		comma := rapid.SampledFrom([]byte{',', ';'}).Draw(rt, "comma")
		read := func(r io.Reader) (out []string) {
			c := csv.NewReader(r)
			c.Comma, c.FieldsPerRecord = rune(comma), -1
			for {
				record, err := c.Read()
				if errors.Is(err, io.EOF) {
					return out
				}
				if err != nil {
					out = append(out, err.Error())
					continue
				}
				line, _ := c.FieldPos(0)
				out = append(out, strings.Join(append(slices.Clone(record), string(rune('0'+line%10))), "|"))
			}
		}
		in := &intake{}
		if diff := cmp.Diff(read(bytes.NewReader(body)), read(&csvRecords{t: newTextLines(bytes.NewReader(body), in), comma: comma})); diff != "" || len(in.problems) > 0 {
			rt.Fatalf("%q: %v (-plain +by records)\n%s", body, in.problems, diff)
		}
	})
}

// counted counts what is read of it.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// A quote that never ends does not bring the file into memory, and one inside a value begins none.
func TestQuoteThatNeverEnds(t *testing.T) {
	rest := strings.Repeat("1,x,9999\n", 1<<20)
	file := &counted{r: strings.NewReader("number,name,kommune\n1,\"x,9999\n" + rest)}
	_, err := readPersons(file, "csv", "2026-11-22")
	if diff := cmp.Diff([]string{"2  bad-quotes"}, codesOf(t, err)); diff != "" || file.n > 4*maxLine {
		t.Errorf("%d bytes were read (-want +got)\n%s", file.n, diff)
	}
	_, err = readPersons(strings.NewReader("number,name,kommune\n1,x 5\" y,9999\n"+strings.Repeat("1,x,9999\n", 1<<14)), "csv", "2026-11-22")
	if diff := cmp.Diff([]string{"2  bad-quotes"}, codesOf(t, err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Lines that were cut off on the way are an error, never the end of the file.
func TestStreamThatIsCutOff(t *testing.T) {
	got := 0
	s := stream[takeOverOf, sync.PersonInput, int]{run: func(_ context.Context, _ *app, in takeOverOf, rows sync.Lines[sync.PersonInput]) (int, error) {
		got = 0
		for _, err := range rows {
			if err != nil {
				return 0, err
			}
			got++
		}
		return got, nil
	}}
	whole := `{"tenant":"testvik","source":{"Actor":"cli/ola","SHA256":"00"}} {"Line":2,"Number":"1"} {"Line":3,"Number":"2"}`
	if out, err := s.handle(t.Context(), nil, strings.NewReader(whole)); err != nil || string(out) != "2" {
		t.Fatalf("%s, %v", out, err)
	}
	for n := range whole {
		out, err := s.handle(t.Context(), nil, io.MultiReader(strings.NewReader(whole[:n]), failing{io.ErrUnexpectedEOF}))
		if err == nil || got > 2 {
			t.Fatalf("cut at byte %d: %s after %d lines", n, out, got)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
