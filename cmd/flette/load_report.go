package main

import (
	"fmt"
	"slices"
	"strings"
)

// loadReport is what a run prints, as text or with --json. Figures that could not be
// measured are 0 and left out of the text.
type loadReport struct {
	Plan               loadPlan         `json:"plan"`
	OfflineSeconds     float64          `json:"offline_seconds"`
	Encoding           string           `json:"encoding"` // of push bodies
	SetupSeconds       float64          `json:"setup_seconds"`
	Herd               *herdReport      `json:"herd,omitzero"`
	Burst              *pushReport      `json:"burst,omitzero"`
	Steady             *pushReport      `json:"steady,omitzero"`
	Pull               pullReport       `json:"pull"`
	Outcomes           map[string]int64 `json:"outcomes"` // of entries, before the audit
	DiskBytesPerChange float64          `json:"disk_bytes_per_change,omitzero"`
	ServerPeakBytes    int64            `json:"server_peak_bytes,omitzero"` // resident, with the pages of mapped store files
	ServerHeapBytes    int64            `json:"server_heap_bytes,omitzero"` // resident after the pull, without them
	DriverPeakBytes    int64            `json:"driver_peak_bytes,omitzero"`
	Audit              auditReport      `json:"audit"`
}

// pushReport is a phase of pushes: what was acknowledged, and so is durable.
type pushReport struct {
	Seconds            float64 `json:"seconds"`
	Entries            int64   `json:"entries"`
	Changes            int64   `json:"changes"`
	EntriesPerSecond   float64 `json:"entries_per_second"`
	ChangesPerSecond   float64 `json:"changes_per_second"`
	Pushes             int     `json:"pushes"`
	P50Millis          float64 `json:"push_p50_ms"`
	P99Millis          float64 `json:"push_p99_ms"`
	TurnedAway         int     `json:"turned_away"` // answered with Retry-After
	Failed             int     `json:"failed"`      // no answer, or another than 200
	WireBytesPerChange float64 `json:"wire_bytes_per_change"`
	ServerCPUPer1000   float64 `json:"server_cpu_seconds_per_1000_changes,omitzero"`
}

type pullReport struct {
	Seconds          float64 `json:"seconds"`
	Items            int64   `json:"items"` // persons and unit states
	Pages            int64   `json:"pages"`
	ItemsPerSecond   float64 `json:"items_per_second"`
	ServerCPUPer1000 float64 `json:"server_cpu_seconds_per_1000_items,omitzero"`
}

// auditReport says whether everything that was acknowledged is there.
type auditReport struct {
	Checked        int64  `json:"checked"` // entries pushed again
	HistoryPersons int    `json:"history_persons"`
	Missing        int64  `json:"missing"`
	Lost           []lost `json:"lost,omitempty"` // the first of them
}

const maxLost = 20

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (a *auditReport) lose(l []lost) {
	a.Missing += int64(len(l))
	a.Lost = append(a.Lost, l[:min(len(l), maxLost-len(a.Lost))]...)
}

// text lines the figures up for a person.
func (r *loadReport) text() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s "+format+"\n", append([]any{what}, args...)...)
	}
	line("load", "%d tablets, %d entries of %d changes offline, %d of one change after that, seed %d, %s",
		r.Plan.Tablets, r.Plan.Entries, r.Plan.Changes, r.Plan.Steady, r.Plan.Seed, r.Encoding)
	for _, p := range []struct {
		name string
		*pushReport
	}{{"burst", r.Burst}, {"steady", r.Steady}} {
		if p.pushReport == nil {
			continue
		}
		line(p.name, "%.0f changes/s, %.0f entries/s accepted and durable (%d changes in %.2f s)", p.ChangesPerSecond, p.EntriesPerSecond, p.Changes, p.Seconds)
		line("", "push p50 %.1f ms, p99 %.1f ms; %d pushes, %d turned away, %d failed", p.P50Millis, p.P99Millis, p.Pushes, p.TurnedAway, p.Failed)
		line("", "%.0f bytes on the wire a change", p.WireBytesPerChange)
		if p.ServerCPUPer1000 > 0 {
			line("", "%.4f server CPU seconds per 1000 changes", p.ServerCPUPer1000)
		}
	}
	if r.Herd != nil {
		r.Herd.text(line)
	} else {
		line("pull", "%.0f items/s (%d items, %d pages in %.2f s)", r.Pull.ItemsPerSecond, r.Pull.Items, r.Pull.Pages, r.Pull.Seconds)
	}
	if r.DiskBytesPerChange > 0 {
		line("disk", "%.0f bytes of file a change", r.DiskBytesPerChange)
	}
	if r.ServerPeakBytes > 0 {
		line("memory", "server %.0f MiB at most with its mapped files, %.0f MiB its own in the end; driver %.0f MiB at most",
			mib(r.ServerPeakBytes), mib(r.ServerHeapBytes), mib(r.DriverPeakBytes))
	}
	var outcomes []string
	for o, n := range r.Outcomes {
		outcomes = append(outcomes, fmt.Sprintf("%s %d", o, n))
	}
	slices.Sort(outcomes)
	line("outcomes", "%s", strings.Join(outcomes, ", "))
	line("audit", "%d acknowledged entries asked for again, history of %d persons read: %d missing", r.Audit.Checked, r.Audit.HistoryPersons, r.Audit.Missing)
	for _, l := range r.Audit.Lost {
		line("", "tablet %d, entry %s, position %d: %s", l.Tablet, l.Entry, l.Position, l.Says)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
