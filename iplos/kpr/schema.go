package kpr

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jacoelho/xsd"
	"github.com/jacoelho/xsd/xsderrors"

	"flette/model"
)

//go:embed schema/melding.xsd
var schemaText []byte

var schema = sync.OnceValues(func() (*xsd.Engine, error) {
	return xsd.Compile(context.Background(), xsd.Bytes("melding.xsd", schemaText))
})

// Schema returns our own XML schema of the message.
func Schema() []byte { return bytes.Clone(schemaText) }

// Validate checks a file against our schema and the chain rules that a schema cannot say
// (K4). It returns a *model.Problem with code kpr-message-invalid that names line and rule,
// never content: attributes hold identity numbers.
func Validate(ctx context.Context, file []byte) error {
	engine, err := schema()
	if err != nil {
		return err
	}
	if err := engine.Validate(ctx, bytes.NewReader(file)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var x *xsderrors.Error
		if errors.As(err, &x) {
			return invalid(x.Line, string(x.Code))
		}
		return invalid(0, "schema")
	}
	return validateChain(file)
}

// spaced is true for a date or time with spaces around it.
func spaced(a xml.Attr) bool {
	switch a.Name.Local {
	case "hendelseDato", "hendelseRegTid", "notifikasjonTid":
		return strings.TrimSpace(a.Value) != a.Value
	}
	return false
}

func invalid(line int, rule string) *model.Problem {
	return model.Problemf("kpr-message-invalid", "", "the message breaks rule %s at line %d; it was not stored and this is an error in the program", rule, line)
}

// validateChain reads the file back, independently of the writer: an N has no reference, M
// and C have one and not to themselves; serials rise; neighbours by serial are neighbours
// by GUID (K1). It also refuses spaces where engines differ on them: around dates, and in
// elements without content.
func validateChain(file []byte) error {
	d := xml.NewDecoder(bytes.NewReader(file))
	var serial int64
	var guid string
	leaf := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := d.InputPos()
		if err != nil {
			return invalid(line, "xml")
		}
		if _, text := token.(xml.CharData); text && leaf {
			return invalid(line, "content")
		}
		e, ok := token.(xml.StartElement)
		if _, end := token.(xml.EndElement); end || ok {
			leaf = ok && (e.Name.Local == "Bruker" || e.Name.Local == "Kontaktperson" || e.Name.Local == "Kommune")
		}
		if ok && slices.ContainsFunc(e.Attr, spaced) {
			return invalid(line, "spaces")
		}
		if !ok || e.Name.Local != "Notifikasjon" {
			continue
		}
		attr := map[string]string{}
		for _, a := range e.Attr {
			attr[a.Name.Local] = a.Value
		}
		ref := attr["notifikasjonRef"]
		if (attr["statusNotifikasjon"] == StatusNew) != (ref == "") || ref == attr["notifikasjonGUID"] {
			return invalid(line, "reference")
		}
		next, err := strconv.ParseInt(attr["notifikasjonLopeNr"], 10, 64)
		if err != nil || next <= serial {
			return invalid(line, "serial")
		}
		prev := attr["notifikasjonForrigeGUID"]
		if serial+1 == next && serial > 0 && prev != guid || (next == 1) != (prev == ZeroGUID) {
			return invalid(line, "previous-guid")
		}
		serial, guid = next, attr["notifikasjonGUID"]
	}
}
