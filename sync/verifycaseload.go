package sync

import (
	"flette/model"
	"flette/store"
)

// caseloads checks that the caseload events and visit plans are all there, each once, and that everything
// which leads to them does: from a person, from the list of blocks, and from the uses of
// emergency access, which somebody has to follow up.
func (w *verifier) caseloads() error {
	events, err := store.List[store.Assignment](w.v, "", "", 0)
	if err != nil {
		return err
	}
	t := w.v.Tenant()
	seen := make(map[int64]*store.Assignment, len(events))
	for i := range events {
		ev := &events[i]
		if seen[ev.Seq] != nil || ev.Seq < 1 || ev.Seq > t.CaseloadSeq {
			w.r.add("caseload event %d: not one of 1 to %d, or there twice", ev.Seq, t.CaseloadSeq)
		}
		seen[ev.Seq] = ev
	}
	plans, err := store.List[store.VisitPlan](w.v, "", "", 0)
	if err != nil {
		return err
	}
	planned := map[int64]bool{}
	for i := range plans {
		seq := plans[i].Seq
		if seen[seq] != nil || planned[seq] || seq < 1 || seq > t.CaseloadSeq {
			w.r.add("visit plan %d: not one of 1 to %d, or there twice", seq, t.CaseloadSeq)
		}
		planned[seq] = true
	}
	if n := len(events) + len(plans); int64(n) != t.CaseloadSeq {
		w.r.add("caseloads: %d events are stored, %d were numbered", n, t.CaseloadSeq)
	}
	if t.CaseloadIndexed < t.CaseloadSeq {
		return nil // of an older version: the next change builds what leads to the events
	}
	return w.leadToEvents(seen)
}

func (w *verifier) leadToEvents(events map[int64]*store.Assignment) error {
	refs, err := store.List[store.AssignmentRef](w.v, "", "", 0)
	if err != nil {
		return err
	}
	w.leads("the index by person", len(events), len(refs), events, func(i int) (int64, model.ActorID, model.PersonID) {
		return refs[i].Seq, refs[i].Actor, refs[i].Person
	})
	blocks, err := store.List[store.BlockRef](w.v, "", "", 0)
	if err != nil {
		return err
	}
	glasses, err := store.List[store.BreakGlass](w.v, "", "", 0)
	if err != nil {
		return err
	}
	blocked, taken := 0, 0
	for _, ev := range events {
		if ev.Block != "" {
			blocked++
		}
		if ev.Glass {
			taken++
		}
	}
	w.leads("the list of blocks", blocked, len(blocks), events, func(i int) (int64, model.ActorID, model.PersonID) {
		return blocks[i].Seq, blocks[i].Actor, blocks[i].Person
	})
	w.leads("the list of emergency access", taken, len(glasses), events, func(i int) (int64, model.ActorID, model.PersonID) {
		return glasses[i].Seq, glasses[i].Actor, glasses[i].Person
	})
	return nil
}

// leads checks that n of n documents lead to events as they say.
func (w *verifier) leads(what string, want, n int, events map[int64]*store.Assignment, at func(int) (int64, model.ActorID, model.PersonID)) {
	if n != want {
		w.r.add("caseloads: %s has %d events, there are %d", what, n, want)
	}
	for i := range n {
		seq, actor, person := at(i)
		if ev := events[seq]; ev == nil || ev.Actor != actor || ev.Person != person {
			w.r.add("caseload event %d: %s does not lead to it", seq, what)
		}
	}
}
