package sync

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"flette/model"
	"flette/model/catalogue"
	"flette/model/ident"
	"flette/store"
)

// ReferenceInput is one line of a reference list, already checked for shape by the caller.
type ReferenceInput struct {
	Line int
	store.ReferenceRow
}

// ReferenceSource says which list is imported, by whom and from which file.
type ReferenceSource struct {
	Name   string // store.Municipalities, or store.OrgNumbersOf a year
	SHA256 string // of the file, hexadecimal
	By     string
}

// ReferenceDone says what an import of a list did. Compared with the list that counted before it,
// rows are new, changed, the same or gone. With nothing new, changed or gone no list is stored.
type ReferenceDone struct {
	Name    string `json:"name"`
	Rows    int    `json:"rows"`
	New     int    `json:"new"`
	Changed int    `json:"changed"`
	Same    int    `json:"same"`
	Gone    int    `json:"gone"`
	Seq     int64  `json:"seq,omitempty"` // of the list that counts now, 0 after a check
}

// ImportReference takes over a whole list: all lines or none. What counted before stays, with
// who imported it and when. ImportProblems.
func (e *Engine) ImportReference(ctx context.Context, tenant model.TenantID, src ReferenceSource, in []ReferenceInput) (ReferenceDone, error) {
	return e.importReference(ctx, tenant, src, in, nil)
}

// CheckReference counts what ImportReference would do and stores nothing.
func (e *Engine) CheckReference(ctx context.Context, tenant model.TenantID, src ReferenceSource, in []ReferenceInput) (ReferenceDone, error) {
	return checked(e.importReference(ctx, tenant, src, in, errCheck))
}

func (e *Engine) importReference(ctx context.Context, tenant model.TenantID, src ReferenceSource, in []ReferenceInput, end error) (ReferenceDone, error) {
	rows, err := e.referenceRows(src.Name, in)
	if err != nil {
		return ReferenceDone{}, err
	}
	digest, err := store.DigestOfRows(rows)
	if err != nil {
		return ReferenceDone{}, err
	}
	now := e.o.Now()
	var done ReferenceDone
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		done = ReferenceDone{Name: src.Name, Rows: len(rows)}
		newest, _, err := store.NewestList(tx, src.Name)
		if err != nil {
			return err
		}
		before, err := store.AllRows(tx, newest.Seq)
		if err != nil {
			return err
		}
		done.compare(before, rows)
		if end != nil {
			return end
		}
		// What stands there is compared, not what the list says of itself: a damaged one is replaced.
		if done.Seq = newest.Seq; done.New+done.Changed+done.Gone == 0 {
			return nil
		}
		all, err := store.List[store.ReferenceList](tx, "", "", 0)
		if err != nil {
			return err
		}
		list := store.ReferenceList{Name: src.Name, Seq: 1, Rows: len(rows), Digest: digest, SHA256: src.SHA256, By: src.By, At: now}
		for _, l := range all {
			list.Seq = max(list.Seq, l.Seq+1)
		}
		done.Seq = list.Seq
		for _, r := range rows {
			r.List = list.Seq
			if err := store.Put(tx, r); err != nil {
				return err
			}
		}
		return store.Put(tx, list)
	})
	return done, err
}

func (d *ReferenceDone) compare(before, now []store.ReferenceRow) {
	old := make(map[string]store.ReferenceRow, len(before))
	for _, r := range before {
		old[r.Number+" "+r.From] = r
	}
	for _, r := range now {
		was, there := old[r.Number+" "+r.From]
		switch {
		case !there:
			d.New++
		case was.Name == r.Name && was.To == r.To && was.Successor == r.Successor && slices.Equal(was.Types, r.Types):
			d.Same++
		default:
			d.Changed++
		}
	}
	d.Gone = len(before) - d.Same - d.Changed
}

