package api

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"flette/conflict"
	"flette/iplos"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/model/catalogue"
	"flette/store"
	"flette/sync"
)

// This file turns what the engine knows into shapes of the contract.

func resultView(i int, r *sync.Result) contract.PushResult {
	out := contract.PushResult{Index: i, Outcome: r.Outcome, First: r.First, Stamp: r.Stamp}
	if !r.ID.IsZero() {
		out.ID = r.ID.String()
	}
	if r.Position >= 0 {
		out.Position = &r.Position
	}
	if p := r.Problem; p != nil {
		out.Code, out.Pointer, out.Detail, out.Rule = p.Code, p.Pointer, p.Detail, p.Rule
	}
	for _, c := range r.Conflicts {
		out.Reviews = append(out.Reviews, contract.ConflictReview{Review: c.Review, Unit: c.Unit, Class: c.Class, Against: c.Against})
	}
	return out
}

// personCard opens the sealed name: this is where it leaves its wrapper.
func (s *Server) personCard(tenant model.TenantID, p *store.Person) (contract.PersonCard, error) {
	who, err := s.o.Engine.Identity(tenant, p)
	return cardOf(p, &who), err
}

func cardOf(p *store.Person, who *store.Identity) contract.PersonCard {
	return contract.PersonCard{
		Person: p.ID, BrukerNr: p.BrukerNr, Name: who.Name, BirthDate: who.BirthDate, Test: p.Test, Unit: p.Unit,
	}
}

func unitView(person model.PersonID, s *model.UnitState) contract.UnitView {
	out := contract.UnitView{
		Unit: s.Unit, Position: max(s.Position, 0), Class: s.Class, Late: s.Late, Missing: s.Missing,
		Heads: make([]contract.HeadView, len(s.Heads)),
	}
	if s.Class.NeedsReview() {
		out.Review = conflict.ReviewID(person, s.Unit)
	}
	for i := range s.Heads {
		h := &s.Heads[i]
		out.Heads[i] = contract.HeadView{
			Entry: h.ID, Position: max(h.Position, 0), Act: h.Act, Actor: h.Actor, Device: h.Device,
			Stamp: h.Stamp, Value: jsontext.Value(h.Value),
		}
	}
	return out
}

// reviewView names the person, because a supervisor decides about somebody, not about an id.
func (c *call) reviewView(v store.View, r *sync.ReviewStatus) (contract.ReviewView, error) {
	out := contract.ReviewView{
		ID: r.ID, Person: r.Person, Unit: unitView(r.Person, r.Merged), Label: c.s.label(r.Review.Unit), State: r.State,
		Class: r.Class, Opened: r.Opened, Assignee: r.Assignee, HeadSet: r.HeadSet(), OpenedTime: r.OpenedAt,
	}
	if !r.ClosedBy.IsZero() {
		out.ClosedBy = &r.ClosedBy
	}
	// When time cannot tell, nothing is suggested: a preselected answer would be taken.
	if head := r.Merged.Shown(); head != nil && r.State == sync.StateOpen && r.Class != model.ClassClock {
		out.Preselect = &head.ID
	}
	_, who, err := c.engine().PersonDoc(v, r.Person)
	out.Name = who.Name
	return out, err
}

func etagOf(r *contract.ReviewView) string { return `"` + r.HeadSet + `"` }

func quarantineView(v store.View, q *sync.QuarantineStatus) (contract.QuarantineView, error) {
	l, err := v.Entry(q.Position)
	if err != nil {
		return contract.QuarantineView{}, err
	}
	return contract.QuarantineView{
		Entry: q.ID, Position: q.Position, Person: q.Person, Device: q.Device, Actor: q.Actor, Code: q.Code,
		Pointer: q.Pointer, Detail: q.Detail, Rule: q.Rule, State: q.State, Received: q.Received, JWS: string(l.Compact()),
		HomeUnit: q.Home, Owners: q.Owners,
	}, nil
}

func historyEntry(p *sync.Past) contract.HistoryEntry {
	out := contract.HistoryEntry{
		Entry: p.ID, Position: p.Position, Outcome: p.Outcome.String(), Code: p.Code, Act: p.Act, Actor: p.Actor,
		Device: p.Device, Seq: p.Seq, Stamp: p.Stamp, Changes: []contract.HistoryChange{}, JWS: string(p.Compact()),
	}
	if p.Entry == nil {
		return out
	}
	out.Visit, out.Reason, out.Catalogue = p.Entry.Visit, p.Entry.Reason, p.Entry.Catalogue
	for i := range p.Entry.Changes {
		ch := &p.Entry.Changes[i]
		out.Changes = append(out.Changes, contract.HistoryChange{
			Unit: ch.Unit, Value: ch.Value, Over: ch.Over, Target: ch.Target, Standing: p.Standings[i],
		})
	}
	return out
}

// findingView gives the reason of a settlement as it was signed.
func findingView(v store.View, f *sync.FindingStatus) (contract.FindingView, error) {
	out := contract.FindingView{
		Rule: f.Rule, Severity: f.Severity, Person: f.Person, Unit: f.Unit, Detail: f.Detail, Owner: f.Owner, Since: f.Since,
		State: f.State,
	}
	if nb, ok := iplos.Norwegian(f.Detail); ok {
		out.DetailNB = nb
	}
	if f.Settled == nil {
		return out, nil
	}
	l, err := v.Entry(f.Settled.Position)
	if err != nil {
		return out, err
	}
	en, err := model.DecodeEntry(l.Payload)
	if err != nil {
		return out, err
	}
	out.Settled, out.Reason = &f.Settled.By, en.Reason
	return out, nil
}

func extractView(x *store.Extract) contract.ExtractView {
	out := contract.ExtractView{
		ID: x.ID, Format: x.Format, Target: x.Target, Position: x.Position, FromSerial: x.From, ToSerial: x.To,
		Created: x.Created, SHA256: x.SHA256, Counts: x.Counts,
	}
	for _, e := range x.Excluded {
		out.Excluded = append(out.Excluded, contract.ExcludedView{Person: e.Person, Rule: e.Rule, Code: e.Code})
	}
	return out
}

// labelsOf maps unit paths, * standing for a UUID, to the words of the catalogue.
func labelsOf(c *catalogue.Catalogue) map[string]string {
	labels := map[string]string{}
	for i := range c.Repeating {
		labels[c.Repeating[i].Unit] = c.Repeating[i].NB
	}
	for i := range c.Variables {
		v := &c.Variables[i]
		if _, shared := labels[v.Unit]; v.Unit != "" && !shared {
			labels[v.Unit] = v.NB
		}
	}
	return labels
}

func (s *Server) label(u model.Unit) string {
	ref, err := model.ParseUnit(string(u))
	if err != nil {
		return ""
	}
	path := string(u)
	for _, id := range []string{ref.ID, ref.SubID} {
		if id != "" {
			path = strings.Replace(path, id, "*", 1)
		}
	}
	return s.labels[path]
}
