package yearly

import (
	"bufio"
	_ "embed"
	"encoding/xml"
	"io"
	"slices"
	"strconv"
)

// Person is all that is sent about one. Identity fields go into the one shipment, the rest into
// the other; BrukerNr is in both.
type Person struct {
	BrukerNr    int64
	FID, TypeID string // code list 9032
	Birth, Sex  string
	Kommune     string // of residence
	District    string // "00" for none
	Death       string
	Values      []Value
	Repeated    []Value // diagnoses, stays, coercion
	Services    []Service
}

// Value is one registration: the id of the variable, when it was registered, and its members.
type Value struct {
	ID         string
	Registered string // YYYY-MM-DD
	Fields     []Field
}

// Field is a member of a value.
type Field struct{ Name, Text string }

func (v *Value) get(name string) string {
	for _, f := range v.Fields {
		if f.Name == name {
			return f.Text
		}
	}
	return ""
}

// Service is one service of the year; dates are YYYY-MM-DD, "" for none.
type Service struct {
	ID, Type           string
	Registered         string // the old code, when it is read as another
	Application        string
	Decision, From, To string
	Rejected, Rolling  bool
	Start, End         string
	Complaint, Answer  string
	Minutes            *int // granted per week
	ResourceMinutes    *int
	OrgNumber          string
}

// Format writes shipments.
type Format interface {
	Name() string
	Identity(w io.Writer, h Head) Writer
	Subject(w io.Writer, h Head) Writer
}

// Writer writes the persons of one shipment. Close ends it and does not close what is below.
type Writer interface {
	Write(p *Person) error
	Close() error
}

// Own is our own format, version 1.
type Own struct{}

// Schema describes the shipments of Own.
//
//go:embed schema.xsd
var Schema []byte

const namespace = "https://flette.dev/xml/iplos-aar/1"

// Name is "flette-iplos-1".
func (Own) Name() string { return "flette-iplos-1" }

// Identity begins a shipment KPR_IDE.
func (Own) Identity(w io.Writer, h Head) Writer { return begin(w, "KPR_IDE", h, writeIdentity) }

// Subject begins a shipment KPR_IPL.
func (Own) Subject(w io.Writer, h Head) Writer { return begin(w, "KPR_IPL", h, writeSubject) }

// document writes elements with attributes only. The first error stays.
type document struct {
	w    *bufio.Writer
	err  error
	root string
	each func(*document, *Person)
}

func begin(w io.Writer, root string, h Head, each func(*document, *Person)) *document {
	d := &document{w: bufio.NewWriterSize(w, 64<<10), root: root, each: each}
	d.text(xml.Header)
	d.open(root, "xmlns", namespace, "versjon", "1", "aar", strconv.Itoa(h.Year), "kommuneNr", h.Kommune,
		"posisjon", strconv.FormatInt(h.Position, 10), "epoke", h.Epoch)
	d.text(">\n")
	return d
}

func (d *document) text(s string) {
	if d.err == nil {
		_, d.err = d.w.WriteString(s)
	}
}

// open writes a start tag without its end; empty attributes are left out.
func (d *document) open(name string, attributes ...string) {
	d.text("<" + name)
	for pair := range slices.Chunk(attributes, 2) {
		if pair[1] == "" {
			continue
		}
		d.text(" " + pair[0] + `="`)
		if d.err == nil {
			d.err = xml.EscapeText(d.w, []byte(pair[1]))
		}
		d.text(`"`)
	}
}

func (d *document) Write(p *Person) error {
	d.each(d, p)
	return d.err
}

func (d *document) Close() error {
	d.text("</" + d.root + ">\n")
	if d.err == nil {
		d.err = d.w.Flush()
	}
	return d.err
}

func writeIdentity(d *document, p *Person) {
	d.open("Person", "brukerNr", strconv.FormatInt(p.BrukerNr, 10), "fid", p.FID, "typeID", p.TypeID, "fodt", p.Birth, "kjonn", p.Sex)
	d.text("/>\n")
}

func writeSubject(d *document, p *Person) {
	d.open("Person", "brukerNr", strconv.FormatInt(p.BrukerNr, 10), "kommuneNr", p.Kommune, "bydel", p.District, "dodDato", p.Death)
	d.text(">\n")
	for i := range p.Values {
		d.value("Variabel", &p.Values[i])
	}
	for i := range p.Repeated {
		d.value("Forekomst", &p.Repeated[i])
	}
	for i := range p.Services {
		d.service(&p.Services[i])
	}
	d.text("</Person>\n")
}

func (d *document) value(element string, v *Value) {
	d.open(element, "id", v.ID, "registrert", v.Registered)
	d.text(">")
	for _, f := range v.Fields {
		d.open("Felt", "navn", f.Name, "verdi", f.Text)
		d.text("/>")
	}
	d.text("</" + element + ">\n")
}

func (d *document) service(s *Service) {
	d.open("Tjeneste", "id", s.ID, "type", s.Type, "registrertType", s.Registered, "soknad", s.Application, "vedtak", s.Decision,
		"vedtakFra", s.From, "vedtakTil", s.To, "avslag", yes(s.Rejected), "rullerende", yes(s.Rolling), "start", s.Start, "slutt", s.End,
		"klage", s.Complaint, "klageBesvart", s.Answer, "minutterPerUke", number(s.Minutes), "ressursminutterPerUke", number(s.ResourceMinutes),
		"orgNr", s.OrgNumber)
	d.text("/>\n")
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}
