package store

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/go-json-experiment/json"

	"flette/model"
)

// Names of reference lists.
const (
	// Municipalities is the list of municipality numbers with the days on which each holds
	// (R3, R73).
	Municipalities = "kommune"
	// OrgNumbers is followed by a data year: the organisation numbers that may be reported in
	// it, and for which service types (R70).
	OrgNumbers = "organisasjonsnummer"
)

// OrgNumbersOf is the name of the list of organisation numbers of a data year ("2026").
func OrgNumbersOf(year string) string { return OrgNumbers + " " + year }

// ReferenceList is one import of a list that somebody else keeps, with who took it over, when
// and from which file. Lists are never changed: of several of a name the newest counts.
type ReferenceList struct {
	Name   string       `json:"name"`
	Seq    int64        `json:"seq"` // 1, 2, 3 ... over all lists
	Rows   int          `json:"rows"`
	Digest string       `json:"digest"` // of the rows, see DigestOfRows
	SHA256 string       `json:"sha256"` // of the file, hexadecimal
	By     string       `json:"by"`
	At     model.Millis `json:"at"`
}

// ReferenceRow is one line of a list.
type ReferenceRow struct {
	List      int64    `json:"list"` // ReferenceList.Seq
	Number    string   `json:"number"`
	Name      string   `json:"name,omitempty"`
	Types     []string `json:"types,omitempty"`     // of an organisation: service types (9151) that it may be reported with
	From      string   `json:"from,omitempty"`      // of a municipality: first day, YYYY-MM-DD
	To        string   `json:"to,omitempty"`        // of a municipality: last day, "" while it exists
	Successor string   `json:"successor,omitempty"` // of a municipality: the number that took its place
}

// DocKind of the lists.
func (ReferenceList) DocKind() Kind { return "reference-list" }

// DocKey puts the lists of a name together, in order.
func (d ReferenceList) DocKey() string { return d.Name + "\n" + PositionKey(d.Seq) }

// DocKind of their rows.
func (ReferenceRow) DocKind() Kind { return "reference-row" }

// DocKey puts the rows of a list and of a number together.
func (d ReferenceRow) DocKey() string { return d.prefix() + d.From }

func (d ReferenceRow) prefix() string { return PositionKey(d.List) + " " + d.Number + " " }

// NewestList is the list of a name that counts; ok is false when none was ever imported.
func NewestList(v View, name string) (list ReferenceList, ok bool, err error) {
	all, err := List[ReferenceList](v, name+"\n", "", 0)
	if err != nil || len(all) == 0 {
		return ReferenceList{}, false, err
	}
	return all[len(all)-1], true, nil
}

// RowsOf are the rows of a list for a number, in order of From.
func RowsOf(v View, list int64, number string) ([]ReferenceRow, error) {
	return List[ReferenceRow](v, ReferenceRow{List: list, Number: number}.prefix(), "", 0)
}

// AllRows are the rows of a list, in order of their keys.
func AllRows(v View, list int64) ([]ReferenceRow, error) {
	return List[ReferenceRow](v, PositionKey(list)+" ", "", 0)
}

// DigestOfRows is the SHA-256, hexadecimal, of rows in order of their keys, whatever list they
// stand in: two imports with the same digest say the same.
func DigestOfRows(rows []ReferenceRow) (string, error) {
	h := sha256.New()
	for _, r := range rows {
		r.List = 0
		text, err := json.Marshal(r, json.Deterministic(true))
		if err != nil {
			return "", err
		}
		h.Write(append(text, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Municipality is what the list of municipalities says of a number.
type Municipality struct {
	Listed bool // a list was imported
	Known  bool // the number is of the list, on whatever days
	rows   []ReferenceRow
}

// MunicipalityOf looks a number up in the list of municipalities that counts.
func MunicipalityOf(v View, number string) (m Municipality, err error) {
	list, ok, err := NewestList(v, Municipalities)
	if err != nil || !ok {
		return m, err
	}
	m.Listed = true
	m.rows, err = RowsOf(v, list.Seq, number)
	m.Known = len(m.rows) > 0
	return m, err
}

// Existed reports whether the number holds on a day from from to to, both included.
func (m Municipality) Existed(from, to string) bool {
	return slices.ContainsFunc(m.rows, func(r ReferenceRow) bool { return r.From <= to && (r.To == "" || from <= r.To) })
}

// Next is the number that took its place, "" when the list names none.
func (m Municipality) Next() string {
	if len(m.rows) == 0 {
		return ""
	}
	return m.rows[len(m.rows)-1].Successor
}
