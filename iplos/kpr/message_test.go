package kpr

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flette/internal/testkit"
	"flette/model"
	"flette/store"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func contacts() []store.Contact {
	return []store.Contact{
		{Type: "1", Name: "Prøve Teknikk", Phone: "+4700000001", Email: "teknikk@skogvik.example"},
		{Type: "15", Name: "Prøve Leverandør", Email: "melding@flette.example"},
		{Type: "16", Name: "Prøve Kontakt", Email: "iplos@skogvik.example"},
		{Type: "17", Name: "Prøve Ansvar", Email: "innsending@skogvik.example"},
	}
}

func message(lines []store.Notification) Message {
	m := Message{
		Target: Test, Vendor: "Flette", System: "Flette", Version: "1.0.0", LocalID: "skogvik-1", Kommune: "9999",
		Contacts: contacts(),
	}
	for _, n := range lines {
		m.Lines = append(m.Lines, Line{n, Bruker{PatientGUID: n.Person.String(), BrukerNr: "7", District: "03", FID: synFNR, TypeID: "1"}})
	}
	return m
}

func written(t interface{ Fatal(...any) }, m Message) []byte {
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// everyKind is a message with all five events and all three statuses.
func everyKind() Message {
	l := newLedger()
	s := Service{ID: svcA, Type: "15", OrgRule: OrgShall, Start: d("2026-05-01"), End: d("2026-08-31"),
		Providers: []Provider{{Unit: "u" + orgA, From: "2026-05-01"}, {Unit: "u" + orgB, From: "2026-07-01", At: 1_700_000_500_000}},
		Pauses:    []Pause{{pauseA, d("2026-06-01"), d("2026-06-08")}}}
	l.send(personA, Desired(Subject{Person: personA, Services: []Service{s}}, testRules()), markA)
	s.End.Date, s.Pauses[0].To = "2026-08-30", Dated{}
	l.send(personA, Desired(Subject{Person: personA, Services: []Service{s}}, testRules()), markA)
	return message(l.all)
}

func TestGolden(t *testing.T) {
	got := written(t, everyKind())
	name := filepath.Join("testdata", "every-kind.xml")
	if *rewrite {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := Validate(context.Background(), got); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("å", 101)
	for _, c := range []struct {
		name    string
		change  func(*Message)
		code    string
		pointer string
		says    string
	}{
		{"as it should be", func(m *Message) {}, "", "", ""},
		{"100 characters", func(m *Message) { m.Contacts[0].Name = long[2:] }, "", "", ""},
		{"101 characters", func(m *Message) { m.Contacts[0].Name = long }, "kpr-text", "/contacts/0/name", "longer than 100"},
		{"TEST makes it too long", func(m *Message) { m.System = long[2:] }, "kpr-text", "/system", "longer than 100"},
		{"no vendor", func(m *Message) { m.Vendor = " " }, "kpr-text", "/vendor", "missing"},
		{"newline", func(m *Message) { m.Version = "1\n0" }, "kpr-text", "/version", "cannot carry"},
		{"not UTF-8", func(m *Message) { m.Vendor = "\xff" }, "kpr-text", "/vendor", "cannot carry"},
		{"contact without e-mail", func(m *Message) { m.Contacts[2].Email = "" }, "kpr-text", "/contacts/2/email", "missing"},
		{"phone with a tab", func(m *Message) { m.Contacts[2].Phone = "\t1" }, "kpr-text", "/contacts/2/phone", "cannot carry"},
		{"contact type of no list", func(m *Message) { m.Contacts[2].Type = "20" }, "kpr-contact-type", "/contacts/2/type", "8471"},
		{"no type 1", func(m *Message) { m.Contacts[0].Type = "18" }, "kpr-contact-missing", "/contacts", "type 1 (technical"},
		{"no type 15", func(m *Message) { m.Contacts[1].Type = "1" }, "kpr-contact-missing", "/contacts", "type 15"},
		{"no type 16", func(m *Message) { m.Contacts[2].Type = "17" }, "kpr-contact-missing", "/contacts", "type 16"},
		{"no type 17", func(m *Message) { m.Contacts = m.Contacts[:3] }, "kpr-contact-missing", "/contacts", "type 17"},
		{"no municipality", func(m *Message) { m.Kommune = "301" }, "kpr-kommune", "/kommune", "four digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message(nil)
			c.change(&m)
			err := m.Check()
			if c.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := Validate(context.Background(), written(t, m)); err != nil {
					t.Error(err)
				}
				return
			}
			var p *model.Problem
			if !errors.As(err, &p) || p.Code != c.code || p.Pointer != c.pointer || !strings.Contains(p.Detail, c.says) {
				t.Errorf("got %v, want %s at %s saying %q", err, c.code, c.pointer, c.says)
			}
		})
	}
}

