package main

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/sync"
)

// stream is an [op] over lines of a file that are handed in one after the other, so that
// nobody holds the file.
type stream[In, Row, Out any] struct {
	name  string
	reads bool // the store is opened read-only
	run   func(ctx context.Context, a *app, in In, rows sync.Lines[Row]) (Out, error)
}

// doStream does a stream wherever it can be done. Errors are a *problem. An error of the lines is
// the error of the whole.
func doStream[In, Row, Out any](ctx context.Context, at dataFlags, s stream[In, Row, Out], in In, rows sync.Lines[Row]) (out Out, err error) {
	running, err := serverRuns(at.Data)
	switch {
	case err != nil:
	case running:
		err = s.post(ctx, at.Data, in, rows, &out)
	default:
		local := op[In, Out]{name: s.name, reads: s.reads, run: func(ctx context.Context, a *app, in In) (Out, error) { return s.run(ctx, a, in, rows) }}
		out, err = doHere(ctx, at, local, in)
	}
	if err != nil {
		return out, problemOf(err)
	}
	return out, nil
}

// post sends what the stream is about and then the lines, as JSON values.
func (s stream[In, Row, Out]) post(ctx context.Context, dir string, in In, rows sync.Lines[Row], out *Out) error {
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- func() error {
			b := bufio.NewWriterSize(w, 1<<16)
			e := jsontext.NewEncoder(b)
			if err := json.MarshalEncode(e, in); err != nil {
				return err
			}
			for row, err := range rows {
				if err == nil {
					err = json.MarshalEncode(e, row)
				}
				if err != nil {
					_ = w.CloseWithError(err) // the server sees that the lines were cut off
					return err
				}
			}
			err := b.Flush()
			return errors.Join(err, w.Close())
		}()
	}()
	err := postServer(ctx, dir, s.name, r, out)
	_ = r.CloseWithError(io.ErrClosedPipe) // the answer is here: what is not sent by now is not asked for
	if cut := <-ended; cut != nil && !errors.Is(cut, io.ErrClosedPipe) {
		return cut
	}
	return err
}

func (s stream[In, Row, Out]) opName() string { return s.name }

func (s stream[In, Row, Out]) handle(ctx context.Context, a *app, body io.Reader) ([]byte, error) {
	// Whatever becomes of the lines, they are read to the end, where the other side waits for the answer.
	defer func() { _, _ = io.Copy(io.Discard, body) }()
	d := jsontext.NewDecoder(bufio.NewReaderSize(body, 1<<16))
	var in In
	if err := json.UnmarshalDecode(d, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, errOtherVersion
	}
	out, err := s.run(ctx, a, in, func(yield func(Row, error) bool) {
		for {
			var row Row
			err := json.UnmarshalDecode(d, &row, json.RejectUnknownMembers(true))
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = problemf("cut-off", "the lines were cut off on the way to the server, or it is another version of flette: %v", errors.Unwrap(err))
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
