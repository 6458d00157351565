package page

import (
	"cmp"
	"io"
	"strconv"

	"flette/internal/sheet"
	"flette/iplos/measure"
)

// CSV writes a line for each unit and column of each table. names are those of units by id. Its
// error is that of w.
func CSV(w io.Writer, r *measure.Report, names map[string]string, lang string) error {
	say := func(id string) string { return word(id, lang) }
	out := sheet.New(w, say("date"), say("part"), say("table"), say("unit"), say("column"), say("persons"), say("hidden"), say("hours-col"), say("mark"))
	for _, f := range facts(r, lang) {
		out.Row(r.Date, say("about"), f.Name, nil, f.Value, nil, nil, nil, nil)
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		line := func(unit, name string, n int, hours float64) {
			var persons, mean any
			if n != measure.Hidden {
				persons = n
			}
			if hours != measure.Hidden {
				mean = hours
			}
			out.Row(r.Date, partTitle(t.Part, lang), label(t, lang), unit, name, persons, n == measure.Hidden, mean, r.Provisional && t.Part == measure.PartGroups)
		}
		whole, all := 0, float64(measure.Hidden)
		for j, unit := range t.Units {
			name := unitName(unit, names, lang)
			for c, n := range t.Rows[j] {
				line(name, column(t.Columns[c], lang), n, meanOf(t, j, c))
			}
			total := float64(measure.Hidden)
			if t.Hours != nil {
				total, all = t.Hours.Totals[j], t.Hours.All
			}
			line(name, say("all"), t.Totals[j], total)
			whole += t.Totals[j]
		}
		if t.TooFew {
			out.Row(r.Date, partTitle(t.Part, lang), label(t, lang), say("everybody"), say("all"), nil, true, nil, nil)
			continue
		}
		for c, n := range t.Sum {
			mean := float64(measure.Hidden)
			if t.Hours != nil {
				mean = t.Hours.Sum[c]
			}
			line(say("everybody"), column(t.Columns[c], lang), n, mean)
		}
		line(say("everybody"), say("all"), whole, all)
	}
	for _, s := range r.Shipments {
		for _, x := range shipmentCounts(&s) {
			out.Row(r.Date, say("shipments"), s.Kind+" "+s.Target, nil, say(x.id), x.n, nil, nil, nil)
		}
	}
	return out.Flush()
}

func meanOf(t *measure.Table, row, col int) float64 {
	if t.Hours == nil {
		return measure.Hidden
	}
	return t.Hours.Rows[row][col]
}

type counted struct {
	id string
	n  int
}

func shipmentCounts(s *measure.Shipments) []counted {
	return []counted{{"prepared", s.Prepared}, {"replaced", s.Replacements}, {"attempts", s.Attempts}, {"accepted", s.Accepted}, {"rejected", s.Rejected}}
}

func label(t *measure.Table, lang string) string { return said{t.NB, t.EN}.in(lang) }

func unitName(id string, names map[string]string, lang string) string {
	if id == "" {
		return word("others", lang)
	}
	return cmp.Or(names[id], id)
}

func partTitle(id, lang string) string {
	for _, p := range partWords {
		if p.id == id {
			return p.title.in(lang)
		}
	}
	return word("variables", lang) // the one part that is a single table of the page
}

// fact is a line about the report.
type fact struct{ Name, Value string }

func facts(r *measure.Report, lang string) []fact {
	ages := word("all-ages", lang)
	if r.Ages == measure.From67 {
		ages = word("from-67", lang)
	}
	from := r.Grouping
	if from == measure.BuiltIn {
		from = word("built-in", lang)
	}
	return []fact{
		{word("date", lang), r.Date}, {word("level", lang), strconv.Itoa(r.Depth)}, {word("ages", lang), ages},
		{word("grouping", lang), from + " (SHA-256 " + r.SHA256[:min(16, len(r.SHA256))] + ")"}, {word("source", lang), r.Source},
	}
}
