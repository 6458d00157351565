package api

import (
	"net/http"
	"slices"

	"flette/iplos/submit"
	contract "flette/mobile-contract"
	"flette/model"
	"flette/store"
)

const listSubmission = "submissions"

// listSubmissions shows the ledger of one target. What the register quoted stays sealed: it
// may name persons, and the command line shows it.
func listSubmissions(c *call) (answer, error) {
	limit, f := c.limit()
	if f != nil {
		return answer{}, f
	}
	target, f := c.choice("target", submit.Production, submit.Production, submit.Test)
	if f != nil {
		return answer{}, f
	}
	after, f := afterOf(listSubmission, c.text("cursor"))
	if f != nil {
		return answer{}, f
	}
	out := contract.SubmissionList{Submissions: []contract.SubmissionView{}}
	err := c.view(func(v store.View) error {
		list, err := submit.Load(v)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(r submit.Record) bool { return r.Target != target })
		due, err := submit.Yearly(model.DateInOslo(c.engine().Now()), target, list)
		out.Due = contract.SubmissionDue(due)
		// The order is that of sending, so a cursor names the one that came last.
		if i := slices.IndexFunc(list, func(r submit.Record) bool { return r.ID == after }); i >= 0 {
			list = list[i+1:]
		}
		for i := range list[:min(limit, len(list))] {
			out.Submissions = append(out.Submissions, submissionView(&list[i]))
		}
		if len(list) > limit {
			out.Next = nextOf(listSubmission, list[limit-1].ID)
		}
		return err
	})
	return answer{status: http.StatusOK, value: out}, err
}

func submissionView(r *submit.Record) contract.SubmissionView {
	out := contract.SubmissionView{
		ID: r.ID, Kind: r.Kind, Target: r.Target, Year: r.Year, FromSerial: r.From, ToSerial: r.To, Position: r.Position,
		SHA256: r.SHA256, Counts: r.Counts, State: r.State, Attempts: r.Attempts(), Prepared: r.Prepared, Updated: r.Prepared,
		Replaces: r.Replaces, ReplacedBy: r.ReplacedBy,
	}
	if out.Counts == nil {
		out.Counts = map[string]int{}
	}
	if n := len(r.Events); n > 0 {
		out.Updated = r.Events[n-1].At
	}
	if e := r.Last(submit.ActAnswer); e != nil {
		out.Receipt, out.Advice = e.Reference, submit.Explain(e.Status, e.Faults)
	}
	for _, d := range r.Differences() {
		out.Differences = append(out.Differences, contract.CountsView(d))
	}
	return out
}
