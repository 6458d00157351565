// Package measure counts persons for local reports (domain.md 4): function groups and
// indicators by organisation unit, aggregated and without small cells (R79). Nothing of it is
// sent to anybody (R78).
//
// Start with [Make], which reads one person at a time and holds counts only. The grouping of
// variables is configuration ([Groups]) and provisional: the official computation is not public.
package measure
