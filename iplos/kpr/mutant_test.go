package kpr

import (
	"math/rand/v2"
	"slices"
	"strings"

	"flette/internal/testkit"
)

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
	do      func(r *rand.Rand, root *testkit.Node) []byte
	engines string // why the two engines may read one schema differently here, "" where they may not
}

// change makes a mutation of one element out of those that list gives.
func change(list func(root *testkit.Node) []*testkit.Node, fn func(r *rand.Rand, n *testkit.Node)) func(*rand.Rand, *testkit.Node) []byte {
	return func(r *rand.Rand, root *testkit.Node) []byte {
		from := list(root)
		if len(from) == 0 {
			return nil
		}
		fn(r, pick(r, from...))
		return root.File()
	}
}

// values puts one of the texts into an attribute.
func values(attr string, texts ...string) func(*rand.Rand, *testkit.Node) []byte {
	return change(func(root *testkit.Node) []*testkit.Node { return root.Have(attr) }, func(r *rand.Rand, n *testkit.Node) { n.Set(attr, pick(r, texts...)) })
}

func elements(names ...string) func(*testkit.Node) []*testkit.Node {
	return func(root *testkit.Node) []*testkit.Node { return root.Named(names...) }
}

func anywhere(root *testkit.Node) []*testkit.Node { return root.All() }

// bytesOf mutates the file as it is.
func bytesOf(fn func(r *rand.Rand, file string) string) func(*rand.Rand, *testkit.Node) []byte {
	return func(r *rand.Rand, root *testkit.Node) []byte { return []byte(fn(r, string(root.File()))) }
}

// optional are attributes whose absence is no defect (of a change of provider it is one).
var optionalAttr = map[string]bool{"xmlns": true, "lokalident": true, "meldTelefon": true, "meldEpost2": true, "bydel": true, "tjenesteOrgNr": true, "notifikasjonRef": true}

func dropRequired(r *rand.Rand, n *testkit.Node) {
	var names []string
	for _, a := range n.Attr {
		if !optionalAttr[a[0]] || n.Name == "TjenesteutforerEndret" && a[0] == "tjenesteOrgNr" {
			names = append(names, a[0])
		}
	}
	n.Drop(pick(r, names...))
}

