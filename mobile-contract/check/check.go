package check

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	contract "flette/mobile-contract"
)

// Checker knows the contract. It is safe for concurrent use.
type Checker struct {
	spec *spec
	err  error
}

// New reads the embedded contract. A contract that cannot be read makes every check fail.
func New() *Checker {
	s, err := newSpec(contract.OpenAPIJSON())
	return &Checker{s, err}
}

// Exchange judges one request and its answer. The bodies are given as they were on the
// wire. All that is wrong is joined in the error.
func (c *Checker) Exchange(req *http.Request, reqBody []byte, res *http.Response, resBody []byte) error {
	if c.err != nil {
		return c.err
	}
	where := fmt.Sprintf("%s %s -> %d", req.Method, req.URL.Path, res.StatusCode)
	op, params, pathKnown := c.spec.route(req.Method, req.URL.Path)
	if op == nil {
		want := http.StatusNotFound
		if pathKnown {
			want = http.StatusMethodNotAllowed
		}
		if res.StatusCode != want {
			return fmt.Errorf("%s: the contract has no such route, so the answer must be %d", where, want)
		}
		return wrap(where, c.unrouted(res, resBody))
	}
	errs := c.answer(op, res, resBody)
	if res.StatusCode < 400 {
		errs = append(errs, c.request(op, req, params, reqBody)...)
	}
	return wrap(where, errs)
}

func wrap(where string, errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", where, errors.Join(errs...))
}

const problemMIME = "application/problem+json"

func mime(h http.Header) string {
	m, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(m))
}

func (c *Checker) unrouted(res *http.Response, body []byte) []error {
	if mime(res.Header) != problemMIME {
		return []error{fmt.Errorf("answer: content type must be %s", problemMIME)}
	}
	errs := c.spec.validate("/components/schemas/Problem", body)
	return append(errs, problem(res, body, []string{"not-found", "method-not-allowed"})...)
}

func (c *Checker) answer(op *operation, res *http.Response, body []byte) (errs []error) {
	r, listed := op.responses[strconv.Itoa(res.StatusCode)]
	if !listed {
		if r = op.responses["default"]; r == nil || res.StatusCode < 400 {
			return []error{fmt.Errorf("answer: status is not in the contract")}
		}
	}
	for _, h := range r.headers {
		values := res.Header.Values(h.name)
		if len(values) == 0 && h.required {
			errs = append(errs, fmt.Errorf("answer: header %s is missing", h.name))
		}
		for _, v := range values {
			errs = append(errs, c.spec.validateText("answer: header "+h.name, h.schema, v)...)
		}
	}
	if len(r.content) == 0 {
		if len(body) != 0 {
			errs = append(errs, fmt.Errorf("answer: there must be no body"))
		}
		return errs
	}
	m := mime(res.Header)
	schema, ok := r.content[m]
	if !ok {
		return append(errs, fmt.Errorf("answer: content type %q is not in the contract", m))
	}
	body, err := decodeBody(res.Header.Get("Content-Encoding"), body)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("answer: %w", err))
	case schema == "":
	case streamed[m] != nil:
		errs = append(errs, c.pieces(m, schema, body)...)
	default:
		errs = append(errs, prefix("answer", c.spec.validate(schema, body))...)
	}
	if m == problemMIME {
		// A status of its own narrows the codes; the common ones stay possible for it.
		codes := r.codes
		if d := op.responses["default"]; listed && d != nil {
			codes = append(slices.Clone(codes), d.codes...)
		}
		errs = append(errs, problem(res, body, codes)...)
	}
	return errs
}

// problem checks what a schema cannot: that code, status and headers belong together.
func problem(res *http.Response, body []byte, codes []string) (errs []error) {
	var p contract.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		return nil // the schema has said so
	}
	if p.Status != res.StatusCode {
		errs = append(errs, fmt.Errorf("problem: status %d differs from the answer's", p.Status))
	}
	known, ok := contract.LookupCode(p.Code)
	switch {
	case !ok:
		errs = append(errs, fmt.Errorf("problem: code %q is not in the table", p.Code))
	case known.Status != p.Status:
		errs = append(errs, fmt.Errorf("problem: code %q has status %d in the table", p.Code, known.Status))
	case !slices.Contains(codes, p.Code):
		errs = append(errs, fmt.Errorf("problem: the contract does not list code %q here", p.Code))
	case string(known.Retry) != p.Retry:
		errs = append(errs, fmt.Errorf("problem: retry is %q in the table", known.Retry))
	}
	if p.Type != contract.ProblemTypeBase+p.Code {
		errs = append(errs, fmt.Errorf("problem: type does not end in the code"))
	}
	if (p.Status == 429 || p.Status == 503) && res.Header.Get("Retry-After") == "" {
		errs = append(errs, fmt.Errorf("problem: %d must carry Retry-After", p.Status))
	}
	return errs
}

func (c *Checker) request(op *operation, req *http.Request, path map[string]string, body []byte) (errs []error) {
	query := req.URL.Query()
	for name, values := range query {
		if p := op.param("query", name); p == nil {
			errs = append(errs, fmt.Errorf("request: query parameter %q was accepted and is not in the contract", name))
		} else if len(values) != 1 {
			errs = append(errs, fmt.Errorf("request: query parameter %q is repeated", name))
		}
	}
	for _, p := range op.params {
		var values []string
		switch p.in {
		case "query":
			values = query[p.name]
		case "path":
			values = []string{path[p.name]}
		case "header":
			values = req.Header.Values(p.name)
		}
		if len(values) == 0 && p.required {
			errs = append(errs, fmt.Errorf("request: %s parameter %q is missing", p.in, p.name))
		}
		for _, v := range values {
			errs = append(errs, c.spec.validateText("request: "+p.in+" parameter "+p.name, p.schema, v)...)
		}
	}
	errs = append(errs, authority(op, req)...)
	if op.body == "" {
		if len(body) != 0 {
			errs = append(errs, fmt.Errorf("request: there must be no body"))
		}
		return errs
	}
	if m := mime(req.Header); m != "application/json" {
		return append(errs, fmt.Errorf("request: content type %q is not in the contract", m))
	}
	plain, err := decodeBody(req.Header.Get("Content-Encoding"), body)
	if err != nil {
		return append(errs, fmt.Errorf("request: %w", err))
	}
	return append(errs, prefix("request", c.spec.validate(op.body, plain))...)
}

func authority(op *operation, req *http.Request) []error {
	if len(op.schemes) == 0 {
		return nil
	}
	scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	scheme = strings.ToLower(scheme)
	if !slices.Contains(op.schemes, scheme) {
		return []error{fmt.Errorf("request: was accepted with Authorization scheme %q, the contract wants one of %q", scheme, op.schemes)}
	}
	if scheme == "dpop" && len(req.Header.Values("DPoP")) != 1 {
		return []error{fmt.Errorf("request: was accepted under scheme DPoP without exactly one proof")}
	}
	return nil
}

func prefix(with string, errs []error) []error {
	for i, err := range errs {
		errs[i] = fmt.Errorf("%s: %w", with, err)
	}
	return errs
}

// strict reports JSON that two readers could read differently.
func strict(body []byte) error {
	if !jsontext.Value(body).IsValid() {
		return fmt.Errorf("body is not strict JSON (UTF-8, no duplicate members, one value)")
	}
	return nil
}
