package export

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
)

// member is a member of a value, as text: a string as it is, anything else as JSON.
type member struct{ name, text string }

var errValue = errors.New("export: a value is no JSON object")

// membersOf reads the members in the order in which they were signed.
func membersOf(value []byte) ([]member, error) {
	d := jsontext.NewDecoder(bytes.NewReader(value))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, errValue
	}
	var out []member
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return out, errValue
		}
		m := member{name: name.String()}
		v, err := d.ReadValue()
		if err != nil {
			return out, errValue
		}
		m.text = string(v)
		if v.Kind() == '"' {
			text, err := jsontext.AppendUnquote(nil, v)
			if err != nil {
				return out, errValue
			}
			m.text = string(text)
		}
		out = append(out, m)
	}
	return out, nil
}

// variable is the id of the catalogue's variable that a member of a unit belongs to, "" for none.
func (w *writer) variable(unit model.Unit, name string) string {
	section, _, _ := strings.Cut(string(unit), "/")
	found := ""
	for i := range w.cat.Variables {
		v := &w.cat.Variables[i]
		switch {
		case v.Unit != string(unit) && v.Unit != section+"/*":
		case v.Member == name:
			return v.ID
		case v.Member == "":
			found = v.ID
		}
	}
	return found
}
