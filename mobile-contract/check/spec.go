package check

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const docURL = "https://flette.dev/openapi.json"

// spec is the document, read once into what a check needs. Schemas are compiled from the
// document itself: kin-openapi compiles them anew for every body, which is too slow to leave on.
type spec struct {
	doc      map[string]any
	routes   []route
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema // by JSON pointer
}

type route struct {
	segments []string // "{id}" for a parameter
	ops      map[string]*operation
}

type operation struct {
	params    []param
	body      string // pointer of the request body's schema, "" for none
	responses map[string]*response
	schemes   []string // lower-case Authorization schemes, none for a public route
}

type param struct {
	in, name string
	required bool
	schema   string
}

type response struct {
	headers []param
	content map[string]string // media type to schema pointer, "" for any bytes
	codes   []string
}

func (o *operation) param(in, name string) *param {
	for i := range o.params {
		if o.params[i].in == in && o.params[i].name == name {
			return &o.params[i]
		}
	}
	return nil
}

func newSpec(data []byte) (*spec, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("check: contract: %w", err)
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("check: contract is not an object")
	}
	s := &spec{doc: doc, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	s.compiler.AssertFormat()
	if err := s.compiler.AddResource(docURL, doc); err != nil {
		return nil, fmt.Errorf("check: contract: %w", err)
	}
	for path := range s.object("/paths") {
		r := route{segments: strings.Split(path, "/"), ops: map[string]*operation{}}
		at := "/paths/" + escape(path)
		for method := range s.object(at) {
			op, err := s.operation(at + "/" + method)
			if err != nil {
				return nil, fmt.Errorf("check: %s %s: %w", method, path, err)
			}
			r.ops[strings.ToUpper(method)] = op
		}
		s.routes = append(s.routes, r)
	}
	return s, nil
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// at returns the node under a pointer and where it is, following references on the way to
// everything but schemas, whose references are the compiler's business.
func (s *spec) at(pointer string) (any, string) {
	var node any = s.doc
	where := ""
	for _, part := range strings.Split(pointer, "/")[1:] {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch n := node.(type) {
		case map[string]any:
			node = n[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(n) {
				return nil, pointer
			}
			node = n[i]
		default:
			return nil, pointer
		}
		where += "/" + part
		if m, ok := node.(map[string]any); ok && !strings.Contains(where, "schema") {
			if ref, ok := m["$ref"].(string); ok && len(m) == 1 && strings.HasPrefix(ref, "#/") {
				node, where = s.at(ref[1:])
			}
		}
	}
	return node, where
}

func (s *spec) object(pointer string) map[string]any {
	n, _ := s.at(pointer)
	m, _ := n.(map[string]any)
	return m
}

func (s *spec) operation(at string) (*operation, error) {
	node := s.object(at)
	op := &operation{responses: map[string]*response{}}
	list, _ := node["parameters"].([]any)
	for i := range list {
		n, where := s.at(fmt.Sprintf("%s/parameters/%d", at, i))
		p := newParam(n, where)
		if p.name == "" || p.in == "" {
			return nil, fmt.Errorf("parameter %d has no name", i)
		}
		op.params = append(op.params, p)
	}
	if n, where := s.at(at + "/requestBody"); n != nil {
		op.body = where + "/content/application~1json/schema"
	}
	for status := range s.object(at + "/responses") {
		op.responses[status] = s.response(at + "/responses/" + status)
	}
	security, own := node["security"].([]any)
	if !own {
		security, _ = s.doc["security"].([]any)
	}
	for _, alternative := range security {
		for name := range alternative.(map[string]any) {
			scheme, _ := s.object("/components/securitySchemes/" + name)["scheme"].(string)
			op.schemes = append(op.schemes, strings.ToLower(scheme))
		}
	}
	return op, nil
}

func newParam(node any, where string) param {
	m, _ := node.(map[string]any)
	p := param{schema: where + "/schema"}
	p.in, _ = m["in"].(string)
	p.name, _ = m["name"].(string)
	p.required, _ = m["required"].(bool)
	return p
}

func (s *spec) response(at string) *response {
	node, where := s.at(at)
	m, _ := node.(map[string]any)
	r := &response{content: map[string]string{}}
	for name := range s.object(where + "/headers") {
		h := newParam(s.at(where + "/headers/" + name))
		h.name = name
		r.headers = append(r.headers, h)
	}
	for mime, v := range s.object(where + "/content") {
		r.content[mime] = ""
		if body, _ := v.(map[string]any); body["schema"] != nil {
			r.content[mime] = where + "/content/" + escape(mime) + "/schema"
		}
	}
	codes, _ := m["x-codes"].([]any)
	for _, c := range codes {
		code, _ := c.(string)
		r.codes = append(r.codes, code)
	}
	return r
}

// route finds the operation and the path parameters. A literal segment wins over a
// parameter; pathKnown says that some method exists.
func (s *spec) route(method, path string) (op *operation, params map[string]string, pathKnown bool) {
	parts := strings.Split(path, "/")
	best := -1
	for i := range s.routes {
		r := &s.routes[i]
		if len(r.segments) != len(parts) {
			continue
		}
		found, literal := map[string]string{}, 0
		for k, seg := range r.segments {
			if strings.HasPrefix(seg, "{") && parts[k] != "" {
				value, err := url.PathUnescape(parts[k])
				if err != nil {
					value = parts[k]
				}
				found[strings.Trim(seg, "{}")] = value
			} else if seg == parts[k] {
				literal++
			} else {
				literal = -1
				break
			}
		}
		if literal > best {
			best, op, params, pathKnown = literal, r.ops[method], found, true
		}
	}
	return op, params, pathKnown
}

// schema compiles the schema under a pointer, once.
func (s *spec) schema(pointer string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sch := s.schemas[pointer]; sch != nil {
		return sch, nil
	}
	sch, err := s.compiler.Compile(docURL + "#" + pointer)
	if err == nil {
		s.schemas[pointer] = sch
	}
	return sch, err
}

func (s *spec) validate(pointer string, body []byte) []error {
	if err := strict(body); err != nil {
		return []error{err}
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return []error{err}
	}
	return s.validateValue(pointer, v)
}

func (s *spec) validateValue(pointer string, v any) []error {
	sch, err := s.schema(pointer)
	if err != nil {
		return []error{err}
	}
	if err := sch.Validate(v); err != nil {
		return []error{err}
	}
	return nil
}

// validateText judges a header, query or path value: as a number where the contract wants one.
func (s *spec) validateText(what, pointer, text string) []error {
	var v any = text
	sch, err := s.schema(pointer)
	if err != nil {
		return []error{err}
	}
	for sch.Ref != nil && sch.Types == nil {
		sch = sch.Ref
	}
	if sch.Types != nil && slices.Contains(sch.Types.ToStrings(), "integer") {
		if v, err = jsonschema.UnmarshalJSON(strings.NewReader(text)); err != nil {
			return []error{fmt.Errorf("%s: not a number", what)}
		}
	}
	return prefix(what, s.validateValue(pointer, v))
}

const maxDecoded = 64 << 20

func decodeBody(encoding string, body []byte) ([]byte, error) {
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("body is not gzip")
		}
		return io.ReadAll(io.LimitReader(r, maxDecoded))
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded))
		if err != nil {
			return nil, fmt.Errorf("body is not zstd")
		}
		defer r.Close()
		return io.ReadAll(io.LimitReader(r, maxDecoded))
	}
	return nil, fmt.Errorf("Content-Encoding %q is not in the contract", encoding)
}
