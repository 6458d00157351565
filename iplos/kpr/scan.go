package kpr

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"flette/iplos"
	"flette/model"
	"flette/store"
)

// outcome is what planning found for one person.
type outcome struct {
	person   model.PersonID
	bruker   Bruker
	pending  []Pending
	excluded *store.Excluded
	notices  []Notice
	held     map[Held]int // events that wait, or were over before reporting began
}

// eachPerson plans the persons after an id, in order of id, until fn returns false.
func eachPerson(ctx context.Context, v store.View, opt Options, after model.PersonID, fn func(outcome) (bool, error)) error {
	rules := Rules{From: opt.From, To: opt.To, Types: opt.Types, OrgNumber: orgNumbers(v)}
	key, done := "", 0
	if !after.IsZero() {
		key = after.String()
	}
	for {
		page, err := store.List[store.Person](v, "", key, personPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			if err := ctx.Err(); err != nil {
				return err
			}
			o, err := planPerson(v, p, opt, rules)
			if err != nil {
				return err
			}
			if done++; opt.Progress != nil {
				opt.Progress(done)
			}
			if more, err := fn(o); err != nil || !more {
				return err
			}
		}
		key = page[len(page)-1].DocKey()
	}
}

func planPerson(v store.View, p store.Person, opt Options, rules Rules) (outcome, error) {
	o := outcome{person: p.ID}
	subject, err := readSubject(v, p.ID)
	if err != nil {
		return o, err
	}
	docs, err := store.List[Newest](v, newestPrefix(opt.Target, p.ID), "", 0)
	if err != nil {
		return o, err
	}
	newest := make([]store.Notification, len(docs))
	for i, n := range docs {
		newest[i] = store.Notification(n)
	}
	wanted := Desired(subject, rules)
	o.notices = wanted.Notices
	if len(wanted.Events) == 0 && len(newest) == 0 {
		return o, nil
	}
	identity, err := openIdentity(p, opt)
	if err != nil {
		return o, err
	}
	o.bruker, o.excluded = Resolve(p, identity, opt.Target)
	if o.excluded != nil {
		if o.excluded.Code != codeTestPerson && o.excluded.Code != codeRealPerson {
			return o, nil // K6
		}
		// Somebody who does not belong to this target: what was sent is withdrawn (R2).
		o.bruker, wanted = withoutNumber(p, identity), Wanted{}
	}
	if o.excluded == nil && !givesID[o.bruker.TypeID] {
		o.notices = append(o.notices, Notice{Person: p.ID, Code: "id-gives-no-kpr-id", Rule: "R89"})
	}
	o.pending = Plan(newest, wanted, MarkOf(o.bruker, keyed(opt)))
	o.held = map[Held]int{}
	for _, e := range wanted.Events {
		if e.Held != 0 && !slices.ContainsFunc(newest, func(n store.Notification) bool { return n.EventKey == e.Key && n.Status != StatusCancel }) {
			o.held[e.Held]++
		}
	}
	return o, nil
}

func keyed(opt Options) func(string) string {
	return func(s string) string {
		sum := opt.Index("kpr-identity", s)
		return hex.EncodeToString(sum[:16])
	}
}

// orgNumbers looks numbers up in the organisation tree and remembers them: a tenant has few
// units and dates repeat.
func orgNumbers(v store.View) func(unit, date string) string {
	type at struct{ unit, date string }
	known := map[at]string{}
	return func(unit, date string) string {
		number, ok := known[at{unit, date}]
		if !ok {
			number, _, _ = iplos.OrgNumberAt(v, unit, date)
			if len(known) > 100_000 {
				clear(known)
			}
			known[at{unit, date}] = number
		}
		return number
	}
}

func openIdentity(p store.Person, opt Options) (store.Identity, error) {
	var id store.Identity
	if len(p.Sealed) == 0 {
		return id, nil
	}
	plain, err := opt.Open(p.Sealed, "person|"+p.ID.String()+"|1")
	if err != nil {
		return id, fmt.Errorf("kpr: identity of person %s: %w", p.ID, err)
	}
	if err := json.Unmarshal(plain, &id); err != nil {
		return id, fmt.Errorf("kpr: identity of person %s is not readable", p.ID)
	}
	return id, nil
}
