package main

import (
	"context"
	"fmt"

	contract "flette/mobile-contract"
	"flette/model"
)

// ack is an acknowledgement that a tablet got: the server promised to have the entry there.
type ack struct {
	id       model.EntryID
	position int64
}

// lost is an acknowledged entry that the server does not have as it said.
type lost struct {
	Tablet   int           `json:"tablet"`
	Entry    model.EntryID `json:"entry"`
	Position int64         `json:"position"` // as acknowledged
	Says     string        `json:"says"`     // what it says now
}

// auditResults compares acknowledgements with the answers to the same entries pushed again.
// An entry that is there is a duplicate at the position that was promised: the server
// answers an entry that it lost with anything else. Both are in the order of signing.
func auditResults(tablet int, acks []ack, again []contract.PushResult) []lost {
	var out []lost
	for i, a := range acks {
		says := "no answer"
		if i < len(again) {
			r := &again[i]
			switch {
			case r.ID != a.id.String():
				says = "answer about another entry"
			case r.Outcome != contract.OutcomeDuplicate:
				says = "outcome " + r.Outcome
			case r.Position == nil:
				says = "no position"
			case *r.Position != a.position:
				says = fmt.Sprintf("position %d", *r.Position)
			default:
				continue
			}
		}
		out = append(out, lost{tablet, a.id, a.position, says})
	}
	return out
}

// pusher sends entries of a tablet and gives one result for each.
type pusher interface {
	push(ctx context.Context, tablet int, entries []string) ([]contract.PushResult, error)
}

// auditTablet pushes everything that was acknowledged to a tablet once more.
func auditTablet(ctx context.Context, p pusher, tablet int, entries []string, acks []ack) ([]lost, error) {
	if len(entries) != len(acks) {
		return nil, fmt.Errorf("tablet %d holds %d entries and %d acknowledgements", tablet, len(entries), len(acks))
	}
	again, err := p.push(ctx, tablet, entries)
	if err != nil {
		return nil, err
	}
	return auditResults(tablet, acks, again), nil
}

// auditHistory lists entries of a person that are not in the person's history.
func auditHistory(want map[model.EntryID]lost, history []contract.HistoryEntry) []lost {
	there := map[model.EntryID]int64{}
	for i := range history {
		there[history[i].Entry] = history[i].Position
	}
	var out []lost
	for id, l := range want {
		if at, ok := there[id]; !ok || at != l.Position {
			l.Says = "not in the person's history at its position"
			out = append(out, l)
		}
	}
	return out
}
