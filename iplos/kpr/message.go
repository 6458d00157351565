package kpr

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"flette/model"
	"flette/model/ident"
	"flette/store"
)

// Format is the name of the message format in store.Extract.
const Format = "kpr-56.0.0"

// Writer names this extract program and its version in versjonUt.
const Writer = "flette-kpr 1"

const (
	namespace  = "http://www.npr.no/xmlstds/56_0_0_ipl"
	maxText    = 100 // longer texts become null in the register
	testPrefix = "TEST "
)

// Line is a notification together with the person as shown now.
type Line struct {
	store.Notification
	Bruker Bruker
}

// Message is everything that stands in a file.
type Message struct {
	Target   string
	Vendor   string // leverandor
	System   string // navnEPJ
	Version  string // versjonEPJ
	LocalID  string // lokalident
	Kommune  string
	Contacts []store.Contact
	Lines    []Line
}

// wantedContacts are the roles that the register demands (code list 8471), in the words of
// the list so that a person knows whom to enter.
var wantedContacts = []struct{ code, role string }{
	{"1", "technical production"},
	{"15", "EHR vendor, message validation"},
	{"16", "IPLOS contact"},
	{"17", "IPLOS submission responsible"},
}

// Check applies the content controls of the register to everything but the lines: texts
// present and at most 100 characters, and at least one contact of type 1, 15, 16 and 17. It
// returns a *model.Problem with code kpr-text, kpr-contact-missing, kpr-contact-type or
// kpr-kommune.
func (m *Message) Check() error {
	for _, t := range []struct{ pointer, what, text string }{
		{"/vendor", "the vendor's name", m.Vendor}, {"/system", "the system's name", m.mark() + m.System},
		{"/version", "the system's version", m.Version},
	} {
		if p := checkText(t.pointer, t.what, t.text); p != nil {
			return p
		}
	}
	if _, err := ident.ParseKommune(m.Kommune); err != nil {
		return model.Problemf("kpr-kommune", "/kommune", "the municipality number must be four digits")
	}
	seen := map[string]bool{}
	for i, c := range m.Contacts {
		at := fmt.Sprintf("/contacts/%d", i)
		if !contactTypes[c.Type] {
			return model.Problemf("kpr-contact-type", at+"/type", "the contact type is not in code list 8471")
		}
		if p := checkText(at+"/name", "the contact's name", c.Name); p != nil {
			return p
		}
		if p := checkText(at+"/email", "the contact's e-mail address", c.Email); p != nil {
			return p
		}
		if c.Phone != "" {
			if p := checkText(at+"/phone", "the contact's phone", c.Phone); p != nil {
				return p
			}
		}
		seen[c.Type] = true
	}
	for _, w := range wantedContacts {
		if !seen[w.code] {
			return model.Problemf("kpr-contact-missing", "/contacts",
				"the municipality has no contact of type %s (%s); the register refuses a message without one", w.code, w.role)
		}
	}
	return nil
}

// mark stands in front of the system's name and the local id in a file for test: whoever
// opens it must see that nobody in it exists.
func (m *Message) mark() string {
	if m.Target == Test {
		return testPrefix
	}
	return ""
}

// contactTypes is code list 8471.
var contactTypes = map[string]bool{
	"1": true, "2": true, "3": true, "4": true, "5": true, "6": true, "7": true, "8": true, "9": true, "10": true,
	"11": true, "12": true, "13": true, "14": true, "15": true, "16": true, "17": true, "18": true, "19": true,
}

// checkText refuses what an attribute cannot carry unchanged: control characters, which XML
// forbids or turns into spaces, invalid UTF-8, and texts that the register would drop.
func checkText(pointer, what, s string) *model.Problem {
	switch {
	case strings.TrimSpace(s) == "":
		return model.Problemf("kpr-text", pointer, "%s is missing", what)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unsendable):
		return model.Problemf("kpr-text", pointer, "%s holds characters that the message cannot carry", what)
	case utf8.RuneCountInString(s) > maxText:
		return model.Problemf("kpr-text", pointer, "%s is longer than %d characters", what, maxText)
	}
	return nil
}