// referenceRows judges the lines of a list and puts them in order.
func (e *Engine) referenceRows(name string, in []ReferenceInput) ([]store.ReferenceRow, error) {
	judge := e.orgNumberRow
	if name == store.Municipalities {
		judge = municipalityRow
	}
	var problems ImportProblems
	bad := func(line int, p *model.Problem) {
		problems = append(problems, &LineProblem{Line: line, Problem: *p})
	}
	lines := slices.Clone(in)
	for i := range lines {
		l := &lines[i]
		l.Types = normalTypes(l.Types)
		if p := judge(&l.ReferenceRow); p != nil {
			bad(l.Line, p)
		}
	}
	slices.SortStableFunc(lines, func(a, b ReferenceInput) int {
		return cmp.Or(strings.Compare(a.Number, b.Number), strings.Compare(a.From, b.From))
	})
	for i := 1; i < len(lines); i++ {
		a, b := &lines[i-1], &lines[i]
		if a.Number == b.Number && (a.To == "" || b.From <= a.To) {
			p := problemOfLine("periods-overlap", "/from", "line %d has the same number on the same days; let one end the day before the other begins", min(a.Line, b.Line))
			if name != store.Municipalities {
				p = problemOfLine("duplicate-number", "/number", "line %d has the same number; name all its service types on one line", min(a.Line, b.Line))
			}
			bad(max(a.Line, b.Line), p)
		}
	}
	if name == store.Municipalities && len(problems) == 0 {
		for _, l := range lines {
			if l.Successor != "" && !slices.ContainsFunc(lines, func(o ReferenceInput) bool { return o.Number == l.Successor }) {
				bad(l.Line, problemOfLine("unknown-successor", "/successor", "no line of the file has the number that took its place"))
			}
		}
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b *LineProblem) int { return a.Line - b.Line })
		return nil, problems
	}
	rows := make([]store.ReferenceRow, len(lines))
	for i := range lines {
		rows[i] = lines[i].ReferenceRow
	}
	return rows, nil
}

// normalTypes spells service types as the catalogue does, each once, in order.
func normalTypes(in []string) []string {
	var out []string
	for _, t := range in {
		out = append(out, strings.TrimLeft(t, "0"))
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return slices.Compact(out)
}

func (e *Engine) orgNumberRow(r *store.ReferenceRow) *model.Problem {
	if _, err := ident.ParseOrgNumber(r.Number); err != nil {
		p := asProblem(err)
		return problemOfLine(p.Code, "/number", "%s (R70)", p.Detail)
	}
	for _, t := range r.Types {
		if s := e.o.Catalogue.Service(t); s == nil || s.Group == "coercion" {
			return problemOfLine("unknown-service-type", "/types", "the types are codes of 9151 with a blank between: 1 to 29, without 10 and without coercion")
		}
	}
	if len(r.Types) == 0 {
		return problemOfLine("missing-value", "/types", "a line names the service types that the number may be reported with")
	}
	return nil
}

func municipalityRow(r *store.ReferenceRow) *model.Problem {
	for _, n := range []struct{ pointer, number string }{{"/number", r.Number}, {"/successor", r.Successor}} {
		if n.number == "" && n.pointer == "/successor" {
			continue
		}
		k, err := ident.ParseKommune(n.number)
		if err != nil {
			p := asProblem(err)
			return problemOfLine(p.Code, n.pointer, "%s (R3)", p.Detail)
		}
		if k.Special() {
			return problemOfLine("special-number", n.pointer, "9000, 9900 and 9999 name no municipality and need no line")
		}
	}
	for _, d := range []struct{ pointer, day string }{{"/from", r.From}, {"/to", r.To}} {
		if d.day != "" && new(catalogue.Date).UnmarshalText([]byte(d.day)) != nil {
			return problemOfLine("invalid-date", d.pointer, "a date is written YYYY-MM-DD or dd.mm.yyyy, between the years 1800 and 2199")
		}
	}
	if r.To != "" && r.To < r.From {
		return problemOfLine("dates-out-of-order", "/to", "the line ends before it begins")
	}
	if r.Successor != "" && r.To == "" {
		return problemOfLine("missing-value", "/to", "a municipality whose place another took has a last day")
	}
	return nil
}
