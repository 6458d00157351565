package contract

import (
	"bytes"
	stdjson "encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/oasdiff/yaml"
)

var rewrite = flag.Bool("rewrite", false, "write generated files anew instead of comparing them")

// golden compares a generated file with what is checked in, or writes it.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date: run `go test ./mobile-contract -rewrite` and review the difference", name)
	}
}

// openapi.json is openapi.yaml and nothing else, so that the server needs no YAML reader.
func TestOpenAPIJSONIsTheYAML(t *testing.T) {
	var doc any
	if _, err := yaml.Unmarshal(OpenAPI(), &doc, yaml.DecodeOpts{DisableTimestamps: true}); err != nil {
		t.Fatal(err)
	}
	noNull(t, "", doc)
	var b bytes.Buffer
	enc := stdjson.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(doc); err != nil {
		t.Fatal(err)
	}
	golden(t, "openapi.json", b.Bytes())
}

// noNull finds members without a value: a description with a comma in it, without quotes, ends at the
// comma in YAML, and the rest becomes a member.
func noNull(t *testing.T, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		t.Errorf("openapi.yaml: %s has no value: put the text before it in quotes", at)
	case map[string]any:
		for k, member := range v {
			noNull(t, at+"/"+k, member)
		}
	case []any:
		for i, element := range v {
			noNull(t, fmt.Sprint(at, "/", i), element)
		}
	}
}
