package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// offlineMorning: everything is signed and kept on the tablets; the server knows nothing.
func (s *story) offlineMorning(ctx context.Context) (told, error) {
	s.clock.Until(clockAt(7, 45))
	for _, t := range s.tablets {
		t.radio.turn(false)
	}
	changes, err := s.sign(s.day.morning)
	if err != nil {
		return told{}, err
	}
	s.clock.Until(clockAt(12, 10))
	_, dead := s.tablets[tabletFirst].Push(ctx)
	waiting := 0
	for _, t := range s.tablets {
		waiting += len(t.Outbox())
	}
	size, err := s.journalSize(ctx)
	counts := map[string]int64{"entries": int64(waiting), "changes": changes}
	return told{fmt.Sprintf("%d entries with %d registrations are signed and wait on %d tablets.", waiting, changes, demoTablets), counts},
		hold(err, same("entries in outboxes", waiting, len(s.day.morning)), same("journal size", size, 0),
			same("a push without coverage failed", errors.Is(dead, errNoCoverage), true))
}

// wrongOrder: nurse 2 scored memory 4 at 10:30, nurse 1 scored 2 at 9:00, and 2 arrives first.
func (s *story) wrongOrder(ctx context.Context) (told, error) {
	s.clock.Until(clockAt(12, 15))
	second, err := s.push(ctx, tabletSecond)
	if err != nil {
		return told{}, err
	}
	early, err := s.resultOf(second, markHigh)
	if err != nil {
		return told{}, err
	}
	first, err := s.push(ctx, tabletFirst)
	if err != nil {
		return told{}, err
	}
	late, err := s.resultOf(first, markLow)
	if err != nil {
		return told{}, err
	}
	if len(late.Reviews) != 1 {
		return told{}, fmt.Errorf("the late score clashed with %d units, and not with one", len(late.Reviews))
	}
	clash := late.Reviews[0]
	s.review = clash.Review
	shown, err := s.unit(ctx, personShared, memory)
	if err != nil {
		return told{}, err
	}
	entries := int64(len(second.Results) + len(first.Results))
	counts := map[string]int64{"entries": entries, "conflicts": int64(first.Count(contract.OutcomeConflict)), "score_shown": int64(scoreShown(shown)), "class": int64(clash.Class)}
	return told{"Memory 4 of 10:30 is shown, although 2 of 9:00 came later; they are two steps apart, so a review is open.", counts},
		hold(same("outcome of the score that came first", early.Outcome, contract.OutcomeApplied),
			same("outcome of the late score", late.Outcome, contract.OutcomeConflict),
			same("unit in conflict", clash.Unit, memory), same("class", clash.Class, model.ClassClinical),
			same("clashes with nurse 2's entry", slices.Equal(clash.Against, []model.EntryID{s.marks[markHigh]}), true),
			same("score shown", scoreShown(shown), 4), same("heads", len(shown.Heads), 2),
			same("class shown", shown.Class, model.ClassClinical), same("labelled late", shown.Late, true),
			same("review open on the unit", shown.Review, s.review), s.grown(ctx, entries))
}

// lostAnswer: the tablet cannot know whether its push arrived, and asks by pushing again.
func (s *story) lostAnswer(ctx context.Context) (told, error) {
	t := s.tablets[tabletLost]
	waiting := t.Outbox()
	t.radio.turn(true)
	t.radio.loseNext()
	_, lost := t.Push(ctx)
	if err := hold(same("the answer was lost", errors.Is(lost, errLostAnswer), true),
		same("entries that still wait", len(t.Outbox()), len(waiting)), s.grown(ctx, int64(len(waiting)))); err != nil {
		return told{}, err
	}
	again, err := s.push(ctx, tabletLost)
	if err != nil {
		return told{}, err
	}
	n := again.Count(contract.OutcomeDuplicate)
	first := 0
	for i := range again.Results {
		if again.Results[i].First == contract.OutcomeApplied {
			first++
		}
	}
	return told{fmt.Sprintf("The tablet sent its %d entries again and was told that all of them are there already.", n),
			map[string]int64{"entries": int64(len(waiting)), "duplicates": int64(n)}},
		hold(same("duplicates", n, len(waiting)), same("first applied", first, len(waiting)), s.grown(ctx, 0))
}

