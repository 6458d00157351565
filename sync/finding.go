package sync

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"flette/model"
	"flette/store"
)

// A finding is settled by an entry: close says that it was handled or is as it should be,
// release lets it pass although the rule is broken. Neither changes the record, nor what is
// sent to the register. The settlement counts for the facts that were judged: when they are
// others, or the finding went away and came again, it is open as before.

// FindingStatus is a finding and what a supervisor said about it.
type FindingStatus struct {
	store.Finding
	State   string              // "open", "released" or "closed"
	Settled *store.FindingState // nil when it is open
}

// FindingFilter narrows the list; what is set must hold all together.
type FindingFilter struct {
	State    string // "" for all
	Rule     string
	Severity string
	Owners   map[string]bool // units that own the person; nil for all
	Sees     *Access         // of the reader; nil for everybody
}

func (f *FindingFilter) keep(s *FindingStatus) bool {
	return (f.State == "" || f.State == s.State) && (f.Rule == "" || f.Rule == s.Rule) &&
		(f.Severity == "" || f.Severity == s.Severity) &&
		(f.Owners == nil || f.Owners[s.Owner]) && (f.Sees == nil || f.Sees.Sees(s.Person))
}

// Counts reports whether a kept count is of what the filter keeps.
func (f *FindingFilter) Counts(n *store.FindingCount) bool {
	return (f.Rule == "" || f.Rule == n.Rule) && (f.Severity == "" || f.Severity == n.Severity) && (f.Owners == nil || f.Owners[n.Unit])
}

// Findings lists up to limit findings after a key, in order of person, rule and unit: those
// stored with the record, and those that the calendar or the organisation tree brings about,
// computed now. person narrows it to one. next is "" at the end.
func (e *Engine) Findings(v store.View, person *model.PersonID, f FindingFilter, after string, limit int) (out []FindingStatus, next string, err error) {
	if person != nil {
		page, err := e.findingsOf(v, *person)
		if err != nil {
			return nil, "", err
		}
		out, next = takeFindings(nil, page, &f, after, limit)
		return out, next, nil
	}
	from := ""
	if len(after) >= uuidLen {
		// The person of the key may have more findings: it is looked at again.
		if from, _, _ = strings.Cut(after, " "); from != "" {
			from = from[:len(from)-1]
		}
	}
	const persons = 200
	for {
		docs, err := store.List[store.Person](v, "", from, persons)
		if err != nil {
			return nil, "", err
		}
		for i := range docs {
			from = docs[i].DocKey()
			page, err := e.findingsOf(v, docs[i].ID)
			if err != nil {
				return nil, "", err
			}
			if out, next = takeFindings(out, page, &f, after, limit); next != "" {
				return out, next, nil
			}
		}
		if len(docs) < persons {
			return out, "", nil
		}
	}
}

const uuidLen = 36

// findingsOf gives all findings of a person in order of key, with their states.
func (e *Engine) findingsOf(v store.View, person model.PersonID) ([]FindingStatus, error) {
	found, err := store.List[store.Finding](v, person.String()+" ", "", 0)
	if err != nil {
		return nil, err
	}
	if e.o.Live != nil {
		live, err := e.o.Live(v, person, e.o.Now())
		if err != nil {
			return nil, err
		}
		for _, f := range live {
			f.Position = -1 // computed now: no entry brought it about
			// What is stored says since when it holds.
			if !slices.ContainsFunc(found, func(s store.Finding) bool { return s.Rule == f.Rule && s.Unit == f.Unit }) {
				found = append(found, f)
			}
		}
	}
	slices.SortFunc(found, func(a, b store.Finding) int { return strings.Compare(a.DocKey(), b.DocKey()) })
	settled, err := store.List[store.FindingState](v, person.String()+" ", "", 0)
	if err != nil {
		return nil, err
	}
	out := make([]FindingStatus, len(found))
	for i := range found {
		out[i] = FindingStatus{Finding: found[i], State: StateOpen}
		at := slices.IndexFunc(settled, func(s store.FindingState) bool { return s.DocKey() == found[i].DocKey() })
		if at < 0 {
			continue
		}
		digest, err := factsOf(v, &found[i])
		if err != nil {
			return nil, err
		}
		if settled[at].Digest == digest {
			out[i].State, out[i].Settled = settled[at].State, &settled[at]
		}
	}
	return out, nil
}

