package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"flette/model"
	"flette/store"
)

// noTenant is what operations say of a municipality that is not there.
func noTenant(id model.TenantID) *problem {
	return problemf("tenant-unknown", "there is no municipality %s in this data folder; flette tenant list shows those that are", id)
}

// has makes sure that the municipality is there.
func (a *app) has(ctx context.Context, id model.TenantID) error {
	return a.view(ctx, id, func(store.View) error { return nil })
}

// view reads a municipality.
func (a *app) view(ctx context.Context, id model.TenantID, fn func(store.View) error) error {
	entered := false
	err := a.store.View(ctx, id, func(v store.View) error {
		entered = true
		return fn(v)
	})
	if !entered && errors.Is(err, store.ErrNotFound) {
		return noTenant(id)
	}
	return err
}

// update changes records of a municipality beside those of persons.
func (a *app) update(ctx context.Context, id model.TenantID, fn func(store.Tx) error) error {
	if err := a.has(ctx, id); err != nil {
		return err
	}
	_, err := a.store.Update(ctx, id, nil, fn)
	return err
}

// plain replaces what a terminal would obey: labels and errors come from tablets.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// table lines up columns; the first row is the heading.
func table(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, s := range r {
			r[i] = plain(s)
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	var lines []string
	for _, r := range rows {
		var b strings.Builder
		for i, s := range r {
			b.WriteString(s)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(s)+2))
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return strings.Join(lines, "\n")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// moment shows a time in the operator's zone, "-" for none.
func moment(t model.Millis) string {
	if t == 0 {
		return "-"
	}
	return t.Time().Local().Format("2006-01-02 15:04")
}

// timeArg is a date or a point in time of the command line.
type timeArg string

// UnmarshalText accepts YYYY-MM-DD and RFC 3339.
func (t *timeArg) UnmarshalText(b []byte) error {
	*t = timeArg(b)
	_, err := t.at(false)
	return err
}

// at is the point in time; 0 for none. A date means the beginning of the day in Norway, or
// with end the end of it.
func (t timeArg) at(end bool) (model.Millis, error) {
	if t == "" {
		return 0, nil
	}
	if at, err := time.Parse(time.RFC3339, string(t)); err == nil {
		return model.MillisOf(at), nil
	}
	oslo, err := norway()
	if err != nil {
		return 0, err
	}
	day, err := time.ParseInLocation(time.DateOnly, string(t), oslo)
	if err != nil {
		return 0, fmt.Errorf("a time is written 2026-11-22 or 2026-11-22T08:00:00+01:00")
	}
	if end {
		day = day.AddDate(0, 0, 1)
	}
	return model.MillisOf(day), nil
}

func norway() (*time.Location, error) { return time.LoadLocation("Europe/Oslo") }

// today is the date in Norway, YYYY-MM-DD.
func today(now time.Time) string {
	oslo, err := norway()
	if err != nil {
		oslo = time.UTC
	}
	return now.In(oslo).Format(time.DateOnly)
}
