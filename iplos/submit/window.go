package submit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"flette/model"
)

// Stages of a data year's window.
const (
	StageUpcoming = "upcoming" // December: the window opens soon
	StageOpen     = "open"     // 1-15 January
	StageOverdue  = "overdue"  // the window closed and something is missing
	StageDone     = "done"     // everything is accepted
	StageNone     = "none"     // nothing is due
)

// Due says what the register waits for on a day.
type Due struct {
	Stage   string   `json:"stage"`
	Year    int      `json:"year,omitzero"`     // data year: 1 January to 31 December (R73)
	Opens   string   `json:"opens,omitempty"`   // first day of the window, YYYY-MM-DD
	Closes  string   `json:"closes,omitempty"`  // last day
	Days    int      `json:"days,omitzero"`     // until it opens, or that are left with today
	Missing []string `json:"missing,omitempty"` // kinds that are not accepted
	Text    string   `json:"text"`              // a sentence for the operator
}

// overdueDays is how long after the window a missing shipment is still called overdue: the
// municipality has to talk to FHI then, and after some weeks that is known.
const overdueDays = 45

// Yearly says what is due of the yearly data on a day in Norway (YYYY-MM-DD), from the
// ledger of one target (domain: 3.2). It is a pure function.
func Yearly(day, target string, list []Record) (Due, error) {
	today, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return Due{}, model.Problemf("submission-date", "/day", "a day is written 2027-01-04")
	}
	d := Due{Stage: StageNone, Year: today.Year() - 1}
	if today.Month() == time.December {
		d.Year = today.Year()
	}
	opens := time.Date(d.Year+1, time.January, 1, 0, 0, 0, 0, time.UTC)
	closes := opens.AddDate(0, 0, 14)
	until := func(t time.Time) int { return int(t.Sub(today).Hours() / 24) }
	missing, words := missingOf(list, target, d.Year)
	switch {
	case today.Month() != time.December && today.After(closes.AddDate(0, 0, overdueDays)):
		return Due{Stage: StageNone, Text: "no yearly data is due; the next reminder comes on 1 December"}, nil
	case today.Before(opens):
		d.Stage, d.Days = StageUpcoming, until(opens)
		d.Text = fmt.Sprintf("the window for %d opens in %s: mend the mangler now and look at what would be lost (flette extract preview)", d.Year, days(d.Days))
	case len(missing) == 0:
		d.Stage, d.Text = StageDone, fmt.Sprintf("the register has accepted both shipments of %d; compare its own numbers until 15 January (flette submit feedback)", d.Year)
	case today.After(closes):
		d.Stage, d.Text = StageOverdue, fmt.Sprintf("the window for %d closed on 15 January and %s; call FHI before you send", d.Year, words)
	default:
		d.Stage, d.Days = StageOpen, until(closes)+1
		d.Text = fmt.Sprintf("%s left to report %d: %s", days(d.Days), d.Year, words)
	}
	d.Opens, d.Closes, d.Missing = opens.Format(time.DateOnly), closes.Format(time.DateOnly), missing
	return d, nil
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// missingOf lists the yearly kinds that the register has not accepted, and says of each why.
func missingOf(list []Record, target string, year int) (missing []string, words string) {
	var parts []string
	for _, kind := range YearlyKinds {
		state := "not prepared"
		for i := range list {
			if r := &list[i]; r.Target == target && r.Kind == kind && r.Year == year && r.Standing() {
				state = r.State
			}
		}
		if state != Accepted {
			missing = append(missing, kind)
			parts = append(parts, kind+" is "+state)
		}
	}
	return missing, strings.Join(parts, ", ")
}

// CountRow compares one service type.
type CountRow struct {
	Service  string `json:"service"`
	Ours     int    `json:"ours"`
	Register int    `json:"register"`
}

// Differences compares what a submission reported with the register's own view, filed by
// Feedback. nil when there is no such view; empty when both are the same.
func (r *Record) Differences() []CountRow {
	var theirs map[string]int
	for i := range r.Events {
		if r.Events[i].Counts != nil {
			theirs = r.Events[i].Counts
		}
	}
	if theirs == nil {
		return nil
	}
	all := maps.Clone(theirs)
	maps.Copy(all, r.Counts)
	out := []CountRow{}
	for _, s := range slices.Sorted(maps.Keys(all)) {
		if r.Counts[s] != theirs[s] {
			out = append(out, CountRow{s, r.Counts[s], theirs[s]})
		}
	}
	return out
}
