package sync

import (
	"context"
	"errors"
	"slices"
	"time"

	"flette/model"
	"flette/store"
)

// A visit plan says whom an actor visits on a day, in which order. It is an event in the
// sequence of the caseloads, numbered and never changed: the plan of a day at any version can
// be computed again, as the caseload can. A plan gives nobody access: what it names beyond
// the caseload is left out.

// MaxVisits bounds a plan.
const MaxVisits = 200

// Plan is the visits of an actor on a day.
type Plan struct {
	Actor   model.ActorID    `json:"actor"`
	Date    string           `json:"date"`    // YYYY-MM-DD, in Norway
	Persons []model.PersonID `json:"persons"` // in order of visit, each once; none takes the plan away
	By      string           `json:"by"`
}

// PlanVisits records a plan, which replaces the one of that actor and date. It returns the
// caseload version after it. A *model.Problem for what cannot be a plan; nothing is recorded then.
func (e *Engine) PlanVisits(ctx context.Context, tenant model.TenantID, p Plan) (version int64, err error) {
	if day, err := time.Parse(time.DateOnly, p.Date); err != nil || day.Year() < 2000 {
		return 0, model.Problemf("invalid-member", "/date", "the date is a day, for example 2026-11-22")
	}
	if len(p.Persons) > MaxVisits {
		return 0, model.Problemf("invalid-member", "/persons", "a plan names at most %d persons", MaxVisits)
	}
	seen := map[model.PersonID]bool{}
	for _, person := range p.Persons {
		if seen[person] {
			return 0, model.Problemf("invalid-member", "/persons", "a plan names each person once")
		}
		seen[person] = true
	}
	_, err = e.st.Update(ctx, tenant, nil, func(tx store.Tx) error {
		for _, person := range p.Persons {
			if _, err := tx.Doc(store.Person{}.DocKind(), person.String()); errors.Is(err, store.ErrNotFound) {
				return NoSuchPerson("/persons")
			} else if err != nil {
				return err
			}
		}
		t := tx.Tenant()
		if t.CaseloadIndexed == t.CaseloadSeq {
			t.CaseloadIndexed++ // no event of a person: nothing has to lead to it
		}
		t.CaseloadSeq++
		version = t.CaseloadSeq
		if err := store.Put(tx, store.VisitPlan{
			Seq: version, Actor: p.Actor, Date: p.Date, Persons: p.Persons, By: p.By, At: e.o.Now(),
		}); err != nil {
			return err
		}
		return tx.PutTenant(t)
	})
	if err == nil {
		if ts, terr := e.tenant(tenant); terr == nil {
			ts.hub.moved(p.Actor)
		}
	}
	return version, err
}

// planAt is the order of an actor's visits at a version, on the day of a point in time.
func planAt(v store.View, actor model.ActorID, version int64, at model.Millis) ([]model.PersonID, error) {
	plans, err := store.List[store.VisitPlan](v, string(actor)+" "+model.DateInOslo(at)+" ", "", 0)
	if err != nil {
		return nil, err
	}
	for _, p := range slices.Backward(plans) {
		if p.Seq <= version {
			return p.Persons, nil
		}
	}
	return nil, nil
}

// visitsAt gives the persons of a caseload that are planned their place in it, from 1 without holes:
// who is planned and not in the caseload has none.
func visitsAt(v store.View, actor model.ActorID, version int64, at model.Millis, caseload []model.PersonID) (map[model.PersonID]int, error) {
	plan, err := planAt(v, actor, version, at)
	if err != nil || len(plan) == 0 {
		return nil, err
	}
	visits := map[model.PersonID]int{}
	for _, p := range plan {
		if slices.Contains(caseload, p) {
			visits[p] = len(visits) + 1
		}
	}
	return visits, nil
}

// replanned sends the cards whose place in the day's visits is another at a version and time
// than the tablet was told.
func (p *puller) replanned(version int64, at model.Millis) error {
	if version == p.c.held && model.DateInOslo(at) == model.DateInOslo(p.c.heldAt) {
		return nil
	}
	held, _ := caseloadAt(p.events, p.c.held, p.c.heldAt)
	want, until := caseloadAt(p.events, version, at)
	old, err := visitsAt(p.v, p.r.Actor, p.c.held, p.c.heldAt, held)
	if err != nil {
		return err
	}
	now, err := visitsAt(p.v, p.r.Actor, version, at, want)
	if err != nil {
		return err
	}
	for _, person := range want {
		if old[person] == now[person] || !slices.Contains(held, person) {
			continue
		}
		doc, err := store.Get[store.Person](p.v, person.String())
		if err != nil {
			return err
		}
		p.items = append(p.items, PullItem{Position: p.c.position, Person: person, Card: &doc, Until: until[person], Visit: now[person]})
	}
	return nil
}