func unsendable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff' || unicode.Is(unicode.Cs, r)
}

// Write writes the message as XML in UTF-8: one element a line, attributes in a fixed
// order, so that the same message gives the same bytes. It refuses text that checkText
// would refuse; then the output is incomplete.
func (m *Message) Write(w io.Writer) error {
	x := xmlWriter{w: bufio.NewWriterSize(w, 64<<10)}
	mark := m.mark()
	x.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	x.open(0, "Melding")
	x.attr("xmlns", namespace)
	x.attr("versjon", "56.0.0")
	x.attr("meldingstype", "K")
	x.attr("leverandor", m.Vendor)
	x.attr("navnEPJ", mark+m.System)
	x.attr("versjonEPJ", m.Version)
	x.attr("versjonUt", Writer)
	x.attr("lokalident", mark+m.LocalID)
	x.raw(">\n")
	for i := range m.Lines {
		x.line(&m.Lines[i])
	}
	for _, c := range m.Contacts {
		x.open(1, "Kontaktperson")
		x.attr("kontPerson", c.Name)
		x.optional("meldTelefon", c.Phone)
		x.attr("meldEpost1", c.Email)
		x.attr("typeKontaktperson", c.Type)
		x.raw("/>\n")
	}
	x.open(1, "Kommune")
	x.attr("kommuneNr", m.Kommune)
	x.raw("/>\n</Melding>\n")
	if x.err != nil {
		return x.err
	}
	return x.w.Flush()
}

type xmlWriter struct {
	w   *bufio.Writer
	err error
}

func (x *xmlWriter) line(l *Line) {
	if _, ok := kindRank[Kind(l.Kind)]; !ok && x.err == nil {
		x.err = fmt.Errorf("kpr: event kind is not known")
	}
	x.open(1, "Notifikasjon")
	x.attr("statusNotifikasjon", l.Status)
	x.attr("notifikasjonTid", l.Time.RFC3339())
	x.attr("notifikasjonGUID", l.GUID)
	x.attr("notifikasjonForrigeGUID", l.PrevGUID)
	x.attr("notifikasjonLopeNr", fmt.Sprint(l.Serial))
	x.optional("notifikasjonRef", l.Ref)
	x.raw(">\n")
	x.open(2, l.Kind)
	x.attr("tjenesteType", l.Type)
	x.attr("hendelseRegTid", l.RegTime.RFC3339())
	x.optional("tjenesteOrgNr", l.OrgNumber)
	x.attr("hendelseDato", l.Date)
	x.attr("tjenesteID", l.ServiceID)
	x.attr("hendelseGUID", l.EventGUID)
	x.optional("midlertidigStoppID", l.PauseID)
	x.raw(">\n")
	x.open(3, "Bruker")
	x.attr("pasientGUID", l.Bruker.PatientGUID)
	x.attr("brukerNr", l.Bruker.BrukerNr)
	x.optional("bydel", l.Bruker.District)
	x.attr("fid", l.Bruker.FID)
	x.attr("typeID", l.Bruker.TypeID)
	x.raw("/>\n    </" + l.Kind + ">\n  </Notifikasjon>\n")
}

func (x *xmlWriter) open(depth int, name string) {
	x.raw(strings.Repeat("  ", depth) + "<" + name)
}

func (x *xmlWriter) optional(name, value string) {
	if value != "" {
		x.attr(name, value)
	}
}

func (x *xmlWriter) attr(name, value string) {
	if x.err == nil && (!utf8.ValidString(value) || strings.ContainsFunc(value, unsendable)) {
		x.err = fmt.Errorf("kpr: attribute %s holds characters that the message cannot carry", name)
	}
	x.raw(" " + name + `="` + escaper.Replace(value) + `"`)
}

// escaper covers everything with a meaning inside a double-quoted attribute; the rest of
// the dangerous characters attr has refused.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func (x *xmlWriter) raw(s string) {
	if x.err == nil {
		_, x.err = x.w.WriteString(s)
	}
}
