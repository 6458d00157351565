package api

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	gosync "sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decodeStrict reads a body into a type of the contract (H5). A member is required when its
// tag has neither omitempty nor omitzero; a test compares that with openapi.yaml. Null is not
// a value of any member.
func decodeStrict(body []byte, out any) *failure {
	if err := json.Unmarshal(body, out, json.RejectUnknownMembers(true)); err != nil {
		return failureOfJSON(err)
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	return present(dec, reflect.TypeOf(out).Elem())
}

// failureOfJSON says where and what kind, never what stood there.
func failureOfJSON(err error) *failure {
	var sem *json.SemanticError
	var syn *jsontext.SyntacticError
	switch {
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &sem):
		return failAt("unknown-member", string(sem.JSONPointer), "Remove the member that the pointer names.")
	case errors.As(err, &syn):
		return failAt("invalid-json", string(syn.JSONPointer), "")
	case errors.As(err, &sem):
		return failAt("invalid-member", string(sem.JSONPointer), "The member is of the wrong type or out of range.")
	}
	return fail("invalid-json", "")
}

// present walks a body that is known to be well-formed and fit the type, and finds required
// members that are missing, and nulls.
func present(dec *jsontext.Decoder, t reflect.Type) *failure {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind := dec.PeekKind()
	var err error
	switch {
	case kind == 'n':
		_ = dec.SkipValue() // the pointer names what was read last
		return failAt("invalid-member", string(dec.StackPointer()), "The member must not be null.")
	case kind == '{' && t.Kind() == reflect.Struct:
		return presentMembers(dec, shapeOf(t))
	case kind == '[' && t.Kind() == reflect.Slice:
		if _, err = dec.ReadToken(); err != nil {
			break
		}
		for dec.PeekKind() != ']' {
			if f := present(dec, t.Elem()); f != nil {
				return f
			}
		}
		_, err = dec.ReadToken()
	default:
		err = dec.SkipValue()
	}
	if err != nil {
		return failureOfJSON(err)
	}
	return nil
}

func presentMembers(dec *jsontext.Decoder, s *shape) *failure {
	if _, err := dec.ReadToken(); err != nil {
		return failureOfJSON(err)
	}
	at := string(dec.StackPointer())
	found := 0
	var seen [maxRequired]bool
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return failureOfJSON(err)
		}
		m := s.members[name.String()]
		if m.required >= 0 {
			seen[m.required] = true
			found++
		}
		if m.t == nil {
			err = dec.SkipValue()
			if err != nil {
				return failureOfJSON(err)
			}
			continue
		}
		if f := present(dec, m.t); f != nil {
			return f
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return failureOfJSON(err)
	}
	if found == len(s.required) {
		return nil
	}
	for i, name := range s.required {
		if !seen[i] {
			return failAt("invalid-member", at+"/"+name, "The member is required.")
		}
	}
	return nil
}

// shape is what presence checks need to know about a struct.
type shape struct {
	members  map[string]member
	required []string
}

type member struct {
	t        reflect.Type
	required int // index into shape.required, -1 when optional
}

const maxRequired = 16

var shapes gosync.Map // reflect.Type -> *shape

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{members: map[string]member{}}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		m := member{t: f.Type, required: -1}
		if !strings.Contains(options, "omit") && len(s.required) < maxRequired {
			m.required = len(s.required)
			s.required = append(s.required, name)
		}
		s.members[name] = m
	}
	shapes.Store(t, s)
	return s
}
