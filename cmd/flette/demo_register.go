package main

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"flette/iplos/kpr"
	"flette/journal"
	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
)

// message runs an extract for target test, which lets synthetic persons through and marks
// the file, and validates the file once more on this side.
func (s *story) message(ctx context.Context) (*contract.ExtractView, error) {
	x, err := s.admin.RunExtract(ctx, contract.ExtractRequest{Format: kpr.Format, Target: kpr.Test})
	if err != nil {
		return nil, err
	}
	file, err := s.admin.ExtractFile(ctx, x.ID)
	if err != nil {
		return nil, err
	}
	if err := kpr.Validate(ctx, file); err != nil {
		return nil, err
	}
	return x, s.leave("kpr/"+fmt.Sprintf("%06d-%06d.xml", x.FromSerial, x.ToSerial), file)
}

func countsOf(x *contract.ExtractView) map[string]int64 {
	out := map[string]int64{"notifications": x.ToSerial - x.FromSerial + 1}
	for _, k := range []string{"N", "M", "C", "persons", "excluded"} {
		out[map[string]string{"N": "new", "M": "changed", "C": "withdrawn"}[k]+map[string]string{"persons": k, "excluded": k}[k]] = int64(x.Counts[k])
	}
	return out
}

// plannedEvents counts what the register should hear of the morning, and of the afternoon:
// a start for everybody, two events for a pause, then the ends and the change of provider.
func plannedEvents() (morning, afternoon int64) {
	for p := range int64(demoPersons) {
		morning++
		if pauses(int(p)) {
			morning += 2
		}
		if ends(int(p)) {
			afternoon++
		}
	}
	return morning, afternoon + 1
}

func (s *story) firstMessage(ctx context.Context) (told, error) {
	x, err := s.message(ctx)
	if err != nil {
		return told{}, err
	}
	counts := countsOf(x)
	want, _ := plannedEvents()
	return told{fmt.Sprintf("KPR message with %d notifications about %d persons: valid, marked as a test, in kpr/.", counts["notifications"], counts["persons"]), counts},
		hold(same("new notifications", counts["new"], want), same("all of them", counts["notifications"], want),
			same("first serial", x.FromSerial, 1), same("persons left out", counts["excluded"], 0))
}

// nextMessage: a corrected start is a change of what was told, an end is new, and a third
// run has nothing to tell.
func (s *story) nextMessage(ctx context.Context) (told, error) {
	first, fresh := plannedEvents()
	x, err := s.message(ctx)
	if err != nil {
		return told{}, err
	}
	counts := countsOf(x)
	_, third := s.admin.RunExtract(ctx, contract.ExtractRequest{Format: kpr.Format, Target: kpr.Test})
	return told{fmt.Sprintf("KPR message with %d new notifications and %d changed; after it there is nothing to send.", counts["new"], counts["changed"]), counts},
		hold(same("new", counts["new"], fresh), same("changed", counts["changed"], 1), same("withdrawn", counts["withdrawn"], 0),
			same("first serial", x.FromSerial, first+1), refused("a third run", third, "nothing-to-send"))
}

func (s *story) offlineAfternoon(context.Context) (told, error) {
	for _, t := range s.tablets {
		t.radio.turn(false)
	}
	changes, err := s.sign(s.day.afternoon)
	if err != nil {
		return told{}, err
	}
	waiting := 0
	for _, t := range s.tablets {
		waiting += len(t.Outbox())
	}
	return told{fmt.Sprintf("%d entries with %d registrations wait.", waiting, changes), map[string]int64{"entries": int64(waiting), "changes": changes}},
		same("entries in outboxes", waiting, len(s.day.afternoon))
}

func (s *story) reconnectAfternoon(ctx context.Context) (told, error) {
	s.clock.Until(clockAt(14, 45))
	reports := make([]*client.PushReport, demoTablets)
	err := together(allTablets(), func(t int) error {
		var err error
		reports[t], err = s.push(ctx, t)
		return err
	})
	if err != nil {
		return told{}, err
	}
	counts := map[string]int64{"tablets": demoTablets}
	for _, r := range reports {
		counts["entries"] += int64(len(r.Results))
		counts["applied"] += int64(r.Count(contract.OutcomeApplied))
	}
	return told{fmt.Sprintf("%d entries are in the record.", counts["applied"]), counts},
		hold(same("applied", counts["applied"], counts["entries"]), same("entries", counts["entries"], int64(len(s.day.afternoon))), s.grown(ctx, counts["entries"]))
}