// TestInjection writes hostile text into every attribute that holds text from outside. It
// either comes back unchanged from a reader, in the same place, or is refused.
func TestInjection(t *testing.T) {
	for _, s := range []string{
		`"/><Kommune kommuneNr="0301"/><x a="`, `'`, `<!-- -->`, `]]>`, `&lt;`, `&#10;`, `a&b`, `<?xml?>`, `%eval;`, "Å\u00a0ø", "\U0001f600",
		"a\nb", "a\rb", "a\tb", "\x00", "\x1b", "\x7f", "\u0085", "\u2028", "\ufffe", "\xff", "\xed\xa0\x80",
	} {
		for name, set := range map[string]func(*Message){
			"leverandor": func(m *Message) { m.Vendor = s }, "versjonEPJ": func(m *Message) { m.Version = s },
			"kontPerson": func(m *Message) { m.Contacts[0].Name = s }, "meldTelefon": func(m *Message) { m.Contacts[0].Phone = s },
			"meldEpost1": func(m *Message) { m.Contacts[0].Email = s }, "fid": func(m *Message) { m.Lines[0].Bruker.FID = s },
			"brukerNr": func(m *Message) { m.Lines[0].Bruker.BrukerNr = s },
		} {
			m := everyKind()
			set(&m)
			var b bytes.Buffer
			err := m.Write(&b)
			if refused := checkText("", "", s) != nil; refused != (err != nil) {
				t.Fatalf("%s = %q: Write says %v", name, s, err)
			}
			if err != nil {
				if strings.Contains(err.Error(), s) && len(s) > 2 {
					t.Errorf("%s: the error repeats the text", name)
				}
				continue
			}
			if err := Validate(context.Background(), b.Bytes()); err != nil {
				t.Fatalf("%s = %q: %v", name, s, err)
			}
			if got := attributes(t, b.Bytes(), name); got[0] != s {
				t.Errorf("%s = %q came back as %q", name, s, got[0])
			}
			if n := len(attributes(t, b.Bytes(), "kommuneNr")); n != 1 {
				t.Errorf("%s = %q made %d municipalities", name, s, n)
			}
		}
	}
}

func attributes(t *testing.T, file []byte, name string) []string {
	t.Helper()
	var out []string
	d := xml.NewDecoder(bytes.NewReader(file))
	for {
		token, err := d.Token()
		if token == nil {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == name {
					out = append(out, a.Value)
				}
			}
		}
	}
}

func TestWriteRefusesAnUnknownKind(t *testing.T) {
	m := everyKind()
	m.Lines[0].Kind = "Bruker"
	if err := m.Write(&bytes.Buffer{}); err == nil {
		t.Error("an element name from outside was written")
	}
}

