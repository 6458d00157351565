package contract

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"flette/model"
)

// schemas gives compiled schemas of signed things by name.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	out := map[string]*jsonschema.Schema{}
	for _, name := range SchemaNames() {
		body, err := Schema(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(SchemaBase+name+".json", value(t, body)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range SchemaNames() {
		s, err := c.Compile(SchemaBase + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		out[name] = s
	}
	return out
}

func value(t *testing.T, body []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The examples of each schema fit it, and those of the entry are entries to the server too.
func TestSchemaExamples(t *testing.T) {
	all := schemas(t)
	for _, name := range SchemaNames() {
		body, err := Schema(name)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Examples []jsontext.Value `json:"examples"`
		}
		if err := json.Unmarshal(body, &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Examples) == 0 && !slices.Contains([]string{"common", "values"}, name) {
			t.Errorf("%s has no examples", name)
		}
		for i, ex := range s.Examples {
			if err := all[name].Validate(value(t, ex)); err != nil {
				t.Errorf("%s, example %d: %v", name, i, err)
			}
			if name == "entry" {
				if _, err := model.DecodeEntry(ex); err != nil {
					t.Errorf("example %d: DecodeEntry: %v", i, err)
				}
			}
		}
	}
}

// The catalogue's own cases: what it takes, the schema takes; what has the wrong shape for
// the catalogue has it for the schema, but for value sets, which are data.
func TestValuesSchemaAgreesWithCatalogue(t *testing.T) {
	cases, err := os.ReadFile("../model/catalogue/testdata/values.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name  string         `json:"name"`
		Unit  model.Unit     `json:"unit"`
		Value jsontext.Value `json:"value"`
		Code  string         `json:"code"`
	}
	if err := json.Unmarshal(cases, &list); err != nil {
		t.Fatal(err)
	}
	values := schemas(t)["values"]
	good, caught := 0, 0
	for _, c := range list {
		if len(c.Value) == 0 {
			continue // written as raw bytes: not JSON
		}
		err := values.Validate(map[string]any{"unit": string(c.Unit), "value": value(t, c.Value)})
		switch {
		case c.Code == "":
			good++
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		case c.Code == "value-invalid" || c.Code == "score-out-of-range":
			if err != nil {
				caught++
			} else {
				t.Logf("left to the catalogue: %s", c.Name)
			}
		}
	}
	if good < 30 || caught < 30 {
		t.Errorf("%d good values taken and %d bad ones caught: too few", good, caught)
	}
}

// Every section that the schema speaks about is one that the catalogue has, and the other
// way round: a unit without a value schema would take any object.
func TestValuesSchemaCoversEveryUnit(t *testing.T) {
	values := schemas(t)["values"]
	const id = "0190a000-0000-7000-8000-00000000cccc"
	for _, unit := range append(catalogueUnits(t, id), "person/household") {
		if values.Validate(map[string]any{"unit": string(unit), "value": map[string]any{"no such member": true}}) == nil {
			t.Errorf("%s takes any value", unit)
		}
	}
}

func TestSchemaOfWireShape(t *testing.T) {
	for _, name := range []string{"PushRequest", "PushResponse", "PullResponse", "Problem", "ReviewView"} {
		body, err := Schema(name)
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("https://flette.dev/wire.json", value(t, body)); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("https://flette.dev/wire.json")
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(map[string]any{"no such member": true}) == nil {
			t.Errorf("%s takes an unknown member", name)
		}
	}
	if _, err := Schema("NoSuchShape"); err == nil {
		t.Error("a schema that does not exist was found")
	}
}
