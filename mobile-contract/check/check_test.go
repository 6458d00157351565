package check

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/getkin/kin-openapi/openapi3"

	contract "flette/mobile-contract"
)

// A second reader agrees that the document is OpenAPI 3.1 and that its examples fit.
func TestContractIsOpenAPI(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPIJSON())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
}

// Every schema compiles and every example fits its own.
func TestExamplesFit(t *testing.T) {
	s, err := newSpec(contract.OpenAPIJSON())
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	var walk func(pointer string, node any)
	walk = func(pointer string, node any) {
		switch n := node.(type) {
		case map[string]any:
			if sch := n["schema"]; sch != nil {
				if _, err := s.schema(pointer + "/schema"); err != nil {
					t.Errorf("%s: %v", pointer, err)
				}
				if ex, ok := n["example"]; ok {
					examples++
					for _, err := range s.validateValue(pointer+"/schema", ex) {
						t.Errorf("%s/example: %v", pointer, err)
					}
				}
			}
			if list, ok := n["examples"].([]any); ok && strings.HasPrefix(pointer, "/components/schemas/") {
				for _, ex := range list {
					examples++
					for _, err := range s.validateValue(pointer, ex) {
						t.Errorf("%s/examples: %v", pointer, err)
					}
				}
			}
			for k, v := range n {
				if k != "example" && k != "examples" {
					walk(pointer+"/"+escape(k), v)
				}
			}
		case []any:
			for i, v := range n {
				walk(pointer+"/"+string(rune('0'+i)), v)
			}
		}
	}
	for _, part := range []string{"components", "paths"} {
		walk("/"+part, s.doc[part])
	}
	if examples < 25 {
		t.Errorf("only %d examples were found", examples)
	}
}

