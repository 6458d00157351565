package model

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

func FuzzParseJWS(f *testing.F) {
	good := compactOf(goodHeader, payload(), "signature")
	f.Add(good)
	f.Add([]byte("a.b.c"))
	f.Add([]byte(".."))
	f.Add(append(bytes.Clone(good), '\n'))
	f.Add(compactOf(`{"alg":"none"}`, "", ""))
	f.Fuzz(func(t *testing.T, compact []byte) {
		j, err := ParseJWS(compact)
		if err != nil {
			checkProblem(t, err)
			return
		}
		if !bytes.Equal(j.Compact(), compact) {
			t.Fatalf("%q given back as %q", compact, j.Compact())
		}
		if kept := (&JWS{Header: j.Header, Payload: j.Payload}); NewEntryID(kept.SigningInput()) != j.ID {
			t.Fatal("the parts have another id")
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	for _, p := range []string{
		payload(), payload(`"v":2`), payload(`"seq":2`, `"prev":"`+idA.String()+`"`),
		payload(`"act":"void"`, reasonOf("a", "b"), changes(target("score/vision"))),
		payload(`"act":"release"`, reasonOf("a", "b"), changes(target("quarantine"))),
		payload(`"wall":"0000-01-01T00:00:00+23:59"`), payload(changes(`{"unit":"score/vision","value":{"a":[null,{"b":"\u00e5"}]}}`)),
		string(visit(3)), `{"changes":[{"value":{"n`, `null`, `{"a":nulle}`,
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := DecodeEntry(payload)
		if err != nil {
			checkProblem(t, err)
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		back, err := DecodeEntry(again)
		if err != nil {
			t.Fatalf("%s written as %s: %v", payload, again, err)
		}
		if !reflect.DeepEqual(sameSpelling(t, e), sameSpelling(t, back)) {
			t.Fatalf("%s\nwritten as %s", payload, again)
		}
	})
}

// What DecodeEntry takes has the same frame for DecodeFrame, and a frame stands every check.
func FuzzDecodeFrame(f *testing.F) {
	for _, p := range []string{
		payload(), payload(`"v":99`, `"colour":1.5`), payload(`"seq":2`, `"prev":"`+idA.String()+`"`, `"act":"correct"`),
		payload(`"prev":null`), payload(`"seq":1e0`), payload(`"person"`), string(visit(3)), `null`, `{"seq":1`,
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		frame, ok := DecodeFrame(payload)
		if !ok && frame != (Frame{}) {
			t.Fatalf("refused, yet %+v", frame)
		}
		if e, err := DecodeEntry(payload); err == nil && (!ok || frame != e.Frame()) {
			t.Fatalf("%s: frame %+v, %v", payload, frame, ok)
		}
		if !ok {
			return
		}
		again, err := json.Marshal(frame)
		if err != nil {
			t.Fatal(err)
		}
		if back, ok := DecodeFrame(again); !ok || back != frame {
			t.Fatalf("%+v written as %s", frame, again)
		}
	})
}

// sameSpelling rewrites the values, which are kept as they were signed.
func sameSpelling(t *testing.T, e *Entry) *Entry {
	t.Helper()
	for i := range e.Changes {
		c := &e.Changes[i]
		if len(c.Over) == 0 {
			c.Over = nil // left out and empty are the same
		}
		if len(c.Value) > 0 {
			v, ok := canonical(c.Value)
			if !ok {
				t.Fatalf("value %s", c.Value)
			}
			c.Value = v
		}
	}
	return e
}

// checkProblem holds every refusal to the same form: a code, a sentence and a pointer that
// names members of the contract only.
func checkProblem(t *testing.T, err error) {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is no Problem", err)
	}
	if p.Code == "" || p.Detail == "" || len(p.Detail) > 300 || !utf8.ValidString(p.Detail) {
		t.Fatalf("%+v", p)
	}
	if strings.Trim(p.Pointer, "abcdefghijklmnopqrstuvwxyz0123456789_/") != "" || len(p.Pointer) > 300 {
		t.Fatalf("pointer %q", p.Pointer)
	}
}
