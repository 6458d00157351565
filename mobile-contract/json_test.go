package contract

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// isJSON takes duplicate members, as most readers do.
func isJSON(b []byte) bool { return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true)) }

// JSONTestSuite: what is not JSON is no entry and no request, whatever the reader around it;
// what is JSON is read, unless two readers could read it differently.
func TestJSONTestSuite(t *testing.T) {
	dir := filepath.Join(os.Getenv("FLETTE_OUTSIDE"), "corpora", "json", "test_parsing")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 || os.Getenv("FLETTE_OUTSIDE") == "" {
		t.Skip("skipped: not found: corpora/json/test_parsing under FLETTE_OUTSIDE")
	}
	template := []byte(`{"entries":[],"diary":{"outbox":0,"app":#}}`)
	counts := map[byte]int{}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		counts[base[0]]++
		// None of the files is an entry or a request, so all must be refused, without a panic.
		if _, err := model.DecodeEntry(body); err == nil {
			t.Errorf("%s: DecodeEntry takes it", base)
		}
		var push PushRequest
		if base[0] == 'n' && json.Unmarshal(body, &push, json.RejectUnknownMembers(true)) == nil {
			t.Errorf("%s: PushRequest takes it", base)
		}
		// Where a value belongs, the bytes must not smuggle a whole request in.
		wrapped := bytes.Replace(template, []byte("#"), body, 1)
		if base[0] == 'n' && json.Unmarshal(wrapped, &push) == nil {
			t.Errorf("%s: taken inside a request", base)
		}
		valid := jsontext.Value(body).IsValid()
		switch base[0] {
		case 'n':
			if valid {
				t.Errorf("%s: the strict reader takes it", base)
			}
		case 'y':
			duplicates := strings.Contains(base, "duplicated_key")
			if valid == duplicates {
				t.Errorf("%s: the strict reader says %v", base, valid)
			}
		}
	}
	if counts['n'] < 180 || counts['y'] < 90 {
		t.Errorf("only %d n_ and %d y_ files", counts['n'], counts['y'])
	}
}
