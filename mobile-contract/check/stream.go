package check

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// streamed are the media types of answers that are judged piece by piece, as they come: the
// schema is that of one piece. A piece is cut from the front of what has arrived; nil when it
// is not there yet.
var streamed = map[string]func([]byte) (piece, rest []byte){
	"application/x-ndjson": func(b []byte) ([]byte, []byte) { return cutAfter(b, "\n") },
	"text/event-stream":    func(b []byte) ([]byte, []byte) { return cutAfter(b, "\n\n") },
}

func cutAfter(b []byte, end string) (piece, rest []byte) {
	if i := bytes.Index(b, []byte(end)); i >= 0 {
		return b[:i+len(end)], b[i+len(end):]
	}
	return nil, b
}

// pieces judges a whole streamed body.
func (c *Checker) pieces(mime, schema string, body []byte) (errs []error) {
	for len(body) > 0 {
		piece, rest := streamed[mime](body)
		if piece == nil {
			return append(errs, fmt.Errorf("answer: the last piece is not complete"))
		}
		errs = append(errs, c.piece(mime, schema, piece)...)
		body = rest
	}
	return errs
}

func (c *Checker) piece(mime, schema string, piece []byte) []error {
	if mime == "text/event-stream" {
		return c.event(schema, string(piece))
	}
	return prefix("answer: line", c.spec.validate(schema, piece[:len(piece)-1]))
}

// event judges a server-sent event: a comment, or a name of the contract without data (C13).
func (c *Checker) event(schema, text string) (errs []error) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
		case "event":
			name, err := json.Marshal(value)
			if err != nil {
				return append(errs, err)
			}
			errs = append(errs, prefix("answer: event", c.spec.validate(schema, name))...)
		case "data":
			if value != "" {
				errs = append(errs, fmt.Errorf("answer: an event carries data"))
			}
		case "retry":
			if value == "" || strings.Trim(value, "0123456789") != "" {
				errs = append(errs, fmt.Errorf("answer: retry is not a number of milliseconds"))
			}
		default:
			errs = append(errs, fmt.Errorf("answer: field %q of an event is not in the contract", field))
		}
	}
	return errs
}

// streamedAnswer judges a streamed answer while the client reads it: what it has read when it stops,
// or the network does, must fit. It is false for other answers.
func (c *Checker) streamedAnswer(req *http.Request, sent []byte, res *http.Response, report func(error)) bool {
	m := mime(res.Header)
	if streamed[m] == nil || res.Header.Get("Content-Encoding") != "" {
		return false
	}
	// Everything but the body is judged at once.
	if err := c.Exchange(req, sent, res, nil); err != nil {
		report(err)
	}
	op, _, _ := c.spec.route(req.Method, req.URL.Path)
	if op == nil || op.responses["200"] == nil {
		return true
	}
	schema := op.responses["200"].content[m]
	where := fmt.Sprintf("%s %s -> %d", req.Method, req.URL.Path, res.StatusCode)
	res.Body = &judgedBody{ReadCloser: res.Body, judge: func(rest []byte) []byte {
		for {
			piece, after := streamed[m](rest)
			if piece == nil {
				return rest
			}
			if errs := c.piece(m, schema, piece); len(errs) > 0 {
				report(wrap(where, errs))
			}
			rest = after
		}
	}, end: func() { report(fmt.Errorf("%s: the last piece is not complete", where)) }}
	return true
}

// judgedBody hands what is read to a judge, which keeps what it cannot judge yet.
type judgedBody struct {
	io.ReadCloser
	judge func([]byte) []byte
	end   func()
	rest  []byte
}

// Read reads on.
func (b *judgedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.rest = b.judge(append(b.rest, p[:n]...))
	if err == io.EOF && len(b.rest) > 0 { // a cut connection is another error
		b.end()
	}
	return n, err
}
