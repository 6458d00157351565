package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	gosync "sync"
)

// spool keeps the outboxes of all tablets in one file, so that ten thousand tablets fit
// into the memory of one process. It is written once and read often.
type spool struct {
	f  *os.File
	mu gosync.Mutex
	at int64
}

// outbox is where a tablet's signed entries lie in the spool.
type outbox struct {
	at   int64
	size int32
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "flette-load-*.spool")
	if err != nil {
		return nil, err
	}
	return &spool{f: f}, nil
}

// put stores the entries of a tablet. Entries hold no line breaks.
func (s *spool) put(entries []string) (outbox, error) {
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(e)
		b.WriteByte('\n')
	}
	s.mu.Lock()
	at := s.at
	s.at += int64(b.Len())
	s.mu.Unlock()
	_, err := s.f.WriteAt(b.Bytes(), at)
	return outbox{at, int32(b.Len())}, err
}

// get reads them back, in order.
func (s *spool) get(o outbox) ([]string, error) {
	if o.size == 0 {
		return nil, nil
	}
	b := make([]byte, o.size)
	if _, err := s.f.ReadAt(b, o.at); err != nil {
		return nil, fmt.Errorf("the spool of signed entries: %w", err)
	}
	var out []string
	for line := range bytes.Lines(b) {
		out = append(out, string(line[:len(line)-1]))
	}
	return out, nil
}

// close removes the file.
func (s *spool) close() error { return errors.Join(s.f.Close(), os.Remove(s.f.Name())) }
