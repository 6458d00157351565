package contract

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed openapi.yaml openapi.json digests.json schemas/*.json vectors/*.json
var files embed.FS

// SchemaBase precedes the file name in the $id of every schema of a signed thing.
const SchemaBase = "https://flette.dev/schemas/"

// OpenAPI returns the contract as it is written and reviewed: OpenAPI 3.1, YAML.
func OpenAPI() []byte { return mustRead("openapi.yaml") }

// OpenAPIJSON returns the same document as JSON, as it is served at /v1/openapi.json.
func OpenAPIJSON() []byte { return mustRead("openapi.json") }

// mustRead reads a file that the build has embedded under a literal name.
func mustRead(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("contract: " + err.Error())
	}
	return b
}

// SchemaNames lists the schemas of signed things: "entry", "header", "values", ...
func SchemaNames() []string {
	names, _ := fs.Glob(files, "schemas/*.json")
	for i, n := range names {
		names[i] = n[len("schemas/") : len(n)-len(".json")]
	}
	return names
}

// Schema returns one JSON Schema (2020-12). A lower-case name is that of a signed thing and
// refers to its siblings under [SchemaBase]. Any other name is that of a wire shape
// ("PushRequest", "PullResponse", "Problem", ...), cut from the OpenAPI document and
// complete in itself. The error wraps fs.ErrNotExist.
func Schema(name string) ([]byte, error) {
	if b, err := files.ReadFile("schemas/" + name + ".json"); err == nil {
		return b, nil
	}
	shapes, err := wireShapes()
	if err != nil {
		return nil, err
	}
	if _, ok := shapes[name]; !ok {
		return nil, fmt.Errorf("contract: schema %q: %w", name, fs.ErrNotExist)
	}
	type components struct {
		Schemas map[string]jsontext.Value `json:"schemas"`
	}
	return json.Marshal(struct {
		Schema     string     `json:"$schema"`
		Ref        string     `json:"$ref"`
		Components components `json:"components"`
	}{"https://json-schema.org/draft/2020-12/schema", "#/components/schemas/" + name, components{shapes}}, json.Deterministic(true))
}

var wireShapes = sync.OnceValues(func() (map[string]jsontext.Value, error) {
	var doc struct {
		Components struct {
			Schemas map[string]jsontext.Value `json:"schemas"`
		} `json:"components"`
	}
	err := json.Unmarshal(OpenAPIJSON(), &doc)
	return doc.Components.Schemas, err
})

// Vector is one signed example and what must become of it. The classes hold for a server of
// tenant "testvik" where the keys are enrolled under the key ids, the person is in the
// caseload, the lease is known and the actor has every role; what a class depends on beyond
// that is in the vector itself.
type Vector struct {
	Name    string         `json:"name"`
	Comment string         `json:"comment,omitempty"`
	Class   string         `json:"class"`             // "applied", "duplicate", "quarantined" or "refused"
	Code    string         `json:"code,omitempty"`    // of quarantined and refused
	Repeats string         `json:"repeats,omitempty"` // duplicate: name of the vector that came first
	Key     jsontext.Value `json:"key,omitzero"`      // public JWK of the device; absent when it is not enrolled
	ID      string         `json:"id,omitempty"`      // entry id, when the bytes have one
	JWS     string         `json:"jws"`
	Times   int            `json:"times,omitempty"` // the bytes are JWS this many times over; 0 means once
}

// Bytes gives what a tablet sends.
func (v Vector) Bytes() string { return strings.Repeat(v.JWS, max(1, v.Times)) }

// Vectors returns the signed examples, in the order in which a server receives them.
func Vectors() ([]Vector, error) {
	names, err := fs.Glob(files, "vectors/*.json")
	if err != nil {
		return nil, err
	}
	var all []Vector
	for _, name := range names {
		var some []Vector
		if err := json.Unmarshal(mustRead(name), &some, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("contract: %s: %w", name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}