// badEntry: one entry says something that no score can be; the others are not held back.
func (s *story) badEntry(ctx context.Context) (told, error) {
	report, err := s.push(ctx, tabletBad)
	if err != nil {
		return told{}, err
	}
	bad, err := s.resultOf(report, markBad)
	if err != nil {
		return told{}, err
	}
	s.quarantine = s.marks[markBad]
	applied, entries := report.Count(contract.OutcomeApplied), int64(len(report.Results))
	counts := map[string]int64{"entries": entries, "applied": int64(applied), "quarantined": int64(report.Count(contract.OutcomeQuarantined))}
	return told{fmt.Sprintf("A score of 6 is kept in quarantine (%s); the other %d entries are in the record.", bad.Code, applied), counts},
		hold(same("outcome", bad.Outcome, contract.OutcomeQuarantined), same("code", bad.Code, "score-out-of-range"),
			same("rule", bad.Rule, "R14"), same("the others", int64(applied), entries-1), s.grown(ctx, entries))
}

// clockAhead: nurse 7's tablet claims 12:00 for what was signed at 9:00. Nurse 8 saw the
// person at 10:00, and that score stands.
func (s *story) clockAhead(ctx context.Context) (told, error) {
	after, err := s.push(ctx, tabletAfter)
	if err != nil {
		return told{}, err
	}
	ahead, err := s.push(ctx, tabletAhead)
	if err != nil {
		return told{}, err
	}
	wrong := 0
	for i := range ahead.Results {
		if st := ahead.Results[i].Stamp; st == nil || st.Class != model.ClockA || !near(st.Wall-st.TEff, aheadBy) {
			wrong++
		}
	}
	mark, err := s.resultOf(ahead, markAhead)
	if err != nil || mark.Stamp == nil {
		return told{}, errors.Join(err, errors.New("the entry carries no stamp"))
	}
	shown, err := s.unit(ctx, personAhead, hygiene)
	if err != nil {
		return told{}, err
	}
	entries := int64(len(ahead.Results) + len(after.Results))
	counts := map[string]int64{"entries": entries, "clock_class_a": int64(len(ahead.Results) - wrong), "score_shown": int64(scoreShown(shown))}
	says := fmt.Sprintf("It claims %s and is taken for %s, clock class %s; the score that nurse 8 gave at 10:00 stands.",
		oslo(mark.Stamp.Wall), oslo(mark.Stamp.TEff), mark.Stamp.Class)
	return told{says, counts},
		hold(same("stamps that are not class A with a claim three hours ahead", wrong, 0),
			same("time of signing is known to seconds", near(mark.Stamp.TEff-model.MillisOf(clockAt(9, 0)), 0), true),
			same("score shown", scoreShown(shown), 1), same("entry shown", shown.Heads[0].Entry, s.marks[markAfter]),
			same("class", shown.Class, model.ClassMinor), same("review", shown.Review, ""), s.grown(ctx, entries))
}

// near allows for the seconds that the demo itself takes.
func near(d model.Millis, want time.Duration) bool {
	off := time.Duration(d)*time.Millisecond - want
	return off.Abs() < 30*time.Second
}

// oslo prints the nearest minute of the story's day.
func oslo(m model.Millis) string {
	return m.Time().Round(time.Minute).In(demoDay.Location()).Format("15:04")
}

// reconnect: everybody else, a few at a time.
func (s *story) reconnect(ctx context.Context) (told, error) {
	others := slices.DeleteFunc(allTablets(), func(t int) bool { return len(s.tablets[t].Outbox()) == 0 })
	reports := make([]*client.PushReport, demoTablets)
	err := together(others, func(t int) error {
		var err error
		reports[t], err = s.push(ctx, t)
		return err
	})
	if err != nil {
		return told{}, err
	}
	counts := map[string]int64{"tablets": int64(len(others))}
	for _, t := range others {
		counts["entries"] += int64(len(reports[t].Results))
		counts["applied"] += int64(reports[t].Count(contract.OutcomeApplied))
		counts["conflicts"] += int64(reports[t].Count(contract.OutcomeConflict))
	}
	return told{fmt.Sprintf("%d tablets handed in %d entries; the journal holds the whole morning.", len(others), counts["entries"]), counts},
		hold(same("applied and conflicts", counts["applied"]+counts["conflicts"], counts["entries"]), same("conflicts", counts["conflicts"], 1),
			s.grown(ctx, counts["entries"]), same("entries of the morning", s.size, int64(len(s.day.morning))))
}
