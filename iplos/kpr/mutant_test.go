package kpr

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// node is an element of a message; a node without a name is text as it stands in the file.
type node struct {
	name string
	attr [][2]string // the second is escaped
	kids []*node
	text string
}

func parse(t *testing.T, file []byte) *node {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(file))
	stack := []*node{{}}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return stack[0].kids[0]
		}
		if err != nil {
			t.Fatal(err)
		}
		top := stack[len(stack)-1]
		switch e := token.(type) {
		case xml.StartElement:
			n := &node{name: e.Name.Local}
			for _, a := range e.Attr {
				n.attr = append(n.attr, [2]string{a.Name.Local, escaper.Replace(a.Value)})
			}
			top.kids = append(top.kids, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

func (n *node) write(b *bytes.Buffer) {
	if n.name == "" {
		b.WriteString(n.text)
		return
	}
	b.WriteString("<" + n.name)
	for _, a := range n.attr {
		b.WriteString(" " + a[0] + `="` + a[1] + `"`)
	}
	b.WriteString(">")
	for _, k := range n.kids {
		k.write(b)
	}
	b.WriteString("</" + n.name + ">\n")
}

func (n *node) file() []byte {
	b := bytes.NewBufferString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	n.write(b)
	return b.Bytes()
}

// all lists the elements below, and itself.
func (n *node) all() []*node {
	out := []*node{n}
	for _, k := range n.kids {
		out = append(out, k.all()...)
	}
	return out
}

// have lists the elements with an attribute.
func (n *node) have(attr string) []*node {
	return slices.DeleteFunc(n.all(), func(x *node) bool { return x.at(attr) < 0 })
}

func (n *node) named(names ...string) []*node {
	return slices.DeleteFunc(n.all(), func(x *node) bool { return !slices.Contains(names, x.name) })
}

func (n *node) at(attr string) int {
	return slices.IndexFunc(n.attr, func(a [2]string) bool { return a[0] == attr })
}

func (n *node) set(attr, value string) {
	if i := n.at(attr); i >= 0 {
		n.attr[i][1] = value
		return
	}
	n.attr = append(n.attr, [2]string{attr, value})
}

func (n *node) get(attr string) string {
	if i := n.at(attr); i >= 0 {
		return n.attr[i][1]
	}
	return ""
}

func (n *node) drop(attr string) { n.attr = slices.Delete(n.attr, n.at(attr), n.at(attr)+1) }

func (n *node) copy() *node {
	c := *n
	c.attr, c.kids = slices.Clone(n.attr), nil
	for _, k := range n.kids {
		c.kids = append(c.kids, k.copy())
	}
	return &c
}

var eventNames = []string{"TjenesteStart", "TjenesteSlutt", "TjenesteutforerEndret", "MidlertidigStoppFra", "MidlertidigStoppTil"}

// prohibited are the attributes that the message had in other versions.
var prohibited = [][2]string{
	{"Melding", "fraDatoPeriode"}, {"Melding", "uttakDato"}, {"Melding", "lopenr"}, {"Melding", "tilDatoPeriode"},
	{"Kommune", "kommuneOrgNr"}, {"Bruker", "kjonn"}, {"Bruker", "fodselsar"}, {"Bruker", "komNrHjem"},
}

// Verdicts that a mutant should get.
const (
	bothRefuse = "both refuse"
	bothAccept = "both accept"
)

// mutant breaks a message in one way. Verdict is what both schemas say of it, or why ours
// refuses what the official one lets pass: nothing passes ours and not the official one.
// do returns nil where the message has no place for it.
type mutant struct {
	name    string
	verdict string
	do      func(r *rand.Rand, root *node) []byte
	engines string // why the two engines may read one schema differently here, "" where they may not
}

// change makes a mutation of one element out of those that list gives.
func change(list func(root *node) []*node, fn func(r *rand.Rand, n *node)) func(*rand.Rand, *node) []byte {
	return func(r *rand.Rand, root *node) []byte {
		from := list(root)
		if len(from) == 0 {
			return nil
		}
		fn(r, pick(r, from...))
		return root.file()
	}
}

// values puts one of the texts into an attribute.
func values(attr string, texts ...string) func(*rand.Rand, *node) []byte {
	return change(func(root *node) []*node { return root.have(attr) }, func(r *rand.Rand, n *node) { n.set(attr, pick(r, texts...)) })
}

func elements(names ...string) func(*node) []*node {
	return func(root *node) []*node { return root.named(names...) }
}

func anywhere(root *node) []*node { return root.all() }

// bytesOf mutates the file as it is.
func bytesOf(fn func(r *rand.Rand, file string) string) func(*rand.Rand, *node) []byte {
	return func(r *rand.Rand, root *node) []byte { return []byte(fn(r, string(root.file()))) }
}

// optional are attributes whose absence is no defect (of a change of provider it is one).
var optionalAttr = map[string]bool{"xmlns": true, "lokalident": true, "meldTelefon": true, "meldEpost2": true, "bydel": true, "tjenesteOrgNr": true, "notifikasjonRef": true}

func dropRequired(r *rand.Rand, n *node) {
	var names []string
	for _, a := range n.attr {
		if !optionalAttr[a[0]] || n.name == "TjenesteutforerEndret" && a[0] == "tjenesteOrgNr" {
			names = append(names, a[0])
		}
	}
	n.drop(pick(r, names...))
}

func insert(n *node, at int, k *node) { n.kids = slices.Insert(n.kids, at, k) }

// someEvent is an event of another kind than the one that is there, with its own ids.
func someEvent(n *node, kind string) *node {
	e := n.kids[0].copy()
	e.name = kind
	e.set("tjenesteOrgNr", orgA)
	if i := e.at("midlertidigStoppID"); i >= 0 {
		e.drop("midlertidigStoppID")
	}
	if strings.HasPrefix(kind, "Midlertidig") {
		e.set("midlertidigStoppID", svcB)
	}
	e.set("hendelseGUID", svcA)
	return e
}

// order is that in which the official schema lets events of one notification follow.
var order = []string{"TjenesteStart", "MidlertidigStoppTil", "MidlertidigStoppFra", "TjenesteutforerEndret", "TjenesteSlutt"}

const (
	oneForm  = "one form only: we write GUIDs in lower case without braces, and a reader that compares text must not see two of one"
	inUTC    = "times in UTC and dates without zone: nothing is left to the reader's time zone"
	codeList = "code lists are enumerated: the register drops the row, or the message (domain 3.5)"
	shortTxt = "texts of 1 to 100 characters: the register makes others null (domain 3.5)"
	chained  = "the chain (K1, R87), which no schema can say"
	oneEvent = "exactly one event in a notification (domain 3.5), which the official schema leaves to the control of content"
	utf8Only = "we write UTF-8, and our engine reads nothing else"
	collapse = "xmllint does not collapse spaces around the built-in date; Validate takes none"
	noDTD    = "no document types: they can name files and grow without end"
)

// mutants is every way in which messages are broken, and the documented differences.
var mutants = []mutant{
	{"nothing", bothAccept, bytesOf(func(_ *rand.Rand, f string) string { return f }), ""},
	{"required attribute dropped", bothRefuse, change(anywhere, dropRequired), ""},
	{"optional attribute dropped", bothAccept, change(func(root *node) []*node {
		return slices.DeleteFunc(root.all(), func(n *node) bool { return n.at("bydel") < 0 && n.at("lokalident") < 0 && n.at("meldTelefon") < 0 })
	}, func(_ *rand.Rand, n *node) {
		n.attr = slices.DeleteFunc(n.attr, func(a [2]string) bool { return a[0] == "bydel" || a[0] == "lokalident" || a[0] == "meldTelefon" })
	}), ""},
	{"number of a provider dropped", bothRefuse, change(elements("TjenesteutforerEndret"), func(_ *rand.Rand, n *node) { n.drop("tjenesteOrgNr") }), ""},
	{"attribute twice", bothRefuse, change(anywhere, func(r *rand.Rand, n *node) { n.attr = append(n.attr, pick(r, n.attr...)) }), ""},
	{"attribute renamed", bothRefuse, change(anywhere, func(r *rand.Rand, n *node) {
		i := r.IntN(len(n.attr))
		if n.attr[i][0] == "xmlns" {
			i++
		}
		n.attr[i][0] = pick(r, "x", "X", "_") + n.attr[i][0]
	}), ""},
	{"attribute in other case", bothRefuse, change(anywhere, func(_ *rand.Rand, n *node) { n.attr[len(n.attr)-1][0] = strings.ToUpper(n.attr[len(n.attr)-1][0]) }), ""},
	{"attribute too many", bothRefuse, change(anywhere, func(r *rand.Rand, n *node) { n.set(pick(r, "navn", "hendelseID", "xml", "x-y"), "1") }), ""},
	{"prohibited attribute", bothRefuse, func(r *rand.Rand, root *node) []byte {
		p := pick(r, prohibited...)
		pick(r, root.named(p[0])...).set(p[1], "2026-01-01")
		return root.file()
	}, ""},
	{"attribute with a prefix", bothRefuse, change(anywhere, func(_ *rand.Rand, n *node) {
		n.attr[len(n.attr)-1][0] = "n:" + n.attr[len(n.attr)-1][0]
		n.set("xmlns:n", namespace)
	}), ""},
	{"attribute of an unbound prefix", bothRefuse, change(anywhere, func(_ *rand.Rand, n *node) { n.set("q:a", "1") }), ""},
	{"attributes in other order", bothAccept, change(anywhere, func(r *rand.Rand, n *node) {
		r.Shuffle(len(n.attr), func(i, j int) { n.attr[i], n.attr[j] = n.attr[j], n.attr[i] })
	}), ""},

	{"version", bothRefuse, values("versjon", "56.0.1", "56", "", "56.0.0 ", " 56.0.0"), ""},
	{"type of message", bothRefuse, values("meldingstype", "B", "E", "k", ""), ""},

	{"date that is none", bothRefuse, values("hendelseDato", "2026-02-30", "2025-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "26-01-01", "20260101", "01.02.2026", "", "2026-01-01T00:00:00", "2026-01-32", "2026-04-31", "１２３４-01-01", "2026–01–01"), ""},
	{"leap day", bothAccept, values("hendelseDato", "2024-02-29", "2000-02-29", "1980-01-01"), ""},
	{"leap day of a year without", bothRefuse, values("hendelseDato", "2100-02-29", "1900-02-29", "2023-02-29"), ""},
	{"date with spaces", bothRefuse, values("hendelseDato", " 2026-01-01", "2026-01-01 ", "&#9;2026-01-01&#10;"), collapse},
	{"time with spaces", bothRefuse, values("notifikasjonTid", " 2026-01-01T10:00:00Z", "&#10;2026-01-01T10:00:00Z"), collapse},
	{"time with spaces behind", "no spaces around times: engines differ on them", values("notifikasjonTid", "2026-01-01T10:00:00Z  "), ""},
	{"date with a zone", inUTC, values("hendelseDato", "2026-01-01Z", "2026-01-01+02:00", "2026-01-01-14:00"), ""},
	{"zone that is none", bothRefuse, values("hendelseDato", "2026-01-01+15:00", "2026-01-01+2", "2026-01-01z", "2026-01-01 Z"), ""},
	{"year of five digits or before Christ", inUTC, values("hendelseDato", "12026-01-01", "-0044-03-15"), ""},
	{"time that is none", bothRefuse, values("notifikasjonTid", "2026-01-01", "2026-01-01T25:00:00Z", "2026-01-01T10:60:00Z", "2026-01-01T10:00:61Z", "2026-01-01T10:00Z", "2026-01-01 10:00:00Z", "2026-02-30T10:00:00Z", "2026-01-01T10:00:00.Z", "", "10:00:00", "2026-01-01T10:00:00,5Z", "2026-01-01t10:00:00Z"), ""},
	{"time of registration that is none", bothRefuse, values("hendelseRegTid", "2026-01-01", "2026-01-01T24:00:01Z", "x", "2026-01-01T1:00:00Z"), ""},
	{"time without fraction", bothAccept, values("notifikasjonTid", "2026-01-01T10:00:00Z", "2026-01-01T23:59:59.9Z"), ""},
	{"time in another zone or none", inUTC, values("hendelseRegTid", "2026-01-01T10:00:00", "2026-01-01T10:00:00+01:00", "2026-01-01T10:00:00-13:59", "2026-01-01T10:00:00.123456789Z"), ""},

	{"GUID that is none", bothRefuse, func(r *rand.Rand, root *node) []byte {
		return values(pick(r, "notifikasjonGUID", "notifikasjonForrigeGUID", "hendelseGUID", "pasientGUID"), "", "1", svcA+"0", svcA[1:], strings.ReplaceAll(svcA, "-", ""), "g"+svcA[1:],
			"{"+svcA, svcA+"}", "("+svcA+")", " "+svcA, svcA+" ", strings.Replace(svcA, "-", "–", 1), "urn:uuid:"+svcA, svcA+"&#10;")(r, root)
	}, ""},
	{"reference that is no GUID", bothRefuse, values("notifikasjonRef", "", "1", "x"+svcA), ""},
	{"GUID in another form", oneForm, func(r *rand.Rand, root *node) []byte {
		return values(pick(r, "notifikasjonGUID", "notifikasjonForrigeGUID", "hendelseGUID", "pasientGUID"), "{"+pauseA+"}", "ABCDEF00-1111-4111-8111-111111111111", "{ABCDEF00-1111-4111-8111-111111111111}")(r, root)
	}, ""},
	{"id of a service that is no GUID", oneForm, func(r *rand.Rand, root *node) []byte {
		return values(pick(r, "tjenesteID", "midlertidigStoppID"), "", "7", "svc 7", strings.Repeat("x", 200))(r, root)
	}, ""},
	{"two notifications with one GUID", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) { insert(n, 0, n.kids[0].copy()) }), ""},

	{"district too long or empty", bothRefuse, values("bydel", "", "1234567", strings.Repeat("0", 100)), ""},
	{"district of 1 or 6", bothAccept, values("bydel", "1", "123456", "AB12cd"), ""},
	{"district of other characters", shortTxt, values("bydel", "ø", "0 3", "(03)", "      "), ""},
	{"number of the municipality", shortTxt, values("kommuneNr", "", "301", "03011", "O301", " 0301", strings.Repeat("1", 300)), ""},
	{"number of a place", shortTxt, values("tjenesteOrgNr", "", "31234567", "3123456760", "312 345 676", "NO312345676"), ""},
	{"text too long", shortTxt, func(r *rand.Rand, root *node) []byte {
		return values(pick(r, "leverandor", "navnEPJ", "versjonEPJ", "versjonUt", "kontPerson", "meldEpost1", "meldTelefon", "brukerNr", "fid"), strings.Repeat("æ", 101), strings.Repeat("&amp;", 101), strings.Repeat("\U0001f600", 101))(r, root)
	}, ""},
	{"text of 100 characters", bothAccept, func(r *rand.Rand, root *node) []byte {
		return values(pick(r, "leverandor", "navnEPJ", "versjonEPJ", "versjonUt", "kontPerson", "meldEpost1", "meldTelefon", "brukerNr", "fid"), strings.Repeat("æ", 100), strings.Repeat("&amp;", 100), strings.Repeat("\U0001f600", 100))(r, root)
	}, ""},
	{"text empty or blank", shortTxt, func(r *rand.Rand, root *node) []byte {
		return values(pick(r, "leverandor", "navnEPJ", "versjonEPJ", "kontPerson", "meldEpost1", "brukerNr", "fid"), "", " ", "\t", "&#10;", "a&#10;b", "a&#9;b", "a&#13;b")(r, root)
	}, ""},
	{"second address", bothAccept, change(elements("Kontaktperson"), func(_ *rand.Rand, n *node) { n.set("meldEpost2", "b@skogvik.example") }), ""},

	{"type of service", codeList, values("tjenesteType", "", "0", "6", "10", "12", "13", "14", "16", "23", "24", "26", "27", "28", "30", "015", " 15", "08.01", "X"), ""},
	{"status", codeList, values("statusNotifikasjon", "", "T", "n", "X", "NN"), ""},
	{"type of contact", codeList, values("typeKontaktperson", "", "0", "20", "01", "x", "-1"), ""},
	{"type of identity", codeList, values("typeID", "", "0", "11", "13", "01", "x"), ""},

	{"serial", chained, values("notifikasjonLopeNr", "", "0", "-1", "01", "1.0", "x", "１", strings.Repeat("9", 19)), ""},
	{"serial twice", chained, change(func(root *node) []*node {
		if list := root.named("Notifikasjon"); len(list) > 1 {
			return list[1:]
		}
		return nil
	}, func(_ *rand.Rand, n *node) { n.set("notifikasjonLopeNr", "1") }), ""},
	{"new with a reference", chained, change(func(root *node) []*node {
		return slices.DeleteFunc(root.named("Notifikasjon"), func(n *node) bool { return n.get("statusNotifikasjon") != "N" })
	}, func(_ *rand.Rand, n *node) { n.set("notifikasjonRef", svcB) }), ""},
	{"correction without a reference", chained, change(func(root *node) []*node { return root.have("notifikasjonRef") }, func(_ *rand.Rand, n *node) { n.drop("notifikasjonRef") }), ""},
	{"correction of itself", chained, change(func(root *node) []*node { return root.have("notifikasjonRef") }, func(_ *rand.Rand, n *node) { n.set("notifikasjonRef", n.get("notifikasjonGUID")) }), ""},
	{"previous GUID of nobody", chained, change(func(root *node) []*node {
		if list := root.named("Notifikasjon"); len(list) > 1 {
			return list[1:]
		}
		return nil
	}, func(_ *rand.Rand, n *node) { n.set("notifikasjonForrigeGUID", svcB) }), ""},
	{"notifications in other order", chained, change(func(root *node) []*node {
		if len(root.named("Notifikasjon")) < 2 {
			return nil
		}
		return []*node{root}
	}, func(_ *rand.Rand, n *node) { n.kids[0], n.kids[1] = n.kids[1], n.kids[0] }), ""},

	{"no event", oneEvent, change(elements("Notifikasjon"), func(_ *rand.Rand, n *node) { n.kids = nil }), ""},
	{"two events in the order of the schema", oneEvent, change(elements("Notifikasjon"), func(r *rand.Rand, n *node) {
		at := slices.Index(order, n.kids[0].name)
		if at == len(order)-1 || at > 0 && r.IntN(2) == 0 {
			insert(n, 0, someEvent(n, order[r.IntN(at)]))
			return
		}
		insert(n, 1, someEvent(n, order[at+1+r.IntN(len(order)-1-at)]))
	}), ""},
	{"two events in another order", bothRefuse, change(elements("Notifikasjon"), func(r *rand.Rand, n *node) {
		at := slices.Index(order, n.kids[0].name)
		if at == 0 || at < len(order)-1 && r.IntN(2) == 0 {
			insert(n, 0, someEvent(n, order[at+1+r.IntN(len(order)-1-at)]))
			return
		}
		insert(n, 1, someEvent(n, order[r.IntN(at)]))
	}), ""},
	{"event twice", bothRefuse, change(elements("Notifikasjon"), func(_ *rand.Rand, n *node) { insert(n, 0, n.kids[0].copy()) }), ""},
	{"two persons", bothRefuse, change(elements(eventNames...), func(_ *rand.Rand, n *node) { insert(n, 0, n.kids[0].copy()) }), ""},
	{"no person", bothRefuse, change(elements(eventNames...), func(_ *rand.Rand, n *node) { n.kids = nil }), ""},
	{"event of no kind", bothRefuse, change(elements(eventNames...), func(r *rand.Rand, n *node) { n.name = pick(r, "TjenestePause", "tjenesteStart", "Bruker", "Tjeneste") }), ""},
	{"pause told as a start", bothRefuse, change(elements("MidlertidigStoppFra", "MidlertidigStoppTil"), func(_ *rand.Rand, n *node) { n.name = "TjenesteStart" }), ""},
	{"start told as a pause", bothRefuse, change(elements("TjenesteStart", "TjenesteSlutt"), func(_ *rand.Rand, n *node) { n.name = "MidlertidigStoppFra" }), ""},

	{"element too many", bothRefuse, change(anywhere, func(r *rand.Rand, n *node) {
		insert(n, r.IntN(len(n.kids)+1), &node{name: pick(r, "Tillegg", "Melding", "kommune")})
	}), ""},
	{"element of another namespace", bothRefuse, change(elements("Kontaktperson", "Bruker", "Notifikasjon"), func(_ *rand.Rand, n *node) { n.set("xmlns", namespace+"x") }), ""},
	{"no namespace", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) { n.drop("xmlns") }), ""},
	{"another root", bothRefuse, change(elements("Melding"), func(r *rand.Rand, n *node) { n.name = pick(r, "Meldinger", "melding") }), ""},
	{"contacts first", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) {
		last := len(n.kids) - 2
		n.kids[0], n.kids[last] = n.kids[last], n.kids[0]
	}), ""},
	{"municipality before the contacts", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) {
		k := n.kids[len(n.kids)-1]
		n.kids = n.kids[:len(n.kids)-1]
		insert(n, len(n.kids)-1, k)
	}), ""},
	{"no municipality", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) { n.kids = n.kids[:len(n.kids)-1] }), ""},
	{"municipality twice", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) { n.kids = append(n.kids, n.kids[len(n.kids)-1].copy()) }), ""},
	{"two municipalities", "one reporting unit in a message (domain 3.5)", change(elements("Melding"), func(_ *rand.Rand, n *node) {
		k := n.kids[len(n.kids)-1].copy()
		k.set("kommuneNr", "9998")
		n.kids = append(n.kids, k)
	}), ""},
	{"no contact", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *node) {
		n.kids = slices.DeleteFunc(n.kids, func(k *node) bool { return k.name == "Kontaktperson" })
	}), ""},
	{"one contact", "one contact of each of four types (domain 3.5)", change(elements("Melding"), func(_ *rand.Rand, n *node) {
		found := 0
		n.kids = slices.DeleteFunc(n.kids, func(k *node) bool {
			if k.name == "Kontaktperson" {
				found++
			}
			return k.name == "Kontaktperson" && found > 1
		})
	}), ""},
	{"no notification", bothAccept, change(elements("Melding"), func(_ *rand.Rand, n *node) {
		n.kids = slices.DeleteFunc(n.kids, func(k *node) bool { return k.name == "Notifikasjon" })
	}), ""},

	{"text between elements", bothRefuse, change(anywhere, func(r *rand.Rand, n *node) {
		insert(n, r.IntN(len(n.kids)+1), &node{text: pick(r, "x", "&amp;", "&#160;", "<![CDATA[x]]>")})
	}), ""},
	{"comments and instructions", bothAccept, change(anywhere, func(r *rand.Rand, n *node) {
		insert(n, r.IntN(len(n.kids)+1), &node{text: pick(r, "<!-- x -->", "<?x y?>")})
	}), ""},
	{"lines between elements", bothAccept, change(elements(append(eventNames, "Melding", "Notifikasjon")...), func(r *rand.Rand, n *node) { insert(n, r.IntN(len(n.kids)+1), &node{text: pick(r, "\n\n", "\t")}) }), ""},
	{"spaces in an element that is empty", bothRefuse, change(elements("Bruker", "Kontaktperson", "Kommune"), func(r *rand.Rand, n *node) { insert(n, 0, &node{text: pick(r, "\n", " ")}) }),
		"the engine in Go takes white space for no content; Validate looks for it"},
	{"comment that is none", bothRefuse, change(anywhere, func(r *rand.Rand, n *node) {
		insert(n, 0, &node{text: pick(r, "<!-- a -- b -->", "<!-- a", "<? x?>", "]]>")})
	}), ""},
	{"reference to no character", bothRefuse, values("leverandor", "&#0;", "&#1;", "&#xFFFE;", "&#xD800;", "&#x110000;", "&nix;", "&", "<", "a\x00b", "a\x01b", "a\ufffeb", "\xff", "\xed\xa0\x80", "a\xc3"), ""},
	{"cut off", bothRefuse, bytesOf(func(r *rand.Rand, f string) string { return f[:len(f)-10-r.IntN(len(f)-10)] }), ""},
	{"something after the end", bothRefuse, bytesOf(func(r *rand.Rand, f string) string { return f + pick(r, "x", "<Melding/>", "&amp;") }), ""},
	{"NUL after the end", "bytes that are no XML, before which xmllint stops reading", bytesOf(func(_ *rand.Rand, f string) string { return f + "\x00" }), "xmllint stops reading at NUL"},
	{"spaces and comments after the end", bothAccept, bytesOf(func(r *rand.Rand, f string) string { return f + pick(r, " \n", "<!-- x -->", "<?x?>") }), ""},
	{"something before the declaration", bothRefuse, bytesOf(func(r *rand.Rand, f string) string { return pick(r, " ", "\n", "x", "<!-- x -->") + f }), ""},
	{"byte order mark", bothAccept, bytesOf(func(_ *rand.Rand, f string) string { return "\ufeff" + f }), ""},
	{"no declaration", bothAccept, bytesOf(func(_ *rand.Rand, f string) string { return f[strings.Index(f, "<Melding"):] }), ""},
	{"tags crossed", bothRefuse, bytesOf(func(_ *rand.Rand, f string) string { return strings.Replace(f, "</Bruker>", "</Brukar>", 1) }), ""},
	{"single quotes", bothAccept, bytesOf(func(_ *rand.Rand, f string) string {
		return strings.Replace(f, `meldingstype="K"`, `meldingstype='K'`, 1)
	}), ""},
	{"no quotes", bothRefuse, bytesOf(func(_ *rand.Rand, f string) string {
		return strings.Replace(f, `meldingstype="K"`, `meldingstype=K`, 1)
	}), ""},
	{"ISO 8859-1", utf8Only, bytesOf(func(_ *rand.Rand, f string) string {
		f = strings.Map(func(r rune) rune {
			if r > 0x7e {
				return 'x'
			}
			return r
		}, f)
		return strings.Replace(strings.Replace(f, "UTF-8", "ISO-8859-1", 1), `leverandor="`, "leverandor=\"\xe5", 1)
	}), utf8Only},
	{"document type", noDTD, bytesOf(func(_ *rand.Rand, f string) string {
		return strings.Replace(f, "<Melding", "<!DOCTYPE Melding>\n<Melding", 1)
	}), noDTD},
	{"prefix instead of the default", bothAccept, bytesOf(func(_ *rand.Rand, f string) string {
		f = strings.ReplaceAll(strings.ReplaceAll(f, "</", "</n:"), " xmlns=", " xmlns:n=")
		for _, name := range append([]string{"Melding", "Notifikasjon", "Kontaktperson", "Kommune", "Bruker"}, eventNames...) {
			f = strings.ReplaceAll(f, "<"+name+" ", "<n:"+name+" ")
		}
		return f
	}), ""},
	{"nil where nothing may be nil", bothRefuse, change(elements("Bruker", "Kommune", "Kontaktperson"), func(_ *rand.Rand, n *node) {
		n.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
		n.set("xsi:nil", "true")
	}), ""},
	{"type that is none", bothRefuse, change(elements("Bruker", "Kommune"), func(_ *rand.Rand, n *node) {
		n.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
		n.set("xsi:type", "Kommune")
	}), ""},
}
