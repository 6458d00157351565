package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	gosync "sync"

	"flette/journal"
	contract "flette/mobile-contract"
	"flette/mobile-contract/client"
	"flette/model"
)

// same is the assertion of most steps: what was seen is what the story claims.
func same[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s: %v, and not %v", what, got, want)
}

// hold joins assertions, so that a failing step names all that does not hold.
func hold(assertions ...error) error { return errors.Join(assertions...) }

// countsLine prints counts in order of name.
func countsLine(counts map[string]int64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", strings.ReplaceAll(k, "_", " "), counts[k]))
	}
	return strings.Join(parts, " · ")
}

// together runs f for the tablets named, a few at a time, and joins the errors.
func together(tablets []int, f func(tablet int) error) error {
	const atOnce = 4
	slots := make(chan struct{}, atOnce)
	errs := make([]error, len(tablets))
	var wg gosync.WaitGroup
	for i, t := range tablets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = f(t)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func allTablets() []int {
	out := make([]int, demoTablets)
	for i := range out {
		out[i] = i
	}
	return out
}

// journalSize asks the server, and checks the signature of what it says.
func (s *story) journalSize(ctx context.Context) (int64, error) {
	now, err := s.admin.Checkpoint(ctx)
	if err != nil {
		return 0, err
	}
	if now.Checkpoint == "" {
		return 0, nil
	}
	cp, err := journal.Verify([]byte(now.Checkpoint), s.vkey)
	return cp.Size, err
}

// grown checks that the journal has exactly the entries that the story put there.
func (s *story) grown(ctx context.Context, by int64) error {
	s.size += by
	size, err := s.journalSize(ctx)
	if err != nil {
		return err
	}
	return same("journal size", size, s.size)
}

// unit reads a unit of the merged record as the supervisor sees it.
func (s *story) unit(ctx context.Context, person int, unit model.Unit) (*contract.UnitView, error) {
	path := "/v1/persons/" + s.people[person].String()
	for query := (url.Values{}); ; {
		var record contract.PersonRecord
		if _, err := s.super.Get(ctx, path, query, &record); err != nil {
			return nil, err
		}
		for i := range record.Units {
			if record.Units[i].Unit == unit && len(record.Units[i].Heads) > 0 {
				return &record.Units[i], nil
			}
		}
		if record.Next == "" {
			return nil, fmt.Errorf("the record of person %d shows nothing under %s", person+1, unit)
		}
		query.Set("after", record.Next)
	}
}

// scoreShown is the score of a unit's shown value, 0 when there is none.
func scoreShown(v *contract.UnitView) int {
	if v == nil || len(v.Heads) == 0 {
		return 0
	}
	n, _ := model.ScoreOf(v.Heads[0].Value)
	return n
}

// refused checks that a call was answered with a problem of a code.
func refused(what string, err error, code string) error {
	if err == nil {
		return fmt.Errorf("%s: it was allowed", what)
	}
	if got := client.CodeOf(err); got != code {
		return fmt.Errorf("%s: problem %q, and not %q: %w", what, got, code, err)
	}
	return nil
}

// leafNames reports whether a leaf's text is about an entry: its second line is the id.
func leafNames(leaf string, entry model.EntryID) bool {
	lines := strings.SplitN(leaf, "\n", 3)
	return len(lines) == 3 && lines[1] == entry.String()
}