func (s *story) correction(ctx context.Context) (told, error) {
	n, err := s.findings(ctx, personFinding, "R49", "")
	return told{"The start is corrected with a reason; R49 holds again and the old value stays readable.", map[string]int64{"findings_r49": int64(n)}},
		hold(err, same("findings of R49", n, 0))
}

// weeklyTime: ten minutes in the morning and four in the afternoon with every person, also
// by the tablet whose clock is wrong (R93, R95).
func (s *story) weeklyTime(ctx context.Context) (told, error) {
	report, err := s.super.TimeReport(ctx, demoWeek)
	if err != nil {
		return told{}, err
	}
	granted := map[string]int{}
	for p, id := range s.day.services {
		granted[id] = s.day.granted[p]
	}
	counts := map[string]int64{}
	wrong := 0
	for _, row := range report.Rows {
		counts["travel_minutes"] += int64(row.TravelMinutes)
		if row.Service == "" {
			continue
		}
		counts["services"]++
		counts["direct_minutes"] += int64(row.DirectMinutes)
		if row.GrantedMinutes == nil || *row.GrantedMinutes != granted[row.Service] || row.DirectMinutes != 14 {
			wrong++
			continue
		}
		counts["granted_minutes"] += int64(*row.GrantedMinutes)
	}
	return told{fmt.Sprintf("%d minutes with %d persons, of %d minutes granted for the week.", counts["direct_minutes"], counts["services"], counts["granted_minutes"]), counts},
		hold(same("rows that differ from the plan", wrong, 0), same("services", counts["services"], demoPersons),
			same("direct minutes", counts["direct_minutes"], 14*demoPersons), same("travel minutes", counts["travel_minutes"], demoPersons))
}

// receipt proves an entry's place with nothing but the key that the tablet got at enrolment.
func (s *story) receipt(ctx context.Context) (told, error) {
	t := s.tablets[tabletFirst]
	if err := t.Audit(ctx); err != nil {
		return told{}, fmt.Errorf("the journal does not continue the tablet's checkpoint: %w", err)
	}
	text, size := t.Checkpoint()
	cp, err := journal.Verify([]byte(text), s.vkey)
	if err != nil {
		return told{}, err
	}
	entry := s.marks[markLow]
	var proof contract.InclusionProof
	if _, err := s.admin.Get(ctx, "/v1/journal/inclusion", map[string][]string{
		"entry": {entry.String()}, "person": {s.people[personShared].String()}, "size": {strconv.FormatInt(size, 10)},
	}, &proof); err != nil {
		return told{}, err
	}
	path := journal.LeafProof{Position: proof.Position, Size: proof.Size}
	for _, h := range proof.Proof {
		hash, err := tlog.ParseHash(h)
		if err != nil {
			return told{}, err
		}
		path.Hashes = append(path.Hashes, hash)
	}
	forged := path
	forged.Position++
	leaf := tlog.RecordHash([]byte(proof.Leaf))
	return told{fmt.Sprintf("Entry %d of %d is proved by %d hashes.", proof.Position, size, len(proof.Proof)),
			map[string]int64{"position": proof.Position, "size": size, "hashes": int64(len(proof.Proof))}},
		hold(journal.CheckLeaf(path, leaf, cp), same("the leaf names the entry", leafNames(proof.Leaf, entry), true),
			same("another place is not proved", journal.CheckLeaf(forged, leaf, cp) != nil, true))
}

func (s *story) verify(ctx context.Context) (told, error) {
	r, err := s.a.engine.Verify(ctx, demoTenant, s.a.checks(demoTenant), nil)
	if err != nil {
		return told{}, err
	}
	counts := map[string]int64{"entries": r.Entries, "signatures": int64(r.Signatures), "persons": int64(r.Persons), "units": int64(r.Units), "problems": int64(len(r.Problems))}
	err = same("entries", r.Entries, s.size)
	if !r.OK() {
		err = hold(err, fmt.Errorf("%d differences, the first: %s", len(r.Problems)+r.Dropped, r.Problems[0]))
	}
	return told{fmt.Sprintf("%d entries replayed, %d signatures checked, %d units compared: everything holds.", r.Entries, r.Signatures, r.Units), counts}, err
}
