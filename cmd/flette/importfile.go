package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
)

// importFile is a file that is read twice: to judge it, and to enter what it says. What the
// second reading gives is what the first one gave, byte by byte, or it ends with an error.
type importFile struct {
	r      io.ReadSeeker
	close  func() error
	size   int64
	chunks [][sha256.Size]byte // of the first reading
	sum    hash.Hash           // of the whole file
	read   bool                // the first reading came to the end
}

const importChunk = 1 << 20

var errFileChanged = problemf("file-changed", "the file has changed since it was checked; import it again")

// openTwice opens the file. What is no file on a disk is held in memory: nobody who pipes
// identity numbers wants them on one.
func (f *importFlags) openTwice() (*importFile, error) {
	if f.File != "-" {
		file, err := os.Open(f.File)
		if err != nil {
			return nil, problemf("file", "the import file cannot be read: %v", err)
		}
		info, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if info.Mode().IsRegular() {
			return &importFile{r: file, close: file.Close, size: info.Size(), sum: sha256.New()}, nil
		}
		defer file.Close()
		return inMemory(file)
	}
	return inMemory(os.Stdin)
}

func inMemory(r io.Reader) (*importFile, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, problemf("file", "the import file cannot be read: %v", err)
	case len(body) > maxFile:
		return nil, problemf("file-too-large", "what is piped is held in memory, up to %d MiB; split it, or give a file on a disk", maxFile>>20)
	}
	return &importFile{r: bytes.NewReader(body), close: func() error { return nil }, size: int64(len(body)), sum: sha256.New()}, nil
}

// sha256 of the file, hexadecimal, after the first reading.
func (i *importFile) sha256() string { return hex.EncodeToString(i.sum.Sum(nil)) }

// pass reads the file from its beginning and tells how far it is.
func (i *importFile) pass(ctx context.Context, progress func(done, of int64)) (io.Reader, error) {
	if _, err := i.r.Seek(0, io.SeekStart); err != nil {
		return nil, problemf("file", "the import file cannot be read: %v", err)
	}
	return &filePass{ctx: ctx, file: i, progress: progress, chunk: make([]byte, 0, importChunk)}, nil
}

// filePass is one reading.
type filePass struct {
	ctx      context.Context
	file     *importFile
	progress func(done, of int64)
	chunk    []byte
	at       int // in chunk
	n        int // chunks so far
	given    int64
}

// Read gives bytes that were hashed in the first reading, or are those of the first reading.
func (p *filePass) Read(out []byte) (int, error) {
	if p.at == len(p.chunk) {
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	n := copy(out, p.chunk[p.at:])
	p.at += n
	p.given += int64(n)
	p.progress(p.given, p.file.size)
	return n, nil
}

func (p *filePass) next() error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	n, err := io.ReadFull(p.file.r, p.chunk[:importChunk])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return problemf("file", "the import file cannot be read: %v", err)
	}
	p.chunk, p.at = p.chunk[:n], 0
	f := p.file
	if n == 0 {
		if f.read && p.n != len(f.chunks) {
			return errFileChanged
		}
		f.read = true
		return io.EOF
	}
	sum := sha256.Sum256(p.chunk)
	switch {
	case !f.read:
		f.chunks = append(f.chunks, sum)
		f.sum.Write(p.chunk)
	case p.n >= len(f.chunks) || f.chunks[p.n] != sum:
		return errFileChanged
	}
	p.n++
	return nil
}
