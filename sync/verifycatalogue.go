package sync

import (
	"errors"

	"github.com/go-json-experiment/json"

	"flette/store"
)

// catalogues checks what stands beside the journal about the catalogue: the notes of which
// version judged what, the lines of the mapping of local services (R104), and the reference lists
// (R3, R70), which nobody changes.
func (w *verifier) catalogues() error {
	uses, err := store.List[store.CatalogueUse](w.v, "", "", 0)
	if err != nil {
		return err
	}
	for i, u := range uses {
		switch {
		case u.Version == "" || u.From < 0 || u.From >= w.v.Size():
			w.r.add("catalogue note at position %d: no version, or no such position", u.From)
		case i > 0 && uses[i-1].Version == u.Version:
			w.r.add("catalogue note at position %d: repeats the one before it", u.From)
		}
	}
	lines, err := store.List[store.LocalService](w.v, "", "", 0)
	seen := map[int64]bool{}
	for _, l := range lines {
		if l.Seq < 1 || seen[l.Seq] || l.Local == "" || l.To != "" && l.To < l.From || l.Code != "" && w.e.o.Catalogue.Service(l.Code) == nil {
			w.r.add("line %d of the service mapping: there twice, or no line that an import gives", l.Seq)
		}
		seen[l.Seq] = true
	}
	return errors.Join(err, w.references())
}

// references compares each reference list with the digest of its rows that the import noted, and
// looks for rows of no list.
func (w *verifier) references() error {
	lists, err := store.List[store.ReferenceList](w.v, "", "", 0)
	if err != nil {
		return err
	}
	known := map[int64]bool{}
	for _, l := range lists {
		if l.Seq < 1 || l.Name == "" || known[l.Seq] {
			w.r.add("reference list %d: there twice, or no list that an import gives", l.Seq)
			continue
		}
		known[l.Seq] = true
		rows, err := store.AllRows(w.v, l.Seq)
		if err != nil {
			return err
		}
		if digest, err := store.DigestOfRows(rows); err != nil || len(rows) != l.Rows || digest != l.Digest {
			w.r.add("reference list %d (%s): its %d rows are not the %d that were imported", l.Seq, l.Name, len(rows), l.Rows)
		}
	}
	stray := map[int64]bool{}
	err = w.v.Docs(store.ReferenceRow{}.DocKind(), "", "", func(_ string, body []byte) bool {
		var r struct {
			List int64 `json:"list"`
		}
		if json.Unmarshal(body, &r) != nil || !known[r.List] {
			stray[r.List] = true
		}
		return true
	})
	for seq := range stray {
		w.r.add("reference list %d: there are rows of it, but no list", seq)
	}
	return err
}
