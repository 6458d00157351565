package iplos

import (
	"flette/model"
	"flette/model/catalogue"
)

// Status is where a Ja or Nei with a date stands: waiting list, round-the-clock offer,
// rehabilitation outside an institution (domain.md 1.5).
type Status string

// Statuses.
const (
	StatusNever  Status = "never"  // Nei without a date, or not registered
	StatusActive Status = "active" // Ja, since its date
	StatusEnded  Status = "ended"  // Nei, since its date
	StatusUnfit  Status = "unfit"  // Ja without a date, or another code
)

// StatusOf reads a value; nil is one that is not registered.
func StatusOf(v *catalogue.YesNoDate) Status {
	switch {
	case v == nil:
		return StatusNever
	case v.Code == "1" && v.Date != "":
		return StatusActive
	case v.Code == "2" && v.Date != "":
		return StatusEnded
	case v.Code == "2":
		return StatusNever
	}
	return StatusUnfit
}

// said is one value of a status and the act that registered it.
type said struct {
	told   *Told
	value  catalogue.YesNoDate
	status Status
}

// statusFault says what is wrong with how the shown value of a status came about: severity
// and sentence, or "" when nothing is. Never, active, ended, active again is the ordinary way.
// What goes another way has a reason, in a correction, or deserves a second look. Nei without
// a date over an active Ja is not here: the merge asks a supervisor (R84).
func statusFault(h *History, shown model.EntryID) (severity, detail string) {
	now := h.said(shown)
	if now == nil {
		return "", ""
	}
	switch before, corrected := h.before(now); now.status {
	case StatusNever:
		for _, b := range before {
			if b.status == StatusEnded && !corrected {
				return Missing, "Nei without a date stands over an end: the period that ended would be lost. Register the end again, or correct what was an error."
			}
		}
	case StatusActive:
		for _, b := range before {
			if b.status == StatusEnded && now.value.Date < b.value.Date && !h.began(b, now.value.Date) {
				return Missing, "The Ja begins before the day on which the former period ended."
			}
		}
	case StatusEnded:
		starts, never := h.starts(now)
		for _, d := range starts {
			if d <= now.value.Date {
				return "", ""
			}
		}
		switch {
		case len(starts) > 0:
			return Blocking, "The end is before the day on which the Ja began."
		case never:
			return Missing, "An end is registered over Nei without a date: the Ja and the day on which it began are missing."
		}
	}
	return "", ""
}

// said reads an entry that stands; nil when it has been taken back, or cannot be read.
func (h *History) said(id model.EntryID) *said {
	t := h.Get(id)
	if t == nil || !h.Stands(t) {
		return nil
	}
	v, err := catalogue.Decode[catalogue.YesNoDate](t.Value)
	if err != nil {
		return nil
	}
	return &said{told: t, value: v, status: StatusOf(&v)}
}

// before lists the nearest other values behind one: through confirmations of it, past what
// was taken back, and past what a correction found wrong, however often that was said.
// corrected reports whether the value is itself that of a correction.
func (h *History) before(of *said) (out []*said, corrected bool) {
	type step struct {
		id    model.EntryID
		fixed bool                 // directly replaced by a correction
		wrong *catalogue.YesNoDate // what a correction on the way found wrong
	}
	var todo []step
	follow := func(t *Told, wrong *catalogue.YesNoDate, fixed bool) {
		for _, id := range t.Over {
			todo = append(todo, step{id, fixed, wrong})
		}
	}
	corrected = corrects(of.told.Act)
	follow(of.told, nil, corrected)
	seen := map[model.EntryID]bool{}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		t := h.Get(s.id)
		if t == nil || seen[s.id] {
			continue
		}
		seen[s.id] = true
		x := h.said(s.id)
		switch {
		case x == nil:
			follow(t, s.wrong, false)
		case x.value == of.value:
			corrected = corrected || corrects(t.Act)
			follow(t, s.wrong, corrects(t.Act))
		case s.fixed || s.wrong != nil && *s.wrong == x.value:
			follow(t, &x.value, corrects(t.Act))
		default:
			out = append(out, x)
		}
	}
	return out, corrected
}

// starts lists the days of the nearest Ja behind an end, through other Nei; never reports
// whether one of these had no date.
func (h *History) starts(of *said) (days []catalogue.Date, never bool) {
	seen := map[model.EntryID]bool{}
	for todo := []*said{of}; len(todo) > 0; {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		before, _ := h.before(x)
		for _, b := range before {
			if seen[b.told.ID] {
				continue
			}
			seen[b.told.ID] = true
			switch b.status {
			case StatusActive:
				days = append(days, b.value.Date)
			case StatusNever, StatusEnded:
				never = never || b.status == StatusNever
				todo = append(todo, b)
			}
		}
	}
	return days, never
}

// began reports whether the period that ended had begun on a day: a Ja with that day again
// takes the end back and is no new period.
func (h *History) began(end *said, day catalogue.Date) bool {
	starts, _ := h.starts(end)
	for _, d := range starts {
		if d == day {
			return true
		}
	}
	return false
}

// r49status judges each Ja or Nei with a date by what stood there before.
func (r *Record) r49status(p *report) {
	for _, u := range r.units("status") {
		if !catalogue.Default().Policy(u.Unit).YesNoDate {
			continue
		}
		h, err := ReadHistory(r.view, u.Unit, u.Position)
		if err != nil {
			r.fail(err)
			return
		}
		if severity, detail := statusFault(h, u.Shown().ID); detail != "" {
			p.addAs(severity, u.Unit, detail)
		}
	}
}
