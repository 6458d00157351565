package api

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// The front check refuses messages that two HTTP readers could read differently (H8): the
// means of request smuggling when a proxy stands before us. It looks at the header lines as
// they came, because the parser (fasthttp v1.65.0) keeps one value of a repeated Host, lets
// Transfer-Encoding overrule Content-Length, joins folded lines and forgives bare line feeds.
//
// What the parser refuses by itself: two Content-Length, other transfer codings than chunked,
// control bytes, names that are no tokens, versions that are no versions. What it hides from
// us: empty lines before the request line (which RFC 9112 section 2.2 allows), and malformed chunk
// extensions. It has read the body when we are asked, so the connection is closed.

// smuggled names what is wrong with the message, "" when nothing is.
func smuggled(h *fasthttp.RequestHeader) string {
	switch string(h.Protocol()) {
	case "HTTP/1.1", "HTTP/1.0":
	default:
		return "the HTTP version is not 1.1 or 1.0"
	}
	if uri := h.RequestURI(); len(uri) == 0 || uri[0] != '/' {
		return "the request target is not an absolute path"
	} else if !printable(uri) || bytes.IndexByte(uri, '#') >= 0 {
		return "the request target holds characters that do not belong there"
	}
	seen := map[string]int{}
	for rest := h.RawHeaders(); ; {
		line, after, more := bytes.Cut(rest, []byte("\n"))
		if !more {
			if len(line) != 0 {
				return "the header does not end in a line break"
			}
			break
		}
		rest = after
		line, crlf := bytes.CutSuffix(line, []byte("\r"))
		if !crlf || bytes.IndexByte(line, '\r') >= 0 {
			return "a header line ends in something else than CR LF"
		}
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return "a header line is folded"
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			return "a header name is not a token"
		}
		seen[string(bytes.ToLower(name))]++
	}
	return repeated(seen, string(h.Protocol()) == "HTTP/1.0")
}

// repeated judges the names that must not come twice, or not together.
func repeated(seen map[string]int, old bool) string {
	if seen["host"] == 0 && !old || seen["host"] > 1 {
		return "there must be one Host header"
	}
	for _, name := range []string{"content-length", "transfer-encoding", "content-type", "content-encoding", "expect"} {
		if seen[name] > 1 {
			return "a header that must be single is repeated"
		}
	}
	if seen["transfer-encoding"] > 0 && (seen["content-length"] > 0 || old) {
		return "Content-Length and Transfer-Encoding do not go together"
	}
	return ""
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
