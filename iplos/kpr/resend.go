package kpr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"flette/model"
	"flette/store"
)

// Selection chooses notifications to send again. What is set must hold all together; at
// least one part must be set.
type Selection struct {
	Extract    string // id of an extract
	FromSerial int64  // inclusive, 0 for open
	ToSerial   int64
	FromDate   string // YYYY-MM-DD (UTC) of notifikasjonTid, inclusive, "" for open
	ToDate     string
	Person     model.PersonID
}

func (s Selection) has(n *store.Notification) bool {
	day := n.Time.Time().Format(time.DateOnly)
	return (s.Extract == "" || n.Extract == s.Extract) &&
		(s.FromSerial == 0 || n.Serial >= s.FromSerial) && (s.ToSerial == 0 || n.Serial <= s.ToSerial) &&
		(s.FromDate == "" || day >= s.FromDate) && (s.ToDate == "" || day <= s.ToDate) &&
		(s.Person.IsZero() || n.Person == s.Person)
}

// Resend writes notifications of the ledger again: the same GUIDs and serials with the
// identity as it is now. It stores nothing. The same selection, identities and contacts give
// the same bytes, and a selection by extract alone gives the bytes of that extract.
//
// Errors: a *model.Problem with code "kpr-selection" (nothing or too much selected) or as of
// Run.
func Resend(ctx context.Context, st store.Store, tenant model.TenantID, opt Options, sel Selection) ([]byte, error) {
	opt, err := opt.complete()
	if err != nil {
		return nil, err
	}
	if sel == (Selection{}) {
		return nil, model.Problemf("kpr-selection", "", "choose what to send again: an extract, serials, dates or a person")
	}
	var lines []Line
	var t store.Tenant
	err = st.View(ctx, tenant, func(v store.View) error {
		t = v.Tenant()
		lines, err = selectLines(ctx, v, opt, sel)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, model.Problemf("kpr-selection", "", "no notification fits the selection")
	}
	local := sel.Extract
	if sel != (Selection{Extract: sel.Extract}) {
		parts := []string{"flette/kpr/resend/1"}
		for i := range lines {
			parts = append(parts, lines[i].GUID)
		}
		local = guid(parts...)
	}
	return render(ctx, t, opt, local, lines)
}

func selectLines(ctx context.Context, v store.View, opt Options, sel Selection) ([]Line, error) {
	const page = 500
	prefix, after := opt.Target+" ", ""
	if sel.FromSerial > 1 {
		after = prefix + store.PositionKey(sel.FromSerial-1)
	}
	var lines []Line
	people := map[model.PersonID]Bruker{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list, err := store.List[store.Notification](v, prefix, after, page)
		if err != nil {
			return nil, err
		}
		for i := range list {
			n := &list[i]
			if sel.ToSerial != 0 && n.Serial > sel.ToSerial {
				return lines, nil
			}
			if !sel.has(n) {
				continue
			}
			if len(lines) == MaxLines {
				return nil, model.Problemf("kpr-selection", "", "more than %d notifications fit the selection; choose a shorter range", MaxLines)
			}
			b, ok := people[n.Person]
			if !ok {
				if b, err = brukerNow(v, n.Person, opt); err != nil {
					return nil, err
				}
				people[n.Person] = b
			}
			lines = append(lines, Line{*n, b})
		}
		if len(list) < page {
			return lines, nil
		}
		after = list[len(list)-1].DocKey()
	}
}

// brukerNow shows a person as of now; without a number when none may leave (K5).
func brukerNow(v store.View, id model.PersonID, opt Options) (Bruker, error) {
	p, err := store.Get[store.Person](v, id.String())
	if err != nil {
		return Bruker{}, fmt.Errorf("kpr: person %s of the ledger: %w", id, err)
	}
	identity, err := openIdentity(p, opt)
	if err != nil {
		return Bruker{}, err
	}
	b, excluded := Resolve(p, identity, opt.Target)
	if excluded != nil {
		b = withoutNumber(p, identity)
	}
	return b, nil
}

// Forecast is what a run would do now.
type Forecast struct {
	Position int64            `json:"position"`
	Counts   map[string]int   `json:"counts"` // as in store.Extract, over all messages
	Excluded []store.Excluded `json:"excluded,omitempty"`
	// Lost counts by rule and code what would be lost, and what would be sent without a detail
	// (R76); Notices lists the first maxNotices of it.
	Lost    map[string]int `json:"lost"`
	Notices []Notice       `json:"notices,omitempty"`
	// Blocked is the content control that keeps every message from being made, nil for none.
	Blocked *model.Problem `json:"blocked,omitempty"`
}

// maxNotices is how many notices and persons a forecast lists.
const maxNotices = 5000

// Codes of events that are not told now and are no fault: they are counted and not listed.
const (
	codeEndedBefore = "ended-before-reporting"
	codeLiesAhead   = "lies-ahead"
)

// Preview plans all persons and stores nothing.
func Preview(ctx context.Context, st store.Store, tenant model.TenantID, opt Options) (Forecast, error) {
	f := Forecast{Counts: map[string]int{}, Lost: map[string]int{}}
	opt, err := opt.complete()
	if err != nil {
		return f, err
	}
	err = st.View(ctx, tenant, func(v store.View) error {
		v, err := opt.at(v)
		if err != nil {
			return err
		}
		t := v.Tenant()
		f.Position = v.Size()
		m := Message{Target: opt.Target, Vendor: opt.Vendor, System: opt.System, Version: opt.Version, Kommune: t.Kommune, Contacts: t.Contacts}
		if err := m.Check(); err != nil && !errors.As(err, &f.Blocked) {
			return err
		}
		return eachPerson(ctx, v, opt, model.PersonID{}, func(o outcome) (bool, error) {
			if o.excluded != nil {
				f.Counts["excluded"]++
				f.Lost[o.excluded.Rule+" "+o.excluded.Code]++
				if len(f.Excluded) < maxNotices {
					f.Excluded = append(f.Excluded, *o.excluded)
				}
			}
			for _, p := range o.pending {
				count(f.Counts, p)
			}
			if len(o.pending) > 0 {
				f.Counts["persons"]++
			}
			for _, n := range o.notices {
				f.Lost[n.Rule+" "+n.Code]++
			}
			f.Lost["R76 "+codeEndedBefore] += o.held[HeldBefore]
			f.Lost["R55 "+codeLiesAhead] += o.held[HeldAfter]
			f.Notices = append(f.Notices, o.notices[:min(len(o.notices), maxNotices-len(f.Notices))]...)
			return true, nil
		})
	})
	maps.DeleteFunc(f.Lost, func(_ string, n int) bool { return n == 0 })
	return f, err
}
