package model

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/go-json-experiment/json"
)

func TestPrivateNeverPrints(t *testing.T) {
	const secret = "Kari Granlund"
	type holder struct {
		Name  Private
		More  []Private
		Of    map[string]Private
		Refer *Private
	}
	p := Private(secret)
	h := holder{p, []Private{p}, map[string]Private{"a": p}, &p}
	all := []any{p, &p, h, &h, []Private{p}, map[Private]int{p: 1}, [1]Private{p}, error(Problemf("a", "", "%s", p))}

	var out strings.Builder
	for _, verb := range "vsqdxXbcoOUtTeEfFgG" { // all but p and w, which go vet refuses
		for _, flags := range []string{"", "+", "#", " ", "-20", ".3", "020", "[1]"} {
			for _, a := range all {
				fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", a)
			}
		}
	}
	fmt.Fprintln(&out, all...)

	opt := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, opt), slog.NewJSONHandler(&out, opt)} {
		log := slog.New(handler).With("name", p).WithGroup("g")
		log.Info("x", "name", p, "h", h, "ref", &h, "list", []Private{p}, slog.Group("deep", "name", p))
	}
	for _, a := range all {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%T: %v", a, err)
		}
		out.Write(b)
	}
	type element struct {
		Name Private `xml:",attr"`
		Text Private `xml:",chardata"`
	}
	b, err := xml.Marshal(element{p, p})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	if err := template.Must(template.New("").Parse(`{{.}} {{.Name}} {{printf "%s" .Name}}`)).Execute(&out, h); err != nil {
		t.Fatal(err)
	}

	for _, part := range []string{secret, "Kari", "Granlund", fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if i := strings.Index(out.String(), part); i >= 0 {
			t.Fatalf("%q is printed: ...%s", part, out.String()[max(0, i-60):i+20])
		}
	}
	if n := strings.Count(out.String(), redacted); n < 500 {
		t.Errorf("the placeholder is printed %d times only", n)
	}
}

func TestPrivateReveals(t *testing.T) {
	p := Private("Kari Granlund")
	if p.Reveal() != "Kari Granlund" || p.String() != redacted || p.LogValue().String() != redacted {
		t.Errorf("%s", p)
	}
	if text, err := p.MarshalText(); err != nil || !bytes.Equal(text, []byte(redacted)) {
		t.Errorf("%s, %v", text, err)
	}
}