// mutations break a good file: the shortest set, which needs nothing but the module. What two
// engines and the official schema say of many more is in TestTwoEngines.
var mutations = []struct {
	name     string
	old, new string
}{
	{"no fid", ` fid="` + synFNR + `"`, ""},
	{"no notification GUID", ` notifikasjonGUID="`, ` xnotifikasjonGUID="`},
	{"GUID too short", ` hendelseGUID="`, ` hendelseGUID="0`},
	{"GUID not hexadecimal", ` pasientGUID="a`, ` pasientGUID="g`},
	{"wrong version", `versjon="56.0.0"`, `versjon="56.0.1"`},
	{"wrong message type", `meldingstype="K"`, `meldingstype="B"`},
	{"prohibited attribute", `<Kommune `, `<Kommune kommuneOrgNr="312345676" `},
	{"sex is prohibited", ` brukerNr="7"`, ` brukerNr="7" kjonn="1"`},
	{"no contact", `<Kontaktperson`, `<Kontakt`},
	{"provider changed without number", ` tjenesteOrgNr="` + orgB + `"`, ""},
	{"pause without id", ` midlertidigStoppID="` + pauseA + `"`, ""},
	{"date that is none", `hendelseDato="2026-05-01"`, `hendelseDato="2026-02-30"`},
	{"time without time", `notifikasjonTid="2025-`, `notifikasjonTid="25-`},
	{"another namespace", namespace, namespace + "x"},
	{"element out of order", `<Melding `, `<Kommune `},
	{"text between", `<Bruker`, `x<Bruker`},
	{"two events", `</TjenesteStart>`, `</TjenesteStart><TjenesteSlutt tjenesteType="15" hendelseRegTid="2023-11-14T22:13:20.000Z" hendelseDato="2026-05-01" tjenesteID="` + svcA + `" hendelseGUID="` + svcA + `"><Bruker pasientGUID="` + svcA + `" brukerNr="7" fid="1" typeID="1"/></TjenesteSlutt>`},
	{"expired service type", `tjenesteType="15"`, `tjenesteType="6"`},
	{"status T", `statusNotifikasjon="N"`, `statusNotifikasjon="T"`},
	{"M without reference", `statusNotifikasjon="N"`, `statusNotifikasjon="M"`},
	{"contact type of no list", `typeKontaktperson="16"`, `typeKontaktperson="20"`},
	{"identity type of no list", `typeID="1"`, `typeID="11"`},
	{"serial falls", `notifikasjonLopeNr="3"`, `notifikasjonLopeNr="2"`},
	{"serial with zeros", `notifikasjonLopeNr="3"`, `notifikasjonLopeNr="03"`},
	{"chain broken", ` notifikasjonForrigeGUID="` + ZeroGUID, ` notifikasjonForrigeGUID="` + svcA},
	{"number with letters", ` tjenesteOrgNr="3`, ` tjenesteOrgNr="x`},
	{"text too long", `leverandor="`, `leverandor="` + strings.Repeat("x", 100)},
}

func mutate(t *testing.T, file []byte, old, new string) []byte {
	t.Helper()
	if !bytes.Contains(file, []byte(old)) {
		t.Fatalf("the file has no %q", old)
	}
	return bytes.ReplaceAll(file, []byte(old), []byte(new))
}

func TestValidateRefuses(t *testing.T) {
	good := written(t, everyKind())
	for _, c := range mutations {
		t.Run(c.name, func(t *testing.T) {
			err := Validate(context.Background(), mutate(t, good, c.old, c.new))
			var p *model.Problem
			if !errors.As(err, &p) || p.Code != "kpr-message-invalid" {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(p.Error(), synFNR) {
				t.Error("the problem holds an identity number")
			}
		})
	}
	for name, file := range map[string]string{
		"nothing": "", "not XML": "hello", "cut off": string(good[:len(good)-20]),
		"document type": strings.Replace(string(good), "<Melding", "<!DOCTYPE Melding [<!ENTITY a \"b\">]><Melding", 1),
	} {
		if Validate(context.Background(), []byte(file)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// An N that points somewhere passes every schema, so the chain rules must catch it.
	m := everyKind()
	m.Lines[0].Ref = m.Lines[1].GUID
	if Validate(context.Background(), written(t, m)) == nil {
		t.Error("an N with a reference was accepted")
	}
	m = everyKind()
	m.Lines[2].PrevGUID = m.Lines[0].GUID
	if Validate(context.Background(), written(t, m)) == nil {
		t.Error("K1: a broken chain was accepted")
	}
	m = everyKind()
	m.Lines[1], m.Lines[2] = m.Lines[2], m.Lines[1]
	if Validate(context.Background(), written(t, m)) == nil {
		t.Error("K1: falling serials were accepted")
	}
}

// TestEnginesAgreeOnOurSchema reads our schema with two engines: what one of them
// misunderstands shows.
func TestEnginesAgreeOnOurSchema(t *testing.T) {
	engine, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	good := written(t, everyKind())
	files := [][]byte{good}
	for _, c := range mutations {
		files = append(files, mutate(t, good, c.old, c.new))
	}
	ours, theirs := testkit.InGo(t, engine, files), testkit.LintText(t, Schema(), files)
	for i := range files {
		if ours[i] != theirs[i] {
			t.Errorf("in process %t, xmllint %t:\n%s", ours[i], theirs[i], files[i])
		}
	}
}

func TestValidateStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Validate(ctx, written(t, everyKind())); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
