package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// seeReview: two questions are open; the desk shows both sides with name and label.
func (s *story) seeReview(ctx context.Context) (told, error) {
	queue, err := s.super.Reviews(ctx, "open", "")
	if err != nil {
		return told{}, err
	}
	view, etag, err := s.super.Review(ctx, s.review)
	if err != nil {
		return told{}, err
	}
	scores := map[int]bool{}
	for i := range view.Unit.Heads {
		n, _ := model.ScoreOf(view.Unit.Heads[i].Value)
		scores[n] = true
	}
	return told{fmt.Sprintf("%d reviews are open. One asks about %q of %s: 2 or 4?", len(queue.Reviews), view.Label, view.Name),
			map[string]int64{"open_reviews": int64(len(queue.Reviews)), "class": int64(view.Class)}},
		hold(same("open reviews", len(queue.Reviews), 2), same("state", view.State, "open"), same("class", view.Class, model.ClassClinical),
			same("name", view.Name, s.names[personShared]), same("2 and 4 are shown", scores[2] && scores[4] && len(scores) == 2, true),
			same("a time-ordered pair has a preselection", view.Preselect != nil && *view.Preselect == s.marks[markHigh], true),
			same("the ETag is there", etag != "", true))
}

// decide: a decision holds for the heads that were looked at, so one over other heads is
// turned down with the review as it is.
func (s *story) decide(ctx context.Context) (told, error) {
	_, etag, err := s.super.Review(ctx, s.review)
	if err != nil {
		return told{}, err
	}
	choice := s.marks[markHigh]
	request := contract.DecisionRequest{Choose: &choice, Reason: &model.Reason{Code: "spoke-with-both", Text: "Oppdiktet: begge er spurt."}}
	_, stale := s.super.Decide(ctx, s.review, `"heads-that-nobody-saw"`, request)
	var answer *client.Error
	if !errors.As(stale, &answer) || answer.Status != http.StatusPreconditionFailed || answer.Problem.Current == nil {
		return told{}, fmt.Errorf("a decision over other heads was not turned down with the fresh review: %w", stale)
	}
	done, err := s.super.Decide(ctx, s.review, etag, request)
	if err != nil {
		return told{}, err
	}
	queue, err := s.super.Reviews(ctx, "open", "")
	if err != nil {
		return told{}, err
	}
	return told{"The supervisor chose 4, with a reason. The decision is a signed entry like any other.",
			map[string]int64{"decided": 1, "stale_turned_down": 1, "open_reviews": int64(len(queue.Reviews))}},
		hold(same("outcome", done.Result.Outcome, contract.OutcomeApplied), same("state", done.Review.State, "closed"),
			same("open reviews", len(queue.Reviews), 1), same("the other review stays for the visitor", queue.Reviews[0].Unit.Unit, toilet),
			s.grown(ctx, 1))
}

// news: both authors learn what was decided and why, and everybody sees it settled.
func (s *story) news(ctx context.Context) (told, error) {
	items := make([]int, demoTablets)
	decisions := make([]int, demoTablets)
	err := together(allTablets(), func(i int) error {
		pulled, err := s.tablets[i].Pull(ctx)
		if err != nil {
			return fmt.Errorf("tablet %d pulls: %w", i+1, err)
		}
		items[i] = pulled.Items
		for _, it := range pulled.News {
			if it.Type == contract.ItemDecision && it.Person == s.people[personShared] && it.Decision.Reason != nil && it.Decision.Reason.Code == "spoke-with-both" {
				decisions[i]++
			}
		}
		return nil
	})
	if err != nil {
		return told{}, err
	}
	counts := map[string]int64{"decisions_seen": int64(decisions[tabletFirst] + decisions[tabletSecond])}
	for _, n := range items {
		counts["items_pulled"] += int64(n)
	}
	held := []error{same("decisions seen by nurse 1", decisions[tabletFirst], 1), same("decisions seen by nurse 2", decisions[tabletSecond], 1)}
	for _, t := range []int{tabletFirst, tabletSecond} {
		v, ok := s.tablets[t].View(s.people[personShared], memory)
		held = append(held, same("the unit is on the tablet", ok && len(v.Heads) == 1, true), same("score on the tablet", scoreShown(&v), 4),
			same("class on the tablet", v.Class, model.ClassSingle), same("review on the tablet", v.Review, ""))
	}
	return told{"Nurses 1 and 2 see 4, and the reason why.", counts}, hold(held...)
}

// findings counts broken rules of a person.
func (s *story) findings(ctx context.Context, person int, rule, severity string) (int, error) {
	list, err := s.super.Findings(ctx, s.people[person].String(), rule, severity, "")
	if err != nil {
		return 0, err
	}
	return len(list.Findings), nil
}

// finding: a service that starts before its decision blocks (R49).
func (s *story) finding(ctx context.Context) (told, error) {
	n, err := s.findings(ctx, personFinding, "R49", "B")
	return told{fmt.Sprintf("R49: the service of %s starts before it was decided.", s.names[personFinding]), map[string]int64{"findings_r49": int64(n)}},
		hold(err, same("findings of R49", n, 1))
}

// closeQuarantine: the bad entry is settled and its author is told.
func (s *story) closeQuarantine(ctx context.Context) (told, error) {
	list, err := s.super.Quarantine(ctx, "open", "")
	if err != nil {
		return told{}, err
	}
	if _, err := s.super.Close(ctx, s.quarantine, model.Reason{Code: "registered-anew", Text: "Oppdiktet: skåret på nytt."}); err != nil {
		return told{}, err
	}
	left, err := s.super.Quarantine(ctx, "open", "")
	if err != nil {
		return told{}, err
	}
	pulled, err := s.tablets[tabletBad].Pull(ctx)
	if err != nil {
		return told{}, err
	}
	heard := 0
	for _, it := range pulled.News {
		if it.Type == contract.ItemQuarantine && it.Settled.Entry == s.quarantine && it.Settled.State == "closed" {
			heard++
		}
	}
	v, _ := s.tablets[tabletBad].View(s.people[personBad], hearing)
	return told{"The nurse registered 5 instead, the supervisor closed the 6, and the tablet was told.",
			map[string]int64{"closed": 1, "open": int64(len(left.Items)), "told": int64(heard)}},
		hold(same("open before", len(list.Items), 1), same("open after", len(left.Items), 0), same("told", heard, 1),
			same("hearing on the tablet", scoreShown(&v), 5), s.grown(ctx, 1))
}
