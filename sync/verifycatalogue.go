package sync

import "flette/store"

// catalogues checks what stands beside the journal about the catalogue: the notes of which
// version judged what, and the lines of the mapping of local services (R104), which nobody changes.
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
	return err
}
