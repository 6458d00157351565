package kpr

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

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

// official runs xmllint with the register's own schema, or skips.
func official(t *testing.T) func(file []byte) error {
	t.Helper()
	outside := os.Getenv("FLETTE_OUTSIDE")
	dir := filepath.Join(outside, "kpr-56.0.0")
	if outside == "" {
		t.Skip("skipped: not found: FLETTE_OUTSIDE is not set")
	}
	if _, err := os.Stat(filepath.Join(dir, "XPR(ipl).xsd")); err != nil {
		t.Skip("skipped: not found: the official schema")
	}
	return xmllint(t, dir, "XPR(ipl).xsd")
}

func xmllint(t *testing.T, dir, schema string) func(file []byte) error {
	t.Helper()
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("skipped: not found: xmllint")
	}
	name := filepath.Join(t.TempDir(), "message.xml")
	return func(file []byte) error {
		if err := os.WriteFile(name, file, 0o600); err != nil {
			return err
		}
		cmd := exec.Command(lint, "--nonet", "--noout", "--schema", schema, name)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

func TestOfficialSchemaAcceptsWhatOursAccepts(t *testing.T) {
	lint := official(t)
	if err := lint(written(t, everyKind())); err != nil {
		t.Error(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger()
		for step := range rapid.IntRange(1, 4).Draw(t, "steps") {
			label := fmt.Sprint(step, " ")
			subject := Subject{Person: personA, Services: []Service{drawService(t, svcA, label+"A "), drawService(t, svcB, label+"B ")}}
			l.send(personA, Desired(subject, testRules()), Mark{"1", rapid.SampledFrom([]string{"h1", "h2"}).Draw(t, label+"mark")})
		}
		m := message(l.all)
		for i := range m.Lines {
			b := &m.Lines[i].Bruker
			b.TypeID = rapid.SampledFrom([]string{"1", "2", "9", "10", "12"}).Draw(t, "type")
			b.FID = rapid.StringMatching(`[0-9A-Za-zæøå<>&"' -]{1,99}[0-9]`).Draw(t, "fid")
			b.District = rapid.SampledFrom([]string{"", "03"}).Draw(t, "district")
		}
		file := written(t, m)
		if err := Validate(context.Background(), file); err != nil {
			t.Fatal(err)
		}
		if err := lint(file); err != nil {
			t.Fatal(err)
		}
	})
}

// mutations break a good file. The official schema holds no code lists, no chain and no
// exclusive choice; both says where it must refuse, too.
var mutations = []struct {
	name     string
	old, new string
	both     bool
}{
	{"no fid", ` fid="` + synFNR + `"`, "", true},
	{"no notification GUID", ` notifikasjonGUID="`, ` xnotifikasjonGUID="`, true},
	{"GUID too short", ` hendelseGUID="`, ` hendelseGUID="0`, true},
	{"GUID not hexadecimal", ` pasientGUID="a`, ` pasientGUID="g`, true},
	{"wrong version", `versjon="56.0.0"`, `versjon="56.0.1"`, true},
	{"wrong message type", `meldingstype="K"`, `meldingstype="B"`, true},
	{"prohibited attribute", `<Kommune `, `<Kommune kommuneOrgNr="312345676" `, true},
	{"sex is prohibited", ` brukerNr="7"`, ` brukerNr="7" kjonn="1"`, true},
	{"no contact", `<Kontaktperson`, `<Kontakt`, true},
	{"provider changed without number", ` tjenesteOrgNr="` + orgB + `"`, "", true},
	{"pause without id", ` midlertidigStoppID="` + pauseA + `"`, "", true},
	{"date that is none", `hendelseDato="2026-05-01"`, `hendelseDato="2026-02-30"`, true},
	{"time without time", `notifikasjonTid="2025-`, `notifikasjonTid="25-`, true},
	{"another namespace", namespace, namespace + "x", true},
	{"element out of order", `<Melding `, `<Kommune `, true},
	{"text between", `<Bruker`, `x<Bruker`, true},
	{"two events", `</TjenesteStart>`, `</TjenesteStart><TjenesteSlutt tjenesteType="15" hendelseRegTid="2023-11-14T22:13:20.000Z" hendelseDato="2026-05-01" tjenesteID="` + svcA + `" hendelseGUID="` + svcA + `"><Bruker pasientGUID="` + svcA + `" brukerNr="7" fid="1" typeID="1"/></TjenesteSlutt>`, false},
	{"expired service type", `tjenesteType="15"`, `tjenesteType="6"`, false},
	{"status T", `statusNotifikasjon="N"`, `statusNotifikasjon="T"`, false},
	{"M without reference", `statusNotifikasjon="N"`, `statusNotifikasjon="M"`, false},
	{"contact type of no list", `typeKontaktperson="16"`, `typeKontaktperson="20"`, false},
	{"identity type of no list", `typeID="1"`, `typeID="11"`, false},
	{"serial falls", `notifikasjonLopeNr="3"`, `notifikasjonLopeNr="2"`, false},
	{"serial with zeros", `notifikasjonLopeNr="3"`, `notifikasjonLopeNr="03"`, false},
	{"chain broken", ` notifikasjonForrigeGUID="` + ZeroGUID, ` notifikasjonForrigeGUID="` + svcA, false},
	{"number with letters", ` tjenesteOrgNr="3`, ` tjenesteOrgNr="x`, false},
	{"text too long", `leverandor="`, `leverandor="` + strings.Repeat("x", 100), false},
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

func TestOfficialSchemaRefuses(t *testing.T) {
	lint := official(t)
	good := written(t, everyKind())
	for _, c := range mutations {
		if !c.both {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if lint(mutate(t, good, c.old, c.new)) == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestEnginesAgreeOnOurSchema reads our schema with two engines: what one of them
// misunderstands shows.
func TestEnginesAgreeOnOurSchema(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.xsd"), Schema(), 0o600); err != nil {
		t.Fatal(err)
	}
	lint := xmllint(t, dir, "own.xsd")
	engine, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	good := written(t, everyKind())
	files := map[string][]byte{"unchanged": good}
	for _, c := range mutations {
		files[c.name] = mutate(t, good, c.old, c.new)
	}
	for name, file := range files {
		ours, theirs := engine.Validate(context.Background(), bytes.NewReader(file)), lint(file)
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%s: in process %v; xmllint %v", name, ours, theirs)
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
