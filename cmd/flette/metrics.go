package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"flette/api"
)

// loadMetrics are what the server counts of each class of calls, by the names under which
// Prometheus reads them. A weight is bytes for pushes, and calls for the rest (api.Server.Loads).
var loadMetrics = []struct {
	name, kind, help string
	of               func(*api.Load) int64
}{
	{"flette_calls_at_work", "gauge", "Calls that are served now.", func(l *api.Load) int64 { return l.AtWork }},
	{"flette_calls_at_work_weight", "gauge", "Weight of the calls that are served now.", func(l *api.Load) int64 { return l.AtWorkWeight }},
	{"flette_calls_waiting", "gauge", "Calls that wait for their turn now.", func(l *api.Load) int64 { return l.Waiting }},
	{"flette_calls_waiting_weight", "gauge", "Weight of the calls that wait for their turn now.", func(l *api.Load) int64 { return l.WaitingWeight }},
	{"flette_calls_waiting_weight_most", "gauge", "Largest weight that ever waited.", func(l *api.Load) int64 { return l.MostWaiting }},
	{"flette_callers_away", "gauge", "Devices and users who were told to come back and have not yet.", func(l *api.Load) int64 { return l.Away }},
	{"flette_calls_admitted_total", "counter", "Calls that were let in.", func(l *api.Load) int64 { return l.Admitted }},
	{"flette_calls_waited_total", "counter", "Calls that were not let in at once.", func(l *api.Load) int64 { return l.Waited }},
	{"flette_calls_turned_away_total", "counter", "Calls that were answered with overloaded.", func(l *api.Load) int64 { return l.TurnedAway }},
	{"flette_calls_displaced_total", "counter", "Calls turned away that had waited and made room for others.", func(l *api.Load) int64 { return l.Displaced }},
	{"flette_calls_gave_up_total", "counter", "Calls turned away because the time of the request was over.", func(l *api.Load) int64 { return l.GaveUp }},
}

// metricsText writes loads by class, and how many tenants the last scrub found damaged, in
// Prometheus' text format 0.0.4. It says nothing of persons, users, devices or tenants.
func metricsText(loads map[string]api.Load, damaged int) []byte {
	classes := make([]string, 0, len(loads))
	for c := range loads {
		classes = append(classes, c)
	}
	slices.Sort(classes)
	var b bytes.Buffer
	head := func(name, kind, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	for _, m := range loadMetrics {
		head(m.name, m.kind, m.help)
		for _, c := range classes {
			l := loads[c]
			fmt.Fprintf(&b, "%s{class=\"%s\"} %d\n", m.name, strings.ReplaceAll(c, " ", "-"), m.of(&l))
		}
	}
	head("flette_tenants_damaged", "gauge", "Municipalities whose store the last scrub found damaged.")
	fmt.Fprintf(&b, "flette_tenants_damaged %d\n", damaged)
	return b.Bytes()
}

func (a *app) serveMetrics(s *api.Server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		damaged := 0
		a.damage.Range(func(_, _ any) bool { damaged++; return true })
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(metricsText(s.Loads(), damaged)) // the caller is gone: nothing to tell
	}
}
