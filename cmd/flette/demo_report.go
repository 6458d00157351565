package main

import (
	"context"
	"fmt"
	"slices"

	"flette/iplos/measure"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

// mangler shows what the register would miss: the open findings, by unit and rule.
func (s *story) mangler(ctx context.Context) (told, error) {
	var out contract.FindingCounts
	if _, err := s.admin.Get(ctx, "/v1/findings/counts", nil, &out); err != nil {
		return told{}, err
	}
	counts := map[string]int64{}
	rules, units := map[string]int64{}, map[string]bool{}
	for _, n := range out.Counts {
		counts["open"] += n.Open
		rules[n.Rule] += n.Open
		units[n.Owner] = true
		if n.Severity == "B" {
			counts["blocking"] += n.Open
		}
	}
	counts["rules"], counts["units"] = int64(len(rules)), int64(len(units))
	return told{fmt.Sprintf("%d findings are open in %d units, by %d rules; %d of them keep somebody out of a message.",
			counts["open"], counts["units"], counts["rules"], counts["blocking"]), counts},
		hold(same("test persons (R2)", rules["R2"], int64(demoPersons)), same("the zones that persons belong to", counts["units"], int64(len(demoZones))))
}

// report counts persons by function group, without small counts.
func (s *story) report(ctx context.Context) (told, error) {
	var r measure.Report
	if err := s.a.view(ctx, demoTenant, func(v store.View) (err error) {
		r, err = measure.Make(ctx, v, measure.Options{Groups: measure.Default(), Date: model.DateInOslo(model.MillisOf(s.clock.Now())), Depth: 1, Section: s.a.engine.SectionOf})
		return err
	}); err != nil {
		return told{}, err
	}
	groups := len(measure.Default().Groups)
	persons := make([]int, groups)
	for i := range groups {
		for _, n := range r.Tables[i].Totals {
			persons[i] += n
		}
	}
	counts := map[string]int64{"tables": int64(len(r.Tables)), "persons": int64(persons[0])}
	return told{fmt.Sprintf("%d persons with a service, in %d tables of function groups and indicators (provisional, R78, R79).", persons[0], len(r.Tables)), counts},
		hold(same("function groups", groups, 5), same("everybody is in every group", slices.Min(persons), slices.Max(persons)),
			same("persons with a service", persons[0], demoPersons))
}
