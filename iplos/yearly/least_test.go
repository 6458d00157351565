package yearly

import (
	"errors"
	"maps"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model/catalogue"
	"flette/store"
)

// R74: what somebody who is sent lacks of the least that is wanted is counted and listed; R77: who
// is known in five municipalities is said.
func TestLeast(t *testing.T) {
	full := map[string]jsontext.Value{
		"service/@a": jsontext.Value(`{"type":"15"}`), "service/@a/grant": jsontext.Value(`{"date":"2026-01-02"}`),
		"service/@a/start": jsontext.Value(`{"date":"2026-01-05"}`), "service/@a/provider": jsontext.Value(`{"unit":"sone","from":"2026-01-05"}`),
	}
	for _, v := range catalogue.Default().Variables {
		if v.Group == "assistance" && !v.Closed {
			full[v.Unit] = jsontext.Value(`{"score":2}`)
		}
	}
	for _, c := range []struct {
		name      string
		kommune   string
		elsewhere int
		change    func(units map[string]jsontext.Value)
		want      map[string]int
	}{
		{"all there", "9999", 0, func(map[string]jsontext.Value) {}, nil},
		{"no municipality", "", 3, func(map[string]jsontext.Value) {}, map[string]int{LacksKommune: 1}},
		{"no district in Oslo", "0301", 3, func(map[string]jsontext.Value) {}, map[string]int{LacksDistrict: 1}},
		{"one score missing", "9999", 0, func(u map[string]jsontext.Value) { delete(u, "score/hearing") }, map[string]int{LacksAssistance: 1}},
		{"no decision", "9999", 0, func(u map[string]jsontext.Value) { delete(u, "service/@a/grant") }, map[string]int{LacksDecision: 1}},
		{"R69: no number", "9999", 0, func(u map[string]jsontext.Value) { delete(u, "service/@a/provider") }, map[string]int{LacksOrgNumber: 1}},
		{"R71: a rejection needs none", "9999", 0, func(u map[string]jsontext.Value) {
			delete(u, "service/@a/provider")
			u["service/@a/grant"] = jsontext.Value(`{"date":"2026-01-02","rejected":true}`)
		}, nil},
		{"R77: four others know the number", "9999", 4, func(map[string]jsontext.Value) {}, map[string]int{TakenForTest: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t)
			units := maps.Clone(full)
			c.change(units)
			w.add(7, anybody, units)
			if _, err := w.st.Update(t.Context(), tenant, nil, func(tx store.Tx) error {
				docs, err := store.List[store.Person](tx, "", "", 0)
				docs[0].Kommune = c.kommune
				return errors.Join(err, store.Put(tx, docs[0]), store.Put(tx, store.OrgUnit{ID: "sone", OrgNumber: []store.OrgNumber{{Number: "312345676", From: "2000-01-01"}}}))
			}); err != nil {
				t.Fatal(err)
			}
			ide, _, r, err := w.run(Options{Year: 2026, Elsewhere: func(number string) (int, error) {
				if number != anybody {
					t.Errorf("asked about %q", number)
				}
				return c.elsewhere, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				c.want = map[string]int{}
			}
			if !maps.Equal(r.Lacks, c.want) || len(r.Lacking) != len(c.want) || r.Persons != 1 || len(ide) == 0 {
				t.Errorf("lacks %v, %+v; want %v", r.Lacks, r.Lacking, c.want)
			}
		})
	}
	w := newTown(t)
	w.add(7, anybody, full)
	failed := errors.New("disk")
	if _, _, _, err := w.run(Options{Year: 2026, Elsewhere: func(string) (int, error) { return 0, failed }}); !errors.Is(err, failed) {
		t.Errorf("a failed question gives %v", err)
	}
}
