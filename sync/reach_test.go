package sync

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flette/model"
	"flette/store"
)

// maySee is the rule in its plainest words, for one moment: no intervals, no sorting.
func maySee(events []store.Assignment, actor model.ActorID, all bool, t model.Millis) bool {
	var named, general store.Assignment // the newest words that have begun
	for _, e := range events {
		if e.Block == "" || e.From > t {
			continue
		}
		switch {
		case e.Actor == actor:
			named = e
		case e.Actor == "" && !all:
			general = e
		}
	}
	ruled := int64(-1)
	if named.Block == EventBlock {
		ruled = named.Seq
	}
	if general.Block == EventBlock && (named.Block != EventUnblock || named.Seq < general.Seq) {
		ruled = max(ruled, general.Seq)
	}
	blocked := ruled >= 0
	has, glass := false, int64(-1)
	for i, e := range events {
		if e.Actor != actor || e.Block != "" || e.End || t < e.From || e.To != 0 && t >= e.To {
			continue
		}
		if slices.ContainsFunc(events[i:], func(l store.Assignment) bool { return l.End && l.Actor == actor && l.From <= t }) {
			continue
		}
		has = true
		if e.Glass {
			glass = e.Seq
		}
	}
	if blocked && glass <= ruled {
		return false
	}
	return has || all
}

// Whatever the events and their times: what is computed is the plain rule, at every moment and
// every version, for nurses and for those who see everybody; lists are ascending and do not touch.
func TestReachIsThePlainRule(t *testing.T) {
	person := model.PersonID{1}
	rapid.Check(t, func(rt *rapid.T) {
		var events []store.Assignment
		for i := range rapid.IntRange(1, 14).Draw(rt, "events") {
			e := store.Assignment{Seq: int64(i + 1), Actor: "anne", Person: person, From: model.Millis(rapid.IntRange(1, 20).Draw(rt, "from"))}
			switch rapid.IntRange(0, 6).Draw(rt, "kind") {
			case 0, 1:
				e.To = e.From + model.Millis(rapid.IntRange(1, 9).Draw(rt, "for"))
			case 2:
				e.Glass, e.To = true, e.From+model.Millis(rapid.IntRange(1, 9).Draw(rt, "for"))
			case 3:
				e.End = true
			case 4, 5:
				e.Block = rapid.SampledFrom([]string{EventBlock, EventUnblock}).Draw(rt, "block")
				if rapid.Bool().Draw(rt, "everybody") {
					e.Actor = ""
				}
			}
			events = append(events, e)
		}
		version := int64(rapid.IntRange(0, len(events)).Draw(rt, "version"))
		a := &Access{reach: &scope{version, reaches(events, version)}}
		known := events[:version]
		for a.at = 0; a.at < 32; a.at++ {
			for _, a.all = range []bool{false, true} {
				if got, want := a.Sees(person), maySee(known, "anne", a.all, a.at); got != want {
					rt.Fatalf("at %d, all %v: %v, the rule says %v", a.at, a.all, got, want)
				}
			}
			persons, until := caseloadAt(events, version, a.at)
			if has := maySee(known, "anne", false, a.at); len(persons) == 1 != has {
				rt.Fatalf("at %d: in the caseload: %v", a.at, persons)
			} else if end := until[person]; has && end != 0 && (maySee(known, "anne", false, end) || !maySee(known, "anne", false, end-1)) {
				rt.Fatalf("at %d: until %d", a.at, end)
			}
		}
		for _, list := range [][]interval{a.reach.person(person).have, a.reach.person(person).given, a.reach.person(person).barred} {
			for i := 1; i < len(list); i++ {
				if list[i-1].to == 0 || list[i-1].to >= list[i].from {
					rt.Fatalf("intervals touch: %v", list)
				}
			}
		}
	})
}