// someEvent is an event of another kind than the one that is there, with its own ids.
func someEvent(n *testkit.Node, kind string) *testkit.Node {
	e := n.Kids[0].Copy()
	e.Name = kind
	e.Set("tjenesteOrgNr", orgA)
	e.Drop("midlertidigStoppID")
	if strings.HasPrefix(kind, "Midlertidig") {
		e.Set("midlertidigStoppID", svcB)
	}
	e.Set("hendelseGUID", svcA)
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
	{"optional attribute dropped", bothAccept, change(func(root *testkit.Node) []*testkit.Node {
		return slices.DeleteFunc(root.All(), func(n *testkit.Node) bool {
			return n.Get("bydel") == "" && n.Get("lokalident") == "" && n.Get("meldTelefon") == ""
		})
	}, func(_ *rand.Rand, n *testkit.Node) {
		n.Drop("bydel", "lokalident", "meldTelefon")
	}), ""},
	{"number of a provider dropped", bothRefuse, change(elements("TjenesteutforerEndret"), func(_ *rand.Rand, n *testkit.Node) { n.Drop("tjenesteOrgNr") }), ""},
	{"attribute twice", bothRefuse, change(anywhere, func(r *rand.Rand, n *testkit.Node) { n.Attr = append(n.Attr, pick(r, n.Attr...)) }), ""},
	{"attribute renamed", bothRefuse, change(anywhere, func(r *rand.Rand, n *testkit.Node) {
		i := r.IntN(len(n.Attr))
		if n.Attr[i][0] == "xmlns" {
			i++
		}
		n.Attr[i][0] = pick(r, "x", "X", "_") + n.Attr[i][0]
	}), ""},
	{"attribute in other case", bothRefuse, change(anywhere, func(_ *rand.Rand, n *testkit.Node) {
		n.Attr[len(n.Attr)-1][0] = strings.ToUpper(n.Attr[len(n.Attr)-1][0])
	}), ""},
	{"attribute too many", bothRefuse, change(anywhere, func(r *rand.Rand, n *testkit.Node) { n.Set(pick(r, "navn", "hendelseID", "xml", "x-y"), "1") }), ""},
	{"prohibited attribute", bothRefuse, func(r *rand.Rand, root *testkit.Node) []byte {
		p := pick(r, prohibited...)
		pick(r, root.Named(p[0])...).Set(p[1], "2026-01-01")
		return root.File()
	}, ""},
	{"attribute with a prefix", bothRefuse, change(anywhere, func(_ *rand.Rand, n *testkit.Node) {
		n.Attr[len(n.Attr)-1][0] = "n:" + n.Attr[len(n.Attr)-1][0]
		n.Set("xmlns:n", namespace)
	}), ""},
	{"attribute of an unbound prefix", bothRefuse, change(anywhere, func(_ *rand.Rand, n *testkit.Node) { n.Set("q:a", "1") }), ""},
	{"attributes in other order", bothAccept, change(anywhere, func(r *rand.Rand, n *testkit.Node) {
		r.Shuffle(len(n.Attr), func(i, j int) { n.Attr[i], n.Attr[j] = n.Attr[j], n.Attr[i] })
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

	{"GUID that is none", bothRefuse, func(r *rand.Rand, root *testkit.Node) []byte {
		return values(pick(r, "notifikasjonGUID", "notifikasjonForrigeGUID", "hendelseGUID", "pasientGUID"), "", "1", svcA+"0", svcA[1:], strings.ReplaceAll(svcA, "-", ""), "g"+svcA[1:],
			"{"+svcA, svcA+"}", "("+svcA+")", " "+svcA, svcA+" ", strings.Replace(svcA, "-", "–", 1), "urn:uuid:"+svcA, svcA+"&#10;")(r, root)
	}, ""},
	{"reference that is no GUID", bothRefuse, values("notifikasjonRef", "", "1", "x"+svcA), ""},
	{"GUID in another form", oneForm, func(r *rand.Rand, root *testkit.Node) []byte {
		return values(pick(r, "notifikasjonGUID", "notifikasjonForrigeGUID", "hendelseGUID", "pasientGUID"), "{"+pauseA+"}", "ABCDEF00-1111-4111-8111-111111111111", "{ABCDEF00-1111-4111-8111-111111111111}")(r, root)
	}, ""},
	{"id of a service that is no GUID", oneForm, func(r *rand.Rand, root *testkit.Node) []byte {
		return values(pick(r, "tjenesteID", "midlertidigStoppID"), "", "7", "svc 7", strings.Repeat("x", 200))(r, root)
	}, ""},
	{"two notifications with one GUID", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) { n.Insert(0, n.Kids[0].Copy()) }), ""},

	{"district too long or empty", bothRefuse, values("bydel", "", "1234567", strings.Repeat("0", 100)), ""},
	{"district of 1 or 6", bothAccept, values("bydel", "1", "123456", "AB12cd"), ""},
	{"district of other characters", shortTxt, values("bydel", "ø", "0 3", "(03)", "      "), ""},
	{"number of the municipality", shortTxt, values("kommuneNr", "", "301", "03011", "O301", " 0301", strings.Repeat("1", 300)), ""},
	{"number of a place", shortTxt, values("tjenesteOrgNr", "", "31234567", "3123456760", "312 345 676", "NO312345676"), ""},
	{"text too long", shortTxt, func(r *rand.Rand, root *testkit.Node) []byte {
		return values(pick(r, "leverandor", "navnEPJ", "versjonEPJ", "versjonUt", "kontPerson", "meldEpost1", "meldTelefon", "brukerNr", "fid"), strings.Repeat("æ", 101), strings.Repeat("&amp;", 101), strings.Repeat("\U0001f600", 101))(r, root)
	}, ""},
	{"text of 100 characters", bothAccept, func(r *rand.Rand, root *testkit.Node) []byte {
		return values(pick(r, "leverandor", "navnEPJ", "versjonEPJ", "versjonUt", "kontPerson", "meldEpost1", "meldTelefon", "brukerNr", "fid"), strings.Repeat("æ", 100), strings.Repeat("&amp;", 100), strings.Repeat("\U0001f600", 100))(r, root)
	}, ""},
	{"text empty or blank", shortTxt, func(r *rand.Rand, root *testkit.Node) []byte {
		return values(pick(r, "leverandor", "navnEPJ", "versjonEPJ", "kontPerson", "meldEpost1", "brukerNr", "fid"), "", " ", "\t", "&#10;", "a&#10;b", "a&#9;b", "a&#13;b")(r, root)
	}, ""},
	{"second address", bothAccept, change(elements("Kontaktperson"), func(_ *rand.Rand, n *testkit.Node) { n.Set("meldEpost2", "b@skogvik.example") }), ""},

	{"type of service", codeList, values("tjenesteType", "", "0", "6", "10", "12", "13", "14", "16", "23", "24", "26", "27", "28", "30", "015", " 15", "08.01", "X"), ""},
	{"status", codeList, values("statusNotifikasjon", "", "T", "n", "X", "NN"), ""},
	{"type of contact", codeList, values("typeKontaktperson", "", "0", "20", "01", "x", "-1"), ""},
	{"type of identity", codeList, values("typeID", "", "0", "11", "13", "01", "x"), ""},

	{"serial", chained, values("notifikasjonLopeNr", "", "0", "-1", "01", "1.0", "x", "１", strings.Repeat("9", 19)), ""},
	{"serial twice", chained, change(func(root *testkit.Node) []*testkit.Node {
		if list := root.Named("Notifikasjon"); len(list) > 1 {
			return list[1:]
		}
		return nil
	}, func(_ *rand.Rand, n *testkit.Node) { n.Set("notifikasjonLopeNr", "1") }), ""},
	{"new with a reference", chained, change(func(root *testkit.Node) []*testkit.Node {
		return slices.DeleteFunc(root.Named("Notifikasjon"), func(n *testkit.Node) bool { return n.Get("statusNotifikasjon") != "N" })
	}, func(_ *rand.Rand, n *testkit.Node) { n.Set("notifikasjonRef", svcB) }), ""},
	{"correction without a reference", chained, change(func(root *testkit.Node) []*testkit.Node { return root.Have("notifikasjonRef") }, func(_ *rand.Rand, n *testkit.Node) { n.Drop("notifikasjonRef") }), ""},
	{"correction of itself", chained, change(func(root *testkit.Node) []*testkit.Node { return root.Have("notifikasjonRef") }, func(_ *rand.Rand, n *testkit.Node) { n.Set("notifikasjonRef", n.Get("notifikasjonGUID")) }), ""},
	{"previous GUID of nobody", chained, change(func(root *testkit.Node) []*testkit.Node {
		if list := root.Named("Notifikasjon"); len(list) > 1 {
			return list[1:]
		}
		return nil
	}, func(_ *rand.Rand, n *testkit.Node) { n.Set("notifikasjonForrigeGUID", svcB) }), ""},
	{"notifications in other order", chained, change(func(root *testkit.Node) []*testkit.Node {
		if len(root.Named("Notifikasjon")) < 2 {
			return nil
		}
		return []*testkit.Node{root}
	}, func(_ *rand.Rand, n *testkit.Node) { n.Kids[0], n.Kids[1] = n.Kids[1], n.Kids[0] }), ""},

	{"no event", oneEvent, change(elements("Notifikasjon"), func(_ *rand.Rand, n *testkit.Node) { n.Kids = nil }), ""},
	{"two events in the order of the schema", oneEvent, change(elements("Notifikasjon"), func(r *rand.Rand, n *testkit.Node) {
		at := slices.Index(order, n.Kids[0].Name)
		if at == len(order)-1 || at > 0 && r.IntN(2) == 0 {
			n.Insert(0, someEvent(n, order[r.IntN(at)]))
			return
		}
		n.Insert(1, someEvent(n, order[at+1+r.IntN(len(order)-1-at)]))
	}), ""},
	{"two events in another order", bothRefuse, change(elements("Notifikasjon"), func(r *rand.Rand, n *testkit.Node) {
		at := slices.Index(order, n.Kids[0].Name)
		if at == 0 || at < len(order)-1 && r.IntN(2) == 0 {
			n.Insert(0, someEvent(n, order[at+1+r.IntN(len(order)-1-at)]))
			return
		}
		n.Insert(1, someEvent(n, order[r.IntN(at)]))
	}), ""},
	{"event twice", bothRefuse, change(elements("Notifikasjon"), func(_ *rand.Rand, n *testkit.Node) { n.Insert(0, n.Kids[0].Copy()) }), ""},
	{"two persons", bothRefuse, change(elements(eventNames...), func(_ *rand.Rand, n *testkit.Node) { n.Insert(0, n.Kids[0].Copy()) }), ""},
	{"no person", bothRefuse, change(elements(eventNames...), func(_ *rand.Rand, n *testkit.Node) { n.Kids = nil }), ""},
	{"event of no kind", bothRefuse, change(elements(eventNames...), func(r *rand.Rand, n *testkit.Node) {
		n.Name = pick(r, "TjenestePause", "tjenesteStart", "Bruker", "Tjeneste")
	}), ""},
	{"pause told as a start", bothRefuse, change(elements("MidlertidigStoppFra", "MidlertidigStoppTil"), func(_ *rand.Rand, n *testkit.Node) { n.Name = "TjenesteStart" }), ""},
	{"start told as a pause", bothRefuse, change(elements("TjenesteStart", "TjenesteSlutt"), func(_ *rand.Rand, n *testkit.Node) { n.Name = "MidlertidigStoppFra" }), ""},

	{"element too many", bothRefuse, change(anywhere, func(r *rand.Rand, n *testkit.Node) {
		n.Insert(r.IntN(len(n.Kids)+1), &testkit.Node{Name: pick(r, "Tillegg", "Melding", "kommune")})
	}), ""},
	{"element of another namespace", bothRefuse, change(elements("Kontaktperson", "Bruker", "Notifikasjon"), func(_ *rand.Rand, n *testkit.Node) { n.Set("xmlns", namespace+"x") }), ""},
	{"no namespace", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) { n.Drop("xmlns") }), ""},
	{"another root", bothRefuse, change(elements("Melding"), func(r *rand.Rand, n *testkit.Node) { n.Name = pick(r, "Meldinger", "melding") }), ""},
	{"contacts first", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) {
		last := len(n.Kids) - 2
		n.Kids[0], n.Kids[last] = n.Kids[last], n.Kids[0]
	}), ""},
	{"municipality before the contacts", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) {
		k := n.Kids[len(n.Kids)-1]
		n.Kids = n.Kids[:len(n.Kids)-1]
		n.Insert(len(n.Kids)-1, k)
	}), ""},
	{"no municipality", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) { n.Kids = n.Kids[:len(n.Kids)-1] }), ""},
	{"municipality twice", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) { n.Kids = append(n.Kids, n.Kids[len(n.Kids)-1].Copy()) }), ""},
	{"two municipalities", "one reporting unit in a message (domain 3.5)", change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) {
		k := n.Kids[len(n.Kids)-1].Copy()
		k.Set("kommuneNr", "9998")
		n.Kids = append(n.Kids, k)
	}), ""},
	{"no contact", bothRefuse, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) {
		n.Kids = slices.DeleteFunc(n.Kids, func(k *testkit.Node) bool { return k.Name == "Kontaktperson" })
	}), ""},
	{"one contact", "one contact of each of four types (domain 3.5)", change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) {
		found := 0
		n.Kids = slices.DeleteFunc(n.Kids, func(k *testkit.Node) bool {
			if k.Name == "Kontaktperson" {
				found++
			}
			return k.Name == "Kontaktperson" && found > 1
		})
	}), ""},
	{"no notification", bothAccept, change(elements("Melding"), func(_ *rand.Rand, n *testkit.Node) {
		n.Kids = slices.DeleteFunc(n.Kids, func(k *testkit.Node) bool { return k.Name == "Notifikasjon" })
	}), ""},

	{"text between elements", bothRefuse, change(anywhere, func(r *rand.Rand, n *testkit.Node) {
		n.Insert(r.IntN(len(n.Kids)+1), &testkit.Node{Text: pick(r, "x", "&amp;", "&#160;", "<![CDATA[x]]>")})
	}), ""},
	{"comments and instructions", bothAccept, change(anywhere, func(r *rand.Rand, n *testkit.Node) {
		n.Insert(r.IntN(len(n.Kids)+1), &testkit.Node{Text: pick(r, "<!-- x -->", "<?x y?>")})
	}), ""},
	{"lines between elements", bothAccept, change(elements(append(eventNames, "Melding", "Notifikasjon")...), func(r *rand.Rand, n *testkit.Node) {
		n.Insert(r.IntN(len(n.Kids)+1), &testkit.Node{Text: pick(r, "\n\n", "\t")})
	}), ""},
	{"spaces in an element that is empty", bothRefuse, change(elements("Bruker", "Kontaktperson", "Kommune"), func(r *rand.Rand, n *testkit.Node) { n.Insert(0, &testkit.Node{Text: pick(r, "\n", " ")}) }),
		"the engine in Go takes white space for no content; Validate looks for it"},
	{"comment that is none", bothRefuse, change(anywhere, func(r *rand.Rand, n *testkit.Node) {
		n.Insert(0, &testkit.Node{Text: pick(r, "<!-- a -- b -->", "<!-- a", "<? x?>", "]]>")})
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
	{"nil where nothing may be nil", bothRefuse, change(elements("Bruker", "Kommune", "Kontaktperson"), func(_ *rand.Rand, n *testkit.Node) {
		n.Set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
		n.Set("xsi:nil", "true")
	}), ""},
	{"type that is none", bothRefuse, change(elements("Bruker", "Kommune"), func(_ *rand.Rand, n *testkit.Node) {
		n.Set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
		n.Set("xsi:type", "Kommune")
	}), ""},
}