// FindingStates are the states of a person's findings by "RULE UNIT".
func (e *Engine) FindingStates(v store.View, person model.PersonID) (map[string]string, error) {
	all, err := e.findingsOf(v, person)
	out := make(map[string]string, len(all))
	for i := range all {
		out[all[i].Rule+" "+string(all[i].Unit)] = all[i].State
	}
	return out, err
}

// factsOf is a digest of what a supervisor judges: the rule, the sentence, the place in the
// journal where a stored finding began to hold, and the values of the unit, of the service or
// stay that it is a part of, and of the person's own section: a visit after a death is judged
// by the date of death, too.
func factsOf(v store.View, f *store.Finding) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "flette/finding/2\n%s\n%s\n%s\n%s\n%d\n", f.Rule, f.Severity, f.Unit, f.Detail, f.Position)
	about := []string{"person/"}
	if section, rest, _ := strings.Cut(string(f.Unit), "/"); section != "" && section != "person" {
		id, _, _ := strings.Cut(rest, "/")
		about = append(about, section+"/"+id)
	}
	for _, prefix := range about {
		if err := v.Units(f.Person, prefix, "", func(s *model.UnitState) bool {
			for i := range s.Heads {
				fmt.Fprintf(h, "%s %d:%s\n", s.Unit, len(s.Heads[i].Value), s.Heads[i].Value)
			}
			return true
		}); err != nil {
			return "", err
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil
}

// takeFindings appends what is kept and lies after the key; next is the last key when the
// limit is reached.
func takeFindings(out, page []FindingStatus, f *FindingFilter, after string, limit int) ([]FindingStatus, string) {
	for i := range page {
		key := page[i].DocKey()
		if key <= after || !f.keep(&page[i]) {
			continue
		}
		if out = append(out, page[i]); len(out) >= max(limit, 1) {
			return out, key
		}
	}
	return out, ""
}

// findingEffect judges an entry that settles findings, or opens them again.
func (b *batch) findingEffect(c *candidate) (*effect, error) {
	en := c.entry
	if ok, err := b.knows(en.Person); err != nil || !ok {
		if err == nil {
			err = model.Problemf(CodeUnknownPerson, "/person", "no such person here; it may have been moved or not imported yet")
		}
		return nil, err
	}
	// What the batch has changed so far counts.
	if units := b.touched[en.Person]; len(units) > 0 {
		if err := b.e.o.Rules(b.tx, en.Person, units, b.received); err != nil {
			return nil, err
		}
		delete(b.touched, en.Person)
	}
	found, err := b.e.findingsOf(b.tx, en.Person)
	if err != nil {
		return nil, err
	}
	eff := &effect{}
	for i := range en.Changes {
		ref, err := model.ParseFinding(en.Changes[i].Unit)
		if err != nil {
			return nil, err
		}
		state, p, err := b.judgeFinding(en, i, ref, found)
		if err != nil {
			return nil, err
		}
		if p != nil {
			return nil, p
		}
		eff.findings = append(eff.findings, state)
	}
	return eff, nil
}

// judgeFinding gives the state after one change of the entry; its State is "open" when the
// settlement is taken back.
func (b *batch) judgeFinding(en *model.Entry, i int, ref model.FindingRef, found []FindingStatus) (store.FindingState, *model.Problem, error) {
	at := fmt.Sprintf("/changes/%d", i)
	state := store.FindingState{Person: en.Person, Rule: ref.Rule, Unit: ref.Unit, State: StateReleased}
	if en.Act == model.ActReinstate {
		old, err := store.Get[store.FindingState](b.tx, state.DocKey())
		if err = ignoreNotFound(err); err != nil {
			return state, nil, err
		}
		if old.By.IsZero() || old.By != *en.Changes[i].Target {
			return state, model.Problemf("unknown-target", at+"/target", "the target is not the entry that settled the finding last"), nil
		}
		old.State = StateOpen
		return old, nil, nil
	}
	j := slices.IndexFunc(found, func(f FindingStatus) bool { return f.Rule == ref.Rule && f.Unit == ref.Unit })
	switch {
	case j < 0:
		return state, model.Problemf("unknown-target", at+"/unit", "the rule is not broken there now"), nil
	case found[j].State != StateOpen:
		return state, model.Problemf("already-settled", at+"/unit", "the finding has been %s already", found[j].State), nil
	}
	state.State = findingStateAfter(en.Act)
	var err error
	state.Digest, err = factsOf(b.tx, &found[j].Finding)
	return state, nil, err
}

func findingStateAfter(act model.Act) string {
	switch act {
	case model.ActClose:
		return StateClosed
	case model.ActReinstate:
		return StateOpen
	}
	return StateReleased
}

func (b *batch) settleFinding(s *store.FindingState, by *store.LogEntry) error {
	if s.State == StateOpen {
		return store.Delete(b.tx, *s)
	}
	s.By, s.Position, s.At = by.ID, by.Position, by.Stamp.Hi
	return store.Put(b.tx, *s)
}

// FindingAct is what a supervisor says about a finding through the api.
type FindingAct struct {
	Tenant model.TenantID
	Person model.PersonID
	Ref    model.FindingRef
	Act    model.Act // release, close or reinstate
	Actor  model.ActorID
	Roles  model.Roles
	Reason model.Reason
}

// SettleFinding settles a finding as a desk entry, or opens it again. store.ErrNotFound when
// the rule is not broken there or, for a reinstate, the finding is open; ErrSettled.
func (e *Engine) SettleFinding(ctx context.Context, a FindingAct) (*PushResult, error) {
	ts, err := e.tenant(a.Tenant)
	if err != nil {
		return nil, err
	}
	ch := model.Change{Unit: a.Ref.Path()}
	if a.Act == model.ActReinstate {
		err := e.st.View(ctx, a.Tenant, func(v store.View) error {
			key := store.FindingState{Person: a.Person, Rule: a.Ref.Rule, Unit: a.Ref.Unit}.DocKey()
			s, err := store.Get[store.FindingState](v, key)
			ch.Target = &s.By
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	out, err := e.deskPush(ctx, a.Tenant, ts, deskAct{
		person: a.Person, actor: a.Actor, roles: a.Roles, act: a.Act, reason: &a.Reason, changes: []model.Change{ch},
	}, func(tx store.Tx) error {
		if a.Act != model.ActReinstate {
			return nil
		}
		// What was settled may be gone, or be open because its facts are others: then nothing is
		// there to take back, whatever a settlement of before says.
		found, err := e.findingsOf(tx, a.Person)
		if err == nil && !slices.ContainsFunc(found, func(f FindingStatus) bool {
			return f.Rule == a.Ref.Rule && f.Unit == a.Ref.Unit && f.State != StateOpen
		}) {
			err = store.ErrNotFound
		}
		return err
	})
	var p *model.Problem
	if errors.As(err, &p) && (p.Code == "unknown-target" || p.Code == CodeUnknownPerson) {
		return nil, store.ErrNotFound
	}
	return out, err
}

// findings replays an entry about findings.
func (w *verifier) findings(en *model.Entry, l *store.LogEntry) {
	for i := range en.Changes {
		ref, err := model.ParseFinding(en.Changes[i].Unit)
		if err != nil {
			continue // such an entry is not decoded
		}
		s := store.FindingState{
			Person: l.Person, Rule: ref.Rule, Unit: ref.Unit, State: StateReleased, By: l.ID, Position: l.Position, At: l.Stamp.Hi,
		}
		switch l.Act {
		case model.ActReinstate:
			if w.judged[s.DocKey()].By != *en.Changes[i].Target {
				w.r.add("position %d: opens a finding that its target did not settle", l.Position)
			}
			delete(w.judged, s.DocKey())
			continue
		case model.ActClose:
			s.State = StateClosed
		}
		w.judged[s.DocKey()] = s
	}
}

// findingStates compares the states of findings with those of the replay. Only the state
// itself has the digest of what was judged then.
func (w *verifier) findingStates() error {
	got, err := store.List[store.FindingState](w.v, "", "", 0)
	for _, s := range got {
		want := w.judged[s.DocKey()]
		want.Digest = s.Digest
		if s != want {
			w.r.add("person %s: the state of finding %s is not that of the journal", s.Person, s.Rule)
		}
	}
	if len(got) < len(w.judged) {
		w.r.add("findings: %d states are stored, the journal gives %d", len(got), len(w.judged))
	}
	return err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
