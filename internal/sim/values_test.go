package sim

import (
	"fmt"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"flette/model"
	"flette/model/catalogue"
)

// fixed are the units that every person has once.
var fixed = []model.Unit{
	"score/assist_memory", "score/assist_eating", "score/hearing", "status/waiting_list", "status/round_the_clock",
	"person/household", "person/death_date",
}

// unit draws a unit of a person; a few are drawn often, so that people meet on them.
func (w *world) unit(p model.PersonID) model.Unit {
	switch n := w.rng.IntN(20); {
	case n < 9:
		return fixed[w.rng.IntN(3)]
	case n < 15:
		return fixed[3+w.rng.IntN(len(fixed)-3)]
	case n < 16:
		return model.Unit("time/" + w.uuid())
	case n < 17:
		return model.Unit("remark/" + w.uuid())
	case n < 18:
		return model.Unit("service/" + w.services[p] + "/end")
	}
	return model.Unit("service/" + w.services[p] + "/grant")
}

// value draws a good value. Few different ones, so that some agree.
func (w *world) value(u model.Unit) jsontext.Value {
	switch kindOf(u) {
	case kindScore:
		if w.chance(0.1) {
			w.names++
			return jsontext.Value(fmt.Sprintf(`{"note":"merknad %d","score":%d}`, w.names, 1+w.rng.IntN(5)))
		}
		return jsontext.Value(fmt.Sprintf(`{"score":%d}`, pick(w, []int{1, 2, 3, 3, 4, 5, 9})))
	case kindYesNo:
		return jsontext.Value(pick(w, []string{
			`{"code":"1","date":"2026-01-05"}`, `{"date":"2026-01-05","code":"1"}`, `{"code":"2"}`, `{"code":"2"}`, `{"code":"2","date":"2026-02-05"}`,
		}))
	case kindEnd:
		if u == "person/death_date" {
			return jsontext.Value(pick(w, []string{`{"date":"2026-03-02"}`, `{"date":"2026-03-03"}`}))
		}
		return jsontext.Value(pick(w, []string{`{"date":"2026-03-01","reason":"flyttet"}`, `{"date":"2026-03-08"}`}))
	}
	switch {
	case u == "person/household":
		return jsontext.Value(pick(w, []string{`{"code":"1"}`, `{"code":"2"}`, `{"code":"3"}`}))
	case u.Section() == "time":
		return jsontext.Value(`{"start":"2026-03-02T08:00:00Z","stop":"2026-03-02T08:25:00Z","kind":"direct"}`)
	case u.Section() == "remark":
		return jsontext.Value(`{"text":"er uenig i skåren","kind":"disagreement"}`)
	}
	return jsontext.Value(fmt.Sprintf(`{"date":"2026-03-01","minutes_per_week":%d}`, 60*(1+w.rng.IntN(3))))
}

// The table of kinds is the sim's own: it must say what the catalogue says of these units.
func TestKinds(t *testing.T) {
	w := newWorldForValues()
	for _, u := range append(fixed, model.Unit("time/"+w.uuid()), model.Unit("remark/"+w.uuid()),
		model.Unit("service/"+w.uuid()+"/end"), model.Unit("service/"+w.uuid()+"/grant")) {
		p := catalogue.Default().Policy(u)
		want := kindWeighty
		switch {
		case p.Score:
			want = kindScore
		case p.YesNoDate:
			want = kindYesNo
		case p.Terminal:
			want = kindEnd
		case !p.Significant:
			want = kindMinor
		}
		if got := kindOf(u); got != want {
			t.Errorf("%s: kind %d, the catalogue says %d", u, got, want)
		}
		for range 50 {
			if v := w.value(u); catalogue.Default().Validate(u, v, day0) != nil {
				t.Errorf("%s: %s is no good value", u, v)
			}
		}
	}
}