// Every code that a route lists is in the table with the route's status, and every code of
// the table is listed by some route or carried by entries.
func TestCodesOfRoutes(t *testing.T) {
	s, err := newSpec(contract.OpenAPIJSON())
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, r := range s.routes {
		for method, op := range r.ops {
			for status, res := range op.responses {
				for _, code := range res.codes {
					used[code] = true
					c, ok := contract.LookupCode(code)
					if !ok {
						t.Errorf("%s %v %s: code %q is not in the table", method, r.segments, status, code)
					} else if status != "default" && http.StatusText(c.Status) == "" || status != "default" && status != itoa(c.Status) {
						t.Errorf("%s %v %s: code %q has status %d", method, r.segments, status, code, c.Status)
					}
				}
				if _, ok := res.content[problemMIME]; ok && len(res.codes) == 0 && status != "503" {
					t.Errorf("%s %v %s: lists no codes", method, r.segments, status)
				}
			}
			if op.responses["default"] == nil {
				t.Errorf("%s %v: no default answer", method, r.segments)
			}
		}
	}
	for _, c := range contract.Codes {
		if c.Status != 0 && !used[c.Code] {
			t.Errorf("no route lists %q", c.Code)
		}
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

type exchange struct {
	name           string
	method, target string
	reqHeader      map[string]string
	reqBody        string
	status         int
	resHeader      map[string]string
	resBody        string
	wrong          string // part of the error, "" for none
}

func (e exchange) check(c *Checker) error {
	u, err := url.Parse(e.target)
	if err != nil {
		return err
	}
	req := &http.Request{Method: e.method, URL: u, Header: http.Header{}}
	for k, v := range e.reqHeader {
		req.Header.Set(k, v)
	}
	res := &http.Response{StatusCode: e.status, Header: http.Header{}}
	for k, v := range e.resHeader {
		res.Header.Set(k, v)
	}
	return c.Exchange(req, []byte(e.reqBody), res, []byte(e.resBody))
}

var (
	jsonType    = map[string]string{"Content-Type": "application/json"}
	problemType = map[string]string{"Content-Type": "application/problem+json"}
	lease       = map[string]string{"Content-Type": "application/json", "Authorization": "DPoP x", "DPoP": "aaaa.b.c"}
	linesType   = map[string]string{"Content-Type": "application/x-ndjson"}
	eventType   = map[string]string{"Content-Type": "text/event-stream"}
	token       = map[string]string{"Authorization": "Bearer x"}
)

const (
	pushed   = `{"epoch":"e1","checkpoint":"x","limits":{"entries":1,"bytes":4096,"entry":4096},"results":[]}`
	begin    = `{"type":"begin","epoch":"e1","position":0,"persons":0}` + "\n"
	end      = `{"type":"end","cursor":"c","checkpoint":"x"}` + "\n"
	notFound = `{"type":"https://flette.dev/problems/not-found","title":"T","status":404,"code":"not-found","detail":"D","instance":"r","retry":"never"}`
)

func TestExchange(t *testing.T) {
	c := New()
	for _, e := range []exchange{
		{"live", "GET", "/livez", nil, "", 200, jsonType, `{"status":"ok"}`, ""},
		{"unknown member in an answer", "GET", "/livez", nil, "", 200, jsonType, `{"status":"ok","x":1}`, "additional properties"},
		{"duplicate member in an answer", "GET", "/livez", nil, "", 200, jsonType, `{"status":"ok","status":"ok"}`, "strict"},
		{"content type of an answer", "GET", "/livez", nil, "", 200, problemType, `{"status":"ok"}`, "content type"},
		{"status that is not listed", "GET", "/livez", nil, "", 201, jsonType, `{"status":"ok"}`, "not in the contract"},
		{"no such route", "GET", "/v1/nothing", nil, "", 404, problemType, notFound, ""},
		{"no such route but an answer", "GET", "/v1/nothing", nil, "", 200, jsonType, `{}`, "must be 404"},
		{"no such method", "PUT", "/livez", nil, "", 404, problemType, notFound, "must be 405"},
		{"push", "POST", "/v1/sync/push", lease, `{"entries":[]}`, 200, jsonType, pushed, ""},
		{"push under an access token", "POST", "/v1/sync/push", map[string]string{"Content-Type": "application/json", "Authorization": "Bearer x", "DPoP": "aaaa.b.c"}, `{"entries":[]}`, 200, jsonType, pushed, "scheme"},
		{"push without proof", "POST", "/v1/sync/push", map[string]string{"Content-Type": "application/json", "Authorization": "DPoP x"}, `{"entries":[]}`, 200, jsonType, pushed, `"DPoP" is missing`},
		{"push with an unknown member, accepted", "POST", "/v1/sync/push", lease, `{"entries":[],"x":1}`, 200, jsonType, pushed, "additional properties"},
		{"push with an unknown member, refused", "POST", "/v1/sync/push", lease, `{"entries":[],"x":1}`, 400, problemType,
			`{"type":"https://flette.dev/problems/unknown-member","title":"T","status":400,"code":"unknown-member","detail":"D","instance":"r","pointer":"/x","retry":"fixed"}`, ""},
		{"code of another route", "GET", "/livez", nil, "", 412, problemType,
			`{"type":"https://flette.dev/problems/precondition-failed","title":"T","status":412,"code":"precondition-failed","detail":"D","instance":"r","retry":"fixed"}`, "does not list"},
		{"code that is not in the table", "GET", "/v1/persons", token, "", 404, problemType, strings.ReplaceAll(notFound, "not-found", "gone-fishing"), "not in the table"},
		{"status of the problem", "GET", "/v1/persons", token, "", 403, problemType, notFound, "differs"},
		{"busy without Retry-After", "GET", "/v1/persons", token, "", 429, problemType,
			`{"type":"https://flette.dev/problems/rate-limited","title":"T","status":429,"code":"rate-limited","detail":"D","instance":"r","retry":"later"}`, "Retry-After"},
		{"412 without the fresh review", "POST", "/v1/reviews/r1/decision", token, "", 412, map[string]string{"Content-Type": problemMIME, "ETag": `"h"`},
			`{"type":"https://flette.dev/problems/precondition-failed","title":"T","status":412,"code":"precondition-failed","detail":"D","instance":"r","retry":"fixed"}`, "current"},
		{"unknown query parameter, accepted", "GET", "/v1/persons?q=1", token, "", 200, jsonType, `{"persons":[]}`, `"q"`},
		{"limit out of range, accepted", "GET", "/v1/persons?limit=0", token, "", 200, jsonType, `{"persons":[]}`, "limit"},
		{"limit that is no number, accepted", "GET", "/v1/persons?limit=x", token, "", 200, jsonType, `{"persons":[]}`, "not a number"},
		{"week", "GET", "/v1/reports/time?week=2026-W47", token, "", 200, jsonType, `{"week":"2026-W47","rows":[]}`, ""},
		{"week is missing, accepted", "GET", "/v1/reports/time", token, "", 200, jsonType, `{"week":"2026-W47","rows":[]}`, "week"},
		{"quarantine id of another shape, accepted", "GET", "/v1/quarantine/zzz", token, "", 200, jsonType, `{}`, "path parameter id"},
		{"file of an extract", "GET", "/v1/extracts/x1/file", token, "", 200, map[string]string{"Content-Type": "application/xml"}, `<a/>`, ""},
		{"snapshot", "GET", "/v1/sync/snapshot", lease, "", 200, linesType, begin + end, ""},
		{"snapshot that was cut", "GET", "/v1/sync/snapshot", lease, "", 200, linesType, begin + `{"type"`, "last piece"},
		{"snapshot with a strange line", "GET", "/v1/sync/snapshot", lease, "", 200, linesType, begin + `{"type":"other"}` + "\n" + end, "line"},
		{"snapshot with a line of two values", "GET", "/v1/sync/snapshot", lease, "", 200, linesType, `{}{}` + "\n", "strict"},
		{"events", "GET", "/v1/sync/events", lease, "", 200, eventType, ": .\n\nevent: pull\ndata:\n\nretry: 5\nevent: bye\ndata:\n\n", ""},
		{"event with data", "GET", "/v1/sync/events", lease, "", 200, eventType, "event: pull\ndata: x\n\n", "carries data"},
		{"event that is none of ours", "GET", "/v1/sync/events", lease, "", 200, eventType, "event: news\ndata:\n\n", "event"},
		{"event with an id", "GET", "/v1/sync/events", lease, "", 200, eventType, "event: pull\nid: 1\ndata:\n\n", `"id"`},
		{"retry that is no number", "GET", "/v1/sync/events", lease, "", 200, eventType, "retry: soon\n\n", "milliseconds"},
		{"unchanged", "GET", "/v1/catalogue", nil, "", 304, nil, "", ""},
	} {
		t.Run(e.name, func(t *testing.T) {
			err := e.check(c)
			if e.wrong == "" && err != nil {
				t.Error(err)
			}
			if e.wrong != "" && (err == nil || !strings.Contains(err.Error(), e.wrong)) {
				t.Errorf("got %v, want it to say %q", err, e.wrong)
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	c := New()
	e := exchange{"", "POST", "/v1/sync/push", lease, `{"entries":["` + strings.Repeat("a.b.c", 200) + `"]}`, 200, jsonType, pushed, ""}
	for b.Loop() {
		if err := e.check(c); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDecodeBodyRefusesNonsense(t *testing.T) {
	for _, encoding := range []string{"gzip", "zstd", "br"} {
		if out, err := decodeBody(encoding, []byte("not compressed at all")); err == nil {
			t.Errorf("%s: got %d bytes", encoding, len(out))
		}
	}
	plain, err := decodeBody("identity", []byte("x"))
	if err != nil || string(plain) != "x" {
		t.Errorf("identity: %q, %v", plain, err)
	}
}

// A streamed answer is judged as it is read; a client that stops, or is cut off, is told nothing wrong.
func TestStreamedAnswers(t *testing.T) {
	for _, c := range []struct {
		body  string
		err   error
		wrong string
	}{
		{begin + end, io.EOF, ""},
		{begin + `{"ty`, io.ErrUnexpectedEOF, ""},
		{begin + `{"ty`, io.EOF, "last piece"},
		{begin + "{}\n" + end, io.EOF, "line"},
	} {
		var wrong []string
		base := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-ndjson"}},
				Body: io.NopCloser(io.MultiReader(iotest.OneByteReader(strings.NewReader(c.body)), iotest.ErrReader(c.err)))}, nil
		})
		client := http.Client{Transport: New().Transport(base, func(err error) { wrong = append(wrong, err.Error()) })}
		req, err := http.NewRequest("GET", "http://x/v1/sync/snapshot", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"DPoP x"}, "Dpop": {"aaaa.b.c"}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(res.Body); string(got) != c.body {
			t.Errorf("read %q", got)
		}
		if c.wrong == "" && wrong != nil || c.wrong != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], c.wrong)) {
			t.Errorf("%q: reported %q", c.body, wrong)
		}
	}
}
