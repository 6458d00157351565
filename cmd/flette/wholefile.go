package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"

	"flette/store/bolt"
)

// wholeFile is written beside its name, by its owner alone to read, and takes the name when it is
// whole and synced. Without a name it counts and keeps nothing.
type wholeFile struct {
	path string
	f    *os.File
	w    *bufio.Writer
	sum  hash.Hash
	size int64
}

func newWholeFile(path string) (*wholeFile, error) {
	s := &wholeFile{path: path, sum: sha256.New()}
	if path == "" {
		s.w = bufio.NewWriter(io.Discard)
		return s, nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.partial") // mode 0600
	if err != nil {
		return nil, err
	}
	s.f, s.w = f, bufio.NewWriterSize(f, 1<<20)
	return s, nil
}

func (s *wholeFile) Write(p []byte) (int, error) {
	s.sum.Write(p)
	s.size += int64(len(p))
	return s.w.Write(p)
}

// hash is the SHA-256 of what was written.
func (s *wholeFile) hash() string { return hex.EncodeToString(s.sum.Sum(nil)) }

func (s *wholeFile) finish() error {
	err := errors.Join(s.w.Flush(), s.f.Sync(), s.f.Close())
	if err == nil {
		err = os.Rename(s.f.Name(), s.path)
	}
	if err != nil {
		return err
	}
	s.f = nil
	return bolt.SyncDir(filepath.Dir(s.path))
}

// discard removes what did not become a file.
func (s *wholeFile) discard() {
	if s.f != nil {
		_ = s.f.Close() // it is thrown away
		_ = os.Remove(s.f.Name())
	}
}
